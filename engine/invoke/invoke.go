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
	// Exchange fills in p and t. On an error p is of no use, but t says how far
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

	leave bool // it came to no more than asking for leave
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
	*r = engine.Result{Invocation: i, Due: i.Due, Held: i.Held, Attempts: r.Attempts[:0], Request: r.Request, Raw: r.Raw, Scratch: r.Scratch}
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
// nothing to send.
func (c *Client) attempt(ctx context.Context, r *engine.Result, due, held time.Duration) bool {
	i := r.Invocation
	k := c.plans.of(i.Step)
	if k.free && c.Limit == nil {
		r.Grant = k.grant
		if ctx.Err() != nil {
			c.unsent(r, engine.Reply{Outcome: engine.Canceled, Message: stopped(ctx)})
			return false
		}
	} else {
		waited, ok := c.admit(ctx, r)
		held += waited
		r.Held += waited
		if !ok {
			c.unsent(r, r.Reply)
			return false
		}
	}
	now := time.Since(c.Base) // half of what time.Now costs
	if err := c.encode(r, k, now); err != nil {
		c.unsent(r, engine.Reply{Outcome: engine.Rejected, Detail: "request", Message: words(err.Error())})
		return false
	}

	t, ok := r.Scratch.(*Timing)
	if !ok {
		t = new(Timing)
		r.Scratch = t
	}
	*t = Timing{Base: c.Base, Now: now, Until: now + i.Step.Target.Timeout, Start: -1, Phases: engine.NoPhases()}
	asked, err := never, error(nil)
	if k.browser != nil {
		asked, err = c.preflight(ctx, k.browser, i, r.Request, t.Until)
		if asked >= 0 {
			t.Now = 0 // that was then
			held += asked
			r.Held += asked
		}
		if reply, refused := blocked(err); refused {
			c.unsent(r, reply)
			return false
		}
	}
	if err == nil {
		err = c.exchange(ctx, k, i, r.Request, &r.Raw, t)
	} else {
		t.End, t.leave = time.Since(c.Base), true
	}
	if err != nil {
		r.Reply = failure(ctx, i.Step.Target.Timeout, t, err)
	}
	t.Phases.Preflight = asked
	if t.Start < 0 { // it waited for a connection all along
		t.Start = t.End
	}
	if err == nil {
		c.read(r, k, t.End-t.Start)
	}

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
	return true
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

// unsent writes down that no attempt was made, or no further one.
func (c *Client) unsent(r *engine.Result, reply engine.Reply) {
	r.Reply = reply
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
