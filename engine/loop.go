package engine

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"volley/engine/pace"
)

// The loop:
//
//	       Due(n)          tickets (unbuffered)
//	pacer ────────▶ now? ─────────────────────▶ callers ──▶ Invoker ──▶ Recorder
//	  one goroutine   │  nobody free:             ≤ MaxInFlight
//	                  └─ drop (counted), or wait  hired when all are busy
//
// In a closed run there is no pacer: every caller takes its next ticket when
// it is free, and a crowd goroutine hires and retires callers.

// ErrStopped is the cause with which iterations are canceled that outlast the
// graceful stop.
var ErrStopped = errors.New("the run ended before it")

// Options is what a Run is made of.
type Options struct {
	Plan    *Plan
	Invoker Invoker
	Rows    Feed            // nil: iterations have no row
	Record  func() Recorder // called once for each caller that is hired
	Timer   pace.Timer      // how the pacer waits; nil: a plain timer
	Stop    <-chan struct{} // closed to stop gently: nothing more is sent, what is under way may finish; nil: never
	Base    time.Time       // the start of the run, from which all times count; zero: when Fire is called
}

// A Run is one execution of a plan.
type Run struct {
	Options
	load Load

	tickets chan ticket
	freed   chan struct{} // a caller became free; holds one
	ended   chan struct{} // closed when nothing more is due
	callers sync.WaitGroup
	spare   sync.Pool // of *form
	full    fullClock
	burst   burst

	due, sent, dropped, finished, canceled atomic.Int64
	warm, warmed                           atomic.Int64 // due in the warm-up, and ended
	inFlight, hired                        atomic.Int64 // a closed run counts neither what is due nor what is in flight: it follows from the rest
	lastEnd, sendEnd, askEnd               atomic.Int64 // time.Durations

	taking struct { // hands out iterations
		sync.Mutex
		next int64 // number of the next one
		main int64 // how many were not of the warm-up
		err  error // io.EOF when rows or iterations have run out
	}
}

// A ticket is one iteration to be made.
type ticket struct {
	n         int64
	row       any
	due, held time.Duration
	warm      bool
}

// NewRun prepares a run.
func NewRun(o Options) *Run {
	r := &Run{Options: o, load: o.Plan.Load, tickets: make(chan ticket), freed: make(chan struct{}, 1), ended: make(chan struct{})}
	if r.Timer == nil {
		r.Timer = pace.NewPlainTimer()
	}
	r.full.limit = int64(r.load.MaxInFlight)
	r.full.from = r.load.Warmup
	r.burst = burst{level: r.load.Level, from: r.load.Warmup}
	return r
}

// Fire runs the plan to its end: until the load is over and every iteration
// has ended, or Stop is closed and every iteration has ended, or ctx is done.
// What outlasts the graceful stop is canceled. When Fire returns, every result
// is recorded and no goroutine of the run is left. The error is that of the
// rows, if reading them failed.
func (r *Run) Fire(ctx context.Context) error {
	if r.Base.IsZero() {
		r.Base = time.Now()
	}
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-r.Stop:
			stopSending()
		case <-sending.Done():
		}
		r.Timer.Wake()
	})

	if r.load.Arrivals != nil {
		r.staff(work)
	}
	r.sleepUntil(sending, 0) // Base may lie a moment ahead
	if r.load.Arrivals != nil {
		r.pacer(sending, work)
	} else {
		r.crowd(sending, work)
	}
	close(r.ended)
	stopSending()
	close(r.tickets)
	watch.Wait()

	done := make(chan struct{})
	watch.Go(func() { r.callers.Wait(); close(done) })
	patience := time.NewTimer(r.load.GracefulStop)
	defer patience.Stop()
	select {
	case <-done:
	case <-ctx.Done():
	case <-patience.C:
		cancel(ErrStopped)
	}
	watch.Wait()

	r.taking.Lock()
	defer r.taking.Unlock()
	if err := r.taking.err; err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Ended is closed when nothing more is due: what is left of the run is to let
// the last iterations finish.
func (r *Run) Ended() <-chan struct{} { return r.ended }

// Tally says how far the run is. It may be called at any time after Fire has
// begun, by anyone.
func (r *Run) Tally() Tally {
	// What has ended is read before what was begun, and so is no more.
	finished, canceled, warmed := r.finished.Load(), r.canceled.Load(), r.warmed.Load()
	t := Tally{
		Finished: finished, Canceled: canceled,
		Due: r.due.Load(), Sent: r.sent.Load(), Dropped: r.dropped.Load(), Warmup: r.warm.Load(),
		InFlight: int(r.inFlight.Load()), Callers: int(r.hired.Load()),
		Elapsed: r.now(), Burst: r.burst.worst(),
	}
	if r.load.Arrivals == nil {
		t.Due = t.Sent
		t.InFlight = min(t.Callers, int(t.Sent+t.Warmup-finished-canceled-warmed))
	}
	t.Full = r.full.total(t.Elapsed)
	ended := false
	sendEnd := t.Elapsed
	select {
	case <-r.ended:
		ended, sendEnd = true, time.Duration(r.sendEnd.Load())
	default:
	}
	askEnd := sendEnd
	if r.load.Arrivals != nil && (ended || r.load.WaitWhenBusy) {
		askEnd = time.Duration(r.askEnd.Load())
	}
	t.Sending = max(0, sendEnd-r.load.Warmup)
	t.Asking = max(0, askEnd-r.load.Warmup)
	t.Active = max(t.Sending, time.Duration(r.lastEnd.Load())-r.load.Warmup)
	return t
}

func (r *Run) now() time.Duration { return time.Since(r.Base) }

// take hands out the next iteration. It is io.EOF when the rows or the
// iterations have run out; any error is there to stay.
func (r *Run) take(warm bool) (n int64, row any, err error) {
	t := &r.taking
	t.Lock()
	defer t.Unlock()
	if t.err != nil {
		return 0, nil, t.err
	}
	if !warm && r.load.Iterations > 0 && t.main >= r.load.Iterations {
		t.err = io.EOF
		return 0, nil, t.err
	}
	if r.Rows != nil {
		if row, t.err = r.Rows.Next(); t.err != nil {
			return 0, nil, t.err
		}
	}
	n = t.next
	t.next++
	if !warm {
		t.main++
	}
	return n, row, nil
}

// breath is how many iterations a late pacer fires before it lets everybody
// else go on, and breathing for how long. The runtime asks for replies when
// nobody has anything to do; a pacer that always has something would find no
// caller free, hire one for each iteration, have each open a connection, and be
// later for it.
const (
	breath    = 8
	breathing = 20 * time.Microsecond
)

// pacer fires an open run's iterations when they are due. It ends with the
// arrivals, the rows, the iterations, or with sending.
func (r *Run) pacer(sending, work context.Context) {
	arrivals := r.load.Arrivals()
	defer r.burst.judge() // the last window
	defer func() {        // the plan says when the load ends, where nobody stops it before
		if sending.Err() != nil {
			raise(&r.sendEnd, int64(r.now()))
		}
	}()
	var unblocked time.Duration // when the last wait for a free caller was over
	rush := 0                   // how many were late when their turn came, one after the other
	for k := int64(0); ; k++ {
		due, ok := arrivals.Due(k)
		if !ok {
			end := r.load.Warmup + r.load.Level.Length()
			if r.sleepUntil(sending, end) {
				raise(&r.sendEnd, int64(end))
			}
			raise(&r.askEnd, int64(min(end, r.now())))
			return
		}
		t := ticket{due: due, warm: due < r.load.Warmup}
		var err error
		if t.n, t.row, err = r.take(t.warm); err != nil {
			// The load lasts until this one would have been due: 1000 at 200/s
			// are five seconds, though the last is sent a gap before.
			raise(&r.sendEnd, int64(due))
			raise(&r.askEnd, int64(due))
			return
		}
		if rush++; due > r.now() {
			rush = 0
		} else if rush%breath == 0 && sending.Err() == nil {
			r.Timer.Sleep(breathing)
		}
		stopped := !r.sleepUntil(sending, due)
		if stopped && due >= unblocked {
			raise(&r.askEnd, int64(r.now()))
			return
		}
		r.count(t.warm, &r.due)
		r.burst.due(due)
		raise(&r.askEnd, int64(due))
		if stopped { // while this one waited behind others
			r.count(t.warm, &r.dropped)
			continue
		}
		if !r.occupy() {
			if !r.load.WaitWhenBusy {
				r.count(t.warm, &r.dropped)
				continue
			}
			free := r.waitForCaller(sending)
			unblocked = r.now()
			if !free {
				r.count(t.warm, &r.dropped)
				continue
			}
		}
		sent := r.now()
		if t.held = max(0, unblocked-due); t.held == 0 { // else the scenario asked for the bunch
			r.burst.sent(sent)
		}
		raise(&r.sendEnd, int64(sent))
		r.hand(work, t)
	}
}

// sleepUntil waits for a time and reports whether it came before the end of
// sending.
func (r *Run) sleepUntil(sending context.Context, at time.Duration) bool {
	for {
		if sending.Err() != nil {
			return false
		}
		left := at - r.now()
		if left <= 0 {
			return true
		}
		r.Timer.Sleep(left)
	}
}

// count adds one to c, or to the warm-up's count.
func (r *Run) count(warm bool, c *atomic.Int64) {
	switch {
	case !warm:
		c.Add(1)
	case c == &r.due:
		r.warm.Add(1)
	case c == &r.finished, c == &r.canceled:
		r.warmed.Add(1)
	}
}

// occupy takes one of the places that MaxInFlight gives, if there is one free.
func (r *Run) occupy() bool {
	n := r.inFlight.Add(1)
	if limit := int64(r.load.MaxInFlight); n > limit {
		r.inFlight.Add(-1)
		return false
	} else if n == limit {
		r.full.begin(r.now(), &r.inFlight)
	}
	return true
}

// release gives the place back.
func (r *Run) release() {
	if r.inFlight.Add(-1) == r.full.limit-1 {
		r.full.end(r.now(), &r.inFlight)
	}
	select {
	case r.freed <- struct{}{}:
	default: // the pacer has a wake-up waiting already
	}
}

// waitForCaller occupies a place as soon as there is one, and reports false
// if sending ended first.
func (r *Run) waitForCaller(sending context.Context) bool {
	for !r.occupy() {
		select {
		case <-r.freed:
		case <-sending.Done():
			return false
		}
	}
	return true
}

// hand gives t to a caller; a place is occupied. If no caller is waiting, one
// is hired, while there are fewer than places; if all are hired, one that is
// just done will come back for it.
func (r *Run) hand(work context.Context, t ticket) {
	select {
	case r.tickets <- t:
		return
	default:
	}
	if r.hired.Load() == int64(r.load.MaxInFlight) {
		r.tickets <- t
		return
	}
	c := r.hire()
	r.callers.Go(func() {
		c.iterate(work, &t)
		r.release()
		r.serve(work, c)
	})
}

// serve makes iterations as long as there are any.
func (r *Run) serve(work context.Context, c *caller) {
	defer c.leave()
	for t := range r.tickets {
		c.iterate(work, &t)
		r.release()
	}
}

// staff hires the first callers of an open run ahead of their first iteration.
// The first milliseconds have enough to do with opening connections.
func (r *Run) staff(work context.Context) {
	for range r.load.First() {
		c := r.hire()
		r.callers.Go(func() {
			grow()
			r.serve(work, c)
		})
	}
}

// grow makes the stack of a goroutine as large as an iteration needs it, before
// that has to wait for it.
//
//go:noinline
func grow() {
	var room [2 << 10]byte
	for i := range room {
		room[i] = byte(i)
	}
	runtime.KeepAlive(&room[0])
}

func (r *Run) hire() *caller {
	id := int(r.hired.Add(1)) - 1
	c := &caller{run: r, id: id, record: r.Record()}
	c.pass.members.Store(-1)
	return c
}

// raise sets a to v if v is greater.
func raise(a *atomic.Int64, v int64) {
	for {
		old := a.Load()
		if v <= old || a.CompareAndSwap(old, v) {
			return
		}
	}
}

// Once makes the first invocation of a plan, alone and at once.
func Once(ctx context.Context, p *Plan, by Invoker, base time.Time) (*Result, error) {
	for i := range p.Steps {
		in := p.Steps[i].Invoke
		if in == nil {
			continue
		}
		s := &Scope{Seed: p.Seed, Step: p.Steps[i].ID, Now: base}
		inv := &Invocation{Step: in, Scope: s}
		if err := inv.render(s); err != nil {
			return nil, err
		}
		r := &Result{Due: time.Since(base)}
		inv.Due = r.Due
		by.Invoke(ctx, inv, r)
		r.Invocation = inv
		return r, nil
	}
	return nil, errors.New("the plan has no invocation at its top")
}
