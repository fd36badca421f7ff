package engine

import (
	"context"
	"time"

	"volley/engine/auth"
)

// An Invocation is one call as it is fired: a step of the plan with the values
// of one iteration filled in.
type Invocation struct {
	Step   *Invoke
	Scope  *Scope
	Data   []byte  // the rendered body; nil when the step has none
	Header []Field // the scenario's own lines, rendered
	Path   string  // rendered HTTP path; "" without HTTP
	Query  []Field // rendered HTTP query
	Due    time.Duration
	Held   time.Duration // waits since Due that the scenario asked for, so far
	Asked  time.Duration // now, as its caller knew it that begins the iteration with it; 0: nobody told
	Worker int           // the caller that fires it, counted from 0
	Warmup bool
}

// An Invoker carries out one invocation, its retries included, and fills in
// the result. It must be safe for concurrent use. Whatever happens is a
// result: there is no other error.
type Invoker interface {
	Invoke(ctx context.Context, i *Invocation, r *Result)
}

// All times of results are counted from the start of the run, warm-up included.

// A Result is what is written down about an invocation. It is valid only
// during the Recorder's call.
type Result struct {
	Invocation *Invocation
	Due        time.Duration // the plan wanted it
	Start      time.Duration // of the first attempt: a connection was in hand, or dialling began
	End        time.Duration // of the last attempt: the whole reply was read, or it failed
	Held       time.Duration // waits that the scenario asked for: limits, ceilings, backoffs
	InService  time.Duration // End - Start, summed over the attempts
	Reply      Reply         // of the last attempt
	Renewed    bool          // an attempt more was made with a new token, after the old one was refused as expired
	Grant      auth.Grant    // that the last attempt was made with
	Attempts   []Attempt     // at least one, unless nothing could be sent
	Request    *Request      // of the last attempt; nil when nothing could be sent
	Raw        Response      // to it, as it came; parts of Reply stand in it

	// Scratch is the Invoker's own: what it finds there is what it left when it
	// last wrote on this form, or nil.
	Scratch any
}

// Begin empties r for an invocation. What its parts have room for is used again.
func (r *Result) Begin(i *Invocation) {
	attempts, request, raw, scratch := r.Attempts[:0], r.Request, r.Raw, r.Scratch
	*r = Result{}
	r.Invocation, r.Due, r.Held = i, i.Due, i.Held
	r.Attempts, r.Request, r.Raw, r.Scratch = attempts, request, raw, scratch
}

// Response is what a user feels: from due to end.
func (r *Result) Response() time.Duration { return r.End - r.Due }

// Service is what the function and the way to it took.
func (r *Result) Service() time.Duration { return r.InService }

// Lateness is what is left of the response time: our own doing.
func (r *Result) Lateness() time.Duration {
	return max(0, r.Response()-r.InService-r.Held)
}

// An Attempt is one try at an invocation.
type Attempt struct {
	Due, Start, End time.Duration
	Held            time.Duration
	Outcome         Outcome
	Status          int
	RequestID       string
	Phases          Phases
	Reused          bool  // the connection had carried a request before
	BytesOut        int64 // body bytes sent
	BytesIn         int64 // body bytes read
}

// Phases are the parts of an attempt's service time. A part that did not
// happen (no dialling on a reused connection) is less than 0. Preflight comes
// before the service time: asking for leave, as browsers do, is a wait that the
// scenario wants.
type Phases struct {
	DNS, Connect, TLS, Send, FirstByte, Receive, Preflight time.Duration
}

// NoPhases has no part.
func NoPhases() Phases { return Phases{-1, -1, -1, -1, -1, -1, -1} }

// A GroupResult is what is written down about a group that has ended, losers
// included. A group that is cut short, with the run or with a group around it,
// has none.
type GroupResult struct {
	Group     *Group
	Scope     *Scope
	Warmup    bool
	OK        bool          // it settled as fulfilled
	Due       time.Duration // of every member
	First     time.Duration // the first member completed
	Settled   time.Duration // the group settled
	Last      time.Duration // the last member completed
	Members   int
	Median    time.Duration // of the members' times, each from Due to its end
	OnTheWire int           // the most attempts that were on the wire at once
}

// An IterationResult is what is written down about one pass through the steps.
type IterationResult struct {
	Scope    *Scope
	Warmup   bool
	Due      time.Duration
	Start    time.Duration // a caller took it up
	End      time.Duration // its last step settled
	Held     time.Duration // waits for a free caller that the scenario asked for (when_busy: wait)
	Lateness time.Duration // the largest lateness of its invocations; with none, Start - Due - Held
	Failed   bool          // a step failed, and so ended it
	Err      error         // why, where no invocation's result tells it: an expression that failed
	Canceled bool          // it was cut short by the end of the run
}

// A Recorder writes results down. Each caller has its own, but members of a
// group share their caller's, so it must be safe for concurrent use. It keeps
// nothing of what it is given.
type Recorder interface {
	Invocation(*Result)
	Group(*GroupResult)
	Iteration(*IterationResult)
}

// A Feed hands out the rows of a dataset in order. It is never asked
// concurrently. At the end the error is io.EOF.
type Feed interface {
	Next() (row any, err error)
}
