package invoke

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"volley/engine"
)

// near reports whether a time is at least want, and not far above it. The
// machine may be busy: it is the lower bound that says something, but for the
// few milliseconds that a hook may come late.
func near(got, want time.Duration) bool { return got >= want-8*ms && got < want+500*ms }

func TestPhases(t *testing.T) { both(t, testPhases) }

func testPhases(t *testing.T, open func(t testing.TB, o Options) Transport) {
	cert, ca := certificate(t, false, "127.0.0.1", "localhost")
	slow := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		time.Sleep(30 * ms)
		w.Write([]byte("first"))
		w.(http.Flusher).Flush()
		time.Sleep(20 * ms)
		w.Write([]byte("last"))
	}
	plain := httptest.NewServer(http.HandlerFunc(slow))
	t.Cleanup(plain.Close)
	secure := tlsServer(t, cert, false, slow)
	stream := tlsServer(t, cert, true, slow)
	byName := func(base string) string { return strings.Replace(base, "127.0.0.1", "localhost", 1) }

	for _, tt := range []struct {
		name, base       string
		proto            string
		dns, tls, streak bool
	}{
		{"plain", plain.URL, "HTTP/1.1", false, false, true},
		{"plain, by name", byName(plain.URL), "HTTP/1.1", true, false, true},
		{"TLS, by name", byName(secure), "HTTP/1.1", true, true, true},
		{"HTTP/2", stream, "HTTP/2.0", false, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, Options{CAFile: ca})
			for n := range 2 {
				p, tm, err := do(t, h, ask(t, "POST", tt.base, "{}"))
				if err != nil || string(p.Body) != "firstlast" || p.Proto != tt.proto {
					t.Fatalf("body %q by %s, error %v", p.Body, p.Proto, err)
				}
				ph := tm.Phases
				if tm.Reused != (n == 1) {
					t.Errorf("exchange %d: reused %v", n, tm.Reused)
				}
				if got := ph.Connect >= 0; got != (n == 0) {
					t.Errorf("exchange %d: connect %v", n, ph.Connect)
				}
				if got := ph.DNS >= 0; got != (n == 0 && tt.dns) {
					t.Errorf("exchange %d: DNS %v", n, ph.DNS)
				}
				if got := ph.TLS > 0; got != (n == 0 && tt.tls) {
					t.Errorf("exchange %d: TLS %v", n, ph.TLS)
				}
				if ph.Send < 0 || !near(ph.FirstByte, 30*ms) || !near(ph.Receive, 20*ms) {
					t.Errorf("exchange %d: send %v, first byte %v, receive %v; want some, 30ms, 20ms", n, ph.Send, ph.FirstByte, ph.Receive)
				}
				sum := max(ph.DNS, 0) + max(ph.Connect, 0) + max(ph.TLS, 0) + ph.Send + ph.FirstByte + ph.Receive
				if total := tm.End - tm.Start; sum > total || total-sum > 100*ms {
					t.Errorf("exchange %d: the phases make %v of %v: %+v", n, sum, total, ph)
				}
				if tm.BytesOut != 2 || tm.BytesIn != 9 {
					t.Errorf("exchange %d: %d bytes out, %d in; want 2, 9", n, tm.BytesOut, tm.BytesIn)
				}
			}
		})
	}
}

// TestStartIsAfterTheWait holds that waiting for a connection of a full pool
// is not service.
func TestStartIsAfterTheWait(t *testing.T) { both(t, testStartIsAfterTheWait) }

func testStartIsAfterTheWait(t *testing.T, open func(t testing.TB, o Options) Transport) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { time.Sleep(50 * ms) }))
	defer s.Close()
	h := open(t, Options{Connections: 1})
	base := time.Now()
	var mu sync.Mutex
	var starts, services []time.Duration
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			var p engine.Response
			tm := Timing{Base: base}
			if err := h.Exchange(t.Context(), 0, ask(t, "GET", s.URL, ""), &p, &tm); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			starts, services = append(starts, tm.Start), append(services, tm.End-tm.Start)
		})
	}
	all.Wait()
	for n := range starts {
		if starts[n] < time.Duration(n)*50*ms-8*ms {
			t.Errorf("exchange %d began at %v, want %v", n, starts[n], time.Duration(n)*50*ms)
		}
		if wait := starts[n] + services[n] - time.Duration(n+1)*50*ms; services[n] < 50*ms || wait < 0 {
			t.Errorf("exchange %d began at %v and took %v, want 50ms after those before it", n, starts[n], services[n])
		}
	}
}

// TestSomebodyElsesConnection lets a request dial slowly, and gives it a
// connection that another has freed in the meantime. Its dial goes on, and its
// hooks fire after the exchange is over.
func TestSomebodyElsesConnection(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { time.Sleep(40 * ms) }))
	defer s.Close()
	var dials atomic.Int64
	h := open(t, Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address) // its hooks fire at once
		if dials.Add(1) > 1 {
			time.Sleep(120 * ms)
		}
		return c, err
	}})
	var all sync.WaitGroup
	all.Go(func() { do(t, h, ask(t, "GET", s.URL, "")) })
	time.Sleep(20 * ms)
	p, tm, err := do(t, h, ask(t, "GET", s.URL, ""))
	all.Wait()
	if err != nil || p.Status != 200 || !tm.Reused {
		t.Fatalf("status %d, error %v, reused %v", p.Status, err, tm.Reused)
	}
	if ph := tm.Phases; ph.DNS != never || ph.Connect != never || ph.TLS != never || ph.Send < 0 {
		t.Errorf("the phases of a connection that was not ours to dial: %+v", ph)
	}
	time.Sleep(150 * ms) // the late hooks must not race, and the second dial must end before the test does
}

// TestTraceIsClosed fires hooks after the end.
func TestTraceIsClosed(t *testing.T) {
	tr := newTrace()
	tr.open(time.Now())
	var tm Timing
	tr.begin(&tr.connectStart)
	tr.finish(&tm, time.Second, 1)
	before := tm
	tr.mark(&tr.first)
	tr.connected("", "", nil)
	if tr.first != never || tr.connectDone != never || tm != before {
		t.Error("a hook that came late was heard")
	}
}

// TestManyAtOnce mixes kept and broken connections, answers that come before
// the body is read, and requests that are given up, with traces that are used
// again. It is for the race detector; and counts must be true.
func TestManyAtOnce(t *testing.T) { both(t, testManyAtOnce) }

func testManyAtOnce(t *testing.T, open func(t testing.TB, o Options) Transport) {
	var seen, good atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n := seen.Add(1); {
		case n%31 == 0:
			panic(http.ErrAbortHandler)
		case n%17 == 0:
			time.Sleep(30 * ms) // longer than the client waits
		case n%7 == 0:
			w.Write([]byte("early"))
		default:
			io.Copy(io.Discard, r.Body)
		}
	}))
	defer s.Close()
	h := open(t, Options{MaxIdle: 4})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for n := range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*ms)
				var p engine.Response
				tm := Timing{Base: time.Now()}
				q := ask(t, "POST", s.URL, strings.Repeat("x", n%3*100_000))
				err := h.Exchange(ctx, 0, q, &p, &tm)
				cancel()
				if err == nil {
					good.Add(1)
				}
				if tm.End < tm.Start || err == nil && (tm.Start < 0 || tm.Phases.FirstByte < 0 || tm.Phases.Receive < 0) {
					t.Errorf("timing %+v, error %v", tm, err)
				}
			}
		})
	}
	all.Wait()
	if good.Load() == 0 || seen.Load() > 800 || good.Load() > seen.Load() {
		t.Errorf("%d good, %d seen, of 800", good.Load(), seen.Load())
	}
}

// TestBytesOut holds that a body counts as sent when it was, whatever came of it.
func TestBytesOut(t *testing.T) { both(t, testBytesOut) }

func testBytesOut(t *testing.T, open func(t testing.TB, o Options) Transport) {
	silent := rawServer(t, func(_ int, c net.Conn) { c.Read(make([]byte, 4096)) })
	if _, tm, err := do(t, open(t, Options{}), ask(t, "POST", silent, "hello")); err == nil || tm.BytesOut != 5 {
		t.Errorf("error %v, %d bytes out; want 5 of a request without an answer", err, tm.BytesOut)
	}
	if _, tm, err := do(t, open(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }}), ask(t, "POST", silent, "hello")); err == nil || tm.BytesOut != 0 {
		t.Errorf("error %v, %d bytes out; want 0 without a connection", err, tm.BytesOut)
	}
}
