package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The keys and the time of all vectors of PROTOCOL.md 9.
func vectorKeys() Keys {
	return Keys{ID: NewSecret("AKIDFAKEFAKEFAKEFAKE0000000000000000"), Key: NewSecret("FAKEKEYfakekeyFAKEKEYfakekey0000")}
}

func vectorTime() time.Time { return time.Unix(1700000000, 0) }

func TestDerivedKeysAreTheVendors(t *testing.T) {
	date := mac([]byte("TC3"+vectorKeys().Key.Reveal()), []byte("2023-11-14"))
	service := mac(date, []byte("tcb"))
	for _, step := range []struct {
		name      string
		key       []byte
		wantInHex string
	}{
		{"of the day", date, "9c5261a5a2d4aeb53cb8225a7676c62420cdec94c8a3f22c0fdcd2e514ac3e40"},
		{"of the service", service, "e18926b3b952fe95f0257dfa81385a51e2eff3aa2161501f2dfedd83d06d857d"},
		{"that signs", derive(vectorKeys().Key.Reveal(), "2023-11-14", "tcb"), "fe45c971f47f00dd7e8ce93d333729d4f7887b142df96c2d695a54ccfa501620"},
	} {
		if got := hex.EncodeToString(step.key); got != step.wantInHex {
			t.Errorf("the key %s is %s, want %s", step.name, got, step.wantInHex)
		}
	}
}

// vectorA is the request of PROTOCOL.md 9, variant A.
func vectorA() Signable {
	return Signable{
		Verb: "POST", Host: "test-env-1a2b3c.tcb-api.tencentcloudapi.com", Path: "/admin", Query: "env=test-env-1a2b3c&seqId=18bcfe56800_1",
		Header: [][2]string{
			{"User-Agent", "tcb-node-sdk/3.18.3"}, {"X-TCB-Source", ",unknown"}, {"X-Client-Timestamp", "1700000001123"},
			{"X-SDK-Version", "tcb-node-sdk/3.18.3"}, {"Content-Type", "application/json"},
		},
		Params: [][2]string{
			{"action", "functions.invokeFunction"}, {"function_name", "hello-world"}, {"qualifier", "3"},
			{"request_data", `{"name":"CloudBase","zh":"你好"}`}, {"envName", "test-env-1a2b3c"}, {"wxCloudApiToken", ""},
			{"wxCloudbaseAccesstoken", ""}, {"tcb_sessionToken", ""}, {"crossAuthorizationToken", ""},
		},
	}
}

func vectorB() Signable {
	return Signable{
		Verb: "post", Host: "test-env-1a2b3c.api.tcloudbasegateway.com", Path: "/v1/functions/hello-world",
		Header: [][2]string{{"Content-Type", "application/json; charset=utf-8"}}, Body: []byte(`{"name":"CloudBase","zh":"你好"}`),
	}
}

func TestCanonicalRequestsAreTheVendors(t *testing.T) {
	a, b := vectorA(), vectorB()
	payload, _ := a.params()
	got, _ := a.request("post", "//"+a.Host+a.Path, payload)
	want := `post
//test-env-1a2b3c.tcb-api.tencentcloudapi.com/admin
env=test-env-1a2b3c&seqId=18bcfe56800_1
content-type:application/json
host:test-env-1a2b3c.tcb-api.tencentcloudapi.com
user-agent:tcb-node-sdk/3.18.3
x-client-timestamp:1700000001123
x-sdk-version:tcb-node-sdk/3.18.3
x-tcb-source:,unknown

content-type;host;user-agent;x-client-timestamp;x-sdk-version;x-tcb-source
323b0960dcb002e98723aab978887cd4a2a1b383335d9e03160ff3eab5d4bd69`
	if string(got) != want {
		t.Errorf("variant A:\n%s\nwant\n%s", got, want)
	}
	if hashed, want := sha256.Sum256(got), "24a72c3ff58b0157fed370c640ec2dd18c4978f059b75f7d5ab55916d7f0fdcb"; hex.EncodeToString(hashed[:]) != want {
		t.Errorf("variant A's hash is %x, want %s", hashed, want)
	}

	got, _ = b.request("POST", b.Path, sha256.Sum256(b.Body))
	want = `POST
/v1/functions/hello-world

content-type:application/json; charset=utf-8
host:test-env-1a2b3c.api.tcloudbasegateway.com

content-type;host
5e515fc678b1cf6e1a43866f65c0acae87440c9134015cc0acb60c42c090dcc0`
	if string(got) != want {
		t.Errorf("variant B:\n%s\nwant\n%s", got, want)
	}
}

func TestSignaturesOfTheVectors(t *testing.T) {
	const credential = "TC3-HMAC-SHA256 Credential=AKIDFAKEFAKEFAKEFAKE0000000000000000/2023-11-14/"
	k, at := vectorKeys(), vectorTime()
	short := k
	short.Session = NewSecret("sts, with=odd;bytes")

	all := vectorA()
	all.AllParams = true
	b2 := vectorB()
	b2.Query, b2.Body = "webfn=true", []byte(`{"a":1}`)
	b2.Header = [][2]string{{"X-Qualifier", "$LATEST"}, {"content-type", "application/json"}}
	// The vendor's own example: https://cloud.tencent.com/document/api/213/30654
	c := Signable{
		Verb: "POST", Host: "cvm.tencentcloudapi.com", Path: "/", Header: [][2]string{{"content-type", "application/json; charset=utf-8"}},
		Body: []byte(`{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}`),
	}
	example := Keys{ID: NewSecret("AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******"), Key: NewSecret("Gu5t9xGARNpq86cd98joQYCN3*******")}

	for _, row := range []struct{ name, got, want string }{
		{
			"variant A, as node-sdk 3 does it", SignAdmin(k, at, vectorA()),
			credential + "tcb/tc3_request, SignedParams=action;envname;function_name;qualifier;request_data, SignedHeaders=content-type;host;user-agent;x-client-timestamp;x-sdk-version;x-tcb-source, Signature=5dc718b311fcdfd091313dcd10159c8774f356a53788dca2e33a1c5cd8a0bdff",
		},
		{
			"variant A, as node-sdk 2 does it: all fields named, the same ones signed", SignAdmin(k, at, all),
			credential + "tcb/tc3_request, SignedParams=action;crossauthorizationtoken;envname;function_name;qualifier;request_data;tcb_sessiontoken;wxcloudapitoken;wxcloudbaseaccesstoken, SignedHeaders=content-type;host;user-agent;x-client-timestamp;x-sdk-version;x-tcb-source, Signature=5dc718b311fcdfd091313dcd10159c8774f356a53788dca2e33a1c5cd8a0bdff",
		},
		{
			"variant B", SignGateway(k, at, vectorB()),
			credential + "tcb/tc3_request, SignedHeaders=content-type;host, Signature=3242bf3927183f24aa0d139ac3cd0cba5967cba452d0fb7c3c35bcb5aa64d0ef, Timestamp=1700000000",
		},
		{
			"variant B with keys for a while: their token is not signed", SignGateway(short, at, vectorB()),
			credential + "tcb/tc3_request, SignedHeaders=content-type;host, Signature=3242bf3927183f24aa0d139ac3cd0cba5967cba452d0fb7c3c35bcb5aa64d0ef, Timestamp=1700000000, Token=sts, with=odd;bytes",
		},
		{
			"variant B with a query and a header more", SignGateway(k, at, b2),
			credential + "tcb/tc3_request, SignedHeaders=content-type;host;x-qualifier, Signature=3b6d8edda8d63ba8c485085abbb80116410b50b5a693ad9207ddf56fa3f7e969, Timestamp=1700000000",
		},
		{
			"variant C", SignCloudAPI(example, "cvm", time.Unix(1551113065, 0), c),
			"TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host, Signature=2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c",
		},
	} {
		if row.got != row.want {
			t.Errorf("%s:\n%s\nwant\n%s", row.name, row.got, row.want)
		}
	}
}

// An example is one request that testdata/signatures.mjs had the vendor's
// package sign.
type example struct {
	Variant, ID, Key, Session, Service string
	Timestamp                          int64
	Verb, Host, Path, Query            string
	Header, Params                     [][2]string
	Body                               string
	Authorization                      string
}

func examples(t testing.TB) []example {
	t.Helper()
	text, err := os.ReadFile("testdata/signatures.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// signed is what we make of e.
func (e example) signed() string {
	k := Keys{ID: NewSecret(e.ID), Key: NewSecret(e.Key), Session: NewSecret(e.Session)}
	s := Signable{
		Verb: e.Verb, Host: e.Host, Path: e.Path, Query: e.Query, Header: e.Header,
		Body: []byte(e.Body), Params: e.Params, AllParams: e.Variant == "A2",
	}
	at := time.Unix(e.Timestamp, 0)
	switch e.Variant {
	case "A", "A2":
		return SignAdmin(k, at, s)
	case "B":
		return SignGateway(k, at, s)
	case "C":
		return SignCloudAPI(k, e.Service, at, s)
	}
	return "no variant " + e.Variant
}

func TestSignaturesAreTheVendors(t *testing.T) {
	count := map[string]int{}
	for i, e := range examples(t) {
		count[e.Variant]++
		if got := e.signed(); got != e.Authorization {
			t.Errorf("request %d of variant %s: %+v\n%s\nwant\n%s", i, e.Variant, e, got, e.Authorization)
		}
	}
	for _, variant := range []string{"A", "A2", "B", "C"} {
		if count[variant] < 40 {
			t.Errorf("%d requests of variant %s: too few to say anything", count[variant], variant)
		}
	}
}

// A host among the header lines is signed instead of the one beside them.
func TestHostIsAlwaysSigned(t *testing.T) {
	without := vectorB()
	with := without
	with.Host, with.Header = "another", append([][2]string{{" HOST", strings.ToUpper(without.Host)}}, without.Header...)
	if a, b := SignGateway(vectorKeys(), vectorTime(), with), SignGateway(vectorKeys(), vectorTime(), without); a != b {
		t.Errorf("with a line of its own: %s\nwithout: %s", a, b)
	}
}

func TestSigningChangesNothing(t *testing.T) {
	room := make([][2]string, 0, 8)
	s := vectorA()
	s.Header = append(room, s.Header...)
	header, params := slices.Clone(s.Header), slices.Clone(s.Params)
	SignAdmin(vectorKeys(), vectorTime(), s)
	if !slices.Equal(s.Header, header) || !slices.Equal(s.Params, params) {
		t.Errorf("signing changed what it was given: %v %v", s.Header, s.Params)
	}
	if got := s.Header[:len(header)+1][len(header)]; got != ([2]string{}) {
		t.Errorf("signing wrote %v behind the header lines it was given", got)
	}
}

func TestParseSignatureGivesBackWhatWasSigned(t *testing.T) {
	for i, e := range examples(t) {
		g, err := ParseSignature(e.Authorization)
		if err != nil {
			t.Errorf("request %d: %v", i, err)
			continue
		}
		want := Signature{ID: e.ID, Date: time.Unix(e.Timestamp, 0).UTC().Format(time.DateOnly), Service: e.Service}
		if e.Variant == "B" {
			want.Timestamp, want.Token = e.Timestamp, e.Session
		}
		if g.ID != want.ID || g.Date != want.Date || g.Service != want.Service || g.Timestamp != want.Timestamp || g.Token != want.Token {
			t.Errorf("request %d: %+v, want %+v", i, g, want)
		}
		parts := " SignedHeaders=" + strings.Join(g.Headers, ";") + ", Signature=" + g.Value
		if e.Variant[0] == 'A' {
			parts = " SignedParams=" + strings.Join(g.Params, ";") + "," + parts
		}
		if !strings.Contains(e.Authorization, ","+parts) {
			t.Errorf("request %d: %q is not in %q", i, parts, e.Authorization)
		}
	}
}

func TestParseSignatureRefuses(t *testing.T) {
	value := strings.Repeat("0f", 32)
	good := "TC3-HMAC-SHA256 Credential=id/2023-11-14/tcb/tc3_request, SignedHeaders=host, Signature=" + value
	if _, err := ParseSignature(good); err != nil {
		t.Fatalf("a plain one: %v", err)
	}
	change := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%q is not in %q", from, good)
		}
		return strings.Replace(good, from, to, 1)
	}
	for name, authorization := range map[string]string{
		"nothing":                      "",
		"a bearer token":               "Bearer abc",
		"another algorithm":            change("SHA256", "SM3"),
		"no parts":                     "TC3-HMAC-SHA256 ",
		"no credential":                change("Credential=id/2023-11-14/tcb/tc3_request, ", ""),
		"no signed headers":            change("SignedHeaders=host, ", ""),
		"no signature":                 change(", Signature="+value, ""),
		"a part twice":                 good + ", SignedHeaders=host",
		"a part it does not know":      good + ", Nonce=1",
		"a credential without a scope": change("id/2023-11-14/tcb/tc3_request", "id"),
		"another end of the scope":     change("tc3_request", "tc2_request"),
		"no id":                        change("=id/", "=/"),
		"no service":                   change("/tcb/", "//"),
		"a day that is none":           change("2023-11-14", "2023-11-31"),
		"a signature cut short":        change(value, value[1:]),
		"a signature of other digits":  change("0f", "0g"),
		"a time that is no number":     good + ", Timestamp=soon",
		"a time before all times":      good + ", Timestamp=-1",
		"a time beyond all times":      good + ", Timestamp=99999999999999999999",
		"more than a header carries":   good + ", Token=" + strings.Repeat("x", maxAuthorization),
	} {
		if g, err := ParseSignature(authorization); err == nil {
			t.Errorf("%s: %q gives %+v, want an error", name, authorization, g)
		}
	}
}

// What ParseSignature takes apart can be put together again, to the same parts.
func FuzzParseSignature(f *testing.F) {
	for _, e := range examples(f)[:40] {
		f.Add(e.Authorization)
	}
	f.Add("TC3-HMAC-SHA256 Credential=a/b/2023-11-14/tcb/tc3_request,SignedHeaders=,Signature=" + strings.Repeat("0", 64) + ",Token=a, b")
	f.Fuzz(func(t *testing.T, authorization string) {
		g, err := ParseSignature(authorization)
		if err != nil {
			return
		}
		again := "TC3-HMAC-SHA256 Credential=" + g.ID + "/" + g.Date + "/" + g.Service + "/tc3_request, SignedParams=" + strings.Join(g.Params, ";") +
			", SignedHeaders=" + strings.Join(g.Headers, ";") + ", Signature=" + g.Value
		if g.Timestamp != 0 {
			again += ", Timestamp=" + strconv.FormatInt(g.Timestamp, 10)
		}
		if g.Token != "" {
			again += ", Token=" + g.Token
		}
		if len(again) > maxAuthorization {
			return
		}
		h, err := ParseSignature(again)
		if err != nil {
			t.Fatalf("%q, made of %q: %v", again, authorization, err)
		}
		if !slices.Equal(g.Headers, h.Headers) || !slices.Equal(g.Params, h.Params) || g.ID != h.ID || g.Value != h.Value || g.Timestamp != h.Timestamp || g.Token != h.Token {
			t.Errorf("%q gives %+v, and put together again %+v", authorization, g, h)
		}
	})
}

func BenchmarkSignAdmin(b *testing.B) {
	k, at, s := vectorKeys(), vectorTime(), vectorA()
	b.ReportAllocs()
	for b.Loop() {
		SignAdmin(k, at, s)
	}
}

func BenchmarkSignGateway(b *testing.B) {
	k, at, s := vectorKeys(), vectorTime(), vectorB()
	b.ReportAllocs()
	for b.Loop() {
		SignGateway(k, at, s)
	}
}
