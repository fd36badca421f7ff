//go:build linux

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		x    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		before := slices.Clone(tt.x)
		if got := median(tt.x); got != tt.want || !slices.Equal(tt.x, before) {
			t.Errorf("median(%v) = %v and leaves %v, want %v", before, got, tt.x, tt.want)
		}
	}
}

func TestRatios(t *testing.T) {
	if got := ratios([]float64{10, 30}, []float64{20, 10}); !slices.Equal(got, []float64{0.5, 3}) {
		t.Errorf("ratios are %v, want those of the pairs: 0.5 and 3", got)
	}
}

func TestQuantile(t *testing.T) {
	x := []int64{10, 20, 30, 40}
	for q, want := range map[float64]int64{0: 10, 0.25: 10, 0.26: 20, 0.5: 20, 0.99: 40, 1: 40} {
		if got := quantile(x, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
}

// Three requests of 1000/s, due at 0, 1 and 2 ms: the second overtook the
// first, and the file has them in another order still.
func TestAgainstDue(t *testing.T) {
	const start, ms = int64(1e18), int64(1e6)
	all := []seen{
		{start + 2*ms + 50, start + 5*ms},
		{start + 1*ms + 900, start + 4*ms},
		{start + 1*ms + 100, start + 9*ms},
	}
	if got, want := lateness(all, start, 1000), []int64{50, 900, 1*ms + 100}; !slices.Equal(got, want) {
		t.Errorf("lateness is %v, want %v", got, want)
	}
	// Answered at 9, 4 and 5 ms, in the order of arrival.
	if got, want := responses(all, start, 1000), []int64{3 * ms, 3 * ms, 9 * ms}; !slices.Equal(got, want) {
		t.Errorf("responses are %v, want %v", got, want)
	}
}

// Due times are those of a whole run, and do not add up what was rounded.
func TestDue(t *testing.T) {
	if got := due(3_000_000, 3); got != 1_000_000e9 {
		t.Errorf("the last is due at %d ns, want at 1,000,000 s", got)
	}
}

func TestReadTimes(t *testing.T) {
	for _, tt := range []struct {
		name, in, err string
		want          []seen
	}{
		{"two", "arrived_ns,answered_ns\n1,2\n3,4\n", "", []seen{{1, 2}, {3, 4}}},
		{"none", "arrived_ns,answered_ns\n", "", nil},
		{"one without an answer", "arrived_ns,answered_ns\n1,2\n3,0\n", "request 2 was not answered", nil},
		{"another file", "hello\n", `begins with "hello"`, nil},
		{"half a line", "arrived_ns,answered_ns\n1\n", "invalid syntax", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readTimes(strings.NewReader(tt.in))
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("the error is %v, want one with %q", err, tt.err)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
