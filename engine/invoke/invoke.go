// Package invoke carries out invocations: one timed exchange, its check, and
// its retries, under a ceiling where the scenario sets one.
package invoke

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// A Transport sends one request and reads its whole reply. It must be safe for
// concurrent use.
type Transport interface {
	// Exchange fills in p and t, of which Base, Now and Until are set and all else
	// is of an earlier exchange. On an error p is of no use, but t says how far
	// the exchange came. Parts of q may still be read for a moment after
	// Exchange has returned (a server may answer before it has read the body),
	// so the body must not change afterwards.
	Exchange(ctx context.Context, worker int, q *engine.Request, p *engine.Response, t *Timing) error
}

// A Timing is what a transport measures of one exchange. Times are counted
// from Base, which the caller sets.
type Timing struct {
	Base   time.Time
	Now    time.Duration // when the exchange was asked for; 0: not told
	Until  time.Duration // the exchange fails with a timeout if it has not ended by then; 0: there is none
	Start  time.Duration // a connection was in hand, or dialling began; less than 0 when it came to neither
	End    time.Duration // the last byte of the reply was read, or the exchange failed
	Phases engine.Phases
	Reused bool // the connection had carried a request before

	BytesOut int64 // body bytes sent
	BytesIn  int64 // body bytes read, as they were on the wire

	asked time.Duration // for leave; less than 0 when none was needed
	leave bool          // it came to no more than that
}

// reset makes t one of an exchange that is asked for now, and has yet to begin.
func (t *Timing) reset(base time.Time, now, until time.Duration) {
	t.Base, t.Now, t.Until, t.asked, t.leave = base, now, until, never, false
}

// begin makes t one of an exchange that has come to nothing so far.
func (t *Timing) begin() {
	t.Start, t.End, t.Phases, t.Reused, t.BytesOut, t.BytesIn = never, 0, engine.NoPhases(), false, 0, 0
}

// again makes t one of a next try at the same exchange.
func (t *Timing) again() {
	start := t.Start
	t.begin()
	t.Start = start
}

// bound returns a context that ends with ctx, or when the exchange must have.
func (t *Timing) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.Until == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, t.Base.Add(t.Until), errTimeout)
}

// A Client is an engine.Invoker: it makes attempts by a Transport, checks
// their replies, and tries again what the scenario wants tried again.
type Client struct {
	Transport Transport
	Tokens    Transport // of requests for tokens, so that they wait behind no invocation; nil: Transport
	Base      time.Time // time zero of the run

	// Check judges a reply that is ok, and may turn it into check_failed; nil
	// when nothing is checked.
	Check func(*engine.Invoke, *engine.Scope, *engine.Reply)

	// Whole keeps the bodies of replies whole, whatever the plan says of them.
	Whole bool

	// Limit is the ceiling on attempts per second; nil for none.
	Limit *Limit

	// Fatal is told, once, that there is no way to a grant; nil when nobody
	// wants to know. It must return at once.
	Fatal func(*auth.Error)

	tabs  tabs
	plans knowledge

	fatal sync.Once
	ready sync.Once
	ask   auth.Exchange
}

var _ engine.Invoker = (*Client)(nil)

// errTimeout is the cause with which an attempt ends at its timeout. It tells
// "the function was slow" apart from "the run was stopped".
var errTimeout = errors.New("no whole reply within the timeout")

// Invoke makes the attempts of one invocation and fills in r.
func (c *Client) Invoke(ctx context.Context, i *engine.Invocation, r *engine.Result) {
	r.Begin(i)
	due, held := i.Due, i.Held
	var b backoff
	for c.attempt(ctx, r, due, held) {
		if c.renew(r) {
			due, held = r.End, 0
			continue
		}
		if !b.again(i, r) {
			break
		}
		wait := b.wait(i, r)
		due = r.End + wait
		if !c.sleepUntil(ctx, due) {
			c.giveUp(ctx, r)
			break
		}
		r.Held += wait
		held = 0
	}
	if len(r.Attempts) == 0 {
		r.Request = nil
	}
}

// attempt makes one try and adds it to r. It reports false when there was
// nothing to send. Callers wait in here, so that the stack is kept small: what
// comes before and after has functions of its own.
func (c *Client) attempt(ctx context.Context, r *engine.Result, due, held time.Duration) bool {
	k := c.plans.of(r.Invocation.Step)
	t, waited, err := c.prepare(ctx, k, r)
	if t == nil {
		return false
	}
	switch {
	case err != nil:
	case k.plain:
		err = c.Transport.Exchange(ctx, r.Invocation.Worker, r.Request, &r.Raw, t)
	default:
		err = c.exchange(ctx, k, r.Invocation, r.Request, &r.Raw, t)
	}
	c.conclude(ctx, r, k, t, err)
	note(r, t, due, held+waited)
	return true
}

// prepare gets all that an attempt needs, and returns how long it waited for
// that. Where it does not get it, the timing is nil and r says why; an error
// is of an attempt that came to no more than asking for leave.
func (c *Client) prepare(ctx context.Context, k *known, r *engine.Result) (t *Timing, waited time.Duration, err error) {
	var now time.Duration // 0: it is to be looked up
	if k.free && c.Limit == nil {
		r.Grant = k.grant
		if ctx.Err() != nil {
			c.canceled(ctx, r)
			return nil, 0, nil
		}
		if len(r.Attempts) == 0 {
			now = r.Invocation.Asked
		}
	} else {
		var ok bool
		waited, ok = c.admit(ctx, r)
		r.Held += waited
		if !ok {
			c.unsent(r)
			return nil, waited, nil
		}
	}
	if now == 0 {
		now = time.Since(c.Base) // half of what time.Now costs
	}
	t = timing(c.Base, now, r)
	if err := c.encode(r, k, t.Now); err != nil {
		c.rejected(r, err)
		return nil, waited, nil
	}
	if !r.Request.Shared {
		t.Now = time.Since(c.Base) // writing and signing it took time, which is ours
	}
	if k.browser == nil {
		return t, waited, nil
	}
	asked, err := c.leave(ctx, k, r, t)
	if asked >= 0 {
		waited += asked
		r.Held += asked
	}
	if reply, refused := blocked(err); refused {
		r.Reply = *reply
		c.unsent(r)
		return nil, waited, nil
	}
	t.asked = asked
	return t, waited, err
}

// timing returns a fresh one, that of r's last attempt, of an attempt that is
// made now.
func timing(base time.Time, now time.Duration, r *engine.Result) *Timing {
	t, ok := r.Scratch.(*Timing)
	if !ok {
		t = new(Timing)
		r.Scratch = t
	}
	t.reset(base, now, now+r.Invocation.Step.Target.Timeout)
	return t
}

// leave asks for leave to send r's request, and returns how long that took.
func (c *Client) leave(ctx context.Context, k *known, r *engine.Result, t *Timing) (asked time.Duration, err error) {
	asked, err = c.preflight(ctx, k.browser, r.Invocation, r.Request, t.Until)
	if asked >= 0 {
		t.Now = 0 // that was then
	}
	if err != nil {
		t.begin()
		t.End, t.leave = time.Since(c.Base), true
	}
	return asked, err
}

// conclude makes the reply of what came back, or of what kept it from coming.
func (c *Client) conclude(ctx context.Context, r *engine.Result, k *known, t *Timing, err error) {
	t.Phases.Preflight = t.asked
	if t.End == 0 { // a transport that leaves the end to us
		t.End = time.Since(t.Base)
	}
	if err == nil {
		c.read(r, k, t.End-t.Start)
		return
	}
	r.Reply = failure(ctx, r.Invocation.Step.Target.Timeout, t, err)
	if t.Start < 0 { // it waited for a connection all along
		t.Start = t.End
	}
}

// note adds an attempt to r.
func note(r *engine.Result, t *Timing, due, held time.Duration) {
	if len(r.Attempts) == 0 {
		r.Start = t.Start
	}
	r.End = t.End
	r.InService += t.End - t.Start
	r.Attempts = append(r.Attempts, engine.Attempt{
		Due: due, Start: t.Start, End: t.End, Held: held,
		Outcome: r.Reply.Outcome, Status: r.Reply.Status, RequestID: r.Reply.RequestID,
		Phases: t.Phases, Reused: t.Reused, BytesOut: t.BytesOut, BytesIn: t.BytesIn,
	})
}

// read makes the reply of what came back, and checks it.
func (c *Client) read(r *engine.Result, k *known, took time.Duration) {
	i := r.Invocation
	k.method.Decode(i, &r.Raw, &r.Reply)
	r.Reply.Took = took
	if r.Reply.Outcome != engine.OK {
		return
	}
	if k.browser != nil {
		readable(k.browser, r.Request, &r.Raw, &r.Reply)
	}
	if c.Check != nil && r.Reply.Outcome == engine.OK && (len(i.Step.Checks) > 0 || i.Step.Server != nil) {
		c.Check(i.Step, i.Scope, &r.Reply)
	}
}

// canceled writes down that the run ended before an attempt.
func (c *Client) canceled(ctx context.Context, r *engine.Result) {
	r.Reply = engine.Reply{Outcome: engine.Canceled, Message: stopped(ctx)}
	c.unsent(r)
}

// rejected writes down that there is no request for an attempt.
func (c *Client) rejected(r *engine.Result, err error) {
	r.Reply = engine.Reply{Outcome: engine.Rejected, Detail: "request", Message: words(err.Error())}
	c.unsent(r)
}

// unsent writes down that no attempt was made, or no further one, for the
// reason that r.Reply has.
func (c *Client) unsent(r *engine.Result) {
	r.End = time.Since(c.Base)
	if len(r.Attempts) == 0 {
		r.Start = r.End
	}
}

// giveUp writes down that the run was stopped while the next attempt was
// waited for. What the last one was stays in the message and its own record.
func (c *Client) giveUp(ctx context.Context, r *engine.Result) {
	r.Reply.Message = words(fmt.Sprintf("%s while it waited to retry after %v: %s", stopped(ctx), r.Reply.Outcome, r.Reply.Message))
	r.Reply.Outcome, r.Reply.Detail = engine.Canceled, "retry"
	now := time.Since(c.Base)
	r.Held += now - r.End
	r.End = now
}

// sleepUntil waits for a time of the run, and reports whether it was allowed to.
func (c *Client) sleepUntil(ctx context.Context, when time.Duration) bool {
	return sleep(ctx, when-time.Since(c.Base)) == nil
}

// sleep waits for d, or until ctx is done, and returns its error then.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
