package pace_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine/pace"
)

func count(a pace.Arrivals) (n int64) {
	for {
		if _, ok := a.Due(n); !ok {
			return n
		}
		n++
	}
}

func TestEvenCounts(t *testing.T) {
	tests := []struct {
		name    string
		profile pace.Profile
		want    int64
		last    time.Duration
	}{
		{"constant is rate times time", pace.Constant(200, time.Minute), 12000, time.Minute - 5*time.Millisecond},
		{"thirds of a second do not lose one", pace.Constant(3, time.Second), 3, 666666667},
		{"a rate without an exact float", pace.Constant(0.1, time.Minute), 6, 50 * time.Second},
		{"less than one is one, at once", pace.Constant(1, time.Millisecond), 1, 0},
		{"a ramp from nothing is half its end", pace.Profile{{From: 0, To: 100, For: 10 * time.Second}}, 500, 9989994994},
		{"a ramp down", pace.Profile{{From: 100, To: 0, For: 10 * time.Second}}, 500, 9552786405},
		{"ramp, hold, ramp", pace.Profile{{From: 0, To: 10, For: time.Second}, {From: 10, To: 10, For: time.Second}, {From: 10, To: 0, For: time.Second}}, 20, 2552786405},
		{"nothing", pace.Constant(0, time.Minute), 0, 0},
		{"a pause in the middle", pace.Profile{{From: 10, To: 10, For: time.Second}, {From: 0, To: 0, For: time.Hour}, {From: 10, To: 10, For: time.Second}}, 20, time.Hour + 1900*time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := pace.Even(tt.profile)
			n := count(a)
			if n != tt.want {
				t.Fatalf("%d arrivals, want %d", n, tt.want)
			}
			if n == 0 {
				return
			}
			if last, _ := a.Due(n - 1); (last - tt.last).Abs() > time.Microsecond {
				t.Errorf("the last is due at %v, want %v", last, tt.last)
			}
		})
	}
}

func randomProfile(r *rand.Rand) pace.Profile {
	p := make(pace.Profile, 1+r.IntN(6))
	level := float64(r.IntN(50))
	for i := range p {
		to := float64(r.IntN(500)) * r.Float64()
		if r.IntN(3) == 0 {
			to = level
		}
		p[i] = pace.Stage{From: level, To: to, For: time.Duration(1 + r.Int64N(int64(20*time.Second)))}
		level = to
	}
	return p
}

// The n-th even arrival is where the area reaches n, arrivals never go back,
// and there are as many as the whole area holds.
func TestEvenFollowsTheArea(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		p := randomProfile(r)
		a := pace.Even(p)
		total := p.Area(p.Length())
		n, last := int64(0), time.Duration(-1)
		for ; ; n++ {
			due, ok := a.Due(n)
			if !ok {
				break
			}
			if due < last {
				t.Fatalf("%v: arrival %d is due at %v, before %v", p, n, due, last)
			}
			last = due
			if area := p.Area(due); math.Abs(area-float64(n)) > 1e-3 {
				t.Fatalf("%v: arrival %d is due at %v, where the area is %g", p, n, due, area)
			}
		}
		if want := math.Ceil(total - 1e-6); float64(n) != want && math.Abs(total-math.Round(total)) > 1e-6 {
			t.Fatalf("%v: %d arrivals, the area is %g", p, n, total)
		}
	}
}

func TestShardsAreTheWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		p := randomProfile(r)
		for _, of := range []func() pace.Arrivals{
			func() pace.Arrivals { return pace.Even(p) },
			func() pace.Arrivals { return pace.Poisson(p, 9) },
		} {
			var whole, parts []time.Duration
			for n := int64(0); ; n++ {
				due, ok := of().Due(n)
				if !ok || n > 300 {
					break
				}
				whole = append(whole, due)
			}
			for i := range int64(7) {
				s := pace.Shard(of(), i, 7)
				for n := int64(0); ; n++ {
					due, ok := s.Due(n)
					if !ok || n*7+i >= int64(len(whole)) {
						break
					}
					parts = append(parts, due)
				}
			}
			slices.Sort(parts)
			if !slices.Equal(whole, parts) {
				t.Fatalf("%v: seven shards have %d arrivals, the whole has %d, or other times", p, len(parts), len(whole))
			}
		}
	}
}

// Over many seeds, a Kolmogorov-Smirnov test of the gaps against the
// exponential distribution must reject about as often as its level says: much
// more, and the gaps are not exponential; much less, and they are too good.
func TestPoissonGapsAreExponential(t *testing.T) {
	const seeds, level, rate = 200, 0.05, 50.0
	rejected := 0
	for seed := range uint64(seeds) {
		a := pace.Poisson(pace.Constant(rate, time.Hour), seed)
		gaps := make([]float64, 2000)
		var last time.Duration
		for n := range gaps {
			due, ok := a.Due(int64(n))
			if !ok {
				t.Fatal("an hour at 50/s has more than 2000 arrivals")
			}
			gaps[n] = (due - last).Seconds()
			last = due
		}
		if kolmogorovP(gaps, func(x float64) float64 { return 1 - math.Exp(-rate*x) }) < level {
			rejected++
		}
	}
	t.Logf("rejected %d of %d seeds at %g", rejected, seeds, level)
	if rejected < seeds/100 || rejected > seeds/10 {
		t.Errorf("rejected %d of %d seeds at %g, want between 1 %% and 10 %%", rejected, seeds, level)
	}
}

// kolmogorovP is the p-value of the one-sample Kolmogorov-Smirnov test, by the
// limiting distribution with Stephens' correction (Numerical Recipes, 14.3).
func kolmogorovP(x []float64, cdf func(float64) float64) float64 {
	slices.Sort(x)
	n := float64(len(x))
	d := 0.0
	for i, v := range x {
		f := cdf(v)
		d = max(d, f-float64(i)/n, float64(i+1)/n-f)
	}
	l := (math.Sqrt(n) + 0.12 + 0.11/math.Sqrt(n)) * d
	p, sign := 0.0, 2.0
	for k := 1.0; k <= 100; k++ {
		p += sign * math.Exp(-2*k*k*l*l)
		sign = -sign
	}
	return min(1, max(0, p))
}

func TestPoissonIsSeeded(t *testing.T) {
	p := pace.Profile{{From: 0, To: 100, For: 10 * time.Second}, {From: 100, To: 100, For: 10 * time.Second}}
	a, b, c := pace.Poisson(p, 7), pace.Poisson(p, 7), pace.Poisson(p, 8)
	same := true
	for n := range int64(1000) {
		x, _ := a.Due(n)
		y, _ := b.Due(n)
		z, _ := c.Due(n)
		if x != y {
			t.Fatalf("arrival %d is due at %v and at %v with one seed", n, x, y)
		}
		same = same && x == z
	}
	if same {
		t.Error("two seeds gave the same arrivals")
	}
}

func TestReplay(t *testing.T) {
	a := pace.Replay([]time.Duration{3, 1, 2})
	for n, want := range []time.Duration{1, 2, 3} {
		if got, ok := a.Due(int64(n)); got != want || !ok {
			t.Errorf("Due(%d) = %v, %v; want %v", n, got, ok, want)
		}
	}
	if _, ok := a.Due(3); ok {
		t.Error("a fourth arrival was due, of three recorded")
	}
}

func TestThenKeepsTheSecondWhole(t *testing.T) {
	// Two and a half arrivals of warm-up must not shift what comes after.
	a := pace.Then(pace.Even(pace.Constant(1, time.Hour)), 2500*time.Millisecond, pace.Even(pace.Constant(2, 2*time.Second)))
	want := []time.Duration{0, 1000, 2000, 2500, 3000, 3500, 4000}
	for n, w := range want {
		if got, ok := a.Due(int64(n)); got != w*time.Millisecond || !ok {
			t.Errorf("Due(%d) = %v, %v; want %v", n, got, ok, w*time.Millisecond)
		}
	}
	if got := count(a); got != 7 {
		t.Errorf("%d arrivals, want 7", got)
	}
}

// Callers is the level rounded up, and it says truly until when.
func TestCallersHoldUntilTheySay(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		p := randomProfile(r)
		for at := time.Duration(0); ; {
			n, until, ok := p.Callers(at)
			if !ok {
				if at < p.Length() {
					t.Fatalf("%v: no callers at %v, before the end %v", p, at, p.Length())
				}
				break
			}
			if until <= at {
				t.Fatalf("%v: at %v until %v: time stands still", p, at, until)
			}
			middle := at + (until-at)/2
			if level, _ := p.Level(middle); math.Abs(math.Ceil(level-1e-6)-float64(n)) > 0 && math.Abs(level-math.Round(level)) > 1e-3 {
				t.Fatalf("%v: %d callers from %v until %v, but the level at %v is %g", p, n, at, until, middle, level)
			}
			at = until
		}
	}
}

func TestPlainTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		timer := pace.NewPlainTimer()
		start := time.Now()
		timer.Sleep(time.Second)
		if d := time.Since(start); d != time.Second {
			t.Errorf("slept %v, want 1s", d)
		}
		timer.Wake()
		timer.Sleep(time.Hour)
		if d := time.Since(start); d != time.Second {
			t.Errorf("a wake before the sleep was lost: %v", d)
		}
		go func() { time.Sleep(time.Minute); timer.Wake() }()
		timer.Sleep(time.Hour)
		if d := time.Since(start); d != time.Second+time.Minute {
			t.Errorf("woken after %v, want 1m1s", d)
		}
	})
}

// The system's timer keeps its word on real time: never early, and wakeable.
func TestTimer(t *testing.T) {
	timer, err := pace.NewTimer()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{-time.Second, 0, 1, 50 * time.Microsecond, 3 * time.Millisecond} {
		start := time.Now()
		timer.Sleep(d)
		if took := time.Since(start); took < d {
			t.Errorf("Sleep(%v) returned after %v", d, took)
		}
	}
	for range 200 { // a wake before, while, or around falling asleep
		var woken sync.WaitGroup
		woken.Go(timer.Wake)
		timer.Sleep(time.Minute)
		woken.Wait()
	}
	start := time.Now()
	timer.Sleep(2 * time.Millisecond)
	if took := time.Since(start); took < 2*time.Millisecond {
		t.Errorf("after its wakes the timer slept %v, want at least 2ms", took)
	}
	if err := timer.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkEvenDue(b *testing.B) {
	a := pace.Even(pace.Profile{{From: 0, To: 1e9, For: time.Hour}})
	n := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		a.Due(n)
		n++
	}
}

func BenchmarkPoissonDue(b *testing.B) {
	a := pace.Poisson(pace.Profile{{From: 0, To: 1e9, For: time.Hour}}, 1)
	n := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		a.Due(n)
		n++
	}
}

// BenchmarkPacer keeps to a plan of 2,000/s: it asks when the next is due and
// sleeps until then. It reports how late it wakes up, and takes 500 us a turn as
// the plan has it.
func BenchmarkPacer(b *testing.B) {
	timer, err := pace.NewTimer()
	if err != nil {
		b.Fatal(err)
	}
	defer timer.Close()
	a := pace.Even(pace.Constant(2000, time.Hour))
	late := make([]time.Duration, 0, 1<<20)
	n := int64(0)
	start := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		due, _ := a.Due(n)
		n++
		if wait := due - time.Since(start); wait > 0 {
			timer.Sleep(wait)
		}
		if len(late) < cap(late) {
			late = append(late, time.Since(start)-due)
		}
	}
	reportLateness(b, late)
}

// reportLateness reports the middle and the end of how late it was.
func reportLateness(b *testing.B, late []time.Duration) {
	b.Helper()
	slices.Sort(late)
	for _, q := range []struct {
		name string
		at   int
	}{{"p50-us", len(late) / 2}, {"p99-us", len(late) * 99 / 100}} {
		b.ReportMetric(float64(late[q.at].Nanoseconds())/1000, q.name)
	}
}

// BenchmarkTimerLateness reports how late the system's timer is.
func BenchmarkTimerLateness(b *testing.B) {
	timer, err := pace.NewTimer()
	if err != nil {
		b.Fatal(err)
	}
	defer timer.Close()
	var late []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		due := time.Now().Add(time.Millisecond)
		timer.Sleep(time.Until(due))
		late = append(late, time.Since(due))
	}
	reportLateness(b, late)
}
