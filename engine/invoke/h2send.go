package invoke

import (
	"slices"
)

// appendHead appends the frames of a request's head: HEADERS, and as many
// CONTINUATIONs as it takes. x.mu is held.
func (x *h2conn) appendHead(s *h2stream) error {
	start := len(x.out)
	x.out = append(x.out, make([]byte, frameHead)...)
	out, err := x.enc.appendRequest(x.out, s.q, x.host.h2.o.UserAgent)
	if err != nil {
		x.out = x.out[:start]
		return err
	}
	x.out = out
	flags := byte(flagEndHeaders)
	if s.sending = len(s.rest) > 0; !s.sending {
		flags |= flagEndStream
	}
	size := len(out) - start - frameHead
	if size <= maxFrame {
		appendFrameHead(out[:start], size, frameHeaders, flags, s.id)
		return nil
	}
	block := slices.Clone(out[start+frameHead:])
	x.out = x.out[:start]
	kind := byte(frameHeaders)
	flags &^= flagEndHeaders
	for len(block) > 0 {
		n := min(len(block), maxFrame)
		if n == len(block) {
			flags |= flagEndHeaders
		}
		x.out = append(appendFrameHead(x.out, n, kind, flags, s.id), block[:n]...)
		block, kind, flags = block[n:], frameContinuation, 0
	}
	return nil
}

// send sends a body: at once where it is no large one and the server takes it,
// or else as the server takes it. x.mu is held.
func (x *h2conn) send(s *h2stream) {
	room := x.window
	if len(x.senders) > 0 {
		room -= pumpAhead // or small bodies would keep large ones waiting
	}
	if n := int64(len(s.rest)); n <= wholeWrite && n <= s.window && n <= room {
		for s.sending {
			x.appendData(s, len(s.rest))
		}
		return
	}
	x.senders = append(x.senders, s)
}

// appendData appends one frame of a body, of at most so many bytes. x.mu is held.
func (x *h2conn) appendData(s *h2stream, most int) {
	n := min(most, len(s.rest), maxFrame)
	var flags byte
	if n == len(s.rest) {
		flags, s.sending = flagEndStream, false
	}
	x.out = append(appendFrameHead(x.out, n, frameData, flags, s.id), s.rest[:n]...)
	s.rest = s.rest[n:]
	s.window -= int64(n)
	x.window -= int64(n)
	x.idle = 0
}

// pump makes the next of large bodies ready to be written, a frame of each in
// turn, as the windows allow (RFC 9113, section 5.2). x.mu is held.
func (x *h2conn) pump() {
	for blocked := 0; blocked < len(x.senders) && x.window > 0 && len(x.out) < pumpAhead; {
		s := x.senders[0]
		x.senders = x.senders[1:]
		if s.window <= 0 {
			blocked++
			x.senders = append(x.senders, s)
			continue
		}
		blocked = 0
		if x.appendData(s, int(min(s.window, x.window, maxFrame))); s.sending {
			x.senders = append(x.senders, s)
		} else if s.written {
			s.sent = x.clock()
		}
	}
}

// unsend drops what is left of a body. x.mu is held.
func (x *h2conn) unsend(s *h2stream) {
	if i := slices.Index(x.senders, s); i >= 0 {
		x.senders = slices.Delete(x.senders, i, i+1)
	}
}
