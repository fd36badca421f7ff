package invoke

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
)

// allow is the reply to a preflight that counts for so long.
func allow(age string) line {
	return line{status: 204, took: 30 * ms, header: []engine.Field{{Name: "Age", Value: age}}}
}

func TestPreflights(t *testing.T) {
	page := plain{leave: true}
	ok := line{status: 200, took: 10 * ms}
	type ask struct {
		worker    int
		iteration int64
		function  string
		after     time.Duration
	}
	tests := []struct {
		name   string
		method plain
		lines  []line
		asks   []ask
		want   string // the verbs as they went out
	}{
		{"leave is asked for once", page, []line{allow("1m")}, []ask{{}, {}, {}}, "OPTIONS POST POST POST"},
		{"and again when it has run out", page, []line{allow("1m"), ok, allow("1m")}, []ask{{}, {after: time.Minute}}, "OPTIONS POST OPTIONS POST"},
		{"and each time where it does not last", page, []line{allow("0s"), ok, allow("0s")}, []ask{{}, {}}, "OPTIONS POST OPTIONS POST"},
		{"for each address", page, []line{allow("1m"), ok, allow("1m")}, []ask{{}, {function: "other"}, {}}, "OPTIONS POST OPTIONS POST POST"},
		{"by each caller", page, []line{allow("1m"), ok, allow("1m")}, []ask{{}, {worker: 1}, {worker: 1}}, "OPTIONS POST OPTIONS POST POST"},
		{"by each visitor, where iterations are that", plain{leave: true, fresh: true}, []line{allow("1m"), ok, ok, allow("1m")},
			[]ask{{}, {}, {iteration: 1}}, "OPTIONS POST POST OPTIONS POST"},
		{"not where none is needed", plain{}, nil, []ask{{}, {}}, "POST POST"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{lines: tt.lines}
				c := &Client{Transport: s, Base: time.Now()}
				for _, a := range tt.asks {
					time.Sleep(a.after)
					var r engine.Result
					c.Invoke(t.Context(), call(func(i *engine.Invocation) {
						i.Worker, i.Step.Target.Method, i.Scope.Iteration = a.worker, tt.method, a.iteration
						if a.function != "" {
							i.Step.Function = a.function
						}
						i.Due = time.Since(c.Base)
					}), &r)
					if r.Reply.Outcome != engine.OK {
						t.Fatalf("%v %s", r.Reply.Outcome, r.Reply.Message)
					}
				}
				var verbs []string
				for _, q := range s.asked {
					verbs = append(verbs, q.Verb)
				}
				if got := strings.Join(verbs, " "); got != tt.want {
					t.Errorf("sent %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// TestPreflightTimes holds that asking for leave is held time with a phase of
// its own, and no part of the service time.
func TestPreflightTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Transport: &script{lines: []line{allow("1m"), {status: 200, took: 10 * ms}}}, Base: time.Now()}
		for n, want := range []struct{ service, held, response, preflight time.Duration }{{10 * ms, 30 * ms, 40 * ms, 30 * ms}, {0, 0, 0, -1}} {
			var r engine.Result
			c.Invoke(t.Context(), call(func(i *engine.Invocation) {
				i.Step.Target.Method, i.Due = plain{leave: true}, time.Since(c.Base)
			}), &r)
			if r.Service() != want.service || r.Held != want.held || r.Response() != want.response || r.Attempts[0].Phases.Preflight != want.preflight || r.Lateness() != 0 {
				t.Errorf("call %d: service %v, held %v, response %v, preflight %v, late %v; want %+v", n, r.Service(), r.Held, r.Response(), r.Attempts[0].Phases.Preflight, r.Lateness(), want)
			}
		}
	})
}

func TestPreflightRefused(t *testing.T) {
	tests := []struct {
		name    string
		line    line
		outcome engine.Outcome
		detail  string
		status  int
		says    string
	}{
		{"no leave", line{status: 403}, engine.Rejected, "cors", 403, "the preflight was refused"},
		{"no reply", line{err: errors.New("x")}, engine.NetworkError, detailOther, 0, "the preflight: "},
		{"no connection in time", line{wait: time.Hour}, engine.ClientTimeout, "", 0, "while asking for leave (preflight)"},
		{"no reply in time", line{took: time.Hour}, engine.ClientTimeout, "", 0, "while asking for leave (preflight)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{lines: []line{tt.line}}
				c := &Client{Transport: s, Base: time.Now()}
				var r engine.Result
				c.Invoke(t.Context(), call(func(i *engine.Invocation) { i.Step.Target.Method = plain{leave: true} }), &r)
				if r.Reply.Outcome != tt.outcome || r.Reply.Detail != tt.detail || r.Reply.Status != tt.status || len(s.asked) != 1 {
					t.Errorf("%v %q %d after %d requests; want %v %q %d after one", r.Reply.Outcome, r.Reply.Detail, r.Reply.Status, len(s.asked), tt.outcome, tt.detail, tt.status)
				}
				if !strings.Contains(r.Reply.Message, tt.says) || r.Lateness() != 0 {
					t.Errorf("%q, late by %v; want %q", r.Reply.Message, r.Lateness(), tt.says)
				}
			})
		})
	}
}

// TestMembersShareLeave holds that what a caller fires together asks once.
func TestMembersShareLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{lines: []line{allow("1m")}}
		c := &Client{Transport: s, Base: time.Now()}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				var r engine.Result
				c.Invoke(t.Context(), call(func(i *engine.Invocation) { i.Step.Target.Method = plain{leave: true} }), &r)
				if r.Reply.Outcome != engine.OK || r.Held != 30*ms || r.Lateness() != 0 {
					t.Errorf("%v, held %v, late %v", r.Reply.Outcome, r.Held, r.Lateness())
				}
			})
		}
		all.Wait()
		if len(s.asked) != 21 {
			t.Errorf("%d requests, want 21", len(s.asked))
		}
	})
}

// byVerb answers all requests of a verb alike.
type byVerb map[string]line

func (b byVerb) Exchange(ctx context.Context, worker int, q *engine.Request, p *engine.Response, t *Timing) error {
	return (&script{lines: []line{b[q.Verb]}}).Exchange(ctx, worker, q, p, t)
}

// TestMembersWithoutALastingLeave holds that leave that lasts for no later
// request is asked for by everybody, and that nobody waits in a line for it.
func TestMembersWithoutALastingLeave(t *testing.T) {
	for name, answer := range map[string]line{"it does not last": allow("0s"), "it is refused": {status: 403, took: 30 * ms}, "none comes": {err: errors.New("x"), took: 30 * ms}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Client{Transport: byVerb{"OPTIONS": answer, "POST": {status: 200}}, Base: time.Now()}
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() {
						var r engine.Result
						c.Invoke(t.Context(), call(func(i *engine.Invocation) { i.Step.Target.Method = plain{leave: true} }), &r)
						if r.Response() > 60*ms || r.Lateness() != 0 {
							t.Errorf("%v after %v, late %v; want one preflight of its own at most, beside that of the first", r.Reply.Outcome, r.Response(), r.Lateness())
						}
					})
				}
				all.Wait()
				for key, l := range c.tabs.all[0].leaves {
					t.Errorf("%q is remembered: %+v", key, l)
				}
			})
		})
	}
}

func TestLeavesAreBounded(t *testing.T) {
	s := &script{}
	for range 2*maxLeaves + 10 {
		s.lines = append(s.lines, line{status: 204, header: []engine.Field{{Name: "Age", Value: "1h"}}}, line{status: 200})
	}
	c := &Client{Transport: s, Base: time.Now()}
	for n := range 2*maxLeaves + 5 {
		var r engine.Result
		c.Invoke(t.Context(), call(func(i *engine.Invocation) { i.Step.Target.Method, i.Step.Function = plain{leave: true}, fmt.Sprint(n) }), &r)
	}
	if n := len(c.tabs.all[0].leaves); n > maxLeaves {
		t.Errorf("%d leaves are remembered, want at most %d", n, maxLeaves)
	}
}

func TestUnreadable(t *testing.T) {
	c := &Client{Transport: &script{}, Base: time.Now()}
	var r engine.Result
	c.Invoke(t.Context(), call(func(i *engine.Invocation) { i.Step.Target.Method = plain{hidden: errors.New("not for you")} }), &r)
	if r.Reply.Outcome != engine.CheckFailed || r.Reply.Detail != "cors" || r.Reply.Message != "not for you" || r.Reply.Status != 200 {
		t.Errorf("%+v", r.Reply)
	}
}
