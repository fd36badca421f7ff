package record

import (
	"slices"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"volley/engine"
)

// A gather collects the samples of the second that is under way. Times are
// kept as plain lists until the second is over, or a list is long.
type gather struct {
	shape     *shape
	lists     []list // by cell
	touched   []int  // cells that are not empty
	set       *set   // counts
	instances instances
	scratch   *hdr.Histogram
}

type list struct {
	us   []uint32
	over int64
	hist *Hist // what was folded in already
}

// listCapacity bounds a list of times, in values.
const listCapacity = 1 << 14

func newGather(s *shape, scratch *hdr.Histogram) *gather {
	return &gather{shape: s, lists: make([]list, s.cells()), set: newSet(s), scratch: scratch}
}

// take adds a sample.
func (g *gather) take(s *sample) {
	switch s.kind {
	case ofInvocation:
		c := &g.set.series[s.owner]
		c.outcomes[s.outcome]++
		if s.status != 0 {
			c.statuses.add(int(s.status), 1)
		}
		c.bytesOut += s.bytesOut
		c.bytesIn += s.bytesIn
		if s.unsent {
			c.unsent++
		}
		if s.fresh {
			c.fresh++
		}
		if s.reused {
			c.reused++
		}
		if s.renewed {
			c.renewed++
		}
		g.takeServer(c, s)
	case ofGroup:
		g.set.groups[int(s.owner)-len(g.shape.series)].merge(countGroup(s))
	case ofIteration:
		c := &g.set.iterations
		switch {
		case s.outcome == engine.Canceled:
			c.Canceled++
		case s.class == Failure:
			c.Failed++
		default:
			c.OK++
		}
	}
	if s.class == All {
		return
	}
	for m, us := range s.times {
		if us != none {
			g.add(g.shape.cell(int(s.owner), Measure(m), s.class), us)
		}
	}
}

func countGroup(s *sample) groupCount {
	c := groupCount{Members: int64(s.members), OnTheWire: int64(s.wire), MaxWire: int(s.wire), MaxAsked: int(s.asked)}
	if s.class == Success {
		c.OK = 1
	} else {
		c.Failed = 1
	}
	if s.wire >= s.asked {
		c.Full = 1
	}
	return c
}

func (g *gather) add(cell int, us uint32) {
	l := &g.lists[cell]
	if len(l.us) == 0 && l.hist == nil {
		g.touched = append(g.touched, cell)
	}
	if us == overRange {
		us = MaxUS
		l.over++
	}
	if l.us = append(l.us, us); len(l.us) >= listCapacity {
		g.fold(l)
	}
}

// fold moves a list into its histogram, by way of a dense one: recording there
// takes nanoseconds, and reading it once is cheaper than many insertions.
func (g *gather) fold(l *list) {
	if l.hist == nil {
		l.hist = &Hist{}
	}
	if len(l.us) < 64 {
		for _, us := range l.us {
			l.hist.Record(int64(us))
		}
	} else {
		l.hist.max = max(l.hist.max, int64(slices.Max(l.us)))
		for _, us := range l.us {
			_ = g.scratch.RecordValue(int64(us)) // at most MaxUS: always within range
		}
		l.hist.storage().MergeFrom(g.scratch)
		g.scratch.Reset()
	}
	l.hist.over += l.over
	l.us, l.over = l.us[:0], 0
}

// finish returns what was gathered, and starts anew.
func (g *gather) finish() *set {
	s := g.set
	slices.Sort(g.touched)
	for _, cell := range g.touched {
		l := &g.lists[cell]
		g.fold(l)
		s.hists[cell] = l.hist
		l.hist = nil
	}
	g.touched = g.touched[:0]
	g.set = newSet(g.shape)
	return s
}
