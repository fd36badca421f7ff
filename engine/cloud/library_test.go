package cloud

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// The keys, the time and the signatures are those of PROTOCOL.md 9.
func fakeKeys(session string) auth.Grant {
	return auth.Grant{Keys: auth.Keys{ID: auth.NewSecret("AKIDFAKEFAKEFAKEFAKE0000000000000000"),
		Key: auth.NewSecret("FAKEKEYfakekeyFAKEKEYfakekey0000"), Session: auth.NewSecret(session)}}
}

var fakeNow = time.UnixMilli(1700000001123)

func method(t *testing.T, name string, o Options) engine.Method {
	t.Helper()
	m, err := New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mask replaces what is random, and checks its form on the way.
func mask(text string) string {
	for _, m := range []struct{ form, name string }{
		{`\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b`, "UUID"},
		{`\b18bcfe56c63_[0-9a-f]{1,8}\b`, "SEQ"},
		{`Signature=[0-9a-f]{64}`, "Signature=SIG"},
		{`(seqId":"|x-seqid: )[0-9a-f]{13}\b`, "${1}SEQ"},
	} {
		text = regexp.MustCompile(m.form).ReplaceAllString(text, m.name)
	}
	return text
}

// TestEncodeLibraries holds whole requests against literal ones, as PROTOCOL.md
// 4.1, 5.1, 5.2, 6 and 7.3 have them.
func TestEncodeLibraries(t *testing.T) {
	const (
		id      = "TC3-HMAC-SHA256 Credential=AKIDFAKEFAKEFAKEFAKE0000000000000000/2023-11-14/"
		admin3  = "Content-Type: application/json\nUser-Agent: volley\nX-TCB-Source: ,unknown\nX-Client-Timestamp: 1700000001123\nX-SDK-Version: tcb-node-sdk/3.18.3\n"
		admin2  = "Content-Type: application/json\nUser-Agent: volley\nX-TCB-Source: ,not_scf\nX-Client-Timestamp: 1700000001123\nX-SDK-Version: tcb-node-sdk/2.11.0\n"
		headers = "SignedHeaders=content-type;host;user-agent;x-client-timestamp;x-sdk-version;x-tcb-source, Signature=SIG (secret)\n"
		times   = "X-Signature-Expires: 600\nX-Timestamp: 1700000000\n"
		web     = "Content-Type: application/json;charset=UTF-8\nX-SDK-Version: @cloudbase/js-sdk/2.31.0\nx-seqid: SEQ\nAccept-Language: zh-CN\n"
		invoke  = "X-TC-Action: Invoke\nX-TC-Version: 2018-04-16\nX-TC-Region: ap-shanghai\nX-TC-Timestamp: 1700000001\nContent-Type: application/json\n"
	)
	event := func(i *engine.Invocation) {
		i.Step.Target.Region = ""
		i.Data = []byte(" {\"a\":\"\\\"<你>\"}\n")
	}
	token := grant("T/+")
	tests := []struct {
		name, method string
		o            Options
		g            auth.Grant
		change       func(*engine.Invocation)
		want         string
	}{
		{"version 3, signed", "node-sdk", Options{}, fakeKeys(""), func(i *engine.Invocation) { event(i); i.Step.Target.Qualifier = "3" },
			"POST https://env-1.tcb-api.tencentcloudapi.com/admin?env=env-1&seqId=SEQ\n" + admin3 +
				"Authorization: " + id + "tcb/tc3_request, SignedParams=action;envname;function_name;qualifier;request_data, " + headers + times +
				`{"action":"functions.invokeFunction","function_name":"hello-world","qualifier":"3","request_data":"{\"a\":\"\\\"<你>\"}","envName":"env-1","wxCloudApiToken":"","wxCloudbaseAccesstoken":"","tcb_sessionToken":"","crossAuthorizationToken":""}`},
		{"a session token goes into the body", "node-sdk", Options{}, fakeKeys("S"), func(i *engine.Invocation) { event(i); i.Data = nil },
			"POST https://env-1.tcb-api.tencentcloudapi.com/admin?env=env-1&seqId=SEQ\n" + admin3 +
				"Authorization: " + id + "tcb/tc3_request, SignedParams=action;envname;function_name;sessiontoken, " + headers + times +
				`{"action":"functions.invokeFunction","function_name":"hello-world","request_data":"","envName":"env-1","wxCloudApiToken":"","wxCloudbaseAccesstoken":"","tcb_sessionToken":"","sessionToken":"S","crossAuthorizationToken":""}`},
		{"an API key, in a region", "node-sdk", Options{SDK: "3"}, token, func(i *engine.Invocation) { i.Data = []byte("false") },
			"POST https://env-1.ap-shanghai.tcb-api.tencentcloudapi.com/admin?env=env-1&seqId=SEQ\n" + admin3 +
				"X-TCB-Region: ap-shanghai\nAuthorization: Bearer T/+ (secret)\n" + times +
				`{"action":"functions.invokeFunction","function_name":"hello-world","request_data":"","envName":"env-1","wxCloudApiToken":"","wxCloudbaseAccesstoken":"","tcb_sessionToken":"","crossAuthorizationToken":""}`},
		{"an environment that is no part of a host name, by an endpoint too", "node-sdk", Options{}, token, func(i *engine.Invocation) { event(i); i.Step.Target.Env, i.Data = "Env-1", []byte(`[1]`) },
			"POST https://tcb-api.tencentcloudapi.com/admin?env=Env-1&seqId=SEQ\n" + admin3 + "Authorization: Bearer T/+ (secret)\n" + times +
				`{"action":"functions.invokeFunction","function_name":"hello-world","request_data":"[1]","envName":"Env-1","wxCloudApiToken":"","wxCloudbaseAccesstoken":"","tcb_sessionToken":"","crossAuthorizationToken":""}`},
		{"version 2, with the empty fields in SignedParams", "node-sdk", Options{SDK: "2"}, fakeKeys(""), func(i *engine.Invocation) { event(i); i.Step.Target.Endpoint = "http://h:1/p" },
			"POST http://h:1/p/admin?&eventId=SEQ&seqId=SEQ\n" + admin2 +
				"Authorization: " + id + "tcb/tc3_request, SignedParams=action;crossauthorizationtoken;envname;eventid;function_name;request_data;tcb_sessiontoken;wxcloudapitoken;wxcloudbaseaccesstoken, " + headers + times +
				"Accept: application/json\n" +
				`{"action":"functions.invokeFunction","function_name":"hello-world","request_data":"{\"a\":\"\\\"<你>\"}","envName":"env-1","eventId":"SEQ","wxCloudApiToken":"","wxCloudbaseAccesstoken":"","tcb_sessionToken":"","crossAuthorizationToken":""}`},
		{"the scenario's headers are signed, and stand", "node-sdk", Options{}, fakeKeys(""), func(i *engine.Invocation) {
			event(i)
			i.Data = nil
			i.Header = []engine.Field{{Name: "X-A", Value: "B"}, {Name: "x-timestamp", Value: "7"}}
		},
			"POST https://env-1.tcb-api.tencentcloudapi.com/admin?env=env-1&seqId=SEQ\n" + admin3 + "X-A: B\nx-timestamp: 7\n" +
				"Authorization: " + id + "tcb/tc3_request, SignedParams=action;envname;function_name, " +
				strings.Replace(strings.Replace(headers, "user-agent;", "user-agent;x-a;", 1), "x-tcb-source", "x-tcb-source;x-timestamp", 1) + "X-Signature-Expires: 600\n" +
				`{"action":"functions.invokeFunction","function_name":"hello-world","request_data":"","envName":"env-1","wxCloudApiToken":"","wxCloudbaseAccesstoken":"","tcb_sessionToken":"","crossAuthorizationToken":""}`},

		{"version 3 is the gateway's, the event as it is", "web-sdk", Options{}, token, event,
			"POST https://env-1.api.tcloudbasegateway.com/v1/functions/hello-world\nX-SDK-Version: @cloudbase/js-sdk/3.7.0\nAuthorization: Bearer T/+ (secret)\n" +
				"Accept-Language: zh-CN\nContent-Type: application/json; charset=utf-8\nX-Request-Id: UUID\n{\"a\":\"\\\"<你>\"}"},
		{"version 3 without data and with a qualifier", "web-sdk", Options{SDK: "3"}, token, func(i *engine.Invocation) { i.Step.Target.Qualifier = "3" },
			"POST https://env-1.api.tcloudbasegateway.com/v1/functions/hello-world\nX-SDK-Version: @cloudbase/js-sdk/3.7.0\nAuthorization: Bearer T/+ (secret)\n" +
				"Accept-Language: zh-CN\nContent-Type: application/json; charset=utf-8\nX-Request-Id: UUID\nX-Qualifier: 3\n"},
		{"version 2 has the token in its body", "web-sdk", Options{SDK: "2"}, token, event,
			"POST https://env-1.ap-shanghai.tcb-api.tencentcloudapi.com/web?env=env-1\n" + web +
				`{"action":"functions.invokeFunction","dataVersion":"2020-01-10","env":"env-1","function_name":"hello-world","request_data":"{\"a\":\"\\\"<你>\"}","access_token":"T/+","seqId":"SEQ"}`},
		{"version 2 in a region, without data", "web-sdk", Options{SDK: "2"}, token, func(i *engine.Invocation) { i.Step.Target.Region = "ap-guangzhou" },
			"POST https://env-1.ap-guangzhou.tcb-api.tencentcloudapi.com/web?env=env-1\n" + web + "X-TCB-Region: ap-guangzhou\n" +
				`{"action":"functions.invokeFunction","dataVersion":"2020-01-10","env":"env-1","function_name":"hello-world","request_data":"","access_token":"T/+","seqId":"SEQ"}`},
		{"version 1 has a host without names", "web-sdk", Options{SDK: "1"}, token, func(i *engine.Invocation) { i.Step.Target.Region = "" },
			"POST https://tcb-api.tencentcloudapi.com/web?env=env-1\nContent-Type: application/json;charset=UTF-8\nX-SDK-Version: @cloudbase/js-sdk/1.8.4\nx-seqid: SEQ\n" +
				`{"action":"functions.invokeFunction","dataVersion":"2020-01-10","env":"env-1","function_name":"hello-world","request_data":"","access_token":"T/+","seqId":"SEQ"}`},

		{"version 3 asks functions of the low-code service as 2 does", "web-sdk", Options{}, token, func(i *engine.Invocation) { i.Step.Target.Region, i.Step.Function = "", "lcap-datasource-test" },
			"POST https://env-1.ap-shanghai.tcb-api.tencentcloudapi.com/web?env=env-1\n" + strings.Replace(web, "2.31.0", "3.7.0", 1) +
				`{"action":"functions.invokeFunction","dataVersion":"2020-01-10","env":"env-1","function_name":"lcap-datasource-test","request_data":"","access_token":"T/+","seqId":"SEQ"}`},

		{"the event is the body", "mini-program", Options{}, token, event,
			"POST https://api.weixin.qq.com/tcb/invokecloudfunction?access_token=T%2F%2B&env=env-1&name=hello-world\nContent-Type: application/json\n{\"a\":\"\\\"<你>\"}"},
		{"no data is the event {}", "mini-program", Options{Form: "query"}, token, func(i *engine.Invocation) { i.Step.Target.Endpoint = "http://h/" },
			"POST http://h/tcb/invokecloudfunction?access_token=T%2F%2B&env=env-1&name=hello-world\nContent-Type: application/json\n{}"},
		{"the event in req_data", "mini-program", Options{Form: "body"}, token, event,
			"POST https://api.weixin.qq.com/tcb/invokecloudfunction?access_token=T%2F%2B\nContent-Type: application/json\n" +
				`{"env":"env-1","name":"hello-world","req_data":"{\"a\":\"\\\"<你>\"}"}`},

		{"Invoke with the log's tail", "control-plane", Options{}, fakeKeys(""), event,
			"POST https://scf.tencentcloudapi.com/\n" + invoke + "Authorization: " + id + "scf/tc3_request, SignedHeaders=content-type;host, Signature=SIG (secret)\n" +
				`{"FunctionName":"hello-world","Namespace":"env-1","LogType":"Tail","ClientContext":"{\"a\":\"\\\"<你>\"}"}`},
		{"a version, a session token, no data", "control-plane", Options{}, fakeKeys("S"), func(i *engine.Invocation) {
			i.Step.Target.Qualifier, i.Step.Target.Env, i.Step.Target.Endpoint = "3", "", "http://h"
		},
			"POST http://h/\n" + invoke + "X-TC-Token: S (secret)\nAuthorization: " + id + "scf/tc3_request, SignedHeaders=content-type;host, Signature=SIG (secret)\n" +
				`{"FunctionName":"hello-world","LogType":"Tail","Qualifier":"3"}`},
	}
	for _, tt := range tests {
		t.Run(tt.method+": "+tt.name, func(t *testing.T) {
			var q engine.Request
			if err := method(t, tt.method, tt.o).Encode(call(tt.change), tt.g, fakeNow, &q); err != nil {
				t.Fatal(err)
			}
			if got := mask(render(&q)); got != tt.want {
				t.Errorf("Encode wrote\n%s\nwant\n%s", got, tt.want)
			}
			secret := "T/+"
			if !tt.g.Keys.Session.IsZero() {
				secret = "S\""
			}
			if q.SecretBody != (strings.Contains(string(q.Body), secret)) || q.SecretQuery != strings.Contains(q.Query, "T%2F%2B") {
				t.Errorf("secret body %v, secret query %v", q.SecretBody, q.SecretQuery)
			}
		})
	}
}

// TestVectors holds requests against the signatures of PROTOCOL.md 9, which the
// vendor's own package has computed.
func TestVectors(t *testing.T) {
	gate := func(i *engine.Invocation) { i.Step.Target.Env = "test-env-1a2b3c" }
	signed := func(name string, change func(*engine.Invocation)) string {
		var q engine.Request
		if err := method(t, name, Options{}).Encode(call(change), fakeKeys(""), fakeNow, &q); err != nil {
			t.Fatal(err)
		}
		f, _ := header(&q, "Authorization")
		return f.Value
	}
	const id = "TC3-HMAC-SHA256 Credential=AKIDFAKEFAKEFAKEFAKE0000000000000000/2023-11-14/tcb/tc3_request, "
	if got, want := signed("http-api", func(i *engine.Invocation) {
		gate(i)
		i.Header = []engine.Field{{Name: "Content-Type", Value: "application/json; charset=utf-8"}}
		i.Data = []byte(`{"name":"CloudBase","zh":"你好"}`)
	}), id+"SignedHeaders=content-type;host, Signature=3242bf3927183f24aa0d139ac3cd0cba5967cba452d0fb7c3c35bcb5aa64d0ef, Timestamp=1700000000"; got != want {
		t.Errorf("B: got  %s\nwant %s", got, want)
	}
	if got, want := signed("http-function", func(i *engine.Invocation) {
		gate(i)
		i.Step.HTTP, i.Step.Target.Qualifier, i.Data = &engine.HTTP{Raw: true}, "$LATEST", []byte(`{"a":1}`)
	}), id+"SignedHeaders=content-type;host;x-qualifier, Signature=3b6d8edda8d63ba8c485085abbb80116410b50b5a693ad9207ddf56fa3f7e969, Timestamp=1700000000"; got != want {
		t.Errorf("B2: got  %s\nwant %s", got, want)
	}

	// The vector's own sequence number and agent in the place of ours.
	var q engine.Request
	i := call(func(i *engine.Invocation) {
		gate(i)
		i.Step.Target.Region, i.Step.Target.Qualifier = "", "3"
		i.Data = []byte(`{"name":"CloudBase","zh":"你好"}`)
		i.Header = []engine.Field{{Name: "User-Agent", Value: "tcb-node-sdk/3.18.3"}}
	})
	if err := (nodeSDK{}).Encode(i, fakeKeys(""), fakeNow, &q); err != nil {
		t.Fatal(err)
	}
	const body = `{"action":"functions.invokeFunction","function_name":"hello-world","qualifier":"3","request_data":"{\"name\":\"CloudBase\",\"zh\":\"你好\"}","envName":"test-env-1a2b3c","wxCloudApiToken":"","wxCloudbaseAccesstoken":"","tcb_sessionToken":"","crossAuthorizationToken":""}`
	if string(q.Body) != body {
		t.Errorf("A: the body is\n%s\nwant\n%s", q.Body, body)
	}
	params := nodeSDK{}.params(i, fakeKeys(""), string(i.Data), "")
	q.Header = slices.DeleteFunc(q.Header, func(f engine.Field) bool {
		return f.Name == "Authorization" || f.Name == "X-Timestamp" || f.Name == "X-Signature-Expires"
	})
	q.Query = "env=test-env-1a2b3c&seqId=18bcfe56800_1"
	nodeSDK{}.prove(fakeKeys(""), fakeNow, params, &q)
	f, _ := header(&q, "Authorization")
	if !strings.HasSuffix(f.Value, "Signature=5dc718b311fcdfd091313dcd10159c8774f356a53788dca2e33a1c5cd8a0bdff") {
		t.Errorf("A: %s", f.Value)
	}
}

// TestGrants holds that a token goes before keys, and that keys sign for the
// gateway with their session token at the end.
func TestGrants(t *testing.T) {
	both := fakeKeys("S")
	both.Bearer = auth.NewSecret("T")
	for _, name := range []string{"http-api", "http-function", "node-sdk"} {
		m := method(t, name, Options{})
		var q, k engine.Request
		if err := m.Encode(call(nil), both, fakeNow, &q); err != nil {
			t.Fatal(err)
		}
		if f, _ := header(&q, "Authorization"); f.Value != "Bearer T" || !f.Secret {
			t.Errorf("%s: with a token and keys it sent %q", name, f.Value)
		}
		if err := m.Encode(call(nil), fakeKeys("S"), fakeNow, &k); err != nil {
			t.Fatal(err)
		}
		f, _ := header(&k, "Authorization")
		if !f.Secret || name != "node-sdk" && !strings.HasSuffix(f.Value, ", Timestamp=1700000000, Token=S") {
			t.Errorf("%s: with keys it sent %q", name, f.Value)
		}
	}
	for _, m := range []engine.Method{nodeSDK{version2: true}, controlPlane{}} { // they know no tokens
		var q engine.Request
		if err := m.Encode(call(nil), both, fakeNow, &q); err != nil {
			t.Fatal(err)
		}
		if f, _ := header(&q, "Authorization"); !strings.HasPrefix(f.Value, "TC3-HMAC-SHA256 ") || !f.Secret || strings.Contains(render(&q), "Bearer") {
			t.Errorf("%s: with a token and keys it sent %q", m.Name(), f.Value)
		}
	}
	var q engine.Request
	err := method(t, "http-api", Options{}).Encode(call(func(i *engine.Invocation) {
		i.Header = []engine.Field{{Name: "authorization", Value: "Mine", Secret: true}}
	}), fakeKeys(""), fakeNow, &q)
	if f, _ := header(&q, "Authorization"); err != nil || f.Value != "Mine" {
		t.Errorf("the scenario's own Authorization became %q, %v", f.Value, err)
	}
}

func TestNoncesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for n := range 3 {
		for later := range 2 {
			i := call(func(i *engine.Invocation) { i.Scope.Iteration = int64(n) })
			id := uuid(nonce(i, fakeNow.Add(time.Duration(later))))
			if seen[id] {
				t.Errorf("%s came twice", id)
			}
			seen[id] = true
			if again := uuid(nonce(i, fakeNow.Add(time.Duration(later)))); again != id {
				t.Errorf("the same invocation at the same time had %s, then %s", id, again)
			}
		}
	}
}

func TestNew(t *testing.T) {
	tests := []struct {
		method string
		o      Options
		want   []string
	}{
		{"nothing", Options{}, []string{`method: "nothing"`, "control-plane, http-api, http-function, mini-program, node-sdk, web, web-sdk"}},
		{"http-api", Options{SDK: "2"}, []string{`sdk: "2" is for the methods node-sdk and web-sdk`}},
		{"node-sdk", Options{SDK: "1"}, []string{`sdk: "1"`, "3, 2"}},
		{"web-sdk", Options{SDK: "4"}, []string{`sdk: "4"`, "3, 2, 1"}},
		{"web", Options{Form: "body"}, []string{`form: "body" is for the method mini-program`}},
		{"mini-program", Options{Form: "json"}, []string{`form: "json"`, "query, body"}},
		{"node-sdk", Options{Web: Web{Origin: "https://a"}}, []string{"web: is for the method web"}},
		{"web", Options{Web: Web{Cookies: "never"}}, []string{`web.cookies: "never"`}},
	}
	for _, tt := range tests {
		m, err := New(tt.method, tt.o)
		if err == nil {
			t.Errorf("New(%q, %+v) = %#v, want an error", tt.method, tt.o, m)
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("New(%q, %+v): %q, want %q in it", tt.method, tt.o, err, w)
			}
		}
	}
	for name, zero := range Methods() {
		if m, err := New(name, Options{}); err != nil || m != zero {
			t.Errorf("New(%q) = %#v, %v; want what Methods has", name, m, err)
		}
	}
}

func TestNotes(t *testing.T) {
	tests := []struct {
		method   string
		o        Options
		endpoint string
		want     []string
	}{
		{"mini-program", Options{}, "", []string{"OPENID", "5 s"}},
		{"control-plane", Options{}, "", []string{"100 calls", "$LATEST", "alias $DEFAULT"}},
		{"web", Options{}, "https://e-1.service.tcloudbase.com", []string{"default domain", "custom domain"}},
		{"web", Options{}, "https://e-1-125.ap-shanghai.app.TCLOUDBASE.com/x", []string{"default domain"}},
		{"web", Options{}, "https://fn.example.com", nil},
		{"web", Options{}, "https://tcloudbase.com.example.com", nil},
		{"node-sdk", Options{SDK: "2"}, "", []string{"metadata", "node-sdk 2"}},
		{"web-sdk", Options{SDK: "1"}, "", []string{"web-sdk 1"}},
		{"node-sdk", Options{}, "", []string{"30 ms", "100 connections"}},
		{"web-sdk", Options{}, "", nil},
	}
	for _, tt := range tests {
		n, ok := method(t, tt.method, tt.o).(engine.Noter)
		if !ok {
			t.Fatalf("%s has no notes", tt.method)
		}
		got := strings.Join(n.Notes(&engine.Target{Endpoint: tt.endpoint}), " ")
		if len(tt.want) == 0 && got != "" {
			t.Errorf("%s %+v at %q says %q", tt.method, tt.o, tt.endpoint, got)
		}
		for _, w := range tt.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s %+v says %q, want %q in it", tt.method, tt.o, got, w)
			}
		}
	}
}

// TestLowCode holds which functions version 3 asks through /web, and that their
// answers are read accordingly (PROTOCOL.md 5.1).
func TestLowCode(t *testing.T) {
	for name, backend := range map[string]bool{"lcap-common-service": true, "lcap-datasource-test": true, "lcap-data": true, "lcap-data-x": true,
		"lowcode-datasource": true, "lowcode-datasource-2": true, "cloudbase_module": true, "lowcode-wx-datasource": true,
		"lcap-common": false, "lowcode": false, "cloudbase_module2": false, "hello-world": false} {
		i := call(func(i *engine.Invocation) { i.Step.Function = name })
		var q engine.Request
		var r engine.Reply
		if err := (webSDK{}).Encode(i, grant("T"), fakeNow, &q); err != nil {
			t.Fatal(err)
		}
		webSDK{}.Decode(i, answer(200, `{"code":"SYS_ERR","message":"m"}`), &r)
		if got := q.Path == "/web"; got != backend || (r.Outcome == engine.PlatformError) != backend {
			t.Errorf("%s: asked at %s, read as %v", name, q.Path, r.Outcome)
		}
	}
}

func TestEncodeLibrariesRefuse(t *testing.T) {
	target := func(change func(*engine.Target)) func(*engine.Invocation) {
		return func(i *engine.Invocation) { change(i.Step.Target) }
	}
	all := []string{"node-sdk", "node-sdk:2", "web-sdk", "web-sdk:2", "web-sdk:1", "mini-program", "mini-program:body", "control-plane"}
	env := []string{"node-sdk", "web-sdk", "web-sdk:2", "mini-program", "control-plane"}
	token := []string{"web-sdk", "web-sdk:2", "mini-program"}
	keys := []string{"node-sdk:2", "control-plane"}
	both := fakeKeys("")
	both.Bearer = auth.NewSecret("T")
	tests := []struct {
		name   string
		ways   []string
		g      auth.Grant
		change func(*engine.Invocation)
		want   []string
	}{
		{"a request of one's own", all, both, func(i *engine.Invocation) { i.Step.HTTP = &engine.HTTP{} }, []string{"http: ", "use http-function or web"}},
		{"a name that is none", all, both, func(i *engine.Invocation) { i.Step.Function = "a&b" }, []string{`invoke: "a&b"`}},
		{"no environment", env, both, target(func(t *engine.Target) { t.Env = "" }), []string{"target.env: is empty"}},
		{"an environment that would lead elsewhere", env, both, target(func(t *engine.Target) { t.Env = "evil.com/" }), []string{`target.env: "evil.com/"`}},
		{"a region that would lead elsewhere", []string{"node-sdk", "web-sdk:2", "control-plane"}, both, target(func(t *engine.Target) { t.Region = "evil.com/" }), []string{`target.region: "evil.com/"`}},
		{"data that is no JSON", all, both, func(i *engine.Invocation) { i.Data = []byte("hello") }, []string{`data: "hello"`, "JSON"}},
		{"a list at the gateway", []string{"web-sdk"}, both, func(i *engine.Invocation) { i.Data = []byte("[1]") }, []string{`data: "[1]"`, "JSON object"}},
		{"nothing to prove oneself with", all, auth.Grant{}, nil, []string{"auth: "}},
		{"keys where a token is wanted", token, fakeKeys(""), nil, []string{"auth: ", "token"}},
		{"a token where keys are wanted", keys, grant("hush"), nil, []string{"auth: ", "secret_id and secret_key"}},
		{"half of the keys", []string{"node-sdk", "http-api", "control-plane"}, auth.Grant{Keys: auth.Keys{ID: auth.NewSecret("hush")}}, nil, []string{"auth: ", "belong together"}},
		{"a line break in the id", []string{"node-sdk", "http-api", "control-plane"}, auth.Grant{Keys: auth.Keys{ID: auth.NewSecret("hush\n"), Key: auth.NewSecret("k")}}, nil, []string{"auth: the secret_id", "byte 4"}},
		{"a line break in the session token", keys, fakeKeys("hush\n"), nil, []string{"auth: the session_token", "byte 4"}},
		{"a line break in the token", []string{"node-sdk", "web-sdk", "web-sdk:2", "mini-program"}, grant("hush\n"), nil, []string{"auth: the token", "byte 4"}},
		{"a version where there are none", []string{"web-sdk:2", "web-sdk:1", "mini-program"}, both, target(func(t *engine.Target) { t.Qualifier = "3" }), []string{`target.qualifier: "3"`}},
		{"a version of a function of the low-code service", []string{"web-sdk"}, both, func(i *engine.Invocation) { i.Step.Function, i.Step.Target.Qualifier = "cloudbase_module", "3" }, []string{`target.qualifier: "3"`, "cloudbase_module"}},
		{"a line break in a header", all, both, func(i *engine.Invocation) { i.Header = []engine.Field{{Name: "X-A", Value: "1\n"}} }, []string{"headers: X-A"}},
		{"an endpoint that is none", all, both, target(func(t *engine.Target) { t.Endpoint = "example.com" }), []string{"target.endpoint"}},
		{"WeChat behind an endpoint without an environment", []string{"mini-program"}, both, target(func(t *engine.Target) { t.Endpoint, t.Env = "http://h", "" }), []string{"target.env: is empty"}},
	}
	for _, tt := range tests {
		for _, way := range tt.ways {
			t.Run(way+": "+tt.name, func(t *testing.T) {
				name, option, _ := strings.Cut(way, ":")
				o := Options{SDK: option}
				if option == "body" {
					o = Options{Form: option}
				}
				var q engine.Request
				err := method(t, name, o).Encode(call(tt.change), tt.g, fakeNow, &q)
				if err == nil {
					t.Fatalf("Encode wrote\n%s\nwant an error", render(&q))
				}
				for _, w := range tt.want {
					if !strings.Contains(err.Error(), w) {
						t.Errorf("the error is %q, want %q in it", err, w)
					}
				}
				if strings.Contains(err.Error(), "hush") {
					t.Errorf("the error tells a secret: %q", err)
				}
			})
		}
	}
}

// FuzzStrings holds that what appendString writes says the same again, that it
// is written the one way that JavaScript does, and that members agrees with
// encoding/json.
func FuzzStrings(f *testing.F) {
	f.Add("a\"\\\b\f\n\r\t\x00\x1f\x7f\u2028</script>&你\xff")
	f.Add(`{"a":{"b":[1,"]\\\"",{}]}, "c" : -1.5e3 ,"\u0061":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		b := appendString(nil, text)
		var back string
		if err := json.Unmarshal(b, &back); err != nil || back != strings.ToValidUTF8(text, "\ufffd") {
			t.Fatalf("%q became %s, which says %q, %v", text, b, back, err)
		}
		if unquote(b) != back {
			t.Errorf("unquote(%s) = %q", b, unquote(b))
		}
		var short strings.Builder
		enc := json.NewEncoder(&short)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(back); err != nil {
			t.Fatal(err)
		}
		// encoding/json escapes these two all the same.
		want := strings.NewReplacer("\\u2028", "\u2028", "\\u2029", "\u2029", `\\`, `\\`).Replace(strings.TrimSuffix(short.String(), "\n"))
		if string(b) != want {
			t.Errorf("%q became %s, want %s", text, b, want)
		}
		var std map[string]json.RawMessage
		got := map[string]json.RawMessage{}
		ok := members([]byte(text), func(name string, v []byte) { got[name] = v })
		if err := json.Unmarshal([]byte(text), &std); ok != (err == nil && std != nil) {
			t.Fatalf("members(%q) = %v, encoding/json says %v", text, ok, err)
		}
		for name, v := range std {
			if string(got[name]) != string(v) {
				t.Errorf("members(%q) has %q: %s, want %s", text, name, got[name], v)
			}
		}
		if len(got) != len(std) {
			t.Errorf("members(%q) has %v, want %v", text, got, std)
		}
	})
}

func TestTruthy(t *testing.T) {
	for raw, want := range map[string]bool{"": false, "null": false, "false": false, "true": true, `""`: false, `"0"`: true, "0": false,
		"-0": false, "0.0e5": false, "0.001": true, "-1": true, "1e0": true, "{}": true, "[]": true, `"X"`: true} {
		if got := truthy([]byte(raw)); got != want {
			t.Errorf("truthy(%s) = %v", raw, got)
		}
	}
}
