package cloud

import (
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"volley/engine"
)

// every returns one of each method and version, by a name for people.
func every(t testing.TB) map[string]engine.Method {
	t.Helper()
	all := Methods()
	for name, o := range map[string]Options{"node-sdk": {SDK: "2"}, "web-sdk": {SDK: "2"}, "mini-program": {Form: "body"}} {
		m, err := New(name, o)
		if err != nil {
			t.Fatal(err)
		}
		all[name+" too"] = m
	}
	return all
}

func decodeBy(m engine.Method, p *engine.Response, okStatus ...int) engine.Reply {
	var r engine.Reply
	m.Decode(call(func(i *engine.Invocation) { i.Step.Target.OKStatus = okStatus }), p, &r)
	return r
}

// TestDecodeEnvelope has PROTOCOL.md 4.2 and 5.3.
func TestDecodeEnvelope(t *testing.T) {
	const limit = `{"code":"FUNCTION_TIME_LIMIT_EXCEEDED","message":"Invoking task timed out after 3 seconds","requestId":"r"}`
	tests := []struct {
		name    string
		from    *engine.Response
		want    engine.Outcome
		body    string // of the reply; "=" is the whole response's
		code    string
		message string // what it has in it
	}{
		{"an object", answer(200, `{"requestId":"r","data":{"response_data":"{\"a\":\"<你>\"}"}}`), engine.OK, `{"a":"<你>"}`, "", ""},
		{"a text", answer(200, `{"requestId":"r","data":{"response_data":"Hello \"fn\""}}`), engine.OK, `Hello "fn"`, "", ""},
		{"an answer that looks like an error", answer(200, `{"requestId":"r","data":{"response_data":"{\"code\":\"SYS_ERR\",\"message\":\"m\"}"}}`), engine.OK, `{"code":"SYS_ERR","message":"m"}`, "", ""},
		{"an answer that the platform has parsed", answer(200, ` {"requestId":"r","data":{"response_data":{"a": 1}}} `), engine.OK, `{"a": 1}`, "", ""},
		{"an empty answer", answer(200, `{"requestId":"r","data":{"response_data":""}}`), engine.OK, "", "", ""},
		{"null", answer(200, `{"requestId":"r","data":{"response_data":null}}`), engine.OK, "null", "", ""},
		{"no answer, which JavaScript calls undefined", answer(200, `{"requestId":"r","data":{}}`), engine.OK, "", "", ""},
		{"code 0 is a success", answer(200, `{"code":0,"requestId":"r","data":{"response_data":"1"}}`), engine.OK, "1", "", ""},
		{"and so is an empty one", answer(200, `{"code":"","requestId":"r","data":{"response_data":"1"}}`), engine.OK, "1", "", ""},
		{"names count by their letters", answer(200, `{"Code":"SYS_ERR","requestId":"r","data":{"response_data":"1"}}`), engine.OK, "1", "", ""},
		{"the last of two stands", answer(200, `{"code":"SYS_ERR","code":0,"requestId":"r","data":{"response_data":"1"}}`), engine.OK, "1", "", ""},
		{"200 with a code", answer(200, limit), engine.FunctionTimeout, "=", "FUNCTION_TIME_LIMIT_EXCEEDED", "timed out after 3 seconds"},
		{"200 with a code and data", answer(200, `{"code":"SYS_ERR","requestId":"r","data":{"response_data":"1"}}`), engine.PlatformError, "=", "SYS_ERR", `"SYS_ERR"`},
		{"200 with a code that nobody knows", answer(200, `{"code":"NEW","message":"m","requestId":"r"}`), engine.PlatformError, "=", "NEW", "m"},
		{"a number as the code", answer(200, `{"code":-1,"message":"m","requestId":"r"}`), engine.PlatformError, "=", "-1", "m"},
		{"true as the code", answer(200, `{"code":true,"message":["m"],"requestId":"r"}`), engine.PlatformError, "=", "true", `{"code":true`},
		{"429 with a code keeps all", answer(429, `{"code":"EXCEED_RATELIMIT","message":"m","requestId":"r"}`), engine.Throttled, "=", "EXCEED_RATELIMIT", "m"},
		{"the code counts before the status", answer(500, `{"code":"EXCEED_AUTHORITY","message":"m","requestId":"r"}`), engine.AuthFailed, "=", "EXCEED_AUTHORITY", "m"},
		{"another 2xx is read alike", answer(201, `{"requestId":"r","data":{"response_data":"1"}}`), engine.OK, "1", "", ""},
		{"500 of a page", answer(500, "<html>oops"), engine.FunctionError, "=", "", "<html>oops"},
		{"a redirect", answer(301, `{"requestId":"r"}`), engine.Rejected, "=", "", `{"requestId"`},
		{"200 without data", answer(200, `{"requestId":"r"}`), engine.PlatformError, "=", "", `status 200 with JSON where an object with data was expected: {"requestId":"r"}`},
		{"200 with data null", answer(200, `{"requestId":"r","data":null}`), engine.PlatformError, "=", "", "with JSON where"},
		{"200 with data a text", answer(200, `{"requestId":"r","data":"x"}`), engine.PlatformError, "=", "", "with JSON where"},
		{"200 and nothing", answer(200, ""), engine.PlatformError, "=", "", "an empty body"},
		{"200 and null", answer(200, "null"), engine.PlatformError, "=", "", "with JSON where an object with data was expected: null"},
		{"200 of a page", answer(200, "<html>hi</html>"), engine.PlatformError, "=", "", "a page where an object with data was expected: <html>"},
		{"200 that is cut off", answer(200, `{"requestId":"r","data":{"response_`), engine.PlatformError, "=", "", "cut off or broken"},
		{"200 of text", answer(200, "hello"), engine.PlatformError, "=", "", "text that is not JSON where an object with data was expected: hello"},
	}
	for _, m := range []engine.Method{nodeSDK{}, nodeSDK{version2: true}, webSDK{"2"}, webSDK{"1"}} {
		for _, tt := range tests {
			t.Run(m.Name()+": "+tt.name, func(t *testing.T) {
				r := decodeBy(m, tt.from)
				body := tt.body
				if body == "=" {
					body = string(tt.from.Body)
				}
				if r.Outcome != tt.want || string(r.Body) != body || r.Code != tt.code || !strings.Contains(r.Message, tt.message) || tt.want == engine.OK && r.Message != "" {
					t.Errorf("%v, body %s, code %q, message %q; want %v, %s, %q, %q", r.Outcome, r.Body, r.Code, r.Message, tt.want, body, tt.code, tt.message)
				}
				if (tt.want == engine.OK || tt.code != "") && r.RequestID != "r" {
					t.Errorf("request id %q, want r", r.RequestID)
				}
			})
		}
	}
}

// TestDecodeEnvelopeCodes has the table of PROTOCOL.md 1.5 by 200.
func TestDecodeEnvelopeCodes(t *testing.T) {
	for want, codes := range codeTable() {
		for _, code := range codes {
			r := decodeBy(nodeSDK{}, answer(200, `{"code":"`+code+`","message":"m","requestId":"id-1"}`))
			if r.Outcome != want || r.Code != code || r.Message != "m" || r.RequestID != "id-1" {
				t.Errorf("%s: %+v, want %v", code, r, want)
			}
		}
	}
}

// TestDecodeWeChat has the table of PROTOCOL.md 6.
func TestDecodeWeChat(t *testing.T) {
	table := map[engine.Outcome][]int{
		engine.AuthFailed:      {40001, 40013, 40014, 40164, 41001, 42001, 48001, -501023, -604101},
		engine.Throttled:       {45009, 45011, -501003, -501004},
		engine.Rejected:        {40101, 43002, 43003, 44002, 45002, 47001, 85088, -501000, -501005, -501007, -501009, -501015, -501016, -606003, 99999},
		engine.PlatformError:   {-1, -1000, -501001, -501002, -504001, -604102, -404001, -404012, -404007, -999999},
		engine.FunctionError:   {-504002, -404011},
		engine.FunctionTimeout: {-504003},
	}
	for want, codes := range table {
		for _, code := range codes {
			number := strconv.Itoa(code)
			for _, status := range []int{200, 400, 500} { // errcode decides
				r := decodeBy(miniProgram{}, answer(status, `{"errcode":`+number+`,"errmsg":"went wrong rid: 65a-b_c, hints: [x]"}`))
				if r.Outcome != want || r.Code != number || !strings.HasPrefix(r.Message, "went wrong rid: 65a-b_c, hints: [x]") || r.RequestID != "65a-b_c" {
					t.Errorf("%d by %d: %+v, want %v", code, status, r, want)
				}
				renew := code == 40001 || code == 40014 || code == 42001
				if r.TokenExpired != renew {
					t.Errorf("%d: token expired is %v", code, r.TokenExpired)
				}
			}
		}
	}
	tests := []struct {
		name    string
		from    *engine.Response
		want    engine.Outcome
		body    string // "=" is the whole response's
		code    string
		message string
	}{
		{"an answer", answer(200, `{"errcode":0,"errmsg":"ok","resp_data":"{\"a\":1}"}`), engine.OK, `{"a":1}`, "", ""},
		{"a text", answer(200, `{"errcode":0,"errmsg":"ok","resp_data":"hello"}`), engine.OK, "hello", "", ""},
		{"no answer", answer(200, `{"errcode":0,"errmsg":"ok"}`), engine.OK, "", "", ""},
		{"an answer without errcode", answer(200, `{"resp_data":"1"}`), engine.OK, "1", "", ""},
		{"errcode as a text", answer(200, `{"errcode":"45009","errmsg":"m"}`), engine.Throttled, "=", "45009", "m"},
		{"a missing function", answer(200, `{"errcode":-504002,"errmsg":"functions execute fail | FunctionName parameter could not be found."}`), engine.Rejected, "=", "-504002", "FunctionName"},
		{"-404001 does not say that the function is missing", answer(200, `{"errcode":-404001,"errmsg":"m"}`), engine.PlatformError, "=", "-404001", "m (the call failed inside the platform, with an empty result; this does not say that the function is missing)"},
		{"-404001 without words", answer(200, `{"errcode":-404001}`), engine.PlatformError, "=", "-404001", "the call failed inside"},
		{"an error without words", answer(200, `{"errcode":-1}`), engine.PlatformError, "=", "-1", `{"errcode":-1}`},
		{"neither errcode nor answer", answer(200, `{"a":1}`), engine.PlatformError, "=", "", "an object with errcode and resp_data was expected"},
		{"a page", answer(200, "<html>"), engine.PlatformError, "=", "", "a page where"},
		{"nothing", answer(200, ""), engine.PlatformError, "=", "", "an empty body"},
		{"cut off", answer(200, `{"errcode":0,"resp_da`), engine.PlatformError, "=", "", "cut off"},
		{"a 502 of a proxy", answer(502, "<html>"), engine.PlatformError, "=", "", "<html>"},
		{"a 412 without errcode", answer(412, "{}"), engine.Rejected, "=", "", "{}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := decodeBy(miniProgram{}, tt.from)
			body := tt.body
			if body == "=" {
				body = string(tt.from.Body)
			}
			if r.Outcome != tt.want || string(r.Body) != body || r.Code != tt.code || !strings.Contains(r.Message, tt.message) || tt.want == engine.OK && r.Message != "" {
				t.Errorf("%v, body %s, code %q, message %q; want %v, %s, %q, %q", r.Outcome, r.Body, r.Code, r.Message, tt.want, body, tt.code, tt.message)
			}
		})
	}
	long := decodeBy(miniProgram{}, answer(200, `{"errcode":-404001,"errmsg":"`+strings.Repeat("é", 600)+`"}`))
	if len(long.Message) > engine.MaxMessage || !strings.HasSuffix(long.Message, "missing)") {
		t.Errorf("a long message became %d bytes, %q", len(long.Message), long.Message)
	}
}

// TestDecodeInvoke has PROTOCOL.md 7.2 and 7.3.
func TestDecodeInvoke(t *testing.T) {
	result := func(fields string) *engine.Response {
		return answer(200, `{"Response":{"Result":{`+fields+`},"RequestId":"r"}}`)
	}
	ret := func(status int) string {
		return `"InvokeResult":0,"FunctionRequestId":"f-1","RetMsg":"{\"errorCode\":-1,\"errorMessage\":\"user code exception caught\",\"requestId\":\"f-1\",\"stackTrace\":\"at\",\"statusCode\":` + strconv.Itoa(status) + `}"`
	}
	tests := []struct {
		name    string
		from    *engine.Response
		want    engine.Outcome
		body    string // "=" is the whole response's
		code    string
		message string
	}{
		{"an answer", result(`"InvokeResult":0,"RetMsg":"{\"a\":1}","ErrMsg":""`), engine.OK, `{"a":1}`, "", ""},
		{"a text", result(`"InvokeResult":0,"RetMsg":"hello"`), engine.OK, `hello`, "", ""},
		{"a function's own statusCode", result(`"InvokeResult":0,"RetMsg":"{\"statusCode\":500,\"body\":\"x\"}"`), engine.OK, `{"statusCode":500,"body":"x"}`, "", ""},
		{"a function's own errorCode", result(`"InvokeResult":0,"FunctionRequestId":"f-1","RetMsg":"{\"errorCode\":-1,\"errorMessage\":\"sold out\"}"`), engine.OK, `{"errorCode":-1,"errorMessage":"sold out"}`, "", ""},
		{"a function's own errorCode of 0", result(`"InvokeResult":0,"RetMsg":"{\"errorCode\":0,\"errorMessage\":\"ok\",\"statusCode\":430}"`), engine.OK, `{"errorCode":0,"errorMessage":"ok","statusCode":430}`, "", ""},
		{"an error of the run without a status", result(`"InvokeResult":0,"FunctionRequestId":"f-1","RetMsg":"{\"errorCode\":1,\"errorMessage\":\"boom\",\"requestId\":\"f-1\"}"`), engine.FunctionError, "=", "", "boom (function request id f-1)"},
		{"a function's own errorCode and statusCode", result(`"InvokeResult":0,"FunctionRequestId":"f-1","RetMsg":"{\"errorCode\":1001,\"errorMessage\":\"sold out\",\"statusCode\":400}"`), engine.OK, `{"errorCode":1001,"errorMessage":"sold out","statusCode":400}`, "", ""},
		{"PROTOCOL.md 7.3, literally: late", result(`"InvokeResult":0,"RetMsg":"{\"errorCode\":-1,\"errorMessage\":\"Invoking task timed out after 3 seconds\",\"requestId\":\"f-1\",\"statusCode\":433}","ErrMsg":"","Duration":11.5,"MemUsage":27262976,"BillDuration":12,"FunctionRequestId":"f-1","Log":"x"`), engine.FunctionTimeout, "=", "433", "Invoking task timed out after 3 seconds (function request id f-1)"},
		{"no subnet", result(ret(404)), engine.Rejected, "=", "404", ""},
		{"a request that is too large", result(ret(406)), engine.Rejected, "=", "406", ""},
		{"no command", result(ret(436)), engine.Rejected, "=", "436", ""},
		{"code that failed", result(ret(430)), engine.FunctionError, "=", "430", "user code exception caught (function request id f-1)"},
		{"too much memory", result(ret(434)), engine.FunctionError, "=", "434", ""},
		{"too late", result(ret(433)), engine.FunctionTimeout, "=", "433", ""},
		{"too many", result(ret(432)), engine.Throttled, "=", "432", ""},
		{"too fast", result(ret(429)), engine.Throttled, "=", "429", ""},
		{"a process that ended", result(ret(405)), engine.FunctionError, "=", "405", ""},
		{"an answer that is too large", result(ret(407)), engine.FunctionError, "=", "407", ""},
		{"wrong parameters", result(ret(400)), engine.Rejected, "=", "400", ""},
		{"wrong credentials", result(ret(401)), engine.AuthFailed, "=", "401", ""},
		{"suspended", result(ret(402)), engine.Rejected, "=", "402", ""},
		{"no money", result(ret(410)), engine.Rejected, "=", "410", ""},
		{"no function", result(ret(435)), engine.Rejected, "=", "435", ""},
		{"a port that is shut", result(ret(443)), engine.Rejected, "=", "443", ""},
		{"the layer's own 500", result(ret(500)), engine.PlatformError, "=", "500", ""},
		{"InvokeResult alone", result(`"InvokeResult":-1,"RetMsg":"","ErrMsg":"it broke"`), engine.FunctionError, "=", "", "it broke"},
		{"InvokeResult and words in RetMsg", result(`"InvokeResult":1,"RetMsg":"oh  no"`), engine.FunctionError, "=", "", "oh no"},
		{"a Result of nothing", result(``), engine.OK, "", "", ""},
		{"no Result", answer(200, `{"Response":{"RequestId":"r"}}`), engine.PlatformError, "=", "", "Response with a Result was expected"},
		{"no Response", answer(200, `{}`), engine.PlatformError, "=", "", "Response with a Result was expected: {}"},
		{"null", answer(200, `null`), engine.PlatformError, "=", "", "with JSON where"},
		{"a Response that is a list", answer(200, `{"Response":[]}`), engine.PlatformError, "=", "", "with JSON where"},
		{"nothing", answer(200, ``), engine.PlatformError, "=", "", "an empty body"},
		{"cut off", answer(200, `{"Response":{"Result":{"RetMsg":"`), engine.PlatformError, "=", "", "cut off"},
		{"a page by 502", answer(502, `<html>`), engine.PlatformError, "=", "", "<html>"},
		{"an Error by 503", answer(503, `{"Response":{"Error":{"Code":"RequestLimitExceeded","Message":"m"},"RequestId":"r"}}`), engine.Throttled, "=", "RequestLimitExceeded", "m"},
		{"an unknown Error by 403", answer(403, `{"Response":{"Error":{"Code":"New","Message":"m"},"RequestId":"r"}}`), engine.AuthFailed, "=", "New", "m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := decodeBy(controlPlane{}, tt.from)
			body := tt.body
			if body == "=" {
				body = string(tt.from.Body)
			}
			if r.Outcome != tt.want || string(r.Body) != body || r.Code != tt.code || !strings.Contains(r.Message, tt.message) ||
				(r.Message == "") != (tt.want == engine.OK) {
				t.Errorf("%v, body %s, code %q, message %q; want %v, %s, %q, %q", r.Outcome, r.Body, r.Code, r.Message, tt.want, body, tt.code, tt.message)
			}
			if strings.Contains(string(tt.from.Body), `"RequestId":"r"`) && r.RequestID != "r" {
				t.Errorf("request id %q, want r", r.RequestID)
			}
		})
	}
	errors := map[engine.Outcome][]string{
		engine.AuthFailed:    {"AuthFailure.SignatureFailure", "AuthFailure", "AuthFailure.TokenFailure", "UnauthorizedOperation.CAM"},
		engine.Throttled:     {"LimitExceeded", "LimitExceeded.Memory", "RequestLimitExceeded", "RequestLimitExceeded.UinLimitExceeded"},
		engine.Rejected:      {"ResourceNotFound.Function", "ResourceNotFound", "InvalidParameter.Payload", "InvalidParameterValue.FunctionName", "MissingParameter", "UnsupportedRegion", "RequestSizeLimitExceeded", "FailedOperation.InsufficientBalance"},
		engine.FunctionError: {"ResponseSizeLimitExceeded"},
		engine.PlatformError: {"FailedOperation", "FailedOperation.InvokeFunction", "InternalError", "InternalError.System", "SomethingNew", "LimitExceededNot"},
	}
	for want, codes := range errors {
		for _, code := range codes {
			r := decodeBy(controlPlane{}, answer(200, `{"Response":{"Error":{"Code":"`+code+`","Message":"m"},"RequestId":"r"}}`))
			if r.Outcome != want || r.Code != code || r.Message != "m" || r.RequestID != "r" {
				t.Errorf("%s: %+v, want %v", code, r, want)
			}
		}
	}
}

func TestInvokeTellsTheFunctionSide(t *testing.T) {
	const report = `START RequestId: x\nReport RequestId: x Duration:11ms Memory:256MB MemUsage:26MB`
	tests := []struct {
		name, fields string
		want         engine.ServerSide
	}{
		{"all of it, warm", `"Duration":11.5,"MemUsage":27262976,"BillDuration":12,"Log":"` + report + `\n"`,
			engine.ServerSide{Timed: true, Duration: 11500 * time.Microsecond, Billed: 12 * time.Millisecond, MemoryBytes: 27262976, Cold: engine.No}},
		{"cold by the report", `"Log":"` + report + ` Coldstart: 561ms\nEND"`, engine.ServerSide{Cold: engine.Yes}},
		{"cold by the init report", `"Log":"Init Report RequestId: x Coldstart: 561ms (Prepare: 1ms)\n` + report + `"`, engine.ServerSide{Cold: engine.Yes}},
		{"a cold start of no time is none", `"Log":"` + report + ` Coldstart: 0ms"`, engine.ServerSide{Cold: engine.No}},
		{"a short one is one", `"Log":"` + report + ` Coldstart: 0.7ms"`, engine.ServerSide{Cold: engine.Yes}},
		{"what the function prints is no report", `"Log":"my Coldstart: 561ms"`, engine.ServerSide{}},
		{"no log", `"Duration":0`, engine.ServerSide{Timed: true}},
		{"a log without a report", `"Log":"hello"`, engine.ServerSide{}},
		{"a failure has it, too", `"InvokeResult":-1,"Duration":3000,"BillDuration":3000`, engine.ServerSide{Timed: true, Duration: 3 * time.Second, Billed: 3 * time.Second}},
		{"nonsense", `"Duration":-1,"BillDuration":1e300,"MemUsage":-5,"Log":7`, engine.ServerSide{}},
		{"numbers as texts", `"Duration":"1.5","MemUsage":"1024"`, engine.ServerSide{Timed: true, Duration: 1500 * time.Microsecond, MemoryBytes: 1024}},
	}
	for _, tt := range tests {
		r := decodeBy(controlPlane{}, answer(200, `{"Response":{"Result":{"RetMsg":"1",`+tt.fields+`},"RequestId":"r"}}`))
		if r.Server != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, r.Server, tt.want)
		}
	}
}

func TestDecodeOKStatusInEnvelopes(t *testing.T) {
	for name, m := range every(t) {
		if r := decodeBy(m, answer(404, "x"), 404); r.Outcome != engine.OK || string(r.Body) != "x" {
			t.Errorf("%s: a wanted 404 is %+v", name, r)
		}
	}
	if r := decodeBy(miniProgram{}, answer(200, `{"errcode":-1}`), 200); r.Outcome != engine.PlatformError {
		t.Errorf("a status does not make an errcode right: %+v", r)
	}
	if r := decodeBy(nodeSDK{}, answer(200, `{"code":"SYS_ERR"}`), 200); r.Outcome != engine.PlatformError {
		t.Errorf("a status does not make a code right: %+v", r)
	}
}

func TestTokenExpired(t *testing.T) {
	for name, m := range every(t) {
		for _, code := range []string{"ACCESS_TOKEN_EXPIRED", "INVALID_CREDENTIALS"} {
			r := decodeBy(m, answer(401, `{"code":"`+code+`","message":"m"}`))
			if want := code == "ACCESS_TOKEN_EXPIRED"; r.TokenExpired != want || r.Outcome != engine.AuthFailed {
				t.Errorf("%s: %s is %+v", name, code, r)
			}
		}
	}
	if r := decodeBy(nodeSDK{}, answer(200, `{"code":"ACCESS_TOKEN_EXPIRED","message":"m"}`)); !r.TokenExpired {
		t.Errorf("by 200: %+v", r)
	}
	if r := decodeBy(httpAPI{}, answer(200, `{"code":"ACCESS_TOKEN_EXPIRED","message":"m"}`)); r.TokenExpired {
		t.Errorf("a function's own words: %+v", r)
	}
}

// FuzzDecodeAll holds that no method panics, whatever comes, and that what is
// kept of it is bounded and valid. Nothing of a request is kept at all, so no
// secret of ours can be.
func FuzzDecodeAll(f *testing.F) {
	for _, body := range []string{
		`{"code":"SYS_ERR","message":"m","requestId":"r"}`, `{"requestId":"r","data":{"response_data":"{}"}}`, `{"data":{"response_data":[1]}}`,
		`{"errcode":-404001,"errmsg":"m rid: x"}`, `{"errcode":0,"resp_data":"é"}`, `{"Response":{"Error":{"Code":"A.B","Message":"m"},"RequestId":"r"}}`,
		`{"Response":{"Result":{"InvokeResult":0,"RetMsg":"{\"errorCode\":-1,\"errorMessage\":\"m\",\"statusCode\":430}","Log":"Report Coldstart: 1ms","Duration":1.5,"FunctionRequestId":"f"},"RequestId":"r"}}`,
		"", "null", "<html>", `{"a":"\ud800"}`, `{"code":"` + strings.Repeat("x", 700) + `"}`, "{\"errcode\":\"\xff\"}",
	} {
		f.Add(200, body, "-")
		f.Add(500, body, "430")
	}
	all := every(f)
	f.Fuzz(func(t *testing.T, status int, body, header string) {
		p := &engine.Response{Status: status, Body: []byte(body), Header: []engine.Field{
			{Name: "x-cloudbase-upstream-status-code", Value: header}, {Name: "X-Request-Id", Value: header}}}
		for name, m := range all {
			r := decodeBy(m, p)
			for _, text := range []string{r.Code, r.Message, r.RequestID} {
				if !utf8.ValidString(text) || len(text) > engine.MaxMessage {
					t.Errorf("%s: %q is not valid or too long", name, text)
				}
			}
			if int(r.Outcome) >= engine.NumOutcomes || r.Server.Duration < 0 || r.Server.Billed < 0 || r.Server.MemoryBytes < 0 {
				t.Errorf("%s: %+v", name, r)
			}
			if r.Outcome == engine.OK && !good(status) {
				t.Errorf("%s: status %d is ok", name, status)
			}
			if r.Outcome != engine.OK && string(r.Body) != body {
				t.Errorf("%s: the body %q is lost, %q is kept", name, body, r.Body)
			}
		}
	})
}
