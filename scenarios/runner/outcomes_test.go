package runner_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"volley/engine"
	"volley/engine/record"
	"volley/scenarios/runner"
)

// run fires a scenario as the command does and returns its report.
func run(t *testing.T, scenario string, change func(*runner.RunOptions)) *record.Document {
	t.Helper()
	d, err := launch(t, scenario, nil, change)
	if err != nil {
		t.Logf("it ended with: %v", err)
	}
	return d
}

// launch fires a scenario as the command does, with its environment, and returns its report and the command's error.
func launch(t *testing.T, scenario string, env map[string]string, change func(*runner.RunOptions), set ...func(*runner.Process)) (*record.Document, error) {
	t.Helper()
	file := writeScenario(t, scenario)
	dir := filepath.Dir(file)
	var told strings.Builder
	p := &runner.Process{In: strings.NewReader(""), Out: io.Discard, Err: runner.NewConsole(&told), Version: "test", Quiet: true,
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	for _, f := range set {
		f(p)
	}
	o := runner.RunOptions{Source: runner.Source{File: file}, Out: filepath.Join(dir, "run")}
	if change != nil {
		change(&o)
	}
	c, err := p.Load(o.Source)
	if err != nil {
		t.Fatal(err)
	}
	ended := p.Run(t.Context(), c, o)
	text, err := os.ReadFile(filepath.Join(dir, "run", record.ReportFile))
	if err != nil {
		t.Fatalf("%v after %v\n%s", err, ended, &told)
	}
	var d record.Document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return &d, ended
}

// writeScenario writes a scenario's file into a folder of its own.
func writeScenario(t *testing.T, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "scenario.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// Every outcome there is comes from a fault, through the whole of volley, and
// is told as what it is.
func TestEveryOutcome(t *testing.T) {
	selfSigned := httptest.NewUnstartedServer(http.NotFoundHandler())
	selfSigned.Config.ErrorLog = log.New(io.Discard, "", 0) // it minds the refused handshakes
	selfSigned.StartTLS()
	defer selfSigned.Close()

	emulated := func(function string) string {
		return fmt.Sprintf("target: {timeout: 400ms, emulator: {functions: {hello: %s}}}\nload: {workers: 2, iterations: 4}\n", function)
	}
	const once = "steps: [{invoke: hello}]"
	tests := []struct {
		name     string
		scenario string
		want     engine.Outcome
		count    int64
		detail   string // of its row among the errors; "" where that does not matter
		status   int
	}{
		{"a reply", emulated("{}") + once, engine.OK, 4, "", 200},
		{"a check that does not hold", emulated("{}") + `steps: [{invoke: hello, check: ["status == 201"]}]`, engine.CheckFailed, 4, "status == 201", 200},
		{"code that throws", emulated("{errors: {function_error: 100%}}") + once, engine.FunctionError, 4, "", 500},
		{"code that needs too much memory", emulated("{errors: {memory_limit: 100%}}") + once, engine.FunctionError, 4, "", 434},
		{"code that takes too long", emulated("{latency: 300ms, timeout: 20ms}") + once, engine.FunctionTimeout, 4, "", 433},
		{"a gateway that waited too long", emulated("{timeout: 20ms, errors: {gateway_timeout: 100%}}") + once, engine.FunctionTimeout, 4, "", 504},
		{"too many instances", emulated("{latency: 200ms, concurrency: 1}") + "steps: [{all_settled: [{invoke: hello}, {invoke: hello}, {invoke: hello}]}]", engine.Throttled, -1, "", 432},
		{"growth that is too fast", emulated("{latency: 50ms, burst: 1/m}") + "steps: [{all_settled: [{invoke: hello}, {invoke: hello}, {invoke: hello}]}]", engine.Throttled, -1, "", 429},
		{"a platform that fails", emulated("{errors: {platform_error: 100%}}") + once, engine.PlatformError, 4, "", 0},
		{"a bad gateway", emulated("{errors: {bad_gateway: 100%}}") + once, engine.PlatformError, 4, "", 502},
		{"no credentials that are accepted", strings.Replace(emulated("{}"), "emulator: {", "emulator: {tokens: [another], ", 1) + once, engine.AuthFailed, 4, "", 401},
		{"an identity that may not", emulated("{errors: {forbidden: 100%}}") + once, engine.AuthFailed, 4, "", 403},
		{"a request that the gateway does not take", emulated("{errors: {rejected: 100%}}") + once, engine.Rejected, 4, "", 400},
		{"a body that is no object", emulated("{}") + `steps: [{invoke: hello, data: "${{ [1, 2] }}"}]`, engine.Rejected, 4, "", 0},
		{"data that cannot be made", emulated("{}") + `steps: [{invoke: hello, data: {n: "${{ vars.x }}"}}]`, engine.Rejected, -1, "", 0},
		{"headers that do not come", emulated("{errors: {slow_headers: 100%}}") + once, engine.ClientTimeout, 4, "", 0},
		{"a body without an end", emulated("{errors: {endless_body: 100%}}") + once, engine.ClientTimeout, 4, "", 0},
		{"a connection that is reset", emulated("{errors: {reset: 100%}}") + once, engine.NetworkError, 4, "reset", 0},
		{"half a reply", emulated("{errors: {half_reply: 100%}}") + once, engine.NetworkError, 4, "eof", 0},
		{"a connection that is closed", emulated("{errors: {close: 100%}}") + once, engine.NetworkError, 4, "eof", 0},
		{"a port where nobody listens", "target: {endpoint: 'http://127.0.0.1:1'}\nload: {workers: 1, iterations: 4}\n" + once, engine.NetworkError, 4, "refused", 0},
		{"a name that does not resolve", "target: {endpoint: 'http://nobody.invalid', timeout: 5s}\nload: {workers: 1, iterations: 1}\n" + once, engine.NetworkError, 1, "dns", 0},
		{"a certificate that nobody knows", "target: {endpoint: '" + selfSigned.URL + "'}\nload: {workers: 1, iterations: 4}\n" + once, engine.NetworkError, 4, "tls", 0},
		{"the losers of a race", emulated("{latency: 10ms, versions: {'2': {latency: 200ms}}}") + "steps: [{race: [{invoke: hello}, {invoke: hello, qualifier: '2'}], on_loss: cancel}]", engine.Canceled, 4, "", 0},
	}
	seen := map[engine.Outcome]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen[tt.want] = true
			if strings.Contains(tt.scenario, "vars.x") {
				tt.scenario = strings.Replace(tt.scenario, "steps: [", "steps: [{invoke: hello, name: before, continue: true, check: ['false'], save: {x: body.x}}, ", 1)
			}
			d := run(t, tt.scenario, nil)
			got := d.Total.Outcomes[tt.want.String()]
			if got != tt.count && (tt.count >= 0 || got == 0) {
				t.Errorf("%d %s of %v, want %d; errors %+v", got, tt.want, d.Total.Outcomes, tt.count, d.Errors)
			}
			if tt.status != 0 && d.Total.Statuses[fmt.Sprint(tt.status)] == 0 {
				t.Errorf("no status %d, but %v", tt.status, d.Total.Statuses)
			}
			if tt.detail == "" {
				return
			}
			for _, e := range d.Errors {
				if e.Outcome == tt.want.String() && e.Detail == tt.detail {
					return
				}
			}
			t.Errorf("no error has the detail %q: %+v", tt.detail, d.Errors)
		})
	}
	t.Run("what was due while all were busy", func(t *testing.T) {
		seen[engine.Dropped] = true
		d := run(t, "target: {emulator: {functions: {hello: {latency: 300ms}}}}\nload: {rate: 50/s, for: 1s, max_in_flight: 2}\n"+once, nil)
		if d.Load.Dropped < 30 || d.Load.Due != 50 || d.Load.Sent+d.Load.Dropped != d.Load.Due || d.Total.Count != d.Load.Sent {
			t.Errorf("%+v, %d results", d.Load, d.Total.Count)
		}
	})
	for o := range engine.Outcome(engine.NumOutcomes) {
		if !seen[o] {
			t.Errorf("nothing in this table brings about %s", o)
		}
	}
}

// With one seed two runs fire the same, by one worker and by fifty.
func TestSameSeedSamePayloads(t *testing.T) {
	var mu sync.Mutex
	payloads := func(workers int, seed int) map[string]int {
		got := map[string]int{}
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			got[string(b)]++
		}))
		defer s.Close()
		run(t, fmt.Sprintf(`seed: %d
target: {endpoint: "%s"}
load: {workers: %d, iterations: 200}
steps: [{invoke: hello, data: {i: "${{ iteration }}", u: "${{ uuid() }}", n: "${{ randInt(1, 1000000) }}", p: "${{ pick(['a', 'b', 'c']) }}"}}]`, seed, s.URL, workers), nil)
		return got
	}
	one, fifty, other := payloads(1, 7), payloads(50, 7), payloads(50, 8)
	if len(one) != 200 {
		t.Fatalf("%d different payloads, want 200", len(one))
	}
	same := 0
	for p := range one {
		if fifty[p] != 1 {
			t.Errorf("%s was sent by one worker, and by fifty %d times", p, fifty[p])
		}
		same += other[p]
	}
	if same > 0 {
		t.Errorf("%d payloads are the same with another seed", same)
	}
}

// A data file has its fingerprint in run.json, however it is named.
func TestFingerprints(t *testing.T) {
	rows := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(rows, []byte("{\"a\":1}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var dir string
	run(t, "target: {emulator: {functions: {hello: {}}}}\ndata: {file: "+rows+", order: once}\nload: {workers: 1}\nsteps: [{invoke: hello}]\n",
		func(o *runner.RunOptions) { dir = o.Out })
	f, err := record.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Info.Fingerprints; len(got) != 2 || got[1].File != "rows.jsonl" || got[1].Bytes != 8 || len(got[1].SHA256) != 64 {
		t.Errorf("fingerprints are %+v", got)
	}
}
