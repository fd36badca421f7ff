package emulator

import (
	"encoding/json"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// signIn asks for a token and returns what came.
func (s *Server) signInAs(t testing.TB, path, body string, headers ...string) (status int, got map[string]any) {
	t.Helper()
	res := ask(s, request("POST /auth/v1/"+path, body, headers...))
	if err := json.Unmarshal([]byte(text(t, res)), &got); err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	return res.StatusCode, got
}

const device = "X-Device-Id: d1"

func refreshBody(token any) string {
	return `{"client_id":"","client_secret":"","grant_type":"refresh_token","refresh_token":` + jsonText(token) + `}`
}

// A token that was given out lives for its life, in a world where all others do
// for ever.
func TestTokensExpire(t *testing.T) {
	for _, tt := range []struct {
		name         string
		tokens       []string
		path, body   string
		life, before time.Duration
	}{
		{"of anonymous users, after two hours", nil, "signin/anonymously", "{}", 0, 2 * time.Hour},
		{"of users, when the configuration says so", nil, "signin", `{"username":"u","password":"p"}`, time.Minute, time.Minute},
		{"beside configured ones", []string{"t0"}, "signin/anonymously", "", time.Minute, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, Config{Tokens: tt.tokens, TokenLife: tt.life, Functions: map[string]Function{"fn": {}}})
				call := func(token any) string {
					res := ask(s, request("POST /v1/functions/fn", "{}", "Authorization: Bearer "+token.(string)))
					return strconv.Itoa(res.StatusCode) + " " + codeIn(text(t, res))
				}
				status, got := s.signInAs(t, tt.path, tt.body, device)
				if status != 200 || got["expires_in"] != tt.before.Seconds() || got["token_type"] != "Bearer" {
					t.Fatalf("status %d: %v, want a token for %v", status, got, tt.before)
				}
				time.Sleep(tt.before - time.Nanosecond)
				if got := call(got["access_token"]); got != "200 " {
					t.Errorf("before its end: %s", got)
				}
				time.Sleep(time.Nanosecond)
				if got := call(got["access_token"]); got != "401 "+codeExpired {
					t.Errorf("at its end: %s", got)
				}
				if got := call("t0"); got != "200 " {
					t.Errorf("another: %s", got)
				}
				if got := call(got["refresh_token"]); got != "401 "+codeCredentials {
					t.Errorf("a refresh token: %s", got)
				}
				want := "200 "
				if tt.tokens != nil {
					want = "401 " + codeCredentials
				}
				if got := call("unknown"); got != want {
					t.Errorf("an unknown one: %s, want %s", got, want)
				}
			})
		})
	}
}

func codeIn(body string) string {
	var e struct{ Code string }
	_ = json.Unmarshal([]byte(body), &e)
	return e.Code
}

func TestRefreshTokensAreRotated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Config{Functions: map[string]Function{"fn": {}}})
		_, first := s.signInAs(t, "signin/anonymously", "", device)
		status, second := s.signInAs(t, "token", refreshBody(first["refresh_token"]))
		if status != 200 || second["access_token"] == first["access_token"] || second["refresh_token"] == first["refresh_token"] || second["sub"] != first["sub"] || second["scope"] != "anonymous" {
			t.Fatalf("status %d: %v after %v, want another pair for the same user", status, second, first)
		}
		if status, got := s.signInAs(t, "token", refreshBody(first["refresh_token"])); status != 400 || got["error"] != "unauthorized_client" {
			t.Errorf("used up: %d %v", status, got)
		}
		if status, got := s.signInAs(t, "token", refreshBody(second["access_token"])); status != 400 || got["error"] != "unauthorized_client" {
			t.Errorf("an access token: %d %v", status, got)
		}
		if status, got := s.signInAs(t, "token", refreshBody("x")); status != 400 || got["error"] != "unauthorized_client" {
			t.Errorf("an unknown one: %d %v", status, got)
		}
		if res := ask(s, request("POST /v1/functions/fn", "{}", "Authorization: Bearer "+first["access_token"].(string))); res.StatusCode != 200 {
			t.Errorf("status %d with the access token of before, which lives on", res.StatusCode)
		}
		time.Sleep(refreshLife)
		if status, got := s.signInAs(t, "token", refreshBody(second["refresh_token"])); status != 400 || got["error"] != "invalid_grant" {
			t.Errorf("after 30 days: %d %v", status, got)
		}
		if one, state := s.renew("x", false); state != unknownToken || one.access != "" {
			t.Errorf("renewed an unknown one: %v", one)
		}
		_, third := s.signInAs(t, "signin/anonymously", "", device)
		for range 2 {
			if _, state := s.renew(third["refresh_token"].(string), false); state != validToken {
				t.Errorf("state %d without rotation, want it to stay valid", state)
			}
		}
	})
}

// What was forgotten is not taken for a token made elsewhere.
func TestTokensAreForgotten(t *testing.T) {
	s := start(t, Config{})
	one := s.issue(signedIn, "u")
	st := s.tokens
	st.mu.Lock()
	for i := range maxTokens {
		st.remember(strconv.Itoa(i), &grant{kind: anonymous, expires: time.Now().Add(time.Hour)})
	}
	known, forgotten := len(st.known), st.forgotten
	st.mu.Unlock()
	if known != maxTokens || forgotten != 2 {
		t.Errorf("%d known and %d forgotten, want %d and 2", known, forgotten, maxTokens)
	}
	for _, token := range []string{one.access, one.refresh} {
		if _, _, state := s.lookup(token); state != expiredToken {
			t.Errorf("state %d of a forgotten token, want %d", state, expiredToken)
		}
		last := token[len(token)-2]
		forged := token[:len(token)-2] + string(last^1) + token[len(token)-1:]
		if _, _, state := s.lookup(forged); state != unknownToken {
			t.Errorf("state %d of a forged token, want %d", state, unknownToken)
		}
	}
	if code, _ := s.admits(one.access); code != codeExpired {
		t.Errorf("a forgotten token: %q", code)
	}
	if code, _ := s.admits("0"); code != "" {
		t.Errorf("a remembered token: %q", code)
	}
}

func TestTokensOpenTheirOwnDoors(t *testing.T) {
	s := start(t, Config{Tokens: []string{"t0"}})
	for kind, want := range map[tokenKind]string{anonymous: "", signedIn: "", administrator: "", weChatApp: codeCredentials} {
		i := s.issue(kind, "x")
		if code, _ := s.admits(i.access); code != want {
			t.Errorf("a token of %s: %q, want %q", kind, code, want)
		}
		if (i.refresh != "") != (kind == anonymous || kind == signedIn) {
			t.Errorf("a token of %s comes with the refresh token %q", kind, i.refresh)
		}
		s.supersede(i.access)
		if code, _ := s.admits(i.access); code != codeCredentials {
			t.Errorf("a superseded token of %s: %q", kind, code)
		}
		if _, _, state := s.lookup(i.access); state != supersededToken {
			t.Errorf("state %d of a superseded token of %s", state, kind)
		}
	}
}
