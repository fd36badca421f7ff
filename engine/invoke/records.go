package invoke

import (
	"errors"
	"os"
	"slices"
	"time"
)

// recordHead is how many bytes a record of TLS has before what is in it; the last
// two are the length of that (RFC 8446, section 5.1).
const recordHead = 5

// A recordReader is what TLS reads. It reads as much from the socket as has
// come, and hands it on a record at a time, so that TLS never has more than it
// was asked for: what belongs to nobody's reply shows here.
type recordReader struct {
	sock *socket
	page []byte // nil when nothing is left
	at   int    // the first byte that is not handed on
	end  int    // the first that is not there

	head int // how many bytes of its head are handed on, of the record under way
	size int // its length, as far as the head is there
	left int // how much of it is to come
}

// Read hands on at most the rest of a record.
func (r *recordReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if r.at == r.end {
		r.release()
		page, n, err := r.sock.ReadPage()
		if n == 0 {
			return 0, err
		}
		r.page, r.end = page, n
	}
	n := r.follow(r.page[r.at:min(r.end, r.at+len(b))])
	copy(b, r.page[r.at:r.at+n])
	if r.at += n; r.at == r.end {
		r.release()
	}
	return n, nil
}

// rest returns what has come and is not handed on; nothing is left then.
func (r *recordReader) rest() []byte {
	rest := slices.Clone(r.page[r.at:r.end])
	r.release()
	return rest
}

// release gives the page back; all of it has been handed on.
func (r *recordReader) release() {
	if r.page != nil {
		r.sock.pages.put(r.page)
		r.page, r.at, r.end = nil, 0, 0
	}
}

// follow returns how much of b, which is not empty, belongs to the record under
// way, and takes note of it.
func (r *recordReader) follow(b []byte) (n int) {
	for ; r.head < recordHead; n++ {
		if n == len(b) {
			return n
		}
		if r.head >= recordHead-2 {
			r.size = r.size<<8 | int(b[n])
		}
		if r.head++; r.head == recordHead {
			r.left = r.size
		}
	}
	m := min(r.left, len(b)-n)
	if r.left -= m; r.left == 0 {
		r.head, r.size = 0, 0
	}
	return n + m
}

// quiet reports whether nothing came with the reply that is over, neither more
// of a reply nor a goodbye. What TLS itself sends between replies is heard.
func (l *link) quiet() bool {
	switch pieces := l.reply.fills > 1; {
	case l.records == nil:
		return !pieces || still(l.sock.Conn) // its end was read to the byte
	case l.records.page == nil && !pieces:
		return true
	}
	l.armed = 0
	_ = l.sock.SetReadDeadline(time.Unix(1, 0)) // what is there can be read all the same
	n, err := l.Conn.Read(make([]byte, 1))
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}
