// Package emulator is a CloudBase-shaped gateway to invoke functions at:
// it answers on the HTTP API and on HTTP Access Service paths as the real
// platform is documented to, and behaves like a function platform: latencies,
// cold starts, instances, quotas, time limits, stalls and errors, all seeded.
// It keeps the truth of what it did, so that what a client reports can be
// held against what happened.
//
// It is an independent second reading of PROTOCOL.md (1, 2.1, 3, 7.1, 7.2) and
// shares no code with the package that speaks the client's side. Where the
// platform's behaviour is unknown, the comment at that place says what was
// chosen.
//
// # Routes
//
// One handler serves all; the host name matters only when Config.Env is set.
//
//	POST /v1/functions/NAME                 an event function; the body is its event
//	ANY  /v1/functions/NAME[/SUB]?webfn=true    an HTTP function (or header X-Tcb-Webfn: true)
//	ANY  /NAME[/SUB]                        HTTP Access Service, either kind of function
//
// Paths under /v1/ want a bearer token and select a version by X-Qualifier.
// On the other paths a function is open to everybody unless its WebAuth is set.
// The function sees the path without the part that named it.
//
// # Order of checks under /v1/
//
// Environment (400 INVALID_ENV), credentials (401), function and qualifier
// (404), size (413) and form (400) of the body, then Function.Errors, then the
// instances (432, 429), then the function itself.
package emulator

import (
	"io"
	"net/http"
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
	keepWarm       = 5 * time.Minute   // how long an idle instance is kept

	minMemory, maxMemory int64 = 64 << 20, 3 << 30
	defaultMemory        int64 = 256 << 20
)

// A Config describes an emulator. The zero value is valid: a gateway that
// knows no function.
type Config struct {
	// Functions by name; names follow the platform's rule (PROTOCOL.md 1.1).
	Functions map[string]Function

	// Env is the environment id. When set, a request whose Host is one of the
	// vendor's domains and names another environment gets 400 INVALID_ENV.
	// Other hosts (a loopback address, a custom domain) always pass.
	Env string

	// Tokens are the bearer tokens that are accepted. Empty: any token is, as
	// long as there is one. Only their digests are kept.
	Tokens []string

	// Keys are the secret ids, each with its secret key, that signatures are
	// checked with (PROTOCOL.md 9). Empty: the one pair of OpenKeys.
	Keys map[string]string

	// SessionTokens are the tokens of those ids in Keys that are temporary;
	// a request signed with one of these must carry it.
	SessionTokens map[string]string

	// Users are the names, each with its password, that may sign in. Empty:
	// every name may, with any password but an empty one.
	Users map[string]string

	// Apps are the ids, each with its secret, of WeChat apps. Empty: all.
	Apps map[string]string

	// TokenLife is how long the tokens last that are given out here; 0: 2 h.
	TokenLife time.Duration

	// SignInError makes every request for a token end with this error;
	// SignInErrors lists and explains them. Empty: none.
	SignInError string

	// Record receives a line of JSON about every request as it came, secrets
	// masked; see Server.
	Record io.Writer

	// Origins are the security domains whose pages may call HTTP Access
	// Service paths, such as "https://app.example.com". Empty: all.
	Origins []string

	// Seed fixes latencies, errors and request ids: the k-th request of a
	// function's version meets the same fate in every run.
	Seed uint64

	// MaxBody is the most bytes of a request or a reply; 0 means 6 MiB.
	MaxBody int64

	// Truth receives a line of JSON about every request; see Server.Truth.
	Truth io.Writer
}

// A Function says how one function behaves. The zero value is an event function
// that answers at once with the event it got, on as many instances as it takes.
type Function struct {
	// Reply computes the body of the answer from the event; nil means that the
	// event itself is the answer. It must be safe for concurrent use. The event
	// is decoded JSON (numbers are float64): what was posted to an event
	// function, or the description of an HTTP request (path, httpMethod,
	// headers, queryStringParameters, requestContext, body, isBase64Encoded)
	// for an HTTP function and for any function on an HTTP Access Service path.
	// There, a reply of the form {statusCode, headers, body, isBase64Encoded}
	// is that very response (PROTOCOL.md 3). A body that is not JSON goes out as
	// text. An error, or a panic, is a function that failed.
	Reply func(event any) (body []byte, err error)

	// Latency is how long the function works on one request.
	Latency Latency
	// ColdStart is added where a request has to wait for a new instance. It does
	// not count against Timeout.
	ColdStart time.Duration
	// Versions by qualifier: a number or an alias. A field left at its zero
	// value is the function's. $LATEST and $DEFAULT always exist; without a
	// qualifier, $DEFAULT is asked, and without a $DEFAULT here that is $LATEST.
	Versions map[string]Function
	// Errors are shares, from 0 to 1 and at most 1 together, of requests that
	// end in another way; ErrorKinds lists and explains the keys. In a version,
	// nil is the function's, and an empty map is none.
	Errors map[string]float64
	// Memory is how much an instance has, and how much of it a request uses, in
	// bytes; the control plane tells them. Memory is from 64 MiB to 3 GiB; 0
	// means 256 MiB. MemoryUsed is at most Memory; 0 means a tenth of it.
	Memory, MemoryUsed int64
	// Concurrency is the most instances at one time, for each version; a request
	// that finds all busy is answered 432. 0 means no limit.
	Concurrency int
	// Burst is the most new instances per minute, for each version, any of which
	// may come at once; faster growth is answered 429. 0 means no limit.
	Burst float64
	// Timeout is the time limit of one request, at most 15 minutes: above, it is
	// answered 433, and its instance is gone. 0 means 15 minutes.
	Timeout time.Duration
	// Stall makes the function fall silent now and then.
	Stall Stall
	// HTTP makes it an HTTP function: it answers requests of any method and
	// path as a web server does, and not events.
	HTTP bool
	// ReplyStatus is the status of an HTTP function's answers; 0 means 200.
	ReplyStatus int
	// WebAuth turns the auth switch of the function's HTTP Access Service path
	// on: without an accepted bearer token it answers 401.
	WebAuth bool
}

// A Latency is constant, or log-normal when P99 is set and above P50: half of
// all requests take longer than P50, one in a hundred longer than P99.
type Latency struct{ P50, P99 time.Duration }

// A Stall is a pause that returns: in each period of length Every, no answer
// is given in the last For. A request whose answer would be due at time t
// since the server's start, with Every-For <= t mod Every, is answered when the
// period ends. Work goes on in a stall; only answers wait.
type Stall struct{ Every, For time.Duration }

// A Server is a running emulator. It is an http.Handler. Close it.
type Server struct {
	env     string
	tokens  *tokenStore
	keys    map[string]secretKey   // by secret id
	users   map[string]auth.Secret // passwords by name; empty: any
	signIn  *signInError           // nil: none
	weixin  *weixin
	origins map[string]bool // empty: any
	maxBody int64
	seed    uint64
	start   time.Time

	functions map[string]*function
	stray     route // counts requests that reach no function
	requests  atomic.Uint64

	sleep   sleeper
	truth   *stream // nil: not wanted
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
		s.truth = newStream(c.Truth, s.start, c.Seed)
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
// are cut short, and writes what is left of the truth. It returns the first
// error that writing the truth met. Further calls return the same.
func (s *Server) Close() error { return s.close() }

func (s *Server) shut() error {
	close(s.done)
	s.crowd.wait()
	s.sleep.close()
	if s.truth == nil {
		return nil
	}
	return s.truth.close()
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
