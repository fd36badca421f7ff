package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"volley/engine"
	"volley/engine/record"
	"volley/engine/self"
)

// Evidence is what the verdict on a measurement is based on. What was not
// measured is not judged: its zero value is a valid run.
type Evidence struct {
	Results       self.Reading // invocations and iterations that came to an end of their own, those of the warm-up not counted
	LatenessP99US self.Reading // of iterations
	ServiceP50US  self.Reading // of all invocations
	Due, Sent     int64        // iterations, those of the warm-up not counted
	FullShare     self.Reading // of the active time, with all of max_in_flight in use
	Burst         self.Reading // the busiest 100 ms against the rate asked for

	CPUShare       self.Reading // own CPU against what we may use
	ThrottledShare self.Reading // of the time: stopped by the cgroup's quota
	GCPauseShare   self.Reading // of the time: in pauses of over 10 ms
	SentinelShare  self.Reading // of the time: by which timers were over 20 ms late

	FilesShare self.Reading // file descriptors: the peak against the limit
	PortsShare self.Reading // local ports: the peak against the range
	NoFiles    int64        // attempts that failed because no descriptor was left
	NoPorts    int64        // and because no local port was

	// What explains the signals above, and is not judged itself.
	CPUWaitShare      self.Reading // of the time that our threads wanted a core: in the queue
	MachineBusyShare  self.Reading
	MachineStealShare self.Reading
}

// Gather makes evidence of a run's numbers: how far it came, what its
// generator was like, and what was recorded. Attempts that failed for lack of
// descriptors or ports are for the caller to add.
func Gather(t engine.Tally, h self.Health, v record.View) Evidence {
	e := Evidence{
		Due: t.Due, Sent: t.Sent,
		CPUShare: h.CPUShare, ThrottledShare: h.ThrottledShare, GCPauseShare: h.GCPauseShare, SentinelShare: h.SentinelShare,
		FilesShare: h.FilesShare, PortsShare: h.PortsShare,
		CPUWaitShare: h.CPUWaitShare, MachineBusyShare: h.MachineBusyShare, MachineStealShare: h.MachineStealShare,
	}
	ended := v.Hist("", record.All, record.Response).Count() + v.Hist("", record.All, record.Iteration).Count()
	e.Results = self.Measured(float64(ended))
	if late := v.Hist("", record.All, record.Lateness); late.Count() > 0 {
		e.LatenessP99US = self.Measured(float64(late.Quantile(0.99)))
	}
	if service := v.Hist("", record.All, record.Service); service.Count() > 0 {
		e.ServiceP50US = self.Measured(float64(service.Quantile(0.5)))
	}
	if t.Active > 0 {
		e.FullShare = self.Measured(t.Full.Seconds() / t.Active.Seconds())
	}
	if t.Burst > 0 {
		e.Burst = self.Measured(t.Burst)
	}
	return e
}

// A Level is how far a measurement can be trusted.
type Level uint8

// The levels.
const (
	Valid Level = iota
	Degraded
	Invalid
)

// String returns the level as it stands in report.json.
func (l Level) String() string {
	if int(l) < 3 {
		return [...]string{"valid", "degraded", "invalid"}[l]
	}
	return fmt.Sprintf("level(%d)", uint8(l))
}

// A Verdict says how far a measurement can be trusted, and why no further.
type Verdict struct {
	Level   Level
	Reasons []Reason // worst first; none for a valid run
}

// A Reason is one signal that is past a limit.
type Reason struct {
	Signal string  // such as lateness_p99_us, with its unit
	Value  float64 // what was measured
	Limit  float64 // the limit it is past
	Level  Level
	Text   string // one line of at most 76 columns: signal, value and limit
	Hint   string // what it probably comes from, and what to do
	beyond float64
}

// Validity returns the verdict as it stands in report.json. A hint that several
// reasons share stands with the first of them.
func (v Verdict) Validity() record.Validity {
	reasons := make([]string, 0, len(v.Reasons))
	given := map[string]bool{}
	for _, r := range v.Reasons {
		text := r.Text
		if !given[r.Hint] {
			text += "; " + r.Hint
		}
		given[r.Hint] = true
		reasons = append(reasons, text)
	}
	return record.Validity{Verdict: v.Level.String(), Reasons: reasons}
}

// Limits of lateness: the larger of a time and of a share of the median
// service time.
const (
	latenessUS    = 2000
	latenessShare = 0.05
)

// Judge applies the table of DESIGN.md 3. Limits themselves are still good.
func Judge(e Evidence) Verdict {
	var v Verdict
	add := func(r Reason) {
		if r.Level > Valid {
			v.Reasons = append(v.Reasons, r)
			v.Level = max(v.Level, r.Level)
		}
	}
	if e.Results.Measured && e.Results.Value == 0 {
		add(e.nothing())
	}
	unit := max(latenessUS, latenessShare*e.ServiceP50US.Value)
	add(above(e.LatenessP99US, unit, 10*unit, "lateness_p99_us", "lateness p99 is %s, above %s", duration, e.why("requests went out late: lower the load, or use a faster machine")))
	if e.Due > 0 {
		add(e.sent())
	}
	add(above(e.FullShare, 0.01, 0.20, "max_in_flight_share", "all of max_in_flight was in use %s of the time, above %s", share, e.why("replies came too slowly for it: raise max_in_flight, or lower the rate")))
	add(above(e.Burst, 1.5, 3, "burst", "the busiest 100 ms had %s the rate asked for, above %s", times, e.why("requests bunched up: lower the load, or use a faster machine")))
	add(above(e.CPUShare, 0.85, 0.97, "cpu_share", "volley used %s of the CPU that it may use, above %s", share, "lower the load, or use more cores or a higher quota"))
	add(above(e.ThrottledShare, 0.01, 0.10, "cgroup_throttled_share", "the cgroup's CPU quota stopped volley %s of the time, above %s", share, "raise the CPU quota, or lower the load"))
	add(above(e.GCPauseShare, 0.01, 0.10, "gc_pause_over_10ms_share", "Go's garbage collector paused volley %s of the time, above %s", share, e.why("use more cores, or fewer and smaller bodies")))
	add(above(e.SentinelShare, 0.01, 0.10, "timer_over_20ms_share", "timers rang over 20 ms late for %s of the time, above %s", share, e.why("the machine stood still: look for suspended or overbooked VMs")))
	add(ranOut(e.FilesShare, e.NoFiles, "files_share", "file descriptors", "raise the limit (ulimit -n), or lower max_in_flight"))
	add(ranOut(e.PortsShare, e.NoPorts, "local_ports_share", "local ports", "turn keep_alive on, widen the range of local ports, or use more machines"))
	slices.SortStableFunc(v.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), cmp.Compare(b.beyond, a.beyond))
	})
	return v
}

// above judges a reading that should stay low.
func above(r self.Reading, degraded, invalid float64, signal, text string, format func(value, limit float64) (string, string), hint string) Reason {
	if !r.Measured || r.Value <= degraded {
		return Reason{}
	}
	out := Reason{Signal: signal, Value: r.Value, Limit: degraded, Level: Degraded, Hint: hint}
	if r.Value > invalid {
		out.Limit, out.Level = invalid, Invalid
	}
	value, limit := format(out.Value, out.Limit)
	out.Text, out.beyond = fmt.Sprintf(text, value, limit), out.Value/out.Limit
	return out
}

// nothing says why there is nothing to judge.
func (e Evidence) nothing() Reason {
	hint := "nothing came to be due: the run was ended before, the load lasts no longer than its warm-up, or data has no rows"
	if e.Due > 0 {
		hint = "the run ended before the first reply: let it last longer than a reply takes"
	}
	return Reason{Signal: "results", Limit: 1, Level: Invalid, Text: "nothing was measured: no invocation came to its end", Hint: hint, beyond: math.Inf(1)}
}

// sent judges how much of the load was sent at all.
func (e Evidence) sent() Reason {
	const degraded, invalid = 0.999, 0.99
	part := float64(e.Sent) / float64(e.Due)
	if part >= degraded {
		return Reason{}
	}
	hint := "raise max_in_flight, or lower the rate"
	r := Reason{Signal: "sent_share", Value: part, Limit: degraded, Level: Degraded, Hint: e.why(hint)}
	if part < invalid {
		r.Limit, r.Level = invalid, Invalid
	}
	value, limit := share(part, r.Limit)
	r.Text = fmt.Sprintf("only %s of the iterations due were sent, below %s", value, limit)
	r.beyond = (1 - part) / (1 - r.Limit)
	return r
}

// ranOut judges what has a hard limit.
func ranOut(r self.Reading, failed int64, signal, what, hint string) Reason {
	const degraded, gone = 0.80, 1.0
	if failed > 0 || r.Measured && r.Value >= gone {
		out := Reason{Signal: signal, Value: max(r.Value, gone), Limit: gone, Level: Invalid, Hint: hint, beyond: math.Inf(1)}
		out.Text = fmt.Sprintf("%s ran out", what)
		if failed > 0 {
			out.Text += fmt.Sprintf("; attempts that failed for it: %d", failed)
		}
		return out
	}
	return above(r, degraded, gone, signal, "%s of the "+what+" were in use, above %s", share, hint)
}

// why says what a symptom comes from when other signals tell; else it returns
// the hint.
func (e Evidence) why(hint string) string {
	switch {
	case e.ThrottledShare.Value > 0.01:
		return "the cgroup's CPU quota is too small: raise it, or lower the load"
	case e.CPUShare.Value > 0.85:
		return "volley's CPU is used up: lower the load, or use more cores"
	case e.MachineStealShare.Value > 0.05:
		return "the host of this VM gave its CPU to others: use a larger or another VM"
	case e.CPUWaitShare.Value > 0.20 && e.MachineBusyShare.Value > 0.90:
		return "other programs on this machine take the CPU: stop them, or run volley elsewhere"
	}
	return hint
}

// share writes shares in per cent, with as many digits as it takes to tell
// the value from the limit.
func share(value, limit float64) (string, string) {
	l := percent(limit)
	for digits := 1; ; digits++ {
		v := strconv.FormatFloat(value*100, 'f', digits, 64)
		if f, _ := strconv.ParseFloat(v, 64); digits == 6 || (f > limit*100) == (value > limit) && (f < limit*100) == (value < limit) {
			return v + "%", l
		}
	}
}

// times writes multiples, likewise.
func times(value, limit float64) (string, string) {
	l := strconv.FormatFloat(limit, 'f', -1, 64)
	for digits := 1; ; digits++ {
		v := strconv.FormatFloat(value, 'f', digits, 64)
		if f, _ := strconv.ParseFloat(v, 64); digits == 6 || f > limit {
			return v + "×", l + "×"
		}
	}
}

// duration writes times in µs with three digits, or as many as it takes.
func duration(value, limit float64) (string, string) {
	v, l := time.Duration(value)*time.Microsecond, time.Duration(limit)*time.Microsecond
	for leading := 3; ; leading++ {
		a, b := rounded(v, leading), rounded(l, leading)
		if a > b || leading == 9 {
			return a.String(), b.String()
		}
	}
}

// rounded returns d with so many leading digits, but no finer than µs.
func rounded(d time.Duration, leading int) time.Duration {
	unit := time.Microsecond
	for d/unit >= time.Duration(math.Pow10(leading)) {
		unit *= 10
	}
	return d.Round(unit)
}

// Void returns the rows of a run that was not valid: on an invalid one no
// threshold passes.
func (v Verdict) Void(rows []record.Threshold) []record.Threshold {
	rows = slices.Clone(rows)
	if v.Level == Invalid {
		for i := range rows {
			rows[i].OK = false
		}
	}
	return rows
}
