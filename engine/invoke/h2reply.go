package invoke

import (
	"fmt"

	"volley/engine"
)

// An h2head is what is known of a reply's head, and of how its body must be.
type h2head struct {
	header   []engine.Field
	status   int
	length   int64 // as announced; less than 0: not told
	bodiless bool  // a reply to HEAD
	whole    bool  // the final head has come
	interim  int

	// Of the block under way:
	bytes   int   // its size (RFC 9113, section 6.5.2)
	regular bool  // it has had a field that is no pseudo-header
	wrong   error // what is wrong with it
}

// begin makes the head ready for a reply to a request of that verb.
func (h *h2head) begin(verb string) {
	*h = h2head{header: h.header[:0], length: -1, bodiless: verb == "HEAD"}
}

// beginBlock makes it ready for a header block.
func (h *h2head) beginBlock() {
	h.bytes, h.regular, h.wrong = 0, false, nil
	if !h.whole {
		h.header, h.status, h.length = h.header[:0], 0, -1
	}
}

// empty reports whether the reply can have no content (RFC 9110, section 6.4.1).
func (h *h2head) empty() bool { return h.bodiless || h.status == 204 || h.status == 304 }

// take reads a field of the block (RFC 9113, sections 8.2 and 8.3).
func (h *h2head) take(f *h2field) {
	if h.wrong != nil {
		return
	}
	if h.bytes += f.size(); h.bytes > maxReplyHeader {
		h.wrong = headTooLarge()
		return
	}
	if f.bad {
		h.wrong = badField(f)
		return
	}
	switch f.kind {
	case pseudoField:
		h.wrong = malformed("the reply has %s, which is no field of a reply", shown(f.name))
		return
	case forbiddenOne:
		h.wrong = malformed("the reply has the header %s, which is about a connection of HTTP/1", f.name)
		return
	case statusField:
		h.readStatus(f.value)
		return
	case lengthField:
		if !h.whole {
			before := h.length
			if h.length, h.wrong = length(f.value); h.wrong != nil {
				return
			}
			if before >= 0 && before != h.length {
				h.wrong = malformed("Content-Length is both %d and %d", before, h.length)
				return
			}
		}
	}
	h.regular = true
	if !h.whole { // trailers are read and left
		h.header = append(h.header, engine.Field{Name: f.name, Value: f.value, Secret: f.kind == secretField})
	}
}

// readStatus reads :status, which comes once, before all others.
func (h *h2head) readStatus(value string) {
	switch {
	case h.whole:
		h.wrong = malformed("the trailers of the reply have a :status")
	case h.regular:
		h.wrong = malformed("the :status of the reply comes after its headers")
	case h.status != 0:
		h.wrong = malformed("the reply has two statuses")
	case len(value) != 3 || value[0] < '1' || value[0] > '9' || value[1] < '0' || value[1] > '9' || value[2] < '0' || value[2] > '9':
		h.wrong = malformed("%s is not a status", shown(value))
	default:
		h.status = int(value[0]-'0')*100 + int(value[1]-'0')*10 + int(value[2]-'0')
	}
}

func badField(f *h2field) error {
	if !validName(f.name) {
		return malformed("%s is not the name of a header in HTTP/2", shown(f.name))
	}
	return malformed("the header %s has a control character in it, or a blank at an end", shown(f.name))
}

// headers is HEADERS (section 6.2). x.mu is held.
func (x *h2conn) headers(flags byte, id uint32, b []byte) *h2fault {
	b, fault := unpadded(flags, b, "HEADERS")
	if fault != nil {
		return fault
	}
	if flags&flagPriority != 0 {
		if len(b) < 5 {
			return broken(codeFrameSize, "the server sent HEADERS that are too short for their priority")
		}
		b = b[5:]
	}
	if _, fault = x.stream(id, "HEADERS", false); fault != nil {
		return fault
	}
	if s := x.streams[id]; s != nil && s.first == never {
		s.first = x.in.now
	}
	if flags&flagEndHeaders != 0 {
		return x.wholeBlock(flags, id, b)
	}
	x.in.block, x.in.parts, x.in.blockID, x.in.blockFl = append(x.in.block[:0], b...), 1, id, flags
	return nil
}

// continuation is CONTINUATION (section 6.10). x.mu is held.
func (x *h2conn) continuation(flags byte, b []byte) *h2fault {
	if x.in.parts == 0 {
		return broken(codeProtocol, "the server sent a CONTINUATION of nothing")
	}
	if x.in.parts++; x.in.parts > maxContinuations || len(x.in.block)+len(b) > maxReplyHeader {
		// What is not decoded spoils the table, and so the connection.
		return &h2fault{codeCalm, headTooLarge()}
	}
	x.in.block = append(x.in.block, b...)
	if flags&flagEndHeaders == 0 {
		return nil
	}
	x.in.parts = 0
	block := x.in.block
	if cap(block) > maxFrame {
		x.in.block = nil
	}
	return x.wholeBlock(x.in.blockFl, x.in.blockID, block)
}

// wholeBlock reads a header block: of a stream that is over, for the table's
// sake alone. x.mu is held.
func (x *h2conn) wholeBlock(flags byte, id uint32, b []byte) *h2fault {
	s := x.streams[id]
	if s != nil {
		s.head.beginBlock()
	}
	x.in.dec.begin()
	for len(b) > 0 {
		f, rest, err := x.in.dec.field(b)
		if err != nil {
			return &h2fault{codeCompression, err}
		}
		if b = rest; f != nil && s != nil {
			s.head.take(f)
		}
	}
	if s == nil {
		return nil
	}
	if code, err := x.headed(s, flags&flagEndStream != 0); err != nil {
		x.settle(s, code, err)
	}
	return nil
}

// headed is called when a header block of s has come: an interim head, the
// final one, or trailers (section 8.1). x.mu is held.
func (x *h2conn) headed(s *h2stream, end bool) (h2code, error) {
	h := &s.head
	switch {
	case h.wrong != nil:
		return codeProtocol, h.wrong
	case h.whole && !end:
		return codeProtocol, malformed("the server sent a second head, or trailers that do not end the reply")
	case h.whole:
		return x.complete(s)
	case h.status == 0:
		return codeProtocol, malformed("the reply has no :status")
	case h.status == 101:
		return codeProtocol, malformed("the server switches protocols (101), which HTTP/2 cannot")
	case h.status < 200 && end:
		return codeProtocol, malformed("the reply ends with a status of 1xx")
	case h.status < 200:
		if h.interim++; h.interim > maxInterim {
			return codeProtocol, malformed("more than %d replies of 1xx come before the final one", maxInterim)
		}
		return 0, nil
	}
	if h.status == 204 && h.length > 0 { // RFC 9110, section 8.6
		return codeProtocol, malformed("the reply tells of %d bytes, and its status 204 is of one that has no content", h.length)
	}
	h.whole = true
	if most := x.host.h2.maxReply; h.length > most && !h.empty() {
		return codeCancel, &exchangeError{detail: detailTooLarge, message: fmt.Sprintf("the reply is to have %d bytes; at most %d are read", h.length, most)}
	}
	if end {
		return x.complete(s)
	}
	return 0, nil
}

// data is DATA (section 6.1). x.mu is held.
func (x *h2conn) data(flags byte, id uint32, b []byte) *h2fault {
	size := len(b)
	b, fault := unpadded(flags, b, "DATA")
	if fault != nil {
		return fault
	}
	s, fault := x.stream(id, "DATA", false)
	if fault != nil {
		return fault
	}
	// A window is given anew as soon as half is used, so that no server can be
	// seen to send more than it may; MaxReply bounds what is kept.
	if x.in.taken += size; x.in.taken >= connWindow/2 {
		x.out = appendWindow(x.out, 0, x.in.taken)
		x.in.taken = 0
	}
	if s == nil {
		return nil
	}
	if len(b) > 0 {
		x.idle = 0
	}
	if code, err := x.content(s, b, size, flags&flagEndStream != 0); err != nil {
		x.settle(s, code, err)
	}
	return nil
}

// content takes a part of a body, which took so many bytes of the stream's
// window. x.mu is held.
func (x *h2conn) content(s *h2stream, b []byte, size int, end bool) (h2code, error) {
	h, most := &s.head, x.host.h2.maxReply
	switch got := s.size + int64(len(b)); {
	case !h.whole:
		return codeProtocol, malformed("the server sent DATA before the head of the reply")
	case h.empty() && len(b) > 0:
		return codeProtocol, malformed("the server sent DATA of a reply that has no content")
	case !h.empty() && h.length >= 0 && got > h.length:
		return codeProtocol, malformed("the reply has more than the %d bytes of its Content-Length", h.length)
	case got > most:
		return codeCancel, tooLarge(h.status, most)
	}
	s.body = append(s.body, b[:wanted(s.q.Keep, len(s.body), len(b))]...)
	s.size += int64(len(b))
	if end {
		return x.complete(s)
	}
	if s.taken += size; s.taken >= replyWindow/2 {
		x.out = appendWindow(x.out, s.id, s.taken)
		s.taken = 0
	}
	return 0, nil
}

// complete ends a stream whose reply is whole. What is left of the request's
// body nobody wants (section 8.1). x.mu is held.
func (x *h2conn) complete(s *h2stream) (h2code, error) {
	if h := &s.head; !h.empty() && h.length >= 0 && h.length != s.size {
		return codeProtocol, malformed("the reply has %d bytes, and its Content-Length says %d", s.size, h.length)
	}
	x.idle = 0
	x.settle(s, codeNone, nil)
	return 0, nil
}

// unpadded returns a frame's payload without its padding (section 6.1).
func unpadded(flags byte, b []byte, what string) ([]byte, *h2fault) {
	if flags&flagPadded == 0 {
		return b, nil
	}
	if len(b) == 0 || int(b[0]) >= len(b) {
		return nil, broken(codeProtocol, "the server sent %s with more padding than there is", what)
	}
	return b[1 : len(b)-int(b[0])], nil
}
