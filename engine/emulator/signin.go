package emulator

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strings"
)

// signIn serves /auth/v1/…, where tokens are made (PROTOCOL.md 2.2).
func (x *exchange) signIn() {
	r := x.r
	if !x.named(envOf(r.Host)) {
		return
	}
	if !x.fromPage() {
		return
	}
	if client := r.URL.Query().Get("client_id"); client != "" && x.s.env != "" && client != x.s.env {
		x.deny(400, "unauthorized_client", 16, "client_id is not this environment")
		return
	}
	body := x.take()
	if int64(len(body)) > x.s.maxBody {
		x.tooLarge()
		return
	}
	switch line := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/auth/v1/"); line {
	case "POST signin/anonymously":
		x.anonymously(body)
	case "POST signin":
		x.password(body)
	case "POST token":
		x.refresh(body)
	case "POST token/clientCredential":
		x.clientCredential(body)
	case "GET user/me":
		x.me()
	case "POST revoke", "POST user/signout":
		x.revoke(body)
	default:
		x.refuse(404, codePath, outcomeRejected, "no route for "+r.Method+" "+r.URL.Path)
	}
}

// anonymously signs in who has no account. The same device is the same user.
func (x *exchange) anonymously(body []byte) {
	if x.signInFails(anonymousDoor, x.sayError) {
		return
	}
	device := x.r.Header.Get("X-Device-Id")
	if device == "" || len(device) > 256 {
		x.deny(400, "invalid_argument", 3, "the header x-device-id is missing, or longer than 256 bytes")
		return
	}
	if !fields(body, &struct{}{}) {
		x.badBody()
		return
	}
	x.hand(x.s.issue(anonymous, subjectOf(anonymous, device)))
}

// password signs in one of Config.Users.
func (x *exchange) password(body []byte) {
	if x.signInFails(passwordDoor, x.sayError) {
		return
	}
	var who struct {
		Username     string `json:"username"`
		Password     string `json:"password"`
		Verification string `json:"verification_token"`
	}
	if !fields(body, &who) {
		x.badBody()
		return
	}
	if who.Username == "" || who.Password == "" {
		text := "username and password are wanted"
		if who.Verification != "" {
			text = "the emulator sends no verification codes, so that it takes no verification_token: " + text
		}
		x.deny(400, "invalid_argument", 3, text)
		return
	}
	if len(x.s.users) > 0 {
		want, ok := x.s.users[who.Username]
		if !ok {
			x.deny(404, "not_found", 5, "user not found")
			return
		}
		if !same(who.Password, want.Reveal()) {
			x.deny(400, "invalid_password", 16, "wrong password")
			return
		}
	}
	x.hand(x.s.issue(signedIn, subjectOf(signedIn, who.Username)))
}

// refresh gives new tokens for a refresh token, which is used up by that.
func (x *exchange) refresh(body []byte) {
	if x.signInFails(refreshDoor, x.sayError) {
		return
	}
	var ask struct {
		Client  string `json:"client_id"`
		Grant   string `json:"grant_type"`
		Refresh string `json:"refresh_token"`
	}
	if !fields(body, &ask) {
		x.badBody()
		return
	}
	switch {
	case ask.Grant != "refresh_token":
		x.deny(400, "invalid_argument", 3, "grant_type must be refresh_token")
		return
	case ask.Refresh == "":
		x.deny(400, "invalid_argument", 3, "refresh_token is missing")
		return
	case ask.Client != "" && x.s.env != "" && ask.Client != x.s.env:
		x.deny(400, "unauthorized_client", 16, "client_id is not this environment")
		return
	}
	got, state := x.s.renew(ask.Refresh, true)
	switch state {
	case validToken:
		x.hand(got)
	case expiredToken:
		x.deny(400, "invalid_grant", 16, "the refresh token has expired")
	default: // used up, or never given out
		x.deny(400, "unauthorized_client", 16, "the refresh token is not valid")
	}
}

// clientCredential gives an administrator's token for a signature over the
// exact body.
func (x *exchange) clientCredential(body []byte) {
	if x.signInFails(credentialDoor, x.sayError) {
		return
	}
	if !signedBy(x.r) {
		code, message := codeNoCredentials, "missing credentials"
		if x.r.Header.Get("Authorization") != "" {
			code, message = codeCredentials, "invalid credentials: a signature is wanted"
		}
		x.refuse(401, code, outcomeAuth, message)
		return
	}
	if code, message := x.s.verifyGateway(x.r, body); code != "" {
		x.refuse(401, code, outcomeAuth, message)
		return
	}
	var ask struct {
		Grant string `json:"grant_type"`
	}
	if !fields(body, &ask) {
		x.badBody()
		return
	}
	if ask.Grant != "client_credentials" {
		x.deny(400, "invalid_argument", 3, "grant_type must be client_credentials")
		return
	}
	x.hand(x.s.issue(administrator, ""))
}

// me says whose token it is. The vendor's SDKs ask after they have signed in.
func (x *exchange) me() {
	if code, message := x.authorize(false); code != "" {
		x.refuse(401, code, outcomeAuth, message)
		return
	}
	token, _, _ := bearer(x.r)
	kind, subject, _ := x.s.lookup(token)
	x.tell(map[string]any{"sub": subject, "name": subject, "scope": string(kind), "groups": groupsOf(kind)})
}

// revoke ends a token: the one in the body, else the one that asks.
func (x *exchange) revoke(body []byte) {
	var ask struct {
		Token string `json:"token"`
	}
	if !fields(body, &ask) {
		x.badBody()
		return
	}
	own, code, message := bearer(x.r)
	if ask.Token == "" {
		if code != "" {
			x.refuse(401, code, outcomeAuth, message)
			return
		}
		ask.Token = own
	}
	x.s.supersede(ask.Token)
	x.tell(map[string]any{})
}

// hand gives tokens out.
func (x *exchange) hand(i issue) {
	reply := map[string]any{"token_type": "Bearer", "access_token": i.access, "expires_in": max(1, int64(i.life.Seconds()))}
	if i.refresh != "" {
		reply["refresh_token"] = i.refresh
		reply["scope"], reply["sub"], reply["groups"] = string(i.kind), i.subject, groupsOf(i.kind)
	}
	x.tell(reply)
}

func groupsOf(kind tokenKind) []string {
	switch kind {
	case signedIn:
		return []string{"registerUser"}
	case administrator, configured:
		return []string{"administrator"}
	}
	return []string{}
}

// tell answers with JSON.
func (x *exchange) tell(reply map[string]any) {
	body, _ := json.Marshal(reply) // of texts and numbers: it always can be
	x.send(answer{end: end{outcomeOK, "", 200}, kind: x.s.labels.json, body: body, upstream: "-"})
}

// deny answers in the form of /auth/v1/… (PROTOCOL.md 1.2).
func (x *exchange) deny(status int, kind string, number int, text string) {
	outcome := outcomeAuth
	if kind == "invalid_argument" {
		outcome = outcomeRejected
	}
	x.denyAs(outcome, status, kind, number, text)
}

func (x *exchange) denyAs(outcome string, status int, kind string, number int, text string) {
	body, _ := json.Marshal(map[string]any{"error": kind, "error_code": number, "error_description": text, "request_id": x.id})
	x.send(answer{end: end{outcome, kind, status}, kind: x.s.labels.json, body: body, upstream: "-"})
}

func (x *exchange) sayError(e *signInError) { x.denyAs(e.outcome, e.status, e.kind, e.number, e.text) }

func (x *exchange) badBody() {
	x.deny(400, "invalid_argument", 3, "the body is not a JSON object with the fields of this request")
}

// fields reads a JSON object. No body is an empty one, as where SDKs have
// nothing to say.
func fields(body []byte, into any) bool {
	if len(body) == 0 {
		return true
	}
	var object map[string]json.RawMessage
	return json.Unmarshal(body, &object) == nil && object != nil && json.Unmarshal(body, into) == nil
}

// subjectOf makes the id of a user, the same for the same name or device.
func subjectOf(kind tokenKind, name string) string {
	sum := sha256.Sum256([]byte(string(kind) + "\x00" + name))
	return string(appendUUID(nil, binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])))
}
