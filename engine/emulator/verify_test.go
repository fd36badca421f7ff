package emulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine/auth"
)

const (
	ownID, ownKey = "AKIDtest", "testkey"
	temporaryID   = "AKIDtemporary"
	session       = "session,token=1"
)

func signedWorld() Config {
	return Config{
		Tokens:        []string{"t0"},
		Keys:          map[string]string{ownID: ownKey, temporaryID: ownKey},
		SessionTokens: map[string]string{temporaryID: session},
		Functions:     map[string]Function{"echo": {Versions: map[string]Function{"Stable": {}, "other": {}}}, "site": {HTTP: true}},
	}
}

func keysOf(id, key, session string) auth.Keys {
	return auth.Keys{ID: auth.NewSecret(id), Key: auth.NewSecret(key), Session: auth.NewSecret(session)}
}

// signGateway signs r, with body, as it stands: all of its headers.
func signGateway(r *http.Request, body string, k auth.Keys, at time.Time) {
	s := auth.Signable{Verb: r.Method, Host: r.Host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Body: []byte(body)}
	for name := range r.Header {
		s.Header = append(s.Header, [2]string{name, r.Header.Get(name)})
	}
	r.Header.Set("Authorization", auth.SignGateway(k, at, s))
}

// edit replaces a part of the Authorization, which must be there.
func edit(t *testing.T, r *http.Request, old, new string) {
	t.Helper()
	before := r.Header.Get("Authorization")
	after := strings.Replace(before, old, new, 1)
	if after == before {
		t.Fatalf("%q is not in %q", old, before)
	}
	r.Header.Set("Authorization", after)
}

func TestSignatureOnTheGateway(t *testing.T) {
	const body = `{"name":"CloudBase","zh":"你好"}`
	tests := []struct {
		name string
		code string // of the refusal; empty: it is let in
		k    auth.Keys
		late time.Duration // when it arrives, after it was signed
		edit func(*testing.T, *http.Request)
	}{
		{"is let in", "", keysOf(ownID, ownKey, ""), 0, nil},
		{"is let in with its session token", "", keysOf(temporaryID, ownKey, session), 0, nil},
		{"is good for ten minutes", "", keysOf(ownID, ownKey, ""), signatureLife, nil},
		{"and no longer", codeSignature, keysOf(ownID, ownKey, ""), signatureLife + time.Second, nil},
		{"may be ahead a little", "", keysOf(ownID, ownKey, ""), -clockSkew, nil},
		{"but not more", codeSignature, keysOf(ownID, ownKey, ""), -clockSkew - time.Second, nil},
		{"with another key", codeSignature, keysOf(ownID, "another", ""), 0, nil},
		{"of nobody", codeCredentials, keysOf("AKIDnobody", ownKey, ""), 0, nil},
		{"without its session token", codeCredentials, keysOf(temporaryID, ownKey, ""), 0, nil},
		{"with another session token", codeCredentials, keysOf(temporaryID, ownKey, "other"), 0, nil},
		{"with a session token where there is none", codeCredentials, keysOf(ownID, ownKey, session), 0, nil},
		{"over another query", codeSignature, keysOf(ownID, ownKey, ""), 0, func(_ *testing.T, r *http.Request) { r.URL.RawQuery = "b=1" }},
		{"over a query in another order", codeSignature, keysOf(ownID, ownKey, ""), 0, func(_ *testing.T, r *http.Request) { r.URL.RawQuery = "b=2&a=1" }},
		{"over another path", codeSignature, keysOf(ownID, ownKey, ""), 0, func(_ *testing.T, r *http.Request) { r.URL.Path = "/v1/functions/site" }},
		{"over another method", codeSignature, keysOf(ownID, ownKey, ""), 0, func(_ *testing.T, r *http.Request) { r.Method = "PUT" }},
		{"over another host", codeSignature, keysOf(ownID, ownKey, ""), 0, func(_ *testing.T, r *http.Request) { r.Host = "other.example" }},
		{"over another content type", codeSignature, keysOf(ownID, ownKey, ""), 0, func(_ *testing.T, r *http.Request) { r.Header.Set("Content-Type", "text/plain") }},
		{"over another qualifier", codeSignature, keysOf(ownID, ownKey, ""), 0, func(_ *testing.T, r *http.Request) { r.Header.Set("X-Qualifier", "other") }},
		{"over a header that is not there any more", codeSignature, keysOf(ownID, ownKey, ""), 0, func(_ *testing.T, r *http.Request) { r.Header.Del("X-Qualifier") }},
		{"over a header that came again", codeSignature, keysOf(ownID, ownKey, ""), 0, func(_ *testing.T, r *http.Request) { r.Header.Add("X-Qualifier", "other") }},
		{"with another time", codeSignature, keysOf(ownID, ownKey, ""), 0, func(t *testing.T, r *http.Request) {
			edit(t, r, "Timestamp="+strconv.FormatInt(time.Now().Unix(), 10), "Timestamp="+strconv.FormatInt(time.Now().Unix()+1, 10))
		}},
		{"without a time", codeSignature, keysOf(ownID, ownKey, ""), 0, func(t *testing.T, r *http.Request) {
			edit(t, r, ", Timestamp="+strconv.FormatInt(time.Now().Unix(), 10), "")
		}},
		{"of another day", codeSignature, keysOf(ownID, ownKey, ""), 0, func(t *testing.T, r *http.Request) {
			edit(t, r, time.Now().UTC().Format(time.DateOnly), "1999-12-30")
		}},
		{"for another service", codeSignature, keysOf(ownID, ownKey, ""), 0, func(t *testing.T, r *http.Request) { edit(t, r, "/tcb/", "/scf/") }},
		{"of another's id", codeCredentials, keysOf(ownID, ownKey, ""), 0, func(t *testing.T, r *http.Request) { edit(t, r, ownID, temporaryID) }},
		{"that covers fewer headers than it did", codeSignature, keysOf(ownID, ownKey, ""), 0, func(t *testing.T, r *http.Request) { edit(t, r, ";x-qualifier", "") }},
		{"that does not cover the host", codeSignature, keysOf(ownID, ownKey, ""), 0, func(t *testing.T, r *http.Request) { edit(t, r, "host;", "") }},
		{"in another order of names", codeSignature, keysOf(ownID, ownKey, ""), 0, func(t *testing.T, r *http.Request) {
			edit(t, r, "content-type;host", "host;content-type")
		}},
		{"with a part cut off", codeSignature, keysOf(ownID, ownKey, ""), 0, func(t *testing.T, r *http.Request) {
			h := r.Header.Get("Authorization")
			r.Header.Set("Authorization", h[:len(h)/2])
		}},
		{"by its name alone", codeSignature, keysOf(ownID, ownKey, ""), 0, func(_ *testing.T, r *http.Request) {
			r.Header.Set("Authorization", "TC3-HMAC-SHA256")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, signedWorld())
				time.Sleep(time.Hour) // room for clocks that are ahead
				r := request("POST http://env.example/v1/functions/echo?a=1&b=2", body, "Content-Type: application/json; charset=utf-8", "X-Qualifier: Stable")
				signGateway(r, body, tt.k, time.Now().Add(-tt.late))
				if tt.edit != nil {
					tt.edit(t, r)
				}
				res := ask(s, r)
				got := text(t, res)
				if tt.code == "" {
					if res.StatusCode != 200 || got != body {
						t.Errorf("status %d: %s, want the event", res.StatusCode, got)
					}
				} else if checkRefusal(t, res, got, tt.code); res.StatusCode != 401 {
					t.Errorf("status %d, want 401", res.StatusCode)
				}
			})
		})
	}
}

// One bit of the body or of the signature is enough.
// The requests of PROTOCOL.md 9 B and B2, with the signatures that the vendor's
// own package made for them.
func TestSignatureLiterally(t *testing.T) {
	const id = "Authorization: TC3-HMAC-SHA256 Credential=AKIDFAKEFAKEFAKEFAKE0000000000000000/2023-11-14/tcb/tc3_request, "
	for _, tt := range []struct {
		name, query, body, want string
		headers                 []string
	}{
		{"B", "", `{"name":"CloudBase","zh":"你好"}`, `{"name":"CloudBase","zh":"你好"}`, []string{"Content-Type: application/json; charset=utf-8",
			id + "SignedHeaders=content-type;host, Signature=3242bf3927183f24aa0d139ac3cd0cba5967cba452d0fb7c3c35bcb5aa64d0ef, Timestamp=1700000000"}},
		{"B2", "?webfn=true", `{"a":1}`, `{"a":1}`, []string{"Content-Type: application/json", "X-Qualifier: $LATEST",
			id + "SignedHeaders=content-type;host;x-qualifier, Signature=3b6d8edda8d63ba8c485085abbb80116410b50b5a693ad9207ddf56fa3f7e969, Timestamp=1700000000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Unix(1700000000, 0)))
				fn := Function{HTTP: tt.query != "", Reply: func(event any) ([]byte, error) {
					if e, ok := event.(map[string]any); ok && e["httpMethod"] != nil {
						event = json.RawMessage(e["body"].(string))
					}
					return json.Marshal(event)
				}}
				s := start(t, Config{Env: "test-env-1a2b3c", Functions: map[string]Function{"hello-world": fn},
					Keys: map[string]string{"AKIDFAKEFAKEFAKEFAKE0000000000000000": "FAKEKEYfakekeyFAKEKEYfakekey0000"}})
				res := ask(s, request("POST https://test-env-1a2b3c.api.tcloudbasegateway.com/v1/functions/hello-world"+tt.query, tt.body, tt.headers...))
				if got := text(t, res); res.StatusCode != 200 || got != tt.want {
					t.Errorf("status %d: %s, want %s", res.StatusCode, got, tt.want)
				}
			})
		})
	}
}

func TestSignatureCoversEveryByte(t *testing.T) {
	const body = `{"a":"0123456789","b":[1,2,3]}`
	s := start(t, signedWorld())
	try := func(body, authorization string) int {
		return ask(s, request("POST http://env.example/v1/functions/echo", body, "Content-Type: application/json", "Authorization: "+authorization)).StatusCode
	}
	r := request("POST http://env.example/v1/functions/echo", body, "Content-Type: application/json")
	signGateway(r, body, keysOf(ownID, ownKey, ""), time.Now())
	right := r.Header.Get("Authorization")
	if got := try(body, right); got != 200 {
		t.Fatalf("status %d for the right one, want 200", got)
	}
	for i := range len(body) {
		b := []byte(body)
		b[i] ^= 1
		if got := try(string(b), right); got != 401 {
			t.Errorf("status %d for %s, want 401", got, b)
		}
	}
	for i := range len(right) {
		b := []byte(right)
		b[i] ^= 1
		if got := try(body, string(b)); got != 401 {
			t.Errorf("status %d for %s, want 401", got, b)
		}
	}
	for _, other := range []string{"", body + " ", body[1:]} {
		if got := try(other, right); got != 401 {
			t.Errorf("status %d for the body %q, want 401", got, other)
		}
	}
}

func TestSignatureElsewhereOnTheGateway(t *testing.T) {
	s := start(t, signedWorld())
	id, key := OpenKeys()
	r := request("GET http://env.example/v1/functions/site/sub?webfn=true", "", "X-A: 1")
	signGateway(r, "", keysOf(ownID, ownKey, ""), time.Now())
	if res := ask(s, r); res.StatusCode != 200 {
		t.Errorf("status %d of an HTTP function: %s", res.StatusCode, text(t, res))
	}
	r = request("POST http://env.example/v1/functions/echo", "{}", "Content-Type: application/json")
	signGateway(r, "{}", keysOf(id, key, ""), time.Now())
	if res := ask(s, r); res.StatusCode != 401 {
		t.Errorf("status %d with the open keys where there are others, want 401", res.StatusCode)
	}
	r.Body = http.NoBody
	open := start(t, Config{Functions: map[string]Function{"echo": {}}})
	r = request("POST http://env.example/v1/functions/echo", "{}", "Content-Type: application/json")
	signGateway(r, "{}", keysOf(id, key, ""), time.Now())
	if res := ask(open, r); res.StatusCode != 200 {
		t.Errorf("status %d with the open keys: %s", res.StatusCode, text(t, res))
	}
	small := start(t, Config{MaxBody: 10, Functions: map[string]Function{"echo": {}}})
	long := `{"a":"too long"}`
	r = request("POST http://env.example/v1/functions/echo", long, "Content-Type: application/json")
	signGateway(r, long, keysOf(id, key, ""), time.Now())
	if res := ask(small, r); res.StatusCode != 413 {
		t.Errorf("status %d of a signed body that is too long, want 413", res.StatusCode)
	}
}

// Variant A: what the body says, by its fields.
func TestSignatureOfFields(t *testing.T) {
	params := [][2]string{{"action", "functions.invokeFunction"}, {"Function_name", "echo"}, {"request_data", `{"a":1}`}, {"envName", ""}}
	for _, tt := range []struct {
		name    string
		flaw    flaw
		all     bool // as node-sdk 2 lists them
		session string
		edit    func(*http.Request, [][2]string) [][2]string
	}{
		{"is right", flawless, false, "", nil},
		{"is right with empty fields listed", flawless, true, "", nil},
		{"does not mind an order", flawless, false, "", func(_ *http.Request, p [][2]string) [][2]string { slices.Reverse(p); return p }},
		{"with another value", mismatch, false, "", func(_ *http.Request, p [][2]string) [][2]string { p[2][1] = `{"a":2}`; return p }},
		{"with a field left out", noSignature, false, "", func(_ *http.Request, p [][2]string) [][2]string { return p[1:] }},
		{"with a field added", noSignature, false, "", func(_ *http.Request, p [][2]string) [][2]string { return append(p, [2]string{"qualifier", "3"}) }},
		{"with a field filled", noSignature, false, "", func(_ *http.Request, p [][2]string) [][2]string { p[3][1] = "x"; return p }},
		{"with a listed field filled", mismatch, true, "", func(_ *http.Request, p [][2]string) [][2]string { p[3][1] = "x"; return p }},
		{"with a field again in other letters", noSignature, false, "", func(_ *http.Request, p [][2]string) [][2]string {
			return append(p, [2]string{"function_NAME", "echo"})
		}},
		{"with a session token of nobody", wrongSession, false, "x", nil},
		{"over another path", mismatch, false, "", func(r *http.Request, p [][2]string) [][2]string { r.URL.Path = "/other"; return p }},
		{"over another host", mismatch, false, "", func(r *http.Request, p [][2]string) [][2]string { r.Host = "other.example"; return p }},
		{"over another query", mismatch, false, "", func(r *http.Request, p [][2]string) [][2]string { r.URL.RawQuery += "&"; return p }},
		{"over another header", mismatch, false, "", func(r *http.Request, p [][2]string) [][2]string {
			r.Header.Set("Content-Type", "text/plain")
			return p
		}},
		{"with another time", mismatch, false, "", func(r *http.Request, p [][2]string) [][2]string {
			r.Header.Set("X-Timestamp", strconv.FormatInt(time.Now().Unix()-1, 10))
			return p
		}},
		{"without a time", noSignature, false, "", func(r *http.Request, p [][2]string) [][2]string { r.Header.Del("X-Timestamp"); return p }},
		{"that has expired by its own word", late, false, "", func(r *http.Request, p [][2]string) [][2]string {
			r.Header.Set("X-Signature-Expires", "5")
			time.Sleep(6 * time.Second)
			return p
		}},
		{"that has expired whatever it says", late, false, "", func(r *http.Request, p [][2]string) [][2]string {
			r.Header.Set("X-Signature-Expires", "100000")
			time.Sleep(signatureLife + time.Second)
			return p
		}},
		{"that says nonsense about its life", noSignature, false, "", func(r *http.Request, p [][2]string) [][2]string {
			r.Header.Set("X-Signature-Expires", "-1")
			return p
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, signedWorld())
				time.Sleep(time.Hour)
				r := request("POST http://env.example/admin?env=e&seqId=1", "", "Content-Type: application/json", "X-Timestamp: "+strconv.FormatInt(time.Now().Unix(), 10))
				own := slices.Clone(params)
				r.Header.Set("Authorization", auth.SignAdmin(keysOf(ownID, ownKey, ""), time.Now(), auth.Signable{Verb: "POST", Host: r.Host, Path: "/admin", Query: r.URL.RawQuery,
					Header: [][2]string{{"content-type", "application/json"}}, Params: own, AllParams: tt.all}))
				if tt.edit != nil {
					own = tt.edit(r, own)
				}
				code, message := s.verifyAdmin(r, own, tt.session)
				if wantCode, wantMessage := tt.flaw.platform(); code != wantCode || message != wantMessage {
					t.Errorf("got %q: %s; want %q: %s", code, message, wantCode, wantMessage)
				}
			})
		})
	}
}

// Variant C: the cloud API, with its own codes.
func TestSignatureOfTheCloudAPI(t *testing.T) {
	const body = `{"FunctionName":"echo"}`
	for _, tt := range []struct {
		name, code string
		k          auth.Keys
		edit       func(*http.Request)
	}{
		{"is right", "", keysOf(ownID, ownKey, ""), nil},
		{"is right with its token", "", keysOf(temporaryID, ownKey, ""), func(r *http.Request) { r.Header.Set("X-TC-Token", session) }},
		{"without its token", "AuthFailure.TokenFailure", keysOf(temporaryID, ownKey, ""), nil},
		{"with another key", "AuthFailure.SignatureFailure", keysOf(ownID, "another", ""), nil},
		{"of nobody", "AuthFailure.SecretIdNotFound", keysOf("AKIDnobody", ownKey, ""), nil},
		{"five minutes old", "", keysOf(ownID, ownKey, ""), func(*http.Request) { time.Sleep(cloudSignatureLife) }},
		{"older than that", "AuthFailure.SignatureExpire", keysOf(ownID, ownKey, ""), func(*http.Request) { time.Sleep(cloudSignatureLife + time.Second) }},
		{"without a time", "AuthFailure.SignatureFailure", keysOf(ownID, ownKey, ""), func(r *http.Request) { r.Header.Del("X-TC-Timestamp") }},
		{"with another time", "AuthFailure.SignatureFailure", keysOf(ownID, ownKey, ""), func(r *http.Request) {
			r.Header.Set("X-TC-Timestamp", strconv.FormatInt(time.Now().Unix()-1, 10))
		}},
		{"over another content type", "AuthFailure.SignatureFailure", keysOf(ownID, ownKey, ""), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }},
		{"without any", "AuthFailure.SignatureFailure", keysOf(ownID, ownKey, ""), func(r *http.Request) { r.Header.Del("Authorization") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, signedWorld())
				r := request("POST http://scf.tencentcloudapi.com/", body, "Content-Type: application/json", "X-TC-Timestamp: "+strconv.FormatInt(time.Now().Unix(), 10))
				r.Header.Set("Authorization", auth.SignCloudAPI(tt.k, "scf", time.Now(), auth.Signable{Verb: "POST", Host: r.Host, Path: "/",
					Header: [][2]string{{"content-type", "application/json"}}, Body: []byte(body)}))
				if tt.edit != nil {
					tt.edit(r)
				}
				if code, message := s.verifyCloudAPI(r, []byte(body), "scf"); code != tt.code {
					t.Errorf("got %q: %s; want %q", code, message, tt.code)
				}
				if code, _ := s.verifyCloudAPI(r, []byte(body), "tcb"); code != "AuthFailure.SignatureFailure" {
					t.Errorf("for another service got %q", code)
				}
				if code, _ := s.verifyCloudAPI(r, []byte(body+" "), "scf"); code == "" {
					t.Error("another body is taken")
				}
			})
		})
	}
}

// Whatever Authorization says, nothing gets in but the token, and the signature
// that is right.
func FuzzAuthorization(f *testing.F) {
	const body = `{"a":1}`
	s, err := New(signedWorld())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	ask1 := func(authorization string) (*http.Request, int) {
		r := request("POST http://env.example/v1/functions/echo", body, "Content-Type: application/json")
		r.Header.Set("Authorization", authorization)
		return r, ask(s, r).StatusCode
	}
	r := request("POST http://env.example/v1/functions/echo", body, "Content-Type: application/json")
	signGateway(r, body, keysOf(ownID, ownKey, ""), time.Now())
	for _, seed := range []string{r.Header.Get("Authorization"), "Bearer t0", "Bearer t1", "", "bearer", "TC3-HMAC-SHA256 Credential=a/b/c/d",
		"TC3-HMAC-SHA256 Credential=AKIDtest/2026-11-22/tcb/tc3_request, SignedHeaders=host, Signature=00, Timestamp=9223372036854775807"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, authorization string) {
		r, status := ask1(authorization)
		if status != 200 {
			if status != 401 {
				t.Errorf("status %d for %q, want 401", status, authorization)
			}
			return
		}
		if token, code, _ := bearer(r); code == "" {
			if token != "t0" {
				t.Errorf("%q is let in", authorization)
			}
			return
		}
		g, err := auth.ParseSignature(authorization)
		if err != nil {
			t.Fatalf("%q is let in: %v", authorization, err)
		}
		p := signable(r, g)
		p.Body = []byte(body)
		want, _ := auth.ParseSignature(auth.SignGateway(keysOf(ownID, ownKey, ""), time.Unix(g.Timestamp, 0), p))
		if g.Value != want.Value {
			t.Errorf("%q is let in", authorization)
		}
	})
}
