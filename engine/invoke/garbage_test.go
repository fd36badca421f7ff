//go:build !race

// The race detector makes garbage of its own.

package invoke

import (
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
