package emulator

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// An alarm is the precise sleeper. The runtime of an idle Go program sleeps in
// epoll_wait, in whole milliseconds; a timerfd wakes it within some tens of
// microseconds. One timerfd serves all: it is set to the earliest of the
// waiters' times, and one goroutine wakes whoever is due.
//
// A busy program looks at the poller last, and at its timers whenever it looks
// for work. So a timer runs beside the timerfd, and whoever begins to wait wakes
// those who are due, too. With two busy goroutines on two cores, sleepers woke
// 0.1 ms late in the median by both, and 5 ms by the timerfd alone.
type alarm struct {
	start time.Time
	file  *os.File
	fd    int
	timer *time.Timer
	ended chan struct{}

	mu      sync.Mutex
	waiting []*waiter // a binary heap, by at
	set     int64     // what the timerfd is set to; 0: not set
}

// A waiter waits for a time. Whoever takes it off the heap sends on wake.
type waiter struct {
	at    int64 // ns since start
	index int   // in the heap; -1: off it
	wake  chan struct{}
}

// newSleeper returns an alarm, or timers inside a synctest bubble: there, the
// clock is not the system's, and no file can wait for it.
func newSleeper(start time.Time) (sleeper, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &ts); err != nil {
		return nil, fmt.Errorf("clock_gettime: %w", err)
	}
	if d := time.Since(start); start.Add(d).Sub(time.Unix(ts.Unix())).Abs() > time.Hour {
		return timers{start}, nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return timers{start}, nil // some sandboxes have none; late by a millisecond is better than not at all
	}
	a := &alarm{start: start, fd: fd, file: os.NewFile(uintptr(fd), "timerfd"), ended: make(chan struct{})}
	a.timer = time.AfterFunc(time.Hour, a.fire)
	go a.run()
	return a, nil
}

func (a *alarm) now() int64 { return int64(time.Since(a.start)) }

func (a *alarm) until(at time.Duration, stop <-chan struct{}) bool {
	now := a.now()
	if int64(at) <= now {
		return true
	}
	w := &waiter{at: int64(at), wake: make(chan struct{}, 1)}
	a.mu.Lock()
	a.push(w)
	a.ring(now)
	a.mu.Unlock()
	select {
	case <-w.wake:
		return true
	case <-stop:
		a.mu.Lock()
		a.remove(w.index)
		a.mu.Unlock()
		return false
	}
}

// run wakes waiters when the timerfd fires, until it is closed.
func (a *alarm) run() {
	defer close(a.ended)
	var fired [8]byte
	for {
		if _, err := a.file.Read(fired[:]); err != nil {
			return
		}
		a.fire()
	}
}

// fire is called when the timer or the timerfd says that somebody is due.
func (a *alarm) fire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.now(); now >= a.set {
		a.set = 0
		a.ring(now)
	}
}

// ring wakes all who are due and sets the timerfd to the next. Setting it later
// than asked for before is not worth a system call: it fires, and is set anew.
func (a *alarm) ring(now int64) {
	for len(a.waiting) > 0 && a.waiting[0].at <= now {
		w := a.waiting[0]
		a.remove(0)
		w.wake <- struct{}{}
	}
	if len(a.waiting) == 0 || a.set != 0 && a.set <= a.waiting[0].at {
		return
	}
	a.set = a.waiting[0].at
	a.timer.Reset(time.Duration(a.set - now))
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(a.set - now)}
	// It fails for a bad descriptor or time only, and both are ours.
	_ = unix.TimerfdSettime(a.fd, 0, &spec, nil)
}

func (a *alarm) close() {
	a.timer.Stop()
	_ = a.file.Close() // wakes Read; there is nothing to lose
	<-a.ended
}

func (a *alarm) push(w *waiter) {
	w.index = len(a.waiting)
	a.waiting = append(a.waiting, w)
	a.up(w.index)
}

// remove takes the waiter at i off the heap; i may be -1.
func (a *alarm) remove(i int) {
	if i < 0 {
		return
	}
	last := len(a.waiting) - 1
	a.waiting[i].index = -1
	if i != last {
		a.waiting[i] = a.waiting[last]
		a.waiting[i].index = i
	}
	a.waiting[last] = nil
	a.waiting = a.waiting[:last]
	if i != last {
		a.down(i)
		a.up(i)
	}
}

func (a *alarm) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if a.waiting[parent].at <= a.waiting[i].at {
			return
		}
		a.swap(i, parent)
		i = parent
	}
}

func (a *alarm) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(a.waiting) {
			return
		}
		if right := child + 1; right < len(a.waiting) && a.waiting[right].at < a.waiting[child].at {
			child = right
		}
		if a.waiting[i].at <= a.waiting[child].at {
			return
		}
		a.swap(i, child)
		i = child
	}
}

func (a *alarm) swap(i, j int) {
	a.waiting[i], a.waiting[j] = a.waiting[j], a.waiting[i]
	a.waiting[i].index, a.waiting[j].index = i, j
}
