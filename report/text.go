package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"volley/engine"
	"volley/engine/record"
)

// Bounds of what a text report lists; what is left out is counted.
const (
	columns    = 80
	maxReasons = 6
	maxRows    = 12 // steps in a table, thresholds
	maxGroups  = 3
	maxErrors  = 5
	maxWords   = 8 // outcomes, statuses in a line
)

// Text is the report for a terminal: 80 columns, the verdict first. The zero
// value writes no colours.
type Text struct {
	Color bool // ANSI escape sequences
}

// Write is a Reporter.
func (t Text) Write(w io.Writer, d *record.Document) error {
	p := &page{Text: t, d: d}
	p.verdict()
	p.thresholds()
	p.load()
	p.methods()
	p.times()
	p.phases()
	p.server()
	p.groups()
	p.retries()
	p.cost()
	p.outcomes()
	p.errors()
	p.notes()
	_, err := w.Write(p.b.Bytes())
	return err
}

// A page is a report while it is written.
type page struct {
	Text
	d *record.Document
	b bytes.Buffer
}

// The colours that are used, as ANSI "select graphic rendition" numbers.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (p *page) paint(color, s string) string {
	if !p.Color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (p *page) line(format string, args ...any) {
	p.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
	p.b.WriteByte('\n')
}

// section writes lines under a name: the name stands before the first.
func (p *page) section(name string, lines ...string) {
	p.line("")
	for _, l := range lines {
		p.line("%s%s", p.paint(bold, left(name, margin)), l)
		name = ""
	}
}

// margin is where the lines of sections begin.
const margin = 12

// more says how many are not shown.
func more(n int, noun string) string {
	_, noun, _ = strings.Cut(plural(int64(n), noun), " ")
	return fmt.Sprintf("and %s more %s", count(int64(n)), noun)
}

// wrap breaks words into lines of at most wide columns.
func wrap(words []string, between string, wide int) []string {
	var lines []string
	for i, word := range words {
		word = fit(word, wide-1)
		if i < len(words)-1 {
			word += strings.TrimRight(between, " ")
		}
		if n := len(lines); n > 0 && width(lines[n-1])+1+width(word) <= wide {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// voidRun is the verdict on a measurement that answers nothing.
const voidRun = "invalid"

func (p *page) verdict() {
	d := p.d
	verdict, color := "NOT JUDGED", yellow
	switch d.Validity.Verdict {
	case "valid":
		verdict, color = "VALID", green
	case "degraded":
		verdict = "DEGRADED"
	case voidRun:
		verdict, color = "INVALID", red
	}
	words := []string{clean(cmp.Or(d.Name, "a run without a name"))}
	if n := len(d.Thresholds); n > 0 {
		held := 0
		for _, t := range d.Thresholds {
			if t.OK {
				held++
			}
		}
		told := fmt.Sprintf("%d of %s held", held, plural(int64(n), "threshold"))
		if d.Validity.Verdict == voidRun {
			told = plural(int64(n), "threshold") + " void"
		}
		words = append(words, told)
	}
	switch d.ExitCode {
	case 0:
	case 1:
		words = append(words, "cut short by an error", "exit code 1")
	case 105:
		words = append(words, "interrupted", "exit code 105")
	case 115:
		words = append(words, "stopped", "exit code 115")
	default:
		words = append(words, fmt.Sprintf("exit code %d", d.ExitCode))
	}
	head := left(verdict, margin)
	words[0] = fit(words[0], columns-width(head)-width(strings.Join(words[1:], ", "))-2)
	p.line("%s%s", p.paint(color, head), p.paint(bold, strings.Join(words, ", ")))
	if d.Ended != "" {
		for _, l := range wrap(strings.Fields("ended early: "+clean(d.Ended)), "", columns-2) {
			p.line("  %s", l)
		}
	}
	for i, reason := range d.Validity.Reasons {
		if i == maxReasons {
			p.line("  - %s", more(len(d.Validity.Reasons)-i, "reason"))
			break
		}
		for j, l := range wrap(strings.Fields(clean(reason)), "", columns-4) {
			p.line("%s%s", left([]string{"  -", ""}[min(j, 1)], 4), l)
		}
	}
	about := []string{cmp.Or(d.Load.Model, "unknown") + " " + cmp.Or(d.Kind, "run")}
	if !d.Started.IsZero() {
		about = append(about, d.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	about = append(about, p.target()...)
	about = append(about, fmt.Sprintf("seed %d", d.Seed))
	for _, l := range wrap(about, ", ", columns-margin) {
		p.line("%s%s", left("", margin), l)
	}
}

// target returns method and qualifier, where all series have the same.
func (p *page) target() []string {
	var words []string
	if m, ok := common(p.d.Series, func(s record.Series) string { return s.Method }); ok && m != "" {
		words = append(words, clean(m))
	}
	if q, ok := common(p.d.Series, func(s record.Series) string { return s.Qualifier }); ok && q != "" {
		words = append(words, "qualifier "+clean(q))
	}
	return words
}

func common(all []record.Series, of func(record.Series) string) (value string, ok bool) {
	for i, s := range all {
		if i > 0 && of(s) != value {
			return "", false
		}
		value = of(s)
	}
	return value, len(all) > 0
}

// label names a series in at most wide columns: its step, and what tells it
// from others.
func (p *page) label(s record.Series, wide int) string {
	words := []string{}
	for _, of := range []func(record.Series) string{
		func(s record.Series) string { return s.Arm },
		func(o record.Series) string { // there is a list of them: only where it tells a step from itself
			if o.Step != s.Step {
				return s.Method
			}
			return o.Method
		},
		func(s record.Series) string { return s.Qualifier },
	} {
		if _, same := common(p.d.Series, of); !same && of(s) != "" {
			words = append(words, of(s))
		}
	}
	if len(words) == 0 {
		return fit(clean(s.Step), wide)
	}
	// What tells two apart outlives what they share.
	what := fit(" ("+clean(strings.Join(words, ", "))+")", wide-4)
	return fit(clean(s.Step), wide-width(what)) + what
}

func (p *page) thresholds() {
	if len(p.d.Thresholds) == 0 {
		return
	}
	// Those that failed come first, so that none of them is left out for one
	// that held.
	all := slices.Clone(p.d.Thresholds)
	slices.SortStableFunc(all, func(a, b record.Threshold) int {
		return cmp.Compare(map[bool]int{false: 0, true: 1}[a.OK], map[bool]int{false: 0, true: 1}[b.OK])
	})
	wide, room := 0, columns-margin-10
	for _, t := range all[:min(len(all), maxRows)] {
		wide = max(wide, width(clean(t.Source)))
		room = min(room, columns-margin-10-width(observed(t)))
	}
	wide = min(wide, room)
	var lines []string
	for i, t := range all {
		if i == maxRows && len(all) > maxRows+1 {
			lines = append(lines, more(len(all)-i, "threshold"))
			break
		}
		mark := p.paint(green, "held  ")
		switch {
		case p.d.Validity.Verdict == voidRun: // none can pass, whatever its value
			mark = p.paint(red, "void  ")
		case !t.OK:
			mark = p.paint(red, "FAILED")
		}
		lines = append(lines, mark+"  "+left(fit(clean(t.Source), wide), wide)+"  "+observed(t))
		if t.Abort {
			lines = append(lines, "        which ended the run at "+seconds(t.AtS))
		}
	}
	p.section("thresholds", lines...)
}

// observed returns what was found where a threshold looked.
func observed(t record.Threshold) string {
	if t.NoData {
		return "no data"
	}
	value := trim(t.Value, 3)
	switch t.Unit {
	case "count":
		value = count(int64(t.Value))
	case "us":
		value = micros(int64(t.Value))
	case "share":
		value = percent(t.Value)
	case "per_s":
		value = rate(t.Value)
	}
	return value + ", of " + count(t.Count)
}

func (p *page) load() {
	l := &p.d.Load
	var lines []string
	if l.Model == "closed" {
		lines = append(lines, fmt.Sprintf("sent %s: %s in %s", rate(l.IterationsSentPerS), plural(l.Sent, "iteration"), seconds(l.SendingS)),
			"closed: an iteration is due when its worker is free")
	} else {
		lines = append(lines, fmt.Sprintf("asked %s, sent %s: %s due in %s, %s sent", rate(l.IterationsAskedPerS), rate(l.IterationsSentPerS),
			plural(l.Due, "iteration"), seconds(cmp.Or(l.AskingS, l.SendingS)), count(l.Sent)))
		lost := "dropped 0"
		if l.Dropped > 0 {
			lost = p.paint(red, fmt.Sprintf("dropped %s (%s)", count(l.Dropped), share(l.Dropped, l.Due)))
		}
		if l.Lateness.Count > 0 {
			lost += "; lateness " + spread(l.Lateness)
		}
		lines = append(lines, lost)
	}
	lines = append(lines, fmt.Sprintf("invocations %s sent, %s good, over %s", rate(l.InvocationsSentPerS), rate(l.InvocationsGoodPerS), seconds(l.ActiveS)))
	if d := l.Held; d.Count > 0 {
		why := "held as asked: "
		if p.d.Total.Phases["preflight"].Count > 0 {
			why = "held as asked, or by a preflight: "
		}
		lines = append(lines, why+count(d.Count)+" of them, "+spread(d))
	}
	n := &p.d.Iterations
	var ends []string
	if n.Response.Count > 0 && len(p.d.Series) > 1 {
		ends = append(ends, spread(n.Response))
	}
	if n.Failed > 0 {
		ends = append(ends, "failed "+count(n.Failed))
	}
	if l.Unfinished > 0 {
		ends = append(ends, "unfinished at the end "+count(l.Unfinished))
	}
	if len(ends) > 0 {
		lines = append(lines, "iterations: "+strings.Join(ends, ", "))
	}
	if l.ExcludedWarmup > 0 || l.WarmupResults > 0 {
		lines = append(lines, fmt.Sprintf("excluded warm-up: %s, %s", plural(l.ExcludedWarmup, "iteration"), plural(l.WarmupResults, "invocation")))
	}
	var fitted []string
	for _, l := range lines {
		fitted = append(fitted, wrap(strings.Split(l, ", "), ", ", columns-margin)...)
	}
	p.section("load", fitted...)
}

// spread is a distribution in few words.
func spread(d record.Distribution) string {
	return fmt.Sprintf("p50 %s, p99 %s, max %s", micros(d.P50), micros(d.P99), micros(d.Max))
}

func (p *page) retries() {
	var lines []string
	for i, a := range p.d.Attempts {
		if i == maxGroups && len(p.d.Attempts) > maxGroups+1 {
			lines = append(lines, more(len(p.d.Attempts)-i, "step"))
			break
		}
		for _, s := range p.d.Series {
			if s.Step == a.Step && s.Method == a.Method && s.Qualifier == a.Qualifier && s.Arm == a.Arm {
				words := []string{fmt.Sprintf("%s: %s for %s", p.label(s, 2*nameWide), plural(a.Count, "attempt"), plural(s.Count, "invocation"))}
				lines = append(lines, wrap(append(words, outcomeWords(a.Outcomes)...), ", ", columns-margin)...)
				break
			}
		}
	}
	if n := p.d.Total.Renewed; n > 0 {
		lines = append(lines, renewed(n))
	}
	if len(lines) > 0 {
		p.section("retries", lines...)
	}
}

// outcomeWords returns outcomes and their counts, in the order of the list.
func outcomeWords(outcomes map[string]int64) []string {
	var words []string
	for o := range engine.Outcome(engine.NumOutcomes) {
		if n := outcomes[o.String()]; n > 0 {
			words = append(words, o.String()+" "+count(n))
		}
	}
	return words
}

func (p *page) outcomes() {
	t := &p.d.Total
	if t.Count == 0 {
		return
	}
	outcomes := wrap(outcomeWords(t.Outcomes), ", ", columns-margin)
	statuses := wrap(statusWords(t.Statuses), ", ", columns-margin-len("statuses "))
	if len(outcomes) == 1 && len(statuses) == 1 && margin+width(outcomes[0])+width("; statuses ")+width(statuses[0]) <= columns {
		p.section("outcomes", outcomes[0]+"; statuses "+statuses[0])
		return
	}
	for i := range statuses {
		statuses[i] = left([]string{"statuses", ""}[min(i, 1)], len("statuses ")) + statuses[i]
	}
	p.section("outcomes", append(outcomes, statuses...)...)
}

// statusWords returns statuses and their counts, the most frequent first.
func statusWords(statuses map[string]int64) []string {
	names := slices.Collect(maps.Keys(statuses))
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(statuses[b], statuses[a]), cmp.Compare(a, b))
	})
	var words []string
	for i, name := range names {
		if i == maxWords && len(names) > maxWords+1 {
			return append(words, more(len(names)-i, "code"))
		}
		words = append(words, clean(name)+": "+count(statuses[name]))
	}
	return words
}

func (p *page) errors() {
	if len(p.d.Errors) == 0 {
		return
	}
	p.line("%s%s", p.paint(bold, left("errors", margin)), "and the request id of the first of a kind")
	for i, e := range p.d.Errors {
		if i == maxErrors && len(p.d.Errors) > maxErrors+1 {
			var rest int64
			for _, e := range p.d.Errors[i:] {
				rest += e.Count
			}
			p.line("  and %s more of %s", count(rest), plural(int64(len(p.d.Errors)-i), "kind"))
			break
		}
		for _, l := range describe(e, columns-2) {
			p.line("  %s", l)
		}
	}
	if f := p.d.Failures; f.LeftOut > 0 {
		p.line("  %s are kept in failures.jsonl, %s are left out", count(f.Kept), count(f.LeftOut))
	}
}

// maxMessage is how many lines of an error's message are shown.
const maxMessage = 3

// describe returns a kind of error in lines of at most wide columns: one, where
// all of it fits. Nobody can look for half a code or half an id, and a message
// often names the cure, so none gives way to the others.
func describe(e record.Error, wide int) []string {
	words := []string{count(e.Count) + "×", e.Outcome}
	if e.Status != 0 {
		words = append(words, fmt.Sprint(e.Status))
	}
	for _, w := range []string{e.Detail, e.Code} {
		if w != "" && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	head, id := clean(strings.Join(words, " ")), ""
	if e.RequestID != "" {
		id = "  " + fit(clean(e.RequestID), wide/2)
	}
	message := clean(e.Message)
	if slices.Contains(words, e.Message) {
		message = ""
	}
	if whole := strings.TrimSpace(head + " " + message); width(whole+id) <= wide {
		return []string{whole + id}
	}
	lines := []string{fit(head, wide)}
	if id != "" && width(head+id) <= wide {
		lines, id = []string{head + id}, ""
	}
	const in = "    "
	told := wrap(strings.Fields(message), "", wide-len(in))
	if len(told) > maxMessage {
		told = append(told[:maxMessage-1], fit(told[maxMessage-1]+" …", wide-len(in)-1))
	}
	for _, l := range told {
		lines = append(lines, in+l)
	}
	if id != "" {
		lines = append(lines, in+"request id "+strings.TrimSpace(id))
	}
	return lines
}
