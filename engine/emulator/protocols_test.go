package emulator

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine/auth"
)

var ids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// A row is a request of a protocol, what it is answered, and what the truth
// says of it.
type row struct {
	name    string
	line    string // method and URL
	headers []string
	body    string
	status  int
	want    string // the body, its request ids written as ID
	truth   string // function|qualifier|outcome|cause
}

func (tt row) check(t *testing.T, c Config) {
	t.Helper()
	t.Run(tt.name, func(t *testing.T) {
		s := start(t, c)
		res := ask(s, request(tt.line, tt.body, tt.headers...))
		if body := ids.ReplaceAllString(text(t, res), "ID"); res.StatusCode != tt.status || body != tt.want {
			t.Errorf("status %d, body %s\nwant %d, %s", res.StatusCode, body, tt.status, tt.want)
		}
		if got := res.Header.Get("X-Cloudbase-Upstream-Type"); got != "" && tt.status == 200 {
			t.Errorf("it has a header of the gateway's: %s", got)
		}
		if tt.truth != "" {
			if got, want := told(s), tt.truth+"|"+strconv.Itoa(tt.status); got != want {
				t.Errorf("the truth says %s, want %s", got, want)
			}
		}
	})
}

// told is the truth of a server, a line for each way that requests ended.
func told(s *Server) string {
	var lines []string
	for _, c := range s.Truth().Counts {
		lines = append(lines, strings.Join([]string{c.Function, c.Qualifier, c.Outcome, c.Cause, strconv.Itoa(c.Status)}, "|"))
	}
	return strings.Join(lines, "\n")
}

// land is what the protocols' tests are made in.
func land() Config {
	return Config{
		Env:     "env-1",
		Tokens:  []string{"t0"},
		Origins: []string{"https://app.example"},
		MaxBody: 1000,
		Apps:    map[string]string{"wx1": "app-secret"},
		Users:   map[string]string{"user1": "password1"},
		Functions: map[string]Function{
			"echo":  {Versions: map[string]Function{"3": {Reply: reply(`"three"`)}}},
			"split": {Reply: reply("1"), Versions: map[string]Function{"$DEFAULT": {Reply: reply("2")}}},
			"says":  {Reply: reply("Hello fn")},
			"fails": {Reply: func(any) ([]byte, error) { return nil, errors.New(`no "luck"`) }},
			"big":   {Reply: reply(strings.Repeat("x", 1001))},
			"site":  {HTTP: true},
		},
	}
}

// Each error is told by each protocol in its own words, and means the same.
func TestErrorsInAllProtocols(t *testing.T) {
	type words struct{ admin, wechat, cloud string } // code, errcode, code of an Error or status of a RetMsg
	wants := map[string]words{
		"function_error":   {codeFailed, "-504002", "430"},
		"memory_limit":     {codeMemory, "-504002", "434"},
		"function_timeout": {codeTimeLimit, "-504003", "433"},
		"throttled":        {codeRate, "-501003", "RequestLimitExceeded"},
		"platform_error":   {codeSystem, "-501001", "InternalError"},
		"auth_failed":      {codeCredentials, "40001", "AuthFailure.SignatureFailure"},
		"token_expired":    {codeExpired, "42001", "AuthFailure.TokenFailure"},
		"forbidden":        {codeAuthority, "-501023", "AuthFailure.UnauthorizedOperation"},
		"rejected":         {codeParam, "-501007", "InvalidParameterValue"},
		"port_unreachable": {codeParam, "-501007", "443"},
		"gateway_timeout":  {},
		"bad_gateway":      {},
		"reset":            {},
		"close":            {},
		"half_reply":       {},
		"slow_headers":     {},
		"endless_body":     {},
	}
	for _, kind := range ErrorKinds() {
		want, ok := wants[kind.Name]
		if !ok {
			t.Errorf("%s is not tested", kind.Name)
		}
		for protocol, tt := range map[string]struct {
			ask  func() *http.Request
			code string
			form string // around the code
		}{
			"admin":  {func() *http.Request { return adminCall("fn", "", "") }, want.admin, `{"code":"%","message":"`},
			"web":    {func() *http.Request { return webCall("fn", "t0", "") }, want.admin, `{"code":"%","message":"`},
			"wechat": {func() *http.Request { return request("POST "+wechatURL+"name=fn", "{}") }, want.wechat, `{"errcode":%,"errmsg":"`},
			"cloud":  {func() *http.Request { return signedCloud(time.Now(), "Invoke", `{"FunctionName":"fn"}`) }, want.cloud, `%`},
		} {
			t.Run(kind.Name+" by "+protocol, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := start(t, Config{Functions: map[string]Function{"fn": {Errors: map[string]float64{kind.Name: 1}, Reply: reply(`"a reply"`)}}})
					w := httptest.NewRecorder()
					func() {
						defer func() {
							if p := recover(); p != nil && p != http.ErrAbortHandler {
								panic(p)
							}
						}()
						ctx, cancel := context.WithTimeout(t.Context(), 3100*ms) // faults last until the client leaves
						defer cancel()
						s.ServeHTTP(w, tt.ask().WithContext(ctx))
					}()
					body := w.Body.String()
					counts := s.Truth().Counts
					if len(counts) != 1 || counts[0].Outcome != kind.Outcome || counts[0].Function != "fn" {
						t.Fatalf("the truth says %+v, want %s", counts, kind.Outcome)
					}
					if tt.code == "" { // no answer of the protocol's
						if counts[0].Status != kind.Status || counts[0].Cause != kind.Name {
							t.Errorf("the truth says %+v, want %d for %s", counts, kind.Status, kind.Name)
						}
						return
					}
					shape := tt.form
					if protocol == "cloud" {
						shape = `{"Response":{"Error":{"Code":"%","Message":"`
						if _, err := strconv.Atoi(tt.code); err == nil {
							shape = `\"statusCode\":%}`
						}
					}
					if wantText := strings.Replace(shape, "%", tt.code, 1); w.Code != 200 || !strings.Contains(body, wantText) {
						t.Errorf("status %d, body %s\nwant 200 with %s", w.Code, body, wantText)
					}
					if c := counts[0]; c.Status != 200 || c.Cause != tt.code {
						t.Errorf("the truth says %+v, want 200 for %s", c, tt.code)
					}
				})
			})
		}
	}
}

// Quotas of the platform reject in the words of each protocol.
func TestQuotasInAllProtocols(t *testing.T) {
	for name, f := range map[string]Function{"432": {Concurrency: 1, Latency: Latency{P50: time.Second}}, "429": {Burst: 1, Latency: Latency{P50: time.Second}}} {
		for protocol, tt := range map[string]struct {
			ask  func() *http.Request
			want string
		}{
			"admin":  {func() *http.Request { return adminCall("fn", "", "") }, codeResources},
			"web":    {func() *http.Request { return webCall("fn", "t0", "") }, codeResources},
			"wechat": {func() *http.Request { return request("POST "+wechatURL+"name=fn", "{}") }, "-501004"},
			"cloud":  {func() *http.Request { return signedCloud(time.Now(), "Invoke", `{"FunctionName":"fn"}`) }, name},
		} {
			t.Run(name+" by "+protocol, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := start(t, Config{Functions: map[string]Function{"fn": f}})
					go ask(s, tt.ask())
					time.Sleep(time.Millisecond)
					second := text(t, ask(s, tt.ask()))
					time.Sleep(time.Second)
					if !strings.Contains(second, tt.want) || !strings.Contains(told(s), "|throttled|"+tt.want+"|200") || !strings.Contains(told(s), "|ok||200") {
						t.Errorf("the second was answered %s, and the truth says\n%s\nwant %s", second, told(s), tt.want)
					}
				})
			})
		}
	}
}

// By no protocol does a function take longer, or shorter, than by /v1.
func TestTimesInAllProtocols(t *testing.T) {
	f := Function{Latency: Latency{P50: 100 * ms}, ColdStart: 400 * ms, Stall: Stall{Every: 10 * time.Second, For: 2 * time.Second}}
	for protocol, next := range map[string]func() *http.Request{
		"gateway": func() *http.Request { return request("POST /v1/functions/fn", "{}", token) },
		"admin":   func() *http.Request { return adminCall("fn", "", "") },
		"web":     func() *http.Request { return webCall("fn", "t0", "") },
		"wechat":  func() *http.Request { return request("POST "+wechatURL+"name=fn", "{}") },
		"cloud":   func() *http.Request { return signedCloud(time.Now(), "Invoke", `{"FunctionName":"fn"}`) },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, Config{Functions: map[string]Function{"fn": f}})
			for i, want := range []time.Duration{500 * ms, 100 * ms, 1500 * ms} {
				if i == 2 {
					time.Sleep(8500*ms - s.now())
				}
				begin := time.Now()
				ask(s, next())
				if took := time.Since(begin); took != want {
					t.Errorf("%s: request %d took %v, want %v", protocol, i, took, want)
				}
			}
			if c := s.Truth().Counts; len(c) != 1 || c[0].Cold != 1 || c[0].Requests != 3 {
				t.Errorf("%s: the truth says %+v, want 3 requests, 1 of them cold", protocol, c)
			}
		})
	}
}

// openKeys are the keys that every emulator knows that was given none.
func openKeys() auth.Keys {
	id, key := OpenKeys()
	return auth.Keys{ID: auth.NewSecret(id), Key: auth.NewSecret(key)}
}
