package invoke

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"volley/engine"

	"golang.org/x/net/http2/hpack"
)

// frame is a frame as it goes on the wire.
func frame(kind, flags byte, id uint32, payload string) string {
	return string(appendFrameHead(nil, len(payload), kind, flags, id)) + payload
}

// block is a header block of name, value, name, value, …
func block(fields ...string) string {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // a Buffer takes all
	}
	return b.String()
}

func u32(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

// set is SETTINGS of name, value, name, value, …
func set(pairs ...uint32) string {
	var b []byte
	for i := 0; i < len(pairs); i += 2 {
		b = binary.BigEndian.AppendUint16(b, uint16(pairs[i]))
		b = binary.BigEndian.AppendUint32(b, pairs[i+1])
	}
	return frame(frameSettings, 0, 0, string(b))
}

// heads is HEADERS that are whole, of stream 1.
func heads(flags byte, fields ...string) string {
	return frame(frameHeaders, flags|flagEndHeaders, 1, block(fields...))
}

func body(flags byte, text string) string { return frame(frameData, flags, 1, text) }

func goAway(last uint32, code h2code) string {
	return frame(frameGoAway, 0, 0, u32(last)+u32(uint32(code)))
}

// An h2case is what a server says when it has got a request on stream 1, before
// it hangs up, and what that is.
type h2case struct {
	name   string
	verb   string // "" is GET
	wire   string
	status int
	body   string
	fails  string // a detail of network_error, where it is refused
	says   string // what the message has in it
	strict string // why it is refused where net/http takes it
	looser string // why it is taken where net/http does not
	apart  bool   // net/http is left out: it comes to a stand, or what it does is a matter of luck
}

func h2cases() []h2case {
	const end = flagEndStream
	ok := func(rest ...string) string {
		return set() + heads(0, ":status", "200") + strings.Join(rest, "")
	}
	hi := body(end, "hi")
	big := strings.Repeat("x", maxFrame)
	long := strings.Repeat("v", 4000)
	split := block(":status", "200", "x-a", "1")
	return []h2case{
		{name: "a head and a body", wire: ok(hi), status: 200, body: "hi"},
		{name: "a head alone", wire: set() + heads(end, ":status", "200"), status: 200},
		{name: "a body that is announced", wire: set() + heads(0, ":status", "200", "content-length", "2") + hi, status: 200, body: "hi"},
		{name: "no body, announced", wire: set() + heads(end, ":status", "200", "content-length", "0"), status: 200},
		{name: "the same length twice", wire: set() + heads(0, ":status", "200", "content-length", "2", "content-length", "2") + hi, status: 200, body: "hi"},
		{name: "a body in parts", wire: ok(body(0, "h"), body(0, ""), body(0, "i"), body(end, "")), status: 200, body: "hi"},
		{name: "a large body", wire: ok(body(0, big), body(0, big), body(end, big)), status: 200, body: big + big + big},
		{name: "another status", wire: set() + heads(0, ":status", "404") + hi, status: 404, body: "hi"},
		{name: "a status of one's own", wire: set() + heads(0, ":status", "432") + hi, status: 432, body: "hi"},
		{name: "204", wire: set() + heads(end, ":status", "204"), status: 204},
		{name: "204 and an empty body", wire: set() + heads(0, ":status", "204") + body(end, ""), status: 204},
		{name: "204 with the length 0", wire: set() + heads(end, ":status", "204", "content-length", "0"), status: 204},
		{name: "304 with a length", wire: set() + heads(end, ":status", "304", "content-length", "2"), status: 304, looser: "RFC 9110, section 8.6: it is the length that another reply would have"},
		{name: "an answer to HEAD", verb: "HEAD", wire: set() + heads(end, ":status", "200", "content-length", "2"), status: 200},
		{name: "100 first", wire: set() + heads(0, ":status", "100") + heads(0, ":status", "200") + hi, status: 200, body: "hi"},
		{name: "103 with headers first", wire: set() + heads(0, ":status", "103", "link", "</a>") + heads(0, ":status", "200") + hi, status: 200, body: "hi"},
		{name: "trailers", wire: ok(body(0, "hi"), heads(end, "x-check", "1")), status: 200, body: "hi"},
		{name: "trailers and no body", wire: ok(heads(end, "x-check", "1")), status: 200},
		{name: "a padded body", wire: ok(frame(frameData, flagPadded|end, 1, "\x03hi\x00\x00\x00")), status: 200, body: "hi"},
		{name: "padding that is nothing", wire: ok(frame(frameData, flagPadded|end, 1, "\x00hi")), status: 200, body: "hi"},
		{name: "a padded head", wire: set() + frame(frameHeaders, flagPadded|flagEndHeaders|end, 1, "\x02"+block(":status", "200")+"\x00\x00"), status: 200},
		{name: "a head with a priority", wire: set() + frame(frameHeaders, flagPriority|flagEndHeaders|end, 1, "\x00\x00\x00\x00\x10"+block(":status", "200")), status: 200},
		{name: "a head in two frames", wire: set() + frame(frameHeaders, end, 1, split[:2]) + frame(frameContinuation, flagEndHeaders, 1, split[2:]), status: 200},
		{name: "a head in many frames, some of nothing", wire: set() + frame(frameHeaders, end, 1, "") + frame(frameContinuation, 0, 1, split[:1]) + frame(frameContinuation, 0, 1, "") + frame(frameContinuation, flagEndHeaders, 1, split[1:]), status: 200},
		{name: "a frame that nobody knows", wire: set() + frame(0x42, 0xff, 77, "what") + heads(0, ":status", "200") + hi, status: 200, body: "hi"},
		{name: "a priority", wire: ok(frame(framePriority, 0, 1, "\x00\x00\x00\x03\x10"), hi), status: 200, body: "hi"},
		{name: "a ping", wire: ok(frame(framePing, 0, 0, "12345678"), hi), status: 200, body: "hi"},
		{name: "an answer to no ping", wire: ok(frame(framePing, flagAck, 0, "12345678"), hi), status: 200, body: "hi"},
		{name: "settings that nobody knows", wire: set(0x99, 7) + heads(0, ":status", "200") + hi, status: 200, body: "hi"},
		{name: "settings in the middle", wire: ok(set(settingStreams, 7, settingWindow, 10), hi), status: 200, body: "hi"},
		{name: "our settings acknowledged", wire: ok(frame(frameSettings, flagAck, 0, ""), hi), status: 200, body: "hi"},
		{name: "a larger window", wire: ok(frame(frameWindow, 0, 0, u32(1000)), frame(frameWindow, 0, 1, u32(1000)), hi), status: 200, body: "hi"},
		{name: "a window of a stream that is over", wire: ok(hi, frame(frameWindow, 0, 1, u32(1000))), status: 200, body: "hi"},
		{name: "GOAWAY, and the reply", wire: ok(goAway(1, codeNone), hi), status: 200, body: "hi"},
		{name: "two GOAWAYs, and the reply", wire: ok(goAway(maxStreamID, codeNone), goAway(1, codeNone), hi), status: 200, body: "hi"},
		{name: "a reply, and no more of the request", wire: ok(hi, frame(frameReset, 0, 1, u32(0))), status: 200, body: "hi"},
		{name: "an end in the middle of the next frame", wire: ok(hi, "\x00\x00"), status: 200, body: "hi"},
		{name: "a smaller table", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1, "\x20"+block(":status", "200")), status: 200},
		{name: "a reserved bit", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1|1<<31, block(":status", "200")), status: 200},

		{name: "nothing", wire: "", fails: detailEOF},
		{name: "settings alone", wire: set(), fails: detailEOF},
		{name: "half a head", wire: set() + heads(0, ":status", "200")[:9], fails: detailEOF},
		{name: "a head without its second half", wire: set() + frame(frameHeaders, 0, 1, split[:2]), fails: detailEOF},
		{name: "a head without its body", wire: ok(), fails: detailEOF},
		{name: "half a body", wire: ok(body(0, "h")), fails: detailEOF},
		{name: "only 100", wire: set() + heads(0, ":status", "100"), fails: detailEOF},
		{name: "GOAWAY, and no reply", wire: set() + goAway(1, codeNone), fails: detailEOF, says: "GOAWAY, NO_ERROR"},
		{name: "GOAWAY with an error, and no reply", wire: set() + goAway(1, codeCalm), fails: detailEOF, says: "GOAWAY, ENHANCE_YOUR_CALM"},
		{name: "a reset", wire: set() + frame(frameReset, 0, 1, u32(2)), fails: detailReset, says: "INTERNAL_ERROR"},
		{name: "a reset with a code that nobody knows", wire: set() + frame(frameReset, 0, 1, u32(0x99)), fails: detailReset, says: "0x99"},
		{name: "a reset without an error", wire: set() + frame(frameReset, 0, 1, u32(0)), fails: detailReset},
		{name: "a reset in the middle", wire: ok(body(0, "h"), frame(frameReset, 0, 1, u32(8))), fails: detailReset, says: "CANCEL"},
		{name: "a refusal after the head", wire: ok(frame(frameReset, 0, 1, u32(7))), fails: detailReset, says: "REFUSED_STREAM"},

		{name: "HTTP/1", wire: "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", fails: detailProtocol, says: "HTTP/1"},
		{name: "something else", wire: "SSH-2.0-OpenSSH_9.2\r\n", fails: detailProtocol, says: "does not speak HTTP/2"},
		{name: "no settings first", wire: heads(end, ":status", "200"), fails: detailProtocol, says: "does not speak HTTP/2"},
		{name: "an acknowledgement first", wire: frame(frameSettings, flagAck, 0, "") + heads(end, ":status", "200"), fails: detailProtocol, strict: "RFC 9113, section 3.4: the server's settings are the first frame"},
		{name: "a frame that is too large", wire: ok(string(appendFrameHead(nil, maxFrame+1, frameData, end, 1)), big, "x"), fails: detailProtocol, says: "FRAME_SIZE_ERROR"},
		{name: "a body for no stream", wire: ok(frame(frameData, end, 0, "hi")), fails: detailProtocol},
		{name: "a body for a stream of the server's", wire: ok(frame(frameData, end, 2, "hi")), fails: detailProtocol},
		{name: "a body for a stream to come", wire: ok(frame(frameData, end, 3, "hi")), fails: detailProtocol},
		{name: "a body before the head", wire: set() + hi, fails: detailProtocol, says: "before the head"},
		{name: "more padding than there is", wire: ok(frame(frameData, flagPadded|end, 1, "\x03hi")), fails: detailProtocol, says: "padding"},
		{name: "padding without its length", wire: ok(frame(frameData, flagPadded|end, 1, "")), fails: detailProtocol},
		{name: "a head for no stream", wire: set() + frame(frameHeaders, flagEndHeaders|end, 0, block(":status", "200")), fails: detailProtocol},
		{name: "a head for a stream to come", wire: set() + frame(frameHeaders, flagEndHeaders|end, 3, block(":status", "200")), fails: detailProtocol},
		{name: "a head with more padding than there is", wire: set() + frame(frameHeaders, flagPadded|flagEndHeaders|end, 1, "\x09\x88"), fails: detailProtocol},
		{name: "a head too short for its priority", wire: set() + frame(frameHeaders, flagPriority|flagEndHeaders|end, 1, "\x00\x00"), fails: detailProtocol},
		{name: "another frame in the middle of a head", wire: set() + frame(frameHeaders, end, 1, split[:2]) + frame(framePing, 0, 0, "12345678") + frame(frameContinuation, flagEndHeaders, 1, split[2:]), fails: detailProtocol, says: "middle of a header block"},
		{name: "a head that another stream continues", wire: set() + frame(frameHeaders, end, 1, split[:2]) + frame(frameContinuation, flagEndHeaders, 3, split[2:]), fails: detailProtocol},
		{name: "a continuation of nothing", wire: ok(frame(frameContinuation, flagEndHeaders, 1, split)), fails: detailProtocol},
		{name: "a head without end", wire: set() + frame(frameHeaders, end, 1, split) + strings.Repeat(frame(frameContinuation, 0, 1, ""), 1000), fails: detailTooLarge},
		{name: "a head of a megabyte", wire: set() + frame(frameHeaders, end, 1, split) + strings.Repeat(frame(frameContinuation, 0, 1, big), 64), fails: detailTooLarge},
		{name: "a small head that unpacks to a large one", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1, block(":status", "200", "x-a", long)+strings.Repeat("\xbe", 200)), fails: detailTooLarge},
		{name: "no status", wire: set() + heads(end, "x-a", "1"), fails: detailProtocol, says: ":status"},
		{name: "an empty head", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1, ""), fails: detailProtocol},
		{name: "two statuses", wire: set() + heads(end, ":status", "200", ":status", "200"), fails: detailProtocol},
		{name: "a status after a header", wire: set() + heads(end, "x-a", "1", ":status", "200"), fails: detailProtocol},
		{name: "a status of two digits", wire: set() + heads(end, ":status", "20"), fails: detailProtocol, strict: "a status has three digits"},
		{name: "a status of letters", wire: set() + heads(end, ":status", "abc"), fails: detailProtocol},
		{name: "a status that is none", wire: set() + heads(end, ":status", "099"), fails: detailProtocol, strict: "statuses begin at 100"},
		{name: "101", wire: set() + heads(0, ":status", "101") + heads(end, ":status", "200"), fails: detailProtocol, strict: "RFC 9113, section 8.6: HTTP/2 has no 101"},
		{name: "1xx that ends the reply", wire: set() + heads(end, ":status", "103"), fails: detailProtocol},
		{name: "100 without end", wire: set() + strings.Repeat(heads(0, ":status", "100"), 50) + heads(end, ":status", "200"), fails: detailProtocol, strict: "the HTTP/1.1 transport reads 16 as well"},
		{name: "a field of requests", wire: set() + heads(end, ":status", "200", ":path", "/"), fails: detailProtocol},
		{name: "a pseudo-header that nobody knows", wire: set() + heads(end, ":status", "200", ":strange", "1"), fails: detailProtocol},
		{name: "a name in upper case", wire: set() + heads(end, ":status", "200", "X-A", "1"), fails: detailProtocol, says: "name of a header"},
		{name: "a name with a blank", wire: set() + heads(end, ":status", "200", "x a", "1"), fails: detailProtocol},
		{name: "a header without a name", wire: set() + heads(end, ":status", "200", "", "1"), fails: detailProtocol},
		{name: "a line feed in a value", wire: set() + heads(end, ":status", "200", "x-a", "1\n2"), fails: detailProtocol},
		{name: "a NUL in a value", wire: set() + heads(end, ":status", "200", "x-a", "1\x002"), fails: detailProtocol},
		{name: "a blank at the end of a value", wire: set() + heads(end, ":status", "200", "x-a", "1 "), fails: detailProtocol, strict: "RFC 9113, section 8.2.1"},
		{name: "Connection", wire: set() + heads(end, ":status", "200", "connection", "close"), fails: detailProtocol, strict: "RFC 9113, section 8.2.2: a reply with it is malformed"},
		{name: "Transfer-Encoding", wire: set() + heads(0, ":status", "200", "transfer-encoding", "chunked") + hi, fails: detailProtocol, strict: "RFC 9113, section 8.2.2"},
		{name: "a second head", wire: ok(heads(0, ":status", "200"), hi), fails: detailProtocol},
		{name: "trailers that do not end", wire: ok(heads(0, "x-a", "1"), hi), fails: detailProtocol},
		{name: "trailers with a status", wire: ok(heads(end, ":status", "200")), fails: detailProtocol},
		{name: "a length that is none", wire: set() + heads(end, ":status", "200", "content-length", "many"), fails: detailProtocol, strict: "RFC 9113, section 8.1.1: it does not agree with the body"},
		{name: "two lengths", wire: set() + heads(0, ":status", "200", "content-length", "2", "content-length", "3") + hi, fails: detailProtocol, strict: "RFC 9113, section 8.1.1"},
		{name: "less than the length", wire: set() + heads(0, ":status", "200", "content-length", "3") + hi, fails: detailProtocol},
		{name: "nothing of the length", wire: set() + heads(end, ":status", "200", "content-length", "3"), fails: detailProtocol},
		{name: "more than the length", wire: set() + heads(0, ":status", "200", "content-length", "1") + hi, fails: detailProtocol},
		{name: "a body for HEAD", verb: "HEAD", wire: ok(hi), fails: detailProtocol, strict: "RFC 9110, section 9.3.2: the reply has no content"},
		{name: "204 with a length", wire: set() + heads(end, ":status", "204", "content-length", "2"), fails: detailProtocol},
		{name: "a body of 204", wire: set() + heads(0, ":status", "204") + hi, fails: detailProtocol, strict: "RFC 9110, section 15.3.5: 204 has no content"},
		{name: "a body of 304", wire: set() + heads(0, ":status", "304") + hi, fails: detailProtocol, strict: "RFC 9110, section 15.4.5: 304 has no content"},
		{name: "a push", wire: set() + frame(framePush, flagEndHeaders, 1, u32(2)+block(":method", "GET")), fails: detailProtocol, says: "PUSH_PROMISE"},
		{name: "a priority of the wrong size", wire: ok(frame(framePriority, 0, 1, "1234"), hi), fails: detailProtocol},
		{name: "a reset of the wrong size", wire: ok(frame(frameReset, 0, 1, "123"), hi), fails: detailProtocol},
		{name: "a reset of no stream", wire: ok(frame(frameReset, 0, 0, u32(0)), hi), fails: detailProtocol},
		{name: "a reset of a stream to come", wire: ok(frame(frameReset, 0, 5, u32(0)), hi), fails: detailProtocol, strict: "RFC 9113, section 5.1: an idle stream cannot be reset"},
		{name: "settings for a stream", wire: set() + frame(frameSettings, 0, 1, "") + heads(end, ":status", "200"), fails: detailProtocol},
		{name: "settings of the wrong size", wire: set() + frame(frameSettings, 0, 0, "12345") + heads(end, ":status", "200"), fails: detailProtocol},
		{name: "an acknowledgement with settings", wire: set() + frame(frameSettings, flagAck, 0, "123456") + heads(end, ":status", "200"), fails: detailProtocol},
		{name: "settings acknowledged twice", wire: set() + frame(frameSettings, flagAck, 0, "") + frame(frameSettings, flagAck, 0, "") + heads(end, ":status", "200"), fails: detailProtocol},
		{name: "a push announced", wire: set(settingPush, 1) + heads(end, ":status", "200"), fails: detailProtocol, strict: "RFC 9113, section 6.5.2"},
		{name: "a window that is too large to begin with", wire: set(settingWindow, 1<<31) + heads(end, ":status", "200"), fails: detailProtocol, says: "FLOW_CONTROL_ERROR"},
		{name: "frames that are too small", wire: set(settingFrame, 100) + heads(end, ":status", "200"), fails: detailProtocol},
		{name: "frames that are too large", wire: set(settingFrame, 1<<24) + heads(end, ":status", "200"), fails: detailProtocol},
		{name: "a ping for a stream", wire: ok(frame(framePing, 0, 1, "12345678"), hi), fails: detailProtocol},
		{name: "a ping of the wrong size", wire: ok(frame(framePing, 0, 0, "1234"), hi), fails: detailProtocol},
		{name: "GOAWAY for a stream", wire: ok(frame(frameGoAway, 0, 1, u32(1)+u32(0)), hi), fails: detailProtocol},
		{name: "GOAWAY of the wrong size", wire: ok(frame(frameGoAway, 0, 0, u32(1)), hi), fails: detailProtocol},
		{name: "a GOAWAY that takes back another", wire: ok(goAway(1, codeNone), goAway(3, codeNone), hi), fails: detailProtocol, strict: "RFC 9113, section 6.8: the last stream never grows"},
		{name: "a GOAWAY that denies what is begun", wire: ok(goAway(0, codeNone), hi), fails: detailProtocol, apart: true},
		{name: "a window of nothing", wire: ok(frame(frameWindow, 0, 0, u32(0)), hi), fails: detailProtocol},
		{name: "a window of nothing, for a stream", wire: ok(frame(frameWindow, 0, 1, u32(0)), hi), fails: detailProtocol},
		{name: "a window of the wrong size", wire: ok(frame(frameWindow, 0, 0, "123"), hi), fails: detailProtocol},
		{name: "a window that grows too large", wire: ok(frame(frameWindow, 0, 0, u32(maxWindow)), hi), fails: detailProtocol, says: "FLOW_CONTROL_ERROR"},
		{name: "a window that grows too large, of a stream", wire: ok(frame(frameWindow, 0, 1, u32(maxWindow)), hi), fails: detailProtocol, apart: true},
		{name: "a window that settings make too large", wire: ok(frame(frameWindow, 0, 1, u32(maxWindow-firstWindow)), set(settingWindow, 1<<20), hi), fails: detailProtocol, apart: true},
		{name: "a window of a stream to come", wire: ok(frame(frameWindow, 0, 5, u32(1)), hi), fails: detailProtocol, strict: "RFC 9113, section 5.1: an idle stream has no window"},
		{name: "an index that is not there", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1, "\x88\xc0"), fails: detailProtocol},
		{name: "the index 0", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1, "\x88\x80"), fails: detailProtocol},
		{name: "a block that breaks off", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1, "\x88\x40\x03x"), fails: detailProtocol},
		{name: "a number without end", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1, "\x88\xff\xff\xff\xff\xff\xff\xff\xff\x01"), fails: detailProtocol},
		{name: "a string that is no Huffman code", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1, "\x88\x40\x01x\x84\xff\xff\xff\xff"), fails: detailProtocol},
		{name: "a table larger than ours", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1, "\x3f\xff\x7f\x88"), fails: detailProtocol},
		{name: "a table that changes in the middle", wire: set() + frame(frameHeaders, flagEndHeaders|end, 1, "\x88\x20"), fails: detailProtocol, strict: "RFC 7541, section 4.2: it changes at the beginning of a block"},
		{name: "a flood of settings", wire: set() + strings.Repeat(set(), 12000) + heads(end, ":status", "200"), fails: detailProtocol, says: "bring nothing forward", strict: "net/http answers each"},
		{name: "a flood of pings", wire: set() + strings.Repeat(frame(framePing, 0, 0, "12345678"), 12000) + heads(end, ":status", "200"), fails: detailProtocol, strict: "net/http answers each"},
		{name: "a flood of empty data", wire: ok(strings.Repeat(body(0, ""), 12000), hi), fails: detailProtocol, strict: "net/http reads it"},
		{name: "a flood of padding", wire: ok(strings.Repeat(frame(frameData, flagPadded, 1, "\x01\x00"), 12000), hi), fails: detailProtocol, strict: "net/http reads it"},
		{name: "a flood of frames that nobody knows", wire: set() + strings.Repeat(frame(0x42, 0, 0, ""), 12000) + heads(end, ":status", "200"), fails: detailProtocol, strict: "net/http reads it"},
		{name: "a second end", wire: ok(hi, hi) + strings.Repeat(" ", 10), status: 200, body: "hi"},
	}
}

// A scripted is the client's side of a connection in memory: what the server
// says is there when the first request has been written, and then its end.
type scripted struct {
	wire  string
	piece int // how much comes at once; 0: all that fits

	mu     sync.Mutex
	ready  *sync.Cond
	asked  bool
	closed bool
	out    bytes.Buffer
}

func newScripted(wire string, piece int) *scripted {
	s := &scripted{wire: wire, piece: piece}
	s.ready = sync.NewCond(&s.mu)
	return s
}

func (s *scripted) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.asked && !s.closed {
		s.ready.Wait()
	}
	if s.closed {
		return 0, net.ErrClosed
	}
	if s.wire == "" {
		return 0, io.EOF
	}
	if s.piece > 0 {
		b = b[:min(len(b), s.piece)]
	}
	n := copy(b, s.wire)
	s.wire = s.wire[n:]
	return n, nil
}

func (s *scripted) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	s.out.Write(b)
	if !s.asked && requested(s.out.Bytes()) {
		s.asked = true
		s.ready.Broadcast()
	}
	return len(b), nil
}

// requested reports whether a client has sent the whole of the request on
// stream 1.
func requested(out []byte) bool {
	if len(out) < len(preface) {
		return false
	}
	for out = out[len(preface):]; len(out) >= frameHead; {
		n := frameHead + (int(out[0])<<16 | int(out[1])<<8 | int(out[2]))
		if len(out) < n {
			return false
		}
		if (out[3] == frameHeaders || out[3] == frameData) && out[4]&flagEndStream != 0 {
			return true
		}
		out = out[n:]
	}
	return false
}

func (s *scripted) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.ready.Broadcast()
	return nil
}

func (*scripted) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (*scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }
func (*scripted) SetDeadline(time.Time) error      { return nil }
func (*scripted) SetReadDeadline(time.Time) error  { return nil }
func (*scripted) SetWriteDeadline(time.Time) error { return nil }

// dialer hands out one scripted connection, and counts.
func (c *h2case) dialer(piece int, dials *int) Options {
	return Options{Protocol: "h2", MaxReply: 1 << 20, Dial: func(context.Context, string, string) (net.Conn, error) {
		if *dials++; *dials > 1 {
			return nil, fmt.Errorf("dialled again")
		}
		return newScripted(c.wire, piece), nil
	}}
}

func (c *h2case) request() *engine.Request {
	q := &engine.Request{Verb: c.verb, Scheme: "http", Host: "h", Path: "/"}
	if q.Verb == "" {
		q.Verb = "GET"
	}
	return q
}

// ours reads the reply by our own transport.
func (c *h2case) ours(piece int) (p engine.Response, err error) {
	dials := 0
	h, err := NewH2(c.dialer(piece, &dials))
	if err != nil {
		return p, err
	}
	defer h.Close()
	t := Timing{Base: time.Now(), Until: 10 * time.Second}
	err = h.Exchange(context.Background(), 0, c.request(), &p, &t)
	return p, err
}

// theirs reads the reply by net/http.
func (c *h2case) theirs() (p engine.Response, err error) {
	dials := 0
	h, err := NewHTTP(c.dialer(0, &dials))
	if err != nil {
		return p, err
	}
	defer h.Close()
	t := Timing{Base: time.Now(), Until: 10 * time.Second}
	err = h.Exchange(context.Background(), 0, c.request(), &p, &t)
	return p, err
}

// TestH2Replies has a server say all that servers should and should not, at
// once and byte by byte.
func TestH2Replies(t *testing.T) {
	for _, c := range h2cases() {
		t.Run(c.name, func(t *testing.T) {
			for _, piece := range []int{0, 1, 7} {
				if piece == 1 && len(c.wire) > 1<<16 {
					continue
				}
				p, err := c.ours(piece)
				if c.fails != "" {
					if err == nil {
						t.Errorf("in pieces of %d: status %d, body %.40q; want it refused", piece, p.Status, p.Body)
					} else if detail, message := classify(err); detail != c.fails || !strings.Contains(message, c.says) {
						t.Errorf("in pieces of %d: refused as %s (%s), want %s (%s)", piece, detail, message, c.fails, c.says)
					}
					continue
				}
				if err != nil || p.Status != c.status || string(p.Body) != c.body || p.Proto != "HTTP/2.0" {
					t.Errorf("in pieces of %d: status %d, body %.40q, %s, %v; want %d, %.40q", piece, p.Status, p.Body, p.Proto, err, c.status, c.body)
				}
			}
		})
	}
}

// TestH2RepliesAsNetHTTP holds the table against net/http: it reads each reply
// the same, but where the table argues for something else.
func TestH2RepliesAsNetHTTP(t *testing.T) {
	for _, c := range h2cases() {
		if c.apart {
			continue
		}
		p, err := c.theirs()
		switch {
		case c.looser != "":
			if err == nil {
				t.Errorf("%s: net/http takes it, too; there is nothing to argue", c.name)
			}
		case c.strict != "":
			if err != nil {
				t.Errorf("%s: net/http refuses it, too (%v); there is nothing to argue", c.name, err)
			}
		case c.fails != "" && err == nil:
			t.Errorf("%s: net/http reads status %d and %.40q, and the table refuses it without a reason", c.name, p.Status, p.Body)
		case c.fails == "" && (err != nil || p.Status != c.status || string(p.Body) != c.body):
			t.Errorf("%s: net/http reads status %d and %.40q, %v; the table wants %d and %.40q", c.name, p.Status, p.Body, err, c.status, c.body)
		}
	}
}
