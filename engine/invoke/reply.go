package invoke

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"volley/engine"
)

// Limits of what a reply may be, beside the body's.
const (
	maxInterim   = 16      // 1xx replies before the final one
	maxKnownHead = 2 << 10 // bytes of a head that is kept to know it again
	readSize     = 8 << 10 // bytes asked for at once
)

// A replyReader reads HTTP/1.1 replies off a connection (RFC 9112), in place:
// of a usual reply it makes one string, its head, and nothing else. It is
// strict: what can be read in two ways is refused, because then two readers on
// the way may have read it differently.
type replyReader struct {
	from  io.Reader
	first func() (page []byte, n int, err error) // reads into a page it takes when there is something to read; nil: from does
	clock func()                                 // called when the first byte of a reply is there
	pages *pages                                 // where buf comes from; nil: from nowhere

	buf []byte // nil between replies, so that idle connections cost little
	at  int    // the first byte that is not used up
	end int    // the first that is not there

	fills int  // how often there was something to read, of the reply under way
	began bool // its first byte is there

	lines []int  // where the lines of the head end
	body  []byte // of a reply that does not fit into buf
	keep  int64  // bytes of it that are wanted; 0: all
	size  int64  // bytes of the body that have been read

	last   string // the last head, with the empty line after it
	fields []engine.Field
	status int
	proto  string
	frame  framing
}

// pages lends buffers of readSize to connections while a reply comes.
type pages struct{ spare sync.Pool }

func (p *pages) get() []byte {
	if p != nil {
		if b, ok := p.spare.Get().(*[readSize]byte); ok {
			return b[:]
		}
	}
	return new([readSize]byte)[:]
}

func (p *pages) put(b []byte) {
	if p != nil && len(b) == readSize {
		p.spare.Put((*[readSize]byte)(b))
	}
}

// release gives the buffer back, after which the body of the last reply is no
// more. What is in it beyond that reply is lost.
func (r *replyReader) release() {
	if cap(r.body) > keptBody {
		r.body = nil
	}
	if r.buf != nil {
		r.pages.put(r.buf)
		r.buf, r.at, r.end = nil, 0, 0
	}
}

// next reads the whole reply to a request of that verb into p, whose header
// lines are used again. p.Body is the reader's own, and good until the next
// call. again reports whether the connection can carry another request. Of a
// body at most so many bytes are read, and r.keep are kept.
func (r *replyReader) next(verb string, most int64, p *engine.Response) (again bool, err error) {
	r.fills, r.began, r.size = 0, false, 0
	if r.at < r.end {
		r.begin()
	}
	left := maxReplyHeader // of all heads together, as net/http has it
	for interim := 0; ; interim++ {
		f, err := r.heading(&left, p)
		if err != nil {
			return false, err
		}
		if p.Status >= 200 {
			return r.receive(verb, most, p, f)
		}
		if p.Status == 101 {
			return false, malformed("the server switches protocols (101), which nobody asked for")
		}
		if interim == maxInterim {
			return false, malformed("more than %d replies of 1xx come before the final one", maxInterim)
		}
	}
}

// begin notes that the first byte of the reply is there.
func (r *replyReader) begin() {
	r.began = true
	if r.clock != nil {
		r.clock()
	}
}

// heading reads a head into p. One that is the same, byte for byte, as the last
// on this connection says the same: most servers write the same head each time,
// as long as the second in its date lasts. At most *left bytes are read, and
// counted off.
func (r *replyReader) heading(left *int, p *engine.Response) (framing, error) {
	if r.at == r.end {
		if err := r.fill(); err != nil {
			return framing{}, err
		}
	}
	if n := len(r.last); n > 0 && n <= *left && r.end-r.at >= n && string(r.buf[r.at:r.at+n]) == r.last {
		r.at += n
		*left -= n
		p.Status, p.Proto, p.Header = r.status, r.proto, append(p.Header[:0], r.fields...)
		return r.frame, nil
	}
	head, err := r.head(*left)
	if err != nil {
		return framing{}, err
	}
	*left -= len(head)
	r.last = ""
	f, err := parseHead(head, r.lines, p)
	if err == nil && len(head) <= maxKnownHead {
		r.last, r.frame = head, f
		r.status, r.proto, r.fields = p.Status, p.Proto, append(r.fields[:0], p.Header...)
	}
	return f, err
}

// head reads as far as the empty line, and returns all of it, at most so many
// bytes. The lines' ends are in r.lines.
func (r *replyReader) head(most int) (string, error) {
	r.lines = r.lines[:0]
	for scan := r.at; ; {
		nl := bytes.IndexByte(r.buf[scan:r.end], '\n')
		if nl < 0 {
			if r.end-r.at >= most {
				return "", headTooLarge()
			}
			whole := r.end - r.at
			if err := r.fill(); err != nil {
				if whole > 0 {
					err = unexpected(err)
				}
				return "", err
			}
			scan = r.at + whole
			continue
		}
		stop := scan + nl
		if stop-r.at >= most {
			return "", headTooLarge()
		}
		start := r.at
		if n := len(r.lines); n > 0 {
			start = r.at + r.lines[n-1] + 1
		}
		if stop == start || stop == start+1 && r.buf[start] == '\r' {
			if len(r.lines) == 0 {
				return "", malformed("the reply begins with an empty line")
			}
			head := string(r.buf[r.at : stop+1])
			r.at = stop + 1
			return head, nil
		}
		r.lines = append(r.lines, stop-r.at)
		scan = stop + 1
	}
}

func headTooLarge() error {
	return &exchangeError{detail: detailTooLarge, message: fmt.Sprintf("the head of the reply is larger than %d bytes, the most that is read", maxReplyHeader)}
}

// fill reads more, after what is there. It makes room first, by moving what is
// not used up to the beginning, or by growing.
func (r *replyReader) fill() error {
	if r.buf == nil {
		return r.open()
	}
	if r.at > 0 {
		copy(r.buf, r.buf[r.at:r.end])
		r.end -= r.at
		r.at = 0
	}
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for range 100 {
		n, err := r.from.Read(r.buf[r.end:])
		if n > 0 {
			r.filled(n)
			return nil // an error comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// open reads the first of a reply.
func (r *replyReader) open() (err error) {
	if r.first == nil {
		r.buf = r.pages.get()
		return r.fill()
	}
	var n int
	r.buf, n, err = r.first()
	if n > 0 {
		r.filled(n)
		return nil
	}
	return err
}

// filled notes that n bytes more are there.
func (r *replyReader) filled(n int) {
	r.end += n
	if r.fills++; !r.began {
		r.begin()
	}
}

// A framing is what a head says of how its body ends, and of the connection.
type framing struct {
	length  int64 // less than 0: not told
	chunked bool
	close   bool
}

// parseHead reads the status line and the header lines.
func parseHead(head string, ends []int, p *engine.Response) (framing, error) {
	f := framing{length: -1}
	status := headLine(head, 0, ends[0])
	// HTTP/1.x SP 3DIGIT [SP reason]
	if len(status) < 12 || status[:7] != "HTTP/1." || status[7] != '0' && status[7] != '1' || status[8] != ' ' {
		return f, malformed("%s is not a status line of HTTP/1.1", shown(status))
	}
	code := 0
	for _, c := range []byte(status[9:12]) {
		if c < '0' || c > '9' {
			return f, malformed("%s has no status", shown(status))
		}
		code = code*10 + int(c-'0')
	}
	if code < 100 || len(status) > 12 && status[12] != ' ' {
		return f, malformed("%s has no status", shown(status))
	}
	p.Status, p.Proto, p.Header = code, status[:8], p.Header[:0]

	old := status[7] == '0'
	keep := false
	encodings := 0
	lengthIs := ""
	badTrailer := false
	for i := 1; i < len(ends); i++ {
		name, value, err := field(headLine(head, ends[i-1]+1, ends[i]))
		if err != nil {
			return f, err
		}
		switch len(name) {
		case len("Connection"):
			if strings.EqualFold(name, "Connection") {
				f.close = f.close || hasToken(value, "close")
				keep = keep || hasToken(value, "keep-alive")
			}
		case len("Content-Length"):
			if strings.EqualFold(name, "Content-Length") {
				if f.length >= 0 && value != lengthIs {
					return f, malformed("Content-Length is both %s and %s", shown(lengthIs), shown(value))
				}
				lengthIs = value
				if f.length, err = length(value); err != nil {
					return f, err
				}
			}
		case len("Trailer"):
			if strings.EqualFold(name, "Trailer") {
				badTrailer = badTrailer || hasToken(value, "Transfer-Encoding") || hasToken(value, "Content-Length") || hasToken(value, "Trailer")
			}
		case len("Transfer-Encoding"):
			if strings.EqualFold(name, "Transfer-Encoding") {
				if encodings++; encodings > 1 || old || !strings.EqualFold(value, "chunked") {
					return f, malformed("Transfer-Encoding %s cannot be read: only one, chunked, of HTTP/1.1", shown(value))
				}
				f.chunked = true
			}
		}
		p.Header = append(p.Header, engine.Field{Name: name, Value: value, Secret: len(name) == len("Set-Cookie") && strings.EqualFold(name, "Set-Cookie")})
	}
	if f.chunked && f.length >= 0 {
		// RFC 9112, section 6.3: this ought to be handled as an error.
		return f, malformed("the reply has both Transfer-Encoding and Content-Length, so that its end can be read in two ways")
	}
	if f.chunked && badTrailer {
		return f, malformed("the framing of the reply is to come in its trailers (RFC 9110, section 6.5.1)")
	}
	f.close = f.close || old && !keep
	return f, nil
}

// headLine returns a line of the head without its end.
func headLine(head string, from, to int) string {
	if to > from && head[to-1] == '\r' {
		to--
	}
	return head[from:to]
}

// field reads a header line (RFC 9112, section 5). A folded one is refused.
func field(text string) (name, value string, err error) {
	colon := strings.IndexByte(text, ':')
	if colon <= 0 {
		if text[0] == ' ' || text[0] == '\t' {
			return "", "", malformed("a header line is folded, which has been obsolete since 2014")
		}
		return "", "", malformed("%s is not a header line", shown(text))
	}
	name, value = text[:colon], text[colon+1:]
	for i := range len(name) {
		if name[i]-'a' >= 26 && !tokenByte(name[i]) {
			return "", "", malformed("%s is not the name of a header", shown(name))
		}
	}
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
		value = value[:len(value)-1]
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "", "", malformed("the header %s has a control character in it", shown(name))
		}
	}
	return name, value, nil
}

// tokenByte reports whether c may stand in a token (RFC 9110, section 5.6.2).
func tokenByte(c byte) bool {
	if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' {
		return true
	}
	return strings.IndexByte("!#$%&'*+.^_`|~", c) >= 0
}

// hasToken reports whether a list has a word in it, in whatever case.
func hasToken(list, word string) bool {
	for list != "" {
		var one string
		one, list, _ = strings.Cut(list, ",")
		if strings.EqualFold(strings.Trim(one, " \t"), word) {
			return true
		}
	}
	return false
}

// length reads a Content-Length.
func length(value string) (int64, error) {
	if value == "" || len(value) > 18 {
		return 0, malformed("Content-Length %s is not a length", shown(value))
	}
	var n int64
	for _, c := range []byte(value) {
		if c < '0' || c > '9' {
			return 0, malformed("Content-Length %s is not a length", shown(value))
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}

// unexpected turns an end in the middle of a reply into an error of its own.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func malformed(format string, args ...any) error {
	return &exchangeError{detail: detailProtocol, message: fmt.Sprintf(format, args...)}
}

// shown is the beginning of a text for a message.
func shown(text string) string {
	const most = 40
	if len(text) > most {
		return fmt.Sprintf("%q…", text[:most])
	}
	return fmt.Sprintf("%q", text)
}

// tooLarge says that a body is.
func tooLarge(status int, most int64) error {
	return &exchangeError{detail: detailTooLarge, message: fmt.Sprintf("the reply (status %d) is larger than %d bytes, the most that is read", status, most)}
}
