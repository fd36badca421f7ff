package emulator

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// Nobody is woken before the time, whoever comes or leaves meanwhile, and
// everybody is.
func TestSleepers(t *testing.T) {
	begin := time.Now()
	precise, err := newSleeper(begin)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]sleeper{"precise": precise, "portable": timers{begin}} {
		t.Run(name, func(t *testing.T) {
			defer s.close()
			r := rand.New(rand.NewPCG(1, 2))
			left := make(chan struct{})
			close(left)
			never := make(chan struct{})
			var all sync.WaitGroup
			for i := range 3000 {
				at := time.Since(begin) + time.Duration(r.Int64N(int64(50*time.Millisecond)))
				all.Go(func() {
					stop := never
					if i%3 == 0 {
						stop = left
						at += time.Hour
					}
					woken := s.until(at, stop)
					if now := time.Since(begin); woken && now < at {
						t.Errorf("woken %v early", at-now)
					}
					if woken == (i%3 == 0) {
						t.Errorf("until returned %v, stopped: %v", woken, i%3 == 0)
					}
				})
			}
			all.Wait()
		})
	}
}

// BenchmarkLateness tells how late sleepers wake, at 2000 waits per second on
// an idle machine.
func BenchmarkLateness(b *testing.B) {
	begin := time.Now()
	precise, err := newSleeper(begin)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range []struct {
		name string
		sleeper
	}{{"precise", precise}, {"portable", timers{begin}}} {
		b.Run(s.name, func(b *testing.B) {
			late := make([]time.Duration, 4000)
			var all sync.WaitGroup
			r := rand.New(rand.NewPCG(1, 2))
			base := time.Since(begin)
			for i := range late {
				at := base + time.Duration(i)*time.Millisecond/2 + time.Duration(r.Int64N(int64(time.Millisecond)))
				all.Go(func() {
					s.until(at, nil)
					late[i] = time.Since(begin) - at
				})
			}
			all.Wait()
			slices.Sort(late[100:])
			b.ReportMetric(float64(late[2000])/1e3, "p50-us")
			b.ReportMetric(float64(late[3960])/1e3, "p99-us")
		})
		s.close()
	}
}
