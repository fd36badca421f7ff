package engine_test

import (
	"strings"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/group"
	"volley/engine/pace"
)

// TestFirstInvocations holds what is on the wire before anything was answered.
func TestFirstInvocations(t *testing.T) {
	limited := func(n int, s engine.Step) engine.Step { s.Group.Limit = n; return s }
	f, g, h := call("f", ""), call("g", ""), call("h", "")
	tests := []struct {
		name  string
		steps []engine.Step
		want  string
	}{
		{"the first of several", []engine.Step{f, g}, "f"},
		{"all of a group", []engine.Step{all(group.Race, f, g, h), f}, "f g h"},
		{"as many of a group as it lets", []engine.Step{limited(2, all(group.All, f, g, h))}, "f g"},
		{"the first of a sequence", []engine.Step{seq(seq(g, f), h)}, "g"},
		{"members that are none are left out", []engine.Step{all(group.All, f, seq(g, h))}, "f"},
		{"none of a pick", []engine.Step{{Pick: []engine.Choice{{Weight: 1, Steps: []engine.Step{h}}, {Weight: 1, Steps: []engine.Step{f}}}}}, ""},
		{"the only one of a pick", []engine.Step{{Pick: []engine.Choice{{Weight: 1, Steps: []engine.Step{h}}}}}, "h"},
		{"none under a condition", []engine.Step{when(f, true, nil), g}, ""},
		{"no member under a condition", []engine.Step{all(group.All, f, when(g, true, nil), h)}, "f h"},
		{"nothing together after a pause", []engine.Step{pause(time.Second), f}, ""},
		{"an empty plan", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var names []string
			for _, in := range (&engine.Plan{Steps: tt.steps}).First() {
				names = append(names, in.Name)
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestFirstIterations holds how many iterations begin together.
func TestFirstIterations(t *testing.T) {
	times := func(at ...time.Duration) func() pace.Arrivals {
		return func() pace.Arrivals { return pace.Replay(at) }
	}
	tests := []struct {
		name string
		load engine.Load
		want int
	}{
		{"as many as there are workers", engine.Load{Crowd: pace.Constant(50, time.Second)}, 50},
		{"no more than there are to be", engine.Load{Crowd: pace.Constant(50, time.Second), Iterations: 10}, 10},
		{"none under a ceiling", engine.Load{Crowd: pace.Constant(50, time.Second), MaxRate: 5}, 0},
		{"no more arrivals than there are to be", open(pace.Constant(1000, time.Minute), engine.Load{MaxInFlight: 100, Iterations: 3}), 3},
		{"one worker of a crowd that grows", engine.Load{Crowd: pace.Profile{{From: 1, To: 100, For: time.Minute}}}, 1},
		{"those due in the first 5 ms", open(pace.Constant(1000, time.Minute), engine.Load{MaxInFlight: 100}), 5},
		{"no more than may be under way", open(pace.Constant(100_000, time.Minute), engine.Load{MaxInFlight: 100}), 100},
		{"one of a low rate", open(pace.Constant(1, time.Minute), engine.Load{MaxInFlight: 100}), 1},
		{"of a load that is soon over", engine.Load{MaxInFlight: 100, Arrivals: times(0, 0, time.Millisecond)}, 3},
		{"of times that are given", engine.Load{MaxInFlight: 100, Arrivals: times(0, 0, 4*time.Millisecond, 5*time.Millisecond)}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.load.First(); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}
