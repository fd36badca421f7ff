package payload

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Quick is a simple expression about a reply, in a form that needs no
// evaluation: the status or a place in the body, alone or compared with a
// constant. It knows only what is plain, and says so where something is not;
// what it then is, and what is wrong with it, the expression itself says.
type Quick struct {
	status bool   // the status, else the body
	path   []hop  // to the place in the body
	op     string // "" where the value itself is wanted
	to     any    // int64, string or bool
}

// A hop is one step down a path.
type hop struct {
	key   string
	index int // of a list, where key is ""
}

// Quick returns the quick form of the expression; nil if it has none.
func (e *Expr) Quick() *Quick {
	if e.scope != Reply {
		return nil
	}
	left, op, right := e.source, "", ""
	for _, o := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		if l, r, ok := strings.Cut(e.source, o); ok {
			left, op, right = l, o, r
			break
		}
	}
	q := &Quick{op: op}
	root, path, ok := parsePath(strings.TrimSpace(left))
	switch {
	case !ok:
		return nil
	case root == "status" && len(path) == 0 && op != "":
		q.status = true
	case root == "body" && len(path) > 0:
		q.path = path
	default:
		return nil
	}
	if op != "" {
		if q.to, ok = parseConstant(strings.TrimSpace(right)); !ok {
			return nil
		}
		if _, number := q.to.(int64); !number && (q.status || op != "==" && op != "!=") {
			return nil
		}
	}
	return q
}

// parsePath reads a name and what follows: .name, ["key"] and [index].
func parsePath(s string) (root string, path []hop, ok bool) {
	n := nameLength(s)
	if n == 0 {
		return "", nil, false
	}
	root, s = s[:n], s[n:]
	for s != "" {
		if s[0] == '.' {
			n := nameLength(s[1:])
			if n == 0 {
				return "", nil, false
			}
			path, s = append(path, hop{key: s[1 : 1+n]}), s[1+n:]
			continue
		}
		inner, rest, closed := strings.Cut(s[1:], "]")
		if s[0] != '[' || !closed || inner == "" {
			return "", nil, false
		}
		s = rest
		if key, isKey := parseConstant(inner); isKey {
			switch key := key.(type) {
			case string:
				if key == "" {
					return "", nil, false
				}
				path = append(path, hop{key: key})
				continue
			case int64:
				if key >= 0 && key < 1<<20 {
					path = append(path, hop{index: int(key)})
					continue
				}
			}
		}
		return "", nil, false
	}
	return root, path, true
}

// nameLength is the length of the name that s begins with; 0 for none.
func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return i
	}
	return len(s)
}

// parseConstant reads an integer, true, false, or a text in quotes in which
// nothing is escaped.
func parseConstant(s string) (any, bool) {
	switch s {
	case "":
		return nil, false
	case "true":
		return true, true
	case "false":
		return false, true
	}
	if q := s[0]; (q == '"' || q == '\'') && len(s) >= 2 && s[len(s)-1] == q {
		inner := s[1 : len(s)-1]
		plain := !strings.ContainsAny(inner, "\\\n"+string(q)) && utf8.ValidString(inner) && !strings.ContainsRune(inner, utf8.RuneError)
		return inner, plain
	}
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > 15 || digits[0] == '0' && len(digits) > 1 || strings.Trim(digits, "0123456789") != "" {
		return nil, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// Value returns the value; not ok where it is not plain.
func (q *Quick) Value(status int, body []byte) (v any, ok bool) {
	if q.op == "" {
		return q.find(body)
	}
	return q.Holds(status, body)
}

// Holds returns whether the comparison holds; not ok where it is none, or what
// it compares is not plain.
func (q *Quick) Holds(status int, body []byte) (holds, ok bool) {
	if q.op == "" {
		return false, false
	}
	if q.status {
		return compare(q.op, int64(status), q.to.(int64)), true //nolint:forcetypeassert // Quick makes no other
	}
	v, ok := q.find(body)
	if !ok {
		return false, false
	}
	switch to := q.to.(type) {
	case int64:
		n, ok := v.(int64)
		return ok && compare(q.op, n, to), ok
	case string:
		s, ok := v.(string)
		return ok && (s == to) == (q.op == "=="), ok
	case bool:
		b, ok := v.(bool)
		return ok && (b == to) == (q.op == "=="), ok
	}
	return false, false
}

func compare(op string, a, b int64) bool {
	switch op {
	case "==":
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}

// find goes through the whole body, which must be JSON from end to end, and
// returns the plain value at the place: an integer, a text, true or false.
func (q *Quick) find(body []byte) (any, bool) {
	s := scanner{in: body}
	s.space()
	s.value(q.path, 0)
	if s.space(); s.bad || s.at != len(body) || s.found == nil {
		return nil, false
	}
	return plainValue(s.found)
}

// plainValue reads a value that is valid JSON.
func plainValue(b []byte) (any, bool) {
	switch c := b[0]; {
	case c == '"':
		inner := b[1 : len(b)-1]
		if bytes.IndexByte(inner, '\\') >= 0 || !utf8.Valid(inner) {
			return nil, false
		}
		return string(inner), true
	case c == 't':
		return true, true
	case c == 'f':
		return false, true
	case c == '-' || c >= '0' && c <= '9':
		if len(b) > 18 {
			return nil, false
		}
		n, err := strconv.ParseInt(string(b), 10, 64)
		return n, err == nil
	}
	return nil, false
}

// A scanner goes through JSON (RFC 8259) once, and remembers the value at a
// path. It is bad where the text is not JSON, or not plain on the way: an
// escaped key, or one that is not UTF-8, may be any.
type scanner struct {
	in    []byte
	at    int
	bad   bool
	found []byte // the value at the path; nil while there is none
}

// deepest is how deep a value may be nested.
const deepest = 200

// value goes over a value. path leads on from it to the place that is wanted;
// it is nil where that lies elsewhere.
func (s *scanner) value(path []hop, depth int) {
	if s.at >= len(s.in) || depth > deepest {
		s.bad = true
		return
	}
	begin := s.at
	switch c := s.in[s.at]; {
	case c == '"':
		s.text()
	case c == '{':
		s.object(path, depth)
	case c == '[':
		s.list(path, depth)
	case c == '-' || c >= '0' && c <= '9':
		s.number()
	case c == 't':
		s.word("true")
	case c == 'f':
		s.word("false")
	default:
		s.word("null")
	}
	if path != nil && len(path) == 0 && !s.bad {
		s.found = s.in[begin:s.at]
	}
}

// below is what is left of a path below its first part, never nil.
func below(path []hop) []hop { return path[1:len(path):len(path)] }

func (s *scanner) object(path []hop, depth int) {
	s.at++
	if s.space(); s.eat('}') {
		return
	}
	for !s.bad {
		if s.at >= len(s.in) || s.in[s.at] != '"' {
			s.bad = true
			return
		}
		key := s.text()
		if bytes.IndexByte(key, '\\') >= 0 {
			s.bad = true
		}
		if s.space(); !s.eat(':') {
			s.bad = true
			return
		}
		s.space()
		var next []hop
		if len(path) > 0 && path[0].key != "" && string(key) == path[0].key {
			next, s.found = below(path), nil // of two with one name the last counts
		}
		s.value(next, depth+1)
		if s.space(); s.eat('}') {
			return
		}
		if !s.eat(',') {
			s.bad = true
		}
		s.space()
	}
}

func (s *scanner) list(path []hop, depth int) {
	s.at++
	if s.space(); s.eat(']') {
		return
	}
	for i := 0; !s.bad; i++ {
		var next []hop
		if len(path) > 0 && path[0].key == "" && path[0].index == i {
			next = below(path)
		}
		s.value(next, depth+1)
		if s.space(); s.eat(']') {
			return
		}
		if !s.eat(',') {
			s.bad = true
		}
		s.space()
	}
}

// text goes over a text in quotes, and returns what is between them.
func (s *scanner) text() []byte {
	begin := s.at + 1
	for i := begin; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '"':
			s.at = i + 1
			return s.in[begin:i]
		case c < ' ':
			s.bad = true
			return nil
		case c == '\\':
			if i++; i >= len(s.in) {
				break
			}
			switch s.in[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(s.in) || !hexDigit(s.in[i]) {
						s.bad = true
						return nil
					}
				}
			default:
				s.bad = true
				return nil
			}
		}
	}
	s.bad = true
	return nil
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func (s *scanner) number() {
	s.eat('-')
	if !s.eat('0') && !s.digits() {
		s.bad = true
	}
	if s.eat('.') && !s.digits() {
		s.bad = true
	}
	if s.eat('e') || s.eat('E') {
		s.bad = true // it may be beyond all numbers
	}
}

func (s *scanner) digits() bool {
	begin := s.at
	for s.at < len(s.in) && s.in[s.at] >= '0' && s.in[s.at] <= '9' {
		s.at++
	}
	if s.at-begin > 300 {
		s.bad = true
	}
	return s.at > begin
}

func (s *scanner) word(w string) {
	if !bytes.HasPrefix(s.in[s.at:], []byte(w)) {
		s.bad = true
		return
	}
	s.at += len(w)
}

func (s *scanner) eat(c byte) bool {
	if s.at < len(s.in) && s.in[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) space() {
	for s.at < len(s.in) {
		switch s.in[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}
