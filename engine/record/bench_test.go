package record

import (
	"runtime"
	"testing"
	"time"

	"volley/engine"
)

func BenchmarkInvocation(b *testing.B) {
	for _, disk := range []bool{false, true} {
		b.Run(map[bool]string{false: "memory", true: "folder"}[disk], func(b *testing.B) {
			start := time.Now()
			o := Options{Plan: examplePlan(), Start: start, Tally: exampleTally(start)}
			if disk {
				o.Dir = b.TempDir()
			}
			r, err := Create(o)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				s := r.Shard()
				v := invocation(0, engine.OK, 0, 20*ms)
				for n := time.Duration(0); p.Next(); n++ {
					v.End = 20*ms + n%10_000*time.Microsecond
					s.Invocation(v)
				}
			})
			if _, err := r.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkSecond(b *testing.B) {
	start := time.Now()
	r, err := Create(Options{Dir: b.TempDir(), Plan: examplePlan(), Start: start, Tally: exampleTally(start)})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	s := r.Shard()
	b.ReportAllocs()
	for b.Loop() {
		for n := range 1000 {
			s.Invocation(invocation(n%3, engine.OK, 0, time.Duration(n)*100*time.Microsecond))
		}
		r.drain()
		r.mu.Lock()
		main := r.main.finish()
		r.mu.Unlock()
		_ = r.encode.appendHlog(nil, r.shape, main, false, 0, time.Second)
	}
}

// TestMemoryDoesNotGrowWithTheRun records two million results, and compares
// what is alive after a tenth of them with what is at the end.
func TestMemoryDoesNotGrowWithTheRun(t *testing.T) {
	if testing.Short() {
		t.Skip("two million results")
	}
	start := time.Now()
	r, err := Create(Options{Dir: t.TempDir(), Plan: examplePlan(), Start: start, Tally: exampleTally(start)})
	if err != nil {
		t.Fatal(err)
	}
	s := r.Shard()
	alive := func() uint64 {
		r.drain()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const all = 2_000_000
	var early uint64
	v := invocation(0, engine.OK, 0, 20*ms)
	for n := range all {
		v.Invocation.Step.Series = n % 2
		v.End = time.Duration(n*2654435761%1_000_000) * time.Microsecond
		s.Invocation(v)
		if n == all/10 {
			early = alive()
		}
	}
	late := alive()
	if _, err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if late > early+2<<20 || late > 30<<20 {
		t.Errorf("%d KiB alive after 200,000 results, %d KiB after 2,000,000: want no more than 2 MiB of growth, and 30 MiB in all", early>>10, late>>10)
	}
	t.Logf("%d KiB alive after 200,000 results, %d KiB after 2,000,000", early>>10, late>>10)
}
