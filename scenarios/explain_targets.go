package scenarios

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"volley/engine"
	"volley/scenarios/payload"
)

// A sending is an invocation, with the step that it was made of.
type sending struct {
	invoke *engine.Invoke
	step   *Step
}

// payloadWidth is how much of a payload is shown.
const payloadWidth = lineWidth - labelWidth - len("sends ")

// transport says what carries the requests, as far as the plan can tell.
func (c *Compiled) transport() string {
	switch c.Client.Protocol {
	case "h1":
		return "HTTP/1.1 by volley's own; net/http through a proxy"
	case "h2":
		return "HTTP/2 by volley's own; net/http through a proxy"
	}
	return "HTTP/1.1, or HTTP/2 where a server chooses it, by volley's own; net/http through a proxy"
}

// explainTargets says which functions are asked: how, where, by whom, and with
// what.
func (c *Compiled) explainTargets(p *printer) {
	common := c.place(nil)
	label := "targets"
	said := map[string]bool{}
	for _, s := range c.sends {
		t := s.invoke.Target
		text := s.invoke.Name
		if s.invoke.Name != s.invoke.Function {
			text += ": " + s.invoke.Function
		}
		text += " by " + c.asked(t.Method.Name())
		if t.Qualifier != "" {
			text += ", version " + t.Qualifier
		}
		if who := c.who(t); who != "" {
			text += ", with " + who
		}
		if at := c.place(t); at != common {
			text += ", " + at
		}
		sends := c.payload(s.step)
		key := text + "\n" + sends
		if said[key] {
			continue
		}
		said[key] = true
		p.line(label, "%s", text)
		label = ""
		if sends != "" {
			p.line("", "%s", sends)
		}
	}
	p.line(label, "%s", common)
	c.explainOrigins(p)
	p.line("transport", "%s", c.transport())
	c.explainNotes(p)
}

// asked names a method with its options.
func (c *Compiled) asked(method string) string {
	t := &c.Scenario.Target
	switch {
	case method == "web-sdk" && t.WebSDK != nil:
		method += " " + string(t.WebSDK.Version)
	case method == "node-sdk" && t.NodeSDK != nil:
		method += " " + string(t.NodeSDK.Version)
	case method == "mini-program" && t.MiniProgram != nil:
		method += " (" + t.MiniProgram.Form + " form)"
	case method == "web" && t.Web != nil && t.Web.Origin != "":
		method += " from " + t.Web.Origin
		if *t.Web.Preflight {
			method += " with preflight"
		}
	}
	return method
}

// who says by which way a target's requests prove who asks; "" where nothing
// needs to be said, because an emulator takes anybody.
func (c *Compiled) who(t *engine.Target) string {
	if t.Auth == nil {
		return "no credentials"
	}
	p := c.proofs[t]
	if c.Emulator != nil && p == emulatorsOwn(t.Method.Name()) {
		return ""
	}
	if p.legacy {
		return string(p.way) + " (legacy token)"
	}
	return string(p.way)
}

// place says where a target's requests go; those of the scenario's target for
// nil.
func (c *Compiled) place(t *engine.Target) string {
	own := &c.Scenario.Target
	env, region, endpoint, method := own.Env, own.Region, own.Endpoint, own.Method
	if c.Emulator != nil && endpoint == "" {
		endpoint = EmulatorEndpoint
	}
	if t != nil {
		env, region, endpoint, method = t.Env, t.Region, t.Endpoint, t.Method.Name()
	}
	switch {
	case endpoint == EmulatorEndpoint:
		return "at an emulator inside this process"
	case endpoint != "":
		return "at " + endpoint
	case env == "" && method == "web":
		return "at no endpoint"
	}
	text := "in the environment " + env
	if region != "" {
		text += ", region " + region
	}
	return text
}

// explainOrigins says where environment, region and credentials came from, and
// where tokens are made.
func (c *Compiled) explainOrigins(p *printer) {
	for _, o := range [...]struct{ what, from string }{
		{"the environment is", c.EnvFrom}, {"the region is", c.RegionFrom}, {"the credentials are", c.AuthFrom},
	} {
		if o.from != "" {
			p.line("", "%s from %s", o.what, o.from)
		}
	}
	var said []string
	for _, s := range c.sends {
		proof := c.proofs[s.invoke.Target]
		if proof.base == "" {
			continue
		}
		at := "the emulator"
		if u, err := url.Parse(proof.base); err == nil && proof.base != EmulatorEndpoint {
			at = u.Host
		}
		if text := fmt.Sprintf("%s: made at %s", proof.way, at); !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	for i, text := range said {
		label := ""
		if i == 0 {
			label = "tokens"
		}
		p.line(label, "%s", text)
	}
}

// explainNotes writes what the methods have to say.
func (c *Compiled) explainNotes(p *printer) {
	for i, note := range c.Plan.Notes() {
		label := ""
		if i == 0 {
			label = "notes"
		}
		p.line(label, "%s", note)
	}
}

// payload says what a step sends, with its expressions as they were written.
func (c *Compiled) payload(st *Step) string {
	var parts []string
	if h := st.HTTP; h != nil {
		verb := h.Method
		if verb == "" {
			verb = "GET"
		}
		var query []string
		for _, q := range h.Query {
			query = append(query, q.Name+"="+string(q.Value))
		}
		text := verb + " " + string(h.Path)
		if len(query) > 0 {
			text += "?" + strings.Join(query, "&")
		}
		parts = append(parts, text)
	}
	if st.Data != nil {
		parts = append(parts, flow(st.Data.Tree))
	}
	if len(parts) == 0 {
		return ""
	}
	// Masked before it is cut: half a secret would not be found.
	text := strings.Join(strings.Fields(c.Mask(strings.Join(parts, " "))), " ")
	if utf8.RuneCountInString(text) > payloadWidth {
		text = string([]rune(text)[:payloadWidth-1]) + "…"
	}
	return "sends " + text
}

// flow writes a template's tree in one line, as JSON whose texts may be
// expressions.
func flow(tree any) string {
	switch x := tree.(type) {
	case payload.Map:
		parts := make([]string, len(x))
		for i, e := range x {
			parts[i] = flow(e.Key) + ": " + flow(e.Value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(x))
		for i, item := range x {
			parts[i] = flow(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil {
		return "…"
	}
	return strings.TrimSpace(b.String())
}
