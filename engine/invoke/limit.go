package invoke

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// A Limit is a ceiling on attempts per second, shared by all callers.
type Limit struct{ limiter *rate.Limiter }

// NewLimit returns a ceiling of perSecond, which is more than 0; for 0 it
// returns nil, which is no ceiling.
//
// Ten milliseconds' worth may pass at once. A waiting caller wakes up a
// millisecond late or so, and with a burst of one every such delay would be
// lost for good: 10,000/s asked for came out as 1,800/s.
func NewLimit(perSecond float64) *Limit {
	if perSecond <= 0 {
		return nil
	}
	return &Limit{rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/100)))}
}

// wait waits for leave to make one attempt, and returns how long the ceiling
// made it wait: the delay that was asked for, not the timer's lateness. When
// ctx is done first, the leave goes back, and the wait is the time spent.
func (l *Limit) wait(ctx context.Context) (time.Duration, error) {
	if l == nil {
		return 0, nil
	}
	now := time.Now()
	leave := l.limiter.ReserveN(now, 1)
	delay := leave.DelayFrom(now)
	if delay == 0 {
		return 0, nil
	}
	if err := sleep(ctx, delay); err != nil {
		leave.Cancel()
		return time.Since(now), err
	}
	return delay, nil
}
