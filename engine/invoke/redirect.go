package invoke

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"volley/engine"
)

// exchange sends q and follows as many redirects as the target allows. All of
// it is one attempt: its phases are sums. The reply to the last request stands,
// a redirect that was one too many included.
func (c *Client) exchange(ctx context.Context, k *known, i *engine.Invocation, q *engine.Request, p *engine.Response, t *Timing) error {
	var jar *jar
	var own string
	if k.browser != nil {
		jar, own = c.tab(k.browser, i).jar(k.browser, q), cookie(q)
	}
	err := c.hop(ctx, jar, own, i.Worker, q, p, t)
	if err == nil && i.Step.Target.Redirects > 0 {
		err = c.follow(ctx, jar, own, i, q, p, t)
	}
	return err
}

// follow goes where p, the reply to q, sends us, as often as the target allows.
func (c *Client) follow(ctx context.Context, jar *jar, own string, i *engine.Invocation, q *engine.Request, p *engine.Response, t *Timing) (err error) {
	for n := 0; err == nil && n < i.Step.Target.Redirects; n++ {
		next, ok, badly := redirect(q, p)
		if badly != nil {
			return badly
		}
		if !ok {
			break
		}
		if cookie(next) == "" {
			own = "" // left behind with the other secrets
		}
		more := Timing{Base: t.Base, Until: t.Until, Start: -1, Phases: engine.NoPhases()}
		*p = engine.Response{Header: p.Header[:0], Body: p.Body[:0]}
		err = c.hop(ctx, jar, own, i.Worker, next, p, &more)
		t.add(&more)
		q = next
	}
	return err
}

// hop makes one exchange, with the caller's cookies where the method keeps any
// beside the scenario's own.
func (c *Client) hop(ctx context.Context, jar *jar, own string, worker int, q *engine.Request, p *engine.Response, t *Timing) error {
	jar.send(q, own)
	err := c.Transport.Exchange(ctx, worker, q, p, t)
	if err == nil {
		jar.keep(q, p)
	}
	return err
}

// add appends a later exchange of the same attempt.
func (t *Timing) add(more *Timing) {
	t.End = more.End
	t.Reused = t.Reused && more.Reused
	t.BytesOut += more.BytesOut
	t.BytesIn += more.BytesIn
	sum := func(a *time.Duration, b time.Duration) {
		if b >= 0 {
			*a = max(*a, 0) + b
		}
	}
	sum(&t.Phases.DNS, more.Phases.DNS)
	sum(&t.Phases.Connect, more.Phases.Connect)
	sum(&t.Phases.TLS, more.Phases.TLS)
	sum(&t.Phases.Send, more.Phases.Send)
	sum(&t.Phases.FirstByte, more.Phases.FirstByte)
	sum(&t.Phases.Receive, more.Phases.Receive)
	sum(&t.Phases.Preflight, more.Phases.Preflight)
}

// redirect returns the request that a reply sends us on to, if it is a
// redirect (RFC 9110, section 15.4). As browsers do, it turns a POST into a GET
// for 301 and 302, and everything but HEAD into a GET for 303. Secrets stay
// behind when the host changes or TLS is lost.
func redirect(q *engine.Request, p *engine.Response) (*engine.Request, bool, error) {
	verb, keep := q.Verb, true
	switch p.Status {
	case 301, 302:
		if verb == "POST" {
			verb, keep = "GET", false
		}
	case 303:
		keep = false
		if verb != "HEAD" {
			verb = "GET"
		}
	case 307, 308:
	default:
		return nil, false, nil
	}
	location := p.Get("Location")
	if location == "" {
		return nil, false, nil
	}
	from := url.URL{Scheme: q.Scheme, Host: q.Host, Path: "/"}
	if u, err := url.ParseRequestURI(q.Path); err == nil {
		from.Path, from.RawPath = u.Path, u.RawPath
	}
	to, err := from.Parse(location)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "" {
		return nil, false, &exchangeError{detail: detailProtocol, message: fmt.Sprintf("the reply (status %d) redirects to %.100q, which cannot be followed", p.Status, location)}
	}
	next := &engine.Request{Verb: verb, Scheme: to.Scheme, Host: to.Host, Path: to.EscapedPath(), Query: to.RawQuery}
	if next.Path == "" {
		next.Path = "/"
	}
	away := next.Host != q.Host || q.Scheme == "https" && next.Scheme != "https"
	for _, f := range q.Header {
		about := len(f.Name) > 8 && strings.EqualFold(f.Name[:8], "Content-")
		if away && f.Secret || !keep && about || strings.EqualFold(f.Name, "Host") {
			continue
		}
		next.Header = append(next.Header, f)
	}
	if keep {
		next.Body, next.SecretBody = q.Body, q.SecretBody
		if away && q.SecretBody {
			return nil, false, &exchangeError{detail: detailProtocol, message: fmt.Sprintf("the reply (status %d) redirects a body with a secret in it to another host, %.100q", p.Status, next.Host)}
		}
	}
	return next, true, nil
}
