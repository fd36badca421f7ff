package invoke

import (
	"bytes"
	"fmt"
)

// Limits of what stands beside the data of a body in chunks.
const (
	maxChunkLine = 4 << 10  // bytes of a chunk's size with its extensions
	maxExcess    = 16 << 10 // bytes of all such lines beyond a fair share; see chunks
	maxTrailers  = 4 << 10  // bytes of all trailers, as net/http has it
)

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
