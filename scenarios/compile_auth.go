package scenarios

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/cloud"
	"volley/engine/emulator"
)

// A way is one way to say who asks, by its name in messages.
type way string

const (
	nobody             way = "none"
	byAPIKey           way = "api_key"
	byPublishableKey   way = "publishable_key"
	byAccessToken      way = "access_token"
	byKeys             way = "secret_id + secret_key"
	byClientCredential way = "client_credential"
	byAnonymous        way = "anonymous"
	byPassword         way = "username + password"
	byRefresh          way = "refresh_token"
	byApp              way = "app_id + app_secret"
)

// makesTokens reports whether tokens are asked for on the way.
func (w way) makesTokens() bool {
	return slices.Contains([]way{byClientCredential, byAnonymous, byPassword, byRefresh, byApp}, w)
}

// ofUser reports whether the tokens are those of a user of an environment,
// which is named where they are made (PROTOCOL.md 2.2).
func (w way) ofUser() bool { return slices.Contains([]way{byAnonymous, byPassword, byRefresh}, w) }

// weChatAPI is where WeChat's server API is (PROTOCOL.md 6).
const weChatAPI = "https://api.weixin.qq.com"

// A proof is all that a source of grants is made of. Steps whose proofs are
// equal share one source, so that one refresh serves them all.
type proof struct {
	way            way
	token          auth.Secret // the bearer, or the refresh token to go on from
	keys           auth.Keys
	name, password auth.Secret // of a user, or of an app
	legacy         bool
	base           string // where tokens are made; "" where none are
	env, device    string // for tokens of users
}

// source makes the source, new each time.
func (p proof) source() auth.Source {
	switch p.way {
	case nobody, "":
		return nil
	case byKeys:
		return auth.Fixed{G: auth.Grant{Keys: p.keys}}
	case byClientCredential:
		return auth.ClientCredential(p.base, p.keys)
	case byAnonymous:
		return auth.Anonymous(p.base, p.env, p.device)
	case byPassword:
		return auth.Password(p.base, p.env, p.device, p.name, p.password)
	case byRefresh:
		return auth.Refresh(p.base, p.env, p.token)
	case byApp:
		return auth.WeChat(p.base, p.name, p.password, p.legacy)
	}
	return auth.Fixed{G: auth.Grant{Bearer: p.token}}
}

// A waysRule says which ways a method takes, and what to do with another.
type waysRule struct {
	takes []way
	cure  string
}

// waysOf is the table of what proves who asks, by method (PROTOCOL.md 2.1, 3,
// 4.1, 5, 6, 7.3).
func waysOf(method string) waysRule {
	bearers := []way{byAPIKey, byPublishableKey, byAccessToken, byClientCredential, byAnonymous, byPassword, byRefresh}
	switch method {
	case "node-sdk":
		return waysRule{[]way{byKeys, byAPIKey}, "use secret_id + secret_key, or api_key: node-sdk asks as an administrator"}
	case "control-plane":
		return waysRule{[]way{byKeys}, "use secret_id + secret_key: the control plane takes signatures alone"}
	case "mini-program":
		return waysRule{[]way{byApp, byAccessToken}, "use app_id + app_secret, or the access_token of an app: WeChat's API takes no other"}
	case "web", "web-sdk":
		return waysRule{bearers, "use one of: api_key, publishable_key, access_token, anonymous, username + password, refresh_token"}
	}
	return waysRule{append(bearers, byKeys), "use one of: api_key, publishable_key, access_token, secret_id + secret_key, anonymous, username + password, refresh_token"}
}

// takesNobody reports whether a method can ask without credentials: the others
// have no form for that.
func takesNobody(method string) bool {
	return method == "http-api" || method == "http-function" || method == "web"
}

// signs reports whether a method signs its requests where it may choose.
func signs(method string) bool { return method == "node-sdk" || method == "control-plane" }

// proofFor says what a target's grants are made of: by the step's or the
// target's own section, else by what is there without. What is wrong with the
// section for this method is reported at the step's own words, if it has any.
func (c *compiler) proofFor(own *Auth, path string, t *engine.Target) proof {
	section, at := c.scenario.Target.Auth, "target.auth"
	if own != nil {
		section, at = own, join(path, "auth")
	}
	vendors := t.Endpoint == "" && c.scenario.Target.Emulator == nil && t.Method.Name() != "web"
	switch {
	case section != nil:
	case t.Endpoint == EmulatorEndpoint:
		return emulatorsOwn(t.Method.Name())
	case vendors:
		section = c.ambient(t.Method.Name())
	}
	if section == nil {
		return proof{}
	}
	p, ok := c.proof(section, at)
	if !ok || !c.fits(p.way, t, path) {
		return proof{}
	}
	if p.way.makesTokens() {
		p.base = c.tokenBase(section, p.way, t)
	}
	if p.way.ofUser() {
		p.env = t.Env
	}
	if t.Env == "" && t.Endpoint != "" && (p.way.ofUser() || p.base == "https://"+cloud.GatewayHost("", t.Region)) {
		c.fail(at, "set target.env (or --env) to the environment's id", "tokens are made for an environment, and none is named")
		return proof{}
	}
	return p
}

// sourceOf returns the source of a proof: the same for the same.
func (c *compiler) sourceOf(p proof) auth.Source {
	if _, ok := c.sources[p]; !ok {
		c.sources[p] = p.source()
	}
	return c.sources[p]
}

// emulatorsOwn is what an emulator takes where the scenario says nothing: the
// keys that it knows, or any token.
func emulatorsOwn(method string) proof {
	if signs(method) {
		id, key := emulator.OpenKeys()
		return proof{way: byKeys, keys: auth.Keys{ID: auth.NewSecret(id), Key: auth.NewSecret(key)}}
	}
	return proof{way: byAccessToken, token: auth.NewSecret("emulator")}
}

// ambient asks for credentials that stand outside of the scenario, once for
// each method.
func (c *compiler) ambient(method string) *Auth {
	if c.opts.Ambient == nil {
		return nil
	}
	if a, known := c.ambients[method]; known {
		return a
	}
	c.ambients[method] = nil
	a, from, err := c.opts.Ambient(method)
	if err != nil {
		problem, fix := hinted(err)
		if fix == "" {
			fix = "mend it, or write target.auth"
		}
		c.fail("target.auth", fix, "%s", problem)
		return nil
	}
	if a == (Auth{}) {
		return nil
	}
	for _, s := range []auth.Secret{a.APIKey, a.PublishableKey, a.AccessToken, a.SecretID, a.SecretKey, a.SessionToken, a.Username, a.Password, a.RefreshToken, a.AppID, a.AppSecret} {
		if !s.IsZero() {
			c.secrets = append(c.secrets, s)
		}
	}
	if from != "" && !slices.Contains(c.authFrom, from) {
		c.authFrom = append(c.authFrom, from)
		c.out.AuthFrom = strings.Join(c.authFrom, " and ")
	}
	c.ambients[method] = &a
	return &a
}

// proof reads a section: which way it is, and whether all is there that this
// way needs. ok is false where it is not; that is reported.
func (c *compiler) proof(a *Auth, path string) (p proof, ok bool) {
	if a.None {
		return proof{way: nobody}, true
	}
	has := func(key string, s auth.Secret) bool { return !s.IsZero() || c.has(join(path, key)) }
	keys := has("secret_id", a.SecretID) || has("secret_key", a.SecretKey) || has("session_token", a.SessionToken)
	app := has("app_id", a.AppID) || has("app_secret", a.AppSecret)
	var found []way
	for _, k := range [...]struct {
		way   way
		given bool
	}{
		{byAPIKey, has("api_key", a.APIKey)}, {byPublishableKey, has("publishable_key", a.PublishableKey)},
		{byAccessToken, has("access_token", a.AccessToken)}, {byKeys, keys}, {byAnonymous, a.Anonymous},
		{byPassword, has("username", a.Username) || has("password", a.Password)}, {byRefresh, has("refresh_token", a.RefreshToken)}, {byApp, app},
	} {
		if k.given {
			found = append(found, k.way)
		}
	}
	switch {
	case len(found) == 0:
		c.fail(path, `write {api_key: "${NAME}"}; or auth: none, for requests without`, "no credentials are in it")
		return p, false
	case len(found) > 1:
		c.fail(path, "keep one of them", "%s and %s are both ways to authenticate", found[0], found[1])
		return p, false
	}
	p.way = found[0]
	if p.way == byKeys && a.ClientCredential {
		p.way = byClientCredential
	}
	pair := func(one, other string, a, b auth.Secret) bool {
		missing, beside := other, one
		switch {
		case has(one, a) && has(other, b):
			return true
		case has(other, b):
			missing, beside = one, other
		case !has(one, a):
			missing, beside = one, "session_token"
		}
		c.fail(path, fmt.Sprintf("add %s: \"${NAME}\"", missing), "%s is missing beside %s", missing, beside)
		return false
	}
	ok = true
	switch p.way {
	case byAPIKey:
		p.token = a.APIKey
	case byPublishableKey:
		p.token = a.PublishableKey
	case byAccessToken:
		p.token = a.AccessToken
	case byRefresh:
		p.token = a.RefreshToken
	case byKeys, byClientCredential:
		p.keys = auth.Keys{ID: a.SecretID, Key: a.SecretKey, Session: a.SessionToken}
		ok = pair("secret_id", "secret_key", a.SecretID, a.SecretKey)
	case byPassword:
		p.name, p.password = a.Username, a.Password
		ok = pair("username", "password", a.Username, a.Password)
	case byApp:
		p.name, p.password, p.legacy = a.AppID, a.AppSecret, a.LegacyToken
		ok = pair("app_id", "app_secret", a.AppID, a.AppSecret)
	}
	if p.way == byAnonymous || p.way == byPassword {
		p.device = c.device(a, path)
	}
	return p, c.besides(a, p.way, path) && ok
}

// besides checks what stands beside the credentials themselves.
func (c *compiler) besides(a *Auth, w way, path string) bool {
	ok := true
	for _, b := range [...]struct {
		key  string
		fits bool
		with string
	}{
		{"client_credential", w == byKeys || w == byClientCredential, "secret_id and secret_key"},
		{"legacy_token", w == byApp, "app_id and app_secret"},
		{"device", w == byAnonymous || w == byPassword, "anonymous, or username and password"},
		{"endpoint", w.makesTokens(), "credentials that tokens are made of, and " + string(w) + " is sent as it is"},
	} {
		if at := join(path, b.key); c.has(at) && !b.fits {
			c.fail(at, "delete it", "%s goes with %s", b.key, b.with)
			ok = false
		}
	}
	c.endpoint(join(path, "endpoint"), a.Endpoint)
	return ok
}

// device names the device that signs in: the scenario's, or one that the seed
// makes, so that runs of one seed are one user. Its form is that of a UUID, as
// in the vendor's library.
func (c *compiler) device(a *Auth, path string) string {
	if a.Device != "" {
		if len(a.Device) > 128 || strings.ContainsFunc(a.Device, func(r rune) bool { return r <= ' ' || r > '~' }) {
			c.fail(join(path, "device"), "use at most 128 letters, digits and marks, and no spaces", "%s cannot be the id of a device", quote(a.Device))
		}
		return a.Device
	}
	h := sha256.Sum256(fmt.Appendf(nil, "volley device %d", c.plan.Seed))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80 // version 4, RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// fits checks that a method takes what proves who asks.
func (c *compiler) fits(w way, t *engine.Target, path string) bool {
	method := t.Method.Name()
	rule := waysOf(method)
	if w == nobody && takesNobody(method) {
		return true
	}
	old := w == byAPIKey && method == "node-sdk" && c.nodeVersion() == "2" // it knows none
	if slices.Contains(rule.takes, w) && !old {
		return true
	}
	cure := rule.cure
	switch {
	case old:
		cure = "use secret_id + secret_key, or node_sdk: {version: 3}: version 2 knows no API keys"
	case w == byKeys && (method == "web" || method == "web-sdk"):
		cure = "add client_credential: true, which makes an administrator's token of the keys"
	case w == byClientCredential && signs(method):
		cure = "delete client_credential: " + method + " signs with the keys themselves"
	}
	place := c.ownPlace(path, "auth", c.ownPlace(path, "method", "target.auth"))
	if w == nobody {
		c.fail(place, cure, "the method %s cannot ask without credentials", method)
		return false
	}
	c.fail(place, cure, "the method %s does not take %s", method, w)
	return false
}

// ownPlace is the path of a step's own key, if it was written, else another.
func (c *compiler) ownPlace(path, key, otherwise string) string {
	if p := join(path, key); path != "" && c.has(p) {
		return p
	}
	return otherwise
}

// tokenBase is where tokens for a target are made.
func (c *compiler) tokenBase(a *Auth, w way, t *engine.Target) string {
	switch {
	case a.Endpoint != "":
		return strings.TrimRight(a.Endpoint, "/")
	case t.Endpoint != "" && t.Method.Name() != "web":
		return strings.TrimRight(t.Endpoint, "/")
	case c.scenario.Target.Emulator != nil:
		return EmulatorEndpoint
	case w == byApp:
		return weChatAPI
	}
	return "https://" + cloud.GatewayHost(t.Env, t.Region)
}
