package scenarios

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"volley/engine"
)

const small = emulated + `
load: {rate: 10/s, for: 5s}
steps:
  - invoke: hello
    data: {a: 1}
  - all: [{invoke: hello}, {invoke: world}]
`

func TestSet(t *testing.T) {
	tests := []struct {
		name string
		set  []string
		ok   func(*Compiled) bool
	}{
		{"a value", []string{"load.rate=200/s"}, func(c *Compiled) bool { return c.Plan.Load.Level.Peak() == 200 }},
		{"the last one wins", []string{"load.rate=200/s", "load.rate=300/s"}, func(c *Compiled) bool { return c.Plan.Load.Level.Peak() == 300 }},
		{"an index in brackets", []string{"steps[0].invoke=world"}, func(c *Compiled) bool { return c.Plan.Steps[0].Invoke.Function == "world" }},
		{"an index after a dot", []string{"steps.1.all.0.invoke=world"}, func(c *Compiled) bool { return c.Plan.Steps[1].Group.Members[0].Invoke.Function == "world" }},
		{"what is not there yet", []string{"target.headers.X-A=b c", "steps[0].retry.attempts=4"}, func(c *Compiled) bool {
			return c.Plan.Steps[0].Invoke.Retry.Attempts == 4 && c.Scenario.Target.Headers[0].Value == "b c"
		}},
		{"a mapping", []string{`steps[0].data={b: [1, "x"]}`}, func(c *Compiled) bool {
			b, _ := c.Plan.Steps[0].Invoke.Data(&engine.Scope{})
			return string(b) == `{"b":[1,"x"]}`
		}},
		{"an item more", []string{"steps[2].invoke=world"}, func(c *Compiled) bool { return len(c.Plan.Steps) == 3 }},
		{"a new list", []string{"thresholds[0]=p99 < 300ms"}, func(c *Compiled) bool { return len(c.Thresholds) == 1 }},
		{"null deletes", []string{"load.rate=null", "load.workers=3"}, func(c *Compiled) bool { return c.Plan.Load.Crowd.Peak() == 3 }},
		{"text with colons and signs needs no quotes", []string{"steps[0].when=iteration > 0 && \"a: b #c\" != \"\""}, func(c *Compiled) bool { return c.Plan.Steps[0].When != nil }},
		{"quotes make a text of a number", []string{`target.qualifier="$LATEST"`}, func(c *Compiled) bool { return c.Plan.Steps[0].Invoke.Target.Qualifier == "$LATEST" }},
		{"a value may have a =", []string{"steps[0].check=[status == 200]"}, func(c *Compiled) bool { return len(c.Plan.Steps[0].Invoke.Checks) == 1 }},
		{"variables are filled in", []string{"load.rate=${R}"}, func(c *Compiled) bool { return c.Plan.Load.Level.Peak() == 7 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustLoad(t, small, Options{Set: tt.set, Env: environ(map[string]string{"R": "7/s"})})
			if !tt.ok(c) {
				t.Errorf("--set %q had no effect:\n%s", tt.set, c.Resolved())
			}
		})
	}
}

func TestSetMistakes(t *testing.T) {
	tests := []struct{ name, set, problem, hint string }{
		{"an unknown key", "load.rat=5/s", `--set load.rat: load.rat: "rat" is not a key of load`, "did you mean rate?"},
		{"a wrong value", "load.rate=5/sec", `--set load.rate: load.rate: "5/sec" is not a rate`, "write 5/s"},
		{"no value", "load.rate", `--set: "load.rate" is not path=value`, "--set path.to.key=value"},
		{"an index too far", "steps[7].invoke=a", `--set steps[7].invoke: "steps[7].invoke": the list has 2 items`, "from 0 to 2"},
		{"an index into a mapping", "load[0]=a", `"load[0]" leads into a mapping`, "check the path"},
		{"a key of a text", "load.rate.x=1", `"load.rate.x" leads into "10/s"`, "check the path"},
		{"an empty key", "load..rate=1", `is not a path`, "write a path"},
		{"broken YAML", "steps[0].data={a: ", `--set steps[0].data: not YAML`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load("test.yaml", []byte(small), Options{Set: []string{tt.set}})
			var list Errors
			if !errors.As(err, &list) {
				t.Fatalf("loads, or is no Errors: %v", err)
			}
			if !strings.Contains(list[0].Error(), tt.problem) || !strings.Contains(list[0].Hint(), tt.hint) {
				t.Errorf("got  %s\nhint %s\nwant %s\nhint %s", list[0], list[0].Hint(), tt.problem, tt.hint)
			}
			if strings.Contains(list[0].Error(), "test.yaml") {
				t.Errorf("the file is named, and the mistake is a flag's: %v", list[0])
			}
		})
	}
}

func TestFromFlags(t *testing.T) {
	body := `{"z": 1, "a": "${{ iteration }}"}`
	o := Options{
		Env: environ(map[string]string{"KEY": "sk-verysecret"}),
		Set: []string{"target.auth.api_key=${KEY}"},
		Flags: Flags{
			Function: "hello", Rate: "50/s", For: "30s", Env: "my-env", Timeout: "3s", Qualifier: "3", Seed: "9", Body: &body,
			Headers: []string{"X-A: b"}, Thresholds: []string{"p99 < 300ms", "hello.failed < 1%"}, Checks: []string{"status == 200"}, MaxInFlight: "70",
		},
	}
	c, err := FromFlags(o)
	if err != nil {
		t.Fatal(told(err))
	}
	in := c.Plan.Steps[0].Invoke
	b, _ := in.Data(&engine.Scope{Iteration: 6})
	switch {
	case c.Plan.Name != "hello" || c.Plan.Seed != 9 || c.Plan.Load.Level.Peak() != 50 || c.Plan.Load.MaxInFlight != 70:
		t.Errorf("plan: %+v", c.Plan)
	case in.Target.Timeout != 3*time.Second || in.Target.Qualifier != "3" || in.Target.Env != "my-env":
		t.Errorf("target: %+v", in.Target)
	case string(b) != `{"z":1,"a":6}`:
		t.Errorf("body: %s", b)
	case len(c.Thresholds) != 2 || len(in.Checks) != 1 || len(in.Header) != 1:
		t.Errorf("%d thresholds, %d checks, %d headers", len(c.Thresholds), len(in.Checks), len(in.Header))
	}
	if strings.Contains(string(c.Source), "verysecret") {
		t.Errorf("the source shows a secret:\n%s", c.Source)
	}
	again, err := Load("again.yaml", c.Source, Options{Env: o.Env})
	if err != nil {
		t.Fatalf("the source of flags does not load: %s\n%s", told(err), c.Source)
	}
	if !slices.Equal(due(again.Plan), due(c.Plan)) || string(again.Resolved()) != string(c.Resolved()) {
		t.Errorf("the source of flags is another scenario:\n%s\n%s", c.Source, again.Resolved())
	}
}

func TestFlagsOverFile(t *testing.T) {
	c := mustLoad(t, emulated+"load:\n  stages: [{to: 10/s, for: 5s}]\nsteps: [{invoke: hello}]", Options{Flags: Flags{Rate: "5/s", For: "2s"}})
	if got := len(due(c.Plan)); got != 10 {
		t.Errorf("--rate over stages: %d arrivals", got)
	}
	c = mustLoad(t, emulated+"load:\n  stages: [{to: 10, for: 5s}]\nsteps: [{invoke: hello}]", Options{Flags: Flags{Rate: "5/s", For: "2s", MaxInFlight: "3"}})
	if c.Plan.Load.Crowd != nil || c.Plan.Load.Level.Peak() != 5 || c.Plan.Load.MaxInFlight != 3 {
		t.Errorf("--rate over stages of workers: %+v", c.Plan.Load)
	}
	c = mustLoad(t, emulated+"load: {rate: 5/s, for: 2s, arrivals: poisson, max_in_flight: 3}\nsteps: [{invoke: hello}]", Options{Flags: Flags{Workers: "4"}})
	if c.Plan.Load.Crowd.Peak() != 4 || c.Plan.Load.Arrivals != nil {
		t.Errorf("--workers over a rate: %+v", c.Plan.Load)
	}
	c = mustLoad(t, emulated+"steps: [{invoke: hello}]", Options{NoLoad: true, Flags: Flags{Endpoint: "https://example.com"}})
	if c.Emulator != nil || c.Plan.Steps[0].Invoke.Target.Endpoint != "https://example.com" {
		t.Error("--endpoint leaves the emulator in place")
	}
	c = mustLoad(t, emulated+"steps: [{invoke: hello}]", Options{NoLoad: true, Flags: Flags{Env: "my-env"},
		Set: []string{"target.auth.api_key=${KEY}"}, Env: environ(map[string]string{"KEY": "sk"})})
	if c.Emulator != nil || c.Plan.Steps[0].Invoke.Target.Env != "my-env" {
		t.Error("--env leaves the emulator in place")
	}
	c = mustLoad(t, "target: {headers: {X-Trace: a}, emulator: {functions: {hello: {}}}}\nsteps: [{invoke: hello}]", Options{NoLoad: true, Flags: Flags{Headers: []string{"x-trace: b"}}})
	if h := c.Scenario.Target.Headers; len(h) != 1 || h[0].Value != "b" {
		t.Errorf("-H beside a header of that name: %v", h)
	}
	body := "{}"
	for name, tt := range map[string]struct {
		flags Flags
		want  string
	}{
		"-d over two invocations":       {Flags{Body: &body}, "-d: the scenario has 3 invocations"},
		"--rate that is none":           {Flags{Rate: "5"}, `--rate: load.rate: "5" is not a rate`},
		"--workers that are none":       {Flags{Workers: "x"}, `--workers: load.workers: "x" is not a whole number`},
		"--timeout that is none":        {Flags{Timeout: "5"}, `--timeout: target.timeout: "5" has no unit`},
		"--method that is none":         {Flags{Method: "http"}, `--method: target.method: "http" is not one of`},
		"--threshold that is none":      {Flags{Thresholds: []string{"helo.p99 < 3ms"}}, `--threshold: thresholds[0]:`},
		"--check that is none":          {Flags{Checks: []string{"status =="}}, `--check: steps[0].check[0]: "status ==": the expression ends too early`},
		"-H without a colon":            {Flags{Headers: []string{"Authorization sk-verysecret"}}, `-H: the header has no colon`},
		"-H with a literal secret":      {Flags{Headers: []string{"Authorization: sk-verysecret"}}, `-H: target.headers.Authorization: a secret must not stand`},
		"--function of the emulator's":  {Flags{Function: "hallo"}, `--function: steps[0].invoke: the emulator has no function "hallo"`},
		"--iterations beyond all count": {Flags{Iterations: "99999999999999999999"}, `--iterations: load.iterations:`},
	} {
		_, err := Load("test.yaml", []byte(small), Options{Flags: tt.flags})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "verysecret") {
			t.Errorf("%s: %v\nwant %s", name, err, tt.want)
		}
	}
}

// Mistakes on the command line have no place in a file to be sorted by.
func TestMistakesOfFlagsKeepTheirOrder(t *testing.T) {
	src := []byte(emulated + "load: {workers: 5, for: 1s}\nsteps: [{invoke: hello}]")
	o := Options{Set: []string{"load.when_busy=wait", "load.arrivals=even", "load.max_in_flight=3"}}
	_, err := Load("x.yaml", src, o)
	first := told(err)
	if strings.Count(first, "has no meaning") != 3 {
		t.Fatalf("mistakes: %s", first)
	}
	for range 50 {
		if _, err := Load("x.yaml", src, o); told(err) != first {
			t.Fatalf("told once:\n%sand again:\n%s", first, told(err))
		}
	}
}
