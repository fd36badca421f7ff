package scenarios

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/pace"
)

// emulated is the head of scenarios for tests: a target that needs no account.
const emulated = `
target:
  emulator:
    functions:
      hello: {}
      world: {}
`

// mustLoad compiles a scenario that is right.
func mustLoad(t *testing.T, src string, o Options) *Compiled {
	t.Helper()
	if o.Dir == "" {
		o.Dir = "testdata/broken"
	}
	c, err := Load("test.yaml", []byte(src), o)
	if err != nil {
		t.Fatalf("%v\nin:\n%s", told(err), src)
	}
	return c
}

// due lists all arrivals of a plan.
func due(p *engine.Plan) []time.Duration {
	var all []time.Duration
	a := p.Load.Arrivals()
	for n := int64(0); ; n++ {
		at, ok := a.Due(n)
		if !ok {
			return all
		}
		all = append(all, at)
	}
}

func TestLoads(t *testing.T) {
	const steps = "\nsteps: [{invoke: hello}]\n"
	tests := []struct {
		name     string
		load     string
		arrivals int           // due in all, warm-up included
		last     time.Duration // when the last is due
		warm     int           // due before the warm-up's end
	}{
		{"a constant rate is exact", "{rate: 200/s, for: 60s}", 12000, 60*time.Second - 5*time.Millisecond, 0},
		{"per minute", "{rate: 90/m, for: 2m}", 180, 120*time.Second - 666666667*time.Nanosecond, 0},
		{"per hour", "{rate: 3600/h, for: 10s}", 10, 9 * time.Second, 0},
		{"a count ends it", "{rate: 7/s, iterations: 10}", 10, 1285714286 * time.Nanosecond, 0},
		{"a warm-up comes before, and changes nothing after", "{rate: 100/s, for: 10s, warmup: 2s}", 1200, 12*time.Second - 10*time.Millisecond, 200},
		{"stages ramp from the level before", "{stages: [{to: 100/s, for: 10s}, {at: 100/s, for: 1s}, {to: 0/s, for: 2s}]}", 700, 0, 0},
		{"a warm-up before a ramp from nothing is at its first aim", "{stages: [{to: 100/s, for: 10s}], warmup: 3s}", 800, 0, 300},
		{"recorded", "{replay: times.csv}", 2, 700 * time.Millisecond, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustLoad(t, emulated+"load: "+tt.load+steps, Options{}).Plan
			all := due(p)
			if len(all) != tt.arrivals {
				t.Errorf("%d arrivals, want %d", len(all), tt.arrivals)
			}
			if last := all[len(all)-1]; tt.last != 0 && last != tt.last {
				t.Errorf("last at %v, want %v", last, tt.last)
			}
			warm := 0
			for _, at := range all {
				if at < p.Load.Warmup {
					warm++
				}
			}
			if warm != tt.warm {
				t.Errorf("%d due in the warm-up, want %d", warm, tt.warm)
			}
			if !slices.IsSorted(all) {
				t.Error("arrivals go backwards")
			}
			if !slices.Equal(all, due(p)) {
				t.Error("a second reading differs")
			}
		})
	}
}

func TestLoadDefaults(t *testing.T) {
	l := mustLoad(t, emulated+"load: {rate: 1/s, for: 1s}\nsteps: [{invoke: hello}]", Options{}).Plan.Load
	if l.MaxInFlight != 1000 || l.GracefulStop != 30*time.Second || l.WaitWhenBusy || l.MaxRate != 0 || l.Warmup != 0 {
		t.Errorf("defaults: %+v", l)
	}
	l = mustLoad(t, emulated+"load: {rate: 1/s, for: 1s, max_in_flight: 7, when_busy: wait, max_rate: 3/s, graceful_stop: 0s}\nsteps: [{invoke: hello}]", Options{}).Plan.Load
	if l.MaxInFlight != 7 || l.GracefulStop != 0 || !l.WaitWhenBusy || l.MaxRate != 3 {
		t.Errorf("as written: %+v", l)
	}
	l = mustLoad(t, emulated+"load: {workers: 5, for: 3s}\nsteps: [{invoke: hello}]", Options{}).Plan.Load
	if l.Arrivals != nil || !slices.Equal(l.Crowd, pace.Constant(5, 3*time.Second)) {
		t.Errorf("closed: %+v", l)
	}
	l = mustLoad(t, emulated+"load: {workers: 5, iterations: 9}\nsteps: [{invoke: hello}]", Options{}).Plan.Load
	if l.Iterations != 9 || l.Crowd.Length() < 10*365*24*time.Hour {
		t.Errorf("closed by count: %+v", l)
	}
}

func TestClosedStages(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name, load string
		want       pace.Profile
	}{
		{"a ramp starts from the level before, and from none at the start", "{stages: [{to: 50, for: 30s}, {at: 50, for: 2m}, {to: 10, for: 5s}]}",
			pace.Profile{{From: 0, To: 50, For: 30 * s}, {From: 50, To: 50, For: 120 * s}, {From: 50, To: 10, For: 5 * s}}},
		{"workers may all leave for a while", "{stages: [{at: 5, for: 1s}, {at: 0, for: 1s}, {to: 5, for: 1s}]}",
			pace.Profile{{From: 5, To: 5, For: s}, {From: 0, To: 0, For: s}, {From: 0, To: 5, For: s}}},
		{"a variable is a number of workers", "{stages: [{to: \"${N}\", for: 30s}]}", pace.Profile{{From: 0, To: 7, For: 30 * s}}},
		{"a warm-up is at the start level", "{warmup: 1s, stages: [{at: 5, for: 2s}, {to: 8, for: 2s}]}",
			pace.Profile{{From: 5, To: 5, For: 2 * s}, {From: 5, To: 8, For: 2 * s}}},
		{"a warm-up before a ramp from nothing is at its aim", "{warmup: 1s, stages: [{to: 8, for: 2s}]}",
			pace.Profile{{From: 8, To: 8, For: 1}, {From: 0, To: 8, For: 2*s - 1}}},
		{"a warm-up before nothing is at the first aim", "{warmup: 1s, stages: [{at: 0, for: 1s}, {at: 3, for: 1s}]}",
			pace.Profile{{From: 3, To: 3, For: 1}, {From: 0, To: 0, For: s - 1}, {From: 3, To: 3, For: s}}},
		{"in hexadecimal", "{stages: [{at: 0x10, for: 1s}]}", pace.Constant(16, s)},
		{"as many as there may be", "{stages: [{at: 100000, for: 1s}]}", pace.Constant(MaxWorkers, s)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := mustLoad(t, emulated+"load: "+tt.load+"\nsteps: [{invoke: hello}]", Options{Env: environ(map[string]string{"N": "7"})}).Plan.Load
			if l.Arrivals != nil || l.Level != nil || l.Iterations != 0 || l.MaxInFlight != 1 {
				t.Errorf("not closed: %+v", l)
			}
			if !slices.Equal(l.Crowd, tt.want) {
				t.Errorf("crowd\n%v, want\n%v", l.Crowd, tt.want)
			}
		})
	}
	l := mustLoad(t, emulated+"load: {iterations: 9, stages: [{at: 2, for: 1s}]}\nsteps: [{invoke: hello}]", Options{}).Plan.Load
	if l.Iterations != 9 || l.Crowd.Length() != time.Second {
		t.Errorf("stages that a count may end: %+v", l)
	}
}

func TestPoissonIsSeeded(t *testing.T) {
	src := emulated + "load: {rate: 100/s, for: 10s, warmup: 1s, arrivals: poisson}\nsteps: [{invoke: hello}]"
	one := due(mustLoad(t, src, Options{Seed: 1}).Plan)
	if again := due(mustLoad(t, src, Options{Seed: 1}).Plan); !slices.Equal(one, again) {
		t.Error("the same seed gives other arrivals")
	}
	if other := due(mustLoad(t, src, Options{Seed: 2}).Plan); slices.Equal(one, other) {
		t.Error("another seed gives the same arrivals")
	}
	if n := float64(len(one)); math.Abs(n-1100) > 5*math.Sqrt(1100) {
		t.Errorf("%v arrivals, want about 1100", n)
	}
	// Random arrivals that a count ends are enough for that count.
	src = emulated + "load: {rate: 100/s, iterations: 500, arrivals: poisson}\nsteps: [{invoke: hello}]"
	if n := len(due(mustLoad(t, src, Options{}).Plan)); n < 500 {
		t.Errorf("%d arrivals for 500 iterations", n)
	}
}

func TestParallel(t *testing.T) {
	tests := []struct {
		name, steps string
		want        int
	}{
		{"one step", "[{invoke: hello}]", 1},
		{"steps come one after the other", "[{invoke: hello}, {invoke: hello}]", 1},
		{"members come together", "[{all: [{invoke: hello}, {invoke: world}, {invoke: hello}]}]", 3},
		{"a limit holds", "[{limit: 2, all: [{invoke: hello}, {invoke: world}, {invoke: hello}]}]", 2},
		{"the widest members under a limit", "[{limit: 2, all: [{invoke: hello}, {all: [{invoke: hello}, {invoke: hello}, {invoke: hello}]}, {any: [{invoke: hello}, {invoke: world}]}]}]", 5},
		{"a sequence is as wide as its widest step", "[{all: [{steps: [{invoke: hello}, {all: [{invoke: hello}, {invoke: world}]}]}, {invoke: hello}]}]", 3},
		{"a list of unknown length", "[{each: \"${{ [1, 2] }}\", all: [{invoke: hello}]}]", 64},
		{"a list under a limit", "[{each: \"${{ [1, 2] }}\", limit: 3, all: [{all: [{invoke: hello}, {invoke: world}]}]}]", 6},
		{"a pick is as wide as its widest choice", "[{pick: [{invoke: hello}, {all: [{invoke: hello}, {invoke: world}]}]}]", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustLoad(t, emulated+"load: {rate: 1/s, for: 1s}\nsteps: "+tt.steps, Options{}).Plan
			if p.Parallel != tt.want {
				t.Errorf("Parallel = %d, want %d", p.Parallel, tt.want)
			}
		})
	}
}

func TestSeriesAndGroups(t *testing.T) {
	p := mustLoad(t, emulated+`
load: {rate: 1/s, for: 1s}
steps:
  - invoke: hello
  - all:
      - invoke: hello
      - {invoke: hello, qualifier: $LATEST}
      - {invoke: world, name: other, retry: {attempts: 2}}
  - name: fast
    race: [{invoke: world}, {invoke: hello}]
  - all: [{invoke: world}]
  - limit: 1
    any: [{invoke: world}, {invoke: world}]
  - each: "${{ [1, 2] }}"
    limit: 2
    all_settled: [{invoke: world}]
`, Options{}).Plan
	want := []engine.SeriesKey{
		{Step: "hello", Function: "hello", Method: "http-api"},
		{Step: "hello", Function: "hello", Method: "http-api", Qualifier: "$LATEST"},
		{Step: "other", Function: "world", Method: "http-api"},
		{Step: "other", Function: "world", Method: "http-api", Attempts: true},
		{Step: "world", Function: "world", Method: "http-api"},
	}
	if !slices.Equal(p.Series, want) {
		t.Errorf("series:\n%v\nwant:\n%v", p.Series, want)
	}
	var names []string
	var asked []int
	for _, g := range p.Groups {
		names = append(names, g.Step)
		asked = append(asked, g.Asked)
	}
	if !slices.Equal(names, []string{"all#1", "fast", "all#2", "any#1", "all_settled#1"}) || !slices.Equal(asked, []int{3, 2, 1, 1, 0}) {
		t.Errorf("groups %v, asked %v", names, asked)
	}
	first, second := p.Steps[0].Invoke, p.Steps[1].Group.Members[0].Invoke
	if first.Series != second.Series || first.Target != second.Target {
		t.Error("two invocations of one function share neither series nor target")
	}
	ids := map[uint64]bool{}
	var walk func(steps []engine.Step)
	walk = func(steps []engine.Step) {
		for _, s := range steps {
			if ids[s.ID] {
				t.Errorf("two steps have the id %d", s.ID)
			}
			ids[s.ID] = true
			if s.Group != nil {
				walk(s.Group.Members)
			}
		}
	}
	walk(p.Steps)
	if len(ids) != 15 {
		t.Errorf("%d steps, want 15", len(ids))
	}
}

func TestTargets(t *testing.T) {
	c := mustLoad(t, `
target:
  env: my-env
  region: ap-singapore
  qualifier: "3"
  timeout: 4s
  ok_status: [404]
  redirects: 2
  protocol: h2
  connections: 12
  keep_alive: false
  headers: {X-Common: a, X-Both: target}
  auth: {api_key: "${KEY}"}
steps:
  - invoke: hello
  - {invoke: hello, qualifier: "4", timeout: 1s, endpoint: "https://example.com/base", headers: {x-both: step, X-Own: b}}
`, Options{NoLoad: true, Env: environ(map[string]string{"KEY": "sk-12345"})})
	if c.Client != (Client{Protocol: "h2", Connections: 12}) {
		t.Errorf("client: %+v", c.Client)
	}
	one, two := c.Plan.Steps[0].Invoke.Target, c.Plan.Steps[1].Invoke.Target
	if one.Env != "my-env" || one.Region != "ap-singapore" || one.Qualifier != "3" || one.Timeout != 4*time.Second || one.OKStatus[0] != 404 || one.Redirects != 2 {
		t.Errorf("target: %+v", one)
	}
	if two.Qualifier != "4" || two.Timeout != time.Second || two.Endpoint != "https://example.com/base" || two.Env != "my-env" {
		t.Errorf("overridden target: %+v", two)
	}
	g, err := one.Auth.Grant(t.Context(), nil)
	if err != nil || g.Bearer.Reveal() != "sk-12345" {
		t.Errorf("grant %v, %v", g, err)
	}
	got := map[string]string{}
	for _, h := range c.Plan.Steps[1].Invoke.Header {
		got[h.Name], _ = h.Value(&engine.Scope{})
	}
	if len(got) != 3 || got["X-Common"] != "a" || got["x-both"] != "step" || got["X-Own"] != "b" {
		t.Errorf("headers: %v", got)
	}
	if text := string(c.Resolved()); strings.Contains(text, "sk-12345") || !strings.Contains(text, "${KEY}") {
		t.Errorf("resolved:\n%s", text)
	}
	if got := c.Mask("curl -H 'Authorization: Bearer sk-12345'"); strings.Contains(got, "12345") || !strings.Contains(got, auth.Mask) {
		t.Errorf("masked: %s", got)
	}
}

// TestHeadersThatShowNoSecret holds that a value which came from a credential
// is never shown, whatever the header is called.
func TestHeadersThatShowNoSecret(t *testing.T) {
	c := mustLoad(t, `
target:
  env: my-env
  headers: {X-Key: "k=${KEY}", X-Plain: a, Cookie: "a=b; s=${KEY}"}
  auth: {api_key: "${KEY}"}
steps: [{invoke: hello}]
`, Options{NoLoad: true, Env: environ(map[string]string{"KEY": "sk-12345"})})
	for _, h := range c.Plan.Steps[0].Invoke.Header {
		if want := h.Name != "X-Plain"; h.Secret != want {
			t.Errorf("%s: Secret = %v, want %v", h.Name, h.Secret, want)
		}
	}
}

func TestAtMovesTheEmulatorAlone(t *testing.T) {
	c := mustLoad(t, emulated+`
load: {rate: 1/s, for: 1s}
steps:
  - all: [{invoke: hello}, {steps: [{invoke: world}]}]
  - pick: [{invoke: hello}]
  - {invoke: hello, endpoint: "https://example.com"}
`, Options{})
	p := c.At("http://127.0.0.1:99")
	members := p.Steps[0].Group.Members
	for _, in := range []*engine.Invoke{members[0].Invoke, members[1].Sequence[0].Invoke, p.Steps[1].Pick[0].Steps[0].Invoke} {
		if in.Target.Endpoint != "http://127.0.0.1:99" || in.Target != members[0].Invoke.Target {
			t.Errorf("%s goes to %s", in.Name, in.Target.Endpoint)
		}
	}
	if at := p.Steps[2].Invoke.Target.Endpoint; at != "https://example.com" {
		t.Errorf("a step with an endpoint of its own goes to %s", at)
	}
	if at := c.Plan.Steps[0].Group.Members[0].Invoke.Target.Endpoint; at != EmulatorEndpoint {
		t.Errorf("the plan itself has changed: %s", at)
	}
}

func TestRetryDefaults(t *testing.T) {
	r := mustLoad(t, emulated+"load: {rate: 1/s, for: 1s}\nsteps: [{invoke: hello, retry: {}}]", Options{}).Plan.Steps[0].Invoke.Retry
	if r.Attempts != 3 || r.Base != 100*time.Millisecond || r.Cap != 10*time.Second ||
		!slices.Equal(r.On, []engine.Outcome{engine.Throttled, engine.PlatformError, engine.NetworkError}) {
		t.Errorf("retry: %+v", r)
	}
}

func TestSecretsInErrors(t *testing.T) {
	env := environ(map[string]string{"KEY": "sk-verysecret", "OTHER": "sk-verysecret-too"})
	for _, src := range []string{
		"target: {env: my-env, timeout: \"${KEY}\", auth: {api_key: \"${KEY}\"}}\nsteps: [{invoke: hello}]",
		"target: {env: \"${KEY}!\", auth: {api_key: \"${KEY}\"}}\nsteps: [{invoke: hello}]",
		"target: {env: my-env, method: \"${KEY}\", headers: {Authorization: \"Bearer ${KEY}\"}}\nsteps: [{invoke: hello}]",
		"target: {endpoint: \"https://a:${OTHER}@b.c\"}\nsteps: [{invoke: hello}]",
		"target: {env: my-env, auth: {api_key: sk-verysecret}}\nsteps: [{invoke: hello}]",
		"target: {env: my-env, auth: sk-verysecret}\nsteps: [{invoke: hello}]",
		"target: {env: my-env, auth: [sk-verysecret]}\nsteps: [{invoke: hello}]",
		"target: {env: my-env, auth: {api_key: {sk: sk-verysecret}}}\nsteps: [{invoke: hello}]",
		"target: {env: my-env, auth: {api_kye: sk-verysecret}}\nsteps: [{invoke: hello}]",
		"target: {env: my-env, auth: {sk-verysecret}}\nsteps: [{invoke: hello}]",
		"target: {env: my-env, auth: {sk-verysecret: api_key}}\nsteps: [{invoke: hello}]",
		"target: {endpoint: \"https://b.c/?token=sk-verysecret\"}\nsteps: [{invoke: hello}]",
	} {
		_, err := Load("test.yaml", []byte(src), Options{Env: env, NoLoad: true})
		if _, ok := errors.AsType[Errors](err); !ok {
			t.Errorf("loads, or is no Errors: %v: %s", err, src)
			continue
		}
		if strings.Contains(told(err), "verysecret") {
			t.Errorf("a secret is shown: %s", told(err))
		}
	}
	for _, set := range []string{"target.auth.api_key=sk-verysecret", "target.auth=sk-verysecret", "target.headers.Authorization=sk-verysecret", "sk"} {
		_, err := Load("test.yaml", []byte("target: {env: my-env}\nsteps: [{invoke: hello}]"), Options{Set: []string{set}, NoLoad: true})
		if err == nil || strings.Contains(told(err), "verysecret") {
			t.Errorf("--set %s: %v", set, err)
		}
	}
}
