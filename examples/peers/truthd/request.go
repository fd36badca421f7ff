//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"errors"
	"strconv"
)

// A request is what the first request of some bytes asks for.
type request struct {
	size  int    // bytes, head and body; 0 while it is not whole
	path  string // of a control request, without its prefix; else ""
	close bool   // no request follows on the connection
}

// control begins the path of what is asked of the server itself.
const control = "/-/"

var (
	errLine    = errors.New("a request must begin with METHOD PATH HTTP/1.x")
	errLength  = errors.New("Content-Length must be a number of bytes, once")
	errChunked = errors.New("a body must have a Content-Length; Transfer-Encoding is not understood")
)

// parse reads the first request of b, which may be the beginning of one, or
// several in a row. It keeps nothing of b.
func parse(b []byte) (request, error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return request{}, nil
	}
	line := bytes.TrimSuffix(b[:end], []byte("\r"))
	method, rest, ok := bytes.Cut(line, []byte(" "))
	path, version, found := bytes.Cut(rest, []byte(" "))
	if !ok || !found || len(method) == 0 || len(path) == 0 || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return request{}, errLine
	}
	r := request{close: string(version) == "HTTP/1.0"}
	body, told := 0, false
	for at := end + 1; ; at += end + 1 {
		if end = bytes.IndexByte(b[at:], '\n'); end < 0 {
			return request{}, nil
		}
		field := bytes.TrimSuffix(b[at:at+end], []byte("\r"))
		if len(field) == 0 {
			r.size = at + end + 1 + body
			break
		}
		switch field[0] {
		case 'C', 'c', 'T', 't':
		default:
			continue // most fields are of no interest
		}
		name, value, _ := bytes.Cut(field, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "Content-Length"):
			n, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || told {
				return request{}, errLength
			}
			body, told = int(n), true
		case is(name, "Connection") && is(value, "close"):
			r.close = true
		case is(name, "Connection") && is(value, "keep-alive"):
			r.close = false
		case is(name, "Transfer-Encoding"):
			return request{}, errChunked
		}
	}
	if r.size > len(b) {
		return request{}, nil
	}
	if what, ok := bytes.CutPrefix(path, []byte(control)); ok {
		r.path = string(what)
	}
	return r, nil
}

// is compares as HTTP does names, and words of the Connection field.
func is(b []byte, word string) bool {
	return len(b) == len(word) && bytes.EqualFold(b, []byte(word))
}
