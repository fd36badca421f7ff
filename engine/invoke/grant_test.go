package invoke

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// A rota hands out token 1, and after each refusal of the current one the
// next, up to last. The second and later ones take a while to get.
type rota struct {
	turn atomic.Int64
	last int64
	fail error
	slow chan time.Duration // holds how long the next grant takes
	asks atomic.Int64
}

func (r *rota) Grant(ctx context.Context, _ auth.Exchange) (auth.Grant, error) {
	n := r.turn.Load()
	if n > 0 && r.slow != nil {
		took := <-r.slow
		err := sleep(ctx, took)
		r.slow <- 0
		if err != nil {
			return auth.Grant{}, err
		}
	}
	if r.fail != nil && n > 0 {
		return auth.Grant{}, r.fail
	}
	return auth.Grant{Bearer: auth.NewSecret(fmt.Sprint("token ", n+1))}, nil
}

func (r *rota) Refused(g auth.Grant) bool {
	n := r.turn.Load()
	if g.Bearer.Reveal() == fmt.Sprint("token ", n+1) {
		if n+1 >= r.last {
			return false
		}
		if r.turn.CompareAndSwap(n, n+1) {
			r.asks.Add(1)
		}
	}
	return true
}

// aged refuses every token but the last for its age.
type aged struct{ plain }

func (m aged) Decode(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	m.plain.Decode(i, from, to)
	if from.Status == 401 {
		to.Outcome, to.Code, to.TokenExpired = engine.AuthFailed, "ACCESS_TOKEN_EXPIRED", true
	}
}

// A gate answers 401 to every token but one.
type gate struct {
	good string
	n    atomic.Int64
	took time.Duration
}

func (g *gate) Exchange(ctx context.Context, _ int, q *engine.Request, p *engine.Response, t *Timing) error {
	g.n.Add(1)
	t.begin()
	t.Start = time.Since(t.Base)
	ctx, cancel := t.bound(ctx)
	defer cancel()
	err := sleep(ctx, g.took)
	t.End = time.Since(t.Base)
	p.Status = 401
	for _, f := range q.Header {
		if f.Value == g.good {
			p.Status = 200
		}
	}
	return err
}

func TestRefusedTokens(t *testing.T) {
	dead := &auth.Error{What: "sign in: invalid_password", Cure: "set the right one", Fatal: true}
	tests := []struct {
		name     string
		source   *rota
		good     string
		change   func(*engine.Invocation)
		outcome  engine.Outcome
		requests int64
		attempts int
		renewed  bool
		fatal    bool
		turn     int64 // how many tokens have been given up
	}{
		{"a token that passes is kept", &rota{last: 9}, "token 1", nil, engine.OK, 1, 1, false, false, 0},
		{"one too old is renewed, once", &rota{last: 9}, "token 2", nil, engine.OK, 2, 2, true, false, 1},
		{"and not again", &rota{last: 9}, "token 3", nil, engine.AuthFailed, 2, 2, true, false, 2},
		{"one that cannot be renewed is refused", &rota{last: 1}, "token 2", nil, engine.AuthFailed, 1, 1, false, false, 0},
		{"a renewal is not one of the scenario's tries", &rota{last: 9}, "token 9", retry(2, engine.AuthFailed), engine.AuthFailed, 3, 3, true, false, 3},
		{"a try of the scenario's uses no token that was refused", &rota{last: 9}, "token 3", retry(2, engine.AuthFailed), engine.OK, 3, 3, true, false, 2},
		{"a failing renewal is fatal", &rota{last: 9, fail: dead}, "token 2", nil, engine.AuthFailed, 1, 1, true, true, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &gate{good: tt.good}
				var told []*auth.Error
				c := &Client{Transport: g, Base: time.Now(), Fatal: func(e *auth.Error) { told = append(told, e) }}
				var r engine.Result
				c.Invoke(t.Context(), call(func(i *engine.Invocation) {
					i.Step.Target.Method, i.Step.Target.Auth = aged{}, tt.source
					if tt.change != nil {
						tt.change(i)
					}
				}), &r)
				if r.Reply.Outcome != tt.outcome || g.n.Load() != tt.requests || len(r.Attempts) != tt.attempts || r.Renewed != tt.renewed {
					t.Errorf("%v after %d requests, %d attempts, renewed %v; want %v, %d, %d, %v",
						r.Reply.Outcome, g.n.Load(), len(r.Attempts), r.Renewed, tt.outcome, tt.requests, tt.attempts, tt.renewed)
				}
				if n := tt.source.turn.Load(); n != tt.turn {
					t.Errorf("%d tokens were given up, want %d", n, tt.turn)
				}
				if (len(told) == 1) != tt.fatal {
					t.Errorf("told %v, want fatal %v", told, tt.fatal)
				}
			})
		})
	}
}

// TestManyRefusedAtOnce is what happens when a token ends in the middle of a
// crowd: everybody is refused once, one asks for another, nobody fails.
func TestManyRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &rota{last: 9, slow: make(chan time.Duration, 1)}
		source.slow <- 50 * ms
		g := &gate{good: "token 2", took: ms}
		c := &Client{Transport: g, Base: time.Now()}
		results := make([]engine.Result, 500)
		var all sync.WaitGroup
		for n := range results {
			all.Go(func() {
				c.Invoke(t.Context(), call(func(i *engine.Invocation) { i.Step.Target.Method, i.Step.Target.Auth = aged{}, source }), &results[n])
			})
		}
		all.Wait()
		for n := range results {
			r := &results[n]
			if r.Reply.Outcome != engine.OK || !r.Renewed || len(r.Attempts) != 2 {
				t.Fatalf("invocation %d: %v, renewed %v, %d attempts", n, r.Reply.Outcome, r.Renewed, len(r.Attempts))
			}
			if r.Lateness() != 0 {
				t.Fatalf("the wait for a token made it late: %v held of %v", r.Held, r.Response())
			}
		}
		if source.asks.Load() != 1 || g.n.Load() != 1000 {
			t.Errorf("%d renewals, %d requests; want 1 and 1000", source.asks.Load(), g.n.Load())
		}
	})
}

// TestCeilingHoldsAfterAWaitForAToken holds that leave to send is not saved up
// while there is no token to send with.
func TestCeilingHoldsAfterAWaitForAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &rota{last: 9, slow: make(chan time.Duration, 1)}
		source.slow <- 5 * time.Second
		source.turn.Store(1) // so that the first token has to be waited for
		s := &script{}
		c := &Client{Transport: s, Base: time.Now(), Limit: NewLimit(20)}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				var r engine.Result
				c.Invoke(t.Context(), call(func(i *engine.Invocation) { i.Step.Target.Auth = source }), &r)
				if r.Lateness() != 0 || r.Held != r.Response() {
					t.Errorf("held %v of %v, late by %v", r.Held, r.Response(), r.Lateness())
				}
			})
		}
		all.Wait()
		for n := 21; n < len(s.begun); n++ {
			if took := s.begun[n] - s.begun[n-21]; took < time.Second {
				t.Fatalf("21 requests within %v, at %v: the ceiling is 20/s", took, s.begun[n])
			}
		}
	})
}

func TestSignIn(t *testing.T) {
	var n int
	counting := &origin{func(context.Context) (auth.Grant, error) { n++; return auth.Grant{}, nil }}
	bad := &origin{func(context.Context) (auth.Grant, error) { return auth.Grant{}, errors.New("no way in") }}
	step := func(a auth.Source) engine.Step {
		return engine.Step{Invoke: &engine.Invoke{Target: &engine.Target{Auth: a}}}
	}
	p := &engine.Plan{Steps: []engine.Step{step(&rota{last: 1}), {Group: &engine.Group{Members: []engine.Step{step(counting), step(nil)}}},
		{Sequence: []engine.Step{step(counting)}}, {Pick: []engine.Choice{{Steps: []engine.Step{step(bad)}}}}}}
	c := &Client{Transport: &script{}, Base: time.Now()}
	err := c.SignIn(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), "no way in") {
		t.Errorf("error %v, want that of the source that fails", err)
	}
	if n != 1 {
		t.Errorf("a shared source was asked %d times, want once", n)
	}
}

// An origin is a source that has an identity, as those of plans have.
type origin struct{ source }

// TestTokensGoTheirOwnWay holds that who asks for a token does not wait behind
// invocations, where there is another way.
func TestTokensGoTheirOwnWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy, own := &script{lines: []line{{wait: time.Hour}}}, &script{lines: []line{{status: 418}}}
		for want, c := range map[int]*Client{418: {Transport: busy, Tokens: own, Base: time.Now()}, 200: {Transport: &script{}, Base: time.Now()}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			a, err := c.exchangeTokens()(ctx, &auth.Ask{Verb: "POST", URL: "https://h.example/auth"})
			cancel()
			if err != nil || a.Status != want {
				t.Errorf("%+v, %v; want status %d", a, err, want)
			}
		}
	})
}

func TestTokenExchange(t *testing.T) {
	s := &script{lines: []line{{status: 400}, {err: errors.New("broken pipe")}}}
	c := &Client{Transport: s, Base: time.Now()}
	ask := c.exchangeTokens()
	a, err := ask(t.Context(), &auth.Ask{Verb: "POST", URL: "https://h.example/auth?client_id=1", Header: [][2]string{{"X-A", "hush"}}, Body: []byte("hush")})
	if err != nil || a.Status != 400 {
		t.Fatalf("%+v, %v", a, err)
	}
	q := s.asked[0]
	if q.Verb != "POST" || q.Scheme != "https" || q.Host != "h.example" || q.Path != "/auth" || q.Query != "client_id=1" || string(q.Body) != "hush" || q.Header[0].Value != "hush" {
		t.Errorf("sent %+v", q)
	}
	for _, url := range []string{"https://h.example/?secret=hush", "http://\x00hush"} {
		if _, err := ask(t.Context(), &auth.Ask{URL: url}); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: error %v, want one that tells nothing of it", url, err)
		}
	}
}
