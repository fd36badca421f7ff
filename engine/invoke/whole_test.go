//go:build !race

// The race detector makes garbage of its own.

package invoke_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/cloud"
	"volley/engine/group"
	"volley/engine/invoke"
	"volley/engine/pace"
	"volley/engine/record"
)

// A canned connection answers whatever is written to it at once, without a
// server.
type canned struct {
	reply []byte
	due   int // bytes of the reply that are still to be read
}

func (c *canned) Write(b []byte) (int, error) { c.due = len(c.reply); return len(b), nil }

func (c *canned) Read(b []byte) (int, error) {
	n := copy(b, c.reply[len(c.reply)-c.due:])
	c.due -= n
	return n, nil
}

func (*canned) Close() error                     { return nil }
func (*canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*canned) SetDeadline(time.Time) error      { return nil }
func (*canned) SetReadDeadline(time.Time) error  { return nil }
func (*canned) SetWriteDeadline(time.Time) error { return nil }

func toCanned(context.Context, string, string) (net.Conn, error) {
	return &canned{reply: []byte(gatewayReply)}, nil
}

const gatewayReply = "HTTP/1.1 200 OK\r\nServer: tcbgw\r\nContent-Type: application/json\r\nX-Request-Id: 7ab40e09-0f36-4a7d-8181-b152fb77616f\r\nContent-Length: 20\r\n\r\n{\"code\":0,\"data\":{}}"

// whole returns the static path of a run: a function that fires one invocation
// by the client and writes it down.
func whole(t testing.TB, dir, base string, o invoke.Options) func() {
	t.Helper()
	h, err := invoke.NewAuto(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	method, err := cloud.New("http-api", cloud.Options{})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	r, err := record.Create(record.Options{Dir: dir, Start: start, Tally: func() engine.Tally { return engine.Tally{} }, Plan: &engine.Plan{
		Name: "whole", Seed: 1,
		Load:   engine.Load{Arrivals: func() pace.Arrivals { return nil }, Level: pace.Constant(1, time.Second), MaxInFlight: 1},
		Series: []engine.SeriesKey{{Step: "hello", Function: "hello", Method: "http-api"}},
		Groups: []engine.GroupKey{{Step: "all", Kind: group.All, Asked: 2}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &invoke.Client{Transport: h, Base: start, Limit: invoke.NewLimit(1e9)}
	i := &engine.Invocation{
		Step: &engine.Invoke{Name: "hello", Function: "hello", Attempts: -1, Static: true, Target: &engine.Target{
			Method: method, Env: "env-1", Endpoint: base, Timeout: 10 * time.Second,
			Auth: auth.Fixed{G: auth.Grant{Bearer: auth.NewSecret("token")}},
		}},
		Scope: &engine.Scope{Seed: 1},
		Data:  []byte(`{"id":7}`),
	}
	shard := r.Shard()
	var result engine.Result
	ctx := t.Context()
	return func() {
		i.Due = time.Since(start)
		if c.Invoke(ctx, i, &result); result.Reply.Outcome != engine.OK {
			t.Fatal(result.Reply.Outcome, result.Reply.Message)
		}
		shard.Invocation(&result)
	}
}

// TestWholeGarbage holds what one request costs on the static path, from the
// plan's to the recorder's, files included.
func TestWholeGarbage(t *testing.T) {
	fire := whole(t, t.TempDir(), "http://gateway.example", invoke.Options{UserAgent: "volley/9", Dial: toCanned})
	for range 1000 {
		fire()
	}
	const all = 20_000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range all {
		fire()
	}
	runtime.ReadMemStats(&after)
	// The recorder's own goroutine writes a line now and then.
	if got := float64(after.Mallocs-before.Mallocs) / all; got > 1.25 {
		t.Errorf("%.2f allocations for a request, want 1: the head of the reply", got)
	}
}

// serveCanned answers requests that come in one piece, without garbage, and
// returns the server's address.
func serveCanned(b *testing.B, secure bool) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	scheme := "http://"
	if secure {
		s := httptest.NewTLSServer(nil) // for its certificate
		s.Close()
		l, scheme = tls.NewListener(l, &tls.Config{Certificates: s.TLS.Certificates}), "https://"
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				request := make([]byte, 4096)
				reply := []byte(gatewayReply)
				for {
					if _, err := c.Read(request); err != nil {
						return
					}
					if _, err := c.Write(reply); err != nil {
						return
					}
				}
			}()
		}
	}()
	return scheme + l.Addr().String()
}

// ways are the connections that the benchmarks go over: in memory, on loopback,
// and with TLS.
func ways(b *testing.B, run func(b *testing.B, base string, o invoke.Options)) {
	b.Helper()
	for _, way := range []string{"memory", "loopback", "TLS"} {
		b.Run(way, func(b *testing.B) {
			base, o := "http://gateway.example", invoke.Options{UserAgent: "volley/9", Insecure: true}
			if way == "memory" {
				o.Dial = toCanned
			} else {
				base = serveCanned(b, way == "TLS")
			}
			run(b, base, o)
		})
	}
}

// BenchmarkStatic is the transport with a request that is the same each time.
// The server makes no garbage, but takes its time on loopback.
func BenchmarkStatic(b *testing.B) {
	ways(b, func(b *testing.B, base string, o invoke.Options) {
		h, err := invoke.NewAuto(o)
		if err != nil {
			b.Fatal(err)
		}
		defer h.Close()
		scheme, host, _ := strings.Cut(base, "://")
		q := &engine.Request{Verb: "POST", Scheme: scheme, Host: host, Path: "/v1/functions/hello", Body: []byte(`{"id":7}`), Shared: true}
		h.Prepare(q)
		start := time.Now()
		ctx := b.Context()
		var p engine.Response
		var t invoke.Timing
		b.ReportAllocs()
		for b.Loop() {
			t = invoke.Timing{Base: start, Until: time.Since(start) + 10*time.Second}
			if err := h.Exchange(ctx, 0, q, &p, &t); err != nil || p.Status != 200 {
				b.Fatal(p.Status, err)
			}
		}
	})
}

// BenchmarkWhole is the static path of a run: client, transport and recorder,
// with its files.
func BenchmarkWhole(b *testing.B) {
	ways(b, func(b *testing.B, base string, o invoke.Options) {
		fire := whole(b, b.TempDir(), base, o)
		b.ReportAllocs()
		for b.Loop() {
			fire()
		}
	})
}
