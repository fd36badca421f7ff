package invoke

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"volley/engine"
)

const (
	// replyWindow is how much of a reply a server may send before we say that
	// it may go on, and connWindow how much of all replies, in bytes. Both are
	// given anew when half is used; what comes is read at once, and MaxReply
	// bounds what is kept of it.
	replyWindow = 4 << 20
	connWindow  = 1 << 30

	// firstStreams is how many streams a connection is taken to carry until its
	// server has said so (RFC 9113, section 6.5.2, recommends no less).
	firstStreams = 100

	// pumpAhead is how much of large bodies is made ready to be written at
	// once, and fullOut how much may wait to be written for a connection to
	// take another request, in bytes.
	pumpAhead = 64 << 10
	fullOut   = 1 << 20

	// doubtful is how long a connection may be silent, after a request on it got
	// nothing in its time and the server was asked for a sign of life, before it
	// gets no more requests.
	doubtful = time.Second

	// keptBody is the largest buffer for a reply that a stream is used again
	// with, in bytes.
	keptBody = 1 << 20
)

// An h2stream is one exchange. It belongs to its connection from start until
// something is sent on done, and then to who waits there.
type h2stream struct {
	done chan struct{} // has room for the one message of each use

	conn  *h2conn
	id    uint32
	q     *engine.Request
	until time.Duration // when it must have ended
	watch *h2watch

	// Times of the connection's clock; never where it has not come to that.
	sent, first, end time.Duration

	written bool   // at least some of it may have gone out
	rest    []byte // of the body, that is not in the connection's buffer yet
	sending bool   // our side of the stream is open
	window  int64  // how much of the body the server takes; less than 0 when it changed its mind

	head  h2head
	body  []byte // what is kept of it
	size  int64
	taken int // bytes of the window that are used up

	again bool // the server has certainly not processed it
	busy  bool // it said so by refusing the stream
	err   error
}

// An h2watch lets the end of a context end the streams that are for it.
type h2watch struct {
	ctx   context.Context //nolint:containedctx // whose end is watched; most requests share one
	users int
	stop  func() bool
}

// An h2conn is one connection. A goroutine of its own reads it; requests are
// written by whoever has one. What is written is collected in out: while the
// reader works through what it has read, those who get their replies leave
// their next requests there, and the reader writes them all at once before it
// waits. At other times the first who comes writes, for those beside him as well.
type h2conn struct {
	host *h2host
	conn net.Conn // TLS, or wire itself
	wire *h2wire
	base time.Time // zero of the connection's clock

	mu       sync.Mutex
	out      []byte      // frames that wait to be written
	spare    []byte      // the buffer that is not out at the moment
	queued   []*h2stream // whose heads are in out
	flying   []uint32    // and in what is being written
	flushing bool        // somebody writes, and goes on until out is empty
	awake    bool        // the reader is at work, and will write before it waits

	enc     *h2encoder
	streams map[uint32]*h2stream
	next    uint32      // the next stream's number
	active  int         // streams that are open or promised to somebody
	limit   int         // and the most that the server wants
	told    bool        // it has said so, and the host does not know yet
	window  int64       // how much of all bodies the server takes
	initial int64       // and of a new stream's
	senders []*h2stream // whose bodies are too large to go out at once
	idle    int         // frames since the last one that brought anything forward

	once    bool          // it is for one exchange
	counted bool          // among its host's; of use under the host's lock
	retired bool          // no more exchanges; it ends with those that are under way
	err     error         // it has ended; why
	away    bool          // the server said GOAWAY
	code    h2code        // and why
	lastID  uint32        // and the last stream that is processed
	heard   time.Duration // when something last came
	doubt   time.Duration // since when it is in doubt; never when it is not
	forgot  bool          // a stream was given up, so that something may come for it
	ping    [8]byte

	watches []*h2watch
	timer   *time.Timer
	alarm   time.Duration // when it rings

	in h2reading // the reader's own
}

// openConn makes a connection of one that is dialled. h.mu is held.
func openConn(h *h2host, c net.Conn, wire *h2wire) *h2conn {
	x := &h2conn{
		host: h, conn: c, wire: wire, base: time.Now(),
		enc: newEncoder(h.h2.static), streams: map[uint32]*h2stream{}, next: 1,
		limit: firstStreams, window: firstWindow, initial: firstWindow, lastID: maxStreamID,
		once: h.h2.o.NoKeepAlive, doubt: never, alarm: forever,
		awake: true, // so that the reader writes what comes first, with the preface
	}
	if h.limit >= 0 {
		x.limit = h.limit // as it was on another connection
	}
	x.in = h2reading{buf: make([]byte, frameBuffer), dec: newDecoder(h.h2.static), wakes: 1}
	x.out = appendHello(make([]byte, 0, readAhead))
	x.timer = time.AfterFunc(forever, x.sweep)
	wire.before, wire.after = x.rest, x.woken
	return x
}

// clock returns the time on the connection's clock.
func (x *h2conn) clock() time.Duration { return time.Since(x.base) }

// free reports whether the connection can take another exchange. One that has
// been idle for long, or seems to be dead, takes none any more. x.mu is held.
func (x *h2conn) free() bool {
	if x.retired || x.err != nil || x.active >= x.limit || len(x.out) >= fullOut {
		return false
	}
	if x.active == 0 || x.doubt != never {
		now := x.clock()
		if x.active == 0 && now-x.heard > idleTime || x.doubt != never && now-x.doubt > doubtful {
			x.retired = true
			return false
		}
	}
	return true
}

// kept reports whether a place that was reserved is still good. x.mu is held.
func (x *h2conn) kept() bool { return x.err == nil && !x.away && x.next <= maxStreamID }

// start sends a request, for which a place is reserved. It reports whether the
// caller must flush. x.mu is held.
func (x *h2conn) start(ctx context.Context, s *h2stream) (flush bool, err error) {
	s.conn, s.id, s.sent, s.first, s.end = x, x.next, never, never, never
	s.window, s.rest, s.sending, s.written = x.initial, s.q.Body, true, false
	s.taken, s.again, s.busy, s.err = 0, false, false, nil
	s.body, s.size = s.body[:0], 0
	s.head.begin(s.q.Verb)
	if err := x.appendHead(s); err != nil {
		return false, err
	}
	if x.next += 2; x.next > maxStreamID || x.once {
		x.retired = true
	}
	x.streams[s.id] = s
	x.queued = append(x.queued, s)
	if s.sending {
		x.send(s)
	}
	x.follow(ctx, s)
	if s.until < x.alarm {
		x.alarm = s.until
		x.timer.Reset(s.until - x.clock())
	}
	if x.flushing || x.awake {
		return false, nil
	}
	x.flushing = true
	return true, nil
}

// follow has the end of ctx watched for s. x.mu is held.
func (x *h2conn) follow(ctx context.Context, s *h2stream) {
	var free *h2watch
	for _, w := range x.watches {
		if w.ctx == ctx {
			w.users++
			s.watch = w
			return
		}
		if w.users == 0 {
			free = w
		}
	}
	if free == nil {
		free = new(h2watch)
		x.watches = append(x.watches, free)
	} else if free.stop != nil {
		free.stop()
	}
	*free = h2watch{ctx: ctx, users: 1}
	if ctx.Done() != nil {
		free.stop = context.AfterFunc(ctx, func() { x.ended(ctx) })
	}
	s.watch = free
}

// ended gives up what is for ctx.
func (x *h2conn) ended(ctx context.Context) {
	x.giveUp(func(s *h2stream) error {
		if s.watch.ctx == ctx {
			return context.Cause(ctx)
		}
		return nil
	})
}

// sweep gives up what has not ended in its time. It rings when the first of
// those streams must have ended that were there when it was set, so that it
// costs nothing for most.
func (x *h2conn) sweep() {
	now := x.clock()
	x.giveUp(func(s *h2stream) error {
		if s.until <= now {
			return errTimeout
		}
		return nil
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	x.alarm = forever
	for _, s := range x.streams {
		x.alarm = min(x.alarm, s.until)
	}
	if x.err == nil {
		x.timer.Reset(max(0, x.alarm-x.clock()))
	}
}

// giveUp cancels the streams for which why has an error.
func (x *h2conn) giveUp(why func(*h2stream) error) {
	x.mu.Lock()
	for _, s := range x.streams {
		err := why(s)
		if err == nil {
			continue
		}
		if errors.Is(err, errTimeout) && x.doubt == never && (s.sent == never || x.heard <= s.sent) {
			x.doubt = x.clock()
			x.out = append(appendFrameHead(x.out, 8, framePing, 0, 0), x.ping[:]...)
		}
		x.end(s, codeCancel, err)
	}
	flush := x.err == nil && !x.flushing && !x.awake && len(x.out) > 0
	x.flushing = x.flushing || flush
	x.mu.Unlock()
	if flush {
		x.flush()
	}
	x.host.changed(x)
}

// end ends a stream with err, or well, and tells the server where that may
// still count on the stream. x.mu is held.
func (x *h2conn) end(s *h2stream, code h2code, err error) {
	if err != nil || s.sending {
		x.out = appendReset(x.out, s.id, code)
		x.forgot = true
	}
	x.drop(s, err)
}

// drop takes a stream off the connection. x.mu is held.
func (x *h2conn) drop(s *h2stream, err error) {
	delete(x.streams, s.id)
	if !s.written {
		x.queued = slices.DeleteFunc(x.queued, func(y *h2stream) bool { return y == s }) // it may be on another connection soon
	}
	x.active--
	if s.end == never {
		s.end = x.clock()
	}
	x.over(s, err)
}

// over hands a stream back to who waits for it. x.mu is held.
func (x *h2conn) over(s *h2stream, err error) {
	if len(s.rest) > 0 {
		x.unsend(s)
	}
	s.err, s.q = err, nil
	s.watch.users--
	s.watch = nil
	s.done <- struct{}{}
}

// flush writes what there is to write. The caller has set x.flushing.
func (x *h2conn) flush() {
	for {
		x.mu.Lock()
		x.pump()
		if len(x.out) == 0 || x.err != nil {
			x.flushing = false
			x.mu.Unlock()
			return
		}
		buf := x.out
		x.out = x.spare[:0]
		x.flying = x.flying[:0]
		now := x.clock()
		for _, s := range x.queued {
			x.flying = append(x.flying, s.id)
			s.sent, s.written = now, true
		}
		clear(x.queued)
		x.queued = x.queued[:0]
		x.mu.Unlock()
		before := x.wire.sent()
		_, err := x.conn.Write(buf)
		if err != nil {
			x.lose(err, x.wire.sent() == before)
			return
		}
		x.mu.Lock()
		if x.spare = buf[:0]; cap(buf) > fullOut {
			x.spare = nil
		}
		x.mu.Unlock()
		if x.wire.behind() {
			x.host.h2.running.Go(func() {
				if err := x.wire.drain(); err != nil {
					x.lose(err, x.wire.sent() == before)
					return
				}
				x.flush()
			})
			return
		}
	}
}

// lose ends the connection because it could not be written. Where nothing of
// the last write went out, the server has not seen the requests in it.
func (x *h2conn) lose(err error, nothing bool) {
	x.mu.Lock()
	for _, id := range x.flying {
		if s := x.streams[id]; s != nil && nothing {
			s.written = false
		}
	}
	x.flushing = false
	x.mu.Unlock()
	x.fail(&h2fault{codeNone, err})
}

// rest is called when the reader is about to wait: those who were woken get to
// run, and what they left is written.
func (x *h2conn) rest() {
	if x.in.wakes > 0 {
		x.in.wakes = 0
		runtime.Gosched()
	}
	for {
		x.mu.Lock()
		if !x.flushing {
			x.pump()
		}
		if x.flushing || len(x.out) == 0 || x.err != nil {
			x.awake = false
			x.mu.Unlock()
			return
		}
		x.flushing = true
		x.mu.Unlock()
		x.flush()
	}
}

// woken is called when something has come.
func (x *h2conn) woken() {
	x.mu.Lock()
	x.in.now = x.wire.sock.stamp.since(x.base, x.in.now)
	x.heard, x.doubt, x.awake = x.in.now, never, true
	x.mu.Unlock()
}

// fail ends the connection, and what is under way on it.
func (x *h2conn) fail(why *h2fault) {
	x.mu.Lock()
	if x.err != nil {
		x.mu.Unlock()
		return
	}
	x.err = why.err
	for _, s := range x.streams {
		s.again = !s.written
		s.end = x.clock()
		x.active--
		x.over(s, why.err)
	}
	clear(x.streams)
	for _, w := range x.watches {
		if w.stop != nil {
			w.stop()
		}
	}
	x.timer.Stop()
	goodbye := !x.flushing
	x.mu.Unlock()
	if goodbye {
		// What waits in out must not follow: who sent it sends it again.
		_, _ = x.conn.Write(appendGoAway(nil, why.code)) // as far as it goes
	}
	_ = x.conn.Close() // it is given up, whatever it says
	x.host.changed(x)
}
