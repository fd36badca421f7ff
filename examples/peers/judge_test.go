//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	tests := []struct {
		name   string
		slack  float64
		judge  func(*judge, figure, float64)
		values []float64
		bar    float64
		want   string
		missed int
	}{
		{"reached", 1, (*judge).atLeast, []float64{1.0, 1.06, 1.2}, 1.05, "met speed 1.06x (1-1.20) wanted >= 1.05x", 0},
		{"at the bar", 1, (*judge).atLeast, []float64{1.05}, 1.05, "met speed 1.05x wanted >= 1.05x", 0},
		{"too low", 1, (*judge).atLeast, []float64{1.2, 1, 1}, 1.05, "MISSED speed 1x (1-1.20) wanted >= 1.05x", 1},
		{"low, but eased", 2, (*judge).atLeast, []float64{0.6}, 1, "met speed 0.60x wanted >= 1x, eased to 0.50", 0},
		{"too low all the same", 2, (*judge).atLeast, []float64{0.4}, 1, "MISSED speed 0.40x wanted >= 1x, eased to 0.50", 1},
		{"low enough", 1, (*judge).atMost, []float64{0.9}, 0.95, "met speed 0.90x wanted <= 0.95x", 0},
		{"too high", 1, (*judge).atMost, []float64{1200}, 60, "MISSED speed 1,200x wanted <= 60.0x", 1},
		{"high, but eased", 3, (*judge).atMost, []float64{170}, 60, "met speed 170x wanted <= 60.0x, eased to 180", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := &judge{slack: tt.slack}
			tt.judge(j, figure{"speed", tt.values, "x"}, tt.bar)
			if got := strings.Join(strings.Fields(j.take()), " "); got != tt.want || j.missed != tt.missed {
				t.Errorf("it says %q and misses %d, want %q and %d", got, j.missed, tt.want, tt.missed)
			}
			if got := j.take(); got != "" {
				t.Errorf("it says %q again", got)
			}
		})
	}
}

// Slack is for noise, and no count is noisy.
func TestJudgeHonest(t *testing.T) {
	j := &judge{slack: 100}
	j.honest(true, "all is well")
	j.honest(false, "%d of %d", 1, 2)
	if len(j.wrong) != 1 || j.wrong[0] != "1 of 2" {
		t.Errorf("wrong is %q, want only 1 of 2", j.wrong)
	}
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.054: "0.05", 1: "1", 1.5: "1.50", 12.34: "12.3", 123.4: "123", 1234.5: "1,235", -1234567: "-1,234,567"} {
		if got := number(x); got != want {
			t.Errorf("number(%v) = %q, want %q", x, got, want)
		}
	}
}

func TestOff(t *testing.T) {
	j := &judge{slack: 1}
	h := &harness{judge: *j}
	runs := []opened{{truth: []int64{1_000_000, 2_000_000, 10_000_000}, reported: distribution{P50: 2040, P90: 10_100, P99: 9_800}}}
	h.holdResponse("", runs, quantiles()[:3], 0.015, 50)
	want := []string{"met response p50 off the truth 40.0 µs wanted <= 50.0 µs", // least
		"met response p90 off the truth 100 µs wanted <= 150 µs",    // a share
		"MISSED response p99 off the truth 200 µs wanted <= 150 µs"} // too low is wrong as well
	for i, line := range strings.Split(h.judge.take(), "\n") {
		if got := strings.Join(strings.Fields(line), " "); got != want[i] {
			t.Errorf("it says %q, want %q", got, want[i])
		}
	}
}

func TestTabulate(t *testing.T) {
	got := tabulate([][]string{{"client", "CPU µs"}, {"a", "1"}, {"longer one", "1,234.5"}})
	want := "  client       CPU µs\n  a                 1\n  longer one  1,234.5\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
