package invoke

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"volley/engine"
)

// A browser is a method that asks as a page in a browser does.
type browser interface {
	// Cookies says whether cookies go along with q and are taken from its reply.
	Cookies(q *engine.Request) bool

	// Fresh says that every iteration is a new visitor, who begins without
	// cookies and without leave.
	Fresh() bool

	// Preflight writes into to the request that asks for leave to send q, and
	// reports whether q needs any.
	Preflight(q, to *engine.Request) bool

	// Leave reads the reply to a preflight: for how long it counts, or why q
	// may not be sent.
	Leave(q *engine.Request, from *engine.Response) (time.Duration, error)

	// Readable says why the page may not read the reply to q; nil when it may.
	Readable(q *engine.Request, from *engine.Response) error
}

// tabs has one for every caller that asks as a browser does. There are at most
// as many as callers, whose number the plan limits.
type tabs struct {
	mu  sync.Mutex
	all map[int]*tab
}

// tab returns the one of i's caller, a fresh one where the method begins every
// iteration with one.
func (c *Client) tab(m browser, i *engine.Invocation) *tab {
	c.tabs.mu.Lock()
	defer c.tabs.mu.Unlock()
	if c.tabs.all == nil {
		c.tabs.all = map[int]*tab{}
	}
	t := c.tabs.all[i.Worker]
	if t == nil || m.Fresh() && t.iteration != i.Scope.Iteration {
		t = &tab{iteration: i.Scope.Iteration}
		c.tabs.all[i.Worker] = t
	}
	return t
}

// A tab is what a browser remembers for one caller. The members of a group
// share their caller's.
type tab struct {
	iteration int64 // in which it was opened
	cookies   jar

	mu     sync.Mutex
	leaves map[string]leave
}

// jar returns the cookies that go with q; nil for none.
func (t *tab) jar(m browser, q *engine.Request) *jar {
	if !m.Cookies(q) {
		return nil
	}
	return &t.cookies
}

// A leave is what a server allowed: until when, or who is asking for it.
type leave struct {
	until time.Time
	asked chan struct{} // closed when the answer is there; nil when nobody asks
}

// maxLeaves bounds how many leaves a tab remembers; then it forgets them all.
const maxLeaves = 1024

// leaveKey tells requests apart that need a leave of their own: by address,
// verb and names of headers (Fetch standard, CORS-preflight cache).
func leaveKey(q, preflight *engine.Request) string {
	var names string
	for _, f := range preflight.Header {
		if strings.EqualFold(f.Name, "Access-Control-Request-Headers") {
			names = f.Value
		}
	}
	return q.Verb + " " + q.Scheme + "://" + q.Host + q.Path + "?" + q.Query + "\x00" + names
}

// A corsError is what keeps a browser from sending a request, or its page from
// reading the reply.
type corsError struct {
	status int
	err    error
}

func (e *corsError) Error() string { return e.err.Error() }

// preflight asks for leave to send q where a browser would have to, unless an
// earlier answer still counts. Callers that need the same leave at the same
// time ask once; where the answer gives none that lasts, each then asks for
// itself, and nobody waits in a line. It returns how long that took, less than
// 0 when nothing was needed. The error is a *corsError where leave was not
// given.
func (c *Client) preflight(ctx context.Context, m browser, i *engine.Invocation, q *engine.Request, until time.Duration) (took time.Duration, err error) {
	var ask engine.Request
	if !m.Preflight(q, &ask) {
		return -1, nil
	}
	limit := Timing{Base: c.Base, Until: until}
	ctx, cancel := limit.bound(ctx)
	defer cancel()
	t, key, began := c.tab(m, i), leaveKey(q, &ask), time.Now()
	given, asked, first := t.leave(key, began)
	if !first && !given {
		select {
		case <-asked:
		case <-ctx.Done():
			return time.Since(began), context.Cause(ctx)
		}
		given = t.given(key, began)
	}
	if given {
		if waited := time.Since(began); waited > time.Millisecond {
			return waited, nil // for the answer to somebody else
		}
		return -1, nil
	}
	lasts, err := c.askLeave(ctx, m, i.Worker, q, &ask, until)
	now := time.Now()
	t.answer(key, asked, first, err == nil && lasts > 0, now.Add(lasts))
	return now.Sub(began), err
}

// leave reports whether there is leave that counts at a time. Where there is
// none, asked is closed when the answer to who asks for it is there: the
// caller itself, when it is the first.
func (t *tab) leave(key string, at time.Time) (given bool, asked chan struct{}, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch l := t.leaves[key]; {
	case l.asked != nil:
		return false, l.asked, false
	case at.Before(l.until):
		return true, nil, false
	}
	if t.leaves == nil || len(t.leaves) >= maxLeaves {
		t.leaves = map[string]leave{}
	}
	asked = make(chan struct{})
	t.leaves[key] = leave{asked: asked}
	return false, asked, true
}

// given reports whether there is leave that counts at a time.
func (t *tab) given(key string, at time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return at.Before(t.leaves[key].until)
}

// answer takes in the answer to one that asked for leave, and tells those who
// wait if it was the first to ask.
func (t *tab) answer(key string, asked chan struct{}, first, given bool, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch l, known := t.leaves[key]; {
	case given && (known || len(t.leaves) < maxLeaves):
		t.leaves[key] = leave{until: until}
	case first && l.asked == asked:
		delete(t.leaves, key)
	}
	if first {
		close(asked)
	}
}

// askLeave sends a preflight.
func (c *Client) askLeave(ctx context.Context, m browser, worker int, q, ask *engine.Request, until time.Duration) (time.Duration, error) {
	var p engine.Response
	t := Timing{Base: c.Base, Until: until, Start: -1, Phases: engine.NoPhases()}
	if err := c.Transport.Exchange(ctx, worker, ask, &p, &t); err != nil {
		return 0, err
	}
	lasts, err := m.Leave(q, &p)
	if err != nil {
		return 0, &corsError{p.Status, fmt.Errorf("the preflight was refused: %w", err)}
	}
	return lasts, nil
}

// blocked is the reply where a browser does not send the request.
func blocked(err error) (*engine.Reply, bool) {
	e, ok := errors.AsType[*corsError](err)
	if !ok {
		return nil, false
	}
	return &engine.Reply{Outcome: engine.Rejected, Detail: "cors", Status: e.status, Message: words(e.Error())}, true
}

// readable turns an ok reply that a browser keeps from its page into
// check_failed: the function has answered, and its caller cannot see it.
func readable(m browser, q *engine.Request, p *engine.Response, r *engine.Reply) {
	if err := m.Readable(q, p); err != nil {
		r.Outcome, r.Detail, r.Message = engine.CheckFailed, "cors", words(err.Error())
	}
}
