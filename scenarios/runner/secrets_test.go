package runner_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"volley/engine/emulator"
	"volley/scenarios/runner"
)

// A wiretap is an emulator that remembers the tokens which it gave out, and
// whether it has been shown some texts.
type wiretap struct {
	server *emulator.Server
	record bytes.Buffer // what the emulator itself writes down

	mu     sync.Mutex
	tokens []string
	seen   bytes.Buffer // all that came in
}

var given = regexp.MustCompile(`"(?:access_token|refresh_token)"\s*:\s*"([^"]+)"`)

func (w *wiretap) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		panic(err)
	}
	r.Body = readCloser{bytes.NewReader(body.Bytes())}
	w.mu.Lock()
	fmt.Fprintf(&w.seen, "%s %v %s\n", r.URL, r.Header, body.Bytes())
	w.mu.Unlock()
	got := httptest.NewRecorder()
	w.server.ServeHTTP(got, r)
	answer := got.Body.Bytes()
	w.mu.Lock()
	for _, m := range given.FindAllSubmatch(answer, -1) {
		w.tokens = append(w.tokens, string(m[1]))
	}
	w.mu.Unlock()
	// A careless platform: its errors repeat the credentials.
	shown := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") + " " + r.URL.Query().Get("access_token") + " " + r.URL.Query().Get("secret")
	if m := shownInBody.FindStringSubmatch(body.String()); m != nil {
		shown += " " + m[1]
	}
	quoted, err := json.Marshal(shown)
	if err != nil {
		panic(err)
	}
	answer = complaint.ReplaceAll(answer, append(append([]byte(`"$1":"`), quoted[1:len(quoted)-1]...), ' '))
	maps.Copy(to.Header(), got.Header())
	to.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	to.WriteHeader(got.Code)
	_, _ = to.Write(answer)
}

var (
	shownInBody = regexp.MustCompile(`"(?:access_token|password|secret|refresh_token)"\s*:\s*"((?:[^"\\]|\\.)+)"`)
	complaint   = regexp.MustCompile(`"(message|Message|errmsg|error_description|ErrMsg|errorMessage)"\s*:\s*"`)
)

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// forms are the ways in which a secret might show.
func forms(secret string) []string {
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	if quoted, err := json.Marshal(secret); err == nil {
		all = append(all, string(quoted[1:len(quoted)-1]))
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		all = append(all, e.EncodeToString([]byte(secret)))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Every way to prove who asks is run with marked secrets, right and wrong, and
// nothing that the run leaves behind or says has one of them in it, nor any
// token that was got with them.
func TestNoSecretLeaves(t *testing.T) {
	const (
		secretID  = "AKIDmarked0000000000000000001"
		secretKey = "marked-secret-key-2"
		session   = "marked-session-token-3+/="
		apiKey    = "marked-api-key-4.eyJhIjoxfQ"
		password  = `marked pass"word/5+&é`
		user      = "marked-user-6"
		appSecret = "marked-app-secret-7"
		appID     = "wxmarked8"
	)
	env := map[string]string{"SID": secretID, "SKEY": secretKey, "STOKEN": session, "KEY": apiKey, "PASS": password, "NAME": user, "APPSECRET": appSecret, "APPID": appID, "REFRESH": "marked-refresh-token-9"}
	tests := []struct {
		name    string
		methods []string
		auth    string
		onWire  string // what must have gone out, or the test says nothing; "" where only a signature does
	}{
		{"API key", []string{"http-api", "http-function", "node-sdk", "web-sdk"}, "{api_key: \"${KEY}\"}", apiKey},
		{"publishable key", []string{"http-api", "web-sdk"}, "{publishable_key: \"${KEY}\"}", apiKey},
		{"access token", []string{"http-api", "web"}, "{access_token: \"${KEY}\"}", apiKey},
		{"WeChat token made elsewhere", []string{"mini-program"}, "{access_token: \"${KEY}\"}", apiKey},
		{"keys", []string{"http-api", "http-function", "node-sdk", "control-plane"}, "{secret_id: \"${SID}\", secret_key: \"${SKEY}\"}", secretID},
		{"keys for a while", []string{"http-api", "node-sdk", "control-plane"}, "{secret_id: \"${SID}\", secret_key: \"${SKEY}\", session_token: \"${STOKEN}\"}", session},
		{"a token for keys", []string{"http-api", "web-sdk"}, "{secret_id: \"${SID}\", secret_key: \"${SKEY}\", client_credential: true}", secretID},
		{"anonymous", []string{"http-api", "web-sdk"}, "{anonymous: true}", ""},
		{"name and password", []string{"http-api", "web-sdk"}, "{username: \"${NAME}\", password: \"${PASS}\"}", user},
		{"a session begun elsewhere", []string{"http-api", "web-sdk"}, "{refresh_token: \"${REFRESH}\"}", "refresh_token"},
		{"WeChat app", []string{"mini-program"}, "{app_id: \"${APPID}\", app_secret: \"${APPSECRET}\"}", appSecret},
		{"WeChat app, the old way", []string{"mini-program"}, "{app_id: \"${APPID}\", app_secret: \"${APPSECRET}\", legacy_token: true}", appSecret},
	}
	for _, tt := range tests {
		for _, method := range tt.methods {
			for _, right := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, %s, right %v", tt.name, method, right), func(t *testing.T) {
					t.Parallel()
					// A short life makes runs renew their tokens.
					config := emulator.Config{TokenLife: 400 * time.Millisecond,
						Functions: map[string]emulator.Function{"fn": {HTTP: method == "http-function", WebAuth: true, Errors: map[string]float64{"function_error": 0.3, "token_expired": 0.1}}}}
					env := maps.Clone(env)
					if right {
						delete(env, "REFRESH") // the emulator gives one out
						config.Keys, config.Users, config.Apps = map[string]string{secretID: secretKey}, map[string]string{user: password}, map[string]string{appID: appSecret}
						if strings.Contains(tt.auth, "STOKEN") {
							config.SessionTokens = map[string]string{secretID: session}
						}
						config.Tokens = []string{apiKey}
					} else {
						config.Keys, config.Users, config.Apps = map[string]string{secretID: "other"}, map[string]string{user: "other"}, map[string]string{appID: "other"}
						config.Tokens = []string{"other"}
						config.SignInError = map[bool]string{true: "anonymous_off"}[tt.name == "anonymous"]
					}
					leaves(t, config, method, tt.auth, tt.onWire, env)
				})
			}
		}
	}
}

// begin signs somebody in, and returns the refresh token of the session.
func begin(t *testing.T, at string) string {
	t.Helper()
	ask, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/auth/v1/signin/anonymously?client_id=my-env", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	ask.Header.Set("x-device-id", "elsewhere")
	ask.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var session struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.NewDecoder(reply.Body).Decode(&session); err != nil || session.RefreshToken == "" {
		t.Fatalf("status %d, %v: no session", reply.StatusCode, err)
	}
	return session.RefreshToken
}

func leaves(t *testing.T, config emulator.Config, method, auth, onWire string, env map[string]string) {
	tap := &wiretap{}
	config.Record = &tap.record
	var err error
	if tap.server, err = emulator.New(config); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(tap)
	defer server.Close()
	if env["REFRESH"] == "" {
		env["REFRESH"] = begin(t, server.URL)
	}
	dir := t.TempDir()
	scenario := filepath.Join(dir, "scenario.yaml")
	http := map[bool]string{true: ", http: {method: POST, path: /}"}[method == "http-function" || method == "web"]
	text := fmt.Sprintf("target: {env: my-env, region: ap-shanghai, method: %s, endpoint: %q, timeout: 2s, auth: %s}\nload: {workers: 4, for: 500ms}\n"+
		"steps: [{invoke: fn, data: {a: 1}%s, continue: true}, {pause: 10ms}]\n",
		method, server.URL, strings.TrimSuffix(auth, "}")+fmt.Sprintf(", endpoint: %q}", server.URL), http)
	if strings.Contains(auth, "_key") && !strings.Contains(auth, "client_credential") || strings.Contains(auth, "access_token") {
		text = strings.Replace(text, fmt.Sprintf(", endpoint: %q}}", server.URL), "}}", 1) // nothing is asked for a token
	}
	if err := os.WriteFile(scenario, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, told bytes.Buffer
	p := &runner.Process{In: strings.NewReader(""), Out: &out, Err: runner.NewConsole(&told), Version: "test", Verbose: true,
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	source := runner.Source{File: scenario}
	c, err := p.Load(source)
	if err != nil {
		t.Fatal(err)
	}
	formats, err := runner.ParseFormats([]string{"text", "json"})
	if err != nil {
		t.Fatal(err)
	}
	say := func(err error) {
		if err != nil {
			hint := ""
			if h, ok := errors.AsType[interface {
				error
				Hint() string
			}](err); ok {
				hint = h.Hint()
			}
			fmt.Fprintln(&told, err, hint)
		}
	}
	say(p.Run(t.Context(), c, runner.RunOptions{Source: source, Out: filepath.Join(dir, "run"), Formats: formats}))
	say(p.Report([]string{filepath.Join(dir, "run")}, formats))
	say(p.Validate(source, true))
	again, err := p.Load(source)
	if err != nil {
		t.Fatal(err)
	}
	say(p.Invoke(t.Context(), again, source))
	if err := tap.server.Close(); err != nil {
		t.Fatal(err)
	}

	if onWire != "" && !slices.ContainsFunc(forms(onWire), func(f string) bool { return bytes.Contains(tap.seen.Bytes(), []byte(f)) }) {
		t.Errorf("%q never went out:\n%.2000s", onWire, tap.seen.String())
	}
	const recorded = "the emulator's record"
	secrets := slices.Clone(tap.tokens)
	for _, v := range env {
		secrets = append(secrets, v)
	}
	look := func(where string, text []byte) {
		for _, s := range secrets {
			if where == recorded && (s == env["NAME"] || s == env["APPID"]) {
				continue // it masks no names
			}
			for _, f := range forms(s) {
				if at := bytes.Index(text, []byte(f)); at >= 0 {
					t.Errorf("%s has the secret %q in it: …%s…", where, s, text[max(0, at-80):min(len(text), at+len(f)+20)])
				}
			}
		}
	}
	look("standard output", out.Bytes())
	look("standard error", told.Bytes())
	look(recorded, tap.record.Bytes())
	files := 0
	walked := filepath.WalkDir(filepath.Join(dir, "run"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		look(filepath.Base(path), text)
		return err
	})
	if walked != nil || files < 5 || out.Len() == 0 || told.Len() == 0 {
		t.Errorf("%d files, %d bytes told, %d on standard output, %v: nothing to look at", files, told.Len(), out.Len(), walked)
	}
}
