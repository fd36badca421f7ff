//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

const (
	inSize  = 64 << 10 // bytes; a larger request is refused
	atOnce  = 64       // replies in one write, events in one turn
	backlog = 1 << 16  // the kernel takes less, as net.core.somaxconn says
)

// body is every reply's. Its 123 bytes are an ordinary answer's.
const body = `{"code":0,"data":{"id":"u-1029384756","name":"Ada Lovelace","plan":"pro","items":[101,205,309],"ok":true},"requestId":"r1"}`

// A server answers HTTP/1.1 in one thread, and writes down what it saw.
type server struct {
	epoll, listener int
	stop            int // the reading end of a pipe: a byte in it ends run
	conns           []*conn
	in              []byte // what is just being read
	space           syscall.Iovec
	message         syscall.Msghdr // of in
	beside          [8]uint64      // what the kernel says beside it; words, so that it is aligned
	replies         []byte         // atOnce times the same one
	reply           int            // bytes of one
	schedule        schedule
	waits           waits
	truth           *truth
	truthFile       string // "" keeps no times
	refused         int64  // connections closed for what they sent
	open            int64
}

// A conn is one connection.
type conn struct {
	fd   int    // -1 when it is closed
	rest []byte // the beginning of a request
	owed int    // bytes of replies that the peer has not taken yet
	bye  bool   // close it when nothing is owed
}

// listen opens a listener; stamped has the kernel say when bytes arrived.
func listen(addr netip.AddrPort, stamped bool) (fd int, err error) {
	fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			_ = syscall.Close(fd)
		}
	}()
	// Connections inherit all of these.
	options := []struct{ level, name int }{{syscall.SOL_SOCKET, syscall.SO_REUSEADDR}, {syscall.IPPROTO_TCP, syscall.TCP_NODELAY}}
	if stamped {
		options = append(options, struct{ level, name int }{syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS})
	}
	for _, o := range options {
		if err = syscall.SetsockoptInt(fd, o.level, o.name, 1); err != nil {
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	// The default of some machines, bbr, computes a rate at every reply.
	if err = syscall.SetsockoptString(fd, syscall.IPPROTO_TCP, syscall.TCP_CONGESTION, "reno"); err != nil {
		return -1, os.NewSyscallError("setsockopt", err)
	}
	if err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return -1, os.NewSyscallError("bind", err)
	}
	if err = syscall.Listen(fd, backlog); err != nil {
		return -1, os.NewSyscallError("listen", err)
	}
	return fd, nil
}

// port returns where a listener listens.
func port(fd int) (uint16, error) {
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	at, ok := sa.(*syscall.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("the listener has the address %v, which is none of IPv4", sa)
	}
	return uint16(at.Port), nil
}

// newServer makes a server of a listener and of a pipe's reading end. It owns
// neither.
func newServer(listener, stop int, s schedule, t *truth, truthFile string) (*server, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	one := head(len(body)) + body
	v := &server{
		epoll: epoll, listener: listener, stop: stop,
		in: make([]byte, inSize), replies: bytes.Repeat([]byte(one), atOnce), reply: len(one),
		schedule: s, truth: t, truthFile: truthFile,
	}
	for _, fd := range []int{listener, stop} {
		if err := v.watch(fd, syscall.EPOLLIN); err != nil {
			_ = syscall.Close(epoll)
			return nil, err
		}
	}
	return v, nil
}

func head(length int) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(length) + "\r\n\r\n"
}

func (v *server) watch(fd int, events uint32) error {
	err := syscall.EpollCtl(v.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

// run serves until a byte comes through the pipe. It closes all connections.
func (v *server) run() error {
	defer v.closeAll()
	events := make([]syscall.EpollEvent, atOnce)
	for {
		n, err := v.poll(events)
		if err != nil {
			return err
		}
		asked := v.truth.requests
		for _, e := range events[:n] {
			switch fd := int(e.Fd); fd {
			case v.stop:
				return nil
			case v.listener:
				if err := v.accept(); err != nil {
					return err
				}
			default:
				v.serve(v.conns[fd], e.Events)
			}
		}
		v.answerDue()
		if v.truth.requests > asked {
			v.truth.last = wallClock()
		}
	}
}

// poll asks without waiting first: while requests keep coming, that is the
// whole cost. Only then it waits, until the next reply is due.
func (v *server) poll(events []syscall.EpollEvent) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(v.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno == 0 && n > 0 {
		return int(n), nil
	}
	var timeout *syscall.Timespec
	if len(v.waits) > 0 {
		left := v.waits[0].until - wallClock()
		if left <= 0 {
			return 0, nil
		}
		t := syscall.NsecToTimespec(left)
		timeout = &t
	}
	n, _, errno = syscall.Syscall6(sysEpollPwait2, uintptr(v.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(timeout)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case syscall.EINTR:
		return 0, nil
	case syscall.ENOSYS:
		return 0, errors.New("this kernel has no epoll_pwait2, which waits for less than a millisecond: use Linux 5.11 or later")
	}
	return 0, os.NewSyscallError("epoll_pwait2", errno)
}

// sysEpollPwait2 is the same on every architecture; package syscall is older.
const sysEpollPwait2 = 441

func wallClock() int64 { return time.Now().UnixNano() }

func (v *server) accept() error {
	for {
		fd, _, err := syscall.Accept4(v.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch {
		case err == nil:
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ECONNABORTED):
			continue
		default:
			return fmt.Errorf("with %d connections: %w", v.open, os.NewSyscallError("accept4", err))
		}
		for fd >= len(v.conns) {
			v.conns = append(v.conns, nil)
		}
		v.conns[fd] = &conn{fd: fd}
		v.open++
		// Edges only: a connection is told to the kernel once, and never again.
		const edges = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | syscall.EPOLLET&(1<<32-1)
		if err := v.watch(fd, edges); err != nil {
			return err
		}
	}
}

// serve does what an edge asks for: it reads all that there is, and writes
// what the peer would not take before.
func (v *server) serve(c *conn, events uint32) {
	if c == nil || c.fd < 0 {
		return // closed by an earlier event of the same turn
	}
	if c.owed > 0 && events&syscall.EPOLLOUT != 0 {
		v.send(c, 0)
	}
	ending := events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0
	for c.fd >= 0 && events&syscall.EPOLLIN != 0 {
		kept := copy(v.in, c.rest)
		n, arrived, errno := v.read(c.fd, v.in[kept:])
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return
		case errno != 0 || n == 0:
			v.close(c)
			return
		}
		got := v.in[:kept+n]
		v.take(c, got, arrived)
		if len(got) < len(v.in) && !ending {
			return // there was no more: the next byte is a new edge
		}
	}
	if c.fd >= 0 && events&syscall.EPOLLIN == 0 && ending {
		v.close(c)
	}
}

// read reads what there is. Where times are kept, it also returns when the
// last of it arrived at this machine, in ns on the wall clock: a request has
// arrived then, though this thread may not have woken up yet.
func (v *server) read(fd int, into []byte) (n int, arrived int64, errno syscall.Errno) {
	if len(v.truth.arrived) == 0 {
		r, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)), 0, 0, 0)
		return int(r), 0, errno
	}
	v.space = syscall.Iovec{Base: &into[0]}
	v.space.SetLen(len(into))
	beside := unsafe.Slice((*byte)(unsafe.Pointer(&v.beside)), unsafe.Sizeof(v.beside))
	v.message = syscall.Msghdr{Iov: &v.space, Iovlen: 1, Control: &beside[0]}
	v.message.SetControllen(len(beside))
	r, _, errno := syscall.RawSyscall(syscall.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&v.message)), 0)
	if errno == 0 {
		arrived = stamp(beside[:v.message.Controllen])
	}
	return int(r), arrived, errno
}

// stamp returns the time in what came beside a message, in ns on the wall
// clock; 0 is none.
func stamp(beside []byte) int64 {
	const header = syscall.SizeofCmsghdr
	if len(beside) < header+int(unsafe.Sizeof(syscall.Timespec{})) {
		return 0
	}
	if h := (*syscall.Cmsghdr)(unsafe.Pointer(&beside[0])); h.Level != syscall.SOL_SOCKET || h.Type != syscall.SO_TIMESTAMPNS {
		return 0
	}
	return (*syscall.Timespec)(unsafe.Pointer(&beside[header])).Nano()
}

// take answers the requests in b, or lets them wait, and keeps the beginning
// of the one that is not whole. The last of b arrived at arrived; 0 is just now.
func (v *server) take(c *conn, b []byte, arrived int64) {
	ready := 0 // replies
	for len(b) > 0 && c.fd >= 0 && !c.bye {
		r, err := parse(b)
		if err == nil && r.size == 0 && len(b) == inSize {
			err = fmt.Errorf("a request has at most %d bytes", inSize)
		}
		switch {
		case err != nil:
			v.refused++
			v.tell(c, "400 Bad Request", err.Error())
			v.close(c)
			return
		case r.size == 0:
			if ready > 0 {
				v.send(c, ready)
			}
			c.rest = append(c.rest[:0], b...)
			return
		case r.path != "":
			v.send(c, ready)
			ready = 0
			v.obey(c, r.path)
			c.bye = r.close
		case v.enter(c, r.close, arrived):
			ready++
			c.bye = r.close
			if number := v.truth.requests - 1; number < v.truth.kept() {
				v.send(c, ready)
				ready = 0
				v.truth.answered[number] = wallClock()
			}
		}
		b = b[r.size:]
	}
	c.rest = c.rest[:0]
	if c.fd >= 0 && (ready > 0 || c.bye) {
		v.send(c, ready)
	}
}

// enter writes down a request, and reports whether it is answered at once;
// else it is among those that wait.
func (v *server) enter(c *conn, close bool, arrived int64) bool {
	t := v.truth
	number := t.requests
	t.requests++
	keep := number < int64(len(t.arrived))
	if number > 0 && !keep && v.schedule.atOnce() {
		return true // the most usual way knows no time
	}
	now := wallClock()
	if arrived == 0 {
		arrived = now
	}
	if number == 0 {
		t.first = arrived
	}
	if keep {
		t.arrived[number] = arrived
	}
	until := arrived
	if !v.schedule.atOnce() {
		until = v.schedule.answer(t.first, arrived)
	}
	if until > now {
		v.waits.push(wait{until, number, c, close})
		return false
	}
	return true
}

// answerDue answers all whose time has come.
func (v *server) answerDue() {
	for len(v.waits) > 0 {
		now := wallClock()
		if v.waits[0].until > now {
			return
		}
		w := v.waits.pop()
		if w.of.fd < 0 {
			continue // nobody is there any more
		}
		w.of.bye = w.close
		v.send(w.of, 1)
		if w.number < v.truth.kept() { // now it is where its reader can have it
			v.truth.answered[w.number] = wallClock()
		}
	}
}

// send gives the peer what is owed to it, and so many replies more, as far as
// it takes them.
func (v *server) send(c *conn, replies int) {
	c.owed += replies * v.reply
	for c.owed > 0 {
		from := (v.reply - c.owed%v.reply) % v.reply // where the first that is owed goes on
		out := v.replies[from:min(len(v.replies), from+c.owed)]
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&out[0])), uintptr(len(out)), syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			c.owed -= int(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return // the next edge says when
		default:
			v.close(c)
			return
		}
	}
	if c.bye {
		v.close(c)
	}
}

// obey answers a control request.
func (v *server) obey(c *conn, what string) {
	t := v.truth
	switch what {
	case "count":
		v.tell(c, "200 OK", fmt.Sprintf(`{"requests":%d,"connections":%d,"waiting":%d,"refused":%d,"first_ns":%d,"last_ns":%d}`,
			t.requests, v.open, len(v.waits), v.refused, t.first, t.last))
	case "reset":
		// What still waits is answered, and belongs to nothing any more.
		for i := range v.waits {
			v.waits[i].number = int64(len(t.arrived))
		}
		t.reset()
		v.refused = 0
		v.tell(c, "200 OK", `{}`)
	case "write":
		if v.truthFile == "" {
			v.tell(c, "409 Conflict", "no times are kept: start the server with -truth FILE")
			return
		}
		if err := t.write(v.truthFile); err != nil {
			v.tell(c, "500 Internal Server Error", err.Error())
			return
		}
		v.tell(c, "200 OK", fmt.Sprintf(`{"requests":%d,"written":%d}`, t.requests, t.kept()))
	default:
		v.tell(c, "404 Not Found", "there is "+control+"count, "+control+"reset and "+control+"write, but no "+control+what)
	}
}

// tell writes a reply of its own. It is small, and who asks for it takes it:
// where it is not taken whole, the connection is closed.
func (v *server) tell(c *conn, status, text string) {
	reply := "HTTP/1.1 " + status + "\r\nContent-Length: " + strconv.Itoa(len(text)+1) + "\r\n\r\n" + text + "\n"
	if c.owed > 0 {
		v.close(c)
		return
	}
	if n, err := syscall.Write(c.fd, []byte(reply)); err != nil || n < len(reply) {
		v.close(c)
	}
}

func (v *server) close(c *conn) {
	if c.fd < 0 {
		return
	}
	v.conns[c.fd] = nil
	_ = syscall.Close(c.fd) // which also takes it out of the epoll set
	c.fd = -1
	c.rest = nil
	v.open--
}

func (v *server) closeAll() {
	for _, c := range v.conns {
		if c != nil {
			v.close(c)
		}
	}
	_ = syscall.Close(v.epoll)
}
