package scenarios

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"volley/engine"
	"volley/engine/auth"
	"volley/scenarios/payload"
)

// Defaults. The published schema says the same.
const (
	defaultMethod  = "http-api"
	defaultTimeout = 10 * time.Second
)

// emulatedEnv is the environment id in requests to an emulator of the
// scenario's own, where a method has to name one.
const emulatedEnv = "emulator"

// compileTarget checks the target section, and puts its defaults in place.
func (c *compiler) compileTarget() {
	t := &c.scenario.Target
	c.methods, c.targets, c.sources, c.ambients = map[string]engine.Method{}, map[targetKey]*engine.Target{}, map[proof]auth.Source{}, map[string]*Auth{}
	t.Method = c.orDefault(t.Method, defaultMethod)
	t.Protocol = c.orDefault(t.Protocol, "auto")
	c.project(t)
	c.compileOptions(t)
	c.method("target.method", t.Method)
	c.endpoint("target.endpoint", t.Endpoint)
	c.checkEnv("target.env", t.Env)
	c.checkRegion("target.region", t.Region)
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
	if t.Auth != nil {
		c.proof(t.Auth, "target.auth") // also where every step has its own
	}
	c.headers("target.headers", t.Headers, scopeVars{all: true})
	c.server(t.Server, "target.server", nil, "", scopeVars{all: true})
}

// project takes environment and region from around the scenario, where it says
// nothing of where to go. The region is not taken for another environment.
func (c *compiler) project(t *Target) {
	if t.Endpoint != "" || t.Emulator != nil {
		return
	}
	o := &c.opts
	if t.Env == "" && o.DefaultEnv != "" && !c.has("target.env") {
		t.Env, c.out.EnvFrom = o.DefaultEnv, o.DefaultsFrom
	}
	if t.Region == "" && o.DefaultRegion != "" && !c.has("target.region") && (t.Env == o.DefaultEnv || o.DefaultEnv == "") {
		t.Region, c.out.RegionFrom = o.DefaultRegion, o.DefaultsFrom
	}
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
		c.fail(path, "copy the id from the console, such as my-env-1a2b3c", "%s%s is not an environment id", quote(env), c.from(path, c.out.EnvFrom))
	}
}

// from says that the target's value was not written in the scenario.
func (c *compiler) from(path, file string) string {
	if file == "" || !strings.HasPrefix(path, "target.") {
		return ""
	}
	return " (from " + file + ")"
}

// regions are those that environments are known to be in. Others are taken as
// they are, but what looks like one of these is a slip, which would ask another
// site: the international one (PROTOCOL.md 1.1).
func regions() []string {
	return []string{"ap-shanghai", "ap-guangzhou", "ap-shenzhen-fsi", "ap-shanghai-fsi", "ap-nanjing", "ap-beijing", "ap-chengdu", "ap-chongqing", "ap-hongkong", "ap-singapore"}
}

func (c *compiler) checkRegion(path, region string) {
	if region != "" && !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+){1,5}$`).MatchString(region) {
		c.fail(path, "write one such as ap-shanghai", "%s%s is not a region", quote(region), c.from(path, c.out.RegionFrom))
	} else if near := payload.Nearest(region, regions()); near != "" && near != region && slip(region, near) {
		c.fail(path, "write "+near, "%s%s is not a region", quote(region), c.from(path, c.out.RegionFrom))
	}
}

// slip reports whether a is b but for one letter too few, too many, or another.
func slip(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	switch len(a) - len(b) {
	case 0:
		return i == len(b) || a[i+1:] == b[i+1:]
	case 1:
		return a[i+1:] == b[i:]
	}
	return false
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

// A change is what a step or an arm overrides of the target.
type change struct {
	qualifier                     *string
	method, endpoint, env, region string
	timeout                       *Duration
	auth                          *Auth
}

// A targetKey is what tells targets of one scenario apart.
type targetKey struct {
	method                           engine.Method
	env, region, endpoint, qualifier string
	timeout                          time.Duration
	proof                            proof
}

// targetOf makes the target of an invocation or an arm. Equal ones are one.
func (c *compiler) targetOf(ch change, path string) *engine.Target {
	c.endpoint(join(path, "endpoint"), ch.endpoint)
	if c.has(join(path, "timeout")) {
		c.timeout(join(path, "timeout"), ch.timeout, 0)
	}
	s := &c.scenario.Target
	t := &engine.Target{
		Env: cmp.Or(ch.env, s.Env), Region: cmp.Or(ch.region, s.Region), Endpoint: cmp.Or(ch.endpoint, c.reach(s.Endpoint)), Qualifier: s.Qualifier,
		Timeout: time.Duration(cmp.Or(*ch.timeout, s.Timeout)), OKStatus: s.OKStatus, Redirects: s.Redirects,
	}
	if s.Emulator != nil {
		t.Env = emulatedEnv
	}
	if ch.qualifier != nil {
		t.Qualifier = *ch.qualifier
	}
	at, name := join(path, "method"), ch.method
	if name == "" {
		at, name = "target.method", s.Method
	}
	if t.Method = c.method(at, name); t.Method == nil {
		return t
	}
	p := c.proofFor(ch.auth, path, t)
	t.Auth = c.sourceOf(p)
	key := targetKey{t.Method, t.Env, t.Region, t.Endpoint, t.Qualifier, t.Timeout, p}
	if c.targets[key] == nil {
		c.targets[key], c.out.proofs[t] = t, p
	}
	return c.targets[key]
}

// reachable checks that a target can be reached at all, and by whom.
func (c *compiler) reachable(t *engine.Target, path string) {
	if t.Method == nil {
		return
	}
	method := t.Method.Name()
	at := func(key string) string { // what is wrong is the step's where it overrides the method
		return c.ownPlace(path, "method", "target."+key)
	}
	switch {
	case t.Endpoint == "" && method == "web":
		c.fail(at("endpoint"), "set target.endpoint to the domain of the HTTP access service, such as https://example.com", "the method web has no endpoint to go to")
	case t.Endpoint == "" && t.Env == "" && c.opts.DefaultsFrom != "" && c.opts.DefaultEnv == "":
		c.fail(at("env"), "add envId to "+c.opts.DefaultsFrom+", or set target.env (or --env)", "no environment is named, and %s names none", c.opts.DefaultsFrom)
	case t.Endpoint == "" && t.Env == "":
		c.fail(at("env"), "set target.env (or --env) to the environment's id; without an account, try target.emulator", "no environment is named")
	case t.Auth == nil && !c.saysWho(path) && (t.Endpoint == "" || !takesNobody(method)):
		c.fail(at("auth"), c.addCredentials(t), "there are no credentials, and the method %s is refused without", method)
	}
	if t.Qualifier != "" {
		c.qualified(t.Qualifier, method, path)
	}
}

// addCredentials says how a target comes by credentials: written in the
// scenario, on the command line where there is none, or from around it, which
// an endpoint of one's own is not given.
func (c *compiler) addCredentials(t *engine.Target) string {
	keys := []string{"api_key", "CLOUDBASE_APIKEY"}
	around := "set CLOUDBASE_APIKEY, or TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY, or log in (tcb login); or "
	switch takes := waysOf(t.Method.Name()).takes; {
	case takes[0] == byKeys:
		keys = []string{"secret_id", "TENCENTCLOUD_SECRETID", "secret_key", "TENCENTCLOUD_SECRETKEY"}
		if !slices.Contains(takes, byAPIKey) {
			around = "set TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY, or log in (tcb login); or "
		}
	case takes[0] == byApp:
		keys, around = []string{"app_id", "WX_APP_ID", "app_secret", "WX_APP_SECRET"}, ""
	}
	var section, flags []string
	for i := 0; i < len(keys); i += 2 {
		section = append(section, fmt.Sprintf("%s: \"${%s}\"", keys[i], keys[i+1]))
		flags = append(flags, fmt.Sprintf("--set 'target.auth.%s=${%s}'", keys[i], keys[i+1]))
	}
	fix := "add auth: {" + strings.Join(section, ", ") + "}"
	if c.file == commandLine {
		fix = "add " + strings.Join(flags, " ")
	}
	switch {
	case c.opts.Ambient == nil || around == "":
		return fix
	case t.Endpoint != "":
		return fix + "; what is set around a scenario is for the vendor's own hosts"
	}
	return around + fix
}

// saysWho reports whether a step or the target says who asks, be it nobody.
func (c *compiler) saysWho(path string) bool {
	return c.has(join(path, "auth")) || c.scenario.Target.Auth != nil
}

// qualified checks that a method can ask for versions (PROTOCOL.md 0).
func (c *compiler) qualified(qualifier, method, path string) {
	field := c.ownPlace(path, "qualifier", c.ownPlace(path, "method", "target.qualifier"))
	switch {
	case method == "web":
		c.fail(field, "delete qualifier, or use http-function", "%s cannot be asked for by the method web: its route fixes the version", quote(qualifier))
	case method == "mini-program":
		c.fail(field, "delete qualifier, or use http-api or node-sdk", "%s cannot be asked for by the method mini-program: WeChat's API has no versions", quote(qualifier))
	case method == "web-sdk" && c.webVersion() != "3":
		c.fail(field, "delete qualifier, or use web_sdk: {version: 3}", "%s cannot be asked for by version %s of the web SDK", quote(qualifier), c.webVersion())
	}
}
