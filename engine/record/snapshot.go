package record

import (
	"maps"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"volley/engine"
)

// A Snapshot is how a run stands, for whoever looks on. It does not change.
// Counts are of invocations. While the warm-up lasts they are of the warm-up;
// with the first result after it they begin again.
type Snapshot struct {
	Elapsed     time.Duration // since the start of the run
	Tally       engine.Tally
	Warmup      bool  // nothing but warm-up so far
	Invocations int64 // results so far
	OK          int64
	Failed      int64
	PerSecond   float64       // results in the last second
	P50, P99    time.Duration // of response, in the seconds that are over; 0 in the first
	Outcomes    [engine.NumOutcomes]int64
	Statuses    map[int]int64 // by HTTP status; -1 for all past the first 64
}

// Snapshot returns how the run stood at most a fifth of a second ago. It never
// waits, and nobody waits for it.
func (r *Recorder) Snapshot() *Snapshot { return r.snap.Load() }

// A live counts for snapshots. Its histogram is dense: there is one for the
// whole run, and it takes the responses of each second.
type live struct {
	hist     *hdr.Histogram
	main     bool // it has left those of the warm-up behind
	counts   Counts
	statuses statuses
	measured bool                 // a result after the warm-up has come
	all      int64                // results, warm-up included
	before   [ticksPerSecond]mark // of the last second, a ring
	next     int
}

type mark struct {
	at  time.Duration
	all int64
}

// take adds what a shard gathered.
func (l *live) take(main, warm *gather) {
	l.add(warm, l.measured)
	if main.set.results() == 0 {
		return
	}
	if !l.measured {
		l.measured, l.counts, l.statuses = true, Counts{}, nil
	}
	l.add(main, false)
}

// add adds the invocations of g; only their number when they come late.
func (l *live) add(g *gather, late bool) {
	for i := range g.set.series {
		if g.shape.series[i].Attempts {
			continue
		}
		c := &g.set.series[i]
		l.all += c.total()
		if late {
			continue
		}
		c.addTo(&l.counts)
		for _, s := range c.statuses {
			l.statuses.add(s.status, s.count)
		}
	}
}

// learn takes the responses of a second that is over.
func (r *Recorder) learn(main, warm *set) {
	l := &r.live
	if main.results() > 0 && !l.main {
		l.main = true
		l.hist.Reset()
	}
	if l.main {
		warm = main
	}
	for i := range r.shape.series {
		if r.shape.series[i].Attempts {
			continue
		}
		for _, class := range []Class{Success, Failure} {
			if h := warm.hists[r.shape.cell(i, Response, class)]; h.Count() > 0 {
				for us, n := range h.storage().ForEachBucket {
					_ = l.hist.RecordValues(min(us, MaxUS), n) // always within range
				}
				r.rest()
			}
		}
	}
}

// results is how many invocations and attempts were counted.
func (s *set) results() int64 {
	var n int64
	for i := range s.series {
		n += s.series[i].total()
	}
	return n
}

// publish makes a new snapshot. Only the collector calls it, five times a
// second.
func (r *Recorder) publish(now time.Duration, t engine.Tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &r.live
	s := &Snapshot{
		Elapsed: now, Tally: t, Warmup: !l.measured,
		Invocations: l.counts.Total, OK: l.counts.Outcomes[engine.OK], Failed: l.counts.Failed(), Outcomes: l.counts.Outcomes,
		P50:      time.Duration(min(l.hist.ValueAtPercentile(50), MaxUS)) * time.Microsecond,
		P99:      time.Duration(min(l.hist.ValueAtPercentile(99), MaxUS)) * time.Microsecond,
		Statuses: maps.Collect(l.statuses.each),
	}
	if old := l.before[l.next]; now > old.at {
		s.PerSecond = float64(l.all-old.all) / (now - old.at).Seconds()
	}
	l.before[l.next] = mark{now, l.all}
	l.next = (l.next + 1) % len(l.before)
	r.snap.Store(s)
}

func (s statuses) each(yield func(status int, count int64) bool) {
	for _, c := range s {
		if !yield(c.status, c.count) {
			return
		}
	}
}
