package cloud

import (
	"strings"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// page is the method web on a page of https://app.example.com, asking another
// origin.
func page(change func(*Web)) web {
	o := Web{Origin: "https://app.example.com", Preflight: true}
	if change != nil {
		change(&o)
	}
	return web{o}
}

func encodePage(t *testing.T, w web, endpoint, verb string, header ...engine.Field) *engine.Request {
	t.Helper()
	var q engine.Request
	i := call(func(i *engine.Invocation) {
		i.Step.Target.Endpoint, i.Step.HTTP, i.Header, i.Path = endpoint, &engine.HTTP{Verb: verb}, header, "/a"
	})
	if err := w.Encode(i, auth.Grant{}, time.Now(), &q); err != nil {
		t.Fatal(err)
	}
	return &q
}

func field(name, value string) engine.Field { return engine.Field{Name: name, Value: value} }

func lineOf(q *engine.Request, name string) string {
	for _, f := range q.Header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// TestPreflights are rows of the Fetch standard: what needs leave, and which
// headers it names.
func TestPreflights(t *testing.T) {
	const there, here = "https://fn.example.com", "https://app.example.com"
	long := strings.Repeat("a", 129)
	tests := []struct {
		name     string
		endpoint string
		verb     string
		header   []engine.Field
		needed   bool
		names    string
	}{
		{"a plain GET", there, "GET", nil, false, ""},
		{"a HEAD", there, "HEAD", nil, false, ""},
		{"a plain POST", there, "POST", nil, false, ""},
		{"another verb", there, "DELETE", nil, true, ""},
		{"JSON", there, "POST", []engine.Field{field("Content-Type", "application/json")}, true, "content-type"},
		{"JSON in a GET, as the vendor's page has it", there, "GET", []engine.Field{field("Content-Type", "application/json")}, true, "content-type"},
		{"text", there, "POST", []engine.Field{field("Content-Type", "text/plain; charset=UTF-8")}, false, ""},
		{"a form", there, "POST", []engine.Field{field("content-type", "application/x-www-form-urlencoded")}, false, ""},
		{"no known type", there, "POST", []engine.Field{field("Content-Type", "text")}, true, "content-type"},
		{"credentials in a header", there, "GET", []engine.Field{field("Authorization", "Bearer x")}, true, "authorization"},
		{"headers of one's own, sorted", there, "GET", []engine.Field{field("X-B", "1"), field("x-a", "2")}, true, "x-a,x-b"},
		{"what browsers set themselves", there, "GET", []engine.Field{field("User-Agent", "x"), field("Cookie", "a=1"), field("Referer", "r"), field("Sec-Fetch-Mode", "cors")}, false, ""},
		{"what may go anyway", there, "GET", []engine.Field{field("Accept", "*/*"), field("Accept-Language", "zh-CN,en;q=0.5")}, false, ""},
		{"a value that is too long", there, "GET", []engine.Field{field("Accept", long)}, true, "accept"},
		{"a value that is too odd", there, "GET", []engine.Field{field("Accept", `"x"`)}, true, "accept"},
		{"a language that is none", there, "GET", []engine.Field{field("Accept-Language", "@")}, true, "accept-language"},
		{"text with a parameter that is none", there, "POST", []engine.Field{field("Content-Type", "Text/Plain ;charset")}, false, ""},
		{"a type with an odd parameter", there, "POST", []engine.Field{field("Content-Type", `multipart/form-data; boundary="x"`)}, true, "content-type"},
		{"what is only like a form", there, "POST", []engine.Field{field("Content-Type", "text/plain2")}, true, "content-type"},
		{"a range", there, "GET", []engine.Field{field("Range", "bytes=0-")}, false, ""},
		{"a range with an end", there, "GET", []engine.Field{field("Range", "bytes=5-9")}, false, ""},
		{"a range of the end", there, "GET", []engine.Field{field("Range", "bytes=-5")}, true, "range"},
		{"a range backwards", there, "GET", []engine.Field{field("Range", "bytes=9-5")}, true, "range"},
		{"two ranges", there, "GET", []engine.Field{field("Range", "bytes=0-1,5-9")}, true, "range"},
		{"two of a name, of which one goes", there, "GET", []engine.Field{field("X-A", "1"), field("x-a", "2")}, true, "x-a"},
		{"the same origin", here, "DELETE", []engine.Field{field("X-A", "1")}, false, ""},
		{"the same origin, its port written out", here + ":443", "DELETE", nil, false, ""},
		{"another scheme's port", here + ":80", "DELETE", nil, true, ""},
		{"the same host by another scheme", "http://app.example.com", "DELETE", nil, true, ""},
		{"the same host at another port", here + ":8443", "DELETE", nil, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := page(nil)
			q := encodePage(t, w, tt.endpoint, tt.verb, tt.header...)
			var ask engine.Request
			if got := w.Preflight(q, &ask); got != tt.needed {
				t.Fatalf("needed: %v, want %v", got, tt.needed)
			}
			if !tt.needed {
				return
			}
			if ask.Verb != "OPTIONS" || ask.Host != q.Host || ask.Path != "/a" || len(ask.Body) != 0 ||
				lineOf(&ask, "Origin") != here || lineOf(&ask, "Access-Control-Request-Method") != tt.verb || lineOf(&ask, "Access-Control-Request-Headers") != tt.names {
				t.Errorf("asks\n%s", render(&ask))
			}
			if lineOf(&ask, "Authorization") != "" || lineOf(&ask, "Cookie") != "" {
				t.Errorf("a preflight carries credentials:\n%s", render(&ask))
			}
		})
	}
	if w := page(func(o *Web) { o.Preflight = false }); w.Preflight(encodePage(t, w, there, "DELETE"), &engine.Request{}) {
		t.Error("a preflight that was not wanted")
	}
}

func TestOrigin(t *testing.T) {
	tests := []struct {
		name, endpoint, verb, want string
		own                        []engine.Field
	}{
		{"to another origin", "https://fn.example.com", "GET", "https://app.example.com", nil},
		{"not with a GET to one's own", "https://app.example.com", "GET", "", nil},
		{"with a POST to one's own", "https://APP.example.com", "POST", "https://app.example.com", nil},
		{"the scenario's own first", "https://fn.example.com", "GET", "null", []engine.Field{field("origin", "null")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := lineOf(encodePage(t, page(nil), tt.endpoint, tt.verb, tt.own...), "Origin"); got != tt.want {
				t.Errorf("Origin %q, want %q", got, tt.want)
			}
		})
	}
	if got := lineOf(encodePage(t, web{}, "https://fn.example.com", "POST"), "Origin"); got != "" {
		t.Errorf("Origin %q without a page", got)
	}
}

func TestLeave(t *testing.T) {
	const origin = "Access-Control-Allow-Origin: https://app.example.com"
	const creds = "Access-Control-Allow-Credentials: true"
	omit := func(o *Web) { o.Credentials = "omit" }
	tests := []struct {
		name   string
		change func(*Web)
		status int
		lines  []string
		lasts  time.Duration
		why    string
	}{
		{"as the vendor gives it", nil, 204, []string{origin, creds, "Access-Control-Allow-Methods: GET, PUT", "Access-Control-Allow-Headers: X-A, content-type", "Access-Control-Max-Age: 600"}, 10 * time.Minute, ""},
		{"200 will do", nil, 200, []string{origin, creds, "Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: x-a"}, 5 * time.Second, ""},
		{"for no longer than browsers keep it", nil, 204, []string{origin, creds, "Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: x-a", "Access-Control-Max-Age: 864000"}, 2 * time.Hour, ""},
		{"for no time", nil, 204, []string{origin, creds, "Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: x-a", "Access-Control-Max-Age: -1"}, 0, ""},
		{"in several lines", nil, 204, []string{origin, creds, "Access-Control-Allow-Methods: GET", "Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: x-a"}, 5 * time.Second, ""},
		{"for everything, without credentials", omit, 204, []string{"Access-Control-Allow-Origin: *", "Access-Control-Allow-Methods: *", "Access-Control-Allow-Headers: *"}, 5 * time.Second, ""},
		{"a redirect is no leave", nil, 301, []string{origin, creds}, 0, "301"},
		{"nor a refusal", nil, 403, []string{origin, creds}, 0, "403"},
		{"no origin", nil, 204, nil, 0, "no Access-Control-Allow-Origin"},
		{"another origin", nil, 204, []string{"Access-Control-Allow-Origin: https://other.example.com", creds}, 0, "other.example.com"},
		{"every origin, with credentials", nil, 204, []string{"Access-Control-Allow-Origin: *", creds}, 0, "does not count"},
		{"no word about credentials", nil, 204, []string{origin}, 0, "Access-Control-Allow-Credentials"},
		{"two origins", nil, 204, []string{origin, origin, creds}, 0, "one value alone"},
		{"two words about credentials", nil, 204, []string{origin, creds, creds}, 0, `"true, true"`},
		{"two lives", nil, 204, []string{origin, creds, "Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: x-a", "Access-Control-Max-Age: 600", "Access-Control-Max-Age: 700"}, 5 * time.Second, ""},
		{"not this verb", nil, 204, []string{origin, creds, "Access-Control-Allow-Methods: GET, POST", "Access-Control-Allow-Headers: x-a"}, 0, "without PUT"},
		{"every verb, with credentials", nil, 204, []string{origin, creds, "Access-Control-Allow-Methods: *", "Access-Control-Allow-Headers: x-a"}, 0, "without PUT"},
		{"not this header", nil, 204, []string{origin, creds, "Access-Control-Allow-Methods: PUT", "Access-Control-Allow-Headers: x-b"}, 0, "without x-a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := page(tt.change)
			q := encodePage(t, w, "https://fn.example.com", "PUT", field("X-A", "1"))
			p := &engine.Response{Status: tt.status}
			for _, l := range tt.lines {
				name, value, _ := strings.Cut(l, ": ")
				p.Header = append(p.Header, field(name, value))
			}
			lasts, err := w.Leave(q, p)
			if tt.why == "" {
				if err != nil || lasts != tt.lasts {
					t.Errorf("%v, %v; want %v", lasts, err, tt.lasts)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("error %v, want one about %q", err, tt.why)
			}
		})
	}
	w := page(omit)
	q := encodePage(t, w, "https://fn.example.com", "GET", field("Authorization", "Bearer x"))
	p := &engine.Response{Status: 204, Header: []engine.Field{field("Access-Control-Allow-Origin", "*"), field("Access-Control-Allow-Headers", "*")}}
	if _, err := w.Leave(q, p); err == nil || !strings.Contains(err.Error(), "authorization") {
		t.Errorf("error %v: * does not cover Authorization", err)
	}
}

func TestCookieRules(t *testing.T) {
	tests := []struct {
		name        string
		credentials string
		endpoint    string
		want        bool
	}{
		{"as a rule they go along", "", "https://fn.example.com", true},
		{"include", "include", "https://fn.example.com", true},
		{"same-origin, at home", "same-origin", "https://app.example.com", true},
		{"same-origin, elsewhere", "same-origin", "https://fn.example.com", false},
		{"omit", "omit", "https://app.example.com", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := page(func(o *Web) { o.Credentials = tt.credentials })
			if got := w.Cookies(encodePage(t, w, tt.endpoint, "GET")); got != tt.want {
				t.Errorf("cookies: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestWebOptions(t *testing.T) {
	tests := []struct {
		o   Web
		why string
	}{
		{Web{}, ""},
		{Web{Origin: "https://app.example.com", Preflight: true, Credentials: "omit", Cookies: "iteration"}, ""},
		{Web{Origin: "http://localhost:3000"}, ""},
		{Web{Origin: "https://app.example.com/"}, ""},
		{Web{Origin: "https://app.example.com:443"}, ""},
		{Web{Origin: "app.example.com"}, "web.origin"},
		{Web{Origin: "https://app.example.com/page"}, "web.origin"},
		{Web{Origin: "https://u:hush@app.example.com"}, "web.origin"},
		{Web{Preflight: true}, "web.preflight"},
		{Web{Credentials: "some"}, "web.credentials"},
		{Web{Cookies: "some"}, "web.cookies"},
	}
	for _, tt := range tests {
		m, err := newWeb(tt.o)
		if tt.why == "" {
			if err != nil {
				t.Errorf("%+v: %v", tt.o, err)
			} else if o := m.(web).Origin; strings.HasSuffix(o, "/") || strings.HasSuffix(o, ":443") {
				t.Errorf("%+v: origin %q", tt.o, o)
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%+v: error %v, want one about %s", tt.o, err, tt.why)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}
