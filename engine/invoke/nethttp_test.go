package invoke

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
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
)

// open returns a transport that is closed with the test.
func open(t testing.TB, o Options) *HTTP {
	t.Helper()
	h, err := NewHTTP(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// openAuto returns the transport that takes the fast way where it can.
func openAuto(t testing.TB, o Options) *Auto {
	t.Helper()
	a, err := NewAuto(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// both runs a test with each transport.
func both(t *testing.T, run func(t *testing.T, open func(t testing.TB, o Options) Transport)) {
	t.Helper()
	t.Run("net/http", func(t *testing.T) {
		run(t, func(t testing.TB, o Options) Transport { return open(t, o) })
	})
	t.Run("fast", func(t *testing.T) {
		run(t, func(t testing.TB, o Options) Transport {
			o.Stamped = true // the other way is the shorter one, and most other tests take it
			return openAuto(t, o)
		})
	})
}

// ask returns a request to base, which may have a path.
func ask(t testing.TB, verb, base, body string) *engine.Request {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := &engine.Request{Verb: verb, Scheme: u.Scheme, Host: u.Host, Path: u.EscapedPath(), Query: u.RawQuery}
	if q.Path == "" {
		q.Path = "/"
	}
	if body != "" {
		q.Body = []byte(body)
	}
	return q
}

// do makes one exchange.
func do(t testing.TB, h Transport, q *engine.Request) (engine.Response, Timing, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var p engine.Response
	tm := Timing{Base: time.Now()}
	err := h.Exchange(ctx, 0, q, &p, &tm)
	return p, tm, err
}

// A rawServer answers each connection by a function of the test's.
func rawServer(t testing.TB, serve func(n int, c net.Conn)) (base string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	all.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			all.Go(func() { defer c.Close(); serve(n, c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return "http://" + l.Addr().String()
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestWire looks at the very bytes of requests.
func TestWire(t *testing.T) {
	tests := []struct {
		name string
		q    engine.Request
		want string
	}{
		{"a POST has its length and body", engine.Request{Verb: "POST", Path: "/a", Body: []byte("{}")},
			"POST /a HTTP/1.1\r\nHost: HOST\r\nUser-Agent: volley/9\r\nContent-Length: 2\r\n\r\n{}"},
		{"a POST without a body has the length 0", engine.Request{Verb: "POST", Path: "/a"},
			"POST /a HTTP/1.1\r\nHost: HOST\r\nUser-Agent: volley/9\r\nContent-Length: 0\r\n\r\n"},
		{"a GET shows nothing of the body that prevents replays", engine.Request{Verb: "GET", Path: "/a", Query: "b=c"},
			"GET /a?b=c HTTP/1.1\r\nHost: HOST\r\nUser-Agent: volley/9\r\n\r\n"},
		{"a GET may have a body", engine.Request{Verb: "GET", Path: "/a", Body: []byte("x")},
			"GET /a HTTP/1.1\r\nHost: HOST\r\nUser-Agent: volley/9\r\nContent-Length: 1\r\n\r\nx"},
		{"a DELETE has nothing", engine.Request{Verb: "DELETE", Path: "/a"},
			"DELETE /a HTTP/1.1\r\nHost: HOST\r\nUser-Agent: volley/9\r\n\r\n"},
		{"an escaped path stays as it is", engine.Request{Verb: "GET", Path: "/a%2Fb%20c/(d)"},
			"GET /a%2Fb%20c/(d) HTTP/1.1\r\nHost: HOST\r\nUser-Agent: volley/9\r\n\r\n"},
		{"headers of the scenario go out, Host and User-Agent in their place",
			engine.Request{Verb: "GET", Path: "/", Header: []engine.Field{{Name: "host", Value: "other.example"}, {Name: "user-agent", Value: "me"}, {Name: "x-a", Value: "1"}}},
			"GET / HTTP/1.1\r\nHost: other.example\r\nUser-Agent: me\r\nX-A: 1\r\n\r\n"},
		{"an idempotency key does not tell net/http that it may replay",
			engine.Request{Verb: "POST", Path: "/", Header: []engine.Field{{Name: "Idempotency-Key", Value: "k"}}},
			"POST / HTTP/1.1\r\nHost: HOST\r\nUser-Agent: volley/9\r\nContent-Length: 0\r\nidempotency-key: k\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan string, 1)
			base := rawServer(t, func(_ int, c net.Conn) {
				b := make([]byte, 4096)
				n, _ := c.Read(b)
				got <- string(b[:n])
				io.WriteString(c, okReply)
			})
			h := open(t, Options{UserAgent: "volley/9"})
			q := tt.q
			q.Scheme, q.Host = "http", strings.TrimPrefix(base, "http://")
			p, _, err := do(t, h, &q)
			if err != nil || string(p.Body) != "ok" {
				t.Fatalf("Exchange: body %q, error %v", p.Body, err)
			}
			if g := strings.ReplaceAll(<-got, q.Host, "HOST"); g != tt.want {
				t.Errorf("sent %q, want %q", g, tt.want)
			}
		})
	}
}

// A countingConn counts writes.
type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// TestOneWrite holds that the head and the body go out together.
func TestOneWrite(t *testing.T) { both(t, testOneWrite) }

func testOneWrite(t *testing.T, open func(t testing.TB, o Options) Transport) {
	for _, tt := range []struct {
		verb string
		body int
	}{{"GET", 0}, {"POST", 0}, {"POST", 100}, {"POST", 15000}, {"PUT", 100}, {"GET", 100}, {"DELETE", 0}, {"HEAD", 0}} {
		t.Run(fmt.Sprintf("%s of %d", tt.verb, tt.body), func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n, _ := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n)
			}))
			defer s.Close()
			var writes atomic.Int64
			h := open(t, Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				return countingConn{c, &writes}, err
			}})
			for range 3 {
				if _, _, err := do(t, h, ask(t, tt.verb, s.URL, strings.Repeat("x", tt.body))); err != nil {
					t.Fatal(err)
				}
			}
			if got := writes.Load(); got != 3 {
				t.Errorf("3 requests took %d writes, want 3", got)
			}
		})
	}
}

// TestNoSilentResend lets a server take a request on a reused connection and
// hang up. net/http's own answer to that is to send it again.
func TestNoSilentResend(t *testing.T) { both(t, testNoSilentResend) }

func testNoSilentResend(t *testing.T, open func(t testing.TB, o Options) Transport) {
	for _, tt := range []struct {
		name, verb, body string
		header           []engine.Field
	}{
		{"GET", "GET", "", nil},
		{"HEAD", "HEAD", "", nil},
		{"OPTIONS", "OPTIONS", "", nil},
		{"GET with a body", "GET", "x", nil},
		{"POST", "POST", "x", nil},
		{"POST without a body", "POST", "", nil},
		{"PUT", "PUT", "x", nil},
		{"DELETE", "DELETE", "", nil},
		{"POST with an idempotency key", "POST", "", []engine.Field{{Name: "Idempotency-Key", Value: "k"}}},
		{"GET with an idempotency key", "GET", "", []engine.Field{{Name: "X-Idempotency-Key", Value: "k"}}},
	} {
		for _, how := range []string{"closes", "resets"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				var seen atomic.Int64
				base := rawServer(t, func(_ int, c net.Conn) {
					r := bufio.NewReader(c)
					for n := 0; ; n++ {
						req, err := http.ReadRequest(r)
						if err != nil {
							return
						}
						io.Copy(io.Discard, req.Body)
						if seen.Add(1); n == 1 {
							if how == "resets" {
								c.(*net.TCPConn).SetLinger(0)
							}
							return
						}
						io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
				})
				h := open(t, Options{})
				q := ask(t, tt.verb, base, tt.body)
				q.Header = tt.header
				if _, _, err := do(t, h, q); err != nil {
					t.Fatal(err)
				}
				_, tm, err := do(t, h, q)
				if err == nil || !tm.Reused {
					t.Fatalf("error %v, reused %v; want an error on a reused connection", err, tm.Reused)
				}
				want := map[string]string{"closes": detailEOF, "resets": detailReset}[how]
				if detail, message := classify(err); detail != want {
					t.Errorf("detail %q (%s), want %q", detail, message, want)
				}
				if got := seen.Load(); got != 2 {
					t.Errorf("the server saw %d requests, want 2", got)
				}
			})
		}
	}
}

// TestStaleConnection breaks an idle connection while net/http is kept from
// noticing: the request cannot have been seen, and must succeed. With TLS,
// crypto/tls says goodbye on the broken connection: that is not a request.
func TestStaleConnection(t *testing.T) { both(t, testStaleConnection) }

func testStaleConnection(t *testing.T, open func(t testing.TB, o Options) Transport) {
	cert, ca := certificate(t, false, "127.0.0.1")
	for _, version := range []uint16{0, tls.VersionTLS12, tls.VersionTLS13} {
		for _, verb := range []string{"GET", "POST"} {
			t.Run(fmt.Sprint(verb, " ", version), func(t *testing.T) {
				var seen atomic.Int64
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					seen.Add(1)
				}))
				s.Config.ErrorLog = quiet()
				if s.TLS = (&tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: version}); version != 0 {
					s.StartTLS()
				} else {
					s.Start()
				}
				defer s.Close()
				var broken atomic.Bool
				h := open(t, Options{CAFile: ca, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					c, err := new(net.Dialer).DialContext(ctx, network, address)
					return &brittleConn{Conn: c, broken: &broken}, err
				}})
				q := ask(t, verb, s.URL, map[string]string{"POST": "x"}[verb])
				if _, _, err := do(t, h, q); err != nil {
					t.Fatal(err)
				}
				broken.Store(true)
				_, tm, err := do(t, h, q)
				if err != nil || tm.Reused || tm.Phases.Connect < 0 || seen.Load() != 2 {
					t.Errorf("error %v, reused %v, connect %v, %d seen; want it sent on a new connection", err, tm.Reused, tm.Phases.Connect, seen.Load())
				}
			})
		}
	}
}

// A brittleConn that has served takes no write any more once broken is set,
// and clears it.
type brittleConn struct {
	net.Conn
	broken *atomic.Bool
}

func (c *brittleConn) Write(b []byte) (int, error) {
	if c.broken.CompareAndSwap(true, false) {
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(b)
}

// TestServerClosesIdle races requests against a server that closes every
// connection after one reply without saying so.
func TestServerClosesIdle(t *testing.T) { both(t, testServerClosesIdle) }

func testServerClosesIdle(t *testing.T, open func(t testing.TB, o Options) Transport) {
	var seen atomic.Int64
	base := rawServer(t, func(_ int, c net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		seen.Add(1)
		io.WriteString(c, okReply)
	})
	h := open(t, Options{})
	good := 0
	for range 300 {
		if _, _, err := do(t, h, ask(t, "POST", base, "x")); err == nil {
			good++
		}
	}
	if int(seen.Load()) != good {
		t.Errorf("the server saw %d requests, %d were answered", seen.Load(), good)
	}
	if good < 100 {
		t.Errorf("%d of 300 requests went well; most should, on a connection that is known to be closed", good)
	}
}

func TestGzipOnlyWhenAsked(t *testing.T) { both(t, testGzipOnlyWhenAsked) }

func testGzipOnlyWhenAsked(t *testing.T, open func(t testing.TB, o Options) Transport) {
	var asked atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Header.Get("Accept-Encoding"))
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, strings.Repeat("hello ", 1000))
		z.Close()
	}))
	defer s.Close()
	h := open(t, Options{MaxReply: 7000})
	q := ask(t, "GET", s.URL, "")
	p, tm, err := do(t, h, q)
	if err != nil || asked.Load() != "" || !bytes.HasPrefix(p.Body, []byte{0x1f, 0x8b}) {
		t.Errorf("asked for %q, error %v, body %.10q; want the wire's bytes, unasked", asked.Load(), err, p.Body)
	}
	q.Header = []engine.Field{{Name: "accept-encoding", Value: "gzip"}}
	p, tm2, err := do(t, h, q)
	if err != nil || len(p.Body) != 6000 || tm2.BytesIn != tm.BytesIn || tm.BytesIn >= 6000 {
		t.Errorf("error %v, %d bytes unpacked, %d and %d read", err, len(p.Body), tm.BytesIn, tm2.BytesIn)
	}
	small := open(t, Options{MaxReply: 1000})
	if _, _, err := do(t, small, q); err == nil {
		t.Error("a reply that unpacks to more than the limit was taken")
	} else if detail, _ := classify(err); detail != detailTooLarge {
		t.Errorf("detail %q, want too_large", detail)
	}
}
