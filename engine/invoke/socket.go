package invoke

import (
	"io"
	"net"
	"syscall"
	"time"
)

// soonest is how fast a reply must have come for the next one to be looked for
// before the runtime's poller is asked to wait for it. Where many callers share
// a processor, their replies come while it serves the others.
const soonest = time.Millisecond

// A socket is a connection as the system has it. Where it can (see directly),
// it reads and writes without telling the scheduler first: a call that does not
// block costs a third less that way. When there is nothing to read, the
// runtime's poller waits for it, and a deadline ends that.
//
// One caller may read while another writes. Nobody may use a socket that is
// being closed.
type socket struct {
	net.Conn
	direct direct
	poll   syscall.RawConn // nil where there is no direct way
	pages  *pages
	soon   bool   // the last reply came soon
	shared bool   // somebody else may close it meanwhile: the number may be another file's then
	stamp  *stamp // notes when what is read came in; nil: nothing does

	into []byte // of the read under way; nil: into a page
	got  int
	err  error
	look func(fd uintptr) bool // s.lookNow, made once
}

func newSocket(c net.Conn, p *pages, stamped bool) *socket {
	s := &socket{Conn: c, pages: p}
	if s.direct, s.poll = directly(c); s.poll != nil {
		s.look = s.lookNow
		if stamped {
			s.stamp = newStamp(s.poll)
		}
	}
	return s
}

// Write implements net.Conn.
func (s *socket) Write(b []byte) (int, error) {
	if s.poll == nil || s.shared {
		return s.Conn.Write(b)
	}
	n, err := s.direct.send(b)
	if n == len(b) {
		return n, nil
	}
	if err != nil && !again(err) {
		return n, s.named("write", err)
	}
	m, err := s.Conn.Write(b[n:])
	return n + m, err
}

// Read implements net.Conn. After a reply that came soon it first looks whether
// the next is there.
func (s *socket) Read(b []byte) (int, error) {
	if s.poll == nil || len(b) == 0 {
		return s.Conn.Read(b)
	}
	s.into = b
	n, err := s.read()
	s.into = nil
	return n, err
}

// ReadPage reads into a page that it takes when there is something to read, so
// that a connection which waits has none. The page is nil if nothing came.
func (s *socket) ReadPage() ([]byte, int, error) {
	if s.poll == nil {
		page := s.pages.get()
		n, err := s.Conn.Read(page)
		if n == 0 {
			s.pages.put(page)
			return nil, 0, err
		}
		return page, n, nil // an error comes again
	}
	n, err := s.read()
	page := s.into
	s.into = nil
	return page, n, err
}

// read reads into s.into; into a page if that is nil.
func (s *socket) read() (int, error) {
	if !s.soon || !s.look(0) {
		if err := s.poll.Read(s.look); err != nil {
			return 0, err
		}
	}
	switch {
	case s.err != nil:
		return 0, s.named("read", s.err)
	case s.got == 0:
		return 0, io.EOF
	}
	return s.got, nil
}

// lookNow reads what is there, and reports false when nothing is.
func (s *socket) lookNow(uintptr) bool {
	to := s.into
	if to == nil {
		to = s.pages.get()
	}
	if s.stamp != nil {
		s.got, s.err = s.stamp.receive(s.direct, to)
	} else {
		s.got, s.err = s.direct.receive(to)
	}
	switch {
	case s.into != nil:
	case s.got > 0:
		s.into = to
	default:
		s.pages.put(to)
	}
	return s.err == nil || !again(s.err)
}

// named gives an error of the system's the form that package net gives it.
func (s *socket) named(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}
