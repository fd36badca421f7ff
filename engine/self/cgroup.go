package self

import (
	"io/fs"
	"math"
	"path"
	"strings"
	"time"
)

// throttling is how often and how long a cgroup's quota stopped its tasks.
type throttling struct {
	measured bool
	periods  int64         // in which it happened
	time     time.Duration // summed over CPUs
	period   time.Duration // length of one
}

func (t throttling) minus(earlier throttling) throttling {
	t.periods = max(0, t.periods-earlier.periods)
	t.time = max(0, t.time-earlier.time)
	return t
}

// stalled bounds the time in which tasks stood still. The kernel's own sum
// counts each CPU: on a machine of 64 a stop of 1 ms may be 64 ms there.
func (t throttling) stalled() time.Duration {
	if t.period <= 0 || t.periods > int64(math.MaxInt64/t.period) {
		return t.time
	}
	return min(t.time, time.Duration(t.periods)*t.period)
}

// A cgroup is where our limits stand: its folders from our own up to the
// highest that we can see. Each of them may have a quota, and every one holds.
type cgroup struct {
	version int // 1 or 2; 0: there is none
	dirs    []string
}

// maxLevels bounds how many folders upward are read.
const maxLevels = 32

func (s system) cgroup() cgroup {
	return findCgroup(s.text("proc/self/cgroup"), s.text("proc/self/mountinfo"))
}

// findCgroup finds the folders of the hierarchy that limits our CPU: version 1
// where a controller "cpu" is mounted, else version 2 (cgroups(7)).
func findCgroup(memberships, mountinfo string) cgroup {
	version, own := membership(memberships)
	if version == 0 {
		return cgroup{}
	}
	root, mounted, ok := cgroupMount(mountinfo, version)
	if !ok {
		return cgroup{}
	}
	// In a container without a namespace of its own, our path is the host's
	// and the mount shows a part of the host's tree: cut off what they share.
	rel, under := cutPath(own, root)
	if !under || strings.Contains(rel, "..") {
		rel = ""
	}
	c := cgroup{version: version}
	top := strings.Trim(path.Clean("/"+mounted), "/")
	for dir := path.Join(top, rel); len(c.dirs) < maxLevels; dir = path.Dir(dir) {
		if !fs.ValidPath(dir) {
			return cgroup{}
		}
		c.dirs = append(c.dirs, dir)
		if dir == top || dir == "." {
			break
		}
	}
	return c
}

// membership reads /proc/self/cgroup: lines of ID:CONTROLLERS:PATH.
func membership(text string) (version int, dir string) {
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		if hasWord(f[1], "cpu") {
			return 1, f[2]
		}
		if f[0] == "0" && f[1] == "" {
			version, dir = 2, f[2]
		}
	}
	return version, dir
}

// cgroupMount finds in /proc/self/mountinfo where the hierarchy is mounted,
// and which of its folders is the mount's root. A line is: ids, device, root,
// mount point, options, tags, "-", type, source, the file system's options.
func cgroupMount(text string, version int) (root, mounted string, ok bool) {
	for line := range strings.Lines(text) {
		mount, system, found := strings.Cut(line, " - ")
		m, s := strings.Fields(mount), strings.Fields(system)
		if !found || len(m) < 5 || len(s) < 3 {
			continue
		}
		if version == 2 && s[0] == "cgroup2" || version == 1 && s[0] == "cgroup" && hasWord(s[2], "cpu") {
			return unescape(m[3]), unescape(m[4]), true
		}
	}
	return "", "", false
}

// hasWord reports whether a list with commas has the word.
func hasWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// cutPath returns what of p lies below root.
func cutPath(p, root string) (rel string, ok bool) {
	p, root = path.Clean("/"+p), path.Clean("/"+root)
	switch {
	case root == "/":
		return strings.TrimPrefix(p, "/"), true
	case p == root:
		return "", true
	}
	return strings.CutPrefix(p, root+"/")
}

// quotaCores returns how many cores' worth of time the strictest quota gives.
func (s system) quotaCores() Reading {
	c := s.cgroup()
	var least Reading
	for _, dir := range c.dirs {
		quota, period, ok := s.quota(c.version, dir)
		if !ok {
			continue
		}
		if cores := float64(quota) / float64(period); !least.Measured || cores < least.Value {
			least = Measured(cores)
		}
	}
	return least
}

// quota reads how much CPU time a cgroup may use in each period; ok is false
// where it may use all.
func (s system) quota(version int, dir string) (quota, period time.Duration, ok bool) {
	if version == 2 {
		return parseCPUMax(s.text(dir + "/cpu.max"))
	}
	return parseCPUMax(s.text(dir+"/cpu.cfs_quota_us") + " " + s.text(dir+"/cpu.cfs_period_us"))
}

// parseCPUMax reads a quota and its period in µs, as in cpu.max of cgroup
// version 2; "max", or -1 in version 1, is no quota (Linux,
// Documentation/admin-guide/cgroup-v2.rst).
func parseCPUMax(text string) (quota, period time.Duration, ok bool) {
	f := strings.Fields(text)
	if len(f) != 2 {
		return 0, 0, false
	}
	q, ok1 := natural(f[0])
	p, ok2 := natural(f[1])
	if !ok1 || !ok2 || q == 0 || p == 0 || max(q, p) > math.MaxInt64/1000 {
		return 0, 0, false
	}
	return time.Duration(q) * time.Microsecond, time.Duration(p) * time.Microsecond, true
}

// throttled reads how long quotas held us up: of all levels the worst, since
// each stop of a level stops all below it.
func (s system) throttled() throttling {
	c := s.cgroup()
	var worst throttling
	for _, dir := range c.dirs {
		t, ok := parseCPUStat(s.text(dir + "/cpu.stat"))
		if !ok {
			continue
		}
		_, t.period, _ = s.quota(c.version, dir)
		if !worst.measured || t.time > worst.time {
			worst = t
		}
	}
	return worst
}

// parseCPUStat reads cpu.stat of either version: throttled_usec in version 2
// is in µs, throttled_time in version 1 in ns.
func parseCPUStat(text string) (throttling, bool) {
	var t throttling
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 2 {
			continue
		}
		n, ok := natural(f[1])
		if !ok {
			continue
		}
		switch f[0] {
		case "nr_throttled":
			t.periods = n
		case "throttled_usec":
			t.time, t.measured = time.Duration(min(n, math.MaxInt64/1000))*time.Microsecond, true
		case "throttled_time":
			t.time, t.measured = time.Duration(n), true
		}
	}
	return t, t.measured
}
