package record

import (
	"slices"

	"volley/engine"
)

// A shape says what is kept apart in a run. Histograms lie in cells: one for
// every owner, measure and stored class. Owners are the plan's series, then
// its groups, then the run itself.
type shape struct {
	series []engine.SeriesKey
	groups []engine.GroupKey
}

func (s *shape) owners() int     { return len(s.series) + len(s.groups) + 1 }
func (s *shape) run() int        { return len(s.series) + len(s.groups) }
func (s *shape) cells() int      { return s.owners() * numMeasures * numClasses }
func (s *shape) group(i int) int { return len(s.series) + i }

// cell returns the place of a histogram; c is Success or Failure.
func (s *shape) cell(owner int, m Measure, c Class) int {
	return (owner*numMeasures+int(m))*numClasses + int(c) - 1
}

// split is the inverse of cell.
func (s *shape) split(cell int) (owner int, m Measure, c Class) {
	return cell / (numMeasures * numClasses), Measure(cell / numClasses % numMeasures), Class(cell%numClasses + 1)
}

// seriesOf returns the series of a step, all of them for "". Attempts are not
// among them.
func (s *shape) seriesOf(step string) []int {
	var all []int
	for i, k := range s.series {
		if !k.Attempts && (step == "" || k.Step == step) {
			all = append(all, i)
		}
	}
	return all
}

// attemptsOf returns the series of the attempts of the step of series i, or i
// itself when its step does not retry. Phases are kept there.
func (s *shape) attemptsOf(i int) int {
	k := s.series[i]
	k.Attempts = true
	if at := slices.Index(s.series, k); at >= 0 {
		return at
	}
	return i
}

// groupsOf returns the groups of that name, all of them for "".
func (s *shape) groupsOf(step string) []int {
	var all []int
	for i, k := range s.groups {
		if step == "" || k.Step == step {
			all = append(all, i)
		}
	}
	return all
}

// ownersOf returns whose histograms make up the measure of a step, and the
// measure under which they lie.
func (s *shape) ownersOf(step string, m Measure) ([]int, Measure) {
	var all []int
	switch {
	case m.ofRun():
		if step == "" {
			all = append(all, s.run())
		}
		return all, m
	case !m.ofGroups():
		for _, i := range s.seriesOf(step) {
			if m.ofAttempts() {
				i = s.attemptsOf(i)
			}
			all = append(all, i)
		}
		if len(all) > 0 || step == "" || m != Response {
			return all, m
		}
		m = Settle
	}
	for _, i := range s.groupsOf(step) {
		all = append(all, s.group(i))
	}
	return all, m
}

func (s *shape) hist(of []*set, step string, c Class, m Measure) *Hist {
	owners, m := s.ownersOf(step, m)
	return s.merge(of, owners, c, m)
}

// merge returns all that the sets have of these owners; nil for nothing.
func (s *shape) merge(of []*set, owners []int, c Class, m Measure) *Hist {
	var sum *Hist
	for _, class := range []Class{Success, Failure} {
		if c != All && c != class {
			continue
		}
		for _, owner := range owners {
			for _, set := range of {
				h := set.hists[s.cell(owner, m, class)]
				if h.Count() == 0 {
					continue
				}
				if sum == nil {
					sum = &Hist{}
				}
				sum.Merge(h)
			}
		}
	}
	return sum
}

func (s *shape) counts(of []*set, step string) (Counts, bool) {
	var c Counts
	series := s.seriesOf(step)
	for _, set := range of {
		for _, i := range series {
			set.series[i].addTo(&c)
			server := &set.series[s.attemptsOf(i)].server
			c.Cold += server.cold
			c.Warm += server.warm
		}
	}
	if len(series) > 0 || step == "" {
		return c, true
	}
	groups := s.groupsOf(step)
	for _, set := range of {
		for _, i := range groups {
			g := set.groups[i]
			c.Total += g.OK + g.Failed
			c.Outcomes[engine.OK] += g.OK
			c.groups += g.Failed
		}
	}
	return c, len(groups) > 0
}

// A set is what was recorded in some time: a second, or the whole run.
type set struct {
	hists      map[int]*Hist // by cell
	series     []seriesCount
	groups     []groupCount
	iterations iterationCount
	instances  instanceCount // of all series together
}

func newSet(s *shape) *set {
	return &set{hists: map[int]*Hist{}, series: make([]seriesCount, len(s.series)), groups: make([]groupCount, len(s.groups))}
}

// merge adds o to s, and calls rest after each histogram.
func (s *set) merge(o *set, rest func()) {
	for cell, h := range o.hists {
		if s.hists[cell] == nil {
			s.hists[cell] = &Hist{}
		}
		s.hists[cell].Merge(h)
		rest()
	}
	s.mergeCounts(o)
}

// mergeCounts adds all of o but its histograms to s.
func (s *set) mergeCounts(o *set) {
	for i := range o.series {
		s.series[i].merge(&o.series[i])
	}
	for i := range o.groups {
		s.groups[i].merge(o.groups[i])
	}
	s.iterations.merge(o.iterations)
	s.instances.merge(o.instances)
}

// clear empties a set that has no histograms.
func (s *set) clear() {
	for i := range s.series {
		s.series[i] = seriesCount{statuses: s.series[i].statuses[:0]}
	}
	clear(s.groups)
	s.iterations, s.instances = iterationCount{}, instanceCount{}
}

// A seriesCount counts results of one series.
type seriesCount struct {
	outcomes [engine.NumOutcomes]int64
	statuses statuses
	bytesOut int64
	bytesIn  int64
	fresh    int64 // attempts on a new connection
	reused   int64 // attempts on one that had carried a request before
	unsent   int64 // results of which nothing could be sent
	renewed  int64 // results for which a token was renewed
	server   serverCount
	bill     Billing
}

func (c *seriesCount) addTo(to *Counts) {
	for o, n := range c.outcomes {
		to.Outcomes[o] += n
		to.Total += n
	}
}

func (c *seriesCount) total() int64 {
	var n int64
	for _, count := range c.outcomes {
		n += count
	}
	return n
}

func (c *seriesCount) merge(o *seriesCount) {
	for i, n := range o.outcomes {
		c.outcomes[i] += n
	}
	for _, s := range o.statuses {
		c.statuses.add(s.status, s.count)
	}
	c.bytesOut += o.bytesOut
	c.bytesIn += o.bytesIn
	c.fresh += o.fresh
	c.reused += o.reused
	c.unsent += o.unsent
	c.renewed += o.renewed
	c.server.merge(&o.server)
	c.bill.Add(o.bill)
}

// maxStatuses bounds the HTTP statuses that a series tells apart.
const maxStatuses = 64

// otherStatus stands for all statuses past the bound.
const otherStatus = -1

// statuses counts replies by HTTP status, in ascending order. There are few,
// so a slice is smaller and faster than a map.
type statuses []statusCount

type statusCount struct {
	status int
	count  int64
}

func (s *statuses) add(status int, n int64) {
	known := len(*s)
	if known > 0 && (*s)[0].status == otherStatus {
		known--
	}
	at, found := slices.BinarySearchFunc(*s, status, func(c statusCount, status int) int { return c.status - status })
	switch {
	case found:
		(*s)[at].count += n
	case known >= maxStatuses && status != otherStatus:
		s.add(otherStatus, n)
	default:
		*s = slices.Insert(*s, at, statusCount{status, n})
	}
}

// A groupCount counts groups.
type groupCount struct {
	OK        int64 `json:"ok"`
	Failed    int64 `json:"failed"`
	Members   int64 `json:"members"`         // of all groups
	OnTheWire int64 `json:"on_the_wire"`     // the most at once, summed over the groups
	Full      int64 `json:"full"`            // groups that had on the wire at once what was asked
	MaxWire   int   `json:"on_the_wire_max"` // the most at once in any group
	MaxAsked  int   `json:"asked_at_most"`   // the most asked of any group
}

func (c *groupCount) merge(o groupCount) {
	c.OK += o.OK
	c.Failed += o.Failed
	c.Members += o.Members
	c.OnTheWire += o.OnTheWire
	c.Full += o.Full
	c.MaxWire = max(c.MaxWire, o.MaxWire)
	c.MaxAsked = max(c.MaxAsked, o.MaxAsked)
}

// An iterationCount counts iterations that have ended.
type iterationCount struct {
	OK       int64 `json:"ok"`
	Failed   int64 `json:"failed"`
	Canceled int64 `json:"canceled"`
}

func (c *iterationCount) merge(o iterationCount) {
	c.OK += o.OK
	c.Failed += o.Failed
	c.Canceled += o.Canceled
}
