package emulator

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Truth is what a server did so far. It is as large as the configuration,
// however long the server runs.
type Truth struct {
	Start    time.Time `json:"start"`    // arrivals are counted from it
	Requests int64     `json:"requests"` // sum of all counts
	Lost     int64     `json:"lost"`     // lines that the truth stream could not take
	Counts   []Count   `json:"counts"`   // by function, qualifier, outcome, cause, status
}

// A Count is how many requests ended in one way.
type Count struct {
	Function  string `json:"function"`         // empty: none was reached
	Qualifier string `json:"qualifier"`        // as asked for; (unknown) for all that there are not
	Outcome   string `json:"outcome"`          // what a client should make of it (DESIGN.md 1)
	Cause     string `json:"cause,omitempty"`  // the platform's code, or the key of Function.Errors
	Status    int    `json:"status,omitempty"` // 0: there was no answer
	Requests  int64  `json:"requests"`
	Cold      int64  `json:"cold"` // of these, how many started an instance
	Gone      int64  `json:"gone"` // of these, whose client had left before the answer
}

// A route is a qualifier of a function as requests name it, and their count.
type route struct {
	function, qualifier string
	version             *version

	mu     sync.Mutex
	counts map[end]*tally
}

// An end is one way in which requests end.
type end struct {
	outcome, cause string
	status         int
}

type tally struct{ requests, cold, gone int64 }

func (r *route) count(e end, cold, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.counts[e]
	if t == nil {
		if r.counts == nil {
			r.counts = make(map[end]*tally)
		}
		t = new(tally)
		r.counts[e] = t
	}
	t.requests++
	if cold {
		t.cold++
	}
	if gone {
		t.gone++
	}
}

// Truth returns what the server did so far. A request is counted before its
// answer is given: who has an answer finds it here.
func (s *Server) Truth() Truth {
	t := Truth{Start: s.start}
	add := func(r *route) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for e, n := range r.counts {
			t.Requests += n.requests
			t.Counts = append(t.Counts, Count{r.function, r.qualifier, e.outcome, e.cause, e.status, n.requests, n.cold, n.gone})
		}
	}
	add(&s.stray)
	for _, fn := range s.functions {
		add(&fn.unknown)
		for _, r := range fn.routes {
			add(r)
		}
	}
	slices.SortFunc(t.Counts, func(a, b Count) int {
		return cmp.Or(strings.Compare(a.Function, b.Function), strings.Compare(a.Qualifier, b.Qualifier),
			strings.Compare(a.Outcome, b.Outcome), strings.Compare(a.Cause, b.Cause), cmp.Compare(a.Status, b.Status))
	})
	if s.truth != nil {
		t.Lost = s.truth.lostLines()
	}
	return t
}

// The truth stream: the first line is
//
//	{"schema":"volley.truth/1","start":"2026-11-22T10:15:30.123456789Z","seed":7,"stall_zero_ns":0}
//
// and each of the others is a request, in the order in which they ended:
//
//	{"function":"hello","qualifier":"3","arrival_ns":15,"service_ns":20,"status":200,"outcome":"ok","instance":1,"cold":true,"request_id":"…"}
//
// arrival_ns is when the request's headers had been read, counted on the
// monotonic clock from start, which is where the periods of stalls are counted
// from as well; service_ns runs from there until the answer was written to the
// connection. cause, instance, cold and gone (the client had left) stand only
// where they say something. Where lines were lost, the last line is {"lost":12}.
const (
	flushEvery  = 200 * time.Millisecond
	kickBytes   = 256 << 10 // wakes the writer before its time
	streamBytes = 16 << 20  // what may wait while the writer is stuck
)

// A stream writes lines to a slow writer without keeping requests waiting: they
// append to a buffer, and one goroutine writes full ones.
type stream struct {
	w     io.Writer
	what  string // is written, for errors
	kick  chan struct{}
	done  chan struct{}
	ended chan struct{}

	mu   sync.Mutex
	buf  []byte
	lost int64
	err  error // the first of w
}

func newStream(w io.Writer, what, head string) *stream {
	t := &stream{w: w, what: what, buf: []byte(head), kick: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{})}
	go t.run()
	return t
}

func newTruth(w io.Writer, start time.Time, seed uint64) *stream {
	return newStream(w, "truth", fmt.Sprintf(`{"schema":"volley.truth/1","start":%q,"seed":%d,"stall_zero_ns":0}`+"\n", start.UTC().Format(time.RFC3339Nano), seed))
}

func (t *stream) add(line []byte) {
	t.mu.Lock()
	if len(t.buf)+len(line) > streamBytes || t.err != nil {
		t.lost++
		t.mu.Unlock()
		return
	}
	t.buf = append(t.buf, line...)
	full := len(t.buf) >= kickBytes
	t.mu.Unlock()
	if full {
		select {
		case t.kick <- struct{}{}:
		default: // it is on its way
		}
	}
}

func (t *stream) lostLines() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

// run writes what is there every now and then, and the rest at the end.
func (t *stream) run() {
	defer close(t.ended)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var spare []byte
	for {
		var last bool
		select {
		case <-tick.C:
		case <-t.kick:
		case <-t.done:
			last = true
		}
		t.mu.Lock()
		full := t.buf
		t.buf = spare[:0]
		if last && t.lost > 0 {
			full = fmt.Appendf(full, `{"lost":%d}`+"\n", t.lost)
		}
		failed := t.err != nil
		t.mu.Unlock()
		if len(full) > 0 && !failed {
			if _, err := t.w.Write(full); err != nil {
				t.mu.Lock()
				t.err = fmt.Errorf("write the emulator's %s: %w", t.what, err)
				t.mu.Unlock()
			}
		}
		if last {
			return
		}
		spare = full
	}
}

func (t *stream) close() error {
	close(t.done)
	<-t.ended
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// record writes the line of a request that has ended.
func (x *exchange) record(e end, gone bool) {
	if x.s.truth == nil {
		return
	}
	var room [384]byte
	b := append(room[:0], `{"function":"`...)
	b = append(b, x.to.function...) // names are free of what JSON escapes
	b = append(b, `","qualifier":`...)
	b = appendString(b, x.to.qualifier)
	b = append(b, `,"arrival_ns":`...)
	b = strconv.AppendInt(b, int64(x.arrived), 10)
	b = append(b, `,"service_ns":`...)
	b = strconv.AppendInt(b, int64(x.s.now()-x.arrived), 10)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(e.status), 10)
	b = append(b, `,"outcome":"`...)
	b = append(b, e.outcome...)
	b = append(b, '"')
	if e.cause != "" {
		b = append(b, `,"cause":"`...)
		b = append(b, e.cause...)
		b = append(b, '"')
	}
	if x.instance != 0 {
		b = append(b, `,"instance":`...)
		b = strconv.AppendUint(b, x.instance, 10)
	}
	if x.cold {
		b = append(b, `,"cold":true`...)
	}
	if gone {
		b = append(b, `,"gone":true`...)
	}
	b = append(b, `,"request_id":"`...)
	b = append(b, x.id...)
	b = append(b, "\"}\n"...)
	x.s.truth.add(b)
}
