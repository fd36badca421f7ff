package record

import (
	"math/bits"
	"slices"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"volley/engine"
)

// A gather collects what was recorded in some time: by one shard since the last
// tick, or by all in the second that is under way. Times are kept as plain
// lists until the second is over, or a list is long.
type gather struct {
	shape   *shape
	lists   []*[numMeasures * numClasses]list // by owner; nil while nothing is recorded of it
	touched []int                             // cells that are not empty
	longest int                               // list since the last time that all were emptied, in values
	set     *set                              // counts
	seen    []instanceKey                     // instances that answered, as far as they were not known
}

type list struct {
	us   []uint32
	over int64
	hist *Hist // what was folded in already
}

// Bounds of a list of times, in values: a shard's, and that of a second.
const (
	shardCapacity = 1 << 12
	listCapacity  = 1 << 14
)

func newGather(s *shape) *gather {
	return &gather{shape: s, lists: make([]*[numMeasures * numClasses]list, s.owners()), set: newSet(s)}
}

// cell returns the list of a cell.
func (g *gather) cell(n int) *list {
	owner, at := n/(numMeasures*numClasses), n%(numMeasures*numClasses)
	if g.lists[owner] == nil {
		g.lists[owner] = new([numMeasures * numClasses]list)
	}
	return &g.lists[owner][at]
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
	for left := s.have; left != 0; left &= left - 1 {
		m := Measure(bits.TrailingZeros32(left))
		g.add(int(s.owner), m, s.class, s.times[m])
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

// add appends a time to its list, which must have room for it.
func (g *gather) add(owner int, m Measure, c Class, us uint32) {
	cell := g.shape.cell(owner, m, c)
	l := g.cell(cell)
	if len(l.us) == 0 && l.hist == nil {
		g.touched = append(g.touched, cell)
	}
	if us == overRange {
		us = MaxUS
		l.over++
	}
	l.us = append(l.us, us)
	g.longest = max(g.longest, len(l.us))
}

// absorb moves all that o has to g, and leaves o empty. What is too long for a
// list goes into its histogram, by way of a dense one.
func (g *gather) absorb(o *gather, dense *hdr.Histogram) {
	g.set.mergeCounts(o.set)
	o.set.clear()
	for _, cell := range o.touched {
		to, from := g.cell(cell), o.cell(cell)
		if len(to.us) == 0 && to.hist == nil {
			g.touched = append(g.touched, cell)
		}
		if len(to.us)+len(from.us) > listCapacity {
			to.fold(dense)
		}
		to.us = append(to.us, from.us...) // to swap them would let every list grow to the longest
		to.over += from.over
		from.us, from.over = from.us[:0], 0
	}
	o.touched, o.longest, o.seen = o.touched[:0], 0, o.seen[:0]
}

// fold moves a list into its histogram, by way of a dense one: recording there
// takes nanoseconds, and reading it once is cheaper than many insertions.
func (l *list) fold(dense *hdr.Histogram) {
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
			_ = dense.RecordValue(int64(us)) // at most MaxUS: always within range
		}
		l.hist.storage().MergeFrom(dense)
		dense.Reset()
	}
	l.hist.over += l.over
	l.us, l.over = l.us[:0], 0
}

// finish returns what was gathered, and starts anew.
func (g *gather) finish(dense *hdr.Histogram) *set {
	s := g.set
	slices.Sort(g.touched)
	for _, cell := range g.touched {
		l := g.cell(cell)
		l.fold(dense)
		s.hists[cell] = l.hist
		l.hist = nil
	}
	g.touched = g.touched[:0]
	g.set = newSet(g.shape)
	return s
}
