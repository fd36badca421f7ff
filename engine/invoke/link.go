package invoke

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"volley/engine"
)

// A link is one connection. Who has it has it alone.
type link struct {
	net.Conn               // what requests are written to: the socket, or TLS over it
	sock     *socket       // under all
	records  *recordReader // what TLS reads; nil without
	counted  *conn         // what it writes to, for it does not say what went out; nil without
	host     *host
	reply    replyReader
	out      []byte

	// Times since the transport's epoch.
	last  time.Duration // it became idle
	armed time.Duration // the deadline that is set
	until time.Duration // the exchange under way must end

	used      bool // it has carried a request
	served    bool // before the request under way
	untouched bool // nothing of the last request went out, on a connection that had served before

	base  time.Time     // that of the exchange under way
	began time.Duration // its writing
	first time.Duration // and its reply

	state atomic.Int32 // idle, busy or cut
	mu    sync.Mutex
	ctx   context.Context //nolint:containedctx // whose end cuts what is going on; many requests share one
	stop  func() bool     // ends that watch
}

// What state can be.
const (
	idle  = iota
	busy  // an exchange is under way
	isCut // and was ended with its context
)

var _ io.Reader = (*link)(nil)

// alive reports whether a connection that was idle can be used: that the other
// side has neither closed it nor sent what nobody asked for.
func (l *link) alive(now time.Duration) bool {
	quiet := now - l.last
	if quiet < lookAfter && !l.host.wary.Load() {
		return true
	}
	if l.armed <= now {
		l.armed = 0
		_ = l.sock.SetDeadline(time.Time{}) // one that is over keeps us from looking
	}
	return quiet < idleTime && still(l.sock.Conn)
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
	if l.ctx != ctx {
		l.follow(ctx)
	}
	l.state.Store(busy)
	return ctx.Err() == nil // looked at after that, or its end might come between
}

// follow watches another context.
func (l *link) follow(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil {
		l.stop()
	}
	l.ctx, l.stop = ctx, nil
	if ctx.Done() != nil {
		l.stop = context.AfterFunc(ctx, func() { l.cut(ctx) })
	}
}

// cut ends what is going on for ctx.
func (l *link) cut(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == ctx && l.state.CompareAndSwap(busy, isCut) {
		_ = l.sock.SetDeadline(time.Unix(1, 0))
	}
}

// unwatch reports whether nothing was cut.
func (l *link) unwatch() bool { return l.state.Swap(idle) == busy }

// exchange writes the request and reads the reply. The connection is in hand
// since t.Start; that is now, unless it was opened for this request.
func (l *link) exchange(ctx context.Context, q *engine.Request, p *engine.Response, t *Timing) (again bool, err error) {
	began := t.Start
	t.Reused, l.served, l.used, l.untouched = l.used, l.used, true, false
	l.base, l.first = t.Base, never
	if !l.watch(ctx) {
		t.End = time.Since(t.Base)
		l.unwatch()
		return false, context.Cause(ctx)
	}
	if t.Phases.Connect >= 0 {
		began = time.Since(t.Base)
	}
	l.began = began
	if now := began + l.until - t.Until; l.armed > l.until || l.armed-now < (l.until-now)/2 || len(q.Body) > sureWrite {
		l.arm()
	}
	wrote, err := l.send(q)
	if err != nil {
		t.End = time.Since(t.Base)
	} else {
		sent := time.Since(t.Base)
		t.BytesOut, t.Phases.Send = int64(len(q.Body)), sent-began
		again, err = l.receive(q, p, t, sent)
	}
	if wrote != nil {
		again = l.finish(wrote, err == nil && again) && again
	}
	whole := l.unwatch()
	if err != nil && ctx.Err() != nil {
		err = cause(ctx, err)
	}
	return again && whole && l.quiet(), err
}

// receive reads the reply to a request that was sent.
func (l *link) receive(q *engine.Request, p *engine.Response, t *Timing, sent time.Duration) (again bool, err error) {
	if l.counted == nil && l.sock.soon {
		runtime.Gosched()
	}
	l.reply.keep = q.Keep
	again, err = l.reply.next(q.Verb, l.host.fast.maxReply, p)
	t.BytesIn = l.reply.size
	if l.first == never {
		t.End = time.Since(t.Base)
		return again, err
	}
	if t.End = l.first; l.reply.fills > 1 || err != nil { // else it came in one piece
		t.End = l.came()
	}
	if l.first < sent { // we came late to look at the clock
		sent = l.first
		t.Phases.Send = sent - l.began
	}
	t.Phases.FirstByte, t.Phases.Receive = l.first-sent, t.End-l.first
	l.sock.soon = t.Phases.FirstByte < soonest
	return again, err
}

// came returns when what was read last came in.
func (l *link) came() time.Duration {
	return l.sock.stamp.since(l.base, l.began)
}

// finish ends the writing of a large body when the reply is there, or failed.
// It reports whether all of it went out: what the server has not taken by then
// it does not want.
func (l *link) finish(wrote <-chan error, good bool) bool {
	if good {
		moment := time.NewTimer(lastWrite)
		defer moment.Stop()
		select {
		case err := <-wrote:
			return err == nil
		case <-moment.C:
		}
	}
	l.armed = 0
	_ = l.sock.SetWriteDeadline(time.Unix(1, 0)) // nobody reads the rest
	return <-wrote == nil && good
}

// arm sets the time at which reading and writing end. That costs as much as a
// histogram's update and more, so an alarm that was set for an earlier request
// stays while it leaves half of the time; when it rings too early, it is set
// anew.
func (l *link) arm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Load() == isCut {
		return // for good
	}
	l.armed = l.until
	_ = l.sock.SetDeadline(l.host.fast.epoch.Add(l.until)) // a connection that is closed says so when it is read
}

// Read implements io.Reader, for the reply.
func (l *link) Read(b []byte) (int, error) {
	for {
		n, err := l.Conn.Read(b)
		if n > 0 || err == nil || !l.rang(&err) {
			return n, err
		}
	}
}

// page reads the first of a reply on a connection without TLS.
func (l *link) page() ([]byte, int, error) {
	for {
		page, n, err := l.sock.ReadPage()
		if err == nil || !l.rang(&err) {
			return page, n, err
		}
	}
}

// rang reports whether reading ended only because of an alarm that had been
// set for an earlier request, and sets it anew. If it is this request's, that
// becomes the error.
func (l *link) rang(err *error) bool {
	if !errors.Is(*err, os.ErrDeadlineExceeded) {
		return false
	}
	if l.ctx.Err() != nil || time.Since(l.host.fast.epoch) >= l.until {
		*err = errTimeout
		return false
	}
	l.arm()
	return true
}

// send writes the request. A large body is written by another goroutine, so
// that a server may answer before it has read it; it reports there.
func (l *link) send(q *engine.Request) (<-chan error, error) {
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
		_, err := l.Conn.Write(q.Body) // the head has gone out, so that nothing is untouched any more
		wrote <- err
	}()
	return wrote, nil
}

func (l *link) write(b []byte) error {
	var before int64
	if l.counted != nil {
		before = l.counted.written.Load()
	}
	n, err := l.Conn.Write(b)
	if err == nil {
		return nil
	}
	if l.counted != nil {
		n = int(l.counted.written.Load() - before)
	}
	l.untouched = n == 0 && l.served
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errTimeout
	}
	return err
}
