package emulator

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The earliest waiter is on top, whoever leaves from wherever.
func TestWaiters(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var a alarm
		var all []*waiter
		for range r.IntN(100) {
			w := &waiter{at: r.Int64N(50)}
			all = append(all, w)
			a.push(w)
		}
		var left []int64
		for _, w := range all {
			if r.IntN(3) == 0 {
				a.remove(w.index)
				a.remove(w.index) // who was taken off is not there any more
			} else {
				left = append(left, w.at)
			}
		}
		var got []int64
		for len(a.waiting) > 0 {
			got = append(got, a.waiting[0].at)
			a.remove(0)
		}
		slices.Sort(left)
		if !slices.Equal(got, left) {
			t.Fatalf("waiters come as %v, want %v", got, left)
		}
	}
}

func TestWhoStopsWaitingIsForgotten(t *testing.T) {
	s, err := newSleeper(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	a, ok := s.(*alarm)
	if !ok {
		t.Skip("this system has no timerfd")
	}
	stop := make(chan struct{})
	close(stop)
	if a.until(time.Hour, stop) {
		t.Error("an hour is over")
	}
	if len(a.waiting) != 0 {
		t.Errorf("%d waiters are left", len(a.waiting))
	}
}
