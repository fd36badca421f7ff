package emulator

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

const (
	faultLimit   = 5 * time.Minute // a client that never leaves is left
	endlessChunk = 16 << 10
	endlessPause = 10 * time.Millisecond
)

// misbehave ends the exchange by a fault. The truth's service time runs until
// the fault is done.
func (x *exchange) misbehave(a answer, gone bool) {
	switch a.fault {
	case resetFault:
		x.reset()
	case silentFault:
		x.wait(faultLimit)
	case endlessFault:
		x.endless(a)
	}
	x.record(a.end, gone)
	panic(http.ErrAbortHandler)
}

// wait waits for d, until the client leaves or the server ends; it returns true
// if it was d. A millisecond more or less is nothing here.
func (x *exchange) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.r.Context().Done():
	case <-x.stop:
	}
	return false
}

// reset sends RST where the connection is ours alone. HTTP/2 resets the stream
// when the handler panics, which is what follows.
func (x *exchange) reset() {
	hijacker, ok := x.w.(http.Hijacker)
	if !ok {
		return
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	raw := conn
	if t, ok := conn.(*tls.Conn); ok {
		raw = t.NetConn() // its own Close would say goodbye first
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it, the end is a FIN: still a broken exchange
	}
	_ = raw.Close()
}

// endless sends a body that has no end, at a bounded rate.
func (x *exchange) endless(a answer) {
	a.kind, a.upstream = x.s.labels.text, "200"
	x.head(a)
	x.w.WriteHeader(a.status)
	flusher, _ := x.w.(http.Flusher)
	chunk := make([]byte, endlessChunk)
	for i := range chunk {
		chunk[i] = '.'
	}
	next := x.s.now()
	for end := next + faultLimit; next < end; next += endlessPause {
		if _, err := x.w.Write(chunk); err != nil {
			return
		}
		if flusher != nil {
			flusher.Flush()
		}
		if !x.wait(next + endlessPause - x.s.now()) {
			return
		}
	}
}
