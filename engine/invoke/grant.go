package invoke

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// renew tells the source how its grant fared. It reports whether the last
// attempt was refused for its token's age, and shall be made once more with what
// the source then gives. It is not one of the scenario's retries: a token that
// runs out is the generator's business. It happens once; but a token that was
// refused is given up whenever that is, so that no retry uses it.
func (c *Client) renew(r *engine.Result) bool {
	source := r.Invocation.Step.Target.Auth
	if _, fixed := source.(auth.Fixed); fixed || source == nil {
		return false // there is no other
	}
	if s, ok := source.(interface{ Accepted(g auth.Grant) }); ok && r.Reply.Status != 0 && r.Reply.Outcome != engine.AuthFailed {
		s.Accepted(r.Grant)
	}
	if !r.Reply.TokenExpired || !source.Refused(r.Grant) || r.Renewed {
		return false
	}
	r.Renewed = true
	return true
}

// leastWait is how long a source must take for a grant to have been waited for:
// below, it had one, and the time went into asking.
const leastWait = time.Millisecond

// grant gets what the next attempt is authorized with, and returns how long it
// waited for that. When there is none, r.Reply says why.
func (c *Client) grant(ctx context.Context, r *engine.Result) (waited time.Duration, ok bool) {
	r.Grant = auth.Grant{}
	source := r.Invocation.Step.Target.Auth
	if source == nil {
		return 0, true
	}
	asked := time.Now()
	var err error
	r.Grant, err = source.Grant(ctx, c.exchangeTokens())
	if waited = time.Since(asked); waited < leastWait {
		waited = 0
	}
	switch {
	case err == nil:
		return waited, true
	case ctx.Err() != nil:
		r.Reply = engine.Reply{Outcome: engine.Canceled, Message: stopped(ctx)}
		return waited, false
	}
	c.report(err)
	r.Reply = engine.Reply{Outcome: engine.AuthFailed, Detail: "grant", Message: words("no credentials: " + err.Error())}
	return waited, false
}

// admit waits for leave to make one attempt, and for the grant to make it with.
// Leave is not saved up while there is no grant: whoever waited for that waits
// for leave again, or all who did would break the ceiling together. It returns
// how long the waits were; when there will be no attempt, r.Reply says why.
func (c *Client) admit(ctx context.Context, r *engine.Result) (held time.Duration, ok bool) {
	for {
		waited, err := c.Limit.wait(ctx)
		held += waited
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			r.Reply = engine.Reply{Outcome: engine.Canceled, Message: stopped(ctx)}
			return held, false
		}
		waited, ok = c.grant(ctx, r)
		held += waited
		if !ok || waited == 0 || c.Limit == nil {
			return held, ok
		}
	}
}

// SignIn gets every grant that a plan needs, so that the first invocations do
// not wait for them, and wrong credentials show before anything is sent.
func (c *Client) SignIn(ctx context.Context, p *engine.Plan) error {
	var errs []error
	asked := map[auth.Source]bool{}
	for _, t := range p.Targets() {
		if t.Auth == nil || asked[t.Auth] {
			continue
		}
		asked[t.Auth] = true
		if _, err := t.Auth.Grant(ctx, c.exchangeTokens()); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// report tells who wants to know, once, that there is no way to a grant.
func (c *Client) report(err error) {
	if e, ok := errors.AsType[*auth.Error](err); ok && e.Fatal && c.Fatal != nil {
		c.fatal.Do(func() { c.Fatal(e) })
	}
}

// exchangeTokens returns the way to where tokens are made. Such requests are no
// invocations; nothing of them is recorded.
func (c *Client) exchangeTokens() auth.Exchange {
	c.ready.Do(func() {
		transport := c.Tokens
		if transport == nil {
			transport = c.Transport
		}
		c.ask = func(ctx context.Context, q *auth.Ask) (*auth.Answer, error) {
			u, err := url.Parse(q.URL)
			if err != nil {
				return nil, errors.New("the address is not a URL") // it may have a secret in it
			}
			r := &engine.Request{Verb: q.Verb, Scheme: u.Scheme, Host: u.Host, Path: u.EscapedPath(), Query: u.RawQuery,
				SecretQuery: true, Body: q.Body, SecretBody: true}
			for _, h := range q.Header {
				r.Header = append(r.Header, engine.Field{Name: h[0], Value: h[1], Secret: true})
			}
			var p engine.Response
			began := time.Now()
			t := Timing{Base: began, Start: -1, Phases: engine.NoPhases()}
			if err := transport.Exchange(ctx, 0, r, &p, &t); err != nil {
				return nil, fmt.Errorf("%s: %s", u.Host, reason(ctx, err))
			}
			return &auth.Answer{Status: p.Status, Body: p.Body}, nil
		}
	})
	return c.ask
}

// reason says why no reply came.
func reason(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "no reply in time"
	}
	_, message := classify(err)
	return words(message)
}
