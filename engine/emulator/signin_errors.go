package emulator

import (
	"maps"
	"slices"
)

// A door is a way to get a token.
type door uint

const (
	anonymousDoor door = 1 << iota
	passwordDoor
	refreshDoor
	credentialDoor // of a secret id and key
	weChatDoor
	userDoors = anonymousDoor | passwordDoor
	allDoors  = userDoors | refreshDoor | credentialDoor | weChatDoor
)

// A signInError is how requests for a token end (PROTOCOL.md 2.2, 6).
type signInError struct {
	name    string
	about   string
	outcome string
	doors   door // where it happens; the others give tokens as ever

	status int    // of /auth/v1/…; 0: no answer comes
	kind   string // error
	number int    // error_code
	text   string // error_description

	weChat     int // errcode, with HTTP status 200; 0: the status alone
	weChatText string
}

// SignInErrors lists the values of Config.SignInError by name. Status is that
// of /auth/v1/…, or of WeChat's where only that is concerned.
func SignInErrors() []ErrorKind {
	known := signInErrors()
	var kinds []ErrorKind
	for _, name := range slices.Sorted(maps.Keys(known)) {
		e := known[name]
		kinds = append(kinds, ErrorKind{name, e.outcome, e.status, e.about})
	}
	return kinds
}

// signInErrors returns the values of Config.SignInError and what they stand
// for. Their numbers are documented where PROTOCOL.md 2.2 gives them with their
// names; the others are the gRPC code that fits.
func signInErrors() map[string]signInError {
	known := map[string]signInError{
		"captcha_required": {
			about:   "sign-in wants a captcha solved: 400 captcha_required, 4001",
			outcome: outcomeAuth, doors: userDoors, status: 400, kind: "captcha_required", number: 4001, text: "a captcha is required"},
		"captcha_invalid": {
			about:   "sign-in finds its captcha wrong: 400 captcha_invalid, 4002",
			outcome: outcomeAuth, doors: userDoors, status: 400, kind: "captcha_invalid", number: 4002, text: "the captcha is wrong"},
		"invalid_password": {
			about:   "the password, or the secret of a WeChat app, is wrong: 400 invalid_password, 16; WeChat 40125",
			outcome: outcomeAuth, doors: passwordDoor | weChatDoor, status: 400, kind: "invalid_password", number: 16, text: "wrong password", weChat: 40125, weChatText: "invalid appsecret"},
		"invalid_username_or_password": {
			about:   "name or password are wrong, and it is not told which: 400 invalid_username_or_password, 16",
			outcome: outcomeAuth, doors: passwordDoor, status: 400, kind: "invalid_username_or_password", number: 16, text: "wrong name or password"},
		"not_found": {
			about:   "there is no such user, or WeChat app: 404 not_found, 5; WeChat 40013",
			outcome: outcomeAuth, doors: passwordDoor | weChatDoor, status: 404, kind: "not_found", number: 5, text: "user not found", weChat: 40013, weChatText: "invalid appid"},
		"anonymous_off": {
			about:   "anonymous sign-in is switched off, as it is in new environments: 403 permission_denied, 7",
			outcome: outcomeAuth, doors: anonymousDoor, status: 403, kind: "permission_denied", number: 7, text: "anonymous sign-in is not enabled in this environment"},
		"refresh_refused": {
			about:   "tokens are given, but not renewed: 400 unauthorized_client, 16",
			outcome: outcomeAuth, doors: refreshDoor, status: 400, kind: "unauthorized_client", number: 16, text: "the refresh token is not valid"},
		"ip_not_allowed": {
			about:   "WeChat does not know the caller's address: 200 with errcode 40164",
			outcome: outcomeAuth, doors: weChatDoor, status: 200, weChat: 40164, weChatText: "invalid ip 127.0.0.1, not in whitelist"},
		"rate_limited": {
			about:   "tokens are asked for too often: 429 resource_exhausted, 8; WeChat 45011",
			outcome: outcomeThrottle, doors: allDoors, status: 429, kind: "resource_exhausted", number: 8, text: "too many requests", weChat: 45011, weChatText: "api minute-quota reach limit, must slower, retry next minute"},
		"daily_quota": {
			about:   "WeChat has given out all tokens of the day: 200 with errcode 45009",
			outcome: outcomeThrottle, doors: weChatDoor, status: 200, weChat: 45009, weChatText: "reach max api daily quota limit"},
		"unavailable": {
			about:   "where tokens are made is out of service: 503 unavailable, 14; WeChat -1",
			outcome: outcomePlatform, doors: allDoors, status: 503, kind: "unavailable", number: 14, text: "service unavailable", weChat: -1, weChatText: "system error"},
		"internal": {
			about:   "where tokens are made fails: 500 internal, 13; WeChat 500 without words",
			outcome: outcomePlatform, doors: allDoors, status: 500, kind: "internal", number: 13, text: "internal error"},
		"slow": {
			about:   "no answer comes until the client leaves, or for 5m",
			outcome: outcomeClient, doors: allDoors},
	}
	for name, e := range known {
		e.name = name
		known[name] = e
	}
	return known
}

// signInFails ends a request for a token as Config.SignInError wants it, if
// that happens at d. say writes the error in the protocol's form.
func (x *exchange) signInFails(d door, say func(*signInError)) bool {
	e := x.s.signIn
	if e == nil || e.doors&d == 0 {
		return false
	}
	if e.outcome == outcomeClient {
		x.send(answer{end: end{e.outcome, e.name, 0}, fault: silentFault})
	}
	say(e)
	return true
}
