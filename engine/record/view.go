package record

import (
	"fmt"
	"time"

	"volley/engine"
)

// A Measure is a time that is recorded.
type Measure uint8

// The measures. First to Straggler are of groups; Lateness and Iteration are
// of whole iterations; all others are of invocations and attempts.
const (
	Response  Measure = iota // end - due
	Service                  // end - start, summed over the attempts
	Held                     // waits that the scenario asked for; only of those that waited
	First                    // due to the first member's completion
	Settle                   // due to the group's settling
	Makespan                 // due to the last member's completion
	Straggler                // makespan ÷ median member, in thousandths
	Lateness                 // the largest lateness of an iteration's invocations
	Iteration                // due to the last step's settling
	DNS                      // phases: only where they happened
	Connect
	TLS
	Send
	FirstByte
	Receive
	Preflight    // asking for leave, as browsers do; before the service time
	Function     // the function's own time, where the reply tells it (PROTOCOL.md 1.4, 7.3)
	Way          // service - function, of the same attempts
	ColdService  // service of attempts for which an instance was started
	WarmService  // and of those for which none was
	ColdFunction // likewise, the function's own time
	WarmFunction

	numMeasures = int(iota)
	numSampled  = int(Function) + 1 // that samples carry; those after are made of them
)

// String returns the measure's name as it stands in files and thresholds.
func (m Measure) String() string {
	names := [numMeasures]string{"response", "service", "held", "first", "settle", "makespan", "straggler", "lateness",
		"iteration", "dns", "connect", "tls", "send", "first_byte", "receive", "preflight",
		"function", "way", "cold_service", "warm_service", "cold_function", "warm_function"}
	if int(m) < len(names) {
		return names[m]
	}
	return fmt.Sprintf("measure(%d)", uint8(m))
}

// measureOf returns the measure of that name. Function was once called
// upstream, in logs that are still to be read.
func measureOf(name string) (Measure, bool) {
	for m := range Measure(numMeasures) {
		if m.String() == name {
			return m, true
		}
	}
	return Function, name == "upstream"
}

// ofGroups reports whether m is a time of groups.
func (m Measure) ofGroups() bool { return m >= First && m <= Straggler }

// ofRun reports whether m is a time of iterations.
func (m Measure) ofRun() bool { return m == Lateness || m == Iteration }

// ofAttempts reports whether m is a time of single attempts: phases, and what
// replies tell of the function's side.
func (m Measure) ofAttempts() bool { return m >= DNS }

// A Class is a part of the results. Canceled and dropped ones are in none:
// they did not run to an end of their own, so they have no time of their own.
type Class uint8

// The classes.
const (
	All     Class = iota // success and failure
	Success              // outcome ok; groups that were fulfilled; iterations without a failed step
	Failure              // every other outcome but canceled and dropped

	numClasses = int(iota) - 1 // that are stored; All is their sum
)

func (c Class) String() string {
	switch c {
	case All:
		return "all"
	case Success:
		return "ok"
	case Failure:
		return "failed"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Counts says how results came out.
type Counts struct {
	Total    int64 // canceled and dropped ones included
	Outcomes [engine.NumOutcomes]int64

	// Cold and Warm are attempts of which it was told whether an instance had
	// to be started for them.
	Cold, Warm int64

	groups int64 // failed groups, which have no outcome of the list
}

// Failed returns how many failed: every outcome but ok, canceled and dropped;
// of groups, those that settled as rejected.
func (c Counts) Failed() int64 {
	n := c.groups
	for o, count := range c.Outcomes {
		if engine.Outcome(o).Failed() {
			n += count
		}
	}
	return n
}

// A View is what a threshold looks at: the whole run, or a second of it. What
// was due in the warm-up is not in it.
type View interface {
	// Hist returns the times of a step or group in µs; "" is all steps (or, for
	// a measure of groups, all groups) together. Of a group, Response is the
	// time to settle. Attempts of steps that retry are not in it, but for the
	// phases. It is nil when there is no such step or group, or nothing was
	// recorded. The caller may keep and change it.
	Hist(step string, c Class, m Measure) *Hist

	// Counts returns how the results of a step or group came out; "" is all
	// steps together. It is false when there is no such step or group.
	Counts(step string) (Counts, bool)

	// Iterations returns how many iterations were due, and how many of them were
	// dropped. Dropped ones have no invocations, and so are in no Counts.
	Iterations() (due, dropped int64)

	// Active returns the time that rates are counted over: from the end of the
	// warm-up to the end of the last iteration.
	Active() time.Duration
}

// A Second is what was recorded in one second of the run. It does not change
// any more. The last one may be shorter, and one may be longer when the
// machine stood still.
type Second struct {
	Start  time.Duration // since the start of the run
	Length time.Duration
	Tally  engine.Tally // at its end

	before engine.Tally  // at its start
	active time.Duration // of the tally, in this second
	set    *set
	warm   *set
	shape  *shape
}

// Hist implements View for this second alone.
func (s *Second) Hist(step string, c Class, m Measure) *Hist {
	return s.shape.hist([]*set{s.set}, step, c, m)
}

// Counts implements View for this second alone.
func (s *Second) Counts(step string) (Counts, bool) { return s.shape.counts([]*set{s.set}, step) }

// Iterations implements View for this second alone.
func (s *Second) Iterations() (due, dropped int64) {
	return s.Tally.Due - s.before.Due, s.Tally.Dropped - s.before.Dropped
}

// Active implements View for this second alone.
func (s *Second) Active() time.Duration { return s.active }

// Billing returns what of this second may be billed, warm-up included.
func (s *Second) Billing() Billing { return billing(s.set, s.warm) }
