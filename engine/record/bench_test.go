package record

import (
	"runtime"
	"testing"
	"time"

	"volley/engine"
)

// BenchmarkInvocation is one result as it is written down: in memory alone, in
// the run folder, with what the function's side told, and with everything on,
// of an invocation that was tried twice.
func BenchmarkInvocation(b *testing.B) {
	for _, name := range []string{"memory", "folder", "told", "everything"} {
		all := name == "everything"
		disk, told := name == "folder" || all, name == "told" || all
		b.Run(name, func(b *testing.B) {
			start := time.Now()
			o := Options{Plan: examplePlan(), Start: start, Tally: exampleTally(start)}
			if disk {
				o.Dir = b.TempDir()
			}
			if all {
				o.OnSecond = func(*Second) {}
				o.Mask = func(text string) string { return text }
			}
			r, err := Create(o)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				s := r.Shard()
				v := invocation(0, engine.OK, 0, 20*ms)
				if all { // tried twice, with a wait between, each try in a series of its own
					v = invocation(2, engine.OK, 0, 20*ms)
					v.Attempts = append(v.Attempts, v.Attempts[0])
					v.Attempts[0].Outcome, v.Attempts[0].Status, v.Held = engine.Throttled, 429, ms
				}
				if told {
					v.Reply.Server = engine.ServerSide{Timed: true, Duration: 15 * ms, Billed: 15 * ms, MemoryBytes: 1 << 20, Cold: engine.No, Instance: "7d0a7b6e-8f1b-4a44"}
				}
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

// BenchmarkFailures is the worst case for callers: every result fails, and the
// target is so slow that each is the slowest so far.
func BenchmarkFailures(b *testing.B) {
	start := time.Now()
	r, err := Create(Options{Dir: b.TempDir(), Plan: examplePlan(), Start: start, Tally: exampleTally(start)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		s := r.Shard()
		v := invocation(0, engine.NetworkError, 0, 20*ms)
		v.Reply.Message = "read tcp 10.0.0.3:41234->1.2.3.4:443: connection reset by peer"
		v.Request = &engine.Request{Verb: "POST", Host: "h", Path: "/", Body: make([]byte, 500), Header: make([]engine.Field, 6)}
		for p.Next() {
			v.End += 10 * time.Microsecond
			s.Invocation(v)
		}
	})
	if _, err := r.Close(); err != nil {
		b.Fatal(err)
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
		main := r.main.finish(r.dense)
		r.mu.Unlock()
		_ = r.encode.appendHlog(nil, r.shape, main, false, 0, time.Second, func() {})
	}
}

// TestMemoryDoesNotGrowWithTheRun compares what is alive after a fifth of a run
// with what is at the end.
func TestMemoryDoesNotGrowWithTheRun(t *testing.T) {
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
	const all = 400_000
	var early uint64
	v := invocation(0, engine.OK, 0, 20*ms)
	for n := range all {
		v.Invocation.Step.Series = n % 2
		v.End = time.Duration(n*2654435761%1_000_000) * time.Microsecond
		s.Invocation(v)
		if n == all/5 {
			early = alive()
		}
	}
	late := alive()
	if _, err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if late > early+2<<20 || late > 20<<20 {
		t.Errorf("%d KiB alive after %d results, %d KiB after %d: want no more than 2 MiB of growth, and 20 MiB in all", early>>10, all/5, late>>10, all)
	}
}
