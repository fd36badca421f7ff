// Package self answers how the generator itself is doing: whether it had the
// CPU, the files, the ports and the timers that an honest measurement needs.
// It looks, and changes nothing on the machine.
package self

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// A Reading is a number that may not have been measured, because the system
// does not tell it or we may not read it. What was not measured is not zero;
// in JSON it is left out or null.
type Reading struct {
	Value    float64
	Measured bool
}

// Measured returns the reading of v. A v that is not a finite number was not
// measured.
func Measured(v float64) Reading {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Reading{}
	}
	return Reading{v, true}
}

// IsZero reports whether nothing was measured, for JSON's omitzero.
func (r Reading) IsZero() bool { return !r.Measured }

// String returns the number, or "not measured".
func (r Reading) String() string {
	if !r.Measured {
		return "not measured"
	}
	return fmt.Sprint(r.Value)
}

// MarshalJSON writes the number, or null.
func (r Reading) MarshalJSON() ([]byte, error) {
	if !r.Measured {
		return []byte("null"), nil
	}
	return json.Marshal(r.Value)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Reading) UnmarshalJSON(text []byte) error {
	var v *float64
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	*r = Reading{}
	if v != nil {
		*r = Measured(*v)
	}
	return nil
}

// Health says how the generator fared between the start of a Sampler and its
// end. Shares are of the elapsed time where nothing else is said, from 0 to 1.
type Health struct {
	ElapsedS float64 `json:"elapsed_s"`

	// CPU of this process, against the cores that it may use: the fewest of
	// GOMAXPROCS, the affinity mask and the cgroup's quota. Windows are of one
	// second. A share may pass 1 by the little that threads in system calls use
	// beyond GOMAXPROCS.
	CPUS            Reading `json:"cpu_s,omitzero"`
	CPUCores        Reading `json:"cpu_cores,omitzero"`
	CPUShare        Reading `json:"cpu_share,omitzero"`
	CPUPeakShare    Reading `json:"cpu_peak_share,omitzero"`     // of the busiest window
	CPUAbove85Share Reading `json:"cpu_above_85_share,omitzero"` // time in windows above 85 %
	CPUAbove97Share Reading `json:"cpu_above_97_share,omitzero"` // time in windows above 97 %

	// CPUWaitShare is, of the time in which our threads wanted a core, the
	// part in which they stood in the queue for one: other programs had it, or
	// the quota was used up. It tells "we are slow" from "we were not let".
	CPUWaitShare Reading `json:"cpu_wait_share,omitzero"`

	// GoroutineWaitP99US is how long a goroutine that was ready waited for its
	// turn, as the Go scheduler counts it; rounded up to its buckets.
	GoroutineWaitP99US Reading `json:"goroutine_wait_p99_us,omitzero"`

	// ThrottledShare is time in which the cgroup's quota kept us from running.
	// The kernel sums it over CPUs; here it is at most the length of the
	// periods in which it happened.
	ThrottledShare Reading `json:"cgroup_throttled_share,omitzero"`
	ThrottledS     Reading `json:"cgroup_throttled_cpu_s,omitzero"` // as the kernel sums it

	GCPauseShare Reading `json:"gc_pause_over_10ms_share,omitzero"` // in pauses of over 10 ms
	GCPauseMaxUS Reading `json:"gc_pause_max_us,omitzero"`
	GCCycles     Reading `json:"gc_cycles,omitzero"`

	// A timer is set every 10 ms; when it rings more than 20 ms late, the time
	// by which it is late counts.
	SentinelShare Reading `json:"timer_over_20ms_share,omitzero"`
	SentinelMaxUS Reading `json:"timer_late_max_us,omitzero"`

	// Of the whole machine: time that its cores were not idle, time that its
	// hypervisor gave to others, and time in which some task waited for a core.
	MachineBusyShare     Reading `json:"machine_busy_share,omitzero"`
	MachineStealShare    Reading `json:"machine_steal_share,omitzero"`
	MachinePressureShare Reading `json:"machine_cpu_pressure_share,omitzero"`

	FilesPeak  Reading `json:"files_peak,omitzero"`  // file descriptors open at once
	FilesLimit Reading `json:"files_limit,omitzero"` // the soft limit
	FilesShare Reading `json:"files_share,omitzero"` // peak ÷ limit

	// Local ports in use between one local address and one remote address and
	// port, because that is what runs out; below half of the range, all TCP
	// sockets are taken for such, which is cheaper and can only be too many.
	PortsPeak  Reading `json:"local_ports_peak,omitzero"`
	PortsLimit Reading `json:"local_ports_limit,omitzero"`
	PortsShare Reading `json:"local_ports_share,omitzero"`

	RSSPeakBytes Reading `json:"rss_peak_bytes,omitzero"` // of the process since it began

	Machine Machine `json:"-"` // told on its own
}

// How often things are looked at, and what counts.
const (
	quick         = 100 * time.Millisecond // CPU and GC
	window        = time.Second            // CPU shares, files, ports
	sentinelEvery = 10 * time.Millisecond
	sentinelLate  = 20 * time.Millisecond
	longPause     = 10 * time.Millisecond
	highShare     = 0.85
	fullShare     = 0.97

	// A reading that took t is not repeated before thrift × t has passed, so
	// that a machine with 30000 sockets does not pay for being looked at.
	thrift = 500
)

// A Sampler watches this process. Its goroutines end with Stop.
type Sampler struct {
	sys     system
	machine Machine
	began   time.Time
	first   counters
	stop    chan struct{}
	once    sync.Once
	all     sync.WaitGroup

	mu       sync.Mutex // guards what follows
	last     Health     // set by Stop
	cpu      cpuWindows
	gc       pauses
	sentinel lateness
	files    peak
	ports    peak
}

// Start begins to watch. Call Stop to end it.
func Start() *Sampler { return start(thisSystem()) }

func start(sys system) *Sampler {
	s := &Sampler{sys: sys, machine: describe(sys), stop: make(chan struct{})}
	s.began = time.Now()
	s.first = sys.counters()
	s.cpu = cpuWindows{cores: s.machine.shareCores(), opened: s.began, used: s.first.cpu}
	s.gc.begin(sys.gc)
	s.look(s.began)
	s.all.Go(s.sample)
	s.all.Go(s.watch)
	return s
}

// Stop ends the watch and returns what was seen. Calls after the first return
// the same.
func (s *Sampler) Stop() Health {
	s.once.Do(func() {
		close(s.stop)
		s.all.Wait()
		h := s.Health()
		s.mu.Lock()
		s.last = h
		s.mu.Unlock()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// sample looks at everything but the timers until stop is closed.
func (s *Sampler) sample() {
	tick := time.NewTicker(quick)
	defer tick.Stop()
	looked := s.began
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		now := time.Now()
		s.mu.Lock()
		s.gc.look(s.sys.gc)
		s.cpu.look(now, s.sys)
		s.mu.Unlock()
		if now.Sub(looked) >= window {
			s.look(now)
			looked = now
		}
	}
}

// look reads what is in use now and has a limit.
func (s *Sampler) look(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files.look(now, s.sys.openFiles)
	s.ports.look(now, s.sys.openPorts)
}

// watch is the sentinel: it sets a timer again and again, and sees how late it
// rings. A late timer means that the process, or the whole machine, stood still.
func (s *Sampler) watch() {
	timer := time.NewTimer(sentinelEvery)
	defer timer.Stop()
	for {
		set := time.Now()
		timer.Reset(sentinelEvery)
		over := false
		select {
		case <-timer.C:
		case <-s.stop:
			over = true
		}
		late := time.Since(set) - sentinelEvery
		s.mu.Lock()
		s.sentinel.add(late)
		s.mu.Unlock()
		if over {
			return
		}
	}
}

// Health returns what was seen so far.
func (s *Sampler) Health() Health {
	now := time.Now()
	end := s.sys.counters()
	s.look(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.ElapsedS > 0 {
		return s.last
	}
	s.gc.look(s.sys.gc)
	elapsed := now.Sub(s.began)
	of := func(d time.Duration) Reading { return Measured(d.Seconds() / elapsed.Seconds()) }
	h := Health{
		ElapsedS:      elapsed.Seconds(),
		SentinelShare: of(s.sentinel.total),
		SentinelMaxUS: Measured(float64(s.sentinel.max.Microseconds())),
		GCPauseShare:  of(s.gc.long),
		GCPauseMaxUS:  Measured(float64(s.gc.max.Microseconds())),
		GCCycles:      Measured(float64(s.gc.cycles)),
		RSSPeakBytes:  s.sys.rssPeak(),
		Machine:       s.machine,
		FilesPeak:     s.files.most,
		FilesLimit:    s.machine.FilesLimit,
		FilesShare:    s.files.most.over(s.machine.FilesLimit),
		PortsPeak:     s.ports.most,
		PortsLimit:    s.machine.PortsLimit,
		PortsShare:    s.ports.most.over(s.machine.PortsLimit),
	}
	if end.cpuRead && s.first.cpuRead {
		s.cpu.tell(now, end.cpu, s.first.cpu, elapsed, &h)
	}
	end.since(s.first, elapsed, &h)
	return h
}

// over returns r ÷ limit.
func (r Reading) over(limit Reading) Reading {
	if !r.Measured || !limit.Measured || limit.Value <= 0 {
		return Reading{}
	}
	return Measured(r.Value / limit.Value)
}

// lateness sums up how late the sentinel's timers rang.
type lateness struct{ total, max time.Duration }

func (l *lateness) add(late time.Duration) {
	if late > sentinelLate {
		l.total += late
	}
	l.max = max(l.max, late)
}

// pauses sums up the pauses of the garbage collector.
type pauses struct {
	stats     debug.GCStats
	seen      int64
	cycles    int64
	long, max time.Duration
}

func (p *pauses) begin(read func(*debug.GCStats)) {
	read(&p.stats)
	p.seen = p.stats.NumGC
}

// look takes in the pauses since the last look. The runtime remembers the
// last 256, most recent first: more than ten looks a second can lose.
func (p *pauses) look(read func(*debug.GCStats)) {
	read(&p.stats)
	fresh := p.stats.NumGC - p.seen
	p.seen = p.stats.NumGC
	p.cycles += fresh
	for _, d := range p.stats.Pause[:min(fresh, int64(len(p.stats.Pause)))] {
		if d > longPause {
			p.long += d
		}
		p.max = max(p.max, d)
	}
}

// cpuWindows keeps the CPU shares of windows of one second.
type cpuWindows struct {
	cores        float64
	opened       time.Time     // start of the window under way
	used         time.Duration // CPU used before it
	whole        time.Duration // length of all windows that are over
	above85      time.Duration
	above97      time.Duration
	peak         float64
	anyWindowEnd bool
}

func (c *cpuWindows) look(now time.Time, sys system) {
	if now.Sub(c.opened) < window {
		return
	}
	if used, ok := sys.cpu(); ok {
		c.close(now, used)
	}
}

// close ends the window under way. Under starvation a window may come out
// longer than a second; it counts by its length.
func (c *cpuWindows) close(now time.Time, used time.Duration) {
	length := now.Sub(c.opened)
	if length <= 0 || c.cores <= 0 {
		return
	}
	share := (used - c.used).Seconds() / length.Seconds() / c.cores
	c.whole += length
	if share > highShare {
		c.above85 += length
	}
	if share > fullShare {
		c.above97 += length
	}
	c.peak = max(c.peak, share)
	c.opened, c.used, c.anyWindowEnd = now, used, true
}

// tell writes down the shares, with the window under way taken as it is: it
// counts by its length, but is no peak unless it is the only one.
func (c *cpuWindows) tell(now time.Time, used, before, elapsed time.Duration, h *Health) {
	if c.cores <= 0 || elapsed <= 0 || used < before {
		return
	}
	rest := *c
	rest.close(now, used)
	h.CPUS = Measured((used - before).Seconds())
	h.CPUCores = Measured(c.cores)
	h.CPUShare = Measured(h.CPUS.Value / elapsed.Seconds() / c.cores)
	h.CPUAbove85Share = Measured(rest.above85.Seconds() / rest.whole.Seconds())
	h.CPUAbove97Share = Measured(rest.above97.Seconds() / rest.whole.Seconds())
	h.CPUPeakShare = Measured(c.peak)
	if !c.anyWindowEnd {
		h.CPUPeakShare = Measured(rest.peak)
	}
}

// peak keeps the most that was seen of something in use.
type peak struct {
	most Reading
	next time.Time // not looked at before
}

func (p *peak) look(now time.Time, read func() Reading) {
	if now.Before(p.next) {
		return
	}
	began := time.Now()
	r := read()
	p.next = now.Add(thrift * time.Since(began))
	if r.Measured && (!p.most.Measured || r.Value > p.most.Value) {
		p.most = r
	}
}

// counters are numbers that only grow; what counts is their growth.
type counters struct {
	cpu       time.Duration
	cpuRead   bool
	runDelay  map[string]time.Duration // by thread; nil: not measured
	runTime   map[string]time.Duration
	throttled throttling
	stat      cpuTimes
	pressure  Reading // µs
	ready     *metrics.Float64Histogram
}

// since writes down the growth from an earlier time to now.
func (c counters) since(earlier counters, elapsed time.Duration, h *Health) {
	if c.runDelay != nil && earlier.runDelay != nil {
		wait, run := growth(earlier.runDelay, c.runDelay), growth(earlier.runTime, c.runTime)
		if wait+run > 0 {
			h.CPUWaitShare = Measured(float64(wait) / float64(wait+run))
		}
	}
	if c.throttled.measured && earlier.throttled.measured {
		d := c.throttled.minus(earlier.throttled)
		h.ThrottledS = Measured(d.time.Seconds())
		h.ThrottledShare = Measured(min(1, d.stalled().Seconds()/elapsed.Seconds()))
	}
	if all := c.stat.total - earlier.stat.total; c.stat.total > 0 && earlier.stat.total > 0 && all > 0 {
		h.MachineBusyShare = Measured(1 - max(0, c.stat.idle-earlier.stat.idle)/all)
		h.MachineStealShare = Measured(max(0, c.stat.steal-earlier.stat.steal) / all)
	}
	if c.pressure.Measured && earlier.pressure.Measured {
		us := c.pressure.Value - earlier.pressure.Value
		h.MachinePressureShare = Measured(min(1, us/float64(elapsed.Microseconds())))
	}
	h.GoroutineWaitP99US = quantileUS(earlier.ready, c.ready, 0.99)
}

// growth sums how much the counters of all threads grew. A thread that is new
// has grown from nothing; one that has ended is forgotten, which is rare in Go.
func growth(from, to map[string]time.Duration) time.Duration {
	var sum time.Duration
	for thread, now := range to {
		before := from[thread]
		if before > now { // another thread got the number
			before = 0
		}
		sum += now - before
	}
	return sum
}

// quantileUS returns the quantile q of what came into a histogram of seconds
// between two readings: the upper end of its bucket, in µs.
func quantileUS(from, to *metrics.Float64Histogram, q float64) Reading {
	if from == nil || to == nil || len(from.Counts) != len(to.Counts) {
		return Reading{}
	}
	var total uint64
	for i := range to.Counts {
		total += to.Counts[i] - from.Counts[i]
	}
	if total == 0 {
		return Reading{}
	}
	rank := uint64(math.Ceil(q * float64(total)))
	for i := range to.Counts {
		n := to.Counts[i] - from.Counts[i]
		if n < rank {
			rank -= n
			continue
		}
		if end := to.Buckets[i+1]; !math.IsInf(end, 1) {
			return Measured(end * 1e6)
		}
		return Measured(to.Buckets[i] * 1e6)
	}
	return Reading{}
}

// A system is what a Sampler looks at.
type system struct {
	root   fs.FS                        // of the file system, for /proc and /sys
	cpu    func() (time.Duration, bool) // user and system time of this process
	nofile func() Reading               // soft limit of file descriptors
	maxRSS func() Reading               // bytes, where /proc does not say
	gc     func(*debug.GCStats)
	ready  func() *metrics.Float64Histogram
}
