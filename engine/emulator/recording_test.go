package emulator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// recordOf returns the lines that s wrote about the requests, in their order.
func recordOf(t testing.TB, c Config, requests ...*http.Request) []recorded {
	t.Helper()
	var out bytes.Buffer
	c.Record = &out
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		ask(s, r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(&out)
	scan.Buffer(nil, 1<<20)
	var lines []recorded
	for scan.Scan() {
		if len(lines) == 0 && strings.Contains(scan.Text(), `"schema":"volley.record/1"`) {
			continue
		}
		var l recorded
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", scan.Bytes(), err)
		}
		lines = append(lines, l)
	}
	return lines
}

func TestRecord(t *testing.T) {
	const body = `{"name":"<é>","zh":"你好"}`
	signed := request("POST http://env.example/v1/functions/fn?b=2&a=%41", body, "X-Qualifier: 3", "Content-Type: application/json", "X-Request-Id: mine")
	signGateway(signed, body, keysOf("AKIDid", "thekey", "thetoken"), time.Unix(1700000000, 0))
	signature := signed.Header.Get("Authorization")
	lines := recordOf(t, Config{Functions: map[string]Function{"fn": {}}}, signed,
		request("GET /fn/a%20b", ""), request("POST /fn", "\x00\xff\x01"), request("POST /fn", "x"+strings.Repeat("é", recordedBody)),
		request("POST /fn", "zipped password", "Content-Encoding: gzip"))
	if len(lines) != 5 {
		t.Fatalf("%d lines, want 5", len(lines))
	}
	l := lines[0]
	if l.Seq != 1 || l.ID != "mine" || l.Protocol != byGateway || l.Proto != "HTTP/1.1" || l.Method != "POST" || l.Scheme != "http" || l.Host != "env.example" ||
		l.Path != "/v1/functions/fn" || l.Query != "b=2&a=%41" || l.Body != body || l.Bytes != len(body) || l.Cut || l.Arrival <= 0 {
		t.Errorf("got %+v", l)
	}
	want := [][2]string{{"Authorization", "TC3-HMAC-SHA256 Credential=[secret]/2023-11-14/tcb/tc3_request, SignedHeaders=content-type;host;x-qualifier;x-request-id, Signature=[secret], Timestamp=1700000000, Token=[secret]"},
		{"Content-Type", "application/json"}, {"X-Qualifier", "3"}, {"X-Request-Id", "mine"}}
	if !slices.Equal(l.Headers, want) {
		t.Errorf("headers %q of %s, want %q", l.Headers, signature, want)
	}
	if l := lines[1]; l.Seq != 2 || l.Path != "/fn/a%20b" || l.Protocol != byAccess || l.Body != "" || l.Bytes != 0 || l.Arrival <= lines[0].Arrival {
		t.Errorf("got %+v", l)
	}
	if l := lines[2]; string(l.Base64) != "\x00\xff\x01" || l.Body != "" {
		t.Errorf("got %+v", l)
	}
	if l := lines[3]; !l.Cut || l.Bytes != 2*recordedBody+1 || l.Body != "x"+strings.Repeat("é", recordedBody/2-1) {
		t.Errorf("a long body: %d of %d bytes, cut %v", len(l.Body), l.Bytes, l.Cut)
	}
	if l := lines[4]; !l.Encoded || l.Body != "" || l.Base64 != nil || l.Bytes != 15 {
		t.Errorf("got %+v", l)
	}
}

// What is written down does not change what is answered.
func TestRecordIsNotInTheWay(t *testing.T) {
	c := world()
	c.Record = io.Discard
	s := start(t, c)
	res := ask(s, request("POST /v1/functions/echo", `{"a":"`+strings.Repeat("x", 1000)+`"}`, token))
	if res.StatusCode != 413 {
		t.Errorf("status %d of a body that is too long, want 413", res.StatusCode)
	}
	r := request("POST /v1/functions/echo", `{"a":1}`, token)
	given := r.Body
	if got := text(t, ask(s, r)); got != `{"a":1}` || r.Body != given {
		t.Errorf("the answer is %s, and the request its own: %v", got, r.Body == given)
	}
}

func TestMask(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"a field", `{"a":1, "password" : "s3cret"}`, `{"a":1, "password" : "[secret]"}`},
		{"a field in other letters", `{"sessionToken":"s3cret","SECRET":"s3cret"}`, `{"sessionToken":"[secret]","SECRET":"[secret]"}`},
		{"a field deep down", `[{"a":{"refresh_token":"s3cret"}}]`, `[{"a":{"refresh_token":"[secret]"}}]`},
		{"a field by another spelling", `{"p\u0061ssword":"s3cret"}`, `{"p\u0061ssword":"[secret]"}`},
		{"a quote in it", `{"secret":"s3\"cret","b":2}`, `{"secret":"[secret]","b":2}`},
		{"nothing", `{"access_token":"","wxCloudApiToken":null}`, `{"access_token":"","wxCloudApiToken":null}`},
		{"what is no text", `{"token":["s3cret",{"a":"s3cret"}],"secret":12345,"a":1}`, `{"token":"[secret]","secret":"[secret]","a":1}`},
		{"JSON in JSON", `{"request_data":"{\"password\":\"s3cret\",\"n\":\"<\"}"}`, `{"request_data":"{\"password\":\"[secret]\",\"n\":\"<\"}"}`},
		{"JSON in JSON without secrets, as it is", `{"request_data":"{ \"a\":\"\u003c\"}"}`, `{"request_data":"{ \"a\":\"\u003c\"}"}`},
		{"half of it", `{"password":"s3cr`, `{"password":"[secret]"`},
		{"a form", `a=1&password=s3cret&b=`, `a=1&password=[secret]&b=`},
		{"a word that is no name", `{"a":"password","b":"s"}`, `{"a":"password","b":"s"}`},
	} {
		if got := string(maskBody([]byte(tt.in))); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct{ header, in, want string }{
		{"Authorization", "Bearer s3cret", "Bearer [secret]"},
		{"Authorization", "s3cret", "[secret]"},
		{"Authorization", "s3cret and more", "[secret]"},
		{"Authorization", "basic s3cret", "basic [secret]"},
		{"Authorization", "TC3-HMAC-SHA256 Credential=s3cret, Signature=s3cret, Token=a,b=s3cret, c", "TC3-HMAC-SHA256 Credential=[secret], Signature=[secret], Token=[secret]"},
		{"Cookie", "a=s3cret; b=s3cret", "a=[secret]; b=[secret]"},
		{"Cookie", "s3cret; a=s3cret; ", "[secret]; a=[secret]; "},
		{"X-Tc-Token", "s3cret", "[secret]"},
		{"X-Tc-Action", "Invoke", "Invoke"},
	} {
		if got := maskHeader(tt.header, tt.in); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, got, tt.want)
		}
	}
	if got := maskQuery("env=e&access%5Ftoken=s3cret&access_token=s3cret&x&name=f"); got != "env=e&access%5Ftoken=[secret]&access_token=[secret]&x&name=f" {
		t.Errorf("got %s", got)
	}
}

// Whatever a body is, masking ends, and leaves no secret that stands as one.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{`{"a":1}`, `{"password":"x"`, `"{\"a\":\"b\"}"`, `\`, `{"a":[{"token":{"b":"c"}}]}`, "a=b&c"} {
		f.Add(seed, "x")
	}
	f.Fuzz(func(t *testing.T, around, secret string) {
		_ = maskBody([]byte(around))
		secret = "s3cret" + secret
		inner, _ := json.Marshal(map[string]any{"n": around, "password": secret})
		outer, _ := json.Marshal(map[string]any{"request_data": string(inner), "token": secret})
		if got := maskBody(outer); bytes.Contains(got, []byte("s3cret")) && !strings.Contains(around, "s3cret") {
			t.Errorf("%s shows the secret: %s", outer, got)
		} else if !json.Valid(got) {
			t.Errorf("%s is masked to %s", outer, got)
		}
	})
}
