package invoke

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/group"
	"volley/engine/pace"
)

// unclear is plain, but its requests cannot be written without the row.
type unclear struct{ plain }

func (unclear) Encode(*engine.Invocation, auth.Grant, time.Time, *engine.Request) error {
	return fmt.Errorf("there is no row")
}

// TestConnect opens the connections of a plan's first invocations ahead, and
// then sends as many at once.
func TestConnect(t *testing.T) {
	cert, ca := certificate(t, false, "127.0.0.1")
	step := func(m engine.Method) engine.Step {
		return engine.Step{Invoke: &engine.Invoke{Name: "f", Function: "f", Attempts: -1, Target: &engine.Target{Method: m, Timeout: 5 * time.Second}}}
	}
	workers := func(n float64) engine.Load { return engine.Load{Crowd: pace.Constant(n, time.Minute)} }
	tests := []struct {
		name   string
		o      Options
		h2     bool // what the server speaks over TLS
		secure bool
		load   engine.Load
		steps  func(m engine.Method) []engine.Step
		ahead  int // connections that are opened
		after  int // connections when the first invocations have been sent at once
	}{
		{name: "a crowd", load: workers(20), ahead: 20, after: 20},
		{name: "few are opened as soon by themselves", load: workers(fewAtOnce), ahead: 0, after: fewAtOnce},
		{name: "over TLS", secure: true, load: workers(20), ahead: 20, after: 20},
		{name: "over TLS, where only HTTP/1.1 is asked for", secure: true, h2: true, o: Options{Protocol: "h1"}, load: workers(20), ahead: 20, after: 20},
		{name: "HTTP/2 needs one", secure: true, h2: true, load: workers(20), ahead: 1, after: 1},
		{name: "HTTP/2 that is asked for needs one", secure: true, h2: true, o: Options{Protocol: "h2"}, load: workers(20), ahead: 1, after: 1},
		{name: "HTTP/2 on several", secure: true, h2: true, o: Options{Connections: 3}, load: workers(20), ahead: 3, after: 3},
		{name: "HTTP/2 on no more than begin at once", secure: true, h2: true, o: Options{Connections: 30}, load: workers(5), ahead: 5, after: 5},
		{name: "no more than there are files for", load: workers(300), ahead: 200, after: 300},
		{name: "no more than there may be", o: Options{Connections: 7}, load: workers(20), ahead: 7, after: 7},
		{name: "none is kept", o: Options{NoKeepAlive: true}, load: workers(20), ahead: 0, after: 20},
		{name: "an open load", load: engine.Load{MaxInFlight: 100, Arrivals: func() pace.Arrivals { return pace.Even(pace.Constant(2000, time.Minute)) }}, ahead: 10, after: 10},
		{name: "a group", load: workers(5), steps: func(m engine.Method) []engine.Step {
			return []engine.Step{{Group: &engine.Group{Kind: group.All, Members: []engine.Step{step(m), step(m), step(m)}}}}
		}, ahead: 15, after: 15},
		{name: "where a request goes cannot be told", load: workers(20), steps: func(engine.Method) []engine.Step {
			return []engine.Step{step(unclear{})}
		}, ahead: 0, after: 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var opened, waiting atomic.Int64
			all := make(chan struct{})
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if waiting.Add(-1) == 0 {
					close(all)
				}
				select {
				case <-all:
				case <-time.After(100 * time.Millisecond): // where there are fewer connections
				}
				io.WriteString(w, "{}")
			}))
			s.Config.ErrorLog = quiet()
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					opened.Add(1)
				}
			}
			if s.EnableHTTP2 = tt.h2; tt.secure {
				s.TLS = tlsConfig(cert)
				s.StartTLS()
			} else {
				s.Start()
			}
			defer s.Close()
			u, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			tt.o.CAFile = ca
			tt.o.MaxIdle = 400
			auto := openAuto(t, tt.o)
			c := &Client{Transport: auto, Base: time.Now()}
			plan := &engine.Plan{Load: tt.load, Steps: []engine.Step{step(at{plain{}, u})}}
			if tt.steps != nil {
				plan.Steps = tt.steps(at{plain{}, u})
			}
			c.Connect(t.Context(), plan, 200)
			for began := time.Now(); opened.Load() < int64(tt.ahead) && time.Since(began) < 5*time.Second; { // the server has yet to hear of the last
				time.Sleep(time.Millisecond)
			}
			if n := opened.Load(); n != int64(tt.ahead) {
				t.Errorf("%d connections were opened ahead, want %d", n, tt.ahead)
			}

			n := tt.load.First() * len(plan.First())
			waiting.Store(int64(n))
			results := make(chan *engine.Result, n)
			for i := range n {
				go func() {
					r := new(engine.Result)
					c.Invoke(t.Context(), call(func(in *engine.Invocation) {
						in.Worker, in.Due, in.Step.Target.Method, in.Step.Target.Timeout = i, time.Since(c.Base), at{plain{}, u}, 5*time.Second
					}), r)
					results <- r
				}()
			}
			dialled := 0
			for range n {
				r := <-results
				if r.Reply.Outcome != engine.OK {
					t.Fatalf("%s: %s", r.Reply.Outcome, r.Reply.Message)
				}
				if r.Attempts[0].Phases.Connect >= 0 {
					dialled++
				}
			}
			if got := opened.Load(); got != int64(tt.after) {
				t.Errorf("%d connections in the end, want %d", got, tt.after)
			}
			if want := tt.after - tt.ahead; dialled != want {
				t.Errorf("%d invocations opened a connection, want %d", dialled, want)
			}
			if ways := auto.Ways(); len(ways) != 1 || ways[0].Ahead != tt.ahead {
				t.Errorf("ways %+v, want %d opened ahead", ways, tt.ahead)
			}
		})
	}
}

// TestConnectFails holds that who cannot connect neither waits nor fails for
// it: the invocations tell.
func TestConnectFails(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for _, tt := range []struct{ name, url string }{
		{"refused", "http://" + gone.Addr().String()},
		{"TLS refused", "https://" + gone.Addr().String()},
		{"TLS never answered", "https://" + silent.Addr().String()}, // ends with the context
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			auto := openAuto(t, Options{MaxIdle: 100})
			c := &Client{Transport: auto, Base: time.Now()}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			c.Connect(ctx, &engine.Plan{
				Load:  engine.Load{Crowd: pace.Constant(50, time.Minute)},
				Steps: []engine.Step{{Invoke: &engine.Invoke{Target: &engine.Target{Method: at{plain{}, u}}}}},
			}, 200)
			if took := time.Since(c.Base); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			for _, way := range auto.Ways() {
				if way.Ahead != 0 {
					t.Errorf("%d connections opened ahead", way.Ahead)
				}
			}
			h, err := auto.fast.host(ask(t, "POST", tt.url, ""))
			if err != nil || h.connections() != 0 {
				t.Errorf("%d connections are counted, error %v", h.connections(), err)
			}
		})
	}
}
