package cloud

import (
	"fmt"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// httpFunction invokes an HTTP function through the gateway, which passes the
// real request through: verb, path after the function's name, query, headers
// and body, and the function's answer likewise (PROTOCOL.md 1.3).
type httpFunction struct{}

func (httpFunction) Name() string { return "http-function" }

// Encode writes the scenario's request to an address below the function's.
// In raw mode it is a POST to the function itself, ?webfn=true, with the body
// untouched, as the vendor's page shows it. A grant of keys signs it
// (PROTOCOL.md 9, variant B).
func (httpFunction) Encode(i *engine.Invocation, g auth.Grant, now time.Time, to *engine.Request) error {
	t := i.Step.Target
	if err := gateway(t, to); err != nil {
		return err
	}
	if err := functionPath(i.Step.Function, to); err != nil {
		return err
	}
	if err := authorize(g, to); err != nil {
		return err
	}
	raw := i.Step.HTTP != nil && i.Step.HTTP.Raw
	if raw {
		if i.Path != "" && i.Path != "/" {
			return fmt.Errorf("http.path: %q goes nowhere in raw mode, which sends the body to the function itself; put it into the body", i.Path)
		}
		if v := i.Step.HTTP.Verb; v != "" && v != "POST" {
			return fmt.Errorf("http.method: %q goes nowhere in raw mode, which always POSTs; put it into the body", v)
		}
		to.Verb, to.Query = "POST", "webfn=true"
	} else {
		to.Header = append(to.Header, engine.Field{Name: "X-Tcb-Webfn", Value: "true"})
	}
	if err := qualify(t, to); err != nil {
		return err
	}
	if raw {
		queryFields(i.Query, to)
		body(i.Data, to)
		if err := override(i.Header, to); err != nil {
			return err
		}
	} else if err := passThrough(i, to); err != nil {
		return err
	}
	return signGateway(g, now, to)
}

// Steady reports whether nothing is signed, which takes the time.
func (httpFunction) Steady(g auth.Grant) bool { return !g.Bearer.IsZero() || g.Keys.IsZero() }

// Needs is enough for an error of the platform's, and to see that it is none.
func (httpFunction) Needs() int64 { return maxError + 1 }

// Decode reads the function's own answer, or the gateway's in its place.
func (httpFunction) Decode(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	read(i, from, to, true)
}

// passThrough writes the scenario's own request: its verb, path, query, body
// and headers. Without a verb it is a GET, or a POST when there is a body.
func passThrough(i *engine.Invocation, to *engine.Request) error {
	if i.Step.HTTP != nil {
		to.Verb = i.Step.HTTP.Verb
	}
	if to.Verb == "" {
		to.Verb = "GET"
		if len(i.Data) > 0 {
			to.Verb = "POST"
		}
	}
	if err := checkField(engine.Field{Name: to.Verb}); err != nil || to.Verb == "CONNECT" {
		return fmt.Errorf("http.method: %q is not an HTTP method that can be sent; write GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS", to.Verb)
	}
	if err := subPath(i.Path, to); err != nil {
		return err
	}
	queryFields(i.Query, to)
	body(i.Data, to)
	return override(i.Header, to)
}

// body adds the body, with a content type when it is JSON. Of any other body
// only the scenario can tell what it is.
func body(data []byte, to *engine.Request) {
	if len(data) == 0 {
		return
	}
	to.Body = data
	if isJSON(data) {
		to.Header = append(to.Header, engine.Field{Name: "Content-Type", Value: "application/json"})
	}
}
