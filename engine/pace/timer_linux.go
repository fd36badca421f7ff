package pace

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// NewTimer returns the most punctual timer of the system: here one on a
// timerfd that Go's network poller waits for, which has nanoseconds where the
// runtime's own timers have milliseconds, and burns no processor time.
func NewTimer() (Timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timerfd: %w", err)
	}
	return &timerfd{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}, nil
}

type timerfd struct {
	fd   int
	file *os.File // in the poller, because the descriptor does not block
	woke atomic.Bool
}

func (t *timerfd) Sleep(d time.Duration) {
	// A zero time would disarm the timer.
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, int64(d)))}
	if err := unix.TimerfdSettime(t.fd, 0, &at, nil); err != nil {
		time.Sleep(d) // cannot happen with an open descriptor; late is better than never
		return
	}
	for !t.woke.Swap(false) {
		var expirations [8]byte
		if _, err := t.file.Read(expirations[:]); err == nil {
			return
		}
		// Wake has set a deadline in the past. If its flag is down, an earlier
		// Sleep has heard it already, and this one goes on.
		_ = t.file.SetReadDeadline(time.Time{})
	}
}

func (t *timerfd) Wake() {
	t.woke.Store(true)
	_ = t.file.SetReadDeadline(time.Unix(1, 0))
}

func (t *timerfd) Close() error { return t.file.Close() }
