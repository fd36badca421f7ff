package emulator

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// live serves c on a loopback port until the test ends, and returns the server,
// its base URL and a client of its own.
func live(t testing.TB, c Config, secure bool) (*Server, string, *http.Client) {
	t.Helper()
	s := start(t, c)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln, secure) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 1000}
	scheme := "http://"
	if secure {
		scheme = "https://"
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(s.CACert()) {
			t.Fatal("CACert is not a certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		transport.ForceAttemptHTTP2 = true
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, scheme + ln.Addr().String(), &http.Client{Transport: transport}
}

func post(client *http.Client, url, body string) (*http.Response, error) {
	r, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer t0")
	return client.Do(r)
}

func TestServe(t *testing.T) {
	for _, tt := range []struct {
		name   string
		secure bool
		proto  int
	}{{"plain is HTTP/1.1", false, 1}, {"TLS is HTTP/2, with a certificate that verifies", true, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			_, url, client := live(t, Config{Functions: map[string]Function{"fn": {}}}, tt.secure)
			res, err := post(client, url+"/v1/functions/fn", `{"a":1}`)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got := text(t, res); got != `{"a":1}` || res.ProtoMajor != tt.proto || res.ContentLength != 7 {
				t.Errorf("body %s of length %d by HTTP/%d, want the echo, 7, and HTTP/%d", got, res.ContentLength, res.ProtoMajor, tt.proto)
			}
		})
	}
}

func TestServeSaysWhatFails(t *testing.T) {
	s := start(t, Config{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := s.Serve(t.Context(), ln, false); err == nil || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("Serve on a closed listener returns %v, want an error with its address", err)
	}
}

// Close cuts what Serve still serves, and neither leaves a goroutine.
func TestCloseEndsAll(t *testing.T) {
	before := runtime.NumGoroutine()
	quickest := time.Hour
	for _, secure := range []bool{false, true} {
		var truth bytes.Buffer
		s, err := New(Config{Truth: &truth, Functions: map[string]Function{
			"fn":     {Latency: Latency{P50: time.Hour / 6}},
			"silent": {Errors: map[string]float64{"slow_headers": 1}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(t.Context(), ln, secure) }()
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		scheme := map[bool]string{false: "http://", true: "https://"}[secure]
		var all sync.WaitGroup
		for _, fn := range []string{"fn", "fn", "silent"} {
			all.Go(func() {
				if res, err := post(&http.Client{Transport: transport}, scheme+ln.Addr().String()+"/v1/functions/"+fn, `{}`); err == nil {
					t.Errorf("%s: status %d, want a broken connection", fn, res.StatusCode)
				}
			})
		}
		for inFunction(s) < 2 || s.Truth().Requests < 1 { // both are asleep in fn, and the silent one is counted
			time.Sleep(time.Millisecond)
		}
		begin := time.Now()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		quickest = min(quickest, time.Since(begin))
		if err := <-served; err != nil {
			t.Error(err)
		}
		all.Wait()
		transport.CloseIdleConnections()
		if got := strings.Count(truth.String(), `"outcome":"canceled"`); got != 2 {
			t.Errorf("%d requests canceled in the truth, want 2:\n%s", got, &truth)
		}
		if err := s.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
	}
	if quickest >= grace {
		t.Errorf("Close took %v, as if it waited for requests", quickest)
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}

// A reply that is being computed cannot be cut, so Serve waits for it.
func TestServeWaitsForItsRequests(t *testing.T) {
	inside := make(chan struct{})
	var ended atomic.Bool
	s := start(t, Config{Functions: map[string]Function{"fn": {Reply: func(any) ([]byte, error) {
		close(inside)
		time.Sleep(100 * time.Millisecond)
		ended.Store(true)
		return nil, nil
	}}}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context(), ln, false) }()
	var asked sync.WaitGroup
	asked.Go(func() {
		if res, err := post(http.DefaultClient, "http://"+ln.Addr().String()+"/v1/functions/fn", `{}`); err == nil {
			res.Body.Close()
		}
	})
	<-inside
	go s.Close()
	if err := <-served; err != nil || !ended.Load() {
		t.Errorf("Serve returns %v; the request has ended: %v", err, ended.Load())
	}
	asked.Wait()
}

func inFunction(s *Server) int {
	p := s.functions["fn"].routes[""].version.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alive - len(p.idle)
}

func TestServeEndsWithItsContext(t *testing.T) {
	s := start(t, Config{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Serve(ctx, ln, false); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

// What a client sees of each fault.
func TestFaults(t *testing.T) {
	functions := make(map[string]Function)
	for _, kind := range ErrorKinds() {
		functions[kind.Name] = Function{Errors: map[string]float64{kind.Name: 1}, Reply: reply(`"a reply of some length"`)}
	}
	for _, secure := range []bool{false, true} {
		s, url, client := live(t, Config{Functions: functions}, secure)
		tests := []struct {
			fault string
			check func(res *http.Response, err error) bool
			h1    func(error) bool // on a connection of its own, what it must be
		}{
			{"reset", isError, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
			{"close", isError, func(err error) bool { return errors.Is(err, io.EOF) }},
			{"half_reply", func(res *http.Response, err error) bool {
				if err != nil || res.StatusCode != 200 || res.ContentLength != 24 {
					return false
				}
				got, err := io.ReadAll(res.Body)
				if secure && !strings.Contains(err.Error(), "stream error") {
					return false
				}
				return err != nil && string(got) == `"a reply of `
			}, nil},
			{"slow_headers", func(res *http.Response, err error) bool { return errors.Is(err, context.DeadlineExceeded) }, nil},
			{"endless_body", func(res *http.Response, err error) bool {
				if err != nil || res.StatusCode != 200 || res.ContentLength != -1 {
					return false
				}
				_, err = io.CopyN(io.Discard, res.Body, 3*endlessChunk)
				return err == nil
			}, nil},
		}
		for _, tt := range tests {
			t.Run(tt.fault+map[bool]string{true: " by HTTP/2"}[secure], func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, "POST", url+"/v1/functions/"+tt.fault, strings.NewReader(`{}`))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer t0")
				r.GetBody = nil // a client that may not send again
				res, err := client.Do(r)
				if err == nil {
					defer res.Body.Close()
				}
				if !tt.check(res, err) {
					t.Errorf("got %v, %v", res, err)
				}
				if tt.h1 != nil && !secure && !tt.h1(err) {
					t.Errorf("got %v", err)
				}
				for _, c := range s.Truth().Counts {
					if c.Function == tt.fault && c.Cause != tt.fault {
						t.Errorf("the truth says %+v", c)
					}
				}
			})
		}
	}
}

func isError(_ *http.Response, err error) bool { return err != nil }

// A TLS connection is reset below TLS, without a goodbye.
func TestResetUnderTLS(t *testing.T) {
	_, url, _ := live(t, Config{Functions: map[string]Function{"fn": {Errors: map[string]float64{"reset": 1}}}}, true)
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /v1/functions/fn HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

// The stream says of each request what the client saw of it, and Truth sums up.
func TestTruth(t *testing.T) {
	var lines bytes.Buffer
	s, err := New(Config{Truth: &lines, Seed: 7, Functions: map[string]Function{"fn": {
		Latency:  Latency{P50: 2 * time.Millisecond},
		Versions: map[string]Function{"3": {Errors: map[string]float64{"throttled": 1}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for range 3 {
		ids[ask(s, request("POST /v1/functions/fn", "{}", token)).Header.Get("X-Request-Id")] = "|200|ok||1"
	}
	ids[ask(s, request("POST /v1/functions/fn", "{}", token, "X-Qualifier: 3")).Header.Get("X-Request-Id")] = "3|429|throttled|EXCEED_RATELIMIT|0"
	ids[ask(s, request("POST /v1/functions/fn", "{}", token, "X-Qualifier: 4\"")).Header.Get("X-Request-Id")] = "(unknown)|404|rejected|FUNCTION_QUALIFIER_NOT_FOUND|0"
	ids[ask(s, request("POST /v1/functions/fn", "{}")).Header.Get("X-Request-Id")] = "|401|auth_failed|MISSING_CREDENTIALS|0"
	sum := s.Truth()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantCounts := []Count{
		{"", "", "auth_failed", "MISSING_CREDENTIALS", 401, 1, 0, 0},
		{"fn", "", "ok", "", 200, 3, 1, 0},
		{"fn", "(unknown)", "rejected", "FUNCTION_QUALIFIER_NOT_FOUND", 404, 1, 0, 0},
		{"fn", "3", "throttled", "EXCEED_RATELIMIT", 429, 1, 0, 0},
	}
	if !slices.Equal(sum.Counts, wantCounts) || sum.Requests != 6 || sum.Lost != 0 {
		t.Errorf("Truth = %+v, want %+v", sum, wantCounts)
	}
	scan := bufio.NewScanner(&lines)
	scan.Scan()
	var head struct {
		Schema string
		Start  time.Time
		Seed   uint64
		Zero   *int64 `json:"stall_zero_ns"`
	}
	if err := json.Unmarshal(scan.Bytes(), &head); err != nil || head.Schema != "volley.truth/1" || head.Seed != 7 || head.Zero == nil || !head.Start.Equal(s.start) {
		t.Errorf("head %s: %v", scan.Bytes(), err)
	}
	var last int64
	cold := 0
	for scan.Scan() {
		var l struct {
			Function, Qualifier, Outcome, Cause string
			Arrival                             int64  `json:"arrival_ns"`
			Service                             int64  `json:"service_ns"`
			ID                                  string `json:"request_id"`
			Status                              int
			Instance                            uint64
			Cold                                bool
		}
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", scan.Bytes(), err)
		}
		got := strings.Join([]string{l.Qualifier, jsonText(l.Status), l.Outcome, l.Cause, jsonText(l.Instance)}, "|")
		if want, ok := ids[l.ID]; !ok || got != want {
			t.Errorf("%s, want %s", scan.Bytes(), want)
		}
		delete(ids, l.ID)
		if l.Arrival <= last {
			t.Errorf("arrival %d after %d", l.Arrival, last)
		}
		last = l.Arrival
		if l.Outcome == "ok" && (l.Service < 2e6 || l.Service > 2e9) {
			t.Errorf("service time of %d ns, want some 2 ms", l.Service)
		}
		if l.Cold {
			cold++
		}
	}
	if len(ids) > 0 || cold != 1 {
		t.Errorf("missing %v; %d cold, want 1", ids, cold)
	}
}

func jsonText(v any) string { b, _ := json.Marshal(v); return string(b) }

// A gate is a writer that can be held shut, or broken.
type gate struct {
	mu   sync.Mutex
	err  error
	size int
	tail []byte
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.size += len(p)
	g.tail = append(g.tail[:0], p[max(0, len(p)-100):]...)
	return len(p), g.err
}

func TestTruthDoesNotWaitForItsWriter(t *testing.T) {
	g := &gate{}
	g.mu.Lock()
	s := newTruth(g, time.Now(), 1)
	line := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
	for range 64 { // more than may be on its way and wait
		s.add(line)
	}
	lost := s.lostLines()
	if lost < 64-2*streamBytes>>20-1 || lost >= 64 {
		t.Errorf("%d lines lost while the writer was stuck, want those above the limit", lost)
	}
	g.mu.Unlock()
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if want := `{"lost":` + jsonText(lost) + "}\n"; !strings.HasSuffix(string(g.tail), want) {
		t.Errorf("the stream ends with %q, want %q", g.tail, want)
	}
	if written := (g.size - 200) >> 20; int64(written)+lost < 63 || int64(written)+lost > 64 {
		t.Errorf("%d lines written and %d lost of 64", written, lost)
	}
}

func TestTruthReportsItsWriter(t *testing.T) {
	full := errors.New("disk full")
	s, err := New(Config{Truth: &gate{err: full}})
	if err != nil {
		t.Fatal(err)
	}
	ask(s, request("GET /", ""))
	if err := s.Close(); !errors.Is(err, full) {
		t.Errorf("Close returns %v, want %v", err, full)
	}
}

func TestTruthGivesUpABrokenWriter(t *testing.T) {
	s := newTruth(&gate{err: errors.New("disk full")}, time.Now(), 1)
	defer s.close()
	for range 2000 {
		s.add([]byte("line\n"))
		if s.lostLines() > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("after two seconds no line is lost")
}

func TestTruthIsFlushedInTime(t *testing.T) {
	g := &gate{}
	s := start(t, Config{Truth: g})
	ask(s, request("GET /", "", "X-Request-Id: the-one"))
	for range 2000 {
		g.mu.Lock()
		got := string(g.tail)
		g.mu.Unlock()
		if strings.Contains(got, "the-one") {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("after two seconds the line is not written")
}
