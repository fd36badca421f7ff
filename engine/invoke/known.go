package invoke

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// A known is what does not change from one invocation of a step to the next,
// looked up once.
type known struct {
	method  engine.Method
	browser browser       // nil: the method does not ask as one
	steady  engine.Steady // nil: no two of its requests are sure to be the same
	grant   auth.Grant    // if free
	free    bool          // there is nothing to wait for: the grant is always the same
	plain   bool          // an attempt is one exchange: it has no cookies and follows nothing
	keep    int64         // bytes of a reply's body that somebody may look at; 0: all

	// same is the request that the step sends each time, as long as the grant is
	// that which it was made with; nil when there is none.
	same atomic.Pointer[prepared]
}

// A prepared request is one that a step sends each time.
type prepared struct {
	grant   auth.Grant
	request *engine.Request
}

// A preparer is a transport that can do some of its work on a request ahead.
type preparer interface{ Prepare(q *engine.Request) }

// knowledge has what is known of each step: as many as the plan has. Most
// lookups find what they look for, and lock nothing.
type knowledge struct {
	all atomic.Pointer[map[*engine.Invoke]*known]
	mu  sync.Mutex // held by who adds to it
}

func (m *knowledge) of(step *engine.Invoke) *known {
	if all := m.all.Load(); all != nil {
		if k := (*all)[step]; k != nil {
			return k
		}
	}
	return m.learn(step)
}

func (m *knowledge) learn(step *engine.Invoke) *known {
	m.mu.Lock()
	defer m.mu.Unlock()
	more := map[*engine.Invoke]*known{}
	if all := m.all.Load(); all != nil {
		if k := (*all)[step]; k != nil {
			return k
		}
		more = maps.Clone(*all)
	}
	k := &known{method: step.Target.Method}
	k.browser, _ = k.method.(browser)
	if s, ok := k.method.(engine.Steady); ok && step.Static {
		k.steady = s
	}
	switch source := step.Target.Auth.(type) {
	case nil:
		k.free = true
	case auth.Fixed:
		k.grant, k.free = source.G, true
	}
	if m, ok := k.method.(engine.Brief); ok && step.Blind {
		k.keep = m.Needs()
	}
	k.plain = k.browser == nil && step.Target.Redirects == 0
	more[step] = k
	m.all.Store(&more)
	return k
}

// encode writes the request of the next attempt, or takes the one that the step
// sends each time.
func (c *Client) encode(r *engine.Result, k *known, now time.Duration) error {
	if same := k.same.Load(); same != nil && same.grant == r.Grant {
		r.Request = same.request
		return nil
	}
	if r.Request == nil || r.Request.Shared {
		r.Request = new(engine.Request)
	}
	*r.Request = engine.Request{Header: r.Request.Header[:0]}
	if err := k.method.Encode(r.Invocation, r.Grant, c.Base.Add(now), r.Request); err != nil {
		return err
	}
	if k.keep > 0 && !c.Whole && !asksGzip(r.Request) { // what is packed is needed whole
		r.Request.Keep = k.keep
	}
	if k.steady != nil && k.steady.Steady(r.Grant) {
		q := *r.Request
		q.Header, q.Body, q.Shared = slices.Clone(q.Header), slices.Clone(q.Body), true
		if t, ok := c.Transport.(preparer); ok {
			t.Prepare(&q)
		}
		k.same.Store(&prepared{r.Grant, &q})
	}
	return nil
}
