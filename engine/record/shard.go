package record

import (
	"math"
	"sync"
	"time"

	"volley/engine"
)

// overRange marks a time above MaxUS.
const overRange = math.MaxUint32

// micros returns d in µs, rounded to the nearest, as a sample keeps it.
func micros(d time.Duration) uint32 {
	us := (d + 500*time.Nanosecond) / time.Microsecond
	if us > MaxUS {
		return overRange
	}
	return uint32(max(0, us))
}

// us returns d in µs, rounded to the nearest.
func us(d time.Duration) int64 {
	if d < 0 {
		return -us(-d)
	}
	return int64((d + 500*time.Nanosecond) / time.Microsecond)
}

// A sample is a result made small.
type sample struct {
	have     uint32             // which times were measured, a bit for each
	times    [numSampled]uint32 // µs
	bytesOut int64
	bytesIn  int64
	owner    int32 // series, group or run; see shape
	status   int32
	kind     sampleKind
	class    Class // Success or Failure; All where it is in neither
	outcome  engine.Outcome
	warmup   bool
	single   bool  // an attempt of a step that retries, beside its invocation
	renewed  bool  // a token was renewed for it
	unsent   bool  // an invocation of which nothing could be sent
	fresh    bool  // attempts on new connections
	reused   bool  // attempts on used ones
	members  int32 // of a group
	wire     int32 // most of a group on the wire at once
	asked    int32 // members of a group to be fired at once
	server   serverSample
}

type sampleKind uint8

const (
	ofInvocation sampleKind = iota // or an attempt
	ofGroup
	ofIteration
)

func newSample(kind sampleKind, owner int, warmup bool) sample {
	return sample{kind: kind, owner: int32(owner), warmup: warmup}
}

func (s *sample) set(m Measure, d time.Duration) {
	s.times[m] = micros(d)
	s.have |= 1 << m
}

func (s *sample) has(m Measure) bool { return s.have&(1<<m) != 0 }

// classOf returns which times a result of that outcome belongs to.
func classOf(o engine.Outcome) Class {
	switch {
	case o == engine.OK:
		return Success
	case o.Failed():
		return Failure
	}
	return All
}

// A shard is what some callers write to: counts and lists of times that the
// collector takes away several times a second. It implements engine.Recorder.
type shard struct {
	r          *Recorder
	mu         sync.Mutex
	main, warm *gather
	known      map[instanceKey]struct{} // instances, so that each is handed on once
}

// put adds a sample. A list that is half full wakes the collector; one that is
// full is taken away by who wants to write, so that memory is bounded and
// nothing is lost.
func (s *shard) put(v *sample) {
	s.mu.Lock()
	g := s.main
	if v.warmup {
		g = s.warm
		v.atWarmup()
	}
	for g.longest >= shardCapacity {
		s.mu.Unlock()
		s.r.relieve(s)
		s.mu.Lock()
		if g = s.main; v.warmup {
			g = s.warm
		}
	}
	was := g.longest
	g.take(v)
	if v.server.instance != 0 {
		s.sight(g, v)
	}
	half := was < shardCapacity/2 && g.longest >= shardCapacity/2
	s.mu.Unlock()
	if half {
		s.r.nudge()
	}
}

// Invocation records an invocation and its attempts.
func (s *shard) Invocation(r *engine.Result) {
	i := r.Invocation
	retries := i.Step.Attempts >= 0
	v := newSample(ofInvocation, i.Step.Series, i.Warmup)
	v.unsent = len(r.Attempts) == 0
	v.outcome, v.status, v.class = r.Reply.Outcome, int32(r.Reply.Status), classOf(r.Reply.Outcome)
	if v.class != All {
		v.set(Response, r.Response())
		if len(r.Attempts) > 0 {
			v.set(Service, r.Service())
		}
		if r.Held > 0 {
			v.set(Held, r.Held)
		}
	}
	v.renewed = r.Renewed
	if !retries {
		s.server(&v, r)
	}
	for n := range r.Attempts {
		a := &r.Attempts[n]
		v.bytesOut += a.BytesOut
		v.bytesIn += a.BytesIn
		if !retries {
			v.attempt(a)
		}
	}
	if !retries {
		s.put(&v)
	} else {
		s.putAttempts(&v, r)
	}
	if v.class == Failure {
		s.r.cold.failed(r)
	}
	if v.class != All {
		s.r.cold.slow(r)
	}
}

func (s *shard) putAttempts(v *sample, r *engine.Result) {
	s.put(v)
	for n := range r.Attempts {
		a := &r.Attempts[n]
		t := newSample(ofInvocation, r.Invocation.Step.Attempts, v.warmup)
		t.single = true
		t.outcome, t.status, t.class = a.Outcome, int32(a.Status), classOf(a.Outcome)
		t.bytesOut, t.bytesIn = a.BytesOut, a.BytesIn
		if t.class != All {
			t.set(Response, a.End-a.Due)
			t.set(Service, a.End-a.Start)
			if a.Held > 0 {
				t.set(Held, a.Held)
			}
		}
		if n == len(r.Attempts)-1 {
			s.server(&t, r)
		} else {
			t.server.billed(a.Outcome, 0, 0, false, a.End-a.Start)
		}
		t.attempt(a)
		s.put(&t)
	}
}

// attempt adds the phases of an attempt. A phase less than 0 did not happen.
func (s *sample) attempt(a *engine.Attempt) {
	s.reused, s.fresh = a.Reused, !a.Reused
	if s.class == All {
		return
	}
	p := &a.Phases
	for m, d := range [...]time.Duration{p.DNS, p.Connect, p.TLS, p.Send, p.FirstByte, p.Receive, p.Preflight} {
		if d >= 0 {
			s.set(DNS+Measure(m), d)
		}
	}
}

// Group records a group.
func (s *shard) Group(r *engine.GroupResult) {
	g := newSample(ofGroup, s.r.shape.group(r.Group.Index), r.Warmup)
	g.class = Failure
	if r.OK {
		g.class = Success
	}
	g.set(First, r.First-r.Due)
	g.set(Settle, r.Settled-r.Due)
	g.set(Makespan, r.Last-r.Due)
	if r.Median > 0 && r.Members > 1 {
		g.set(Straggler, time.Duration(1000*float64(r.Last-r.Due)/float64(r.Median))*time.Microsecond)
	}
	asked := r.Members
	if r.Group.Limit > 0 {
		asked = min(asked, r.Group.Limit)
	}
	g.members, g.wire, g.asked = int32(r.Members), int32(r.OnTheWire), int32(asked)
	s.put(&g)
}

// Iteration records an iteration.
func (s *shard) Iteration(r *engine.IterationResult) {
	i := newSample(ofIteration, s.r.shape.run(), r.Warmup)
	i.class = Success
	if r.Failed {
		i.class = Failure
	}
	// A late generator also makes iterations that are cut short late.
	i.set(Lateness, r.Lateness)
	if r.Canceled {
		i.outcome = engine.Canceled
	} else {
		i.set(Iteration, r.End-r.Due)
	}
	s.put(&i)
	if r.Err != nil && !r.Warmup {
		s.r.cold.expression(r.Err)
	}
}

// atWarmup leaves of a sample what is kept of the warm-up.
func (s *sample) atWarmup() {
	s.have &= 1<<Response | 1<<Service
	s.server = serverSample{bill: s.server.bill, basis: s.server.basis, maybe: s.server.maybe}
}
