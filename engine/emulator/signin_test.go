package emulator

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSignIn(t *testing.T) {
	s := start(t, Config{Env: "env-1", Users: map[string]string{"ann": "secret"}, Keys: map[string]string{ownID: ownKey}, MaxBody: 1000})
	const password = `{"username":"ann","password":"secret"}`
	tests := []struct {
		name, line, body string
		headers          []string
		status           int
		want             string // scope, error or code
	}{
		{"anonymously", "POST signin/anonymously?client_id=env-1", "{}", []string{device}, 200, "anonymous"},
		{"anonymously without a body", "POST signin/anonymously", "", []string{device}, 200, "anonymous"},
		{"anonymously as text, as js-sdk does", "POST signin/anonymously", "{}", []string{device, "Content-Type: text/plain;charset=UTF-8"}, 200, "anonymous"},
		{"anonymously without a device", "POST signin/anonymously", "{}", nil, 400, "invalid_argument"},
		{"anonymously with nonsense", "POST signin/anonymously", "[1]", []string{device}, 400, "invalid_argument"},
		{"by password", "POST signin?client_id=env-1", password, []string{device}, 200, "user"},
		{"by another's password", "POST signin", `{"username":"ann","password":"x"}`, []string{device}, 400, "invalid_password"},
		{"as nobody", "POST signin", `{"username":"bob","password":"x"}`, []string{device}, 404, "not_found"},
		{"without a password", "POST signin", `{"username":"ann"}`, []string{device}, 400, "invalid_argument"},
		{"by verification", "POST signin", `{"verification_token":"v"}`, []string{device}, 400, "invalid_argument"},
		{"with nonsense", "POST signin", `{"username":`, []string{device}, 400, "invalid_argument"},
		{"with a number for a name", "POST signin", `{"username":1,"password":"x"}`, []string{device}, 400, "invalid_argument"},
		{"with too much", "POST signin", `{"username":"` + strings.Repeat("x", 1000) + `"}`, []string{device}, 413, codePayload},
		{"by another grant", "POST token", `{"grant_type":"password","refresh_token":"x"}`, nil, 400, "invalid_argument"},
		{"without a refresh token", "POST token", `{"grant_type":"refresh_token"}`, nil, 400, "invalid_argument"},
		{"for another environment", "POST token", `{"client_id":"env-2","grant_type":"refresh_token","refresh_token":"x"}`, nil, 400, "unauthorized_client"},
		{"at another environment", "POST http://env-2.api.tcloudbasegateway.com/auth/v1/signin", password, nil, 400, codeEnv},
		{"by a client credential that is not signed", "POST token/clientCredential", `{"grant_type":"client_credentials"}`, nil, 401, codeNoCredentials},
		{"by a client credential with a token", "POST token/clientCredential", `{"grant_type":"client_credentials"}`, []string{token}, 401, codeCredentials},
		{"who am I, without a token", "GET user/me", "", nil, 401, codeNoCredentials},
		{"elsewhere", "POST signin/custom", "{}", []string{device}, 404, codePath},
		{"anonymously at another environment", "POST signin/anonymously?client_id=env-2", "{}", []string{device}, 400, "unauthorized_client"},
		{"by password at another environment", "POST signin?client_id=env-2", password, []string{device}, 400, "unauthorized_client"},
		{"by GET", "GET signin", "", nil, 404, codePath},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			line := tt.line
			if method, path, _ := strings.Cut(line, " "); !strings.Contains(path, "://") {
				line = method + " /auth/v1/" + path
			}
			res := ask(s, request(line, tt.body, tt.headers...))
			var got struct {
				Scope, Error, Code, Sub string
				Number                  *int   `json:"error_code"`
				Words                   string `json:"error_description"`
				Access                  string `json:"access_token"`
			}
			body := text(t, res)
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if res.StatusCode != tt.status || got.Scope+got.Error+got.Code != tt.want {
				t.Errorf("status %d: %s; want %d with %s", res.StatusCode, body, tt.status, tt.want)
			}
			if got.Error != "" && (got.Number == nil || got.Words == "") || tt.status == 200 && (got.Access == "" || got.Sub == "") {
				t.Errorf("%s lacks something", body)
			}
		})
	}
}

// TestSignInLiterally has the requests and the reply of PROTOCOL.md 2.2.
func TestSignInLiterally(t *testing.T) {
	s := start(t, Config{Env: "env-1", Users: map[string]string{"user1": "p"}})
	tokens := regexp.MustCompile(`"(access_token|refresh_token|sub)":"([^"]+)"`)
	const reply = `{"access_token":"..","expires_in":7200,"groups":[GROUPS],"refresh_token":"..","scope":"SCOPE","sub":"..","token_type":"Bearer"}`
	var last map[string]any
	for _, tt := range []struct{ line, body, scope, groups string }{
		{"POST http://env-1.api.tcloudbasegateway.com/auth/v1/signin/anonymously?client_id=env-1", "{}", "anonymous", ""},
		{"POST http://env-1.api.tcloudbasegateway.com/auth/v1/signin?client_id=env-1", `{"username":"user1","password":"p"}`, "user", `"registerUser"`},
		{"POST http://env-1.api.tcloudbasegateway.com/auth/v1/token", `{"client_id":"env-1","client_secret":"","grant_type":"refresh_token","refresh_token":"LAST"}`, "user", `"registerUser"`},
	} {
		if last != nil {
			tt.body = strings.Replace(tt.body, "LAST", last["refresh_token"].(string), 1)
		}
		got := text(t, ask(s, request(tt.line, tt.body, "x-device-id: d1", "x-request-id: 0123456789abcdef0123456789abcdef", "Content-Type: application/json")))
		want := strings.NewReplacer("GROUPS", tt.groups, "SCOPE", tt.scope).Replace(reply)
		if masked := tokens.ReplaceAllString(got, `"$1":".."`); masked != want {
			t.Errorf("%s: %s, want %s", tt.line, masked, want)
		}
		last = nil
		if err := json.Unmarshal([]byte(got), &last); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSignInWhoIsWho(t *testing.T) {
	s := start(t, Config{})
	_, one := s.signInAs(t, "signin/anonymously", "{}", device)
	_, again := s.signInAs(t, "signin/anonymously", "{}", device)
	_, other := s.signInAs(t, "signin/anonymously", "{}", "X-Device-Id: d2")
	if one["sub"] != again["sub"] || one["sub"] == other["sub"] || one["access_token"] == again["access_token"] {
		t.Errorf("the same device is %v and %v, another %v", one["sub"], again["sub"], other["sub"])
	}
	bearer := "Authorization: Bearer " + one["access_token"].(string)
	me := text(t, ask(s, request("GET /auth/v1/user/me", "", bearer)))
	if !strings.Contains(me, `"sub":`+jsonText(one["sub"])) {
		t.Errorf("user/me says %s, want %v", me, one["sub"])
	}
	if status, got := s.signInAs(t, "revoke", `{"token":`+jsonText(one["access_token"])+`}`); status != 200 {
		t.Errorf("revoke: %d %v", status, got)
	}
	if got := ask(s, request("GET /auth/v1/user/me", "", bearer)).StatusCode; got != 401 {
		t.Errorf("status %d with a token that was revoked, want 401", got)
	}
}

func TestClientCredential(t *testing.T) {
	const body = `{"grant_type":"client_credentials"}`
	s := start(t, Config{Tokens: []string{"t0"}, Keys: map[string]string{ownID: ownKey}, Functions: map[string]Function{"fn": {}}})
	get := func(sent, signed string) (int, map[string]any) {
		r := request("POST http://env.example/auth/v1/token/clientCredential", sent, "Content-Type: application/json")
		signGateway(r, signed, keysOf(ownID, ownKey, ""), time.Now())
		res := ask(s, r)
		var got map[string]any
		if err := json.Unmarshal([]byte(text(t, res)), &got); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, got
	}
	status, got := get(body, body)
	if status != 200 || got["token_type"] != "Bearer" || got["expires_in"] != 7200.0 || got["refresh_token"] != nil {
		t.Fatalf("status %d: %v, want an access token alone", status, got)
	}
	if res := ask(s, request("POST /v1/functions/fn", "{}", "Authorization: Bearer "+got["access_token"].(string))); res.StatusCode != 200 {
		t.Errorf("status %d with it, want 200", res.StatusCode)
	}
	if status, got := get(body+" ", body); status != 401 || got["code"] != codeSignature {
		t.Errorf("a body that was not signed: %d %v", status, got)
	}
	if status, got := get(`{}`, `{}`); status != 400 || got["error"] != "invalid_argument" {
		t.Errorf("no grant type: %d %v", status, got)
	}
}

// Every sign-in error happens at its doors as SignInErrors says, and nowhere else.
func TestSignInErrors(t *testing.T) {
	const clientBody = `{"grant_type":"client_credentials"}`
	for _, kind := range SignInErrors() {
		t.Run(kind.Name, func(t *testing.T) {
			if kind.Meaning == "" || kind.Outcome == "" {
				t.Errorf("%+v explains nothing", kind)
			}
			e := signInErrors()[kind.Name]
			s := start(t, Config{SignInError: kind.Name})
			id, key := OpenKeys()
			credential := request("POST http://env.example/auth/v1/token/clientCredential", clientBody)
			signGateway(credential, clientBody, keysOf(id, key, ""), time.Now())
			for d, r := range map[door]*http.Request{
				anonymousDoor:  request("POST /auth/v1/signin/anonymously", "{}", device),
				passwordDoor:   request("POST /auth/v1/signin", `{"username":"u","password":"p"}`),
				refreshDoor:    request("POST /auth/v1/token", refreshBody(s.issue(anonymous, "x").refresh)),
				credentialDoor: credential,
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				status, body := 0, ""
				func() {
					defer func() { _ = recover() }() // the connection breaks where no answer comes
					res := ask(s, r.WithContext(ctx))
					status, body = res.StatusCode, text(t, res)
				}()
				want := 200
				if e.doors&d != 0 {
					want = kind.Status
				}
				if status != want || want >= 400 && !strings.Contains(body, `"error":"`+e.kind+`","error_code":`+strconv.Itoa(e.number)+`,`) {
					t.Errorf("at door %d: status %d: %s; want %d", d, status, body, want)
				}
			}
			for _, c := range s.Truth().Counts {
				if c.Outcome != "ok" && c.Outcome != kind.Outcome {
					t.Errorf("the truth says %+v, want %s", c, kind.Outcome)
				}
			}
		})
	}
}

// What a browser asks before and gets with an answer of the platform's.
func TestPages(t *testing.T) {
	const good, bad = "Origin: https://app.example", "Origin: https://evil.example"
	s := start(t, Config{Origins: []string{"https://app.example"}, PreflightAge: 90 * time.Second, Functions: map[string]Function{"fn": {}}})
	for _, tt := range []struct {
		name, line string
		headers    []string
		status     int
		allowed    string // origin
	}{
		{"asks before it invokes", "OPTIONS /v1/functions/fn", []string{good, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization"}, 204, "https://app.example"},
		{"asks before it signs in", "OPTIONS /auth/v1/signin/anonymously", []string{good, "Access-Control-Request-Method: POST"}, 204, "https://app.example"},
		{"asks from elsewhere", "OPTIONS /v1/functions/fn", []string{bad, "Access-Control-Request-Method: POST"}, 403, ""},
		{"invokes", "POST /v1/functions/fn", []string{good, token}, 200, "https://app.example"},
		{"invokes without credentials, and may read why not", "POST /v1/functions/fn", []string{good}, 401, "https://app.example"},
		{"invokes from elsewhere", "POST /v1/functions/fn", []string{bad, token}, 403, ""},
		{"signs in", "POST /auth/v1/signin/anonymously", []string{good, device}, 200, "https://app.example"},
		{"signs in from elsewhere", "POST /auth/v1/signin/anonymously", []string{bad, device}, 403, ""},
		{"asks an access path", "OPTIONS /fn", []string{good, "Access-Control-Request-Method: POST"}, 204, "https://app.example"},
		{"asks an access path from elsewhere", "OPTIONS /fn", []string{bad, "Access-Control-Request-Method: POST"}, 204, ""},
		{"opens an access path from elsewhere", "POST /fn", []string{bad}, 200, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := ask(s, request(tt.line, "", tt.headers...))
			h := res.Header
			if res.StatusCode != tt.status || h.Get("Access-Control-Allow-Origin") != tt.allowed || !slices.Contains(h.Values("Vary"), "Origin") {
				t.Errorf("status %d, headers %v; want %d for %q", res.StatusCode, h, tt.status, tt.allowed)
			}
			if tt.status == 403 {
				if body := text(t, res); codeIn(body) != codeSource {
					t.Errorf("body %s, want %s", body, codeSource)
				}
			}
			if tt.status == 204 && h.Get("Access-Control-Max-Age") != "90" {
				t.Errorf("to be remembered for %q, want 90", h.Get("Access-Control-Max-Age"))
			}
		})
	}
}

// No body of a request for a token panics, or is given one that it did not earn.
func FuzzTokenBodies(f *testing.F) {
	s, err := New(Config{Users: map[string]string{"ann": "secret"}, MaxBody: 10_000})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	for _, seed := range []string{`{"username":"ann","password":"x"}`, refreshBody("x"), `{"grant_type":"client_credentials"}`, "{}", "", "[", `{"refresh_token":{}}`, `null`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"signin", "token", "token/clientCredential"} {
			res := ask(s, request("POST /auth/v1/"+path, body))
			var who struct{ Username, Password string }
			known := json.Unmarshal([]byte(body), &who) == nil && who.Username == "ann" && who.Password == "secret"
			if res.StatusCode < 400 && (path != "signin" || !known) || res.StatusCode >= 500 {
				t.Errorf("%s: status %d for %q: %s", path, res.StatusCode, body, text(t, res))
			}
		}
	})
}
