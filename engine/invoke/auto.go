package invoke

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"volley/engine"
)

// An Auto is a Transport that goes by transports of our own, for HTTP/1.1 and
// HTTP/2, and by net/http where there is a proxy. Which of the two versions an
// https server is asked by is what it chooses when the first connection is made.
type Auto struct {
	o    Options
	fast *Fast
	h2   *H2
	rest *HTTP

	mu     sync.RWMutex
	ways   map[place]way
	asking map[place]chan struct{} // closed when the first connection has told, or failed
}

// A way is how requests go to a host.
type way struct {
	by      carrier
	because string // why they go by net/http
}

type carrier uint8

const (
	byAsking carrier = iota // nobody knows yet
	byFast
	byH2
	byHTTP
)

var _ Transport = (*Auto)(nil)

// NewAuto returns a transport. Close it after use.
func NewAuto(o Options) (*Auto, error) {
	rest, err := NewHTTP(o)
	if err != nil {
		return nil, err
	}
	fast, err := NewFast(o)
	if err != nil {
		return nil, err
	}
	h2, err := NewH2(o)
	if err != nil {
		return nil, err
	}
	a := &Auto{o: o, fast: fast, h2: h2, rest: rest, ways: map[place]way{}, asking: map[place]chan struct{}{}}
	if o.Protocol == "" || o.Protocol == "auto" {
		fast.tls.NextProtos = []string{"h2", "http/1.1"}
		fast.chosen = func(to place) { a.learn(to, way{by: byFast}) }
	}
	return a, nil
}

// Close ends all connections. No exchange may be under way or follow.
func (a *Auto) Close() {
	a.fast.Close()
	a.h2.Close()
	a.rest.Close()
}

// Exchange sends q and reads the whole reply.
func (a *Auto) Exchange(ctx context.Context, worker int, q *engine.Request, p *engine.Response, t *Timing) error {
	h, ok := q.Way.(*host)
	if ok = ok && h.h1.Load(); !ok {
		switch w := a.way(q); w.by {
		case byAsking:
			return a.find(ctx, worker, q, p, t)
		case byFast:
		default:
			return a.exchange(ctx, w.by, worker, q, p, t)
		}
	}
	err := a.fast.Exchange(ctx, worker, q, p, t)
	if err != nil {
		return a.turn(ctx, worker, q, p, t, err)
	}
	return nil
}

// find makes an exchange with a host of which it is not known how to ask it.
func (a *Auto) find(ctx context.Context, worker int, q *engine.Request, p *engine.Response, t *Timing) error {
	var w way
	asked := time.Since(t.Base)
	for w.by == byAsking {
		first, answer := a.ask(placeOf(q))
		if first {
			defer a.answered(placeOf(q), answer)
			return a.exchange(ctx, byFast, worker, q, p, t)
		}
		if err := wait(ctx, t, answer); err != nil {
			t.begin()
			t.Start, t.End = asked, time.Since(t.Base)
			return err
		}
		if w = a.way(q); w.by == byAsking {
			return a.exchange(ctx, byFast, worker, q, p, t) // who asked got no answer: in a line the last would wait for all
		}
	}
	err := a.exchange(ctx, w.by, worker, q, p, t)
	if t.Start >= 0 {
		t.Start = asked // the connection that was waited for was dialled for this exchange, too
	}
	return err
}

// exchange goes one way, or another if the server will have it so.
func (a *Auto) exchange(ctx context.Context, by carrier, worker int, q *engine.Request, p *engine.Response, t *Timing) error {
	switch by {
	case byHTTP:
		return a.rest.Exchange(ctx, worker, q, p, t)
	case byH2:
		err := a.h2.Exchange(ctx, worker, q, p, t)
		if !errors.Is(err, errH1) || a.o.Protocol == "h2" {
			return err
		}
		a.learn(placeOf(q), way{by: byFast})
	}
	return a.turn(ctx, worker, q, p, t, a.fast.Exchange(ctx, worker, q, p, t))
}

// turn goes on by HTTP/2 where an exchange by HTTP/1.1 ended because the server
// will have it so.
func (a *Auto) turn(ctx context.Context, worker int, q *engine.Request, p *engine.Response, t *Timing, err error) error {
	c, ok := errors.AsType[*h2found](err)
	if !ok {
		return err
	}
	host, x, err := a.found(q, c)
	if err != nil {
		return err
	}
	if x == nil {
		t.Phases = engine.NoPhases() // those of a connection that is closed again
	} else {
		x.mu.Lock()
	}
	return a.h2.exchange(ctx, worker, host, x, q, p, t)
}

// found gives a connection that speaks HTTP/2 to those that do, before anybody
// knows that others could be opened. It comes with a place reserved; nil where
// there is no room for it.
func (a *Auto) found(q *engine.Request, c *h2found) (*h2host, *h2conn, error) {
	host, x, err := a.h2.take(c, q)
	a.learn(placeOf(q), way{by: byH2})
	return host, x, err
}

// Prepare does what can be done ahead.
func (a *Auto) Prepare(q *engine.Request) {
	if w := a.way(q); w.by == byFast || w.by == byAsking {
		a.fast.Prepare(q)
	}
}

// way returns the way to q's host.
func (a *Auto) way(q *engine.Request) way {
	a.mu.RLock()
	w := a.ways[placeOf(q)]
	a.mu.RUnlock()
	if w.by != byAsking {
		return w
	}
	switch {
	case a.proxied(q):
		w = way{byHTTP, "a proxy"}
	case a.o.Protocol == "h2":
		w.by = byH2
	case a.o.Protocol == "h1", q.Scheme != "https":
		w.by = byFast
	default:
		return w
	}
	a.learn(placeOf(q), w)
	return w
}

// proxied reports whether there is a proxy on the way to q's host, or it cannot
// be told.
func (a *Auto) proxied(q *engine.Request) bool {
	if a.o.Proxy == nil {
		return false
	}
	proxy, err := a.o.Proxy(&url.URL{Scheme: q.Scheme, Host: q.Host, Path: "/"})
	return proxy != nil || err != nil
}

// ask reports whether nobody is asking a host what it speaks, so that the
// caller is to. answer is closed when it is known, or could not be found out.
func (a *Auto) ask(to place) (first bool, answer chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer = a.asking[to]; answer != nil {
		return false, answer
	}
	answer = make(chan struct{})
	if a.ways[to].by != byAsking { // in the meantime
		close(answer)
		return false, answer
	}
	a.asking[to] = answer
	return true, answer
}

// answered lets those go on who wait for answer, if nobody has yet.
func (a *Auto) answered(to place, answer chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asking[to] == answer {
		delete(a.asking, to)
		close(answer)
	}
}

// learn remembers the way to a host, to a bounded number of them.
func (a *Auto) learn(to place, w way) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ways) >= maxHosts {
		clear(a.ways)
	}
	a.ways[to] = w
	if answer := a.asking[to]; answer != nil {
		delete(a.asking, to)
		close(answer)
	}
}

// wait waits for answer, as long as the exchange may.
func wait(ctx context.Context, t *Timing, answer <-chan struct{}) error {
	bound, cancel := t.bound(ctx)
	defer cancel()
	select {
	case <-answer:
		return nil
	case <-bound.Done():
		return context.Cause(bound)
	}
}

// A Way is how requests went to a host.
type Way struct {
	Host        string // with its scheme
	Because     string // why they went by net/http; "" where they did not
	Protocol    string // HTTP/1.1 or HTTP/2; "" where that was net/http's business, or no connection was made
	Connections int    // of HTTP/2: the most at once
	Ahead       int    // connections that were opened before anybody needed them
	Streams     int    // of HTTP/2: how many the server lets onto one connection; less than 0: it did not say
}

// Ways lists how requests went, by host.
func (a *Auto) Ways() []Way {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var all []Way
	for to, w := range a.ways {
		scheme := "http://"
		if to.secure {
			scheme = "https://"
		}
		one := Way{Host: scheme + to.host, Because: w.because, Streams: -1}
		switch w.by {
		case byFast:
			one.Protocol, one.Ahead = "HTTP/1.1", a.fast.ahead(to)
		case byH2:
			one.Protocol = "HTTP/2"
			one.Connections, one.Streams, one.Ahead = a.h2.seen(to)
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(x, y Way) int { return strings.Compare(x.Host, y.Host) })
	return all
}
