package invoke

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// A cutReply is a reply that a server does not send to its end.
type cutReply struct {
	name, head, rest string
	body             string
	open             bool // its body ends where the connection does
}

func (c *cutReply) wire() string { return c.head + c.rest }

func cutReplies() []cutReply {
	const ok = "HTTP/1.1 200 OK\r\n"
	big := strings.Repeat("0123456789abcdef", 800)
	return []cutReply{
		{name: "of a length", head: ok + "Content-Length: 5\r\n\r\n", rest: "hello", body: "hello"},
		{name: "in chunks with trailers", head: ok + "Transfer-Encoding: chunked\r\n\r\n", rest: "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-A: 1\r\n\r\n", body: "hello"},
		{name: "after early hints", head: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "Content-Length: 5\r\n\r\n", rest: "hello", body: "hello"},
		{name: "until the end", head: ok + "X-A: 1\r\n\r\n", rest: "hello", body: "hello", open: true},
		{name: "over several reads", head: ok + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(big)), rest: big, body: big},
	}
}

// A cutEnd is what a server does after the last byte that it sends.
type cutEnd struct {
	name    string
	end     func(c net.Conn, raw *net.TCPConn)
	records bool // bytes are counted as they are on the wire, those of TLS included
	fin     bool // it says in due form that there is nothing to follow
	outcome engine.Outcome
	details []string
}

// whole returns the body that a reply has for the client when it ends after k
// bytes of size, and whether that is all of it. Of a body that ends with its
// connection nobody can tell a part from all, once that is closed (RFC 9112,
// section 6.3, item 8).
func (e *cutEnd) whole(r *cutReply, k, size int) (string, bool) {
	switch {
	case !r.open:
		return r.body, k == size
	case e.fin:
		return r.wire()[min(k, len(r.head)):k], k >= len(r.head)
	case e.name == noGoodbye:
		// Section 9.8 would have this refused. But TLS as Go has it takes an end
		// between two records for a good one, because well-known servers do not
		// say goodbye, and does not tell us. Within a record it is an error.
		return r.body, k == size
	}
	return "", false
}

const noGoodbye = "closes without a goodbye"

// cutEnds are the ways in which a connection can end, or does not.
func cutEnds(secure bool) []cutEnd {
	gone := func(c net.Conn) { io.Copy(io.Discard, c) } // until the client leaves
	all := []cutEnd{
		{"resets", func(_ net.Conn, raw *net.TCPConn) { raw.SetLinger(0); raw.Close() }, true, false, engine.NetworkError, []string{detailReset, detailEOF}},
		{"closes", func(c net.Conn, _ *net.TCPConn) { c.Close() }, false, true, engine.NetworkError, []string{detailEOF}},
		{"stalls", func(c net.Conn, _ *net.TCPConn) { gone(c) }, true, false, engine.ClientTimeout, []string{""}},
	}
	if secure {
		// Without TLS's own goodbye anybody on the way may have cut it.
		return append(all, cutEnd{noGoodbye, func(_ net.Conn, raw *net.TCPConn) { raw.Close() }, true, false, engine.NetworkError, []string{detailEOF}})
	}
	return append(all, cutEnd{"closes one way", func(c net.Conn, raw *net.TCPConn) { raw.CloseWrite(); gone(c) }, false, true, engine.NetworkError, []string{detailEOF}})
}

// A cutter is a server that sends the first bytes of replies. It is asked by
// the path for which reply, how many bytes and what then: /0/17/1/unique. Other
// requests it answers in full, and keeps the connection.
type cutter struct {
	base string
	mu   sync.Mutex
	seen map[string]int // requests by path
	sent map[string]int // bytes that could have gone out, by path
}

// scissors let a number of bytes pass, and swallow the rest.
type scissors struct {
	net.Conn
	closed bool
	left   int
	tried  int
}

func (s *scissors) Write(b []byte) (int, error) {
	if !s.closed {
		return s.Conn.Write(b)
	}
	s.tried += len(b)
	n := min(s.left, len(b))
	s.left -= n
	if _, err := s.Conn.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

func newCutter(t *testing.T, replies []cutReply, secure bool) (*cutter, Options) {
	t.Helper()
	s := &cutter{seen: map[string]int{}, sent: map[string]int{}}
	var o Options
	var config *tls.Config
	if secure {
		cert, ca := certificate(t, false, "127.0.0.1")
		config = &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true}
		o.CAFile = ca
	}
	ends := cutEnds(secure)
	s.base = rawServer(t, func(_ int, raw net.Conn) {
		cut := &scissors{Conn: raw}
		c := net.Conn(cut)
		if secure {
			c = tls.Server(cut, config)
		}
		from := bufio.NewReader(c)
		for {
			q, err := http.ReadRequest(from)
			if err != nil {
				return
			}
			io.Copy(io.Discard, q.Body)
			s.mu.Lock()
			s.seen[q.URL.Path]++
			s.mu.Unlock()
			var n, bytes, how int
			if _, err := fmt.Sscanf(q.URL.Path, "/%d/%d/%d/", &n, &bytes, &how); err != nil {
				io.WriteString(c, okReply)
				continue
			}
			wire := replies[n].wire()
			if end := ends[how]; end.records {
				cut.closed, cut.left = true, bytes
			} else {
				wire = wire[:min(bytes, len(wire))]
			}
			for len(wire) > 0 {
				part := wire[:min(6000, len(wire))]
				io.WriteString(c, part)
				wire = wire[len(part):]
			}
			s.mu.Lock()
			s.sent[q.URL.Path] = cut.tried
			s.mu.Unlock()
			cut.closed = cut.left > 0 || cut.closed && ends[how].name != "closes"
			ends[how].end(c, raw.(*net.TCPConn))
			return
		}
	})
	if secure {
		s.base = "https" + strings.TrimPrefix(s.base, "http")
	}
	return s, o
}

// to is plain, at another address, with another verb.
type to struct {
	plain
	verb string
	u    *url.URL
}

func (m to) Encode(_ *engine.Invocation, _ auth.Grant, _ time.Time, q *engine.Request) error {
	q.Verb, q.Scheme, q.Host, q.Path, q.Body = m.verb, m.u.Scheme, m.u.Host, m.u.Path, nil
	if m.verb == "POST" {
		q.Body = []byte("{}")
	}
	return nil
}

// invokeAt makes one invocation.
func invokeAt(t *testing.T, c *Client, verb, at string, timeout time.Duration) *engine.Result {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	r := new(engine.Result)
	c.Invoke(t.Context(), call(func(i *engine.Invocation) {
		i.Due, i.Step.Target.Timeout, i.Step.Target.Method = time.Since(c.Base), timeout, to{plain{}, verb, u}
	}), r)
	return r
}

// places are those at which a reply of so many bytes is cut: all, and where it
// is long, all at its ends and about the sizes of buffers, and some between.
func places(size int) []int {
	var all []int
	for k := range size + 1 {
		near := (k+3)%4096 < 6
		if size < 1000 || k < 70 || k > size-30 || near || k%499 == 0 {
			all = append(all, k)
		}
	}
	return all
}

// TestCutAnywhere cuts replies at every byte, in every way in which connections
// end: only a whole reply is ok, and no request is sent twice.
func TestCutAnywhere(t *testing.T) {
	both(t, func(t *testing.T, open func(t testing.TB, o Options) Transport) {
		for _, secure := range []bool{false, true} {
			replies := cutReplies()
			s, o := newCutter(t, replies, secure)
			for n := range replies {
				for how, end := range cutEnds(secure) {
					name := replies[n].name + ", the server " + end.name
					if secure {
						name = "TLS, " + name
					}
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						s.cut(t, open, o, &replies[n], end, fmt.Sprintf("/%d/%%d/%d/%s", n, how, t.Name()))
					})
				}
			}
		}
	})
}

// cut asks for one reply, cut at every place, on a connection that has served
// before. path has a verb for the place.
func (s *cutter) cut(t *testing.T, open func(t testing.TB, o Options) Transport, o Options, reply *cutReply, end cutEnd, path string) {
	path = strings.NewReplacer(" ", "_", "#", "_", ",", "").Replace(path)
	timeout, workers := 10*time.Second, 1
	if end.outcome == engine.ClientTimeout {
		timeout, workers = 20*ms, 32
	}
	size := len(reply.wire())
	if end.records {
		first := fmt.Sprintf(path, 0) + "/how_many"
		invokeAt(t, &Client{Transport: open(t, o), Base: time.Now()}, "GET", s.base+first, max(timeout, 100*ms))
		s.mu.Lock()
		size = s.sent[first]
		s.mu.Unlock()
		if size < len(reply.wire()) {
			t.Fatalf("the server would send %d bytes, less than the reply's %d", size, len(reply.wire()))
		}
	}
	at := places(size)
	next := make(chan int, len(at))
	for _, k := range at {
		next <- k
	}
	close(next)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			c := &Client{Transport: open(t, o), Base: time.Now()}
			for k := range next {
				s.cutAt(t, c, reply, end, k, size, fmt.Sprintf(path, k), timeout)
			}
		})
	}
	all.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range at {
		// One that has 20 ms may not even go out.
		if n := s.seen[fmt.Sprintf(path, k)]; n > 1 || n < 1 && timeout > time.Second {
			t.Errorf("the server saw the request %d times that it cut after %d bytes", n, k)
		}
	}
}

// cutAt asks for one reply that ends after k bytes of size.
func (s *cutter) cutAt(t *testing.T, c *Client, reply *cutReply, end cutEnd, k, size int, path string, timeout time.Duration) {
	verb := []string{"GET", "POST"}[k%2]
	if r := invokeAt(t, c, verb, s.base+"/before", 10*time.Second); r.Reply.Outcome != engine.OK {
		t.Errorf("the request before the one that is cut after %d bytes: %v, %s", k, r.Reply.Outcome, r.Reply.Message)
		return
	}
	want, whole := end.whole(reply, k, size)
	if whole {
		timeout = 10 * time.Second
	}
	r := invokeAt(t, c, verb, s.base+path, timeout)
	good := r.Reply.Outcome == engine.OK && string(r.Raw.Body) == want
	failed := r.Reply.Outcome == end.outcome && slices.Contains(end.details, r.Reply.Detail)
	if _, theirs := c.Transport.(*HTTP); theirs && r.Reply.Detail == detailProtocol {
		failed = true // net/http takes half a line for a wrong one
	}
	switch {
	case whole && good, !whole && failed:
	case whole && failed && end.name == "resets": // some systems throw away what has come
	default:
		t.Errorf("after %d of %d bytes: %v %q %s, body %.20q of %d; is it whole: %v", k, size, r.Reply.Outcome, r.Reply.Detail, r.Reply.Message, r.Raw.Body, len(r.Raw.Body), whole)
	}
	// One that has 20 ms may on a busy machine not come to a connection.
	if len(r.Attempts) != 1 || !r.Attempts[0].Reused && r.Reply.Outcome != engine.ClientTimeout {
		t.Errorf("after %d of %d bytes: attempts %+v, want one, on the connection before", k, size, r.Attempts)
	}
}

// TestLies has servers that say another length than they send. What a reply
// lacks makes it fail; what it has too much is nobody's, and least of all the
// next one's.
func TestLies(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	const chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
	lies := []struct {
		name, wire string
		body       string // that it has by its own account
		lacks      bool   // it is to go on
		malformed  bool
	}{
		{name: "a length too large by one", wire: ok + "Content-Length: 6\r\n\r\nhello", lacks: true},
		{name: "a length too large by many", wire: ok + "Content-Length: 70000\r\n\r\nhello", lacks: true},
		{name: "a length too small by one", wire: ok + "Content-Length: 4\r\n\r\nhello", body: "hell"},
		{name: "a length of nothing", wire: ok + "Content-Length: 0\r\n\r\nhello"},
		{name: "a body that 204 has not", wire: "HTTP/1.1 204 No Content\r\n\r\nhello"},
		{name: "a body that 304 has not", wire: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "a chunk's size too large by one", wire: chunked + "6\r\nhello\r\n0\r\n\r\n", malformed: true},
		{name: "a chunk's size too large by two", wire: chunked + "7\r\nhello\r\n0\r\n\r\n", malformed: true},
		{name: "a chunk's size too large by all that follows", wire: chunked + "c\r\nhello\r\n0\r\n\r\n", lacks: true},
		{name: "a chunk's size too small by one", wire: chunked + "4\r\nhello\r\n0\r\n\r\n", malformed: true},
		{name: "a last chunk too early", wire: chunked + "0\r\n\r\nhello\r\n0\r\n\r\n"},
		{name: "one chunk less than there are", wire: chunked + "5\r\nhello\r\n", lacks: true},
		{name: "two replies for one", wire: ok + "Content-Length: 5\r\n\r\nhello" + ok + "Content-Length: 5\r\n\r\nstale", body: "hello"},
		{name: "two replies in chunks for one", wire: chunked + "5\r\nhello\r\n0\r\n\r\n" + chunked + "5\r\nstale\r\n0\r\n\r\n", body: "hello"},
	}
	replies := make([]cutReply, len(lies))
	for n := range lies {
		replies[n].rest = lies[n].wire
	}
	both(t, func(t *testing.T, open func(t testing.TB, o Options) Transport) {
		for _, secure := range []bool{false, true} {
			s, o := newCutter(t, replies, secure)
			for n, lie := range lies {
				for how, end := range cutEnds(secure) {
					t.Run(fmt.Sprintf("TLS %v, %s, the server %s", secure, lie.name, end.name), func(t *testing.T) {
						t.Parallel()
						c := &Client{Transport: open(t, o), Base: time.Now()}
						path := fmt.Sprintf("/%d/1000000/%d/", n, how)
						timeout := 10 * time.Second
						if lie.lacks && end.outcome == engine.ClientTimeout {
							timeout = 50 * ms
						}
						r := invokeAt(t, c, "POST", s.base+path, timeout)
						got := r.Reply.Outcome
						switch {
						case lie.malformed:
							if got != engine.NetworkError || r.Reply.Detail != detailProtocol {
								t.Errorf("%v %q %s, body %q; want it refused as %s", got, r.Reply.Detail, r.Reply.Message, r.Raw.Body, detailProtocol)
							}
						case lie.lacks:
							if got != end.outcome || !slices.Contains(end.details, r.Reply.Detail) {
								t.Errorf("%v %q %s, body %q; want %v", got, r.Reply.Detail, r.Reply.Message, r.Raw.Body, end.outcome)
							}
						case got != engine.OK && r.Raw.Status != 304 && end.name != "resets" || got == engine.OK && string(r.Raw.Body) != lie.body:
							t.Errorf("%v %q %s, body %q; want %q", got, r.Reply.Detail, r.Reply.Message, r.Raw.Body, lie.body)
						}
						// Its connection is one that answers nothing more, so it may not be used.
						after := invokeAt(t, c, "POST", s.base+"/after", 2*time.Second)
						// net/http notices in its own time what nobody asked for, and may refuse it then.
						_, ours := c.Transport.(*Auto)
						if refused := after.Reply.Outcome == engine.NetworkError && after.Reply.Detail == detailProtocol; refused && !ours {
							return
						}
						if after.Reply.Outcome != engine.OK || string(after.Raw.Body) != "ok" || after.Attempts[0].Reused {
							t.Errorf("the next: %v %q, %s, body %q, reused: %v", after.Reply.Outcome, after.Reply.Detail, after.Reply.Message, after.Raw.Body, after.Attempts[0].Reused)
						}
						s.mu.Lock()
						defer s.mu.Unlock()
						if s.seen[path] != 1 {
							t.Errorf("the server saw it %d times", s.seen[path])
						}
					})
				}
			}
		}
	})
}
