package emulator

import "time"

// A sleeper lets requests wait until a time since the server's start.
type sleeper interface {
	// until returns true when the clock shows at, or false when stop is closed
	// before.
	until(at time.Duration, stop <-chan struct{}) bool
	// close frees what it holds. Nobody may be waiting.
	close()
}

// timers is the sleeper that works everywhere. On Linux an idle Go program
// wakes up to a millisecond late from them.
type timers struct{ start time.Time }

func (t timers) until(at time.Duration, stop <-chan struct{}) bool {
	d := at - time.Since(t.start)
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}

func (timers) close() {}
