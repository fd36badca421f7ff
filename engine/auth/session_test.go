package auth_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine/auth"
)

func TestOneSignInServesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 7200, takes: 300 * time.Millisecond}
		s := auth.Anonymous(base, env, "")
		all(500, func(int) {
			if got := grant(t, s, e); got != "access-1" {
				t.Errorf("a token %q, want access-1", got)
			}
		})
		if e.count() != 1 {
			t.Errorf("500 callers asked %d times, want once", e.count())
		}
	})
}

func TestRefreshIsEarlyAndOnlyOneWaitsForIt(t *testing.T) {
	for _, row := range []struct {
		life int
		due  time.Duration
	}{{7200, 7170 * time.Second}, {60, 30 * time.Second}, {40, 20 * time.Second}, {2, time.Second}} {
		t.Run(fmt.Sprint(row.life, " s"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{life: row.life}
				s := auth.Anonymous(base, env, "")
				grant(t, s, e)
				time.Sleep(row.due - time.Millisecond)
				if got := grant(t, s, e); got != "access-1" || e.count() != 1 {
					t.Errorf("a moment before it is due: %s, asked %d times; want the old token", got, e.count())
				}
				e.takes = 500 * time.Millisecond
				time.Sleep(time.Millisecond)
				begin, waited := time.Now(), make([]time.Duration, 500)
				all(500, func(i int) {
					grant(t, s, e)
					waited[i] = time.Since(begin)
				})
				who := 0
				for _, w := range waited {
					if w > 0 {
						who++
					}
				}
				if who != 1 || e.count() != 2 {
					t.Errorf("%d of 500 waited and %d asked, want one", who, e.count()-1)
				}
				if got := grant(t, s, e); got != "access-2" {
					t.Errorf("afterwards %s, want the new token", got)
				}
			})
		})
	}
}

// Without a caller for a while, the token simply runs out.
func TestTokenThatRanOutIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 100}
		s := auth.Password(base, env, "", auth.NewSecret("user"), auth.NewSecret("password"))
		grant(t, s, e)
		time.Sleep(time.Hour)
		e.takes = 300 * time.Millisecond
		all(500, func(int) {
			if got := grant(t, s, e); got != "access-2" {
				t.Errorf("%s, want access-2", got)
			}
		})
		if e.count() != 2 {
			t.Errorf("asked %d times, want twice", e.count())
		}
	})
}

// The life of a token counts from when it was asked for: the endpoint may have
// made it as early as that.
func TestLifeCountsFromTheAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 10, takes: 4 * time.Second}
		s := auth.Anonymous(base, env, "")
		grant(t, s, e)
		time.Sleep(time.Second)
		e.takes = 0
		if got := grant(t, s, e); got != "access-2" {
			t.Errorf("five seconds after the ask for a token of ten seconds: %s, want a refresh, due by half of its life", got)
		}
		e.life, e.takes = 5, 6*time.Second
		time.Sleep(time.Minute)
		if err := refusal(t, s, e); !strings.Contains(err.What, "had run out when it came") {
			t.Errorf("a token that is dead on arrival: %v", err)
		}
	})
}

func TestEarlyRefreshThatFailsIsNoErrorYet(t *testing.T) {
	for name, say := range map[string]func(int, *auth.Ask) (*auth.Answer, error){
		"no reply":    func(int, *auth.Ask) (*auth.Answer, error) { return nil, errors.New("connection refused") },
		"failing":     func(int, *auth.Ask) (*auth.Answer, error) { return answer(503, "<html>"), nil },
		"refused":     func(int, *auth.Ask) (*auth.Answer, error) { return answer(400, `{"error":"invalid_password"}`), nil },
		"not a token": func(int, *auth.Ask) (*auth.Answer, error) { return answer(200, `{}`), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{life: 100}
				s := auth.Password(base, env, "", auth.NewSecret("user"), auth.NewSecret("password"))
				grant(t, s, e)
				e.say = say
				begin, calls := time.Now(), 0
				for time.Since(begin) < 99*time.Second {
					if got := grant(t, s, e); got != "access-1" {
						t.Fatalf("after %v: %s, want the old token", time.Since(begin), got)
					}
					calls++
					time.Sleep(10 * time.Millisecond)
				}
				if n := e.count() - 1; n < 4 || n > 100 {
					t.Errorf("%d callers asked %d times in the last 30 s, want some tries but no storm", calls, n)
				}
				// It recovers: all is well again.
				e.say = nil
				time.Sleep(time.Second + time.Millisecond)
				if got := grant(t, s, e); got == "access-1" {
					t.Error("a token that has run out was handed out")
				}
				// It does not: the end.
				e.say = say
				time.Sleep(200 * time.Second)
				refusal(t, s, e)
			})
		})
	}
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 7200}
		s := auth.Anonymous(base, env, "")
		old := grant(t, s, e)
		time.Sleep(time.Minute)
		e.takes = 200 * time.Millisecond
		all(500, func(i int) {
			time.Sleep(time.Duration(i) * time.Millisecond) // some are told while the refresh is under way, some after it
			if !s.Refused(bearer(old)) {
				t.Error("a session says that it has no other token")
			}
			if got := grant(t, s, e); got != "access-2" {
				t.Errorf("%s, want access-2", got)
			}
		})
		if e.count() != 2 {
			t.Errorf("500 workers with a refused token asked %d times, want once", e.count()-1)
		}
		if s.Refused(bearer("of somebody else")); grant(t, s, e) != "access-2" {
			t.Error("a token that is not ours made ours be forgotten")
		}
	})
}

func TestTokensRefusedAsSoonAsMadeAreTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 7200, takes: 10 * time.Millisecond}
		s := auth.Anonymous(base, env, "")
		var ended sync.Map
		all(500, func(i int) {
			for range 1000 {
				g, err := s.Grant(t.Context(), e.ask)
				if err != nil {
					ended.Store(i, err)
					return
				}
				time.Sleep(5 * time.Millisecond)
				s.Refused(g)
			}
		})
		for i := range 500 {
			err, _ := ended.Load(i)
			if failed, ok := err.(*auth.Error); !ok || !failed.Fatal || !strings.Contains(failed.Cure, "clock") {
				t.Fatalf("worker %d ended with %v", i, err)
			}
		}
		if e.count() != 3 {
			t.Errorf("asked %d times, want three", e.count())
		}
	})
}

// A token that was good for a while, and one that was never refused, start the count anew.
// A token that serves is good, whatever one gateway of many says of it: it is
// replaced, though not for each such reply, and that is not the end.
func TestRefusalsOfATokenThatServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 7200}
		s := auth.Anonymous(base, env, "")
		for range 10_000 { // for 100 s
			g := bearer(grant(t, s, e))
			s.Accepted(g)
			if !s.Refused(g) {
				t.Fatalf("the end after %d tokens", e.count())
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := e.count(); n < 50 || n > 102 {
			t.Errorf("%d tokens in 100 s, want one a second at most", n)
		}
		// One that another refuses still counts as it is.
		s.Accepted(bearer("another"))
		for n := range 5 {
			time.Sleep(2 * time.Second)
			if s.Refused(bearer(grant(t, s, e))) != (n < 3) {
				t.Fatalf("%d tokens that never served were refused", n)
			}
			if n == 3 {
				break
			}
		}
	})
}

func TestRefusalsNowAndThenAreNotTheEnd(t *testing.T) {
	for name, between := range map[string]func(t *testing.T, s *auth.Session, e *endpoint){
		"refused after a while": func(t *testing.T, s *auth.Session, e *endpoint) {
			g := bearer(grant(t, s, e))
			time.Sleep(6 * time.Second)
			s.Refused(g)
		},
		"replaced early": func(t *testing.T, s *auth.Session, e *endpoint) {
			grant(t, s, e)
			time.Sleep(7175 * time.Second)
			grant(t, s, e)
		},
		"ran out": func(t *testing.T, s *auth.Session, e *endpoint) {
			grant(t, s, e)
			time.Sleep(3 * time.Hour)
			grant(t, s, e)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{life: 7200}
				s := auth.Anonymous(base, env, "")
				for range 10 {
					for range 2 {
						if !s.Refused(bearer(grant(t, s, e))) {
							t.Fatal("the end, after two refusals in a row")
						}
					}
					between(t, s, e)
				}
			})
		})
	}
}

func TestRefreshTokensAreRotated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 100, refresh: "given"}
		s := auth.Refresh(base, env, auth.NewSecret("given"))
		for n := 1; n < 50; n++ {
			if got, want := grant(t, s, e), fmt.Sprint("access-", n); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
			time.Sleep(80 * time.Second)
		}
	})
}

// A reply without a refresh token leaves the one before in use.
func TestRefreshTokenThatIsNotRotatedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{say: func(n int, q *auth.Ask) (*auth.Answer, error) {
			if !strings.Contains(string(q.Body), `"refresh_token":"given"`) {
				return answer(400, `{"error":"invalid_grant"}`), nil
			}
			return answer(200, `{"access_token":"access-%d","expires_in":100}`, n), nil
		}}
		s := auth.Refresh(base, env, auth.NewSecret("given"))
		for range 5 {
			grant(t, s, e)
			time.Sleep(time.Minute + 20*time.Second)
		}
	})
}

func TestRefusedRefreshTokenMeansSignInAnew(t *testing.T) {
	spent := []string{
		`{"error":"unauthorized_client","error_code":16}`, `{"error":"invalid_grant"}`, `{"code":"REFRESH_TOKEN_EXPIRED","message":"m"}`,
		`{"code":"INVALID_REFRESH_TOKEN"}`, `{"code":"REFRESH_TOKEN_EXHAUSTED"}`, `{"error_code":16}`, `gone`,
	}
	for _, body := range spent {
		t.Run(body, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				say := func(_ int, q *auth.Ask) (*auth.Answer, error) {
					if strings.HasSuffix(q.URL, "/token") {
						return answer(400, "%s", body), nil
					}
					return nil, nil
				}
				e := &endpoint{life: 100, say: say}
				s := auth.Password(base, env, "", auth.NewSecret("user"), auth.NewSecret("password"))
				grant(t, s, e)
				time.Sleep(90 * time.Second)
				if got := grant(t, s, e); got != "access-3" || e.count() != 3 {
					t.Errorf("%s after %d asks, want a token by a new sign-in", got, e.count())
				}
				alone := auth.Refresh(base, env, auth.NewSecret("old"))
				if err := refusal(t, alone, &endpoint{say: say}); !strings.Contains(err.Cure, "sign in again") {
					t.Errorf("who cannot sign in anew is told %q, %q", err.What, err.Cure)
				}
			})
		})
	}
}

// A session that began elsewhere has nothing but its refresh token: when that
// is refused early, the token in hand serves to its end, and then comes the
// error, however often somebody asks in between.
func TestRefusedRefreshTokenWithoutAnotherWay(t *testing.T) {
	refused := func(n int, _ *auth.Ask) (*auth.Answer, error) {
		if n > 1 {
			return answer(400, `{"error":"unauthorized_client","error_description":"spent elsewhere"}`), nil
		}
		return nil, nil
	}
	ways := map[string]func(*auth.Session){
		"the token runs out": func(*auth.Session) { time.Sleep(31 * time.Second) },
		"it is refused":      func(s *auth.Session) { s.Refused(bearer("access-1")) },
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{life: 100, say: refused, refresh: "given"}
				s := auth.Refresh(base, env, auth.NewSecret("given"))
				grant(t, s, e)
				time.Sleep(71 * time.Second)
				for range 20 {
					if got := grant(t, s, e); got != "access-1" {
						t.Fatalf("%s while the first token is good", got)
					}
					time.Sleep(time.Second)
				}
				end(s)
				if err := refusal(t, s, e); !strings.Contains(err.What, "spent elsewhere") || !strings.Contains(err.Cure, "sign in again") {
					t.Errorf("%s (%s), want what was wrong with the refresh token", err.What, err.Cure)
				}
				if e.count() != 2 {
					t.Errorf("%d asks, want 2: a refresh token that was refused is not shown again", e.count())
				}
			})
		})
	}
}

func TestEndpointThatFailsIsAskedThreeTimes(t *testing.T) {
	for name, say := range map[string]func(int, *auth.Ask) (*auth.Answer, error){
		"no reply":              func(int, *auth.Ask) (*auth.Answer, error) { return nil, errors.New("connection refused") },
		"500":                   func(int, *auth.Ask) (*auth.Answer, error) { return answer(500, ""), nil },
		"502 of something else": func(int, *auth.Ask) (*auth.Answer, error) { return answer(502, "<html>bad gateway"), nil },
		"SYS_ERR": func(int, *auth.Ask) (*auth.Answer, error) {
			return answer(400, `{"code":"SYS_ERR","message":"m"}`), nil
		},
		"unavailable": func(int, *auth.Ask) (*auth.Answer, error) { return answer(200, `{"error_code":14}`), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{say: say}
				s := auth.Anonymous(base, env, "")
				begin := time.Now()
				all(500, func(int) {
					if _, err := s.Grant(t.Context(), e.ask); err == nil || !strings.HasSuffix(err.Error(), "(3 tries)") {
						t.Errorf("the error %v, want one that says how often it was tried", err)
					}
				})
				if took := time.Since(begin); e.count() != 3 || took > 800*time.Millisecond {
					t.Errorf("%d asks in %v, want 3 in less than 0.8 s", e.count(), took)
				}
				refusal(t, s, e)

				// Once more with the second try, all is well.
				e = &endpoint{life: 100, say: func(n int, q *auth.Ask) (*auth.Answer, error) {
					if n < 3 {
						return say(n, q)
					}
					return nil, nil
				}}
				if got := grant(t, auth.Anonymous(base, env, ""), e); got != "access-3" {
					t.Errorf("%s, want access-3", got)
				}
			})
		})
	}
}

// What net/http says of a request quotes its URL, which may have a secret in it.
func TestNoReplyIsSaidWithoutTheURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{say: func(_ int, q *auth.Ask) (*auth.Answer, error) {
			return nil, fmt.Errorf("send: %w", &url.Error{Op: "Post", URL: q.URL, Err: errors.New("connection refused")})
		}}
		err := refusal(t, auth.Anonymous(base, env, ""), e)
		if want := "sign in anonymously at e-1.api.tcloudbasegateway.com: no reply: connection refused (3 tries)"; err.What != want {
			t.Errorf("%q, want %q", err.What, want)
		}
	})
}

func TestCallerWhoseContextEndsStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 7200, takes: 5 * time.Second}
		s := auth.Anonymous(base, env, "")
		var wg sync.WaitGroup
		wg.Go(func() { grant(t, s, e) })
		synctest.Wait()
		begin := time.Now()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("lunch"))
		defer cancel()
		if _, err := s.Grant(ctx, e.ask); err == nil || !strings.Contains(err.Error(), "lunch") || time.Since(begin) != time.Second {
			t.Errorf("%v after %v, want the context's own end after 1s", err, time.Since(begin))
		}
		wg.Wait()
		if got := grant(t, s, e); got != "access-1" || e.count() != 1 {
			t.Errorf("%s after %d asks, want that the refresh went on", got, e.count())
		}
		if g, err := s.Grant(ctx, e.ask); err != nil || g.Bearer.Reveal() != "access-1" {
			t.Errorf("a token in hand is refused to who is late: %v", err)
		}
	})
}

func TestRefreshOutlivesWhoAskedForIt(t *testing.T) {
	for _, row := range []struct {
		name  string
		takes time.Duration // the reply, when the caller that asks stops after a second
		token string
	}{
		{"the reply comes soon after", 1900 * time.Millisecond, "access-1"},
		{"the next caller asks", 2100 * time.Millisecond, "access-2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{life: 7200, takes: row.takes}
				s := auth.Anonymous(base, env, "")
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var wg sync.WaitGroup
				wg.Go(func() {
					begin := time.Now()
					g, err := s.Grant(ctx, e.ask)
					if (err == nil) != (g.Bearer.Reveal() == "access-1") || err != nil && !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 2*time.Second {
						t.Errorf("%s, %v after %v; want a token or the context's end within two seconds", g.Bearer.Reveal(), err, time.Since(begin))
					}
				})
				synctest.Wait()
				all(100, func(int) {
					if got := grant(t, s, e); got != row.token {
						t.Errorf("%s, want %s", got, row.token)
					}
				})
				wg.Wait()
				if e.most != 1 {
					t.Errorf("%d asks in flight at once", e.most)
				}
			})
		})
	}
}

func TestEndpointThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{takes: time.Hour}
		begin := time.Now()
		err := refusal(t, auth.Anonymous(base, env, ""), e)
		if took := time.Since(begin); took != 10*time.Second || !strings.HasSuffix(err.What, "nothing within 10s") || e.count() != 1 {
			t.Errorf("%v after %v, want the end after ten seconds", err, took)
		}
	})
}

func TestGrantWithoutAWayToAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 100}
		s := auth.Anonymous(base, env, "")
		if _, err := s.Grant(t.Context(), nil); err == nil {
			t.Error("a token out of nothing")
		}
		grant(t, s, e)
		time.Sleep(90 * time.Second)
		if g, err := s.Grant(t.Context(), nil); err != nil || g.Bearer.Reveal() != "access-1" {
			t.Errorf("a token that is still good is not given: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if g, err := s.Grant(ended, e.ask); err != nil || g.Bearer.Reveal() != "access-1" || e.count() != 1 {
			t.Errorf("who has no time left asks for a new token: %v after %d asks", err, e.count())
		}
	})
}

func TestAddressThatIsNone(t *testing.T) {
	for _, bad := range []string{"", "gateway", "http://", "https://a b", "://x"} {
		e := &endpoint{life: 100}
		refusal(t, auth.Anonymous(bad, env, ""), e)
		refusal(t, auth.ClientCredential(bad, auth.Keys{ID: auth.NewSecret("id"), Key: auth.NewSecret("key")}), e)
		if e.count() != 0 {
			t.Errorf("%q was asked", bad)
		}
	}
	refusal(t, auth.Refresh(base, env, auth.Secret{}), new(endpoint))
}

func TestObtainedListsTheLatestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 100}
		s := auth.Anonymous(base, env, "")
		const n = auth.MaxObtained
		for i := 1; i <= n; i++ {
			grant(t, s, e)
			time.Sleep(80 * time.Second)
			got := s.Obtained()
			if want := min(2*i, n); len(got) != want || s.Count() != 2*i {
				t.Fatalf("after %d sign-ins: %d tokens of %d, want %d of %d", i, len(got), s.Count(), want, 2*i)
			}
			if last, before := got[len(got)-1].Reveal(), got[len(got)-2].Reveal(); last != fmt.Sprint("refresh-", i) || before != fmt.Sprint("access-", i) {
				t.Fatalf("after %d sign-ins the latest tokens are %s, %s", i, before, last)
			}
		}
	})
}

// However callers come, tokens are refused, the endpoint dawdles and fails now
// and then: one ask at a time, and no token after its end.
func TestWhateverHappens(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dice := rand.New(rand.NewPCG(seed, 1))
				var mu sync.Mutex
				below := func(n int) int {
					mu.Lock()
					defer mu.Unlock()
					return dice.IntN(n)
				}
				e := &endpoint{life: 2 + below(120)}
				e.say = func(_ int, q *auth.Ask) (*auth.Answer, error) {
					time.Sleep(time.Duration(below(900)) * time.Millisecond)
					switch below(12) {
					case 0:
						return nil, errors.New("reset")
					case 1:
						if strings.HasSuffix(q.URL, "/token") {
							return answer(400, `{"error":"invalid_grant"}`), nil
						}
					}
					return nil, nil
				}
				s := auth.Anonymous(base, env, "")
				all(20, func(int) {
					for range 60 {
						time.Sleep(time.Duration(below(10_000)) * time.Millisecond)
						ctx, cancel := t.Context(), func() {}
						if below(4) == 0 {
							ctx, cancel = context.WithTimeout(ctx, time.Duration(below(1000))*time.Millisecond)
						}
						g, err := s.Grant(ctx, e.ask)
						cancel()
						if err != nil {
							if _, ok := errors.AsType[*auth.Error](err); !ok && !errors.Is(err, context.DeadlineExceeded) {
								t.Errorf("the error %v, want a session's or a context's", err)
							}
							continue
						}
						e.mu.Lock()
						end, made := e.ends[g.Bearer.Reveal()]
						e.mu.Unlock()
						if !made || time.Now().After(end) {
							t.Errorf("a token that ended at %v was handed out at %v", end, time.Now())
						}
						if below(20) == 0 {
							s.Refused(g)
						}
					}
				})
				if e.most != 1 {
					t.Errorf("%d asks in flight at once", e.most)
				}
			})
		})
	}
}

var _ auth.Source = (*auth.Session)(nil)
