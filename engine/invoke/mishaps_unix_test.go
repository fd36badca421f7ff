//go:build unix

package invoke

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"volley/engine"
	"volley/engine/auth"
)

// TestCutHandshakeWritesNowhereElse ends a handshake, which closes its
// connection, while the number of its descriptor becomes another's.
func TestCutHandshakeWritesNowhereElse(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer s.Close()
	victim, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	f := openFast(t, Options{Insecure: true})
	var other net.Conn
	ctx, cancel := context.WithCancel(t.Context())
	f.tls.VerifyConnection = func(tls.ConnectionState) error {
		cancel()
		time.Sleep(100 * ms) // a busy processor
		// what other callers do meanwhile
		other, err = net.Dial("tcp", victim.Addr().String())
		return err
	}
	var p engine.Response
	if err := f.Exchange(ctx, 0, ask(t, "GET", s.URL, ""), &p, &Timing{Base: time.Now(), Until: 10 * time.Second}); err == nil {
		t.Error("a canceled handshake succeeded")
	}
	c, err := victim.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	b := make([]byte, 4096)
	_ = c.SetReadDeadline(time.Now().Add(300 * ms))
	if n, _ := c.Read(b); n > 0 {
		t.Errorf("%d bytes of the handshake went out on another connection: % x...", n, b[:16])
	}
}

// TestAskingInVain has many callers need to know what a host speaks that
// nobody can be told: none waits for all the others.
func TestAskingInVain(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	s.Config.ErrorLog = nil
	defer s.Close()
	a, err := NewAuto(Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		time.Sleep(50 * ms) // the way there
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var tls, timeout, rest atomic.Int64
	var all sync.WaitGroup
	for range 60 {
		all.Go(func() {
			var p engine.Response
			tm := Timing{Base: time.Now(), Until: time.Second}
			err := a.Exchange(t.Context(), 0, ask(t, "GET", s.URL, ""), &p, &tm)
			r := failure(t.Context(), time.Second, &tm, err)
			switch {
			case r.Outcome == engine.ClientTimeout:
				timeout.Add(1)
			case r.Detail == detailTLS:
				tls.Add(1)
			default:
				rest.Add(1)
			}
		})
	}
	all.Wait()
	if timeout.Load() > 0 {
		t.Errorf("%d of 60 are timeouts, of a server whose certificate nobody trusts and that says so in 60 ms", timeout.Load())
	}
}

// TestExcessAfterALargeReply has a server send more than was asked for, after
// a body that does not fit into a page.
func TestExcessAfterALargeReply(t *testing.T) {
	for _, size := range []int{100, 7000, 9000, 20000} {
		base := rawServer(t, func(_ int, c net.Conn) {
			r := bufio.NewReader(c)
			for {
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				io.WriteString(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", size, strings.Repeat("x", size)))
			}
		})
		f := openFast(t, Options{})
		for n := range 2 {
			p, tm, err := do(t, f, ask(t, "GET", base, ""))
			if err != nil || len(p.Body) != size {
				t.Errorf("size %d, request %d: %d bytes %.10q, %v, reused %v", size, n, len(p.Body), p.Body, err, tm.Reused)
			}
		}
	}
}

// TestWritingHasItsOwnDeadline holds that an alarm set for an earlier request
// does not end the writing of a later one.
func TestWritingHasItsOwnDeadline(t *testing.T) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2048) })
	}}
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		if _, err := http.ReadRequest(bufio.NewReaderSize(c, 512)); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		time.Sleep(5 * time.Second)
		c.Close()
	}()
	f := openFast(t, Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			_ = c.(*net.TCPConn).SetWriteBuffer(2048)
		}
		return c, err
	}})
	base := "http://" + ln.Addr().String()
	start := time.Now()
	var p engine.Response
	if err := f.Exchange(t.Context(), 0, ask(t, "GET", base, ""), &p, &Timing{Base: start, Until: time.Second}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(400*ms - time.Since(start))
	began := time.Since(start)
	err = f.Exchange(t.Context(), 0, ask(t, "POST", base, strings.Repeat("x", 60<<10)), &p, &Timing{Base: start, Until: began + time.Second})
	took := time.Since(start) - began
	if !errors.Is(err, errTimeout) || took < 990*ms {
		t.Errorf("%v after %v; the timeout is 1s", err, took)
	}
}

// TestOneHostForAPlace has many callers come first.
func TestOneHostForAPlace(t *testing.T) {
	f := openFast(t, Options{Connections: 1})
	var seen sync.Map
	var n atomic.Int64
	f.mu.Lock() // somebody adds another host at the moment
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			h, _ := f.host(&engine.Request{Scheme: "http", Host: "h:1"})
			if _, old := seen.LoadOrStore(h, true); !old {
				n.Add(1)
			}
		})
	}
	time.Sleep(50 * ms)
	f.mu.Unlock()
	all.Wait()
	if n.Load() > 1 {
		t.Errorf("%d hosts for one place", n.Load())
	}
}

// TestH2ManyResets holds that the ends of requests are no flood.
func TestH2ManyResets(t *testing.T) {
	base := h2Server(t, func(_ int, p *h2peer) {
		_ = p.WriteSettings()
		for id := p.request(); id != 0; id = p.request() {
			_ = p.WriteRSTStream(id, http2.ErrCodeInternal)
		}
	})
	h := openH2(t, Options{})
	var all sync.WaitGroup
	var wrong atomic.Int64
	for range 20 {
		all.Go(func() {
			for range 1500 {
				var p engine.Response
				err := h.Exchange(t.Context(), 0, ask(t, "GET", base, ""), &p, &Timing{Base: time.Now(), Until: 10 * time.Second})
				if err == nil || !strings.Contains(err.Error(), "reset the stream") {
					if wrong.Add(1) == 1 {
						t.Errorf("%v", err)
					}
				}
			}
		})
	}
	all.Wait()
}

// TestLargeRepliesAreNotKept holds that a connection does not keep the buffer of
// its largest reply.
func TestLargeRepliesAreNotKept(t *testing.T) {
	big := strings.Repeat("x", 6<<20)
	base := rawServer(t, func(_ int, c net.Conn) {
		r := bufio.NewReader(c)
		for n := 0; ; n++ {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			if n == 0 {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6291456\r\n\r\n"+big)
			} else {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		}
	})
	f := openFast(t, Options{})
	q := ask(t, "GET", base, "")
	for range 3 {
		if _, _, err := do(t, f, q); err != nil {
			t.Fatal(err)
		}
	}
	h, _ := f.host(q)
	if n := cap(h.idle[0].reply.body); n > 1<<20 {
		t.Errorf("an idle connection keeps %d bytes", n)
	}
}

// TestH2HasNoPreflight holds that HTTP/2 leaves a part out that there was not.
func TestH2HasNoPreflight(t *testing.T) {
	base := h2Server(t, func(_ int, p *h2peer) {
		_ = p.WriteSettings()
		for id := p.request(); id != 0; id = p.request() {
			p.answer(id, "ok")
		}
	})
	c := &Client{Transport: openH2(t, Options{}), Base: time.Now()}
	u := address(ask(t, "POST", base, ""))
	i := call(func(i *engine.Invocation) { i.Step.Target.Method = at{plain{}, u} })
	var r engine.Result
	c.Invoke(t.Context(), i, &r)
	if a := r.Attempts[0]; a.Outcome != engine.OK || a.Phases.Preflight >= 0 {
		t.Errorf("%v %v: preflight %v, want less than 0", a.Outcome, r.Reply.Message, a.Phases.Preflight)
	}
}

// A slowly method takes its time to write a request.
type slowly struct{ at }

func (m slowly) Encode(i *engine.Invocation, g auth.Grant, now time.Time, to *engine.Request) error {
	time.Sleep(50 * ms)
	return m.at.Encode(i, g, now, to)
}

// TestWritingARequestIsNoService holds that signing, say, is our lateness, on a
// connection that is there as on one that is opened.
func TestWritingARequestIsNoService(t *testing.T) {
	both(t, func(t *testing.T, open func(t testing.TB, o Options) Transport) {
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		defer s.Close()
		c := &Client{Transport: open(t, Options{}), Base: time.Now()}
		u := address(ask(t, "POST", s.URL, ""))
		i := call(func(i *engine.Invocation) { i.Step.Target.Method = slowly{at{plain{}, u}} })
		for n := range 3 {
			var r engine.Result
			i.Due = time.Since(c.Base)
			if c.Invoke(t.Context(), i, &r); r.Lateness() < 49*ms || r.Attempts[0].Reused != (n > 0) {
				t.Errorf("request %d: late %v, service %v, reused %v", n, r.Lateness(), r.Service(), r.Attempts[0].Reused)
			}
		}
	})
}
