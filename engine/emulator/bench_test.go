package emulator

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// null is a response writer that keeps nothing.
type null struct{ h http.Header }

func (n null) Header() http.Header         { return n.h }
func (n null) Write(p []byte) (int, error) { return len(p), nil }
func (n null) WriteHeader(int)             {}

// BenchmarkHandler is the emulator without net/http around it.
func BenchmarkHandler(b *testing.B) {
	const event = `{"userId":"u123456","status":"pending","unread":true,"items":[1,2,3]}`
	s := start(b, Config{Truth: io.Discard, Functions: map[string]Function{
		"echo":  {Errors: map[string]float64{"reset": 0}},
		"reply": {Reply: reply(`{"code":0}`)},
		"full":  {Errors: map[string]float64{"throttled": 1}},
		"site":  {HTTP: true},
	}})
	for _, bench := range []struct{ name, line string }{
		{"echo", "POST /v1/functions/echo"}, {"reply", "POST /v1/functions/reply"},
		{"throttled", "POST /v1/functions/full"}, {"site", "POST /site/x?a=1"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			r := request(bench.line, event, token, "Content-Type: application/json")
			body := strings.NewReader(event)
			r.Body = io.NopCloser(body)
			w := null{http.Header{}}
			for b.Loop() {
				body.Reset(event)
				clear(w.h)
				s.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkServe is the whole way over loopback, by net/http's client, which
// takes as much time as the server.
func BenchmarkServe(b *testing.B) {
	_, url, client := live(b, Config{Functions: map[string]Function{"echo": {}}}, false)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := post(client, url+"/v1/functions/echo", `{"a":1}`)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
}
