package invoke

import (
	"fmt"
	"strings"
)

// oddReplies are more replies: at the edges of what the standard allows, just
// beyond them, and such as only an enemy sends.
func oddReplies() []replyCase {
	var all []replyCase
	for _, list := range [][]replyCase{oddStatusLines(), oddHeaders(), oddLengths(), oddChunks(), oddTrailers(), oddOrder(), largestReplies()} {
		all = append(all, list...)
	}
	return all
}

const (
	replyOK      = "HTTP/1.1 200 OK\r\n"
	replyChunked = replyOK + "Transfer-Encoding: chunked\r\n\r\n"
	lengthTwo    = "Content-Length: 2\r\n\r\nhi"
)

func oddStatusLines() []replyCase {
	return []replyCase{
		{name: "a reason in Latin-1", wire: "HTTP/1.1 200 caf\xe9\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a reason in UTF-8", wire: "HTTP/1.1 200 好\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a reason with a tab", wire: "HTTP/1.1 200 O\tK\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a reason that is long", wire: "HTTP/1.1 200 " + strings.Repeat("OK ", 3000) + "\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a reason that looks like a status line", wire: "HTTP/1.1 200 HTTP/1.1 500 Oops\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "two blanks after the status", wire: "HTTP/1.1 200  OK\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "HTTP/1.0 until the end", wire: "HTTP/1.0 200 OK\r\n\r\nhi", status: 200, body: "hi"},
		{name: "the lowest final status", wire: "HTTP/1.1 200 OK\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "205 with a body", wire: "HTTP/1.1 205 Reset Content\r\n" + lengthTwo, status: 205, body: "hi", again: true},

		{name: "a version in small letters", wire: "http/1.1 200 OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "HTTP/0.9", wire: "HTTP/0.9 200 OK\r\n" + lengthTwo, fails: detailProtocol, strict: "HTTP/0.9 had no heads"},
		{name: "HTTP/1.10", wire: "HTTP/1.10 200 OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "HTTP/11.1", wire: "HTTP/11.1 200 OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "HTTP/1,1", wire: "HTTP/1,1 200 OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "HTTP/-1.1", wire: "HTTP/-1.1 200 OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "nothing but a version", wire: "HTTP/1.1\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a version and a blank", wire: "HTTP/1.1 \r\n" + lengthTwo, fails: detailProtocol},
		{name: "no blank before the status", wire: "HTTP/1.1200 OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "no blank after the status", wire: "HTTP/1.1 200OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a tab after the status", wire: "HTTP/1.1 200\tOK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a blank before the version", wire: " HTTP/1.1 200 OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a status with a letter", wire: "HTTP/1.1 2x0 OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a negative status", wire: "HTTP/1.1 -20 OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a status in other digits", wire: "HTTP/1.1 ２００ OK\r\n" + lengthTwo, fails: detailProtocol},
		{name: "the status 000", wire: "HTTP/1.1 000 OK\r\n" + lengthTwo, fails: detailProtocol, strict: "statuses begin at 100"},
		{name: "a head of HTTP/2", wire: "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00\x00\x05\x00\xff\xff\xff", fails: detailEOF, theirs: detailProtocol},
		{name: "a request", wire: "GET / HTTP/1.1\r\nHost: h\r\n\r\n", fails: detailProtocol},
		{name: "the status line breaks off after its CR", wire: "HTTP/1.1 200 OK\r", fails: detailEOF},
		{name: "the head breaks off after the status line", wire: replyOK, fails: detailEOF},
		{name: "the head breaks off after its last CR", wire: replyOK + "Content-Length: 0\r\n\r", fails: detailEOF, theirs: detailProtocol},
		{name: "the first byte alone", wire: "H", fails: detailEOF, theirs: detailProtocol},
	}
}

func oddHeaders() []replyCase {
	return []replyCase{
		{name: "all that a name may have", wire: replyOK + "X!#$%&'*+-.^_`|~9: 1\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a value in Latin-1", wire: replyOK + "X-A: caf\xe9\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a value in UTF-8", wire: replyOK + "X-A: 好\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a value with a tab", wire: replyOK + "X-A: 1\t2\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a value with colons and quotes", wire: replyOK + "X-A: \"a:b\\\"\": c\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a value of blanks", wire: replyOK + "X-A: \t  \r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "blanks inside a value", wire: replyOK + "X-A:   a  b  \r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "one name in many lines", wire: replyOK + "Set-Cookie: a=1\r\nset-cookie: b=2\r\nSET-COOKIE: c=3\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "lines that end in two ways", wire: "HTTP/1.1 200 OK\nX-A: 1\r\nX-B: 2\nContent-Length: 2\r\n\nhi", status: 200, body: "hi", again: true},
		{name: "a thousand lines", wire: replyOK + strings.Repeat("X-A: 1\r\n", 1000) + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a large value", wire: replyOK + "X-A: " + strings.Repeat("x", 100<<10) + "\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a head as large as may be", wire: headOf(maxReplyHeader), status: 200, body: "hi", again: true},
		{name: "Connection of a proxy's", wire: replyOK + "Proxy-Connection: close\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "Keep-Alive with its limits", wire: replyOK + "Connection: keep-alive\r\nKeep-Alive: timeout=5, max=100\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a list with holes and close", wire: replyOK + "Connection: x,, ,\tCLOSE \t\r\n" + lengthTwo, status: 200, body: "hi"},
		{name: "close in quotes", wire: replyOK + "Connection: \"close\"\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "HTTP/1.0 that both stays and closes", wire: "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\n" + lengthTwo, status: 200, body: "hi"},
		{name: "HTTP/1.0 that stays, in a list", wire: "HTTP/1.0 200 OK\r\nConnection: x, Keep-Alive\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "an upgrade that is offered", wire: replyOK + "Connection: upgrade\r\nUpgrade: h2c\r\n" + lengthTwo, status: 200, body: "hi", again: true},

		{name: "a head larger than may be by one", wire: headOf(maxReplyHeader + 1), fails: detailTooLarge, strict: "the transport sets net/http the same limit"},
		{name: "heads that are together larger than may be", wire: "HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("x", maxReplyHeader/2) + "\r\n\r\n" + headOf(maxReplyHeader/2), fails: detailTooLarge, strict: "the transport sets net/http the same limit"},
		{name: "a name in Latin-1", wire: replyOK + "X-\xe9: 1\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a name with a tab before the colon", wire: replyOK + "X-A\t: 1\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a name with a separator", wire: replyOK + "X(A): 1\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a name with a quote", wire: replyOK + "\"X\": 1\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a name with a NUL", wire: replyOK + "X\x00A: 1\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a name of a blank", wire: replyOK + "X-B: 1\r\n : 1\r\n" + lengthTwo, fails: detailProtocol, strict: "obs-fold, as above"},
		{name: "two colons and no name", wire: replyOK + ":: 1\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a line folded by a tab", wire: replyOK + "X-A: 1\r\n\t2\r\n" + lengthTwo, fails: detailProtocol, strict: "obs-fold, as above"},
		{name: "a length that is folded", wire: replyOK + "Content-Length:\r\n 2\r\n\r\nhi", fails: detailProtocol, strict: "obs-fold, as above"},
		{name: "a line of blanks", wire: replyOK + "X-A: 1\r\n  \r\n" + lengthTwo, fails: detailProtocol, strict: "obs-fold, and for some the end of the head"},
		{name: "a line of a carriage return more", wire: replyOK + "X-A: 1\r\r\n" + lengthTwo, fails: detailProtocol},
		{name: "carriage returns alone", wire: "HTTP/1.1 200 OK\rContent-Length: 2\r\rhi", fails: detailEOF},
		{name: "a bell in a value", wire: replyOK + "X-A: 1\x07\r\n" + lengthTwo, fails: detailProtocol},
		{name: "an escape in a value", wire: replyOK + "X-A: \x1b[31m\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a DEL in a value", wire: replyOK + "X-A: 1\x7f\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a control character in Connection", wire: replyOK + "Connection: close\x0b\r\n" + lengthTwo, fails: detailProtocol},
	}
}

// headOf returns a reply whose head has so many bytes.
func headOf(size int) string {
	const length = "Content-Length: 2\r\n"
	return replyOK + "X-A: " + strings.Repeat("x", size-len(replyOK)-len("X-A: \r\n")-len(length)-len("\r\n")) + "\r\n" + lengthTwo
}

func oddLengths() []replyCase {
	length := func(value string) string { return replyOK + "Content-Length: " + value + "\r\n\r\nhi" }
	return []replyCase{
		{name: "a length three times", wire: replyOK + strings.Repeat("Content-Length: 2\r\n", 2) + lengthTwo, status: 200, body: "hi", again: true},
		{name: "a length in between", wire: replyOK + "X-A: 1\r\nContent-Length: 2\r\nX-B: 2\r\n\r\nhi", status: 200, body: "hi", again: true},
		{name: "a length of a name that only looks like it", wire: replyOK + "Content_Length: 9\r\nX-Content-Length: 9\r\n" + lengthTwo, status: 200, body: "hi", again: true},
		{name: "204 with a length", wire: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", status: 204, again: true},
		{name: "204 with chunks", wire: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", status: 204, again: true},
		{name: "304 with chunks", wire: "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", status: 304, again: true},
		{name: "304 of HTTP/1.0", wire: "HTTP/1.0 304 Not Modified\r\n\r\n", status: 304},
		{name: "204 with a body", wire: "HTTP/1.1 204 No Content\r\n\r\nhi", status: 204},
		{name: "304 with a body", wire: "HTTP/1.1 304 Not Modified\r\n" + lengthTwo, status: 304},
		{name: "an answer to HEAD of no length", verb: "HEAD", wire: replyOK + "\r\n", status: 200, again: true},
		{name: "an answer to HEAD of a huge length", verb: "HEAD", wire: replyOK + "Content-Length: 99999999999\r\n\r\n", status: 200, again: true},
		{name: "an answer to HEAD with a body", verb: "HEAD", wire: replyOK + lengthTwo, status: 200},
		{name: "an answer to HEAD with chunks after it", verb: "HEAD", wire: replyChunked + "2\r\nhi\r\n0\r\n\r\n", status: 200},
		{name: "an answer to HEAD that closes", verb: "HEAD", wire: replyOK + "Connection: close\r\n\r\n", status: 200},
		{name: "204 to HEAD", verb: "HEAD", wire: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, again: true},
		{name: "until the end, though it was to stay", wire: replyOK + "Connection: keep-alive\r\n\r\nhi", status: 200, body: "hi"},
		{name: "until the end, of nothing", wire: replyOK + "\r\n", status: 200},
		{name: "until the end, with what looks like a reply", wire: replyOK + "\r\n" + replyOK + lengthTwo, status: 200, body: replyOK + lengthTwo},

		{name: "a length twice, written in two ways", wire: replyOK + "Content-Length: 02\r\n" + lengthTwo, fails: detailProtocol},
		{name: "a list of five lengths", wire: length("2,2,2,2,2"), fails: detailProtocol},
		{name: "a list of two lengths", wire: length("2, 3"), fails: detailProtocol},
		{name: "a length and a comma", wire: length("2,"), fails: detailProtocol},
		{name: "a length with a blank inside", wire: length("1 0"), fails: detailProtocol},
		{name: "a length with a point", wire: length("2.0"), fails: detailProtocol},
		{name: "a length with an exponent", wire: length("2e0"), fails: detailProtocol},
		{name: "a length with underscores", wire: length("0_2"), fails: detailProtocol},
		{name: "a length in quotes", wire: length(`"2"`), fails: detailProtocol},
		{name: "a length in words", wire: length("two"), fails: detailProtocol},
		{name: "a length in other digits", wire: length("２"), fails: detailProtocol},
		{name: "a length of many zeros", wire: length(strings.Repeat("0", 30) + "2"), fails: detailProtocol, strict: "longer than any length is written"},
		{name: "the largest length that there is", wire: length("9223372036854775807"), fails: detailProtocol, theirs: detailTooLarge},
		{name: "a length larger by one", wire: length("9223372036854775808"), fails: detailProtocol},
		{name: "a length that would be 2 in 64 bits", wire: length("18446744073709551618"), fails: detailProtocol},
		{name: "a bad length in an answer to HEAD", verb: "HEAD", wire: replyOK + "Content-Length: x\r\n\r\n", fails: detailProtocol},
		{name: "a bad length of 204", wire: "HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n", fails: detailProtocol},
		{name: "both framings in an answer to HEAD", verb: "HEAD", wire: replyOK + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", fails: detailProtocol, strict: "whose end another may read in two ways"},
		{name: "both framings, the chunks first", wire: replyOK + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol, strict: "RFC 9112, section 6.3: it ought to be handled as an error"},
		{name: "both framings of HTTP/1.0", wire: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" + lengthTwo, fails: detailProtocol, strict: "RFC 9112, section 6.1: its framing is faulty"},
		{name: "the first byte is missing", wire: replyOK + "Content-Length: 1\r\n\r\n", fails: detailEOF},
		{name: "the last byte is missing", wire: replyOK + "Content-Length: 3\r\n\r\nhi", fails: detailEOF},
	}
}

func oddChunks() []replyCase {
	encoded := func(value string) string {
		return replyOK + "Transfer-Encoding: " + value + "\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
	}
	ext := strings.Repeat("x", 100)
	return []replyCase{
		{name: "CHUNKED", wire: encoded("CHUNKED"), status: 200, body: "hi", again: true},
		{name: "chunked with blanks around", wire: encoded("  chunked\t "), status: 200, body: "hi", again: true},
		{name: "chunks and close", wire: replyOK + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", status: 200, body: "hi"},
		{name: "chunks of one byte", wire: replyChunked + strings.Repeat("1\r\nx\r\n", 2000) + "0\r\n\r\n", status: 200, body: strings.Repeat("x", 2000), again: true},
		{name: "a chunk with line ends in it", wire: replyChunked + "9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n", status: 200, body: "\r\n0\r\n\r\n\r\n", again: true},
		{name: "sizes in small and capital hex", wire: replyChunked + "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", status: 200, body: "01234567890123456789a", again: true},
		{name: "a tab after a chunk's size", wire: replyChunked + "2\t\r\nhi\r\n0\t \r\n\r\n", status: 200, body: "hi", again: true},
		{name: "an extension in quotes", wire: replyChunked + "2;a=\"b;c=d\"\r\nhi\r\n0\r\n\r\n", status: 200, body: "hi", again: true},
		{name: "an extension with a quote that does not end", wire: replyChunked + "2;a=\"b\r\nhi\r\n0\r\n\r\n", status: 200, body: "hi", again: true},
		{name: "an empty extension", wire: replyChunked + "2;\r\nhi\r\n0;\r\n\r\n", status: 200, body: "hi", again: true},
		{name: "the last chunk of many zeros", wire: replyChunked + "2\r\nhi\r\n0000000\r\n\r\n", status: 200, body: "hi", again: true},
		{name: "the largest line before a chunk", wire: replyChunked + "2;" + strings.Repeat("x", maxChunkLine-4) + "\r\nhi\r\n0\r\n\r\n", status: 200, body: "hi", again: true},

		{name: "identity", wire: replyOK + "Transfer-Encoding: identity\r\n" + lengthTwo, fails: detailProtocol},
		{name: "identity and chunks", wire: encoded("identity, chunked"), fails: detailProtocol},
		{name: "chunks and then gzip", wire: encoded("chunked, gzip"), fails: detailProtocol},
		{name: "x-chunked", wire: encoded("x-chunked"), fails: detailProtocol},
		{name: "chunked in quotes", wire: encoded(`"chunked"`), fails: detailProtocol},
		{name: "chunked with a parameter", wire: encoded("chunked;q=1"), fails: detailProtocol},
		{name: "chunked and a comma", wire: encoded("chunked,"), fails: detailProtocol},
		{name: "no encoding", wire: encoded(""), fails: detailProtocol},
		{name: "chunked and a control character", wire: encoded("chunked\x0b"), fails: detailProtocol},
		{name: "204 with an encoding", wire: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: gzip\r\n\r\n", fails: detailProtocol},
		{name: "chunks in HTTP/1.0 that stays", wire: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol, strict: "HTTP/1.0 has no chunks (RFC 9112, section 6.1)"},
		{name: "a blank before a chunk's size", wire: replyChunked + " 2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a blank before an extension", wire: replyChunked + "2 ;a\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk's size with a plus", wire: replyChunked + "+2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk's size with 0X", wire: replyChunked + "0X2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk's size with h", wire: replyChunked + "2h\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk's size in two parts", wire: replyChunked + "2 2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk's size of 16 digits", wire: replyChunked + "0000000000000002\r\nhi\r\n0\r\n\r\n", fails: detailProtocol, strict: "longer than any size is written"},
		{name: "a chunk's size of 17 digits", wire: replyChunked + "00000000000000002\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a chunk's size that is negative in 64 bits", wire: replyChunked + "fffffffffffffffe\r\nhi\r\n0\r\n\r\n", fails: detailProtocol, theirs: detailEOF},
		{name: "a chunk's size that would be 2 in 64 bits", wire: replyChunked + "10000000000000002\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "only an extension", wire: replyChunked + ";a=b\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a carriage return in an extension", wire: replyChunked + "2;a\rb\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a NUL in a chunk's size", wire: replyChunked + "2\x00\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "a line before a chunk larger than may be by one", wire: replyChunked + "2;" + strings.Repeat("x", maxChunkLine-3) + "\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "more extensions than chunks", wire: replyChunked + strings.Repeat("1;"+ext+"\r\nx\r\n", 1000) + "0\r\n\r\n", fails: detailProtocol},
		{name: "nothing between two chunks", wire: replyChunked + "2\r\nhi2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "an empty line between two chunks", wire: replyChunked + "2\r\nhi\r\n\r\n2\r\nhi\r\n0\r\n\r\n", fails: detailProtocol},
		{name: "carriage returns alone after a chunk", wire: replyChunked + "2\r\nhi\r\r0\r\r", fails: detailProtocol},
		{name: "a bare line feed after the last chunk", wire: replyChunked + "2\r\nhi\r\n0\n\r\n", fails: detailProtocol},
		{name: "a bare line feed at the very end", wire: replyChunked + "2\r\nhi\r\n0\r\n\n", fails: detailProtocol, theirs: detailEOF},
		{name: "no chunks where they are announced", wire: replyChunked, fails: detailEOF},
		{name: "a body that is not in chunks", wire: replyChunked + "hi", fails: detailEOF},
		{name: "the reply ends in a chunk's size", wire: replyChunked + "2", fails: detailEOF},
		{name: "the reply ends before a chunk", wire: replyChunked + "2\r\n", fails: detailEOF},
		{name: "the reply ends after the last chunk's CR", wire: replyChunked + "2\r\nhi\r\n0\r", fails: detailEOF},
	}
}

func oddTrailers() []replyCase {
	with := func(trailers string) string { return replyChunked + "2\r\nhi\r\n0\r\n" + trailers + "\r\n" }
	declared := func(names string) string {
		return replyOK + "Trailer: " + names + "\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
	}
	return []replyCase{
		{name: "a trailer that is declared", wire: replyOK + "Trailer: X-A, X-B\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n", status: 200, body: "hi", again: true},
		{name: "a trailer that is declared and does not come", wire: declared("X-A"), status: 200, body: "hi", again: true},
		{name: "a trailer in capitals of odd values", wire: with("X-A: \t caf\xe9 \r\nX-A:\r\n"), status: 200, body: "hi", again: true},
		{name: "a length as a trailer", wire: with("Content-Length: 99\r\n"), status: 200, body: "hi", again: true},
		{name: "an encoding as a trailer", wire: with("Transfer-Encoding: gzip\r\n"), status: 200, body: "hi", again: true},
		{name: "close as a trailer", wire: with("Connection: close\r\n"), status: 200, body: "hi", again: true},
		{name: "a cookie as a trailer", wire: with("Set-Cookie: a=b\r\n"), status: 200, body: "hi", again: true},
		{name: "many trailers", wire: with(strings.Repeat("X-A: 1\r\n", 400)), status: 200, body: "hi", again: true},
		{name: "a forbidden trailer is declared without chunks", wire: replyOK + "Trailer: Content-Length\r\n" + lengthTwo, status: 200, body: "hi", again: true},

		{name: "a length is declared as a trailer", wire: declared("X-A, content-length"), fails: detailProtocol},
		{name: "an encoding is declared as a trailer", wire: declared("Transfer-Encoding"), fails: detailProtocol},
		{name: "trailers are declared as a trailer", wire: declared("trailer"), fails: detailProtocol},
		{name: "trailers of more than a page", wire: with(strings.Repeat("X-A: 1\r\n", 1000)), fails: detailProtocol},
		{name: "a trailer without end", wire: with("X-A: " + strings.Repeat("x", 400<<10) + "\r\n"), fails: detailProtocol},
		{name: "a folded trailer", wire: with("X-A: 1\r\n 2\r\n"), fails: detailProtocol, strict: "obs-fold, as above"},
		{name: "a trailer with a blank before the colon", wire: with("X-A : 1\r\n"), fails: detailProtocol, strict: "RFC 9112, section 5.1"},
		{name: "a trailer without a name", wire: with(": 1\r\n"), fails: detailProtocol},
		{name: "a trailer with a control character", wire: with("X-A: \x00\r\n"), fails: detailProtocol},
		{name: "a trailer that ends in a bare line feed", wire: with("X-A: 1\n"), fails: detailProtocol},
		{name: "a bare line feed before the end of the trailers", wire: replyChunked + "2\r\nhi\r\n0\r\n\n\r\n\r\n", fails: detailProtocol, strict: "some read on after it, and some do not"},
		{name: "a trailer between bare line feeds", wire: replyChunked + "2\r\nhi\r\n0\r\nX-A: 1\nX-B: 1\r\n\r\n", fails: detailProtocol, strict: "some read a bare line feed as an end, and some do not"},
		{name: "a status line as a trailer", wire: with(replyOK), fails: detailProtocol},
	}
}

func oddOrder() []replyCase {
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	last := replyOK + lengthTwo
	return []replyCase{
		{name: "102 first", wire: "HTTP/1.1 102 Processing\r\n\r\n" + last, status: 200, body: "hi", again: true},
		{name: "199 first", wire: "HTTP/1.1 199 Whatever\r\n\r\n" + last, status: 200, body: "hi", again: true},
		{name: "sixteen hints first", wire: strings.Repeat(hints, maxInterim) + last, status: 200, body: "hi", again: true},
		{name: "100, 102 and 103 first", wire: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + hints + last, status: 200, body: "hi", again: true},
		{name: "100 of a length", wire: "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + last, status: 200, body: "hi", again: true},
		{name: "103 in chunks", wire: "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + last, status: 200, body: "hi", again: true},
		{name: "103 that closes", wire: "HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n" + last, status: 200, body: "hi", again: true},
		{name: "100 of HTTP/1.0", wire: "HTTP/1.0 100 Continue\r\n\r\n" + last, status: 200, body: "hi", again: true},
		{name: "hints before 204", wire: hints + "HTTP/1.1 204 No Content\r\n\r\n", status: 204, again: true},
		{name: "hints before an answer to HEAD", verb: "HEAD", wire: hints + replyOK + "Content-Length: 2\r\n\r\n", status: 200, again: true},
		{name: "hints before chunks", wire: hints + replyChunked + "2\r\nhi\r\n0\r\n\r\n", status: 200, body: "hi", again: true},
		{name: "two replies for one", wire: last + replyOK + "Content-Length: 5\r\n\r\nstale", status: 200, body: "hi"},
		{name: "two replies in chunks for one", wire: replyChunked + "2\r\nhi\r\n0\r\n\r\n" + replyChunked + "5\r\nstale\r\n0\r\n\r\n", status: 200, body: "hi"},
		{name: "an empty line after a reply", wire: last + "\r\n", status: 200, body: "hi"},
		{name: "one byte after a reply", wire: last + "!", status: 200, body: "hi"},
		{name: "100 after a reply", wire: last + "HTTP/1.1 100 Continue\r\n\r\n", status: 200, body: "hi"},

		{name: "seventeen hints first", wire: strings.Repeat(hints, maxInterim+1) + last, fails: detailProtocol, strict: "a server that does not come to its point; net/http bounds the size of all heads alone"},
		{name: "100 with a bad header", wire: "HTTP/1.1 100 Continue\r\nnonsense\r\n\r\n" + last, fails: detailProtocol},
		{name: "103 with both framings", wire: "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + last, fails: detailProtocol, strict: "another may take what follows for its body"},
		{name: "101 after 100", wire: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", fails: detailProtocol, strict: "nobody asked for another protocol"},
		{name: "hints that break off", wire: "HTTP/1.1 103 Early Hints\r\nLink: </a", fails: detailEOF},
		{name: "hints and no more", wire: hints + hints, fails: detailEOF},
		{name: "an empty line between two heads", wire: hints + "\r\n" + last, fails: detailProtocol},
		{name: "hints with a body", wire: strings.TrimSuffix(hints, "\r\n") + lengthTwo + last, fails: detailProtocol},
	}
}

// largestReplies are at the limit of what is read of a body, and on either side.
func largestReplies() []replyCase {
	const most = 1000
	var all []replyCase
	for _, how := range []struct {
		name  string
		wire  func(body string) string
		again bool
	}{
		{"of a length", func(b string) string { return replyOK + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(b), b) }, true},
		{"in a chunk", func(b string) string { return replyChunked + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(b), b) }, true},
		{"in two chunks", func(b string) string {
			return replyChunked + fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", 400, b[:400], len(b)-400, b[400:])
		}, true},
		{"until the end", func(b string) string { return replyOK + "\r\n" + b }, false},
	} {
		for _, size := range []int{most - 1, most, most + 1} {
			body := strings.Repeat("x", size)
			c := replyCase{name: fmt.Sprintf("%d of at most %d bytes %s", size, most, how.name), most: most, wire: how.wire(body), status: 200, body: body, again: how.again}
			if size > most {
				c.fails, c.strict = detailTooLarge, "the transport sets net/http the same limit"
			}
			all = append(all, c)
		}
	}
	return append(all,
		replyCase{name: "an answer to HEAD larger than is read", verb: "HEAD", most: most, wire: replyOK + "Content-Length: 1001\r\n\r\n", status: 200, again: true},
		replyCase{name: "304 larger than is read", most: most, wire: "HTTP/1.1 304 Not Modified\r\nContent-Length: 1001\r\n\r\n", status: 304, again: true},
	)
}
