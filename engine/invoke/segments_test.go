package invoke

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"volley/engine"
)

// segmentations are the ways in which a reply may come: a list of where it is
// cut, by name. Long replies do not come byte by byte.
func segmentations(wire string) map[string][]int {
	all := map[string][]int{"whole": nil}
	if head := strings.Index(wire, "\r\n\r\n"); head >= 0 {
		all["head and body"] = []int{head + 4}
		all["before the head's last byte"] = []int{head + 3}
	}
	if len(wire) < 700 {
		var each []int
		for n := 1; n < len(wire); n++ {
			each = append(each, n)
		}
		all["byte by byte"] = each
	}
	if len(wire) > 1 {
		for seed := range uint64(3) {
			at := 1 + rand.New(rand.NewPCG(seed, uint64(len(wire)))).IntN(len(wire)-1)
			all[fmt.Sprintf("in two at byte %d", at)] = []int{at}
		}
	}
	return all
}

// A replier is a server behind a pipe: what it writes at once is read at once.
type replier struct {
	wire  string
	at    []int // where it is cut
	after bool  // another reply comes before, on the same connection
	stays bool  // the connection stays open afterwards, for one request more

	all sync.WaitGroup
}

func (s *replier) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	s.all.Go(func() { s.serve(ours) })
	return theirs, nil
}

func (s *replier) serve(c net.Conn) {
	defer c.Close()
	from := bufio.NewReader(c)
	asked := func() bool {
		q, err := http.ReadRequest(from)
		if err != nil {
			return false
		}
		_, err = io.Copy(io.Discard, q.Body)
		return err == nil
	}
	if !asked() {
		return
	}
	if s.after {
		if io.WriteString(c, okReply); !asked() {
			return
		}
	}
	start := 0
	for _, end := range append(slices.Clone(s.at), len(s.wire)) {
		if start == end {
			continue // a pipe would wait for somebody to read nothing
		}
		if _, err := io.WriteString(c, s.wire[start:end]); err != nil {
			return
		}
		start = end
	}
	if s.stays && asked() {
		io.WriteString(c, okReply)
	}
}

// An ending is what came of one exchange.
type ending struct {
	status int
	body   string
	header map[string][]string
	detail string
	reused bool // of the exchange after it
}

func (e *ending) String() string {
	if e.detail != "" {
		return "refused as " + e.detail
	}
	return fmt.Sprintf("status %d, body %.40q of %d, header %.200q", e.status, e.body, len(e.body), fmt.Sprint(e.header))
}

func (e *ending) equal(o *ending) bool {
	return e.status == o.status && e.body == o.body && e.detail == o.detail && maps.EqualFunc(e.header, o.header, slices.Equal)
}

// end makes the exchange with the row's reply, and those around it.
func (c *replyCase) end(t *testing.T, open func(o Options) Transport, at []int, after bool) *ending {
	t.Helper()
	s := &replier{wire: c.wire, at: at, after: after, stays: c.again && c.fails == ""}
	h := open(Options{Dial: s.dial, MaxReply: cmp.Or(c.most, 1<<20)})
	defer s.all.Wait()
	defer h.(interface{ Close() }).Close()
	base := time.Now()
	exchange := func(verb string) (*engine.Response, Timing, error) {
		q := &engine.Request{Verb: verb, Scheme: "http", Host: "h.example", Path: "/"}
		if c.gzip {
			q.Header = []engine.Field{{Name: "Accept-Encoding", Value: "gzip"}}
		}
		p := new(engine.Response)
		tm := Timing{Base: base, Until: time.Since(base) + 10*time.Second}
		err := h.Exchange(t.Context(), 0, q, p, &tm)
		return p, tm, err
	}
	if after {
		if p, _, err := exchange("POST"); err != nil || string(p.Body) != "ok" {
			t.Fatalf("the reply before: %q, %v", p.Body, err)
		}
	}
	p, tm, err := exchange(cmp.Or(c.verb, "GET"))
	e := new(ending)
	if err != nil {
		if e.detail, _ = classify(err); after && !tm.Reused {
			t.Error("it did not come on the connection of the one before")
		}
		return e
	}
	e.status, e.body, e.header = p.Status, string(p.Body), map[string][]string{}
	for _, f := range p.Header {
		name := http.CanonicalHeaderKey(f.Name)
		switch name {
		case "Transfer-Encoding", "Trailer", "Connection": // net/http may keep them for itself
		case "Content-Length": // of the same twice it makes one
			e.header[name] = []string{f.Value}
		default:
			e.header[name] = append(e.header[name], f.Value)
		}
	}
	if s.stays {
		next, tm, err := exchange("POST")
		if err != nil || string(next.Body) != "ok" {
			t.Errorf("the reply after: %q, %v", next.Body, err)
		}
		e.reused = tm.Reused
	}
	return e
}

// zipped are replies whose body is packed. Only whole transports unpack.
func zipped() []replyCase {
	pack := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, text)
		z.Close()
		return b.String()
	}
	with := func(encoding, body string) string {
		return replyOK + "Content-Encoding: " + encoding + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	chunked := func(body string) string {
		return replyOK + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	hi := pack("hi")
	wrong := hi[:len(hi)-8] + "\x00" + hi[len(hi)-7:]
	return []replyCase{
		{name: "gzip that was asked for", gzip: true, wire: with("gzip", hi), status: 200, body: "hi", again: true},
		{name: "gzip that was asked for, in chunks", gzip: true, wire: chunked(hi), status: 200, body: "hi", again: true},
		{name: "gzip that was asked for, until the end", gzip: true, wire: replyOK + "Content-Encoding: gzip\r\n\r\n" + hi, status: 200, body: "hi"},
		{name: "gzip that nobody asked for", wire: with("gzip", hi), status: 200, body: hi, again: true},
		{name: "GZIP", gzip: true, wire: with("GZIP", hi), status: 200, body: "hi", again: true},
		{name: "gzip of two members", gzip: true, wire: with("gzip", hi+pack(" there")), status: 200, body: "hi there", again: true},
		{name: "gzip of nothing", gzip: true, wire: with("gzip", pack("")), status: 200, again: true},
		{name: "gzip asked for, and plain", gzip: true, wire: replyOK + lengthTwo, status: 200, body: "hi", again: true},
		{name: "gzip asked for, and identity", gzip: true, wire: with("identity", "hi"), status: 200, body: "hi", again: true},
		{name: "gzip asked for, and something else", gzip: true, wire: with("br", "hi"), status: 200, body: "hi", again: true},
		{name: "gzip that is announced, of no body", gzip: true, wire: with("gzip", ""), status: 200, again: true},
		{name: "gzip that is announced, of no chunk", gzip: true, wire: replyOK + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 200, again: true},
		{name: "gzip that is announced in an answer to HEAD", gzip: true, verb: "HEAD", wire: replyOK + "Content-Encoding: gzip\r\nContent-Length: 26\r\n\r\n", status: 200, again: true},
		{name: "gzip that is announced by 304", gzip: true, wire: "HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\nContent-Length: 26\r\n\r\n", status: 304, again: true},
		{name: "gzip as large as is read", gzip: true, most: 1000, wire: with("gzip", pack(strings.Repeat("x", 1000))), status: 200, body: strings.Repeat("x", 1000), again: true},
		{name: "gzip larger than is read", gzip: true, most: 1000, wire: with("gzip", pack(strings.Repeat("x", 1001))), fails: detailTooLarge},
		{name: "gzip with a wrong sum", gzip: true, wire: with("gzip", wrong), fails: detailProtocol},
		{name: "gzip with a wrong sum that nobody asked for", wire: with("gzip", wrong), status: 200, body: wrong, again: true},
		{name: "gzip that breaks off", gzip: true, wire: with("gzip", hi[:len(hi)-3]), fails: detailProtocol},
		{name: "gzip with something after it", gzip: true, wire: with("gzip", hi+"!"), fails: detailProtocol},
		{name: "gzip that is none", gzip: true, wire: with("gzip", "hi"), fails: detailProtocol},
	}
}

// TestRepliesAsTheTransports lets whole transports read the table, however a
// reply comes and whatever came before it on the same connection: the fast one
// has of it what net/http has, or refuses it where the table argues for that.
func TestRepliesAsTheTransports(t *testing.T) {
	names := map[string]bool{}
	for _, c := range append(replyCases(), zipped()...) {
		if names[c.name] {
			t.Errorf("two rows are called %q", c.name)
		}
		names[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for how, at := range segmentations(c.wire) {
				for _, after := range []bool{false, true} {
					fast := c.end(t, func(o Options) Transport { f, _ := NewFast(o); return f }, at, after)
					want := &ending{detail: c.fails}
					if c.fails == "" {
						want = &ending{status: c.status, body: c.body, header: fast.header}
					}
					if !fast.equal(want) {
						t.Errorf("%s, after another %v: %v; want %v", how, after, fast, want)
					}
					if fast.detail == "" && fast.reused != c.again {
						t.Errorf("%s, after another %v: its connection is used again: %v", how, after, fast.reused)
					}
					if c.fails != "" && c.strict != "" {
						continue
					}
					theirs := c.end(t, func(o Options) Transport { h, _ := NewHTTP(o); return h }, at, after)
					want = &ending{detail: cmp.Or(c.theirs, c.fails)}
					if c.fails == "" {
						want = fast
					}
					if !theirs.equal(want) {
						t.Errorf("%s, after another %v: net/http has %v, the fast transport %v", how, after, theirs, want)
					}
				}
			}
		})
	}
	t.Logf("%d replies", len(names))
}
