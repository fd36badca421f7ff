package invoke

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"volley/engine"
)

// A pieces is a reader that hands out its text in pieces of given sizes, over
// and over; without sizes, as much as is asked for.
type pieces struct {
	text  []byte
	sizes []byte
	n     int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.text) == 0 {
		return 0, io.EOF
	}
	if len(p.sizes) > 0 {
		size := 1 + int(p.sizes[p.n%len(p.sizes)])
		p.n++
		b = b[:min(size, len(b))]
	}
	n := copy(b, p.text)
	p.text = p.text[n:]
	return n, nil
}

// reasons are what the reader says where it refuses what net/http reads: the
// table of replies argues for each.
func reasons() []string {
	return []string{
		"is not a status line of HTTP/1.1", "has no status", "switches protocols",
		"a header line is folded", "is not the name of a header", "control character",
		"has both Transfer-Encoding and Content-Length", "only one, chunked, of HTTP/1.1",
		"does not end with CR LF", "is not a length", "is not the size of a chunk", "replies of 1xx",
		"the most that is read", "at most",
	}
}

// FuzzReply holds the reader against net/http's: what both read is the same,
// what net/http refuses is refused, and what it reads is refused only for a
// reason that is known. However a reply comes in pieces, and whether another
// came before it, it is the same.
func FuzzReply(f *testing.F) {
	verbs := []string{"GET", "HEAD", "POST"}
	for n, c := range replyCases() {
		if len(c.wire) < 4000 {
			verb := max(0, slices.Index(verbs, c.verb))
			f.Add(byte(verb), []byte{byte(n), byte(3 * n), 0}, []byte(c.wire))
		}
	}
	f.Fuzz(func(t *testing.T, v byte, sizes, wire []byte) {
		const most = 1 << 20
		c := replyCase{verb: verbs[int(v)%len(verbs)]}
		p, again, err := c.read(bytes.NewReader(wire), most)
		for how, from := range map[string]*pieces{"in pieces": {text: wire, sizes: sizes}, "byte by byte": {text: wire, sizes: []byte{0}}} {
			q, againQ, errQ := c.read(from, most)
			if (err == nil) != (errQ == nil) || err == nil && (!same(&p, &q) || again && !againQ) {
				t.Fatalf("at once %d %q %v, %s %d %q %v", p.Status, p.Body, err, how, q.Status, q.Body, errQ)
			}
		}
		r := replyReader{from: &pieces{text: append([]byte(okReply), wire...), sizes: sizes}}
		var q engine.Response
		if _, err := r.next("POST", most, &q); err != nil || string(q.Body) != "ok" {
			t.Fatalf("the reply before: %q, %v", q.Body, err)
		}
		if _, errQ := r.next(c.verb, most, &q); (err == nil) != (errQ == nil) || err == nil && !same(&p, &q) {
			t.Fatalf("alone %d %q %v, after another %d %q %v", p.Status, p.Body, err, q.Status, q.Body, errQ)
		}

		status, body, header, theirs := byNetHTTP(c.verb, string(wire))
		if err != nil {
			detail, message := classify(err)
			if !slices.Contains([]string{detailProtocol, detailEOF, detailTooLarge}, detail) {
				t.Fatalf("%v is %s", err, detail)
			}
			if theirs == nil && !slices.ContainsFunc(reasons(), func(known string) bool { return strings.Contains(message, known) }) {
				t.Fatalf("refused because: %v; net/http has %d, %q", err, status, body)
			}
			return
		}
		if theirs != nil {
			t.Fatalf("status %d, body %q, which net/http refuses: %v", p.Status, p.Body, theirs)
		}
		if p.Status != status || string(p.Body) != body {
			t.Fatalf("status %d, body %q; net/http has %d, %q", p.Status, p.Body, status, body)
		}
		sameHeader(t, &p, header)
	})
}

// same reports whether two replies are.
func same(p, q *engine.Response) bool {
	return p.Status == q.Status && p.Proto == q.Proto && bytes.Equal(p.Body, q.Body) && slices.Equal(p.Header, q.Header)
}

// sameHeader holds the header lines of a reply against net/http's.
func sameHeader(t *testing.T, p *engine.Response, theirs http.Header) {
	t.Helper()
	ours := http.Header{}
	for _, h := range p.Header {
		ours.Add(h.Name, h.Value)
	}
	if _, added := ours["Cache-Control"]; !added && ours.Get("Pragma") == "no-cache" {
		theirs.Del("Cache-Control") // which net/http makes of the Pragma
	}
	for _, own := range []string{"Content-Length", "Transfer-Encoding", "Connection", "Trailer"} {
		ours.Del(own) // net/http may keep them for itself, or make one of two
		theirs.Del(own)
	}
	if len(ours) != len(theirs) {
		t.Fatalf("header %q; net/http has %q", ours, theirs)
	}
	for name, values := range ours {
		if !slices.Equal(values, theirs[name]) {
			t.Fatalf("header %s: %q; net/http has %q", name, values, theirs[name])
		}
	}
}
