package emulator

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"volley/engine/auth"
)

// stableToken serves POST /cgi-bin/stable_token.
func (x *exchange) stableToken() {
	var ask struct {
		Grant  string `json:"grant_type"`
		App    string `json:"appid"`
		Secret string `json:"secret"`
		Force  bool   `json:"force_refresh"`
	}
	if x.r.Method != http.MethodPost {
		x.send(x.wechatFailure(outcomeRejected, 43002, "require POST method"))
		return
	}
	buf := x.s.buffer()
	defer x.s.putBuffer(buf)
	if !x.read(buf) {
		return
	}
	if !decode(buf.Bytes(), &ask) {
		x.send(x.wechatFailure(outcomeRejected, 47001, "data format error"))
		return
	}
	if x.isApp(ask.Grant, ask.App, ask.Secret) {
		x.handWechat(x.s.weixin.stable(x.s, ask.App, ask.Force))
	}
}

// legacyToken serves GET /cgi-bin/token, which makes the token before it
// invalid, but not the stable one.
func (x *exchange) legacyToken() {
	if q := x.r.URL.Query(); x.isApp(q.Get("grant_type"), q.Get("appid"), q.Get("secret")) {
		x.handWechat(x.s.weixin.legacy(x.s, q.Get("appid")))
	}
}

// isApp reports whether an app may have a token. Where it returns false, the
// answer is given.
func (x *exchange) isApp(grant, app, secret string) bool {
	if x.signInFails(weChatDoor, x.wechatSignInFailure) {
		return false
	}
	apps := x.s.weixin.secrets
	want, known := apps[app]
	refuse := func(outcome string, code int, message string) bool {
		x.send(x.wechatFailure(outcome, code, message))
		return false
	}
	switch {
	case grant != "client_credential":
		return refuse(outcomeRejected, 40002, "invalid grant_type")
	case app == "":
		return refuse(outcomeAuth, 41002, "appid missing")
	case secret == "":
		return refuse(outcomeAuth, 41004, "appsecret missing")
	case len(app) > wechatAppID, len(apps) > 0 && !known:
		return refuse(outcomeAuth, 40013, "invalid appid")
	case len(apps) > 0 && !same(secret, want.Reveal()):
		return refuse(outcomeAuth, 40125, "invalid appsecret")
	}
	return true
}

// wechatSignInFailure answers as Config.SignInError wants it.
func (x *exchange) wechatSignInFailure(e *signInError) {
	switch e.weChat {
	case 0:
		x.send(answer{end: end{e.outcome, e.name, e.status}})
	case 40164:
		ip := bare(x.r.RemoteAddr)
		if !strings.Contains(ip, ":") {
			ip += " ipv6 ::ffff:" + ip
		}
		x.send(x.wechatFailure(e.outcome, e.weChat, "invalid ip "+ip+", not in whitelist"))
	default:
		x.send(x.wechatFailure(e.outcome, e.weChat, e.weChatText))
	}
}

// handWechat gives a token out that still lasts for life, unless ok says that
// there is none left.
func (x *exchange) handWechat(token auth.Secret, life time.Duration, ok bool) {
	if !ok {
		x.send(x.wechatFailure(outcomeThrottle, 45009, "reach max api daily quota limit"))
		return
	}
	body := `{"access_token":"` + token.Reveal() + `","expires_in":` + strconv.FormatInt(int64(max(1, life/time.Second)), 10) + `}`
	x.send(answer{end: end{outcomeOK, "", http.StatusOK}, kind: x.s.labels.json, body: []byte(body)})
}

// acceptWechat returns the code to refuse token with, or nothing. Where
// Config.Tokens is empty, every token is good that was not made here.
func (s *Server) acceptWechat(token string) (code string) {
	if token == "" {
		return codeNoCredentials
	}
	switch kind, _, state := s.lookup(token); {
	case state == expiredToken:
		return codeExpired
	case state == validToken && (kind == weChatApp || kind == configured):
		return ""
	case state == unknownToken && len(s.tokens.configured) == 0:
		return ""
	}
	return codeCredentials
}

// A weixin knows the current tokens of WeChat apps: for each the stable one,
// and the one of the older endpoint, which have nothing to do with each other
// (PROTOCOL.md 6).
type weixin struct {
	secrets map[string]auth.Secret // by app; empty: all are right

	mu   sync.Mutex
	apps map[string]*wechatApp
}

type wechatApp struct {
	current auth.Secret // the stable token
	until   time.Duration
	forced  []time.Duration // when it was renewed by force, within a day
	latest  auth.Secret     // of the older endpoint
}

const (
	wechatApps    = 1024 // apps that may have tokens
	wechatAppID   = 64   // bytes of an app's id, which is remembered
	wechatForced  = 20   // renewals by force in a day
	wechatForcing = 30 * time.Second
)

func newWeixin(apps map[string]string) *weixin {
	w := &weixin{secrets: make(map[string]auth.Secret, len(apps)), apps: make(map[string]*wechatApp)}
	for app, secret := range apps {
		w.secrets[app] = auth.NewSecret(secret)
	}
	return w
}

// of returns the tokens of app, or nil where there are too many apps. It wants
// the lock held.
func (w *weixin) of(app string) *wechatApp {
	a := w.apps[app]
	if a == nil && len(w.apps) < wechatApps {
		a = new(wechatApp)
		w.apps[app] = a
	}
	return a
}

// stable returns the token of app and how long it lasts, or false where no more
// are given today. The token stays until a 24th of its life is left (WeChat: 5
// minutes of 2 hours), or until it is renewed by force, which does nothing
// within 30 s of the last time.
func (w *weixin) stable(s *Server, app string, force bool) (token auth.Secret, life time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.of(app)
	if a == nil {
		return token, 0, false
	}
	now := s.now()
	for len(a.forced) > 0 && now-a.forced[0] >= 24*time.Hour {
		a.forced = a.forced[1:]
	}
	if n := len(a.forced); force && !a.current.IsZero() && (n == 0 || now-a.forced[n-1] >= wechatForcing) {
		if n >= wechatForced {
			return token, 0, false
		}
		a.forced = append(a.forced, now)
		s.supersede(a.current.Reveal())
		a.current = auth.Secret{}
	}
	if a.current.IsZero() || a.until-now <= s.tokens.life/24 || !s.good(a.current) {
		given := s.issue(weChatApp, app)
		a.current, a.until = auth.NewSecret(given.access), now+given.life
	}
	return a.current, a.until - now, true
}

// good reports whether a token that was given out can still be used: it may
// have been revoked, or forgotten for newer ones.
func (s *Server) good(token auth.Secret) bool {
	_, _, state := s.lookup(token.Reveal())
	return state == validToken
}

// legacy returns a new token of app, and ends the one before.
func (w *weixin) legacy(s *Server, app string) (token auth.Secret, life time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.of(app)
	if a == nil {
		return token, 0, false
	}
	if !a.latest.IsZero() {
		s.supersede(a.latest.Reveal())
	}
	given := s.issue(weChatApp, app)
	a.latest = auth.NewSecret(given.access)
	return a.latest, given.life, true
}
