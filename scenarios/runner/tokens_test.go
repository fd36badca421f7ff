package runner_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"volley/engine/emulator"
	"volley/scenarios/runner"
)

// A tollgate is an emulator that counts who asks for tokens and whose token is
// refused. It can call tokens longer-lived than they are, and refuse to give
// out more.
type tollgate struct {
	server *emulator.Server
	claim  string // the expires_in of tokens; "": what they live

	mu      sync.Mutex
	asks    int
	refusal string          // the reply to who asks for a token; "": the emulator's own
	hang    chan struct{}   // who asks for a token gets no reply until it is closed; nil: at once
	refused map[string]bool // tokens that were too old for an invocation
	turned  int64           // invocations that had one of those
	last    time.Time       // when the last reply to an ask went out
}

func newTollgate(t *testing.T, c emulator.Config, claim string) (*tollgate, string) {
	t.Helper()
	server, err := emulator.New(c)
	if err != nil {
		t.Fatal(err)
	}
	g := &tollgate{server: server, claim: claim, refused: map[string]bool{}}
	served := httptest.NewServer(g)
	t.Cleanup(func() {
		served.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return g, served.URL
}

func (g *tollgate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/auth/") {
		g.asked(w, r)
		return
	}
	s := &statusWriter{ResponseWriter: w}
	g.server.ServeHTTP(s, r)
	if s.status == http.StatusUnauthorized || s.status == http.StatusForbidden {
		g.mu.Lock()
		g.refused[r.Header.Get("Authorization")] = true
		g.turned++
		g.mu.Unlock()
	}
}

func (g *tollgate) asked(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.asks++
	refusal, hang := g.refusal, g.hang
	g.mu.Unlock()
	if hang != nil {
		<-hang
	}
	got := httptest.NewRecorder()
	if refusal != "" {
		got.WriteHeader(http.StatusBadRequest)
		got.Body.WriteString(refusal)
	} else {
		g.server.ServeHTTP(got, r)
	}
	body := got.Body.Bytes()
	if _, rest, ok := bytes.Cut(body, []byte(`"expires_in":`)); ok && g.claim != "" {
		rest = bytes.TrimLeft(rest, "0123456789 ")
		body = fmt.Appendf(nil, `%s"expires_in":%s%s`, body[:bytes.Index(body, []byte(`"expires_in":`))], g.claim, rest)
	}
	w.WriteHeader(got.Code)
	_, _ = w.Write(body)
	g.mu.Lock()
	g.last = time.Now()
	g.mu.Unlock()
}

// refuse has all who ask for a token refused from now on.
func (g *tollgate) refuse(reply string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refusal = reply
}

// A statusWriter remembers the status of a reply. A refusal takes its time, so
// that all who use the same token have asked by then.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		time.Sleep(300 * time.Millisecond)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hello is a function that takes so long.
func hello(took time.Duration) map[string]emulator.Function {
	return map[string]emulator.Function{"hello": {Latency: emulator.Latency{P50: took}}}
}

// Five hundred callers meet a token that has run out before its time: each is
// refused once, one asks for another token, and nobody fails. A token whose end
// is known is replaced before anybody is refused.
func TestOneRefreshServesAll(t *testing.T) {
	tests := []struct {
		name  string
		auth  string
		life  time.Duration
		claim string
		lasts time.Duration
		ends  int // tokens that end before they were said to, at least
	}{
		{"signed in by password, and refused", `{username: "${NAME}", password: "${PASS}"`, 1300 * time.Millisecond, "4", 3500 * time.Millisecond, 2},
		{"anonymous, and refused", "{anonymous: true", 1300 * time.Millisecond, "4", 2 * time.Second, 1},
		{"replaced early", "{anonymous: true", 2 * time.Second, "", 2500 * time.Millisecond, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g, at := newTollgate(t, emulator.Config{Functions: hello(200 * time.Millisecond), TokenLife: tt.life, Users: map[string]string{"somebody": "pass"}}, tt.claim)
			d, err := launch(t, fmt.Sprintf("target: {env: my-env, endpoint: %q, auth: %s, endpoint: %q}, timeout: 20s}\nload: {workers: 500, for: %v}\nsteps: [{invoke: hello}]\n", at, tt.auth, at, tt.lasts),
				map[string]string{"NAME": "somebody", "PASS": "pass"}, nil)
			g.mu.Lock()
			defer g.mu.Unlock()
			if n := d.Total.Outcomes["ok"]; n != d.Total.Count || n < 500 || d.ExitCode == 115 {
				t.Fatalf("%d of %d invocations ok, exit code %d, %v: %v", n, d.Total.Count, d.ExitCode, err, d.Total.Outcomes)
			}
			if tt.ends == 0 {
				if g.turned != 0 || d.Total.Renewed != 0 || g.asks < 3 || g.asks > 6 {
					t.Errorf("%d refused, %d renewed, tokens asked for %d times; want nobody refused, and a token each second", g.turned, d.Total.Renewed, g.asks)
				}
				return
			}
			if len(g.refused) < tt.ends || g.asks != 1+len(g.refused) {
				t.Errorf("%d tokens ran out, and tokens were asked for %d times; want %d at least, and once for each and at the start", len(g.refused), g.asks, tt.ends)
			}
			// On a busy machine some come only when there is another token already.
			if g.turned < 200 || d.Total.Renewed != g.turned || d.Total.Statuses["200"] != d.Total.Count {
				t.Errorf("%d refused, %d renewed; want each refused once: statuses %v", g.turned, d.Total.Renewed, d.Total.Statuses)
			}
		})
	}
}

// A gateway that takes good tokens for old ones now and then costs an attempt
// more, or the invocation, but not the run, and not a new token each time.
func TestGoodTokensRefusedNowAndThen(t *testing.T) {
	t.Parallel()
	hello := emulator.Function{Errors: map[string]float64{"token_expired": 0.05}, Latency: emulator.Latency{P50: 5 * time.Millisecond}}
	g, at := newTollgate(t, emulator.Config{Functions: map[string]emulator.Function{"hello": hello}}, "")
	d, err := launch(t, fmt.Sprintf("target: {env: my-env, endpoint: %q, auth: {anonymous: true, endpoint: %q}}\nload: {workers: 20, for: 1500ms}\nsteps: [{invoke: hello, continue: true}]\n", at, at), nil, nil)
	g.mu.Lock()
	defer g.mu.Unlock()
	if d.Ended != "" || d.ExitCode == 115 || d.Total.Renewed < 5 || d.Total.Outcomes["ok"] < 20*d.Total.Outcomes["auth_failed"] {
		t.Errorf("ended %q, %v; %d renewed, outcomes %v", d.Ended, err, d.Total.Renewed, d.Total.Outcomes)
	}
	if g.asks > 5 {
		t.Errorf("%d tokens asked for in a second and a half", g.asks)
	}
}

// How invocations are sent has nothing to do with how tokens are asked for:
// where these are made may speak another protocol, and the one connection that
// a scenario allows is not theirs to wait for.
func TestTokensHaveConnectionsOfTheirOwn(t *testing.T) {
	g, at := newTollgate(t, emulator.Config{Functions: hello(50 * time.Millisecond)}, "")
	var both http.Protocols
	both.SetUnencryptedHTTP2(true)
	var opened atomic.Int64
	fast := httptest.NewUnstartedServer(g)
	fast.Config.Protocols = &both
	fast.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	fast.Start()
	defer fast.Close()
	d, err := launch(t, fmt.Sprintf("target: {env: my-env, endpoint: %q, protocol: h2, connections: 1, auth: {anonymous: true, endpoint: %q}}\nload: {workers: 20, iterations: 100}\nsteps: [{invoke: hello}]\n", fast.URL, at), nil, nil)
	if d.Ended != "" || d.Total.Outcomes["ok"] != 100 || opened.Load() != 1 {
		t.Errorf("outcomes %v over %d connections, ended %q, %v", d.Total.Outcomes, opened.Load(), d.Ended, err)
	}
}

// A run that gets no more tokens ends at once, whatever is still on its way or
// pauses, and says why, once.
func TestRefusedRefreshEndsTheRun(t *testing.T) {
	t.Parallel()
	g, at := newTollgate(t, emulator.Config{Functions: hello(100 * time.Millisecond), TokenLife: 1300 * time.Millisecond}, "4")
	stop := time.AfterFunc(time.Second, func() {
		g.refuse(`{"error":"permission_denied","error_code":7,"error_description":"the user is gone"}`)
	})
	defer stop.Stop()
	d, err := launch(t, fmt.Sprintf("target: {env: my-env, endpoint: %q, auth: {anonymous: true, endpoint: %q}, timeout: 20s}\nload: {workers: 500, for: 30s, graceful_stop: 30s}\n"+
		"steps: [{invoke: hello}, {pick: [{weight: 9, steps: [{pause: 100ms}]}, {weight: 1, steps: [{pause: 20s}]}]}]\n", at, at), nil, nil)
	g.mu.Lock()
	defer g.mu.Unlock()
	// A second, and as much for a machine that has other things to do.
	if took := time.Since(g.last); took > 2*time.Second {
		t.Errorf("the run went on for %v after the refusal", took)
	}
	exit, ok := errors.AsType[runner.ExitError](err)
	if !ok || exit.Code != 115 || d.ExitCode != 115 {
		t.Fatalf("exit code %d, error %v; want 115", d.ExitCode, err)
	}
	for where, text := range map[string]string{"the report": d.Ended, "the error": exit.Err.Error()} {
		if strings.Count(text, "the user is gone") != 1 || !strings.Contains(text, "permission_denied") {
			t.Errorf("%s says %q, want why, once", where, text)
		}
	}
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](exit.Err); !ok || h.Hint() == "" {
		t.Errorf("%v names no cure", err)
	}
	if d.Total.Outcomes["ok"] == 0 || d.Total.Outcomes["auth_failed"] == 0 || g.asks > 3 {
		t.Errorf("outcomes %v, tokens asked for %d times", d.Total.Outcomes, g.asks)
	}
}

// Credentials that are wrong from the start end a run before it begins. That
// it has made nothing of its rows is no reason of its own.
func TestNoCredentialsNoRun(t *testing.T) {
	for _, refusal := range []string{`{"error":"permission_denied","error_description":"not you"}`, `{"error":"invalid_password","error_description":"not you"}`} {
		g, at := newTollgate(t, emulator.Config{Functions: hello(0)}, "")
		g.refuse(refusal)
		rows := filepath.Join(t.TempDir(), "rows.jsonl")
		if err := os.WriteFile(rows, []byte("{\"a\":1}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := launch(t, fmt.Sprintf("target: {env: my-env, endpoint: %q, auth: {anonymous: true, endpoint: %q}}\ndata: {file: %q}\nload: {workers: 5, for: 30s}\nsteps: [{invoke: hello}]\n", at, at, rows), nil, nil)
		if d.ExitCode != 115 || !strings.Contains(d.Ended, "not you") || d.Total.Count != 0 || err == nil || strings.Contains(err.Error(), "rows") {
			t.Errorf("exit code %d, ended %q, %d invocations, error %v", d.ExitCode, d.Ended, d.Total.Count, err)
		}
	}
}

// Whoever asks a run to stop does not wait for a sign-in that hangs, or for a
// refresh: not at the start, and not in the middle.
func TestStopWhileTokensAreAskedFor(t *testing.T) {
	tests := []struct {
		name  string
		hangs time.Duration // from when on
		stop  time.Duration
		sent  bool
	}{
		{"at the start", 0, 300 * time.Millisecond, false},
		{"in the middle", 300 * time.Millisecond, 1500 * time.Millisecond, true}, // by then the token has run out, and all wait for another
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g, at := newTollgate(t, emulator.Config{Functions: hello(20 * time.Millisecond), TokenLife: time.Second}, "")
			over := make(chan struct{})
			defer close(over)
			hang := func() {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.hang = over
			}
			if tt.hangs == 0 {
				hang()
			} else {
				defer time.AfterFunc(tt.hangs, hang).Stop()
			}
			stop := make(chan struct{})
			var asked time.Time
			defer time.AfterFunc(tt.stop, func() { asked = time.Now(); close(stop) }).Stop()
			d, err := launch(t, fmt.Sprintf("target: {env: my-env, endpoint: %q, auth: {anonymous: true, endpoint: %q}, timeout: 20s}\nload: {workers: 20, for: 30s, graceful_stop: 1s}\nsteps: [{invoke: hello}]\n", at, at),
				nil, nil, func(p *runner.Process) { p.Stop = stop })
			if took := time.Since(asked); took > 4*time.Second { // a second for what is under way, and one for the reply
				t.Errorf("it went on for %v", took)
			}
			if exit, ok := errors.AsType[runner.ExitError](err); !ok || exit.Code != 105 || exit.Err != nil {
				t.Errorf("it ended with %v, want exit code 105", err)
			}
			if d.ExitCode != 105 || d.Ended != "somebody asked it to stop" || (d.Total.Outcomes["ok"] > 0) != tt.sent || d.Total.Outcomes["auth_failed"] != 0 {
				t.Errorf("exit code %d, ended %q, outcomes %v", d.ExitCode, d.Ended, d.Total.Outcomes)
			}
		})
	}
}
