package check

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"volley/engine"
	"volley/engine/record"
)

// An Error is one mistake in a threshold, or in the names of steps that
// thresholds speak of.
type Error struct {
	Source  string // the threshold or the name, as written
	Column  int    // counted from 1, in characters; 0 when no place in the source is wrong
	Problem string // what is wrong, with what was found
	Fix     string // what to write instead
}

// Error says what is wrong, and where.
func (e *Error) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("%q: %s", e.Source, e.Problem)
	}
	return fmt.Sprintf("%q: column %d: %s", e.Source, e.Column, e.Problem)
}

// Hint says what to write instead.
func (e *Error) Hint() string { return e.Fix }

// classes and measures are those that can stand in a threshold.
func classes() []record.Class { return []record.Class{record.All, record.Success, record.Failure} }

func measures() []record.Measure {
	return []record.Measure{record.Response, record.Service, record.Function, record.First, record.Settle, record.Makespan}
}

func ofGroups(m record.Measure) bool { return m >= record.First && m <= record.Makespan }

// prefixes returns the names of all classes and measures.
func prefixes() []string {
	var all []string
	for _, c := range classes() {
		all = append(all, c.String())
	}
	for _, m := range measures() {
		all = append(all, m.String())
	}
	return all
}

// metrics returns the names of all metrics, with some quantiles for a start.
func metrics() []string {
	all := []string{"p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "avg", "min", "max", "med", "count", "rate", "failed", "cold"}
	for o := range engine.Outcome(engine.NumOutcomes) {
		all = append(all, o.String())
	}
	return all
}

// quantile reads p95, p99.9 or p(99.9).
func quantile(s string) (q float64, k6, ok bool) {
	rest, found := strings.CutPrefix(s, "p")
	if !found {
		return 0, false, false
	}
	if inner, open := strings.CutPrefix(rest, "("); open {
		if rest, k6 = strings.CutSuffix(inner, ")"); !k6 {
			return 0, false, false
		}
		rest = strings.TrimSpace(rest)
	}
	q, ok = hundredth(rest)
	return q, k6, ok
}

// hundredth reads a percentage. Reading 0.1 as 0.1e-2, and not as 0.1 ÷ 100,
// gives the very float that 1 ÷ 1000 is.
func hundredth(digits string) (float64, bool) {
	f, err := strconv.ParseFloat(digits+"e-2", 64)
	return f, err == nil && plain(digits)
}

// plain reports whether s is written with digits and at most a point, and so
// is no 1e3, 0x9, inf or -1.
func plain(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.") == "" && s[0] != '.' && s[len(s)-1] != '.'
}

// Reserved reports whether a name means something of its own in thresholds: a
// metric, a class, or a measure. No step may have it.
func Reserved(name string) bool {
	_, _, isQuantile := quantile(name)
	return isQuantile || slices.Contains(metrics(), name) || slices.Contains(prefixes(), name)
}

// Names reports the first name of a step or group that would make thresholds
// mean two things.
func Names(names []string) error {
	known := map[string]bool{}
	for _, n := range names {
		known[n] = true
	}
	for _, n := range names {
		if Reserved(n) {
			return &Error{Source: n, Problem: fmt.Sprintf("no step can be called %q, because thresholds use that word", n),
				Fix: "give the step another name, such as name: " + n + "-step"}
		}
		for i, c := range n {
			if c != '.' || !known[n[:i]] {
				continue
			}
			if word, _, _ := strings.Cut(n[i+1:], "."); Reserved(word) {
				return &Error{Source: n, Problem: fmt.Sprintf("no step can be called %q beside one called %q: thresholds read %q as a part of that one", n, n[:i], word),
					Fix: "rename one of them"}
			}
		}
	}
	return nil
}

// Parse reads a threshold. Steps and groups are the names that it may speak
// of; the longest name that fits is taken, so that names may have dots. An
// error is an *Error.
func Parse(source string, steps, groups []string) (Threshold, error) {
	p := parser{source: source, steps: steps, groups: groups}
	t, err := p.threshold()
	if err != nil {
		return Threshold{}, err
	}
	return t, nil
}

// A parser reads one threshold from left to right.
type parser struct {
	source        string
	at            int // bytes read
	steps, groups []string
}

func (p *parser) rest() string { return p.source[p.at:] }

func (p *parser) skipSpace() {
	p.at = len(p.source) - len(strings.TrimLeft(p.rest(), " \t\n\r"))
}

// wrong reports a mistake at byte at.
func (p *parser) wrong(at int, fix, problem string, args ...any) error {
	return &Error{Source: p.source, Column: utf8.RuneCountInString(p.source[:at]) + 1, Problem: fmt.Sprintf(problem, args...), Fix: fix}
}

func (p *parser) threshold() (Threshold, error) {
	t := Threshold{Source: strings.TrimSpace(p.source)}
	switch {
	case len(p.source) > maxSource:
		return t, &Error{Source: p.source[:20] + "…", Problem: fmt.Sprintf("%d bytes long", len(p.source)), Fix: "write at most 1000"}
	case !utf8.ValidString(p.source):
		return t, &Error{Source: strings.ToValidUTF8(p.source, "?"), Problem: "is not valid UTF-8", Fix: "write it in UTF-8"}
	}
	if err := Names(slices.Concat(p.steps, p.groups)); err != nil {
		return t, err
	}
	p.skipSpace()
	start := p.at
	t.Step = p.step()
	classed, measured, measureAt := p.qualifiers(&t)
	metricAt := p.at
	word := p.word()
	k6, err := p.metric(&t, word, metricAt, measured)
	if err != nil {
		return t, err
	}
	if err := p.fits(&t, classed, measured, measureAt, start); err != nil {
		return t, err
	}
	if err := p.op(&t); err != nil {
		return t, err
	}
	return t, p.limit(&t, k6 && metricAt == start)
}

// step takes the longest known name that stands before a dot.
func (p *parser) step() string {
	longest := ""
	for _, name := range slices.Concat(p.steps, p.groups) {
		if len(name) > len(longest) && strings.HasPrefix(p.rest(), name+".") {
			longest = name
		}
	}
	if longest != "" {
		p.at += len(longest) + 1
	}
	return longest
}

// qualifiers takes a class and a measure.
func (p *parser) qualifiers(t *Threshold) (classed, measured bool, measureAt int) {
	for _, c := range classes() {
		if strings.HasPrefix(p.rest(), c.String()+".") {
			t.Class, classed = c, true
			p.at += len(c.String()) + 1
			break
		}
	}
	measureAt = p.at
	for _, m := range measures() {
		if strings.HasPrefix(p.rest(), m.String()+".") {
			t.Measure, measured = m, true
			p.at += len(m.String()) + 1
			break
		}
	}
	return classed, measured, measureAt
}

// word takes all up to an operator.
func (p *parser) word() string {
	end := strings.IndexAny(p.rest(), "<>=!")
	if end < 0 {
		end = len(p.rest())
	}
	word := strings.TrimRight(p.rest()[:end], " \t\n\r")
	p.at += len(word)
	return word
}

// metric reads a metric; k6 is true for one that k6 writes the same.
func (p *parser) metric(t *Threshold, word string, at int, measured bool) (k6 bool, err error) {
	m := &t.Metric
	switch word {
	case "avg":
		m.Kind, k6 = Avg, true
	case "min":
		m.Kind, k6 = Min, true
	case "max":
		m.Kind, k6 = Max, true
	case "med":
		m.Kind, m.Quantile, k6 = Quantile, 0.5, true
	case "count":
		m.Kind, m.measured = Count, measured
	case "rate":
		m.Kind, m.measured = Rate, measured
	case "failed":
		m.Kind = Failed
	case "cold":
		m.Kind = Cold
	default:
		if o, ok := engine.ParseOutcome(word); ok {
			m.Kind, m.Outcome = Outcome, o
			return false, nil
		}
		q, spelled, ok := quantile(word)
		if !ok {
			return false, p.unknown(word, at)
		}
		if q <= 0 || q > 1 {
			return false, p.wrong(at, "write a percentile above p0, at most p100", "%q is not a percentile", word)
		}
		m.Kind, m.Quantile, k6 = Quantile, q, spelled
	}
	return k6, nil
}

// unknown says what a word was probably meant to be.
func (p *parser) unknown(word string, at int) error {
	if word == "" {
		return p.wrong(at, "write a metric, such as p99, failed or rate", "a metric is missing")
	}
	known := slices.Concat(p.steps, p.groups, prefixes())
	if i := strings.LastIndex(word, "."); i >= 0 {
		// The last word may be a metric with a dot in it, and the name one
		// with dots: what comes first is the mistake.
		name := word[:i]
		if loc := regexp.MustCompile(`\.p\(?[0-9]+(\.[0-9]+)?\)?$`).FindStringIndex(word); loc != nil {
			name = word[:loc[0]]
		}
		for i := strings.LastIndex(name, "."); i > 0 && slices.Contains(prefixes(), name[i+1:]); i = strings.LastIndex(name, ".") {
			name = name[:i]
		}
		if slices.Contains(prefixes(), name) {
			return p.wrong(at, "write STEP, then all, ok or failed, then response, service, function, first, settle or makespan, then the metric",
				"%q does not belong here", name)
		}
		if near := nearest(name, known); near != "" {
			return p.wrong(at, "did you mean "+near+"?", "no step is called %q", name)
		}
		return p.wrong(at, listed("the steps are", slices.Concat(p.steps, p.groups)), "no step is called %q", name)
	}
	if slices.Contains(known, word) {
		return p.wrong(at, "write "+word+".p99, for example", "a metric is missing after %q", word)
	}
	if near := nearest(word, metrics()); near != "" {
		return p.wrong(at, "did you mean "+near+"?", "%q is not a metric", word)
	}
	return p.wrong(at, "write p50 to p99.99, avg, min, max, med, count, rate, failed, cold, or an outcome", "%q is not a metric", word)
}

// listed names a few.
func listed(what string, names []string) string {
	if len(names) == 0 {
		return "leave the name out: the scenario has no steps that are named"
	}
	const few = 8
	if len(names) > few {
		return fmt.Sprintf("%s %s and %d more", what, strings.Join(names[:few], ", "), len(names)-few)
	}
	return what + " " + strings.Join(names, ", ")
}

// fits checks that step, class, measure and metric make sense together.
func (p *parser) fits(t *Threshold, classed, measured bool, measureAt, start int) error {
	group := slices.Contains(p.groups, t.Step) && !slices.Contains(p.steps, t.Step)
	m := t.Metric
	switch {
	case !m.timed() && m.Kind != Count && m.Kind != Rate && (classed || measured):
		return p.wrong(start, "leave the class and the measure out", "%v counts among all results", m)
	case ofGroups(t.Measure) && len(p.groups) == 0:
		return p.wrong(measureAt, "write response, service or function", "%v is a time of groups, and the scenario has none", t.Measure)
	case ofGroups(t.Measure) && t.Step != "" && !group:
		return p.wrong(measureAt, listed("write response, service or function, or one of the groups:", p.groups), "%v is a time of groups, and %s is none", t.Measure, t.Step)
	case (t.Measure == record.Service || t.Measure == record.Function) && group:
		return p.wrong(measureAt, "write first, settle or makespan", "a group has no %v time of its own", t.Measure)
	case m.Kind == Outcome && m.Outcome == engine.Dropped && t.Step != "":
		return p.wrong(start, "leave the step out", "whole iterations are dropped, not %s alone", t.Step)
	case m.Kind == Cold && group:
		return p.wrong(start, "name one of its invocations", "a group has no cold starts of its own")
	case m.Kind == Outcome && group:
		return p.wrong(start, "write failed, or name one of its invocations", "a group has no outcome called %v", m)
	}
	return nil
}

// op reads the operator; k6's === and !== mean the same as == and != here.
func (p *parser) op(t *Threshold) error {
	p.skipSpace()
	at := p.at
	for p.at < len(p.source) && strings.IndexByte("<>=!", p.source[p.at]) >= 0 {
		p.at++
	}
	switch found := p.source[at:p.at]; found {
	case "<":
		t.Op = Less
	case "<=":
		t.Op = LessOrEqual
	case ">":
		t.Op = Greater
	case ">=":
		t.Op = GreaterOrEqual
	case "==", "===":
		t.Op = Equal
	case "!=", "!==":
		t.Op = NotEqual
	case "":
		return p.wrong(at, "write, for example, "+t.Metric.String()+" < "+example(t.Metric), "an operator is missing")
	default:
		fix := map[string]string{"=": "write ==", "=<": "write <=", "=>": "write >=", "<>": "write !=", "!": "write !="}[found]
		if fix == "" {
			fix = "write <, <=, >, >=, == or !="
		}
		return p.wrong(at, fix, "%q is not an operator", found)
	}
	p.skipSpace()
	return nil
}

// example returns a limit that fits a metric.
func example(m Metric) string {
	switch {
	case m.timed():
		return "300ms"
	case m.Kind == Rate:
		return "195/s"
	case m.Kind == Count:
		return "1000"
	}
	return "1%"
}

// limit reads the value to compare with. A bare number is a time in ms only
// where the whole condition is one of k6's.
func (p *parser) limit(t *Threshold, k6 bool) error {
	at, text := p.at, strings.TrimRight(p.rest(), " \t\n\r")
	if text == "" {
		return p.wrong(at, "write, for example, "+example(t.Metric), "a value is missing")
	}
	f, err := strconv.ParseFloat(text, 64)
	bare := err == nil && plain(text)
	switch m := &t.Metric; {
	case m.timed():
		return p.duration(t, text, bare, f, k6)
	case m.Kind == Rate:
		return p.rate(t, text, bare, f)
	case m.Kind == Failed || m.Kind == Cold || m.Kind == Outcome:
		if digits, found := strings.CutSuffix(text, "%"); found {
			f, ok := hundredth(strings.TrimSpace(digits))
			if !ok || f > 1 {
				return p.wrong(at, "write a share from 0% to 100%", "%q is not a share", text)
			}
			t.Limit, m.Share = f, true
			return nil
		}
		if bare && f != math.Trunc(f) && f < 1 {
			return p.wrong(at, "write "+percent(f), "%q is neither a share nor a count", text)
		}
	}
	if !bare || f != math.Trunc(f) || f > 1<<53 {
		return p.wrong(at, "write "+example(t.Metric)+", for example", "%q is not a count", text)
	}
	t.Limit = f
	return nil
}

func (p *parser) duration(t *Threshold, text string, bare bool, f float64, k6 bool) error {
	if bare {
		if !k6 {
			return p.wrong(p.at, "write "+text+"ms", "%q has no unit", text)
		}
		text += "ms"
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return p.wrong(p.at, "write a duration, such as 300ms or 1.5s", "%q is not a duration, and %v is one", text, t.Metric)
	case d < 0 || d >= time.Hour:
		return p.wrong(p.at, "write a duration of less than 1h", "%q is out of range", text)
	case d%time.Microsecond != 0:
		return p.wrong(p.at, "write whole microseconds, such as "+d.Round(time.Microsecond).String(), "%q is finer than what is measured", text)
	}
	t.Limit = float64(d / time.Microsecond)
	return nil
}

func (p *parser) rate(t *Threshold, text string, bare bool, f float64) error {
	if bare {
		fix := "write " + text + "/s"
		if f < 1 && p.at > 0 {
			fix += "; for a share of failures write failed < " + percent(f)
		}
		return p.wrong(p.at, fix, "%q has no unit", text)
	}
	digits, unit, found := strings.Cut(text, "/")
	digits = strings.TrimSpace(digits)
	per := map[string]float64{"s": 1, "m": 60, "h": 3600}[strings.TrimSpace(unit)]
	f, err := strconv.ParseFloat(digits, 64)
	if !found || err != nil || !plain(digits) || per == 0 || f > 1e12 {
		fix := "write a number and a unit, such as 195/s or 12000/m"
		if strings.HasSuffix(text, "%") {
			fix += "; for a share of failures write failed < " + text
		}
		return p.wrong(p.at, fix, "%q is not a rate", text)
	}
	t.Limit = f / per
	return nil
}

// nearest returns the name most like word; "" when none is near enough.
func nearest(word string, names []string) string {
	best, least := "", max(1, utf8.RuneCountInString(word)/3)+1
	for _, n := range names {
		if d := distance(strings.ToLower(word), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance returns how many letters must be put in, left out, changed, or
// swapped with their neighbour to make b of a (Damerau, "A technique for
// computer detection and correction of spelling errors", 1964).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := range x {
		before, last, now := rows[0], rows[1], rows[2]
		now[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			now[j+1] = min(last[j+1]+1, now[j]+1, last[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				now[j+1] = min(now[j+1], before[j-1]+1)
			}
		}
		rows[0], rows[1], rows[2] = last, now, before
	}
	return rows[1][len(y)]
}
