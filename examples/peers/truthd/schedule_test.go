//go:build linux && (amd64 || arm64)

package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestStall(t *testing.T) {
	const origin = int64(1e18)
	s := schedule{every: 5 * time.Second, stall: time.Second}
	tests := []struct{ arrival, want time.Duration }{
		{0, 0},
		{1999 * time.Millisecond, 1999 * time.Millisecond},
		{2 * time.Second, 3 * time.Second},
		{2999 * time.Millisecond, 3 * time.Second},
		{3 * time.Second, 3 * time.Second},
		{5 * time.Second, 5 * time.Second},
		{17500 * time.Millisecond, 18 * time.Second},
	}
	for _, tt := range tests {
		if got := time.Duration(s.answer(origin, origin+int64(tt.arrival)) - origin); got != tt.want {
			t.Errorf("what arrives at %v is answered at %v, want %v", tt.arrival, got, tt.want)
		}
	}
}

func TestLatency(t *testing.T) {
	s := schedule{median: 2 * time.Millisecond, sigma: 0.5, random: rand.New(rand.NewPCG(7, 0))}
	const n = 100_000
	all := make([]int64, n)
	for i := range all {
		all[i] = s.answer(0, 0)
	}
	slices.Sort(all)
	// 2 ms, and 2 ms · exp(0.5 · 2.3263) = 6.40 ms; 1 % is five standard errors of the first.
	for _, q := range []struct {
		at   int
		want float64
	}{{n / 2, 2e6}, {n * 99 / 100, 6.40e6}} {
		if off := float64(all[q.at])/q.want - 1; max(off, -off) > 0.02 {
			t.Errorf("value %d of %d is %d ns, want about %.0f", q.at, n, all[q.at], q.want)
		}
	}
	s.sigma = 0
	if got := s.answer(5, 5); got != 5+2e6 {
		t.Errorf("a latency without spread ends at %d, want %d", got, 5+int64(2e6))
	}
}

func TestWaits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var w waits
	var want []int64
	for range 1000 {
		until := r.Int64N(500) // many are the same
		w.push(wait{until: until})
		want = append(want, until)
	}
	slices.Sort(want)
	for i := range want {
		if got := w.pop().until; got != want[i] {
			t.Fatalf("number %d to end is %d, want %d", i, got, want[i])
		}
	}
	if len(w) != 0 {
		t.Errorf("%d are left", len(w))
	}
}
