package self

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// A fake is a machine whose every number a test sets.
type fake struct {
	files fstest.MapFS
	used  func() time.Duration
	gc    func(*debug.GCStats)
	ready *metrics.Float64Histogram
}

func (f *fake) set(name, text string) {
	if f.files == nil {
		f.files = fstest.MapFS{}
	}
	f.files[name] = &fstest.MapFile{Data: []byte(text)}
}

func (f *fake) system() system {
	s := system{
		root:   f.files,
		cpu:    func() (time.Duration, bool) { return 0, false },
		nofile: func() Reading { return Reading{} },
		maxRSS: func() Reading { return Reading{} },
		gc:     func(*debug.GCStats) {},
		ready:  func() *metrics.Float64Histogram { return f.ready },
	}
	if f.files == nil {
		s.root = fstest.MapFS{}
	}
	if f.used != nil {
		s.cpu = func() (time.Duration, bool) { return f.used(), true }
	}
	if f.gc != nil {
		s.gc = f.gc
	}
	return s
}

// TestUnknown holds that a machine that tells nothing measures nothing.
func TestUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fake
		s := start(f.system())
		time.Sleep(3 * time.Second)
		h := s.Stop()
		for name, r := range map[string]Reading{
			"CPUShare": h.CPUShare, "CPUAbove85Share": h.CPUAbove85Share, "CPUPeakShare": h.CPUPeakShare,
			"CPUWaitShare": h.CPUWaitShare, "GoroutineWaitP99US": h.GoroutineWaitP99US, "ThrottledShare": h.ThrottledShare,
			"MachineBusyShare": h.MachineBusyShare, "MachinePressureShare": h.MachinePressureShare,
			"FilesShare": h.FilesShare, "FilesPeak": h.FilesPeak, "PortsShare": h.PortsShare, "RSSPeakBytes": h.RSSPeakBytes,
		} {
			if r.Measured {
				t.Errorf("%s = %v, want not measured", name, r)
			}
		}
		if h.SentinelShare != Measured(0) || h.ElapsedS != 3 {
			t.Errorf("sentinel %v over %v s, want 0 over 3", h.SentinelShare, h.ElapsedS)
		}
	})
}

// TestStop holds that calls after the first change nothing.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fake
		s := start(f.system())
		time.Sleep(time.Second)
		first := s.Stop()
		time.Sleep(time.Second)
		if again := s.Stop(); again.ElapsedS != first.ElapsedS || s.Health().ElapsedS != first.ElapsedS {
			t.Errorf("elapsed after Stop = %v and %v, want %v", again.ElapsedS, s.Health().ElapsedS, first.ElapsedS)
		}
	})
}

func TestCPU(t *testing.T) {
	began := time.Now()
	_ = began
	tests := []struct {
		name                          string
		quota                         string // cpu.max; "" for none
		use                           func(at time.Duration, cores float64) time.Duration
		length                        time.Duration
		share, peak, above85, above97 float64
	}{
		{"half of every core", "", func(at time.Duration, cores float64) time.Duration {
			return time.Duration(float64(at) * cores / 2)
		}, 10 * time.Second, 0.5, 0.5, 0, 0},
		{"all for two seconds of ten", "", func(at time.Duration, cores float64) time.Duration {
			return time.Duration(float64(min(at, 2*time.Second)) * cores)
		}, 10 * time.Second, 0.2, 1, 0.2, 0.2},
		{"nine tenths for five of ten", "", func(at time.Duration, cores float64) time.Duration {
			return time.Duration(float64(min(at, 5*time.Second)) * cores * 0.9)
		}, 10 * time.Second, 0.45, 0.9, 0.5, 0},
		{"a quota is the share", "50000 100000", func(at time.Duration, cores float64) time.Duration {
			return at / 2
		}, 10 * time.Second, 1, 1, 1, 1},
		{"shorter than a window", "", func(at time.Duration, cores float64) time.Duration {
			return time.Duration(float64(at) * cores)
		}, 300 * time.Millisecond, 1, 1, 1, 1},
		{"a busy end counts by its length", "", func(at time.Duration, cores float64) time.Duration {
			return time.Duration(float64(max(0, at-9*time.Second)) * cores)
		}, 9500 * time.Millisecond, 0.5 / 9.5, 0, 0.5 / 9.5, 0.5 / 9.5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f fake
				if tt.quota != "" {
					f.set("proc/self/cgroup", "0::/\n")
					f.set("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
					f.set("sys/fs/cgroup/cpu.max", tt.quota+"\n")
				}
				began := time.Now()
				cores := describe(f.system()).shareCores()
				f.used = func() time.Duration { return time.Hour + tt.use(time.Since(began), cores) }
				s := start(f.system())
				time.Sleep(tt.length)
				h := s.Stop()
				near(t, "CPUShare", h.CPUShare, tt.share)
				near(t, "CPUPeakShare", h.CPUPeakShare, tt.peak)
				near(t, "CPUAbove85Share", h.CPUAbove85Share, tt.above85)
				near(t, "CPUAbove97Share", h.CPUAbove97Share, tt.above97)
				near(t, "CPUCores", h.CPUCores, cores)
			})
		})
	}
}

func near(t *testing.T, name string, got Reading, want float64) {
	t.Helper()
	if !got.Measured || math.Abs(got.Value-want) > 1e-6 {
		t.Errorf("%s = %v, want %v", name, got, want)
	}
}

func TestSentinel(t *testing.T) {
	var l lateness
	for _, late := range []time.Duration{0, 19 * time.Millisecond, 20 * time.Millisecond, 21 * time.Millisecond, 70 * time.Millisecond, -time.Millisecond} {
		l.add(late)
	}
	if want := (lateness{91 * time.Millisecond, 70 * time.Millisecond}); l != want {
		t.Errorf("lateness = %v, want %v: what is over 20 ms counts, in full", l, want)
	}
}

// TestSentinelSeesStandstill stops the sentinel's goroutine the way that a
// starved machine does: by holding it up between two timers.
func TestSentinelSeesStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fake
		s := start(f.system())
		time.Sleep(time.Second)
		s.mu.Lock()
		s.sentinel.add(500 * time.Millisecond)
		s.mu.Unlock()
		time.Sleep(time.Second)
		h := s.Stop()
		near(t, "SentinelShare", h.SentinelShare, 0.25)
		near(t, "SentinelMaxUS", h.SentinelMaxUS, 500000)
	})
}

func TestPauses(t *testing.T) {
	stats := debug.GCStats{NumGC: 5, Pause: []time.Duration{time.Hour, time.Hour}}
	read := func(to *debug.GCStats) { *to = stats }
	var p pauses
	p.begin(read)
	look := func(numGC int64, pause ...time.Duration) {
		stats.NumGC, stats.Pause = numGC, append(pause, stats.Pause...)
		p.look(read)
	}
	look(5)
	look(7, 30*time.Millisecond, 10*time.Millisecond)
	look(7)
	look(8, 11*time.Millisecond)
	if p.cycles != 3 || p.long != 41*time.Millisecond || p.max != 30*time.Millisecond {
		t.Errorf("pauses = %d cycles, %v over 10 ms, longest %v; want 3, 41ms, 30ms: old ones must not count, 10 ms is not over 10 ms", p.cycles, p.long, p.max)
	}
	look(100000, time.Millisecond) // more than are remembered
	if p.cycles != 99995 {
		t.Errorf("cycles = %d, want 99995", p.cycles)
	}
}

// TestCounters holds that what counts is growth, and against what.
func TestCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fake
		f.set("proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n")
		f.set("proc/self/mountinfo", "33 31 0:30 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n")
		f.set("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n")
		f.set("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
		f.set("sys/fs/cgroup/cpu/cpu.stat", "nr_periods 10\nnr_throttled 10\nthrottled_time 1000000000\n")
		f.set("proc/self/task/7/schedstat", "1000000000 1000000000 5\n")
		f.set("proc/self/task/9/schedstat", "9000000000 9000000000 5\n")
		f.set("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3\n")
		f.set("proc/pressure/cpu", "some avg10=0.13 avg60=0.70 avg300=5.93 total=1000000\nfull avg10=0 avg60=0 avg300=0 total=7\n")
		f.ready = &metrics.Float64Histogram{Counts: []uint64{100, 0, 0}, Buckets: []float64{0, 0.001, 0.002, math.Inf(1)}}
		s := start(f.system())
		time.Sleep(10 * time.Second)
		synctest.Wait() // the sampler reads the files, too
		f.set("sys/fs/cgroup/cpu/cpu.stat", "nr_periods 110\nnr_throttled 30\nthrottled_time 9000000000\n")
		f.set("proc/self/task/7/schedstat", "2000000000 1500000000 9\n") // 1 s on a core, 0.5 s in the queue
		f.set("proc/self/task/8/schedstat", "500000000 250000000 9\n")   // a new thread
		f.set("proc/self/task/9/schedstat", "500000000 250000000 9\n")   // another one, with the number of one that ended
		f.set("proc/stat", "cpu  200 0 200 1300 100 0 0 200 0 0\n")      // of 1000 ticks: 600 idle, 200 stolen
		f.set("proc/pressure/cpu", "some avg10=0.13 avg60=0.70 avg300=5.93 total=6000000\n")
		f.ready = &metrics.Float64Histogram{Counts: []uint64{198, 2, 0}, Buckets: f.ready.Buckets}
		h := s.Stop()
		near(t, "ThrottledS", h.ThrottledS, 8)
		near(t, "ThrottledShare", h.ThrottledShare, 0.2) // 20 periods of 100 ms
		near(t, "CPUWaitShare", h.CPUWaitShare, 1.0/3)
		near(t, "MachineBusyShare", h.MachineBusyShare, 0.4)
		near(t, "MachineStealShare", h.MachineStealShare, 0.2)
		near(t, "MachinePressureShare", h.MachinePressureShare, 0.5)
		near(t, "GoroutineWaitP99US", h.GoroutineWaitP99US, 2000)
		near(t, "quota", h.Machine.QuotaCores, 1)
	})
}

func TestFiles(t *testing.T) {
	dir := func(n int) fstest.MapFS {
		m := fstest.MapFS{}
		for i := range n {
			m["proc/self/fd/"+string(rune('a'+i))] = &fstest.MapFile{}
		}
		return m
	}
	tests := []struct {
		name string
		root fs.FS
		want Reading
	}{
		{"counts entries", dir(5), Measured(5)},
		{"is not measured without /proc", fstest.MapFS{}, Reading{}},
		{"counts all when none is left to look with", exhausted{}, Measured(1024)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := system{root: tt.root, nofile: func() Reading { return Measured(1024) }}
			if got := s.openFiles(); got != tt.want {
				t.Errorf("openFiles = %v, want %v", got, tt.want)
			}
		})
	}
}

// exhausted is a file system of a process that has no descriptor left.
type exhausted struct{}

func (exhausted) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errTooMany()}
}

func TestPorts(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(local, remote, state string) string {
		return "   0: " + local + " " + remote + " " + state + " 00:00\n"
	}
	tests := []struct {
		name  string
		files map[string]string
		want  Reading
	}{
		{"not measured without a range", map[string]string{"proc/net/sockstat": "TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 1\n"}, Reading{}},
		{"below half of the range: every socket", map[string]string{
			"proc/sys/net/ipv4/ip_local_port_range": "100\t109\n",
			"proc/net/sockstat":                     "sockets: used 9\nTCP: inuse 1 orphan 5 tw 2 alloc 7 mem 1\n",
			"proc/net/sockstat6":                    "TCP6: inuse 1\n",
		}, Measured(4)},
		{"from half on: those between the same two ends", map[string]string{
			"proc/sys/net/ipv4/ip_local_port_range": "100 109\n",
			"proc/net/sockstat":                     "TCP: inuse 3 orphan 0 tw 3 alloc 7 mem 1\n",
			"proc/net/tcp": head +
				line("0100007F:0064", "0200007F:01BB", "01") +
				line("0100007F:0065", "0200007F:01BB", "06") + // TIME_WAIT
				line("0100007F:0064", "0300007F:01BB", "01") + // the same port to somebody else
				strings.Repeat(line("0100007F:0066", "00000000:0000", "0A"), 3) + // listening
				line("0100007F:0050", "0200007F:01BB", "01"), // below the range
			"proc/net/tcp6": head + line("00000000000000000000000001000000:006D", "00000000000000000000000001000000:01BB", "01"),
		}, Measured(2)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f fake
			for name, text := range tt.files {
				f.set(name, text)
			}
			if got := f.system().openPorts(); got != tt.want {
				t.Errorf("openPorts = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestPeak holds that the most is kept, and that a dear reading is made rarely.
func TestPeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p peak
		values, reads := []float64{3, 9, 4}, 0
		read := func() Reading {
			time.Sleep(10 * time.Millisecond)
			reads++
			return Measured(values[min(reads, len(values))-1])
		}
		for range 20 {
			p.look(time.Now(), read)
			time.Sleep(time.Second)
		}
		if reads != 4 || p.most != Measured(9) {
			t.Errorf("%d readings of 10 ms each in 20 s with a peak of %v, want 4 with a peak of 9", reads, p.most)
		}
	})
}

func TestReadingJSON(t *testing.T) {
	in := Health{ElapsedS: 1, CPUShare: Measured(0), FilesPeak: Measured(12)}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"cpu_share":0,`) {
		t.Errorf("a measured 0 is missing in %s", text)
	}
	if strings.Contains(string(text), "ports") {
		t.Errorf("what was not measured stands in %s", text)
	}
	var out Health
	if err := json.Unmarshal(text, &out); err != nil || out != in {
		t.Errorf("read back %+v (%v), want %+v", out, err, in)
	}
	var r Reading
	if err := json.Unmarshal([]byte("null"), &r); err != nil || r.Measured {
		t.Errorf("null reads as %v (%v), want not measured", r, err)
	}
	if err := json.Unmarshal([]byte(`"x"`), &r); err == nil {
		t.Error("a string was read as a number")
	}
	if r := Measured(math.NaN()); r.Measured {
		t.Error("NaN counts as measured")
	}
}

// TestHere looks at the machine that the test runs on.
func TestHere(t *testing.T) {
	s := Start()
	deadline := time.Now().Add(150 * time.Millisecond)
	for sink := 0; time.Now().Before(deadline); sink++ {
	}
	h := s.Stop()
	if h.ElapsedS < 0.15 || h.Machine.Cores < 1 || h.Machine.Go == "" {
		t.Errorf("health = %+v", h)
	}
	if _, ok := processCPU(); !ok {
		t.Skip("this system does not tell CPU time")
	}
	if h.CPUS.Value < 0.05 || h.CPUShare.Value <= 0 {
		t.Errorf("a busy loop of 150 ms used %v s of CPU, a share of %v", h.CPUS, h.CPUShare)
	}
}

func errTooMany() error { return errors.Join(fs.ErrInvalid, syscall.EMFILE) }
