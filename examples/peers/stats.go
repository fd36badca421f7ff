//go:build linux

package main

import (
	"math"
	"slices"
	"time"
)

// median returns the middle of x, or the mean of the two that are; x has one
// value at least.
func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// ratios divides pairs: what was measured in the same round stands at the same
// index, so that a slow minute of the machine slows both.
func ratios(of, to []float64) []float64 {
	r := make([]float64, len(of))
	for i := range of {
		r[i] = of[i] / to[i]
	}
	return r
}

// quantile returns the least of x that a share q of x does not exceed: the
// nearest rank, as reports have it. x is sorted, and not empty.
func quantile(x []int64, q float64) int64 {
	return x[min(len(x)-1, max(0, int(math.Ceil(q*float64(len(x))))-1))]
}

// due returns when iteration k of an even load is due, in ns after its start.
func due(k int, perSecond int) int64 {
	return int64(k) * int64(time.Second) / int64(perSecond)
}

// A seen is what the server wrote down of one request, in ns on the wall clock.
type seen struct {
	arrived, answered int64
}

// lateness returns by how many ns each arrival came after it was due, sorted.
// Requests may overtake each other on the way: the k-th to arrive is held
// against the k-th to be due. start is the load's, in ns on the wall clock.
func lateness(all []seen, start int64, perSecond int) []int64 {
	arrived := make([]int64, len(all))
	for k, s := range all {
		arrived[k] = s.arrived
	}
	slices.Sort(arrived)
	for k := range arrived {
		arrived[k] -= start + due(k, perSecond)
	}
	slices.Sort(arrived)
	return arrived
}

// responses returns how many ns after each request was due the server answered
// it, sorted: the truth about what volley reports as response.
func responses(all []seen, start int64, perSecond int) []int64 {
	all = slices.SortedFunc(slices.Values(all), func(a, b seen) int { return int(a.arrived - b.arrived) })
	took := make([]int64, len(all))
	for k, s := range all {
		took[k] = s.answered - start - due(k, perSecond)
	}
	slices.Sort(took)
	return took
}
