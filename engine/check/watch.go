package check

import (
	"time"

	"volley/engine/record"
)

// A Watcher looks at thresholds while a run lasts. Second is called by one
// goroutine; Results by anyone after its last call.
type Watcher struct {
	list    []*watched
	abort   func(source string)
	aborted bool
	sending time.Duration // of the last second's tally
}

// watched is one threshold and what was seen of it.
type watched struct {
	Threshold
	total data             // of all seconds, where the run may be aborted for them
	ring  []data           // the seconds of the window
	ended int64            // results so far, for a window that is armed by them
	row   record.Threshold // what there is to say so far
	told  bool             // row holds a whole window, or what ended the run
}

// Watch returns a watcher of thresholds. It calls abort at most once, from
// Second, with the source of the first threshold that ends the run.
func Watch(thresholds []Threshold, abort func(source string)) *Watcher {
	w := &Watcher{abort: abort}
	for _, t := range thresholds {
		w.list = append(w.list, &watched{Threshold: t})
	}
	return w
}

// Second takes in the next second of the run; it fits record's OnSecond.
func (w *Watcher) Second(s *record.Second) {
	w.second(s, s.Start+s.Length, s.Tally.Sending)
}

// second takes in a second that ended at a time since the start of the run,
// with the load having lasted for sending so far.
func (w *Watcher) second(v record.View, at, sending time.Duration) {
	underLoad := sending > w.sending
	w.sending = sending
	if sending == 0 {
		return // warm-up
	}
	for _, t := range w.list {
		switch {
		case t.told && t.row.Abort:
			continue
		case t.Window > 0:
			t.window(v, at, underLoad)
		case t.Abort:
			t.soFar(v, at, underLoad)
		}
		// When the load is over there is nothing left to end.
		if t.Abort && t.told && !t.row.OK && underLoad && !w.aborted {
			w.aborted, t.row.Abort = true, true
			w.abort(t.Source)
		}
	}
}

// soFar looks at everything since the start.
func (t *watched) soFar(v record.View, at time.Duration, underLoad bool) {
	d := t.take(v)
	if !t.arrive(d, underLoad) {
		return
	}
	t.total.add(d)
	value, n, ok := t.value(t.total)
	switch {
	case !ok || t.Op.holds(value, t.Limit):
	case t.growing() && t.final(value), !t.growing() && n >= t.armed():
		t.told = true
		t.row = t.judge(t.total)
		t.row.NoData, t.row.Value, t.row.AtS = false, value, at.Seconds()
	}
}

// arrive counts the results of a second, and reports whether the second can
// be looked at. What comes in a time is looked at from the first reply on and
// until the load ends: before, the first replies are still on their way, and
// after, the last ones trickle in.
func (t *watched) arrive(d data, underLoad bool) bool {
	began := t.ended > 0
	t.ended += d.ended()
	return !t.flow() || began && underLoad
}

// flow reports whether the metric is of how much comes in a time.
func (t Threshold) flow() bool { return t.Metric.Kind == Rate || t.Window > 0 && t.growing() }

// window moves the window on by a second.
func (t *watched) window(v record.View, at time.Duration, underLoad bool) {
	d := t.take(v)
	if !t.arrive(d, underLoad) {
		return
	}
	size := int(t.Window / time.Second)
	if len(t.ring) >= size {
		t.ring = append(t.ring[:0], t.ring[len(t.ring)-size+1:]...)
	}
	t.ring = append(t.ring, d)
	sum := t.sum()
	if len(t.ring) < size || t.flow() && sum.active < t.Window*95/100 {
		return
	}
	t.tell(sum, at)
}

// sum merges the window.
func (t *watched) sum() data {
	var sum data
	for _, d := range t.ring {
		sum.add(d)
	}
	return sum
}

// tell looks at one window and keeps the worst.
func (t *watched) tell(sum data, at time.Duration) {
	value, n, ok := t.value(sum)
	have := n
	if t.flow() {
		have = t.ended
	}
	silent := !ok && (!t.flow() || t.Metric.Kind == Cold) // nothing told is no data, not 0
	if silent || have < t.armed() {
		return
	}
	holds := t.Op.holds(value, t.Limit)
	if t.told && !t.worse(holds, value) {
		return
	}
	first := t.row.AtS
	t.row = record.Threshold{Source: t.Source, OK: holds, Value: value, Unit: t.Unit(), Count: n, Window: t.Window.Seconds(), AtS: first}
	if !holds && first == 0 {
		t.row.AtS = at.Seconds()
	}
	t.told = true
}

// worse reports whether a value is further from the limit's good side than
// the worst so far.
func (t *watched) worse(holds bool, value float64) bool {
	if holds != t.row.OK {
		return !holds
	}
	switch t.Op {
	case Less, LessOrEqual:
		return value > t.row.Value
	case Greater, GreaterOrEqual:
		return value < t.row.Value
	}
	return false
}

// Results returns what came of every threshold, in their order. The view is
// of the whole run. A run shorter than a window is one window.
func (w *Watcher) Results(v record.View) []record.Threshold {
	rows := make([]record.Threshold, 0, len(w.list))
	for _, t := range w.list {
		row := t.row
		switch {
		case t.told && (t.Window > 0 || t.row.Abort):
		case t.Window == 0:
			row = t.Evaluate(v)
		case len(t.ring) < int(t.Window/time.Second):
			row = t.Evaluate(v)
		default:
			row = t.judge(t.sum())
		}
		rows = append(rows, row)
	}
	return rows
}
