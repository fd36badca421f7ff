//go:build linux && (amd64 || arm64)

package main

import (
	"errors"
	"testing"
)

const post = "POST /v1/functions/hello HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\ncontent-length: 5\r\n\r\nhello"

func TestParse(t *testing.T) {
	tests := []struct {
		name, in string
		want     request
		err      error
	}{
		{"nothing", "", request{}, nil},
		{"a body", post, request{size: len(post)}, nil},
		{"the first of several", post + post, request{size: len(post)}, nil},
		{"no body", "GET / HTTP/1.1\r\n\r\n", request{size: 18}, nil},
		{"bare line feeds", "GET / HTTP/1.1\n\n", request{size: 16}, nil},
		{"control", "GET /-/count HTTP/1.1\r\n\r\n", request{size: 25, path: "count"}, nil},
		{"the last on its connection", "GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", request{size: 37, close: true}, nil},
		{"an older version", "GET / HTTP/1.0\r\n\r\n", request{size: 18, close: true}, nil},
		{"an older version that stays", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", request{size: 42}, nil},
		{"no request line", "hello\r\n\r\n", request{}, errLine},
		{"another protocol", "PRI * HTTP/2.0\r\n\r\n", request{}, errLine},
		{"no number", "GET / HTTP/1.1\r\nContent-Length: 5x\r\n\r\n", request{}, errLength},
		{"a sign", "GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", request{}, errLength},
		{"two lengths", "GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", request{}, errLength},
		{"chunks", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", request{}, errChunked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parse([]byte(tt.in))
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("parse(%q) = %+v, %v; want %+v, %v", tt.in, got, err, tt.want, tt.err)
			}
		})
	}
}

// However much of a request is there, it is whole only at its end.
func TestParseSplit(t *testing.T) {
	for n := range len(post) {
		if got, err := parse([]byte(post[:n])); got.size != 0 || err != nil {
			t.Errorf("the first %d bytes: %+v, %v; want no request yet", n, got, err)
		}
	}
}

func TestParseKeepsNoGarbage(t *testing.T) {
	b := []byte(post)
	if n := testing.AllocsPerRun(100, func() { _, _ = parse(b) }); n != 0 {
		t.Errorf("parse allocates %v times", n)
	}
}
