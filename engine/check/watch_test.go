package check

import (
	"slices"
	"testing"
	"time"

	"volley/engine/record"
)

// A second of a made-up run.
type second struct {
	ok, failed int64
	us         int64 // response time of all of them
	cold, warm int64 // of which it was told
	idle       bool  // the load is over
	active     time.Duration
}

func (s second) view() fakeView {
	c := counts(s.ok, s.failed, 0)
	c.Cold, c.Warm = s.cold, s.warm
	v := fakeView{counts: map[string]record.Counts{"": c}, times: map[string][]int64{}, active: s.active}
	if s.active == 0 {
		v.active = time.Second
	}
	if s.us > 0 {
		v.times[" all response"] = slices.Repeat([]int64{s.us}, int(s.ok+s.failed))
	}
	return v
}

// total is the view of a whole run.
func total(run []second) fakeView {
	var all fakeView
	all.times = map[string][]int64{}
	var sum second
	for _, s := range run {
		v := s.view()
		sum.ok, sum.failed, sum.cold, sum.warm = sum.ok+s.ok, sum.failed+s.failed, sum.cold+s.cold, sum.warm+s.warm
		all.active += v.active
		all.times[" all response"] = append(all.times[" all response"], v.times[" all response"]...)
	}
	all.counts = sum.view().counts
	return all
}

// of repeats a second.
func of(n int, s second) []second { return slices.Repeat([]second{s}, n) }

func TestWatch(t *testing.T) {
	good := second{ok: 200, us: 100}
	late := second{ok: 200, us: 500}
	stalled := second{}
	failing := second{ok: 100, failed: 100, us: 100}
	drain := second{ok: 1, us: 100, idle: true}
	ramp := second{ok: 100, us: 100} // the first replies are on their way
	type row = record.Threshold
	tests := []struct {
		name    string
		source  string
		o       Options
		run     []second
		want    row
		aborted int // the second in which the run was ended; 0: it was not
	}{
		{"a run without windows is judged at its end", "p99 < 300us", Options{}, slices.Concat(of(10, good), of(1, late)),
			row{Value: 500, Unit: "us", Count: 2200}, 0},
		{"a late collapse fails a window", "p50 < 300us", Options{Window: 3 * time.Second}, slices.Concat(of(50, good), of(2, late)),
			row{Value: 500, Unit: "us", Count: 600, Window: 3, AtS: 52}, 0},
		{"one bad second is not half of a window", "p50 < 300us", Options{Window: 3 * time.Second}, slices.Concat(of(50, good), of(1, late), of(5, good)),
			row{OK: true, Value: 100, Unit: "us", Count: 600, Window: 3}, 0},
		{"the worst window is told, and the first time", "failed < 10%", Options{Window: 2 * time.Second},
			slices.Concat(of(4, good), of(1, failing), of(2, good), of(2, failing), of(4, good)),
			row{Value: 0.5, Unit: "share", Count: 400, Window: 2, AtS: 5}, 0},
		{"a window ends the run", "failed < 10%", Options{Window: 2 * time.Second, Abort: true},
			slices.Concat(of(4, good), of(9, failing)),
			row{Value: 0.25, Unit: "share", Count: 400, Window: 2, AtS: 5, Abort: true}, 5},
		{"nothing coming back is a low rate", "ok.rate >= 195/s", Options{Window: 2 * time.Second, Abort: true, MinSamples: 300},
			slices.Concat(of(1, ramp), of(4, good), of(9, stalled)),
			row{Value: 100, Unit: "per_s", Count: 200, Window: 2, AtS: 6, Abort: true}, 6},
		{"the first replies being on their way is none", "ok.rate >= 195/s", Options{Window: 2 * time.Second, Abort: true},
			slices.Concat(of(3, stalled), of(1, ramp), of(5, good)),
			row{OK: true, Value: 200, Unit: "per_s", Count: 400, Window: 2}, 0},
		{"nor is the load's end", "ok.rate >= 195/s", Options{Window: 2 * time.Second, Abort: true},
			slices.Concat(of(1, ramp), of(5, good), of(30, drain)),
			row{OK: true, Value: 200, Unit: "per_s", Count: 400, Window: 2}, 0},
		{"nor is half a second", "count >= 400", Options{Window: 2 * time.Second},
			slices.Concat(of(1, ramp), of(5, good), []second{{ok: 100, us: 1000, active: 500 * time.Millisecond}}),
			row{OK: true, Value: 400, Unit: "count", Count: 400, Window: 2}, 0},
		{"late replies after the load's end count", "max < 300us", Options{Window: 2 * time.Second},
			slices.Concat(of(5, good), []second{{ok: 3, us: 500, idle: true}}),
			row{Value: 500, Unit: "us", Count: 203, Window: 2, AtS: 6}, 0},
		{"a window with too few is not looked at", "p50 < 300us", Options{Window: 2 * time.Second, MinSamples: 300},
			slices.Concat(of(3, good), []second{{ok: 5, us: 900}, {ok: 5, us: 900}}, of(3, good)),
			row{OK: true, Value: 100, Unit: "us", Count: 400, Window: 2}, 0},
		{"a run shorter than its window is one window", "p50 < 300us", Options{Window: 10 * time.Second}, of(3, late),
			row{Value: 500, Unit: "us", Count: 600, Window: 10}, 0},
		{"no window with enough is no data", "p50 < 300us", Options{Window: 2 * time.Second, MinSamples: 1000}, of(5, good),
			row{NoData: true, Unit: "us", Count: 400, Window: 2}, 0},
		{"without a window everything so far is looked at", "failed < 10%", Options{Abort: true}, slices.Concat(of(4, good), of(20, failing)),
			row{Value: 100.0 / 1000, Unit: "share", Count: 1000, AtS: 5, Abort: true}, 5},
		{"but not before there is enough", "failed < 10%", Options{Abort: true, MinSamples: 700}, slices.Concat(of(2, failing), of(60, good)),
			row{Value: 200.0 / 800, Unit: "share", Count: 800, AtS: 4, Abort: true}, 4},
		{"and by default not before 100", "failed < 10%", Options{Abort: true}, slices.Concat(of(1, second{ok: 80, failed: 19, us: 1000}), of(9, second{ok: 200, us: 1000})),
			row{OK: true, Value: 19.0 / 1899, Unit: "share", Count: 1899}, 0},
		{"a count that can only grow is looked at from the first", "throttled == 0", Options{Abort: true}, slices.Concat(of(1, second{ok: 1, us: 1000}), of(1, second{failed: 1, us: 1000}), of(5, good)),
			row{Value: 1, Unit: "count", Count: 2, AtS: 2, Abort: true}, 2},
		{"at its limit it has failed", "throttled < 1", Options{Abort: true}, slices.Concat(of(2, good), of(1, second{failed: 1, us: 1000}), of(5, good)),
			row{Value: 1, Unit: "count", Count: 401, AtS: 3, Abort: true}, 3},
		{"a count that is to be reached is waited for", "count == 600", Options{Abort: true}, of(3, good),
			row{OK: true, Value: 600, Unit: "count", Count: 600}, 0},
		{"a rate so far leaves out the first replies' way", "rate > 195/s", Options{Abort: true}, slices.Concat(of(1, stalled), of(1, ramp), of(5, good), of(9, drain)),
			row{Value: 1109.0 / 16, Unit: "per_s", Count: 1109}, 0},
		{"the lowest rate is the worst", "rate >= 195/s", Options{Window: time.Second}, slices.Concat(of(3, good), of(1, second{ok: 100, us: 100}), of(1, second{ok: 150, us: 100}), of(3, good)),
			row{Value: 100, Unit: "per_s", Count: 100, Window: 1, AtS: 4}, 0},
		{"what is not equal once has failed", "throttled == 0", Options{Window: time.Second}, slices.Concat(of(3, good), of(1, failing), of(3, good)),
			row{Value: 100, Unit: "count", Count: 200, Window: 1, AtS: 4}, 0},
		{"a short run is one window with all that it has", "count == 500", Options{Window: 10 * time.Second}, slices.Concat(of(1, ramp), of(2, good)),
			row{OK: true, Value: 500, Unit: "count", Count: 500, Window: 10}, 0},
		{"when the load is over there is nothing to end", "failed < 10%", Options{Window: 2 * time.Second, Abort: true},
			slices.Concat(of(4, good), of(2, second{failed: 100, us: 100, idle: true})),
			row{Value: 1, Unit: "share", Count: 200, Window: 2, AtS: 5}, 0},
		{"what did not end the run is judged at its end", "failed < 10%", Options{Abort: true},
			slices.Concat(of(1, good), of(1, second{failed: 100, us: 100, idle: true}), of(1, second{ok: 9700, us: 100, idle: true})),
			row{OK: true, Value: 0.01, Unit: "share", Count: 10000}, 0},
		{"cold starts end the run", "cold < 10%", Options{Window: 2 * time.Second, Abort: true, MinSamples: 20},
			slices.Concat(of(3, second{ok: 200, us: 100, warm: 20}), of(5, second{ok: 200, us: 100, cold: 5, warm: 15})),
			row{Value: 5.0 / 40, Unit: "share", Count: 40, Window: 2, AtS: 4, Abort: true}, 4},
		{"no telling of cold starts is no data", "cold < 10", Options{Window: 2 * time.Second}, of(5, good),
			row{NoData: true, Unit: "count", Window: 2}, 0},
		{"an empty run has no data", "p50 < 1s", Options{Window: time.Second}, nil,
			row{NoData: true, Unit: "us", Window: 1}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now, sending, aborted := time.Duration(0), time.Duration(0), 0
			th := parse(t, tt.source, tt.o)
			w := Watch([]Threshold{th}, func(source string) {
				if source != tt.source || aborted != 0 {
					t.Errorf("aborted for %q at %v, and before at %d", source, now, aborted)
				}
				aborted = int(now / time.Second)
			})
			for _, s := range tt.run {
				now += time.Second
				if !s.idle {
					sending += time.Second
				}
				w.second(s.view(), now, sending)
			}
			got := w.Results(total(tt.run))[0]
			tt.want.Source = tt.source
			if got != tt.want || aborted != tt.aborted {
				t.Errorf("row = %+v, aborted at %d\nwant %+v, at %d", got, aborted, tt.want, tt.aborted)
			}
		})
	}
}

// TestWatchWarmup holds that what comes before the load is no window.
func TestWatchWarmup(t *testing.T) {
	th := parse(t, "count >= 400", Options{Window: 2 * time.Second})
	w := Watch([]Threshold{th}, nil)
	for i := range 5 {
		w.second(second{}.view(), time.Duration(i+1)*time.Second, 0)
	}
	for i := range 5 {
		w.second(second{ok: 200, us: 1000}.view(), time.Duration(i+6)*time.Second, time.Duration(i+1)*time.Second)
	}
	if got := w.Results(fakeView{})[0]; !got.OK || got.Value != 400 {
		t.Errorf("row = %+v, want 400 in every window", got)
	}
}

// TestWatchWarmupIsNoWindow holds that the first window begins with the load.
func TestWatchWarmupIsNoWindow(t *testing.T) {
	th := parse(t, "p50 < 300us", Options{Window: 3 * time.Second})
	w := Watch([]Threshold{th}, nil)
	for i := range 5 {
		w.second(second{}.view(), time.Duration(i+1)*time.Second, 0)
	}
	for i, us := range []int64{500, 100, 100, 100} {
		w.second(second{ok: 200, us: us}.view(), time.Duration(i+6)*time.Second, time.Duration(i+1)*time.Second)
	}
	if got := w.Results(fakeView{})[0]; !got.OK || got.Count != 600 {
		t.Errorf("row = %+v, want windows of 600 that hold", got)
	}
}

// TestWatchAbortsOnce holds that of several conditions one ends the run, and
// that each says for itself what came of it.
func TestWatchAbortsOnce(t *testing.T) {
	var list []Threshold
	for _, source := range []string{"throttled == 0", "failed == 0"} {
		list = append(list, parse(t, source, Options{Abort: true}))
	}
	var told []string
	w := Watch(list, func(source string) { told = append(told, source) })
	for i := range 3 {
		w.second(second{failed: 1, us: 1000}.view(), time.Duration(i+1)*time.Second, time.Duration(i+1)*time.Second)
	}
	rows := w.Results(total(of(3, second{failed: 1, us: 1000})))
	if len(told) != 1 || told[0] != "throttled == 0" || !rows[0].Abort || rows[1].Abort || rows[1].OK {
		t.Errorf("told %q, rows %+v", told, rows)
	}
}
