package record

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"time"

	"volley/engine"
	"volley/engine/self"
)

// A Document is report.json, from which every report is made. Times are whole
// µs, rates are numbers per second, shares are from 0 to 1. Fields may be
// added; the number in the schema changes when a meaning does.
type Document struct {
	Schema     string       `json:"schema"` // ReportSchema
	Kind       string       `json:"kind"`   // run, batch, compare, capacity
	Name       string       `json:"name"`
	Started    time.Time    `json:"started"`
	Seed       uint64       `json:"seed"`
	ExitCode   int          `json:"exit_code"`
	Ended      string       `json:"ended,omitempty"` // why it ended before all was done; "" when it did not
	Validity   Validity     `json:"validity"`
	Load       Load         `json:"load"`
	Total      Total        `json:"total"`
	Iterations Iterations   `json:"iterations"`
	Series     []Series     `json:"series"`
	Attempts   []Series     `json:"attempts,omitempty"` // single tries of the steps that retry
	Groups     []Group      `json:"groups"`
	Cost       *Cost        `json:"cost,omitempty"` // nil when prices are not known
	Thresholds []Threshold  `json:"thresholds"`
	Errors     []Error      `json:"errors"`
	Failures   Failures     `json:"failures"`
	Notes      []string     `json:"notes,omitempty"`      // what a reader must know about the methods: limits, and what they cannot show
	Transports []Transport  `json:"transports,omitempty"` // which carried the invocations, by host
	Machine    self.Machine `json:"machine"`
	Health     *self.Health `json:"health,omitempty"` // how the generator itself fared; nil when nobody watched it
	Tool       Tool         `json:"tool"`
}

// A Transport says what carried invocations to a host.
type Transport struct {
	Host    string `json:"host"`              // with its scheme
	By      string `json:"by"`                // volley, or net/http
	Because string `json:"because,omitempty"` // why it was net/http: a proxy

	Protocol     string `json:"protocol,omitempty"`      // HTTP/1.1 or HTTP/2; "" where it is not known
	Connections  int    `json:"connections,omitempty"`   // of HTTP/2: the most at once
	OpenedAhead  int    `json:"opened_ahead,omitempty"`  // connections that were opened before the start
	StreamsLimit *int   `json:"streams_limit,omitempty"` // of HTTP/2: how many requests at once the server lets onto one connection; nil: it did not say
}

// Validity says whether the measurement can be trusted.
type Validity struct {
	Verdict string   `json:"verdict"` // valid, degraded, invalid; "" when nobody has judged
	Reasons []string `json:"reasons"`
}

// Load is what was asked of the generator, and what it did.
type Load struct {
	Model           string  `json:"model"` // open: due by the clock; closed: due when a worker is free
	Due             int64   `json:"due"`   // iterations, those of the warm-up not counted
	Sent            int64   `json:"sent"`
	Dropped         int64   `json:"dropped"`
	Unfinished      int64   `json:"unfinished"`       // cut short by the end of the run
	ExcludedWarmup  int64   `json:"excluded_warmup"`  // iterations that were due in the warm-up
	WarmupResults   int64   `json:"warmup_results"`   // and their invocations
	ActiveS         float64 `json:"active_s"`         // from the end of the warm-up to the end of the last iteration
	WarmupS         float64 `json:"warmup_s"`         // as asked for
	MaxInFlight     int     `json:"max_in_flight"`    // as asked for; 0 in a closed run
	MaxInFlightS    float64 `json:"max_in_flight_s"`  // time in which all of it was in use
	Burst           float64 `json:"burst"`            // the busiest 100 ms against what was asked of it
	Callers         int     `json:"callers"`          // hired
	BuffersRelieved int64   `json:"buffers_relieved"` // times that a caller had to write down results for the collector

	// Iterations asked for count over the time in which they came to be due, and
	// those sent over the time until the last was, which is longer only where
	// when_busy is wait. Both end before the last of them has.
	AskingS             float64 `json:"asking_s,omitempty"` // in which they came to be due; open runs only
	SendingS            float64 `json:"sending_s"`
	IterationsAskedPerS float64 `json:"iterations_asked_per_s,omitempty"` // open runs only
	IterationsSentPerS  float64 `json:"iterations_sent_per_s"`

	// Invocations count over ActiveS. Good ones are ok; one of which nothing
	// could be sent (no data, no credentials, or canceled before) is not sent.
	InvocationsSentPerS float64 `json:"invocations_sent_per_s"`
	InvocationsGoodPerS float64 `json:"invocations_good_per_s"`

	Held     Distribution `json:"held"`     // of the invocations that waited because the scenario said so
	Lateness Distribution `json:"lateness"` // of iterations: waits that nobody asked for
}

// Total is all invocations together.
type Total struct {
	Count    int64            `json:"count"`
	Outcomes map[string]int64 `json:"outcomes"`
	Statuses map[string]int64 `json:"statuses"`
	BytesOut int64            `json:"bytes_out"`
	BytesIn  int64            `json:"bytes_in"`
	Response ByClass          `json:"response"`
	Service  ByClass          `json:"service"`

	NewConnections    int64                   `json:"new_connections"`
	ReusedConnections int64                   `json:"reused_connections"`
	Phases            map[string]Distribution `json:"phases"`

	Server  *Server `json:"server,omitempty"`  // nil when replies told nothing of the function's side
	Renewed int64   `json:"renewed,omitempty"` // invocations sent again with a new token, after the old one was refused
}

// ByClass is a time by how the results came out.
type ByClass struct {
	All    Distribution `json:"all"`
	OK     Distribution `json:"ok"`
	Failed Distribution `json:"failed"`
}

// Series is one step by one method and qualifier.
type Series struct {
	Step              string                  `json:"step"`
	Function          string                  `json:"function"`
	Method            string                  `json:"method"`
	Qualifier         string                  `json:"qualifier"`
	Arm               string                  `json:"arm,omitempty"`
	Count             int64                   `json:"count"`
	Outcomes          map[string]int64        `json:"outcomes"`
	Statuses          map[string]int64        `json:"statuses"`
	BytesOut          int64                   `json:"bytes_out"`
	BytesIn           int64                   `json:"bytes_in"`
	NewConnections    int64                   `json:"new_connections"`    // attempts that opened one
	ReusedConnections int64                   `json:"reused_connections"` // attempts on one that had carried a request
	Response          ByClass                 `json:"response"`
	Service           ByClass                 `json:"service"`
	Phases            map[string]Distribution `json:"phases"` // of all attempts, where they happened: dns, connect, …
	Server            *Server                 `json:"server,omitempty"`
	Renewed           int64                   `json:"renewed,omitempty"`
}

// A Group is one group of the plan.
type Group struct {
	Step             string       `json:"step"`
	Kind             string       `json:"kind"`
	Count            int64        `json:"count"`
	OK               int64        `json:"ok"`     // settled as fulfilled
	Failed           int64        `json:"failed"` // settled as rejected
	AskedParallel    int          `json:"asked_parallel"`
	AchievedParallel int          `json:"achieved_parallel"`      // the most members on the wire at once
	MeanParallel     float64      `json:"achieved_parallel_mean"` // of each group's most
	FullyParallel    int64        `json:"fully_parallel"`         // groups that had all that was asked on the wire at once
	First            Distribution `json:"first_us"`
	Settle           Distribution `json:"settle_us"`
	Makespan         Distribution `json:"makespan_us"`
	Straggler        Ratio        `json:"straggler"` // makespan ÷ median member
}

// A Threshold is a condition of the scenario, and what came of it.
type Threshold struct {
	Source string  `json:"source"` // as written
	OK     bool    `json:"ok"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`              // us, share, count, per_s
	Count  int64   `json:"count"`             // results it was taken from
	NoData bool    `json:"no_data,omitempty"` // there was nothing to take it from, which is a failure
	Window float64 `json:"window_s,omitempty"`
	Abort  bool    `json:"aborted,omitempty"` // it ended the run
	AtS    float64 `json:"at_s,omitempty"`    // when it failed first, from the start of the run
}

// An Error is one kind of error. The last may be "other": all kinds past the
// first 100.
type Error struct {
	Outcome   string `json:"outcome"`
	Status    int    `json:"status"` // 0: no reply came
	Detail    string `json:"detail,omitempty"`
	Code      string `json:"code"`
	Message   string `json:"message"` // of the first of its kind; words with numbers in them may differ
	Count     int64  `json:"count"`
	RequestID string `json:"request_id"` // of the first of its kind
}

// Iterations are the passes through the plan's steps.
type Iterations struct {
	Count    int64        `json:"count"`    // that ended, or were cut short
	Failed   int64        `json:"failed"`   // ended by a failed step
	Canceled int64        `json:"canceled"` // cut short by the end of the run
	Response Distribution `json:"response"` // of those that ended: due to the last step's settling
}

// Failures says how much of the failed results failures.jsonl has.
type Failures struct {
	Kept    int64 `json:"kept"`
	LeftOut int64 `json:"left_out"`
}

// A Tool is what wrote the files.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go,omitempty"`
}

// A Distribution is what a report says of a histogram. Without values it has
// a count of 0 and nothing else. A percentile that too few values stand
// behind, fewer than 10/(1-q), is nil.
type Distribution struct {
	Count     int64  `json:"count"`
	Min       int64  `json:"min_us"`
	Mean      int64  `json:"mean_us"`
	P50       int64  `json:"p50_us"`
	P75       int64  `json:"p75_us"`
	P90       int64  `json:"p90_us"`
	P95       int64  `json:"p95_us"`
	P99       int64  `json:"p99_us"`
	P99_9     *int64 `json:"p99_9_us,omitempty"`
	P99_99    *int64 `json:"p99_99_us,omitempty"`
	P99_999   *int64 `json:"p99_999_us,omitempty"`
	Max       int64  `json:"max_us"`
	OverRange int64  `json:"over_range"` // values above 1 h, which count as 1 h
}

// NewDistribution describes h, which may be nil.
func NewDistribution(h *Hist) Distribution {
	if h.Count() == 0 {
		return Distribution{}
	}
	far := func(q float64) *int64 {
		if float64(h.Count()) < math.Round(10/(1-q)) {
			return nil
		}
		v := h.Quantile(q)
		return &v
	}
	return Distribution{Count: h.Count(), Min: h.Min(), Mean: int64(math.Round(h.Mean())),
		P50: h.Quantile(0.5), P75: h.Quantile(0.75), P90: h.Quantile(0.9), P95: h.Quantile(0.95), P99: h.Quantile(0.99),
		P99_9: far(0.999), P99_99: far(0.9999), P99_999: far(0.99999), Max: h.Max(), OverRange: h.OverRange()}
}

// MarshalJSON implements json.Marshaler.
func (d Distribution) MarshalJSON() ([]byte, error) {
	if d.Count == 0 {
		return []byte(`{"count":0}`), nil
	}
	type plain Distribution
	return json.Marshal(plain(d))
}

// A Ratio describes a distribution of ratios. Without values it has a count of
// 0 and nothing else.
type Ratio struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func newRatio(h *Hist) Ratio {
	if h.Count() == 0 {
		return Ratio{}
	}
	of := func(thousandths int64) float64 { return float64(thousandths) / 1000 }
	return Ratio{Count: h.Count(), Mean: math.Round(h.Mean()) / 1000, P50: of(h.Quantile(0.5)), P90: of(h.Quantile(0.9)), P95: of(h.Quantile(0.95)),
		P99: of(h.Quantile(0.99)), Max: of(h.Max())}
}

// MarshalJSON implements json.Marshaler.
func (r Ratio) MarshalJSON() ([]byte, error) {
	if r.Count == 0 {
		return []byte(`{"count":0}`), nil
	}
	type plain Ratio
	return json.Marshal(plain(r))
}

// Document returns the report of the run. Its kind is run. Validity,
// thresholds, exit code, machine and tool are for others to fill in.
func (t *Totals) Document() *Document {
	d := &Document{Schema: ReportSchema, Kind: "run", Name: t.head.Name, Started: t.head.Started, Seed: t.head.Seed,
		Validity: Validity{Reasons: []string{}}, Load: t.load(), Total: t.total(),
		Series: []Series{}, Groups: []Group{}, Thresholds: []Threshold{}, Errors: t.errorRows(), Notes: t.head.Notes,
		Failures: Failures{Kept: t.last.FailuresKept, LeftOut: t.last.FailuresLeftOut},
	}
	n := t.set.iterations
	d.Iterations = Iterations{Count: n.OK + n.Failed + n.Canceled, Failed: n.Failed, Canceled: n.Canceled,
		Response: NewDistribution(t.Hist("", All, Iteration))}
	for i, k := range t.shape.series {
		if k.Attempts {
			d.Attempts = append(d.Attempts, t.series(i))
		} else {
			d.Series = append(d.Series, t.series(i))
		}
	}
	if c := t.head.Cost; c != nil {
		e := Estimate(engine.Cost(*c), t.Billing())
		d.Cost = &e
	}
	for i := range t.shape.groups {
		d.Groups = append(d.Groups, t.group(i))
	}
	return d
}

func (t *Totals) load() Load {
	h, n := &t.head, t.tally
	active := n.Active.Seconds()
	l := Load{Model: h.Model, Due: n.Due, Sent: n.Sent, Dropped: n.Dropped, Unfinished: n.Canceled,
		ExcludedWarmup: n.Warmup, WarmupResults: t.Excluded().Total,
		ActiveS: round(active), SendingS: round(n.Sending.Seconds()), WarmupS: float64(h.WarmupUS) / 1e6, MaxInFlight: h.MaxInFlight, MaxInFlightS: round(n.Full.Seconds()),
		Burst: round(n.Burst), Callers: n.Callers, BuffersRelieved: t.last.Relieved,
		Held: NewDistribution(t.Hist("", All, Held)), Lateness: NewDistribution(t.Hist("", All, Lateness))}
	if asking := n.Asking.Seconds(); asking > 0 && h.Model == "open" {
		l.AskingS = round(asking)
		l.IterationsAskedPerS = round(float64(n.Due) / asking)
	}
	if sending := n.Sending.Seconds(); sending > 0 {
		l.IterationsSentPerS = round(float64(n.Sent) / sending)
	}
	if active <= 0 {
		return l
	}
	all, _ := t.Counts("")
	sent := all.Total
	for i := range t.set.series {
		sent -= t.set.series[i].unsent
	}
	l.InvocationsSentPerS = round(float64(sent) / active)
	l.InvocationsGoodPerS = round(float64(all.Outcomes[engine.OK]) / active)
	return l
}

// round leaves of a number what a reader needs: a thousandth.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }

func (t *Totals) byClass(owners []int, m Measure) ByClass {
	of := func(c Class) Distribution { return NewDistribution(t.shape.merge([]*set{t.set}, owners, c, m)) }
	return ByClass{All: of(All), OK: of(Success), Failed: of(Failure)}
}

func (t *Totals) total() Total {
	owners := t.shape.seriesOf("")
	var sum seriesCount
	for _, i := range owners {
		sum.merge(&t.set.series[i])
	}
	all := Total{Count: sum.total(), Outcomes: outcomeNames(sum.outcomes), Statuses: statusNames(sum.statuses),
		BytesOut: sum.bytesOut, BytesIn: sum.bytesIn, Response: t.byClass(owners, Response), Service: t.byClass(owners, Service)}
	tries := t.tries(owners)
	for _, i := range tries {
		all.NewConnections += t.set.series[i].fresh
		all.ReusedConnections += t.set.series[i].reused
	}
	all.Phases = t.phases(tries)
	all.Server, all.Renewed = t.server(tries, t.set.instances), sum.renewed
	return all
}

func (t *Totals) series(i int) Series {
	k, c := t.shape.series[i], &t.set.series[i]
	tries := t.tries([]int{i})
	return Series{Step: k.Step, Function: k.Function, Method: k.Method, Qualifier: k.Qualifier, Arm: k.Arm,
		Count: c.total(), Outcomes: outcomeNames(c.outcomes), Statuses: statusNames(c.statuses),
		BytesOut: c.bytesOut, BytesIn: c.bytesIn, NewConnections: t.set.series[tries[0]].fresh, ReusedConnections: t.set.series[tries[0]].reused,
		Response: t.byClass([]int{i}, Response), Service: t.byClass([]int{i}, Service), Phases: t.phases(tries),
		Server: t.server(tries, t.set.series[tries[0]].server.instances), Renewed: c.renewed}
}

// tries returns where the attempts of these series are kept.
func (t *Totals) tries(series []int) []int {
	all := make([]int, len(series))
	for n, i := range series {
		all[n] = t.shape.attemptsOf(i)
	}
	return all
}

func (t *Totals) phases(tries []int) map[string]Distribution {
	phases := map[string]Distribution{}
	for m := DNS; m <= Preflight; m++ {
		if h := t.shape.merge([]*set{t.set}, tries, All, m); h.Count() > 0 {
			phases[m.String()] = NewDistribution(h)
		}
	}
	return phases
}

func (t *Totals) group(i int) Group {
	k, c := t.shape.groups[i], t.set.groups[i]
	of := func(m Measure) *Hist { return t.shape.merge([]*set{t.set}, []int{t.shape.group(i)}, All, m) }
	g := Group{Step: k.Step, Kind: k.Kind.String(), Count: c.OK + c.Failed, OK: c.OK, Failed: c.Failed,
		AskedParallel: k.Asked, AchievedParallel: c.MaxWire, FullyParallel: c.Full,
		First: NewDistribution(of(First)), Settle: NewDistribution(of(Settle)), Makespan: NewDistribution(of(Makespan)),
		Straggler: newRatio(of(Straggler))}
	if g.AskedParallel == 0 {
		g.AskedParallel = c.MaxAsked
	}
	if g.Count > 0 {
		g.MeanParallel = round(float64(c.OnTheWire) / float64(g.Count))
	}
	return g
}

// errorRows returns the errors, the most frequent first, and "other" last.
func (t *Totals) errorRows() []Error {
	rows := []Error{}
	for _, r := range t.errors {
		rows = append(rows, Error{Outcome: r.Outcome, Status: r.Status, Detail: r.Detail, Code: r.Code, Message: r.Message,
			Count: r.count, RequestID: r.RequestID})
	}
	slices.SortFunc(rows, func(a, b Error) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Status, b.Status),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Detail, b.Detail), cmp.Compare(a.Message, b.Message))
	})
	if n := t.last.OtherErrors; n > 0 {
		rows = append(rows, Error{Outcome: "other", Message: "errors of further kinds", Count: n})
	}
	return rows
}
