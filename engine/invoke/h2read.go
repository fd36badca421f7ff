package invoke

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

const (
	// maxIdle frames may come one after the other that bring nothing forward:
	// settings, pings, empty data, resets of what is over. More are a flood.
	maxIdleFrames = 10_000

	// maxContinuations bounds the frames of one header block, which
	// maxReplyHeader bounds in bytes.
	maxContinuations = 256
)

// An h2reading is what only the reader of a connection uses. What is in the
// connection itself it uses under its lock, a frame at a time.
type h2reading struct {
	buf []byte
	at  int // the first byte that is not used up
	end int // the first that is not there

	now   time.Duration // when the last bytes came
	wakes int           // who got a reply since the reader last waited
	freed bool          // a place has become free, or the connection has
	dec   *h2decoder

	greeted bool   // the server's settings have come
	acked   bool   // and it has taken ours
	block   []byte // a header block that is not whole yet
	parts   int    // the frames that it came in; 0 when none is under way
	blockID uint32
	blockFl byte
	taken   int // bytes of the connection's window that are used up
}

// read reads the connection to its end.
func (x *h2conn) read() {
	for {
		n, err := x.conn.Read(x.in.buf[x.in.end:])
		x.in.end += n
		fault := x.frames()
		if fault == nil && err != nil {
			fault = &h2fault{codeNone, x.lost(err)}
		}
		if fault != nil {
			x.fail(fault)
			return
		}
		if x.in.freed {
			x.in.freed = false
			x.host.changed(x)
		}
	}
}

// lost is why the connection can be read no more.
func (x *h2conn) lost(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.in.greeted && x.in.end > 0 {
		return malformed("the server does not speak HTTP/2: it says %s", shown(string(x.in.buf[:x.in.end])))
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if x.away {
		return &exchangeError{detail: detailEOF, message: "the server ended the connection (GOAWAY, " + x.code.String() + ")"}
	}
	return unexpected(err)
}

// frames works through the frames that are there.
func (x *h2conn) frames() *h2fault {
	r := &x.in
	for r.end-r.at >= frameHead {
		b := r.buf[r.at:r.end]
		length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		kind, flags, id := b[3], b[4], binary.BigEndian.Uint32(b[5:])&maxStreamID
		if !r.greeted {
			if fault := greeting(b, length, kind, flags); fault != nil {
				return fault
			}
		}
		if length > maxFrame {
			return broken(codeFrameSize, "the server sent a frame of %d bytes, and %d are the most", length, maxFrame)
		}
		if len(b) < frameHead+length {
			break
		}
		r.at += frameHead + length
		x.mu.Lock()
		if x.err != nil {
			x.mu.Unlock()
			return nil
		}
		fault := x.frame(kind, flags, id, b[frameHead:frameHead+length])
		if x.idle++; fault == nil && x.idle > maxIdleFrames {
			fault = &h2fault{codeCalm, malformed("the server sent %d frames that bring nothing forward", x.idle)}
		}
		x.mu.Unlock()
		if fault != nil {
			return fault
		}
	}
	if r.at > 0 {
		copy(r.buf, r.buf[r.at:r.end])
		r.at, r.end = 0, r.end-r.at
	}
	return nil
}

// greeting reports what is wrong with the first frame, which must be the
// server's settings (RFC 9113, section 3.4).
func greeting(b []byte, length int, kind, flags byte) *h2fault {
	if bytes.HasPrefix(b, []byte("HTTP/1.")) {
		return &h2fault{codeProtocol, malformed("the server does not speak HTTP/2: it answers by HTTP/1")}
	}
	if kind != frameSettings || flags&flagAck != 0 || length > maxFrame {
		return &h2fault{codeProtocol, malformed("the server does not speak HTTP/2: it says %s", shown(string(b)))}
	}
	return nil
}

// frame does what a frame says. x.mu is held.
func (x *h2conn) frame(kind, flags byte, id uint32, b []byte) *h2fault {
	if x.in.parts > 0 && (kind != frameContinuation || id != x.in.blockID) {
		return broken(codeProtocol, "the server sent something else in the middle of a header block")
	}
	switch kind {
	case frameData:
		return x.data(flags, id, b)
	case frameHeaders:
		return x.headers(flags, id, b)
	case frameContinuation:
		return x.continuation(flags, b)
	case framePriority:
		if id == 0 || len(b) != 5 {
			return broken(codeFrameSize, "the server sent a PRIORITY that is none")
		}
	case frameReset:
		return x.reset(id, b)
	case frameSettings:
		return x.settings(flags, id, b)
	case framePush:
		return broken(codeProtocol, "the server sent a PUSH_PROMISE, which we do not take")
	case framePing:
		switch {
		case id != 0:
			return broken(codeProtocol, "the server sent a PING for a stream")
		case len(b) != 8:
			return broken(codeFrameSize, "the server sent a PING of %d bytes", len(b))
		case flags&flagAck == 0:
			x.out = append(appendFrameHead(x.out, 8, framePing, flagAck, 0), b...)
		}
	case frameGoAway:
		return x.goAway(id, b)
	case frameWindow:
		return x.moreWindow(id, b)
	}
	return nil // what we do not know means nothing to us (section 5.5)
}

// stream returns the stream that a frame is for; nil when it is over, which is
// wrong only where nothing can be on its way any more. x.mu is held.
func (x *h2conn) stream(id uint32, what string, mayBeOver bool) (*h2stream, *h2fault) {
	s := x.streams[id]
	switch {
	case s != nil && s.written:
		return s, nil
	case id == 0:
		return nil, broken(codeProtocol, "the server sent %s for no stream", what)
	case s != nil, id%2 == 0, id >= x.next:
		return nil, broken(codeProtocol, "the server sent %s for a stream that nobody has opened", what)
	case !mayBeOver && !x.forgot:
		return nil, broken(codeClosed, "the server sent %s for a stream that is over", what)
	}
	return nil, nil
}

// reset is RST_STREAM (section 6.4).
func (x *h2conn) reset(id uint32, b []byte) *h2fault {
	if len(b) != 4 {
		return broken(codeFrameSize, "the server sent an RST_STREAM of %d bytes", len(b))
	}
	s, fault := x.stream(id, "RST_STREAM", true)
	if s == nil {
		return fault
	}
	code := h2code(binary.BigEndian.Uint32(b))
	s.again = code == codeRefused && s.first == never
	s.busy = s.again
	x.wake(s, &exchangeError{detail: detailReset, message: "the server reset the stream (" + code.String() + ")"})
	return nil
}

// wake hands a stream, which the server has ended, back to who waits for it.
// x.mu is held.
func (x *h2conn) wake(s *h2stream, err error) {
	s.end, x.idle = x.in.now, 0
	x.in.wakes++
	x.in.freed = true
	x.drop(s, err)
}

// settings obeys SETTINGS (section 6.5), which may come at any time.
func (x *h2conn) settings(flags byte, id uint32, b []byte) *h2fault {
	switch {
	case id != 0:
		return broken(codeProtocol, "the server sent SETTINGS for a stream")
	case flags&flagAck != 0 && len(b) > 0 || len(b)%6 != 0:
		return broken(codeFrameSize, "the server sent SETTINGS of %d bytes", len(b))
	case flags&flagAck != 0 && x.in.acked:
		return broken(codeProtocol, "the server acknowledged settings that nobody sent")
	case flags&flagAck != 0:
		x.in.acked = true
		return nil
	}
	for ; len(b) > 0; b = b[6:] {
		if fault := x.setting(binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])); fault != nil {
			return fault
		}
	}
	if !x.in.greeted {
		x.in.greeted, x.in.freed = true, true
	}
	x.out = appendFrameHead(x.out, 0, frameSettings, flagAck, 0)
	return nil
}

func (x *h2conn) setting(name uint16, value uint32) *h2fault {
	switch name {
	case settingTable:
		x.enc.resize(int(min(value, tableSize)))
	case settingPush:
		if value != 0 {
			return broken(codeProtocol, "the server set ENABLE_PUSH to %d", value)
		}
	case settingStreams:
		x.limit = int(min(value, maxStreamID))
		x.told, x.in.freed = true, true
	case settingWindow:
		if value > maxWindow {
			return broken(codeFlow, "the server set INITIAL_WINDOW_SIZE to %d", value)
		}
		more := int64(value) - x.initial
		x.initial = int64(value)
		for _, s := range x.streams {
			if s.window += more; s.window > maxWindow {
				return broken(codeFlow, "the server made the window of a stream larger than %d", maxWindow)
			}
		}
	case settingFrame:
		if value < maxFrame || value > 1<<24-1 {
			return broken(codeProtocol, "the server set MAX_FRAME_SIZE to %d", value)
		}
	}
	return nil
}

// goAway is GOAWAY (section 6.8): streams above the last were not processed, and
// are sent again elsewhere; the others go on.
func (x *h2conn) goAway(id uint32, b []byte) *h2fault {
	if id != 0 {
		return broken(codeProtocol, "the server sent GOAWAY for a stream")
	}
	if len(b) < 8 {
		return broken(codeFrameSize, "the server sent a GOAWAY of %d bytes", len(b))
	}
	last := binary.BigEndian.Uint32(b) & maxStreamID
	if last > x.lastID {
		return broken(codeProtocol, "the server sent a second GOAWAY that takes back the first")
	}
	x.away, x.lastID, x.code = true, last, h2code(binary.BigEndian.Uint32(b[4:]))
	x.retired, x.in.freed = true, true
	for _, s := range x.streams {
		if s.id > last {
			if s.first != never {
				return broken(codeProtocol, "the server sent a GOAWAY that denies a stream which it has begun to answer")
			}
			s.again = true
			x.wake(s, &exchangeError{detail: detailEOF, message: "the server ended the connection (GOAWAY, " + x.code.String() + ")"})
		}
	}
	return nil
}

// moreWindow is WINDOW_UPDATE (section 6.9).
func (x *h2conn) moreWindow(id uint32, b []byte) *h2fault {
	if len(b) != 4 {
		return broken(codeFrameSize, "the server sent a WINDOW_UPDATE of %d bytes", len(b))
	}
	more := int64(binary.BigEndian.Uint32(b) & maxStreamID)
	if id == 0 {
		if more == 0 {
			return broken(codeProtocol, "the server sent a WINDOW_UPDATE of nothing")
		}
		if x.window += more; x.window > maxWindow {
			return broken(codeFlow, "the server made the window of the connection larger than %d", maxWindow)
		}
		return nil
	}
	s, fault := x.stream(id, "WINDOW_UPDATE", true)
	switch {
	case s == nil:
		return fault
	case more == 0:
		x.settle(s, codeProtocol, malformed("the server sent a WINDOW_UPDATE of nothing (PROTOCOL_ERROR, RFC 9113)"))
	default:
		if s.window += more; s.window > maxWindow {
			x.settle(s, codeFlow, malformed("the server made the window of a stream larger than %d (FLOW_CONTROL_ERROR, RFC 9113)", maxWindow))
		}
	}
	return nil
}

// settle ends a stream: because its reply is whole, or because the server did
// something wrong that is about it alone. x.mu is held.
func (x *h2conn) settle(s *h2stream, code h2code, err error) {
	s.end = x.in.now
	x.in.wakes++
	x.in.freed = true
	x.end(s, code, err)
}
