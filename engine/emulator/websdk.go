package emulator

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
)

// webSDK serves POST /web, which the vendor's js-sdk calls functions by before
// its version 3, and signs in by in its version 1 (PROTOCOL.md 5.2).
func (x *exchange) webSDK() {
	r := x.r
	allowed := x.allowOrigin()
	if isPreflight(r) {
		x.preflight()
		return
	}
	if r.Method != http.MethodPost {
		x.refuse(http.StatusNotFound, codePath, outcomeRejected, "no route for "+r.Method+" "+r.URL.Path)
		return
	}
	query := r.URL.Query()
	x.form = sdkForm{parse: query.Get("parse") == "true"}
	if !allowed {
		x.refuse(http.StatusForbidden, codeSource, outcomeRejected, "the origin "+r.Header.Get("Origin")+" is not a security domain of this environment")
		return
	}
	buf := x.s.buffer()
	defer x.s.putBuffer(buf)
	var call sdkCall
	if !x.readCall(buf, &call) {
		return
	}
	if !x.named(envOf(r.Host), query.Get("env"), call.Env) {
		return
	}
	switch call.Action {
	case "auth.signInAnonymously":
		x.webAnonymous(&call)
	case "auth.signIn":
		x.webPassword(&call)
	case "auth.fetchAccessTokenWithRefreshToken":
		x.webRefresh(&call)
	case "auth.logout":
		x.s.supersede(call.RefreshToken)
		x.tellSDK("")
	case "auth.getUserInfo":
		if x.loggedIn(call.AccessToken) {
			kind, subject, _ := x.s.lookup(call.AccessToken)
			x.tellSDK(`"data":{"uid":"` + subject + `","loginType":"` + strings.ToUpper(string(kind)) + `"},`)
		}
	case actionInvoke:
		call.Qualifier = "" // /web selects no version (PROTOCOL.md 0)
		if x.loggedIn(call.AccessToken) {
			x.sdkInvoke(&call)
		}
	default:
		x.refuse(http.StatusBadRequest, codeParam, outcomeRejected, "the action "+call.Action+" does not exist here")
	}
}

// loggedIn reports whether token is good. Where it returns false, the answer is
// given. Which code a bad token gets is not documented for this way; the one
// that speaks of logins is used.
func (x *exchange) loggedIn(token string) bool {
	code, message := x.s.admits(token)
	switch code {
	case "":
		return true
	case codeExpired:
	default:
		code = codeLogin
	}
	x.refuse(http.StatusUnauthorized, code, outcomeAuth, message)
	return false
}

// webAnonymous signs in who has no account. The id that it gives out makes them
// the same user the next time.
func (x *exchange) webAnonymous(call *sdkCall) {
	if x.signInFails(anonymousDoor, x.webSignInFailure) {
		return
	}
	id := call.UUID
	if !plain(id) {
		id = rand.Text()
	}
	given := x.s.issue(anonymous, subjectOf(anonymous, id))
	x.tellSDK(`"uuid":"` + id + `","refresh_token":"` + given.refresh + `",`)
}

// webPassword signs in one of Config.Users.
func (x *exchange) webPassword(call *sdkCall) {
	if x.signInFails(passwordDoor, x.webSignInFailure) {
		return
	}
	want, known := x.s.users[call.Username]
	if call.Username == "" || call.Password == "" || len(x.s.users) > 0 && (!known || !same(call.Password, want.Reveal())) {
		x.refuse(http.StatusUnauthorized, codeLogin, outcomeAuth, "wrong name or password")
		return
	}
	given := x.s.issue(signedIn, subjectOf(signedIn, call.Username))
	x.tellSDK(`"refresh_token":"` + given.refresh + `",`)
}

// webRefresh gives an access token for a refresh token, which stays as it is.
// Its life is in ms, as the SDK wants it.
func (x *exchange) webRefresh(call *sdkCall) {
	if x.signInFails(refreshDoor, x.webSignInFailure) {
		return
	}
	given, state := x.s.renew(call.RefreshToken, false)
	switch state {
	case validToken:
		x.tellSDK(`"access_token":"` + given.access + `","access_token_expire":` + strconv.FormatInt(given.life.Milliseconds(), 10) + `,`)
	case expiredToken:
		x.refuse(http.StatusUnauthorized, codeRefreshExpired, outcomeAuth, "the refresh token has expired")
	default:
		x.refuse(http.StatusUnauthorized, codeRefreshInvalid, outcomeAuth, "the refresh token is not valid")
	}
}

// webSignInFailure answers as Config.SignInError wants it.
func (x *exchange) webSignInFailure(e *signInError) {
	code := codeLogin
	switch e.outcome {
	case outcomeThrottle:
		code = codeRate
	case outcomePlatform:
		code = codeSystem
	}
	if e.name == "refresh_refused" {
		code = codeRefreshInvalid
	}
	x.refuse(e.status, code, e.outcome, e.text)
}

// tellSDK answers with fields at the top, each with a comma after it.
func (x *exchange) tellSDK(fields string) {
	x.send(answer{end: end{outcomeOK, "", http.StatusOK}, kind: x.s.labels.json, body: []byte("{" + fields + `"requestId":"` + x.id + `"}`)})
}
