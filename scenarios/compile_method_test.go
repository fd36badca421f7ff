package scenarios

import (
	"slices"
	"strings"
	"testing"

	"volley/engine"
	"volley/engine/cloud"
)

// TestMethodOptions holds that what a scenario says of a method is the method
// that steps get.
func TestMethodOptions(t *testing.T) {
	tests := []struct {
		name, method, options string
		want                  cloud.Options
	}{
		{"version 3 of the web SDK is the default", "web-sdk", "", cloud.Options{}},
		{"a version as a number", "web-sdk", "web_sdk: {version: 2}", cloud.Options{SDK: "2"}},
		{"a version as a text", "web-sdk", `web_sdk: {version: "1"}`, cloud.Options{SDK: "1"}},
		{"a version from the environment", "web-sdk", `web_sdk: {version: "${VERSION}"}`, cloud.Options{SDK: "2"}},
		{"an older server library", "node-sdk", "node_sdk: {version: 2}", cloud.Options{SDK: "2"}},
		{"the form of WeChat's API", "mini-program", "mini_program: {form: body}", cloud.Options{Form: "body"}},
		{"no page", "web", "", cloud.Options{}},
		{"a page asks for leave unless it is told not to", "web", `web: {origin: "https://a.example.com"}`,
			cloud.Options{Web: cloud.Web{Origin: "https://a.example.com", Preflight: true, Credentials: "include", Cookies: "worker"}}},
		{"a page that does not ask", "web", `web: {origin: "https://a.example.com:8443", preflight: false, credentials: same-origin, cookies: iteration}`,
			cloud.Options{Web: cloud.Web{Origin: "https://a.example.com:8443", Credentials: "same-origin", Cookies: "iteration"}}},
		{"cookies without a page", "web", `web: {credentials: omit}`, cloud.Options{Web: cloud.Web{Credentials: "omit", Cookies: "worker"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want, err := cloud.New(tt.method, tt.want)
			if err != nil {
				t.Fatal(err)
			}
			src := "target: {method: " + tt.method + ", emulator: {functions: {hello: {}}}, " + tt.options + "}\nsteps: [{invoke: hello}]"
			c := mustLoad(t, strings.Replace(src, ", }", "}", 1), Options{NoLoad: true, Env: environ(map[string]string{"VERSION": "2"})})
			if got := c.Plan.Steps[0].Invoke.Target.Method; got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

// TestReach has what each method needs to get anywhere, and what it takes.
func TestReach(t *testing.T) {
	const (
		pair = `auth: {secret_id: "${ONE}", secret_key: "${TWO}"}`
		app  = `auth: {app_id: "${ONE}", app_secret: "${TWO}"}`
		user = `auth: {anonymous: true}`
	)
	tests := []struct {
		name, target, step string
		want               string // in what is said; "": nothing is
	}{
		{"http-api to an environment", "env: e-1, " + user, "", ""},
		{"http-api to an endpoint, by nobody", `endpoint: "https://a.example.com"`, "", ""},
		{"http-api to an environment, by nobody who says so", "env: e-1, auth: none", "", ""},
		{"http-api nowhere", user, "", "no environment is named"},
		{"node-sdk to an environment", "env: e-1, method: node-sdk, " + pair, `, qualifier: "3"`, ""},
		{"node-sdk to an endpoint", `endpoint: "https://a.example.com", method: node-sdk, ` + pair, "", ""},
		{"node-sdk by nobody", `endpoint: "https://a.example.com", method: node-sdk`, "", "there are no credentials"},
		{"web-sdk with a version of the function", "env: e-1, method: web-sdk, " + user, `, qualifier: "3"`, ""},
		{"web-sdk 1 without", "env: e-1, method: web-sdk, web_sdk: {version: 1}, " + user, `, qualifier: "3"`, "cannot be asked for"},
		{"mini-program in an environment", "env: e-1, method: mini-program, " + app, "", ""},
		{"mini-program nowhere", "method: mini-program, " + app, "", "no environment is named"},
		{"mini-program with a version of the function", "env: e-1, method: mini-program, " + app, `, qualifier: "3"`, "cannot be asked for"},
		{"control-plane in an environment", "env: e-1, method: control-plane, " + pair, `, qualifier: "3"`, ""},
		{"control-plane with a request of one's own", "env: e-1, method: control-plane, " + pair, ", http: {path: /x}", "http is for the methods"},
		{"http-function with one", "env: e-1, method: http-function, " + user, ", http: {path: /x}", ""},
		{"web without an endpoint", "env: e-1, method: web, " + user, "", "has no endpoint"},
		{"an event that is no object", "env: e-1, " + user, ", data: [1]", "is an object"},
		{"an event that is no object, by web-sdk", "env: e-1, method: web-sdk, " + user, ", data: [1]", "is an object"},
		{"any event, by node-sdk", "env: e-1, method: node-sdk, " + pair, ", data: [1]", ""},
		{"a text for an event, by control-plane", "env: e-1, method: control-plane, " + pair, ", data: hello", ""},
		{"any event, by web-sdk 2", "env: e-1, method: web-sdk, web_sdk: {version: 2}, " + user, ", data: 7", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load("x.yaml", []byte("target: {"+tt.target+"}\nsteps: [{invoke: hello"+tt.step+"}]"), Options{NoLoad: true, Env: secretsEnv()})
			switch {
			case tt.want == "" && err != nil:
				t.Error(told(err))
			case tt.want != "" && err == nil:
				t.Errorf("loads; want %q", tt.want)
			case tt.want != "" && (!strings.Contains(told(err), tt.want) || strings.Count(told(err), "\n") != 2):
				t.Errorf("said %s, want one mistake with %q", told(err), tt.want)
			}
		})
	}
}

// TestServerProbes holds that a step's own words win, one by one, over the
// target's.
func TestServerProbes(t *testing.T) {
	c := mustLoad(t, `
target:
  emulator: {functions: {hello: {}}}
  server: {duration_ms: body.ms, cold: body.cold, instance: "headers['x-instance']"}
steps:
  - invoke: hello
  - {invoke: hello, save: {base: "1"}}
  - {invoke: hello, server: {cold: "status == 201", billed_ms: "${{ vars.base + body.ms }}", memory_bytes: "vars.base * 2048"}}
`, Options{NoLoad: true})
	reply := &engine.Reply{Status: 201, Body: []byte(`{"ms": 12.5, "cold": false}`), Header: []engine.Field{{Name: "x-instance", Value: "i-7"}}}
	scope := &engine.Scope{Vars: map[string]any{"base": 1}}
	value := func(f func(*engine.Scope, *engine.Reply) (any, error)) any {
		t.Helper()
		if f == nil {
			return "not asked"
		}
		v, err := f(scope, reply)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	all := func(i int) []any {
		p := c.Plan.Steps[i].Invoke.Server
		return []any{value(p.DurationMS), value(p.BilledMS), value(p.MemoryBytes), value(p.Cold), value(p.Instance)}
	}
	if got, want := all(0), []any{12.5, "not asked", "not asked", false, "i-7"}; !slices.Equal(got, want) {
		t.Errorf("the target's: %v, want %v", got, want)
	}
	if got, want := all(2), []any{12.5, 13.5, 2048, true, "i-7"}; !slices.Equal(got, want) {
		t.Errorf("the step's: %v, want %v", got, want)
	}
	if c := mustLoad(t, emulated+"steps: [{invoke: hello}]", Options{NoLoad: true}); c.Plan.Steps[0].Invoke.Server != nil {
		t.Error("asked without anything said")
	}
}

func TestArmsHaveTheirOwnCredentials(t *testing.T) {
	c := mustLoad(t, `
target: {env: e-1, auth: {anonymous: true}}
steps: [{invoke: hello}]
compare:
  baseline: a
  arms:
    a: {qualifier: "3"}
    b: {auth: {access_token: "${ONE}"}}
    c: {env: e-2, region: ap-singapore}
`, Options{NoLoad: true, Env: secretsEnv()})
	a, b, other := c.Compare.Targets["a"], c.Compare.Targets["b"], c.Compare.Targets["c"]
	if a.Auth != c.Plan.Steps[0].Invoke.Target.Auth {
		t.Error("an arm that says nothing of it has a source of its own")
	}
	if g, _ := asked(t, b.Auth); g.Bearer.Reveal() != "one-verysecret" {
		t.Error("an arm's own token is not used")
	}
	if _, q := asked(t, other.Auth); q == nil || q.URL != "https://e-2.api.intl.tcloudbasegateway.com/auth/v1/signin/anonymously?client_id=e-2" {
		t.Errorf("an arm in another environment asks for tokens elsewhere: %+v", q)
	}
	if other.Env != "e-2" || other.Region != "ap-singapore" {
		t.Errorf("the arm goes to %+v", other)
	}
}
