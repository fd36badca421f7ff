package check

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"volley/engine"
	"volley/engine/record"
)

// A Threshold is a condition that a run must meet, as
//
//	[STEP.][all.|ok.|failed.][response.|service.|function.|first.|settle.|makespan.]METRIC OP VALUE
//
// (DESIGN.md 5). Of function times and cold starts, only what replies tell is
// there; when none does there are no data. Parse makes one, With gives it a window.
type Threshold struct {
	Source string // as written

	Step    string // "" is all steps together
	Class   record.Class
	Measure record.Measure
	Metric  Metric
	Op      Op
	Limit   float64 // in the unit of Unit
	Options
}

// Options are the rest of a threshold's object form.
type Options struct {
	// Window, when not 0, asks that the condition holds in every stretch of
	// this length. It moves by a second; it is of whole seconds, at most MaxWindow.
	Window time.Duration

	// Abort ends the run as soon as the condition does not hold, which is looked
	// at every second: in the window, or without one in all results so far.
	Abort bool

	// MinSamples is how many results there must be before the condition is
	// looked at. For rates and counts they are counted from the start, so that
	// a window in which nothing came back is no excuse; for everything else in
	// the window. At the end of the run fewer are no data, which is a failure.
	// 0 means 1; with Abort and without a window it means DefaultArm, but a
	// count that is past its limit for good aborts at once.
	MinSamples int64
}

// Bounds.
const (
	MaxWindow  = 10 * time.Minute
	DefaultArm = 100

	maxSource = 1000 // bytes of an expression
)

// A Metric is what is taken of the results. The zero value is not one.
type Metric struct {
	Kind     MetricKind
	Quantile float64        // of kind Quantile, in (0, 1]
	Outcome  engine.Outcome // of kind Outcome
	Share    bool           // of kinds Failed, Cold and Outcome: as a share, not as a count
	measured bool           // of kinds Count and Rate: a measure was written, and its samples are counted
}

// A MetricKind says how a number is made of many.
type MetricKind uint8

// The kinds of metrics.
const (
	Quantile MetricKind = iota + 1 // of times; med is p50
	Avg
	Min
	Max
	Count   // results that ran to an end, by class
	Rate    // the same, per second
	Failed  // results that failed
	Cold    // replies that tell that an instance was started for them, among those that tell
	Outcome // results of one outcome
)

// timed reports whether the metric is a time.
func (m Metric) timed() bool { return m.Kind >= Quantile && m.Kind <= Max }

// String returns the metric as it is written.
func (m Metric) String() string {
	switch m.Kind {
	case Quantile:
		return "p" + strings.TrimSuffix(percent(m.Quantile), "%")
	case Avg:
		return "avg"
	case Min:
		return "min"
	case Max:
		return "max"
	case Count:
		return "count"
	case Rate:
		return "rate"
	case Failed:
		return "failed"
	case Cold:
		return "cold"
	case Outcome:
		return m.Outcome.String()
	}
	return fmt.Sprintf("metric(%d)", m.Kind)
}

// percent writes a share in per cent, without the last digits that arithmetic
// with floats would put there: it moves the point.
func percent(share float64) string {
	whole, part, _ := strings.Cut(strconv.FormatFloat(share, 'f', -1, 64), ".")
	part += "00"
	whole = strings.TrimLeft(whole+part[:2], "0")
	if part = strings.TrimRight(part[2:], "0"); part != "" {
		part = "." + part
	}
	return cmp.Or(whole, "0") + part + "%"
}

// Unit returns the unit of the value and of the limit, as it stands in
// report.json.
func (t Threshold) Unit() string {
	switch {
	case t.Metric.timed():
		return "us"
	case t.Metric.Kind == Rate:
		return "per_s"
	case t.Metric.Share:
		return "share"
	}
	return "count"
}

// String returns the condition in its shortest form, which parses to the same.
func (t Threshold) String() string {
	var b strings.Builder
	if t.Step != "" {
		b.WriteString(t.Step + ".")
	}
	if t.Class != record.All {
		b.WriteString(t.Class.String() + ".")
	}
	if t.Measure != record.Response || t.Metric.measured {
		b.WriteString(t.Measure.String() + ".")
	}
	fmt.Fprintf(&b, "%v %v %s", t.Metric, t.Op, t.limit())
	return b.String()
}

// limit returns the limit as it is written.
func (t Threshold) limit() string {
	switch t.Unit() {
	case "us":
		return (time.Duration(t.Limit) * time.Microsecond).String()
	case "per_s":
		return strconv.FormatFloat(t.Limit, 'f', -1, 64) + "/s"
	case "share":
		return percent(t.Limit)
	}
	return strconv.FormatFloat(t.Limit, 'f', -1, 64)
}

// An Op compares a value with a limit.
type Op uint8

// The operators.
const (
	Less Op = iota + 1
	LessOrEqual
	Greater
	GreaterOrEqual
	Equal
	NotEqual
)

// String returns the operator as it is written.
func (o Op) String() string {
	names := [...]string{"?", "<", "<=", ">", ">=", "==", "!="}
	if int(o) < len(names) {
		return names[o]
	}
	return names[0]
}

func (o Op) holds(value, limit float64) bool {
	switch o {
	case Less:
		return value < limit
	case LessOrEqual:
		return value <= limit
	case Greater:
		return value > limit
	case GreaterOrEqual:
		return value >= limit
	case Equal:
		return value == limit
	case NotEqual:
		return value != limit
	}
	return false
}

// With returns the threshold with the rest of its object form.
func (t Threshold) With(o Options) (Threshold, error) {
	wrong := func(problem, fix string) (Threshold, error) {
		return Threshold{}, &Error{Source: t.Source, Problem: problem, Fix: fix}
	}
	switch {
	case o.Window < 0 || o.Window%time.Second != 0 || o.Window > MaxWindow:
		return wrong(fmt.Sprintf("a window of %v", o.Window), "write whole seconds, from 1s to 10m")
	case o.MinSamples < 0:
		return wrong(fmt.Sprintf("min_samples is %d", o.MinSamples), "write 0 or more")
	case o.Abort && o.Window == 0 && t.growing() && (t.Op == Greater || t.Op == GreaterOrEqual || t.Op == NotEqual):
		return wrong("a count that is still to be reached cannot end the run", "leave out abort, or add a window")
	}
	t.Options = o
	return t, nil
}

// growing reports whether the value can only grow while a run lasts.
func (t Threshold) growing() bool { return t.Unit() == "count" }

// final reports whether the condition, which does not hold for a value that
// can only grow, will never hold again.
func (t Threshold) final(value float64) bool {
	switch t.Op {
	case Less, LessOrEqual:
		return true
	case Equal:
		return value > t.Limit
	}
	return false
}

// armed returns how many samples it takes before the condition is looked at
// while the run lasts.
func (t Threshold) armed() int64 {
	if t.MinSamples == 0 && t.Abort && t.Window == 0 {
		return DefaultArm
	}
	return max(1, t.MinSamples)
}

// data is what a threshold needs to know of some results. Its zero value is
// of no results, and data of two stretches can be added.
type data struct {
	hist     *record.Hist
	total    int64 // canceled and dropped ones included
	failed   int64
	cold     int64
	told     int64 // whether they were cold
	outcomes [engine.NumOutcomes]int64
	active   time.Duration
}

// take reads what t needs to know.
func (t Threshold) take(v record.View) data {
	d := data{active: v.Active()}
	if c, ok := v.Counts(t.Step); ok {
		d.total, d.failed, d.outcomes = c.Total, c.Failed(), c.Outcomes
		d.cold, d.told = c.Cold, c.Cold+c.Warm
	}
	if t.Metric.Kind == Outcome && t.Metric.Outcome == engine.Dropped {
		d.total, d.outcomes[engine.Dropped] = v.Iterations() // whole iterations are dropped
	}
	if t.Metric.timed() || t.Metric.measured {
		d.hist = v.Hist(t.Step, t.Class, t.Measure)
	}
	return d
}

// add puts what came after to d.
func (d *data) add(o data) {
	if o.hist.Count() > 0 {
		if d.hist == nil {
			d.hist = &record.Hist{}
		}
		d.hist.Merge(o.hist)
	}
	d.total += o.total
	d.failed += o.failed
	d.cold += o.cold
	d.told += o.told
	for i := range d.outcomes {
		d.outcomes[i] += o.outcomes[i]
	}
	d.active += o.active
}

// ended returns how many results ran to an end of their own.
func (d *data) ended() int64 { return d.outcomes[engine.OK] + d.failed }

// of returns how many results of a class there were.
func (d *data) of(c record.Class) int64 {
	switch c {
	case record.Success:
		return d.outcomes[engine.OK]
	case record.Failure:
		return d.failed
	}
	return d.ended()
}

// value returns the metric of these results, how many results it was taken
// from, and whether there were any to take it from.
func (t Threshold) value(d data) (value float64, samples int64, ok bool) {
	m := t.Metric
	if m.timed() {
		if samples = d.hist.Count(); samples == 0 {
			return 0, 0, false
		}
		switch m.Kind {
		case Quantile:
			return float64(d.hist.Quantile(m.Quantile)), samples, true
		case Avg:
			return math.Round(d.hist.Mean()), samples, true
		case Min:
			return float64(d.hist.Min()), samples, true
		}
		return float64(d.hist.Max()), samples, true
	}
	if d.total == 0 {
		return 0, 0, false
	}
	samples = d.ended()
	var n int64
	switch {
	case m.measured:
		n, samples = d.hist.Count(), d.total
	case m.Kind == Count || m.Kind == Rate:
		n = d.of(t.Class)
	case m.Kind == Failed:
		n = d.failed
	case m.Kind == Cold:
		if n, samples = d.cold, d.told; samples == 0 {
			return 0, 0, false
		}
	case m.Kind == Outcome:
		n = d.outcomes[m.Outcome]
		// What did not run to an end of its own is a part of all there was.
		if m.Outcome == engine.Canceled || m.Outcome == engine.Dropped {
			samples = d.total
		}
	}
	switch {
	case m.Kind == Rate:
		return float64(n) / d.active.Seconds(), samples, d.active > 0
	case m.Share:
		return float64(n) / float64(samples), samples, samples > 0
	}
	return float64(n), samples, true
}

// Evaluate judges a whole run that is over. A window is not looked at: that is
// the Watcher's.
func (t Threshold) Evaluate(v record.View) record.Threshold {
	return t.judge(t.take(v))
}

func (t Threshold) judge(d data) record.Threshold {
	row := record.Threshold{Source: t.Source, Unit: t.Unit(), Window: t.Window.Seconds()}
	value, n, ok := t.value(d)
	row.Count = n
	if !ok || n < t.MinSamples {
		row.NoData = true
		return row
	}
	row.Value, row.OK = value, t.Op.holds(value, t.Limit)
	return row
}
