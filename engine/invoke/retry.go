package invoke

import (
	"math/rand/v2"
	"slices"
	"time"

	"volley/engine"
)

// A backoff spaces out the attempts of one invocation. The zero value is
// ready to use.
type backoff struct{ rand *rand.Rand }

// again reports whether r's last attempt shall be followed by another. What we
// gave up ourselves is never tried again.
func (b *backoff) again(i *engine.Invocation, r *engine.Result) bool {
	p := i.Step.Retry
	return p != nil && tries(r) < p.Attempts && r.Reply.Outcome != engine.Canceled && slices.Contains(p.On, r.Reply.Outcome)
}

// tries is the number of attempts so far, the one not counted that only
// renewed a token.
func tries(r *engine.Result) int {
	if r.Renewed {
		return len(r.Attempts) - 1
	}
	return len(r.Attempts)
}

// wait returns how long to wait before the next attempt. It draws evenly from
// [0, min(Cap, Base*2^(n-1))] before the n-th retry: the "full jitter" of M.
// Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. A
// Retry-After of the server's makes it longer, but never longer than Cap.
func (b *backoff) wait(i *engine.Invocation, r *engine.Result) time.Duration {
	if b.rand == nil {
		// The draws belong to the step, the iteration and the item, whichever
		// caller makes them, and are not those that the body was made of.
		s := *i.Scope
		s.Step ^= 0x7265747279 // "retry"
		b.rand = s.Rand()
	}
	p := i.Step.Retry
	limit := ceiling(p, tries(r))
	drawn := time.Duration(b.rand.Int64N(int64(limit) + 1))
	return max(drawn, min(r.Reply.RetryAfter, p.Cap))
}

// ceiling returns min(Cap, Base*2^(n-1)) for n from 1, without overflow.
func ceiling(p *engine.Retry, n int) time.Duration {
	limit := min(p.Base, p.Cap)
	for range n - 1 {
		if limit > p.Cap/2 {
			return max(p.Cap, 0)
		}
		limit *= 2
	}
	return max(limit, 0)
}
