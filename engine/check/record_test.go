package check

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
	"volley/engine/record"
)

// TestWatchRecorder watches a real recorder: 100 results a second, of which
// those from the eighth second on fail, after a warm-up in which all fail.
func TestWatchRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const warmup, load, each = 2500 * time.Millisecond, 12 * time.Second, 10 * time.Millisecond
		began := time.Now()
		plan := &engine.Plan{Series: []engine.SeriesKey{{Step: "hello", Function: "hello"}}, Load: engine.Load{Warmup: warmup}, Parallel: 1}
		var sent atomic.Int64
		tally := func() engine.Tally {
			at := time.Since(began)
			sending := min(max(0, at-warmup), load)
			return engine.Tally{Due: sent.Load(), Sent: sent.Load(), Elapsed: at, Sending: sending, Active: sending}
		}
		var list []Threshold
		for _, s := range []struct {
			source string
			o      Options
		}{
			{"hello.ok.rate >= 95/s", Options{Window: 2 * time.Second}},
			{"failed < 10%", Options{Window: 2 * time.Second, Abort: true}},
			{"hello.service.p99 <= 20ms", Options{Window: 3 * time.Second}},
			{"hello.failed == 0", Options{}},
		} {
			list = append(list, parse(t, s.source, s.o))
		}
		abortedAt := time.Duration(0)
		w := Watch(list, func(string) { abortedAt = time.Since(began) })
		r, err := record.Create(record.Options{Plan: plan, Start: began, Tally: tally, OnSecond: w.Second})
		if err != nil {
			t.Fatal(err)
		}
		shard := r.Shard()
		for time.Since(began) < warmup+load {
			due := time.Since(began)
			time.Sleep(each)
			res := engine.Result{Invocation: &engine.Invocation{Step: &engine.Invoke{Name: "hello", Attempts: -1}, Scope: &engine.Scope{}, Warmup: due < warmup},
				Due: due, Start: due, End: due + each, InService: each,
				Attempts: []engine.Attempt{{Due: due, Start: due, End: due + each, Phases: engine.NoPhases()}}}
			if due < warmup || due >= 8*time.Second {
				res.Reply.Outcome = engine.Throttled
			}
			if due >= warmup {
				sent.Add(1)
			}
			shard.Invocation(&res)
		}
		totals, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		rows := w.Results(totals)
		// The window that fails first ends with the ninth second.
		if abortedAt != 9*time.Second || rows[1].AtS != 9 || !rows[1].Abort || rows[1].OK || rows[1].Unit != "share" || rows[1].Value < 0.49 || rows[1].Value > 0.5 {
			t.Errorf("failed < 10%% in windows of 2 s: aborted at %v, %+v; want at 9s with about a half", abortedAt, rows[1])
		}
		if rows[0].OK || rows[0].Value != 0 || rows[0].AtS != 9 {
			t.Errorf("ok.rate = %+v, want 0 at its worst, from 9 s on", rows[0])
		}
		if !rows[2].OK || rows[2].Value < 10000 || rows[2].Value > 10010 {
			t.Errorf("service.p99 = %+v, want 10 ms", rows[2])
		}
		if c, _ := totals.Counts("hello"); rows[3].OK || rows[3].Value != float64(c.Failed()) || rows[3].Count != c.Total || c.Failed() != 650 {
			t.Errorf("failed = %+v of %+v, want the 650 after the warm-up", rows[3], c)
		}
	})
}
