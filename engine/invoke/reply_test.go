package invoke

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"volley/engine"
)

// A replyCase is a reply as it comes, and what it is.
type replyCase struct {
	name   string
	verb   string // "" is GET
	wire   string
	status int
	body   string
	again  bool
	fails  string // a detail of network_error, where it is refused
	strict string // why it is refused, or read otherwise, where net/http reads it
	theirs string // the detail by which net/http refuses it, where that is another
	most   int64  // of a body that is read; 0: 1 MiB
	gzip   bool   // the request asks for it
}

func replyCases() []replyCase {
	const ok = "HTTP/1.1 200 OK\r\n"
	big := strings.Repeat("x", 5000)
	return append(oddReplies(), []replyCase{
		{name: "a body of a length", wire: ok + "Content-Length: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "a body of no length", wire: ok + "Content-Length: 0\r\n\r\n", status: 200, again: true},
		{name: "a body until the end", wire: ok + "\r\nhi", status: 200, body: "hi"},
		{name: "a body larger than what is read at once", wire: ok + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 4*len(big), big+big+big+big), status: 200, body: big + big + big + big, again: true},
		{name: "close", wire: ok + "Connection: close\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{name: "close among others", wire: ok + "connection: Keep-Alive, Close\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{name: "close in a second line", wire: ok + "Connection: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{name: "a word that only begins like close", wire: ok + "Connection: closed\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "HTTP/1.0", wire: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{name: "HTTP/1.0 that stays", wire: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "no reason", wire: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "an empty reason", wire: "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "a reason of several words", wire: "HTTP/1.1 404 Not Found At All\r\nContent-Length: 2\r\n\r\nhi", status: 404, body: "hi", again: true},
		{name: "a status of one's own", wire: "HTTP/1.1 432 ResourceLimitReached\r\nContent-Length: 2\r\n\r\nhi", status: 432, body: "hi", again: true},
		{name: "a status above 599", wire: "HTTP/1.1 999 x\r\nContent-Length: 2\r\n\r\nhi", status: 999, body: "hi", again: true},
		{name: "bare line feeds", wire: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", status: 200, body: "hi", again: true},
		{name: "blanks around a value", wire: ok + "Content-Length: \t 2 \t\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "no blank before a value", wire: ok + "Content-Length:2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "an empty value", wire: ok + "X-A:\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "names in any case", wire: ok + "cOnTeNt-LeNgTh: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "the same length twice", wire: ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "leading zeros", wire: ok + "Content-Length: 002\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "204", wire: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, again: true},
		{name: "304", wire: "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", status: 304, again: true},
		{name: "an answer to HEAD", verb: "HEAD", wire: ok + "Content-Length: 2\r\n\r\n", status: 200, again: true},
		{name: "an answer to HEAD in chunks", verb: "HEAD", wire: ok + "Transfer-Encoding: chunked\r\n\r\n", status: 200, again: true},
		{name: "100 first", wire: "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "103 with headers first", wire: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "chunks", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n5\r\nthere\r\n0\r\n\r\n", status: 200, body: "hithere", again: true},
		{name: "chunks in capitals", wire: ok + "Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", status: 200, body: "0123456789", again: true},
		{name: "no chunk", wire: ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 200, again: true},
		{name: "chunks with extensions", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2;a=b;c\r\nhi\r\n0;x\r\n\r\n", status: 200, body: "hi", again: true},
		{name: "chunks with trailers", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n", status: 200, body: "hi", again: true},
		{name: "a blank after a chunk's size", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\n\r\n", status: 200, body: "hi", again: true},
		{name: "a size with zeros before", wire: ok + "Transfer-Encoding: chunked\r\n\r\n0002\r\nhi\r\n0\r\n\r\n", status: 200, body: "hi", again: true},
		{name: "one large chunk", wire: ok + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", 4*len(big), big+big+big+big), status: 200, body: big + big + big + big, again: true},
		{name: "more than was asked for", wire: ok + "Content-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n", status: 200, body: "hi"},

		{name: "nothing", wire: "", fails: detailEOF},
		{name: "the head breaks off", wire: "HTTP/1.1 200 OK\r\nContent-Le", fails: detailEOF, theirs: detailProtocol},
		{name: "the body breaks off", wire: ok + "Content-Length: 5\r\n\r\nhi", fails: detailEOF},
		{name: "a chunk breaks off", wire: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhi", fails: detailEOF},
		{name: "the chunks break off", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", fails: detailEOF},
		{name: "the last chunk breaks off", wire: ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n", fails: detailEOF},
		{name: "the trailers break off", wire: ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\r\n", fails: detailEOF, theirs: detailProtocol},
		{name: "only 100", wire: "HTTP/1.1 100 Continue\r\n\r\n", fails: detailEOF},
		{name: "no HTTP", wire: "SSH-2.0-OpenSSH_9.2\r\n\r\n", fails: detailProtocol},
		{name: "TLS", wire: "\x15\x03\x01\x00\x02\x02\x28\n\n", fails: detailProtocol},
		{name: "HTTP/2 in the status line", wire: "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", fails: detailProtocol, strict: "no version but 1.0 and 1.1 is framed like this"},
		{name: "HTTP/1.2", wire: "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nhi", fails: detailProtocol, strict: "there is no such version"},
		{name: "a version without a number", wire: "HTTP/1. 200 OK\r\n\r\n", fails: detailProtocol},
		{name: "an empty line first", wire: "\r\n" + ok + "Content-Length: 2\r\n\r\nhi", fails: detailProtocol},
		{name: "two blanks before the status", wire: "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nhi", fails: detailProtocol, strict: "RFC 9112, section 4 has one"},
		{name: "a tab before the status", wire: "HTTP/1.1\t200 OK\r\n\r\n", fails: detailProtocol},
		{name: "a status of two digits", wire: "HTTP/1.1 20 OK\r\n\r\n", fails: detailProtocol},
		{name: "a status of four digits", wire: "HTTP/1.1 2000 OK\r\n\r\n", fails: detailProtocol},
		{name: "a status with a sign", wire: "HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n\r\nhi", fails: detailProtocol, strict: "a status has three digits"},
		{name: "a status that is none", wire: "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nhi", fails: detailProtocol, strict: "statuses begin at 100"},
		{name: "101", wire: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", fails: detailProtocol, strict: "nobody asked for another protocol"},
		{name: "100 without end", wire: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 50) + ok + "\r\n", fails: detailProtocol, strict: "a server that does not come to its point"},
		{name: "a line without a colon", wire: ok + "nonsense\r\n\r\n", fails: detailProtocol},
		{name: "a header without a name", wire: ok + ": x\r\n\r\n", fails: detailProtocol},
		{name: "a blank before the colon", wire: ok + "Content-Length : 2\r\n\r\nhi", fails: detailProtocol, strict: "a header of another name for some readers (RFC 9112, section 5.1)"},
		{name: "a name with a blank", wire: ok + "Content Length: 2\r\n\r\nhi", fails: detailProtocol, strict: "a name is a token (RFC 9110, section 5.1)"},
		{name: "a folded first line", wire: "HTTP/1.1 200 OK\r\n X-A: 1\r\n\r\n", fails: detailProtocol},
		{name: "a folded line", wire: ok + "X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nhi", fails: detailProtocol, strict: "obs-fold: two readers may see two headers (RFC 9112, section 5.2)"},
		{name: "a NUL in a value", wire: ok + "X-A: 1\x002\r\nContent-Length: 2\r\n\r\nhi", fails: detailProtocol},
		{name: "a carriage return in a value", wire: ok + "X-A: 1\rContent-Length: 5\r\nContent-Length: 2\r\n\r\nhi", fails: detailProtocol},
		{name: "two lengths", wire: ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", fails: detailProtocol},
		{name: "a list of lengths", wire: ok + "Content-Length: 2, 2\r\n\r\nhi", fails: detailProtocol},
		{name: "a negative length", wire: ok + "Content-Length: -2\r\n\r\nhi", fails: detailProtocol},
		{name: "a length with a plus", wire: ok + "Content-Length: +2\r\n\r\nhi", fails: detailProtocol},
		{name: "a length in hex", wire: ok + "Content-Length: 0x2\r\n\r\nhi", fails: detailProtocol},
		{name: "an empty length", wire: ok + "Content-Length: \r\n\r\nhi", fails: detailProtocol},
		{name: "a length beyond all bounds", wire: ok + "Content-Length: 99999999999999999999\r\n\r\nhi", fails: detailProtocol},
		{name: "length and chunks", wire: ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol, strict: "RFC 9112, section 6.3: it ought to be handled as an error"},
		{name: "chunks twice", wire: ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "chunks in two lines", wire: ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "an unknown encoding", wire: ok + "Transfer-Encoding: gzip\r\n\r\nhi", fails: detailProtocol},
		{name: "an encoding before the chunks", wire: ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "chunks in HTTP/1.0", wire: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol, strict: "HTTP/1.0 has no chunks (RFC 9112, section 6.1)"},
		{name: "a chunk without a size", wire: ok + "Transfer-Encoding: chunked\r\n\r\n\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk's size that is none", wire: ok + "Transfer-Encoding: chunked\r\n\r\nxy\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk's size with a sign", wire: ok + "Transfer-Encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk's size with 0x", wire: ok + "Transfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk's size beyond all bounds", wire: ok + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk longer than it says", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhim\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk much longer than it says", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi there\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a bare line feed after a chunk", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\n0\r\n\r\n", fails: detailProtocol},
		{name: "a bare line feed after a size", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "an extension without end", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2;" + strings.Repeat("x", 70000) + "\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a trailer that is none", wire: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nnonsense\r\n\r\n", fails: detailProtocol},
		{name: "a head without end", wire: ok + "X-A: " + strings.Repeat("x", 400<<10) + "\r\n\r\n", fails: detailTooLarge, strict: "the transport sets net/http the same limit"},
		{name: "more headers than are read", wire: ok + strings.Repeat("X-A: 1\r\n", 64<<10) + "\r\n", fails: detailTooLarge, strict: "the transport sets net/http the same limit"},
	}...)
}

// read reads one reply.
func (c *replyCase) read(from io.Reader, most int64) (p engine.Response, again bool, err error) {
	verb := c.verb
	if verb == "" {
		verb = "GET"
	}
	r := replyReader{from: from}
	again, err = r.next(verb, most, &p)
	return p, again, err
}

func TestReplies(t *testing.T) {
	for _, c := range replyCases() {
		t.Run(c.name, func(t *testing.T) {
			ways := map[string]io.Reader{
				"at once":       strings.NewReader(c.wire),
				"byte by byte":  iotest.OneByteReader(strings.NewReader(c.wire)),
				"end with data": iotest.DataErrReader(strings.NewReader(c.wire)),
				"in halves":     iotest.HalfReader(strings.NewReader(c.wire)),
			}
			for how, from := range ways {
				p, again, err := c.read(from, cmp.Or(c.most, 1<<20))
				if c.fails != "" {
					if err == nil {
						t.Errorf("%s: status %d, body %.40q; want it refused", how, p.Status, p.Body)
					} else if detail, _ := classify(err); detail != c.fails {
						t.Errorf("%s: refused as %s (%v), want %s", how, detail, err, c.fails)
					}
					continue
				}
				if err != nil || p.Status != c.status || string(p.Body) != c.body {
					t.Errorf("%s: status %d, body %.40q, %v; want %d, %.40q", how, p.Status, p.Body, err, c.status, c.body)
				}
				// What follows may not have come yet.
				if again != c.again && (how == "at once" || c.again) {
					t.Errorf("%s: can be used again: %v, want %v", how, again, c.again)
				}
			}
		})
	}
}

// TestRepliesAsNetHTTP holds the table itself against net/http: it reads each
// reply the same, but where the table argues for more strictness.
func TestRepliesAsNetHTTP(t *testing.T) {
	for _, c := range replyCases() {
		status, body, _, err := byNetHTTP(c.verb, c.wire)
		switch {
		case c.strict != "":
			if err != nil {
				t.Errorf("%s: net/http refuses it, too (%v); there is nothing to argue", c.name, err)
			}
		case c.fails != "" && err == nil:
			t.Errorf("%s: net/http reads status %d and %.40q, and the table refuses it without a reason", c.name, status, body)
		case c.fails == "" && (err != nil || status != c.status || body != c.body):
			t.Errorf("%s: net/http reads status %d and %.40q, %v; the table wants %d and %.40q", c.name, status, body, err, c.status, c.body)
		}
	}
}

// byNetHTTP reads a reply as net/http's client does, interim replies first.
func byNetHTTP(verb, wire string) (status int, body string, header http.Header, err error) {
	if verb == "" {
		verb = "GET"
	}
	from := bufio.NewReader(strings.NewReader(wire))
	for {
		resp, err := http.ReadResponse(from, &http.Request{Method: verb})
		if err != nil {
			return 0, "", nil, err
		}
		if resp.StatusCode >= 100 && resp.StatusCode < 200 && resp.StatusCode != 101 {
			continue
		}
		text, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text), resp.Header, err
	}
}

// TestReplyAfterReply holds that a reader is at the next reply when one is over.
func TestReplyAfterReply(t *testing.T) {
	var wire strings.Builder
	var want []replyCase
	for range 3 {
		for _, c := range replyCases() {
			if c.again && c.verb == "" {
				wire.WriteString(c.wire)
				want = append(want, c)
			}
		}
	}
	for _, from := range []io.Reader{strings.NewReader(wire.String()), iotest.OneByteReader(strings.NewReader(wire.String()))} {
		r := replyReader{from: from}
		var p engine.Response
		for _, c := range want {
			if _, err := r.next("GET", 1<<20, &p); err != nil || p.Status != c.status || string(p.Body) != c.body {
				t.Fatalf("%s: status %d, body %.40q, %v; want %d, %.40q", c.name, p.Status, p.Body, err, c.status, c.body)
			}
		}
		if _, err := r.next("GET", 1<<20, &p); !errors.Is(err, io.EOF) {
			t.Errorf("after the last: %v", err)
		}
	}
}

// TestReplyCutAnywhere holds that no part of a reply passes for a whole one.
func TestReplyCutAnywhere(t *testing.T) {
	for _, c := range replyCases() {
		if c.fails != "" || !c.again || len(c.wire) > 2000 {
			continue
		}
		for n := range len(c.wire) {
			if p, _, err := c.read(strings.NewReader(c.wire[:n]), 1<<20); err == nil {
				t.Errorf("%s: the first %d bytes of %d pass for status %d, %q", c.name, n, len(c.wire), p.Status, p.Body)
			}
		}
	}
}

func TestReplyTooLarge(t *testing.T) {
	const most = 10
	for _, wire := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890",
		"HTTP/1.1 200 OK\r\n\r\n01234567890",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n67890\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n0",
	} {
		_, _, err := (&replyCase{}).read(strings.NewReader(wire), most)
		if detail, message := classify(errOr(err)); detail != detailTooLarge || !strings.Contains(message, "10") {
			t.Errorf("%q: %s %s, want %s", wire, detail, message, detailTooLarge)
		}
	}
	if p, _, err := (&replyCase{}).read(strings.NewReader("HTTP/1.1 200 OK\r\n\r\n0123456789"), most); err != nil || len(p.Body) != most {
		t.Errorf("a body as large as may be: %v", err)
	}
}

func errOr(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// TestReplyGarbage holds what a reply costs: one string, its head.
func TestReplyGarbage(t *testing.T) {
	wire := []byte("HTTP/1.1 200 OK\r\nServer: tcbgw\r\nContent-Type: application/json\r\nX-Request-Id: 7ab40e09-0f36-4a7d-8181-b152fb77616f\r\nContent-Length: 20\r\n\r\n{\"code\":0,\"data\":{}}")
	from := bytes.NewReader(nil)
	r := replyReader{from: from}
	var p engine.Response
	got := testing.AllocsPerRun(100, func() {
		from.Reset(wire)
		if again, err := r.next("POST", 1<<20, &p); err != nil || !again {
			t.Fatal(again, err)
		}
	})
	if got > 1 {
		t.Errorf("%v allocations for a reply, want 1", got)
	}
}

func TestFirstByte(t *testing.T) {
	n := 0
	r := replyReader{from: iotest.OneByteReader(strings.NewReader("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")), clock: func() { n++ }}
	var p engine.Response
	if _, err := r.next("GET", 10, &p); err != nil || n != 1 {
		t.Errorf("began %d times, %v", n, err)
	}
}

func BenchmarkReply(b *testing.B) {
	wire := []byte("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 10:15:30 GMT\r\nContent-Type: application/json\r\nContent-Length: 20\r\nConnection: keep-alive\r\n\r\n{\"code\":0,\"data\":{}}")
	from := bytes.NewReader(nil)
	r := replyReader{from: from}
	var p engine.Response
	b.ReportAllocs()
	for b.Loop() {
		from.Reset(wire)
		if _, err := r.next("POST", 1<<20, &p); err != nil {
			b.Fatal(err)
		}
	}
}
