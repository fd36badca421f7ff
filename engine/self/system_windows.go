package self

import (
	"syscall"
	"time"
)

// processCPU returns the CPU time of this process, user and kernel.
func processCPU() (time.Duration, bool) {
	p, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0, false
	}
	var created, exited, kernel, user syscall.Filetime
	if syscall.GetProcessTimes(p, &created, &exited, &kernel, &user) != nil {
		return 0, false
	}
	return span(kernel) + span(user), true
}

// span reads a Filetime as a length of time: it counts 100 ns. Its method
// Nanoseconds is for points in time only.
func span(t syscall.Filetime) time.Duration {
	return time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime)) * 100
}

func fileLimit() Reading { return Reading{} } // handles have no limit of their own

func maxRSS() Reading { return Reading{} }
