//go:build unix

package invoke

import (
	"errors"
	"net"
	"syscall"
)

// still reports whether nothing has come on a connection, not even its end.
func still(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return true // there is no way to look
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && silent
}
