package check

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"volley/engine"
	"volley/engine/record"
)

func TestReply(t *testing.T) {
	says := func(source string, holds bool, err error) engine.Check {
		return engine.Check{Source: source, Holds: func(s *engine.Scope, r *engine.Reply) (bool, error) {
			if s == nil || r == nil {
				t.Error("a check was asked without a scope or a reply")
			}
			return holds, err
		}}
	}
	good, bad := says("status == 200", true, nil), says("body.code == 0", false, nil)
	broken := says("body.a.b > 1", true, errors.New("cannot fetch b from nil"))
	long := says("x", false, errors.New(strings.Repeat("é", engine.MaxMessage)))
	tests := []struct {
		name   string
		checks []engine.Check
		in     engine.Reply
		want   engine.Reply
	}{
		{"no checks hold", nil, engine.Reply{Message: "m"}, engine.Reply{Message: "m"}},
		{"all hold", []engine.Check{good, good}, engine.Reply{Code: "c"}, engine.Reply{Code: "c"}},
		{"the first that does not is named", []engine.Check{good, bad, broken}, engine.Reply{Status: 200},
			engine.Reply{Status: 200, Outcome: engine.CheckFailed, Detail: "body.code == 0"}},
		{"one that cannot be evaluated does not hold", []engine.Check{broken}, engine.Reply{},
			engine.Reply{Outcome: engine.CheckFailed, Detail: "body.a.b > 1", Message: "cannot fetch b from nil"}},
		{"what failed already stays", []engine.Check{bad}, engine.Reply{Outcome: engine.Throttled, Detail: "d", Message: "m"},
			engine.Reply{Outcome: engine.Throttled, Detail: "d", Message: "m"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.in
			Reply(&engine.Invoke{Checks: tt.checks}, &engine.Scope{}, &got)
			if got.Outcome != tt.want.Outcome || got.Detail != tt.want.Detail || got.Message != tt.want.Message || got.Status != tt.want.Status || got.Code != tt.want.Code {
				t.Errorf("reply = %+v, want %+v", got, tt.want)
			}
		})
	}
	var r engine.Reply
	Reply(&engine.Invoke{Checks: []engine.Check{long}}, &engine.Scope{}, &r)
	if len(r.Message) > engine.MaxMessage || !utf8.ValidString(r.Message) {
		t.Errorf("a message of %d bytes, valid: %v", len(r.Message), utf8.ValidString(r.Message))
	}
}

// A fakeView is a view of results that a test makes up.
type fakeView struct {
	counts map[string]record.Counts
	times  map[string][]int64 // µs, by "step class measure"
	active time.Duration

	due, dropped int64 // iterations
}

func (v fakeView) Hist(step string, c record.Class, m record.Measure) *record.Hist {
	var h *record.Hist
	for _, us := range v.times[step+" "+c.String()+" "+m.String()] {
		if h == nil {
			h = &record.Hist{}
		}
		h.Record(us)
	}
	return h
}

func (v fakeView) Counts(step string) (record.Counts, bool) { c, ok := v.counts[step]; return c, ok }

func (v fakeView) Iterations() (due, dropped int64) { return v.due, v.dropped }

func (v fakeView) Active() time.Duration { return v.active }

// counts makes up counts of ok, failed and canceled results.
func counts(ok, throttled, canceled int64) record.Counts {
	c := record.Counts{Total: ok + throttled + canceled}
	c.Outcomes[engine.OK], c.Outcomes[engine.Throttled], c.Outcomes[engine.Canceled] = ok, throttled, canceled
	return c
}

// parse reads a threshold that is known to be right.
func parse(t *testing.T, source string, o Options) Threshold {
	t.Helper()
	th, err := Parse(source, []string{"hello", "idle"}, []string{"all#1"})
	if err != nil {
		t.Fatal(err)
	}
	if th, err = th.With(o); err != nil {
		t.Fatal(err)
	}
	return th
}

func TestEvaluate(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i+1) * 10 // 10 to 1000 µs: exact in a histogram of three digits
	}
	v := fakeView{active: 10 * time.Second, due: 500, dropped: 10,
		counts: map[string]record.Counts{"": counts(990, 10, 1000), "hello": counts(400, 100, 0), "idle": {}, "all#1": counts(90, 10, 0)},
		times: map[string][]int64{" all function": hundred[:10],
			" all response": hundred, " ok response": hundred[:50], "hello all response": {250}, "hello all service": {150},
			"all#1 all settle": hundred[:20],
		},
	}
	c := v.counts["hello"]
	c.Cold, c.Warm = 3, 57
	v.counts["hello"] = c
	type row = record.Threshold
	tests := []struct {
		source string
		min    int64
		want   row
	}{
		{"p99 < 991us", 0, row{OK: true, Value: 990, Unit: "us", Count: 100}},
		{"p99 < 990us", 0, row{Value: 990, Unit: "us", Count: 100}},
		{"p99 <= 990us", 0, row{OK: true, Value: 990, Unit: "us", Count: 100}},
		{"p99 == 990us", 0, row{OK: true, Value: 990, Unit: "us", Count: 100}},
		{"p99 != 990us", 0, row{Value: 990, Unit: "us", Count: 100}},
		{"p99 > 990us", 0, row{Value: 990, Unit: "us", Count: 100}},
		{"p99 >= 990us", 0, row{OK: true, Value: 990, Unit: "us", Count: 100}},
		{"ok.med < 1ms", 0, row{OK: true, Value: 250, Unit: "us", Count: 50}},
		{"avg < 505us", 0, row{Value: 505, Unit: "us", Count: 100}},
		{"min >= 10us", 0, row{OK: true, Value: 10, Unit: "us", Count: 100}},
		{"max < 1", 0, row{Value: 1000, Unit: "us", Count: 100}},
		{"hello.p50 < 1ms", 0, row{OK: true, Value: 250, Unit: "us", Count: 1}},
		{"hello.service.p50 < 1ms", 0, row{OK: true, Value: 150, Unit: "us", Count: 1}},
		{"all#1.settle.max < 1ms", 0, row{OK: true, Value: 200, Unit: "us", Count: 20}},
		{"failed.p99 < 1s", 0, row{NoData: true, Unit: "us"}},
		{"idle.p99 < 1s", 0, row{NoData: true, Unit: "us"}},
		{"idle.failed == 0", 0, row{NoData: true, Unit: "count"}},
		{"idle.rate < 1/s", 0, row{NoData: true, Unit: "per_s"}},
		{"hello.p50 < 1ms", 2, row{NoData: true, Unit: "us", Count: 1}},
		{"failed < 1%", 1000, row{Value: 0.01, Unit: "share", Count: 1000}},
		{"failed <= 1%", 1000, row{OK: true, Value: 0.01, Unit: "share", Count: 1000}},
		{"failed <= 1%", 1001, row{NoData: true, Unit: "share", Count: 1000}},
		{"failed < 10", 0, row{Value: 10, Unit: "count", Count: 1000}},
		{"hello.failed == 20%", 0, row{OK: true, Value: 0.2, Unit: "share", Count: 500}},
		{"throttled == 10", 0, row{OK: true, Value: 10, Unit: "count", Count: 1000}},
		{"platform_error == 0", 0, row{OK: true, Unit: "count", Count: 1000}},
		{"canceled < 50%", 0, row{Value: 0.5, Unit: "share", Count: 2000}},
		{"dropped == 0", 0, row{Value: 10, Unit: "count", Count: 500}},
		{"dropped <= 2%", 0, row{OK: true, Value: 0.02, Unit: "share", Count: 500}},
		{"count == 1000", 0, row{OK: true, Value: 1000, Unit: "count", Count: 1000}},
		{"ok.count == 990", 0, row{OK: true, Value: 990, Unit: "count", Count: 1000}},
		{"failed.count == 10", 0, row{OK: true, Value: 10, Unit: "count", Count: 1000}},
		{"rate >= 100/s", 0, row{OK: true, Value: 100, Unit: "per_s", Count: 1000}},
		{"ok.rate >= 100/s", 0, row{Value: 99, Unit: "per_s", Count: 1000}},
		{"settle.count == 0", 0, row{OK: true, Unit: "count", Count: 2000}},
		{"function.max < 200us", 0, row{OK: true, Value: 100, Unit: "us", Count: 10}},
		{"idle.function.max < 1s", 0, row{NoData: true, Unit: "us"}},
		{"hello.cold <= 5%", 0, row{OK: true, Value: 0.05, Unit: "share", Count: 60}},
		{"hello.cold < 5%", 60, row{Value: 0.05, Unit: "share", Count: 60}},
		{"hello.cold < 5%", 61, row{NoData: true, Unit: "share", Count: 60}},
		{"hello.cold < 3", 0, row{Value: 3, Unit: "count", Count: 60}},
		{"cold == 0", 0, row{NoData: true, Unit: "count"}},
		{"cold < 5%", 0, row{NoData: true, Unit: "share"}},
		{"all#1.settle.rate == 2/s", 0, row{OK: true, Value: 2, Unit: "per_s", Count: 100}},
	}
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			tt.want.Source = tt.source
			if got := parse(t, tt.source, Options{MinSamples: tt.min}).Evaluate(v); got != tt.want {
				t.Errorf("Evaluate = %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestShareIsExact holds that a share is compared as it was written: 1 of
// 1000 is 0.1 %, though neither has an exact float.
func TestShareIsExact(t *testing.T) {
	for n := int64(1); n < 1000; n++ {
		th := parse(t, "failed == "+percent(float64(n)/1000), Options{})
		if got := th.Evaluate(fakeView{counts: map[string]record.Counts{"": counts(1000-n, n, 0)}}); !got.OK {
			t.Errorf("%v: %v of 1000 gave %v against %v", th, n, got.Value, th.Limit)
		}
	}
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{0: "0%", 1: "100%", 0.001: "0.1%", 0.07: "7%", 0.5: "50%", 0.123456: "12.3456%", 0.9999: "99.99%", 2.5: "250%", 1e-6: "0.0001%"} {
		if got := percent(share); got != want {
			t.Errorf("percent(%v) = %q, want %q", share, got, want)
		}
	}
}

func TestExitCode(t *testing.T) {
	if got := (Ending{}).ExitCode(); got != 0 {
		t.Errorf("all well is %d, want 0", got)
	}
	// In the order of precedence: each with everything after it.
	e := Ending{true, true, true, true, true, true, true, true, true, true}
	for _, step := range []struct {
		want  int
		clear *bool
	}{
		{2, &e.WrongCommandLine}, {104, &e.WrongScenario}, {1, &e.CouldNotRun}, {105, &e.Interrupted}, {115, &e.Stopped}, {111, &e.Invalid},
		{99, &e.ThresholdFailed}, {112, &e.Worse}, {114, &e.TooManyFailed}, {113, &e.Inconclusive},
	} {
		if got := e.ExitCode(); got != step.want {
			t.Errorf("%+v = %d, want %d", e, got, step.want)
		}
		*step.clear = false
	}
}

func TestNoNumberEscapes(t *testing.T) {
	// A rate over no time is no number, and JSON has no word for it.
	got := parse(t, "rate > 1/s", Options{}).Evaluate(fakeView{counts: map[string]record.Counts{"": counts(1, 0, 0)}})
	if !got.NoData || got.Value != 0 || math.IsInf(got.Value, 0) {
		t.Errorf("a rate over no time = %+v, want no data", got)
	}
}
