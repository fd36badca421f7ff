//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package invoke

import (
	"encoding/binary"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// A stamp reads a socket and notes when what it reads came in, as the system
// saw it (SO_TIMESTAMPNS, socket(7)): that it lay there until we came to read
// it is not the server's time. Each socket has its own.
type stamp struct {
	at int64 // when the last of what was read came in, by the wall clock, in ns; 0: not told

	socket direct // of that
	head   syscall.Msghdr
	part   syscall.Iovec
	note   [(syscall.SizeofCmsghdr + unsafe.Sizeof(syscall.Timespec{})) / 8]uint64
}

// newStamp returns nil where the system does not tell.
func newStamp(c syscall.RawConn) *stamp {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	})
	if err != nil || failed != nil {
		return nil
	}
	return &stamp{}
}

// receive reads what is there, and EAGAIN when nothing is.
func (s *stamp) receive(d direct, b []byte) (int, error) {
	s.at, s.socket = 0, d
	s.part.Base = unsafe.SliceData(b)
	s.part.SetLen(len(b))
	s.head.Iov, s.head.Iovlen = &s.part, 1
	s.head.Control = (*byte)(unsafe.Pointer(&s.note))
	for {
		s.head.SetControllen(int(unsafe.Sizeof(s.note)))
		n, _, errno := syscall.RawSyscall(syscall.SYS_RECVMSG, uintptr(d), uintptr(unsafe.Pointer(&s.head)), 0)
		switch errno {
		case 0:
			s.part.Base = nil // nobody else keeps it
			s.read()
			acquired(d)
			return int(n), nil
		case syscall.EINTR:
			continue
		}
		s.part.Base = nil
		if errno == syscall.EAGAIN {
			return 0, errAgain
		}
		return 0, os.NewSyscallError("recvmsg", errno)
	}
}

// read takes the time out of the system's note.
func (s *stamp) read() {
	head := (*syscall.Cmsghdr)(unsafe.Pointer(&s.note))
	if s.head.Controllen == uint64(unsafe.Sizeof(s.note)) && head.Level == syscall.SOL_SOCKET && head.Type == syscall.SCM_TIMESTAMPNS {
		s.at = (*syscall.Timespec)(unsafe.Pointer(&s.note[syscall.SizeofCmsghdr/8])).Nano()
	}
}

// lastPacket returns how long ago the last packet with data came, by the
// system's own count; less than 0 where it does not tell.
func (s *stamp) lastPacket() time.Duration {
	const at = 52 // tcpi_last_data_recv of struct tcp_info, in ms (linux/tcp.h)
	var info [64]byte
	size := uint32(len(info))
	_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, uintptr(s.socket), syscall.IPPROTO_TCP, syscall.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 || size < at+4 {
		return never
	}
	return time.Duration(binary.NativeEndian.Uint32(info[at:])) * time.Millisecond
}
