package self

import "golang.org/x/sys/unix"

// MakeRoomForFiles has the system make its table of this process's files large
// enough for n more. It makes the table larger when it has to, at 64, 128, 256
// files and so on, and the thread that opened a file too many waits for all
// processors to have noticed: 10 to 20 ms, in which nothing else is sent. Where
// that does not work, or few files are to come, the table grows as it is needed.
func MakeRoomForFiles(n int) {
	const (
		others = 32 // standard streams, the run folder, the poller
		always = 64 // files that there is room for from the start
	)
	if n+others <= always {
		return
	}
	limit := unix.Rlimit{}
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	last := min(uint64(n+others), limit.Cur) - 1
	file, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return
	}
	if high, err := unix.FcntlInt(uintptr(file), unix.F_DUPFD_CLOEXEC, int(last)); err == nil {
		_ = unix.Close(high)
	}
	_ = unix.Close(file)
}
