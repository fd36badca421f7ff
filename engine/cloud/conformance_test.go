package cloud_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
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

// TestConformanceRefusals asks for what there is not, or with what is not good.
// Codes are in the words of the protocol that the method speaks.
func TestConformanceRefusals(t *testing.T) {
	const missing, version, large = "FUNCTION_NOT_FOUND", "FUNCTION_QUALIFIER_NOT_FOUND", "EXCEED_MAX_PAYLOAD_SIZE"
	bad := func(i *engine.Invocation) {
		i.Step.Target.Auth = auth.Fixed{G: auth.Grant{Bearer: auth.NewSecret("bad")}}
	}
	forged := func(i *engine.Invocation) {
		i.Step.Target.Auth = auth.Fixed{G: auth.Grant{Keys: auth.Keys{ID: auth.NewSecret("AKIDgood"), Key: auth.NewSecret("bad")}}}
	}
	nobody := func(i *engine.Invocation) { i.Step.Function = "nobody" }
	other := func(i *engine.Invocation) { i.Step.Target.Qualifier = "77" }
	long := func(i *engine.Invocation) { i.Data = []byte(`{"a":"` + fmt.Sprintf("%03000d", 1) + `"}`) }
	none := func(i *engine.Invocation) { i.Step.Target.Auth = nil }
	wechat, library := []string{"mini-program", "mini-program:body"}, []string{"node-sdk", "node-sdk:2", "node-sdk:token", "web-sdk:2", "web-sdk:1"}
	gate := []string{"http-api", "http-api:keys", "http-function", "http-function:keys", "web-sdk"}
	tests := []struct {
		name   string
		ways   []string
		change func(*engine.Invocation)
		want   engine.Outcome
		code   string
	}{
		{"no such function", append(gate, library...), nobody, engine.Rejected, missing},
		{"no such function", wechat, nobody, engine.Rejected, "-501000"},
		{"no such function", []string{"control-plane"}, nobody, engine.Rejected, "ResourceNotFound.Function"},
		{"no such route", []string{"web"}, nobody, engine.Rejected, "INVALID_PATH"},
		{"no such version", append(gate, library[:3]...), other, engine.Rejected, version},
		{"no such version", []string{"control-plane"}, other, engine.Rejected, "ResourceNotFound.Qualifier"},
		{"no token", []string{"http-api", "http-function", "web"}, none, engine.AuthFailed, "MISSING_CREDENTIALS"},
		{"a wrong token", []string{"http-api", "http-function", "web", "web-sdk", "node-sdk:token"}, bad, engine.AuthFailed, "INVALID_CREDENTIALS"},
		{"a wrong token", []string{"web-sdk:2", "web-sdk:1"}, bad, engine.AuthFailed, "CHECK_LOGIN_FAILED"},
		{"a wrong token", wechat, bad, engine.AuthFailed, "40001"},
		{"a wrong key", []string{"node-sdk", "node-sdk:2", "http-api:keys", "http-function:keys"}, forged, engine.AuthFailed, "SIGN_PARAM_INVALID"},
		{"a wrong key", []string{"control-plane"}, forged, engine.AuthFailed, "AuthFailure.SignatureFailure"},
		{"a body above the limit", append(append(gate, "web"), library...), long, engine.Rejected, large},
		{"a body above the limit", wechat, long, engine.Rejected, "45002"},
		{"a body above the limit", []string{"control-plane"}, long, engine.Rejected, "RequestSizeLimitExceeded"},
	}
	for _, tt := range tests {
		for _, way := range tt.ways {
			t.Run(way+": "+tt.name, func(t *testing.T) {
				c := config(map[string]emulator.Function{"fn": {HTTP: strings.HasPrefix(way, "http-function"), WebAuth: true}})
				c.MaxBody = 2000
				_, base := serve(t, c)
				r := ask(t, client(t), way, base, tt.change)
				if r.Reply.Outcome != tt.want || r.Reply.Code != tt.code || r.Reply.Message == "" || r.Reply.RequestID == "" {
					t.Errorf("%v %q %q, id %q; want %v %s", r.Reply.Outcome, r.Reply.Code, r.Reply.Message, r.Reply.RequestID, tt.want, tt.code)
				}
			})
		}
	}
}

// echo answers with the event, and an HTTP function with the request's body.
func echo(event any) ([]byte, error) {
	if e, ok := event.(map[string]any); ok && e["httpMethod"] != nil {
		text, _ := e["body"].(string)
		return []byte(text), nil
	}
	return json.Marshal(event)
}

// TestConformanceEvents holds what a function gets and what comes back of its
// answer, whatever lies around them on the way.
func TestConformanceEvents(t *testing.T) {
	for _, way := range ways() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			fn := emulator.Function{HTTP: strings.HasPrefix(way, "http-function") || way == "web", Reply: echo,
				Versions: map[string]emulator.Function{"3": {Reply: func(any) ([]byte, error) { return []byte("three: \"<你>\""), nil }}}}
			_, base := serve(t, config(map[string]emulator.Function{"fn": fn}))
			c := client(t)
			send := func(data string) engine.Reply {
				return ask(t, c, way, base, func(i *engine.Invocation) { i.Data = []byte(data) }).Reply
			}
			for _, event := range []string{`{"a":1}`, `{"zh":"你好","😀":"<&>  \u0001\"\\\\\n"}`} {
				r := send(event)
				if r.Outcome != engine.OK || !sameJSON(t, string(r.Body), event) {
					t.Errorf("%s came back as %v (%q %q), %s", event, r.Outcome, r.Code, r.Message, r.Body)
				}
			}
			empty := "{}"
			if fn.HTTP {
				empty = ""
			}
			if r := send(""); r.Outcome != engine.OK || string(r.Body) != empty {
				t.Errorf("no data came back as %v (%q), %q", r.Outcome, r.Message, r.Body)
			}
			switch way {
			case "web", "web-sdk:2", "web-sdk:1", "mini-program", "mini-program:body":
				return // they know no versions
			}
			r := ask(t, c, way, base, func(i *engine.Invocation) { i.Step.Target.Qualifier = "3" })
			if string(r.Reply.Body) != "three: \"<你>\"" {
				t.Errorf("version 3 is %v (%q), %q", r.Reply.Outcome, r.Reply.Message, r.Reply.Body)
			}
		})
	}
}

// TestConformanceLarge sends and gets back as much as the platform takes
// (PROTOCOL.md 7.1), once for each kind of envelope.
func TestConformanceLarge(t *testing.T) {
	large := `{"a":"你\"\\` + strings.Repeat("0123456789", (6<<20-1<<10)/10) + `"}`
	for _, way := range []string{"http-api", "http-function", "web", "node-sdk", "web-sdk", "web-sdk:2", "mini-program", "mini-program:body", "control-plane"} {
		t.Run(way, func(t *testing.T) {
			fn := emulator.Function{HTTP: way == "http-function" || way == "web", Reply: echo}
			_, base := serve(t, config(map[string]emulator.Function{"fn": fn}))
			r := ask(t, client(t), way, base, func(i *engine.Invocation) {
				i.Data, i.Step.Target.Timeout = []byte(large), time.Minute
			}).Reply
			if r.Outcome != engine.OK || string(r.Body) != large {
				t.Errorf("%v (%q %q), %.60s (%d bytes of %d)", r.Outcome, r.Code, r.Message, r.Body, len(r.Body), len(large))
			}
		})
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// TestConformanceServerSide holds what is said of the function's side against
// what the emulator did.
func TestConformanceServerSide(t *testing.T) {
	for _, way := range ways() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			fn := emulator.Function{HTTP: strings.HasPrefix(way, "http-function"), Latency: emulator.Latency{P50: 20 * time.Millisecond},
				ColdStart: 10 * time.Millisecond, Memory: 256 << 20, MemoryUsed: 26 << 20}
			_, base := serve(t, config(map[string]emulator.Function{"fn": fn}))
			c := client(t)
			cold := ask(t, c, way, base, func(*engine.Invocation) {})
			warm := ask(t, c, way, base, func(*engine.Invocation) {})
			for _, r := range []engine.Result{cold, warm} {
				s := r.Reply.Server
				if isBare(way) && (!s.Timed || s.Duration < 20*time.Millisecond || s.Duration > r.Reply.Took) {
					t.Errorf("%+v, where the function took 20ms and all of it %v", s, r.Reply.Took)
				}
				if way == "control-plane" && (!s.Timed || s.Duration < 20*time.Millisecond || s.Duration > r.Reply.Took || s.Billed < s.Duration || s.MemoryBytes != 26<<20) {
					t.Errorf("%+v, where the function took 20ms and all of it %v", s, r.Reply.Took)
				}
			}
			want := [2]engine.Answer{}
			if way == "control-plane" {
				want = [2]engine.Answer{engine.Yes, engine.No}
			}
			if got := [2]engine.Answer{cold.Reply.Server.Cold, warm.Reply.Server.Cold}; got != want {
				t.Errorf("cold: %v, want %v", got, want)
			}
		})
	}
}

// wrap puts a function's answer into what lies around it on a way.
func wrap(way, answer string) string {
	text, _ := json.Marshal(answer)
	name, _, _ := strings.Cut(way, ":")
	switch {
	case isBare(way):
		return answer
	case name == "mini-program":
		return `{"errcode":0,"errmsg":"ok","resp_data":` + string(text) + `}`
	case name == "control-plane":
		return `{"Response":{"Result":{"InvokeResult":0,"RetMsg":` + string(text) + `},"RequestId":"r"}}`
	}
	return `{"requestId":"r","data":{"response_data":` + string(text) + `}}`
}

// TestConformanceReplies scripts what the emulator does not do: replies that
// are malformed, late, packed, or somewhere else.
func TestConformanceReplies(t *testing.T) {
	write := func(status int, body string) func(http.ResponseWriter, *http.Request, string) {
		return func(w http.ResponseWriter, _ *http.Request, _ string) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	slow := func(w http.ResponseWriter, _ *http.Request, good string) {
		for _, part := range []string{good[:3], good[3:]} {
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(40 * time.Millisecond)
		}
	}
	cut := func(w http.ResponseWriter, _ *http.Request, good string) {
		w.Header().Set("Content-Length", strconv.Itoa(len(good)))
		_, _ = io.WriteString(w, good[:3])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	away := func(w http.ResponseWriter, r *http.Request, good string) {
		if !strings.HasPrefix(r.URL.Path, "/there") {
			http.Redirect(w, r, "/there"+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, good)
	}
	packed := func(w http.ResponseWriter, r *http.Request, good string) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			_, _ = io.WriteString(w, "no gzip was asked for")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, good)
		_ = z.Close()
	}
	asks := func(i *engine.Invocation) { i.Header = []engine.Field{{Name: "Accept-Encoding", Value: "gzip"}} }
	none := func(*engine.Invocation) {}
	tests := []struct {
		name      string
		script    func(w http.ResponseWriter, r *http.Request, good string)
		change    func(*engine.Invocation)
		bare, env engine.Outcome // without an envelope, and with one
		answer    string         // of the function, where all is well
	}{
		{"an answer", func(w http.ResponseWriter, _ *http.Request, good string) { _, _ = io.WriteString(w, good) }, none, engine.OK, engine.OK, `{"zh":"你好"}`},
		{"an empty body", write(200, ""), none, engine.OK, engine.PlatformError, ""},
		{"null", write(200, "null"), none, engine.OK, engine.PlatformError, ""},
		{"a page", write(200, "<html>hi</html>"), none, engine.OK, engine.PlatformError, ""},
		{"JSON that is cut off", write(200, `{"data":{"resp`), none, engine.OK, engine.PlatformError, ""},
		{"JSON of something else", write(200, `{"hello":1}`), none, engine.OK, engine.PlatformError, ""},
		{"a page by 500", write(500, "<html>"), none, engine.FunctionError, engine.FunctionError, ""},
		{"nothing by 503", write(503, ""), none, engine.PlatformError, engine.PlatformError, ""},
		{"half of the reply", cut, none, engine.NetworkError, engine.NetworkError, ""},
		{"a redirect that is not followed", away, none, engine.Rejected, engine.Rejected, ""},
		{"a redirect that is", away, func(i *engine.Invocation) { i.Step.Target.Redirects = 1 }, engine.OK, engine.OK, `{"zh":"你好"}`},
		{"a slow body", slow, none, engine.OK, engine.OK, `{"zh":"你好"}`},
		{"a body that is too slow", slow, func(i *engine.Invocation) { i.Step.Target.Timeout = 20 * time.Millisecond }, engine.ClientTimeout, engine.ClientTimeout, ""},
		{"gzip that was asked for", packed, asks, engine.OK, engine.OK, `{"zh":"你好"}`},
	}
	for _, way := range ways() {
		for _, tt := range tests {
			t.Run(way+": "+tt.name, func(t *testing.T) {
				t.Parallel()
				s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					tt.script(w, r, wrap(way, `{"zh":"你好"}`))
				}))
				t.Cleanup(s.Close)
				r := ask(t, client(t), way, s.URL, func(i *engine.Invocation) {
					i.Data = []byte(`{"a":1}`)
					tt.change(i)
				})
				want := tt.env
				if isBare(way) {
					want = tt.bare
				}
				if r.Reply.Outcome != want || want == engine.OK && tt.answer != "" && string(r.Reply.Body) != tt.answer {
					t.Errorf("%v (%s, %q), body %s; want %v", r.Reply.Outcome, r.Reply.Detail, r.Reply.Message, r.Reply.Body, want)
				}
				if (want == engine.OK) != (r.Reply.Message == "") && tt.name != "nothing by 503" {
					t.Errorf("message %q", r.Reply.Message)
				}
				if tt.name == "a slow body" && (r.Service() < 40*time.Millisecond || r.Attempts[0].Phases.Receive < 30*time.Millisecond) {
					t.Errorf("service %v, receive %v: the wait for the body is missing", r.Service(), r.Attempts[0].Phases.Receive)
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
