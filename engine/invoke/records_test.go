package invoke

import (
	"bufio"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A gatherer keeps what is written until it is let go, in one write.
type gatherer struct {
	net.Conn
	gather bool
	kept   []byte
}

func (g *gatherer) Write(b []byte) (int, error) {
	if g.gather {
		g.kept = append(g.kept, b...)
		return len(b), nil
	}
	return g.Conn.Write(b)
}

func (g *gatherer) letGo() {
	g.gather = false
	g.Conn.Write(g.kept)
	g.kept = nil
}

// TestReplyNobodyAskedFor sends one reply too many. With TLS it is in a record of
// its own that comes together with the one before: TLS has read it then, and the
// system shows nothing of it. It must not be the next one's.
func TestReplyNobodyAskedFor(t *testing.T) {
	cert, ca := certificate(t, false, "127.0.0.1")
	for _, tt := range []struct {
		name    string
		version uint16        // of TLS; 0: without
		late    time.Duration // from the reply to the one that nobody asked for
		pause   time.Duration // from a reply to the next request
	}{
		{"TLS 1.2", tls.VersionTLS12, 0, 0},
		{"TLS 1.2, and a pause", tls.VersionTLS12, 0, 20 * ms},
		{"TLS 1.2, late", tls.VersionTLS12, 5 * ms, 50 * ms},
		{"TLS 1.3", tls.VersionTLS13, 0, 0},
		{"TLS 1.3, and a pause", tls.VersionTLS13, 0, 20 * ms},
		{"TLS 1.3, late", tls.VersionTLS13, 5 * ms, 50 * ms},
		{"plain", 0, 0, 0},
		{"plain, and a pause", 0, 0, 20 * ms},
		{"plain, late", 0, 5 * ms, 50 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			base := rawServer(t, func(_ int, raw net.Conn) {
				g := &gatherer{Conn: raw}
				c := net.Conn(g)
				if tt.version != 0 {
					c = tls.Server(g, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tt.version})
				}
				from := bufio.NewReader(c)
				for {
					q, err := http.ReadRequest(from)
					if err != nil {
						return
					}
					io.Copy(io.Discard, q.Body)
					g.gather = tt.late == 0
					io.WriteString(c, okReply)
					if q.URL.Path == "/two" {
						time.Sleep(tt.late)
						io.WriteString(c, strings.Replace(okReply, "ok", "no", 1))
					}
					g.letGo()
				}
			})
			if tt.version != 0 {
				base = "https" + strings.TrimPrefix(base, "http")
			}
			f := openFast(t, Options{CAFile: ca})
			for n, q := range []struct {
				path   string
				reused bool
			}{{"/one", false}, {"/one", true}, {"/two", true}, {"/one", false}, {"/one", true}} {
				p, tm, err := do(t, f, ask(t, "POST", base+q.path, "x"))
				if err != nil || string(p.Body) != "ok" || tm.Reused != q.reused {
					t.Errorf("request %d, %s: status %d, %q, %v, reused %v; want ok, reused %v", n, q.path, p.Status, p.Body, err, tm.Reused, q.reused)
				}
				time.Sleep(tt.pause)
			}
		})
	}
}

// TestRecordsAreFollowed holds that no read goes beyond the end of a record.
func TestRecordsAreFollowed(t *testing.T) {
	var wire []byte
	var ends []int
	for _, size := range []int{1, 0, 300, 2, 16401, 0, 0, 7, 256, 255} {
		wire = append(append(wire, 23, 3, 3, byte(size>>8), byte(size)), make([]byte, size)...)
		ends = append(ends, len(wire))
	}
	for seed := range uint64(500) {
		draw := rand.New(rand.NewPCG(seed, 1))
		r := recordReader{}
		for at := 0; at < len(wire); {
			n := min(1+draw.IntN(1+draw.IntN(400)), len(wire)-at)
			end := ends[slices.IndexFunc(ends, func(end int) bool { return end > at })]
			if got := r.follow(wire[at : at+n]); got != min(n, end-at) {
				t.Fatalf("seed %d, bytes %d to %d: %d belong to the record, want %d", seed, at, at+n, got, min(n, end-at))
			}
			at = min(at+n, end)
		}
	}
}
