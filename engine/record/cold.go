package record

import (
	"cmp"
	"container/heap"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"volley/engine"
)

// Bounds of what is kept of single results.
const (
	maxErrors          = 100  // different errors that are told apart
	maxFailures        = 5000 // lines of failures.jsonl
	maxFailuresAlike   = 100  // of them of one series, outcome, code and status
	maxSlowest         = 100  // lines of slowest.jsonl
	maxKeptBody        = 2048 // bytes of a request's or a reply's body
	maxKeptRow         = 1024 // bytes of a dataset's row
	longestSecret      = 8192 // bytes; one that begins before the end of what is kept is hidden whole
	maxPendingFailures = 1 << 20
)

// A cold keeps what single results leave behind: which errors there were, a
// sample of the failed results, and the slowest ones. Callers write to it
// themselves, but only on failure, or when a result is among the slowest so
// far.
type cold struct {
	shape  *shape
	start  time.Time
	onDisk bool
	mask   func(string) string // hides secrets in what came from outside

	mu       sync.Mutex
	errors   errorTable
	alike    map[failureKey]int
	kept     int64
	leftOut  int64
	pending  []byte // lines of failures.jsonl not yet written
	slowest  slowHeap
	slowNews bool // since the last write

	bar atomic.Int64 // what a response must exceed to be among the slowest
}

func newCold(s *shape, start time.Time, onDisk bool, mask func(string) string) *cold {
	if mask == nil {
		mask = func(text string) string { return text }
	}
	c := &cold{shape: s, start: start, onDisk: onDisk, mask: mask, alike: map[failureKey]int{}}
	c.errors.byKey = map[errorKey]int{}
	c.bar.Store(-1)
	return c
}

// An errorKey tells errors apart. Of the message it has only the form: what
// changes from one failure to the next (ports, ids) would make each its own.
type errorKey struct {
	outcome engine.Outcome
	status  int
	detail  string
	code    string
	form    string
}

// form returns a message with every word that looks like a number or an id
// replaced: four letters, digits, dashes or underscores and more, at least one
// of them a digit.
func form(message string) string {
	var b strings.Builder
	rest := message
	for rest != "" {
		end, digit := 0, false
		for end < len(rest) && isWord(rest[end]) {
			digit = digit || rest[end] >= '0' && rest[end] <= '9'
			end++
		}
		switch {
		case end == 0:
			end = 1
			b.WriteByte(rest[0])
		case digit && end >= 4:
			b.WriteByte('#')
		default:
			b.WriteString(rest[:end])
		}
		rest = rest[end:]
	}
	return b.String()
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_'
}

// An errorRow is one kind of error, as counts.jsonl has it.
type errorRow struct {
	ID        int    `json:"id"`
	Outcome   string `json:"outcome"`
	Status    int    `json:"status,omitempty"`
	Detail    string `json:"detail,omitempty"`
	Code      string `json:"code,omitempty"`
	Message   string `json:"message,omitempty"`    // of the first
	RequestID string `json:"request_id,omitempty"` // of the first
	count     int64
	written   int64 // of count, in counts.jsonl
}

// An errorTable counts errors by kind. Past its bound they are counted
// together, in other.
type errorTable struct {
	byKey map[errorKey]int
	rows  []errorRow
	other int64
}

func (t *errorTable) add(p *engine.Reply) {
	key := errorKey{p.Outcome, p.Status, p.Detail, p.Code, form(p.Message[:min(len(p.Message), engine.MaxMessage)])}
	id, ok := t.byKey[key]
	if !ok {
		if len(t.rows) >= maxErrors {
			t.other++
			return
		}
		id = len(t.rows)
		// The strings may be parts of bigger ones that are not to be kept.
		key.detail, key.code = strings.Clone(key.detail), strings.Clone(key.code)
		t.byKey[key] = id
		t.rows = append(t.rows, errorRow{ID: id, Outcome: p.Outcome.String(), Status: p.Status, Detail: valid(p.Detail),
			Code: valid(p.Code), Message: text(p.Message, engine.MaxMessage), RequestID: text(p.RequestID, 256)})
	}
	t.rows[id].count++
}

// valid returns a copy of s that is valid UTF-8, as JSON would make it.
func valid(s string) string { return strings.Clone(strings.ToValidUTF8(s, "\ufffd")) }

// text returns at most n bytes of s, as valid UTF-8.
func text(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return valid(s)
}

type failureKey struct {
	series  int
	outcome engine.Outcome
	code    string
	status  int
}

// failed takes note of a failed result. Errors during the warm-up are not in
// the table, as its results are not in the report, but they are in the sample.
func (c *cold) failed(r *engine.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !r.Invocation.Warmup {
		reply := r.Reply
		for _, text := range []*string{&reply.Detail, &reply.Code, &reply.Message, &reply.RequestID} {
			*text = c.mask(*text)
		}
		c.errors.add(&reply)
	}
	if !c.onDisk {
		return
	}
	key := failureKey{r.Invocation.Step.Series, r.Reply.Outcome, r.Reply.Code, r.Reply.Status}
	n, known := c.alike[key]
	if n >= maxFailuresAlike || c.kept >= maxFailures || len(c.pending) > maxPendingFailures {
		c.leftOut++
		return
	}
	if !known {
		key.code = strings.Clone(key.code)
	}
	c.alike[key] = n + 1
	c.kept++
	f := new(Entry)
	c.entry(f, r)
	c.pending = appendJSON(c.pending, f)
}

// expression takes note of an expression that failed outside of invocations,
// and so ended its iteration. It is one of the errors, but of no series.
func (c *cold) expression(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errors.add(&engine.Reply{Outcome: engine.Rejected, Detail: "expression", Message: c.mask(err.Error())})
}

// appendJSON appends v as one line. What cannot be written as JSON (a number
// that is not finite, in a row) becomes a line that says so.
func appendJSON(to []byte, v any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		b.Reset()
		_ = e.Encode(map[string]string{"unwritable": err.Error()})
	}
	return append(to, b.String()...)
}

// An Entry is one result as failures.jsonl has it, and slowest.jsonl with more.
// Times count from the start of the run.
type Entry struct {
	At         time.Time `json:"at"` // its end
	Step       string    `json:"step"`
	Function   string    `json:"function"`
	Method     string    `json:"method"`
	Qualifier  string    `json:"qualifier,omitempty"`
	Arm        string    `json:"arm,omitempty"`
	Iteration  int64     `json:"iteration"`
	Warmup     bool      `json:"warmup,omitempty"`
	Outcome    string    `json:"outcome"`
	Detail     string    `json:"detail,omitempty"`
	Status     int       `json:"status,omitempty"`
	Code       string    `json:"code,omitempty"`
	Message    string    `json:"message,omitempty"`
	RequestID  string    `json:"request_id,omitempty"`
	DueUS      int64     `json:"due_us"`
	StartUS    int64     `json:"start_us"`
	EndUS      int64     `json:"end_us"`
	ResponseUS int64     `json:"response_us"`
	ServiceUS  int64     `json:"service_us"`
	Attempts   int       `json:"attempts"`
	Renewed    bool      `json:"renewed,omitempty"` // sent again with a new token
	Reply      string    `json:"reply,omitempty"`   // the start of the body

	// What the reply tells of the function's side.
	FunctionUS  *int64 `json:"function_us,omitempty"` // its own time
	BilledUS    int64  `json:"billed_us,omitempty"`
	MemoryBytes int64  `json:"memory_bytes,omitempty"`
	Cold        *bool  `json:"cold,omitempty"` // an instance was started for it
	Instance    string `json:"instance,omitempty"`
}

// entry writes down r. Callers do this on a stack that should stay small, so
// that none of it is on it.
func (c *cold) entry(f *Entry, r *engine.Result) {
	i, p := r.Invocation, &r.Reply
	k := &c.shape.series[i.Step.Series]
	f.At = c.start.Add(r.End).UTC()
	f.Step, f.Function, f.Method, f.Qualifier, f.Arm = k.Step, k.Function, k.Method, k.Qualifier, k.Arm
	f.Warmup, f.Outcome, f.Status, f.Attempts, f.Renewed = i.Warmup, p.Outcome.String(), p.Status, len(r.Attempts), r.Renewed
	f.DueUS, f.StartUS, f.EndUS, f.ResponseUS, f.ServiceUS = us(r.Due), us(r.Start), us(r.End), us(r.Response()), us(r.Service())
	if i.Scope != nil {
		f.Iteration = i.Scope.Iteration
	}
	f.Detail, f.Code, f.RequestID = c.mask(p.Detail), c.mask(p.Code), c.mask(p.RequestID)
	f.Message = text(c.mask(p.Message), engine.MaxMessage)
	f.Reply = text(c.mask(string(p.Body[:min(len(p.Body), maxKeptBody+longestSecret)])), maxKeptBody)
	f.told(&p.Server, c.mask)
}

// told fills in the function's side.
func (f *Entry) told(p *engine.ServerSide, mask func(string) string) {
	f.BilledUS, f.MemoryBytes = us(p.Billed), p.MemoryBytes
	if p.Timed {
		function := us(p.Duration)
		f.FunctionUS = &function
	}
	if p.Cold != engine.Unknown {
		cold := p.Cold == engine.Yes
		f.Cold = &cold
	}
	if p.Instance != "" {
		f.Instance = text(mask(p.Instance), engine.MaxInstance)
	}
}

// A slow is a copy of a result that is among the slowest.
type slow struct {
	Entry
	heldUS     int64
	latenessUS int64
	attempts   []engine.Attempt
	row, item  any // of the dataset; such values are not changed by anybody
	request    *engine.Request
	bodyBytes  int
}

// slow takes note of a result that is among the slowest so far. Most results
// are not, which costs them one comparison.
func (c *cold) slow(r *engine.Result) {
	if c.onDisk && !r.Invocation.Warmup && us(r.Response()) > c.bar.Load() {
		c.keep(r)
	}
}

// keep copies a result that is among the slowest so far.
func (c *cold) keep(r *engine.Result) {
	s := new(slow)
	c.entry(&s.Entry, r)
	s.heldUS, s.latenessUS, s.attempts = us(r.Held), us(r.Lateness()), slices.Clone(r.Attempts)
	for n := range s.attempts {
		s.attempts[n].RequestID = c.mask(strings.Clone(s.attempts[n].RequestID))
	}
	s.RequestID, s.Code, s.Detail = strings.Clone(s.RequestID), strings.Clone(s.Code), strings.Clone(s.Detail)
	if scope := r.Invocation.Scope; scope != nil {
		s.row, s.item = scope.Row, scope.Item
	}
	if r.Request != nil {
		q := new(engine.Request)
		*q = *r.Request
		s.bodyBytes = len(q.Body)
		q.Body = slices.Clone(q.Body[:min(len(q.Body), maxKeptBody)])
		q.Header = slices.Clone(q.Header)
		s.request = q
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	heap.Push(&c.slowest, s)
	if len(c.slowest) > maxSlowest {
		heap.Pop(&c.slowest)
	}
	if len(c.slowest) == maxSlowest {
		c.bar.Store(c.slowest[0].ResponseUS)
	}
	c.slowNews = true
}

// A slowHeap has the fastest of the slowest on top.
type slowHeap []*slow

func (h slowHeap) Len() int           { return len(h) }
func (h slowHeap) Less(i, j int) bool { return h[i].ResponseUS < h[j].ResponseUS }
func (h slowHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *slowHeap) Push(x any)        { *h = append(*h, x.(*slow)) }
func (h *slowHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}

// A Slow is a line of slowest.jsonl: one of the slowest results, slowest
// first, with all that is known to find out why.
type Slow struct {
	Entry
	HeldUS     int64         `json:"held_us"`
	LatenessUS int64         `json:"lateness_us"`
	Tries      []SlowAttempt `json:"tries"`
	Row        any           `json:"row,omitempty"`
	Item       any           `json:"item,omitempty"`
	Curl       string        `json:"curl,omitempty"` // asks again; secrets masked
}

// A SlowAttempt is one try at a slow invocation.
type SlowAttempt struct {
	DueUS     int64            `json:"due_us"`
	StartUS   int64            `json:"start_us"`
	EndUS     int64            `json:"end_us"`
	Outcome   string           `json:"outcome"`
	Status    int              `json:"status,omitempty"`
	RequestID string           `json:"request_id,omitempty"`
	Reused    bool             `json:"reused"`
	Phases    map[string]int64 `json:"phases"` // such as first_byte_us; those that happened
	BytesOut  int64            `json:"bytes_out"`
	BytesIn   int64            `json:"bytes_in"`
}

// slowestLines returns slowest.jsonl as it stands; nil when nothing has come
// in since the last time.
func (c *cold) slowestLines() []byte {
	c.mu.Lock()
	news := c.slowNews
	c.slowNews = false
	all := slices.Clone(c.slowest)
	c.mu.Unlock()
	if !news {
		return nil
	}
	slices.SortFunc(all, func(a, b *slow) int {
		return cmp.Or(cmp.Compare(b.ResponseUS, a.ResponseUS), cmp.Compare(a.EndUS, b.EndUS))
	})
	var lines []byte
	for i := range all {
		lines = appendJSON(lines, all[i].line(c.mask))
	}
	return lines
}

func (s *slow) line(mask func(string) string) Slow {
	l := Slow{Entry: s.Entry, HeldUS: s.heldUS, LatenessUS: s.latenessUS, Row: bounded(s.row, mask), Item: bounded(s.item, mask)}
	for i := range s.attempts {
		a := &s.attempts[i]
		t := SlowAttempt{DueUS: us(a.Due), StartUS: us(a.Start), EndUS: us(a.End), Outcome: a.Outcome.String(), Status: a.Status,
			RequestID: a.RequestID, Reused: a.Reused, Phases: map[string]int64{}, BytesOut: a.BytesOut, BytesIn: a.BytesIn}
		p := &a.Phases
		for m, d := range [...]time.Duration{p.DNS, p.Connect, p.TLS, p.Send, p.FirstByte, p.Receive, p.Preflight} {
			if d >= 0 {
				t.Phases[(DNS+Measure(m)).String()+"_us"] = us(d)
			}
		}
		l.Tries = append(l.Tries, t)
	}
	if s.request != nil {
		l.Curl = mask(Curl(s.request, s.bodyBytes))
	}
	return l
}

// bounded returns v without secrets, or the start of its JSON as a string when
// it is long.
func bounded(v any, mask func(string) string) any {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "not JSON: " + err.Error()
	}
	shown := mask(string(b))
	switch {
	case len(shown) > maxKeptRow:
		return text(shown, maxKeptRow) + "…"
	case !json.Valid([]byte(shown)): // the secret was a number
		return shown
	}
	return json.RawMessage(shown)
}
