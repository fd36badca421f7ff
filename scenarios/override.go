package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Flags are what the command line says about a scenario. Each is the same as a
// --set of its place in the file, so there is one mechanism; texts are as they
// were typed, and empty where a flag was not used.
type Flags struct {
	Function    string   // --function, or the argument of invoke
	Rate        string   // --rate
	For         string   // --for
	Workers     string   // --workers
	Iterations  string   // --iterations
	MaxInFlight string   // --max-in-flight
	Seed        string   // --seed
	Env         string   // --env
	Endpoint    string   // --endpoint
	Method      string   // --method
	Qualifier   string   // --qualifier
	Timeout     string   // --timeout
	Body        *string  // -d, with a file's content in place of @FILE; nil when it was not used
	Headers     []string // -H 'Name: value'
	Thresholds  []string // --threshold
	Checks      []string // --check, for every invocation
}

// An override writes one value into the tree of a scenario.
type override struct {
	flag   string // as the user knows it, for errors
	path   string
	value  *node
	clears []string // what it takes the place of, if that is there
}

// overrides are the flags as places and values.
func (f Flags) overrides() []override {
	var all []override
	scalar := func(flag, path, value string, text bool, clears ...string) {
		if value != "" {
			at := origin{flag: flag}
			all = append(all, override{flag, path, &node{at: at, text: value, plain: !text, simple: true}, clears})
		}
	}
	scalar("--function", "steps[0].invoke", f.Function, true)
	scalar("--rate", "load.rate", f.Rate, false, "load.workers", "load.stages", "load.replay")
	scalar("--workers", "load.workers", f.Workers, false, "load.rate", "load.stages", "load.replay",
		"load.arrivals", "load.max_in_flight", "load.when_busy")
	scalar("--for", "load.for", f.For, false)
	scalar("--iterations", "load.iterations", f.Iterations, false)
	scalar("--max-in-flight", "load.max_in_flight", f.MaxInFlight, false)
	scalar("--seed", "seed", f.Seed, false)
	scalar("--env", "target.env", f.Env, true, "target.emulator")
	scalar("--endpoint", "target.endpoint", f.Endpoint, true, "target.emulator")
	scalar("--method", "target.method", f.Method, true)
	scalar("--qualifier", "target.qualifier", f.Qualifier, true)
	scalar("--timeout", "target.timeout", f.Timeout, false)
	for _, t := range f.Thresholds {
		scalar("--threshold", "thresholds[+]", t, true)
	}
	return all
}

// apply writes what the command line says into the tree.
func (o Options) apply(root *node, r *report) {
	for _, s := range o.Set {
		path, value, ok := strings.Cut(s, "=")
		if !ok || path == "" {
			// Only the path is repeated: the rest may be a secret.
			r.add(origin{flag: "--set"}, "", "write --set path.to.key=value", "%s is not path=value", quote(path))
			continue
		}
		flag := "--set " + path
		n := setValue(value, origin{flag: flag}, r)
		if n == nil {
			continue
		}
		set(root, override{flag: flag, path: path, value: n}, r)
	}
	for _, f := range o.Flags.overrides() {
		set(root, f, r)
	}
	o.Flags.invocations(root, r)
	for _, h := range o.Flags.Headers {
		name, value, ok := strings.Cut(h, ":")
		at := origin{flag: "-H"}
		if name = strings.TrimSpace(name); !ok || name == "" {
			r.add(at, "", "write -H 'Name: value'", "the header has no colon after its name")
			continue
		}
		target := root.child("target", mappingKind, at)
		headers := target.child("headers", mappingKind, at)
		for _, e := range headers.entries {
			if strings.EqualFold(e.key, name) {
				name = e.key // replaces the one in the file
			}
		}
		headers.put(name, &node{at: at, text: strings.TrimSpace(value)}, at)
	}
}

// invocations gives -d and --check to the invocations that are there.
func (f Flags) invocations(root *node, r *report) {
	if f.Body == nil && len(f.Checks) == 0 {
		return
	}
	var found []*node
	var walk func(n *node)
	walk = func(n *node) {
		if n.kind == mappingKind && n.get("invoke") != nil {
			found = append(found, n)
			return
		}
		for _, e := range n.entries {
			walk(e.value)
		}
		for _, i := range n.items {
			walk(i)
		}
	}
	if steps := root.get("steps"); steps != nil {
		walk(steps)
	}
	if f.Body != nil {
		at := origin{flag: "-d"}
		if len(found) == 1 {
			found[0].put("data", bodyNode(*f.Body, at), at)
		} else {
			r.add(at, "", "use --set 'steps[0].data={…}'", "the scenario has %d invocations, and -d is for scenarios of one", len(found))
		}
	}
	for _, check := range f.Checks {
		at := origin{flag: "--check"}
		for _, n := range found {
			list := n.child("check", sequenceKind, at)
			list.items = append(list.items, &node{at: at, text: check})
		}
	}
}

// bodyNode is a body from the command line: JSON if it is that, else a text.
func bodyNode(body string, at origin) *node {
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.UseNumber()
	n, err := jsonNode(d, at, 0)
	if err == nil {
		if _, err = d.Token(); err != nil { // nothing after it
			return n
		}
	}
	return &node{at: at, text: strings.TrimSuffix(body, "\n")}
}

// jsonNode reads one JSON value, keeping the order of its keys.
func jsonNode(d *json.Decoder, at origin, depth int) (*node, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d levels of nesting", maxDepth)
	}
	n := &node{at: at}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			n.kind = sequenceKind
			for d.More() {
				item, err := jsonNode(d, at, depth+1)
				if err != nil {
					return nil, err
				}
				n.items = append(n.items, item)
			}
		} else {
			n.kind = mappingKind
			for d.More() {
				key, err := d.Token()
				if err != nil {
					return nil, err
				}
				value, err := jsonNode(d, at, depth+1)
				if err != nil {
					return nil, err
				}
				n.put(key.(string), value, at)
			}
		}
		_, err = d.Token()
		return n, err
	case string:
		n.text = t
	case json.Number:
		n.text, n.plain = t.String(), true
	case bool:
		n.text, n.plain = strconv.FormatBool(t), true
	case nil:
		n.text, n.plain = "null", true
	}
	return n, nil
}

// setValue reads the value of a --set: a list or a mapping in brackets, a text
// in quotes, or what a plain word in YAML would be. It needs no quotes for
// colons and the like.
func setValue(value string, at origin, r *report) *node {
	trimmed := strings.TrimSpace(value)
	if trimmed == "" {
		return &node{at: at}
	}
	if strings.ContainsAny(trimmed[:1], "{[\"'") {
		return parseText(trimmed, at, r)
	}
	return &node{at: at, text: trimmed, plain: true, simple: true}
}

// A segment is one part of a path: a key, or an index.
type segment struct {
	key   string
	index int // -1 for a key, appendIndex for [+]
}

const appendIndex = 1 << 30

// splitPath reads steps[0].invoke, steps.0.invoke and headers."X.Y".
func splitPath(path string) ([]segment, error) {
	var out []segment
	rest := path
	for rest != "" {
		switch {
		case rest[0] == '[':
			inner, after, ok := strings.Cut(rest[1:], "]")
			i, err := strconv.Atoi(inner)
			if inner == "+" {
				i, err = appendIndex, nil
			}
			if !ok || err != nil || i < 0 {
				return nil, fmt.Errorf("%s is not an index", quote(inner))
			}
			out, rest = append(out, segment{index: i}), after
		case rest[0] == '"':
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				return nil, fmt.Errorf("a quote is not closed")
			}
			out, rest = append(out, segment{key: rest[1 : end+1], index: -1}), rest[end+2:]
		default:
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			key := rest[:end]
			if key == "" {
				return nil, fmt.Errorf("a key is empty")
			}
			out, rest = append(out, segment{key: key, index: -1}), rest[end:]
		}
		if strings.HasPrefix(rest, ".") {
			if rest = rest[1:]; rest == "" {
				return nil, fmt.Errorf("a key is empty")
			}
		}
	}
	if len(out) > maxDepth {
		return nil, fmt.Errorf("more than %d keys", maxDepth)
	}
	return out, nil
}

// set writes one value into the tree. What is on the way there and missing is
// made; a null deletes. Whether the keys are known is found out with the rest
// of the scenario.
func set(root *node, o override, r *report) {
	at := origin{flag: o.flag}
	for _, path := range o.clears {
		if segments, err := splitPath(path); err == nil {
			remove(root, segments)
		}
	}
	segments, err := splitPath(o.path)
	if err != nil {
		r.add(at, "", "write a path such as load.rate or steps[0].invoke", "%s is not a path: %v", quote(o.path), err)
		return
	}
	if o.value.isNull() && o.value.text != "" {
		remove(root, segments)
		return
	}
	n := root
	for i, s := range segments {
		s = asIndex(n, s)
		last := i == len(segments)-1
		want := mappingKind
		if !last {
			if next := segments[i+1]; next.index >= 0 || next.key == "0" {
				want = sequenceKind
			}
		}
		switch {
		case s.index < 0 && n.kind != mappingKind, s.index >= 0 && n.kind != sequenceKind:
			r.add(at, "", "check the path", "%s leads into %s", quote(o.path), n.what())
			return
		case s.index < 0 && last:
			n.put(s.key, o.value, at)
		case s.index < 0:
			n = n.child(s.key, want, at)
		default:
			if s.index == appendIndex {
				s.index = len(n.items)
			}
			if s.index > len(n.items) {
				r.add(at, "", fmt.Sprintf("use an index from 0 to %d; %d adds one", len(n.items), len(n.items)),
					"%s: the list has %d items", quote(o.path), len(n.items))
				return
			}
			if s.index == len(n.items) {
				n.items = append(n.items, &node{kind: want, at: at})
			}
			if last {
				n.items[s.index] = o.value
			} else {
				n = n.items[s.index]
			}
		}
	}
}

// asIndex takes a number for an index where a list is.
func asIndex(n *node, s segment) segment {
	if n.kind == sequenceKind && s.index < 0 {
		if i, err := strconv.Atoi(s.key); err == nil && i >= 0 {
			return segment{index: i}
		}
	}
	return s
}

// put sets a key of a mapping.
func (n *node) put(key string, value *node, at origin) {
	for i := range n.entries {
		if n.entries[i].key == key {
			n.entries[i].value, n.entries[i].at = value, at
			return
		}
	}
	n.entries = append(n.entries, entry{key: key, at: at, value: value})
}

// child returns the value of a key, made where it is missing or empty.
func (n *node) child(key string, k kind, at origin) *node {
	if c := n.get(key); c != nil && !c.isNull() {
		return c
	}
	c := &node{kind: k, at: at}
	n.put(key, c, at)
	return c
}

// remove deletes what a path leads to, if it is there.
func remove(n *node, path []segment) {
	for i, s := range path {
		s = asIndex(n, s)
		last := i == len(path)-1
		switch {
		case s.index >= 0 && s.index < len(n.items):
			if last {
				n.items = append(n.items[:s.index:s.index], n.items[s.index+1:]...)
				return
			}
			n = n.items[s.index]
		case s.index < 0 && n.kind == mappingKind:
			if last {
				for k := range n.entries {
					if n.entries[k].key == s.key {
						n.entries = append(n.entries[:k:k], n.entries[k+1:]...)
						return
					}
				}
				return
			}
			if n = n.get(s.key); n == nil {
				return
			}
		default:
			return
		}
	}
}
