package cloud

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// web asks as a browser would: any request on the domain of the HTTP Access
// Service (PROTOCOL.md 3).
type web struct{}

func (web) Name() string { return "web" }

// KeepsCookies says that cookies set by replies go back with later requests
// of the same caller, as a browser sends them (credentials: include).
func (web) KeepsCookies() bool { return true }

// Encode writes the scenario's request to the target's endpoint. Without a
// path of its own it goes to /FUNCTION. A qualifier is refused: the route
// fixes the version, and a run that seemed to compare two would compare one
// with itself.
func (web) Encode(i *engine.Invocation, g auth.Grant, _ time.Time, to *engine.Request) error {
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
	if err := endpoint(t.Endpoint, to); err != nil {
		return err
	}
	if i.Path == "" {
		to.Path += "/" + url.PathEscape(i.Step.Function)
	}
	if err := authorize(g, to); err != nil {
		return err
	}
	return passThrough(i, to)
}

// Decode reads the function's own answer, or the gateway's in its place.
func (web) Decode(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	read(i, from, to, true)
}
