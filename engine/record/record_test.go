package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
	"volley/engine/group"
	"volley/engine/pace"
)

const ms = time.Millisecond

// examplePlan has two plain steps, one that retries, and a group.
func examplePlan() *engine.Plan {
	return &engine.Plan{
		Name: "home-page", Seed: 7,
		Load: engine.Load{Arrivals: func() pace.Arrivals { return nil }, Level: pace.Constant(100, 3*time.Second), MaxInFlight: 50},
		Series: []engine.SeriesKey{
			{Step: "getUser", Function: "getUser", Method: "http-api", Qualifier: "3"},
			{Step: "订单, list", Function: "getOrders", Method: "web", Arm: "a;b=c"},
			{Step: "pay", Function: "pay", Method: "http-api"},
			{Step: "pay", Function: "pay", Method: "http-api", Attempts: true},
		},
		Cost:   &engine.Cost{PerGBSecond: 0.0001, PerMillion: 0.2, MemoryBytes: 256 << 20, Budget: 5, Currency: "USD"},
		Groups: []engine.GroupKey{{Step: "all#1", Kind: group.All, Asked: 2}, {Step: "each", Kind: group.AllSettled}},
	}
}

// invocation returns a result of the plan's i-th series.
func invocation(series int, o engine.Outcome, due, took time.Duration) *engine.Result {
	attempts := -1
	if series == 2 {
		attempts = 3
	}
	r := &engine.Result{
		Invocation: &engine.Invocation{Step: &engine.Invoke{Series: series, Attempts: attempts}, Scope: &engine.Scope{Iteration: 12}},
		Due:        due, Start: due, End: due + took, InService: took,
		Reply: engine.Reply{Outcome: o, Status: 200, RequestID: "r-1"},
	}
	p := engine.NoPhases()
	p.Send, p.FirstByte, p.Receive = 10*time.Microsecond, took-20*time.Microsecond, 10*time.Microsecond
	r.Attempts = []engine.Attempt{{Due: due, Start: due, End: due + took, Outcome: o, Status: 200, Phases: p, Reused: true, BytesOut: 10, BytesIn: 100}}
	return r
}

// outcomeStatus gives each outcome a status that fits.
func outcomeStatus(o engine.Outcome) int {
	return [engine.NumOutcomes]int{200, 200, 500, 504, 429, 502, 401, 404, 0, 0, 0, 0}[o]
}

// record sends n random results through r, spread over the time that they
// take to come in, and returns the invocations' response times by class.
func feed(r *Recorder, seed uint64, n int, gap time.Duration) {
	draw := rand.New(rand.NewPCG(seed, 1))
	shards := []engine.Recorder{r.Shard(), r.Shard(), r.Shard()}
	start := r.o.Start
	for i := range n {
		time.Sleep(gap)
		now := time.Since(start)
		to := shards[draw.IntN(len(shards))]
		v := invocation(draw.IntN(3), engine.OK, 0, 0)
		if draw.IntN(5) == 0 {
			v.Reply.Outcome = engine.Outcome(draw.IntN(engine.NumOutcomes))
		}
		took := time.Duration(draw.ExpFloat64() * float64(80*ms))
		if draw.IntN(200) == 0 {
			took = 2 * time.Hour
		}
		v.Reply.Status = outcomeStatus(v.Reply.Outcome)
		v.Reply.Message = fmt.Sprintf("error %d on port %d", draw.IntN(120), 10000+draw.IntN(50000))
		v.Reply.Code = []string{"", "A", "B"}[draw.IntN(3)]
		v.Renewed = draw.IntN(9) == 0
		v.Reply.Server = told(draw, took)
		v.Invocation.Warmup = now < 500*ms
		v.End, v.Due, v.Start = now, now-took-3*ms, now-took
		v.Held, v.InService = time.Duration(draw.IntN(2))*2*ms, took
		v.Attempts[0].Phases.Connect = time.Duration(draw.IntN(3)-1) * ms
		if v.Invocation.Step.Attempts >= 0 && draw.IntN(2) == 0 {
			v.Attempts = append(v.Attempts, v.Attempts[0])
			v.Attempts[0].Outcome = engine.Throttled
		}
		if v.Reply.Outcome == engine.Rejected {
			v.Attempts = nil // nothing could be sent
		}
		to.Invocation(v)
		if i%3 == 0 {
			to.Group(&engine.GroupResult{Group: &engine.Group{Index: i % 2, Limit: draw.IntN(3)}, OK: draw.IntN(9) > 0, Warmup: v.Invocation.Warmup,
				Due: v.Due, First: v.Due + took/3, Settled: v.Due + took, Last: v.Due + took, Members: 1 + draw.IntN(4), Median: took / 2, OnTheWire: draw.IntN(5)})
			to.Iteration(&engine.IterationResult{Warmup: v.Invocation.Warmup, Due: v.Due, Start: v.Due, End: v.End,
				Lateness: time.Duration(draw.IntN(3000)) * time.Microsecond, Failed: draw.IntN(5) == 0, Err: []error{nil, errors.New("each: no list")}[draw.IntN(2)], Canceled: draw.IntN(9) == 0})
		}
	}
}

// told is what a reply tells of the function's side: sometimes nothing.
func told(draw *rand.Rand, took time.Duration) engine.ServerSide {
	var s engine.ServerSide
	if draw.IntN(3) > 0 {
		s.Timed, s.Duration = true, time.Duration(draw.Float64()*1.1*float64(took))
	}
	if draw.IntN(3) > 0 {
		s.Billed, s.MemoryBytes = s.Duration+ms, draw.Int64N(256<<20)
	}
	s.Cold = engine.Answer(draw.IntN(3))
	if n := draw.IntN(30); n > 0 {
		s.Instance = fmt.Sprint("i-", n)
	}
	return s
}

func document(t *testing.T, d *Document) string {
	t.Helper()
	b, err := marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// exampleTally is a run of 100 iterations a second after half a second of
// warm-up.
func exampleTally(start time.Time) func() engine.Tally {
	return func() engine.Tally {
		e := time.Since(start)
		active := max(0, e-500*ms)
		return engine.Tally{Due: int64(active / (10 * ms)), Sent: int64(active/(10*ms)) - 1, Dropped: 1, Warmup: 50, Elapsed: e, Asking: active, Sending: active, Active: active, Burst: 1.25}
	}
}

func TestRebuiltReportEqualsTheOriginal(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			start := time.Now()
			r, err := Create(Options{Dir: dir, Plan: examplePlan(), Start: start, Tally: exampleTally(start)})
			if err != nil {
				t.Fatal(err)
			}
			feed(r, seed, 700, time.Duration(1+seed%5)*ms)
			totals, err := r.Close()
			if err != nil {
				t.Fatal(err)
			}
			again, err := Rebuild(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(again.Notes()) != 0 {
				t.Errorf("seed %d: notes of a whole run: %q", seed, again.Notes())
			}
			want, got := document(t, totals.Document()), document(t, again.Document())
			if want != got {
				t.Fatalf("seed %d: rebuilt:\n%s\nwant:\n%s", seed, got, want)
			}
			var back Document
			if err := json.Unmarshal([]byte(want), &back); err != nil {
				t.Fatal(err)
			}
			if document(t, &back) != want {
				t.Fatalf("seed %d: the document does not survive its own JSON", seed)
			}
		})
	}
}

func TestNothingIsLostUnderLoad(t *testing.T) {
	const callers, each = 8, 20_000
	start := time.Now()
	var seconds Counts
	var due, dropped int64
	r, err := Create(Options{Plan: examplePlan(), Start: start, Tally: exampleTally(start), OnSecond: func(s *Second) {
		c, _ := s.Counts("")
		seconds.Total += c.Total
		n, lost := s.Iterations()
		due, dropped = due+n, dropped+lost
	}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for caller := range callers {
		shard := r.Shard()
		wg.Go(func() {
			v := invocation(caller%3, engine.OK, 0, time.Duration(caller+1)*ms)
			for range each {
				shard.Invocation(v)
				r.Snapshot()
			}
		})
	}
	wg.Wait()
	totals, err := r.Close()
	if err != nil {
		t.Fatal(err)
	}
	c, ok := totals.Counts("")
	if !ok || c.Total != callers*each || c.Outcomes[engine.OK] != callers*each {
		t.Errorf("Counts = %+v, want %d ok", c, callers*each)
	}
	if seconds.Total != callers*each {
		t.Errorf("the seconds have %d results, want %d", seconds.Total, callers*each)
	}
	if n, lost := totals.Iterations(); due != n || dropped != lost || lost != 1 {
		t.Errorf("the seconds have %d iterations and %d dropped ones, want %d and %d", due, dropped, n, lost)
	}
	h := totals.Hist("", All, Response)
	if h.Count() != callers*each || h.Min() != 1000 || h.Max() != 8000 {
		t.Errorf("Hist has %d values from %d to %d, want %d from 1000 to 8000", h.Count(), h.Min(), h.Max(), callers*each)
	}
	if s := r.Snapshot(); s.Invocations != callers*each || s.OK != callers*each || s.Statuses[200] != callers*each {
		t.Errorf("the last snapshot has %+v", s)
	}
}

func TestViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var seconds []*Second
		r, err := Create(Options{Plan: examplePlan(), Start: start, OnSecond: func(s *Second) { seconds = append(seconds, s) },
			Tally: func() engine.Tally { return engine.Tally{Active: time.Since(start)} }})
		if err != nil {
			t.Fatal(err)
		}
		s := r.Shard()
		// Second n has n+1 results of n+1 seconds.
		for n := range 4 {
			for range n + 1 {
				s.Invocation(invocation(0, engine.OK, 0, time.Duration(n+1)*time.Second))
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		warm := invocation(0, engine.OK, 0, time.Hour)
		warm.Invocation.Warmup = true
		s.Invocation(warm)
		s.Invocation(invocation(1, engine.ClientTimeout, 0, 10*time.Second))
		s.Invocation(invocation(1, engine.Canceled, 0, 40*time.Second))
		s.Group(&engine.GroupResult{Group: &engine.Group{Index: 0}, OK: true, First: 1 * ms, Settled: 3 * ms, Last: 4 * ms, Median: 2 * ms, Members: 3, OnTheWire: 2})
		s.Group(&engine.GroupResult{Group: &engine.Group{Index: 0}, First: 1 * ms, Settled: 1 * ms, Last: 1 * ms, Members: 2, OnTheWire: 2})
		time.Sleep(500 * ms)
		totals, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}

		tests := []struct {
			name  string
			view  View
			step  string
			class Class
			of    Measure
			count int64
			maxMS int64
		}{
			{"all steps together", totals, "", All, Response, 11, 10_000},
			{"a step by name", totals, "getUser", All, Response, 10, 4000},
			{"a client timeout is in at the time it took", totals, "", Failure, Response, 1, 10_000},
			{"the failed are not in ok", totals, "", Success, Service, 10, 4000},
			{"a second has its own results only", seconds[3], "", Success, Response, 4, 4000},
			{"a group's time to settle", totals, "all#1", All, Settle, 2, 3},
			{"a group's response is its time to settle", totals, "all#1", All, Response, 2, 3},
			{"fulfilled groups", totals, "all#1", Success, Makespan, 1, 4},
			{"groups together", totals, "", All, First, 2, 1},
			{"a second knows groups", seconds[4], "all#1", Failure, Settle, 1, 1},
			{"phases", totals, "getUser", All, FirstByte, 10, 3999},
			{"a phase that never happened", totals, "getUser", All, DNS, 0, 0},
			{"no such step", totals, "nobody", All, Response, 0, 0},
			{"a step of no results", totals, "pay", All, Response, 0, 0},
		}
		for _, tt := range tests {
			h := tt.view.Hist(tt.step, tt.class, tt.of)
			if (h == nil) != (tt.count == 0) || h.Count() != tt.count || h.Max()/1000 != tt.maxMS {
				t.Errorf("%s: %d values up to %d µs, want %d up to %d ms", tt.name, h.Count(), h.Max(), tt.count, tt.maxMS)
			}
		}

		if c, ok := totals.Counts(""); !ok || c.Total != 12 || c.Failed() != 1 || c.Outcomes[engine.Canceled] != 1 {
			t.Errorf("Counts of all = %+v, %v", c, ok)
		}
		if c, ok := totals.Counts("all#1"); !ok || c.Total != 2 || c.Failed() != 1 || c.Outcomes[engine.OK] != 1 {
			t.Errorf("Counts of a group = %+v, %v", c, ok)
		}
		if c, ok := totals.Counts("pay"); !ok || c.Total != 0 {
			t.Errorf("Counts of a step that was never called = %+v, %v; want none of a known step", c, ok)
		}
		if _, ok := totals.Counts("nobody"); ok {
			t.Error("Counts knows a step that does not exist")
		}
		if c := totals.Excluded(); c.Total != 1 {
			t.Errorf("%d results were excluded, want the 1 of the warm-up", c.Total)
		}
		if got := totals.Active(); got != 4500*ms {
			t.Errorf("Active = %v, want 4.5s", got)
		}
		if got := seconds[3].Active() + seconds[4].Active(); got != 1500*ms {
			t.Errorf("the last two seconds were active for %v, want 1.5s: a whole second and a half", got)
		}
	})
}

func TestRunFolderFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		start := time.Now()
		r, err := Create(Options{Dir: dir, Plan: examplePlan(), Start: start, Tally: exampleTally(start)})
		if err != nil {
			t.Fatal(err)
		}
		s := r.Shard()
		for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(300) {
			v := invocation(0, engine.FunctionError, 0, time.Duration(i+1)*ms)
			v.Reply.Status, v.Reply.Message = 500, "boom"
			v.Request = &engine.Request{Verb: "POST", Scheme: "https", Host: "h", Path: "/p",
				Header: []engine.Field{{Name: "Authorization", Value: "Bearer hush", Secret: true}}, Body: []byte(`{"it's":1}`)}
			s.Invocation(v)
		}
		time.Sleep(1100 * ms)
		totals, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		slowest := readLines(t, filepath.Join(dir, SlowestFile))
		if len(slowest) != maxSlowest {
			t.Fatalf("%d slowest results, want %d", len(slowest), maxSlowest)
		}
		for i, text := range slowest {
			var l Slow
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatal(err)
			}
			if want := int64(300-i) * 1000; l.ResponseUS != want {
				t.Errorf("the slowest but %d took %d µs, want %d", i, l.ResponseUS, want)
			}
			if want := `curl -g -X 'POST' 'https://h/p' -H 'Authorization: [secret]' -H 'Content-Type:' --data-binary '{"it'\''s":1}'`; l.Curl != want {
				t.Errorf("curl = %s\nwant   %s", l.Curl, want)
			}
		}
		failures := readLines(t, filepath.Join(dir, FailuresFile))
		if len(failures) != maxFailuresAlike {
			t.Errorf("%d failures of one kind are kept, want %d", len(failures), maxFailuresAlike)
		}
		if d := totals.Document(); d.Failures != (Failures{maxFailuresAlike, 200}) || len(d.Errors) != 1 || d.Errors[0].Count != 300 {
			t.Errorf("failures %+v, errors %+v; want 100 kept, 200 left out, one kind of 300", d.Failures, d.Errors)
		}
		all, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(b), "hush") {
				t.Errorf("%s has a secret in it", f.Name())
			}
		}
	})
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(b)))
}
