//go:build linux && (amd64 || arm64)

package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// A schedule says when a request is to be answered.
type schedule struct {
	median time.Duration // of a log-normal latency; 0 is none
	sigma  float64       // of its logarithm; 0 makes every latency the median
	random *rand.Rand

	// In each period of every the server answers nothing for a time of stall,
	// which lies in the middle: of 5 s and 1 s, from 2 s to 3 s. 0 is never.
	every, stall time.Duration
}

// atOnce reports whether no request ever waits.
func (s *schedule) atOnce() bool { return s.median == 0 && s.stall == 0 }

// answer returns when to answer what arrived at arrival, in nanoseconds on
// the clock that origin, the first arrival, is on.
func (s *schedule) answer(origin, arrival int64) int64 {
	ready := arrival
	if s.median > 0 {
		latency := float64(s.median)
		if s.sigma > 0 {
			latency *= math.Exp(s.sigma * s.random.NormFloat64())
		}
		ready += int64(latency)
	}
	if s.stall > 0 {
		into := (arrival - origin) % int64(s.every)
		from := int64(s.every-s.stall) / 2
		if until := from + int64(s.stall); into >= from && into < until {
			ready = max(ready, arrival+until-into)
		}
	}
	return ready
}

// A wait is one request that is answered later.
type wait struct {
	until  int64 // ns
	number int64 // the request's, from 0
	of     *conn
	close  bool // the connection, when it is answered
}

// waits is a binary heap, the first to end at 0. It is written out, because
// container/heap would allocate for each.
type waits []wait

func (w *waits) push(x wait) {
	h := append(*w, x)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up].until <= x.until {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = x
	*w = h
}

func (w *waits) pop() wait {
	h := *w
	first, last := h[0], h[len(h)-1]
	h[len(h)-1] = wait{} // lets go of the connection
	h = h[:len(h)-1]
	i := 0
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1].until < h[down].until {
			down++
		}
		if last.until <= h[down].until {
			break
		}
		h[i] = h[down]
		i = down
	}
	if len(h) > 0 {
		h[i] = last
	}
	*w = h
	return first
}
