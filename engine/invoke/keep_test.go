package invoke

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// TestKeep holds that of a body that nobody looks at no more is kept than is
// wanted, and that all of it is read, counted and held against its limits.
func TestKeep(t *testing.T) { both(t, testKeep) }

func testKeep(t *testing.T, open func(t testing.TB, o Options) Transport) {
	text := func(n int) string { return strings.Repeat("0123456789abcdef", n/16+1)[:n] }
	handler := func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", strconv.Itoa(n))
		}
		for all := text(n); len(all) > 0; {
			k := min(len(all), 5000)
			io.WriteString(w, all[:k])
			if all = all[k:]; r.URL.Path != "/length" {
				w.(http.Flusher).Flush()
			}
		}
	}
	cert, ca := certificate(t, false, "127.0.0.1")
	h1, h2 := tlsServer(t, cert, false, handler), tlsServer(t, cert, true, handler)
	untilClose := rawServer(t, func(_ int, c net.Conn) {
		c.Read(make([]byte, 4096))
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n\r\n%s", text(300_000))
	})
	short := rawServer(t, func(_ int, c net.Conn) {
		c.Read(make([]byte, 4096))
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n%s", text(200_000))
	})
	const most = 1 << 20
	for _, tt := range []struct {
		name, url string
		keep      int64
		size      int
		wrong     string // what the error says
	}{
		{name: "a length", url: h1 + "/length?n=", keep: 100_000, size: 700_000},
		{name: "chunks", url: h1 + "/chunks?n=", keep: 100_000, size: 700_000},
		{name: "until the connection is closed", url: untilClose + "/?n=", keep: 100_000, size: 300_000},
		{name: "HTTP/2", url: h2 + "/chunks?n=", keep: 100_000, size: 700_000},
		{name: "HTTP/2 with a length", url: h2 + "/length?n=", keep: 100_000, size: 700_000},
		{name: "one byte", url: h1 + "/chunks?n=", keep: 1, size: 700_000},
		{name: "exactly what there is", url: h1 + "/chunks?n=", keep: 700_000, size: 700_000},
		{name: "more than there is", url: h1 + "/length?n=", keep: 700_001, size: 700_000},
		{name: "all", url: h1 + "/length?n=", size: 700_000},
		{name: "the largest", url: h1 + "/chunks?n=", keep: 100_000, size: most},
		{name: "too large", url: h1 + "/chunks?n=", keep: 100_000, size: most + 1, wrong: "larger than 1048576 bytes"},
		{name: "HTTP/2, too large", url: h2 + "/chunks?n=", keep: 100_000, size: most + 1, wrong: "larger than 1048576 bytes"},
		{name: "too large by its length", url: h1 + "/length?n=", keep: 100_000, size: most + 1, wrong: "at most 1048576 are read"},
		{name: "shorter than its length", url: short + "/?n=", keep: 100_000, size: 300_000, wrong: "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, Options{CAFile: ca, MaxReply: most})
			for n := range 2 {
				q := ask(t, "GET", tt.url+strconv.Itoa(tt.size), "")
				q.Keep = tt.keep
				p, tm, err := do(t, h, q)
				if tt.wrong != "" {
					if err == nil || !strings.Contains(err.Error(), tt.wrong) {
						t.Fatalf("error %v, want %s", err, tt.wrong)
					}
					continue
				}
				want := text(tt.size)
				if tt.keep > 0 {
					want = want[:min(tt.size, int(tt.keep))]
				}
				if err != nil || string(p.Body) != want {
					t.Fatalf("%d bytes, error %v; want the first %d", len(p.Body), err, len(want))
				}
				if tm.BytesIn != int64(tt.size) {
					t.Errorf("%d bytes came in, want %d", tm.BytesIn, tt.size)
				}
				if want := n == 1 && !strings.HasPrefix(tt.url, untilClose); tm.Reused != want {
					t.Errorf("exchange %d: reused %v, want %v", n, tm.Reused, want)
				}
			}
		})
	}
}

// needy sends the scenario's header, and its replies are read by their status.
type needy struct {
	at
	steady bool
}

func (m needy) Encode(i *engine.Invocation, g auth.Grant, now time.Time, to *engine.Request) error {
	to.Header = append(to.Header, i.Header...)
	return m.at.Encode(i, g, now, to)
}

func (m needy) Steady(auth.Grant) bool { return m.steady }

// terse needs little of a body.
type terse struct{ needy }

func (terse) Needs() int64 { return 10 }

// TestWhatIsKept holds when the client has less of a body kept.
func TestWhatIsKept(t *testing.T) {
	const size = 100_000
	s := rawServer(t, func(_ int, c net.Conn) {
		for {
			b := make([]byte, 4096)
			n, err := c.Read(b)
			if err != nil {
				return
			}
			body, encoding := bytes.Repeat([]byte("x"), size), ""
			if bytes.Contains(b[:n], []byte("gzip")) {
				var packed bytes.Buffer
				z := gzip.NewWriter(&packed)
				z.Write(body)
				z.Close()
				body, encoding = packed.Bytes(), "Content-Encoding: gzip\r\n"
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", encoding, len(body), body)
		}
	})
	gzipped := []engine.Field{{Name: "Accept-Encoding", Value: "gzip"}}
	for _, tt := range []struct {
		name   string
		method func(needy) engine.Method
		blind  bool
		header []engine.Field
		want   int
	}{
		{"nobody looks", func(m needy) engine.Method { return terse{m} }, true, nil, 10},
		{"nobody looks, and the request is the same each time", func(m needy) engine.Method { m.steady = true; return terse{m} }, true, nil, 10},
		{"somebody looks", func(m needy) engine.Method { return terse{m} }, false, nil, size},
		{"the method needs all", func(m needy) engine.Method { return m }, true, nil, size},
		{"it is packed", func(m needy) engine.Method { return terse{m} }, true, gzipped, size},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &Client{Transport: openAuto(t, Options{}), Base: time.Now()}
			m := tt.method(needy{at: at{u: address(ask(t, "GET", s, ""))}})
			step := &engine.Invoke{Name: "f", Static: true, Blind: tt.blind, Target: &engine.Target{Method: m, Timeout: 5 * time.Second}}
			for range 3 {
				var r engine.Result
				c.Invoke(t.Context(), &engine.Invocation{Step: step, Scope: &engine.Scope{}, Header: tt.header}, &r)
				if r.Reply.Outcome != engine.OK || len(r.Raw.Body) != tt.want {
					t.Fatalf("%s %s: %d bytes are kept, want %d", r.Reply.Outcome, r.Reply.Message, len(r.Raw.Body), tt.want)
				}
			}
		})
	}
}
