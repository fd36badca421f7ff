//go:build unix

package invoke

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// attempt writes what the system takes at once.
func (w *h2wire) attempt(fd uintptr) bool {
	for w.took < len(w.piece) {
		n, err := syscall.Write(int(fd), w.piece[w.took:])
		if n > 0 {
			w.took += n
		}
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return true
		case err != nil:
			w.err = &net.OpError{Op: "write", Net: "tcp", Source: w.LocalAddr(), Addr: w.RemoteAddr(), Err: os.NewSyscallError("write", err)}
			return true
		}
	}
	return true
}
