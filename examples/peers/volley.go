//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A distribution is of times, in µs.
type distribution struct {
	P50 int64 `json:"p50_us"`
	P90 int64 `json:"p90_us"`
	P99 int64 `json:"p99_us"`
	Max int64 `json:"max_us"`
}

// A report is what is needed of volley's report.json.
type report struct {
	Started  time.Time
	Validity struct {
		Verdict string
		Reasons []string
	}
	Load  struct{ Due, Sent, Dropped, Unfinished int64 }
	Total struct {
		Count    int64
		Outcomes map[string]int64
		Response struct{ All distribution }
	}
}

// invalid is the exit code with which volley ends when its verdict on its own
// measurement is invalid. A closed load that takes all of a core is: that is
// what is measured here.
const invalid = 111

// volley is the command to run a scenario with everything that a run has: its
// recording, its thresholds, its progress, its run folder.
func (h *harness) volley(name, scenario, endpoint string, flags ...string) (c command, out string) {
	h.runs++
	out = h.path(fmt.Sprintf("run-%03d-%s", h.runs, name))
	args := []string{h.program, "run", scenario, "--endpoint", endpoint, "--out", out}
	return command{name: name, args: append(args, flags...), core: h.clientCore, exit: []int{invalid}}, out
}

// readReport reads the report of a run that ended.
func readReport(out string) (report, error) {
	var r report
	text, err := os.ReadFile(filepath.Join(out, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// told reads the report of a run, and holds its counts against the server's.
func (h *harness) told(name, out string, arrived int64) (report, error) {
	r, err := readReport(out)
	if err != nil {
		return r, err
	}
	h.judge.honest(r.Total.Count == arrived, "%s: volley reports %d invocations, and %d requests reached the server", name, r.Total.Count, arrived)
	h.judge.honest(r.Total.Outcomes["ok"] == r.Total.Count && r.Load.Unfinished == 0,
		"%s: not all of %d invocations are ok: %s; %d iterations unfinished", name, r.Total.Count, list(r.Total.Outcomes), r.Load.Unfinished)
	return r, nil
}

// list writes outcomes in words.
func list(outcomes map[string]int64) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(outcomes)) {
		words = append(words, fmt.Sprintf("%s %d", name, outcomes[name]))
	}
	return strings.Join(words, ", ")
}
