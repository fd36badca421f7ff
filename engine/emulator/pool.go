package emulator

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A pool holds the instances of one version. An instance works on one request
// at a time. A request takes the warm instance that was used last, else a new
// one, if quota and burst allow (PROTOCOL.md 7.1: what is above is rejected and
// not queued). An instance that was idle for keepWarm is gone; that is found
// out at the next request, and needs no clock of its own.
type pool struct {
	mu    sync.Mutex
	idle  []idleInstance // the longest idle first
	alive int            // idle or busy
	made  uint64         // so far; the number of the newest instance
	limit int            // 0: none
	burst *rate.Limiter  // of new instances; nil: no limit
}

type idleInstance struct {
	id    uint64
	since time.Duration
}

// A quota is a limit of the platform that a request ran into.
type quota int

const (
	fits quota = iota
	overConcurrency
	overBurst
)

func newPool(limit int, burst float64) *pool {
	p := &pool{limit: limit}
	if burst > 0 {
		p.burst = rate.NewLimiter(rate.Limit(burst/60), max(1, int(burst)))
	}
	return p
}

// acquire hands out an instance at the time now since start.
func (p *pool) acquire(start time.Time, now time.Duration) (id uint64, cold bool, q quota) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retire(now)
	if n := len(p.idle); n > 0 {
		id = p.idle[n-1].id
		p.idle = p.idle[:n-1]
		return id, false, fits
	}
	if p.limit > 0 && p.alive >= p.limit {
		return 0, false, overConcurrency
	}
	if p.burst != nil && !p.burst.AllowN(start.Add(now), 1) {
		return 0, false, overBurst
	}
	p.alive++
	p.made++
	return p.made, true, fits
}

// release takes an instance back. One that is not kept is gone.
func (p *pool) release(id uint64, now time.Duration, keep bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !keep {
		p.alive--
		return
	}
	p.idle = append(p.idle, idleInstance{id, now})
}

func (p *pool) retire(now time.Duration) {
	n := 0
	for n < len(p.idle) && now-p.idle[n].since >= keepWarm {
		n++
	}
	if n > 0 {
		p.idle = append(p.idle[:0], p.idle[n:]...)
		p.alive -= n
	}
}
