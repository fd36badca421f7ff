package invoke

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"volley/engine"
)

const (
	// wholeWrite is the largest body that goes out in one write with its head.
	wholeWrite = 64 << 10

	// sureWrite is the largest body whose writing does not wait.
	sureWrite = 4 << 10

	// lookAfter is how long a connection must have been idle for it to be
	// looked at before it is used again.
	lookAfter = 5 * time.Millisecond

	// lastWrite is how long the writing of a large body may still take when its
	// reply is there.
	lastWrite = 10 * time.Millisecond

	// forever is how long an exchange may take that has no timeout.
	forever = 24 * time.Hour

	maxHosts = 1024 // whose connections are kept; a redirect may lead to ever new ones
)

// A Fast is a Transport for HTTP/1.1, plain and over TLS, without proxies. Who
// sends a request does all the work on it: one write, and in the usual case
// one read, on a connection that nobody else has in the meantime.
//
// A request is sent once: on a connection that turns out to be dead nothing of
// it is written, and what breaks after that is a failure of the request's.
type Fast struct {
	opener
	o        Options
	maxReply int64
	epoch    time.Time // from which links count
	pages    pages
	chosen   func(to place) // is told when a server was offered HTTP/2 and chose HTTP/1.1; nil: none is offered it

	mu     sync.RWMutex
	closed bool
	hosts  map[place]*host
}

var _ Transport = (*Fast)(nil)

// NewFast returns a transport. Close it after use.
func NewFast(o Options) (*Fast, error) {
	open, err := newOpener(o, "http/1.1")
	if err != nil {
		return nil, err
	}
	return &Fast{opener: open, o: o, maxReply: cmp.Or(o.MaxReply, defaultMaxReply), epoch: time.Now(), hosts: map[place]*host{}}, nil
}

// Close ends all connections. No exchange may be under way or follow.
func (f *Fast) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for _, h := range f.hosts {
		h.close()
	}
}

// Exchange sends q once and reads the whole reply. p.Body is the caller's.
func (f *Fast) Exchange(ctx context.Context, _ int, q *engine.Request, p *engine.Response, t *Timing) error {
	now := t.Now
	if now == 0 {
		now = time.Since(t.Base)
	}
	until := t.Until
	if until == 0 {
		until = now + forever
	}
	t.Until = until
	t.begin()
	h, ok := q.Way.(*host)
	if !ok {
		var err error
		if h, err = f.host(q); err != nil {
			t.End = time.Since(t.Base)
			return err
		}
	}
	kept, shift := p.Body[:0], t.Base.Sub(f.epoch)
	for n := 0; ; n++ {
		l, err := h.get(ctx, now+shift, t)
		for err == errGone { //nolint:errorlint // it is never wrapped
			if h, err = f.host(q); err == nil {
				l, err = h.get(ctx, now+shift, t)
			}
		}
		if err != nil {
			t.End = time.Since(t.Base)
			return err
		}
		if t.Start < 0 {
			t.Start = now
		}
		l.until = until + shift
		again, err := l.exchange(ctx, q, p, t)
		p.Body = append(kept, p.Body...) // what the link has is the next one's
		l.reply.release()
		if err == nil && again && !f.o.NoKeepAlive {
			h.put(l, t.End+shift)
			break
		}
		h.drop(l)
		if err == nil {
			break
		}
		if !h.again(ctx, l, t, err) || n >= maxResends {
			return err
		}
		now = time.Since(t.Base)
	}
	return unpack(q, p, f.maxReply)
}

// again reports whether a request that failed can be sent once more: nothing of
// it has gone out. t is that of the next try then.
func (h *host) again(ctx context.Context, l *link, t *Timing, err error) bool {
	if t.Reused && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) && t.Phases.FirstByte < 0 {
		h.wary.Store(true)
	}
	if !l.untouched || ctx.Err() != nil {
		return false
	}
	t.again()
	return true
}

// host returns the one that q goes to.
func (f *Fast) host(q *engine.Request) (*host, error) {
	f.mu.RLock()
	h := f.hosts[placeOf(q)]
	f.mu.RUnlock()
	if h != nil {
		return h, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hostAt(placeOf(q))
}

// hostAt returns the host of a place, which it makes if there is none. f.mu is
// held.
func (f *Fast) hostAt(to place) (*host, error) {
	if f.closed {
		return nil, errClosed
	}
	if h := f.hosts[to]; h != nil {
		return h, nil
	}
	if len(f.hosts) >= maxHosts {
		for k, h := range f.hosts { // any that is not in use
			if !h.pinned && h.forget() {
				delete(f.hosts, k)
				break
			}
		}
	}
	h := &host{fast: f, to: to, all: map[*link]struct{}{}}
	f.hosts[to] = h
	return h, nil
}

// Prepare writes down how a request that is sent again and again goes out, and
// where to.
func (f *Fast) Prepare(q *engine.Request) {
	f.mu.Lock()
	if h, err := f.hostAt(placeOf(q)); err == nil {
		h.pinned = true
		q.Way = h
	}
	f.mu.Unlock()
	if len(q.Body) <= wholeWrite {
		q.H1 = append(appendHead(nil, q, f.o.UserAgent), q.Body...)
	}
}

// appendHead writes the head of a request (RFC 9112, section 3).
func appendHead(b []byte, q *engine.Request, agent string) []byte {
	b = append(b, cmp.Or(q.Verb, "GET")...)
	b = append(b, ' ')
	b = append(b, cmp.Or(q.Path, "/")...)
	if q.Query != "" {
		b = append(b, '?')
		b = append(b, q.Query...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	host := q.Host
	for i := range q.Header {
		switch name := q.Header[i].Name; {
		case len(name) == 4 && strings.EqualFold(name, "Host"):
			host = q.Header[i].Value
		case len(name) == 10 && strings.EqualFold(name, "User-Agent"):
			agent = ""
		}
	}
	b = append(b, host...)
	b = append(b, "\r\n"...)
	if agent != "" {
		b = append(append(append(b, "User-Agent: "...), agent...), "\r\n"...)
	}
	for i := range q.Header {
		f := &q.Header[i]
		if len(f.Name) == 4 && strings.EqualFold(f.Name, "Host") {
			continue
		}
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
	}
	if len(q.Body) > 0 || q.Verb == "POST" || q.Verb == "PUT" || q.Verb == "PATCH" {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(q.Body)), 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}
