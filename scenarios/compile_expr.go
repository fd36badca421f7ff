package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"volley/engine"
	"volley/scenarios/payload"
)

// scopeVars is what expressions find at a place of the scenario, beside what is
// everywhere.
type scopeVars struct {
	saved map[string]bool // by the steps before
	item  bool            // inside of an each
	all   bool            // not known: the target's headers are sent by every step
}

func (v scopeVars) with(names []string) scopeVars {
	if len(names) == 0 {
		return v
	}
	more := maps.Clone(v.saved)
	if more == nil {
		more = map[string]bool{}
	}
	for _, n := range names {
		more[n] = true
	}
	v.saved = more
	return v
}

// salt tells the fields of one step apart, so that two of them that ask for a
// uuid() get two.
func salt(field string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(field))
	return h.Sum64()
}

// requestEnv is what an expression of a field sees of a scope.
func requestEnv(env map[string]string, field uint64, s *engine.Scope) *payload.Env {
	e := &payload.Env{Row: s.Row, Vars: s.Vars, Iteration: s.Iteration, Item: s.Item, Env: env, Now: s.Now}
	e.Seed[0], e.Seed[1] = s.Seeds(field)
	return e
}

// A view says which parts of a reply an expression looks at, so that no other
// is made.
type view struct{ headers, body, text bool }

func (c *compiler) viewOf(reads []payload.Read) (v view) {
	for _, r := range reads {
		switch r.Name {
		case "headers":
			v.headers = true
		case "body":
			v.body = true
		case "text":
			v.text = true
		}
	}
	c.bodies = c.bodies || v.body || v.text
	return v
}

func replyEnv(env map[string]string, field uint64, v view, s *engine.Scope, r *engine.Reply) *payload.Env {
	e := requestEnv(env, field, s)
	e.Status, e.Outcome, e.MS = r.Status, r.Outcome.String(), float64(r.Took)/float64(time.Millisecond)
	if v.text {
		e.Text = string(r.Body)
	}
	if v.body {
		if r.Parsed == nil {
			r.Parsed = parseBody(r.Body)
		}
		e.Body = r.Parsed.(parsedBody).value
	}
	if v.headers {
		e.Headers = make(map[string]string, len(r.Header))
		for _, f := range r.Header {
			if _, twice := e.Headers[f.Name]; !twice {
				e.Headers[f.Name] = f.Value
			}
		}
	}
	return e
}

// parsedBody is a body as expressions see it. It is a type of its own because
// the value may be null.
type parsedBody struct{ value any }

// parseBody reads a body as JSON, else as text (PROTOCOL.md 1.2).
func parseBody(b []byte) parsedBody {
	v, err := payload.DecodeJSON(b)
	if err != nil {
		return parsedBody{string(b)}
	}
	return parsedBody{v}
}

// exprError reports what package payload says about the text at a path.
// shift is where that text begins in what was written, in characters.
func (c *compiler) exprError(path string, err error, shift int) {
	var joined interface{ Unwrap() []error }
	var e *payload.Error
	if !errors.As(err, &e) {
		c.fail(path, "check the expression", "%v", err)
		return
	}
	if errors.As(err, &joined) {
		for _, one := range joined.Unwrap() {
			c.exprError(path, one, shift)
		}
		return
	}
	field := path + e.Path
	fix := e.Fix
	if fix == "" {
		fix = "see the language's definition: expr-lang.org"
	}
	o := c.origin(field)
	if n := c.nodes[field]; n != nil && n.simple && e.Line == 1 && e.Column > 0 && o.line > 0 {
		o.col += e.Column - 1 + shift
		if !n.plain {
			o.col++ // the quote
		}
	}
	shown := ""
	if n := c.nodes[field]; n != nil && n.kind == scalarKind {
		shown = quote(n.text) + ": "
	}
	for _, other := range c.errs {
		if other.Field == field && (other.Problem == shown+e.Problem || !strings.HasPrefix(other.Problem, shown)) {
			return
		}
	}
	c.add(o, field, fix, "%s%s", shown, e.Problem)
}

// reads checks that what an expression reads is there.
func (c *compiler) reads(path string, reads []payload.Read, v scopeVars) {
	for _, r := range reads {
		switch r.Name {
		case "row":
			if c.scenario.Data == nil {
				c.readError(path, r, "add a data section: data: {file: rows.jsonl}", "row is used, and the scenario has no data")
			}
		case "item":
			if !v.item && !v.all {
				c.readError(path, r, "give the group an each: \"${{ row.items }}\"", "item is used outside of an each")
			}
		case "vars":
			if r.Field == "" || !r.Strict || v.all || v.saved[r.Field] {
				continue
			}
			names := slices.Sorted(maps.Keys(v.saved))
			fix := "save it in an earlier step: save: {" + r.Field + ": body.…}"
			if near := payload.Nearest(r.Field, names); near != "" {
				fix = "did you mean vars." + near + "?"
			} else if len(names) > 0 {
				fix += "; saved so far: " + strings.Join(names, ", ")
			}
			c.readError(path, r, fix, "vars."+r.Field+" is used, and no earlier step saves it")
		case "env":
			c.readEnv(path, r)
		}
	}
}

func (c *compiler) readEnv(path string, r payload.Read) {
	if r.Field == "" {
		c.readError(path, r, "write env.NAME", "env is used without a name")
		return
	}
	value, ok := "", false
	if c.lookup != nil {
		value, ok = c.lookup(r.Field)
	}
	switch {
	case ok:
		c.env[r.Field] = value
	case r.Strict:
		c.readError(path, r, "set it: -e "+r.Field+"=VALUE; or write env."+r.Field+` ?? "default"`, "env."+r.Field+" is not set")
	}
}

// readError reports a mistake about a name, at its place in the text.
func (c *compiler) readError(path string, r payload.Read, fix, problem string) {
	o := c.origin(path)
	if n := c.nodes[path]; n != nil && n.simple && o.line > 0 {
		what := r.Name
		if r.Field != "" {
			what += payloadPath(r.Field)
		}
		if i := strings.Index(n.text, what); i >= 0 {
			o.col += utf8.RuneCountInString(n.text[:i])
			if !n.plain {
				o.col++
			}
		}
	}
	shown := ""
	if n := c.nodes[path]; n != nil && n.kind == scalarKind {
		shown = quote(n.text) + ": "
	}
	for _, other := range c.errs {
		if other.Field == path && other.Problem == shown+problem {
			return
		}
	}
	c.add(o, path, fix, "%s%s", shown, problem)
}

// bare takes the ${{ }} off an expression that is wholly in one, and says how
// many characters that were.
func bare(e Expr) (string, int) {
	s := string(e)
	trimmed := strings.TrimSpace(s)
	if strings.HasPrefix(trimmed, "${{") && strings.HasSuffix(trimmed, "}}") && expressionEnd(trimmed, 3) == len(trimmed) {
		inner := trimmed[3 : len(trimmed)-2]
		return inner, 3 + strings.Index(s, trimmed)
	}
	return s, 0
}

// when compiles a condition of a step.
func (c *compiler) when(path string, e Expr, v scopeVars) func(*engine.Scope) (bool, error) {
	if e == "" {
		return nil
	}
	src, shift := bare(e)
	x, err := payload.CompileBool(src, payload.Request)
	if err != nil {
		c.exprError(path, err, shift)
		return nil
	}
	c.reads(path, x.Reads(), v)
	env, field := c.env, salt("when")
	return func(s *engine.Scope) (bool, error) { return x.EvalBool(requestEnv(env, field, s)) }
}

// checks compiles the checks of a step.
func (c *compiler) checks(path string, list []Expr, v scopeVars) []engine.Check {
	var out []engine.Check
	for i, e := range list {
		at := index(path, i)
		src, shift := bare(e)
		x, err := payload.CompileBool(src, payload.Reply)
		if err != nil {
			c.exprError(at, err, shift)
			continue
		}
		c.reads(at, x.Reads(), v)
		env, field, look := c.env, salt(fmt.Sprint("check", i)), c.viewOf(x.Reads())
		quick := x.Quick()
		out = append(out, engine.Check{Source: strings.TrimSpace(src), Holds: func(s *engine.Scope, r *engine.Reply) (bool, error) {
			if quick != nil {
				if holds, ok := quick.Holds(r.Status, r.Body); ok {
					return holds, nil
				}
			}
			return x.EvalBool(replyEnv(env, field, look, s, r))
		}})
	}
	return out
}

// saves compiles what a step saves.
func (c *compiler) saves(path string, list Saves, v scopeVars) (out []engine.Save, names []string) {
	for _, l := range list {
		names = append(names, l.Name)
		at := join(path, l.Name)
		src, shift := bare(l.From)
		x, err := payload.CompileExpr(src, payload.Reply)
		if err != nil {
			c.exprError(at, err, shift)
			continue
		}
		c.reads(at, x.Reads(), v)
		env, field, look := c.env, salt("save."+l.Name), c.viewOf(x.Reads())
		quick := x.Quick()
		out = append(out, engine.Save{Name: l.Name, Value: func(s *engine.Scope, r *engine.Reply) (any, error) {
			if quick != nil {
				if v, ok := quick.Value(r.Status, r.Body); ok {
					return v, nil
				}
			}
			return x.Eval(replyEnv(env, field, look, s, r))
		}})
	}
	return out, names
}

// text compiles a text; static reports whether it is the same for every
// iteration.
func (c *compiler) text(path string, t Text, v scopeVars) (value func(*engine.Scope) (string, error), static bool) {
	x, err := payload.CompileString(string(t), payload.Request)
	if err != nil {
		c.exprError(path, err, 0)
		return nil, true
	}
	c.reads(path, x.Reads(), v)
	if x.Static() {
		s, err := x.Render(nil)
		return func(*engine.Scope) (string, error) { return s, err }, true
	}
	env, field := c.env, salt(path)
	return func(s *engine.Scope) (string, error) { return x.Render(requestEnv(env, field, s)) }, false
}

// headers compiles header lines.
func (c *compiler) headers(path string, lines Headers, v scopeVars) (out []engine.HeaderLine, static bool) {
	return c.lines(path, lines, v)
}

func (c *compiler) lines(path string, lines []Line, v scopeVars) (out []engine.HeaderLine, static bool) {
	static = true
	for _, l := range lines {
		value, fixed := c.text(join(path, l.Name), l.Value, v)
		static = static && fixed
		secret := l.Secret || maskAll(string(l.Value), c.secrets) != string(l.Value)
		out = append(out, engine.HeaderLine{Name: l.Name, Value: value, Secret: secret})
	}
	return out, static
}

// body compiles the data of an invocation. An event is JSON, for most methods
// an object; those that pass requests through send a text as it is, and all
// else as JSON.
func (c *compiler) body(path string, data *Value, method string, v scopeVars) (fn func(*engine.Scope) ([]byte, error), static bool) {
	if data == nil {
		return nil, true
	}
	t, err := payload.CompileTemplate(data.Tree, payload.Request)
	if err != nil {
		c.exprError(path, err, 0)
		return nil, true
	}
	c.treeReads(path, data.Tree, v)
	event := c.takesObjects(method)
	shape := func(b []byte) ([]byte, error) { return b, nil }
	switch {
	case event:
		shape = asObject
	case passesHTTP(method):
		shape = asText
	}
	if t.Static() {
		b, err := t.JSON(nil)
		if err == nil {
			b, err = shape(b)
		}
		if err != nil {
			n := c.nodes[path]
			c.fail(path, "write a mapping: data: {key: value}", "%s: %v", n.what(), err)
		}
		return func(*engine.Scope) ([]byte, error) { return b, nil }, true
	}
	if _, list := data.Tree.([]any); list && event {
		c.fail(path, "write a mapping: data: {items: […]}", "a list: %v", errNotObject)
	}
	env, field := c.env, salt("data")
	return func(s *engine.Scope) ([]byte, error) {
		b, err := t.JSON(requestEnv(env, field, s))
		if err != nil {
			return nil, err
		}
		return shape(b)
	}, false
}

var errNotObject = errors.New("the data of an event function is an object")

func asObject(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, []byte("{")) {
		return nil, fmt.Errorf("%w, not %s", errNotObject, quote(string(b[:min(len(b), 60)])))
	}
	return b, nil
}

func asText(b []byte) ([]byte, error) {
	if !bytes.HasPrefix(b, []byte(`"`)) {
		return b, nil
	}
	var s string
	err := json.Unmarshal(b, &s)
	return []byte(s), err
}

// treeReads checks what the texts of a tree read, each at its own place.
func (c *compiler) treeReads(path string, tree any, v scopeVars) {
	switch t := tree.(type) {
	case string:
		if !strings.Contains(t, "${{") {
			return
		}
		if x, err := payload.CompileString(t, payload.Request); err == nil {
			c.reads(path, x.Reads(), v)
		}
	case payload.Map:
		for _, e := range t {
			c.treeReads(path, e.Key, v)
			c.treeReads(path+payloadPath(e.Key), e.Value, v)
		}
	case []any:
		for i, item := range t {
			c.treeReads(index(path, i), item, v)
		}
	}
}

// each compiles the list that a group is fired over: an expression that gives
// a list, or a list whose texts may be expressions.
func (c *compiler) each(path string, value *Value, v scopeVars) func(*engine.Scope) ([]any, error) {
	env, field := c.env, salt("each")
	src, isText := value.Tree.(string)
	if isText {
		inner, shift := bare(Expr(src))
		if shift == 0 {
			c.fail(path, `write each: "${{ row.items }}"`, "%s is not one expression", quote(src))
			return nil
		}
		x, err := payload.CompileExpr(inner, payload.Request)
		if err != nil {
			c.exprError(path, err, shift)
			return nil
		}
		c.reads(path, x.Reads(), v)
		return func(s *engine.Scope) ([]any, error) {
			got, err := x.Eval(requestEnv(env, field, s))
			if err != nil {
				return nil, err
			}
			return asList(got, inner)
		}
	}
	if _, isList := value.Tree.([]any); !isList {
		c.fail(path, `write each: "${{ row.items }}", or a list`, "%s is not a list", c.nodes[path].what())
		return nil
	}
	t, err := payload.CompileTemplate(value.Tree, payload.Request)
	if err != nil {
		c.exprError(path, err, 0)
		return nil
	}
	c.treeReads(path, value.Tree, v)
	return func(s *engine.Scope) ([]any, error) {
		b, err := t.JSON(requestEnv(env, field, s))
		if err != nil {
			return nil, err
		}
		got, err := payload.DecodeJSON(b)
		if err != nil {
			return nil, err
		}
		return asList(got, path)
	}
}

// asList takes what an each gave for a list of at most MaxMembers items.
func asList(v any, src string) ([]any, error) {
	list, ok := v.([]any)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("%s is not a list", quote(src))
		}
		got, err := payload.DecodeJSON(b)
		if err != nil {
			return nil, err
		}
		if list, ok = got.([]any); !ok {
			return nil, fmt.Errorf("%s is not a list, but %s", quote(strings.TrimSpace(src)), quote(string(b)))
		}
	}
	if len(list) > MaxMembers {
		return nil, fmt.Errorf("%s has %d items; a group takes %d", quote(strings.TrimSpace(src)), len(list), MaxMembers)
	}
	return list, nil
}
