package report

import (
	"fmt"
	"slices"
	"strings"

	"volley/engine"
	"volley/engine/record"
)

// The columns of the tables of times: together 80.
const (
	nameWide  = 20
	countWide = 10
	shareWide = 8
	timeWide  = 7 // six of them
)

// times writes a table each of response and service.
func (p *page) times() {
	t := &p.d.Total
	if t.Count == 0 {
		p.section("results", "none: no invocation has ended")
		return
	}
	p.line("")
	p.table("response", "due to end", t.Response, func(s record.Series) record.ByClass { return s.Response })
	if n := failures(t.Outcomes); n > 0 {
		p.row("only ok", t.Response.OK.Count, 0, t.Response.OK)
		p.row("only failed", t.Response.Failed.Count, n, t.Response.Failed)
	}
	p.table("service", "start to end", t.Service, func(s record.Series) record.ByClass { return s.Service })
	if n := t.Response.All.OverRange; n > 0 {
		p.line("%s took over 1h and count as 1h", count(n))
	}
}

func (p *page) table(name, what string, total record.ByClass, of func(record.Series) record.ByClass) {
	p.line("%s%s%s%s%s", p.paint(bold, left(name, margin-2)), left(what, nameWide-margin+4), right("count", countWide-2), right("failed", shareWide),
		cells("p50", "p90", "p95", "p99", "p99.9", "max"))
	if len(p.d.Series) != 1 {
		p.row("all steps", p.d.Total.Count, failures(p.d.Total.Outcomes), total.All)
	}
	for i, s := range p.d.Series {
		if i == maxRows && len(p.d.Series) > maxRows+1 {
			p.line("  %s", more(len(p.d.Series)-i, "step"))
			break
		}
		p.row("  "+p.label(s, nameWide-2), s.Count, failures(s.Outcomes), of(s).All)
	}
}

func (p *page) row(name string, n, failed int64, d record.Distribution) {
	bad := right(share(failed, n), shareWide)
	if failed > 0 {
		bad = p.paint(red, bad)
	}
	values := cells("-", "-", "-", "-", "-", "-")
	if d.Count > 0 {
		far := "-"
		if d.P99_9 != nil {
			far = micros(*d.P99_9)
		}
		values = cells(micros(d.P50), micros(d.P90), micros(d.P95), micros(d.P99), far, micros(d.Max))
	}
	p.line("%s%s%s%s", left(fit(name, nameWide), nameWide), right(short(n), countWide), bad, values)
}

func cells(values ...string) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteString(right(v, timeWide))
	}
	return b.String()
}

// failures counts what failed.
func failures(outcomes map[string]int64) int64 {
	var n int64
	for name, count := range outcomes {
		if o, ok := engine.ParseOutcome(name); ok && o.Failed() {
			n += count
		}
	}
	return n
}

// phases writes the medians of what service is made of.
func (p *page) phases() {
	t := &p.d.Total
	var words []string
	for _, name := range []string{"dns", "connect", "tls", "send", "first_byte", "receive", "preflight", "upstream"} {
		if d := t.Phases[name]; d.Count > 0 {
			words = append(words, strings.ReplaceAll(name, "_", " ")+" "+micros(d.P50))
		}
	}
	if len(words) == 0 {
		return
	}
	words[0] = "p50 of " + words[0]
	ahead := 0
	for _, t := range p.d.Transports {
		ahead += t.OpenedAhead
	}
	if ahead > 0 {
		words = append(words, plural(int64(ahead), "connection")+" opened before the start")
	}
	words = append(words, fmt.Sprintf("%s, %s reused", plural(t.NewConnections, "new connection"), count(t.ReusedConnections)))
	words = append(words, protocols(p.d.Transports)...)
	p.section("phases", wrap(words, ", ", columns-margin)...)
}

// protocols names those that were spoken, each once.
func protocols(all []record.Transport) []string {
	var words []string
	for _, t := range all {
		text := t.Protocol
		if t.Connections > 0 {
			text += " on " + plural(int64(t.Connections), "connection")
		}
		if text != "" && !slices.Contains(words, text) {
			words = append(words, text)
		}
	}
	return words
}

func (p *page) groups() {
	for i, g := range p.d.Groups {
		if i == maxGroups && len(p.d.Groups) > maxGroups+1 {
			p.line("%s", more(len(p.d.Groups)-i, "group"))
			break
		}
		p.line("")
		name := p.paint(bold, left("group", margin)) + fit(clean(g.Step), nameWide)
		if g.Count == 0 {
			p.line("%s: never settled", name)
			continue
		}
		p.line("%s: at once %d of %d asked, %s on average", name, g.AchievedParallel, g.AskedParallel, trim(g.MeanParallel, 2))
		p.row("  first", g.Count, g.Failed, g.First)
		p.row("  settle", g.Count, g.Failed, g.Settle)
		p.row("  makespan", g.Count, g.Failed, g.Makespan)
		if r := g.Straggler; r.Count > 0 {
			p.line("%s%s%s%s", left("  straggler", nameWide), right(short(r.Count), countWide), right("", shareWide),
				cells(times(r.P50), times(r.P90), times(r.P95), times(r.P99), "", times(r.Max)))
		}
	}
}

// times returns a ratio with three digits: 1.82×.
func times(x float64) string { return digits(x) + "×" }
