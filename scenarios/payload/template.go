package payload

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// A Template is a compiled tree of values.
type Template struct {
	MaxBytes int // limit of what JSON returns; 0 means the package's MaxBytes

	static  []byte  // the whole, if there is no expression in it
	pieces  []piece // else
	dynamic bool    // some key has an expression: look for keys that are twice there
}

// A piece is what JSON is put together from: a run of bytes that are always the same, or a string with expressions.
type piece struct {
	kind   pieceKind
	bytes  []byte
	source string
	parts  []part
	path   string
}

type pieceKind int

const (
	fixed pieceKind = iota // bytes
	typed                  // the value of the one expression
	mixed                  // a string
)

// CompileTemplate compiles a tree of nil, bool, string, integers, floats, json.Number, Map, map[string]any (whose keys are
// sorted) and []any. A string that is exactly one ${{ expression }} becomes the expression's value, of whatever type; in
// others, and in keys, values are put into the text. Errors are *Error, or all of them joined.
func CompileTemplate(node any, scope Scope) (*Template, error) {
	c := compiler{scope: scope}
	c.node(node, "", 0)
	if err := errors.Join(c.errs...); err != nil {
		if len(c.errs) == 1 {
			return nil, c.errs[0]
		}
		return nil, err
	}
	t := &Template{pieces: c.pieces, dynamic: c.dynamic}
	if len(c.pieces) == 1 && c.pieces[0].kind == fixed {
		t.static, t.pieces = slices.Clip(c.pieces[0].bytes), nil
	}
	return t, nil
}

// Static reports whether no expression is in the template, so that JSON gives always the same bytes.
func (t *Template) Static() bool { return t.static != nil }

// Reads returns what the expressions read, as Expr.Reads does.
func (t *Template) Reads() []Read {
	var reads []Read
	for _, p := range t.pieces {
		reads = readsOf(reads, p.parts)
	}
	return reads
}

// JSON evaluates the template. The same Env gives the same bytes: keys stand in the order of the tree, those of objects
// that come from expressions are sorted. The caller must not change the bytes if the template is static. Errors are
// *Error.
func (t *Template) JSON(env *Env) ([]byte, error) {
	limit := cmp.Or(t.MaxBytes, MaxBytes)
	if t.static != nil {
		if len(t.static) > limit {
			return nil, place(tooLarge(limit), "", 0)
		}
		return t.static, nil
	}
	b := make([]byte, 0, 256)
	for i := range t.pieces {
		var err error
		if b, err = t.pieces[i].append(b, env, limit); err != nil {
			return nil, err
		}
	}
	if t.dynamic {
		if key, ok := twice(b); ok {
			return nil, at("", 0, fmt.Sprintf("the key %q is twice in one object", key), "")
		}
	}
	return b, nil
}

func (p *piece) append(b []byte, env *Env, limit int) ([]byte, error) {
	var err error
	switch p.kind {
	case fixed:
		b = append(b, p.bytes...)
	case typed:
		var v any
		if v, err = p.parts[0].expr.Eval(env); err == nil {
			b, err = appendJSON(b, v, limit, 0)
		}
		if err != nil {
			err = place(err, p.source, p.parts[0].at)
		}
	case mixed:
		var s []byte
		if s, err = render(nil, p.source, p.parts, env, limit); err == nil {
			b = appendString(b, string(s))
		}
	}
	if err == nil && len(b) > limit {
		err = place(tooLarge(limit), p.source, 0)
	}
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			e.Path = p.path
		}
		return nil, err
	}
	return b, nil
}

// A compiler turns a tree into pieces.
type compiler struct {
	scope   Scope
	pieces  []piece
	errs    []error
	dynamic bool
}

// fixed appends bytes that are always the same, to the last piece if it is such a one.
func (c *compiler) fixed(s string) {
	if n := len(c.pieces); n > 0 && c.pieces[n-1].kind == fixed {
		c.pieces[n-1].bytes = append(c.pieces[n-1].bytes, s...)
		return
	}
	c.pieces = append(c.pieces, piece{kind: fixed, bytes: []byte(s)})
}

func (c *compiler) fail(path string, err error) {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			c.fail(path, e)
		}
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		errors.As(place(err, "", 0), &e)
	}
	e.Path = path
	c.errs = append(c.errs, e)
}

func (c *compiler) node(v any, path string, depth int) {
	if depth > maxDepth {
		c.fail(path, problemf("", "nested more than %d levels deep", maxDepth))
		return
	}
	switch v := v.(type) {
	case string:
		c.text(v, path, false)
	case Map:
		c.object(v, path, depth)
	case map[string]any:
		m := make(Map, 0, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			m = append(m, Entry{k, v[k]})
		}
		c.object(m, path, depth)
	case []any:
		c.fixed("[")
		for i, e := range v {
			if i > 0 {
				c.fixed(",")
			}
			c.node(e, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
		c.fixed("]")
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, json.Number:
		b, err := appendJSON(nil, v, MaxBytes, 0)
		if err != nil {
			c.fail(path, err)
			return
		}
		c.fixed(string(b))
	default:
		c.fail(path, problemf("write it in quotes, as a text", "a value of type %T cannot be sent", v))
	}
}

func (c *compiler) object(m Map, path string, depth int) {
	c.fixed("{")
	seen := make(map[string]bool, len(m))
	for i, e := range m {
		if i > 0 {
			c.fixed(",")
		}
		at := path + fieldPath(e.Key)
		if seen[e.Key] {
			c.fail(at, problemf("", "the key %q is twice in one object", e.Key))
		}
		seen[e.Key] = true
		c.text(e.Key, at, true)
		c.fixed(":")
		c.node(e.Value, at, depth+1)
	}
	c.fixed("}")
}

// text compiles a string, or a key: the value of a key is always a text.
func (c *compiler) text(s, path string, key bool) {
	parts, err := split(s, c.scope)
	switch {
	case err != nil:
		c.fail(path, err)
	case static(parts):
		literal := ""
		if len(parts) > 0 {
			literal = parts[0].text
		}
		c.fixed(string(appendString(nil, literal)))
	case !key && single(parts) != nil:
		c.pieces = append(c.pieces, piece{kind: typed, source: s, parts: parts, path: path})
	default:
		c.dynamic = c.dynamic || key
		c.pieces = append(c.pieces, piece{kind: mixed, source: s, parts: parts, path: path})
	}
}

// twice finds a key that one object of a JSON text has more than once.
func twice(b []byte) (string, bool) {
	type level struct {
		keys  map[string]bool // nil in a list
		isKey bool
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var stack []level
	for {
		t, err := d.Token()
		if err != nil {
			return "", false
		}
		switch t {
		case json.Delim('{'):
			stack = append(stack, level{keys: map[string]bool{}, isKey: true})
			continue
		case json.Delim('['):
			stack = append(stack, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if len(stack) == 0 {
			return "", false
		}
		top := &stack[len(stack)-1]
		if top.keys == nil {
			continue
		}
		if k, ok := t.(string); ok && top.isKey {
			if top.keys[k] {
				return k, true
			}
			top.keys[k] = true
			top.isKey = false
			continue
		}
		top.isKey = true
	}
}
