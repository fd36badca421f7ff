package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Project is what the vendor's project file says of a folder (PROTOCOL.md 8):
// which environment it belongs to, and which functions are in it.
type Project struct {
	File      string // its name in the folder: cloudbaserc.json, or package.json and the like
	Env       string // envId; "" where it says none
	Region    string // "" where it says none
	Functions []ProjectFunction

	// Notes are what to tell a person: what could not be read, and what was
	// filled in with nothing.
	Notes []string
}

// A ProjectFunction is a function of a project, its defaults filled in from
// functionDefaultConfig.
type ProjectFunction struct {
	Name        string
	HTTP        bool          // it answers HTTP requests, not events
	WebSocket   bool          // it speaks WebSocket; HTTP is set, too
	Timeout     time.Duration // its time limit; 0 where the project says none
	MemoryBytes int64         // 0 where the project says none
	Runtime     string        // such as Nodejs18.15

	params *node    // nil where there are none: the event is {} then
	filled []string // variables that params were filled from
}

// Params returns the event that the vendor's CLI invokes the function with, as
// JSON: {} where the project says nothing.
func (f *ProjectFunction) Params() []byte {
	if f.params == nil {
		return []byte("{}")
	}
	return f.params.json(nil)
}

// ProjectFiles are where the vendor's CLI looks, in its order, in the working
// folder alone: the first that is there and not empty.
func ProjectFiles() []string {
	return []string{"package.json", "cloudbaserc", "cloudbaserc.json", "cloudbaserc.yaml", "cloudbaserc.yml", "cloudbaserc.js", "cloudbase.config.js"}
}

// packageKey is where a package.json has the project.
const packageKey = "cloudbase"

// projectDepth is how deep a project may be nested: its params must fit into a
// scenario, which may be nested 100 levels deep.
const projectDepth = 80

// ReadProject reads the project file of a folder as the vendor's CLI would
// (version 2.12.10): it looks in the same places, fills {{env.NAME}} in from
// .env, .env.local and env, of which the last wins, and merges
// functionDefaultConfig into each function. .env.MODE is not read: that is for
// a flag that only the CLI has.
//
// It returns nil, nil where there is none. A project that is a program, as
// cloudbaserc.js, cannot be read: it is a Project with a note and no more. The
// error is Errors, with every mistake.
func ReadProject(fsys fs.FS, env func(name string) (string, bool)) (*Project, error) {
	for _, place := range ProjectFiles() {
		src, err := readSmall(fsys, place)
		switch {
		case err != nil:
			return nil, err
		case len(bytes.TrimSpace(src)) == 0:
			continue
		case strings.HasSuffix(place, ".js"):
			return &Project{File: place, Notes: []string{place + " is a program, which only the vendor's CLI can run, so nothing was taken from it: " +
				"write target.env and target.region in the scenario, or the project as cloudbaserc.json, which the CLI looks for first"}}, nil
		}
		r := &report{file: place}
		var root *node
		if strings.HasSuffix(place, ".json") {
			root = parseJSON(src, origin{line: 1, col: 1}, r)
		} else {
			root = parse(src, r)
		}
		path := ""
		if root != nil && place == "package.json" {
			root, path = root.get(packageKey), packageKey
		}
		if root == nil || root.isNull() {
			if err := r.close(); err != nil {
				return nil, err
			}
			continue
		}
		variables, err := readVariables(fsys, env)
		if err != nil {
			return nil, err
		}
		p := &projectReader{report: r, variables: variables, out: &Project{File: place}}
		p.read(root, path)
		if err := r.close(); err != nil {
			return nil, err
		}
		return p.out, nil
	}
	return nil, nil
}

// readSmall reads a file of at most 1 MiB; nil where there is none.
func readSmall(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, nil
	}
	src, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(src) > MaxFile {
		return nil, Errors{{File: name, Problem: fmt.Sprintf("the file has more than %d bytes, and no more are read", MaxFile),
			Fix: "keep data in files of its own"}}
	}
	return src, nil
}

// A projectReader takes out of a project file what is of interest here. What
// else is in it is the vendor's business.
type projectReader struct {
	*report
	variables
	out *Project
}

func (p *projectReader) read(root *node, path string) {
	if root.kind != mappingKind {
		p.add(root.at, path, `write {"envId": "my-env-1a2b3c", "functions": []}`, "%s stands where a project is wanted", root.what())
		return
	}
	if n, at := root.deeper(projectDepth, path); n != nil {
		p.add(n.at, at, "nest less", "more than %d levels of nesting", projectDepth)
		return
	}
	if id := root.get("envId"); id != nil && id.kind == scalarKind {
		p.env = id.text // as written: {{tcb.envId}} is not filled in twice
	}
	p.out.Env = p.text(root, path, "envId")
	p.out.Region = p.text(root, path, "region")
	if p.out.Env == "" {
		p.note("%s names no environment: envId is missing or empty", p.out.File)
	}
	list := root.get("functions")
	if list == nil || list.isNull() {
		return
	}
	at := join(path, "functions")
	if list.kind != sequenceKind {
		p.add(list.at, at, `write "functions": [{"name": "hello"}]`, "%s stands where a list of functions is wanted", list.what())
		return
	}
	defaults := p.chosen(root.get("functionDefaultConfig"), join(path, "functionDefaultConfig"))
	for i, f := range list.items {
		p.function(f, defaults, index(at, i))
	}
}

func (p *projectReader) note(format string, args ...any) {
	p.out.Notes = append(p.out.Notes, fmt.Sprintf(format, args...))
}

// chosen returns what is of interest of a function's mapping, filled in; and of
// its config, the older form, which wins over what stands beside it.
func (p *projectReader) chosen(f *node, path string) *node {
	out := &node{kind: mappingKind}
	if f == nil || f.kind != mappingKind {
		return out
	}
	out.at = f.at
	from := []struct {
		n    *node
		path string
	}{{f.get("config"), join(path, "config")}, {f, path}}
	for _, key := range []string{"name", "type", "isHTTP", "protocolType", "timeout", "memorySize", "runtime", "params"} {
		for _, m := range from {
			if m.n == nil || m.n.kind != mappingKind || m.n.get(key) == nil {
				continue
			}
			p.used = nil
			n := p.fill(m.n.get(key), join(m.path, key))
			if key == "params" && len(p.used) > 0 {
				used := &node{kind: mappingKind}
				for _, u := range p.used {
					used.put(u, n, n.at)
				}
				out.put(filledKey, used, n.at)
			}
			out.put(key, n, n.at)
			break
		}
	}
	return out
}

// filledKey is where chosen keeps the variables that went into params. No
// project has it, as nothing else is taken over from one.
const filledKey = "params filled from"

func (p *projectReader) function(f, defaults *node, path string) {
	if f.kind != mappingKind {
		p.add(f.at, path, `write {"name": "hello"}`, "%s stands where a function is wanted", f.what())
		return
	}
	f = merged(defaults, p.chosen(f, path))
	out := ProjectFunction{Name: p.plain(f, path, "name"), Runtime: p.plain(f, path, "runtime")}
	if out.Name == "" {
		p.note("%s: %s has no name, and is left out", p.out.File, path)
		return
	}
	out.WebSocket = p.plain(f, path, "protocolType") == "WS"
	out.HTTP = out.WebSocket || p.plain(f, path, "type") == "HTTP" || p.plain(f, path, "isHTTP") == "true"
	out.Timeout = time.Duration(p.number(f, path, "timeout", "seconds", float64(MaxDuration/time.Second)) * float64(time.Second))
	out.MemoryBytes = int64(p.number(f, path, "memorySize", "MB", 1<<20)) << 20
	if params := f.get("params"); params != nil && !params.isNull() {
		out.params = params
		if used := f.get(filledKey); used != nil {
			for _, e := range used.entries {
				out.filled = append(out.filled, e.key)
			}
		}
	}
	p.out.Functions = append(p.out.Functions, out)
}

// text returns a text of the file, filled in.
func (p *projectReader) text(m *node, path, key string) string {
	n := m.get(key)
	if n == nil {
		return ""
	}
	one := &node{kind: mappingKind}
	one.put(key, p.fill(n, join(path, key)), n.at)
	return p.plain(one, path, key)
}

// plain returns a text that was filled in before.
func (p *projectReader) plain(m *node, path, key string) string {
	n := m.get(key)
	if n == nil || n.isNull() {
		return ""
	}
	if n.kind != scalarKind {
		p.add(n.at, join(path, key), "write a text", "%s stands where a text is wanted", n.what())
		return ""
	}
	return n.text
}

// number returns a number of seconds or MB, which may be written as a text:
// what is filled in is one.
func (p *projectReader) number(m *node, path, key, unit string, most float64) float64 {
	s := strings.TrimSpace(p.plain(m, path, key))
	if s == "" {
		return 0
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= 0 && x <= most) || math.Signbit(x) {
		p.add(m.get(key).at, join(path, key), "write a number such as 60", "%s is not a number of %s", quote(s), unit)
		return 0
	}
	return x
}

// merged returns the deep union of two values, as lodash's merge makes it: what
// over says wins, mappings are merged, and so are lists, item by item.
func merged(under, over *node) *node {
	switch {
	case under.kind == mappingKind && over.kind == mappingKind:
		out := &node{kind: mappingKind, at: over.at}
		for _, e := range under.entries {
			out.put(e.key, e.value, e.at)
		}
		for _, e := range over.entries {
			v := e.value
			if below := under.get(e.key); below != nil {
				v = merged(below, v)
			}
			out.put(e.key, v, e.at)
		}
		return out
	case under.kind == sequenceKind && over.kind == sequenceKind:
		out := &node{kind: sequenceKind, at: over.at}
		for i := range max(len(under.items), len(over.items)) {
			switch {
			case i >= len(over.items):
				out.items = append(out.items, under.items[i])
			case i >= len(under.items):
				out.items = append(out.items, over.items[i])
			default:
				out.items = append(out.items, merged(under.items[i], over.items[i]))
			}
		}
		return out
	}
	return over
}

// deeper returns the first value below more than most levels, and its path.
func (n *node) deeper(most int, path string) (*node, string) {
	if most < 0 {
		return n, path
	}
	for _, e := range n.entries {
		if d, at := e.value.deeper(most-1, join(path, e.key)); d != nil {
			return d, at
		}
	}
	for i, item := range n.items {
		if d, at := item.deeper(most-1, index(path, i)); d != nil {
			return d, at
		}
	}
	return nil, ""
}
