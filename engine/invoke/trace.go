package invoke

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"

	"volley/engine"
)

// A trace collects when the parts of one exchange happened. net/http calls
// its hooks from several goroutines, some of them after the exchange is over:
// a dial goes on when its request has got another connection in the meantime.
// So each exchange has a trace of its own, behind a lock, and one is used again
// only when all its hooks must have fired.
type trace struct {
	hooks context.Context //nolint:containedctx // it has no deadline, only what makes net/http report here

	mu    sync.Mutex
	base  time.Time
	over  bool          // later hooks are about somebody else's connection
	start time.Duration // dialling began or a connection was in hand, whichever came first

	dnsStart, dnsDone         time.Duration
	connectStart, connectDone time.Duration
	tlsStart, tlsDone         time.Duration
	got, wrote, first         time.Duration

	reused  bool
	idle    bool  // the connection was free at once, so that none was dialled
	resumed bool  // the request was sent once more
	stream  bool  // HTTP/2
	conn    *conn // in hand, when it is one of ours
	before  int64 // what conn had written when we got it
}

// never is the time of what has not happened.
const never = time.Duration(-1)

func newTrace() *trace {
	t := new(trace)
	t.hooks = httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		DNSStart:             func(httptrace.DNSStartInfo) { t.begin(&t.dnsStart) },
		DNSDone:              func(httptrace.DNSDoneInfo) { t.mark(&t.dnsDone) },
		ConnectStart:         func(string, string) { t.begin(&t.connectStart) },
		ConnectDone:          t.connected,
		TLSHandshakeStart:    func() { t.mark(&t.tlsStart) },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { t.mark(&t.tlsDone) },
		GotConn:              t.gotConn,
		WroteRequest:         t.wroteRequest,
		GotFirstResponseByte: func() { t.mark(&t.first) },
	})
	return t
}

// open makes t ready for an exchange.
func (t *trace) open(base time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.base, t.start, t.over, t.idle, t.resumed = base, never, false, false, false
	t.again()
}

// with returns ctx with t's hooks in it.
func (t *trace) with(ctx context.Context) context.Context { return traced{ctx, t.hooks} }

// A traced is a context with the values of another. Wrapping ctx itself for
// every exchange would make a dozen small objects.
type traced struct {
	context.Context                 //nolint:containedctx // it is a context itself
	hooks           context.Context //nolint:containedctx // asked for its values alone
}

func (c traced) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.hooks.Value(key)
}

// again forgets everything but the start: the request is sent once more.
func (t *trace) again() {
	t.dnsStart, t.dnsDone, t.connectStart, t.connectDone = never, never, never, never
	t.tlsStart, t.tlsDone, t.got, t.wrote, t.first = never, never, never, never, never
	t.conn, t.reused, t.stream = nil, false, false
}

// mark sets a time to now.
func (t *trace) mark(when *time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.base)
	if !t.over {
		*when = now
	}
}

// begin sets the time of a part of dialling that begins. Dials to several
// addresses run side by side: the first counts.
func (t *trace) begin(when *time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.base)
	if t.over {
		return
	}
	if t.start == never {
		t.start = now
	}
	if *when == never {
		*when = now
	}
}

func (t *trace) connected(_, _ string, err error) {
	if err == nil {
		t.mark(&t.connectDone)
	}
}

func (t *trace) wroteRequest(info httptrace.WroteRequestInfo) {
	if info.Err == nil {
		t.mark(&t.wrote)
	}
}

func (t *trace) gotConn(info httptrace.GotConnInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.base)
	if t.over {
		return
	}
	if t.start == never {
		t.start = now
	}
	t.idle = info.WasIdle && t.got == never && !t.resumed
	t.got, t.reused = now, info.Reused
	t.wrote, t.first = never, never
	raw := info.Conn
	if c, ok := raw.(*tls.Conn); ok {
		t.stream = c.ConnectionState().NegotiatedProtocol == "h2"
		raw = c.NetConn()
	}
	if t.conn, _ = raw.(*conn); t.conn != nil {
		t.before = t.conn.written.Load()
	}
}

// untouched reports whether the exchange failed on a connection that had
// served before, and nothing of the request went out on it: the server had
// hung up, and cannot have seen the request.
func (t *trace) untouched() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reused && t.conn != nil && !t.stream && t.conn.written.Load() == t.before
}

// resume makes t ready for the request to be sent once more.
func (t *trace) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resumed = true
	t.again()
}

// finish closes the trace and writes what it has to to, of a request with a
// body of so many bytes. It reports whether no
// hook can fire any more: none was dialling, and the request was written and
// answered, each of which HTTP/1.1 tells once.
func (t *trace) finish(to *Timing, end time.Duration, body int64) (quiet bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	quiet = t.idle && !t.stream && t.wrote != never && t.first != never
	to.Start, to.End, to.Reused = t.start, end, t.reused
	to.Phases = engine.NoPhases()
	p := &to.Phases
	if !t.reused && (t.got == never || t.connectDone != never) {
		// With a connection in hand that is not ours to account for (another
		// request dialled it, and ours goes on), connectDone is not there yet.
		p.DNS = between(t.dnsStart, t.dnsDone)
		p.Connect = between(t.connectStart, t.connectDone)
		p.TLS = between(t.tlsStart, t.tlsDone)
	}
	if t.got == never {
		return false
	}
	if t.wrote == never || t.first != never && t.wrote > t.first {
		t.wrote = t.first // it answered before it had read everything
	}
	p.Send = between(t.got, t.wrote)
	to.BytesOut = 0
	if t.wrote != never {
		to.BytesOut = body
	}
	p.FirstByte = between(t.wrote, t.first)
	p.Receive = between(t.first, end)
	return quiet
}

// between returns how long a part took, less than 0 if it did not happen or
// did not end.
func between(from, to time.Duration) time.Duration {
	if from == never || to == never {
		return never
	}
	return max(0, to-from)
}
