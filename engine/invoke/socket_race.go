//go:build linux && (amd64 || arm64 || riscv64 || loong64) && race

package invoke

import (
	"errors"
	"os"
	"syscall"
)

// The race detector takes what one end writes to come before what the other
// reads, where it sees both: package syscall's own Read and Write tell it.

func (d direct) send(b []byte) (int, error) {
	for {
		n, err := syscall.Write(int(d), b)
		if !errors.Is(err, syscall.EINTR) {
			return max(0, n), system("write", err)
		}
	}
}

func (d direct) receive(b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(d), b)
		if !errors.Is(err, syscall.EINTR) {
			return max(0, n), system("read", err)
		}
	}
}

// acquired tells the race detector that something was read by other means.
func acquired(d direct) { _, _ = syscall.Read(int(d), nil) }

func system(call string, err error) error {
	if err == nil || again(err) {
		return err
	}
	return os.NewSyscallError(call, err)
}
