// Package emulator is a CloudBase-shaped gateway to invoke functions at:
// it answers on all of the platform's ways to a function as the real one is
// documented to, and behaves like a function platform: latencies,
// cold starts, instances, quotas, time limits, stalls and errors, all seeded.
// It keeps the truth of what it did, so that what a client reports can be
// held against what happened.
//
// It is an independent second reading of PROTOCOL.md (1 to 9) and shares no code
// with the package that speaks the client's side; only the arithmetic of
// signatures is auth's, which is held against the vendor's own. Where the
// platform's behaviour is unknown, the comment at that place says what was
// chosen.
//
// # Routes
//
// One handler serves all. The vendor's host names tell the protocols apart; on
// any other host (a loopback address, a custom domain) the path does.
//
//	POST /v1/functions/NAME                     an event function; the body is its event
//	ANY  /v1/functions/NAME[/SUB]?webfn=true    an HTTP function (or header X-Tcb-Webfn: true)
//	ANY  /auth/v1/...                           where tokens are made (PROTOCOL.md 2.2):
//	     signin/anonymously, signin, token, token/clientCredential, user/me, revoke, user/signout
//	POST /admin?env=ENV                         node-sdk (PROTOCOL.md 4)
//	POST /web?env=ENV                           js-sdk 2 and 1 (PROTOCOL.md 5.2)
//	POST /tcb/invokecloudfunction               WeChat (PROTOCOL.md 6), with
//	     /cgi-bin/stable_token and /cgi-bin/token for its tokens
//	POST / with X-TC-Action                     the control plane (PROTOCOL.md 7.3)
//	ANY  /NAME[/SUB]                            HTTP Access Service, either kind of function
//
// /admin and /web without env, seqId or eventId in the query are functions of
// that name. What selects a version is X-Qualifier under /v1/, qualifier in the
// body of /admin, and Qualifier of the control plane; the others have nothing
// for it, and ask $DEFAULT. On access paths a function is open to everybody
// unless its WebAuth is set, and sees the path without the part that named it.
//
// # Order of checks under /v1/
//
// Environment (400 INVALID_ENV), the page it comes from (403
// INVALID_REQUEST_SOURCE), credentials (401; of a signed request after the size
// of its body, 413), function and qualifier (404), size (413) and form (400) of
// the body, then Function.Errors, then the instances (432, 429), then the
// function itself.
//
// # Who asks
//
// A bearer token is good when it stands in Config.Tokens, when it was given out
// here and has not expired, and, if there are no Config.Tokens, when it was not
// given out here. Tokens that were given out are told from others even when
// they are forgotten, which happens to those that 100,000 newer ones follow:
// they count as expired. A signature (PROTOCOL.md 9) stands in place of a token
// on /admin and /v1/; it is recomputed with the secret key of its id, and what
// it must cover is the host and all that the variant does. A refresh token is
// good for one renewal; only that of js-sdk 1 stays.
//
// # The record
//
// The first line of Config.Record is
//
//	{"schema":"volley.record/1","start":"2026-11-22T10:15:30.123456789Z"}
//
// and each of the others is a request, written before it is dealt with:
//
//	{"seq":1,"arrival_ns":15,"request_id":"…","protocol":"gateway","proto":"HTTP/1.1","method":"POST","scheme":"http","host":"127.0.0.1:8080",
//	 "path":"/v1/functions/hello","query":"","headers":[["Authorization","Bearer [secret]"],["Content-Type","application/json"]],"body":"{\"a\":1}","body_bytes":7}
//
// seq counts requests as they arrive, from 1; those that arrive together may be
// written in another order, so sort by it. arrival_ns and request_id are those
// of the truth. protocol is gateway, sign-in, access, admin, web-sdk, wechat or
// control-plane. path and query are as they came, escaped; headers are sorted by
// their canonical names, for net/http keeps neither their order nor their case,
// and Host stands apart. A body that is not UTF-8 is in body_base64 instead; of
// one that is longer than 64 KiB only the beginning is written, and body_cut is
// true; one with a Content-Encoding is left out, and body_encoded is true.
// body_bytes is its length as it came, or one more than MaxBody where it was longer.
//
// Secrets are "[secret]": bearer tokens, the id, value and session token of a
// signature (its scope, the names of what it covers and its time stay), cookies,
// and fields and parameters whose names say that they are secret: access_token,
// refresh_token, sessionToken, password, secret and their like, in the query, in
// JSON and in JSON within the strings of JSON. Where lines were lost, the last
// line is {"lost":12}.
package emulator

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"volley/engine/auth"
)

// Limits of the platform (PROTOCOL.md 7.1), and our own.
const (
	defaultMaxBody = 6 << 20
	maxTimeout     = 900 * time.Second // the longest time limit that a function can have
	platformLimit  = 3 * time.Second   // the time limit of a function that sets none
	preflightAge   = 24 * time.Hour    // the longest that browsers take
	keepWarm       = 5 * time.Minute   // how long an idle instance is kept

	minMemory, maxMemory int64 = 64 << 20, 3 << 30
	defaultMemory        int64 = 256 << 20
)

// A Server is a running emulator. It is an http.Handler. Close it.
type Server struct {
	env     string
	tokens  *tokenStore
	keys    map[string]secretKey   // by secret id
	users   map[string]auth.Secret // passwords by name; empty: any
	signIn  *signInError           // nil: none
	weixin  *weixin
	origins map[string]bool // empty: any
	maxAge  string          // of preflights, in seconds
	maxBody int64
	seed    uint64
	start   time.Time

	functions map[string]*function
	stray     route // counts requests that reach no function
	requests  atomic.Uint64

	sleep   sleeper
	truth   *stream // nil: not wanted
	record  *stream // nil: not wanted
	labels  labels
	buffers sync.Pool // of *bytes.Buffer

	done  chan struct{} // closed by Close
	crowd crowd         // calls of ServeHTTP and Serve
	close func() error
	ca    func() (*authority, error)
}

// A function is a Function made ready: what each qualifier leads to.
type function struct {
	name    string
	http    bool
	webAuth bool
	routes  map[string]*route // by the qualifier that was asked for
	unknown route             // counts requests for other qualifiers
}

// New returns an emulator of c, or all that is wrong with c: each mistake is an
// *Error, joined with the others.
//
// A Server made inside a testing/synctest bubble lives on the bubble's clock.
func New(c Config) (*Server, error) {
	if err := validate(c); err != nil {
		return nil, err
	}
	s := &Server{
		env:       c.Env,
		tokens:    newTokenStore(c.Tokens, c.TokenLife),
		users:     make(map[string]auth.Secret, len(c.Users)),
		keys:      newKeys(c.Keys, c.SessionTokens),
		weixin:    newWeixin(c.Apps),
		origins:   make(map[string]bool, len(c.Origins)),
		maxBody:   c.MaxBody,
		maxAge:    strconv.FormatInt(int64(cmp.Or(c.PreflightAge, preflightAge)/time.Second), 10),
		seed:      c.Seed,
		start:     time.Now(),
		functions: make(map[string]*function, len(c.Functions)),
		labels:    newLabels(),
		done:      make(chan struct{}),
		ca:        sync.OnceValues(newAuthority),
	}
	if s.maxBody == 0 {
		s.maxBody = defaultMaxBody
	}
	for name, password := range c.Users {
		s.users[name] = auth.NewSecret(password)
	}
	if c.SignInError != "" {
		e := signInErrors()[c.SignInError]
		s.signIn = &e
	}
	for _, origin := range c.Origins {
		s.origins[origin] = true
	}
	for name, f := range c.Functions {
		s.functions[name] = newFunction(c.Seed, name, f)
	}
	sleep, err := newSleeper(s.start)
	if err != nil {
		return nil, err
	}
	s.sleep = sleep
	if c.Truth != nil {
		s.truth = newTruth(c.Truth, s.start, c.Seed)
	}
	if c.Record != nil {
		s.record = newRecord(c, s.start)
	}
	s.close = sync.OnceValue(s.shut)
	return s, nil
}

func newFunction(seed uint64, name string, f Function) *function {
	fn := &function{name: name, http: f.HTTP, webAuth: f.WebAuth, routes: make(map[string]*route)}
	add := func(qualifier string, v *version) {
		fn.routes[qualifier] = &route{function: name, qualifier: qualifier, version: v}
	}
	for qualifier, own := range f.Versions {
		add(qualifier, newVersion(seed, name, qualifier, inherit(f, own)))
	}
	if fn.routes[latest] == nil {
		add(latest, newVersion(seed, name, latest, f))
	}
	if fn.routes[defaultAlias] == nil {
		add(defaultAlias, fn.routes[latest].version)
	}
	add("", fn.routes[defaultAlias].version)
	fn.unknown = route{function: name, qualifier: "(unknown)"}
	return fn
}

// ServeHTTP answers one request. After Close it hangs up.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.crowd.enter()
	defer s.crowd.leave()
	s.serve(w, r, s.done)
}

// Close ends all that Serve still serves, waits for requests in progress, which
// are cut short, and writes what is left of the truth and the record. It returns
// the first error that writing each of them met. Further calls return the same.
func (s *Server) Close() error { return s.close() }

func (s *Server) shut() error {
	close(s.done)
	s.crowd.wait()
	s.sleep.close()
	var errs []error
	for _, t := range []*stream{s.truth, s.record} {
		if t != nil {
			errs = append(errs, t.close())
		}
	}
	return errors.Join(errs...)
}

// now is the time since the server's start, the clock of all that follows.
func (s *Server) now() time.Duration { return time.Since(s.start) }

// A crowd counts who is inside, and lets others wait until nobody is. Unlike a
// sync.WaitGroup it may be entered while somebody waits.
type crowd struct {
	mu    sync.Mutex
	n     int
	empty *sync.Cond
}

func (c *crowd) enter() {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
}

func (c *crowd) leave() {
	c.mu.Lock()
	if c.n--; c.n == 0 && c.empty != nil {
		c.empty.Broadcast()
	}
	c.mu.Unlock()
}

func (c *crowd) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.empty == nil {
		c.empty = sync.NewCond(&c.mu)
	}
	for c.n > 0 {
		c.empty.Wait()
	}
}
