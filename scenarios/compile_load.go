package scenarios

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"volley/engine/pace"
)

const (
	defaultMaxInFlight  = 1000
	defaultGracefulStop = 30 * time.Second

	// forever is the length of runs that end by a count. It leaves room for sums.
	forever = 20 * 365 * 24 * time.Hour

	maxReplay = 10_000_000 // recorded arrivals
)

// compileLoad checks the load section and makes the plan's load of it.
func (c *compiler) compileLoad() {
	l := c.scenario.Load
	p := &c.plan.Load
	if l == nil {
		p.MaxInFlight, p.GracefulStop = defaultMaxInFlight, defaultGracefulStop
		if !c.opts.NoLoad {
			c.fail("load", "add load: {rate: 10/s, for: 30s}, or use --rate 10/s --for 30s", "nothing says what to fire")
		}
		return
	}
	c.common(l)
	var models []string
	for _, m := range [...]struct {
		name  string
		given bool
	}{{"rate", l.Rate != nil}, {"workers", l.Workers != nil}, {"stages", c.has("load.stages")}, {"replay", c.has("load.replay")}} {
		if m.given {
			models = append(models, m.name)
		}
	}
	if len(models) > 1 {
		c.fail("load."+models[1], "keep one of the two", "%s and %s both say what to fire", models[0], models[1])
		return
	}
	if len(models) == 0 && c.opts.NoLoad {
		return // its limits hold for whatever is done instead
	}
	if len(models) == 0 {
		c.fail("load", "add rate: 10/s (open), or workers: 10 (closed)", "nothing says what to fire")
		return
	}
	switch models[0] {
	case "rate":
		c.constant(l)
	case "workers":
		c.crowd(l)
	case "stages":
		c.stages(l)
	case "replay":
		c.replay(l)
	}
	p.Warmup = time.Duration(l.Warmup)
}

// common checks what all loads have, and puts the defaults in place.
func (c *compiler) common(l *LoadSection) {
	p := &c.plan.Load
	if l.Iterations != nil {
		if *l.Iterations > MaxIterations {
			c.fail("load.iterations", "write a smaller number", "%d is above %d", *l.Iterations, int64(MaxIterations))
		}
		p.Iterations = *l.Iterations
	}
	if l.For != nil && *l.For <= 0 {
		c.fail("load.for", "write a duration such as 30s", "%s is no time", quote(c.nodes["load.for"].text))
	}
	if l.GracefulStop == nil {
		stop := Duration(defaultGracefulStop)
		l.GracefulStop = &stop
	}
	p.GracefulStop = time.Duration(*l.GracefulStop)
	if l.MaxRate != nil {
		p.MaxRate = float64(*l.MaxRate)
		c.positive("load.max_rate", *l.MaxRate)
	}
	if l.Warmup > 0 && c.scenario.Data != nil && c.scenario.Data.Order == "once" {
		c.fail("load.warmup", "delete warmup, or use data.order: cycle", "with data.order: once, the warm-up would use up rows that are then missing")
	}
	if instead := c.closed(l); instead != "" {
		for _, key := range [...]string{"arrivals", "max_in_flight", "when_busy"} {
			if c.has("load." + key) {
				c.fail("load."+key, "delete "+key+", or "+instead, "%s has no meaning in a closed run: each worker waits for its own iteration", key)
			}
		}
		p.MaxInFlight = 1
		return
	}
	if l.MaxInFlight == 0 {
		l.MaxInFlight = defaultMaxInFlight
	}
	p.MaxInFlight = l.MaxInFlight
	l.WhenBusy = c.orDefault(l.WhenBusy, "drop")
	p.WaitWhenBusy = l.WhenBusy == "wait"
	if l.Replay == "" {
		l.Arrivals = c.orDefault(l.Arrivals, "even")
	}
}

// closed says how to make an open load of a closed one; "" for an open one.
func (c *compiler) closed(l *LoadSection) string {
	switch {
	case l.Workers != nil:
		return "use rate instead of workers"
	case len(l.Stages) > 0 && c.ofWorkers(l.Stages):
		return "write rates such as 50/s in the stages"
	}
	return ""
}

// ofWorkers reports whether stages are numbers of workers, and checks that they
// are all of one kind.
func (c *compiler) ofWorkers(stages []Stage) bool {
	var first *Level
	firstPath := ""
	for i, st := range stages {
		for _, end := range [...]struct {
			key   string
			level *Level
		}{{"to", st.To}, {"at", st.At}} {
			path := join(index("load.stages", i), end.key)
			switch level := end.level; {
			case level == nil || *level == (Level{}): // left out, or wrong in itself
			case first == nil:
				first, firstPath = level, path
			case (first.Rate == nil) != (level.Rate == nil):
				fix := "write all levels as rates such as 50/s (open), or all as numbers of workers such as 50 (closed)"
				c.fail(path, fix, "%s is %s, and %s (%s) is %s", level, level.kind(), firstPath, first, first.kind())
				return false
			}
		}
	}
	return first != nil && first.Workers != nil
}

func (c *compiler) positive(path string, r Rate) bool {
	if r > 0 {
		return true
	}
	c.fail(path, "write a rate above 0, such as 200/s", "a rate of %s fires nothing", r)
	return false
}

// rowsEnd reports whether the run ends when the rows do.
func (c *compiler) rowsEnd() bool { return c.scenario.Data != nil && c.scenario.Data.Order == "once" }

// constant makes an open run at one rate.
func (c *compiler) constant(l *LoadSection) {
	rate := float64(*l.Rate)
	if !c.positive("load.rate", *l.Rate) {
		return
	}
	var length time.Duration
	switch {
	case l.For != nil:
		length = time.Duration(*l.For)
	case l.Iterations != nil:
		// Exactly so many even arrivals; random ones are ended by their count.
		length = seconds(float64(*l.Iterations) / rate)
		if l.Arrivals == "poisson" {
			length = min(forever, 2*length+time.Hour)
		}
	case c.rowsEnd():
		length = forever
	default:
		c.fail("load", "add for: 30s, or iterations: 1000", "nothing says when to end")
		return
	}
	c.open(l, pace.Constant(rate, max(length, 1)))
}

// seconds is a duration of that many seconds, as far as one reaches.
func seconds(s float64) time.Duration {
	if s >= forever.Seconds() {
		return forever
	}
	return time.Duration(math.Ceil(s * 1e9))
}

// open makes an open run of a profile, the warm-up before it.
func (c *compiler) open(l *LoadSection, p pace.Profile) {
	c.plan.Load.Level = p
	arrive := func(p pace.Profile, _ uint64) pace.Arrivals { return pace.Even(p) }
	if l.Arrivals == "poisson" {
		arrive = pace.Poisson
	}
	seed, warm := c.plan.Seed, time.Duration(l.Warmup)
	before := pace.Constant(firstLevel(p), warm)
	c.plan.Load.Arrivals = func() pace.Arrivals {
		if warm <= 0 {
			return arrive(p, seed)
		}
		return pace.Then(arrive(before, ^seed), warm, arrive(p, seed))
	}
}

// firstLevel is the first level of a profile that is not 0: what a warm-up
// fires at.
func firstLevel(p pace.Profile) float64 {
	for _, s := range p {
		if s.From > 0 {
			return s.From
		}
		if s.To > 0 {
			return s.To
		}
	}
	return 0
}

// crowd makes a closed run.
func (c *compiler) crowd(l *LoadSection) {
	if *l.Workers > MaxWorkers || *l.Workers < 1 {
		c.fail("load.workers", fmt.Sprintf("write a number from 1 to %d", MaxWorkers), "%d workers are too many or too few", *l.Workers)
		return
	}
	length := time.Duration(forever)
	switch {
	case l.For != nil:
		length = time.Duration(*l.For)
	case l.Iterations == nil && !c.rowsEnd():
		c.fail("load", "add for: 30s, or iterations: 1000", "nothing says when to end")
		return
	}
	c.plan.Load.Crowd = pace.Constant(float64(*l.Workers), max(length, 1))
}

// stages makes a run of stages: open if they are rates, else closed.
func (c *compiler) stages(l *LoadSection) {
	if l.For != nil {
		c.fail("load.for", "delete it: each stage has a for of its own", "stages say how long the run is")
	}
	var p pace.Profile
	level, total := 0.0, time.Duration(0)
	for i, st := range l.Stages {
		path := index("load.stages", i)
		if (st.To == nil) == (st.At == nil) {
			c.fail(path, "write {to: 200/s, for: 30s} for a ramp, or {at: 200/s, for: 2m} to hold", "a stage has either to or at")
			continue
		}
		if st.For <= 0 {
			c.fail(join(path, "for"), "write a duration such as 30s", "the stage takes no time")
			continue
		}
		if total += time.Duration(st.For); total > MaxDuration {
			c.fail(path, "make the stages shorter", "the stages take more than %s together", shortDuration(MaxDuration))
			return
		}
		stage := pace.Stage{From: level, For: time.Duration(st.For)}
		if st.To != nil {
			stage.To = st.To.number()
		} else {
			stage.From, stage.To = st.At.number(), st.At.number()
		}
		level = stage.To
		p = append(p, stage)
	}
	closed := c.ofWorkers(l.Stages)
	switch {
	case len(p) == 0:
	case p.Peak() <= 0 && closed:
		c.fail("load.stages", "give one of them a worker or more", "no stage has any workers")
	case p.Peak() <= 0:
		c.fail("load.stages", "give one of them a rate above 0", "no stage fires anything")
	case closed:
		c.plan.Load.Crowd = manned(p, time.Duration(l.Warmup))
	default:
		c.open(l, p)
	}
}

// manned gives the callers of a warm-up to a crowd that begins with none. A
// warm-up is fired by the crowd's very first level, so the first aim stands
// there for a nanosecond, at the cost of what comes after it.
func manned(p pace.Profile, warmup time.Duration) pace.Profile {
	if warmup <= 0 || p[0].From > 0 {
		return p
	}
	p[0].For = max(1, p[0].For-1)
	return slices.Concat(pace.Constant(firstLevel(p), 1), p)
}

// replay makes an open run of recorded arrivals.
func (c *compiler) replay(l *LoadSection) {
	for _, key := range [...]string{"for", "arrivals"} {
		if c.has("load." + key) {
			c.fail("load."+key, "delete "+key, "the recording says when iterations are due")
		}
	}
	at, ok := c.readReplay(l.Replay)
	if !ok {
		return
	}
	warm := time.Duration(l.Warmup)
	c.plan.Load.Arrivals = func() pace.Arrivals {
		if warm <= 0 {
			return pace.Replay(at)
		}
		// A warm-up at the recording's mean rate, evenly: what was recorded is all measured.
		length := max(at[len(at)-1], time.Second)
		mean := float64(len(at)) / length.Seconds()
		return pace.Then(pace.Even(pace.Constant(mean, warm)), warm, pace.Replay(at))
	}
}

// readReplay reads recorded arrivals: a time at the start of each line,
// followed by anything after a comma. A first line that is no time is a header.
func (c *compiler) readReplay(name string) ([]time.Duration, bool) {
	const path = "load.replay"
	f, err := os.Open(c.inDir(name))
	if err != nil {
		c.fail(path, "check the name; it is relative to the folder of the scenario", "%s cannot be read: %v", quote(name), plainErr(err))
		return nil, false
	}
	defer f.Close()
	var at []time.Duration
	var first time.Time // of timestamps
	bad := func(line int, text, what string) ([]time.Duration, bool) {
		c.fail(path, "write a time at the start of each line: 1.25 (seconds), 1250ms, or 2026-01-31T12:00:00.5Z", "%s:%d: %s %s", name, line, quote(text), what)
		return nil, false
	}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), ",")
		text = strings.Trim(strings.TrimSpace(text), `"`)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		d, stamp, ok := arrivalTime(text)
		switch {
		case !ok && n == 1:
			continue // the header
		case !ok:
			return bad(n, text, "is not a time")
		case !stamp.IsZero() && first.IsZero() && len(at) > 0, stamp.IsZero() && !first.IsZero():
			return bad(n, text, "is a timestamp or a time since the start, and the line before was the other")
		case !stamp.IsZero():
			if first.IsZero() {
				first = stamp
			}
			d = stamp.Sub(first)
		}
		if d < 0 || d > MaxDuration {
			return bad(n, text, "is before the first or more than "+shortDuration(MaxDuration)+" after it")
		}
		if len(at) == maxReplay {
			c.fail(path, "cut the recording", "%s has more than %d arrivals", name, maxReplay)
			return nil, false
		}
		at = append(at, d)
	}
	if err := lines.Err(); err != nil {
		c.fail(path, "is it a text file, with a line for each arrival?", "%s: %v", name, err)
		return nil, false
	}
	if len(at) == 0 {
		c.fail(path, "write a time on each line", "%s has no arrivals in it", quote(name))
		return nil, false
	}
	slices.Sort(at)
	return at, true
}

// arrivalTime reads seconds, a duration, or a timestamp.
func arrivalTime(s string) (d time.Duration, stamp time.Time, ok bool) {
	if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(f) && math.Abs(f) < 1e9 {
		return time.Duration(math.Round(f * 1e9)), stamp, true
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d, stamp, true
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return 0, t, true
	}
	return 0, stamp, false
}

// inDir makes a path of a data file one that can be opened.
func (c *compiler) inDir(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir(), name)
}

// dir is where relative paths start.
func (c *compiler) dir() string {
	switch {
	case c.opts.Dir != "":
		return c.opts.Dir
	case c.file == "-" || c.file == "":
		return "."
	}
	return filepath.Dir(c.file)
}

// index makes the path of a list's item.
func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
