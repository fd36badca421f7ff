package emulator

import (
	"io"
	"time"
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

	// TokenLife is how long the tokens last that are given out here, at most
	// 30 days; 0: 2 h. Refresh tokens last 30 days.
	TokenLife time.Duration

	// SignInError makes requests for a token end with this error; SignInErrors
	// lists and explains them, and says which are concerned. Empty: none.
	SignInError string

	// Record receives a line of JSON about every request as it came, secrets
	// masked; the package comment describes it.
	Record io.Writer

	// Origins are the security domains whose pages may call, such as
	// "https://app.example.com". Empty: all. To other pages an HTTP Access
	// Service path does not give the headers without which a browser keeps the
	// answer from them; the gateway refuses them with 403 INVALID_REQUEST_SOURCE.
	Origins []string

	// PreflightAge is how long a browser may remember what a preflight said, in
	// whole seconds and at most a day; 0: a day.
	PreflightAge time.Duration

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
