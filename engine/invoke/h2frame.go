package invoke

import (
	"encoding/binary"
	"fmt"
)

// preface is what a client says first (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Types of frames (RFC 9113, section 6).
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	framePriority     = 0x2
	frameReset        = 0x3
	frameSettings     = 0x4
	framePush         = 0x5
	framePing         = 0x6
	frameGoAway       = 0x7
	frameWindow       = 0x8
	frameContinuation = 0x9
)

// Flags of frames.
const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Settings (RFC 9113, section 6.5.2).
const (
	settingTable     = 0x1 // HEADER_TABLE_SIZE
	settingPush      = 0x2 // ENABLE_PUSH
	settingStreams   = 0x3 // MAX_CONCURRENT_STREAMS
	settingWindow    = 0x4 // INITIAL_WINDOW_SIZE
	settingFrame     = 0x5 // MAX_FRAME_SIZE
	settingHeaderMax = 0x6 // MAX_HEADER_LIST_SIZE
)

const (
	frameHead   = 9                   // bytes before each frame's payload
	maxFrame    = 16 << 10            // the largest payload, for both sides: the protocol's own limit
	maxWindow   = 1<<31 - 1           // of flow control, in bytes (RFC 9113, section 6.9.1)
	firstWindow = 1<<16 - 1           // and what it is before anybody says anything
	maxStreamID = 1<<31 - 1           // the last stream of a connection
	frameBuffer = 2 * (16<<10 + 1024) // what a connection's reader holds: a whole frame, and what follows
)

// An h2code is an error code (RFC 9113, section 7).
type h2code uint32

const (
	codeNone        h2code = 0x0
	codeProtocol    h2code = 0x1
	codeFlow        h2code = 0x3
	codeClosed      h2code = 0x5
	codeFrameSize   h2code = 0x6
	codeRefused     h2code = 0x7
	codeCancel      h2code = 0x8
	codeCompression h2code = 0x9
	codeCalm        h2code = 0xb
)

func (c h2code) String() string {
	names := [...]string{"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
		"REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("error 0x%x", uint32(c))
}

// An h2fault is why a connection, or a stream, cannot go on, and the code by
// which the other side is told.
type h2fault struct {
	code h2code
	err  error
}

// broken returns a fault of the server's.
func broken(code h2code, format string, args ...any) *h2fault {
	return &h2fault{code, malformed(format+" ("+code.String()+", RFC 9113)", args...)}
}

// appendFrameHead begins a frame.
func appendFrameHead(b []byte, length int, kind, flags byte, stream uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

func appendReset(b []byte, stream uint32, code h2code) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(b, 4, frameReset, 0, stream), uint32(code))
}

func appendWindow(b []byte, stream uint32, more int) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(b, 4, frameWindow, 0, stream), uint32(more))
}

func appendGoAway(b []byte, code h2code) []byte {
	b = append(appendFrameHead(b, 8, frameGoAway, 0, 0), 0, 0, 0, 0) // it has opened no stream
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

// appendHello appends what a client says first: the preface, the settings that
// are not the protocol's own, and the window of the connection.
func appendHello(b []byte) []byte {
	b = append(b, preface...)
	settings := [...][2]uint32{{settingPush, 0}, {settingWindow, replyWindow}, {settingHeaderMax, maxReplyHeader}}
	b = appendFrameHead(b, 6*len(settings), frameSettings, 0, 0)
	for _, s := range settings {
		b = binary.BigEndian.AppendUint16(b, uint16(s[0]))
		b = binary.BigEndian.AppendUint32(b, s[1])
	}
	return appendWindow(b, 0, connWindow-firstWindow)
}
