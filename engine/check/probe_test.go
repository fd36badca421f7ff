package check

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"volley/engine"
)

func TestProbe(t *testing.T) {
	const ms = time.Millisecond
	type side = engine.ServerSide
	type f = func(*engine.Scope, *engine.Reply) (any, error)
	says := func(v any) f {
		return func(s *engine.Scope, r *engine.Reply) (any, error) {
			if s == nil || r == nil {
				t.Error("a probe was asked without a scope or a reply")
			}
			return v, nil
		}
	}
	fails := func(*engine.Scope, *engine.Reply) (any, error) { return 3.0, errors.New("no such field") }
	method := side{Timed: true, Duration: 7 * ms, Billed: 8 * ms, MemoryBytes: 9, Cold: engine.Yes, Instance: "m"}
	tests := []struct {
		name  string
		probe engine.ServerProbe
		had   side
		want  side
	}{
		{"what is not asked stays", engine.ServerProbe{}, method, method},
		{"numbers", engine.ServerProbe{DurationMS: says(12.5), BilledMS: says(int64(13)), MemoryBytes: says(1 << 20)}, side{},
			side{Timed: true, Duration: 12500 * time.Microsecond, Billed: 13 * ms, MemoryBytes: 1 << 20}},
		{"text that is numbers", engine.ServerProbe{DurationMS: says(" 1.5 "), BilledMS: says(json.Number("2")), MemoryBytes: says("1e3")}, side{},
			side{Timed: true, Duration: 1500 * time.Microsecond, Billed: 2 * ms, MemoryBytes: 1000}},
		{"no time is a time", engine.ServerProbe{DurationMS: says(0)}, side{}, side{Timed: true}},
		{"the scenario's word wins", engine.ServerProbe{DurationMS: says(1), BilledMS: says(2), MemoryBytes: says(3), Cold: says(false), Instance: says("s")}, method,
			side{Timed: true, Duration: ms, Billed: 2 * ms, MemoryBytes: 3, Cold: engine.No, Instance: "s"}},
		{"nothing found leaves the method's", engine.ServerProbe{DurationMS: says(nil), BilledMS: says(nil), MemoryBytes: says(nil), Cold: says(nil), Instance: says(nil)}, method, method},
		{"an error is nothing found", engine.ServerProbe{DurationMS: fails, BilledMS: fails, MemoryBytes: fails, Cold: fails, Instance: fails}, method, method},
		{"nor is a wrong type", engine.ServerProbe{DurationMS: says(true), BilledMS: says([]any{1}), MemoryBytes: says(map[string]any{}), Cold: says("maybe"), Instance: says(17)}, method, method},
		{"below nothing", engine.ServerProbe{DurationMS: says(-1), BilledMS: says("-1"), MemoryBytes: says(int64(-5)), Cold: says(-1), Instance: says("")}, method, method},
		{"no number", engine.ServerProbe{DurationMS: says(math.NaN()), BilledMS: says("NaN"), MemoryBytes: says("0x1p4"), Cold: says(0.5)}, method, method},
		{"endless", engine.ServerProbe{DurationMS: says(math.Inf(1)), BilledMS: says("Inf"), MemoryBytes: says("1e999"), Cold: says(2)}, method, method},
		{"an hour and 1 TiB", engine.ServerProbe{DurationMS: says(3_600_000), BilledMS: says(uint64(3_600_000)), MemoryBytes: says(float64(1 << 40))}, side{},
			side{Timed: true, Duration: time.Hour, Billed: time.Hour, MemoryBytes: 1 << 40}},
		{"more than that", engine.ServerProbe{DurationMS: says(3_600_000.1), BilledMS: says("3600001"), MemoryBytes: says(1<<40 + 1)}, method, method},
		{"cold by a word", engine.ServerProbe{Cold: says("True")}, side{}, side{Cold: engine.Yes}},
		{"warm by a word", engine.ServerProbe{Cold: says("false")}, side{}, side{Cold: engine.No}},
		{"cold by a number", engine.ServerProbe{Cold: says(int64(1))}, side{}, side{Cold: engine.Yes}},
		{"warm by the text of one", engine.ServerProbe{Cold: says("0")}, side{}, side{Cold: engine.No}},
		{"a long name is cut, not in a character", engine.ServerProbe{Instance: says(strings.Repeat("函", 40))}, side{}, side{Instance: strings.Repeat("函", 21)}},
		{"a broken name is mended", engine.ServerProbe{Instance: says("a\xffb")}, side{}, side{Instance: "ab"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := engine.Reply{Server: tt.had}
			Reply(&engine.Invoke{Server: &tt.probe}, &engine.Scope{}, &r)
			if r.Server != tt.want || r.Outcome != engine.OK {
				t.Errorf("told %+v, outcome %v; want %+v, ok", r.Server, r.Outcome, tt.want)
			}
			failed := engine.Reply{Outcome: engine.FunctionError, Server: tt.had}
			Reply(&engine.Invoke{Server: &tt.probe}, &engine.Scope{}, &failed)
			if failed.Server != tt.had {
				t.Errorf("of a failed reply: %+v, want %+v", failed.Server, tt.had)
			}
		})
	}
}

// TestProbeComesBeforeChecks holds that a reply that fails its check tells as
// much of the function's side as one that does not.
func TestProbeComesBeforeChecks(t *testing.T) {
	i := &engine.Invoke{
		Server: &engine.ServerProbe{Instance: func(*engine.Scope, *engine.Reply) (any, error) { return "i", nil }},
		Checks: []engine.Check{{Source: "false", Holds: func(*engine.Scope, *engine.Reply) (bool, error) { return false, nil }}},
	}
	var r engine.Reply
	Reply(i, &engine.Scope{}, &r)
	if r.Outcome != engine.CheckFailed || r.Server.Instance != "i" {
		t.Errorf("outcome %v, instance %q", r.Outcome, r.Server.Instance)
	}
}

// FuzzProbe holds that whatever a reply says of itself stays within bounds.
func FuzzProbe(f *testing.F) {
	for _, s := range []string{"12.5", "-0", "1e3", "NaN", "true", " 0x1p4 ", "\xff", "", "infinity", "1_000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		say := func(*engine.Scope, *engine.Reply) (any, error) { return s, nil }
		var r engine.Reply
		Reply(&engine.Invoke{Server: &engine.ServerProbe{DurationMS: say, BilledMS: say, MemoryBytes: say, Cold: say, Instance: say}}, &engine.Scope{}, &r)
		p := r.Server
		if r.Outcome != engine.OK || p.Duration < 0 || p.Duration > time.Hour || p.Billed < 0 || p.Billed > time.Hour ||
			p.MemoryBytes < 0 || p.MemoryBytes > 1<<40 || len(p.Instance) > engine.MaxInstance || !utf8.ValidString(p.Instance) {
			t.Errorf("%q tells %+v", s, p)
		}
	})
}
