package invoke

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// A script is a transport that answers by a list: one line for each exchange.
type script struct {
	mu    sync.Mutex
	lines []line
	begun []time.Duration
	asked []engine.Request
}

// A line is one exchange: it waits for wait, takes took, and ends in a status
// or an error.
type line struct {
	wait, took time.Duration
	status     int
	header     []engine.Field
	err        error
}

func (s *script) Exchange(ctx context.Context, _ int, q *engine.Request, p *engine.Response, t *Timing) error {
	t.begin()
	s.mu.Lock()
	l := line{status: 200}
	if len(s.lines) > 0 {
		l, s.lines = s.lines[0], s.lines[1:]
	}
	s.asked = append(s.asked, engine.Request{Verb: q.Verb, Scheme: q.Scheme, Host: q.Host, Path: q.Path, Query: q.Query, Header: slices.Clone(q.Header), Body: q.Body})
	s.begun = append(s.begun, time.Since(t.Base))
	s.mu.Unlock()
	ctx, cancel := t.bound(ctx)
	defer cancel()
	err := sleep(ctx, l.wait)
	if err == nil {
		t.Start = time.Since(t.Base)
		err = sleep(ctx, l.took)
	}
	t.End = time.Since(t.Base)
	if err != nil {
		return cause(ctx, err)
	}
	p.Status, p.Header = l.status, l.header
	return l.err
}

// plain is a method that says what the status says.
type plain struct {
	fail    error
	cookies bool
	fresh   bool
	leave   bool  // asks for leave before each request
	hidden  error // replies cannot be read
}

func (plain) Name() string { return "plain" }

func (m plain) Cookies(*engine.Request) bool { return m.cookies }
func (m plain) Fresh() bool                  { return m.fresh }
func (m plain) Preflight(q, to *engine.Request) bool {
	*to = engine.Request{Verb: "OPTIONS", Scheme: q.Scheme, Host: q.Host, Path: q.Path}
	return m.leave
}

func (plain) Leave(_ *engine.Request, from *engine.Response) (time.Duration, error) {
	age, _ := time.ParseDuration(from.Get("Age"))
	if from.Status != 204 {
		return 0, errors.New("no leave")
	}
	return age, nil
}

func (m plain) Readable(*engine.Request, *engine.Response) error { return m.hidden }

func (m plain) Encode(i *engine.Invocation, g auth.Grant, _ time.Time, to *engine.Request) error {
	to.Verb, to.Scheme, to.Host, to.Path, to.Body = "POST", "http", "h", "/"+i.Step.Function, i.Data
	if !g.Bearer.IsZero() {
		to.Set(engine.Field{Name: "Authorization", Value: g.Bearer.Reveal(), Secret: true})
	}
	to.Header = append(to.Header, i.Header...)
	return m.fail
}

func (plain) Decode(_ *engine.Invocation, from *engine.Response, to *engine.Reply) {
	*to = engine.Reply{Status: from.Status, Header: from.Header, Body: from.Body}
	switch {
	case from.Status == 429:
		to.Outcome = engine.Throttled
		if s := from.Get("Retry-After"); s != "" {
			to.RetryAfter, _ = time.ParseDuration(s)
		}
	case from.Status > 299:
		to.Outcome = engine.FunctionError
	}
}

// call makes an invocation that may be changed.
func call(change func(*engine.Invocation)) *engine.Invocation {
	i := &engine.Invocation{
		Step:  &engine.Invoke{Function: "fn", Target: &engine.Target{Method: plain{}, Timeout: 10 * time.Second}},
		Scope: &engine.Scope{Seed: 1, Iteration: 2, Step: 3},
	}
	if change != nil {
		change(i)
	}
	return i
}

func retry(attempts int, on ...engine.Outcome) func(*engine.Invocation) {
	return func(i *engine.Invocation) {
		i.Step.Retry = &engine.Retry{Attempts: attempts, On: on, Base: 100 * time.Millisecond, Cap: time.Second}
	}
}

const ms = time.Millisecond

// TestTimes holds the definitions of DESIGN.md 3.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{lines: []line{{wait: 5 * ms, took: 20 * ms, status: 429}, {took: 30 * ms, status: 200}}}
		c := &Client{Transport: s, Base: time.Now()}
		time.Sleep(100 * ms)
		var r engine.Result
		c.Invoke(t.Context(), call(func(i *engine.Invocation) {
			retry(3, engine.Throttled)(i)
			i.Due, i.Held = 90*ms, 7*ms
		}), &r)
		if len(r.Attempts) != 2 {
			t.Fatalf("%d attempts, want 2", len(r.Attempts))
		}
		first, second := r.Attempts[0], r.Attempts[1]
		backoff := second.Due - first.End
		want := []engine.Attempt{
			{Due: 90 * ms, Held: 7 * ms, Start: 105 * ms, End: 125 * ms, Outcome: engine.Throttled, Status: 429, Phases: engine.NoPhases()},
			{Due: 125*ms + backoff, Start: 125*ms + backoff, End: 155*ms + backoff, Status: 200, Phases: engine.NoPhases()},
		}
		if !slices.Equal(r.Attempts, want) {
			t.Errorf("attempts %+v\nwant     %+v", r.Attempts, want)
		}
		if backoff < 0 || backoff > 100*ms {
			t.Errorf("the backoff was %v, want at most 100ms", backoff)
		}
		if r.Due != 90*ms || r.Start != first.Start || r.End != second.End || r.Held != 7*ms+backoff || r.InService != 50*ms {
			t.Errorf("due %v, start %v, end %v, held %v, in service %v", r.Due, r.Start, r.End, r.Held, r.InService)
		}
		if r.Lateness() != 8*ms { // 10ms taken up late, of which 7 were asked for, and 5 without a connection
			t.Errorf("lateness %v, want 8ms", r.Lateness())
		}
		if r.Reply.Outcome != engine.OK || r.Reply.Took != 30*ms || r.Request == nil || r.Request.Path != "/fn" {
			t.Errorf("reply %+v of %+v", r.Reply, r.Request)
		}
	})
}

func TestRetries(t *testing.T) {
	bad := &exchangeError{detail: detailReset, message: "reset"}
	slow := line{took: time.Hour}
	tests := []struct {
		name   string
		lines  []line
		change func(*engine.Invocation)
		want   []engine.Outcome // of the attempts
		detail string
	}{
		{"nothing is tried again unless asked for", []line{{status: 429}}, nil, []engine.Outcome{engine.Throttled}, ""},
		{"what is not on the list is not", []line{{status: 500}}, retry(3, engine.Throttled), []engine.Outcome{engine.FunctionError}, ""},
		{"attempts have a limit", []line{{status: 429}, {status: 429}, {status: 429}, {status: 429}}, retry(3, engine.Throttled),
			[]engine.Outcome{engine.Throttled, engine.Throttled, engine.Throttled}, ""},
		{"success ends it", []line{{status: 429}, {status: 200}}, retry(9, engine.Throttled), []engine.Outcome{engine.Throttled, engine.OK}, ""},
		{"a network error", []line{{err: bad}, {status: 200}}, retry(2, engine.NetworkError), []engine.Outcome{engine.NetworkError, engine.OK}, ""},
		{"the last one counts", []line{{status: 429}, {err: bad}}, retry(2, engine.Throttled, engine.NetworkError), []engine.Outcome{engine.Throttled, engine.NetworkError}, "reset"},
		{"a timeout", []line{slow, {status: 200}}, retry(2, engine.ClientTimeout), []engine.Outcome{engine.ClientTimeout, engine.OK}, ""},
		{"a check that fails", []line{{status: 200}, {status: 201}}, func(i *engine.Invocation) {
			retry(2, engine.CheckFailed)(i)
			i.Step.Checks = []engine.Check{{Source: "status == 201", Holds: func(_ *engine.Scope, r *engine.Reply) (bool, error) { return r.Status == 201, nil }}}
		}, []engine.Outcome{engine.CheckFailed, engine.OK}, ""},
		{"a check does not look at what failed", []line{{status: 429}}, func(i *engine.Invocation) {
			i.Step.Checks = []engine.Check{{Source: "false", Holds: func(*engine.Scope, *engine.Reply) (bool, error) { return false, nil }}}
		}, []engine.Outcome{engine.Throttled}, ""},
		{"a request that cannot be written is not", nil, func(i *engine.Invocation) {
			retry(3, engine.Rejected)(i)
			i.Step.Target.Method = plain{fail: errors.New("no good")}
		}, nil, "request"},
		{"credentials that cannot be had", nil, func(i *engine.Invocation) {
			retry(3, engine.AuthFailed)(i)
			i.Step.Target.Auth = source(func(context.Context) (auth.Grant, error) { return auth.Grant{}, errors.New("no token") })
		}, nil, "grant"},
	}
	check := func(i *engine.Invoke, s *engine.Scope, r *engine.Reply) {
		for _, c := range i.Checks {
			if ok, _ := c.Holds(s, r); !ok {
				r.Outcome = engine.CheckFailed
			}
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Client{Transport: &script{lines: tt.lines}, Base: time.Now(), Check: check}
				time.Sleep(time.Second)
				var r engine.Result
				c.Invoke(t.Context(), call(tt.change), &r)
				var got []engine.Outcome
				for _, a := range r.Attempts {
					got = append(got, a.Outcome)
				}
				if !slices.Equal(got, tt.want) || r.Reply.Detail != tt.detail {
					t.Errorf("attempts %v, detail %q (%s); want %v, %q", got, r.Reply.Detail, r.Reply.Message, tt.want, tt.detail)
				}
				if len(tt.want) == 0 && (r.Start != time.Second || r.End != time.Second || r.InService != 0 || r.Request != nil || r.Reply.Message == "") {
					t.Errorf("nothing was sent, but: %+v", r)
				}
				if n := len(tt.want); n > 0 && r.Reply.Outcome != tt.want[n-1] {
					t.Errorf("outcome %v, want that of the last attempt, %v", r.Reply.Outcome, tt.want[n-1])
				}
			})
		})
	}
}

type source func(context.Context) (auth.Grant, error)

func (s source) Grant(ctx context.Context, _ auth.Exchange) (auth.Grant, error) { return s(ctx) }

func (s source) Refused(auth.Grant) bool { return false }

// TestEachAttemptIsEncoded holds that a grant is asked for anew, so that a
// token that ran out between two attempts is replaced.
func TestEachAttemptIsEncoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := &script{lines: []line{{status: 429}}}
		c := &Client{Transport: s, Base: time.Now()}
		var r engine.Result
		c.Invoke(t.Context(), call(func(i *engine.Invocation) {
			retry(2, engine.Throttled)(i)
			i.Step.Target.Auth = source(func(context.Context) (auth.Grant, error) {
				n++
				return auth.Grant{Bearer: auth.NewSecret(fmt.Sprint("token ", n))}, nil
			})
		}), &r)
		if len(s.asked) != 2 || s.asked[0].Header[0].Value != "token 1" || s.asked[1].Header[0].Value != "token 2" {
			t.Errorf("sent %+v", s.asked)
		}
	})
}

// backoffs returns the waits before the retries of an invocation.
func backoffs(t *testing.T, change func(*engine.Invocation), lines ...line) []time.Duration {
	var waits []time.Duration
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Transport: &script{lines: lines}, Base: time.Now()}
		var r engine.Result
		c.Invoke(t.Context(), call(change), &r)
		for n := range r.Attempts[1:] {
			waits = append(waits, r.Attempts[n+1].Due-r.Attempts[n].End)
			if r.Attempts[n+1].Start != r.Attempts[n+1].Due {
				t.Errorf("attempt %d was due at %v and began at %v", n+2, r.Attempts[n+1].Due, r.Attempts[n+1].Start)
			}
		}
	})
	return waits
}

func TestBackoff(t *testing.T) {
	busy := slices.Repeat([]line{{status: 429}}, 50)
	many := func(worker int, iteration int64) func(*engine.Invocation) {
		return func(i *engine.Invocation) {
			i.Step.Retry = &engine.Retry{Attempts: 50, On: []engine.Outcome{engine.Throttled}, Base: 100 * ms, Cap: time.Second}
			i.Worker, i.Scope.Iteration = worker, iteration
		}
	}
	a := backoffs(t, many(1, 7), busy...)
	if b := backoffs(t, many(2, 7), busy...); !slices.Equal(a, b) {
		t.Error("the waits depend on the worker")
	}
	if b := backoffs(t, many(1, 8), busy...); slices.Equal(a, b) {
		t.Error("two iterations have the same waits")
	}
	for n, w := range a {
		if most := min(100*ms<<min(n, 10), time.Second); w < 0 || w > most {
			t.Errorf("wait %d is %v, want at most %v", n+1, w, most)
		}
	}
	// Full jitter: the waits at the cap are spread over all of it.
	low, high := slices.Min(a[4:]), slices.Max(a[4:])
	if low > 200*ms || high < 800*ms {
		t.Errorf("the waits are between %v and %v, want them all over 0s to 1s", low, high)
	}
}

func TestRetryAfter(t *testing.T) {
	after := func(d string) line { return line{status: 429, header: []engine.Field{{Name: "Retry-After", Value: d}}} }
	got := backoffs(t, retry(4, engine.Throttled), after("500ms"), after("1h"), after("0s"))
	if got[0] != 500*ms {
		t.Errorf("asked for 500ms, waited %v", got[0])
	}
	if got[1] != time.Second {
		t.Errorf("asked for 1h with a cap of 1s, waited %v", got[1])
	}
	if got[2] > 400*ms {
		t.Errorf("asked for nothing, waited %v", got[2])
	}
}

func TestCeiling(t *testing.T) {
	p := &engine.Retry{Base: 3 * time.Hour, Cap: 1 << 62}
	last := time.Duration(0)
	for n := 1; n < 200; n++ {
		got := ceiling(p, n)
		if got < last || got > p.Cap {
			t.Fatalf("the %d. bound is %v after %v", n, got, last)
		}
		last = got
	}
	if last != p.Cap {
		t.Errorf("the bounds end at %v, want %v", last, p.Cap)
	}
	if got := ceiling(&engine.Retry{Base: time.Hour, Cap: time.Second}, 1); got != time.Second {
		t.Errorf("a base above the cap gives %v, want the cap", got)
	}
	if got := ceiling(&engine.Retry{}, 5); got != 0 {
		t.Errorf("no base and no cap give %v, want 0", got)
	}
}

func TestCancel(t *testing.T) {
	why := errors.New("budget spent")
	tests := []struct {
		name     string
		after    time.Duration
		lines    []line
		limit    *Limit
		want     engine.Outcome
		attempts int
		end      time.Duration
		message  string
	}{
		{"before anything", 0, nil, nil, engine.Canceled, 0, 0, "stopped: budget spent"},
		{"in the middle of an attempt", 50 * ms, []line{{took: time.Second}}, nil, engine.Canceled, 1, 50 * ms, "stopped: budget spent"},
		{"while it waits for a connection", 50 * ms, []line{{wait: time.Second}}, nil, engine.Canceled, 1, 50 * ms, "stopped: budget spent"},
		{"while it waits to try again", 150 * ms, []line{{took: 100 * ms, status: 429, header: []engine.Field{{Name: "Retry-After", Value: "1s"}}}}, nil,
			engine.Canceled, 1, 150 * ms, "stopped: budget spent while it waited to retry after throttled: "},
		{"while it waits for the ceiling", 50 * ms, nil, NewLimit(1), engine.Canceled, 0, 50 * ms, "stopped: budget spent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				s := &script{lines: tt.lines}
				c := &Client{Transport: s, Base: time.Now(), Limit: tt.limit}
				if tt.limit != nil {
					c.Limit = NewLimit(1)
					c.Limit.wait(ctx)
				}
				if tt.after == 0 {
					cancel(why)
				} else {
					time.AfterFunc(tt.after, func() { cancel(why) })
				}
				var r engine.Result
				c.Invoke(ctx, call(retry(5, engine.Throttled, engine.Canceled)), &r)
				if r.Reply.Outcome != tt.want || len(r.Attempts) != tt.attempts || r.End != tt.end || r.Reply.Message != tt.message {
					t.Errorf("%v, %d attempts, end %v, %q; want %v, %d, %v, %q", r.Reply.Outcome, len(r.Attempts), r.End, r.Reply.Message, tt.want, tt.attempts, tt.end, tt.message)
				}
				if len(s.begun) != tt.attempts {
					t.Errorf("%d exchanges, want %d", len(s.begun), tt.attempts)
				}
				if late := r.Lateness(); late > 50*ms || tt.name != "while it waits for a connection" && late != 0 {
					t.Errorf("lateness %v: the waits belong to the scenario", late)
				}
			})
		})
	}
}

func TestTimeout(t *testing.T) {
	tests := []struct {
		name           string
		line           line
		start, service time.Duration
		message        string
	}{
		{"with a connection", line{took: time.Hour}, 0, 2 * time.Second, "no whole reply within 2s, while connecting or sending"},
		{"without one", line{wait: time.Hour}, 2 * time.Second, 0, "no whole reply within 2s, while waiting for a free connection; raise connections"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Client{Transport: &script{lines: []line{tt.line}}, Base: time.Now()}
				var r engine.Result
				c.Invoke(t.Context(), call(func(i *engine.Invocation) { i.Step.Target.Timeout = 2 * time.Second }), &r)
				if r.Reply.Outcome != engine.ClientTimeout || r.Reply.Message != tt.message {
					t.Errorf("%v, %q", r.Reply.Outcome, r.Reply.Message)
				}
				if r.Start != tt.start || r.End != 2*time.Second || r.Service() != tt.service || r.Response() != 2*time.Second {
					t.Errorf("start %v, end %v, service %v, response %v", r.Start, r.End, r.Service(), r.Response())
				}
			})
		})
	}
}

// TestRunsDeadline holds that the end of the run is not taken for a slow function.
func TestRunsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := &Client{Transport: &script{lines: []line{{took: time.Hour}}}, Base: time.Now()}
		var r engine.Result
		c.Invoke(ctx, call(nil), &r)
		if r.Reply.Outcome != engine.Canceled || r.End != time.Second {
			t.Errorf("%v at %v, want canceled at 1s", r.Reply.Outcome, r.End)
		}
	})
}

func TestLimit(t *testing.T) {
	for _, rate := range []float64{0.5, 7, 150, 1000, 20000} {
		t.Run(fmt.Sprint(rate, "/s"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{}
				c := &Client{Transport: s, Base: time.Now(), Limit: NewLimit(rate)}
				n := int(max(5, rate)) + 1
				var held time.Duration
				var all sync.WaitGroup
				var mu sync.Mutex
				for range 4 {
					all.Go(func() {
						for {
							mu.Lock()
							n--
							more := n >= 0
							mu.Unlock()
							if !more {
								return
							}
							var r engine.Result
							i := call(nil)
							i.Due = time.Since(c.Base)
							c.Invoke(t.Context(), i, &r)
							if r.Lateness() != 0 || r.Attempts[0].Held != r.Held {
								t.Errorf("lateness %v, held %v and %v", r.Lateness(), r.Held, r.Attempts[0].Held)
							}
							mu.Lock()
							held += r.Held
							mu.Unlock()
						}
					})
				}
				all.Wait()
				if held == 0 {
					t.Error("no wait was held")
				}
				slices.Sort(s.begun)
				// Never more in any time than its share and the burst.
				burst := max(1, int(rate/100))
				for k := range s.begun {
					if j := k + burst; j < len(s.begun) {
						share := time.Duration(float64(time.Second) / rate * 0.999)
						if gap := s.begun[j] - s.begun[k]; gap < share {
							t.Fatalf("attempts %d and %d are %v apart, want %v", k, j, gap, share)
						}
					}
				}
				took := s.begun[len(s.begun)-1]
				want := time.Duration(float64(len(s.begun)-burst) / rate * float64(time.Second))
				if took > want+want/100+ms {
					t.Errorf("%d attempts took %v, want %v", len(s.begun), took, want)
				}
			})
		})
	}
	if NewLimit(0) != nil {
		t.Error("a rate of 0 is a limit")
	}
}

// TestLimitLosesNothingToLateTimers wakes every waiter a little late, as real
// timers do. With a burst of one the delays add up.
func TestLimitLosesNothingToLateTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, n = 5000, 5000
		l := NewLimit(rate)
		begin := time.Now()
		for range n {
			if d, _ := l.wait(t.Context()); d > 0 {
				time.Sleep(ms)
			}
		}
		if took := time.Since(begin); took > 1010*ms {
			t.Errorf("%d took %v, want 1s", n, took)
		}
	})
}

// TestCanceledLeaveGoesBack holds that who gives up does not use up the rate.
func TestCanceledLeaveGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimit(1)
		l.wait(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		go l.wait(ctx)
		time.Sleep(ms)
		cancel()
		synctest.Wait()
		if d, err := l.wait(t.Context()); err != nil || d > time.Second {
			t.Errorf("waited %v, %v; want at most 1s", d, err)
		}
	})
}

// TestResultIsReused holds that a result filled before starts afresh.
func TestResultIsReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Transport: &script{lines: []line{{status: 500}}}, Base: time.Now()}
		var r engine.Result
		i := call(func(i *engine.Invocation) { i.Header = []engine.Field{{Name: "A", Value: "1"}} })
		c.Invoke(t.Context(), i, &r)
		c.Invoke(t.Context(), i, &r)
		if len(r.Attempts) != 1 || r.Reply.Outcome != engine.OK || len(r.Request.Header) != 1 {
			t.Errorf("%+v of %+v", r, r.Request)
		}
	})
}
