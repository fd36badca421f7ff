package invoke

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
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
	ways map[place]string // why the fast way is not open; "" where it is
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
	return &Auto{o: o, fast: fast, rest: rest, ways: map[place]string{}}, nil
}

// Close ends all connections. No exchange may be under way or follow.
func (a *Auto) Close() {
	a.fast.Close()
	a.rest.Close()
}

// Exchange sends q once and reads the whole reply.
func (a *Auto) Exchange(ctx context.Context, worker int, q *engine.Request, p *engine.Response, t *Timing) error {
	h, ready := q.Way.(*host)
	if ready && !h.h2.Load() || !ready && a.open(q) {
		before := *t
		err := a.fast.Exchange(ctx, worker, q, p, t)
		if !errors.Is(err, errH2) {
			return err
		}
		if a.learn(placeOf(q), "HTTP/2"); ready {
			h.h2.Store(true)
		}
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
	why, known := a.ways[placeOf(q)]
	a.mu.RUnlock()
	if known {
		return why == ""
	}
	if a.o.Protocol == "h2" {
		why = "HTTP/2"
	} else if a.o.Proxy != nil {
		if proxy, err := a.o.Proxy(&url.URL{Scheme: q.Scheme, Host: q.Host, Path: "/"}); proxy != nil || err != nil {
			why = "a proxy"
		}
	}
	a.learn(placeOf(q), why)
	return why == ""
}

// A Way is how requests went to a host.
type Way struct {
	Host    string // with its scheme
	Because string // why they went by net/http; "" where they did not
}

// Ways lists how requests went, by host.
func (a *Auto) Ways() []Way {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var all []Way
	for to, why := range a.ways {
		scheme := "http://"
		if to.secure {
			scheme = "https://"
		}
		all = append(all, Way{scheme + to.host, why})
	}
	slices.SortFunc(all, func(x, y Way) int { return strings.Compare(x.Host, y.Host) })
	return all
}

// learn remembers the way to a host, to a bounded number of them.
func (a *Auto) learn(to place, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ways) >= maxHosts {
		clear(a.ways)
	}
	a.ways[to] = why
}
