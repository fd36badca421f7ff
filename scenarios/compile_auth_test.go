package scenarios

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/emulator"
)

// secretsEnv is the environment of scenarios with credentials.
func secretsEnv() func(string) (string, bool) {
	return environ(map[string]string{"ONE": "one-verysecret", "TWO": "two-verysecret", "THREE": "three-verysecret"})
}

// errAsked ends exchanges that only need to be seen.
var errAsked = errors.New("asked")

// asked returns what a source says: its grant, or the first request for one.
func asked(t *testing.T, s auth.Source) (g auth.Grant, q *auth.Ask) {
	t.Helper()
	if s == nil {
		return g, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g, err := s.Grant(ctx, func(_ context.Context, a *auth.Ask) (*auth.Answer, error) {
		if q == nil {
			q = a
		}
		cancel()
		return nil, errAsked
	})
	if q == nil && err != nil {
		t.Fatalf("no request, and no grant: %v", err)
	}
	return g, q
}

func header(q *auth.Ask, name string) string {
	for _, h := range q.Header {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

func TestCredentials(t *testing.T) {
	const pair = `secret_id: "${ONE}", secret_key: "${TWO}"`
	tests := []struct {
		name, target string
		bearer       string   // what the grant has
		keys         string   // its keys, joined
		url          string   // or where a token is asked for
		body         []string // and what is said there
	}{
		{"an API key is sent as it is", `env: e-1, auth: {api_key: "${ONE}"}`, "one-verysecret", "", "", nil},
		{"a publishable key is sent as it is", `env: e-1, auth: {publishable_key: "${ONE}"}`, "one-verysecret", "", "", nil},
		{"an access token is sent as it is", `env: e-1, auth: {access_token: "${ONE}"}`, "one-verysecret", "", "", nil},
		{"keys sign", `env: e-1, auth: {` + pair + `}`, "", "one-verysecret two-verysecret ", "", nil},
		{"temporary keys sign", `env: e-1, auth: {` + pair + `, session_token: "${THREE}"}`, "", "one-verysecret two-verysecret three-verysecret", "", nil},
		{"keys make a token", `env: e-1, auth: {` + pair + `, client_credential: true}`, "", "",
			"https://e-1.api.tcloudbasegateway.com/auth/v1/token/clientCredential", []string{"client_credentials"}},
		{"nobody signs in", `env: e-1, auth: {anonymous: true}`, "", "", "https://e-1.api.tcloudbasegateway.com/auth/v1/signin/anonymously?client_id=e-1", nil},
		{"abroad, too", `env: e-1, region: ap-singapore, auth: {anonymous: true}`, "", "",
			"https://e-1.api.intl.tcloudbasegateway.com/auth/v1/signin/anonymously?client_id=e-1", nil},
		{"a user signs in", `env: e-1, auth: {username: "${ONE}", password: "${TWO}"}`, "", "",
			"https://e-1.api.tcloudbasegateway.com/auth/v1/signin?client_id=e-1", []string{"one-verysecret", "two-verysecret"}},
		{"a user goes on", `env: e-1, auth: {refresh_token: "${ONE}"}`, "", "",
			"https://e-1.api.tcloudbasegateway.com/auth/v1/token", []string{"one-verysecret", "e-1"}},
		{"at the target's endpoint", `env: e-1, endpoint: "https://proxy.example.com/x/", auth: {anonymous: true}`, "", "",
			"https://proxy.example.com/x/auth/v1/signin/anonymously?client_id=e-1", nil},
		{"but not at a page's domain", `env: e-1, method: web, endpoint: "https://app.example.com", auth: {anonymous: true}`, "", "",
			"https://e-1.api.tcloudbasegateway.com/auth/v1/signin/anonymously?client_id=e-1", nil},
		{"at an endpoint of its own", `env: e-1, endpoint: "https://proxy.example.com", auth: {anonymous: true, endpoint: "https://login.example.com"}`, "", "",
			"https://login.example.com/auth/v1/signin/anonymously?client_id=e-1", nil},
		{"an app asks WeChat", `env: e-1, method: mini-program, auth: {app_id: "${ONE}", app_secret: "${TWO}"}`, "", "",
			"https://api.weixin.qq.com/cgi-bin/stable_token", []string{"one-verysecret", "two-verysecret"}},
		{"an app asks the old way only when told to", `env: e-1, method: mini-program, auth: {app_id: "${ONE}", app_secret: "${TWO}", legacy_token: true}`, "", "",
			"https://api.weixin.qq.com/cgi-bin/token?", nil},
		{"an app's token", `env: e-1, method: mini-program, auth: {access_token: "${ONE}"}`, "one-verysecret", "", "", nil},
		{"none", `env: e-1, auth: none`, "", "", "", nil},
		{"an emulator takes a token", `emulator: {functions: {hello: {}}}`, "emulator", "", "", nil},
		{"an emulator makes tokens", `emulator: {functions: {hello: {}}}, auth: {anonymous: true}`, "", "",
			EmulatorEndpoint + "/auth/v1/signin/anonymously?client_id=emulator", nil},
		{"an emulator is WeChat, too", `emulator: {functions: {hello: {}}}, method: mini-program, auth: {app_id: "${ONE}", app_secret: "${TWO}"}`, "", "",
			EmulatorEndpoint + "/cgi-bin/stable_token", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustLoad(t, "target: {"+tt.target+"}\nsteps: [{invoke: hello}]", Options{NoLoad: true, Env: secretsEnv()})
			g, q := asked(t, c.Plan.Steps[0].Invoke.Target.Auth)
			if got := g.Bearer.Reveal(); got != tt.bearer {
				t.Errorf("bearer %q, want %q", got, tt.bearer)
			}
			if got := strings.Join([]string{g.Keys.ID.Reveal(), g.Keys.Key.Reveal(), g.Keys.Session.Reveal()}, " "); tt.keys != "" && got != tt.keys || tt.keys == "" && got != "  " {
				t.Errorf("keys %q, want %q", got, tt.keys)
			}
			switch {
			case tt.url == "" && q != nil:
				t.Errorf("asks for a token at %s", q.URL)
			case tt.url == "":
			case q == nil:
				t.Error("asks for no token")
			case q.URL != tt.url && !strings.HasPrefix(q.URL, tt.url+"appid") && !(strings.HasSuffix(tt.url, "?") && strings.HasPrefix(q.URL, tt.url)):
				t.Errorf("asks at\n%s, want\n%s", q.URL, tt.url)
			default:
				for _, part := range tt.body {
					if !strings.Contains(string(q.Body), part) {
						t.Errorf("body %s has no %s", q.Body, part)
					}
				}
			}
			for _, name := range []string{"one", "two", "three"} {
				if secret := name + "-verysecret"; strings.Contains(tt.target, "${"+strings.ToUpper(name)) && strings.Contains(c.Mask(secret), secret) {
					t.Errorf("%s is not masked", secret)
				}
			}
		})
	}
}

// TestEmulatorsOwnKeys holds that methods which sign have something to sign
// with at an emulator of the scenario's own.
func TestEmulatorsOwnKeys(t *testing.T) {
	for method, signed := range map[string]bool{"node-sdk": true, "control-plane": true, "web-sdk": false, "mini-program": false, "http-api": false} {
		c := mustLoad(t, emulated+"steps: [{invoke: hello, method: "+method+"}]", Options{NoLoad: true})
		g, _ := asked(t, c.Plan.Steps[0].Invoke.Target.Auth)
		id, key := emulator.OpenKeys()
		if signed && (g.Keys.ID.Reveal() != id || g.Keys.Key.Reveal() != key || !g.Bearer.IsZero()) {
			t.Errorf("%s signs with other keys than the emulator's", method)
		}
		if !signed && (g.Bearer.IsZero() || !g.Keys.IsZero()) {
			t.Errorf("%s has no token", method)
		}
	}
}

// TestSharedSources holds that one refresh serves all who ask as the same, and
// nobody else.
func TestSharedSources(t *testing.T) {
	c := mustLoad(t, `
target: {env: e-1, auth: {anonymous: true}}
steps:
  - invoke: hello
  - {invoke: world, qualifier: "3"}
  - {invoke: world, method: web-sdk}
  - {invoke: hello, auth: {anonymous: true}}
  - {invoke: hello, auth: {anonymous: true, device: another}}
  - {invoke: hello, endpoint: "https://example.com"}
  - {invoke: hello, auth: none}
`, Options{NoLoad: true})
	source := func(i int) auth.Source { return c.Plan.Steps[i].Invoke.Target.Auth }
	for i := 1; i <= 3; i++ {
		if source(i) != source(0) {
			t.Errorf("step %d has a source of its own", i)
		}
	}
	for i := 4; i <= 6; i++ {
		if source(i) == source(0) {
			t.Errorf("step %d shares the source of another", i)
		}
	}
	if c.Plan.Steps[3].Invoke.Target != c.Plan.Steps[0].Invoke.Target {
		t.Error("what says the same as the target is another target")
	}
}

func TestDevice(t *testing.T) {
	device := func(text string, seed uint64) string {
		c := mustLoad(t, "target: {env: e-1, auth: {anonymous: true"+text+"}}\nsteps: [{invoke: hello}]", Options{NoLoad: true, Seed: seed})
		_, q := asked(t, c.Plan.Steps[0].Invoke.Target.Auth)
		return header(q, "x-device-id")
	}
	one := device("", 1)
	if one == "" || one != device("", 1) {
		t.Errorf("a seed is one user: %q, %q", one, device("", 1))
	}
	if one == device("", 2) {
		t.Error("another seed is the same user")
	}
	if got := device(", device: my-phone", 1); got != "my-phone" {
		t.Errorf("the device is %q, not the scenario's", got)
	}
}

// TestMoved holds that all that points to the emulator goes along with it.
func TestMoved(t *testing.T) {
	c := mustLoad(t, emulated+`
  auth: {anonymous: true}
load: {rate: 1/s, for: 1s}
steps:
  - invoke: hello
  - {invoke: hello, qualifier: $LATEST}
  - {invoke: hello, endpoint: "https://example.com"}
  - {invoke: hello, auth: {api_key: "${ONE}"}}
compare:
  baseline: a
  arms: {a: {qualifier: $LATEST}, b: {endpoint: "https://example.com"}}
`, Options{Env: secretsEnv()})
	const at = "http://127.0.0.1:99"
	host := func(s auth.Source) string {
		_, q := asked(t, s)
		if q == nil {
			return ""
		}
		u, _ := url.Parse(q.URL)
		return u.Scheme + "://" + u.Host
	}
	to := c.Moved(at)
	target := func(c *Compiled, i int) *engine.Target { return c.Plan.Steps[i].Invoke.Target }
	if got := host(target(to, 0).Auth); got != at {
		t.Errorf("tokens are made at %s", got)
	}
	if target(to, 0).Auth != target(to, 1).Auth || target(to, 0).Auth != to.Compare.Targets["a"].Auth {
		t.Error("what shared a source does not any more")
	}
	if got := to.Compare.Targets["a"].Endpoint; got != at {
		t.Errorf("an arm goes to %s", got)
	}
	if got := to.Compare.Targets["b"].Endpoint; got != "https://example.com" {
		t.Errorf("an arm with an endpoint of its own goes to %s", got)
	}
	if got := host(target(to, 2).Auth); got != "https://example.com" {
		t.Errorf("tokens of a step with an endpoint of its own are made at %s", got)
	}
	if target(to, 3).Auth != target(c, 3).Auth {
		t.Error("a key is another after the move")
	}
	if got := host(target(c, 0).Auth); got != EmulatorEndpoint || c.Compare.Targets["a"].Endpoint != EmulatorEndpoint {
		t.Errorf("the scenario itself has changed: %s", got)
	}
	if c.At(at).Steps[0].Invoke.Target.Endpoint != at {
		t.Error("At leaves the plan where it was")
	}
}

func TestAmbient(t *testing.T) {
	var calls []string
	ambient := func(method string) (Auth, string, error) {
		calls = append(calls, method)
		switch method {
		case "http-api":
			return Auth{APIKey: auth.NewSecret("sk-ambient")}, "CLOUDBASE_APIKEY", nil
		case "node-sdk":
			return Auth{SecretID: auth.NewSecret("AKIDambient"), SecretKey: auth.NewSecret("key-ambient")}, "the login file", nil
		case "control-plane":
			return Auth{}, "", errors.New("the login has expired")
		}
		return Auth{}, "", nil
	}
	c := mustLoad(t, `
target: {env: e-1}
steps:
  - invoke: hello
  - invoke: world
  - {invoke: hello, method: node-sdk}
  - {invoke: hello, endpoint: "https://example.com"}
  - {invoke: hello, auth: none}
`, Options{NoLoad: true, Ambient: ambient})
	if strings.Join(calls, " ") != "http-api node-sdk" {
		t.Errorf("asked for %v", calls)
	}
	if g, _ := asked(t, c.Plan.Steps[0].Invoke.Target.Auth); g.Bearer.Reveal() != "sk-ambient" {
		t.Error("the key that was found is not used")
	}
	if g, _ := asked(t, c.Plan.Steps[2].Invoke.Target.Auth); g.Keys.ID.Reveal() != "AKIDambient" {
		t.Error("the keys that were found are not used")
	}
	if c.Plan.Steps[3].Invoke.Target.Auth != nil || c.Plan.Steps[4].Invoke.Target.Auth != nil {
		t.Error("credentials of the vendor's go elsewhere, or to whom none were asked for")
	}
	if c.AuthFrom != "CLOUDBASE_APIKEY and the login file" {
		t.Errorf("AuthFrom = %q", c.AuthFrom)
	}
	if got := c.Mask("sk-ambient key-ambient"); strings.Contains(got, "ambient") {
		t.Errorf("not masked: %s", got)
	}
	if strings.Contains(string(c.Resolved()), "auth: none\n    auth") || strings.Contains(string(c.Resolved()), "api_key") {
		t.Errorf("the scenario now has them:\n%s", c.Resolved())
	}
	for method, want := range map[string]string{"control-plane": "the login has expired", "mini-program": "there are no credentials"} {
		_, err := Load("x.yaml", []byte("target: {env: e-1, method: "+method+"}\nsteps: [{invoke: hello}]"), Options{NoLoad: true, Ambient: ambient})
		if err == nil || !strings.Contains(told(err), want) {
			t.Errorf("%s: %v", method, err)
		}
	}
	calls = nil
	mustLoad(t, "target: {env: e-1, auth: {access_token: \"${ONE}\"}}\nsteps: [{invoke: hello}]", Options{NoLoad: true, Ambient: ambient, Env: secretsEnv()})
	mustLoad(t, emulated+"steps: [{invoke: hello}]", Options{NoLoad: true, Ambient: ambient})
	if len(calls) > 0 {
		t.Error("asked where the scenario says who asks")
	}
}

func TestFlagsAloneWithAmbientCredentials(t *testing.T) {
	c, err := FromFlags(Options{
		Flags: Flags{Function: "hello", Method: "node-sdk", Rate: "1/s", For: "1s"}, DefaultEnv: "e-1", DefaultRegion: "ap-guangzhou", DefaultsFrom: "cloudbaserc.json",
		Ambient: func(string) (Auth, string, error) {
			return Auth{SecretID: auth.NewSecret("AKIDambient"), SecretKey: auth.NewSecret("key-ambient")}, "the environment", nil
		},
	})
	if err != nil {
		t.Fatal(told(err))
	}
	target := c.Plan.Steps[0].Invoke.Target
	if target.Method.Name() != "node-sdk" || target.Env != "e-1" || target.Region != "ap-guangzhou" || target.Auth == nil {
		t.Errorf("target: %+v", target)
	}
	if c.EnvFrom != "cloudbaserc.json" || c.RegionFrom != "cloudbaserc.json" || c.AuthFrom != "the environment" {
		t.Errorf("from %q, %q, %q", c.EnvFrom, c.RegionFrom, c.AuthFrom)
	}
}

func TestDefaultEnvironment(t *testing.T) {
	tests := []struct{ name, target, env, region, envFrom, regionFrom string }{
		{"where the scenario names none", `auth: none`, "e-1", "ap-guangzhou", "rc", "rc"},
		{"its own wins", `env: e-2, region: ap-shanghai, auth: none`, "e-2", "ap-shanghai", "", ""},
		{"the region of another environment is not taken", `env: e-2, auth: none`, "e-2", "", "", ""},
		{"the region of the same is", `env: e-1, auth: none`, "e-1", "ap-guangzhou", "", "rc"},
		{"an endpoint says where to go", `endpoint: "https://example.com"`, "", "", "", ""},
		{"an emulator does", `emulator: {functions: {hello: {}}}`, "emulator", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustLoad(t, "target: {"+tt.target+"}\nsteps: [{invoke: hello}]", Options{NoLoad: true, DefaultEnv: "e-1", DefaultRegion: "ap-guangzhou", DefaultsFrom: "rc"})
			target := c.Plan.Steps[0].Invoke.Target
			if target.Env != tt.env || target.Region != tt.region || c.EnvFrom != tt.envFrom || c.RegionFrom != tt.regionFrom {
				t.Errorf("env %q, region %q, from %q and %q", target.Env, target.Region, c.EnvFrom, c.RegionFrom)
			}
		})
	}
}

func TestMaskedForms(t *testing.T) {
	const secret = `a+b/c"d e=?`
	c := mustLoad(t, "target: {env: e-1, auth: {api_key: \"${KEY}\"}}\nsteps: [{invoke: hello}]",
		Options{NoLoad: true, Env: environ(map[string]string{"KEY": secret})})
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), `a+b/c\"d e=?`, "YStiL2MiZCBlPT8=", "YStiL2MiZCBlPT8"} {
		if got := c.Mask("x " + form + " y"); strings.Contains(got, form) || !strings.HasPrefix(got, "x ") || !strings.HasSuffix(got, " y") {
			t.Errorf("%s becomes %s", form, got)
		}
	}
}
