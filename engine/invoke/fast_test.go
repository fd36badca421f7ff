package invoke

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

func openFast(t testing.TB, o Options) *Fast {
	t.Helper()
	f, err := NewFast(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// TestFastWire looks at the very bytes of requests, of those that are written
// each time and of those that are prepared.
func TestFastWire(t *testing.T) {
	field := func(name, value string) engine.Field { return engine.Field{Name: name, Value: value} }
	tests := []struct {
		name string
		q    engine.Request
		want string
	}{
		{"a POST has its length and body", engine.Request{Verb: "POST", Path: "/a", Body: []byte("{}")},
			"POST /a HTTP/1.1\r\nHost: h\r\nUser-Agent: volley/9\r\nContent-Length: 2\r\n\r\n{}"},
		{"a POST without a body has the length 0", engine.Request{Verb: "POST", Path: "/a"},
			"POST /a HTTP/1.1\r\nHost: h\r\nUser-Agent: volley/9\r\nContent-Length: 0\r\n\r\n"},
		{"a PUT, too", engine.Request{Verb: "PUT", Path: "/a"},
			"PUT /a HTTP/1.1\r\nHost: h\r\nUser-Agent: volley/9\r\nContent-Length: 0\r\n\r\n"},
		{"a GET has none", engine.Request{Verb: "GET", Path: "/a", Query: "b=c"},
			"GET /a?b=c HTTP/1.1\r\nHost: h\r\nUser-Agent: volley/9\r\n\r\n"},
		{"a GET may have a body", engine.Request{Verb: "GET", Path: "/a", Body: []byte("x")},
			"GET /a HTTP/1.1\r\nHost: h\r\nUser-Agent: volley/9\r\nContent-Length: 1\r\n\r\nx"},
		{"no path is /", engine.Request{}, "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: volley/9\r\n\r\n"},
		{"an escaped path stays as it is", engine.Request{Verb: "GET", Path: "/a%2Fb%20c/(d)"},
			"GET /a%2Fb%20c/(d) HTTP/1.1\r\nHost: h\r\nUser-Agent: volley/9\r\n\r\n"},
		{"headers go out as they are, Host and User-Agent in place of ours",
			engine.Request{Verb: "GET", Path: "/", Header: []engine.Field{field("host", "other.example"), field("user-agent", "me"), field("x-a", "1"), field("X-A", "2")}},
			"GET / HTTP/1.1\r\nHost: other.example\r\nuser-agent: me\r\nx-a: 1\r\nX-A: 2\r\n\r\n"},
	}
	f := openFast(t, Options{UserAgent: "volley/9"})
	for _, tt := range tests {
		tt.q.Host = "h"
		if got := string(append(appendHead(nil, &tt.q, "volley/9"), tt.q.Body...)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if f.Prepare(&tt.q); string(tt.q.H1) != tt.want {
			t.Errorf("%s: prepared %q, want %q", tt.name, tt.q.H1, tt.want)
		}
	}
	if q := (engine.Request{Host: "h", Verb: "GET"}); string(appendHead(nil, &q, "")) != "GET / HTTP/1.1\r\nHost: h\r\n\r\n" {
		t.Errorf("without an agent: %q", appendHead(nil, &q, ""))
	}
}

// TestLargeBodies holds that a server may answer before it has read a large
// body, and that what it has not read harms nobody.
func TestLargeBodies(t *testing.T) { both(t, largeBodies) }

func largeBodies(t *testing.T, open func(t testing.TB, o Options) Transport) {
	body := strings.Repeat("x", 6<<20)
	t.Run("is read to its end", func(t *testing.T) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		}))
		defer s.Close()
		h := open(t, Options{})
		for range 3 {
			p, tm, err := do(t, h, ask(t, "POST", s.URL, body))
			if err != nil || string(p.Body) != fmt.Sprint(len(body)) || tm.BytesOut != int64(len(body)) {
				t.Fatalf("%q, %v, %d bytes out", p.Body, err, tm.BytesOut)
			}
		}
	})
	t.Run("is refused at once", func(t *testing.T) {
		over := make(chan struct{})
		defer close(over)
		base := rawServer(t, func(_ int, c net.Conn) {
			r := bufio.NewReader(c)
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
			<-over // and reads nothing
		})
		h := open(t, Options{})
		p, _, err := do(t, h, ask(t, "POST", base, body))
		if err != nil || p.Status != 413 || string(p.Body) != "no" {
			t.Errorf("status %d, %q, %v", p.Status, p.Body, err)
		}
	})
}

// TestRestThatNobodyWants lets a server answer a large body that it does not
// read, and keep the connection: the answer is not waited for any longer.
func TestRestThatNobodyWants(t *testing.T) {
	over := make(chan struct{})
	base := rawServer(t, func(_ int, c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, okReply)
			<-over
		}
	})
	defer close(over)
	f := openFast(t, Options{})
	for n := range 2 {
		began := time.Now()
		p, tm, err := do(t, f, ask(t, "POST", base, strings.Repeat("x", 6<<20)))
		if err != nil || string(p.Body) != "ok" || tm.Reused || time.Since(began) > 3*time.Second {
			t.Errorf("exchange %d: %q, %v, reused %v, after %v", n, p.Body, err, tm.Reused, time.Since(began))
		}
	}
}

// TestHalfSentIsNotSentAgain breaks a reused connection between the head and a
// large body: the server has seen something of it.
func TestHalfSentIsNotSentAgain(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	var dials, large atomic.Int64
	f := openFast(t, Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return noLarge{c, &large}, err
	}})
	if _, _, err := do(t, f, ask(t, "POST", s.URL, "x")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := do(t, f, ask(t, "POST", s.URL, strings.Repeat("x", wholeWrite+1))); err == nil || dials.Load() != 1 || large.Load() != 1 {
		t.Errorf("%v after %d connections and %d large writes; want an error, and one of each", err, dials.Load(), large.Load())
	}
}

// A noLarge refuses large writes, and breaks by them.
type noLarge struct {
	net.Conn
	refused *atomic.Int64
}

func (c noLarge) Write(b []byte) (int, error) {
	if len(b) > wholeWrite {
		c.refused.Add(1)
		c.Conn.Close()
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(b)
}

// TestDeadlinesFollow holds that an alarm set for an earlier request neither
// ends a later one too early nor lets it go on.
func TestDeadlinesFollow(t *testing.T) {
	var wait atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the server does not see us leave
		select {
		case <-time.After(time.Duration(wait.Load())):
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	f := openFast(t, Options{})
	base := time.Now()
	send := func(takes, timeout time.Duration) (Timing, error) {
		wait.Store(int64(takes))
		var p engine.Response
		tm := Timing{Base: base, Until: time.Since(base) + timeout}
		err := f.Exchange(t.Context(), 0, ask(t, "POST", s.URL, "x"), &p, &tm)
		return tm, err
	}
	for n, tt := range []struct {
		takes, timeout time.Duration
		out            bool
	}{
		{0, 2 * time.Second, false},
		{600 * time.Millisecond, 2 * time.Second, false},  // the first alarm leaves enough
		{1700 * time.Millisecond, 2 * time.Second, false}, // and rings in the middle of this
		{100 * time.Millisecond, 10 * time.Second, false},
		{0, 10 * time.Second, false},
		{10 * time.Second, 200 * time.Millisecond, true}, // sooner than the one that is set
		{0, time.Second, false},
	} {
		began := time.Now()
		tm, err := send(tt.takes, tt.timeout)
		if errors.Is(err, errTimeout) != tt.out || (err != nil) != tt.out {
			t.Fatalf("exchange %d: %v", n, err)
		}
		if took := time.Since(began); took < min(tt.takes, tt.timeout) || took > min(tt.takes, tt.timeout)+3*time.Second {
			t.Errorf("exchange %d took %v", n, took)
		}
		if tm.Reused != (n > 0 && n != 6) {
			t.Errorf("exchange %d: reused %v", n, tm.Reused)
		}
	}
}

// TestContextsOfOthers holds that the end of a context that has nothing to do
// any more harms no later request on the same connection.
func TestContextsOfOthers(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(5 * time.Millisecond) }))
	defer s.Close()
	f := openFast(t, Options{Connections: 1})
	base := time.Now()
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var p engine.Response
			tm := Timing{Base: base, Until: time.Minute}
			if err := f.Exchange(ctx, 0, ask(t, "POST", s.URL, "x"), &p, &tm); err != nil {
				t.Errorf("exchange %d: %v", n, err)
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var p engine.Response
	if err := f.Exchange(ctx, 0, ask(t, "POST", s.URL, "x"), &p, &Timing{Base: base, Until: time.Minute}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// TestSilentServer holds that a server which closes every connection after a
// reply, without a word, costs a request at first, and none after that.
func TestSilentServer(t *testing.T) {
	base := rawServer(t, func(_ int, c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, okReply)
		}
	})
	f := openFast(t, Options{})
	bad := 0
	for range 100 {
		if _, _, err := do(t, f, ask(t, "GET", base, "")); err != nil {
			bad++
		}
		time.Sleep(time.Millisecond) // its end is on the way
	}
	if bad > 5 {
		t.Errorf("%d of 100 requests failed", bad)
	}
}

// TestBrokenConnectionsAreNoMore holds that a connection that broke makes room
// for another.
func TestBrokenConnectionsAreNoMore(t *testing.T) {
	base := rawServer(t, func(n int, c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil && n%2 == 1 {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		}
	})
	f := openFast(t, Options{Connections: 2})
	var all sync.WaitGroup
	var good atomic.Int64
	for range 8 {
		all.Go(func() {
			for range 10 {
				if _, _, err := do(t, f, ask(t, "GET", base, "")); err == nil {
					good.Add(1)
				} else if errors.Is(err, errTimeout) {
					t.Error("it waited in vain for a connection")
				}
			}
		})
	}
	all.Wait()
	if good.Load() != 40 {
		t.Errorf("%d of 80 requests went well, want every other", good.Load())
	}
	if h := f.hosts[place{false, strings.TrimPrefix(base, "http://")}]; h.open != 0 || len(h.all) != 0 || len(h.waiting) != 0 {
		t.Errorf("%d open, %d known, %d waiting; want none", h.open, len(h.all), len(h.waiting))
	}
}

// TestNothingOfTheLastReply holds that what is told of a reply that never came
// is not the last one's.
func TestNothingOfTheLastReply(t *testing.T) {
	both(t, func(t *testing.T, open func(t testing.TB, o Options) Transport) {
		base := rawServer(t, func(_ int, c net.Conn) {
			b := make([]byte, 4096)
			c.Read(b)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000))
			c.Read(b) // and nothing more
			c.Read(b)
		})
		h := open(t, Options{})
		var tm Timing // used again, as attempts do
		for n, want := range []int64{1000, 0} {
			var p engine.Response
			tm.reset(time.Now(), 0, 200*time.Millisecond)
			if err := h.Exchange(t.Context(), 0, ask(t, "POST", base, "x"), &p, &tm); (err == nil) != (n == 0) || tm.BytesIn != want {
				t.Errorf("exchange %d: error %v, %d bytes in, want %d", n, err, tm.BytesIn, want)
			}
		}
	})
}

// TestForgottenHost lets a host be forgotten between the moments when a request
// finds it and when it asks for a connection.
func TestForgottenHost(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	q := ask(t, "GET", s.URL, "")
	base := time.Now()
	t.Run("HTTP/1.1", func(t *testing.T) {
		f := openFast(t, Options{})
		if _, _, err := do(t, f, q); err != nil {
			t.Fatal(err)
		}
		old, _ := f.host(q)
		if !old.forget() {
			t.Fatal("an idle host is not forgotten")
		}
		delete(f.hosts, old.to)
		found := *q
		found.Way = old
		if _, tm, err := do(t, f, &found); err != nil || tm.Reused || tm.Phases.Connect < 0 {
			t.Errorf("timing %+v, error %v", tm, err)
		}
		if h, _ := f.host(q); h == old || h.open != 1 {
			t.Errorf("the new host has %d connections", h.open)
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		f := openH2(t, Options{})
		if _, _, err := do(t, f, q); err != nil {
			t.Fatal(err)
		}
		old, _ := f.host(q)
		if !old.forget() {
			t.Fatal("an idle host is not forgotten")
		}
		delete(f.hosts, old.to)
		var p engine.Response
		tm := Timing{Base: base}
		tm.begin()
		if err := f.exchange(t.Context(), 0, old, nil, q, &p, &tm); err != nil || tm.Phases.Connect < 0 {
			t.Errorf("timing %+v, error %v", tm, err)
		}
		if old.counted != 0 {
			t.Errorf("the old host has %d connections", old.counted)
		}
		if h, _ := f.host(q); h == old || h.counted != 1 {
			t.Errorf("the new host has %d connections", h.counted)
		}
	})
}

// TestHostsAreBounded lets redirects, say, lead to ever new hosts.
func TestHostsAreBounded(t *testing.T) {
	a := openAuto(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }})
	for n := range maxHosts + 50 {
		_, _, _ = do(t, a, ask(t, "GET", fmt.Sprintf("http://h%d.example", n), ""))
	}
	if n := len(a.fast.hosts); n > maxHosts {
		t.Errorf("%d hosts are remembered", n)
	}
	if n := len(a.ways); n > maxHosts {
		t.Errorf("%d ways are remembered", n)
	}
}

// A wordy method counts how often it is asked for a request, and whether the
// same would do.
type wordy struct {
	plain
	asked  *atomic.Int64
	steady bool
}

func (m wordy) Encode(i *engine.Invocation, g auth.Grant, now time.Time, to *engine.Request) error {
	m.asked.Add(1)
	return m.plain.Encode(i, g, now, to)
}

func (m wordy) Steady(auth.Grant) bool { return m.steady }

func TestSteadyRequestsAreWrittenOnce(t *testing.T) {
	tests := []struct {
		name           string
		static, steady bool
		tokens         []string
		want           int64
	}{
		{"what is the same each time", true, true, []string{"a", "a", "a", "a"}, 1},
		{"with a new token anew", true, true, []string{"a", "a", "b", "b"}, 2},
		{"what a method makes anew each time", true, false, []string{"a", "a", "a"}, 3},
		{"what the scenario makes anew each time", false, true, []string{"a", "a", "a"}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{}
			c := &Client{Transport: s, Base: time.Now()}
			m := wordy{asked: new(atomic.Int64), steady: tt.steady}
			in := call(func(i *engine.Invocation) { i.Step.Target.Method, i.Step.Static = m, tt.static }).Step
			var r engine.Result // used again, as the loop does
			var token string
			in.Target.Auth = source(func(context.Context) (auth.Grant, error) { return auth.Grant{Bearer: auth.NewSecret(token)}, nil })
			var n int
			for n, token = range tt.tokens {
				i := &engine.Invocation{Step: in, Scope: &engine.Scope{}, Data: []byte("x")}
				c.Invoke(t.Context(), i, &r)
				if got := s.asked[n].Header[0].Value; got != token {
					t.Errorf("request %d had the token %q, want %q", n, got, token)
				}
				// Another step between them, which writes on the same form.
				other := call(nil)
				c.Invoke(t.Context(), other, &r)
				s.asked = s.asked[:n+1]
			}
			if got := m.asked.Load(); got != tt.want {
				t.Errorf("written %d times, want %d", got, tt.want)
			}
		})
	}
}

// TestSlowBodies holds that the end is when the last byte is there, whichever way
// a body is read.
func TestSlowBodies(t *testing.T) { both(t, slowBodies) }

func slowBodies(t *testing.T, open func(t testing.TB, o Options) Transport) {
	const part = 20_000
	body := strings.Repeat("x", part)
	for name, head := range map[string]string{
		"of a length":   fmt.Sprintf("Content-Length: %d\r\n\r\n", 2*part),
		"in chunks":     fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", 2*part),
		"until the end": "Connection: close\r\n\r\n",
	} {
		base := rawServer(t, func(_ int, c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\n"+head)
			io.WriteString(c, body)
			time.Sleep(50 * time.Millisecond)
			io.WriteString(c, body)
			if name == "in chunks" {
				io.WriteString(c, "\r\n0\r\n\r\n")
			}
		})
		p, tm, err := do(t, open(t, Options{}), ask(t, "GET", base, ""))
		if err != nil || len(p.Body) != 2*part || tm.Phases.Receive < 45*time.Millisecond || tm.End-tm.Start < 45*time.Millisecond {
			t.Errorf("%s: %d bytes, receive %v, all %v, %v", name, len(p.Body), tm.Phases.Receive, tm.End-tm.Start, err)
		}
	}
}

// TestWays holds that nobody has to guess what carried the requests.
func TestWays(t *testing.T) {
	plainly := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer plainly.Close()
	h2 := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h2.EnableHTTP2 = true
	h2.StartTLS()
	defer h2.Close()
	proxied := "http://far.example"
	a := openAuto(t, Options{Insecure: true, Proxy: func(u *url.URL) (*url.URL, error) {
		if u.Host == "far.example" {
			return url.Parse(plainly.URL)
		}
		return nil, nil //nolint:nilnil // no proxy is no error
	}})
	for _, base := range []string{plainly.URL, h2.URL, proxied} {
		if _, _, err := do(t, a, ask(t, "GET", base, "")); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{plainly.URL: "", h2.URL: "", proxied: "a proxy"}
	ways := a.Ways()
	for _, w := range ways {
		if because, ok := want[w.Host]; !ok || because != w.Because {
			t.Errorf("%s by net/http because of %q, want %q", w.Host, w.Because, because)
		}
	}
	if len(ways) != len(want) {
		t.Errorf("ways %v, want %d", ways, len(want))
	}
}
