package emulator

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Codes of the platform (PROTOCOL.md 1.5) that the emulator answers with.
const (
	codeParam         = "FUNCTION_PARAM_INVALID"
	codeNotFound      = "FUNCTION_NOT_FOUND"
	codeNoQualifier   = "FUNCTION_QUALIFIER_NOT_FOUND"
	codeFailed        = "FUNCTION_INVOCATION_FAILED"
	codeTimeLimit     = "FUNCTION_TIME_LIMIT_EXCEEDED"
	codeMemory        = "FUNCTION_MEMORY_LIMIT_EXCEEDED"
	codeResources     = "FUNCTION_EXCEED_RESOURCE_LIMIT"
	codeRate          = "EXCEED_RATELIMIT"
	codePayload       = "EXCEED_MAX_PAYLOAD_SIZE"
	codeNoCredentials = "MISSING_CREDENTIALS"
	codeCredentials   = "INVALID_CREDENTIALS"
	codeExpired       = "ACCESS_TOKEN_EXPIRED"
	codeAuthority     = "EXCEED_AUTHORITY"
	codeEnv           = "INVALID_ENV"
	codePath          = "INVALID_PATH"
	codeSystem        = "SYS_ERR"
	codeSignature     = "SIGN_PARAM_INVALID"
	codeSource        = "INVALID_REQUEST_SOURCE"
)

// What a client should make of an answer (DESIGN.md 1).
const (
	outcomeOK       = "ok"
	outcomeFunction = "function_error"
	outcomeTimeout  = "function_timeout"
	outcomeThrottle = "throttled"
	outcomePlatform = "platform_error"
	outcomeAuth     = "auth_failed"
	outcomeRejected = "rejected"
	outcomeClient   = "client_timeout"
	outcomeNetwork  = "network_error"
	outcomeCanceled = "canceled" // the server ended before the request did
)

// A stage is when a mishap happens.
type stage int

const (
	atGateway stage = iota // at once; no instance is asked
	afterWork              // when the function has worked as long as usual
	atLimit                // when the time limit is up
)

// A fault is a way not to answer properly.
type fault int

const (
	noFault     fault = iota
	resetFault        // RST
	closeFault        // FIN, without a byte
	halfFault         // half of what Content-Length says, then FIN
	silentFault       // nothing, until the client leaves
	endlessFault
)

// A mishap is an answer other than the function's.
type mishap struct {
	name     string
	about    string
	outcome  string
	status   int
	code     string // empty: not in the platform's form
	message  string
	upstream string // the upstream status; "-": no function was called
	stage    stage
	fault    fault
	fatal    bool // to the instance
}

// An ErrorKind explains one key of Function.Errors.
type ErrorKind struct {
	Name    string
	Outcome string // what a client should make of it: an outcome of DESIGN.md 1
	Status  int    // 0: no answer comes
	Meaning string
}

// ErrorKinds lists the keys of Function.Errors by name.
func ErrorKinds() []ErrorKind {
	known := mishaps()
	var kinds []ErrorKind
	for _, name := range slices.Sorted(maps.Keys(known)) {
		m := known[name]
		kinds = append(kinds, ErrorKind{name, m.outcome, m.status, m.about})
	}
	return kinds
}

// mishaps returns the keys of Function.Errors and what they stand for. Which
// status comes with which code is not documented (PROTOCOL.md 10); those of
// the function layer (7.2) are used where there is one, else the class of
// status that 1.5 gives.
func mishaps() map[string]mishap {
	known := map[string]mishap{
		"function_error": {
			about:   "the function's code fails after its latency: 500 FUNCTION_INVOCATION_FAILED; from an HTTP function its own 500",
			outcome: outcomeFunction, status: 500, code: codeFailed, message: "user code exception caught", upstream: "430", stage: afterWork},
		"memory_limit": {
			about:   "the function runs out of memory after its latency: 434 FUNCTION_MEMORY_LIMIT_EXCEEDED; its instance is gone",
			outcome: outcomeFunction, status: 434, code: codeMemory, message: "memory limit exceeded", upstream: "434", stage: afterWork, fatal: true},
		"function_timeout": {
			about:   "the function runs into its time limit (3s, if it sets none): 433 FUNCTION_TIME_LIMIT_EXCEEDED; its instance is gone",
			outcome: outcomeTimeout, status: 433, code: codeTimeLimit, upstream: "433", stage: atLimit, fatal: true},
		"gateway_timeout": {
			about:   "the gateway gives up waiting when the time limit (3s, if there is none) is reached: 504, not in the platform's form",
			outcome: outcomeTimeout, status: 504, upstream: "-", stage: atLimit},
		"throttled": {
			about:   "too many requests: 429 EXCEED_RATELIMIT at once",
			outcome: outcomeThrottle, status: 429, code: codeRate, message: "request rate limit exceeded", upstream: "-"},
		"platform_error": {
			about:   "the platform itself fails: 500 SYS_ERR at once",
			outcome: outcomePlatform, status: 500, code: codeSystem, message: "Function invoke failed", upstream: "-"},
		"bad_gateway": {
			about:   "the function is not running: 502 at once, not in the platform's form",
			outcome: outcomePlatform, status: 502, upstream: "-"},
		"auth_failed": {
			about:   "the token is refused: 401 INVALID_CREDENTIALS at once",
			outcome: outcomeAuth, status: 401, code: codeCredentials, message: "invalid credentials", upstream: "-"},
		"token_expired": {
			about:   "the token has expired: 401 ACCESS_TOKEN_EXPIRED at once",
			outcome: outcomeAuth, status: 401, code: codeExpired, message: "access token expired", upstream: "-"},
		"forbidden": {
			about:   "the function's security rule denies the caller: 403 EXCEED_AUTHORITY at once",
			outcome: outcomeAuth, status: 403, code: codeAuthority, message: "permission denied by the security rule", upstream: "-"},
		"rejected": {
			about:   "the request is called wrong: 400 FUNCTION_PARAM_INVALID at once",
			outcome: outcomeRejected, status: 400, code: codeParam, message: "bad http request body", upstream: "-"},
		"port_unreachable": {
			about:   "nothing listens on an HTTP function's port: 443 with an empty body, at once",
			outcome: outcomeRejected, status: 443, upstream: "443"},
		"reset": {
			about:   "the connection is reset after the latency (HTTP/2: the stream)",
			outcome: outcomeNetwork, stage: afterWork, fault: resetFault},
		"close": {
			about:   "the connection is closed without an answer after the latency (HTTP/2: the stream is reset)",
			outcome: outcomeNetwork, stage: afterWork, fault: closeFault},
		"half_reply": {
			about:   "after the latency comes half of the announced body, then the connection is closed (HTTP/2: the stream is reset)",
			outcome: outcomeNetwork, status: 200, stage: afterWork, fault: halfFault},
		"slow_headers": {
			about:   "no answer comes until the client leaves, or 5m after the latency the connection is closed",
			outcome: outcomeClient, stage: afterWork, fault: silentFault},
		"endless_body": {
			about:   "after the latency the body goes on, 16KiB every 10ms, until the client leaves, or for 5m",
			outcome: outcomeClient, status: 200, stage: afterWork, fault: endlessFault},
	}
	for name, m := range known {
		m.name = name
		known[name] = m
	}
	return known
}

// timeLimitMessage is the platform's own wording (PROTOCOL.md 4.2).
func timeLimitMessage(d time.Duration) string {
	return "Invoking task timed out after " + strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " seconds"
}

// ownOutcome is what a client makes of a status that a function itself gave, as
// the upstream headers tell it (PROTOCOL.md 1.3): with those, a 502, 503 or 504
// is the function's, and not the platform's.
func ownOutcome(status int) string {
	switch {
	case status >= 200 && status < 300:
		return outcomeOK
	case status == 429 || status == 432:
		return outcomeThrottle
	case status == 401 || status == 403:
		return outcomeAuth
	case status >= 500:
		return outcomeFunction
	}
	return outcomeRejected
}
