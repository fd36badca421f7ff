package check

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"volley/engine"
	"volley/engine/record"
	"volley/engine/self"
)

// TestJudge is the table of DESIGN.md 3: every row, and every limit from both
// sides.
func TestJudge(t *testing.T) {
	m := self.Measured
	tests := []struct {
		name  string
		e     Evidence
		want  Level
		limit float64 // that it is past
	}{
		{"nothing measured is not judged", Evidence{}, Valid, 0},
		{"no results at all", Evidence{Results: m(0)}, Invalid, 1},
		{"no results of what was due", Evidence{Results: m(0), Due: 5, Sent: 5}, Invalid, 1},
		{"one result", Evidence{Results: m(1), Due: 1, Sent: 1}, Valid, 0},

		{"lateness at 2 ms", Evidence{LatenessP99US: m(2000)}, Valid, 0},
		{"lateness above 2 ms", Evidence{LatenessP99US: m(2001)}, Degraded, 2000},
		{"lateness at 20 ms", Evidence{LatenessP99US: m(20000)}, Degraded, 2000},
		{"lateness above 20 ms", Evidence{LatenessP99US: m(20001)}, Invalid, 20000},
		{"a fast function does not lower the limit", Evidence{LatenessP99US: m(2000), ServiceP50US: m(1000)}, Valid, 0},
		{"lateness at 5 % of service p50", Evidence{LatenessP99US: m(5000), ServiceP50US: m(100000)}, Valid, 0},
		{"lateness above 5 % of service p50", Evidence{LatenessP99US: m(5001), ServiceP50US: m(100000)}, Degraded, 5000},
		{"lateness at 50 % of service p50", Evidence{LatenessP99US: m(50000), ServiceP50US: m(100000)}, Degraded, 5000},
		{"lateness above 50 % of service p50", Evidence{LatenessP99US: m(50001), ServiceP50US: m(100000)}, Invalid, 50000},

		{"all sent", Evidence{Due: 1000, Sent: 1000}, Valid, 0},
		{"99.9 % sent", Evidence{Due: 1000, Sent: 999}, Valid, 0},
		{"fewer than 99.9 % sent", Evidence{Due: 10000, Sent: 9989}, Degraded, 0.999},
		{"99 % sent", Evidence{Due: 1000, Sent: 990}, Degraded, 0.999},
		{"fewer than 99 % sent", Evidence{Due: 10000, Sent: 9899}, Invalid, 0.99},
		{"nothing sent", Evidence{Due: 1}, Invalid, 0.99},

		{"full for 1 % of the time", Evidence{FullShare: m(0.01)}, Valid, 0},
		{"full for more than 1 %", Evidence{FullShare: m(0.0101)}, Degraded, 0.01},
		{"full for 20 %", Evidence{FullShare: m(0.20)}, Degraded, 0.01},
		{"full for more than 20 %", Evidence{FullShare: m(0.2001)}, Invalid, 0.20},

		{"a burst of 1.5 times", Evidence{Burst: m(1.5)}, Valid, 0},
		{"a burst of more", Evidence{Burst: m(1.51)}, Degraded, 1.5},
		{"a burst of 3 times", Evidence{Burst: m(3)}, Degraded, 1.5},
		{"a burst of more than 3", Evidence{Burst: m(3.01)}, Invalid, 3},

		{"85 % of the CPU", Evidence{CPUShare: m(0.85)}, Valid, 0},
		{"more than 85 % of the CPU", Evidence{CPUShare: m(0.851)}, Degraded, 0.85},
		{"97 % of the CPU", Evidence{CPUShare: m(0.97)}, Degraded, 0.85},
		{"more than 97 % of the CPU", Evidence{CPUShare: m(0.971)}, Invalid, 0.97},

		{"stopped by the quota 1 % of the time", Evidence{ThrottledShare: m(0.01)}, Valid, 0},
		{"stopped for more than 1 %", Evidence{ThrottledShare: m(0.011)}, Degraded, 0.01},
		{"stopped for 10 %", Evidence{ThrottledShare: m(0.10)}, Degraded, 0.01},
		{"stopped for more than 10 %", Evidence{ThrottledShare: m(0.101)}, Invalid, 0.10},
		{"GC pauses for 1 % of the time", Evidence{GCPauseShare: m(0.01)}, Valid, 0},
		{"GC pauses for more than 1 %", Evidence{GCPauseShare: m(0.011)}, Degraded, 0.01},
		{"GC pauses for 10 %", Evidence{GCPauseShare: m(0.10)}, Degraded, 0.01},
		{"GC pauses for more than 10 %", Evidence{GCPauseShare: m(0.101)}, Invalid, 0.10},
		{"late timers for 1 % of the time", Evidence{SentinelShare: m(0.01)}, Valid, 0},
		{"late timers for more than 1 %", Evidence{SentinelShare: m(0.011)}, Degraded, 0.01},
		{"late timers for 10 %", Evidence{SentinelShare: m(0.10)}, Degraded, 0.01},
		{"late timers for more than 10 %", Evidence{SentinelShare: m(0.101)}, Invalid, 0.10},

		{"80 % of the descriptors", Evidence{FilesShare: m(0.80)}, Valid, 0},
		{"more than 80 % of the descriptors", Evidence{FilesShare: m(0.801)}, Degraded, 0.80},
		{"almost all descriptors", Evidence{FilesShare: m(0.999)}, Degraded, 0.80},
		{"all descriptors", Evidence{FilesShare: m(1)}, Invalid, 1},
		{"an attempt without a descriptor", Evidence{FilesShare: m(0.2), NoFiles: 1}, Invalid, 1},
		{"80 % of the ports", Evidence{PortsShare: m(0.80)}, Valid, 0},
		{"more than 80 % of the ports", Evidence{PortsShare: m(0.801)}, Degraded, 0.80},
		{"all ports", Evidence{PortsShare: m(1.01)}, Invalid, 1},
		{"an attempt without a port", Evidence{NoPorts: 1}, Invalid, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Judge(tt.e)
			if got.Level != tt.want {
				t.Fatalf("level = %v with %v, want %v", got.Level, got.Reasons, tt.want)
			}
			if tt.want == Valid {
				if len(got.Reasons) != 0 {
					t.Errorf("reasons of a valid run: %v", got.Reasons)
				}
				return
			}
			if len(got.Reasons) != 1 || got.Reasons[0].Level != tt.want || got.Reasons[0].Limit != tt.limit {
				t.Errorf("reasons = %+v, want one, %v, past %v", got.Reasons, tt.want, tt.limit)
			}
			readable(t, got)
		})
	}
}

// readable holds that every reason says all in a line that fits a terminal.
func readable(t *testing.T, v Verdict) {
	t.Helper()
	for _, r := range v.Reasons {
		if n := utf8.RuneCountInString(r.Text); n > 76 || n < 10 || strings.Contains(r.Text, "\n") || strings.Contains(r.Text, "%!") {
			t.Errorf("text of %d columns: %q", n, r.Text)
		}
		if r.Signal == "" || len(r.Hint) < 10 || strings.Contains(r.Hint, "\n") {
			t.Errorf("reason without a signal or a hint: %+v", r)
		}
	}
}

// TestJudgeText holds the words, and that a value never looks like its limit.
func TestJudgeText(t *testing.T) {
	m := self.Measured
	tests := []struct {
		e          Evidence
		text, hint string
	}{
		{Evidence{LatenessP99US: m(2001)}, "lateness p99 is 2.001ms, above 2ms", "faster machine"},
		{Evidence{LatenessP99US: m(2000.4)}, "lateness p99 is 2ms, above 2ms", "lower the load"}, // finer than what is measured
		{Evidence{LatenessP99US: m(1234567), ServiceP50US: m(41234.5)}, "lateness p99 is 1.23s, above 20.6ms", "lower the load"},
		{Evidence{Due: 100000, Sent: 98999}, "only 98.999% of the iterations due were sent, below 99%", "raise max_in_flight"},
		{Evidence{Due: 1000, Sent: 500}, "only 50.0% of the iterations due were sent, below 99%", "raise max_in_flight"},
		{Evidence{FullShare: m(0.35)}, "all of max_in_flight was in use 35.0% of the time, above 20%", "raise max_in_flight"},
		{Evidence{Burst: m(4.25)}, "the busiest 100 ms had 4.2× the rate asked for, above 3×", "bunched up"},
		{Evidence{Burst: m(1.5004)}, "the busiest 100 ms had 1.5004× the rate asked for, above 1.5×", "bunched up"},
		{Evidence{CPUShare: m(0.98765)}, "volley used 98.8% of the CPU that it may use, above 97%", "more cores"},
		{Evidence{ThrottledShare: m(0.01001)}, "the cgroup's CPU quota stopped volley 1.001% of the time, above 1%", "raise the CPU quota"},
		{Evidence{GCPauseShare: m(0.02)}, "Go's garbage collector paused volley 2.0% of the time, above 1%", "smaller bodies"},
		{Evidence{SentinelShare: m(0.3)}, "timers rang over 20 ms late for 30.0% of the time, above 10%", "stood still"},
		{Evidence{FilesShare: m(0.9)}, "90.0% of the file descriptors were in use, above 80%", "ulimit -n"},
		{Evidence{NoFiles: 1}, "file descriptors ran out; attempts that failed for it: 1", "ulimit -n"},
		{Evidence{PortsShare: m(1)}, "local ports ran out", "keep_alive"},

		{Evidence{LatenessP99US: m(99999), CPUWaitShare: m(0.5), MachineBusyShare: m(1)}, "lateness p99 is 100ms, above 20ms", "other programs on this machine take the CPU"},
		{Evidence{LatenessP99US: m(99999), CPUWaitShare: m(0.5), MachineBusyShare: m(0.5)}, "lateness p99 is 100ms, above 20ms", "faster machine"},
		{Evidence{LatenessP99US: m(99999), CPUWaitShare: m(0.1), MachineBusyShare: m(1)}, "lateness p99 is 100ms, above 20ms", "faster machine"},
		{Evidence{SentinelShare: m(0.3), MachineStealShare: m(0.1)}, "timers rang over 20 ms late for 30.0% of the time, above 10%", "host of this VM"},
	}
	for _, tt := range tests {
		v := Judge(tt.e)
		if len(v.Reasons) != 1 || v.Reasons[0].Text != tt.text || !strings.Contains(v.Reasons[0].Hint, tt.hint) {
			t.Errorf("reasons = %+v\nwant %q, hint with %q", v.Reasons, tt.text, tt.hint)
		}
		readable(t, v)
	}
}

// TestJudgeOrder holds that the worst comes first, and that its cause is named
// by every symptom.
func TestJudgeOrder(t *testing.T) {
	m := self.Measured
	v := Judge(Evidence{
		LatenessP99US: m(5000), Due: 100, Sent: 50, FullShare: m(0.30), CPUShare: m(0.99), SentinelShare: m(0.02), NoPorts: 3, PortsShare: m(1),
	})
	var signals []string
	for _, r := range v.Reasons {
		signals = append(signals, r.Signal)
	}
	want := []string{"local_ports_share", "sent_share", "max_in_flight_share", "cpu_share", "lateness_p99_us", "timer_over_20ms_share"}
	if !slices.Equal(signals, want) || v.Level != Invalid {
		t.Errorf("reasons of %v = %q, want %q", v.Level, signals, want)
	}
	if got := v.Reasons[1].Hint; !strings.Contains(got, "CPU is used up") {
		t.Errorf("hint of a symptom = %q, want its cause, the CPU", got)
	}
	readable(t, v)
	doc := v.Validity()
	if doc.Verdict != "invalid" || len(doc.Reasons) != len(want) || doc.Reasons[0] != v.Reasons[0].Text+"; "+v.Reasons[0].Hint {
		t.Errorf("validity = %+v", doc)
	}
	if shared := v.Reasons[2]; shared.Hint != v.Reasons[1].Hint || doc.Reasons[2] != shared.Text {
		t.Errorf("a hint is repeated in %q", doc.Reasons)
	}
	if doc := Judge(Evidence{}).Validity(); doc.Verdict != "valid" || doc.Reasons == nil {
		t.Errorf("validity of a valid run = %#v, want reasons that are empty, not null", doc)
	}
}

func TestVoid(t *testing.T) {
	rows := []record.Threshold{{Source: "a", OK: true, Value: 1}, {Source: "b"}}
	if got := (Verdict{Level: Degraded}).Void(rows); !slices.Equal(got, rows) {
		t.Errorf("a degraded run has %+v, want what it had", got)
	}
	got := Verdict{Level: Invalid}.Void(rows)
	if got[0].OK || got[1].OK || got[0].Value != 1 || !rows[0].OK {
		t.Errorf("an invalid run has %+v (was %+v): none may pass, values stay", got, rows)
	}
}

func TestGather(t *testing.T) {
	v := fakeView{times: map[string][]int64{" all lateness": {1, 2, 300}, " all service": {1000, 1500, 2000}, " all response": {1000, 1500, 2000}, " all iteration": {2000}}}
	h := self.Health{CPUShare: self.Measured(0.5), ThrottledShare: self.Measured(0.1), GCPauseShare: self.Measured(0.2), SentinelShare: self.Measured(0.3),
		FilesShare: self.Measured(0.4), PortsShare: self.Measured(0.6), CPUWaitShare: self.Measured(0.7), MachineBusyShare: self.Measured(0.8), MachineStealShare: self.Measured(0.9)}
	got := Gather(engine.Tally{Due: 10, Sent: 9, Active: 4 * time.Second, Full: time.Second, Burst: 2}, h, v)
	want := Evidence{Results: self.Measured(4), LatenessP99US: self.Measured(300), ServiceP50US: self.Measured(1500), Due: 10, Sent: 9, FullShare: self.Measured(0.25), Burst: self.Measured(2),
		CPUShare: h.CPUShare, ThrottledShare: h.ThrottledShare, GCPauseShare: h.GCPauseShare, SentinelShare: h.SentinelShare,
		FilesShare: h.FilesShare, PortsShare: h.PortsShare, CPUWaitShare: h.CPUWaitShare, MachineBusyShare: h.MachineBusyShare, MachineStealShare: h.MachineStealShare}
	if got != want {
		t.Errorf("Gather = %+v\nwant %+v", got, want)
	}
	if got := Gather(engine.Tally{}, self.Health{}, fakeView{}); got != (Evidence{Results: self.Measured(0)}) {
		t.Errorf("Gather of nothing = %+v, want nothing measured", got)
	} else if v := Judge(got); v.Level != Invalid || !strings.Contains(v.Validity().Reasons[0], "nothing was measured") {
		t.Errorf("a run of nothing is %v for %v", v.Level, v.Validity().Reasons)
	}
}

// FuzzJudge holds that no numbers make a text that does not fit.
func FuzzJudge(f *testing.F) {
	f.Add(0.0, 0.0, int64(1), int64(0))
	f.Add(1e12, 3.3e9, int64(1)<<62, int64(1))
	f.Add(0.0100000001, 2000.4, int64(1000), int64(998))
	f.Fuzz(func(t *testing.T, a, b float64, due, sent int64) {
		if !(a >= 0 && b >= 0 && a < 1e9 && b < 3.6e9) || due < 0 || sent < 0 || sent > due {
			return
		}
		m := self.Measured
		v := Judge(Evidence{LatenessP99US: m(b), ServiceP50US: m(a), Due: due, Sent: sent, FullShare: m(math.Mod(a, 1)), Burst: m(a), CPUShare: m(math.Mod(a, 4)),
			ThrottledShare: m(math.Mod(a, 1)), GCPauseShare: m(math.Mod(a, 1)), SentinelShare: m(math.Mod(a, 1)), FilesShare: m(math.Mod(a, 2)), PortsShare: m(math.Mod(a, 2)), NoPorts: sent})
		readable(t, v)
		for _, r := range v.Reasons {
			if r.Level != Degraded && r.Level != Invalid {
				t.Errorf("reason %+v", r)
			}
		}
	})
}
