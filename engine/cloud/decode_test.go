package cloud

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"volley/engine"
)

// answer makes a response; header lines are "Name: value".
func answer(status int, body string, header ...string) *engine.Response {
	p := &engine.Response{Status: status, Proto: "HTTP/1.1", Body: []byte(body)}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		p.Header = append(p.Header, engine.Field{Name: name, Value: value})
	}
	return p
}

func decode(method string, p *engine.Response, okStatus ...int) engine.Reply {
	r := engine.Reply{Detail: "left over", Parsed: 1}
	i := call(func(i *engine.Invocation) { i.Step.Target.OKStatus = okStatus })
	Methods()[method].Decode(i, p, &r)
	return r
}

// bare are the methods whose answers come without an envelope.
func bare() []string { return []string{"http-api", "http-function", "web", "web-sdk"} }

// codeTable has the whole table of PROTOCOL.md 1.5.
func codeTable() map[engine.Outcome][]string {
	return map[engine.Outcome][]string{
		engine.FunctionError: {"FUNCTION_INVOCATION_FAILED", "FUNCTION_MEMORY_LIMIT_EXCEEDED", "FUNCTIONS_MEMORY_LIMIT_EXCEEDED",
			"FUNCTIONS_EXECUTE_FAIL", "FUNCTIONS_STATUS_ABNORMITY", "FUNCTION_STATUS_ABNORMAL"},
		engine.FunctionTimeout: {"FUNCTION_TIME_LIMIT_EXCEEDED", "FUNCTIONS_TIME_LIMIT_EXCEEDED"},
		engine.Throttled:       {"FUNCTION_EXCEED_RESOURCE_LIMIT", "EXCEED_RATELIMIT", "EXCEED_REQUEST_LIMIT", "EXCEED_CONCURRENT_REQUEST_LIMIT"},
		engine.PlatformError:   {"SYS_ERR", "SERVER_TIMEOUT"},
		engine.AuthFailed: {"MISSING_CREDENTIALS", "INVALID_CREDENTIALS", "SIGN_PARAM_INVALID", "CHECK_LOGIN_FAILED", "ACCESS_TOKEN_EXPIRED",
			"REFRESH_TOKEN_EXPIRED", "INVALID_REFRESH_TOKEN", "REFRESH_TOKEN_EXHAUSTED", "EXCEED_AUTHORITY", "ACTION_FORBIDDEN"},
		engine.Rejected: {"FUNCTION_NOT_FOUND", "FUNCTION_QUALIFIER_NOT_FOUND", "FUNCTION_PARAM_INVALID", "EXCEED_MAX_PAYLOAD_SIZE", "EXCEED_REQUEST_SIZE_LIMIT",
			"INVALID_ENV", "INVALID_ENV_STATUS", "ENV_ABNORMAL", "SERVICE_CHARGE_OVERDUE", "INVALID_HOST", "INVALID_PATH",
			"HTTPSERVICE_NONACTIVATED", "DEFAULT_DOMAIN_EXPIRED", "INVALID_REQUEST_SOURCE"},
	}
}

// TestNeeds holds that what a method needs of a body tells it as much as all.
func TestNeeds(t *testing.T) {
	failed := `{"code":"FUNCTION_INVOCATION_FAILED","message":"see ` + marker + `","requestId":"r"}` // blanks follow
	for name, m := range Methods() {
		brief, ok := m.(engine.Brief)
		if want := slices.Contains([]string{"http-api", "http-function", "web"}, name); ok != want {
			t.Errorf("%s: says what it needs: %v, want %v", name, ok, want)
		}
		if !ok {
			continue
		}
		for _, status := range []int{200, 404, 443, 500} {
			for _, size := range []int{0, 1, 200, maxError - 1, maxError, maxError + 1, maxError + 2, 10 * maxError} {
				body := failed + strings.Repeat(" ", max(0, size-len(failed)))
				if size < len(failed) {
					body = strings.Repeat("x", size)
				}
				all := decode(name, answer(status, body))
				some := decode(name, answer(status, body[:min(len(body), int(brief.Needs()))]))
				if all.Outcome != some.Outcome || all.Code != some.Code || all.Message != some.Message || all.RequestID != some.RequestID {
					t.Errorf("%s, status %d, %d bytes: %v %q %q of all, %v %q %q of what is needed", name, status, size,
						all.Outcome, all.Code, all.Message, some.Outcome, some.Code, some.Message)
				}
			}
		}
	}
}

// TestDecodeCodes holds that a code counts before the status.
func TestDecodeCodes(t *testing.T) {
	for want, codes := range codeTable() {
		for _, code := range codes {
			for method := range Methods() {
				for _, status := range []int{400, 403, 404, 429, 500, 502, 504} { // the code comes first
					r := decode(method, answer(status, `{"code":"`+code+`","message":"m","requestId":"id-1"}`))
					if r.Outcome != want || r.Code != code || r.Message != "m" || r.RequestID != "id-1" || r.Detail != "" || r.Parsed != nil {
						t.Errorf("%s: %d %s: %+v, want outcome %v", method, status, code, r, want)
					}
				}
			}
		}
	}
}

func TestDecodeStatuses(t *testing.T) {
	want := map[int]engine.Outcome{
		200: engine.OK, 201: engine.OK, 204: engine.OK, 299: engine.OK,
		301: engine.Rejected, 304: engine.Rejected, 400: engine.Rejected, 401: engine.AuthFailed, 402: engine.Rejected,
		403: engine.AuthFailed, 404: engine.Rejected, 405: engine.Rejected, 406: engine.Rejected, 407: engine.Rejected, 410: engine.Rejected,
		413: engine.Rejected, 423: engine.Rejected, 429: engine.Throttled, 430: engine.FunctionError, 432: engine.Throttled,
		433: engine.FunctionTimeout, 434: engine.FunctionError, 435: engine.Rejected, 436: engine.Rejected, 443: engine.Rejected,
		451: engine.Rejected, 500: engine.FunctionError, 501: engine.FunctionError, 502: engine.PlatformError,
		503: engine.PlatformError, 504: engine.FunctionTimeout, 505: engine.FunctionError,
	}
	for status, outcome := range want {
		for method := range Methods() {
			if outcome == engine.OK && !slices.Contains(bare(), method) {
				continue
			}
			for _, body := range []string{"", "<html>oops</html>", `{"code":"SOMETHING_NEW","message":"m"}`, `{"code":0}`, `null`, `{"code":{}}`} {
				if r := decode(method, answer(status, body)); r.Outcome != outcome || r.Status != status || string(r.Body) != body {
					t.Errorf("%s: %d %q: %+v, want outcome %v", method, status, body, r, outcome)
				}
			}
		}
	}
}

func TestDecode(t *testing.T) {
	const link = "https://docs.cloudbase.net/error-code/service"
	up := func(v string) string { return "x-cloudbase-upstream-status-code: " + v }
	param := `{"code":"FUNCTION_PARAM_INVALID","message":"bad http request body (...). For more information, please refer to ` + link + `","requestId":"r"}`
	gate, passed := []string{"http-api", "web-sdk"}, []string{"http-function", "web"}
	all := append(gate[:2:2], passed...)
	tests := []struct {
		name    string
		methods []string
		from    *engine.Response
		want    engine.Outcome
		code    string
		message string // what it has in it
	}{
		{"the documented example", all, answer(400, param), engine.Rejected, "FUNCTION_PARAM_INVALID", "bad http request body"},
		{"the same by 200 is still the platform's, as its message says", all, answer(200, param), engine.Rejected, "FUNCTION_PARAM_INVALID", "bad http"},
		{"by 200 with a code that we do not know", all, answer(200, `{"code":"NEW","message":"see `+link+`"}`), engine.PlatformError, "NEW", link},
		{"a function's answer may look like an error", all, answer(200, `{"code":"FUNCTION_NOT_FOUND","message":"x","requestId":"r"}`), engine.OK, "", ""},
		{"and may speak of the page without a code", all, answer(200, `{"message":"read `+link+`"}`), engine.OK, "", ""},
		{"and may speak of it elsewhere", all, answer(200, `{"code":"X","message":"hello","page":"`+link+`"}`), engine.OK, "", ""},
		{"an answer of text", all, answer(200, "Hello fn"), engine.OK, "", ""},
		{"the second shape", all, answer(403, `{"error":"permission_denied","error_code":7,"error_description":"no"}`), engine.AuthFailed, "permission_denied", "no"},
		{"its number counts before the status", all, answer(400, `{"error":"resource_exhausted","error_code":8,"error_description":"slow down"}`), engine.Throttled, "resource_exhausted", "slow down"},
		{"its number as a text", all, answer(400, `{"error":"internal","error_code":"13"}`), engine.PlatformError, "internal", ""},
		{"its number alone", all, answer(500, `{"error_code":16,"error_description":"who?"}`), engine.AuthFailed, "16", "who?"},
		{"a captcha", all, answer(400, `{"error":"captcha_required","error_code":4001,"error_description":"captcha"}`), engine.AuthFailed, "captcha_required", "captcha"},
		{"a number as the code", all, answer(500, `{"code":-1,"message":"m"}`), engine.FunctionError, "-1", "m"},
		{"a field of the wrong type hides nothing", all, answer(500, `{"code":"SYS_ERR","message":["m"],"requestId":7}`), engine.PlatformError, "SYS_ERR", `{"code"`},
		{"a page of a proxy is quoted", all, answer(502, "<html>\n<title>502  Bad Gateway</title>\n</html>"), engine.PlatformError, "", "<html> <title>502 Bad Gateway</title> </html>"},
		{"the function layer's status counts where the gateway hides it", all, answer(500, "", up("433")), engine.FunctionTimeout, "", ""},
		{"a redirect, without its query", all, answer(302, "<a>", "Location: https://h/p?access_token=hush"), engine.Rejected, "", "it redirects to https://h/p"},
		{"a redirect, without its fragment", all, answer(302, "", "Location: https://h/p#access_token=hush"), engine.Rejected, "", "it redirects to https://h/p"},
		{"a redirect, without its user", all, answer(302, "", "Location: https://u:hush@h/p"), engine.Rejected, "", "it redirects to https://h/p"},
		{"a redirect to nowhere", all, answer(302, "", "Location: https://h/%zzhush"), engine.Rejected, "", "not a URL"},
		{"a redirect to another kind of place", all, answer(302, "", "Location: app:hush"), engine.Rejected, "", "it redirects to app:"},
		{"the function layer's 429 under another status", gate, answer(500, "", up("429")), engine.Throttled, "", ""},
		{"the function layer's 435 under another status", gate, answer(500, "oops", up("435")), engine.Rejected, "", "oops"},
		{"a status of the function layer that nobody knows", gate, answer(500, "oops", up("499")), engine.FunctionError, "", "oops"},
		{"the function layer's 500 says no more than the gateway's", gate, answer(500, "oops", up("500")), engine.FunctionError, "", "oops"},
		{"not listening", all, answer(443, "", up("443")), engine.Rejected, "", "nothing listens on the function's port"},
		{"an answer that is too large", all, answer(407, "", up("407")), engine.FunctionError, "", ""},
		{"a 500 of which the function knows nothing", all, answer(500, "oops", up("-")), engine.PlatformError, "", "oops"},
		{"the documented 500 of the access service", all, answer(500, `{"code":"SYS_ERR","message":"Function invoke failed. x","requestId":"r"}`, up("-")), engine.PlatformError, "SYS_ERR", "Function invoke failed."},
		{"a failed event function with its layer's status", gate, answer(500, `{"code":"FUNCTION_INVOCATION_FAILED","message":"m"}`, up("430")), engine.FunctionError, "FUNCTION_INVOCATION_FAILED", "m"},
		{"the function's own 502", passed, answer(502, "mine", up("502")), engine.FunctionError, "", "mine"},
		{"the platform's 502", passed, answer(502, "", up("-")), engine.PlatformError, "", ""},
		{"the function's own 504", passed, answer(504, "mine", up("504")), engine.FunctionError, "", ""},
		{"the function's own words are not the platform's", passed, answer(500, `{"code":"SYS_ERR","message":"m"}`, up("500")), engine.FunctionError, "", `"SYS_ERR"`},
		{"unless they are", passed, answer(500, `{"code":"SYS_ERR","message":"`+link+`"}`, up("500")), engine.PlatformError, "SYS_ERR", link},
		{"the function's own 404", passed, answer(404, "no such page", up("404")), engine.Rejected, "", "no such page"},
		{"the function's own 429", passed, answer(429, "", up("429")), engine.Throttled, "", ""},
		{"the function's own 200, whatever it says", passed, answer(200, param, up("200")), engine.OK, "", ""},
	}
	for _, tt := range tests {
		for _, method := range tt.methods {
			t.Run(method+": "+tt.name, func(t *testing.T) {
				r := decode(method, tt.from)
				if r.Outcome != tt.want || r.Code != tt.code || !strings.Contains(r.Message, tt.message) || tt.want == engine.OK && r.Message != "" {
					t.Errorf("outcome %v, code %q, message %q; want %v, %q, %q", r.Outcome, r.Code, r.Message, tt.want, tt.code, tt.message)
				}
				if strings.Contains(r.Message, "hush") {
					t.Errorf("the message tells a secret: %q", r.Message)
				}
				if string(r.Body) != string(tt.from.Body) {
					t.Errorf("body %q, want it unchanged", r.Body)
				}
			})
		}
	}
}

// TestDecodeByWebfnHeader holds that a method of events that is told to ask an
// HTTP function tells the function's own failures from the platform's.
func TestDecodeByWebfnHeader(t *testing.T) {
	own := answer(502, `{"code":"SYS_ERR","message":"m"}`, "x-cloudbase-upstream-status-code: 502")
	for _, m := range []engine.Method{httpAPI{}, webSDK{}} {
		for value, want := range map[string]engine.Outcome{"true": engine.FunctionError, "false": engine.PlatformError, "": engine.PlatformError} {
			var r engine.Reply
			m.Decode(call(func(i *engine.Invocation) { i.Header = []engine.Field{{Name: "x-tcb-webfn", Value: value}} }), own, &r)
			if r.Outcome != want {
				t.Errorf("%s with %q: %v, want %v", m.Name(), value, r.Outcome, want)
			}
		}
	}
}

func TestDecodeOKStatus(t *testing.T) {
	body := `{"code":"FUNCTION_NOT_FOUND","message":"m"}`
	for method := range Methods() {
		if r := decode(method, answer(404, body), 403, 404); r.Outcome != engine.OK || r.Status != 404 || r.Code != "" || r.Message != "" {
			t.Errorf("%s: a wanted 404 is %+v", method, r)
		}
		if r := decode(method, answer(404, body), 403); r.Outcome != engine.Rejected {
			t.Errorf("%s: an unwanted 404 is %+v", method, r)
		}
	}
}

func TestDecodeHeaders(t *testing.T) {
	const date = "Date: Sun, 22 Nov 2026 10:00:00 GMT"
	tests := []struct {
		name   string
		header []string
		body   string
		want   engine.Reply
	}{
		{"the gateway's id", []string{"x-request-id: a", "x-cloudbase-request-id: b"}, `{"requestId":"c"}`, engine.Reply{RequestID: "a"}},
		{"its other header", []string{"X-Cloudbase-Request-Id: b"}, `{"requestId":"c"}`, engine.Reply{RequestID: "b"}},
		{"the body's, for want of a header", nil, `{"requestId":"c"}`, engine.Reply{RequestID: "c"}},
		{"an id without end", []string{"X-Request-Id: " + strings.Repeat("é", 100)}, "", engine.Reply{RequestID: strings.Repeat("é", 64)}},
		{"time upstream", []string{"x-cloudbase-upstream-timecost: 123"}, "", engine.Reply{Server: engine.ServerSide{Timed: true, Duration: 123 * time.Millisecond}}},
		{"time upstream with a part", []string{"x-cloudbase-upstream-timecost: 0.5"}, "", engine.Reply{Server: engine.ServerSide{Timed: true, Duration: 500 * time.Microsecond}}},
		{"not called upstream", []string{"x-cloudbase-upstream-timecost: -"}, "", engine.Reply{}},
		{"nonsense upstream", []string{"x-cloudbase-upstream-timecost: NaN"}, "", engine.Reply{}},
		{"for ever upstream", []string{"x-cloudbase-upstream-timecost: 1e300"}, "", engine.Reply{}},
		{"retry after seconds", []string{"Retry-After: 3"}, "", engine.Reply{RetryAfter: 3 * time.Second}},
		{"retry after a date", []string{date, "Retry-After: Sun, 22 Nov 2026 10:00:07 GMT"}, "", engine.Reply{RetryAfter: 7 * time.Second}},
		{"retry after an old form of date", []string{date, "Retry-After: Sunday, 22-Nov-26 10:01:00 GMT"}, "", engine.Reply{RetryAfter: time.Minute}},
		{"retry after a date that is over", []string{date, "Retry-After: Sun, 22 Nov 2026 09:00:00 GMT"}, "", engine.Reply{}},
		{"retry after a date without one to compare with", []string{"Retry-After: Sun, 22 Nov 2026 10:00:07 GMT"}, "", engine.Reply{}},
		{"retry before now", []string{"Retry-After: -5"}, "", engine.Reply{}},
		{"retry never", []string{"Retry-After: 9223372036854775807"}, "", engine.Reply{RetryAfter: 24 * time.Hour}},
		{"retry after nonsense", []string{date, "Retry-After: soon"}, "", engine.Reply{}},
	}
	for _, tt := range tests {
		for method := range Methods() {
			r := decode(method, answer(429, tt.body, tt.header...))
			if r.RequestID != tt.want.RequestID || r.Server != tt.want.Server || r.RetryAfter != tt.want.RetryAfter {
				t.Errorf("%s: %s: id %q, upstream %v, retry after %v; want %q, %v, %v", method, tt.name,
					r.RequestID, r.Server, r.RetryAfter, tt.want.RequestID, tt.want.Server, tt.want.RetryAfter)
			}
		}
	}
}

func TestMessagesAreBounded(t *testing.T) {
	long := strings.Repeat("你", 400)
	for _, body := range []string{long, `{"code":"SYS_ERR","message":"` + long + `"}`, "\xff\xfe" + long} {
		r := decode("http-api", answer(500, body))
		if len(r.Message) == 0 || len(r.Message) > engine.MaxMessage || !utf8.ValidString(r.Message) {
			t.Errorf("a message of %d bytes, valid: %v", len(r.Message), utf8.ValidString(r.Message))
		}
	}
	r := decode("http-api", answer(500, fmt.Sprintf(`{"code":%q,"message":"m"}`, strings.Repeat("C", 4000))))
	if len(r.Code) > maxID {
		t.Errorf("a code of %d bytes", len(r.Code))
	}
	if r := decode("http-api", answer(500, `{"code":"SYS_ERR","message":"`+strings.Repeat("x", maxError)+`"}`)); r.Outcome != engine.FunctionError {
		t.Errorf("a body above the bound was parsed: %v", r.Outcome)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(200, `{"code":"X","message":"docs.cloudbase.net/error-code"}`, "-", "3")
	f.Add(500, `{"error":"a","error_code":7}`, "500", "Sun, 22 Nov 2026 10:00:07 GMT")
	f.Add(443, "", "443", "")
	f.Fuzz(func(t *testing.T, status int, body, upstream, retry string) {
		p := &engine.Response{Status: status, Body: []byte(body), Header: []engine.Field{
			{Name: "x-cloudbase-upstream-status-code", Value: upstream}, {Name: "x-cloudbase-upstream-timecost", Value: upstream},
			{Name: "Retry-After", Value: retry}, {Name: "X-Request-Id", Value: retry}}}
		for name, m := range Methods() {
			var r engine.Reply
			m.Decode(call(nil), p, &r)
			for _, text := range []string{r.Code, r.Message, r.RequestID} {
				if !utf8.ValidString(text) || len(text) > engine.MaxMessage {
					t.Errorf("%s: %q is not valid or too long", name, text)
				}
			}
			if r.Server.Duration < 0 || r.RetryAfter < 0 || int(r.Outcome) >= engine.NumOutcomes {
				t.Errorf("%s: %+v", name, r)
			}
			if r.Outcome == engine.OK && (status < 200 || status > 299) {
				t.Errorf("%s: status %d is ok", name, status)
			}
		}
	})
}
