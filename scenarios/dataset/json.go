package dataset

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth is how deep lists and objects may stand in each other.
const maxJSONDepth = 1_000

// A jsonError is a mistake at a byte offset of a text.
type jsonError struct {
	offset  int
	problem string
}

func (e *jsonError) Error() string { return e.problem }

// parseJSON returns the one value that s holds (RFC 8259). Integers that fit an int64 are one, other numbers float64.
// Texts in the value share the memory of s. It is encoding/json but for three things: integers stay exact without a
// second pass over the value, errors are told in our words with their offset, and it is several times as fast.
// s must be UTF-8.
func parseJSON(s string) (any, *jsonError) {
	p := jsonParser{s: s}
	v := p.value()
	p.space()
	if p.err == nil && p.i < len(s) {
		p.fail("there is more after the value: found %s", p.found())
	}
	if p.err != nil {
		return nil, p.err
	}
	return v, nil
}

type jsonParser struct {
	s     string
	i     int
	depth int
	err   *jsonError // the first one; all methods return at once after it
}

func (p *jsonParser) fail(format string, args ...any) any {
	if p.err == nil {
		p.err = &jsonError{p.i, fmt.Sprintf(format, args...)}
	}
	return nil
}

// found describes what stands at the current offset.
func (p *jsonParser) found() string {
	if p.i >= len(p.s) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(p.s[p.i:])
	return strconv.QuoteRune(r)
}

func (p *jsonParser) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\r', '\n':
			p.i++
		default:
			return
		}
	}
}

// at skips space, and reports whether c is next; if so, it is skipped as well.
func (p *jsonParser) at(c byte) bool {
	p.space()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *jsonParser) value() any {
	p.space()
	if p.i >= len(p.s) {
		return p.fail("expected a value, found the end")
	}
	switch c := p.s[p.i]; c {
	case '{':
		return p.object()
	case '[':
		return p.list()
	case '"':
		return p.text()
	case 't':
		return p.word("true", true)
	case 'f':
		return p.word("false", false)
	case 'n':
		return p.word("null", nil)
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return p.number()
		}
		return p.fail("expected a value, found %s", p.found())
	}
}

func (p *jsonParser) word(w string, v any) any {
	if !strings.HasPrefix(p.s[p.i:], w) {
		return p.fail("expected a value, found %s", p.found())
	}
	p.i += len(w)
	return v
}

// enter counts a level of nesting.
func (p *jsonParser) enter() bool {
	if p.depth++; p.depth > maxJSONDepth {
		p.fail("the value is nested more than %d levels deep", maxJSONDepth)
		return false
	}
	p.i++
	return true
}

func (p *jsonParser) object() any {
	m := make(map[string]any)
	if !p.enter() {
		return nil
	}
	defer func() { p.depth-- }()
	if p.at('}') {
		return m
	}
	for {
		if p.space(); p.i >= len(p.s) || p.s[p.i] != '"' {
			return p.fail("expected a key in double quotes, found %s", p.found())
		}
		key := p.text()
		if p.err == nil && !p.at(':') {
			return p.fail("expected : after a key, found %s", p.found())
		}
		if p.err != nil {
			return nil
		}
		if m[key] = p.value(); p.err != nil {
			return nil
		}
		if p.at('}') {
			return m
		}
		if !p.at(',') {
			return p.fail("expected , or } after a value, found %s", p.found())
		}
	}
}

func (p *jsonParser) list() any {
	l := []any{}
	if !p.enter() {
		return nil
	}
	defer func() { p.depth-- }()
	if p.at(']') {
		return l
	}
	for {
		if l = append(l, p.value()); p.err != nil {
			return nil
		}
		if p.at(']') {
			return l
		}
		if !p.at(',') {
			return p.fail("expected , or ] after a value, found %s", p.found())
		}
	}
}

// text reads a string. One without escapes is a part of the source.
func (p *jsonParser) text() string {
	p.i++
	start := p.i
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return p.s[start : p.i-1]
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			p.fail("a text has the control character 0x%02x: write \\u%04x", c, c)
			return ""
		}
		p.i++
	}
	p.fail("a text is never closed")
	return ""
}

// escaped reads the rest of a string, from its first escape on.
func (p *jsonParser) escaped(start int) string {
	var b strings.Builder
	b.WriteString(p.s[start:p.i])
	for p.i < len(p.s) {
		c := p.s[p.i]
		switch {
		case c == '"':
			p.i++
			return b.String()
		case c < ' ':
			p.fail("a text has the control character 0x%02x: write \\u%04x", c, c)
			return ""
		case c != '\\':
			b.WriteByte(c)
			p.i++
		default:
			b.WriteRune(p.escape())
			if p.err != nil {
				return ""
			}
		}
	}
	p.fail("a text is never closed")
	return ""
}

func (p *jsonParser) escape() rune {
	if p.i+1 >= len(p.s) {
		p.fail("a text is never closed")
		return 0
	}
	c := p.s[p.i+1]
	if c == 'u' {
		return p.unicode()
	}
	i := strings.IndexByte(`"\/bfnrt`, c)
	if i < 0 {
		p.fail("a text has the unknown escape \\%s", strings.Trim(strconv.QuoteRune(rune(c)), "'"))
		return 0
	}
	p.i += 2
	return rune("\"\\/\b\f\n\r\t"[i])
}

// unicode reads \uXXXX, or two of them that are one character. Half of such a pair is U+FFFD, as in encoding/json.
func (p *jsonParser) unicode() rune {
	r, ok := p.hex()
	if !ok {
		p.fail("\\u must be followed by four hexadecimal digits")
		return 0
	}
	p.i += 6
	if !utf16.IsSurrogate(r) {
		return r
	}
	if second, ok := p.hex(); ok {
		if both := utf16.DecodeRune(r, second); both != utf8.RuneError {
			p.i += 6
			return both
		}
	}
	return utf8.RuneError
}

// hex looks at the escape \uXXXX that is next.
func (p *jsonParser) hex() (rune, bool) {
	if len(p.s)-p.i < 6 || p.s[p.i] != '\\' || p.s[p.i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(p.s[p.i+2 : p.i+6]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (p *jsonParser) digits() bool {
	start := p.i
	for p.i < len(p.s) && '0' <= p.s[p.i] && p.s[p.i] <= '9' {
		p.i++
	}
	return p.i > start
}

func (p *jsonParser) next(set string) bool {
	return p.i < len(p.s) && strings.IndexByte(set, p.s[p.i]) >= 0
}

func (p *jsonParser) number() any {
	start, whole := p.i, true
	if p.next("-") {
		p.i++
	}
	if p.next("0") {
		p.i++
		if p.next("0123456789") {
			return p.fail("a number begins with 0")
		}
	} else if !p.digits() {
		return p.fail("expected a digit, found %s", p.found())
	}
	if p.next(".") {
		whole = false
		p.i++
		if !p.digits() {
			return p.fail("expected a digit, found %s", p.found())
		}
	}
	if p.next("eE") {
		whole = false
		p.i++
		if p.next("+-") {
			p.i++
		}
		if !p.digits() {
			return p.fail("expected a digit, found %s", p.found())
		}
	}
	text := p.s[start:p.i]
	if whole {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		p.i = start
		return p.fail("the number %s is too large", shorten(text))
	}
	return f
}

// shorten cuts a text that is quoted in a message.
func shorten(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
