package scenarios

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// variables are what {{NAME}} is filled in from.
type variables struct {
	files  map[string]string // of .env and .env.local, of which the second wins
	lookup func(name string) (string, bool)
	env    string   // the project's envId, as written
	used   []string // names that were filled in, since somebody began to ask
}

// readVariables reads .env and .env.local.
func readVariables(fsys fs.FS, env func(string) (string, bool)) (variables, error) {
	v := variables{files: map[string]string{}, lookup: env}
	for _, name := range []string{".env", ".env.local"} {
		src, err := readSmall(fsys, name)
		if err != nil {
			return v, err
		}
		dotenv(string(src), v.files)
	}
	return v, nil
}

// dotenv reads lines of NAME=VALUE as dotenv 8 does, which the vendor's CLI has
// in it: no export, no comment after a value, no value of several lines.
func dotenv(src string, to map[string]string) {
	line := regexp.MustCompile(`^\s*([\w.-]+)\s*=\s*(.*)?\s*$`)
	for _, l := range regexp.MustCompile(`\r\n|\n|\r`).Split(src, -1) {
		m := line.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		v := m[2]
		quoted := func(q string) bool { return strings.HasPrefix(v, q) && strings.HasSuffix(v, q) }
		switch {
		case v == `"` || v == `'`: // one quote is both: there is nothing between
			v = ""
		case quoted(`"`):
			v = strings.ReplaceAll(v[1:len(v)-1], `\n`, "\n")
		case quoted(`'`):
			v = v[1 : len(v)-1]
		default:
			v = strings.TrimSpace(v)
		}
		to[m[1]] = v
	}
}

// value returns what a name stands for: env.NAME, tcb.envId, or nothing.
func (v *variables) value(name string) (value string, ok bool) {
	if name == "tcb.envId" {
		return v.env, true
	}
	name, ok = strings.CutPrefix(name, "env.")
	if !ok {
		return "", false
	}
	if v.lookup != nil {
		if value, ok := v.lookup(name); ok {
			return value, true
		}
	}
	if value, ok := v.files[name]; ok {
		return value, true
	}
	if name == "ENV_ID" {
		return v.env, true
	}
	return "", false
}

// fill returns n with its templates filled in, and does one thing more that the
// vendor's CLI does: a text that is JSON of an object or a list becomes it.
func (p *projectReader) fill(n *node, path string) *node {
	out := *n
	switch n.kind {
	case mappingKind:
		out.entries = nil
		for _, e := range n.entries {
			key := p.fillText(e.key, e.at, path)
			out.put(key, p.fill(e.value, join(path, e.key)), e.at)
		}
		return &out
	case sequenceKind:
		out.items = nil
		for i, item := range n.items {
			out.items = append(out.items, p.fill(item, index(path, i)))
		}
		return &out
	}
	if isText(n) {
		out.text, out.plain = p.fillText(n.text, n.at, path), false
		if inner := p.inner(&out, path); inner != nil {
			return inner
		}
	}
	return &out
}

// isText reports whether a scalar is a text.
func isText(n *node) bool {
	if !n.plain {
		return true
	}
	_, text := resolvePlain(n.text).(string)
	return text
}

// inner returns what the JSON of an object, a list or null in a text means, nil
// where the text is something else.
func (p *projectReader) inner(n *node, path string) *node {
	s := strings.Trim(n.text, " \t\r\n")
	if s == "" || s[0] != '{' && s[0] != '[' && s != "null" || !json.Valid([]byte(s)) {
		return nil
	}
	r := &report{file: p.file}
	v := parseJSON([]byte(s), n.at, r)
	if v == nil {
		return nil
	}
	v.stand(n.at)
	if d, _ := v.deeper(projectDepth/2, ""); d != nil {
		p.add(n.at, path, "nest less", "more than %d levels of nesting in a text", projectDepth/2)
		return nil
	}
	return v
}

// stand says that n and all below it stand at one place.
func (n *node) stand(at origin) {
	n.at = at
	for i := range n.entries {
		n.entries[i].at = at
		n.entries[i].value.stand(at)
	}
	for _, item := range n.items {
		item.stand(at)
	}
}

// fillText fills {{NAME}} in a text as mustache does: what is not set becomes
// nothing.
func (p *projectReader) fillText(s string, at origin, path string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		tag, after, closed := strings.Cut(rest, "}}")
		if !closed {
			p.add(at, path, "write {{env.NAME}}", "{{ is never closed in %s", quote(s))
			return b.String()
		}
		// {{{NAME}}} and {{&NAME}} are what {{NAME}} is here: nothing is escaped.
		if strings.HasPrefix(tag, "{") && strings.HasPrefix(after, "}") {
			tag, after = tag[1:], after[1:]
		}
		name := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(tag), "&"))
		s = after
		switch {
		case strings.HasPrefix(name, "!"): // a comment
			continue
		case name == "" || strings.ContainsAny(name[:1], "#^/>=*$"):
			p.add(at, path, "write {{env.NAME}}", "{{%s}} is a part of mustache that is not filled in here", tag)
			continue
		}
		b.WriteString(p.filled(name, at, path))
	}
}

// filled returns the value of a name as it stands in a text.
func (p *projectReader) filled(name string, at origin, path string) string {
	value, ok := p.value(name)
	if !ok {
		note := fmt.Sprintf("%s: {{%s}} in %s is not set in .env, .env.local or the environment, and is left empty, as the vendor's CLI does", p.file, name, path)
		if !slices.Contains(p.out.Notes, note) {
			p.note("%s", note)
		}
		return ""
	}
	// The CLI fills in the file's JSON, so that escapes in a value are read.
	var text string
	if err := json.Unmarshal([]byte(`"`+value+`"`), &text); err != nil {
		p.add(at, path, "write the value into the file itself; the vendor's CLI cannot fill it in either", `{{%s}} has a quote, a backslash or a line break in its value (which is not shown), and breaks the file`, name)
		return ""
	}
	if variable, ok := strings.CutPrefix(name, "env."); ok && text != "" {
		p.used = append(p.used, variable)
	}
	return text
}
