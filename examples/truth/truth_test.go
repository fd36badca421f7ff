//go:build truth

// Package truth holds what volley reports against what an emulator in another
// process wrote down: counts, times, arrivals, memory. It needs a quiet
// machine and some minutes: make test-truth.
package truth

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var volley string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "volley")
	if err != nil {
		panic(err)
	}
	volley = filepath.Join(dir, "volley")
	build := exec.Command("go", "build", "-o", volley, "volley")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// An emulator is `volley emulate` in a process of its own.
type emulator struct {
	t     *testing.T
	cmd   *exec.Cmd
	url   string
	truth string
}

func emulate(t *testing.T, scenario string) *emulator {
	t.Helper()
	e := &emulator{t: t, truth: filepath.Join(t.TempDir(), "truth.jsonl")}
	e.cmd = exec.Command(volley, "emulate", "--listen", "127.0.0.1:0", "--truth", e.truth, file(t, "emulator.yaml", scenario))
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	e.cmd.Stderr = os.Stderr
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.cmd.Process.Kill(); _ = e.cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the emulator said %q: %v", line, err)
	}
	if e.url = regexp.MustCompile(`http://\S+`).FindString(line); e.url == "" {
		t.Fatalf("the emulator said %q, and no address", line)
	}
	return e
}

// A request is one line of the emulator's truth, on the wall clock.
type request struct {
	Function  string
	Arrival   int64 `json:"arrival_ns"`
	Service   int64 `json:"service_ns"`
	Status    int
	Outcome   string
	RequestID string `json:"request_id"`
}

// end stops the emulator and calls each for every request that it saw. Arrival
// is then in nanoseconds since since.
func (e *emulator) end(since time.Time, each func(request)) {
	e.t.Helper()
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		e.t.Fatal(err)
	}
	if err := e.cmd.Wait(); err != nil {
		e.t.Fatalf("the emulator ended with %v", err)
	}
	f, err := os.Open(e.truth)
	if err != nil {
		e.t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	var head struct {
		Schema string
		Start  time.Time
	}
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &head) != nil || head.Schema == "" {
		e.t.Fatalf("the truth begins with %q", lines.Text())
	}
	shift := int64(head.Start.Sub(since))
	for lines.Scan() {
		if bytes.HasPrefix(lines.Bytes(), []byte(`{"lost"`)) {
			e.t.Fatalf("the truth is not whole: %s", lines.Text())
		}
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			e.t.Fatalf("%s: %v", lines.Text(), err)
		}
		r.Arrival += shift
		each(r)
	}
	if lines.Err() != nil {
		e.t.Fatal(lines.Err())
	}
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

type distribution struct {
	Count int64
	P50   int64 `json:"p50_us"`
	P90   int64 `json:"p90_us"`
	P99   int64 `json:"p99_us"`
	Max   int64 `json:"max_us"`
}

func (d distribution) String() string {
	return fmt.Sprintf("n=%d p50=%d p90=%d p99=%d max=%d µs", d.Count, d.P50, d.P90, d.P99, d.Max)
}

type report struct {
	ExitCode int `json:"exit_code"`
	Started  time.Time
	Validity struct {
		Verdict string
		Reasons []string
	}
	Load struct {
		Due, Sent, Dropped, Unfinished int64
		Burst                          float64
		Lateness                       distribution
	}
	Total struct {
		Count             int64
		Outcomes          map[string]int64
		Statuses          map[string]int64
		Response, Service struct{ All, OK distribution }
	}
	Thresholds []struct {
		Source string
		OK     bool
	}
}

// run fires a scenario and returns what volley reported, and its peak memory
// in bytes.
func run(t *testing.T, scenario string, watch func(pid int), flags ...string) (report, int64) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	cmd := exec.Command(volley, append([]string{"run", "-e", "TOKEN=any", "--out", dir, file(t, "scenario.yaml", scenario)}, flags...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var watching sync.WaitGroup
	if watch != nil {
		watching.Go(func() { watch(cmd.Process.Pid) })
	}
	err := cmd.Wait()
	watching.Wait()
	var r report
	text, readErr := os.ReadFile(filepath.Join(dir, "report.json"))
	if readErr != nil {
		t.Fatalf("%v: %v\n%s", readErr, err, &out)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != r.ExitCode {
		t.Errorf("the exit code is %d, the report says %d", got, r.ExitCode)
	}
	t.Logf("%s\nexit code %d, peak memory %d KiB", out.String(), cmd.ProcessState.ExitCode(), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	return r, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}

// tell describes times in nanoseconds as the report does.
func tell(ns []int64) distribution {
	slices.Sort(ns)
	if len(ns) == 0 {
		return distribution{}
	}
	at := func(q float64) int64 {
		return ns[min(len(ns)-1, max(0, int(math.Ceil(q*float64(len(ns))))-1))] / 1000
	}
	return distribution{int64(len(ns)), at(0.5), at(0.9), at(0.99), ns[len(ns)-1] / 1000}
}

const load = `
name: truth
seed: 1
target: {endpoint: "%s", auth: {access_token: "${TOKEN}"}}
load: %s
steps: [{invoke: hello, data: {n: "${{ iteration }}"}}]
`

// A comparison collects what does not agree. Machines are shared: where times
// disagree, the comparison is made again, a few times; where counts do, never.
type comparison struct {
	*testing.T
	wrong []string
}

const tries = 4

func compare(t *testing.T, once func(c *comparison)) {
	t.Helper()
	for n := 1; ; n++ {
		c := &comparison{T: t}
		once(c)
		if len(c.wrong) == 0 || t.Failed() {
			return
		}
		for _, w := range c.wrong {
			if n == tries {
				t.Error(w)
			} else {
				t.Logf("try %d of %d: %s", n, tries, w)
			}
		}
		if n == tries {
			return
		}
	}
}

func repeated(once func(c *comparison)) func(*testing.T) {
	return func(t *testing.T) { compare(t, once) }
}

func (c *comparison) wrongf(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// within holds a time in µs to the truth: at most a share of it in per cent,
// or slack, away.
func (c *comparison) within(what string, got, want, share, slack int64) {
	if d := got - want; max(d, -d) > max(want*share/100, slack) {
		c.wrongf("%s is %d µs, the truth is %d µs: more than %d %% and %d µs apart", what, got, want, share, slack)
	}
}

func same(t *testing.T, what string, got, want int64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want exactly %d", what, got, want)
	}
}

// Constant 20 ms at 200/s for 20 s: nothing lost, nothing twice, and service
// times are the emulator's plus the way there and back.
func TestConstant(t *testing.T) { compare(t, constant) }

func constant(t *comparison) {
	// The way there and back, measured: how much longer a call of a function
	// that answers at once takes here than the emulator itself says.
	way := wayCost(t.T)
	e := emulate(t.T, `target: {emulator: {functions: {hello: {latency: 20ms}}}}`)
	r, _ := run(t.T, fmt.Sprintf(load, e.url, "{rate: 200/s, for: 20s}"), nil)
	var service []int64
	ids := map[string]int{}
	e.end(r.Started, func(q request) { service = append(service, q.Service); ids[q.RequestID]++ })
	truth := tell(service)
	t.Logf("reported %v", r.Total.Service.All)
	t.Logf("emulator %v, and the way costs %v", truth, way)
	same(t.T, "due", r.Load.Due, 4000)
	same(t.T, "reported against the emulator's count", r.Total.Count, truth.Count)
	same(t.T, "reported", r.Total.Count, 4000)
	same(t.T, "ok", r.Total.Outcomes["ok"], 4000)
	t.within("service p50", r.Total.Service.All.P50, truth.P50+way.P50, 0, 1000)
	t.within("service p99", r.Total.Service.All.P99, truth.P99+way.P99, 0, 1000)
	if r.Validity.Verdict != "valid" {
		t.Logf("the verdict is %s: %v", r.Validity.Verdict, r.Validity.Reasons)
	}
}

// wayCost is the service time reported minus the emulator's own, at a rate
// and with an answer that leave the machine idle.
func wayCost(t *testing.T) distribution {
	e := emulate(t, `target: {emulator: {functions: {hello: {}}}}`)
	r, _ := run(t, fmt.Sprintf(load, e.url, "{rate: 200/s, for: 5s}"), nil)
	var service []int64
	e.end(r.Started, func(q request) { service = append(service, q.Service) })
	truth := tell(service)
	return distribution{P50: r.Total.Service.All.P50 - truth.P50, P99: r.Total.Service.All.P99 - truth.P99}
}

// A stall of 1 s in every 5 at 500/s: what users feel follows from the due
// times and the emulator's record, whether requests wait there or here.
func TestStall(t *testing.T) {
	tests := []struct {
		name, load string
		differ     bool // most of the wait is on our side, so service hides it
	}{
		{"all on the wire", "{rate: 500/s, for: 30s}", false},
		{"held back here", "{rate: 500/s, for: 30s, max_in_flight: 50, when_busy: wait}", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, repeated(func(t *comparison) {
			e := emulate(t.T, `target: {emulator: {functions: {hello: {latency: 1ms, stall: {every: 5s, for: 1s}}}}}`)
			r, _ := run(t.T, fmt.Sprintf(load, e.url, tt.load), nil)
			var requests []request
			e.end(r.Started, func(q request) { requests = append(requests, q) })
			slices.SortFunc(requests, func(a, b request) int { return int(a.Arrival - b.Arrival) })
			same(t.T, "arrivals", int64(len(requests)), 500*30)
			same(t.T, "due", r.Load.Due, 500*30)
			same(t.T, "reported", r.Total.Count, 500*30)
			var response []int64
			for k, q := range requests {
				due := int64(k) * int64(time.Second) / 500
				response = append(response, q.Arrival+q.Service-due)
			}
			truth, got := tell(response), r.Total.Response.All
			t.Logf("reported response %v", got)
			t.Logf("truth             %v", truth)
			t.Logf("reported service  %v", r.Total.Service.All)
			t.within("response p50", got.P50, truth.P50, 2, 2000)
			t.within("response p90", got.P90, truth.P90, 2, 2000)
			t.within("response p99", got.P99, truth.P99, 2, 2000)
			t.within("response max", got.Max, truth.Max, 2, 2000)
			if gap := got.P90 - r.Total.Service.All.P90; (gap > 100_000) != tt.differ {
				t.wrongf("response and service are %d µs apart at p90", gap)
			}
		}))
	}
}

// At a high rate the arrivals in the emulator's log are as many as asked, as
// evenly as asked, and as late as reported.
func TestArrivals(t *testing.T) {
	for _, rate := range []int64{1000, 4000} {
		t.Run(strconv.FormatInt(rate, 10), repeated(func(t *comparison) {
			e := emulate(t.T, `target: {emulator: {functions: {hello: {latency: 1ms}}}}`)
			r, _ := run(t.T, fmt.Sprintf(load, e.url, fmt.Sprintf("{rate: %d/s, for: 20s}", rate)), nil)
			var arrivals []int64
			e.end(r.Started, func(q request) { arrivals = append(arrivals, q.Arrival) })
			slices.Sort(arrivals)
			asked := rate * 20
			if n := int64(len(arrivals)); max(n-asked, asked-n)*1000 > asked {
				t.Errorf("%d arrivals of %d asked: more than 0.1 %% apart", n, asked)
			}
			busiest := 0
			for i, j := 0, 0; i < len(arrivals); i++ { // windows that start with an arrival
				for j < len(arrivals) && arrivals[j] < arrivals[i]+int64(100*time.Millisecond) {
					j++
				}
				busiest = max(busiest, j-i)
			}
			if ratio := float64(busiest) / (float64(rate) / 10); ratio > 1.5 {
				t.wrongf("the busiest 100 ms have %d arrivals, %.2f times the rate", busiest, ratio)
			}
			var late []int64
			for k, a := range arrivals {
				late = append(late, a-int64(k)*int64(time.Second)/rate)
			}
			truth := tell(late)
			t.Logf("reported lateness %v; burst %.2f", r.Load.Lateness, r.Load.Burst)
			t.Logf("by the log        %v; busiest 100 ms: %.2f of the rate", truth, float64(busiest)/(float64(rate)/10))
			// The log's times have the way to the emulator in them: the request
			// is written, sent, read and parsed before it has arrived.
			t.within("lateness p50", r.Load.Lateness.P50, truth.P50, 0, 500)
			t.within("lateness p99", r.Load.Lateness.P99, truth.P99, 25, 1500)
		}))
	}
}

// Two million invocations in one run: the memory has a limit, and reaches it
// early.
func TestMemory(t *testing.T) {
	const invocations = 2_000_000
	e := emulate(t, `target: {emulator: {functions: {hello: {}}}}`)
	var early, late int64
	var total int64
	start := time.Now()
	watch := func(pid int) {
		// An idle watcher: how much is resident, once a second, until it ends.
		for {
			rss, ok := resident(pid)
			if !ok {
				return
			}
			if done := requestsSoFar(e.truth); done <= invocations/10 {
				early = max(early, rss)
			} else {
				late = max(late, rss)
			}
			time.Sleep(500 * time.Millisecond)
		}
	}
	r, peak := run(t, fmt.Sprintf(load, e.url, fmt.Sprintf("{workers: 32, iterations: %d}", invocations)), watch)
	e.end(r.Started, func(request) { total++ })
	t.Logf("%d invocations in %v: peak %d MB; resident at most %d MB in the first tenth, %d MB after", r.Total.Count, time.Since(start).Round(time.Second), peak>>20, early>>20, late>>20)
	same(t, "reported", r.Total.Count, invocations)
	same(t, "reported against the emulator's count", r.Total.Count, total)
	if peak > 120<<20 {
		t.Errorf("peak memory is %d MB, more than 120", peak>>20)
	}
	if early == 0 || late > early+8<<20 {
		t.Errorf("memory grew from %d MB to %d MB", early>>20, late>>20)
	}
}

// requestsSoFar estimates the lines of a file by its size.
func requestsSoFar(truth string) int64 {
	f, err := os.Stat(truth)
	if err != nil {
		return 0
	}
	return f.Size() / 150
}

func resident(pid int) (bytes int64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		if kb, found := strings.CutPrefix(line, "VmRSS:"); found {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 10, 64)
			return n << 10, err == nil
		}
	}
	return 0, false // it has ended
}

// With too little of what it needs, a run says so, and no threshold passes.
func TestVerdict(t *testing.T) {
	scenario := func(url, load string) string {
		return fmt.Sprintf(`
name: verdict
target: {endpoint: "%s", auth: {access_token: "${TOKEN}"}}
load: %s
steps: [{invoke: hello}]
thresholds: ["failed < 50%%"]
`, url, load)
	}
	tests := []struct {
		name, load, verdict, reason string
		exit                        int
		busy                        int    // busy loops beside it
		function                    string // "" takes about 20 ms
	}{
		{"all is well", "{rate: 100/s, for: 5s}", "valid", "", 0, 0, ""},
		{"max_in_flight far too low", "{rate: 100/s, for: 5s, max_in_flight: 1}", "invalid", "max_in_flight", 111, 0, ""},
		// Ten are under way after half of a stall: for a twentieth of the time.
		{"max_in_flight a little low", "{rate: 100/s, for: 10s, max_in_flight: 10, when_busy: wait}", "degraded", "max_in_flight", 0, 0,
			"{latency: 1ms, stall: {every: 2s, for: 200ms}}"},
		{"four busy loops on each core", "{rate: 9000/s, for: 10s}", "invalid", "other programs", 111, 4 * runtime.NumCPU(), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, repeated(func(t *comparison) {
			e := emulate(t.T, fmt.Sprintf(`target: {emulator: {functions: {hello: %s}}}`, cmp.Or(tt.function, "{latency: {p50: 20ms, p99: 32ms}}")))
			for range tt.busy {
				loop := exec.Command("sh", "-c", "while :; do :; done")
				if err := loop.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() { _ = loop.Process.Kill(); _ = loop.Wait() }()
			}
			r, _ := run(t.T, scenario(e.url, tt.load), nil)
			reasons := strings.Join(r.Validity.Reasons, "\n")
			if r.Validity.Verdict != tt.verdict || r.ExitCode != tt.exit || !strings.Contains(reasons, tt.reason) {
				t.wrongf("%s with exit code %d, want %s with %d for %q; reasons:\n%s", r.Validity.Verdict, r.ExitCode, tt.verdict, tt.exit, tt.reason, reasons)
			}
			for _, th := range r.Thresholds {
				if th.OK != (r.Validity.Verdict != "invalid") {
					t.Errorf("threshold %s: ok=%v on a run that is %s", th.Source, th.OK, r.Validity.Verdict)
				}
			}
		}))
	}
}
