package pace

import "time"

// A Timer waits. One goroutine sleeps on it; any may wake it.
type Timer interface {
	// Sleep waits for d, or until it is woken. A Wake that came before Sleep
	// ends it at once, so that none is lost.
	Sleep(d time.Duration)
	// Wake ends the Sleep under way, or the next one.
	Wake()
	// Close gives back what the timer holds. Nobody may be sleeping.
	Close() error
}

// NewPlainTimer returns a timer on the runtime's own clock. It works
// everywhere, and on a faked clock; it can be late by a millisecond, because
// an idle Go runtime sleeps in whole milliseconds.
func NewPlainTimer() Timer { return &plain{wake: make(chan struct{}, 1)} }

type plain struct{ wake chan struct{} }

func (p *plain) Sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.wake:
	}
}

func (p *plain) Wake() {
	select {
	case p.wake <- struct{}{}:
	default: // a wake is waiting already
	}
}

func (p *plain) Close() error { return nil }
