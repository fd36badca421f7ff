package invoke

import (
	"context"
	"errors"
	"net/url"
	"sync"

	"volley/engine"
)

// An Auto is a Transport that takes the fast way where there is one, and
// net/http for the rest: HTTP/2 and proxies.
type Auto struct {
	o    Options
	fast *Fast
	rest *HTTP

	mu   sync.RWMutex
	ways map[place]bool // whether the fast way is open
}

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
	return &Auto{o: o, fast: fast, rest: rest, ways: map[place]bool{}}, nil
}

// Close ends all connections. No exchange may be under way or follow.
func (a *Auto) Close() {
	a.fast.Close()
	a.rest.Close()
}

// Exchange sends q once and reads the whole reply.
func (a *Auto) Exchange(ctx context.Context, worker int, q *engine.Request, p *engine.Response, t *Timing) error {
	if a.open(q) {
		before := *t
		err := a.fast.Exchange(ctx, worker, q, p, t)
		if !errors.Is(err, errH2) {
			return err
		}
		a.learn(placeOf(q), false)
		*t = before
	}
	return a.rest.Exchange(ctx, worker, q, p, t)
}

// Prepare does what can be done ahead.
func (a *Auto) Prepare(q *engine.Request) {
	if a.open(q) {
		a.fast.Prepare(q)
	}
}

// open reports whether the fast way is open to q's host.
func (a *Auto) open(q *engine.Request) bool {
	a.mu.RLock()
	way, known := a.ways[placeOf(q)]
	a.mu.RUnlock()
	if known {
		return way
	}
	way = a.o.Protocol != "h2"
	if a.o.Proxy != nil && way {
		proxy, err := a.o.Proxy(&url.URL{Scheme: q.Scheme, Host: q.Host, Path: "/"})
		way = proxy == nil && err == nil
	}
	a.learn(placeOf(q), way)
	return way
}

// learn remembers the way to a host, to a bounded number of them.
func (a *Auto) learn(to place, way bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ways) >= maxHosts {
		clear(a.ways)
	}
	a.ways[to] = way
}
