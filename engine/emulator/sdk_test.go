package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine/auth"
)

const adminURL = "http://env-1.tcb-api.tencentcloudapi.com/admin?env=env-1&seqId=18bcfe56800_1"

// adminCall is a call of node-sdk with an API key.
func adminCall(function, qualifier, data string) *http.Request {
	call := map[string]string{"action": "functions.invokeFunction", "function_name": function, "request_data": data, "envName": "env-1",
		"wxCloudApiToken": "", "wxCloudbaseAccesstoken": "", "tcb_sessionToken": "", "crossAuthorizationToken": ""}
	if qualifier != "" {
		call["qualifier"] = qualifier
	}
	return request("POST "+adminURL, jsonText(call), token, "Content-Type: application/json")
}

// webCall is a call of js-sdk 2.
func webCall(function, accessToken, data string) *http.Request {
	return request("POST http://env-1.ap-shanghai.tcb-api.tencentcloudapi.com/web?env=env-1", jsonText(map[string]string{
		"action": "functions.invokeFunction", "dataVersion": "2020-01-10", "env": "env-1", "function_name": function,
		"request_data": data, "access_token": accessToken, "seqId": "18bcfe56800ab"}), "Content-Type: application/json;charset=UTF-8")
}

func TestAdmin(t *testing.T) {
	call := func(fields string) string {
		return `{"action":"functions.invokeFunction","function_name":` + fields + `,"envName":"env-1","wxCloudApiToken":"","wxCloudbaseAccesstoken":"","tcb_sessionToken":"","crossAuthorizationToken":""}`
	}
	for _, tt := range []row{
		{"a function answers with a text that is JSON", "POST " + adminURL, []string{token}, call(`"echo","request_data":"{\"a\":1}"`), 200,
			`{"requestId":"ID","data":{"response_data":"{\"a\":1}"}}`, "echo||ok|"},
		{"no data is an empty object", "POST " + adminURL, []string{token}, call(`"echo","request_data":""`), 200,
			`{"requestId":"ID","data":{"response_data":"{}"}}`, "echo||ok|"},
		{"data left out, too", "POST " + adminURL, []string{token}, call(`"echo"`), 200,
			`{"requestId":"ID","data":{"response_data":"{}"}}`, "echo||ok|"},
		{"a text that is not JSON stays one", "POST " + adminURL, []string{token}, call(`"says"`), 200,
			`{"requestId":"ID","data":{"response_data":"Hello fn"}}`, "says||ok|"},
		{"a version by its qualifier", "POST " + adminURL, []string{token}, call(`"echo","qualifier":"3"`), 200,
			`{"requestId":"ID","data":{"response_data":"\"three\""}}`, "echo|3|ok|"},
		{"no qualifier is $DEFAULT", "POST " + adminURL, []string{token}, call(`"split"`), 200,
			`{"requestId":"ID","data":{"response_data":"2"}}`, "split||ok|"},
		{"node-sdk 2 names no environment in its query", "POST http://tcb-api.tencentcloudapi.com/admin?&eventId=X&seqId=X", []string{token}, call(`"echo","eventId":"X"`), 200,
			`{"requestId":"ID","data":{"response_data":"{}"}}`, "echo||ok|"},
		{"any host will do where the query is the SDK's", "POST /admin?env=env-1&seqId=1_1", []string{token}, call(`"says"`), 200,
			`{"requestId":"ID","data":{"response_data":"Hello fn"}}`, "says||ok|"},

		{"no credentials", "POST " + adminURL, nil, call(`"echo"`), 200, `{"code":"MISSING_CREDENTIALS","message":"missing credentials","requestId":"ID"}`, "||auth_failed|MISSING_CREDENTIALS"},
		{"an unknown API key", "POST " + adminURL, []string{"Authorization: Bearer t1"}, call(`"echo"`), 200,
			`{"code":"INVALID_CREDENTIALS","message":"invalid credentials","requestId":"ID"}`, "||auth_failed|INVALID_CREDENTIALS"},
		{"credentials come before existence", "POST " + adminURL, nil, call(`"nobody"`), 200,
			`{"code":"MISSING_CREDENTIALS","message":"missing credentials","requestId":"ID"}`, "||auth_failed|MISSING_CREDENTIALS"},
		{"a function that is missing", "POST " + adminURL, []string{token}, call(`"nobody"`), 200,
			`{"code":"FUNCTION_NOT_FOUND","message":"function nobody not found","requestId":"ID"}`, "||rejected|FUNCTION_NOT_FOUND"},
		{"a version that is missing", "POST " + adminURL, []string{token}, call(`"echo","qualifier":"9"`), 200,
			`{"code":"FUNCTION_QUALIFIER_NOT_FOUND","message":"qualifier 9 of function echo not found","requestId":"ID"}`, "echo|(unknown)|rejected|FUNCTION_QUALIFIER_NOT_FOUND"},
		{"no function", "POST " + adminURL, []string{token}, call(`""`), 200,
			`{"code":"FUNCTION_PARAM_INVALID","message":"function_name is missing","requestId":"ID"}`, "||rejected|FUNCTION_PARAM_INVALID"},
		{"an HTTP function", "POST " + adminURL, []string{token}, call(`"site"`), 200,
			`{"code":"FUNCTION_PARAM_INVALID","message":"site is an HTTP function, which cannot be called this way","requestId":"ID"}`, "site||rejected|FUNCTION_PARAM_INVALID"},
		{"data that is not JSON", "POST " + adminURL, []string{token}, call(`"echo","request_data":"{"`), 200,
			`{"code":"FUNCTION_PARAM_INVALID","message":"the event is not JSON","requestId":"ID"}`, "echo||rejected|FUNCTION_PARAM_INVALID"},
		{"data that is too large", "POST " + adminURL, []string{token}, call(`"echo","request_data":"{\"a\":\"` + strings.Repeat("x", 1000) + `\"}"`), 200,
			`{"code":"EXCEED_MAX_PAYLOAD_SIZE","message":"the event is larger than 1000 bytes","requestId":"ID"}`, "echo||rejected|EXCEED_MAX_PAYLOAD_SIZE"},
		{"a body that is too large for any data", "POST " + adminURL, []string{token}, call(`"echo","x":"` + strings.Repeat("x", 70<<10) + `"`), 200,
			`{"code":"EXCEED_MAX_PAYLOAD_SIZE","message":"the request body is larger than 1000 bytes","requestId":"ID"}`, "||rejected|EXCEED_MAX_PAYLOAD_SIZE"},
		{"data may be as large as that, with all its quotes", "POST " + adminURL, []string{token}, call(`"echo","request_data":"\"` + strings.Repeat(`\\\"`, 499) + `\""`), 200,
			`{"requestId":"ID","data":{"response_data":` + strconv.Quote(`"`+strings.Repeat(`\"`, 499)+`"`) + `}}`, "echo||ok|"},
		{"an answer that is too large", "POST " + adminURL, []string{token}, call(`"big"`), 200,
			`{"code":"FUNCTION_INVOCATION_FAILED","message":"the response is larger than 1000 bytes","requestId":"ID"}`, "big||function_error|FUNCTION_INVOCATION_FAILED"},
		{"a function that fails", "POST " + adminURL, []string{token}, call(`"fails"`), 200,
			`{"code":"FUNCTION_INVOCATION_FAILED","message":"no \"luck\"","requestId":"ID"}`, "fails||function_error|FUNCTION_INVOCATION_FAILED"},
		{"another action", "POST " + adminURL, []string{token}, `{"action":"database.getDocument","envName":"env-1"}`, 200,
			`{"code":"FUNCTION_PARAM_INVALID","message":"the action database.getDocument does not exist here","requestId":"ID"}`, "||rejected|FUNCTION_PARAM_INVALID"},
		{"no JSON", "POST " + adminURL, []string{token}, `a=1`, 200,
			`{"code":"FUNCTION_PARAM_INVALID","message":"the body is not a JSON object with the fields of this request","requestId":"ID"}`, "||rejected|FUNCTION_PARAM_INVALID"},
		{"another environment in the body", "POST " + adminURL, []string{token}, `{"action":"functions.invokeFunction","function_name":"echo","envName":"env-2"}`, 200,
			`{"code":"INVALID_ENV","message":"environment env-2 does not exist here","requestId":"ID"}`, "||rejected|INVALID_ENV"},
		{"another environment in the query", "POST /admin?env=env-2&seqId=1", []string{token}, `{}`, 200,
			`{"code":"INVALID_ENV","message":"environment env-2 does not exist here","requestId":"ID"}`, "||rejected|INVALID_ENV"},
		{"another path", "POST http://env-1.tcb-api.tencentcloudapi.com/other?env=env-1&seqId=1", []string{token}, call(`"echo"`), 404,
			`{"code":"INVALID_PATH","message":"no route for POST /other. For more information, please refer to https://docs.cloudbase.net/error-code/service","requestId":"ID"}`, "||rejected|INVALID_PATH"},
		{"another environment's host", "POST http://env-2.ap-shanghai.tcb-api.tencentcloudapi.com/admin?seqId=1", []string{token}, `{}`, 200,
			`{"code":"INVALID_ENV","message":"environment env-2 does not exist here","requestId":"ID"}`, "||rejected|INVALID_ENV"},
	} {
		tt.check(t, land())
	}
}

// The request of PROTOCOL.md 9 A, as the vendor's SDK sends it, opens the door;
// and whatever is changed about it shuts it.
func TestAdminSignature(t *testing.T) {
	const (
		body = `{"action":"functions.invokeFunction","function_name":"hello-world","qualifier":"3","request_data":"{\"name\":\"CloudBase\",\"zh\":\"你好\"}",` +
			`"envName":"test-env-1a2b3c","wxCloudApiToken":"","wxCloudbaseAccesstoken":"","tcb_sessionToken":"","crossAuthorizationToken":""}`
		authorization = "TC3-HMAC-SHA256 Credential=AKIDFAKEFAKEFAKEFAKE0000000000000000/2023-11-14/tcb/tc3_request, " +
			"SignedParams=action;envname;function_name;qualifier;request_data, " +
			"SignedHeaders=content-type;host;user-agent;x-client-timestamp;x-sdk-version;x-tcb-source, " +
			"Signature=5dc718b311fcdfd091313dcd10159c8774f356a53788dca2e33a1c5cd8a0bdff"
	)
	signed := func(change func(r *http.Request), body string) *http.Request {
		r := request("POST https://test-env-1a2b3c.tcb-api.tencentcloudapi.com/admin?env=test-env-1a2b3c&seqId=18bcfe56800_1", body,
			"content-type: application/json", "User-Agent: tcb-node-sdk/3.18.3", "X-TCB-Source: ,unknown", "X-Client-Timestamp: 1700000001123",
			"X-SDK-Version: tcb-node-sdk/3.18.3", "Authorization: "+authorization, "X-Signature-Expires: 600", "X-Timestamp: 1700000000")
		change(r)
		return r
	}
	set := func(name, value string) func(r *http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	none := func(*http.Request) {}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		body   string
		want   string
		late   time.Duration
	}{
		{"as it was sent", none, body, `"data":`, 0},
		{"a header that is not signed", set("X-Other", "1"), body, `"data":`, 0},
		{"ten minutes later", none, body, `"data":`, 600 * time.Second},
		{"another function", none, strings.Replace(body, "hello-world", "hello-worle", 1), codeSignature, 0},
		{"another datum", none, strings.Replace(body, "你好", "您好", 1), codeSignature, 0},
		{"a field more", none, strings.Replace(body, `"tcb_sessionToken":""`, `"tcb_sessionToken":"x"`, 1), codeSignature, 0},
		{"a field less", none, strings.Replace(body, `"qualifier":"3",`, ``, 1), codeSignature, 0},
		{"another query", func(r *http.Request) { r.URL.RawQuery += "1" }, body, codeSignature, 0},
		{"another header", set("X-Tcb-Source", ",scf"), body, codeSignature, 0},
		{"another time", set("X-Timestamp", "1700000002"), body, codeSignature, 0},
		{"no time", set("X-Timestamp", ""), body, codeSignature, 0},
		{"another key's id", set("Authorization", strings.Replace(authorization, "AKIDFAKE", "AKIDREAL", 1)), body, codeCredentials, 0},
		{"a host of another environment", func(r *http.Request) { r.Host = "tcb-api.tencentcloudapi.com" }, body, codeSignature, 0},
		{"less signed", set("Authorization", strings.Replace(authorization, ";request_data", "", 1)), body, codeSignature, 0},
		{"more than ten minutes later", none, body, codeSignature, 602 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Unix(1700000000, 0)) + tt.late)
				s := start(t, Config{
					Env:  "test-env-1a2b3c",
					Keys: map[string]string{"AKIDFAKEFAKEFAKEFAKE0000000000000000": "FAKEKEYfakekeyFAKEKEYfakekey0000"},
					Functions: map[string]Function{
						"hello-world": {Versions: map[string]Function{"3": {}}}, "hello-worle": {Versions: map[string]Function{"3": {}}},
					}})
				res := ask(s, signed(tt.change, tt.body))
				if got := text(t, res); res.StatusCode != 200 || !strings.Contains(got, tt.want) {
					t.Errorf("status %d, %s, want 200 with %s", res.StatusCode, got, tt.want)
				}
			})
		})
	}
}

// Temporary keys come with their token in the body, which is signed as well.
func TestAdminSessionToken(t *testing.T) {
	keys := auth.Keys{ID: auth.NewSecret("AKID1"), Key: auth.NewSecret("key1")}
	for _, tt := range []struct{ name, session, want string }{
		{"its own", "session-1", `"data":`}, {"another", "session-2", codeCredentials}, {"none", "", codeCredentials},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Config{Keys: map[string]string{"AKID1": "key1"}, SessionTokens: map[string]string{"AKID1": "session-1"}, Functions: map[string]Function{"fn": {}}})
			params := [][2]string{{"action", "functions.invokeFunction"}, {"function_name", "fn"}, {"request_data", ""}, {"retries", "2"}, {"nothing", "null"}, {"options", `{"a":[1,"b"]}`}}
			body := `{"action":"functions.invokeFunction","function_name":"fn","request_data":"","retries":2,"nothing":null,"options": {"a": [1, "b"]}`
			if tt.session != "" {
				params = append(params, [2]string{"sessionToken", tt.session})
				body += `,"sessionToken":"` + tt.session + `"`
			}
			now := time.Now()
			r := request("POST http://127.0.0.1:8787/admin?&eventId=X&seqId=X", body+"}", "Content-Type: application/json", "X-Timestamp: "+strconv.FormatInt(now.Unix(), 10))
			r.Header.Set("Authorization", auth.SignAdmin(keys, now, auth.Signable{Verb: "POST", Host: r.Host, Path: "/admin", Query: r.URL.RawQuery,
				Header: [][2]string{{"content-type", "application/json"}}, Params: params, AllParams: true}))
			if got := text(t, ask(s, r)); !strings.Contains(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestWebSDK(t *testing.T) {
	const url = "POST http://env-1.ap-shanghai.tcb-api.tencentcloudapi.com/web?env=env-1"
	call := func(fields string) string {
		return `{"action":"functions.invokeFunction","dataVersion":"2020-01-10","env":"env-1",` + fields + `,"access_token":"t0","seqId":"18bcfe56800ab"}`
	}
	for _, tt := range []row{
		{"a function answers with a text that is JSON", url, nil, call(`"function_name":"echo","request_data":"{\"a\":1}"`), 200,
			`{"requestId":"ID","data":{"response_data":"{\"a\":1}"}}`, "echo||ok|"},
		{"parse gives the JSON itself", url + "&parse=true", nil, call(`"function_name":"echo","request_data":"{\"a\":1}"`), 200,
			`{"requestId":"ID","data":{"response_data":{"a":1}}}`, "echo||ok|"},
		{"parse leaves a text as it is", url + "&parse=true", nil, call(`"function_name":"says","request_data":""`), 200,
			`{"requestId":"ID","data":{"response_data":"Hello fn"}}`, "says||ok|"},
		{"version 1 asks at the bare host", "POST http://tcb-api.tencentcloudapi.com/web?env=env-1", nil, call(`"function_name":"says","request_data":""`), 200,
			`{"requestId":"ID","data":{"response_data":"Hello fn"}}`, "says||ok|"},
		{"it selects no version", url, nil, call(`"function_name":"echo","qualifier":"3","request_data":""`), 200,
			`{"requestId":"ID","data":{"response_data":"{}"}}`, "echo||ok|"},
		{"a page of a security domain", url, []string{"Origin: https://app.example"}, call(`"function_name":"says","request_data":""`), 200,
			`{"requestId":"ID","data":{"response_data":"Hello fn"}}`, "says||ok|"},
		{"a page of another domain", url, []string{"Origin: https://evil.example"}, call(`"function_name":"says","request_data":""`), 200,
			`{"code":"INVALID_REQUEST_SOURCE","message":"the origin https://evil.example is not a security domain of this environment","requestId":"ID"}`, "||rejected|INVALID_REQUEST_SOURCE"},
		{"no token", url, nil, `{"action":"functions.invokeFunction","env":"env-1","function_name":"echo","request_data":""}`, 200,
			`{"code":"CHECK_LOGIN_FAILED","message":"missing credentials","requestId":"ID"}`, "||auth_failed|CHECK_LOGIN_FAILED"},
		{"an unknown token", url, nil, `{"action":"functions.invokeFunction","env":"env-1","function_name":"echo","request_data":"","access_token":"t1"}`, 200,
			`{"code":"CHECK_LOGIN_FAILED","message":"invalid credentials","requestId":"ID"}`, "||auth_failed|CHECK_LOGIN_FAILED"},
		{"a header is no token here", url, []string{token}, `{"action":"functions.invokeFunction","env":"env-1","function_name":"echo","request_data":""}`, 200,
			`{"code":"CHECK_LOGIN_FAILED","message":"missing credentials","requestId":"ID"}`, "||auth_failed|CHECK_LOGIN_FAILED"},
		{"a function that is missing", url, nil, call(`"function_name":"nobody","request_data":""`), 200,
			`{"code":"FUNCTION_NOT_FOUND","message":"function nobody not found","requestId":"ID"}`, "||rejected|FUNCTION_NOT_FOUND"},
		{"a function that fails", url, nil, call(`"function_name":"fails","request_data":""`), 200,
			`{"code":"FUNCTION_INVOCATION_FAILED","message":"no \"luck\"","requestId":"ID"}`, "fails||function_error|FUNCTION_INVOCATION_FAILED"},
		{"another action", url, nil, `{"action":"storage.getTempUrl","env":"env-1"}`, 200,
			`{"code":"FUNCTION_PARAM_INVALID","message":"the action storage.getTempUrl does not exist here","requestId":"ID"}`, "||rejected|FUNCTION_PARAM_INVALID"},
		{"another environment", url, nil, `{"action":"functions.invokeFunction","env":"env-2"}`, 200,
			`{"code":"INVALID_ENV","message":"environment env-2 does not exist here","requestId":"ID"}`, "||rejected|INVALID_ENV"},
		{"another user's password", url, nil, `{"action":"auth.signIn","loginType":"USERNAME","username":"user1","password":"password2"}`, 200,
			`{"code":"CHECK_LOGIN_FAILED","message":"wrong name or password","requestId":"ID"}`, "||auth_failed|CHECK_LOGIN_FAILED"},
		{"a user that there is not", url, nil, `{"action":"auth.signIn","loginType":"USERNAME","username":"user2","password":"password1"}`, 200,
			`{"code":"CHECK_LOGIN_FAILED","message":"wrong name or password","requestId":"ID"}`, "||auth_failed|CHECK_LOGIN_FAILED"},
		{"a refresh token from elsewhere", url, nil, `{"action":"auth.fetchAccessTokenWithRefreshToken","refresh_token":"r"}`, 200,
			`{"code":"INVALID_REFRESH_TOKEN","message":"the refresh token is not valid","requestId":"ID"}`, "||auth_failed|INVALID_REFRESH_TOKEN"},
		{"who has no token is nobody", url, nil, `{"action":"auth.getUserInfo"}`, 200,
			`{"code":"CHECK_LOGIN_FAILED","message":"missing credentials","requestId":"ID"}`, "||auth_failed|CHECK_LOGIN_FAILED"},
	} {
		tt.check(t, land())
	}
}

// A browser may ask before, and reads the answer where its page is allowed to.
func TestWebSDKOrigins(t *testing.T) {
	s := start(t, land())
	for origin, allowed := range map[string]string{"https://app.example": "https://app.example", "https://evil.example": ""} {
		before := ask(s, request("OPTIONS http://tcb-api.tencentcloudapi.com/web?env=env-1", "", "Origin: "+origin,
			"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,x-sdk-version,x-seqid"))
		if h := before.Header; before.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != allowed || h.Get("Access-Control-Allow-Headers") != "content-type,x-sdk-version,x-seqid" {
			t.Errorf("preflight from %s: %d %v", origin, before.StatusCode, h)
		}
		r := webCall("echo", "t0", "")
		r.Header.Set("Origin", origin)
		if h := ask(s, r).Header; h.Get("Access-Control-Allow-Origin") != allowed {
			t.Errorf("answer to %s: %v", origin, h)
		}
	}
}

// posted is what /web answers to fields.
func posted(t *testing.T, s *Server, fields string) map[string]any {
	t.Helper()
	res := ask(s, request("POST http://tcb-api.tencentcloudapi.com/web?env=env-1", `{"dataVersion":"2020-01-10","env":"env-1",`+fields+`}`))
	var reply map[string]any
	if body := text(t, res); res.StatusCode != 200 || json.Unmarshal([]byte(body), &reply) != nil {
		t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	return reply
}

// js-sdk 1 signs in, gets an access token, looks who it is, and calls; when the
// token has expired, it gets another with the same refresh token.
func TestWebSDKSignsIn(t *testing.T) {
	for _, how := range []string{`"action":"auth.signInAnonymously"`, `"action":"auth.signIn","loginType":"USERNAME","username":"user1","password":"password1","refresh_token":""`} {
		synctest.Test(t, func(t *testing.T) {
			c := land()
			c.TokenLife = time.Minute
			s := start(t, c)
			in := posted(t, s, how)
			refresh, _ := in["refresh_token"].(string)
			if uuid, ok := in["uuid"].(string); refresh == "" || ok != strings.Contains(how, "Anonymously") || ok && uuid == "" {
				t.Fatalf("signed in: %v", in)
			}
			fetch := func() string {
				got := posted(t, s, `"action":"auth.fetchAccessTokenWithRefreshToken","refresh_token":"`+refresh+`"`)
				access, _ := got["access_token"].(string)
				if access == "" || got["access_token_expire"] != 60000.0 {
					t.Fatalf("fetched: %v", got)
				}
				return access
			}
			access := fetch()
			who := posted(t, s, `"action":"auth.getUserInfo","access_token":"`+access+`"`)
			if data, _ := who["data"].(map[string]any); data["uid"] == "" || data["uid"] == nil {
				t.Errorf("who: %v", who)
			}
			invoke := func(token string) any {
				got := posted(t, s, `"action":"functions.invokeFunction","function_name":"says","request_data":"","access_token":"`+token+`"`)
				if got["code"] == nil {
					return "ok"
				}
				return got["code"]
			}
			if got := invoke(access); got != "ok" {
				t.Errorf("invoked: %v", got)
			}
			if got := invoke(refresh); got != codeLogin {
				t.Errorf("invoked with the refresh token: %v", got)
			}
			time.Sleep(time.Minute)
			if got := invoke(access); got != codeExpired {
				t.Errorf("invoked after its life: %v, want %s", got, codeExpired)
			}
			if got := invoke(fetch()); got != "ok" {
				t.Errorf("invoked with a new token: %v", got)
			}
			posted(t, s, `"action":"auth.logout","refresh_token":"`+refresh+`"`)
			if got := posted(t, s, `"action":"auth.fetchAccessTokenWithRefreshToken","refresh_token":"`+refresh+`"`); got["code"] != codeRefreshInvalid {
				t.Errorf("fetched after signing out: %v", got)
			}
		})
	}
}

// The same id is the same user.
func TestWebSDKKnowsDevicesAgain(t *testing.T) {
	s := start(t, land())
	who := func(uuid string) any {
		in := posted(t, s, `"action":"auth.signInAnonymously","anonymous_uuid":"`+uuid+`"`)
		if uuid != "" && in["uuid"] != uuid {
			t.Errorf("signed in as %v, want %s", in, uuid)
		}
		got := posted(t, s, `"action":"auth.fetchAccessTokenWithRefreshToken","refresh_token":"`+in["refresh_token"].(string)+`"`)
		return posted(t, s, `"action":"auth.getUserInfo","access_token":"`+got["access_token"].(string)+`"`)["data"].(map[string]any)["uid"]
	}
	if a, b, c := who("device-1"), who("device-1"), who(""); a != b || a == c {
		t.Errorf("device-1 is %v, then %v; another is %v", a, b, c)
	}
}

func TestWebSDKSignInErrors(t *testing.T) {
	for name, want := range map[string]string{
		"captcha_required": codeLogin, "anonymous_off": codeLogin, "rate_limited": codeRate, "unavailable": codeSystem, "refresh_refused": codeRefreshInvalid,
	} {
		c := land()
		c.SignInError = name
		s := start(t, c)
		got := posted(t, s, `"action":"auth.signInAnonymously"`)
		if name == "refresh_refused" {
			got = posted(t, s, `"action":"auth.fetchAccessTokenWithRefreshToken","refresh_token":"`+got["refresh_token"].(string)+`"`)
		}
		if got["code"] != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}

// Whatever is posted, something well-formed comes back.
func FuzzSDK(f *testing.F) {
	for _, body := range []string{
		`{"action":"functions.invokeFunction","function_name":"echo","request_data":"{\"a\":1}","envName":"env-1","access_token":"t0"}`,
		`{"action":"auth.signIn","username":"user1","password":"password1"}`, `{"action":"auth.signInAnonymously","anonymous_uuid":"\u0000\""}`,
		`{"action":"functions.invokeFunction","function_name":"echo","request_data":"[\"\\ud800\"]","access_token":"t0"}`, `[]`, `{"action":1}`, ``, "{\"action\":\"\xff\"}",
	} {
		f.Add(body)
	}
	s, err := New(land())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	f.Fuzz(func(t *testing.T, body string) {
		for _, r := range []*http.Request{request("POST "+adminURL, body, token), request("POST /web?env=env-1&parse=true", body)} {
			res := ask(s, r)
			if got := text(t, res); res.StatusCode != 200 || !json.Valid([]byte(got)) {
				t.Errorf("%s: status %d, %s", r.URL, res.StatusCode, got)
			}
		}
	})
}
