package invoke

import (
	"net"
	"sync"
	"syscall"
)

// readAhead is how much is read off a connection at once, in bytes.
const readAhead = 16 << 10

// An h2wire is a connection as it lies under TLS, or under HTTP/2 where there
// is no TLS. It reads far ahead, says when it is about to wait, and its Write
// never waits: what the system does not take at once is kept for drain. So who
// reads can write as well, and two sides that both wait for the other to read
// cannot come to a stand.
type h2wire struct {
	net.Conn
	raw  syscall.RawConn // nil where there is no way to try
	sock *socket         // what is read

	before func() // is called when a read may wait; nil for nothing
	after  func() // and when it has not failed
	buf    []byte
	at     int // the first byte that is not used up
	end    int // the first that is not there

	mu      sync.Mutex
	written int64  // bytes that the system took
	backlog []byte // what it did not take yet

	// An attempt's own, kept so that none is made for each.
	try   func(fd uintptr) bool
	piece []byte
	took  int
	err   error
}

func newWire(c net.Conn, stamped bool) *h2wire {
	w := &h2wire{Conn: c, sock: newSocket(c, nil, stamped), buf: make([]byte, readAhead)}
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			w.raw = raw
		}
	}
	w.try = w.attempt
	return w
}

// Read implements net.Conn.
func (w *h2wire) Read(b []byte) (int, error) {
	if w.at == w.end {
		if w.before != nil {
			w.before()
		}
		into := b
		if len(b) < len(w.buf) {
			into = w.buf
		}
		n, err := w.sock.Read(into)
		if n > 0 && w.after != nil {
			w.after()
		}
		if len(b) >= len(w.buf) || n <= 0 {
			return n, err
		}
		w.at, w.end = 0, n // an error comes again
	}
	n := copy(b, w.buf[w.at:w.end])
	w.at += n
	return n, nil
}

// Write implements net.Conn. It takes all of b, or fails.
func (w *h2wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	if len(w.backlog) == 0 && w.raw != nil {
		w.piece, w.took, w.err = b, 0, nil
		err := w.raw.Write(w.try)
		w.piece = nil
		n = max(0, w.took)
		w.written += int64(n)
		if err == nil {
			err = w.err
		}
		if err != nil {
			return n, err
		}
	}
	if n < len(b) {
		w.backlog = append(w.backlog, b[n:]...)
	}
	return len(b), nil
}

// behind reports whether there is something for drain to do.
func (w *h2wire) behind() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.backlog) > 0
}

// sent returns how many bytes the system took.
func (w *h2wire) sent() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written
}

// drain writes what the system did not take, however long that takes.
func (w *h2wire) drain() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.backlog) > 0 {
		part := w.backlog // what comes is put behind it
		w.mu.Unlock()
		n, err := w.Conn.Write(part)
		w.mu.Lock()
		w.written += int64(n)
		w.backlog = w.backlog[n:]
		if err != nil {
			return err
		}
	}
	w.backlog = nil
	return nil
}
