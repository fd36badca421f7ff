package invoke

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"volley/engine"
)

func TestHTTP2(t *testing.T) { both(t, testHTTP2) }

func testHTTP2(t *testing.T, open func(t testing.TB, o Options) Transport) {
	var mu sync.Mutex
	protos := map[string]int{}
	conns := map[string]bool{}
	handler := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		protos[r.Proto]++
		conns[r.RemoteAddr] = true
		mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d %s", r.Method, r.Host, r.ContentLength, body)
	}
	cert, ca := certificate(t, false, "127.0.0.1")
	both := tlsServer(t, cert, true, handler)
	clear := httptest.NewUnstartedServer(http.HandlerFunc(handler))
	clear.Config.Protocols = new(http.Protocols)
	clear.Config.Protocols.SetHTTP1(true)
	clear.Config.Protocols.SetUnencryptedHTTP2(true)
	clear.Start()
	defer clear.Close()
	for _, tt := range []struct{ name, base, protocol, want string }{
		{"auto over TLS", both, "auto", "HTTP/2.0"},
		{"h2 over TLS", both, "h2", "HTTP/2.0"},
		{"h1 over TLS", both, "h1", "HTTP/1.1"},
		{"auto without TLS", clear.URL, "", "HTTP/1.1"},
		{"h2 without TLS", clear.URL, "h2", "HTTP/2.0"},
		{"h1 without TLS", clear.URL, "h1", "HTTP/1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clearMaps := func() { mu.Lock(); defer mu.Unlock(); protos, conns = map[string]int{}, map[string]bool{} }
			clearMaps()
			h := open(t, Options{Protocol: tt.protocol, CAFile: ca})
			host := strings.SplitAfter(tt.base, "://")[1]
			for _, q := range []struct{ verb, body, want string }{
				{"POST", "hello", "POST " + host + " 5 hello"},
				{"GET", "", "GET " + host + " 0 "},
				{"GET", "", "GET " + host + " 0 "},
				{"DELETE", "", "DELETE " + host + " 0 "},
				{"POST", "", "POST " + host + " 0 "},
				{"GET", "x", "GET " + host + " 1 x"},
			} {
				p, _, err := do(t, h, ask(t, q.verb, tt.base, q.body))
				if err != nil || p.Proto != tt.want || string(p.Body) != q.want {
					t.Errorf("%s %q: %q by %s, error %v; want %q by %s", q.verb, q.body, p.Body, p.Proto, err, q.want, tt.want)
				}
			}
			if len(protos) != 1 || protos[tt.want] != 6 || len(conns) != 1 {
				t.Errorf("the server saw %v on %d connections, want 6 times %s on one", protos, len(conns), tt.want)
			}
		})
	}
}

// TestHTTP2GentleEnd lets a server end connections gently in the middle of the
// load, which is a promise not to have processed what came after.
func TestHTTP2GentleEnd(t *testing.T) {
	var seen atomic.Int64
	cert, ca := certificate(t, false, "127.0.0.1")
	base := tlsServer(t, cert, true, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if seen.Add(1)%50 == 0 {
			w.Header().Set("Connection", "close") // GOAWAY, as gateways send after some requests
		}
	})
	h := open(t, Options{CAFile: ca})
	var good atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if _, _, err := do(t, h, ask(t, "POST", base, "{}")); err == nil {
					good.Add(1)
				} else {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if seen.Load() != good.Load() {
		t.Errorf("the server processed %d requests, %d were answered", seen.Load(), good.Load())
	}
}

// A truthful forward proxy: it relays requests for http, and tunnels for https.
func forwardProxy(t *testing.T, log *[]string, mu *sync.Mutex) string {
	t.Helper()
	var tunnels sync.WaitGroup
	tunnels.Add(1) // the server's own, so that tunnels may be added until it is closed
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		*log = append(*log, r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization"))
		mu.Unlock()
		if r.Method == http.MethodConnect {
			there, err := net.Dial("tcp", r.Host)
			if err != nil {
				http.Error(w, err.Error(), 502)
				return
			}
			here, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
			tunnels.Go(func() { io.Copy(there, here); there.Close() })
			tunnels.Go(func() { io.Copy(here, there); here.Close() })
			return
		}
		out := r.Clone(r.Context())
		out.RequestURI = ""
		out.Header.Del("Proxy-Authorization")
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			http.Error(w, err.Error(), 502)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	}))
	t.Cleanup(func() { s.Close(); tunnels.Done(); tunnels.Wait() })
	return s.URL
}

func TestProxy(t *testing.T) { both(t, testProxy) }

func testProxy(t *testing.T, open func(t testing.TB, o Options) Transport) {
	hello := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), body)
	}
	cert, ca := certificate(t, false, "127.0.0.1")
	plain := httptest.NewServer(http.HandlerFunc(hello))
	defer plain.Close()
	secure := tlsServer(t, cert, true, hello)
	var mu sync.Mutex
	var log []string
	proxy := strings.Replace(forwardProxy(t, &log, &mu), "http://", "http://user:pass@", 1)
	h := open(t, Options{CAFile: ca, Proxy: func(u *url.URL) (*url.URL, error) {
		if u.Path == "/direct" {
			return nil, nil
		}
		return url.Parse(proxy)
	}})
	for _, tt := range []struct{ url, want, logged string }{
		{plain.URL + "/a%2Fb?c=d", "POST /a%2Fb?c=d {}", "POST " + plain.URL + "/a%2Fb?c=d Basic dXNlcjpwYXNz"},
		{plain.URL + "/direct", "POST /direct {}", ""},
		{secure + "/a%2Fb?c=d", "POST /a%2Fb?c=d {}", "CONNECT " + strings.TrimPrefix(secure, "https://") + " Basic dXNlcjpwYXNz"},
	} {
		mu.Lock()
		log = nil
		mu.Unlock()
		p, tm, err := do(t, h, ask(t, "POST", tt.url, "{}"))
		if err != nil || string(p.Body) != tt.want {
			t.Errorf("%s: %q, error %v; want %q", tt.url, p.Body, err, tt.want)
		}
		mu.Lock()
		if got := strings.Join(log, "|"); got != tt.logged {
			t.Errorf("%s: the proxy saw %q, want %q", tt.url, got, tt.logged)
		}
		mu.Unlock()
		if tm.Phases.Connect < 0 || (tm.Phases.TLS >= 0) != strings.HasPrefix(tt.url, "https") {
			t.Errorf("%s: phases %+v", tt.url, tm.Phases)
		}
	}
}

func TestKeepAlive(t *testing.T) { both(t, testKeepAlive) }

func testKeepAlive(t *testing.T, open func(t testing.TB, o Options) Transport) {
	for _, tt := range []struct {
		name string
		o    Options
		want int64 // connections that 5 rounds of 3 at once take
	}{
		{"connections are kept", Options{MaxIdle: 3}, 3},
		{"as many as there may be idle ones", Options{}, 3},
		{"no more than asked for", Options{Connections: 2}, 2},
		{"none are kept", Options{NoKeepAlive: true}, 15},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var opened atomic.Int64
			gate := make(chan struct{}, 3)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				gate <- struct{}{}
				for end := time.Now().Add(100 * ms); len(gate) < 3 && time.Now().Before(end); {
					time.Sleep(ms / 2) // until all three are here, unless they cannot be
				}
			}))
			s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
				if st == http.StateNew {
					opened.Add(1)
				}
			}
			s.Start()
			defer s.Close()
			h := open(t, tt.o)
			for range 5 {
				var all sync.WaitGroup
				for range 3 {
					all.Go(func() {
						if _, _, err := do(t, h, ask(t, "GET", s.URL, "")); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				for len(gate) > 0 {
					<-gate
				}
				time.Sleep(5 * ms) // net/http puts connections back in its own time
			}
			if got := opened.Load(); got > tt.want || tt.o.NoKeepAlive && got != tt.want {
				t.Errorf("%d connections, want %d", got, tt.want)
			}
		})
	}
}

// TestTLSResumes holds that a new connection resumes the session of an old one.
func TestTLSResumes(t *testing.T) { both(t, testTLSResumes) }

func testTLSResumes(t *testing.T, open func(t testing.TB, o Options) Transport) {
	var resumed atomic.Int64
	cert, ca := certificate(t, false, "127.0.0.1")
	base := tlsServer(t, cert, false, func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.DidResume {
			resumed.Add(1)
		}
	})
	h := open(t, Options{CAFile: ca, NoKeepAlive: true})
	for range 3 {
		if _, _, err := do(t, h, ask(t, "GET", base, "")); err != nil {
			t.Fatal(err)
		}
	}
	if resumed.Load() != 2 {
		t.Errorf("%d of 2 further connections resumed", resumed.Load())
	}
}

func TestInsecure(t *testing.T) { both(t, testInsecure) }

func testInsecure(t *testing.T, open func(t testing.TB, o Options) Transport) {
	cert, _ := certificate(t, false, "elsewhere.example")
	base := tlsServer(t, cert, false, func(http.ResponseWriter, *http.Request) {})
	if _, _, err := do(t, open(t, Options{Insecure: true}), ask(t, "GET", base, "")); err != nil {
		t.Error(err)
	}
}

// TestClose holds that nothing is left: no connection, no dial, no goroutine.
func TestClose(t *testing.T) {
	cert, ca := certificate(t, false, "127.0.0.1")
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	stream := tlsServer(t, cert, true, func(http.ResponseWriter, *http.Request) {})
	hang := rawServer(t, func(_ int, c net.Conn) { io.Copy(io.Discard, c) })
	before := runtime.NumGoroutine()

	dialling := make(chan struct{}, 1)
	h, err := NewHTTP(Options{CAFile: ca, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "10.9.8.7:80" {
			dialling <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		for _, base := range []string{s.URL, stream} {
			if _, _, err := do(t, h, ask(t, "POST", base, "x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Both of these go on after their requests have given up: a dial, and a
	// handshake with a server that says nothing.
	for _, base := range []string{"http://10.9.8.7", strings.Replace(hang, "http:", "https:", 1)} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*ms)
		var p engine.Response
		if err := h.Exchange(ctx, 0, ask(t, "GET", base, ""), &p, &Timing{Base: time.Now()}); err == nil {
			t.Errorf("%s answered", base)
		}
		cancel()
	}
	<-dialling
	h.Close()
	h.conns.mu.Lock()
	if n := len(h.conns.open); n != 0 {
		t.Errorf("%d connections are open after Close", n)
	}
	h.conns.mu.Unlock()
	if _, _, err := do(t, h, ask(t, "GET", s.URL, "")); err == nil {
		t.Error("an exchange after Close went well")
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * ms) {
		// The server's own goroutines for these connections end too, a little later.
		if n := runtime.NumGoroutine(); n <= before {
			break
		} else if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", n, before, buf[:runtime.Stack(buf, true)])
		}
	}
}
