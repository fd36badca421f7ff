package invoke

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"volley/engine"
)

// BenchmarkExchange is a POST of 101 bytes to a server in this process, so
// half of the time and of the allocations are the server's.
func BenchmarkExchange(b *testing.B) {
	reply := []byte(`{"code":0,"data":{"id":"0123456789","name":"somebody","at":"2026-11-22T10:15:30Z"},"requestId":"0123456789abcdef"}`)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write(reply)
	}))
	defer s.Close()
	body := string(make([]byte, 101))
	b.Run("transport", func(b *testing.B) {
		h := open(b, Options{UserAgent: "volley/0"})
		q := ask(b, "POST", s.URL+"/v1/functions/hello", body)
		base := time.Now()
		b.ReportAllocs()
		for b.Loop() {
			var p engine.Response
			t := Timing{Base: base}
			if err := h.Exchange(b.Context(), 0, q, &p, &t); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("fast", func(b *testing.B) {
		h, err := NewFast(Options{UserAgent: "volley/0"})
		if err != nil {
			b.Fatal(err)
		}
		defer h.Close()
		q := ask(b, "POST", s.URL+"/v1/functions/hello", body)
		base := time.Now()
		ctx := b.Context()
		var p engine.Response
		b.ReportAllocs()
		for b.Loop() {
			t := Timing{Base: base, Start: -1, Until: time.Since(base) + 10*time.Second, Phases: engine.NoPhases()}
			if err := h.Exchange(ctx, 0, q, &p, &t); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net/http alone", func(b *testing.B) {
		h := open(b, Options{UserAgent: "volley/0"})
		q := ask(b, "POST", s.URL+"/v1/functions/hello", body)
		b.ReportAllocs()
		for b.Loop() {
			resp, err := h.rt.RoundTrip(h.request(b.Context(), address(q), q))
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
	b.Run("client", func(b *testing.B) {
		c := &Client{Transport: open(b, Options{UserAgent: "volley/0"}), Base: time.Now(), Limit: NewLimit(1e9)}
		u := address(ask(b, "POST", s.URL, body))
		i := call(func(i *engine.Invocation) { i.Step.Target.Method = at{plain{}, u} })
		var r engine.Result
		b.ReportAllocs()
		for b.Loop() {
			if c.Invoke(b.Context(), i, &r); r.Reply.Outcome != engine.OK {
				b.Fatal(r.Reply)
			}
		}
	})
}
