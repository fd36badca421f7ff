package invoke

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// An h2host has the connections to one address, and those who wait for a place
// on one. Its lock is taken before a connection's.
type h2host struct {
	h2 *H2
	to place

	list    atomic.Pointer[[]*h2conn] // those that take exchanges; never changed, but replaced
	waiting atomic.Int32              // who is in the queue, or about to look whether to be
	early   atomic.Int64              // connections that were opened before anybody needed them

	mu      sync.Mutex
	closed  bool
	gone    bool // nobody finds it any more
	all     map[*h2conn]struct{}
	queue   []chan *h2conn
	dialing int
	counted int // connections that there are, but for those that only end what they have
	most    int // the most of them at once
	limit   int // streams that the server wants on one; less than 0: not told
}

// get reserves a place on a connection, which comes with its lock held. A worker
// stays with its connection while it can, so that all get the same share.
func (h *h2host) get(ctx context.Context, worker int, until time.Time, t *Timing) (*h2conn, error) {
	if list := *h.list.Load(); len(list) > 0 && h.waiting.Load() == 0 {
		x := list[uint(worker)%uint(len(list))]
		x.mu.Lock()
		if x.free() && (x.active == 0 || len(list) >= h.h2.o.Connections) {
			x.active++
			return x, nil
		}
		gone := x.retired
		x.mu.Unlock()
		if gone {
			h.changed(x)
		}
	}
	for {
		x, wait, err := h.find(worker)
		switch {
		case err != nil || x != nil:
			return x, err
		case wait == nil:
			return h.open(ctx, until, t)
		}
		if t.Start < 0 && len(*h.list.Load()) == 0 && !h.h2.o.NoKeepAlive {
			t.Start = time.Since(t.Base) // it is being dialled for this exchange, too
		}
		if x, err = h.wait(ctx, until, wait); err != nil {
			return nil, err
		}
		if x != nil {
			x.mu.Lock()
			return x, nil
		}
	}
}

// find reserves a place on a connection, or a place in the queue, or else the
// right to open another connection.
func (h *h2host) find(worker int) (*h2conn, chan *h2conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.gone:
		return nil, nil, errGone
	case h.closed:
		return nil, nil, errClosed
	}
	h.waiting.Add(1) // before looking, so that who frees a place in the meantime looks here
	if len(h.queue) == 0 {
		if x := h.pick(worker); x != nil {
			if x.active == 0 || h.counted >= h.h2.o.Connections {
				x.active++
				h.waiting.Add(-1)
				return x, nil, nil
			}
			x.mu.Unlock() // there may be more connections: each gets one exchange first
		}
	}
	if h.room() {
		h.dialing++
		h.counted++
		h.waiting.Add(-1)
		return nil, nil, nil
	}
	free := make(chan *h2conn, 1)
	h.queue = append(h.queue, free)
	return nil, free, nil
}

// pick returns a connection with a free place, locked; nil if there is none.
// h.mu is held.
func (h *h2host) pick(worker int) *h2conn {
	list := *h.list.Load()
	for i := range list {
		x := list[(uint(worker)+uint(i))%uint(len(list))]
		x.mu.Lock()
		if x.free() {
			return x
		}
		if x.retired { // just now, or somebody is about to say so
			h.uncount(x)
			h.h2.running.Go(func() { h.changed(x) })
		}
		x.mu.Unlock()
	}
	return nil
}

// room reports whether another connection may be opened, when no place is free.
// Where their number is not limited, it is as many as it takes: those that are
// being dialled will have room for some of those who wait. h.mu is held.
func (h *h2host) room() bool {
	switch o := &h.h2.o; {
	case o.Connections > 0:
		return h.counted < o.Connections
	case o.NoKeepAlive, h.counted == 0:
		return true
	case h.limit == 0:
		return false // nor would another be given anything
	case h.limit < 0:
		return len(h.queue) >= h.dialing*firstStreams
	}
	return len(h.queue) >= h.dialing*h.limit
}

// wait waits for a place that somebody leaves, or for the right to look again
// (nil).
func (h *h2host) wait(ctx context.Context, until time.Time, free chan *h2conn) (*h2conn, error) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	var err error
	select {
	case x := <-free:
		return x, nil
	case <-timer.C:
		err = errTimeout
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	h.mu.Lock()
	if i := slices.Index(h.queue, free); i >= 0 {
		h.queue = slices.Delete(h.queue, i, i+1)
		h.waiting.Add(-1)
		h.mu.Unlock()
		return nil, err
	}
	h.mu.Unlock()
	if x := <-free; x != nil { // it came in the same moment: for the next
		h.leave(x)
	} else {
		h.mu.Lock()
		h.serve()
		h.mu.Unlock()
	}
	return nil, err
}

// leave gives up a place that was reserved.
func (h *h2host) leave(x *h2conn) {
	x.mu.Lock()
	x.active--
	x.mu.Unlock()
	h.changed(x)
}

// serve gives free places to those who wait, the first first. h.mu is held.
func (h *h2host) serve() {
	for len(h.queue) > 0 {
		x := h.pick(0)
		if x == nil && !h.room() {
			return
		}
		if x != nil {
			x.active++
			x.mu.Unlock()
		}
		free := h.queue[0]
		h.queue = h.queue[1:]
		h.waiting.Add(-1)
		free <- x
		if x == nil {
			return // it opens one, and then there are places again
		}
	}
}

// changed is called when a connection has places that it had not, or has none
// any more.
func (h *h2host) changed(x *h2conn) {
	x.mu.Lock()
	ended, retired := x.err != nil, x.retired
	last := retired && !ended && x.active == 0
	limit := -1
	if x.told {
		limit = x.limit
		x.told = false
	}
	x.mu.Unlock()
	if last {
		x.fail(&h2fault{codeNone, errClosed}) // and this is called again
		return
	}
	if !ended && !retired && limit < 0 && h.waiting.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if limit >= 0 {
		h.limit = limit
	}
	if ended {
		delete(h.all, x)
	}
	if ended || retired && !x.once {
		h.uncount(x)
	}
	h.serve()
}

// uncount takes a connection off the list. h.mu is held.
func (h *h2host) uncount(x *h2conn) {
	if !x.counted {
		return
	}
	x.counted = false
	h.counted--
	list := slices.Clone(*h.list.Load())
	list = slices.DeleteFunc(list, func(y *h2conn) bool { return x == y })
	h.list.Store(&list)
}

// open opens a connection, for which find has given the right, and tells t what
// that took.
func (h *h2host) open(ctx context.Context, until time.Time, t *Timing) (*h2conn, error) {
	c, wire, err := h.dial(ctx, until, t)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dialing--
	h.counted--
	if err == nil && h.closed {
		_ = c.Close() // it is given up, whatever it says
		err = errClosed
	}
	if err != nil {
		h.serve() // the next may have more luck
		return nil, err
	}
	return h.add(c, wire), nil
}

// adopt takes a connection that somebody has dialled who did not know that it
// would be of HTTP/2. It returns nil where there is no room for it.
func (h *h2host) adopt(c net.Conn, wire *h2wire) *h2conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if most := h.h2.o.Connections; h.closed || most > 0 && h.counted >= most {
		_ = c.Close() // it is given up, whatever it says
		return nil
	}
	return h.add(c, wire)
}

// add lets a connection take exchanges. It comes locked, with a place reserved.
// h.mu is held.
func (h *h2host) add(c net.Conn, wire *h2wire) *h2conn {
	x := openConn(h, c, wire)
	x.active, x.counted = 1, true
	h.all[x] = struct{}{}
	h.counted++
	h.most = max(h.most, h.counted)
	if !x.once {
		list := append(slices.Clone(*h.list.Load()), x)
		h.list.Store(&list)
		h.serve()
	}
	x.mu.Lock()
	h.h2.running.Go(x.read)
	return x
}

// close ends all connections.
func (h *h2host) close() {
	h.mu.Lock()
	h.closed = true
	var all []*h2conn
	for x := range h.all {
		all = append(all, x)
	}
	h.mu.Unlock()
	for _, x := range all {
		x.fail(&h2fault{codeNone, errClosed})
	}
}

// forget reports whether nobody uses a connection of the host's; then they are
// closed, and nobody will get one.
func (h *h2host) forget() bool {
	h.mu.Lock()
	h.gone = len(h.queue) == 0 && h.dialing == 0
	for x := range h.all {
		x.mu.Lock()
		h.gone = h.gone && x.active == 0
		x.mu.Unlock()
	}
	if h.gone {
		h.list.Store(new([]*h2conn)) // so that who comes looks, and sees that
	}
	gone := h.gone
	h.mu.Unlock()
	if gone {
		h.close()
	}
	return gone
}

// dial dials, and tells t what that took.
func (h *h2host) dial(ctx context.Context, until time.Time, t *Timing) (net.Conn, *h2wire, error) {
	if t.Start < 0 {
		t.Start = time.Since(t.Base)
	}
	ctx, cancel := context.WithDeadlineCause(ctx, until, errTimeout)
	defer cancel()
	raw, err := h.h2.reach(ctx, h.to, t)
	if err != nil {
		return nil, nil, err
	}
	wire := newWire(raw, h.h2.o.Stamped)
	if !h.to.secure {
		return wire, wire, nil
	}
	secure, err := h.h2.encrypt(ctx, wire, h.to, t)
	if err == nil && wire.behind() {
		err = wire.drain()
	}
	if err != nil {
		_ = raw.Close()
		return nil, nil, cause(ctx, err)
	}
	if secure.ConnectionState().NegotiatedProtocol != "h2" {
		_ = secure.Close()
		return nil, nil, errH1
	}
	return secure, wire, nil
}
