package invoke

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// A conn counts what is written to a connection, so that it is known for
// certain whether any of a request went out.
type conn struct {
	net.Conn
	from    io.Reader    // what is read; nil: the connection
	written atomic.Int64 // bytes, TLS alerts not counted
	gone    func()
}

func (c *conn) Read(b []byte) (int, error) {
	if c.from != nil {
		return c.from.Read(b)
	}
	return c.Conn.Read(b)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if !alert(b) {
		c.written.Add(int64(n))
	}
	return n, err
}

func (c *conn) Close() error {
	c.gone()
	return c.Conn.Close()
}

// alert reports whether b is one TLS record with an alert in it, such as the
// one that crypto/tls says goodbye with when it finds a connection closed. In
// TLS 1.3 records are disguised as data, but two bytes of alert, one of type
// and 16 of tag are shorter than any request (RFC 8446, section 5.2). Plain
// HTTP starts with a letter.
func alert(b []byte) bool {
	return len(b) > 5 && (b[0] == 21 || b[0] == 23 && len(b) == 5+2+1+16)
}

// errClosed is the cause with which dialling ends when the transport closes.
var errClosed = errors.New("the transport is closed")

// conns are the open connections of a transport.
type conns struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	closed bool
	open   map[*conn]struct{}
	dials  map[*context.CancelCauseFunc]struct{}
	wait   sync.WaitGroup // dials under way
}

// connect dials. net/http lets a dial go on when its request has given up, so
// it is ended here when the transport closes.
func (s *conns) connect(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	s.dials[&cancel] = struct{}{}
	s.wait.Add(1)
	s.mu.Unlock()
	defer s.wait.Done()

	raw, err := s.dial(ctx, network, address)

	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dials, &cancel)
	if err != nil {
		return nil, err
	}
	if s.closed {
		raw.Close()
		return nil, errClosed
	}
	c := &conn{Conn: raw}
	c.gone = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, c)
	}
	s.open[c] = struct{}{}
	return c, nil
}

// close ends all dials and connections, and waits for the dials.
func (s *conns) close() {
	s.mu.Lock()
	s.closed = true
	for cancel := range s.dials {
		(*cancel)(errClosed)
	}
	var open []*conn
	for c := range s.open {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Close() // it is given up, whatever it says
	}
	s.wait.Wait()
}
