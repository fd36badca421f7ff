package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"volley/engine/group"
)

// A fired is one member of a group in one iteration.
type fired struct {
	step  *Step
	scope Scope
	end   time.Duration // when it ended; written by its own goroutine
}

// A memberEnd is what a member leaves when it ends.
type memberEnd struct {
	saved map[string]any
	end   time.Duration
}

// group fires a group's members together and goes on when it settles. Members
// that are left then are waited for at the end of the iteration.
func (p *pass) group(ctx context.Context, g *Group, at *Scope, m moment, outer *wire) (map[string]any, time.Duration, error) {
	s := *at
	members, err := g.fire(s, p.run.Base.Add(m.due))
	if err != nil {
		return nil, p.run.now(), err
	}
	w := &wire{outer: outer}
	member := func(ctx context.Context, i int) (memberEnd, error) {
		f := &members[i]
		if ctx.Err() != nil {
			f.end = p.run.now()
			return memberEnd{end: f.end}, context.Cause(ctx)
		}
		at := m
		if g.Limit > 0 && i >= g.Limit {
			at.held = max(m.held, p.run.now()-m.due) // the limit asked for this wait
		}
		saved, end, err := p.do(ctx, f.step, &f.scope, at, w)
		f.end = end
		if f.step.Continue && ctx.Err() == nil {
			err = nil
		}
		return memberEnd{saved, end}, err
	}

	var saved map[string]any
	var why error
	end := m.due
	settled := make(chan struct{})
	p.losers.Go(func() {
		group.Run(ctx, group.Group{Kind: g.Kind, Limit: g.Limit, Cancel: g.CancelLosers}, len(members), member,
			func(all []group.Settled[memberEnd], done []bool, err error) {
				for i := range all {
					if done[i] {
						end = max(end, all[i].Value.end)
						if all[i].Err == nil {
							saved = with(saved, all[i].Value.saved)
						}
					}
				}
				why = err
				if why == nil && g.Kind == group.AllSettled && ctx.Err() != nil {
					why = unsettled(all) // not settled, but cut short
				}
				close(settled)
			})
		if ctx.Err() != nil {
			return // cut short: its numbers would be of the cut
		}
		r := GroupResult{Group: g, Scope: &s, Warmup: p.warm, OK: why == nil, Due: m.due, Settled: end, OnTheWire: w.most()}
		r.measure(members)
		p.record.Group(&r)
	})
	<-settled
	return saved, end, why
}

// unsettled returns the first error of members that ended when their time was
// up; nil if all were fulfilled.
func unsettled(all []group.Settled[memberEnd]) error {
	for i := range all {
		if all[i].Err != nil {
			return all[i].Err
		}
	}
	return nil
}

// fire lists the members of this iteration: each for every item, without those
// whose condition says no.
func (g *Group) fire(s Scope, due time.Time) ([]fired, error) {
	if g.Each == nil {
		return g.wanted(nil, s, due)
	}
	items, err := g.Each(&s)
	if err != nil {
		return nil, fmt.Errorf("%w: each: %w", errExpression, err)
	}
	members := make([]fired, 0, len(items)*len(g.Members))
	outer := s.nest
	for i, item := range items {
		s.Item, s.Index, s.nest = item, i, mix(outer, uint64(i)+1)
		if members, err = g.wanted(members, s, due); err != nil {
			return nil, err
		}
	}
	return members, nil
}

func (g *Group) wanted(to []fired, s Scope, due time.Time) ([]fired, error) {
	for i := range g.Members {
		st := &g.Members[i]
		s.at(st, due)
		yes, err := st.wanted(&s)
		if err != nil {
			return nil, err
		}
		if yes {
			to = append(to, fired{step: st, scope: s})
		}
	}
	return to, nil
}

// measure fills in what follows from the members' ends.
func (r *GroupResult) measure(members []fired) {
	r.Members = len(members)
	if len(members) == 0 {
		r.First, r.Last = r.Settled, r.Settled
		return
	}
	ends := make([]time.Duration, len(members))
	for i := range members {
		ends[i] = members[i].end
	}
	slices.Sort(ends)
	n := len(ends)
	r.First, r.Last = ends[0], ends[n-1]
	r.Median = (ends[(n-1)/2]+ends[n/2])/2 - r.Due
}

// A wire knows when the attempts of a group were on the wire, and hands them
// on to the group around it.
type wire struct {
	outer *wire

	mu    sync.Mutex
	spans []span
}

type span struct{ start, end time.Duration }

func (w *wire) add(attempts []Attempt) {
	for ; w != nil; w = w.outer {
		w.mu.Lock()
		for i := range attempts {
			w.spans = append(w.spans, span{attempts[i].Start, attempts[i].End})
		}
		w.mu.Unlock()
	}
}

// most returns the largest number of spans that have a moment in common. A
// span that ends as another starts has none with it.
func (w *wire) most() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	type change struct {
		at time.Duration
		by int
	}
	changes := make([]change, 0, 2*len(w.spans))
	for _, s := range w.spans {
		changes = append(changes, change{s.start, +1}, change{s.end, -1})
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	var now, most int
	for _, c := range changes {
		now += c.by
		most = max(most, now)
	}
	return most
}
