package scenarios

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"volley/engine/check"
)

// onTheWay is what an attempt gets beyond a function's own limit, so that the
// platform can say that it was reached before the client gives up.
const onTheWay = 5 * time.Second

// Scenario returns a commented scenario that invokes each function of the
// project with its params, all at once, as `tcb fn invoke` without a name does;
// HTTP functions by GET /. A name that cannot be one of a run is not used. notes
// say which functions are left out, and why. The error says why there is
// nothing to invoke.
func (p *Project) Scenario(name string) (src []byte, notes []string, err error) {
	if !regexp.MustCompile(runName).MatchString(name) || strings.Contains(name, "..") {
		name = "functions"
	}
	if len(p.Functions) == 0 {
		e := &Error{File: p.File, Field: "functions", Problem: "there are no functions in this project",
			Fix: `add them to its "functions"; tcb config pull fn NAME writes there what is deployed`}
		if len(p.Notes) > 0 && strings.HasSuffix(p.File, ".js") {
			e = &Error{File: p.File, Problem: "the project is a program, which only the vendor's CLI can run", Fix: "write it as cloudbaserc.json, which the CLI looks for first"}
		}
		return nil, nil, Errors{e}
	}
	var steps strings.Builder
	known := map[string]bool{}
	for _, f := range p.Functions {
		known[f.Name] = true
	}
	members := 0
	for i := range p.Functions {
		f := &p.Functions[i]
		if why := f.unfit(); why != "" {
			fmt.Fprintf(&steps, "      # left out: %s, %s\n", quote(f.Name), why)
			notes = append(notes, fmt.Sprintf("%s: the function %s is left out, %s", p.File, quote(f.Name), why))
			continue
		}
		members++
		f.step(&steps, known)
	}
	if members == 0 {
		return nil, nil, Errors{{File: p.File, Field: "functions", Problem: "none of the functions can be invoked: " + notes[0], Fix: "add one that can"}}
	}
	var b strings.Builder
	p.head(&b, name)
	b.WriteString("steps:\n  - all_settled: # fired together; each ends as it does\n")
	b.WriteString(steps.String())
	b.WriteString("\nthresholds: # what must hold for the run to be good\n  - failed < 1%\n")
	if b.Len() > MaxFile {
		return nil, nil, Errors{{File: p.File, Problem: fmt.Sprintf("its scenario would have %d bytes, and at most %d are read", b.Len(), MaxFile),
			Fix: "shorten the params of its functions"}}
	}
	return []byte(b.String()), notes, nil
}

// head writes all that comes before the steps.
func (p *Project) head(b *strings.Builder, name string) {
	fmt.Fprintf(b, `# The functions of %s, each with its params, all at once: what
# `+"`tcb fn invoke`"+` without a name does.
#
#   volley validate --plan FILE     what it would fire
#   volley run FILE                 fire it
#
# `+"`volley schema`"+` prints what may stand here.
name: %s

target:
`, p.File, quoteYAML(name))
	env := "${TCB_ENV_ID} # " + p.File + " has no environment id"
	if regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`).MatchString(p.Env) {
		env = quoteYAML(p.Env)
	}
	fmt.Fprintf(b, "  env: %s\n", env)
	if regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+){1,5}$`).MatchString(p.Region) {
		fmt.Fprintf(b, "  region: %s\n", quoteYAML(p.Region))
	}
	b.WriteString(`  method: http-api
  # Who asks: where nothing stands here, CLOUDBASE_APIKEY of the environment, else
  # TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY, else the login of the vendor's
  # CLI (tcb login). Or one of these:
  #
  # auth: {api_key: "${CLOUDBASE_APIKEY}"}
  # auth: {secret_id: "${TENCENTCLOUD_SECRETID}", secret_key: "${TENCENTCLOUD_SECRETKEY}"}
  # auth: {anonymous: true}

load: # each function once; for a load test, in place of these two:
  workers: 1
  iterations: 1
  # rate: 10/s
  # for: 1m

`)
	if memory := p.memory(); memory > 0 {
		fmt.Fprintf(b, "# cost: {price_gb_s: PRICE, memory: %s} # what a run costs, before and after\n\n", Size(memory))
	}
}

// memory returns what all functions have, 0 where they differ or do not say.
func (p *Project) memory() int64 {
	first := p.Functions[0].MemoryBytes
	if slices.ContainsFunc(p.Functions, func(f ProjectFunction) bool { return f.MemoryBytes != first }) {
		return 0
	}
	return first
}

// unfit says why a function cannot be a step, "" where it can.
func (f *ProjectFunction) unfit() string {
	switch {
	case !regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,58}[a-zA-Z0-9]$`).MatchString(f.Name):
		return "which is not a name that the gateway takes: 2 to 60 letters, digits, - and _, a letter first, no - or _ last"
	case f.WebSocket:
		return "which speaks WebSocket"
	case !f.HTTP && f.params != nil && f.params.kind != mappingKind:
		return "whose params are not an object, and the gateway takes no other event"
	case !f.HTTP && f.params != nil && f.params.unwritable():
		return "whose params have a key that no scenario can have: with ${ in it, or very long"
	}
	return ""
}

// longestKey is what YAML allows of a key in one line (YAML 1.2.2, 7.4.2), with
// something to spare for its quotes.
const longestKey = 1000

// unwritable reports whether a key in n would be read as ${NAME}, which is
// refused in keys and cannot be escaped there, or is too long.
func (n *node) unwritable() bool {
	for _, e := range n.entries {
		if i := strings.Index(e.key, "${"); i >= 0 && !strings.HasPrefix(e.key[i:], "${{") || len(quoteYAML(e.key)) > longestKey || e.value.unwritable() {
			return true
		}
	}
	return slices.ContainsFunc(n.items, (*node).unwritable)
}

// step writes the function's step.
func (f *ProjectFunction) step(b *strings.Builder, known map[string]bool) {
	fmt.Fprintf(b, "      - invoke: %s%s\n", quoteYAML(f.Name), f.remark())
	if check.Reserved(f.Name) { // thresholds could not tell it from the metric
		name := f.Name + "-step"
		for known[name] {
			name += "-step"
		}
		fmt.Fprintf(b, "        name: %s\n", quoteYAML(name))
	}
	if f.HTTP {
		b.WriteString("        method: http-function\n        http: {method: GET, path: /}")
		if f.params != nil && len(f.params.entries) > 0 {
			b.WriteString(" # its params are left out: it takes requests, and no event")
		}
		b.WriteByte('\n')
	}
	if f.Timeout >= defaultTimeout {
		fmt.Fprintf(b, "        timeout: %s # its own limit is %s\n", Duration(min(f.Timeout+onTheWay, MaxDuration)), Duration(f.Timeout))
	}
	if f.HTTP || f.params == nil || len(f.params.entries) == 0 {
		return
	}
	if len(f.filled) > 0 {
		fmt.Fprintf(b, "        # filled in from %s; write ${NAME} in place of what is secret\n", strings.Join(f.filled, ", "))
	}
	b.WriteString("        data:\n")
	write(b, escaped(f.params), 5, false)
}

// remark tells what is known about the function.
func (f *ProjectFunction) remark() string {
	var parts []string
	if regexp.MustCompile(`^[\w.]{1,40}$`).MatchString(f.Runtime) {
		parts = append(parts, f.Runtime)
	}
	if f.MemoryBytes > 0 {
		parts = append(parts, Size(f.MemoryBytes).String())
	}
	if len(parts) == 0 {
		return ""
	}
	return " # " + strings.Join(parts, ", ")
}

// escaped returns params as a step's data that means just them: what would be a
// variable or an expression is escaped, and what YAML would read in another way
// than JSON is a text.
func escaped(n *node) *node {
	out := &node{kind: n.kind}
	for _, e := range n.entries {
		out.entries = append(out.entries, entry{key: strings.ReplaceAll(e.key, "${{", "$${{"), value: escaped(e.value)})
	}
	for _, item := range n.items {
		out.items = append(out.items, escaped(item))
	}
	if n.kind != scalarKind {
		return out
	}
	if isText(n) {
		out.text = escapeText(n.text)
		return out
	}
	out.text, out.plain = string(n.json(nil)), true
	return out
}
