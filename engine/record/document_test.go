package record

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
)

// TestDocumentSaysWhatHappened records a run whose every number is known.
func TestDocumentSaysWhatHappened(t *testing.T) {
	var d *Document
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		plan := examplePlan()
		plan.Load.Warmup = time.Second
		r, err := Create(Options{Plan: plan, Start: start, Tally: func() engine.Tally {
			return engine.Tally{Due: 100, Sent: 90, Dropped: 10, Canceled: 3, Warmup: 7, Callers: 5, Full: 250 * ms, Burst: 1.25,
				Asking: 2 * time.Second, Sending: 4 * time.Second, Active: 5 * time.Second}
		}})
		if err != nil {
			t.Fatal(err)
		}
		s := r.Shard()
		for n := range 70 { // enough to go by way of the dense histogram
			v := invocation(0, engine.OK, 0, time.Duration(n+1)*ms)
			v.Held = time.Duration(n%2) * 3 * ms
			v.Attempts[0].Reused = n > 0
			if n == 0 {
				v.Attempts[0].Phases.DNS = 0
			}
			s.Invocation(v)
		}
		s.Invocation(invocation(1, engine.ClientTimeout, 0, 2*time.Hour))
		s.Invocation(invocation(1, engine.Canceled, 0, 9*time.Second))
		unsent := invocation(1, engine.AuthFailed, 0, 4*ms)
		unsent.Attempts, unsent.Reply.Status = nil, 0
		s.Invocation(unsent)
		retried := invocation(2, engine.OK, 0, 30*ms)
		retried.Reply.Server = engine.ServerSide{Timed: true, Duration: 5 * ms}
		retried.Attempts = append([]engine.Attempt{{Due: 0, Start: 0, End: 10 * ms, Outcome: engine.Throttled, Status: 429, Phases: engine.NoPhases(), BytesOut: 1, BytesIn: 2}}, retried.Attempts...)
		retried.InService = 20 * ms
		s.Invocation(retried)
		warm := invocation(0, engine.FunctionError, 0, time.Minute)
		warm.Invocation.Warmup = true
		s.Invocation(warm)

		two, three := &engine.Group{Index: 0}, &engine.Group{Index: 1, Limit: 3}
		s.Group(&engine.GroupResult{Group: two, OK: true, Due: ms, First: 3 * ms, Settled: 7 * ms, Last: 9 * ms, Members: 2, Median: 5 * ms, OnTheWire: 2})
		s.Group(&engine.GroupResult{Group: two, Due: ms, First: 3 * ms, Settled: 3 * ms, Last: 5 * ms, Members: 2, Median: 3 * ms, OnTheWire: 1})
		s.Group(&engine.GroupResult{Group: two, Warmup: true, OK: true, Last: time.Minute, Members: 9, OnTheWire: 9})
		s.Group(&engine.GroupResult{Group: three, OK: true, Last: 5 * ms, Settled: 5 * ms, Members: 8, Median: ms, OnTheWire: 3})
		s.Iteration(&engine.IterationResult{Due: ms, End: 11 * ms, Lateness: 2 * ms})
		s.Iteration(&engine.IterationResult{Due: ms, End: 21 * ms, Lateness: 4 * ms, Failed: true})
		s.Iteration(&engine.IterationResult{Due: ms, End: 99 * ms, Lateness: 6 * ms, Failed: true, Canceled: true})
		s.Iteration(&engine.IterationResult{Warmup: true, End: time.Minute, Lateness: time.Minute})
		totals, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		d = totals.Document()
	})

	eq := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	l := d.Load
	eq("model", l.Model, "open")
	eq("due", l.Due, int64(100))
	eq("sent", l.Sent, int64(90))
	eq("dropped", l.Dropped, int64(10))
	eq("unfinished", l.Unfinished, int64(3))
	eq("excluded_warmup", l.ExcludedWarmup, int64(7))
	eq("warmup_results", l.WarmupResults, int64(1))
	eq("warmup_s", l.WarmupS, 1.0)
	eq("max_in_flight_s", l.MaxInFlightS, 0.25)
	eq("iterations_asked_per_s", l.IterationsAskedPerS, 50.0)
	eq("iterations_sent_per_s", l.IterationsSentPerS, 22.5)
	eq("invocations_sent_per_s, without the one that could not be", l.InvocationsSentPerS, 14.6)
	eq("invocations_good_per_s", l.InvocationsGoodPerS, 14.2)
	eq("held, count", l.Held.Count, int64(35))
	eq("held, max", l.Held.Max, int64(3000))
	eq("lateness, count: those cut short are late, too", l.Lateness.Count, int64(3))
	eq("lateness, max", l.Lateness.Max, int64(6000))
	eq("iterations", d.Iterations.Count, int64(3))
	eq("iterations failed", d.Iterations.Failed, int64(1))
	eq("iterations canceled", d.Iterations.Canceled, int64(1))
	eq("iterations, response count", d.Iterations.Response.Count, int64(2))
	eq("iterations, longest", d.Iterations.Response.Max, int64(20_000))

	eq("total count", d.Total.Count, int64(74))
	eq("total outcomes", maps.Equal(d.Total.Outcomes, map[string]int64{"ok": 71, "client_timeout": 1, "canceled": 1, "auth_failed": 1}), true)
	eq("total statuses", maps.Equal(d.Total.Statuses, map[string]int64{"200": 73}), true)
	eq("response of all", d.Total.Response.All.Count, int64(73))
	eq("response over range", d.Total.Response.All.OverRange, int64(1))
	eq("response max", d.Total.Response.All.Max, int64(MaxUS))
	eq("response of ok", d.Total.Response.OK.Count, int64(71))
	eq("response of failed", d.Total.Response.Failed.Count, int64(2))
	eq("service of failed: what was not sent has none", d.Total.Service.Failed.Count, int64(1))
	eq("bytes out", d.Total.BytesOut, int64(731))
	eq("bytes in", d.Total.BytesIn, int64(7302))

	user := d.Series[0]
	eq("step", user.Step+" "+user.Function+" "+user.Method+" "+user.Qualifier, "getUser getUser http-api 3")
	eq("p50", user.Response.All.P50/50, int64(35_000/50)) // a bucket is 16 µs wide here
	eq("new connections", user.NewConnections, int64(1))
	eq("reused connections", user.ReusedConnections, int64(69))
	eq("dns", user.Phases["dns"].Count, int64(1))
	eq("a dns of no time is one", user.Phases["dns"].Max, int64(0))
	eq("send", user.Phases["send"].P50, int64(10))
	_, connect := user.Phases["connect"]
	eq("a connect that never happened", connect, false)

	pay, tries := d.Series[2], d.Attempts[0]
	eq("invocations", pay.Count, int64(1))
	eq("service over attempts", pay.Service.OK.Max, int64(20_000))
	eq("attempts", tries.Count, int64(2))
	eq("outcomes of attempts", maps.Equal(tries.Outcomes, map[string]int64{"ok": 1, "throttled": 1}), true)
	eq("service of failed attempts", tries.Service.Failed.Max, int64(10_000))
	eq("the function's time is of the last attempt", pay.Server.Function.Max, int64(5000))
	eq("connections are of attempts", pay.NewConnections+pay.ReusedConnections, int64(2))

	g := d.Groups[0]
	eq("groups", g.Count*100+g.OK*10+g.Failed, int64(211))
	eq("asked at once", g.AskedParallel, 2)
	eq("achieved at once", g.AchievedParallel, 2)
	eq("achieved on average", g.MeanParallel, 1.5)
	eq("groups that achieved what was asked", g.FullyParallel, int64(1))
	eq("first", g.First.Max, int64(2000))
	eq("settle", g.Settle.Max, int64(6000))
	eq("makespan", g.Makespan.Max, int64(8000))
	eq("straggler", g.Straggler.Max, 1.6)
	eq("asked at once, as the run tells", d.Groups[1].AskedParallel, 3)
	eq("limited groups can achieve what was asked", d.Groups[1].FullyParallel, int64(1))
}

func TestFarPercentilesNeedSamples(t *testing.T) {
	for _, tt := range []struct {
		n    int64
		want int // how many of p99.9, p99.99, p99.999
	}{{9_999, 0}, {10_000, 1}, {99_999, 1}, {100_000, 2}, {999_999, 2}, {1_000_000, 3}} {
		h := &Hist{}
		h.Record(5)
		for h.Count()*2 <= tt.n {
			h.Merge(h.clone())
		}
		for h.Count() < tt.n {
			h.Record(5)
		}
		d := NewDistribution(h)
		got := 0
		for _, p := range []*int64{d.P99_9, d.P99_99, d.P99_999} {
			if p != nil {
				got++
			}
		}
		if got != tt.want {
			t.Errorf("of %d samples %d far percentiles are given, want %d", tt.n, got, tt.want)
		}
	}
}

func TestStatusesAreBounded(t *testing.T) {
	var s statuses
	for i := range 200 {
		s.add(599-i, 1)
		s.add(599, 1)
	}
	// Adding up does not push one more over the bound.
	var sum seriesCount
	sum.merge(&seriesCount{statuses: s})
	names := statusNames(sum.statuses)
	if len(names) != maxStatuses+1 || names["other"] != 200-maxStatuses || names["599"] != 201 || names[strconv.Itoa(599-maxStatuses)] != 0 {
		t.Errorf("%d names, %d others, %d of the first", len(names), names["other"], names["599"])
	}
}

// A speaker is a method that has something to say to who reads of the run.
type speaker struct{ engine.Method }

func (speaker) Notes(*engine.Target) []string {
	return []string{"it cannot ask for versions", "it is slow"}
}

// TestNotesOutliveTheRun holds that what methods have to say is in the document
// once, and in one that is made again of the files as well.
func TestNotesOutliveTheRun(t *testing.T) {
	dir := t.TempDir()
	plan := examplePlan()
	plan.Steps = []engine.Step{
		{Invoke: &engine.Invoke{Target: &engine.Target{Method: speaker{}}}},
		{Sequence: []engine.Step{{Invoke: &engine.Invoke{Target: &engine.Target{Method: speaker{}, Timeout: ms}}}}},
		{Invoke: &engine.Invoke{}},
	}
	r, err := Create(Options{Dir: dir, Plan: plan, Start: time.Now(), Tally: exampleTally(time.Now())})
	if err != nil {
		t.Fatal(err)
	}
	totals, err := r.Close()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Rebuild(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := speaker{}.Notes(nil)
	for name, d := range map[string]*Document{"of the run": totals.Document(), "made again": again.Document()} {
		if !slices.Equal(d.Notes, want) {
			t.Errorf("the document %s notes %q, want %q", name, d.Notes, want)
		}
	}
}
