package scenarios

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/cloud"
)

// Defaults. The published schema says the same.
const (
	defaultMethod  = "http-api"
	defaultTimeout = 10 * time.Second
)

// compileTarget checks the target section, puts its defaults in place, and
// makes the target of steps that override nothing.
func (c *compiler) compileTarget() {
	t := &c.scenario.Target
	c.methods = cloud.Methods()
	t.Method = c.orDefault(t.Method, defaultMethod)
	t.Protocol = c.orDefault(t.Protocol, "auto")
	c.method("target.method", t.Method)
	c.endpoint("target.endpoint", t.Endpoint)
	c.checkEnv("target.env", t.Env)
	c.timeout("target.timeout", &t.Timeout, defaultTimeout)
	for i, status := range t.OKStatus {
		if status < 100 || status > 599 {
			c.fail(index("target.ok_status", i), "write an HTTP status such as 404", "%d is not an HTTP status", status)
		}
	}
	if t.Emulator != nil {
		for key, given := range map[string]bool{"env": t.Env != "", "endpoint": t.Endpoint != ""} {
			if given {
				c.fail("target."+key, "delete "+key+", or emulator", "%s and emulator both say what to invoke", key)
			}
		}
	}
	c.target = &engine.Target{
		Method: c.methods[t.Method], Env: t.Env, Region: t.Region, Endpoint: c.reach(t.Endpoint), Qualifier: t.Qualifier,
		Timeout: time.Duration(t.Timeout), OKStatus: t.OKStatus, Redirects: t.Redirects, Auth: c.auth(),
	}
	c.headers("target.headers", t.Headers, scopeVars{all: true})
}

func (c *compiler) orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// reach returns the endpoint, or the emulator's where there is one.
func (c *compiler) reach(endpoint string) string {
	if endpoint != "" || c.scenario.Target.Emulator == nil {
		return endpoint
	}
	return EmulatorEndpoint
}

// method checks that a method is built.
func (c *compiler) method(path, name string) {
	if name == "" || c.methods[name] != nil {
		return
	}
	names := slices.Sorted(maps.Keys(c.methods))
	c.fail(path, "use "+strings.Join(names, " or "), "%s is not built into this version yet", quote(name))
}

func (c *compiler) endpoint(path, endpoint string) {
	if endpoint == "" {
		return
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" && u.Scheme != "http" && u.Scheme != "https":
		fix := "write one such as https://example.com"
		if !strings.Contains(endpoint, "://") && regexp.MustCompile(`^[A-Za-z0-9.:-]+$`).MatchString(endpoint) {
			fix = "write https://" + endpoint
		}
		c.fail(path, fix, "%s is not a URL", quote(endpoint))
	case u.User != nil:
		c.fail(path, "put credentials under target.auth, as ${NAME}", "the URL has a user or password in it (not shown)")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		c.fail(path, "write one such as https://example.com", "%s is not an http or https URL", quote(endpoint))
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		c.fail(path, "end it after its path; http.query adds parameters", "%s has a query or a fragment after it", quote(u.Scheme+"://"+u.Host+u.Path))
	}
}

func (c *compiler) checkEnv(path, env string) {
	if env != "" && !regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`).MatchString(env) {
		c.fail(path, "copy the id from the console, such as my-env-1a2b3c", "%s is not an environment id", quote(env))
	}
}

// timeout puts a default in place, and refuses what can never be met.
func (c *compiler) timeout(path string, d *Duration, otherwise time.Duration) {
	switch {
	case *d == 0 && !c.has(path):
		*d = Duration(otherwise)
	case *d < Duration(time.Millisecond):
		c.fail(path, "write a duration such as 10s, 1ms or more", "%s is too short", quote(c.nodes[path].text))
	}
}

// auth makes the source of grants of the section's one way.
func (c *compiler) auth() auth.Source {
	a := c.scenario.Target.Auth
	if a == nil {
		if c.scenario.Target.Emulator != nil {
			// It wants a token as the gateway does, and takes any.
			return auth.Fixed{G: auth.Grant{Bearer: auth.NewSecret("emulator")}}
		}
		return nil
	}
	token, ways := auth.Secret{}, []string{}
	for _, w := range a.ways() {
		if w.given {
			ways = append(ways, w.name)
			token = w.token
		}
	}
	switch {
	case len(ways) == 0 && c.has("target.auth"):
		c.fail("target.auth", "write {api_key: ${NAME}}, with quotes around ${NAME}", "no credentials are in it")
	case len(ways) > 1:
		c.fail("target.auth", "keep one of them", "%s are both ways to authenticate", strings.Join(ways, " and "))
	case token.IsZero():
		c.fail("target.auth", "use api_key, access_token or publishable_key", "%s is not built into this version yet", strings.Join(ways, ""))
	default:
		return auth.Fixed{G: auth.Grant{Bearer: token}}
	}
	return nil
}

// A way is one way to authenticate. Those without a token are not built yet.
type way struct {
	name  string
	given bool
	token auth.Secret
}

func (v *Auth) ways() []way {
	fixed := func(name string, s auth.Secret) way { return way{name, !s.IsZero(), s} }
	return []way{
		fixed("api_key", v.APIKey), fixed("access_token", v.AccessToken), fixed("publishable_key", v.PublishableKey),
		{name: "secret_id + secret_key", given: !v.SecretID.IsZero() || !v.SecretKey.IsZero() || !v.SessionToken.IsZero()},
		{name: "anonymous", given: v.Anonymous},
		{name: "username + password", given: !v.Username.IsZero() || !v.Password.IsZero()},
		{name: "app_id + app_secret", given: !v.AppID.IsZero() || !v.AppSecret.IsZero()},
	}
}

// targetOf makes the target of an invocation: the common one, where it
// overrides nothing.
func (c *compiler) targetOf(st *Step, path string) *engine.Target {
	c.method(join(path, "method"), st.Method)
	c.endpoint(join(path, "endpoint"), st.Endpoint)
	if c.has(join(path, "timeout")) {
		c.timeout(join(path, "timeout"), &st.Timeout, 0)
	}
	t := *c.target
	if st.Method != "" {
		t.Method = c.methods[st.Method]
	}
	if st.Endpoint != "" {
		t.Endpoint = st.Endpoint
	}
	if st.Qualifier != nil {
		t.Qualifier = *st.Qualifier
	}
	if st.Timeout != 0 {
		t.Timeout = time.Duration(st.Timeout)
	}
	if t.Method == c.target.Method && t.Endpoint == c.target.Endpoint && t.Qualifier == c.target.Qualifier && t.Timeout == c.target.Timeout {
		return c.target
	}
	return &t
}

// reachable checks that a target can be reached at all, and by whom.
func (c *compiler) reachable(t *engine.Target, path string) {
	if t.Method == nil {
		return
	}
	web := t.Method.Name() == "web"
	at := func(key string) string { // what is wrong is the step's where it overrides the method
		if p := join(path, "method"); c.has(p) {
			return p
		}
		return "target." + key
	}
	switch {
	case t.Endpoint == "" && web:
		c.fail(at("endpoint"), "set target.endpoint to the domain of the HTTP access service, such as https://example.com", "the method web has no endpoint to go to")
	case t.Endpoint == "" && t.Env == "":
		c.fail(at("env"), "set target.env (or --env) to the environment's id; without an account, try target.emulator", "no environment is named")
	case t.Endpoint == "" && t.Auth == nil:
		c.fail(at("auth"), "add auth: {api_key: \"${CLOUDBASE_APIKEY}\"}", "there are no credentials, and the gateway refuses requests without")
	}
	if web && t.Qualifier != "" {
		field := join(path, "qualifier")
		if !c.has(field) {
			field = at("qualifier")
		}
		c.fail(field, "delete qualifier, or use http-function", "%s cannot be asked for by the method web: its route fixes the version", quote(t.Qualifier))
	}
}
