package auth

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxReply = 64 << 10             // bytes of a reply that may hold a token
	maxToken = 16 << 10             // bytes of a token
	maxLife  = 10 * 365 * 24 * 3600 // seconds; whatever says more is not a life
	docs     = "https://docs.cloudbase.net/error-code/service"
	useKey   = "use an API key, which needs no sign-in"
	unlikely = "check that the address is that of a CloudBase gateway, with nothing in between that answers for it"
)

// Anonymous returns a session of an anonymous user of env, which a device's
// name stands for: the same name, the same user. Without one the session makes
// one up (PROTOCOL.md 2.2, Anonymous). base is the scheme and host of the
// gateway, here and below, without a slash at its end.
func Anonymous(base, env, device string) *Session {
	s, _ := newSession(base)
	device = deviceOr(device)
	address := base + "/auth/v1/signin/anonymously?client_id=" + url.QueryEscape(env)
	s.signIn = &way{
		what: "sign in anonymously",
		ask:  func(string) *Ask { return post(address, device, struct{}{}) },
		read: gateway{env: env, cure: "anonymous sign-in is off in new environments: turn it on in the console of CloudBase, under identity, sign-in methods; or " + useKey}.read,
	}
	s.renew = renewal(base, env, device)
	return s
}

// Password returns a session of a user of env with a name and a password
// (PROTOCOL.md 2.2, Password); device is as Anonymous has it.
func Password(base, env, device string, username, password Secret) *Session {
	s, _ := newSession(base, username, password)
	device = deviceOr(device)
	address := base + "/auth/v1/signin?client_id=" + url.QueryEscape(env)
	s.signIn = &way{
		what: "sign in by password",
		ask: func(string) *Ask {
			return post(address, device, struct {
				Username string `json:"username"`
				Password string `json:"password"`
			}{username.Reveal(), password.Reveal()})
		},
		read: gateway{env: env, cure: fmt.Sprintf("check the user name and the password: they are those of a user of environment %q, where sign-in by user name must be turned on in the console of CloudBase", env)}.read,
	}
	s.renew = renewal(base, env, device)
	return s
}

// Refresh returns a session that somebody began elsewhere, by its refresh
// token; that is spent with the first refresh, as each of its successors is
// with the next one (PROTOCOL.md 2.2, Refresh).
func Refresh(base, env string, refreshToken Secret) *Session {
	s, _ := newSession(base, refreshToken)
	s.renew = renewal(base, env, "")
	s.refresh = refreshToken.Reveal()
	if refreshToken.IsZero() && s.failed == nil {
		s.failed = &Error{What: "refresh the session at " + s.host + ": there is no refresh token", Cure: "give one", Fatal: true}
	}
	return s
}

// ClientCredential returns a session of the administrator that k are keys of
// (PROTOCOL.md 2.2, Client credential).
func ClientCredential(base string, k Keys) *Session {
	s, u := newSession(base, k.ID, k.Key, k.Session)
	const path = "/auth/v1/token/clientCredential"
	body := []byte(`{"grant_type":"client_credentials"}`)
	s.signIn = &way{
		what: "ask for a token by keys",
		ask: func(string) *Ask {
			header := [][2]string{{"Content-Type", "application/json"}}
			signature := SignGateway(k, time.Now(), Signable{Verb: "POST", Host: u.Host, Path: u.EscapedPath() + path, Header: header, Body: body})
			return &Ask{Verb: "POST", URL: base + path, Header: append(header, [2]string{"Authorization", signature}), Body: body}
		},
		read: gateway{cure: "check the secret id, the secret key, the session token if the keys are temporary ones, and the clock of this machine"}.read,
	}
	return s
}

// renewal returns the way of refreshing by the refresh token. PROTOCOL.md 2.2
// has no device in it; the vendor's SDK sends its own with every request.
func renewal(base, env, device string) *way {
	return &way{
		what: "refresh the session",
		ask: func(refreshToken string) *Ask {
			return post(base+"/auth/v1/token", device, struct {
				ClientID     string `json:"client_id"`
				ClientSecret string `json:"client_secret"`
				GrantType    string `json:"grant_type"`
				RefreshToken string `json:"refresh_token"`
			}{env, "", "refresh_token", refreshToken})
		},
		read: gateway{env: env, renews: true, cure: "sign in again: a refresh token runs out after some 30 days, and is spent as soon as another program refreshes with it"}.read,
	}
}

func deviceOr(device string) string {
	if device == "" {
		return strings.ToLower(rand.Text())
	}
	return device
}

// post returns an Ask with a JSON body.
func post(address, device string, body any) *Ask {
	text, _ := json.Marshal(body) // a struct of strings has no error
	q := &Ask{Verb: "POST", URL: address, Header: [][2]string{{"Content-Type", "application/json"}}, Body: text}
	if device != "" {
		q.Header = append(q.Header, [2]string{"x-device-id", device})
	}
	return q
}

// A gateway reads replies of /auth/v1 (PROTOCOL.md 2.2).
type gateway struct {
	env    string
	renews bool
	cure   string // of a refusal that is about who signs in
}

// read takes a reply apart: tokens, an error of /auth, or one of the gateway.
func (g gateway) read(a *Answer) (token, *refusal) {
	var r struct {
		AccessToken  string          `json:"access_token"`
		RefreshToken string          `json:"refresh_token"`
		ExpiresIn    json.RawMessage `json:"expires_in"`

		Error       json.RawMessage `json:"error"`
		ErrorCode   json.RawMessage `json:"error_code"`
		Description json.RawMessage `json:"error_description"`
		Code        json.RawMessage `json:"code"`
		Message     json.RawMessage `json:"message"`
	}
	trouble := decode(a, &r)
	code := firstOf(plain(r.Error), plain(r.Code), plain(r.ErrorCode))
	if a.Status/100 != 2 || trouble == nil && r.AccessToken == "" && code != "" {
		return token{}, g.refusal(a.Status, code, firstOf(plain(r.Description), plain(r.Message)))
	}
	if trouble != nil {
		return token{}, trouble
	}
	t := token{bearer: r.AccessToken, refresh: r.RefreshToken}
	return t, t.check(r.ExpiresIn)
}

// decode reads a body into v. It never quotes the body, which may hold a token.
func decode(a *Answer, v any) *refusal {
	if len(a.Body) > maxReply {
		return &refusal{text: fmt.Sprintf("a reply of more than %d KiB, which no token needs", maxReply>>10), cure: unlikely}
	}
	if err := json.Unmarshal(a.Body, v); err != nil {
		return &refusal{text: fmt.Sprintf("status %d with %d bytes that are no JSON object of the expected form", a.Status, len(a.Body)), cure: unlikely}
	}
	return nil
}

// check says what is wrong with the tokens of a reply, and sets their life.
func (t *token) check(expiresIn json.RawMessage) *refusal {
	lie := func(text string) *refusal { return &refusal{text: text, cure: unlikely} }
	if t.bearer == "" {
		return lie("the reply has no access_token")
	}
	for _, text := range []string{t.bearer, t.refresh} {
		if len(text) > maxToken {
			return lie(fmt.Sprintf("a token of %d bytes; at most %d are taken", len(text), maxToken))
		}
		for i := range len(text) {
			if text[i] <= ' ' || text[i] >= 0x7f {
				return lie("a token with characters that no header can carry")
			}
		}
	}
	if len(expiresIn) == 0 || string(expiresIn) == "null" {
		return lie("the reply has no expires_in, without which nobody knows when the token runs out")
	}
	seconds, err := strconv.ParseFloat(string(expiresIn), 64)
	switch {
	case err != nil && math.IsInf(seconds, 0), seconds > maxLife:
		return lie("expires_in says that the token lives for more than ten years")
	case err != nil:
		return lie("expires_in is not a number of seconds")
	case seconds < 1:
		return lie(fmt.Sprintf("expires_in is %.6g: the token has run out already", seconds))
	}
	t.life = time.Duration(seconds * float64(time.Second))
	return nil
}

// plain returns the text of a JSON value that should be a string or a number.
func plain(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '1' && raw[0] <= '9') {
		return string(raw)
	}
	return "" // nothing, null, 0, or what should not be there
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// refusal says what an error of the endpoint means: by its code first, by the
// status second (PROTOCOL.md 1.5 and 2.2).
func (g gateway) refusal(status int, code, message string) *refusal {
	no := &refusal{code: code, text: firstOf(message, "status "+strconv.Itoa(status))}
	m := meaningOf(status, code)
	switch m {
	case failing:
		no.again, no.cure = true, "the platform's sign-in is failing: try again later, or "+useKey
	case limited:
		no.text += " (a limit of the platform's on how often one may sign in)"
		no.cure = "wait, and sign in less often; or " + useKey
	case captcha:
		no.cure = "sign-in wants a captcha, which no program can solve: use an API key, or turn the captcha off for this user or environment"
	case environment:
		no.cure = fmt.Sprintf("check the environment id %q, its region, and in the console of CloudBase that it is running and paid for", g.env)
	case user:
		no.cure = "this user may not sign in as yet: look at its state in the console of CloudBase, or " + useKey
	case elsewhere:
		no.cure = "check the address of the gateway: the environment id and the region are a part of it"
	case identity:
		no.cure = g.cure
	default:
		no.cure = "see " + docs + "; or " + useKey
	}
	if g.renews && m != failing && m != limited {
		no.spent = true
		if m == unknown {
			no.cure = g.cure
		}
	}
	return no
}

// A meaning is what a refusal is about.
type meaning int

const (
	unknown     meaning = iota
	identity            // who signs in, or by what way
	captcha             // a person must look at a picture, or type a code from elsewhere
	user                // the state of the user
	environment         // the environment's id, state or bill
	limited             // too often
	failing             // the endpoint is not well
	elsewhere           // no such endpoint there
)

func meaningOf(status int, code string) meaning {
	switch strings.ToLower(code) {
	case "captcha_required", "captcha_invalid", "4001", "4002", "two_factor_required", "invalid_two_factor", "interaction_required":
		return captcha
	case "user_blocked", "user_pending", "under_review", "invalid_status", "password_not_set":
		return user
	case "invalid_env", "invalid_env_status", "env_abnormal", "service_charge_overdue":
		return environment
	case "resource_exhausted", "8", "exceed_ratelimit", "exceed_request_limit", "exceed_concurrent_request_limit", "too_many_requests", "rate_limit_exceeded":
		return limited
	case "server_error", "temporarily_unavailable", "internal", "13", "unavailable", "14", "deadline_exceeded", "sys_err", "server_timeout":
		return failing
	case "invalid_host", "invalid_path":
		return elsewhere
	case "invalid_password", "invalid_username_or_password", "user_not_found", "not_found", "5", "unauthenticated", "16",
		"permission_denied", "7", "access_denied", "failed_precondition", "9", "unimplemented", "12",
		"unauthorized_client", "invalid_grant", "invalid_client", "refresh_token_expired", "invalid_refresh_token", "refresh_token_exhausted",
		"action_forbidden", "exceed_authority", "missing_credentials", "invalid_credentials", "sign_param_invalid", "check_login_failed":
		return identity
	}
	switch {
	case status == 429:
		return limited
	case status >= 500:
		return failing
	case status == 401, status == 403:
		return identity
	case status == 402:
		return environment
	case status == 404, status/100 == 3:
		return elsewhere
	}
	return unknown
}
