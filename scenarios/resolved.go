package scenarios

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"volley/engine/auth"
	"volley/scenarios/payload"
)

// Resolved returns the scenario as it will be run, as YAML: variables filled
// in, flags applied, defaults in place. Secrets stand there as ${NAME}, as in
// the file, so that the text can be shown, and loads again.
func (c *Compiled) Resolved() []byte {
	e := encoder{nodes: c.nodes}
	var b strings.Builder
	write(&b, e.value(reflect.ValueOf(*c.Scenario), ""), 0, false)
	return []byte(c.Mask(b.String()))
}

// An encoder makes nodes of a Scenario: the decoder the other way round.
type encoder struct{ nodes map[string]*node }

func plainNode(text string) *node { return &node{text: text, plain: true} }

// value encodes v. What is left out of it is what was not written and has no
// default.
func (e encoder) value(v reflect.Value, path string) *node {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case auth.Secret:
		if n := e.nodes[path]; n != nil && n.kind == scalarKind {
			return &node{text: n.text} // as was checked, a ${NAME}
		}
		return &node{text: auth.Mask}
	case Value:
		return tree(x.Tree)
	case Text:
		return &node{text: escapeTemplate(string(x))}
	case Expr:
		return &node{text: string(x)}
	case Auth:
		if x.None {
			return &node{text: string(nobody)}
		}
	case Latency:
		if x.P99 == 0 {
			return plainNode(x.P50.String())
		}
	case Threshold:
		if x.Window == 0 && !x.Abort && x.MinSamples == 0 {
			return &node{text: escapeText(x.Expr)}
		}
	case AutoInt:
		return plainNode(wordFor(int(x), "auto"))
	case AdaptiveInt:
		return plainNode(wordFor(int(x), "adaptive"))
	case Headers:
		return e.lines(x)
	case Query:
		return e.lines(x)
	case Saves:
		n := &node{kind: mappingKind}
		for _, l := range x {
			n.put(l.Name, &node{text: string(l.From)}, origin{})
		}
		return n
	case fmt.Stringer: // durations, rates, sizes, shares, spans
		return plainNode(x.String())
	}
	return e.plain(v, path)
}

// plain encodes what has no form of its own.
func (e encoder) plain(v reflect.Value, path string) *node {
	switch v.Kind() {
	case reflect.String:
		return &node{text: escapeText(v.String())}
	case reflect.Struct:
		n := &node{kind: mappingKind}
		for _, f := range fieldsOf(v.Type()) {
			field, at := v.FieldByIndex(f.index), join(path, f.name)
			if field.Kind() == reflect.Pointer && field.IsNil() || field.IsZero() && !f.required && e.nodes[at] == nil {
				continue
			}
			n.put(f.name, e.value(field, at), origin{})
		}
		return n
	case reflect.Slice:
		n := &node{kind: sequenceKind}
		for i := range v.Len() {
			n.items = append(n.items, e.value(v.Index(i), index(path, i)))
		}
		return n
	case reflect.Map:
		n := &node{kind: mappingKind}
		names := map[string]reflect.Value{}
		for _, k := range v.MapKeys() {
			names[k.String()] = v.MapIndex(k)
		}
		for _, k := range slices.Sorted(maps.Keys(names)) {
			n.put(k, e.value(names[k], join(path, k)), origin{})
		}
		return n
	case reflect.Float64:
		return plainNode(strconv.FormatFloat(v.Float(), 'f', -1, 64))
	}
	return plainNode(fmt.Sprint(v.Interface()))
}

func wordFor(n int, zero string) string {
	if n == 0 {
		return zero
	}
	return strconv.Itoa(n)
}

func (e encoder) lines(list []Line) *node {
	n := &node{kind: mappingKind}
	for _, l := range list {
		text := escapeTemplate(string(l.Value))
		if l.Secret {
			text = l.ref
		}
		n.put(l.Name, &node{text: text}, origin{})
	}
	return n
}

// tree encodes a template's tree.
func tree(v any) *node {
	switch x := v.(type) {
	case nil:
		return plainNode("null")
	case string:
		return &node{text: escapeTemplate(x)}
	case json.Number:
		return plainNode(x.String())
	case float64:
		s := strconv.FormatFloat(x, 'g', -1, 64)
		if strings.Trim(s, "-0123456789") == "" {
			s += ".0" // it was no integer
		}
		return plainNode(s)
	case payload.Map:
		n := &node{kind: mappingKind}
		for _, e := range x {
			n.entries = append(n.entries, entry{key: e.Key, value: tree(e.Value)})
		}
		return n
	case []any:
		n := &node{kind: sequenceKind}
		for _, item := range x {
			n.items = append(n.items, tree(item))
		}
		return n
	}
	return plainNode(fmt.Sprint(v))
}

// escapeText writes $${ for ${ in a text that has no expressions.
func escapeText(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// escapeTemplate writes $${ for a ${ that is neither the start of an expression
// nor of an escaped one, nor in an expression.
func escapeTemplate(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		j := strings.Index(s[i:], "${")
		if j < 0 {
			b.WriteString(s[i:])
			break
		}
		j += i
		b.WriteString(s[i:j])
		switch {
		case !strings.HasPrefix(s[j:], "${{"):
			b.WriteString("$${")
			i = j + 2
		case j > 0 && s[j-1] == '$':
			b.WriteString("${{")
			i = j + 3
		default:
			i = expressionEnd(s, j+3)
			b.WriteString(s[j:i])
		}
	}
	return b.String()
}

// write writes n as YAML. In a list, the first key of a mapping stands on the
// line of the dash.
func write(b *strings.Builder, n *node, depth int, inList bool) {
	switch {
	case n.kind == scalarKind && n.plain:
		b.WriteString(n.text + "\n")
	case n.kind == scalarKind:
		b.WriteString(quoteYAML(n.text) + "\n")
	case len(n.entries) == 0 && n.kind == mappingKind:
		b.WriteString("{}\n")
	case len(n.items) == 0 && n.kind == sequenceKind:
		b.WriteString("[]\n")
	case n.kind == mappingKind:
		for i, e := range n.entries {
			if i > 0 || !inList {
				b.WriteString(strings.Repeat("  ", depth))
			}
			b.WriteString(quoteYAML(e.key) + ":")
			under(b, e.value, depth)
		}
	default:
		for i, item := range n.items {
			if i > 0 || !inList {
				b.WriteString(strings.Repeat("  ", depth))
			}
			b.WriteString("- ")
			write(b, item, depth+1, true)
		}
	}
}

// under writes the value of a key: on its line, or on those below it.
func under(b *strings.Builder, n *node, depth int) {
	if n.kind == scalarKind || len(n.entries)+len(n.items) == 0 {
		b.WriteByte(' ')
		write(b, n, depth, false)
		return
	}
	b.WriteByte('\n')
	write(b, n, depth+1, false)
}

// quoteYAML writes a text in quotes, or as it is where that reads back the same.
func quoteYAML(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-./$", r)
	}) && (unicode.IsLetter(rune(s[0])) || s[0] == '/' || s[0] == '_' || s[0] == '$')
	if _, isText := resolve(s).(string); plain && isText {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			if r <= 0xff {
				fmt.Fprintf(&b, `\x%02x`, r)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
