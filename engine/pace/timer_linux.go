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
// runtime's own timers have milliseconds on an idle machine, and burns no
// processor time.
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
	// The read below has a deadline, too, which is a timer of the runtime's:
	// where every processor is busy the poller is asked late, and that timer
	// is the more punctual one.
	due := time.Now().Add(d)
	_ = t.file.SetReadDeadline(due)
	// A zero time would disarm the timer.
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, int64(d)))}
	_ = unix.TimerfdSettime(t.fd, 0, &at, nil) // cannot fail on an open descriptor, and the deadline would do
	for !t.woke.Swap(false) {
		var expirations [8]byte
		if _, err := t.file.Read(expirations[:]); err == nil || !time.Now().Before(due) {
			return
		}
		// Wake has set a deadline in the past. If its flag is down, an earlier
		// Sleep has heard it already, and this one goes on.
		_ = t.file.SetReadDeadline(due)
	}
}

func (t *timerfd) Wake() {
	t.woke.Store(true)
	_ = t.file.SetReadDeadline(time.Unix(1, 0))
}

func (t *timerfd) Close() error { return t.file.Close() }
