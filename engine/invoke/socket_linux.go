//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package invoke

import (
	"net"
	"syscall"
)

// direct is the descriptor of a connection, which does not block.
type direct int

// directly returns the descriptor of c, and its way to the poller; nil if c is
// not a connection of the system's own.
func directly(c net.Conn) (direct, syscall.RawConn) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0, nil
	}
	poll, err := tcp.SyscallConn()
	if err != nil {
		return 0, nil
	}
	var d direct
	if poll.Control(func(fd uintptr) { d = direct(fd) }) != nil {
		return 0, nil
	}
	return d, poll
}

// errAgain says that a call has to wait. It is made once: to make an error of a
// number takes more stack than is left where callers wait.
var errAgain error = syscall.EAGAIN

// again reports whether a call has to wait.
func again(err error) bool { return err == errAgain } //nolint:errorlint // it is never wrapped, and asked for every request
