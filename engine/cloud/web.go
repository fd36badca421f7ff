package cloud

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// web asks as a browser would: any request on the domain of the HTTP Access
// Service (PROTOCOL.md 3).
type web struct{ Web }

// newWeb returns the method with its options checked.
func newWeb(o Web) (engine.Method, error) {
	if o.Origin != "" {
		u, err := url.Parse(o.Origin)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
			strings.TrimRight(o.Origin, "/") != u.Scheme+"://"+u.Host {
			return nil, fmt.Errorf("web.origin: %q is not an origin; write scheme and host alone, such as https://app.example.com", bareURL(o.Origin))
		}
		o.Origin = originOf(u.Scheme, u.Host)
	} else if o.Preflight {
		return nil, errors.New("web.preflight: without web.origin there is no page that would have to ask; set web.origin, or delete web.preflight")
	}
	if !slices.Contains([]string{"", "include", "same-origin", "omit"}, o.Credentials) {
		return nil, fmt.Errorf("web.credentials: %q is not one of include, same-origin, omit", o.Credentials)
	}
	if !slices.Contains([]string{"", "worker", "iteration"}, o.Cookies) {
		return nil, fmt.Errorf("web.cookies: %q is not one of worker, iteration", o.Cookies)
	}
	return web{o}, nil
}

func (web) Name() string { return "web" }

// Encode writes the scenario's request to the target's endpoint. Without a
// path of its own it goes to /FUNCTION. A qualifier is refused: the route
// fixes the version, and a run that seemed to compare two would compare one
// with itself.
func (w web) Encode(i *engine.Invocation, g auth.Grant, _ time.Time, to *engine.Request) error {
	t := i.Step.Target
	if t.Endpoint == "" {
		return errors.New("target.endpoint: is empty; the method web needs the domain of the HTTP access service, such as https://example.com")
	}
	if t.Qualifier != "" {
		return fmt.Errorf("target.qualifier: %q cannot be asked for by the method web, whose route fixes the version; "+
			"leave it empty, or use http-function", t.Qualifier)
	}
	if i.Step.HTTP != nil && i.Step.HTTP.Raw {
		return errors.New("http.raw: is for the method http-function; web always sends the real request")
	}
	if g.Bearer.IsZero() && !g.Keys.IsZero() {
		return errors.New("auth: a browser has no secret_id and secret_key to sign with, and the method web sends none; use a token, or no auth")
	}
	if err := endpoint(t.Endpoint, to); err != nil {
		return err
	}
	if i.Path == "" {
		to.Path += "/" + url.PathEscape(i.Step.Function)
	}
	if err := authorize(g, to); err != nil {
		return err
	}
	if err := passThrough(i, to); err != nil {
		return err
	}
	w.addOrigin(to)
	return nil
}

// Needs is enough for an error of the platform's, and to see that it is none.
func (web) Needs() int64 { return maxError + 1 }

// Decode reads the function's own answer, or the gateway's in its place.
func (web) Decode(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	read(i, from, to, true)
}
