package live

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A run is made up of time: everything follows from how long it has lasted.
type run struct {
	began              time.Time
	warmup, load, tail time.Duration
	rows               int64         // 0: the load is over after its time
	stoppedAt          time.Duration // 0: never
}

func (r run) snapshot() Snapshot {
	at := time.Since(r.began)
	s := Snapshot{Rate: 600, InFlight: 12, P99: 88120 * time.Microsecond}
	if at < r.warmup {
		s.Phase, s.Elapsed, s.Total = WarmingUp, at, r.warmup
		s.Results, s.Done = int64(at/time.Millisecond), int64(at/(5*time.Millisecond))
		return s
	}
	at -= r.warmup
	s.Elapsed, s.Total = at, r.load
	sent := at
	if r.load > 0 {
		sent = min(at, r.load)
	}
	s.Done, s.Results = int64(sent/(5*time.Millisecond)), int64(sent/time.Millisecond)
	s.Failed = s.Results / 1000
	if r.rows > 0 {
		s.Total, s.All, s.What = 0, r.rows, "rows"
	}
	if r.stoppedAt > 0 && at >= r.stoppedAt {
		s.Stopped = true
	}
	if r.load > 0 && at >= r.load || s.Stopped {
		s.Phase, s.InFlight = Finishing, 3
	}
	return s
}

// show runs progress over a made-up run and returns what was written.
func show(t *testing.T, o Options, r run) string {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		o.Out = &out
		r.began = time.Now()
		p := Start(o, r.snapshot)
		end := r.warmup + r.load + r.tail
		if r.stoppedAt > 0 {
			end = r.warmup + r.stoppedAt + r.tail
		}
		time.Sleep(end + 50*time.Millisecond) // between two frames
		p.Stop()
		p.Stop() // again is nothing
	})
	return out.String()
}

// golden compares text with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

func TestLines(t *testing.T) {
	tests := []struct {
		name string
		o    Options
		run  run
	}{
		{"a-line-every-10s", Options{}, run{warmup: 10 * time.Second, load: 25 * time.Second, tail: 6 * time.Second}},
		{"rows", Options{Every: 2 * time.Second}, run{load: 5 * time.Second, rows: 1000}},
		{"stopped", Options{Every: 2 * time.Second}, run{load: 60 * time.Second, stoppedAt: 5 * time.Second, tail: 2 * time.Second}},
		{"nothing-for-a-short-run", Options{}, run{load: 5 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := show(t, tt.o, tt.run)
			golden(t, tt.name+".txt", got)
			if strings.Contains(got, "\x1b") || strings.Contains(got, "\r") {
				t.Error("a plain line moves the cursor")
			}
			for l := range strings.Lines(got) {
				if n := utf8.RuneCountInString(l) - 1; n > 100 {
					t.Errorf("%d columns: %s", n, l)
				}
			}
		})
	}
}

// frames splits what a bar wrote into its lines, and holds that each of them
// takes back the one before.
func frames(t *testing.T, out string) []string {
	t.Helper()
	const back = "\x1b[1A\x1b[J" // up a line, and clear from there
	list := strings.Split(out, back)
	for _, f := range list {
		if strings.Count(f, "\n") != 1 || !strings.HasSuffix(f, "\n") {
			t.Fatalf("a frame of other than one line: %q", f)
		}
	}
	return list
}

func TestBar(t *testing.T) {
	tests := []struct {
		name string
		o    Options
		run  run
	}{
		{"bar-80", Options{}, run{warmup: 2 * time.Second, load: 4 * time.Second, tail: time.Second}},
		{"bar-60", Options{Width: 60}, run{load: 2 * time.Second}},
		{"bar-40", Options{Width: 40}, run{load: 2 * time.Second}},
		{"bar-20", Options{Width: 20}, run{load: 2 * time.Second}},
		{"bar-200", Options{Width: 200}, run{load: 2 * time.Second}},
		{"bar-rows", Options{}, run{load: 2 * time.Second, rows: 400}},
		{"bar-stopped", Options{}, run{load: 8 * time.Second, stoppedAt: 2 * time.Second, tail: 2 * time.Second}},
		{"bar-colour", Options{Colour: true}, run{load: 2 * time.Second}},
		{"bar-no-end", Options{}, run{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Bars = true
			width := tt.o.Width
			if width == 0 {
				width = 80
			}
			if tt.name == "bar-no-end" {
				tt.run.tail = 2 * time.Second
			}
			list := frames(t, show(t, tt.o, tt.run))
			escapes := regexp.MustCompile("\x1b\\[[0-9]*m")
			for _, f := range list {
				plain := escapes.ReplaceAllString(f, "")
				if n := utf8.RuneCountInString(plain) - 1; n > width {
					t.Errorf("%d columns of %d: %q", n, width, plain)
				}
				if strings.Contains(plain, "\x1b") || !tt.o.Colour && plain != f {
					t.Errorf("colour or other escapes in %q", f)
				}
			}
			// How often the last frame is drawn again is mpb's affair.
			golden(t, tt.name+".txt", strings.Join(slices.Compact(list), ""))
		})
	}
}

// TestBarRate holds that the bar is drawn five times a second, and no more.
func TestBarRate(t *testing.T) {
	list := frames(t, show(t, Options{Bars: true}, run{load: 10 * time.Second}))
	if n := len(list); n < 49 || n > 54 {
		t.Errorf("%d frames in 10 s, want about 50", n)
	}
}

// TestWrite holds that what is said meanwhile stands above the bar, and after
// the end below it.
func TestWrite(t *testing.T) {
	for _, bars := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			p := Start(Options{Out: &out, Bars: bars, Every: time.Second}, run{began: time.Now(), load: 3 * time.Second}.snapshot)
			time.Sleep(1500 * time.Millisecond)
			for _, text := range []string{"first\n", "second\n"} {
				if n, err := p.Write([]byte(text)); n != len(text) || err != nil {
					t.Errorf("Write = %d, %v", n, err)
				}
			}
			time.Sleep(1500 * time.Millisecond)
			p.Stop()
			if _, err := p.Write([]byte("third\n")); err != nil {
				t.Error(err)
			}
			got := out.String()
			first, second, done := strings.Index(got, "first\n"), strings.Index(got, "second\n"), strings.Index(got, "done")
			if first < 0 || second < first || done < second || !strings.HasSuffix(got, "third\n") {
				t.Errorf("bars %v: written %q", bars, got)
			}
			if bars && !strings.Contains(got, "\x1b[1A\x1b[J\rfirst\n\rsecond\nrunning") {
				t.Errorf("the lines are not where the bar was, from the first column, with the bar below: %q", got)
			}
		})
	}
}

// A stuck writer takes nothing until it is freed.
type stuck struct {
	mu   sync.Mutex
	free bool
	cond *sync.Cond
	got  int
}

func (w *stuck) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.free {
		w.cond.Wait()
	}
	w.got += len(p)
	return len(p), nil
}

// TestStuckTerminal holds that nobody but progress itself waits for a
// terminal that takes nothing, and that it catches up at once when it does.
func TestStuckTerminal(t *testing.T) {
	for _, bars := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := &stuck{}
			w.cond = sync.NewCond(&w.mu)
			var asked atomic.Int64
			began := time.Now()
			p := Start(Options{Out: w, Bars: bars, Every: time.Second}, func() Snapshot {
				asked.Add(1)
				return run{began: began, load: time.Minute}.snapshot()
			})
			time.Sleep(time.Minute)
			if n := asked.Load(); n == 0 || n > 3 {
				t.Errorf("bars %v: asked %d times while nothing could be written", bars, n)
			}
			w.mu.Lock()
			w.free = true
			w.cond.Broadcast()
			w.mu.Unlock()
			p.Stop()
			before := asked.Load()
			time.Sleep(time.Minute)
			if asked.Load() != before || w.got == 0 {
				t.Errorf("bars %v: asked after Stop, or wrote nothing (%d bytes)", bars, w.got)
			}
		})
	}
}

// broken is a terminal that has gone away.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("input/output error") }

// TestBrokenTerminal holds that a terminal that goes away ends progress, not
// the run, and leaves nothing behind.
func TestBrokenTerminal(t *testing.T) {
	for _, bars := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p := Start(Options{Out: broken{}, Bars: bars, Every: time.Second}, run{began: time.Now(), load: time.Minute}.snapshot)
			time.Sleep(10 * time.Second)
			if _, err := p.Write([]byte("a line\n")); err == nil {
				t.Errorf("bars %v: a broken terminal took a line", bars)
			}
			p.Stop()
		})
	}
}

func TestFraction(t *testing.T) {
	tests := []struct {
		name string
		s    Snapshot
		want float64
		ok   bool
	}{
		{"nobody knows", Snapshot{Elapsed: time.Second, Done: 5}, 0, false},
		{"time", Snapshot{Elapsed: time.Second, Total: 4 * time.Second}, 0.25, true},
		{"rows", Snapshot{Done: 1, All: 2}, 0.5, true},
		{"the nearer end", Snapshot{Elapsed: time.Second, Total: 4 * time.Second, Done: 3, All: 4}, 0.75, true},
		{"never more than all", Snapshot{Elapsed: 9 * time.Second, Total: 4 * time.Second}, 1, true},
		{"never less than nothing", Snapshot{Elapsed: -time.Second, Total: 4 * time.Second}, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := tt.s.fraction(); got != tt.want || ok != tt.ok {
				t.Errorf("fraction = %v, %v; want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestText(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 9999: "9,999", 10000: "10.0k", 12345: "12.3k", 999499: "999k", 999500: "1.00M", 123456789: "123M", 1 << 62: "4612P"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
	for r, want := range map[float64]string{0: "0", 0.5: "0.5", 1: "1", 9.96: "10", 199.7: "200", 12345: "12.3k"} {
		if got := rate(r); got != want {
			t.Errorf("rate(%v) = %q, want %q", r, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0us", 412 * time.Microsecond: "412us", 999_600 * time.Nanosecond: "1.00ms", 88120 * time.Microsecond: "88.1ms", 999_600 * time.Microsecond: "1.00s", 90 * time.Second: "90.0s", time.Hour: "3600s"} {
		if got := latency(d); got != want {
			t.Errorf("latency(%v) = %q, want %q", d, got, want)
		}
	}
	for _, tt := range []struct {
		part, whole int64
		want        string
	}{{0, 9, "0%"}, {9, 9, "100%"}, {1, 100000, "<0.1%"}, {99999, 100000, ">99.9%"}, {1, 3, "33.3%"}} {
		if got := share(tt.part, tt.whole); got != tt.want {
			t.Errorf("share(%d, %d) = %q, want %q", tt.part, tt.whole, got, tt.want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0:00", 65 * time.Second: "1:05", time.Hour: "1:00:00", 3725 * time.Second: "1:02:05"} {
		if got := clock(d); got != want {
			t.Errorf("clock(%v) = %q, want %q", d, got, want)
		}
	}
}
