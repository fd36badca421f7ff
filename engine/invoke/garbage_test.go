//go:build !race

// The race detector makes garbage of its own.

package invoke

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// TestFastGarbage holds what an invocation costs on the static path.
func TestFastGarbage(t *testing.T) {
	reply := []byte(okReply)
	base := rawServer(t, func(_ int, c net.Conn) {
		b := make([]byte, 4096)
		for {
			if _, err := c.Read(b); err != nil {
				return
			}
			if _, err := c.Write(reply); err != nil {
				return
			}
		}
	})
	c := &Client{Transport: openAuto(t, Options{UserAgent: "volley/9"}), Base: time.Now()}
	u := address(ask(t, "POST", base, ""))
	i := call(func(i *engine.Invocation) {
		i.Step.Target.Method, i.Step.Static = steadyAt{at{plain{}, u}}, true
	})
	var r engine.Result
	for range 10 {
		c.Invoke(t.Context(), i, &r)
	}
	got := testing.AllocsPerRun(200, func() {
		if c.Invoke(t.Context(), i, &r); r.Reply.Outcome != engine.OK {
			t.Fatal(r.Reply.Message)
		}
	})
	if got > 1 {
		t.Errorf("%v allocations for an invocation, want 1", got)
	}
}

// steadyAt is a method that is no browser, and whose requests are prepared.
type steadyAt struct{ engine.Method }

func (steadyAt) Steady(auth.Grant) bool { return true }

// TestH2Garbage holds what an invocation costs over HTTP/2.
func TestH2Garbage(t *testing.T) {
	head := block(":status", "200", "server", "nginx/1.22.1", "content-type", "application/json", "content-length", "2")
	base := rawServer(t, func(_ int, c net.Conn) {
		_, _ = c.Write([]byte(set()))
		in, out := make([]byte, 0, 1<<16), make([]byte, 0, 1<<10)
		for from := len(preface); ; {
			n, err := c.Read(in[len(in):cap(in)])
			if err != nil {
				return
			}
			in = in[:len(in)+n]
			for len(in)-from >= frameHead {
				size := frameHead + (int(in[from])<<16 | int(in[from+1])<<8 | int(in[from+2]))
				if len(in)-from < size {
					break
				}
				if in[from+4]&flagEndStream != 0 && in[from+3] <= frameHeaders {
					id := binary.BigEndian.Uint32(in[from+5:])
					out = append(appendFrameHead(out[:0], len(head), frameHeaders, flagEndHeaders, id), head...)
					out = append(appendFrameHead(out, 2, frameData, flagEndStream, id), "ok"...)
					if _, err := c.Write(out); err != nil {
						return
					}
				}
				from += size
			}
			in, from = append(in[:0], in[from:]...), 0
		}
	})
	c := &Client{Transport: openAuto(t, Options{UserAgent: "volley/9", Protocol: "h2"}), Base: time.Now()}
	u := address(ask(t, "POST", base, ""))
	i := call(func(i *engine.Invocation) {
		i.Step.Target.Method, i.Step.Static = steadyAt{at{plain{}, u}}, true
	})
	var r engine.Result
	for range 10 {
		c.Invoke(t.Context(), i, &r)
	}
	got := testing.AllocsPerRun(200, func() {
		if c.Invoke(t.Context(), i, &r); r.Reply.Outcome != engine.OK {
			t.Fatal(r.Reply.Message)
		}
	})
	if got > 1 {
		t.Errorf("%v allocations for an invocation, want at most 1", got)
	}
}
