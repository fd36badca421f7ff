package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"volley/scenarios/payload"
)

// Limits on scenario files. They are far above what people write, and low
// enough that no file can make the parser take long or run out of stack.
const (
	MaxFile  = 1 << 20 // bytes
	maxDepth = 100     // levels of nesting
	maxKeys  = 20_000  // keys written in a file
	maxNodes = 200_000 // values, aliases expanded
)

// An origin is where a value was written: in the file, or in a flag.
type origin struct {
	line, col int
	flag      string // such as --rate; "" for the file
}

// A kind is what a value is before anybody wants something of it.
type kind uint8

const (
	scalarKind kind = iota
	mappingKind
	sequenceKind
)

// A node is one value of a scenario as it was written, by file or flag, with
// nothing filled in. Unlike the parser's it knows where it came from after
// flags have replaced parts of it.
type node struct {
	kind    kind
	at      origin
	text    string // of a scalar, unquoted
	plain   bool   // a scalar without quotes: its text decides what it is
	simple  bool   // text stands in the file as it is, so that columns can be counted in it
	bad     bool   // what is wrong with it has been said
	entries []entry
	items   []*node
}

// An entry is one key of a mapping.
type entry struct {
	key   string
	at    origin // of the key
	value *node
}

// get returns the value of a key, nil if there is none.
func (n *node) get(key string) *node {
	for i := range n.entries {
		if n.entries[i].key == key {
			return n.entries[i].value
		}
	}
	return nil
}

// isNull reports whether n is a null, written or left out.
func (n *node) isNull() bool {
	if n.kind != scalarKind || !n.plain {
		return false
	}
	switch n.text {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// what names the kind of value for messages.
func (n *node) what() string {
	switch {
	case n.kind == mappingKind:
		return "a mapping"
	case n.kind == sequenceKind:
		return "a list"
	case n.isNull():
		return "empty"
	}
	return quote(n.text)
}

// copy returns a deep copy, so that a flag can change one of several uses of
// an anchor.
func (n *node) copy() *node {
	c := *n
	c.entries = make([]entry, len(n.entries))
	for i, e := range n.entries {
		e.value = e.value.copy()
		c.entries[i] = e
	}
	c.items = make([]*node, len(n.items))
	for i, item := range n.items {
		c.items[i] = item.copy()
	}
	return &c
}

// count returns how many nodes n is made of.
func (n *node) count() int {
	sum := 1
	for _, e := range n.entries {
		sum += e.value.count()
	}
	for _, i := range n.items {
		sum += i.count()
	}
	return sum
}

// parse reads one YAML document. It returns nil when it is not even that.
func parse(src []byte, r *report) *node {
	if len(src) > MaxFile {
		r.add(origin{line: 1, col: 1}, "", "keep data in a file of its own and name it in data.file",
			"the file has %d bytes, and at most %d are read", len(src), MaxFile)
		return nil
	}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(src) {
		line, col := firstInvalid(src)
		r.add(origin{line: line, col: col}, "", "save the file as UTF-8", "the byte 0x%02x is not UTF-8", invalidByte(src))
		return nil
	}
	// The lexer drops carriage returns inconsistently; lines count the same without them.
	text := strings.ReplaceAll(string(src), "\r\n", "\n")
	if before, _, found := strings.Cut(text, "\x00"); found {
		line := strings.Count(before, "\n") + 1
		r.add(origin{line: line, col: 1}, "", "delete it; is this a text file?", "the character U+0000 has no place in YAML")
		return nil
	}
	return parseText(text, origin{}, r)
}

// parseText reads one YAML document. Where flag is set, all that is in it came
// from there.
func parseText(text string, from origin, r *report) (root *node) {
	defer func() {
		// The parser is somebody else's; a file shall never end the program.
		if p := recover(); p != nil {
			r.add(orFirst(from), "", "write it in a plainer way", "this is not readable as YAML: %v", p)
			root = nil
		}
	}()
	tokens := lexer.Tokenize(text)
	if !shallow(tokens, from, r) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		syntaxError(err, text, from, r)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if d, ok := doc.Body.(*ast.DirectiveNode); ok {
			r.add(position(d, from), "", "delete the line", "%s is a YAML directive, which scenarios do not use", quote(d.String()))
			return nil
		}
		if body != nil {
			r.add(position(doc.Body, from), "", "write each scenario in a file of its own", "a second document begins here")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		r.add(orFirst(from), "", "`volley new` writes a scenario to start from", "the file is empty")
		return nil
	}
	t := treeBuilder{report: r, from: from, anchors: map[string]*node{}}
	return t.node(body, "", 0)
}

func orFirst(o origin) origin {
	if o.flag == "" && o.line == 0 {
		o.line, o.col = 1, 1
	}
	return o
}

// shallow looks at the tokens alone and refuses what the parser would take too
// long over, or too deep into its stack.
func shallow(tokens token.Tokens, from origin, r *report) bool {
	flow, onLine, line, keys := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			onLine++
		case token.MappingValueType:
			keys++
			if flow == 0 {
				onLine++
			}
		}
		if flow > maxDepth || onLine > maxDepth || t.Position.Column > 10*maxDepth && flow == 0 && t.Type == token.MappingValueType {
			r.add(tokenOrigin(t, from), "", "nest less", "more than %d levels of nesting", maxDepth)
			return false
		}
		if keys > maxKeys {
			r.add(tokenOrigin(t, from), "", "keep data in a file of its own and name it in data.file",
				"more than %d keys", maxKeys)
			return false
		}
	}
	return true
}

func tokenOrigin(t *token.Token, from origin) origin {
	if from.flag != "" || t == nil || t.Position == nil {
		return orFirst(from)
	}
	return origin{line: max(1, t.Position.Line), col: max(1, t.Position.Column)}
}

func position(n ast.Node, from origin) origin {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return position(n.Values[0].Key, from)
		}
	case *ast.MappingValueNode:
		return position(n.Key, from)
	case *ast.AnchorNode:
		return position(n.Value, from)
	}
	return tokenOrigin(n.GetToken(), from)
}

// syntaxError tells what the parser says in one line, with a hint for the
// mistakes that are made most.
func syntaxError(err error, text string, from origin, r *report) {
	var se *yaml.SyntaxError
	if !errors.As(err, &se) {
		first, _, _ := strings.Cut(err.Error(), "\n")
		r.add(orFirst(from), "", "check the YAML of the file", "%s", first)
		return
	}
	at := tokenOrigin(se.GetToken(), from)
	found := ""
	if t := se.GetToken(); t != nil && t.Value != "" {
		found = ", at " + quote(t.Value)
	}
	fix := "check indentation, and that what has a colon, a # or a bracket in it is quoted"
	line := lineOf(text, at.line)
	switch {
	case strings.Contains(se.Message, `'\t'`) || strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
		r.add(at, "", "indent with spaces: YAML does not allow tabs", "a tab stands in the indentation")
		return
	case strings.Contains(se.Message, "mapping value is not allowed"):
		fix = "put the value in quotes if it has a colon in it, or check the indentation"
	case strings.Contains(line, "${") && strings.Contains(line, "{"):
		fix = `put "${NAME}" and "${{ expression }}" in quotes inside of { } and [ ]`
	}
	r.add(at, "", fix, "not YAML: %s%s", se.Message, found)
}

func lineOf(text string, n int) string {
	for range n - 1 {
		_, rest, ok := strings.Cut(text, "\n")
		if !ok {
			return ""
		}
		text = rest
	}
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func firstInvalid(src []byte) (line, col int) {
	line, col = 1, 1
	for len(src) > 0 {
		c, size := utf8.DecodeRune(src)
		if c == utf8.RuneError && size == 1 {
			break
		}
		if col++; c == '\n' {
			line, col = line+1, 1
		}
		src = src[size:]
	}
	return line, col
}

func invalidByte(src []byte) byte {
	for len(src) > 0 {
		c, size := utf8.DecodeRune(src)
		if c == utf8.RuneError && size == 1 {
			return src[0]
		}
		src = src[size:]
	}
	return 0
}

// A treeBuilder turns the parser's tree into nodes.
type treeBuilder struct {
	*report
	from    origin
	anchors map[string]*node // nil while the anchor's own value is read
	nodes   int
	full    bool
}

// node converts n. It returns an empty scalar for what cannot be converted, so
// that the rest of the file is still looked at.
func (t *treeBuilder) node(n ast.Node, path string, depth int) *node {
	at := position(n, t.from)
	out := &node{at: at, plain: true}
	if t.nodes++; depth > maxDepth || t.nodes > maxNodes {
		t.overfull(at, path, depth)
		out.bad = true
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.kind = mappingKind
		t.mapping(out, n.Values, path, depth)
	case *ast.MappingValueNode:
		out.kind = mappingKind
		t.mapping(out, []*ast.MappingValueNode{n}, path, depth)
	case *ast.SequenceNode:
		out.kind = sequenceKind
		for i, v := range n.Values {
			out.items = append(out.items, t.node(v, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
	case *ast.LiteralNode:
		out.text, out.plain = n.Value.Value, false
	case *ast.StringNode:
		tk := n.GetToken()
		out.text, out.plain = n.Value, tk.Type != token.SingleQuoteType && tk.Type != token.DoubleQuoteType
		out.simple = !strings.Contains(n.Value, "\n") && strings.Contains(tk.Origin, n.Value)
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		t.anchors[name] = nil
		out = t.node(n.Value, path, depth)
		t.anchors[name] = out
	case *ast.AliasNode:
		return t.alias(n, path, at)
	case *ast.TagNode:
		t.add(at, path, "delete it; quotes make a text of anything", "%s is a YAML tag, which scenarios do not use", quote(n.Start.Value))
		return t.node(n.Value, path, depth)
	default:
		if tk := n.GetToken(); tk != nil && tk.Type != token.ImplicitNullType {
			out.text = tk.Value
		}
	}
	return out
}

func (t *treeBuilder) overfull(at origin, path string, depth int) {
	if t.full {
		return
	}
	t.full = true
	if depth > maxDepth {
		t.add(at, path, "nest less", "more than %d levels of nesting", maxDepth)
		return
	}
	t.add(at, path, "use fewer aliases, or keep data in a file of its own", "more than %d values, with aliases expanded", maxNodes)
}

func (t *treeBuilder) alias(n *ast.AliasNode, path string, at origin) *node {
	name := n.Value.GetToken().Value
	target, known := t.anchors[name]
	switch {
	case !known:
		names := make([]string, 0, len(t.anchors))
		for a := range t.anchors {
			names = append(names, a)
		}
		fix := "write &" + name + " at an earlier value"
		if near := payload.Nearest(name, names); near != "" {
			fix = "did you mean *" + near + "?"
		}
		t.add(at, path, fix, "*%s has no anchor before it", name)
	case target == nil:
		t.add(at, path, "a value cannot be a part of itself", "*%s stands inside of its own anchor", name)
	default:
		if t.full {
			break
		}
		if t.nodes += target.count(); t.nodes > maxNodes {
			t.overfull(at, path, 0)
			break
		}
		return target.copy()
	}
	return &node{at: at, plain: true, bad: true}
}

func (t *treeBuilder) mapping(out *node, values []*ast.MappingValueNode, path string, depth int) {
	seen := make(map[string]origin, len(values))
	var merged []*node
	for _, v := range values {
		at := position(v.Key, t.from)
		if v.Key.IsMergeKey() {
			merged = append(merged, t.merge(v.Value, path, depth)...)
			continue
		}
		key, ok := t.key(v.Key, path, at)
		if !ok {
			continue
		}
		field := join(path, key)
		if first, twice := seen[key]; twice {
			t.add(at, field, "keep one of the two", "the key is here twice, first in line %d", first.line)
			continue
		}
		seen[key] = at
		value := t.node(v.Value, field, depth+1)
		out.entries = append(out.entries, entry{key: key, at: at, value: value})
	}
	for _, m := range merged {
		for _, e := range m.entries {
			if _, own := seen[e.key]; !own { // what is written here wins, then what is merged first
				seen[e.key] = e.at
				out.entries = append(out.entries, e)
			}
		}
	}
}

// merge returns the mappings that << brings in.
func (t *treeBuilder) merge(v ast.Node, path string, depth int) []*node {
	n := t.node(v, path, depth+1)
	list := []*node{n}
	if n.kind == sequenceKind {
		list = n.items
	}
	for _, m := range list {
		if m.kind != mappingKind {
			t.add(m.at, join(path, "<<"), "write <<: *anchor of a mapping", "%s cannot be merged", m.what())
			return nil
		}
	}
	return list
}

func (t *treeBuilder) key(k ast.MapKeyNode, path string, at origin) (string, bool) {
	var n ast.Node = k
	if mk, ok := k.(*ast.MappingKeyNode); ok {
		n = mk.Value
	}
	if a, ok := n.(*ast.AnchorNode); ok {
		n = a.Value
	}
	switch n := n.(type) {
	case *ast.StringNode:
		if i := strings.Index(n.Value, "${"); i >= 0 && !strings.HasPrefix(n.Value[i:], "${{") {
			t.add(at, join(path, n.Value), "write the key out; ${NAME} is filled into values only", "the key %s is not filled in", quote(n.Value))
			return "", false
		}
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	t.add(at, path, "a key is one word or a text in quotes", "%s is not a key", quote(n.GetToken().Value))
	return "", false
}

// join makes the path of a key.
func join(path, key string) string {
	if !simpleKey(key) {
		key = fmt.Sprintf("%q", key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// simpleKey reports whether key needs no quotes in a path.
func simpleKey(key string) bool {
	if key == "" {
		return false
	}
	return !strings.ContainsFunc(key, func(c rune) bool {
		return c <= ' ' || c == '.' || c == '[' || c == ']' || c == '"' || c == '=' || c == 0x7f
	})
}
