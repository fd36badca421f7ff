package invoke

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"time"

	"volley/engine"
)

// longestPause bounds the wait before a request is sent again that the server
// had no stream for.
const longestPause = 64 * time.Millisecond

// errH1 says that a server, which was offered HTTP/2, did not choose it.
var errH1 = malformed("the server does not speak HTTP/2: it did not choose it when TLS began")

// An H2 is a Transport for HTTP/2, over TLS and, by prior knowledge, without,
// and without proxies. Many exchanges share a connection, on a stream each; a
// further one is opened where the server lets no more onto those that there are,
// or where Options.Connections asks for several.
//
// A request is sent again only if the server cannot have processed it: nothing
// of it had gone out, or the server said so (RFC 9113, section 8.7).
type H2 struct {
	opener
	o        Options
	maxReply int64
	static   *[61]h2field
	spare    sync.Pool      // of *h2stream
	running  sync.WaitGroup // what reads and writes connections

	mu     sync.RWMutex
	closed bool
	hosts  map[place]*h2host
}

var _ Transport = (*H2)(nil)

// NewH2 returns a transport. Close it after use.
func NewH2(o Options) (*H2, error) {
	offers := []string{"h2", "http/1.1"}
	if o.Protocol == "h2" {
		offers = offers[:1]
	}
	open, err := newOpener(o, offers...)
	if err != nil {
		return nil, err
	}
	return &H2{opener: open, o: o, maxReply: cmp.Or(o.MaxReply, defaultMaxReply), static: staticFields(), hosts: map[place]*h2host{}}, nil
}

// Close ends all connections. No exchange may be under way or follow.
func (h *H2) Close() {
	h.mu.Lock()
	h.closed = true
	for _, host := range h.hosts {
		host.close()
	}
	h.mu.Unlock()
	h.running.Wait()
}

// Exchange sends q and reads the whole reply. p.Header and p.Body are used
// again.
func (h *H2) Exchange(ctx context.Context, worker int, q *engine.Request, p *engine.Response, t *Timing) error {
	t.begin()
	t.Now = 0 // a connection may have to be waited for
	host, err := h.host(q)
	if err != nil {
		t.End = time.Since(t.Base)
		return err
	}
	return h.exchange(ctx, worker, host, nil, q, p, t)
}

// exchange makes an exchange, on x if it is not nil: a place is reserved there,
// and it is locked.
func (h *H2) exchange(ctx context.Context, worker int, host *h2host, x *h2conn, q *engine.Request, p *engine.Response, t *Timing) error {
	until := t.Base.Add(t.Until)
	if t.Until == 0 {
		until = time.Now().Add(forever)
	}
	s, ok := h.spare.Get().(*h2stream)
	if !ok {
		s = &h2stream{done: make(chan struct{}, 1)}
	}
	for n := 0; ; n++ {
		var err error
		if x == nil {
			x, err = host.get(ctx, worker, until, t)
			for err == errGone { //nolint:errorlint // it is never wrapped
				if host, err = h.host(q); err == nil {
					x, err = host.get(ctx, worker, until, t)
				}
			}
			if err != nil {
				t.End = time.Since(t.Base)
				return err
			}
		}
		s.q, s.again, s.busy = q, true, false
		if err = x.carry(ctx, until, s, t); err == nil {
			break
		}
		if !s.again || ctx.Err() != nil || n >= maxResends {
			return err
		}
		if s.busy && sleep(ctx, min(time.Until(until), longestPause, time.Millisecond<<min(n, 10))) != nil {
			return err
		}
		t.again()
		x = nil
	}
	p.Status, p.Proto = s.head.status, "HTTP/2.0"
	p.Header = append(p.Header[:0], s.head.header...)
	p.Body = append(p.Body[:0], s.body...)
	if cap(s.body) > keptBody {
		s.body = nil
	}
	h.spare.Put(s)
	return unpack(q, p, h.maxReply)
}

// carry makes one exchange on the connection, which is locked and has a place
// reserved for it.
func (x *h2conn) carry(ctx context.Context, until time.Time, s *h2stream, t *Timing) error {
	shift := x.base.Sub(t.Base) // between the clocks
	began := time.Since(t.Base)
	if t.Start < 0 {
		t.Start = began
	}
	var err error
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil && !x.kept() {
		err = errClosed // in the meantime; s.again is set
	}
	flush := false
	if err == nil {
		s.until = until.Sub(x.base)
		flush, err = x.start(ctx, s)
		s.again = false
	}
	if err != nil {
		x.active--
		x.mu.Unlock()
		x.host.changed(x)
		t.End = time.Since(t.Base)
		return err
	}
	alone := x.active == 1
	body := len(s.q.Body)
	x.mu.Unlock()
	if flush {
		if !alone {
			runtime.Gosched() // others may have something to send as well
		}
		x.flush()
	}
	<-s.done

	t.Reused = s.id > 1 && t.Phases.Connect < 0
	t.End = s.end + shift
	t.BytesIn = s.size
	if s.sent == never {
		return s.err
	}
	t.BytesOut = int64(body - len(s.rest))
	sent := s.sent
	if s.first != never {
		sent = min(sent, s.first) // it answers before it has read everything
		t.Phases.FirstByte = s.first - sent
		t.Phases.Receive = s.end - s.first
	}
	t.Phases.Send = max(0, sent+shift-began)
	return s.err
}

// host returns the one that q goes to.
func (h *H2) host(q *engine.Request) (*h2host, error) {
	h.mu.RLock()
	host := h.hosts[placeOf(q)]
	h.mu.RUnlock()
	if host != nil {
		return host, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	if host = h.hosts[placeOf(q)]; host != nil {
		return host, nil
	}
	if len(h.hosts) >= maxHosts {
		for k, old := range h.hosts { // any that is not in use
			if old.forget() {
				delete(h.hosts, k)
				break
			}
		}
	}
	host = &h2host{h2: h, to: placeOf(q), all: map[*h2conn]struct{}{}, limit: -1}
	host.list.Store(new([]*h2conn))
	h.hosts[host.to] = host
	return host, nil
}

// seen returns how many connections there were to a place at most, how many
// streams its server wants on one, less than 0 where it did not say, and how
// many connections were opened ahead.
func (h *H2) seen(to place) (connections, streams, ahead int) {
	h.mu.RLock()
	host := h.hosts[to]
	h.mu.RUnlock()
	if host == nil {
		return 0, -1, 0
	}
	host.mu.Lock()
	defer host.mu.Unlock()
	return host.most, host.limit, int(host.early.Load())
}

// An h2found is a connection that was dialled for HTTP/1.1, and whose server
// has chosen HTTP/2.
type h2found struct {
	secure *tls.Conn
	under  *conn    // what is under TLS
	raw    net.Conn // and under that
	ahead  []byte   // read off it, and not yet by TLS
}

func (*h2found) Error() string { return "the server speaks HTTP/2" }

// take takes a connection that speaks HTTP/2. It comes with a place reserved;
// nil where there is no room for it.
func (h *H2) take(found *h2found, q *engine.Request) (*h2host, *h2conn, error) {
	host, err := h.host(q)
	if err != nil {
		_ = found.secure.Close()
		return nil, nil, err
	}
	wire := newWire(found.raw, h.o.Stamped)
	wire.end = copy(wire.buf, found.ahead)
	found.under.Conn, found.under.from = wire, nil // nobody uses it at the moment
	x := host.adopt(found.secure, wire)
	if x != nil {
		x.mu.Unlock()
	}
	return host, x, nil
}
