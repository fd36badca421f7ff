package invoke

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"volley/engine"
)

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

var _ io.Reader = (*link)(nil)

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
		again = l.finish(wrote, err == nil && again) && again
	}
	whole := l.unwatch()
	if err != nil && ctx.Err() != nil {
		err = cause(ctx, err)
	}
	return again && whole, err
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
	_ = l.raw.SetWriteDeadline(time.Unix(1, 0)) // nobody reads the rest
	return <-wrote == nil && good
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
		_, err := l.Conn.Write(q.Body) // the head has gone out, so that nothing is untouched any more
		wrote <- err
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
