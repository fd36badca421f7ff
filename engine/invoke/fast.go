package invoke

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"volley/engine"
)

const (
	// wholeWrite is the largest body that goes out in one write with its head.
	wholeWrite = 64 << 10

	// lookAfter is how long a connection must have been idle for it to be
	// looked at before it is used again.
	lookAfter = 5 * time.Millisecond

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
	o        Options
	tls      *tls.Config
	maxReply int64
	dial     func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.RWMutex
	closed bool
	hosts  map[place]*host
}

// A place is where connections lead.
type place struct {
	secure bool
	host   string
}

func placeOf(q *engine.Request) place { return place{q.Scheme == "https", q.Host} }

var _ Transport = (*Fast)(nil)

// A host has the connections to one address.
type host struct {
	fast    *Fast
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

// A link is one connection. Who has it has it alone.
type link struct {
	net.Conn
	raw   net.Conn // under TLS
	host  *host
	reply replyReader
	out   []byte
	used  bool
	last  time.Time // when it became idle

	armed time.Time // the deadline that is set
	until time.Time // when the exchange under way must end

	mu    sync.Mutex
	ctx   context.Context //nolint:containedctx // whose end cuts what is going on; many requests share one
	stop  func() bool     // ends that watch
	busy  bool            // something is going on
	isCut bool

	first time.Duration // when the reply under way began
	base  time.Time

	served    bool // before the request under way
	untouched bool // nothing of the last request went out, on a connection that had served before
}

// errH2 says that a server wants to speak HTTP/2.
var errH2 = errors.New("the server speaks HTTP/2")

// NewFast returns a transport. Close it after use.
func NewFast(o Options) (*Fast, error) {
	roots, err := trusted(o.CAFile)
	if err != nil {
		return nil, err
	}
	f := &Fast{
		o: o, maxReply: cmp.Or(o.MaxReply, defaultMaxReply), dial: o.Dial, hosts: map[place]*host{},
		tls: &tls.Config{RootCAs: roots, InsecureSkipVerify: o.Insecure, ClientSessionCache: tls.NewLRUClientSessionCache(0), NextProtos: []string{"http/1.1"}},
	}
	if o.Protocol == "" || o.Protocol == "auto" {
		f.tls.NextProtos = []string{"h2", "http/1.1"}
	}
	if f.dial == nil {
		f.dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	}
	return f, nil
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

// Exchange sends q once and reads the whole reply. p.Body is good until the
// connection carries another reply; the caller copies what it wants to keep.
func (f *Fast) Exchange(ctx context.Context, _ int, q *engine.Request, p *engine.Response, t *Timing) error {
	until := t.Base.Add(t.Until)
	if t.Until == 0 {
		until = time.Now().Add(forever)
	}
	kept := p.Body[:0]
	*t = Timing{Base: t.Base, Until: t.Until, Start: never, Phases: engine.NoPhases()}
	h, err := f.host(q)
	if err != nil {
		t.End = time.Since(t.Base)
		return err
	}
	for n := 0; ; n++ {
		l, err := h.get(ctx, until, t)
		if err != nil {
			t.End = time.Since(t.Base)
			return err
		}
		again, err := l.exchange(ctx, until, q, p, t)
		p.Body = append(kept, p.Body...) // what the link has is the next one's
		if err == nil && again && !f.o.NoKeepAlive {
			h.put(l, t.Base.Add(t.End))
			break
		}
		h.drop(l)
		if err == nil {
			break
		}
		if t.Reused && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) && t.Phases.FirstByte < 0 {
			h.wary.Store(true)
		}
		if !l.untouched || ctx.Err() != nil || n >= maxResends {
			return err
		}
		start := t.Start
		*t = Timing{Base: t.Base, Until: t.Until, Start: start, Phases: engine.NoPhases()}
	}
	if p.Get("Content-Encoding") == "gzip" && asksGzip(q) {
		p.Body, err = unzip(p.Body, f.maxReply)
	}
	return err
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
	if f.closed {
		return nil, errClosed
	}
	if len(f.hosts) >= maxHosts {
		for k, h := range f.hosts { // any that is not in use
			if h.forget() {
				delete(f.hosts, k)
				break
			}
		}
	}
	name, port, err := net.SplitHostPort(q.Host)
	if err != nil {
		name, port = strings.Trim(q.Host, "[]"), "80"
		if q.Scheme == "https" {
			port = "443"
		}
	}
	h = &host{fast: f, address: net.JoinHostPort(name, port), secure: q.Scheme == "https", name: name, all: map[*link]struct{}{}}
	f.hosts[placeOf(q)] = h
	return h, nil
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
			_ = secure.Close()
			return nil, errH2
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

// alive reports whether a connection that was idle can be used: that the other
// side has neither closed it nor sent what nobody asked for.
func (l *link) alive() bool {
	idle := time.Since(l.last)
	if idle < lookAfter && !l.host.wary.Load() {
		return true
	}
	raw := l.raw
	if c, ok := raw.(*conn); ok {
		raw = c.Conn
	}
	return idle < idleTime && still(raw)
}

// end closes the connection. Somebody may be told so by the watch as well.
func (l *link) end() {
	l.mu.Lock()
	if l.stop != nil {
		l.stop()
	}
	l.mu.Unlock()
	_ = l.Conn.Close() // it is given up, whatever it says
}

// watch lets the end of ctx cut what is going on, until unwatch. Most requests
// of a run share their context, so the same is watched again for nothing. It
// reports false when ctx has ended.
func (l *link) watch(ctx context.Context) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.isCut = true, false
	if l.ctx != ctx {
		if l.stop != nil {
			l.stop()
		}
		l.ctx, l.stop = ctx, nil
		if ctx.Done() != nil {
			l.stop = context.AfterFunc(ctx, func() { l.cut(ctx) })
		}
	}
	return ctx.Err() == nil
}

// cut ends what is going on for ctx.
func (l *link) cut(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy && l.ctx == ctx {
		l.isCut = true
		_ = l.raw.SetDeadline(time.Unix(1, 0))
	}
}

// unwatch reports whether nothing was cut.
func (l *link) unwatch() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
	return !l.isCut
}

// exchange writes the request and reads the reply.
func (l *link) exchange(ctx context.Context, until time.Time, q *engine.Request, p *engine.Response, t *Timing) (again bool, err error) {
	if t.Start < 0 {
		t.Start = time.Since(t.Base)
	}
	began := t.Start
	if !l.used && !l.last.IsZero() || t.Phases.Connect >= 0 {
		began = time.Since(t.Base)
	}
	t.Reused, l.served, l.used, l.untouched = l.used, l.used, true, false
	l.base, l.first = t.Base, never
	if !l.watch(ctx) {
		t.End = time.Since(t.Base)
		l.unwatch()
		return false, context.Cause(ctx)
	}
	l.until = until
	if now := t.Base.Add(began); l.armed.After(until) || l.armed.Sub(now) < until.Sub(now)/2 || len(q.Body) > wholeWrite {
		l.arm()
	}
	wrote, err := l.send(q, t)
	if err == nil {
		t.BytesOut = int64(len(q.Body))
		sent := time.Since(t.Base)
		t.Phases.Send = sent - began
		if l.raw == l.Conn {
			runtime.Gosched()
		}
		again, err = l.reply.next(q.Verb, l.host.fast.maxReply, p)
		t.BytesIn = int64(len(p.Body))
		if l.first != never && l.reply.fills <= 1 && err == nil {
			t.End = l.first // it came in one piece
		} else {
			t.End = time.Since(t.Base)
		}
		if l.first != never {
			t.Phases.FirstByte = l.first - sent
			t.Phases.Receive = t.End - l.first
		}
	} else {
		t.End = time.Since(t.Base)
	}
	if wrote != nil {
		if err != nil || !again {
			_ = l.raw.SetWriteDeadline(time.Unix(1, 0)) // nobody reads the rest
		}
		if e := <-wrote; e != nil {
			again = false
		}
	}
	whole := l.unwatch()
	if err != nil && ctx.Err() != nil {
		err = cause(ctx, err)
	}
	return again && whole, err
}

// arm sets the time at which reading and writing end. That costs as much as a
// histogram's update and more, so an alarm that was set for an earlier request
// stays while it leaves half of the time; when it rings too early, it is set
// anew.
func (l *link) arm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		return // for good
	}
	l.armed = l.until
	_ = l.raw.SetDeadline(l.until) // a connection that is closed says so when it is read
}

// Read implements io.Reader, for the reply. An alarm that was set for an
// earlier request is set anew.
func (l *link) Read(b []byte) (int, error) {
	for {
		n, err := l.Conn.Read(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if l.ctx.Err() != nil || !time.Now().Before(l.until) {
			return 0, errTimeout
		}
		l.arm()
	}
}

// Prepare writes down how a request that is sent again and again goes out.
func (f *Fast) Prepare(q *engine.Request) {
	if len(q.Body) <= wholeWrite {
		q.H1 = append(appendHead(nil, q, f.o.UserAgent), q.Body...)
	}
}

// send writes the request. A large body is written by another goroutine, so
// that a server may answer before it has read it; it reports there.
func (l *link) send(q *engine.Request, t *Timing) (<-chan error, error) {
	if q.H1 != nil {
		return nil, l.write(q.H1)
	}
	l.out = appendHead(l.out[:0], q, l.host.fast.o.UserAgent)
	if len(q.Body) <= wholeWrite {
		l.out = append(l.out, q.Body...)
		return nil, l.write(l.out)
	}
	if err := l.write(l.out); err != nil {
		return nil, err
	}
	wrote := make(chan error, 1)
	go func() {
		wrote <- l.write(q.Body)
	}()
	return wrote, nil
}

func (l *link) write(b []byte) error {
	var before int64
	under, secure := l.raw.(*conn)
	if secure {
		before = under.written.Load()
	}
	n, err := l.Conn.Write(b)
	if secure {
		n = int(under.written.Load() - before)
	}
	l.untouched = err != nil && n == 0 && l.served
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errTimeout
	}
	return err
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

var _ io.Reader = (*link)(nil)
