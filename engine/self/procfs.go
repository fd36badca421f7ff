package self

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// thisSystem is the machine that we run on.
func thisSystem() system {
	return system{
		root: os.DirFS("/"), cpu: processCPU, nofile: fileLimit, maxRSS: maxRSS,
		gc: debug.ReadGCStats, ready: readyTimes,
	}
}

// readyTimes reads how long goroutines waited for their turn so far.
func readyTimes() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil
	}
	return sample[0].Value.Float64Histogram()
}

// text returns the content of a file under the root; "" when it cannot be read.
func (s system) text(name string) string {
	b, err := fs.ReadFile(s.root, name)
	if err != nil {
		return ""
	}
	return string(b)
}

// counters reads everything that only grows.
func (s system) counters() counters {
	c := counters{ready: s.ready()}
	c.cpu, c.cpuRead = s.cpu()
	c.runTime, c.runDelay = s.threads()
	c.throttled = s.throttled()
	c.stat, _ = parseStat(s.text("proc/stat"))
	if us, ok := parsePressure(s.text("proc/pressure/cpu")); ok {
		c.pressure = Measured(float64(us))
	}
	return c
}

// maxThreads bounds how many threads are looked at.
const maxThreads = 1024

// threads reads how long each of our threads ran, and how long it was ready
// and waited for a core. Both are nil where the kernel does not say.
func (s system) threads() (ran, waited map[string]time.Duration) {
	const dir = "proc/self/task"
	list, err := fs.ReadDir(s.root, dir)
	if err != nil {
		return nil, nil
	}
	for _, e := range list[:min(len(list), maxThreads)] {
		run, wait, ok := parseSchedstat(s.text(dir + "/" + e.Name() + "/schedstat"))
		if !ok {
			continue // it has just ended
		}
		if ran == nil {
			ran, waited = map[string]time.Duration{}, map[string]time.Duration{}
		}
		ran[e.Name()], waited[e.Name()] = run, wait
	}
	return ran, waited
}

// openFiles counts our file descriptors. Since Linux 6.2 the size of the
// folder is their number; before, its entries are.
func (s system) openFiles() Reading {
	const dir = "proc/self/fd"
	if info, err := fs.Stat(s.root, dir); err == nil && info.Size() > 0 {
		return Measured(float64(info.Size()))
	}
	list, err := fs.ReadDir(s.root, dir)
	switch {
	case errors.Is(err, syscall.EMFILE):
		return s.nofile() // not one was left to look with
	case err != nil:
		return Reading{}
	}
	return Measured(float64(len(list)))
}

// openPorts counts local ports in use; see Health.PortsPeak.
func (s system) openPorts() Reading {
	low, high, ok := parsePortRange(s.text("proc/sys/net/ipv4/ip_local_port_range"))
	if !ok {
		return Reading{}
	}
	all, ok := parseSockstat(s.text("proc/net/sockstat"))
	if !ok {
		return Reading{}
	}
	more, _ := parseSockstat(s.text("proc/net/sockstat6")) // there is none without IPv6
	if all += more; all < int64(high-low+1)/2 {
		return Measured(float64(all))
	}
	used := portUse{}
	used.add(s.text("proc/net/tcp"), low, high)
	used.add(s.text("proc/net/tcp6"), low, high)
	return Measured(float64(used.most()))
}

// rssPeak is the most memory that was ours at once.
func (s system) rssPeak() Reading {
	if kib, ok := parseKeyed(s.text("proc/self/status"), "VmHWM:"); ok {
		return Measured(float64(kib) * 1024)
	}
	return s.maxRSS()
}

// natural reads a whole number that is not negative.
func natural(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0
}

// parseSchedstat reads /proc/PID/task/TID/schedstat: time on a core, time
// ready and waiting for one, both in ns, and the number of turns (proc(5);
// Linux, Documentation/scheduler/sched-stats.rst).
func parseSchedstat(text string) (ran, waited time.Duration, ok bool) {
	f := strings.Fields(text)
	if len(f) < 2 {
		return 0, 0, false
	}
	a, ok1 := natural(f[0])
	b, ok2 := natural(f[1])
	if !ok1 || !ok2 {
		return 0, 0, false
	}
	return time.Duration(a), time.Duration(b), true
}

// cpuTimes are times of all cores together, in clock ticks.
type cpuTimes struct{ total, idle, steal float64 }

// parseStat reads the first line of /proc/stat: cpu, then user, nice, system,
// idle, iowait, irq, softirq, steal and two that are in user already.
func parseStat(text string) (cpuTimes, bool) {
	line, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(line)
	if len(f) < 5 || f[0] != "cpu" {
		return cpuTimes{}, false
	}
	var t cpuTimes
	for i, s := range f[1:min(len(f), 9)] {
		n, ok := natural(s)
		if !ok {
			return cpuTimes{}, false
		}
		t.total += float64(n)
		switch i {
		case 3, 4: // idle; waiting for a disk with nothing else to do
			t.idle += float64(n)
		case 7:
			t.steal = float64(n)
		}
	}
	return t, true
}

// parsePressure reads how long some task waited for a core, in µs, from
// /proc/pressure/cpu (Linux, Documentation/accounting/psi.rst).
func parsePressure(text string) (us int64, ok bool) {
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, "some ")
		if !found {
			continue
		}
		for f := range strings.FieldsSeq(rest) {
			if v, found := strings.CutPrefix(f, "total="); found {
				return natural(v)
			}
		}
	}
	return 0, false
}

// parseKeyed reads the number after a key at the start of a line, as in
// /proc/meminfo and /proc/PID/status.
func parseKeyed(text, key string) (int64, bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == key {
			return natural(f[1])
		}
	}
	return 0, false
}

// parsePortRange reads ip_local_port_range: the first and the last local port
// that connections are given.
func parsePortRange(text string) (low, high int, ok bool) {
	f := strings.Fields(text)
	if len(f) != 2 {
		return 0, 0, false
	}
	a, ok1 := natural(f[0])
	b, ok2 := natural(f[1])
	if !ok1 || !ok2 || a > b || b > 65535 {
		return 0, 0, false
	}
	return int(a), int(b), true
}

// parseSockstat reads how many TCP sockets there are, those in TIME_WAIT
// included, from /proc/net/sockstat or sockstat6.
func parseSockstat(text string) (sockets int64, ok bool) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "TCP:" && f[0] != "TCP6:" {
			continue
		}
		for i := 1; i+1 < len(f); i += 2 {
			n, numeric := natural(f[i+1])
			if !numeric || n > 1<<32 {
				return 0, false
			}
			if f[i] == "inuse" || f[i] == "tw" {
				sockets += n
			}
		}
		return sockets, true
	}
	return 0, false
}

// portUse counts the local ports in use by local address and remote address
// and port: the kernel can use a local port once for each.
type portUse map[string]int64

// add reads /proc/net/tcp or tcp6: in each line after the first come a number,
// the local and the remote address as hex ADDRESS:PORT, and the state.
func (u portUse) add(text string, low, high int) {
	const listening = "0A"
	for line := range strings.Lines(text) {
		f := [4]string{}
		for i := range f {
			line = strings.TrimLeft(line, " ")
			f[i], line, _ = strings.Cut(line, " ")
		}
		local, hex, ok := strings.Cut(f[1], ":")
		if !ok || f[3] == listening {
			continue
		}
		port, err := strconv.ParseUint(hex, 16, 16)
		if err != nil || int(port) < low || int(port) > high {
			continue
		}
		u[local+" "+f[2]]++
	}
}

// most returns the ports in use between the busiest two.
func (u portUse) most() int64 {
	var m int64
	for _, n := range u {
		m = max(m, n)
	}
	return m
}

// cpuModel reads what the first core calls itself, from /proc/cpuinfo.
func cpuModel(text string) string {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == "model name" {
			value = strings.TrimSpace(value)
			return strings.ToValidUTF8(value[:min(len(value), 100)], "")
		}
	}
	return ""
}

// unescape undoes the octal escapes of /proc/self/mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b bytes.Buffer
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
