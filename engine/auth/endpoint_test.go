package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"volley/engine/auth"
)

const (
	base = "https://e-1.api.tcloudbasegateway.com"
	env  = "e-1"
)

// An endpoint makes tokens in memory, and knows which of them it would take.
type endpoint struct {
	life  int           // seconds
	takes time.Duration // until it replies
	say   func(n int, q *auth.Ask) (*auth.Answer, error)

	mu      sync.Mutex
	asks    []*auth.Ask
	under   int // asks in flight
	most    int
	refresh string               // the only refresh token that it takes
	ends    map[string]time.Time // by access token
}

func (e *endpoint) ask(ctx context.Context, q *auth.Ask) (*auth.Answer, error) {
	e.mu.Lock()
	e.asks = append(e.asks, q)
	n := len(e.asks)
	e.under++
	e.most = max(e.most, e.under)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.under--
		e.mu.Unlock()
	}()
	select {
	case <-time.After(e.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if e.say != nil {
		if a, err := e.say(n, q); a != nil || err != nil {
			return a, err
		}
	}
	return e.token(n, q), nil
}

// token makes a token for who may have one. A refresh spends its token.
func (e *endpoint) token(n int, q *auth.Ask) *auth.Answer {
	e.mu.Lock()
	defer e.mu.Unlock()
	if strings.HasSuffix(q.URL, "/auth/v1/token") {
		var body struct {
			RefreshToken string `json:"refresh_token"`
		}
		if err := json.Unmarshal(q.Body, &body); err != nil || body.RefreshToken != e.refresh {
			return answer(400, `{"error":"unauthorized_client","error_code":16,"error_description":"no such refresh token"}`)
		}
	}
	e.refresh = fmt.Sprint("refresh-", n)
	access := fmt.Sprint("access-", n)
	if e.ends == nil {
		e.ends = map[string]time.Time{}
	}
	e.ends[access] = time.Now().Add(time.Duration(e.life) * time.Second)
	return answer(200, `{"token_type":"Bearer","access_token":%q,"refresh_token":%q,"expires_in":%d}`, access, e.refresh, e.life)
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.asks)
}

func (e *endpoint) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asks = nil
}

func answer(status int, format string, args ...any) *auth.Answer {
	return &auth.Answer{Status: status, Body: fmt.Appendf(nil, format, args...)}
}

// grant wants a token of s, by e.
func grant(t *testing.T, s *auth.Session, e *endpoint) string {
	t.Helper()
	g, err := s.Grant(t.Context(), e.ask)
	if err != nil {
		t.Fatalf("no token: %v", err)
	}
	return g.Bearer.Reveal()
}

// refusal wants an error of s that ends it, by e.
func refusal(t *testing.T, s *auth.Session, e *endpoint) *auth.Error {
	t.Helper()
	g, err := s.Grant(t.Context(), e.ask)
	failed, ok := errors.AsType[*auth.Error](err)
	if !ok || !failed.Fatal || failed.What == "" || failed.Cure == "" {
		t.Fatalf("a grant of %q and the error %#v, want one that is fatal and names its cure", g.Bearer.Reveal(), err)
	}
	asked := e.count()
	if _, again := s.Grant(t.Context(), e.ask); again != err || e.count() != asked {
		t.Errorf("the next Grant asked %d times and gave %v, want the same error at once", e.count()-asked, again)
	}
	if s.Refused(g) {
		t.Error("a session that has failed says that it can give another token")
	}
	return failed
}

func bearer(text string) auth.Grant { return auth.Grant{Bearer: auth.NewSecret(text)} }

// all runs n callers at once and waits for them.
func all(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}
