//go:build linux && (amd64 || arm64 || riscv64 || loong64) && !race

package invoke

import (
	"os"
	"syscall"
	"unsafe"
)

// send writes what the socket takes at once.
func (d direct) send(b []byte) (int, error) {
	return d.call(syscall.SYS_SENDTO, b, syscall.MSG_NOSIGNAL, "sendto")
}

// receive reads what is there, and EAGAIN when nothing is.
func (d direct) receive(b []byte) (int, error) {
	return d.call(syscall.SYS_RECVFROM, b, 0, "recvfrom")
}

func acquired(direct) {}

// call makes a call that cannot block, so that the scheduler need not know.
func (d direct) call(number uintptr, b []byte, flags uintptr, name string) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(number, uintptr(d), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EAGAIN:
			return 0, errAgain
		case syscall.EINTR:
			continue
		}
		return 0, os.NewSyscallError(name, errno)
	}
}
