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

// renew reports whether the last attempt was refused for its token's age, and
// shall be made once more with another. It is not one of the scenario's
// retries: a token that runs out is the generator's business.
func (c *Client) renew(r *engine.Result) bool {
	source := r.Invocation.Step.Target.Auth
	if !r.Reply.TokenExpired || r.Renewed || source == nil || !source.Refused(r.Grant) {
		return false
	}
	r.Renewed = true
	return true
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

// exchangeTokens returns the way to where tokens are made: the transport's.
// Such requests are no invocations; nothing of them is recorded.
func (c *Client) exchangeTokens() auth.Exchange {
	c.ready.Do(func() {
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
			if err := c.Transport.Exchange(ctx, 0, r, &p, &t); err != nil {
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
