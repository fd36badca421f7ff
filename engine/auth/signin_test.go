package auth_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine/auth"
)

// marked are secrets that must not be seen in any error.
func marked() auth.Keys {
	return auth.Keys{
		ID: auth.NewSecret("AKIDmarked+id/0001"), Key: auth.NewSecret("marked key & more"), Session: auth.NewSecret("marked==session"),
	}
}

// wire writes q as it would go out, but for names that are made up.
func wire(q *auth.Ask) string {
	b := q.Verb + " " + q.URL + "\n"
	for _, h := range q.Header {
		b += h[0] + ": " + h[1] + "\n"
	}
	return b + string(q.Body)
}

// The requests of PROTOCOL.md 2.2 and 6, letter by letter.
func TestWhatIsAsked(t *testing.T) {
	const we = "https://api.weixin.qq.com"
	for _, row := range []struct {
		name string
		s    *auth.Session
		want []string
	}{
		{
			"anonymous, then a refresh", auth.Anonymous(base, "e-1", "device-1"),
			[]string{`POST https://e-1.api.tcloudbasegateway.com/auth/v1/signin/anonymously?client_id=e-1
Content-Type: application/json
x-device-id: device-1
{}`, `POST https://e-1.api.tcloudbasegateway.com/auth/v1/token
Content-Type: application/json
x-device-id: device-1
{"client_id":"e-1","client_secret":"","grant_type":"refresh_token","refresh_token":"refresh-1"}`},
		},
		{
			"by password", auth.Password(base+"/prefix", "e&1", "d", auth.NewSecret("user"), auth.NewSecret(`p"w`)),
			[]string{`POST https://e-1.api.tcloudbasegateway.com/prefix/auth/v1/signin?client_id=e%261
Content-Type: application/json
x-device-id: d
{"username":"user","password":"p\"w"}`},
		},
		{
			"by refresh token", auth.Refresh(base, "e-1", auth.NewSecret("refresh-0")),
			[]string{`POST https://e-1.api.tcloudbasegateway.com/auth/v1/token
Content-Type: application/json
{"client_id":"e-1","client_secret":"","grant_type":"refresh_token","refresh_token":"refresh-0"}`},
		},
		{
			"by keys, every time", auth.ClientCredential(base, auth.Keys{ID: auth.NewSecret("id"), Key: auth.NewSecret("key"), Session: auth.NewSecret("sts")}),
			[]string{`POST https://e-1.api.tcloudbasegateway.com/auth/v1/token/clientCredential
Content-Type: application/json
Authorization: ` + signedAt(0) + `
{"grant_type":"client_credentials"}`, `POST https://e-1.api.tcloudbasegateway.com/auth/v1/token/clientCredential
Content-Type: application/json
Authorization: ` + signedAt(90*time.Second) + `
{"grant_type":"client_credentials"}`},
		},
		{
			"a stable token, never forced", auth.WeChat(we, auth.NewSecret("wx01"), auth.NewSecret("s&cret"), false),
			slices.Repeat([]string{`POST https://api.weixin.qq.com/cgi-bin/stable_token
Content-Type: application/json
{"grant_type":"client_credential","appid":"wx01","secret":"s\u0026cret","force_refresh":false}`}, 2),
		},
		{
			"a legacy token", auth.WeChat(we, auth.NewSecret("wx01"), auth.NewSecret("s&cret"), true),
			[]string{`GET https://api.weixin.qq.com/cgi-bin/token?grant_type=client_credential&appid=wx01&secret=s%26cret
`},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				e := &endpoint{life: 100, refresh: "refresh-0"}
				for i, want := range row.want {
					time.Sleep(time.Until(begin.Add(time.Duration(i) * 90 * time.Second)))
					grant(t, row.s, e)
					if got := wire(e.asks[i]); got != want {
						t.Errorf("asked\n%s\nwant\n%s", got, want)
					}
				}
			})
		})
	}
}

// signedAt is the Authorization of a request by keys, so long after the start
// of a test whose clock starts with the year 2000.
func signedAt(after time.Duration) string {
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(after)
	return auth.SignGateway(auth.Keys{ID: auth.NewSecret("id"), Key: auth.NewSecret("key"), Session: auth.NewSecret("sts")}, at, auth.Signable{
		Verb: "POST", Host: "e-1.api.tcloudbasegateway.com", Path: "/auth/v1/token/clientCredential",
		Header: [][2]string{{"Content-Type", "application/json"}}, Body: []byte(`{"grant_type":"client_credentials"}`),
	})
}

func TestDevice(t *testing.T) {
	device := func(s *auth.Session) string {
		e := &endpoint{life: 100}
		grant(t, s, e)
		for _, h := range e.asks[0].Header {
			if h[0] == "x-device-id" {
				return h[1]
			}
		}
		return ""
	}
	a, b := device(auth.Anonymous(base, env, "")), device(auth.Anonymous(base, env, ""))
	if len(a) < 20 || a == b {
		t.Errorf("devices %q and %q, want two that nobody else has", a, b)
	}
	if got := device(auth.Password(base, env, "mine", auth.NewSecret("u"), auth.NewSecret("p"))); got != "mine" {
		t.Errorf("the device %q, want mine", got)
	}
}

func TestRefusalsNameTheCure(t *testing.T) {
	kinds := map[string]func() *auth.Session{
		"anonymous": func() *auth.Session { return auth.Anonymous(base, env, "") },
		"password": func() *auth.Session {
			return auth.Password(base, env, "", auth.NewSecret("user-1"), auth.NewSecret("password-1"))
		},
		"keys":    func() *auth.Session { return auth.ClientCredential(base, marked()) },
		"refresh": func() *auth.Session { return auth.Refresh(base, env, auth.NewSecret("refresh-0")) },
	}
	for _, row := range []struct {
		name, kind string
		status     int
		body       string
		what, cure string // parts of the error
		code       string
	}{
		{"a captcha is wanted", "password", 400, `{"error":"captcha_required","error_code":4001,"error_description":"captcha required"}`, "sign in by password at e-1.api.tcloudbasegateway.com: captcha_required: captcha required", "use an API key, or turn the captcha off", "captcha_required"},
		{"a captcha, by number alone", "anonymous", 400, `{"error_code":4001}`, "4001: status 400", "no program can solve", "4001"},
		{"a captcha with a status that means failing", "password", 500, `{"error":"captcha_invalid"}`, "captcha_invalid", "no program can solve", "captcha_invalid"},
		{"a wrong password", "password", 400, `{"error":"invalid_password","error_description":"wrong"}`, "invalid_password: wrong", "check the user name and the password", "invalid_password"},
		{"no such user", "password", 404, `{"error":"not_found","error_code":5,"error_description":"user not found"}`, "not_found: user not found", `environment "e-1"`, "not_found"},
		{"a user who is blocked", "password", 403, `{"error":"user_blocked"}`, "user_blocked", "look at its state", "user_blocked"},
		{"anonymous sign-in is off", "anonymous", 403, `{"error":"permission_denied","error_code":7,"error_description":"anonymous login is disabled"}`, "permission_denied: anonymous login is disabled", "turn it on in the console", "permission_denied"},
		{"anonymous sign-in is off, as the gateway says it", "anonymous", 403, `{"code":"ACTION_FORBIDDEN","message":"no","requestId":"r"}`, "ACTION_FORBIDDEN: no", "turn it on in the console", "ACTION_FORBIDDEN"},
		{"a status alone", "anonymous", 403, ``, "anonymously at e-1.api.tcloudbasegateway.com: status 403", "turn it on in the console", ""},
		{"no such environment", "anonymous", 400, `{"code":"INVALID_ENV","message":"env not found"}`, "INVALID_ENV: env not found", `check the environment id "e-1"`, "INVALID_ENV"},
		{"unpaid", "keys", 402, `{}`, "status 402", "paid for", ""},
		{"a wrong signature", "keys", 401, `{"code":"SIGN_PARAM_INVALID","message":"bad sign"}`, "ask for a token by keys at e-1.api.tcloudbasegateway.com: SIGN_PARAM_INVALID: bad sign", "the clock of this machine", "SIGN_PARAM_INVALID"},
		{"wrong keys", "keys", 401, `{"code":"INVALID_CREDENTIALS","message":"m"}`, "INVALID_CREDENTIALS", "check the secret id", "INVALID_CREDENTIALS"},
		{"too often, by status", "anonymous", 429, `slow down`, "status 429 (a limit", "wait", ""},
		{"too often, by code", "password", 400, `{"error":"resource_exhausted","error_code":8,"error_description":"too many"}`, "too many (a limit", "wait", "resource_exhausted"},
		{"too often, with a refresh token", "refresh", 400, `{"code":"EXCEED_RATELIMIT","message":"m"}`, "EXCEED_RATELIMIT: m (a limit", "wait", "EXCEED_RATELIMIT"},
		{"a refresh token that is spent", "refresh", 401, `{"error":"unauthorized_client","error_code":16,"error_description":"d"}`, "refresh the session at e-1.api.tcloudbasegateway.com: unauthorized_client: d", "sign in again", "unauthorized_client"},
		{"nothing there", "anonymous", 404, `{"code":"INVALID_PATH","message":"m"}`, "INVALID_PATH", "check the address", "INVALID_PATH"},
		{"a redirect", "anonymous", 302, ``, "status 302", "check the address", ""},
		{"what nobody has heard of", "anonymous", 418, `{"error":"teapot","error_description":"short and stout"}`, "teapot: short and stout", "docs.cloudbase.net", "teapot"},
		{"an error in a good reply", "anonymous", 200, `{"error":"captcha_required"}`, "captcha_required", "no program can solve", "captcha_required"},
		{"words that are no words", "anonymous", 400, "{\"error\":{\"a\":1},\"error_description\":[\"x\"],\"code\":\"C\",\"message\":\"two\\nlines\\u001b[31m\"}", "C: two lines [31m", "docs", "C"},
	} {
		t.Run(row.name, func(t *testing.T) {
			e := &endpoint{say: func(int, *auth.Ask) (*auth.Answer, error) { return answer(row.status, "%s", row.body), nil }}
			err := refusal(t, kinds[row.kind](), e)
			if e.count() != 1 {
				t.Errorf("asked %d times, want once: asking again does not help", e.count())
			}
			if !strings.Contains(err.What, row.what) || !strings.Contains(err.Cure, row.cure) || err.Code != row.code {
				t.Errorf("%q, cure %q, code %q; want %q, %q, %q", err.What, err.Cure, err.Code, row.what, row.cure, row.code)
			}
		})
	}
}

func TestRepliesThatLie(t *testing.T) {
	const token = "marked-token-5678"
	for _, row := range []struct {
		name, body, want string
	}{
		{"nothing", ``, "no JSON object"},
		{"no JSON", `<html>` + token, "no JSON object"},
		{"cut short", `{"access_token":"` + token, "no JSON object"},
		{"a list", `["` + token + `"]`, "no JSON object"},
		{"null", `null`, "no access_token"},
		{"no token", `{"expires_in":7200}`, "no access_token"},
		{"a token that is a number", `{"access_token":12345678,"expires_in":7200}`, "no JSON object"},
		{"no life", `{"access_token":"` + token + `"}`, "no expires_in"},
		{"a life of null", `{"access_token":"` + token + `","expires_in":null}`, "no expires_in"},
		{"a life of 0", `{"access_token":"` + token + `","expires_in":0}`, "expires_in is 0:"},
		{"a life of less than a second", `{"access_token":"` + token + `","expires_in":0.25}`, "expires_in is 0.25:"},
		{"a life that is over", `{"access_token":"` + token + `","expires_in":-7200}`, "expires_in is -7200:"},
		{"a life in words", `{"access_token":"` + token + `","expires_in":"` + token + `"}`, "not a number"},
		{"a life in digits", `{"access_token":"` + token + `","expires_in":"7200"}`, "not a number"},
		{"a life of an object", `{"access_token":"` + token + `","expires_in":{}}`, "not a number"},
		{"a life of ages", `{"access_token":"` + token + `","expires_in":1e300}`, "ten years"},
		{"a life of more than ages", `{"access_token":"` + token + `","expires_in":1e999}`, "ten years"},
		{"a token with a line break", `{"access_token":"` + token + `\r\nX-Evil: 1","expires_in":7200}`, "no header can carry"},
		{"a token with a blank", `{"access_token":"` + token + ` 1","expires_in":7200}`, "no header can carry"},
		{"a token beyond ASCII", `{"access_token":"` + token + `é","expires_in":7200}`, "no header can carry"},
		{"a refresh token with a NUL", `{"access_token":"` + token + `","refresh_token":"a\u0000","expires_in":7200}`, "no header can carry"},
		{"a token that is too long", `{"access_token":"` + strings.Repeat(token, 1000) + `","expires_in":7200}`, "17000 bytes"},
		{"a huge reply", `{"access_token":"` + token + `","expires_in":7200,"x":"` + strings.Repeat("x", 64<<10) + `"}`, "more than 64 KiB"},
	} {
		t.Run(row.name, func(t *testing.T) {
			say := func(int, *auth.Ask) (*auth.Answer, error) { return answer(200, "%s", row.body), nil }
			sessions := []*auth.Session{auth.Anonymous(base, env, "")}
			if !strings.Contains(row.body, "refresh_token") { // which WeChat does not have
				sessions = append(sessions, auth.WeChat(base, auth.NewSecret("wx01"), auth.NewSecret("secret"), false))
			}
			for _, s := range sessions {
				err := refusal(t, s, &endpoint{say: say})
				if !strings.Contains(err.What, row.want) {
					t.Errorf("%q, want it to say %q", err.What, row.want)
				}
				if strings.Contains(fmt.Sprintf("%+v", *err), token) {
					t.Errorf("the error quotes the token: %+v", *err)
				}
			}
		})
	}
}

// forms are the ways in which a secret comes back.
func forms(secret string) map[string]string {
	return map[string]string{
		"as it is": secret, "URL-encoded": url.QueryEscape(secret), "path-escaped": url.PathEscape(secret), "quoted": strings.Trim(fmt.Sprintf("%q", secret), `"`),
		"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "raw base64": base64.RawStdEncoding.EncodeToString([]byte(secret)),
		"base64url": base64.URLEncoding.EncodeToString([]byte(secret)), "raw base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"hex": hex.EncodeToString([]byte(secret)),
	}
}

// Whatever the endpoint says back, and whatever goes wrong on the way: no
// secret is in the error.
func TestErrorsHoldNoSecrets(t *testing.T) {
	const user, password, refresh, app, secret = "marked.user@example.com", `marked "pass+word"/é`, "marked-refresh~1", "wxmarked0123", "marked secret?&="
	keys := marked()
	kinds := map[string]struct {
		session func() *auth.Session
		secrets []string
	}{
		"password": {func() *auth.Session {
			return auth.Password(base, env, "", auth.NewSecret(user), auth.NewSecret(password))
		}, []string{user, password}},
		"short password": {func() *auth.Session {
			return auth.Password(base, env, "", auth.NewSecret(user), auth.NewSecret("pw"))
		}, []string{"pw"}},
		"refresh": {func() *auth.Session { return auth.Refresh(base, env, auth.NewSecret(refresh)) }, []string{refresh}},
		"keys":    {func() *auth.Session { return auth.ClientCredential(base, keys) }, []string{keys.ID.Reveal(), keys.Key.Reveal(), keys.Session.Reveal()}},
		"wechat": {func() *auth.Session {
			return auth.WeChat(base, auth.NewSecret(app), auth.NewSecret(secret), false)
		}, []string{app, secret}},
		"wechat, legacy": {func() *auth.Session {
			return auth.WeChat(base, auth.NewSecret(app), auth.NewSecret(secret), true)
		}, []string{app, secret}},
	}
	for kind, k := range kinds {
		for _, secret := range k.secrets {
			for form, echo := range forms(secret) {
				quoted := fmt.Sprintf("%q", strings.Repeat("x", 380)+" you sent "+echo+" twice: "+echo)
				for where, say := range map[string]func(q *auth.Ask) (*auth.Answer, error){
					"error_description": func(*auth.Ask) (*auth.Answer, error) {
						return answer(400, `{"error":"invalid_password","error_description":%s}`, quoted), nil
					},
					"message": func(*auth.Ask) (*auth.Answer, error) {
						return answer(400, `{"code":"C","message":%s}`, quoted), nil
					},
					"code": func(*auth.Ask) (*auth.Answer, error) { return answer(400, `{"error":%s}`, quoted), nil },
					"errmsg": func(*auth.Ask) (*auth.Answer, error) {
						return answer(200, `{"errcode":40013,"errmsg":%s}`, quoted), nil
					},
					"errcode": func(*auth.Ask) (*auth.Answer, error) {
						return answer(200, `{"errcode":%s,"errmsg":"x"}`, quoted), nil
					},
					"the body": func(*auth.Ask) (*auth.Answer, error) { return answer(400, "%s", echo), nil },
					"expires_in": func(*auth.Ask) (*auth.Answer, error) {
						return answer(200, `{"access_token":"t","expires_in":%s}`, quoted), nil
					},
					"the failure to ask": func(q *auth.Ask) (*auth.Answer, error) {
						return nil, fmt.Errorf("%s %w", echo, &url.Error{Op: "Post", URL: q.URL, Err: errors.New("refused " + wire(q))})
					},
				} {
					synctest.Test(t, func(t *testing.T) {
						err := refusal(t, k.session(), &endpoint{say: func(_ int, q *auth.Ask) (*auth.Answer, error) { return say(q) }})
						shown := err.Error() + "\n" + err.Hint() + "\n" + fmt.Sprintf("%+v", *err)
						if strings.Contains(shown, echo) || strings.Contains(shown, secret) {
							t.Errorf("%s, %s, in %s: the error shows %q: %s", kind, form, where, echo, shown)
						}
					})
				}
			}
		}
	}
}

// A signature is good for ten minutes: it is not shown either, nor are tokens
// that the session got before.
func TestErrorsHoldNothingMadeOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: 100, say: func(_ int, q *auth.Ask) (*auth.Answer, error) {
			return answer(403, `{"error":"e","error_description":%q}`, wire(q)), nil
		}}
		signed := refusal(t, auth.ClientCredential(base, marked()), e)
		g, err := auth.ParseSignature(e.asks[0].Header[1][1])
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(signed.What, g.Value) || !strings.Contains(signed.What, auth.Mask) {
			t.Errorf("a signature is shown: %s", signed.What)
		}

		e = &endpoint{life: 100}
		s := auth.Anonymous(base, env, "")
		grant(t, s, e)
		time.Sleep(time.Hour)
		e.say = func(_ int, q *auth.Ask) (*auth.Answer, error) {
			return answer(403, `{"error":"access-1","error_description":"access-1 and refresh-1 %s"}`, "again"), nil
		}
		if err := refusal(t, s, e); strings.Contains(err.What+err.Code, "access-1") || strings.Contains(err.What, "refresh-1") {
			t.Errorf("tokens are shown: %+v", *err)
		}
	})
}

func TestWordsAreBounded(t *testing.T) {
	e := &endpoint{say: func(int, *auth.Ask) (*auth.Answer, error) {
		return answer(400, `{"error":%q,"error_description":%q}`, strings.Repeat("é", 10_000), strings.Repeat("é", 10_000)), nil
	}}
	if err := refusal(t, auth.Anonymous(base, env, ""), e); len(err.What) > 600 || len(err.Code) > 500 || !strings.HasSuffix(err.What, "…") {
		t.Errorf("an error of %d bytes with a code of %d: %s", len(err.What), len(err.Code), err.What)
	}
}
