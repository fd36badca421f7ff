package record

import (
	"hash/maphash"
	"math"
	"time"

	"volley/engine"
)

// A serverSample is what a sample has of the function's side. In a step that
// retries it is the attempts', and of them the last one's, whose reply is the
// invocation's.
type serverSample struct {
	instance uint64        // a hash; 0: not told
	memory   int64         // bytes; 0: not told
	service  uint32        // µs, of this attempt alone
	bill     uint32        // µs that may be billed
	basis    Basis         // what bill comes from; 0: nothing is billed
	maybe    bool          // whether it is billed is not known
	told     bool          // what stands above service, what follows, or Function
	cold     engine.Answer // whether an instance was started for it
}

// server fills in what the last attempt's reply tells.
func (s *shard) server(v *sample, r *engine.Result) {
	if len(r.Attempts) == 0 {
		return
	}
	a, p := &r.Attempts[len(r.Attempts)-1], &r.Reply.Server
	service := a.End - a.Start
	v.server.billed(v.outcome, p.Billed, p.Duration, p.Timed, service)
	if *p == (engine.ServerSide{}) {
		return
	}
	if p.Timed && v.class != All {
		v.set(Function, p.Duration)
	}
	v.server.told, v.server.service = true, micros(service)
	v.server.memory = max(0, p.MemoryBytes)
	if v.outcome.Executed() == engine.Yes {
		v.server.cold = p.Cold
	}
	if p.Instance != "" {
		v.server.instance = s.r.instance(r.Invocation.Step.Series, p.Instance)
	}
}

// billed notes how much time of an attempt may be billed. What is told is taken
// as it is; other times are rounded up to whole milliseconds, as the platform
// does (PROTOCOL.md 7.3). Times above 1 h count as 1 h.
func (s *serverSample) billed(o engine.Outcome, told, function time.Duration, timed bool, service time.Duration) {
	answer := o.Billed()
	if answer == engine.No {
		return
	}
	s.maybe = answer == engine.Unknown
	d := service
	switch {
	case told > 0:
		d, s.basis = told, ByBilled
	case timed:
		d, s.basis = function, ByFunction
	default:
		s.basis = ByService
	}
	if s.basis != ByBilled {
		d = (max(0, d) + time.Millisecond - 1).Truncate(time.Millisecond)
	}
	s.bill = min(micros(d), MaxUS)
}

// instance returns what is kept of an instance's name. Instances of different
// functions may have the same.
func (r *Recorder) instance(series int, name string) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	_, _ = h.WriteString(r.shape.series[series].Function) // never fails
	_ = h.WriteByte(0)
	_, _ = h.WriteString(name)
	return max(1, h.Sum64())
}

// A serverCount is what replies of one series told, their times apart.
type serverCount struct {
	cold, warm int64
	memory     int64 // bytes: the most
	instances  instanceCount
}

func (c *serverCount) merge(o *serverCount) {
	c.cold += o.cold
	c.warm += o.warm
	c.memory = max(c.memory, o.memory)
	c.instances.merge(o.instances)
}

// An instanceCount counts instances that had not been seen before.
type instanceCount struct {
	Seen    int64 `json:"new"`
	AtLeast bool  `json:"at_least,omitempty"` // there were more than are told apart
}

func (c *instanceCount) merge(o instanceCount) {
	c.Seen += o.Seen
	c.AtLeast = c.AtLeast || o.AtLeast
}

// take adds what a sample tells of the function's side.
func (g *gather) takeServer(c *seriesCount, s *sample) {
	v := &s.server
	if v.basis != 0 {
		b := &c.bill.Sure
		if v.maybe {
			b = &c.bill.Maybe
		}
		b[v.basis-1].Count++
		b[v.basis-1].US += int64(v.bill)
	}
	if !v.told {
		return
	}
	function, timed := s.times[Function], s.has(Function)
	owner := int(s.owner)
	if timed {
		way := v.service
		if v.service != overRange {
			way -= min(function, v.service)
		}
		g.add(owner, Way, s.class, way)
	}
	times := [2]Measure{ColdService, ColdFunction}
	switch v.cold {
	case engine.Yes:
		c.server.cold++
	case engine.No:
		c.server.warm++
		times = [2]Measure{WarmService, WarmFunction}
	}
	if v.cold != engine.Unknown {
		g.add(owner, times[0], s.class, v.service)
		if timed {
			g.add(owner, times[1], s.class, function)
		}
	}
	c.server.memory = max(c.server.memory, v.memory)
}

// sight notes which instance answered, unless the shard knows it. It forgets
// all that it knows when it is much; the collector has the last word.
func (s *shard) sight(g *gather, v *sample) {
	key := instanceKey{int(v.owner), v.server.instance}
	if _, known := s.known[key]; known {
		return
	}
	if s.known == nil {
		s.known = map[instanceKey]struct{}{}
	}
	if len(s.known) >= maxInstances {
		clear(s.known)
	}
	s.known[key] = struct{}{}
	g.seen = append(g.seen, key)
}

// meet counts the instances that shards have seen.
func (r *Recorder) meet(seen []instanceKey, in *set) {
	for _, k := range seen {
		in.series[k.series].server.instances.merge(r.instances.see(k.series, k.hash))
		in.instances.merge(r.instances.see(wholeRun, k.hash))
	}
}

// Bounds of how many instances are told apart: a platform allows a thousand of
// a function, unless it is asked for more (PROTOCOL.md 7.1).
const (
	maxInstances      = 1 << 16 // of all series
	maxInstancesAlike = 1 << 12 // of one series

	wholeRun = math.MinInt // in place of a series: all of them
)

// instances remembers which have been seen, by hash, so that names take no
// room. Two of a million names have the same hash once in 36 million runs.
type instances struct {
	seen map[instanceKey]struct{}
	of   map[int]int // by series
}

type instanceKey struct {
	series int
	hash   uint64
}

// see counts an instance unless it has been seen.
func (t *instances) see(series int, hash uint64) instanceCount {
	key := instanceKey{series, hash}
	if _, known := t.seen[key]; known {
		return instanceCount{}
	}
	if len(t.seen) >= maxInstances || series != wholeRun && t.of[series] >= maxInstancesAlike {
		return instanceCount{AtLeast: true}
	}
	if t.seen == nil {
		t.seen, t.of = map[instanceKey]struct{}{}, map[int]int{}
	}
	t.seen[key] = struct{}{}
	t.of[series]++
	return instanceCount{Seen: 1}
}

// A Server is what replies tell about the function's side. What was not told
// is absent. In a step that retries, it is of the last attempts.
type Server struct {
	Function *Distribution `json:"function,omitempty"` // the function's own time
	Way      *Distribution `json:"way,omitempty"`      // service time less the function's own, of the same attempts
	Cold     *ColdStarts   `json:"cold,omitempty"`

	BilledMS         int64 `json:"billed_ms,omitempty"` // as told, in all
	MemoryMaxBytes   int64 `json:"memory_max_bytes,omitempty"`
	Instances        int64 `json:"instances,omitempty"`          // that answered, as far as they are told apart
	InstancesAtLeast bool  `json:"instances_at_least,omitempty"` // there were more than that
}

// ColdStarts tells attempts for which an instance had to be started from those
// for which none had to.
type ColdStarts struct {
	Cold         int64         `json:"cold"`
	Warm         int64         `json:"warm"`
	Unknown      int64         `json:"unknown"` // attempts that ran the function and did not tell
	Share        float64       `json:"share"`   // cold ÷ (cold + warm)
	ColdService  Distribution  `json:"cold_service"`
	WarmService  Distribution  `json:"warm_service"`
	ColdFunction *Distribution `json:"cold_function,omitempty"`
	WarmFunction *Distribution `json:"warm_function,omitempty"`
}

// server describes what was told by the attempts kept in these series; nil
// when nothing was.
func (t *Totals) server(tries []int, instances instanceCount) *Server {
	dist := func(m Measure) *Distribution {
		h := t.shape.merge([]*set{t.set}, tries, All, m)
		if h.Count() == 0 {
			return nil
		}
		d := NewDistribution(h)
		return &d
	}
	var sum seriesCount
	for _, i := range tries {
		sum.merge(&t.set.series[i])
	}
	s := Server{Function: dist(Function), Way: dist(Way), MemoryMaxBytes: sum.server.memory,
		Instances: instances.Seen, InstancesAtLeast: instances.AtLeast}
	us := sum.bill.Sure[ByBilled-1].US + sum.bill.Maybe[ByBilled-1].US
	s.BilledMS = int64(math.Round(float64(us) / 1000))
	if c := sum.server; c.cold+c.warm > 0 {
		var ran int64
		for o, n := range sum.outcomes {
			if engine.Outcome(o).Executed() == engine.Yes {
				ran += n
			}
		}
		of := func(m Measure) Distribution { return NewDistribution(t.shape.merge([]*set{t.set}, tries, All, m)) }
		s.Cold = &ColdStarts{Cold: c.cold, Warm: c.warm, Unknown: max(0, ran-c.cold-c.warm),
			Share:       float64(c.cold) / float64(c.cold+c.warm),
			ColdService: of(ColdService), WarmService: of(WarmService),
			ColdFunction: dist(ColdFunction), WarmFunction: dist(WarmFunction)}
	}
	if s == (Server{}) {
		return nil
	}
	return &s
}
