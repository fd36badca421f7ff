package emulator

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// start returns a server of c that ends with the test.
func start(t testing.TB, c Config) *Server {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// request makes a request from "METHOD URL", headers as "Name: value" and a body.
func request(line, body string, headers ...string) *http.Request {
	method, url, _ := strings.Cut(line, " ")
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r
}

func ask(s *Server, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func text(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const token = "Authorization: Bearer t0"

// reply returns a Reply of constant bytes.
func reply(body string) func(any) ([]byte, error) {
	return func(any) ([]byte, error) { return []byte(body), nil }
}

func world() Config {
	return Config{
		Env:     "env-1",
		Tokens:  []string{"t0"},
		Origins: []string{"https://app.example"},
		MaxBody: 1000,
		Functions: map[string]Function{
			"echo":   {Versions: map[string]Function{"3": {Reply: reply(`"three"`)}, "gray": {Reply: reply("grey text")}}},
			"split":  {Reply: reply("1"), Versions: map[string]Function{"$DEFAULT": {Reply: reply("2")}}},
			"fails":  {Reply: func(any) ([]byte, error) { return nil, errors.New(`no "luck"`) }},
			"panics": {Reply: func(e any) ([]byte, error) { return []byte(e.(string)), nil }},
			"big":    {Reply: reply(strings.Repeat("x", 1001))},
			"named": {Reply: func(e any) ([]byte, error) {
				return []byte("Hello " + e.(map[string]any)["name"].(string)), nil
			}},
			"site":   {HTTP: true},
			"teapot": {HTTP: true, ReplyStatus: 418, Reply: reply("short and stout")},
			"crash":  {HTTP: true, Reply: func(any) ([]byte, error) { return nil, errors.New("boom") }},
			"login": {Reply: reply(`{"statusCode": 302, "headers": {"Location": "/in", "set-cookie": ["a=1", "b=2"], "X-N": 5, "Content-Length": 3}, "body": "bye"}`),
				WebAuth: true},
			"binary": {Reply: reply(`{"statusCode": 200, "headers": {"content-type": "image/x"}, "body": "AAE=", "isBase64Encoded": true}`)},
			"object": {Reply: reply(`{"statusCode": 201, "body": {"a": 1}}`)},
			"open":   {Reply: reply(`{"statusCode": 200, "headers": {"access-control-allow-origin": "*", "vary": "Accept"}, "body": "open"}`)},
			"bad":    {Reply: reply(`{"statusCode": 99}`)},
			"empty":  {Reply: reply(`{"statusCode": 204, "body": "ignored"}`)},
		},
	}
}

func TestAnswers(t *testing.T) {
	s := start(t, world())
	tests := []struct {
		name    string
		line    string // method and URL
		headers []string
		body    string
		status  int
		want    string // the body, or the code in it where status is the platform's
		header  string // one that must be there, as "Name: value"
	}{
		{"an event function answers with its event", "POST /v1/functions/echo", []string{token}, `{"a": [1, "é"]}`, 200, `{"a": [1, "é"]}`, "Content-Type: application/json; charset=utf-8"},
		{"says how it was reached", "POST /v1/functions/echo", []string{token}, `{}`, 200, `{}`, "X-Cloudbase-Upstream-Status-Code: 200"},
		{"says by what", "POST /v1/functions/echo", []string{token}, `{}`, 200, `{}`, "X-Cloudbase-Upstream-Type: Tencent-SCF"},
		{"keeps a request id", "POST /v1/functions/echo", []string{token, "X-Request-Id: mine-1"}, `{}`, 200, `{}`, "X-Request-Id: mine-1"},
		{"no body is an empty object", "POST /v1/functions/echo", []string{token}, ``, 200, `{}`, ""},
		{"white space around an object is fine", "POST /v1/functions/echo", []string{token}, " \n{}\n", 200, " \n{}\n", ""},
		{"a string comes as text", "POST /v1/functions/named", []string{token}, `{"name": "fn"}`, 200, "Hello fn", "Content-Type: text/plain; charset=utf-8"},
		{"the scheme's case is free", "POST /v1/functions/echo", []string{"Authorization: bearer t0"}, `{}`, 200, `{}`, ""},
		{"a version answers by qualifier", "POST /v1/functions/echo", []string{token, "X-Qualifier: 3"}, `{}`, 200, `"three"`, ""},
		{"an alias answers by qualifier", "POST /v1/functions/echo", []string{token, "X-Qualifier: gray"}, `{}`, 200, "grey text", ""},
		{"$LATEST always exists", "POST /v1/functions/echo", []string{token, "X-Qualifier: $LATEST"}, `{"l":1}`, 200, `{"l":1}`, ""},
		{"$DEFAULT always exists", "POST /v1/functions/echo", []string{token, "X-Qualifier: $DEFAULT"}, `{"d":1}`, 200, `{"d":1}`, ""},
		{"without a qualifier $DEFAULT is asked", "POST /v1/functions/split", []string{token}, `{}`, 200, `2`, ""},
		{"$LATEST is the function beside its $DEFAULT", "POST /v1/functions/split", []string{token, "X-Qualifier: $LATEST"}, `{}`, 200, `1`, ""},
		{"the gateway does not read statusCode", "POST /v1/functions/object", []string{token}, `{}`, 200, `{"statusCode": 201, "body": {"a": 1}}`, ""},

		{"no credentials", "POST /v1/functions/echo", nil, `{}`, 401, "MISSING_CREDENTIALS", "X-Cloudbase-Upstream-Status-Code: -"},
		{"no token", "POST /v1/functions/echo", []string{"Authorization: Bearer"}, `{}`, 401, "MISSING_CREDENTIALS", ""},
		{"credentials come before existence", "POST /v1/functions/nobody", nil, `{}`, 401, "MISSING_CREDENTIALS", ""},
		{"an unknown token", "POST /v1/functions/echo", []string{"Authorization: Bearer t1"}, `{}`, 401, "INVALID_CREDENTIALS", ""},
		{"an unknown scheme", "POST /v1/functions/echo", []string{"Authorization: Basic t0"}, `{}`, 401, "INVALID_CREDENTIALS", ""},
		{"an unknown function", "POST /v1/functions/nobody", []string{token}, `{}`, 404, "FUNCTION_NOT_FOUND", "X-Cloudbase-Upstream-Timecost: -"},
		{"an unknown qualifier", "POST /v1/functions/echo", []string{token, "X-Qualifier: 4"}, `{}`, 404, "FUNCTION_QUALIFIER_NOT_FOUND", ""},
		{"an unknown route", "POST /v1/models/x", []string{token}, `{}`, 404, "INVALID_PATH", ""},
		{"an event function below its name", "POST /v1/functions/echo/x", []string{token}, `{}`, 404, "INVALID_PATH", ""},
		{"an event function by GET", "GET /v1/functions/echo", []string{token}, ``, 404, "INVALID_PATH", ""},
		{"an array is no event", "POST /v1/functions/echo", []string{token}, `[1]`, 400, "FUNCTION_PARAM_INVALID", ""},
		{"text is no event", "POST /v1/functions/echo", []string{token}, `a=1`, 400, "FUNCTION_PARAM_INVALID", ""},
		{"half an object is no event", "POST /v1/functions/echo", []string{token}, `{"a":`, 400, "FUNCTION_PARAM_INVALID", ""},
		{"white space is no event", "POST /v1/functions/echo", []string{token}, ` `, 400, "FUNCTION_PARAM_INVALID", ""},
		{"another environment", "POST http://env-2.api.tcloudbasegateway.com/v1/functions/echo", []string{token}, `{}`, 400, "INVALID_ENV", ""},
		{"its own environment", "POST http://env-1.api.tcloudbasegateway.com/v1/functions/echo", []string{token}, `{}`, 200, `{}`, ""},
		{"a body that is too large", "POST /v1/functions/echo", []string{token}, `{"a":"` + strings.Repeat("x", 1000) + `"}`, 413, "EXCEED_MAX_PAYLOAD_SIZE", ""},
		{"a reply that is too large", "POST /v1/functions/big", []string{token}, `{}`, 407, "FUNCTION_INVOCATION_FAILED", ""},
		{"an error is the function's", "POST /v1/functions/fails", []string{token}, `{}`, 500, "FUNCTION_INVOCATION_FAILED", "X-Cloudbase-Upstream-Status-Code: 430"},
		{"a panic is the function's", "POST /v1/functions/panics", []string{token}, `{}`, 500, "FUNCTION_INVOCATION_FAILED", ""},

		{"an event function has no port", "POST /v1/functions/echo?webfn=true", []string{token}, `{}`, 443, ``, "X-Cloudbase-Upstream-Status-Code: 443"},
		{"an HTTP function wants webfn", "POST /v1/functions/site", []string{token}, `{}`, 400, "FUNCTION_PARAM_INVALID", ""},
		{"an HTTP function has its own status", "GET /v1/functions/teapot/x", []string{token, "X-Tcb-Webfn: true"}, ``, 418, "short and stout", "X-Cloudbase-Upstream-Status-Code: 418"},
		{"an HTTP function fails in its own words", "GET /v1/functions/crash?webfn=true", []string{token}, ``, 500, "boom", "X-Cloudbase-Upstream-Status-Code: 500"},
		{"HEAD has headers only", "HEAD /v1/functions/teapot?webfn=true", []string{token}, ``, 418, "", "Content-Length: 15"},

		{"a path that names no function", "GET /nothing/here", nil, ``, 404, "INVALID_PATH", ""},
		{"a path is open to everybody", "GET /named?x=1", nil, ``, 500, "FUNCTION_INVOCATION_FAILED", ""},
		{"an auth switch is on", "GET /login", nil, ``, 401, "MISSING_CREDENTIALS", ""},
		{"a function gives a whole response", "GET /login", []string{token}, ``, 302, "bye", "Location: /in"},
		{"with numbers in headers", "GET /login", []string{token}, ``, 302, "bye", "X-N: 5"},
		{"with a length of its own", "GET /login", []string{token}, ``, 302, "bye", "Content-Length: 3"},
		{"with cookies", "GET /login", []string{token}, ``, 302, "bye", "Set-Cookie: a=1"},
		{"with bytes", "GET /binary", nil, ``, 200, "\x00\x01", "Content-Type: image/x"},
		{"with an object as body", "GET /object", nil, ``, 201, `{"a": 1}`, "Content-Type: application/json; charset=utf-8"},
		{"with no content", "GET /empty", nil, ``, 204, ``, ""},
		{"with a status that is none", "GET /bad", nil, ``, 500, "FUNCTION_INVOCATION_FAILED", ""},
		{"another environment's path", "GET http://env-2-1250000000.ap-shanghai.app.tcloudbase.com/echo", nil, ``, 400, "INVALID_ENV", ""},
		{"its own environment's path", "GET http://env-1-1250000000.ap-shanghai.app.tcloudbase.com/object", nil, ``, 201, `{"a": 1}`, ""},
		{"the qualifier is the route's", "GET /object", []string{"X-Qualifier: 77"}, ``, 201, `{"a": 1}`, ""},
		{"a preflight", "OPTIONS /object", []string{"Origin: https://app.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"}, ``, 204, ``, "Access-Control-Allow-Headers: content-type"},
		{"a page of a security domain", "GET /object", []string{"Origin: https://app.example"}, ``, 201, `{"a": 1}`, "Access-Control-Allow-Origin: https://app.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := ask(s, request(tt.line, tt.body, tt.headers...))
			got := text(t, res)
			if res.StatusCode != tt.status {
				t.Fatalf("status %d, want %d; body %s", res.StatusCode, tt.status, got)
			}
			if strings.ToUpper(tt.want) == tt.want && strings.Contains(tt.want, "_") {
				checkRefusal(t, res, got, tt.want)
			} else if got != tt.want && !strings.HasPrefix(tt.line, "HEAD") {
				t.Errorf("body %q, want %q", got, tt.want)
			}
			if name, value, ok := strings.Cut(tt.header, ": "); ok && res.Header.Get(name) != value {
				t.Errorf("%s: %q, want %q", name, res.Header.Get(name), value)
			}
			if id := res.Header.Get("X-Request-Id"); id == "" || id != res.Header.Get("X-Cloudbase-Request-Id") {
				t.Errorf("request ids %q and %q", id, res.Header.Get("X-Cloudbase-Request-Id"))
			}
		})
	}
}

// TestRefusalsLiterally has whole error bodies as PROTOCOL.md 1.2 and 3 give
// them: by its end a client tells the gateway's from a function's, and on the
// HTTP Access Service there is none.
func TestRefusalsLiterally(t *testing.T) {
	s := start(t, Config{Functions: map[string]Function{"echo": {}, "down": {Errors: map[string]float64{"platform_error": 1}}, "slow": {Errors: map[string]float64{"function_timeout": 1}, Timeout: time.Millisecond}}})
	const link = ". For more information, please refer to https://docs.cloudbase.net/error-code/service"
	for _, tt := range []struct {
		line, body string
		status     int
		want       string
		upstream   string
	}{
		{"POST /v1/functions/echo", "[1]", 400, `{"code":"FUNCTION_PARAM_INVALID","message":"bad http request body (not a JSON object)` + link + `","requestId":"ID"}`, "-"},
		{"POST /v1/functions/slow", "{}", 433, `{"code":"FUNCTION_TIME_LIMIT_EXCEEDED","message":"Invoking task timed out after 0.001 seconds` + link + `","requestId":"ID"}`, "433"},
		{"GET /down", "", 500, `{"code":"SYS_ERR","message":"Function invoke failed","requestId":"ID"}`, "-"},
		{"GET /slow", "", 433, `{"code":"FUNCTION_TIME_LIMIT_EXCEEDED","message":"Invoking task timed out after 0.001 seconds","requestId":"ID"}`, "433"},
	} {
		res := ask(s, request(tt.line, tt.body, token))
		if got := ids.ReplaceAllString(text(t, res), "ID"); res.StatusCode != tt.status || got != tt.want {
			t.Errorf("%s: %d %s, want %d %s", tt.line, res.StatusCode, got, tt.status, tt.want)
		}
		if got := res.Header.Get("x-cloudbase-upstream-status-code"); got != tt.upstream {
			t.Errorf("%s: upstream status %q, want %q", tt.line, got, tt.upstream)
		}
	}
}

// checkRefusal checks that body has the platform's form, with code.
func checkRefusal(t *testing.T, res *http.Response, body, code string) {
	t.Helper()
	var e map[string]string
	if err := json.Unmarshal([]byte(body), &e); err != nil || len(e) != 3 {
		t.Fatalf("%s is not {code, message, requestId}: %v", body, err)
	}
	if e["code"] != code || e["message"] == "" || e["requestId"] != res.Header.Get("X-Request-Id") {
		t.Errorf("%s, want code %s and the request id of the headers", body, code)
	}
}

// A browser takes one word about origins and not two.
func TestAFunctionsOwnWordAboutOrigins(t *testing.T) {
	h := ask(start(t, world()), request("GET /open", "", "Origin: https://app.example")).Header
	if got := h.Values("Access-Control-Allow-Origin"); !slices.Equal(got, []string{"*"}) {
		t.Errorf("Access-Control-Allow-Origin %q, want * alone", got)
	}
	if got := h.Values("Vary"); !slices.Equal(got, []string{"Origin", "Accept"}) {
		t.Errorf("Vary %q", got)
	}
}

func TestForeignOriginGetsNoLeave(t *testing.T) {
	s := start(t, world())
	res := ask(s, request("GET /object", "", "Origin: https://evil.example"))
	if got := res.Header.Get("Access-Control-Allow-Origin"); got != "" || res.StatusCode != 201 {
		t.Errorf("Access-Control-Allow-Origin %q and status %d, want none and 201", got, res.StatusCode)
	}
}

func TestCookies(t *testing.T) {
	res := ask(start(t, world()), request("GET /login", "", token))
	if got := res.Cookies(); len(got) != 2 || got[0].Name != "a" || got[1].Name != "b" {
		t.Errorf("cookies %v, want a and b", got)
	}
}

// An HTTP request reaches a function with all that it says but the credentials.
func TestDescription(t *testing.T) {
	s := start(t, world())
	tests := []struct {
		name, line, body string
		want             map[string]any
	}{
		{"by the gateway, without its own mark", "PUT /v1/functions/site/api/users?webfn=true&page=1&id=a&id=b", "text",
			map[string]any{"path": "/api/users", "httpMethod": "PUT", "body": "text", "isBase64Encoded": false,
				"queryStringParameters": map[string]any{"page": "1", "id": []any{"a", "b"}}}},
		{"by a path", "DELETE /site/a%20b?webfn=true", "",
			map[string]any{"path": "/a b", "httpMethod": "DELETE", "body": "", "queryStringParameters": map[string]any{"webfn": "true"}}},
		{"to an event function, as an integrated event", "POST /echo", "\xff\x00",
			map[string]any{"path": "/", "httpMethod": "POST", "body": "/wA=", "isBase64Encoded": true, "queryStringParameters": map[string]any{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := ask(s, request(tt.line, tt.body, token, "X-Own: 1", "Cookie: c=1", "X-Request-Id: r1"))
			var got map[string]any
			if err := json.Unmarshal([]byte(text(t, res)), &got); err != nil {
				t.Fatal(err)
			}
			for key, want := range tt.want {
				if g, w := asJSON(t, got[key]), asJSON(t, want); g != w {
					t.Errorf("%s is %s, want %s", key, g, w)
				}
			}
			h := got["headers"].(map[string]any)
			if h["x-own"] != "1" || h["cookie"] != "c=1" || h["host"] != "example.com" {
				t.Errorf("headers %v, want x-own, cookie and host", h)
			}
			if _, there := h["authorization"]; there {
				t.Error("the credentials were handed on")
			}
			if c := asJSON(t, got["requestContext"]); c != `{"appId":"","envId":"env-1","requestId":"r1","uin":""}` {
				t.Errorf("requestContext %s", c)
			}
		})
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNoTokensMeansAnyToken(t *testing.T) {
	s := start(t, Config{Functions: map[string]Function{"fn": {}}})
	if got := ask(s, request("POST /v1/functions/fn", "{}", "Authorization: Bearer whatever")).StatusCode; got != 200 {
		t.Errorf("status %d with a token, want 200", got)
	}
	if got := ask(s, request("POST /v1/functions/fn", "{}")).StatusCode; got != 401 {
		t.Errorf("status %d without a token, want 401", got)
	}
}

// Every key of Errors that is answered is answered as ErrorKinds says.
func TestErrors(t *testing.T) {
	type want struct{ code, outcome string }
	wants := map[string]want{
		"function_error": {codeFailed, "function_error"}, "memory_limit": {codeMemory, "function_error"},
		"function_timeout": {codeTimeLimit, "function_timeout"}, "gateway_timeout": {"", "function_timeout"},
		"throttled": {codeRate, "throttled"}, "platform_error": {codeSystem, "platform_error"}, "bad_gateway": {"", "platform_error"},
		"auth_failed": {codeCredentials, "auth_failed"}, "token_expired": {codeExpired, "auth_failed"}, "forbidden": {codeAuthority, "auth_failed"},
		"rejected": {codeParam, "rejected"}, "port_unreachable": {"", "rejected"},
	}
	answered := 0
	for _, kind := range ErrorKinds() {
		want, ok := wants[kind.Name]
		if !ok {
			continue
		}
		answered++
		t.Run(kind.Name, func(t *testing.T) {
			s := start(t, Config{Functions: map[string]Function{
				"fn":  {Errors: map[string]float64{kind.Name: 1}, Timeout: 2 * time.Millisecond},
				"web": {Errors: map[string]float64{kind.Name: 1}, Timeout: 2 * time.Millisecond, HTTP: true},
			}})
			res := ask(s, request("POST /v1/functions/fn", "{}", token))
			body := text(t, res)
			if res.StatusCode != kind.Status {
				t.Fatalf("status %d, want %d", res.StatusCode, kind.Status)
			}
			if want.code != "" {
				checkRefusal(t, res, body, want.code)
			} else if json.Valid([]byte(body)) {
				t.Errorf("body %s, want none of the platform's", body)
			}
			if kind.Name == "function_timeout" && !strings.Contains(body, "Invoking task timed out after 0.002 seconds") {
				t.Errorf("body %s, want the platform's words", body)
			}
			res = ask(s, request("GET /web", ""))
			if res.StatusCode != kind.Status {
				t.Errorf("status %d from an HTTP function, want %d", res.StatusCode, kind.Status)
			}
			for _, c := range s.Truth().Counts {
				if c.Outcome != want.outcome || c.Outcome != kind.Outcome || c.Status != kind.Status || c.Requests != 1 {
					t.Errorf("the truth says %+v, want one %s with %d", c, want.outcome, kind.Status)
				}
			}
		})
	}
	if answered != len(wants) {
		t.Errorf("%d of %d errors are known", answered, len(wants))
	}
}

func TestOutcomesOfAnHTTPFunction(t *testing.T) {
	for status, want := range map[int]string{200: "ok", 204: "ok", 302: "rejected", 404: "rejected", 401: "auth_failed", 403: "auth_failed",
		429: "throttled", 432: "throttled", 500: "function_error", 502: "function_error", 503: "function_error", 504: "function_error", 599: "function_error"} {
		s := start(t, Config{Functions: map[string]Function{"site": {HTTP: true, ReplyStatus: status}}})
		if got := ask(s, request("GET /site", "")).StatusCode; got != status {
			t.Errorf("status %d, want %d", got, status)
		}
		if got := s.Truth().Counts[0]; got.Outcome != want || got.Status != status {
			t.Errorf("the truth of %d is %s, want %s", status, got.Outcome, want)
		}
	}
}
