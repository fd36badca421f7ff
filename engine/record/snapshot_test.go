package record

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
)

func TestSnapshotsShowTheRunAsItGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r, err := Create(Options{Plan: examplePlan(), Start: start, Tally: exampleTally(start)})
		if err != nil {
			t.Fatal(err)
		}
		s := r.Shard()
		time.Sleep(5 * ms) // between two ticks
		// 100 a second: warm-up for one second, then three more; every tenth is throttled.
		for n := range 400 {
			v := invocation(n%2, engine.OK, 0, time.Duration(n%100+1)*ms)
			if v.Invocation.Warmup = n < 100; v.Invocation.Warmup {
				v.End = time.Second
			}
			if n%10 == 0 {
				v.Reply.Outcome, v.Reply.Status = engine.Throttled, 429
			}
			s.Invocation(v)
			time.Sleep(10 * ms)
			if n == 79 {
				synctest.Wait()
				if got := r.Snapshot(); !got.Warmup || got.Invocations != 80 || got.Failed != 8 || got.Elapsed != 800*ms {
					t.Errorf("in the warm-up: %+v", got)
				}
			}
		}
		synctest.Wait()
		got := r.Snapshot()
		if got.Warmup || got.Invocations != 300 || got.OK != 270 || got.Failed != 30 || got.Outcomes[engine.Throttled] != 30 || got.Statuses[429] != 30 || got.Statuses[200] != 270 {
			t.Errorf("after the warm-up: %+v", got)
		}
		if got.PerSecond != 100 || got.P50 < 50*ms || got.P50 > 50050*time.Microsecond || got.P99 < 99*ms || got.P99 > 99100*time.Microsecond || got.Tally.Active != 3500*ms {
			t.Errorf("rate %v, p50 %v, p99 %v, active %v; want 100, 50ms, 99ms, 3.5s", got.PerSecond, got.P50, got.P99, got.Tally.Active)
		}
		if _, err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Close(); err == nil {
			t.Error("a second Close says nothing")
		}
	})
}

func TestSecondsBeginOnTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type second struct {
			start, length time.Duration
			results       int64
		}
		var got []second
		start := time.Now()
		time.Sleep(130 * ms) // the recorder is made later than the run begins
		r, err := Create(Options{Plan: examplePlan(), Start: start, Tally: exampleTally(start), OnSecond: func(s *Second) {
			c, _ := s.Counts("")
			got = append(got, second{s.Start, s.Length, c.Total})
			if s.Start == time.Second {
				time.Sleep(1700 * ms) // who looks on is slow
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		s := r.Shard()
		for range 54 {
			time.Sleep(100 * ms)
			s.Invocation(invocation(0, engine.OK, 0, ms))
		}
		if _, err := r.Close(); err != nil {
			t.Fatal(err)
		}
		want := []second{
			{0, time.Second, 8}, {time.Second, time.Second, 10},
			{2 * time.Second, time.Second, 18}, // what came while OnSecond was slow is written down late
			{3 * time.Second, time.Second, 2}, {4 * time.Second, time.Second, 10}, {5 * time.Second, 530 * ms, 6},
		}
		if !slices.Equal(got, want) {
			t.Errorf("seconds %v,\nwant    %v", got, want)
		}
	})
}

func TestShardsFillUpWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r, err := Create(Options{Plan: examplePlan(), Start: start, Tally: exampleTally(start)})
		if err != nil {
			t.Fatal(err)
		}
		s := r.shards[0]
		const n = 3*listCapacity + 7
		v := invocation(2, engine.OK, 0, ms) // with its attempt, two samples
		for range n {
			s.Invocation(v)
			s.mu.Lock()
			waiting := s.main.longest
			s.mu.Unlock()
			if waiting > listCapacity {
				t.Fatalf("a list has %d times, more than %d", waiting, listCapacity)
			}
		}
		totals, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		if c, _ := totals.Counts("pay"); c.Total != n {
			t.Errorf("%d results, want %d", c.Total, n)
		}
		d := totals.Document()
		if d.Attempts[0].Count != n || d.Series[2].Phases["send"].Count != n || d.Total.Count != n || d.Total.ReusedConnections != n {
			t.Errorf("%d attempts, %d of them with phases, %d in total", d.Attempts[0].Count, d.Series[2].Phases["send"].Count, d.Total.Count)
		}
	})
}

func TestPlansWithoutBoundAreRefused(t *testing.T) {
	plan := &engine.Plan{Series: make([]engine.SeriesKey, maxSeries+1)}
	start := time.Now()
	if _, err := Create(Options{Plan: plan, Start: start, Tally: exampleTally(start)}); err == nil {
		t.Error("more series than can be kept apart are accepted")
	}
	if _, err := Create(Options{}); err == nil {
		t.Error("a recorder of no plan is made")
	}
	if _, err := Create(Options{Dir: "/nowhere/at/all", Plan: examplePlan(), Start: start, Tally: exampleTally(start)}); err == nil {
		t.Error("a folder that does not exist is accepted")
	}
}
