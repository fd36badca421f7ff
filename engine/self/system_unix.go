//go:build unix

package self

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU returns the CPU time of this process, user and system.
func processCPU() (time.Duration, bool) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}

// fileLimit returns how many file descriptors may be open; not measured where
// there is no limit.
func fileLimit() Reading {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil || uint64(l.Cur) >= 1<<62 {
		return Reading{}
	}
	return Measured(float64(l.Cur))
}

// maxRSS returns the most memory that was ours at once; Apple counts bytes,
// the others KiB.
func maxRSS() Reading {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil || u.Maxrss <= 0 {
		return Reading{}
	}
	unit := 1024.0
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		unit = 1
	}
	return Measured(float64(u.Maxrss) * unit)
}
