package self

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFindCgroup(t *testing.T) {
	const v1 = "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n" +
		"33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n" +
		"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	const v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	tests := []struct {
		name, memberships, mounts string
		version                   int
		dirs                      []string
	}{
		{"version 2, every level upward", "0::/user.slice/a.scope\n", v2, 2,
			[]string{"sys/fs/cgroup/user.slice/a.scope", "sys/fs/cgroup/user.slice", "sys/fs/cgroup"}},
		{"version 2 in a container", "0::/\n", v2, 2, []string{"sys/fs/cgroup"}},
		{"version 1 where both are mounted", "4:cpu,cpuacct:/job\n1:name=systemd:/\n0::/\n", v1, 1,
			[]string{"sys/fs/cgroup/cpu,cpuacct/job", "sys/fs/cgroup/cpu,cpuacct"}},
		{"a controller that only begins alike is another", "3:cpuset:/job\n0::/\n", v1, 2, []string{"sys/fs/cgroup/unified"}},
		{"a container that sees the host's path", "4:cpu,cpuacct:/docker/abc\n",
			"33 31 0:30 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n", 1, []string{"sys/fs/cgroup/cpu"}},
		{"a folder below the container's root", "4:cpu:/docker/abc/job\n",
			"33 31 0:30 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", 1,
			[]string{"sys/fs/cgroup/cpu/job", "sys/fs/cgroup/cpu"}},
		{"a path outside of the namespace", "0::/../../other\n", v2, 2, []string{"sys/fs/cgroup/other", "sys/fs/cgroup"}},
		{"a mount point with a space", "0::/\n", `30 23 0:26 / /a\040b rw - cgroup2 cgroup2 rw` + "\n", 2, []string{"a b"}},
		{"no mount", "0::/\n", "", 0, nil},
		{"no membership", "", v2, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := findCgroup(tt.memberships, tt.mounts)
			if got.version != tt.version || !slices.Equal(got.dirs, tt.dirs) {
				t.Errorf("findCgroup = version %d, %q; want version %d, %q", got.version, got.dirs, tt.version, tt.dirs)
			}
		})
	}
}

func TestQuota(t *testing.T) {
	const v2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
	tests := []struct {
		name  string
		files map[string]string
		want  Reading
	}{
		{"none", map[string]string{"sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, Reading{}},
		{"one and a half cores", map[string]string{"sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, Measured(1.5)},
		{"the strictest level holds", map[string]string{
			"sys/fs/cgroup/a/b/cpu.max": "400000 100000\n", "sys/fs/cgroup/a/cpu.max": "50000 100000\n", "sys/fs/cgroup/cpu.max": "max 100000\n",
		}, Measured(0.5)},
		{"a period of nothing is none", map[string]string{"sys/fs/cgroup/a/b/cpu.max": "1 0\n"}, Reading{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f fake
			f.set("proc/self/cgroup", "0::/a/b\n")
			f.set("proc/self/mountinfo", v2)
			for name, text := range tt.files {
				f.set(name, text)
			}
			if got := f.system().quotaCores(); got != tt.want {
				t.Errorf("quotaCores = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestWorstLevel holds that of several levels that stop us the worst is told.
func TestWorstLevel(t *testing.T) {
	var f fake
	f.set("proc/self/cgroup", "0::/a/b\n")
	f.set("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
	f.set("sys/fs/cgroup/a/b/cpu.stat", "nr_throttled 1\nthrottled_usec 5\n")
	f.set("sys/fs/cgroup/a/cpu.stat", "nr_throttled 2\nthrottled_usec 70\n")
	f.set("sys/fs/cgroup/a/cpu.max", "1000 50000\n")
	f.set("sys/fs/cgroup/cpu.stat", "usage_usec 5\n")
	want := throttling{measured: true, periods: 2, time: 70 * time.Microsecond, period: 50 * time.Millisecond}
	if got := f.system().throttled(); got != want {
		t.Errorf("throttled = %+v, want %+v", got, want)
	}
}

func TestStalled(t *testing.T) {
	tests := []struct {
		name string
		in   throttling
		want time.Duration
	}{
		{"one CPU", throttling{periods: 10, time: 300 * time.Millisecond, period: 100 * time.Millisecond}, 300 * time.Millisecond},
		{"sixty-four CPUs at once", throttling{periods: 10, time: 64 * time.Second, period: 100 * time.Millisecond}, time.Second},
		{"an unknown period", throttling{periods: 10, time: time.Second}, time.Second},
		{"numbers beyond all bounds", throttling{periods: math.MaxInt64, time: time.Second, period: time.Second}, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.stalled(); got != tt.want {
				t.Errorf("stalled = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseCPUStat(t *testing.T) {
	tests := []struct {
		name, text string
		want       throttling
	}{
		{"version 2", "usage_usec 9\nnr_periods 8\nnr_throttled 3\nthrottled_usec 1500\n", throttling{measured: true, periods: 3, time: 1500 * time.Microsecond}},
		{"version 1", "nr_periods 8\nnr_throttled 3\nthrottled_time 1500\n", throttling{measured: true, periods: 3, time: 1500}},
		{"without the controller", "usage_usec 9\nuser_usec 5\n", throttling{}},
		{"nothing", "", throttling{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := parseCPUStat(tt.text); got != tt.want || ok != tt.want.measured {
				t.Errorf("parseCPUStat = %+v, %v; want %+v", got, ok, tt.want)
			}
		})
	}
}

func TestParseMachine(t *testing.T) {
	if got := cpuModel("processor : 0\nmodel name\t: AMD EPYC: 9\nmodel name : other\n"); got != "AMD EPYC: 9" {
		t.Errorf("cpuModel = %q", got)
	}
	if got, ok := parseKeyed("MemFree: 1 kB\nMemTotal:  16384 kB\n", "MemTotal:"); got != 16384 || !ok {
		t.Errorf("parseKeyed = %d, %v", got, ok)
	}
	for _, bad := range []string{"", "5", "9 5", "1 70000", "-1 5", "a b", "1 2 3"} {
		if low, high, ok := parsePortRange(bad); ok {
			t.Errorf("parsePortRange(%q) = %d, %d: want none", bad, low, high)
		}
	}
	for _, bad := range []string{"", "cpu", "cpu 1 2 3", "cpu 1 2 3 x", "cpu0 1 2 3 4", "cpu 1 2 3 -4"} {
		if got, ok := parseStat(bad); ok {
			t.Errorf("parseStat(%q) = %+v: want none", bad, got)
		}
	}
}

// FuzzParse holds that no text of the kernel's, or of whoever mounts something
// over it, makes a parser fail or tell an impossible number.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"0::/a/b\n", "4:cpu,cpuacct:/x\n", "33 31 0:30 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n",
		"nr_periods 1\nnr_throttled 2\nthrottled_usec 3\n", "throttled_usec 9223372036854775807\n", "100000 100000", "max 100000",
		"cpu  1 2 3 4 5 6 7 8 9 10\n", "some avg10=0.13 total=65117551\n", "62797098 6439117 115\n",
		"TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 122\n", "32768\t60999\n", "model name\t: x\n", "VmHWM:\t 1752 kB\n", `/a\040b\9\`,
		"   0: 00000000:07E8 00000000:0000 0A 00000000:00000000\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		findCgroup(text, text)
		findCgroup("0::/a\n", text)
		c := findCgroup(text, "33 31 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
		if len(c.dirs) > maxLevels {
			t.Errorf("%d folders", len(c.dirs))
		}
		for _, dir := range c.dirs {
			if !strings.HasPrefix(dir, "sys/fs/cgroup") {
				t.Errorf("folder %q is outside of the mount", dir)
			}
		}
		if q, p, ok := parseCPUMax(text); ok && (q <= 0 || p <= 0) {
			t.Errorf("quota %v of %v", q, p)
		}
		s, _ := parseCPUStat(text)
		if s.period = 100 * time.Millisecond; s.stalled() < 0 || s.minus(s) != (throttling{measured: s.measured, period: s.period}) {
			t.Errorf("throttling %+v", s)
		}
		if a, ok := parseStat(text); ok && (a.idle > a.total || a.steal > a.total) {
			t.Errorf("times %+v", a)
		}
		if us, ok := parsePressure(text); ok && us < 0 {
			t.Errorf("pressure %d", us)
		}
		if a, b, ok := parseSchedstat(text); ok && (a < 0 || b < 0) {
			t.Errorf("schedstat %v, %v", a, b)
		}
		if n, ok := parseSockstat(text); ok && n < 0 {
			t.Errorf("sockets %d", n)
		}
		if low, high, ok := parsePortRange(text); ok && (low < 0 || high < low || high > 65535) {
			t.Errorf("ports %d to %d", low, high)
		}
		u := portUse{}
		u.add(text, 0, 65535)
		if n := u.most(); n < 0 || n > int64(strings.Count(text, "\n"))+1 {
			t.Errorf("%d ports in %q", n, text)
		}
		cpuModel(text)
		unescape(text)
		parseKeyed(text, "VmHWM:")
	})
}

// BenchmarkSecond is the cost of one second's looks, without the timers.
func BenchmarkSecond(b *testing.B) {
	s := Start()
	defer s.Stop()
	b.ReportAllocs()
	for b.Loop() {
		for range int(window / quick) {
			s.mu.Lock()
			s.gc.look(s.sys.gc)
			s.cpu.look(time.Now(), s.sys)
			s.mu.Unlock()
		}
		s.files, s.ports = peak{}, peak{}
		s.look(time.Now())
	}
}
