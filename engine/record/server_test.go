package record

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
)

// serverResult returns an invocation whose reply tells of the function's side.
func serverResult(series int, o engine.Outcome, took time.Duration, s engine.ServerSide) *engine.Result {
	v := invocation(series, o, 0, took)
	v.Reply.Server = s
	return v
}

func TestServerSideNumbers(t *testing.T) {
	yes, no := engine.Yes, engine.No
	retried := func() *engine.Result {
		v := serverResult(2, engine.OK, 40*ms, engine.ServerSide{Timed: true, Duration: 30 * ms, Cold: no, Instance: "i-1"})
		first := engine.Attempt{End: 10 * ms, Outcome: engine.FunctionError, Status: 500, Phases: engine.NoPhases()}
		v.Attempts = append([]engine.Attempt{first}, v.Attempts...)
		v.InService = 50 * ms
		return v
	}
	renewed := func() *engine.Result {
		v := serverResult(0, engine.OK, 10*ms, engine.ServerSide{Timed: true, Duration: 4 * ms, Cold: no})
		v.Renewed = true
		v.Attempts = append([]engine.Attempt{{End: 90 * ms, Outcome: engine.AuthFailed, Status: 401, Phases: engine.NoPhases()}}, v.Attempts...)
		v.InService = 100 * ms
		return v
	}
	warmup := func() *engine.Result {
		v := serverResult(0, engine.OK, 10*ms, engine.ServerSide{Timed: true, Duration: 4 * ms, Cold: yes, MemoryBytes: 99, Instance: "w"})
		v.Invocation.Warmup = true
		return v
	}
	tests := []struct {
		name    string
		results []*engine.Result
		series  int
		want    string // of the series' block, in short
		renewed int64
	}{
		{"nothing told is no block", []*engine.Result{invocation(0, engine.OK, 0, ms)}, 0, "none", 0},
		{"the function's time and the way to it", []*engine.Result{serverResult(0, engine.OK, 10*ms, engine.ServerSide{Timed: true, Duration: 7 * ms})}, 0,
			"function 1/7000 way 1/3000", 0},
		{"a function of no time has one", []*engine.Result{serverResult(0, engine.OK, ms, engine.ServerSide{Timed: true})}, 0, "function 1/0 way 1/1000", 0},
		{"no way is shorter than none", []*engine.Result{serverResult(0, engine.OK, ms, engine.ServerSide{Timed: true, Duration: 5 * ms})}, 0, "function 1/5000 way 1/0", 0},
		{"cold and warm apart, and who did not tell", []*engine.Result{
			serverResult(0, engine.OK, 900*ms, engine.ServerSide{Timed: true, Duration: 500 * ms, Cold: yes}),
			serverResult(0, engine.OK, 20*ms, engine.ServerSide{Cold: no}), serverResult(0, engine.CheckFailed, 30*ms, engine.ServerSide{Cold: no}),
			serverResult(0, engine.FunctionError, 10*ms, engine.ServerSide{Cold: no}),
			invocation(0, engine.OK, 0, ms), invocation(0, engine.FunctionError, 0, ms), invocation(0, engine.Throttled, 0, ms), invocation(0, engine.ClientTimeout, 0, ms)}, 0,
			"function 1/500000 way 1/400000 cold 1 warm 3 unknown 2 share 0.250 cold service 1/900000 warm service 3/30000 cold function 1/500000", 0},
		{"what did not run was neither cold nor warm", []*engine.Result{serverResult(0, engine.Throttled, ms, engine.ServerSide{Cold: yes})}, 0, "none", 0},
		{"billed time, the most memory, instances", []*engine.Result{
			serverResult(0, engine.OK, ms, engine.ServerSide{Billed: 12 * ms, MemoryBytes: 30 << 20, Instance: "a"}),
			serverResult(0, engine.OK, ms, engine.ServerSide{Billed: 13 * ms, MemoryBytes: 20 << 20, Instance: "b"}),
			serverResult(0, engine.FunctionError, ms, engine.ServerSide{Billed: 3 * ms, Instance: "a"})}, 0,
			"billed 28 memory 31457280 instances 2", 0},
		{"of an invocation that was retried, the last attempt's", []*engine.Result{retried()}, 2,
			"function 1/30000 way 1/10000 cold 0 warm 1 unknown 1 share 0.000 warm service 1/40000 warm function 1/30000 instances 1", 0},
		{"a token's renewal is not the function's", []*engine.Result{renewed()}, 0,
			"function 1/4000 way 1/6000 cold 0 warm 1 unknown 0 share 0.000 warm service 1/10000 warm function 1/4000", 1},
		{"nothing of the warm-up", []*engine.Result{warmup()}, 0, "none", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, d := recorded(t, tt.results...)
			if got := briefly(d.Series[tt.series].Server); got != tt.want {
				t.Errorf("the series:\n%s\nwant\n%s", got, tt.want)
			}
			if got := briefly(d.Total.Server); got != tt.want {
				t.Errorf("the total:\n%s\nwant\n%s", got, tt.want)
			}
			if d.Series[tt.series].Renewed != tt.renewed || d.Total.Renewed != tt.renewed {
				t.Errorf("renewed %d, in all %d; want %d", d.Series[tt.series].Renewed, d.Total.Renewed, tt.renewed)
			}
		})
	}
}

// briefly writes distributions as count/max.
func briefly(s *Server) string {
	if s == nil {
		return "none"
	}
	var words []string
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	dist := func(name string, d *Distribution) {
		if d != nil && d.Count > 0 {
			say("%s %d/%d", name, d.Count, d.Max)
		}
	}
	dist("function", s.Function)
	dist("way", s.Way)
	if c := s.Cold; c != nil {
		say("cold %d warm %d unknown %d share %.3f", c.Cold, c.Warm, c.Unknown, c.Share)
		dist("cold service", &c.ColdService)
		dist("warm service", &c.WarmService)
		dist("cold function", c.ColdFunction)
		dist("warm function", c.WarmFunction)
	}
	if s.BilledMS > 0 {
		say("billed %d", s.BilledMS)
	}
	if s.MemoryMaxBytes > 0 {
		say("memory %d", s.MemoryMaxBytes)
	}
	if s.Instances > 0 {
		say("instances %d", s.Instances)
	}
	if s.InstancesAtLeast {
		say("at least")
	}
	return strings.Join(words, " ")
}

func TestInstancesAreBounded(t *testing.T) {
	var all instances
	var one, run instanceCount
	for i := range uint64(maxInstancesAlike + 1) {
		for range 2 { // seen again is not another
			one.merge(all.see(0, i+1))
			run.merge(all.see(wholeRun, i+1))
		}
	}
	if one != (instanceCount{maxInstancesAlike, true}) || run != (instanceCount{maxInstancesAlike + 1, false}) {
		t.Errorf("of one series %+v, of the run %+v; want %d and more, and %d", one, run, maxInstancesAlike, maxInstancesAlike+1)
	}
	for i := range uint64(maxInstances) {
		run.merge(all.see(wholeRun, i+1))
	}
	if len(all.seen) != maxInstances || !run.AtLeast || run.Seen+one.Seen != maxInstances {
		t.Errorf("%d are remembered, %+v of the run; want %d, and more", len(all.seen), run, maxInstances)
	}
}

// TestInstancesOfFunctions holds that a name is a function's own, and that an
// instance seen by two steps of one function is one.
func TestInstancesOfFunctions(t *testing.T) {
	same := engine.ServerSide{Instance: "1"}
	_, d := recorded(t, serverResult(0, engine.OK, ms, same), serverResult(1, engine.OK, ms, same), serverResult(1, engine.OK, ms, same))
	if d.Series[0].Server.Instances != 1 || d.Series[1].Server.Instances != 1 || d.Total.Server.Instances != 2 {
		t.Errorf("instances %d and %d, in all %d; want 1 and 1, in all 2", d.Series[0].Server.Instances, d.Series[1].Server.Instances, d.Total.Server.Instances)
	}
}

// TestServerSideOverSeconds holds what is summed up, what is the most, and what
// is seen again, over seconds; and that of the warm-up nothing is written but
// what it costs.
func TestServerSideOverSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		start := time.Now()
		r, err := Create(Options{Dir: dir, Plan: examplePlan(), Start: start, Tally: exampleTally(start)})
		if err != nil {
			t.Fatal(err)
		}
		shard := r.Shard()
		side := engine.ServerSide{Timed: true, Duration: ms, Billed: 2 * ms, MemoryBytes: 7, Cold: engine.Yes, Instance: "i"}
		warm := serverResult(0, engine.OK, 3*ms, side)
		warm.Invocation.Warmup = true
		shard.Invocation(warm)
		time.Sleep(1500 * ms)
		synctest.Wait()
		before := strings.Join(append(readLines(t, filepath.Join(dir, CountsFile)), readLines(t, filepath.Join(dir, SeriesFile))...), "")
		if strings.Contains(before, `"server"`) || strings.Contains(before, `"instances"`) || strings.Contains(before, "time=cold") || !strings.Contains(before, `"bill"`) {
			t.Errorf("of the warm-up is written:\n%s", before)
		}
		for range 3 {
			shard.Invocation(serverResult(2, engine.OK, 3*ms, side))
			time.Sleep(time.Second)
		}
		totals, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		want := "function 3/1000 way 3/2000 cold 3 warm 0 unknown 0 share 1.000 cold service 3/3000 cold function 3/1000 billed 6 memory 7 instances 1"
		if got := briefly(totals.Document().Series[2].Server); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
		if c, _ := totals.Counts("pay"); c.Cold != 3 || c.Warm != 0 || c.Total != 3 {
			t.Errorf("Counts of a step that retries = %+v, want 3 cold ones", c)
		}
	})
}

func TestEntriesTellOfTheFunctionsSide(t *testing.T) {
	full := serverResult(0, engine.FunctionError, 9*ms, engine.ServerSide{Timed: true, Duration: 0, Cold: engine.No, Instance: "i\xff", Billed: ms, MemoryBytes: 5})
	dir, _ := recorded(t, full, invocation(0, engine.FunctionError, 0, ms))
	for _, name := range []string{FailuresFile, SlowestFile} {
		lines := readLines(t, filepath.Join(dir, name))
		var e Entry
		if err := json.Unmarshal([]byte(lines[0]), &e); err != nil {
			t.Fatal(err)
		}
		if e.FunctionUS == nil || *e.FunctionUS != 0 || e.Cold == nil || *e.Cold || e.Instance != "i\ufffd" || e.BilledUS != 1000 || e.MemoryBytes != 5 {
			t.Errorf("%s: %s", name, lines[0])
		}
		if strings.Contains(lines[1], "function_us") || strings.Contains(lines[1], "cold") || strings.Contains(lines[1], "instance") || strings.Contains(lines[1], "billed") {
			t.Errorf("%s tells what was not told: %s", name, lines[1])
		}
	}
}

func TestBilling(t *testing.T) {
	tests := []struct {
		name string
		r    *engine.Result
		want Billing
	}{
		{"as told", serverResult(0, engine.OK, 9*ms, engine.ServerSide{Timed: true, Duration: 4 * ms, Billed: 5500 * time.Microsecond}), Billing{Sure: [3]Billed{{1, 5500}}}},
		{"else the function's time, in whole ms", serverResult(0, engine.CheckFailed, 9*ms, engine.ServerSide{Timed: true, Duration: 4001 * time.Microsecond}), Billing{Sure: [3]Billed{1: {1, 5000}}}},
		{"else the service time", invocation(0, engine.FunctionTimeout, 0, 9*ms), Billing{Sure: [3]Billed{2: {1, 9000}}}},
		{"what may have run", invocation(0, engine.ClientTimeout, 0, 9*ms), Billing{Maybe: [3]Billed{2: {1, 9000}}}},
		{"given up on the wire", invocation(0, engine.Canceled, 0, 9*ms), Billing{Maybe: [3]Billed{2: {1, 9000}}}},
		{"refused before it ran", invocation(0, engine.Throttled, 0, 9*ms), Billing{}},
		{"never sent", func() *engine.Result { v := invocation(0, engine.Canceled, 0, ms); v.Attempts = nil; return v }(), Billing{}},
		{"above an hour", invocation(0, engine.OK, 0, 2*time.Hour), Billing{Sure: [3]Billed{2: {1, MaxUS}}}},
		{"the warm-up costs, too", func() *engine.Result { v := invocation(0, engine.OK, 0, ms); v.Invocation.Warmup = true; return v }(), Billing{Sure: [3]Billed{2: {1, 1000}}}},
		{"every attempt of a retry by its own outcome", func() *engine.Result {
			v := serverResult(2, engine.OK, 20*ms, engine.ServerSide{Billed: 7 * ms})
			for _, o := range []engine.Outcome{engine.NetworkError, engine.Throttled, engine.FunctionError} {
				v.Attempts = append([]engine.Attempt{{End: 3 * ms, Outcome: o}}, v.Attempts...)
			}
			return v
		}(), Billing{Sure: [3]Billed{{1, 7000}, {}, {1, 3000}}, Maybe: [3]Billed{2: {1, 3000}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var seconds Billing
				r, err := Create(Options{Plan: examplePlan(), Start: start, Tally: exampleTally(start), OnSecond: func(s *Second) { seconds.Add(s.Billing()) }})
				if err != nil {
					t.Fatal(err)
				}
				r.Shard().Invocation(tt.r)
				totals, err := r.Close()
				if err != nil {
					t.Fatal(err)
				}
				if got := totals.Billing(); got != tt.want || seconds != tt.want {
					t.Errorf("Billing = %+v, by the second %+v; want %+v", got, seconds, tt.want)
				}
			})
		})
	}
}

func TestEstimate(t *testing.T) {
	prices := engine.Cost{PerGBSecond: 0.0001, PerMillion: 2, MemoryBytes: 512 << 20, Budget: 3}
	tests := []struct {
		name string
		c    engine.Cost
		b    Billing
		want Cost
	}{
		{"nothing costs nothing", prices, Billing{}, Cost{Budget: 3, ByBasis: map[string]int64{}}},
		{"memory × time and requests", prices, Billing{Sure: [3]Billed{{Count: 1_000_000, US: 2000e6}}},
			Cost{Invocations: 1_000_000, GBSeconds: 1000, Requests: 2, Compute: 0.1, Total: 2.1, Low: 2.1, High: 2.1, Basis: "billed", ByBasis: map[string]int64{"billed": 1_000_000}, Budget: 3}},
		{"what is not known is in high alone", prices, Billing{Sure: [3]Billed{1: {Count: 500_000, US: 2000e6}}, Maybe: [3]Billed{2: {Count: 500_000, US: 2000e6}}},
			Cost{Invocations: 1_000_000, GBSeconds: 2000, Requests: 2, Compute: 0.2, Total: 2.2, Low: 1.1, High: 2.2, Basis: "function",
				ByBasis: map[string]int64{"function": 500_000, "service": 500_000}, Budget: 3}},
		{"what is very little is not nothing", engine.Cost{PerGBSecond: 0.0000167, MemoryBytes: 64 << 20, Budget: 1e-12}, Billing{Sure: [3]Billed{{Count: 1, US: 1000}}},
			Cost{Invocations: 1, GBSeconds: 0.0000625, Compute: 1.04375e-9, Total: 1.04375e-9, Low: 1.04375e-9, High: 1.04375e-9, Basis: "billed", ByBasis: map[string]int64{"billed": 1}, Budget: 1e-12}},
		{"most decide on the basis", engine.Cost{}, Billing{Sure: [3]Billed{{Count: 1}, {}, {Count: 2}}},
			Cost{Invocations: 3, Basis: "service", ByBasis: map[string]int64{"billed": 1, "service": 2}}},
		{"no number is too much for JSON", engine.Cost{PerGBSecond: math.MaxFloat64, PerMillion: math.Inf(1), MemoryBytes: 1 << 60}, Billing{Sure: [3]Billed{{Count: 1 << 60, US: 1 << 60}}},
			Cost{Invocations: 1 << 60, GBSeconds: finite(float64(1<<60) / 1e6 * (1 << 30)), Requests: 1.79769313486e308, Compute: 1.79769313486e308, Total: 1.79769313486e308,
				Low: 1.79769313486e308, High: 1.79769313486e308, Basis: "billed", ByBasis: map[string]int64{"billed": 1 << 60}}},
	}
	for _, tt := range tests {
		got := Estimate(tt.c, tt.b)
		if g, w := asJSON(t, got), asJSON(t, tt.want); g != w {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, g, w)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestLogsOfBefore reads a tag as it was before the function's time was called
// that.
func TestLogsOfBefore(t *testing.T) {
	sh := &shape{series: examplePlan().Series, groups: examplePlan().Groups}
	now := sh.tag(sh.cell(0, Function, Success), false)
	before := strings.Replace(now, "time=function", "time=upstream", 1)
	cell, _, err := sh.cellOf(before)
	if want := sh.cell(0, Function, Success); err != nil || cell != want || before == now {
		t.Errorf("cellOf(%q) = %d, %v; want %d", before, cell, err, want)
	}
}
