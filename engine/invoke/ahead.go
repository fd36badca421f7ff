package invoke

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"volley/engine"
)

const (
	// fewAtOnce is how many connections a host opens soon enough by itself.
	fewAtOnce = 4

	// openers is how many connections to a host are opened side by side before
	// a run begins.
	openers = 32
)

// A connector is a transport that can open connections ahead of the exchanges
// that need them. It opens as many as there may be, up to n, to where q goes,
// and gives up at the first that cannot be opened.
type connector interface {
	Connect(ctx context.Context, q *engine.Request, n int)
}

// Connect opens connections for the invocations with which a plan begins, as
// far as they begin together and are too many for their connections to be
// opened in time; at most so many. It ends with ctx, or when the first of them
// had to have ended. That it does not get one is no error: the invocation that
// needs it will tell.
func (c *Client) Connect(ctx context.Context, p *engine.Plan, most int) {
	t, ok := c.Transport.(connector)
	if !ok {
		return
	}
	at := map[place]*engine.Request{}
	needed := map[place]int{}
	patience, together := forever, p.Load.First()
	for _, step := range p.First() {
		var q engine.Request
		i := engine.Invocation{Step: step, Scope: &engine.Scope{}}
		if step.Target.Method.Encode(&i, c.plans.of(step).grant, time.Now(), &q) != nil {
			continue // it cannot be told without the row, or the grant
		}
		patience = min(patience, cmp.Or(step.Target.Timeout, forever))
		at[placeOf(&q)] = &q
		needed[placeOf(&q)] += together
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all sync.WaitGroup
	for to, n := range needed {
		n = min(n, most)
		if most -= n; n > fewAtOnce {
			all.Go(func() { t.Connect(ctx, at[to], n) })
		}
	}
	all.Wait()
}

// Connect opens connections ahead.
func (a *Auto) Connect(ctx context.Context, q *engine.Request, n int) {
	if a.o.NoKeepAlive {
		return
	}
	way := a.way(q).by
	if way == byAsking { // the first tells
		h, err := a.fast.host(q)
		if err == nil {
			err = h.ahead(ctx)
		}
		if c, ok := errors.AsType[*h2found](err); ok {
			var x *h2conn
			var at *h2host
			if at, x, err = a.found(q, c); x != nil {
				at.early.Add(1)
				at.leave(x)
			}
		}
		if err != nil {
			return
		}
		way = a.way(q).by
	}
	switch way {
	case byFast:
		a.fast.Connect(ctx, q, n)
	case byH2:
		a.h2.Connect(ctx, q, n)
	}
}

// Connect opens connections ahead, until there are n.
func (f *Fast) Connect(ctx context.Context, q *engine.Request, n int) {
	h, err := f.host(q)
	if err != nil {
		return
	}
	if f.o.Connections > 0 {
		n = min(n, f.o.Connections)
	}
	var all sync.WaitGroup
	left := make(chan struct{}, n)
	for range n - h.connections() {
		left <- struct{}{}
	}
	close(left)
	for range min(len(left), openers) {
		all.Go(func() {
			for range left {
				if h.ahead(ctx) != nil {
					return
				}
			}
		})
	}
	all.Wait()
}

// ahead returns how many connections to a place were opened ahead.
func (f *Fast) ahead(to place) int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if h := f.hosts[to]; h != nil {
		return int(h.early.Load())
	}
	return 0
}

func (h *host) connections() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

// ahead opens a connection that nobody needs yet.
func (h *host) ahead(ctx context.Context) error {
	h.mu.Lock()
	h.open++
	h.mu.Unlock()
	t := Timing{Base: time.Now(), Until: forever}
	l, err := h.connect(ctx, &t)
	if err != nil {
		h.dialled(true)
		return err
	}
	h.put(l, time.Since(h.fast.epoch))
	h.early.Add(1)
	return nil
}

// Connect opens as many connections ahead as the options say, until there are n;
// one where that is as many as it takes.
func (h *H2) Connect(ctx context.Context, q *engine.Request, n int) {
	host, err := h.host(q)
	if err != nil {
		return
	}
	var kept []*h2conn
	for i := range max(1, min(n, h.o.Connections)) {
		var t Timing
		t.reset(time.Now(), 0, forever)
		t.begin()
		x, err := host.get(ctx, i, t.Base.Add(forever), &t)
		if err != nil {
			break
		}
		x.mu.Unlock()
		if t.Phases.Connect >= 0 {
			host.early.Add(1)
		}
		kept = append(kept, x) // with a place reserved, so that the next has to be another
	}
	for _, x := range kept {
		host.leave(x)
	}
}
