package scenarios

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"volley/scenarios/payload"
)

// parsed reads a scalar with a form of its own: a duration, a rate.
func parsed[T any](d *decoder, n *node, path, want string, parse func(string) (T, *problem)) (value T, ok bool) {
	s, ok := d.scalar(n, path, want)
	if !ok {
		return value, false
	}
	value, p := parse(s)
	if p != nil {
		d.add(n.at, path, p.fix, "%s", p.what)
		return value, false
	}
	return value, true
}

func (v *Duration) decode(d *decoder, n *node, path string) {
	if x, ok := parsed(d, n, path, "a duration such as 10s", parseDuration); ok {
		if x < 0 {
			d.add(n.at, path, "write a duration such as 10s", "%s is below 0", quote(n.text))
			return
		}
		*v = Duration(x)
	}
}

func (v *Rate) decode(d *decoder, n *node, path string) {
	if x, ok := parsed(d, n, path, "a rate such as 200/s", parseRate); ok {
		*v = Rate(x)
	}
}

func (v *Level) decode(d *decoder, n *node, path string) {
	x, ok := parsed(d, n, path, "a rate such as 200/s, or a number of workers such as 50", parseLevel)
	switch {
	case !ok:
	case x.Workers != nil && !n.plain && !d.whole(n):
		d.add(n.at, path, fmt.Sprintf("write %s without quotes for workers, or %s/s for a rate", x, x), "%s is a text", quote(x.String()))
	default:
		*v = x
	}
}

func (v *Size) decode(d *decoder, n *node, path string) {
	if x, ok := parsed(d, n, path, "a size such as 6MiB", parseSize); ok {
		*v = Size(x)
	}
}

func (v *Share) decode(d *decoder, n *node, path string) {
	if x, ok := parsed(d, n, path, "a percentage such as 0.1%", parseShare); ok {
		*v = Share(x)
	}
}

func (v *Span) decode(d *decoder, n *node, path string) {
	if x, ok := parsed(d, n, path, "a duration such as 100ms, or a range such as 100ms-300ms", parseSpan); ok {
		if x.Min < 0 || time.Duration(x.Max) > MaxDuration {
			d.add(n.at, path, "write a duration such as 100ms", "%s is not a pause", quote(n.text))
			return
		}
		*v = x
	}
}

func (v *Latency) decode(d *decoder, n *node, path string) {
	if n.kind == scalarKind {
		v.P50.decode(d, n, path)
		return
	}
	d.fields(reflect.ValueOf(v).Elem(), n, path)
}

func (v *Threshold) decode(d *decoder, n *node, path string) {
	if n.kind == scalarKind {
		v.Expr, _ = d.plainText(n, path)
		return
	}
	d.fields(reflect.ValueOf(v).Elem(), n, path)
}

// decode reads credentials. What stands there in a wrong form may be a secret,
// so it is not repeated, be it a key or a value.
func (v *Auth) decode(d *decoder, n *node, path string) {
	if n.kind == scalarKind && n.text == "none" {
		v.None = true
		return
	}
	if n.kind == scalarKind && n.text == string(byAnonymous) {
		d.add(n.at, path, "write {anonymous: true}", "credentials are a mapping")
		return
	}
	if n.kind != mappingKind {
		d.add(n.at, path, `write {api_key: "${NAME}"}, or none`, "credentials are a mapping (what was found is not shown)")
		return
	}
	known := fieldsOf(reflect.TypeFor[Auth]())
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	safe := *n
	safe.entries = nil
	for _, e := range n.entries {
		if slices.Contains(names, e.key) || payload.Nearest(e.key, names) != "" || otherNames()[e.key] != "" {
			safe.entries = append(safe.entries, e)
			continue
		}
		d.add(e.at, path, "known: "+strings.Join(names, ", "), "a key is not known (it is not shown)")
	}
	d.fields(reflect.ValueOf(v).Elem(), &safe, path)
}

func (v *WebSDKVersion) decode(d *decoder, n *node, path string) {
	*v = WebSDKVersion(d.oneOf(n, path, "3", "2", "1"))
}

func (v *NodeSDKVersion) decode(d *decoder, n *node, path string) {
	*v = NodeSDKVersion(d.oneOf(n, path, "3", "2"))
}

// oneOf reads a word that may be a number, too.
func (d *decoder) oneOf(n *node, path string, allowed ...string) string {
	s, ok := d.scalar(n, path, "one of "+strings.Join(allowed, ", "))
	if !ok || !d.among(n, path, s, allowed) {
		return ""
	}
	return s
}

func (v *AutoInt) decode(d *decoder, n *node, path string) {
	*v = AutoInt(d.wordOrInt(n, path, "auto", 1_000_000))
}

func (v *AdaptiveInt) decode(d *decoder, n *node, path string) {
	*v = AdaptiveInt(d.wordOrInt(n, path, "adaptive", MaxWorkers))
}

func (d *decoder) wordOrInt(n *node, path, word string, most int64) int64 {
	s, ok := d.scalar(n, path, "a number, or "+word)
	if !ok || s == word {
		return 0
	}
	i, isInt := whole(s)
	if !isInt || i < 1 || i > most || !n.plain && !d.whole(n) {
		d.add(n.at, path, fmt.Sprintf("write %s, or a number from 1 to %d", word, most), "%s is neither a number from 1 to %d nor %s", quote(s), most, word)
		return 0
	}
	return i
}

func (v *Text) decode(d *decoder, n *node, path string) {
	if d.isText(n, path) {
		s, _ := d.fill(n, path, true)
		*v = Text(s)
	}
}

func (v *Expr) decode(d *decoder, n *node, path string) {
	if n.kind != scalarKind {
		d.add(n.at, path, `write an expression, such as "body.code == 0"`, "%s stands where an expression is wanted", n.what())
		return
	}
	if strings.TrimSpace(n.text) == "" {
		d.add(n.at, path, `write an expression, such as "body.code == 0"`, "%s is an empty expression", quote(n.text))
		return
	}
	d.noVariables(n, n.text, path)
	*v = Expr(n.text)
}

func (v *Files) decode(d *decoder, n *node, path string) {
	if n.kind == scalarKind {
		s, ok := d.plainText(n, path)
		if ok && s == "" {
			d.add(n.at, path, "name a file", "the name is empty")
		}
		*v = Files{s}
		return
	}
	var list []string
	d.list(reflect.ValueOf(&list).Elem(), n, path, rules{minItems: 1})
	*v = list
}

func (v *Headers) decode(d *decoder, n *node, path string) {
	lines(d, (*[]Line)(v), n, path, true)
}

func (v *Query) decode(d *decoder, n *node, path string) {
	lines(d, (*[]Line)(v), n, path, false)
}

func lines(d *decoder, to *[]Line, n *node, path string, headers bool) {
	if n.kind != mappingKind {
		d.add(n.at, path, "write a mapping of names to texts", "%s stands where a mapping is wanted", n.what())
		return
	}
	for _, e := range n.entries {
		line := Line{Name: e.key}
		field := join(path, e.key)
		d.nodes[field] = e.value
		if headers {
			if !d.headerName(e, field) {
				continue
			}
			if slices.ContainsFunc(*to, func(l Line) bool { return strings.EqualFold(l.Name, e.key) }) {
				d.add(e.at, field, "keep one of the two", "the header is here twice: names differ in more than case")
				continue
			}
			if line.Secret = secretHeader(e.key); line.Secret {
				line.ref = e.value.text
				if !d.secretLine(e.value, field, e.key) {
					continue
				}
			}
		}
		line.Value.decode(d, e.value, field)
		if headers && strings.ContainsAny(string(line.Value), "\r\n\x00") {
			d.add(e.value.at, field, "write it in one line", "the value has a line break in it")
		}
		*to = append(*to, line)
	}
}

// headerName checks a header's name (RFC 9110, section 5.1), and refuses the
// fields that are the transport's own.
func (d *decoder) headerName(e entry, field string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	bad := e.key == "" || strings.ContainsFunc(e.key, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(marks, c)
	})
	switch {
	case bad:
		d.add(e.at, field, "use letters, digits and -", "%s is not the name of a header", quote(e.key))
	case strings.EqualFold(e.key, "content-length"), strings.EqualFold(e.key, "transfer-encoding"), strings.EqualFold(e.key, "connection"):
		d.add(e.at, field, "delete it: it is set for every request", "%s belongs to the connection", quote(e.key))
		return false
	}
	return !bad
}

func (v *Saves) decode(d *decoder, n *node, path string) {
	if n.kind != mappingKind {
		d.add(n.at, path, "write a mapping of names to expressions: {total: body.data.total}", "%s stands where a mapping is wanted", n.what())
		return
	}
	for _, e := range n.entries {
		field := join(path, e.key)
		d.nodes[field] = e.value
		if !identifier(e.key) {
			d.add(e.at, field, "use letters, digits and _, and begin with a letter", "%s is not a name for a variable", quote(e.key))
		}
		line := SaveLine{Name: e.key}
		line.From.decode(d, e.value, field)
		*v = append(*v, line)
	}
}

// identifier reports whether a name can be written after a dot in expressions.
func identifier(name string) bool { return name != "" && !strings.HasPrefix(payloadPath(name), "[") }

// payloadPath is how package payload writes a key in its errors' paths.
func payloadPath(key string) string {
	for i, r := range key {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return fmt.Sprintf("[%q]", key)
		}
	}
	if key == "" {
		return `[""]`
	}
	return "." + key
}

func (v *Value) decode(d *decoder, n *node, path string) { v.Tree = d.tree(n, path) }

// tree makes a template's tree of a node.
func (d *decoder) tree(n *node, path string) any {
	d.nodes[path] = n
	switch n.kind {
	case mappingKind:
		m := make(payload.Map, 0, len(n.entries))
		for _, e := range n.entries {
			m = append(m, payload.Entry{Key: e.key, Value: d.tree(e.value, path+payloadPath(e.key))})
		}
		return m
	case sequenceKind:
		l := make([]any, 0, len(n.items))
		for i, item := range n.items {
			l = append(l, d.tree(item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return l
	}
	if !n.plain || d.whole(n) {
		s, _ := d.fill(n, path, true)
		return s
	}
	switch x := resolve(n.text).(type) {
	case string:
		s, _ := d.fill(n, path, true)
		return s
	case int64, uint64:
		if digits := strings.TrimLeft(n.text, "+-"); len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
			d.add(n.at, path, fmt.Sprintf("write %q for a text, or the number without leading zeros", n.text), "%s may be a number or a text", n.text)
		}
		return x
	case float64:
		if strings.Trim(n.text, "+-0123456789") == "" { // an integer that no type of Go's holds
			return json.Number(strings.TrimPrefix(n.text, "+"))
		}
		if math.IsInf(x, 0) || math.IsNaN(x) {
			d.add(n.at, path, fmt.Sprintf("write %q, in quotes, for a text", n.text), "%s is a number that JSON does not have", n.text)
			return nil
		}
		return x
	default:
		return x
	}
}
