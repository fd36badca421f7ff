package cloud

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// call makes an invocation of hello-world in env-1, changed by the test.
func call(change func(*engine.Invocation)) *engine.Invocation {
	i := &engine.Invocation{
		Step:  &engine.Invoke{Function: "hello-world", Target: &engine.Target{Env: "env-1", Region: "ap-shanghai", Timeout: time.Second}},
		Scope: &engine.Scope{},
	}
	if change != nil {
		change(i)
	}
	return i
}

func grant(token string) auth.Grant { return auth.Grant{Bearer: auth.NewSecret(token)} }

// render writes a request as a person would read it.
func render(q *engine.Request) string {
	var b strings.Builder
	b.WriteString(q.Verb + " " + q.Scheme + "://" + q.Host + q.Path)
	if q.Query != "" {
		b.WriteString("?" + q.Query)
	}
	b.WriteString("\n")
	for _, f := range q.Header {
		b.WriteString(f.Name + ": " + f.Value)
		if f.Secret {
			b.WriteString(" (secret)")
		}
		b.WriteString("\n")
	}
	return b.String() + string(q.Body)
}

func TestEncode(t *testing.T) {
	const gate = "https://env-1.api.tcloudbasegateway.com/v1/functions/hello-world"
	tests := []struct {
		name, method string
		change       func(*engine.Invocation)
		want         string
	}{
		{"an event goes out as it is (PROTOCOL.md 1.1)", "http-api",
			func(i *engine.Invocation) { i.Data = []byte(`{"name":"CloudBase","zh":"你好"}`) },
			"POST " + gate + "\nAuthorization: Bearer T (secret)\nContent-Type: application/json\n" + `{"name":"CloudBase","zh":"你好"}`},
		{"no data is the event {}", "http-api", nil,
			"POST " + gate + "\nAuthorization: Bearer T (secret)\nContent-Type: application/json\n{}"},
		{"a qualifier goes into its header", "http-api",
			func(i *engine.Invocation) { i.Step.Target.Qualifier = "$LATEST" },
			"POST " + gate + "\nAuthorization: Bearer T (secret)\nContent-Type: application/json\nX-Qualifier: $LATEST\n{}"},
		{"a region abroad has the other domain", "http-api",
			func(i *engine.Invocation) { i.Step.Target.Region = "ap-singapore" },
			"POST https://env-1.api.intl.tcloudbasegateway.com/v1/functions/hello-world\nAuthorization: Bearer T (secret)\nContent-Type: application/json\n{}"},
		{"an endpoint replaces the host, and its path goes before", "http-api",
			func(i *engine.Invocation) { i.Step.Target.Endpoint = "http://127.0.0.1:8787/base/" },
			"POST http://127.0.0.1:8787/base/v1/functions/hello-world\nAuthorization: Bearer T (secret)\nContent-Type: application/json\n{}"},
		{"the scenario's headers win, whatever their case", "http-api",
			func(i *engine.Invocation) {
				i.Header = []engine.Field{{Name: "content-type", Value: "application/json; charset=utf-8"}, {Name: "authorization", Value: "Mine", Secret: true}, {Name: "Host", Value: "h"}, {Name: "X-A", Value: "1"}}
			},
			"POST " + gate + "\nauthorization: Mine (secret)\ncontent-type: application/json; charset=utf-8\nHost: h\nX-A: 1\n{}"},
		{"white space around an event is let be", "http-api",
			func(i *engine.Invocation) { i.Data = []byte(" \n{\"a\":1}\n") },
			"POST " + gate + "\nAuthorization: Bearer T (secret)\nContent-Type: application/json\n \n{\"a\":1}\n"},

		{"an HTTP function gets the real request (PROTOCOL.md 1.3)", "http-function",
			func(i *engine.Invocation) {
				i.Step.Function = "plant-user-http"
				i.Step.HTTP = &engine.HTTP{Verb: "GET"}
				i.Path, i.Query = "/user-plants", []engine.Field{{Name: "page", Value: "1"}, {Name: "q", Value: "a b&c=d"}}
			},
			"GET https://env-1.api.tcloudbasegateway.com/v1/functions/plant-user-http/user-plants?page=1&q=a+b%26c%3Dd\nAuthorization: Bearer T (secret)\nX-Tcb-Webfn: true\n"},
		{"its body, with a type because it is JSON", "http-function",
			func(i *engine.Invocation) {
				i.Step.HTTP = &engine.HTTP{Verb: "PUT"}
				i.Path, i.Data = "/a", []byte(`[1]`)
			},
			"PUT " + gate + "/a\nAuthorization: Bearer T (secret)\nX-Tcb-Webfn: true\nContent-Type: application/json\n[1]"},
		{"a body that is not JSON gets no type", "http-function",
			func(i *engine.Invocation) { i.Step.HTTP = &engine.HTTP{Verb: "POST"}; i.Data = []byte("a=1&b=2") },
			"POST " + gate + "\nAuthorization: Bearer T (secret)\nX-Tcb-Webfn: true\na=1&b=2"},
		{"data alone is a POST to its root", "http-function",
			func(i *engine.Invocation) { i.Data = []byte("{}") },
			"POST " + gate + "\nAuthorization: Bearer T (secret)\nX-Tcb-Webfn: true\nContent-Type: application/json\n{}"},
		{"nothing at all is a GET", "http-function", nil,
			"GET " + gate + "\nAuthorization: Bearer T (secret)\nX-Tcb-Webfn: true\n"},
		{"the raw mode is the vendor page's own example", "http-function",
			func(i *engine.Invocation) {
				i.Step.HTTP = &engine.HTTP{Raw: true}
				i.Data = []byte(`{"path":"/api/users","method":"GET"}`)
			},
			"POST " + gate + "?webfn=true\nAuthorization: Bearer T (secret)\nContent-Type: application/json\n" + `{"path":"/api/users","method":"GET"}`},
		{"the raw mode with a qualifier", "http-function",
			func(i *engine.Invocation) {
				i.Step.HTTP = &engine.HTTP{Raw: true, Verb: "POST"}
				i.Step.Target.Qualifier, i.Data = "3", []byte("x")
			},
			"POST " + gate + "?webfn=true\nAuthorization: Bearer T (secret)\nX-Qualifier: 3\nx"},
		{"a path keeps its escapes and gets those it lacks", "http-function",
			func(i *engine.Invocation) {
				i.Step.HTTP = &engine.HTTP{Verb: "GET"}
				i.Path = "/a%2Fb/ü\r\nX: y/100%/[x]?k=v w&a[]=1#f"
			},
			"GET " + gate + "/a%2Fb/%C3%BC%0D%0AX:%20y/100%25/%5Bx%5D?k=v%20w&a%5B%5D=1%23f\nAuthorization: Bearer T (secret)\nX-Tcb-Webfn: true\n"},

		{"the web client goes to the function's name", "web",
			func(i *engine.Invocation) { i.Step.Target.Endpoint = "https://example.com" },
			"GET https://example.com/hello-world\nAuthorization: Bearer T (secret)\n"},
		{"or to a path of its own", "web",
			func(i *engine.Invocation) {
				i.Step.Target.Endpoint = "https://example.com/"
				i.Step.HTTP, i.Path, i.Data = &engine.HTTP{Verb: "PATCH"}, "/a/b", []byte(`"x"`)
			},
			"PATCH https://example.com/a/b\nAuthorization: Bearer T (secret)\nContent-Type: application/json\n\"x\""},
		{"a path and a query field both have their say", "web",
			func(i *engine.Invocation) {
				i.Step.Target.Endpoint = "https://example.com:8443/p"
				i.Path, i.Query = "/a?x=1", []engine.Field{{Name: "token", Value: "s", Secret: true}}
			},
			"GET https://example.com:8443/p/a?x=1&token=s\nAuthorization: Bearer T (secret)\n"},
		{"a route need not be named like a function", "web",
			func(i *engine.Invocation) {
				i.Step.Target.Endpoint, i.Step.Function = "https://example.com", "a b"
			},
			"GET https://example.com/a%20b\nAuthorization: Bearer T (secret)\n"},
	}
	for _, tt := range tests {
		t.Run(tt.method+": "+tt.name, func(t *testing.T) {
			var q engine.Request
			i := call(tt.change)
			if err := Methods()[tt.method].Encode(i, grant("T"), time.Now(), &q); err != nil {
				t.Fatal(err)
			}
			if got := render(&q); got != tt.want {
				t.Errorf("Encode wrote\n%s\nwant\n%s", got, tt.want)
			}
			secret := slices.ContainsFunc(i.Query, func(f engine.Field) bool { return f.Secret })
			if q.SecretQuery != secret {
				t.Errorf("SecretQuery is %v, want %v", q.SecretQuery, secret)
			}
		})
	}
}

func TestEncodeWithoutCredentials(t *testing.T) {
	for _, name := range []string{"http-api", "http-function", "web"} {
		var q engine.Request
		m := Methods()[name]
		if err := m.Encode(call(func(i *engine.Invocation) { i.Step.Target.Endpoint = "http://h" }), auth.Grant{}, time.Now(), &q); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(render(&q), "Authorization") {
			t.Errorf("%s wrote an Authorization of nothing:\n%s", name, render(&q))
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	header := func(name, value string) func(*engine.Invocation) {
		return func(i *engine.Invocation) {
			i.Step.Target.Endpoint = "http://h"
			i.Header = []engine.Field{{Name: name, Value: value}}
		}
	}
	target := func(change func(*engine.Target)) func(*engine.Invocation) {
		return func(i *engine.Invocation) { change(i.Step.Target) }
	}
	all := []string{"http-api", "http-function", "web"}
	gate := all[:2]
	tests := []struct {
		name    string
		methods []string
		token   string
		change  func(*engine.Invocation)
		want    []string // what the error says
	}{
		{"a line break in a header", all, "T", header("X-A", "1\r\nX-B: 2"), []string{"headers: X-A", `"1\r\nX-B: 2"`, "line break"}},
		{"a bare line feed", all, "T", header("X-A", "1\n"), []string{"headers: X-A"}},
		{"a zero byte", all, "T", header("X-A", "1\x00"), []string{"headers: X-A"}},
		{"a header name with a colon", all, "T", header("X-A: b", "1"), []string{"headers: ", `"X-A: b"`, "not a header name"}},
		{"an empty header name", all, "T", header("", "1"), []string{"headers: "}},
		{"a length of one's own", all, "T", header("content-length", "1"), []string{"headers: Content-Length", "cannot be set"}},
		{"a framing of one's own", all, "T", header("Transfer-Encoding", "chunked"), []string{"headers: Transfer-Encoding"}},
		{"a secret header is not quoted", all, "T", func(i *engine.Invocation) {
			i.Step.Target.Endpoint = "http://h"
			i.Header = []engine.Field{{Name: "Cookie", Value: "hush\n", Secret: true}}
		}, []string{"headers: Cookie", auth.Mask}},
		{"a line break in the token, which is not quoted", all, "hush\n", target(func(t *engine.Target) { t.Endpoint = "http://h" }), []string{"auth: ", "control character at byte 4"}},
		{"no environment", gate, "T", target(func(t *engine.Target) { t.Env = "" }), []string{"target.env", "target.endpoint"}},
		{"an environment that would lead elsewhere", gate, "T", target(func(t *engine.Target) { t.Env = "evil.com/" }), []string{"target.env", `"evil.com/"`}},
		{"a name that starts with a digit", gate, "T", func(i *engine.Invocation) { i.Step.Function = "1a" }, []string{`invoke: "1a"`, "2 to 60 characters"}},
		{"a name of one letter", gate, "T", func(i *engine.Invocation) { i.Step.Function = "a" }, []string{"invoke: "}},
		{"a name that ends with a dash", gate, "T", func(i *engine.Invocation) { i.Step.Function = "ab-" }, []string{"invoke: "}},
		{"a name with a slash", gate, "T", func(i *engine.Invocation) { i.Step.Function = "a/../b" }, []string{"invoke: "}},
		{"a name of 61 letters", gate, "T", func(i *engine.Invocation) { i.Step.Function = strings.Repeat("a", 61) }, []string{"invoke: "}},
		{"an endpoint without a scheme", all, "T", target(func(t *engine.Target) { t.Endpoint = "example.com" }), []string{"target.endpoint", `"example.com"`, "https://example.com"}},
		{"an endpoint with a query", all, "T", target(func(t *engine.Target) { t.Endpoint = "http://h/?a=1" }), []string{"target.endpoint", "query"}},
		{"an endpoint with a query, which is not quoted", all, "T", target(func(t *engine.Target) { t.Endpoint = "http://h/p?token=hush#hush" }), []string{"target.endpoint", `"http://h/p"`, "query"}},
		{"an endpoint without a scheme and with a password, which is not quoted", all, "T", target(func(t *engine.Target) { t.Endpoint = "u:hush@h" }), []string{"target.endpoint", "https://example.com"}},
		{"an endpoint with a password, which is not quoted", all, "T", target(func(t *engine.Target) { t.Endpoint = "http://u:hush@h" }), []string{"target.endpoint", "target.auth"}},
		{"an event that is a list", all[:1], "T", func(i *engine.Invocation) { i.Data = []byte("[1]") }, []string{"data: ", `"[1]"`, "JSON object"}},
		{"an event that is broken", all[:1], "T", func(i *engine.Invocation) { i.Data = []byte(`{"a":}`) }, []string{"data: ", "JSON object"}},
		{"an event of blanks", all[:1], "T", func(i *engine.Invocation) { i.Data = []byte(` `) }, []string{"data: "}},
		{"a request of one's own for an event function", all[:1], "T", func(i *engine.Invocation) { i.Step.HTTP = &engine.HTTP{Verb: "GET"} }, []string{"http: ", "http-function"}},
		{"a path that is relative", all[1:], "T", func(i *engine.Invocation) { i.Step.Target.Endpoint, i.Path = "http://h", "a" }, []string{`http.path: "a"`, "slash"}},
		{"a verb with a blank", all[1:], "T", func(i *engine.Invocation) {
			i.Step.Target.Endpoint, i.Step.HTTP = "http://h", &engine.HTTP{Verb: "GET /x"}
		}, []string{`http.method: "GET /x"`}},
		{"CONNECT", all[1:], "T", func(i *engine.Invocation) {
			i.Step.Target.Endpoint, i.Step.HTTP = "http://h", &engine.HTTP{Verb: "CONNECT"}
		}, []string{`http.method: "CONNECT"`}},
		{"raw with a path", all[1:2], "T", func(i *engine.Invocation) { i.Step.HTTP, i.Path = &engine.HTTP{Raw: true}, "/x" }, []string{`http.path: "/x"`, "raw"}},
		{"raw with a verb", all[1:2], "T", func(i *engine.Invocation) { i.Step.HTTP = &engine.HTTP{Raw: true, Verb: "GET"} }, []string{`http.method: "GET"`, "raw"}},
		{"raw on the web", all[2:], "T", func(i *engine.Invocation) {
			i.Step.Target.Endpoint, i.Step.HTTP = "http://h", &engine.HTTP{Raw: true}
		}, []string{"http.raw", "http-function"}},
		{"the web without an endpoint", all[2:], "T", nil, []string{"target.endpoint", "https://example.com"}},
		{"the web with a qualifier, which the route fixes", all[2:], "T", target(func(t *engine.Target) { t.Endpoint, t.Qualifier = "http://h", "3" }), []string{`target.qualifier: "3"`, "route"}},
		{"a qualifier with a line break", gate, "T", target(func(t *engine.Target) { t.Qualifier = "3\n" }), []string{"target.qualifier"}},
	}
	for _, tt := range tests {
		for _, method := range tt.methods {
			t.Run(method+": "+tt.name, func(t *testing.T) {
				var q engine.Request
				err := Methods()[method].Encode(call(tt.change), grant(tt.token), time.Now(), &q)
				if err == nil {
					t.Fatalf("Encode wrote\n%s\nwant an error", render(&q))
				}
				for _, w := range tt.want {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("the error is %q, want %q in it", err, w)
					}
				}
				if strings.Contains(err.Error(), "hush") {
					t.Errorf("the error tells a secret: %q", err)
				}
			})
		}
	}
}

// TestLongBodiesAreNotParsed holds that a large event is not read to its end
// for every request, and that its ends still count.
func TestLongBodiesAreNotParsed(t *testing.T) {
	long := strings.Repeat(" x", maxWhole)
	if !isObject([]byte("{" + long + "}")) {
		t.Error("a long body is parsed")
	}
	if isObject([]byte("[" + long + "]")) {
		t.Error("a long list passes for an object")
	}
	if isObject([]byte("{" + long)) {
		t.Error("a long body without an end passes for an object")
	}
	if isJSON([]byte(strings.Repeat(" ", maxWhole+1))) {
		t.Error("blanks pass for JSON")
	}
}

// FuzzEncode holds that no method panics, and that what it writes stays within
// its line and goes where it should, whatever a scenario says.
func FuzzEncode(f *testing.F) {
	f.Add("env-1", "ap-shanghai", "hello-world", "3", "/a?b=c", "X-A", "1", `{"a":1}`, "")
	f.Add("Env", "", "lcap-data", "", "/%zz\r\n", "Host", "h", " [1] ", "http://h:1/p")
	f.Add("e", "r\n", "a b", "\x00", "//", "content-length", "\n", "\xff", "http://u:p@h?q#f")
	var all []engine.Method
	for _, m := range every(f) {
		all = append(all, m)
	}
	all = append(all, page(nil))
	both := fakeKeys("S")
	grants := []auth.Grant{{}, grant("T"), both}
	f.Fuzz(func(t *testing.T, env, region, function, qualifier, path, name, value, data, endpoint string) {
		for _, m := range all {
			for _, g := range grants {
				i := call(func(i *engine.Invocation) {
					i.Step.Function, i.Step.Target.Env, i.Step.Target.Region, i.Step.Target.Qualifier, i.Step.Target.Endpoint = function, env, region, qualifier, endpoint
					i.Path, i.Header, i.Data = path, []engine.Field{{Name: name, Value: value}}, []byte(data)
					i.Query = []engine.Field{{Name: name, Value: value}}
				})
				var q engine.Request
				if m.Encode(i, g, fakeNow, &q) != nil {
					continue
				}
				if strings.ContainsFunc(q.Verb+q.Scheme+q.Host+q.Path+q.Query, func(r rune) bool { return r <= ' ' || r == 0x7f }) || !strings.HasPrefix(q.Path, "/") {
					t.Errorf("%s: %s", m.Name(), render(&q))
				}
				u, err := url.Parse(q.URL())
				if err != nil || u.Host != q.Host || u.User != nil {
					t.Errorf("%s: %s leads to %v, %v", m.Name(), q.URL(), u, err)
				}
				for _, h := range q.Header {
					if h.Name == "" || strings.ContainsFunc(h.Value, control) {
						t.Errorf("%s: header %q: %q", m.Name(), h.Name, h.Value)
					}
				}
				if w, ok := m.(web); ok {
					var ask engine.Request
					if w.Preflight(&q, &ask) && ask.Verb != "OPTIONS" {
						t.Errorf("a preflight by %s", ask.Verb)
					}
					_, _ = w.Leave(&q, &engine.Response{Status: 200, Header: q.Header})
				}
			}
		}
	})
}
