package invoke

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A host has the connections to one address.
type host struct {
	fast *Fast
	to   place

	pinned bool         // there are requests that know it: it is never forgotten; guarded by the transport
	h1     atomic.Bool  // it speaks HTTP/1.1, as far as is known
	early  atomic.Int64 // connections that were opened before anybody needed them

	mu      sync.Mutex
	gone    bool    // nobody finds it any more
	idle    []*link // the latest used last
	open    int
	young   int          // being opened, as far as that was begun in the last youngTime
	aging   *time.Timer  // ends their youth, while somebody waits for that
	watched bool         // it runs
	waiting []chan *link // who waits for one
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

// errGone tells who found a host just before it was forgotten to look again.
var errGone = errors.New("the host is forgotten")

// forget reports whether nobody uses a connection of the host's; then they are
// closed, and nobody will get one.
func (h *host) forget() bool {
	h.mu.Lock()
	h.gone = len(h.idle) == h.open && len(h.waiting) == 0
	gone := h.gone
	h.mu.Unlock()
	if gone {
		h.close()
	}
	return gone
}

// get returns a connection that is alone the caller's: one that is idle, or a
// new one, or, where there may be no more, the next that becomes free. now
// counts from the transport's epoch.
func (h *host) get(ctx context.Context, now time.Duration, t *Timing) (*link, error) {
	for {
		h.mu.Lock()
		if h.gone {
			h.mu.Unlock()
			return nil, errGone
		}
		if n := len(h.idle); n > 0 {
			l := h.idle[n-1]
			h.idle[n-1] = nil
			h.idle = h.idle[:n-1]
			h.mu.Unlock()
			if l.alive(now) {
				return l, nil
			}
			h.drop(l)
			continue
		}
		if !h.reserve() {
			free := h.queue()
			h.mu.Unlock()
			l, err := h.wait(ctx, t, free)
			if err != nil {
				return nil, err
			}
			if l != nil {
				t.Start = time.Since(t.Base)
				return l, nil
			}
		} else {
			h.mu.Unlock()
		}
		return h.dial(ctx, t)
	}
}

// dial opens a connection on a goroutine of its own: that takes four times the
// stack of all else that a caller does, who would keep it for good.
func (h *host) dial(ctx context.Context, t *Timing) (l *link, err error) {
	done := make(chan struct{})
	go func() {
		l, err = h.connect(ctx, t)
		close(done)
	}()
	<-done
	h.dialled(err != nil)
	return l, err
}

// youngDials is how many connections are opened at once, as far as that was
// begun in the last youngTime: some thousands in a second. Opening one takes
// more of the processor than ten requests do. Whoever needed one while
// the generator was late would make it later, and the next ones need more: at
// 20,000/s that never ended.
const (
	youngDials    = 2
	youngDialsTLS = 1
	youngTime     = time.Millisecond
)

// reserve makes room for another connection, if there may be one. h.mu is held.
func (h *host) reserve() bool {
	most := youngDials
	if h.to.secure {
		most = youngDialsTLS
	}
	if h.full() || h.young >= most {
		return false
	}
	h.open++
	h.young++
	return true
}

// queue joins those who wait. h.mu is held.
func (h *host) queue() <-chan *link {
	free := make(chan *link, 1)
	h.waiting = append(h.waiting, free)
	h.watch()
	return free
}

// full reports whether there are as many connections as there may be.
func (h *host) full() bool {
	n := h.fast.o.Connections
	return n > 0 && h.open >= n
}

// watch sees to it that who waits only because others are opening connections
// does not wait until they are done. h.mu is held.
func (h *host) watch() {
	switch {
	case h.watched || len(h.waiting) == 0 || h.full():
		return
	case h.aging == nil:
		h.aging = time.AfterFunc(youngTime, h.age)
	default:
		h.aging.Reset(youngTime)
	}
	h.watched = true
}

// age lets the next ones open connections, while the last ones are still at it.
func (h *host) age() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.young, h.watched = 0, false
	h.admit()
}

// admit lets who waits open connections, as far as there is room. h.mu is held.
func (h *host) admit() {
	for len(h.waiting) > 0 && h.reserve() {
		h.first() <- nil
	}
	h.watch()
}

// first returns the first who waits. h.mu is held.
func (h *host) first() chan<- *link {
	free := h.waiting[0]
	h.waiting[0] = nil
	h.waiting = h.waiting[1:]
	return free
}

// wait waits for a connection that somebody gives up, or for leave to open
// another (nil), for which there is room then.
func (h *host) wait(ctx context.Context, t *Timing, free <-chan *link) (*link, error) {
	timer := time.NewTimer(t.Until - time.Since(t.Base))
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
		h.put(l, time.Since(h.fast.epoch))
	} else {
		h.dialled(true)
	}
	return nil, err
}

// dialled notes that a connection for which there was room has been opened, or
// has not.
func (h *host) dialled(failed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.young = max(0, h.young-1)
	if failed {
		h.open--
	}
	h.admit()
}

// put takes a connection back that can carry another request.
func (h *host) put(l *link, at time.Duration) {
	l.last = at
	h.mu.Lock()
	if len(h.waiting) > 0 {
		free := h.first()
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

// drop ends a connection, and makes room for another.
func (h *host) drop(l *link) {
	l.end()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, l)
	h.open--
	h.admit()
}

// connect opens a connection, and tells t what that took.
func (h *host) connect(ctx context.Context, t *Timing) (*link, error) {
	t.Start = time.Since(t.Base)
	ctx, cancel := context.WithDeadlineCause(ctx, t.Base.Add(t.Until), errTimeout)
	defer cancel()
	raw, err := h.fast.reach(ctx, h.to, t)
	if err != nil {
		return nil, err
	}
	sock := newSocket(raw, &h.fast.pages, h.fast.o.Stamped)
	l := &link{Conn: sock, sock: sock, host: h}
	l.reply = replyReader{from: l, pages: &h.fast.pages, clock: func() { l.first = l.came() }}
	if h.to.secure {
		if err := l.encrypt(ctx, t); err != nil {
			return nil, err
		}
		if h.fast.chosen != nil {
			h.fast.chosen(h.to)
		}
	} else {
		l.reply.first = l.page
	}
	h.h1.Store(true)
	h.mu.Lock()
	h.all[l] = struct{}{}
	h.mu.Unlock()
	return l, nil
}

// encrypt shakes hands. The connection is closed on an error, unless that is a
// *h2found.
func (l *link) encrypt(ctx context.Context, t *Timing) error {
	l.records = &recordReader{sock: l.sock}
	l.counted = &conn{Conn: l.sock, from: l.records, gone: func() {}}
	l.sock.shared = true // the end of ctx closes it
	secure, err := l.host.fast.opener.encrypt(ctx, l.counted, l.host.to, t)
	l.sock.shared = false
	if err != nil {
		_ = l.sock.Close()
		return err
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		l.host.h1.Store(false)
		return &h2found{secure: secure, under: l.counted, raw: l.sock.Conn, ahead: l.records.rest()}
	}
	l.Conn = secure
	return nil
}
