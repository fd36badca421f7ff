package cloud_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/cloud"
	"volley/engine/emulator"
	"volley/engine/invoke"
)

// The emulator is another reading of PROTOCOL.md, which shares no code with
// this package. The suite lets every method ask it, and holds what we make of
// its answers against what it says it did.

// serve starts an emulator, and returns its base URL.
func serve(t *testing.T, c emulator.Config) (*emulator.Server, string) {
	t.Helper()
	s, err := emulator.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context(), ln, false) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, "http://" + ln.Addr().String()
}

// ask invokes a function by a method.
func ask(t *testing.T, c *invoke.Client, method, base string, change func(*engine.Invocation)) engine.Result {
	t.Helper()
	i := &engine.Invocation{
		Step: &engine.Invoke{Function: "fn", Target: &engine.Target{
			Method: how(t, method), Env: "env-1", Endpoint: base, Timeout: 5 * time.Second,
			Auth: grantOf(method),
		}},
		Scope: &engine.Scope{},
	}
	change(i)
	var r engine.Result
	c.Invoke(t.Context(), i, &r)
	return r
}

// how returns a method by its name in ways, which has those of every version.
func how(t *testing.T, name string) engine.Method {
	t.Helper()
	name, option, _ := strings.Cut(name, ":")
	if option == "keys" || option == "token" {
		option = ""
	}
	o := cloud.Options{SDK: option}
	if name == "mini-program" {
		o = cloud.Options{Form: option}
	}
	m, err := cloud.New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ways has every method, in every version and form, and with each kind of
// grant that makes another request.
func ways() []string {
	return []string{"http-api", "http-api:keys", "http-function", "http-function:keys", "web", "node-sdk", "node-sdk:2", "node-sdk:token",
		"web-sdk", "web-sdk:2", "web-sdk:1", "mini-program", "mini-program:body", "control-plane"}
}

// isBare reports whether a method's answers come without an envelope, so that
// failures have statuses of their own.
func isBare(way string) bool {
	for _, name := range []string{"http-api", "http-function", "web"} {
		if method, _, _ := strings.Cut(way, ":"); method == name {
			return true
		}
	}
	return way == "web-sdk"
}

func grantOf(way string) auth.Source {
	switch way {
	case "http-api:keys", "http-function:keys", "node-sdk", "node-sdk:2", "control-plane":
		return auth.Fixed{G: auth.Grant{Keys: auth.Keys{ID: auth.NewSecret("AKIDgood"), Key: auth.NewSecret("key")}}}
	}
	return auth.Fixed{G: auth.Grant{Bearer: auth.NewSecret("good")}}
}

func config(functions map[string]emulator.Function) emulator.Config {
	return emulator.Config{Env: "env-1", Functions: functions, Tokens: []string{"good"}, Keys: map[string]string{"AKIDgood": "key"}}
}

func client(t *testing.T) *invoke.Client {
	t.Helper()
	h, err := invoke.NewHTTP(invoke.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return &invoke.Client{Transport: h, Base: time.Now()}
}

func TestConformanceOutcomes(t *testing.T) {
	kinds := []emulator.ErrorKind{{Name: "", Outcome: "ok", Status: 200}}
	kinds = append(kinds, emulator.ErrorKinds()...)
	for _, way := range ways() {
		for _, kind := range kinds {
			t.Run(way+", "+kind.Name, func(t *testing.T) {
				t.Parallel()
				fn := emulator.Function{HTTP: strings.HasPrefix(way, "http-function"), Timeout: 20 * time.Millisecond}
				if kind.Name != "" {
					fn.Errors = map[string]float64{kind.Name: 1}
				}
				s, base := serve(t, config(map[string]emulator.Function{"fn": fn}))
				r := ask(t, client(t), way, base, func(i *engine.Invocation) {
					i.Data = []byte(`{"a":1}`)
					if kind.Outcome == "client_timeout" {
						i.Step.Target.Timeout = 100 * time.Millisecond
					}
				})
				if got := r.Reply.Outcome.String(); got != kind.Outcome {
					t.Errorf("outcome %s (%s, status %d, code %q, %q), want %s", got, r.Reply.Detail, r.Reply.Status, r.Reply.Code, r.Reply.Message, kind.Outcome)
				}
				answered := kind.Outcome != "client_timeout" && kind.Outcome != "network_error"
				if answered && isBare(way) && r.Reply.Status != kind.Status {
					t.Errorf("status %d, want %d", r.Reply.Status, kind.Status)
				}
				if r.Reply.RequestID == "" && answered && (isBare(way) || r.Reply.Code != "" && r.Reply.Outcome != engine.OK) {
					t.Error("no request id")
				}
				if r.Reply.TokenExpired != (kind.Name == "token_expired" && way != "control-plane") &&
					!(strings.HasPrefix(way, "mini-program") && kind.Name == "auth_failed") { // a superseded token, for all that WeChat says
					t.Errorf("token expired: %v", r.Reply.TokenExpired)
				}
				if answered && r.Reply.Outcome != engine.OK && r.Reply.Message == "" {
					t.Error("no message")
				}
				truth := s.Truth()
				if truth.Requests != 1 {
					t.Fatalf("the emulator saw %d requests, want 1", truth.Requests)
				}
				c := truth.Counts[0]
				if c.Outcome != kind.Outcome {
					t.Errorf("the emulator meant %s, we said %v", c.Outcome, r.Reply.Outcome)
				}
				if r.Reply.Code != "" && r.Reply.Code != c.Cause {
					t.Errorf("code %q, want %q", r.Reply.Code, c.Cause)
				}
			})
		}
	}
}

func TestConformanceRefusals(t *testing.T) {
	tests := []struct {
		name    string
		methods []string
		change  func(*engine.Invocation)
		want    engine.Outcome
		code    string
	}{
		{"no such function", []string{"http-api", "http-function"}, func(i *engine.Invocation) { i.Step.Function = "nobody" }, engine.Rejected, "FUNCTION_NOT_FOUND"},
		{"no such route", []string{"web"}, func(i *engine.Invocation) { i.Step.Function = "nobody" }, engine.Rejected, "INVALID_PATH"},
		{"no such version", []string{"http-api", "http-function"}, func(i *engine.Invocation) { i.Step.Target.Qualifier = "77" }, engine.Rejected, "FUNCTION_QUALIFIER_NOT_FOUND"},
		{"no token", []string{"http-api", "http-function", "web"}, func(i *engine.Invocation) { i.Step.Target.Auth = nil }, engine.AuthFailed, "MISSING_CREDENTIALS"},
		{"a wrong token", []string{"http-api", "http-function", "web"}, func(i *engine.Invocation) {
			i.Step.Target.Auth = auth.Fixed{G: auth.Grant{Bearer: auth.NewSecret("bad")}}
		}, engine.AuthFailed, "INVALID_CREDENTIALS"},
		{"a body above the limit", []string{"http-api", "http-function", "web"}, func(i *engine.Invocation) {
			i.Data = []byte(`{"a":"` + fmt.Sprintf("%03000d", 1) + `"}`)
		}, engine.Rejected, "EXCEED_MAX_PAYLOAD_SIZE"},
	}
	for _, tt := range tests {
		for _, method := range tt.methods {
			t.Run(method+": "+tt.name, func(t *testing.T) {
				_, base := serve(t, emulator.Config{MaxBody: 2000, Tokens: []string{"good"},
					Functions: map[string]emulator.Function{"fn": {HTTP: method == "http-function", WebAuth: true}}})
				r := ask(t, client(t), method, base, tt.change)
				if r.Reply.Outcome != tt.want || r.Reply.Code != tt.code || r.Reply.Message == "" || r.Reply.RequestID == "" {
					t.Errorf("%v %q %q, id %q; want %v %s", r.Reply.Outcome, r.Reply.Code, r.Reply.Message, r.Reply.RequestID, tt.want, tt.code)
				}
			})
		}
	}
}

// TestConformanceRequests holds what a function sees against what was asked.
func TestConformanceRequests(t *testing.T) {
	t.Run("http-api", func(t *testing.T) {
		_, base := serve(t, emulator.Config{Functions: map[string]emulator.Function{"fn": {
			Versions: map[string]emulator.Function{"3": {Reply: func(any) ([]byte, error) { return []byte("three"), nil }}},
		}}})
		c := client(t)
		r := ask(t, c, "http-api", base, func(i *engine.Invocation) { i.Data = []byte(`{"zh":"你好"}`) })
		if string(r.Reply.Body) != `{"zh":"你好"}` {
			t.Errorf("the function saw %s", r.Reply.Body)
		}
		if r = ask(t, c, "http-api", base, func(*engine.Invocation) {}); string(r.Reply.Body) != "{}" {
			t.Errorf("without data the function saw %s", r.Reply.Body)
		}
		if r = ask(t, c, "http-api", base, func(i *engine.Invocation) { i.Step.Target.Qualifier = "3" }); string(r.Reply.Body) != "three" {
			t.Errorf("version 3 said %s", r.Reply.Body)
		}
	})
	for _, tt := range []struct {
		name, method string
		change       func(*engine.Invocation)
		want         seen
	}{
		{"http-function", "http-function", func(i *engine.Invocation) {
			i.Step.HTTP = &engine.HTTP{Verb: "PUT"}
			i.Path, i.Query, i.Data = "/a%2Fb/ü", []engine.Field{{Name: "page", Value: "1 & 2"}}, []byte("x=1")
			i.Header = []engine.Field{{Name: "X-A", Value: "b"}}
		}, seen{"PUT", "/a/b/ü", "1 & 2", "b", "x=1"}},
		{"http-function, raw", "http-function", func(i *engine.Invocation) {
			i.Step.HTTP = &engine.HTTP{Raw: true}
			i.Data = []byte(`{"path":"/api/users","method":"GET"}`)
		}, seen{"POST", "/", "", "", `{"path":"/api/users","method":"GET"}`}},
		{"http-function, its root", "http-function", func(*engine.Invocation) {}, seen{"GET", "/", "", "", ""}},
		{"web", "web", func(i *engine.Invocation) {
			i.Step.HTTP = &engine.HTTP{Verb: "DELETE"}
			i.Path, i.Header = "/fn/x?page=7", []engine.Field{{Name: "x-a", Value: "b"}}
		}, seen{"DELETE", "/x", "7", "b", ""}},
		{"web, by the function's name", "web", func(i *engine.Invocation) { i.Data = []byte(`{"a":1}`) }, seen{"POST", "/", "", "", `{"a":1}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, base := serve(t, emulator.Config{Functions: map[string]emulator.Function{"fn": {HTTP: true}}})
			r := ask(t, client(t), tt.method, base, tt.change)
			var e struct {
				HTTPMethod string            `json:"httpMethod"`
				Path       string            `json:"path"`
				Headers    map[string]string `json:"headers"`
				Query      map[string]any    `json:"queryStringParameters"`
				Body       string            `json:"body"`
			}
			if err := json.Unmarshal(r.Reply.Body, &e); err != nil {
				t.Fatalf("%+v: %v", r.Reply, err)
			}
			got := seen{e.HTTPMethod, e.Path, "", e.Headers["x-a"], e.Body}
			if p, ok := e.Query["page"].(string); ok {
				got.page = p
			}
			if got != tt.want {
				t.Errorf("the function saw %+v, want %+v", got, tt.want)
			}
		})
	}
}

type seen struct{ verb, path, page, header, body string }
