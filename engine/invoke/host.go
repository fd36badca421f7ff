package invoke

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// A host has the connections to one address.
type host struct {
	fast    *Fast
	to      place
	address string // to dial
	secure  bool
	name    string // for TLS

	mu      sync.Mutex
	idle    []*link // the latest used last
	open    int
	waiting []chan *link // who waits for one, where their number is limited
	all     map[*link]struct{}

	// wary says that a connection broke on which nothing had come for a while:
	// the server closes without a word, so each is looked at before it is used.
	wary atomic.Bool
}

func (h *host) close() {
	h.mu.Lock()
	var all []*link
	for l := range h.all {
		all = append(all, l)
	}
	h.mu.Unlock()
	for _, l := range all {
		l.end()
	}
}

// forget reports whether nobody uses a connection of the host's; then they are
// closed.
func (h *host) forget() bool {
	h.mu.Lock()
	free := len(h.idle) == h.open && len(h.waiting) == 0
	h.mu.Unlock()
	if free {
		h.close()
	}
	return free
}

// get returns a connection that is alone the caller's: one that is idle, or a
// new one, or, where there may be no more, the next that becomes free.
func (h *host) get(ctx context.Context, until time.Time, t *Timing) (*link, error) {
	for {
		h.mu.Lock()
		if n := len(h.idle); n > 0 {
			l := h.idle[n-1]
			h.idle[n-1] = nil
			h.idle = h.idle[:n-1]
			h.mu.Unlock()
			if l.alive() {
				return l, nil
			}
			h.drop(l)
			continue
		}
		if most := h.fast.o.Connections; most > 0 && h.open >= most {
			free := make(chan *link, 1)
			h.waiting = append(h.waiting, free)
			h.mu.Unlock()
			l, err := h.wait(ctx, until, free)
			if err != nil || l != nil {
				return l, err
			}
			continue // there is room for another
		}
		h.open++
		h.mu.Unlock()
		l, err := h.connect(ctx, until, t)
		if err != nil {
			h.closedOne()
		}
		return l, err
	}
}

// wait waits for a connection that somebody gives up, or for leave to open
// another (nil).
func (h *host) wait(ctx context.Context, until time.Time, free chan *link) (*link, error) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	var err error
	select {
	case l := <-free:
		return l, nil
	case <-timer.C:
		err = errTimeout
	case <-ctx.Done():
		err = ctx.Err()
	}
	h.mu.Lock()
	for i, w := range h.waiting {
		if w == free {
			h.waiting = append(h.waiting[:i], h.waiting[i+1:]...)
			h.mu.Unlock()
			return nil, err
		}
	}
	h.mu.Unlock()
	if l := <-free; l != nil { // it came in the same moment: for the next
		h.put(l, time.Now())
	} else {
		h.closedOneOf(0)
	}
	return nil, err
}

// put takes a connection back that can carry another request.
func (h *host) put(l *link, at time.Time) {
	l.last = at
	h.mu.Lock()
	if len(h.waiting) > 0 {
		free := h.waiting[0]
		h.waiting = h.waiting[1:]
		h.mu.Unlock()
		free <- l
		return
	}
	most := cmp.Or(h.fast.o.Connections, h.fast.o.MaxIdle, defaultMaxIdle)
	if len(h.idle) >= most {
		h.mu.Unlock()
		h.drop(l)
		return
	}
	h.idle = append(h.idle, l)
	h.mu.Unlock()
}

// drop ends a connection.
func (h *host) drop(l *link) {
	l.end()
	h.mu.Lock()
	delete(h.all, l)
	h.mu.Unlock()
	h.closedOne()
}

func (h *host) closedOne() { h.closedOneOf(1) }

// closedOneOf counts connections that are no more, and lets who waits open
// another.
func (h *host) closedOneOf(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open -= n
	if len(h.waiting) > 0 {
		free := h.waiting[0]
		h.waiting = h.waiting[1:]
		free <- nil
	}
}

// connect opens a connection, and tells t what that took.
func (h *host) connect(ctx context.Context, until time.Time, t *Timing) (*link, error) {
	now := func() time.Duration { return time.Since(t.Base) }
	t.Start = now()
	ctx, cancel := context.WithDeadlineCause(ctx, until, errTimeout)
	defer cancel()
	dns := never
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { dns = now() },
		DNSDone:  func(httptrace.DNSDoneInfo) { t.Phases.DNS = now() - dns },
	})
	connect := now()
	raw, err := h.fast.dial(traced, "tcp", h.address)
	if err != nil {
		return nil, cause(ctx, err)
	}
	t.Phases.Connect = now() - connect - max(0, t.Phases.DNS)
	l := &link{Conn: raw, raw: raw, host: h}
	if h.secure {
		counted := &conn{Conn: raw, gone: func() {}} // TLS does not say what went out
		raw, l.raw = counted, counted
		began := now()
		config := h.fast.tls.Clone()
		config.ServerName = h.name
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, cause(ctx, err)
		}
		t.Phases.TLS = now() - began
		if secure.ConnectionState().NegotiatedProtocol == "h2" {
			return nil, &h2found{secure, counted}
		}
		if h.fast.chosen != nil {
			h.fast.chosen(h.to)
		}
		l.Conn = secure
	}
	l.reply = replyReader{from: l, began: func() { l.first = time.Since(l.base) }}
	h.mu.Lock()
	h.all[l] = struct{}{}
	h.mu.Unlock()
	return l, nil
}

// cause is why a context ended, where it has, in place of an error that only
// says so.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}
