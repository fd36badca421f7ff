package emulator

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A shot is one request of a schedule and what came of it.
type shot struct {
	at     time.Duration
	status int
	took   time.Duration
}

// fire sends a request to fn at each of the times, inside a synctest bubble,
// and returns what came of them, with the truth of the server.
func fire(t *testing.T, f Function, at ...time.Duration) (shots []shot, truth Truth) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Config{Functions: map[string]Function{"fn": f}})
		shots = make([]shot, len(at))
		var all sync.WaitGroup
		for i, when := range at {
			all.Go(func() {
				time.Sleep(when)
				w := httptest.NewRecorder()
				begin := time.Now()
				s.ServeHTTP(w, request("POST /v1/functions/fn", "{}", token))
				shots[i] = shot{at: when, status: w.Code, took: time.Since(begin)}
			})
		}
		all.Wait()
		truth = s.Truth()
	})
	return shots, truth
}

const ms = time.Millisecond

func TestInstances(t *testing.T) {
	slow := Latency{P50: 100 * ms}
	type end struct {
		status int
		took   time.Duration
	}
	tests := []struct {
		name string
		f    Function
		at   []time.Duration
		want []end
		cold int64
	}{
		{"the first starts cold, the next is warm", Function{Latency: slow, ColdStart: 400 * ms},
			[]time.Duration{0, 501 * ms}, []end{{200, 500 * ms}, {200, 100 * ms}}, 1},
		{"a busy instance does not help", Function{Latency: slow, ColdStart: 400 * ms},
			[]time.Duration{0, 499 * ms}, []end{{200, 500 * ms}, {200, 500 * ms}}, 2},
		{"an instance is kept for five minutes", Function{Latency: slow, ColdStart: 400 * ms},
			[]time.Duration{0, 500*ms + keepWarm - 1}, []end{{200, 500 * ms}, {200, 100 * ms}}, 1},
		{"and no longer", Function{Latency: slow, ColdStart: 400 * ms},
			[]time.Duration{0, 500*ms + keepWarm}, []end{{200, 500 * ms}, {200, 500 * ms}}, 2},
		{"above its concurrency it rejects at once", Function{Latency: slow, Concurrency: 1},
			[]time.Duration{0, 50 * ms, 101 * ms}, []end{{200, 100 * ms}, {432, 0}, {200, 100 * ms}}, 1},
		{"retired instances make room", Function{Latency: slow, Concurrency: 1},
			[]time.Duration{0, 2 * keepWarm}, []end{{200, 100 * ms}, {200, 100 * ms}}, 2},
		{"faster growth than its burst is rejected", Function{Latency: slow, Burst: 2},
			[]time.Duration{0, 1, 2, 29 * time.Second}, []end{{200, 100 * ms}, {200, 100 * ms}, {429, 0}, {200, 100 * ms}}, 2},
		{"the burst comes back with time", Function{Latency: Latency{P50: time.Minute}, Burst: 2},
			[]time.Duration{0, 1, 29 * time.Second, 31 * time.Second}, []end{{200, time.Minute}, {200, time.Minute}, {429, 0}, {200, time.Minute}}, 3},
		{"a time limit ends the work, and the instance", Function{Latency: slow, Timeout: 60 * ms, ColdStart: 400 * ms},
			[]time.Duration{0, time.Second}, []end{{433, 460 * ms}, {433, 460 * ms}}, 2},
		{"a time limit that is kept changes nothing", Function{Latency: slow, Timeout: 100 * ms, ColdStart: 400 * ms},
			[]time.Duration{0}, []end{{200, 500 * ms}}, 1},
		{"without a time limit the platform's longest holds", Function{Latency: Latency{P50: maxTimeout}},
			[]time.Duration{0}, []end{{200, maxTimeout}}, 1},
		{"a timeout takes the platform's three seconds", Function{Errors: map[string]float64{"function_timeout": 1}},
			[]time.Duration{0}, []end{{433, 3 * time.Second}}, 1},
		{"a failed function leaves its instance", Function{Errors: map[string]float64{"function_error": 1}, Latency: slow, ColdStart: 400 * ms},
			[]time.Duration{0, time.Second}, []end{{500, 500 * ms}, {500, 100 * ms}}, 1},
		{"a function out of memory does not", Function{Errors: map[string]float64{"memory_limit": 1}, Latency: slow, ColdStart: 400 * ms},
			[]time.Duration{0, time.Second}, []end{{434, 500 * ms}, {434, 500 * ms}}, 2},
		{"an error of the platform needs no instance", Function{Errors: map[string]float64{"throttled": 1}, Latency: slow, ColdStart: 400 * ms},
			[]time.Duration{0}, []end{{429, 0}}, 0},
		{"a stall keeps all answers back", Function{Stall: Stall{Every: 5 * time.Second, For: time.Second}},
			[]time.Duration{3999 * ms, 4 * time.Second, 4500 * ms, 5001 * ms, 9 * time.Second},
			[]end{{200, 0}, {200, time.Second}, {200, 500 * ms}, {200, 0}, {200, time.Second}}, 2},
		{"a stall keeps finished work back", Function{Latency: slow, Stall: Stall{Every: 5 * time.Second, For: time.Second}},
			[]time.Duration{3850 * ms, 3949 * ms, 4950 * ms}, []end{{200, 100 * ms}, {200, 1051 * ms}, {200, 100 * ms}}, 2},
		{"a stall keeps rejections back", Function{Concurrency: 1, Stall: Stall{Every: 5 * time.Second, For: time.Second}},
			[]time.Duration{4 * time.Second, 4500 * ms}, []end{{200, time.Second}, {432, 500 * ms}}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shots, truth := fire(t, tt.f, tt.at...)
			var got []end
			for _, s := range shots {
				got = append(got, end{s.status, s.took})
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			var cold int64
			for _, c := range truth.Counts {
				cold += c.Cold
			}
			if cold != tt.cold {
				t.Errorf("%d cold starts, want %d", cold, tt.cold)
			}
		})
	}
}

func TestVersionsHaveTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Config{Functions: map[string]Function{"fn": {
			Latency: Latency{P50: 20 * ms}, ColdStart: 100 * ms,
			Versions: map[string]Function{"4": {Latency: Latency{P50: 25 * ms}}},
		}}})
		took := func(headers ...string) time.Duration {
			begin := time.Now()
			ask(s, request("POST /v1/functions/fn", "{}", append(headers, token)...))
			return time.Since(begin)
		}
		got := []time.Duration{took(), took("X-Qualifier: 4"), took("X-Qualifier: $LATEST"), took("X-Qualifier: 4"), took("X-Qualifier: $DEFAULT")}
		want := []time.Duration{120 * ms, 125 * ms, 20 * ms, 25 * ms, 20 * ms}
		if !slices.Equal(got, want) {
			t.Errorf("latencies %v, want %v: a version inherits the cold start, and shares no instances", got, want)
		}
	})
}

// The latencies of a stall of 1s in 5s at an even rate: one request in five
// meets it, and waits for 500 ms on average.
func TestStallPercentiles(t *testing.T) {
	var at []time.Duration
	for i := range 10000 { // 500/s for 20 s
		at = append(at, time.Duration(i)*2*ms)
	}
	shots, _ := fire(t, Function{Stall: Stall{Every: 5 * time.Second, For: time.Second}}, at...)
	slices.SortFunc(shots, func(a, b shot) int { return int(a.took - b.took) })
	for q, want := range map[float64]time.Duration{0.5: 0, 0.9: 500 * ms, 0.99: 950 * ms} {
		if got := shots[int(q*10000)].took; (got - want).Abs() > 2*ms {
			t.Errorf("p%v is %v, want %v", 100*q, got, want)
		}
	}
}

func TestLatencyQuantiles(t *testing.T) {
	v := newVersion(1, "fn", latest, Function{Latency: Latency{P50: 20 * ms, P99: 80 * ms}})
	all := make([]time.Duration, 200000)
	for i := range all {
		all[i] = v.latency(v.draw())
	}
	slices.Sort(all)
	for _, want := range []struct {
		q    float64
		want time.Duration
	}{{0.01, 5 * ms}, {0.5, 20 * ms}, {0.99, 80 * ms}} {
		got := all[int(want.q*float64(len(all)))]
		if math.Abs(float64(got)/float64(want.want)-1) > 0.02 {
			t.Errorf("p%v is %v, want %v", 100*want.q, got, want.want)
		}
	}
}

func TestErrorShares(t *testing.T) {
	v := newVersion(1, "fn", latest, Function{Errors: map[string]float64{"function_error": 0.1, "throttled": 0.02, "reset": 0}})
	got := map[string]int{}
	const n = 100000
	for range n {
		if m := v.mishap(v.draw()); m != nil {
			got[m.name]++
		}
	}
	for name, want := range map[string]float64{"function_error": 0.1, "throttled": 0.02, "reset": 0} {
		// Five standard deviations of a binomial share.
		if d := math.Abs(float64(got[name])/n - want); d > 5*math.Sqrt(want*(1-want)/n) {
			t.Errorf("%s has a share of %v, want %v", name, float64(got[name])/n, want)
		}
	}
}

func TestSeeds(t *testing.T) {
	draws := func(seed uint64, name, qualifier string) string {
		v := newVersion(seed, name, qualifier, Function{Latency: Latency{P50: 20 * ms, P99: 80 * ms}, Errors: map[string]float64{"reset": 0.5}})
		var b strings.Builder
		for range 50 {
			d := v.draw()
			b.WriteString(v.latency(d).String())
			if v.mishap(d) != nil {
				b.WriteString("!")
			}
		}
		return b.String()
	}
	if first := draws(7, "fn", "3"); first != draws(7, "fn", "3") {
		t.Error("the same seed gives other numbers")
	}
	for _, other := range []string{draws(8, "fn", "3"), draws(7, "fm", "3"), draws(7, "fn", "4")} {
		if other == draws(7, "fn", "3") {
			t.Error("another seed, function or version gives the same numbers")
		}
	}
	ids := func(seed uint64) string {
		s := start(t, Config{Seed: seed})
		return ask(s, request("GET /", "")).Header.Get("X-Request-Id")
	}
	if a, b := ids(1), ids(1); a != b || a == ids(2) || len(a) != 36 {
		t.Errorf("request ids %q, %q and %q of seeds 1, 1 and 2", a, b, ids(2))
	}
}

func TestValidate(t *testing.T) {
	fn := func(f Function) Config { return Config{Functions: map[string]Function{"hello": f}} }
	version := func(f Function) Config { return fn(Function{Versions: map[string]Function{"3": f}}) }
	tests := []struct {
		name   string
		c      Config
		fields string // of the mistakes, in order
	}{
		{"nothing", Config{}, ""},
		{"an example", fn(Function{Latency: Latency{20 * ms, 80 * ms}, ColdStart: 400 * ms, Errors: map[string]float64{"function_error": 0.001, "throttled": 0.005},
			Concurrency: 100, Burst: 500, Timeout: 3 * time.Second, Stall: Stall{5 * time.Second, time.Second}, Versions: map[string]Function{"4": {Latency: Latency{P50: 25 * ms}}}}), ""},
		{"a name with a dot", Config{Functions: map[string]Function{"a.b": {}}}, "functions.a.b"},
		{"quantiles in the wrong order", fn(Function{Latency: Latency{80 * ms, 20 * ms}}), "functions.hello.latency.p99"},
		{"p99 alone", fn(Function{Latency: Latency{P99: 20 * ms}}), "functions.hello.latency.p50"},
		{"times below nothing", fn(Function{Latency: Latency{P50: -1}, ColdStart: -1, Timeout: -1}), "functions.hello.latency.p50 functions.hello.cold_start functions.hello.timeout"},
		{"a time limit above the platform's", fn(Function{Timeout: time.Hour}), "functions.hello.timeout"},
		{"an unknown error", fn(Function{Errors: map[string]float64{"x": 0.1}}), "functions.hello.errors.x"},
		{"a share above all", fn(Function{Errors: map[string]float64{"reset": 1.1}}), "functions.hello.errors.reset"},
		{"a share that is no number", fn(Function{Errors: map[string]float64{"reset": math.NaN()}}), "functions.hello.errors.reset"},
		{"shares above all", fn(Function{Errors: map[string]float64{"reset": 0.6, "close": 0.6}}), "functions.hello.errors"},
		{"quotas below nothing", fn(Function{Concurrency: -1, Burst: -1}), "functions.hello.concurrency functions.hello.burst"},
		{"memory that no instance has", fn(Function{Memory: 1 << 20}), "functions.hello.memory"},
		{"more memory used than there is", fn(Function{MemoryUsed: 257 << 20}), "functions.hello.memory_used"},
		{"memory used below nothing", fn(Function{MemoryUsed: -1}), "functions.hello.memory_used"},
		{"a version that has less than its function uses", fn(Function{Memory: 1 << 30, MemoryUsed: 1 << 29, Versions: map[string]Function{"3": {Memory: 128 << 20}}}), "functions.hello.versions.3.memory_used"},
		{"a stall without a length", fn(Function{Stall: Stall{Every: time.Second}}), "functions.hello.stall.for"},
		{"a stall without a period", fn(Function{Stall: Stall{For: time.Second}}), "functions.hello.stall.every"},
		{"a stall without end", fn(Function{Stall: Stall{time.Second, time.Second}}), "functions.hello.stall.for"},
		{"a status of an event function", fn(Function{ReplyStatus: 201}), "functions.hello.status"},
		{"a status that is none", fn(Function{HTTP: true, ReplyStatus: 99}), "functions.hello.status"},
		{"a version's mistake is told once", version(Function{Timeout: -1}), "functions.hello.versions.3.timeout"},
		{"a function's mistake is not its version's", fn(Function{Timeout: -1, Versions: map[string]Function{"3": {}}}), "functions.hello.timeout"},
		{"all mistakes of a function are told once", fn(Function{Latency: Latency{P99: 1}, Stall: Stall{For: 1}, Errors: map[string]float64{"x": 1}, ColdStart: -1, Concurrency: -1, Burst: -1,
			ReplyStatus: 1, Versions: map[string]Function{"3": {}}}),
			"functions.hello.latency.p50 functions.hello.cold_start functions.hello.concurrency functions.hello.burst functions.hello.stall.every functions.hello.status functions.hello.errors.x"},
		{"versions of versions", version(Function{Versions: map[string]Function{"4": {}}}), "functions.hello.versions.3.versions"},
		{"a version of another kind", version(Function{HTTP: true}), "functions.hello.versions.3.http"},
		{"a version with a switch", version(Function{WebAuth: true}), "functions.hello.versions.3.web_auth"},
		{"a qualifier of nothing", fn(Function{Versions: map[string]Function{"": {}}}), "functions.hello.versions."},
		{"a size below nothing", Config{MaxBody: -1}, "max_body"},
		{"all that may ask", Config{Keys: map[string]string{"id": "k"}, SessionTokens: map[string]string{"id": "t"}, Users: map[string]string{"u": "p"}, Apps: map[string]string{"a": "s"},
			TokenLife: time.Minute, SignInError: "slow", Origins: []string{"https://app.example:8443"}, PreflightAge: time.Minute}, ""},
		{"secrets of nothing", Config{Keys: map[string]string{"id": ""}, Users: map[string]string{"u": ""}, Apps: map[string]string{"a": " s"}}, "keys.id users.u apps.a"},
		{"names of nothing", Config{Keys: map[string]string{"a,b": "k"}, Users: map[string]string{"": "p"}}, "keys.a,b users."},
		{"a session token without a key", Config{SessionTokens: map[string]string{"id": "t"}}, "session_tokens.id"},
		{"a token's life below nothing", Config{TokenLife: -1}, "token_life"},
		{"a token's life above that of what renews it", Config{TokenLife: refreshLife + 1}, "token_life"},
		{"an unknown sign-in error", Config{SignInError: "x"}, "sign_in_error"},
		{"origins that no browser sends", Config{Origins: []string{"app.example", "https://app.example/", "https://app.example"}}, "origins[0] origins[1]"},
		{"a preflight that is remembered too long", Config{PreflightAge: 25 * time.Hour}, "preflight_age"},
		{"a token of nothing", Config{Tokens: []string{"a", ""}}, "tokens[1]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(tt.c)
			if err == nil {
				s.Close()
			}
			var fields []string
			for _, e := range parts(err) {
				var one *Error
				if !errors.As(e, &one) || one.Hint() == "" || one.Problem == "" {
					t.Fatalf("%v is not an Error with a hint", e)
				}
				if one.Error() != one.Field+": "+one.Problem {
					t.Errorf("%q does not say where and what", one)
				}
				fields = append(fields, one.Field)
			}
			if got := strings.Join(fields, " "); got != tt.fields {
				t.Errorf("mistakes in %q, want %q", got, tt.fields)
			}
		})
	}
}

func parts(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return nil
}

// A platform does not stop a function because its caller has left: it works,
// keeps its instance busy, and is billed.
func TestAClientThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Config{Functions: map[string]Function{"fn": {Latency: Latency{P50: 100 * ms}, Concurrency: 1}}})
		ctx, leave := context.WithTimeout(t.Context(), 10*ms)
		defer leave()
		go s.ServeHTTP(httptest.NewRecorder(), request("POST /v1/functions/fn", "{}", token).WithContext(ctx))
		time.Sleep(50 * ms)
		if got := ask(s, request("POST /v1/functions/fn", "{}", token)).StatusCode; got != 432 {
			t.Errorf("status %d while the function works, want 432", got)
		}
		time.Sleep(51 * ms)
		if got := ask(s, request("POST /v1/functions/fn", "{}", token)).StatusCode; got != 200 {
			t.Errorf("status %d after it, want 200", got)
		}
		if got, want := s.Truth().Counts[0], (Count{"fn", "", "ok", "", 200, 2, 1, 1}); got != want {
			t.Errorf("the truth says %+v, want %+v", got, want)
		}
	})
}

// However many requests there were, a server stays as large as it was.
func TestMemoryIsFlat(t *testing.T) {
	s := start(t, Config{Truth: io.Discard, Functions: map[string]Function{"fn": {Errors: map[string]float64{"function_error": 0.5}}}})
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // the first leaves what pools held
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	call := func(n int) {
		r := request("POST /v1/functions/fn", "{}", token)
		w := null{http.Header{}}
		for i := range n {
			clear(w.h)
			r.Header.Set("X-Qualifier", []string{"", "$LATEST", "9" + strconv.Itoa(i)}[i%3])
			s.ServeHTTP(w, r)
		}
	}
	call(20000) // the buffers of the truth find their size
	before := heap()
	call(200000)
	if grown := heap() - before; grown > 4<<20 { // 20 bytes a request
		t.Errorf("after 200000 requests the heap is %d bytes larger", grown)
	}
}

// Whatever a function returns on an HTTP path, it is an answer that net/http can
// send, or an error.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{`{"statusCode":200}`, `{"statusCode":302,"headers":{"Location":"/","Set-Cookie":["a","b"],"X":null},"body":{"a":1}}`,
		`{"statusCode":200,"body":"AAE=","isBase64Encoded":true}`, `{"statusCode":200,"headers":{"content-length":3}}`, `[{"statusCode":1}]`, `"statusCode"`, ``} {
		f.Add([]byte(seed))
	}
	s := start(f, Config{})
	f.Fuzz(func(t *testing.T, returned []byte) {
		a, err := s.response(returned, true)
		if err != nil {
			return
		}
		if a.status != 0 && (a.status < 200 || a.status > 599) {
			t.Errorf("status %d", a.status)
		}
		if a.status == 0 && string(a.body) != string(returned) {
			t.Errorf("body %q, want what was returned", a.body)
		}
		for name, values := range a.header {
			if name == "Content-Length" || len(values) == 0 {
				t.Errorf("header %s: %q", name, values)
			}
		}
	})
}

func TestInherit(t *testing.T) {
	// Every field that a version can set, so that none is forgotten: a new one
	// that is not here fails.
	full := func(n int) Function {
		return Function{Reply: reply(strconv.Itoa(n)), Latency: Latency{P50: time.Duration(n)}, ColdStart: time.Duration(n), Errors: map[string]float64{strconv.Itoa(n): 0},
			Concurrency: n, Burst: float64(n), Timeout: time.Duration(n), Stall: Stall{Every: time.Duration(n)}, ReplyStatus: n, Memory: int64(n), MemoryUsed: int64(n), HTTP: true, WebAuth: true}
	}
	same := func(what string, got, want Function) {
		t.Helper()
		for i := range reflect.TypeFor[Function]().NumField() {
			name := reflect.TypeFor[Function]().Field(i).Name
			g, w := reflect.ValueOf(got).Field(i), reflect.ValueOf(want).Field(i)
			if name == "Reply" {
				a, _ := got.Reply(nil)
				b, _ := want.Reply(nil)
				g, w = reflect.ValueOf(string(a)), reflect.ValueOf(string(b))
			} else if name != "Versions" && w.IsZero() {
				t.Errorf("%s is not in this test", name)
			}
			if !reflect.DeepEqual(g.Interface(), w.Interface()) {
				t.Errorf("%s: %s is %v, want %v", what, name, g, w)
			}
		}
	}
	same("all of its own", inherit(full(1), full(2)), full(2))
	same("all of the function's", inherit(full(1), Function{}), full(1))
	if got := inherit(full(1), Function{Errors: map[string]float64{}}).Errors; len(got) != 0 {
		t.Errorf("errors %v, want none where the version says so", got)
	}
}
