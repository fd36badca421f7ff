package invoke

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"volley/engine"
)

// Limits of what stands beside the data of a body in chunks.
const (
	maxChunkLine = 4 << 10  // bytes of a chunk's size with its extensions
	maxExcess    = 16 << 10 // bytes of all such lines beyond a fair share; see chunks
	maxTrailers  = 4 << 10  // bytes of all trailers, as net/http has it
)

// receive reads the body.
func (r *replyReader) receive(verb string, most int64, p *engine.Response, f framing) (again bool, err error) {
	p.Body = nil
	switch {
	case verb == "HEAD" || p.Status == 204 || p.Status == 304:
	case f.chunked:
		p.Body, err = r.chunks(most)
	case f.length > most:
		return false, &exchangeError{detail: detailTooLarge, message: fmt.Sprintf("the reply is to have %d bytes; at most %d are read", f.length, most)}
	case f.length >= 0:
		p.Body, err = r.exactly(int(f.length))
	default:
		f.close = true
		p.Body, err = r.rest(most)
	}
	if err == nil && r.size > most {
		err = tooLarge(p.Status, most)
	}
	// What comes without having been asked for belongs to nobody.
	return err == nil && !f.close && r.at == r.end, err
}

// exactly returns the next n bytes.
func (r *replyReader) exactly(n int) ([]byte, error) {
	if r.end-r.at >= n {
		r.at += n
		r.size = int64(n)
		return r.buf[r.at-n : r.at : r.at], nil
	}
	if r.keep > 0 && int64(n) > r.keep {
		r.body = r.body[:0]
		err := r.through(int64(n))
		return r.body, err
	}
	if cap(r.body) < n {
		r.body = make([]byte, 0, n)
	}
	got := copy(r.body[:n], r.buf[r.at:r.end])
	r.at = r.end
	r.fills++
	m, err := io.ReadFull(r.from, r.body[got:n])
	r.body = r.body[:got+m]
	r.size = int64(len(r.body))
	return r.body, unexpected(err)
}

// through reads the next n bytes of a body, and keeps what is wanted.
func (r *replyReader) through(n int64) error {
	for n > 0 {
		if r.at == r.end {
			if err := r.fill(); err != nil {
				return unexpected(err)
			}
		}
		part := r.buf[r.at:min(r.end, r.at+int(min(n, readSize)))]
		r.hold(part)
		r.at += len(part)
		n -= int64(len(part))
	}
	return nil
}

// hold adds a part of the body to what is kept of it.
func (r *replyReader) hold(part []byte) {
	r.size += int64(len(part))
	r.body = append(r.body, part[:wanted(r.keep, len(r.body), len(part))]...)
}

// wanted returns how many of n more bytes are to be kept, where keep are in all
// (0: every one) and have already.
func wanted(keep int64, have, n int) int {
	if keep == 0 {
		return n
	}
	return int(min(int64(n), max(0, keep-int64(have))))
}

// rest reads until the connection is closed, or one byte above most.
func (r *replyReader) rest(most int64) ([]byte, error) {
	r.body = r.body[:0]
	r.hold(r.buf[r.at:r.end])
	r.at = r.end
	for r.size <= most {
		err := r.fill()
		r.hold(r.buf[r.at:r.end])
		r.at = r.end
		if errors.Is(err, io.EOF) {
			return r.body, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return r.body, nil
}

// chunks reads a body in chunks, and the trailers after it, which nobody wants.
func (r *replyReader) chunks(most int64) ([]byte, error) {
	r.body = r.body[:0]
	for excess := 0; ; {
		text, err := r.chunkLine(maxChunkLine)
		if err != nil {
			return nil, err
		}
		n, err := chunkSize(text)
		// Sixteen bytes beside the data are anybody's for each chunk, and twice as
		// many as it has data: net/http's measure of extensions without end.
		excess = max(0, excess+len(text)+len("\r\n")-16-2*int(min(n, maxExcess)))
		switch {
		case err != nil:
			return nil, err
		case excess > maxExcess:
			return nil, malformed("the chunks of the reply have more beside their data than data")
		case n == 0:
			return r.body, r.trailers()
		case r.size+n > most:
			return nil, &exchangeError{detail: detailTooLarge, message: fmt.Sprintf("the reply is larger than %d bytes, the most that is read", most)}
		}
		if err := r.through(n); err != nil {
			return nil, err
		}
		if text, err = r.chunkLine(2); err != nil {
			return nil, err
		}
		if len(text) != 0 {
			return nil, malformed("a chunk of the reply is longer than it says")
		}
	}
}

// chunkLine returns the next line, of at most so many bytes with its end.
func (r *replyReader) chunkLine(most int) ([]byte, error) {
	for scan := r.at; ; {
		if nl := bytes.IndexByte(r.buf[scan:r.end], '\n'); nl >= 0 {
			text := r.buf[r.at : scan+nl]
			r.at = scan + nl + 1
			if len(text)+1 > most {
				return nil, malformed("a line between the chunks of the reply is too long, or a chunk longer than it says")
			}
			if bytes.IndexByte(text, '\r') != len(text)-1 || len(text) == 0 {
				// Some read a bare line feed or carriage return as an end, and some do not.
				return nil, malformed("a line between the chunks of the reply does not end with CR LF")
			}
			return text[:len(text)-1], nil
		}
		whole := r.end - r.at
		if whole >= most {
			return nil, malformed("a line between the chunks of the reply is too long, or a chunk longer than it says")
		}
		if err := r.fill(); err != nil {
			return nil, unexpected(err)
		}
		scan = r.at + whole
	}
}

// chunkSize reads chunk-size [chunk-ext] (RFC 9112, section 7.1). Extensions
// mean nothing to us.
func chunkSize(text []byte) (int64, error) {
	digits, _, _ := bytes.Cut(bytes.TrimRight(text, " \t"), []byte(";"))
	if len(digits) == 0 || len(digits) > 15 {
		return 0, malformed("%s is not the size of a chunk", shown(string(text)))
	}
	var n int64
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, malformed("%s is not the size of a chunk", shown(string(text)))
		}
		n = n<<4 | int64(c)
	}
	return n, nil
}

// trailers reads as far as the empty line.
func (r *replyReader) trailers() error {
	for left := maxTrailers; ; {
		text, err := r.chunkLine(left)
		if err != nil {
			return err
		}
		if len(text) == 0 {
			return nil
		}
		if _, _, err := field(string(text)); err != nil {
			return err
		}
		left -= len(text) + 2
	}
}
