//go:build servers

package servers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/invoke"
)

// A row is one request, and what is known of its outcome.
type row struct {
	verb, path string // with the query; GET is ""
	body       int    // bytes
	header     []engine.Field
	timeout    time.Duration
	status     int
	length     int // of the reply's body; less than 0: not known
	outcome    engine.Outcome
	only       string // node or nginx
	h1         bool   // it makes sense with HTTP/1.1 alone
}

// rows are the requests that every site gets.
func rows() []row {
	const ms = time.Millisecond
	gzip := []engine.Field{{Name: "Accept-Encoding", Value: "gzip"}}
	all := []row{
		{path: "/bytes?n=2", status: 200, length: 2},
		{path: "/bytes?n=0", status: 200},
		{path: fmt.Sprintf("/bytes?n=%d", sixMB), status: 200, length: sixMB},
		{path: fmt.Sprintf("/bytes?n=%d", 9<<20), outcome: engine.NetworkError}, // more than is read
		{verb: "HEAD", path: "/bytes?n=1000", status: 200},
		{verb: "POST", path: "/echo", status: 200, length: 6},
		{verb: "POST", path: "/echo", body: 100, status: 200, length: 8},
		{verb: "POST", path: "/echo", body: 65_000, status: 200, length: 10},
		{verb: "POST", path: "/echo", body: 66_000, status: 200, length: 10},
		{verb: "POST", path: "/echo", body: sixMB, status: 200, length: 12},
		{verb: "PUT", path: "/echo", body: 100, status: 200, length: 7},
		{verb: "PUT", path: "/echo", status: 200, length: 5},
		{verb: "DELETE", path: "/echo", status: 200, length: 8},
		{verb: "PATCH", path: "/echo", body: 1, status: 200, length: 7},
		{verb: "GET", path: "/echo", body: 10, status: 200, length: 6},
		{verb: "POST", path: "/echo", body: 10, header: []engine.Field{{Name: "Expect", Value: "100-continue"}}, status: 200, length: 7, h1: true},
		{path: "/chunks?n=1&size=5", status: 200, length: 5},
		{path: "/chunks?n=100&size=100", status: 200, length: 10_000},
		{path: "/chunks?n=5&size=1000&pause=3", status: 200, length: 5000},
		{path: "/chunks?n=384&size=16384", status: 200, length: sixMB},
		{verb: "HEAD", path: "/chunks?n=3&size=5", status: 200},
		{path: "/trailers", status: 200, length: 5},
		{path: "/hints?n=1", status: 200, length: 11, only: "node"},
		{path: "/hints?n=10", status: 200, length: 11, only: "node"},
		{verb: "HEAD", path: "/hints?n=2", status: 200, only: "node"},
		{verb: "POST", path: "/continue", body: 10, status: 200, length: 12, only: "node"},
		{path: "/cookies", status: 200, length: 2},
		{path: "/gzip", status: 200, length: -1},
		{path: "/gzip", header: gzip, status: 200, length: 6000},
		{verb: "HEAD", path: "/gzip", header: gzip, status: 200},
		{path: "/close", status: 200, length: 2, h1: true},
		{path: "/until-close", status: 200, length: 11, h1: true},
		{path: "/no-such-path", status: 404, length: 12, outcome: engine.Rejected},
		{verb: "POST", path: "/early?code=413", body: 100, status: 413, length: 5, outcome: engine.Rejected},
		{verb: "POST", path: "/early?code=200", body: 300_000, status: 200, length: 5, only: "node"}, // nginx answers and hangs up, at once or a moment later
		{verb: "POST", path: "/early?code=500", body: 1000, status: 500, length: 5, outcome: engine.Rejected},
		{path: "/slow?ms=30", status: 200, length: 4},
		{path: "/slow?ms=3000", timeout: 100 * ms, outcome: engine.ClientTimeout},
		{path: "/slow-body?ms=30", status: 200, length: 10},
		{path: "/slow-body?ms=3000", timeout: 100 * ms, outcome: engine.ClientTimeout},
		{path: "/abort", outcome: engine.NetworkError, only: "node"},
		{verb: "POST", path: "/abort", body: 100, outcome: engine.NetworkError, only: "node"},
		{path: "/abort", status: 502, length: -1, outcome: engine.Rejected, only: "nginx"},
		{path: "/abort-body?after=10&length=1", outcome: engine.NetworkError},
		{path: "/abort-body?after=50000&length=1", outcome: engine.NetworkError},
		{path: "/abort-body?after=10", outcome: engine.NetworkError},
		{path: "/abort-body?after=50000", outcome: engine.NetworkError},

		{path: "/files/small.txt", status: 200, length: 13, only: "nginx"},
		{path: "/files/small.txt", header: gzip, status: 200, length: 13, only: "nginx"},
		{path: "/files/empty", status: 200, only: "nginx"},
		{path: "/files/large", status: 200, length: sixMB, only: "nginx"},
		{verb: "HEAD", path: "/files/large", status: 200, only: "nginx"},
		{path: "/files/large", header: []engine.Field{{Name: "Range", Value: "bytes=5-14"}}, status: 206, length: 10, only: "nginx"},
		{path: "/files/none", status: 404, length: -1, outcome: engine.Rejected, only: "nginx"},
		{verb: "POST", path: "/files/small.txt", body: 10, status: 405, length: -1, outcome: engine.Rejected, only: "nginx"},
		{path: "/nothing", status: 204, only: "nginx"},
		{path: "/moved", status: 302, length: -1, outcome: engine.Rejected, only: "nginx"},
		{path: "/teapot", status: 418, length: 15, outcome: engine.Rejected, only: "nginx"},
		{path: "/dead", status: 502, length: -1, outcome: engine.Rejected, only: "nginx"},
		{path: "/cut", outcome: engine.NetworkError, only: "nginx"},
		{path: "/trailers-of-nginx", status: 200, length: 15, only: "nginx"},
		{verb: "POST", path: "/small/echo", body: 2000, status: 413, length: -1, outcome: engine.Rejected, only: "nginx"},
		{verb: "POST", path: "/echo", body: 7<<20 + 1, status: 413, length: -1, outcome: engine.Rejected, only: "nginx"},
	}
	for _, code := range []int{200, 201, 204, 205, 304, 400, 401, 403, 429, 500, 503, 599} {
		outcome := engine.OK
		if code > 299 {
			outcome = engine.Rejected
		}
		all = append(all, row{path: fmt.Sprintf("/status?code=%d", code), status: code, outcome: outcome},
			row{verb: "HEAD", path: fmt.Sprintf("/status?code=%d", code), status: code, outcome: outcome})
	}
	return all
}

func (r *row) name() string {
	verb := r.verb
	if verb == "" {
		verb = "GET"
	}
	name := fmt.Sprintf("%s %s of %d", verb, r.path, r.body)
	if len(r.header) > 0 {
		name += " with " + r.header[0].Name
	}
	return name
}

// asks is a method that sends a row's request as it is. It has the failures of
// HTTP in one outcome, since their statuses tell them apart.
type asks struct {
	base *url.URL
	row  *row
}

func (asks) Name() string { return "asks" }

func (m asks) Encode(_ *engine.Invocation, _ auth.Grant, _ time.Time, to *engine.Request) error {
	to.Verb, to.Scheme, to.Host, to.Header = m.row.verb, m.base.Scheme, m.base.Host, slices.Clone(m.row.header)
	if to.Verb == "" {
		to.Verb = "GET"
	}
	to.Path, to.Query, _ = strings.Cut(m.row.path, "?")
	if m.row.body > 0 {
		to.Body = bytes.Repeat([]byte("x"), m.row.body)
	}
	return nil
}

func (asks) Decode(_ *engine.Invocation, from *engine.Response, to *engine.Reply) {
	*to = engine.Reply{Status: from.Status, Header: from.Header, Body: from.Body}
	if from.Status > 299 {
		to.Outcome = engine.Rejected
	}
}

// A transport is what the suite compares.
type transport interface {
	invoke.Transport
	Close()
}

func open(t *testing.T, kind string, s site) transport {
	t.Helper()
	o := invoke.Options{Protocol: s.protocol, CAFile: authority, UserAgent: "volley-servers"}
	var h transport
	var err error
	if kind == "auto" {
		h, err = invoke.NewAuto(o)
	} else {
		h, err = invoke.NewHTTP(o)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// ask sends a row's request once.
func ask(ctx context.Context, c *invoke.Client, s site, r *row) *engine.Result {
	base, _ := url.Parse(s.base)
	timeout := r.timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	result := new(engine.Result)
	c.Invoke(ctx, &engine.Invocation{
		Step:  &engine.Invoke{Attempts: -1, Target: &engine.Target{Method: asks{base, r}, Timeout: timeout}},
		Scope: &engine.Scope{},
		Due:   time.Since(c.Base),
	}, result)
	return result
}

// outcome writes down all of a result that must be the same: not what a clock
// or a connection has in it.
func outcome(r *engine.Result) string {
	reply := &r.Reply
	if reply.Outcome == engine.NetworkError || reply.Outcome == engine.ClientTimeout {
		detail := reply.Detail
		if detail == "eof" || detail == "reset" {
			detail = "broken off" // which of both is a matter of the moment
		}
		return fmt.Sprintf("%v %s", reply.Outcome, detail)
	}
	header := map[string][]string{}
	for _, f := range r.Raw.Header {
		switch name := http.CanonicalHeaderKey(f.Name); name {
		case "Date", "Connection", "Keep-Alive", "Transfer-Encoding", "Trailer":
		default:
			header[name] = append(header[name], f.Value)
		}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		lines = append(lines, fmt.Sprintf("%s: %q", name, header[name]))
	}
	return fmt.Sprintf("%v %d %s, %d bytes %.8x, %s", reply.Outcome, reply.Status, r.Raw.Proto, len(r.Raw.Body), sha256.Sum256(r.Raw.Body), strings.Join(lines, "; "))
}

// TestSame sends every row by both transports, three times on what connections
// there are, and then something simple.
func TestSame(t *testing.T) {
	for _, s := range sites {
		for _, r := range rows() {
			if r.only == "node" && s.nginx || r.only == "nginx" && !s.nginx || r.h1 && s.proto != "HTTP/1.1" {
				continue
			}
			t.Run(s.name+"/"+r.name(), func(t *testing.T) {
				var got [2]string
				for n, kind := range []string{"auto", "net/http"} {
					c := &invoke.Client{Transport: open(t, kind, s), Base: time.Now()}
					for again := range 3 {
						result := ask(t.Context(), c, s, &r)
						one := outcome(result)
						if again > 0 && one != got[n] {
							t.Errorf("%s: %s, and before %s", kind, one, got[n])
						}
						got[n] = one
						if result.Reply.Outcome != r.outcome || result.Reply.Status != r.status {
							t.Errorf("%s: %v, status %d, %s; want %v, status %d", kind, result.Reply.Outcome, result.Reply.Status, result.Reply.Message, r.outcome, r.status)
						} else if r.status != 0 && (r.length >= 0 && len(result.Raw.Body) != r.length || result.Raw.Proto != s.proto) {
							t.Errorf("%s: %d bytes by %s, want %d by %s", kind, len(result.Raw.Body), result.Raw.Proto, r.length, s.proto)
						}
					}
					if after := ask(t.Context(), c, s, &row{path: "/bytes?n=5"}); string(after.Raw.Body) != "01234" {
						t.Errorf("%s: the request after it: %v, %q, %s", kind, after.Reply.Outcome, after.Raw.Body, after.Reply.Message)
					}
				}
				if got[0] != got[1] {
					t.Errorf("auto has %s\nnet/http has %s", got[0], got[1])
				}
			})
		}
	}
}

// seen asks how often a server got the request of that id.
func seen(t *testing.T, c *invoke.Client, s site, id string) string {
	t.Helper()
	r := ask(t.Context(), c, s, &row{path: "/seen?id=" + id})
	if r.Reply.Outcome != engine.OK {
		t.Fatalf("%s cannot be asked: %s", s.name, r.Reply.Message)
	}
	return string(r.Raw.Body)
}

// TestClosedInMidAir sends requests at about the time at which a server closes
// what is idle. They may fail, but what is ok was answered once, and nothing is
// sent twice.
func TestClosedInMidAir(t *testing.T) {
	for _, s := range impatient {
		for _, kind := range []string{"auto", "net/http"} {
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				c := &invoke.Client{Transport: open(t, kind, s), Base: time.Now()}
				var all sync.WaitGroup
				var failed atomic.Int64
				for worker := range 20 {
					all.Go(func() {
						for n := range 20 {
							id := fmt.Sprintf("%s-%d-%d", strings.NewReplacer("/", "-", ",", "", "_", "-").Replace(t.Name()), worker, n)
							r := ask(t.Context(), c, s, &row{verb: []string{"GET", "POST"}[n%2], path: "/echo?id=" + id, body: n % 2 * 10})
							times := seen(t, &invoke.Client{Transport: c.Transport, Base: c.Base}, sites[0], id)
							switch ok := r.Reply.Outcome == engine.OK; {
							case ok && times != "1", times != "0" && times != "1":
								t.Errorf("%s: %v, and it was seen %s times", id, r.Reply.Outcome, times)
							case !ok && r.Reply.Outcome != engine.NetworkError:
								t.Errorf("%s: %v, %s", id, r.Reply.Outcome, r.Reply.Message)
							case !ok:
								failed.Add(1)
							}
							time.Sleep(95*time.Millisecond + time.Duration(worker+n)*500*time.Microsecond)
						}
					})
				}
				all.Wait()
				t.Logf("%d of 400 requests found their connection closed", failed.Load())
				if failed.Load() > 100 {
					t.Errorf("%d of 400 requests failed; most should find it out before they are sent", failed.Load())
				}
			})
		}
	}
}

// TestCrowd has a thousand requests under way at once, three times over.
func TestCrowd(t *testing.T) {
	for _, s := range sites {
		for _, kind := range []string{"auto", "net/http"} {
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				c := &invoke.Client{Transport: open(t, kind, s), Base: time.Now()}
				var all sync.WaitGroup
				var failed atomic.Int64
				var why atomic.Value
				for n := range 1000 {
					all.Go(func() {
						for range 3 {
							r := ask(t.Context(), c, s, &row{verb: "POST", path: "/echo", body: n + 1})
							if want := fmt.Sprintf("POST %d", n+1); r.Reply.Outcome != engine.OK || string(r.Raw.Body) != want {
								failed.Add(1)
								why.Store(fmt.Sprintf("%v %q, %s, %q, want %q", r.Reply.Outcome, r.Reply.Detail, r.Reply.Message, r.Raw.Body, want))
							}
						}
					})
				}
				all.Wait()
				if failed.Load() > 0 {
					t.Errorf("%d of 3000 failed, such as: %v", failed.Load(), why.Load())
				}
			})
		}
	}
}
