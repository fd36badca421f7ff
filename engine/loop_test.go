package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
	"volley/engine/group"
	"volley/engine/pace"
)

const ms = time.Millisecond

// A function is an Invoker that answers after a time of its own. The step's
// Function says how: its latency, and whether it fails.
type function struct {
	base func() time.Duration
}

func (f *function) Invoke(ctx context.Context, i *engine.Invocation, r *engine.Result) {
	start := f.base()
	r.Due, r.Start, r.Held = i.Due, start, i.Held
	var took time.Duration
	var out string
	if _, err := fmt.Sscanf(i.Step.Function, "%s %s", &out, (*duration)(&took)); err != nil {
		panic(err)
	}
	t := time.NewTimer(took)
	defer t.Stop()
	select {
	case <-t.C:
		r.Reply.Outcome, _ = engine.ParseOutcome(out)
	case <-ctx.Done():
		r.Reply = engine.Reply{Outcome: engine.Canceled, Message: context.Cause(ctx).Error()}
	}
	r.End = f.base()
	r.InService = r.End - r.Start
	r.Reply.Body = i.Data
	r.Attempts = []engine.Attempt{{Due: r.Due, Start: r.Start, End: r.End, Outcome: r.Reply.Outcome}}
}

type duration time.Duration

func (d *duration) Scan(s fmt.ScanState, _ rune) error {
	token, err := s.Token(true, nil)
	if err != nil {
		return err
	}
	v, err := time.ParseDuration(string(token))
	*d = duration(v)
	return err
}

// A notebook keeps everything that is recorded.
type notebook struct {
	mu          sync.Mutex
	invocations []note
	groups      []engine.GroupResult
	iterations  []engine.IterationResult
}

type note struct {
	step     string
	n        int64
	row      any
	outcome  engine.Outcome
	response time.Duration
	service  time.Duration
	held     time.Duration
	late     time.Duration
	due      time.Duration
	data     string
	warm     bool
	message  string
}

func (b *notebook) Invocation(r *engine.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := r.Invocation
	b.invocations = append(b.invocations, note{i.Step.Name, i.Scope.Iteration, i.Scope.Row, r.Reply.Outcome,
		r.Response(), r.Service(), r.Held, r.Lateness(), r.Due, string(i.Data), i.Warmup, r.Reply.Message})
}

func (b *notebook) Group(r *engine.GroupResult) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.groups = append(b.groups, *r)
}

func (b *notebook) Iteration(r *engine.IterationResult) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept, scope := *r, *r.Scope // both are the caller's, and used again
	kept.Scope = &scope
	b.iterations = append(b.iterations, kept)
}

// call is a step that invokes a function; how is such as "ok 50ms".
func call(name, how string) engine.Step {
	return engine.Step{Invoke: &engine.Invoke{Name: name, Function: how, Attempts: -1}}
}

func all(kind group.Kind, members ...engine.Step) engine.Step {
	return engine.Step{Group: &engine.Group{Kind: kind, Members: members}}
}

func open(p pace.Profile, more engine.Load) engine.Load {
	more.Arrivals = func() pace.Arrivals { return pace.Even(p) }
	more.Level = p
	more.MaxInFlight = max(1, more.MaxInFlight)
	if more.GracefulStop == 0 {
		more.GracefulStop = time.Hour
	}
	return more
}

// fire runs a plan on a faked clock, and returns what was recorded.
func fire(t *testing.T, p *engine.Plan, with func(*engine.Options)) (*notebook, engine.Tally, error) {
	t.Helper()
	b := &notebook{}
	base := time.Now()
	f := &function{base: func() time.Duration { return time.Since(base) }}
	o := engine.Options{Plan: p, Invoker: f, Record: func() engine.Recorder { return b }, Base: base}
	if with != nil {
		with(&o)
	}
	r := engine.NewRun(o)
	err := r.Fire(t.Context())
	select {
	case <-r.Ended():
	default:
		t.Error("Fire has returned, and the load has not ended")
	}
	return b, r.Tally(), err
}

func TestOpenLoad(t *testing.T) {
	type want struct {
		sent, dropped, warm int64
		response, service   time.Duration // the longest of each
		held, late          time.Duration
		active, full        time.Duration
	}
	hundred := pace.Constant(100, 10*time.Second)
	tests := []struct {
		name string
		load engine.Load
		how  string
		want want
	}{
		{"keeps up", open(hundred, engine.Load{MaxInFlight: 10}), "ok 50ms",
			want{sent: 1000, response: 50 * ms, service: 50 * ms, active: 10040 * ms}},
		{"drops when nobody is free", open(hundred, engine.Load{MaxInFlight: 1}), "ok 45ms",
			want{sent: 200, dropped: 800, response: 45 * ms, service: 45 * ms, active: 10 * time.Second, full: 9 * time.Second}},
		{"counts the wait", open(hundred, engine.Load{MaxInFlight: 1, WaitWhenBusy: true}), "ok 20ms",
			want{sent: 1000, response: 10010 * ms, service: 20 * ms, held: 9990 * ms, active: 20 * time.Second, full: 20 * time.Second}},
		{"a place that is given back in time is used", open(hundred, engine.Load{MaxInFlight: 1}), "ok 9ms",
			want{sent: 1000, response: 9 * ms, service: 9 * ms, active: 10 * time.Second, full: 9 * time.Second}},
		{"ends after its iterations", open(hundred, engine.Load{MaxInFlight: 9, Iterations: 30}), "ok 1ms",
			want{sent: 30, response: ms, service: ms, active: 300 * ms}},
		{"keeps the warm-up apart", open(hundred, engine.Load{MaxInFlight: 9, Warmup: 10 * time.Second, Arrivals: nil}), "ok 1ms",
			want{sent: 1000, warm: 50, response: ms, service: ms, active: 10 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want.warm > 0 {
				tt.load.Arrivals = func() pace.Arrivals {
					return pace.Then(pace.Even(pace.Constant(5, 10*time.Second)), 10*time.Second, pace.Even(hundred))
				}
			}
			synctest.Test(t, func(t *testing.T) {
				b, tally, err := fire(t, &engine.Plan{Load: tt.load, Steps: []engine.Step{call("f", tt.how)}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				got := want{sent: tally.Sent, dropped: tally.Dropped, warm: tally.Warmup, active: tally.Active, full: tally.Full}
				for _, n := range b.invocations {
					if n.warm {
						continue
					}
					got.response, got.service = max(got.response, n.response), max(got.service, n.service)
					got.held, got.late = max(got.held, n.held), max(got.late, n.late)
				}
				if got != tt.want {
					t.Errorf("got  %+v\nwant %+v", got, tt.want)
				}
				if tally.Due != tally.Sent+tally.Dropped || tally.Finished != tally.Sent || tally.InFlight != 0 {
					t.Errorf("the numbers do not add up: %+v", tally)
				}
				if int64(len(b.iterations)) != tally.Sent+tally.Warmup || len(b.invocations) != len(b.iterations) {
					t.Errorf("%d iterations and %d invocations recorded of %+v", len(b.iterations), len(b.invocations), tally)
				}
			})
		})
	}
}

// Due times are the plan's, whatever happens to the pacer: a late start is in
// the response time, not out of the count.
func TestDueTimesAreThePlans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &engine.Plan{Load: open(pace.Constant(1000, time.Second), engine.Load{MaxInFlight: 2000}), Steps: []engine.Step{call("f", "ok 1ms")}}
		b, _, _ := fire(t, p, func(o *engine.Options) {
			o.Timer = &sleepy{Timer: pace.NewPlainTimer(), at: 199, by: 100 * ms}
		})
		slices.SortFunc(b.invocations, func(x, y note) int { return int(x.n - y.n) })
		for k, n := range b.invocations {
			if n.due != time.Duration(k)*ms {
				t.Fatalf("iteration %d is due at %v", k, n.due)
			}
		}
		if len(b.invocations) != 1000 {
			t.Errorf("%d of 1000 made", len(b.invocations))
		}
		if n := b.invocations[200]; n.late != 100*ms || n.response != 101*ms || n.service != ms {
			t.Errorf("an iteration that was due in the stall: %+v; want it 100ms late", n)
		}
		if it := b.iterations; slices.MaxFunc(it, func(x, y engine.IterationResult) int { return int(x.Lateness - y.Lateness) }).Lateness < 99*ms {
			t.Error("no iteration knows of the stall")
		}
	})
}

func TestBurst(t *testing.T) {
	tests := []struct {
		name     string
		rate     float64
		stallAt  int
		min, max float64
	}{
		{"even arrivals are none", 1000, -1, 0.99, 1.02},
		{"what is caught up after a stall is one", 1000, 300, 1.9, 6},
		{"a stall near the end is caught up in the last window", 1000, 1850, 1.4, 6},
		{"few arrivals are not judged", 50, 20, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &engine.Plan{Load: open(pace.Constant(tt.rate, 2*time.Second), engine.Load{MaxInFlight: 5000}), Steps: []engine.Step{call("f", "ok 1ms")}}
				_, tally, _ := fire(t, p, func(o *engine.Options) { o.Timer = &sleepy{Timer: pace.NewPlainTimer(), at: tt.stallAt, by: 500 * ms} })
				if tally.Burst < tt.min || tally.Burst > tt.max {
					t.Errorf("Burst = %g, want within [%g, %g]", tally.Burst, tt.min, tt.max)
				}
			})
		})
	}
}

// sleepy oversleeps its at-th sleep, counted from 0.
type sleepy struct {
	pace.Timer
	at, n int
	by    time.Duration
}

func (s *sleepy) Sleep(d time.Duration) {
	if s.n == s.at {
		d += s.by
	}
	s.n++
	s.Timer.Sleep(d)
}

func closed(p pace.Profile, more engine.Load) engine.Load {
	more.Crowd = p
	if more.GracefulStop == 0 {
		more.GracefulStop = time.Hour
	}
	return more
}

func TestClosedLoad(t *testing.T) {
	tests := []struct {
		name     string
		load     engine.Load
		sent     int64
		warm     int64
		inFlight int // the most at once
		active   time.Duration
	}{
		{"workers go round", closed(pace.Constant(4, time.Second), engine.Load{}), 40, 0, 4, time.Second},
		{"a number of iterations", closed(pace.Constant(4, time.Hour), engine.Load{Iterations: 10}), 10, 0, 4, 300 * ms},
		{"what comes first ends it", closed(pace.Constant(2, 500*ms), engine.Load{Iterations: 1000}), 10, 0, 2, 500 * ms},
		{"the last one may finish", closed(pace.Constant(1, 250*ms), engine.Load{}), 3, 0, 1, 300 * ms},
		{"warm-up is apart", closed(pace.Constant(2, time.Second), engine.Load{Warmup: 500 * ms}), 20, 10, 2, time.Second},
		{"stages up and down", closed(pace.Profile{{From: 1, To: 1, For: 1050 * ms}, {From: 3, To: 3, For: 1030 * ms}, {From: 1, To: 1, For: 920 * ms}}, engine.Load{}), 30 + 11 + 11, 0, 3, 3 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, tally, err := fire(t, &engine.Plan{Load: tt.load, Steps: []engine.Step{call("f", "ok 100ms")}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if tally.Sent != tt.sent || tally.Warmup != tt.warm || tally.Active != tt.active || tally.Finished != tt.sent || tally.InFlight != 0 {
					t.Errorf("%+v, want %d sent, %d in the warm-up, active %v", tally, tt.sent, tt.warm, tt.active)
				}
				if got := atOnce(b.invocations); got != tt.inFlight {
					t.Errorf("%d in flight at once, want %d", got, tt.inFlight)
				}
				for _, n := range b.invocations {
					if n.response != n.service || n.late != 0 {
						t.Fatalf("nothing is late in a closed run: %+v", n)
					}
				}
			})
		})
	}
}

func atOnce(notes []note) (most int) {
	for _, x := range notes {
		n := 0
		for _, y := range notes {
			if y.due <= x.due && x.due < y.due+y.response {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// counting is a feed of the numbers from 0.
type counting struct {
	next, end int
	err       error
}

func (c *counting) Next() (any, error) {
	if c.next == c.end {
		return nil, c.err
	}
	c.next++
	return c.next - 1, nil
}

func TestRows(t *testing.T) {
	broken := errors.New("users.csv:7: a quote is never closed")
	for _, load := range []engine.Load{
		open(pace.Constant(100, time.Minute), engine.Load{MaxInFlight: 3}),
		closed(pace.Constant(5, time.Minute), engine.Load{}),
	} {
		for _, tt := range []struct{ end, want error }{{io.EOF, nil}, {broken, broken}} {
			synctest.Test(t, func(t *testing.T) {
				b, tally, err := fire(t, &engine.Plan{Load: load, Steps: []engine.Step{call("f", "ok 7ms")}},
					func(o *engine.Options) { o.Rows = &counting{end: 42, err: tt.end} })
				if !errors.Is(err, tt.want) || tally.Finished != 42 {
					t.Errorf("%d made, error %v; want 42 and %v", tally.Finished, err, tt.want)
				}
				for _, n := range b.invocations {
					if n.row != int(n.n) {
						t.Errorf("iteration %d got row %v", n.n, n.row)
					}
				}
			})
		}
	}
}

// With one seed the due times and what is sent are the same, however many
// callers there are; with another they are not.
func TestSeeded(t *testing.T) {
	run := func(seed uint64, callers int) (list []note) {
		synctest.Test(t, func(t *testing.T) {
			load := open(pace.Constant(50, 20*time.Second), engine.Load{MaxInFlight: callers, WaitWhenBusy: true})
			load.Arrivals = func() pace.Arrivals { return pace.Poisson(load.Level, seed) }
			random := func(s *engine.Scope) ([]byte, error) {
				return fmt.Appendf(nil, "%d %v", s.Rand().Uint64(), s.Item), nil
			}
			a, b := call("a", "ok 30ms"), call("b", "ok 20ms")
			a.ID, b.ID, a.Invoke.Data, b.Invoke.Data = 1, 2, random, random
			each := engine.Step{ID: 3, Group: &engine.Group{Kind: group.All, Members: []engine.Step{a, b},
				Each: func(*engine.Scope) ([]any, error) { return []any{"x", "y"}, nil }}}
			pickOne := engine.Step{ID: 4, Pick: []engine.Choice{{Weight: 1, Steps: []engine.Step{a}}, {Weight: 2, Steps: []engine.Step{b}}}}
			wait := engine.Step{ID: 5, Pause: &engine.Pause{Min: ms, Max: 9 * ms}}
			book, _, _ := fire(t, &engine.Plan{Seed: seed, Load: load, Steps: []engine.Step{wait, each, pickOne}}, nil)
			for _, n := range book.invocations {
				list = append(list, note{step: n.step, n: n.n, data: n.data})
			}
			for _, n := range book.iterations {
				list = append(list, note{n: n.Scope.Iteration, due: n.Due})
			}
			slices.SortFunc(list, func(x, y note) int {
				return slices.Compare([]string{fmt.Sprintf("%08d", x.n), x.step, x.data}, []string{fmt.Sprintf("%08d", y.n), y.step, y.data})
			})
		})
		return list
	}
	one := run(7, 1)
	if got := run(7, 50); !reflect.DeepEqual(one, got) {
		t.Error("one caller and fifty fired different things with one seed")
	}
	if got := run(8, 50); reflect.DeepEqual(one, got) {
		t.Error("two seeds fired the same")
	}
	seen := map[string]bool{}
	for _, n := range one {
		if n.step != "" && seen[n.data] {
			t.Errorf("payload %s came twice", n.data)
		}
		seen[n.data] = true
	}
}

func TestStop(t *testing.T) {
	plan := func(graceful time.Duration) *engine.Plan {
		return &engine.Plan{Load: open(pace.Constant(10, time.Hour), engine.Load{MaxInFlight: 100, GracefulStop: graceful}), Steps: []engine.Step{call("f", "ok 5s")}}
	}
	tests := []struct {
		name               string
		graceful           time.Duration
		hard               bool
		finished, canceled int64
		ended              time.Duration
	}{
		{"gently: what is under way finishes", time.Hour, false, 101, 0, 15 * time.Second},
		{"gently, but not for ever", time.Second, false, 61, 40, 11 * time.Second},
		{"at once", time.Hour, true, 51, 50, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stop := make(chan struct{})
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				base := time.Now()
				b := &notebook{}
				r := engine.NewRun(engine.Options{Plan: plan(tt.graceful), Base: base, Stop: stop,
					Invoker: &function{base: func() time.Duration { return time.Since(base) }}, Record: func() engine.Recorder { return b }})
				go func() {
					time.Sleep(10*time.Second + ms/2)
					if tt.hard {
						cancel(errors.New("a second signal"))
					} else {
						close(stop)
					}
				}()
				if err := r.Fire(ctx); err != nil {
					t.Fatal(err)
				}
				if got := time.Since(base).Truncate(100 * ms); got != tt.ended {
					t.Errorf("ended after %v, want %v", got, tt.ended)
				}
				tally := r.Tally()
				if tally.Finished != tt.finished || tally.Canceled != tt.canceled || tally.Sent != tt.finished+tt.canceled {
					t.Errorf("%+v, want %d finished and %d canceled", tally, tt.finished, tt.canceled)
				}
				for _, n := range b.invocations {
					if (n.outcome == engine.Canceled) != (n.response < 5*time.Second) {
						t.Errorf("%+v", n)
					}
				}
			})
		})
	}
}

// A stop must come through even while the pacer waits for a free caller.
func TestStopWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(stop) })
		p := &engine.Plan{Load: open(pace.Constant(10, time.Hour), engine.Load{MaxInFlight: 1, WaitWhenBusy: true}), Steps: []engine.Step{call("f", "ok 1m")}}
		start := time.Now()
		_, tally, _ := fire(t, p, func(o *engine.Options) { o.Stop = stop })
		if took := time.Since(start); took != time.Minute || tally.Sent != 1 || tally.Due != 10 || tally.Dropped != 9 {
			t.Errorf("ended after %v with %+v; want 1m, one sent, and nine that were due by then dropped", took, tally)
		}
		if tally.Asking != time.Second {
			t.Errorf("10 were due in %v, want 1s", tally.Asking)
		}
	})
}

// What waits for a free caller when the run is stopped was due, and is not
// sent any more: the numbers add up, whatever ends what may end it.
func TestStopWhileBehind(t *testing.T) {
	for name, tt := range map[string]struct {
		load engine.Load
		rows *counting
		due  int64
		in   time.Duration
	}{
		"by the clock":            {load: engine.Load{}, due: 1000, in: 10 * time.Second},
		"with few iterations":     {load: engine.Load{Iterations: 500}, due: 500, in: 5 * time.Second},
		"with few rows":           {load: engine.Load{}, rows: &counting{end: 700, err: io.EOF}, due: 700, in: 7 * time.Second},
		"in the warm-up and past": {load: engine.Load{Warmup: 2 * time.Second}, due: 800, in: 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stop := make(chan struct{})
				time.AfterFunc(10*time.Second, func() { close(stop) })
				tt.load.MaxInFlight, tt.load.WaitWhenBusy = 1, true
				p := &engine.Plan{Load: open(pace.Constant(100, time.Hour), tt.load), Steps: []engine.Step{call("f", "ok 95ms")}}
				_, tally, _ := fire(t, p, func(o *engine.Options) {
					o.Stop = stop
					if tt.rows != nil {
						o.Rows = tt.rows
					}
				})
				if tally.Due != tt.due || tally.Due != tally.Sent+tally.Dropped || tally.Asking != tt.in {
					t.Errorf("%+v, want %d due in %v, sent or dropped", tally, tt.due, tt.in)
				}
			})
		})
	}
}

// A load that is stretched by waiting asked for what it asked, in the time in
// which it did.
func TestAskingIsThePlans(t *testing.T) {
	for name, wait := range map[string]bool{"wait": true, "drop": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &engine.Plan{Load: open(pace.Constant(100, 5*time.Second), engine.Load{MaxInFlight: 1, WaitWhenBusy: wait}), Steps: []engine.Step{call("f", "ok 95ms")}}
				_, tally, _ := fire(t, p, nil)
				if tally.Due != 500 || tally.Asking != 5*time.Second {
					t.Errorf("%d due in %v, want 500 in 5s", tally.Due, tally.Asking)
				}
				if wait && tally.Sending < 47*time.Second {
					t.Errorf("sending took %v", tally.Sending)
				}
			})
		})
	}
}
