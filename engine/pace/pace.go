// Package pace says when work is due: profiles of load over time, even and
// random arrivals, replayed arrivals, and shares of them. It is arithmetic
// without a clock; only Timer, which waits for a due time, touches one.
package pace

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Arrivals says when the n-th iteration of an open run is due, counted from
// the start of the run; n counts from 0. It is asked by one goroutine, with n
// never decreasing; ok is false past the last arrival.
type Arrivals interface {
	Due(n int64) (at time.Duration, ok bool)
}

// A Stage is a stretch of time over which a level goes in a straight line.
type Stage struct {
	From, To float64       // at its start and end; at least 0
	For      time.Duration // more than 0
}

// A Profile is a level over time: iterations per second in an open run,
// callers in a closed one.
type Profile []Stage

// Constant is the profile of one level for a time.
func Constant(level float64, for_ time.Duration) Profile {
	return Profile{{From: level, To: level, For: for_}}
}

// Length returns how long the profile lasts.
func (p Profile) Length() time.Duration {
	var d time.Duration
	for _, s := range p {
		d += s.For
	}
	return d
}

// Level returns the level at time t; ok is false before its start and from
// its end on. Where one stage meets the next, the next one's level holds.
func (p Profile) Level(t time.Duration) (level float64, ok bool) {
	if t < 0 {
		return 0, false
	}
	for _, s := range p {
		if t < s.For {
			return s.From + (s.To-s.From)*float64(t)/float64(s.For), true
		}
		t -= s.For
	}
	return 0, false
}

// Callers returns how many callers a closed run has at time t, which is the
// level rounded up, and until when that holds; ok is false from the profile's
// end on.
func (p Profile) Callers(t time.Duration) (n int, until time.Duration, ok bool) {
	var start time.Duration
	for _, s := range p {
		if x := t - start; x < s.For {
			slope := (s.To - s.From) / float64(s.For)
			level := math.Ceil(s.From + slope*float64(x) - slack)
			end := s.For
			switch {
			case slope > 0: // one more as soon as the level has passed n
				end = min(end, time.Duration((level+2*slack-s.From)/slope)+1)
			case slope < 0: // one less as soon as it has come down to n-1
				end = min(end, time.Duration((level-1-s.From)/slope)+1)
			}
			return int(level), start + max(end, x+1), true
		}
		start += s.For
	}
	return 0, 0, false
}

// Peak returns the highest level of the profile.
func (p Profile) Peak() float64 {
	var peak float64
	for _, s := range p {
		peak = max(peak, s.From, s.To)
	}
	return peak
}

// Area returns the number of arrivals due before time t: the integral of the
// level from 0 to t.
func (p Profile) Area(t time.Duration) float64 {
	var area float64
	for _, s := range p {
		if t <= 0 {
			break
		}
		x := min(t, s.For).Seconds()
		area += x * (s.From + (s.To-s.From)*x/s.For.Seconds()/2)
		t -= s.For
	}
	return area
}

// slack is how much of one arrival may get lost in rounding before it counts:
// 200/s for a minute is 12000 arrivals, though 0.005 has no exact float.
const slack = 1e-6

// when returns the time at which the area under the profile reaches n.
//
// Within one stage the area is from·t + (to-from)/(2·len)·t². Solved for t in
// the form below, and not by the textbook root, a level stage is no special
// case and nothing cancels where the slope is small.
func (p Profile) when(n float64) (time.Duration, bool) {
	var start time.Duration
	for _, s := range p {
		length := s.For.Seconds()
		area := length * (s.From + s.To) / 2
		if n < area-slack {
			slope := (s.To - s.From) / length
			root := math.Sqrt(max(0, s.From*s.From+2*slope*n))
			t := 0.0
			if n > 0 {
				t = 2 * n / (s.From + root)
			}
			return start + min(time.Duration(math.Round(t*1e9)), s.For), true
		}
		n -= area
		start += s.For
	}
	return 0, false
}

// Even returns arrivals spaced as evenly as the profile allows: the n-th is
// due when the area under the profile reaches n.
func Even(p Profile) Arrivals { return even(p) }

type even Profile

func (e even) Due(n int64) (time.Duration, bool) { return Profile(e).when(float64(n)) }

// Poisson returns arrivals of a Poisson process whose rate is the profile:
// the n-th is due when the area under the profile reaches the sum of n+1
// exponential draws, which is the standard construction by time change
// (Lewis, Shedler: "Simulation of Nonhomogeneous Poisson Processes by
// Thinning", 1979, section 1). The same seed gives the same arrivals.
func Poisson(p Profile, seed uint64) Arrivals {
	return &poisson{profile: p, draw: rand.New(rand.NewPCG(seed, 0x706f6973736f6e))}
}

type poisson struct {
	profile Profile
	draw    *rand.Rand
	drawn   int64   // arrivals drawn so far
	sum     float64 // of their gaps
}

func (a *poisson) Due(n int64) (time.Duration, bool) {
	for ; a.drawn <= n; a.drawn++ {
		a.sum += a.draw.ExpFloat64()
	}
	return a.profile.when(a.sum)
}

// Replay returns recorded arrivals. They are sorted first.
func Replay(at []time.Duration) Arrivals {
	return replay(slices.Sorted(slices.Values(at)))
}

type replay []time.Duration

func (r replay) Due(n int64) (time.Duration, bool) {
	if n < 0 || n >= int64(len(r)) {
		return 0, false
	}
	return r[n], true
}

// Then returns the arrivals of first that are due before the time at, and from
// there on those of next, whose times count from at. It is how a warm-up comes
// before a run without changing the run's own times.
func Then(first Arrivals, at time.Duration, next Arrivals) Arrivals {
	return &then{first: first, at: at, next: next}
}

type then struct {
	first, next Arrivals
	at          time.Duration
	over        bool  // first has ended
	count       int64 // arrivals of first, once it has
}

func (a *then) Due(n int64) (time.Duration, bool) {
	if !a.over {
		if due, ok := a.first.Due(n); ok && due < a.at {
			return due, true
		}
		a.over, a.count = true, n
	}
	due, ok := a.next.Due(n - a.count)
	return due + a.at, ok
}

// Shard returns every of-th arrival of a, beginning with the index-th: machine
// i of k asks for Shard(a, i, k), and all shards together are exactly a.
func Shard(a Arrivals, index, of int64) Arrivals { return shard{a, index, of} }

type shard struct {
	of    Arrivals
	index int64
	every int64
}

func (s shard) Due(n int64) (time.Duration, bool) { return s.of.Due(n*s.every + s.index) }
