package engine

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// crowd hires and retires a closed run's callers as its profile says, until
// the profile is over, or there is nothing more to do.
func (r *Run) crowd(sending, work context.Context) {
	crew := make([]*member, 0, int(math.Ceil(r.load.Crowd.Peak())))
	empty := make(chan struct{})
	var once sync.Once
	exhausted := func() { once.Do(func() { close(empty) }) }
	sending, cancel := context.WithCancel(sending)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		select {
		case <-empty:
			cancel()
		case <-sending.Done():
		}
		r.Timer.Wake()
	})

	for t := time.Duration(0); ; {
		want, until, ok := r.load.Crowd.Callers(t)
		for i, m := range crew {
			m.active.Store(ok && i < want)
		}
		if !ok {
			raise(&r.sendEnd, int64(r.load.Warmup+t))
			return
		}
		for i := range want {
			if i == len(crew) {
				m := &member{caller: r.hire(), wake: make(chan struct{}, 1)}
				m.active.Store(true)
				crew = append(crew, m)
				r.callers.Go(func() { m.work(sending, work, exhausted) })
			}
			select {
			case crew[i].wake <- struct{}{}:
			default:
			}
		}
		t = until
		if !r.sleepUntil(sending, r.load.Warmup+until) {
			raise(&r.sendEnd, int64(r.now()))
			return
		}
	}
}

// A member is a caller of a closed run. It works while it is active, and waits
// otherwise: a crowd may shrink and grow again.
type member struct {
	*caller
	next   ticket
	active atomic.Bool
	wake   chan struct{} // holds one
}

func (m *member) work(sending, work context.Context, exhausted func()) {
	defer m.leave()
	r := m.run
	end := r.load.Warmup + r.load.Crowd.Length()
	for {
		select {
		case <-sending.Done():
			return
		default:
		}
		if !m.active.Load() {
			select {
			case <-m.wake:
				continue
			case <-sending.Done():
				return
			}
		}
		due := r.now()
		if due >= end {
			return
		}
		if err := m.take(due); err != nil {
			exhausted()
			return
		}
		if m.next.warm {
			r.warm.Add(1)
		}
		m.iterate(work, &m.next)
	}
}

// take takes the next iteration, which is due now.
func (m *member) take(due time.Duration) (err error) {
	m.next = ticket{due: due, warm: due < m.run.load.Warmup}
	m.next.n, m.next.row, err = m.run.take(m.next.warm)
	return err
}
