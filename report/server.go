package report

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"volley/engine/record"
)

// methods says which step goes by which method, where not all go by one.
func (p *page) methods() {
	if _, same := common(p.d.Series, func(s record.Series) string { return s.Method }); same || len(p.d.Series) == 0 {
		return
	}
	var names []string
	steps := map[string][]record.Series{}
	for _, s := range p.d.Series {
		if steps[s.Method] == nil {
			names = append(names, s.Method)
		}
		steps[s.Method] = append(steps[s.Method], s)
	}
	var lines []string
	for _, name := range names {
		var all []string
		for i, s := range steps[name] {
			if i == maxRows && len(steps[name]) > maxRows+1 {
				all = append(all, more(len(steps[name])-i, "step"))
				break
			}
			all = append(all, fit(clean(s.Step), 2*nameWide))
		}
		all[0] = fit(clean(cmp.Or(name, "unknown")), nameWide) + ": " + all[0]
		lines = append(lines, wrap(all, ", ", columns-margin)...)
	}
	p.section("methods", lines...)
}

// unknownStarts is said where no source of cold starts is: they are not
// guessed from times.
const unknownStarts = "cold starts unknown: no reply told of them"

// server tells of the function's side, as far as replies do.
func (p *page) server() {
	t := p.d.Total.Server
	if p.d.Total.Count == 0 {
		return
	}
	if t == nil {
		p.line("%s%s", p.paint(bold, left("function", margin)), unknownStarts)
		return
	}
	p.line("")
	if t.Function != nil {
		p.line("%s%s%s%s%s", p.paint(bold, left("function", margin-2)), left("as told", nameWide-margin+4), right("count", countWide-2), right("memory", shareWide),
			cells("p50", "p99", "max", "way50", "way99", "waymax"))
		p.tellers(func(name string, s *record.Server) {
			if s.Function == nil {
				return
			}
			way := cells("-", "-", "-")
			if w := s.Way; w != nil {
				way = cells(micros(w.P50), micros(w.P99), micros(w.Max))
			}
			p.line("%s%s%s%s%s", name, right(short(s.Function.Count), countWide), right(memory(s.MemoryMaxBytes), shareWide),
				cells(micros(s.Function.P50), micros(s.Function.P99), micros(s.Function.Max)), way)
		})
	}
	if t.Cold != nil {
		p.line("%s%s%s%s%s", p.paint(bold, left("starts", margin-2)), left("by service", nameWide-margin+4), right("known", countWide-2), right("cold", shareWide),
			cells("cold50", "cold99", "max", "warm50", "warm99", "max"))
		p.tellers(func(name string, s *record.Server) {
			if c := s.Cold; c != nil {
				known := c.Cold + c.Warm
				p.line("%s%s%s%s%s", name, right(short(known), countWide), right(share(c.Cold, known), shareWide), starts(c.ColdService), starts(c.WarmService))
			}
		})
	}
	var lines []string
	p.tellers(func(name string, s *record.Server) {
		if words := used(s); len(words) > 0 {
			words[0] = strings.TrimSpace(name) + ": " + words[0]
			lines = append(lines, wrap(words, ", ", columns-margin)...)
		}
	})
	lines = append(lines, p.contradictions()...)
	switch {
	case t.Cold == nil:
		lines = append(lines, unknownStarts)
	case t.Cold.Unknown > 0:
		lines = append(lines, count(t.Cold.Unknown)+" did not tell whether they were cold")
	}
	for _, l := range lines {
		p.line("%s%s", left("", margin), l)
	}
}

// contradictions names the steps whose functions say that they took longer than
// the whole invocation did, by more than rounding makes of it.
func (p *page) contradictions() []string {
	const rounding = 1000 // µs
	var names []string
	for _, s := range p.d.Series {
		if f := s.Server; f != nil && f.Function != nil && f.Function.Max > s.Service.All.Max+max(rounding, s.Service.All.Max/50) {
			names = append(names, p.label(s, nameWide))
		}
	}
	if len(names) == 0 {
		return nil
	}
	if len(names) > maxWords {
		names = append(names[:maxWords:maxWords], more(len(names)-maxWords, "step"))
	}
	text := strings.Join(names, ", ") + ": the function says it took longer than the invocation did; is its time in milliseconds?"
	return wrap(strings.Fields(text), "", columns-margin)
}

// tellers calls each with all steps together and with every step that tells
// anything, as the tables name them.
func (p *page) tellers(each func(name string, s *record.Server)) {
	if len(p.d.Series) != 1 {
		each(left("all steps", nameWide), p.d.Total.Server)
	}
	shown := 0
	for _, s := range p.d.Series {
		if s.Server == nil {
			continue
		}
		if shown++; shown > maxRows {
			return // the tables of times have said how many there are
		}
		each(left("  "+p.label(s, nameWide-2), nameWide), s.Server)
	}
}

// starts are the columns of one kind of start.
func starts(d record.Distribution) string {
	if d.Count == 0 {
		return cells("-", "-", "-")
	}
	return cells(micros(d.P50), micros(d.P99), micros(d.Max))
}

// used says what was used at the function's side.
func used(s *record.Server) []string {
	var words []string
	if s.BilledMS > 0 {
		words = append(words, "billed "+seconds(float64(s.BilledMS)/1000))
	}
	if s.MemoryMaxBytes > 0 && s.Function == nil { // else it stands in the table
		words = append(words, "memory at most "+memory(s.MemoryMaxBytes))
	}
	switch {
	case s.InstancesAtLeast:
		words = append(words, "at least "+plural(s.Instances, "instance"))
	case s.Instances > 0:
		words = append(words, plural(s.Instances, "instance"))
	}
	return words
}

// memory returns bytes in at most eight columns: 26.4MiB.
func memory(bytes int64) string {
	switch x := float64(bytes); {
	case bytes <= 0:
		return "-"
	case bytes < 1<<10:
		return strconv.FormatInt(bytes, 10) + "B"
	case bytes < 1<<20:
		return digits(x/(1<<10)) + "KiB"
	case bytes < 1<<30:
		return digits(x/(1<<20)) + "MiB"
	case bytes < 10000<<30:
		return digits(x/(1<<30)) + "GiB"
	}
	return strconv.FormatFloat(float64(bytes), 'e', 1, 64)
}

// cost tells what the run has cost.
func (p *page) cost() {
	c := p.d.Cost
	if c == nil {
		return
	}
	total := money(c.Total)
	if c.Low != c.High {
		total = money(c.Low) + " to " + money(c.High)
	}
	if c.Currency != "" {
		total += " " + fit(clean(c.Currency), nameWide)
	}
	words := []string{total + ": requests " + money(c.Requests), "compute " + money(c.Compute)}
	if c.Budget > 0 {
		words = append(words, percent(c.High/c.Budget)+" of the budget of "+money(c.Budget))
	}
	lines := wrap(words, ", ", columns-margin)
	words = []string{plural(c.Invocations, "invocation"), money(c.GBSeconds) + " GB-s"}
	for _, b := range []record.Basis{record.ByBilled, record.ByFunction, record.ByService} {
		n := c.ByBasis[b.String()]
		if n == 0 {
			continue
		}
		word := map[record.Basis]string{record.ByBilled: "by billed time", record.ByFunction: "by the function's time", record.ByService: "by service time (an upper estimate)"}[b]
		if n < c.Invocations {
			word = count(n) + " " + word
		}
		words = append(words, word)
	}
	lines = append(lines, wrap(words, ", ", columns-margin)...)
	if c.Low != c.High {
		lines = append(lines, "the lower number leaves out what may not be billed")
	}
	if p.d.Load.WarmupResults > 0 {
		lines = append(lines, "the warm-up is in it")
	}
	p.section("cost", lines...)
}

// money returns an amount with four significant digits, and never in
// exponents within what anybody pays.
func money(x float64) string {
	switch {
	case x == 0:
		return "0"
	case math.Abs(x) < 1e-9 || math.Abs(x) >= 1e15:
		return strconv.FormatFloat(x, 'g', 4, 64)
	case math.Abs(x) >= 1000:
		return trim(x, 2)
	}
	return trim(x, 3-int(math.Floor(math.Log10(math.Abs(x)))))
}

// notes tells what a reader must know about the methods, and about what carried
// their requests where that was not our own transport.
func (p *page) notes() {
	var lines []string
	for _, t := range p.d.Transports {
		if t.By != "volley" {
			lines = append(lines, wrap(strings.Fields(clean(fmt.Sprintf("%s: requests went by net/http, because of %s.", t.Host, t.Because))), "", columns-margin)...)
		}
		if len(lines) > maxReasons {
			break
		}
	}
	for i, n := range p.d.Notes {
		if i == maxReasons && len(p.d.Notes) > maxReasons+1 {
			lines = append(lines, more(len(p.d.Notes)-i, "note"))
			break
		}
		lines = append(lines, wrap(strings.Fields(clean(n)), "", columns-margin)...)
	}
	if len(lines) > 0 {
		p.section("notes", lines...)
	}
}

// renewed says for how many invocations a token was renewed.
func renewed(n int64) string {
	if n == 1 {
		return "a token had run out: 1 invocation was sent again with a new one"
	}
	return fmt.Sprintf("tokens had run out: %s invocations were sent again with new ones", count(n))
}
