package record

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"volley/engine"
	"volley/engine/group"
)

// countsSchema names the format of counts.jsonl.
const countsSchema = "volley.counts/1"

// A header is the first line of counts.jsonl: what its other lines and the
// tags of series.hlog refer to.
type header struct {
	Schema      string         `json:"schema"`
	Name        string         `json:"name"`
	Seed        uint64         `json:"seed"`
	Started     time.Time      `json:"started"`
	Model       string         `json:"model"` // open or closed
	WarmupUS    int64          `json:"warmup_us"`
	MaxInFlight int            `json:"max_in_flight,omitempty"`
	Cost        *headerCost    `json:"cost,omitempty"`
	Series      []headerSeries `json:"series"`
	Groups      []headerGroup  `json:"groups"`
	Notes       []string       `json:"notes,omitempty"` // of the methods, for who reads the report
}

type headerSeries struct {
	Step      string `json:"step"`
	Function  string `json:"function"`
	Method    string `json:"method"`
	Qualifier string `json:"qualifier,omitempty"`
	Arm       string `json:"arm,omitempty"`
	Attempts  bool   `json:"attempts,omitempty"`
}

type headerGroup struct {
	Step  string `json:"step"`
	Kind  string `json:"kind"`
	Asked int    `json:"asked"`
}

func newHeader(p *engine.Plan, start time.Time) header {
	h := header{Schema: countsSchema, Name: p.Name, Seed: p.Seed, Started: start.UTC().Round(0), Model: "closed",
		WarmupUS: us(p.Load.Warmup), MaxInFlight: p.Load.MaxInFlight,
		Series: make([]headerSeries, len(p.Series)), Groups: make([]headerGroup, len(p.Groups))}
	if p.Load.Arrivals != nil {
		h.Model = "open"
	}
	if p.Cost != nil {
		c := headerCost(*p.Cost)
		h.Cost = &c
	}
	for i, k := range p.Series {
		h.Series[i] = headerSeries(k)
	}
	for i, k := range p.Groups {
		h.Groups[i] = headerGroup{k.Step, k.Kind.String(), k.Asked}
	}
	h.Notes = p.Notes()
	return h
}

// shape is the shape that the header describes.
func (h *header) shape() *shape {
	s := &shape{}
	for _, k := range h.Series {
		s.series = append(s.series, engine.SeriesKey(k))
	}
	for _, k := range h.Groups {
		g := engine.GroupKey{Step: k.Step, Asked: k.Asked}
		for _, kind := range group.Kinds() {
			if kind.String() == k.Kind {
				g.Kind = kind
			}
		}
		s.groups = append(s.groups, g)
	}
	return s
}

// A line is what counts.jsonl has of one second. Its numbers are of that
// second alone, but for the tally and what says "so far".
type line struct {
	Second   int          `json:"second"` // counted from 0
	StartMS  int64        `json:"start_ms"`
	LengthMS int64        `json:"length_ms"`
	Tally    tallyLine    `json:"tally"` // so far
	Series   []seriesLine `json:"series,omitempty"`
	Groups   []groupLine  `json:"groups,omitempty"`
	Warmup   []seriesLine `json:"warmup,omitempty"`

	Iterations iterationCount `json:"iterations"`
	Lateness   *brief         `json:"lateness,omitempty"`
	Held       *brief         `json:"held,omitempty"`

	Instances *instanceCount `json:"instances,omitempty"` // of all series together

	OverRange []overLine  `json:"over_range,omitempty"`
	NewErrors []errorRow  `json:"new_errors,omitempty"` // kinds that had not been seen before
	Errors    []errorLine `json:"errors,omitempty"`

	Histograms      int64 `json:"histograms"`                  // lines of series.hlog so far, this second's included
	OtherErrors     int64 `json:"other_errors,omitempty"`      // so far: of kinds past the bound
	FailuresKept    int64 `json:"failures_kept,omitempty"`     // so far
	FailuresLeftOut int64 `json:"failures_left_out,omitempty"` // so far
	Relieved        int64 `json:"relieved,omitempty"`          // so far: times that a caller emptied a full shard
}

type tallyLine struct {
	Due       int64   `json:"due"`
	Sent      int64   `json:"sent"`
	Dropped   int64   `json:"dropped"`
	Finished  int64   `json:"finished"`
	Canceled  int64   `json:"canceled"`
	Warmup    int64   `json:"warmup"`
	InFlight  int     `json:"in_flight"`
	Callers   int     `json:"callers"`
	ElapsedUS int64   `json:"elapsed_us"`
	AskingUS  int64   `json:"asking_us"`
	SendingUS int64   `json:"sending_us"`
	ActiveUS  int64   `json:"active_us"`
	FullUS    int64   `json:"full_us"`
	Burst     float64 `json:"burst"`
}

func newTallyLine(t engine.Tally) tallyLine {
	if math.IsNaN(t.Burst) || math.IsInf(t.Burst, 0) {
		t.Burst = 0 // JSON has no such numbers
	}
	return tallyLine{Due: t.Due, Sent: t.Sent, Dropped: t.Dropped, Finished: t.Finished, Canceled: t.Canceled, Warmup: t.Warmup,
		InFlight: t.InFlight, Callers: t.Callers, ElapsedUS: us(t.Elapsed), AskingUS: us(t.Asking), SendingUS: us(t.Sending), ActiveUS: us(t.Active), FullUS: us(t.Full), Burst: t.Burst}
}

func (l tallyLine) tally() engine.Tally {
	return engine.Tally{Due: l.Due, Sent: l.Sent, Dropped: l.Dropped, Finished: l.Finished, Canceled: l.Canceled, Warmup: l.Warmup,
		InFlight: l.InFlight, Callers: l.Callers, Elapsed: time.Duration(l.ElapsedUS) * time.Microsecond,
		Asking: time.Duration(l.AskingUS) * time.Microsecond, Sending: time.Duration(l.SendingUS) * time.Microsecond,
		Active: time.Duration(l.ActiveUS) * time.Microsecond, Full: time.Duration(l.FullUS) * time.Microsecond, Burst: l.Burst}
}

type seriesLine struct {
	I        int              `json:"i"` // into the header's series
	Outcomes map[string]int64 `json:"outcomes"`
	Statuses map[string]int64 `json:"statuses,omitempty"`
	BytesOut int64            `json:"bytes_out,omitempty"`
	BytesIn  int64            `json:"bytes_in,omitempty"`
	Fresh    int64            `json:"new_connections,omitempty"`
	Reused   int64            `json:"reused_connections,omitempty"`
	Unsent   int64            `json:"unsent,omitempty"`  // of which nothing could be sent
	Renewed  int64            `json:"renewed,omitempty"` // for which a token was renewed
	Server   *serverLine      `json:"server,omitempty"`
	Bill     []billLine       `json:"bill,omitempty"`
}

// A serverLine is what replies told of the function's side; its times are in
// series.hlog.
type serverLine struct {
	Cold      int64          `json:"cold,omitempty"`
	Warm      int64          `json:"warm,omitempty"`
	Memory    int64          `json:"memory_max_bytes,omitempty"`
	Instances *instanceCount `json:"instances,omitempty"`
}

func newServerLine(c *serverCount) *serverLine {
	if *c == (serverCount{}) {
		return nil
	}
	return &serverLine{Cold: c.cold, Warm: c.warm, Memory: c.memory, Instances: newInstances(c.instances)}
}

func newInstances(c instanceCount) *instanceCount {
	if c == (instanceCount{}) {
		return nil
	}
	return &c
}

type groupLine struct {
	I int `json:"i"` // into the header's groups
	groupCount
}

type overLine struct {
	Tag   string `json:"tag"` // of series.hlog
	Count int64  `json:"count"`
}

type errorLine struct {
	ID    int   `json:"id"`
	Count int64 `json:"count"`
}

// A brief is a distribution in short, for who reads the lines; the whole one
// is in series.hlog.
type brief struct {
	Count int64 `json:"count"`
	P50   int64 `json:"p50_us"`
	P99   int64 `json:"p99_us"`
	Max   int64 `json:"max_us"`
}

func newBrief(h *Hist) *brief {
	if h.Count() == 0 {
		return nil
	}
	return &brief{h.Count(), h.Quantile(0.5), h.Quantile(0.99), h.Max()}
}

func newLine(second int, s *Second, warm *set) line {
	l := line{Second: second, StartMS: s.Start.Milliseconds(), LengthMS: s.Length.Milliseconds(), Tally: newTallyLine(s.Tally),
		Series: seriesLines(s.set), Warmup: seriesLines(warm), Iterations: s.set.iterations,
		Lateness: newBrief(s.Hist("", All, Lateness)), Held: newBrief(s.Hist("", All, Held)),
		Instances: newInstances(s.set.instances)}
	for i, g := range s.set.groups {
		if g != (groupCount{}) {
			l.Groups = append(l.Groups, groupLine{i, g})
		}
	}
	for _, cell := range slices.Sorted(maps.Keys(s.set.hists)) {
		if n := s.set.hists[cell].over; n > 0 {
			l.OverRange = append(l.OverRange, overLine{s.shape.tag(cell, false), n})
		}
	}
	return l
}

func seriesLines(s *set) []seriesLine {
	var all []seriesLine
	for i := range s.series {
		c := &s.series[i]
		if c.total() == 0 {
			continue
		}
		all = append(all, seriesLine{I: i, Outcomes: outcomeNames(c.outcomes), Statuses: statusNames(c.statuses),
			BytesOut: c.bytesOut, BytesIn: c.bytesIn, Fresh: c.fresh, Reused: c.reused, Unsent: c.unsent, Renewed: c.renewed,
			Server: newServerLine(&c.server), Bill: billLines(c.bill)})
	}
	return all
}

// outcomeNames returns counts by name, without those that are 0.
func outcomeNames(outcomes [engine.NumOutcomes]int64) map[string]int64 {
	names := map[string]int64{}
	for o, n := range outcomes {
		if n != 0 {
			names[engine.Outcome(o).String()] = n
		}
	}
	return names
}

// statusNames returns counts by status, past the bound by "other".
func statusNames(s statuses) map[string]int64 {
	names := map[string]int64{}
	for status, n := range s.each {
		if status == otherStatus {
			names["other"] = n
		} else {
			names[strconv.Itoa(status)] = n
		}
	}
	return names
}

// news returns what has come to the table since the last call.
func (t *errorTable) news() (fresh []errorRow, counts []errorLine, other int64) {
	for i := range t.rows {
		row := &t.rows[i]
		if row.written == 0 {
			fresh = append(fresh, *row)
		}
		if row.count > row.written {
			counts = append(counts, errorLine{row.ID, row.count - row.written})
			row.written = row.count
		}
	}
	return fresh, counts, t.other
}
