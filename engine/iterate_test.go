package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
	"volley/engine/group"
	"volley/engine/pace"
)

// once is the load of a single iteration.
func once() engine.Load { return open(pace.Constant(1, time.Second), engine.Load{}) }

func always(v bool, err error) func(*engine.Scope) (bool, error) {
	return func(*engine.Scope) (bool, error) { return v, err }
}

func under(g engine.Step, change func(*engine.Group)) engine.Step {
	change(g.Group)
	return g
}

func goOn(s engine.Step) engine.Step { s.Continue = true; return s }

func when(s engine.Step, v bool, err error) engine.Step { s.When = always(v, err); return s }

func seq(steps ...engine.Step) engine.Step { return engine.Step{Sequence: steps} }

func pause(d time.Duration) engine.Step {
	return engine.Step{Pause: &engine.Pause{Min: d, Max: d}}
}

// What one iteration of some steps does: each invocation as
// "name due+held>end outcome" in milliseconds, then when the iteration ended
// and whether it failed.
func TestIteration(t *testing.T) {
	a, b, c := call("a", "ok 10ms"), call("b", "ok 20ms"), call("c", "ok 30ms")
	bad := call("bad", "function_error 15ms")
	boom := errors.New("boom")
	tests := []struct {
		name  string
		steps []engine.Step
		want  string
	}{
		{"one after the other: due when the one before has settled", []engine.Step{a, b}, "a 0>10 ok, b 10>30 ok; 30 done"},
		{"a failed step ends the iteration", []engine.Step{a, bad, b}, "a 0>10 ok, bad 10>25 function_error; 25 failed"},
		{"unless it says continue", []engine.Step{goOn(bad), a}, "bad 0>15 function_error, a 15>25 ok; 25 done"},
		{"a pause moves the due time", []engine.Step{a, pause(5 * ms), b}, "a 0>10 ok, b 15>35 ok; 35 done"},
		{"a condition that does not hold skips", []engine.Step{when(a, false, nil), when(b, true, nil)}, "b 0>20 ok; 20 done"},
		{"a condition that cannot be told fails", []engine.Step{when(a, true, boom), b}, "; 0 failed: expression: when: boom"},
		{"all: members are due together", []engine.Step{all(group.All, a, b, c), a}, "a 0>10 ok, b 0>20 ok, c 0>30 ok, a 30>40 ok; 40 done"},
		{"all fails with the first failure, and the rest run on", []engine.Step{all(group.All, a, bad, c), b}, "a 0>10 ok, bad 0>15 function_error, c 0>30 ok; 15 failed"},
		{"all_settled goes on", []engine.Step{all(group.AllSettled, a, bad), b}, "a 0>10 ok, bad 0>15 function_error, b 15>35 ok; 35 done"},
		{"any: the first that is ok", []engine.Step{all(group.Any, bad, b, c), a}, "bad 0>15 function_error, b 0>20 ok, a 20>30 ok, c 0>30 ok; 30 done"},
		{"any of none that is ok fails", []engine.Step{all(group.Any, bad, bad), a}, "bad 0>15 function_error, bad 0>15 function_error; 15 failed"},
		{"race: the first, and losers load on", []engine.Step{all(group.Race, a, c), b}, "a 0>10 ok, b 10>30 ok, c 0>30 ok; 30 done"},
		{"race: a failure may win", []engine.Step{all(group.Race, bad, c), b}, "bad 0>15 function_error, c 0>30 ok; 15 failed"},
		{"on_loss: cancel gives losers up", []engine.Step{under(all(group.Race, a, c), func(g *engine.Group) { g.CancelLosers = true }), b}, "a 0>10 ok, c 0>10 canceled, b 10>30 ok; 30 done"},
		{"a limit holds members back, and they stay due with the group", []engine.Step{under(all(group.All, b, b, a), func(g *engine.Group) { g.Limit = 2 })}, "b 0>20 ok, b 0>20 ok, a 0+20>30 ok; 30 done"},
		{"a sequence inside a group", []engine.Step{all(group.All, seq(a, a, a), b)}, "a 0>10 ok, a 10>20 ok, b 0>20 ok, a 20>30 ok; 30 done"},
		{"a failure ends its sequence and the group", []engine.Step{all(group.All, seq(bad, a), b), c}, "bad 0>15 function_error, b 0>20 ok; 15 failed"},
		{"groups inside groups", []engine.Step{all(group.All, all(group.Race, a, c), b)}, "a 0>10 ok, b 0>20 ok, c 0>30 ok; 20 done"},
		{"members whose condition says no are not there", []engine.Step{all(group.All, a, when(c, false, nil))}, "a 0>10 ok; 10 done"},
		{"a race of none left fails, and nobody waits for it", []engine.Step{all(group.Race, when(c, false, nil)), a}, "; 0 failed"},
		{"all of none left is done at once", []engine.Step{all(group.All, when(c, false, nil)), a}, "a 0>10 ok; 10 done"},
		{"a member that continues does not fail its group", []engine.Step{all(group.All, goOn(bad), a), b}, "a 0>10 ok, bad 0>15 function_error, b 15>35 ok; 35 done"},
		{"each: once for every item", []engine.Step{under(all(group.All, b), func(g *engine.Group) {
			g.Each = func(*engine.Scope) ([]any, error) { return []any{"x", "y", "z"}, nil }
			g.Limit = 2
		})}, "b 0>20 ok, b 0>20 ok, b 0+20>40 ok; 40 done"},
		{"each of something that is no list fails", []engine.Step{under(all(group.All, b), func(g *engine.Group) {
			g.Each = func(*engine.Scope) ([]any, error) { return nil, boom }
		})}, "; 0 failed: expression: each: boom"},
		{"data that cannot be made is a rejected invocation", []engine.Step{data(a, func(*engine.Scope) ([]byte, error) { return nil, boom }), b}, "a 0>0 rejected data: boom; 0 failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book, _, err := fire(t, &engine.Plan{Load: once(), Steps: tt.steps}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := tell(book); got != tt.want {
					t.Errorf("\n got %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

func data(s engine.Step, f func(*engine.Scope) ([]byte, error)) engine.Step {
	in := *s.Invoke
	in.Data = f
	s.Invoke = &in
	return s
}

func tell(b *notebook) string {
	slices.SortStableFunc(b.invocations, func(x, y note) int {
		if d := (x.due + x.response) - (y.due + y.response); d != 0 {
			return int(d)
		}
		return strings.Compare(x.order(), y.order())
	})
	var list []string
	for _, n := range b.invocations {
		held := ""
		if n.held > 0 {
			held = fmt.Sprintf("+%d", n.held/ms)
		}
		s := fmt.Sprintf("%s %d%s>%d %s", n.step, n.due/ms, held, (n.due+n.response)/ms, n.outcome)
		if n.outcome == engine.Rejected {
			s += " " + n.message
		}
		list = append(list, s)
	}
	it := b.iterations[0]
	end := fmt.Sprintf("; %d done", it.End/ms)
	if it.Failed {
		end = fmt.Sprintf("; %d failed", it.End/ms)
	}
	if it.Err != nil {
		end += ": " + it.Err.Error()
	}
	return strings.Join(list, ", ") + end
}

func (n note) order() string { return fmt.Sprintf("%09d %s", -n.due, n.step) }

func saving(s engine.Step, name string) engine.Step {
	in := *s.Invoke
	in.Saves = []engine.Save{{Name: name, Value: func(_ *engine.Scope, r *engine.Reply) (any, error) { return string(r.Body), nil }}}
	s.Invoke = &in
	return s
}

func body(s engine.Step, f func(vars map[string]any) string) engine.Step {
	return data(s, func(sc *engine.Scope) ([]byte, error) { return []byte(f(sc.Vars)), nil })
}

// Saved values reach the steps after: those of a group when it has settled,
// and of its losers never.
func TestSave(t *testing.T) {
	is := func(text string) func(map[string]any) string { return func(map[string]any) string { return text } }
	show := func(v map[string]any) string { return fmt.Sprint(v) }
	a := saving(body(call("a", "ok 10ms"), is("A")), "a")
	b := saving(body(call("b", "ok 20ms"), is("B")), "b")
	look := body(call("look", "ok 15ms"), show)
	tests := []struct {
		name  string
		steps []engine.Step
		want  []string // what each look saw
	}{
		{"from step to step", []engine.Step{a, look, b, look}, []string{"map[a:A]", "map[a:A b:B]"}},
		{"out of a group, and not across it", []engine.Step{all(group.All, a, b, seq(call("w", "ok 12ms"), look)), look}, []string{"map[]", "map[a:A b:B]"}},
		{"within a sequence of a group", []engine.Step{all(group.All, seq(a, look), b)}, []string{"map[a:A]"}},
		{"not from the losers of a race", []engine.Step{all(group.Race, a, b), look, look}, []string{"map[a:A]", "map[a:A]"}},
		{"a later save wins", []engine.Step{a, saving(body(call("x", "ok 1ms"), is("new")), "a"), look}, []string{"map[a:new]"}},
		{"not from a failed step", []engine.Step{goOn(saving(body(call("f", "function_error 1ms"), is("F")), "f")), look}, []string{"map[]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book, _, _ := fire(t, &engine.Plan{Load: once(), Steps: tt.steps}, nil)
				var got []string
				for _, n := range book.invocations {
					if n.step == "look" {
						got = append(got, n.data)
					}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("saw %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// A value that cannot be saved fails the invocation as a check would.
func TestSaveFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := call("a", "ok 10ms")
		a.Invoke.Saves = []engine.Save{{Name: "id", Value: func(*engine.Scope, *engine.Reply) (any, error) { return nil, errors.New("body has no data.id") }}}
		book, _, _ := fire(t, &engine.Plan{Load: once(), Steps: []engine.Step{a, call("b", "ok 1ms")}}, nil)
		if n := book.invocations; len(n) != 1 || n[0].outcome != engine.CheckFailed || !strings.Contains(n[0].message, "data.id") || !book.iterations[0].Failed {
			t.Errorf("%+v", n)
		}
	})
}

func TestGroupResult(t *testing.T) {
	a, b, c := call("a", "ok 10ms"), call("b", "ok 20ms"), call("c", "ok 60ms")
	tests := []struct {
		name string
		step engine.Step
		want engine.GroupResult
	}{
		{"all", all(group.All, a, b, c), engine.GroupResult{OK: true, First: 10 * ms, Settled: 60 * ms, Last: 60 * ms, Members: 3, Median: 20 * ms, OnTheWire: 3}},
		{"race: it settles first and ends last", all(group.Race, a, b, c), engine.GroupResult{OK: true, First: 10 * ms, Settled: 10 * ms, Last: 60 * ms, Members: 3, Median: 20 * ms, OnTheWire: 3}},
		{"a limit shows on the wire", under(all(group.All, a, a, a, a), func(g *engine.Group) { g.Limit = 2 }), engine.GroupResult{OK: true, First: 10 * ms, Settled: 20 * ms, Last: 20 * ms, Members: 4, Median: 15 * ms, OnTheWire: 2}},
		{"nested groups are on the wire, too", all(group.All, all(group.All, a, b), c), engine.GroupResult{OK: true, First: 20 * ms, Settled: 60 * ms, Last: 60 * ms, Members: 2, Median: 40 * ms, OnTheWire: 3}},
		{"failed", all(group.All, call("bad", "throttled 5ms"), a), engine.GroupResult{First: 5 * ms, Settled: 5 * ms, Last: 10 * ms, Members: 2, Median: 7500 * time.Microsecond, OnTheWire: 2}},
		{"empty", all(group.AllSettled), engine.GroupResult{OK: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book, _, _ := fire(t, &engine.Plan{Load: once(), Steps: []engine.Step{tt.step}}, nil)
				got := book.groups[len(book.groups)-1]
				tt.want.Group, tt.want.Scope = tt.step.Group, got.Scope
				if got != tt.want {
					t.Errorf("\n got %+v\nwant %+v", got, tt.want)
				}
			})
		})
	}
}

// A group that the end of the run cuts short is no result; its iteration says so.
func TestGroupCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := once()
		load.GracefulStop = 2 * time.Second
		p := &engine.Plan{Load: load, Steps: []engine.Step{all(group.All, call("a", "ok 1ms"), call("b", "ok 1h"))}}
		book, tally, _ := fire(t, p, nil)
		if len(book.groups) != 0 || tally.Canceled != 1 || !book.iterations[0].Canceled {
			t.Errorf("groups %+v, tally %+v", book.groups, tally)
		}
	})
}

// An iteration that the run's end cut short is no finished one, whatever its
// steps do with a failure; neither has a group in it a result.
func TestCutShortWhateverTheSteps(t *testing.T) {
	carryOn := call("slow", "ok 1m")
	carryOn.Continue = true
	inGroup := all(group.All, carryOn, call("fast", "ok 1ms"))
	for name, steps := range map[string][]engine.Step{
		"all_settled":                    {all(group.AllSettled, call("slow", "ok 1m"), call("fast", "ok 1ms"))},
		"all_settled in a sequence":      {all(group.All, engine.Step{Sequence: []engine.Step{all(group.AllSettled, call("slow", "ok 1m"))}})},
		"continue":                       {carryOn},
		"continue in a group":            {inGroup},
		"all_settled that has a failure": {all(group.AllSettled, call("bad", "throttled 1ms"), call("slow", "ok 1m"))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &engine.Plan{Load: open(pace.Constant(1, time.Second), engine.Load{GracefulStop: time.Second}), Steps: steps}
				b, tally, _ := fire(t, p, nil)
				if tally.Canceled != 1 || tally.Finished != 0 || len(b.groups) != 0 {
					t.Errorf("%+v with %d groups recorded; want one canceled and no group", tally, len(b.groups))
				}
				if it := b.iterations[0]; !it.Canceled || !it.Failed {
					t.Errorf("%+v, want it canceled", it)
				}
			})
		})
	}
}

// A race that is won is over, and so is its iteration; but when its losers are
// cut short, nobody knows when the last one would have ended.
func TestLosersCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &engine.Plan{Load: open(pace.Constant(1, time.Second), engine.Load{GracefulStop: time.Second}),
			Steps: []engine.Step{all(group.Race, call("slow", "ok 1m"), call("fast", "ok 1ms"))}}
		b, tally, _ := fire(t, p, nil)
		if tally.Finished != 1 || tally.Canceled != 0 || len(b.groups) != 0 {
			t.Errorf("%+v with groups %+v; want one finished and no group", tally, b.groups)
		}
	})
}

// A wait that the scenario asked for is no lateness of ours, though the first
// step is none that invokes.
func TestHeldBeforeTheFirstInvocation(t *testing.T) {
	never := call("never", "ok 1ms")
	never.When = func(*engine.Scope) (bool, error) { return false, nil }
	empty := engine.Step{Group: &engine.Group{Kind: group.All, Members: []engine.Step{never}}}
	for name, first := range map[string]engine.Step{
		"a pause":                   {Pause: &engine.Pause{Min: 10 * ms, Max: 10 * ms}},
		"a step that is not wanted": never,
		"a group of nobody":         empty,
		"an empty sequence":         {Sequence: []engine.Step{never}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &engine.Plan{Load: open(pace.Constant(100, 100*ms), engine.Load{MaxInFlight: 1, WaitWhenBusy: true}),
					Steps: []engine.Step{first, call("f", "ok 90ms")}}
				b, _, _ := fire(t, p, nil)
				for _, n := range b.invocations {
					if n.late != 0 {
						t.Errorf("iteration %d: %v late", n.n, n.late)
					}
				}
				for _, it := range b.iterations {
					if it.Lateness != 0 || first.Pause != nil && it.End-it.Start < 100*ms {
						t.Errorf("%+v, want none late, and every pause to last", it)
					}
				}
			})
		})
		t.Run(name+" under a limit", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				member := engine.Step{Sequence: []engine.Step{first, call("f", "ok 90ms")}}
				g := all(group.All, member, member)
				g.Group.Limit = 1
				p := &engine.Plan{Load: open(pace.Constant(1, time.Second), engine.Load{}), Steps: []engine.Step{g}}
				b, _, _ := fire(t, p, nil)
				if late := b.iterations[0].Lateness; late != 0 {
					t.Errorf("%v late, want the limit to answer for it", late)
				}
			})
		})
	}
}

// Losers are load: the iteration keeps its place until they have ended.
func TestLosersKeepThePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &engine.Plan{Load: open(pace.Constant(100, time.Second), engine.Load{MaxInFlight: 1}),
			Steps: []engine.Step{all(group.Race, call("a", "ok 1ms"), call("c", "ok 95ms"))}}
		_, tally, _ := fire(t, p, nil)
		if tally.Sent != 10 || tally.Dropped != 90 {
			t.Errorf("%+v; want 10 sent, since each takes 95ms to its last member", tally)
		}
	})
}

func TestPickFollowsTheWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := engine.Step{ID: 1, Pick: []engine.Choice{{Weight: 7, Steps: []engine.Step{call("a", "ok 1ms")}}, {Weight: 3, Steps: []engine.Step{call("b", "ok 1ms")}}}}
		p := &engine.Plan{Seed: 1, Load: open(pace.Constant(1000, 10*time.Second), engine.Load{MaxInFlight: 10}), Steps: []engine.Step{one}}
		book, _, _ := fire(t, p, nil)
		n := 0
		for _, i := range book.invocations {
			if i.step == "a" {
				n++
			}
		}
		// Five standard deviations of a binomial with n=10000, p=0.7 are 229.
		if len(book.invocations) != 10000 || n < 7000-229 || n > 7000+229 {
			t.Errorf("%d of %d were the one with weight 7 of 10", n, len(book.invocations))
		}
	})
}

func TestOutcomes(t *testing.T) {
	for o := range engine.Outcome(engine.NumOutcomes) {
		if got, ok := engine.ParseOutcome(o.String()); got != o || !ok {
			t.Errorf("%d is called %q, which is read as %d, %v", o, o, got, ok)
		}
		ours := o == engine.OK || o == engine.Canceled || o == engine.Dropped
		if o.Failed() == ours {
			t.Errorf("%s: Failed = %v", o, o.Failed())
		}
		if o.Billed() == engine.Yes && o.Executed() != engine.Yes {
			t.Errorf("%s is billed without being executed", o)
		}
	}
	if _, ok := engine.ParseOutcome("OK"); ok {
		t.Error("OK is no outcome's name")
	}
}

// A keeper notes which request each result has.
type keeper struct{ reqs []string }

func (k *keeper) Invocation(r *engine.Result) {
	s := "none"
	if r.Request != nil {
		s = r.Request.Path
	}
	k.reqs = append(k.reqs, r.Invocation.Step.Name+" attempts="+string(rune('0'+len(r.Attempts)))+" request="+s)
}
func (k *keeper) Group(*engine.GroupResult)         {}
func (k *keeper) Iteration(*engine.IterationResult) {}

type sender struct{}

func (sender) Invoke(_ context.Context, i *engine.Invocation, r *engine.Result) {
	r.Begin(i)
	r.Request = &engine.Request{Path: "/" + i.Step.Name}
	r.Attempts = append(r.Attempts, engine.Attempt{})
	r.Reply = engine.Reply{}
}

func TestFailedExpressionHasNoRequest(t *testing.T) {
	k := &keeper{}
	bad := data(call("b", "ok 1ms"), func(*engine.Scope) ([]byte, error) { return nil, errors.New("no such thing") })
	p := &engine.Plan{Steps: []engine.Step{call("a", "ok 1ms"), bad}, Load: open(pace.Constant(1, time.Second), engine.Load{MaxInFlight: 1})}
	r := engine.NewRun(engine.Options{Plan: p, Invoker: sender{}, Record: func() engine.Recorder { return k }})
	if err := r.Fire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k.reqs[1] != "b attempts=0 request=none" {
		t.Errorf("%q: a result of which nothing was sent has the request of another", k.reqs[1])
	}
}

// slowRows are rows that have to be waited for.
type slowRows struct{}

func (slowRows) Next() (any, error) {
	time.Sleep(5 * time.Millisecond)
	return 1, nil
}

// asked notes when invocations were asked for, as they were told and as it was.
type asked struct {
	base  time.Time
	wrong []string
}

func (a *asked) Invoke(_ context.Context, i *engine.Invocation, r *engine.Result) {
	now := time.Since(a.base)
	if i.Asked != 0 && i.Asked != now {
		a.wrong = append(a.wrong, fmt.Sprintf("%s at %v, told %v", i.Step.Name, now, i.Asked))
	}
	r.Begin(i)
	time.Sleep(time.Millisecond)
	r.Start, r.End, r.Reply = now, time.Since(a.base), engine.Reply{}
}

// TestAsked holds that what an invocation is told of the time is the time,
// whatever was waited for before it: a row, a pause, others of its group.
func TestAsked(t *testing.T) {
	limited := all(group.All, call("a", ""), call("b", ""))
	limited.Group.Limit = 1
	for name, steps := range map[string][]engine.Step{
		"one step":       {call("a", "")},
		"several":        {call("a", ""), call("b", ""), call("c", "")},
		"a pause":        {pause(3 * time.Millisecond), call("a", "")},
		"a slow failure": {goOn(data(call("a", ""), func(*engine.Scope) ([]byte, error) { return nil, errors.New("no") })), call("b", "")},
		"a group":        {limited, call("c", "")},
	} {
		for _, rows := range []engine.Feed{nil, slowRows{}} {
			for model, load := range map[string]engine.Load{
				"closed": {Crowd: pace.Constant(1, 50*time.Millisecond), GracefulStop: time.Hour},
				"open":   open(pace.Constant(100, 50*time.Millisecond), engine.Load{MaxInFlight: 2}),
			} {
				t.Run(fmt.Sprint(name, ", ", model, ", rows ", rows != nil), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						a := &asked{base: time.Now().Add(time.Second)}
						time.Sleep(time.Second)
						r := engine.NewRun(engine.Options{Plan: &engine.Plan{Steps: steps, Load: load}, Invoker: a, Rows: rows, Base: a.base,
							Record: func() engine.Recorder { return &keeper{} }})
						if err := r.Fire(t.Context()); err != nil {
							t.Fatal(err)
						}
						for _, w := range a.wrong {
							t.Error(w)
						}
					})
				})
			}
		}
	}
}
