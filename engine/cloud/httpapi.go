package cloud

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// httpAPI invokes an event function through the gateway: its event is the
// body, its answer the reply (PROTOCOL.md 1.1, 1.2).
type httpAPI struct{}

func (httpAPI) Name() string { return "http-api" }

// Encode writes a POST to the function's address. The body must be a JSON
// object, because the gateway takes nothing else for an event; without one the
// event is {}. A grant of keys signs it (PROTOCOL.md 9, variant B).
func (httpAPI) Encode(i *engine.Invocation, g auth.Grant, now time.Time, to *engine.Request) error {
	t := i.Step.Target
	if i.Step.HTTP != nil {
		return errors.New("http: the method http-api sends an event and no request of one's own; use http-function or web")
	}
	if err := gateway(t, to); err != nil {
		return err
	}
	if err := functionPath(i.Step.Function, to); err != nil {
		return err
	}
	to.Verb, to.Body = "POST", i.Data
	if len(to.Body) == 0 {
		to.Body = []byte("{}")
	} else if !isObject(to.Body) {
		return fmt.Errorf("data: %s is not a JSON object, and the gateway takes no other event", snippet(to.Body))
	}
	if err := authorize(g, to); err != nil {
		return err
	}
	to.Header = append(to.Header, engine.Field{Name: "Content-Type", Value: "application/json"})
	if err := qualify(t, to); err != nil {
		return err
	}
	if err := override(i.Header, to); err != nil {
		return err
	}
	return signGateway(g, now, to)
}

// Steady reports whether nothing is signed, which takes the time.
func (httpAPI) Steady(g auth.Grant) bool { return !g.Bearer.IsZero() || g.Keys.IsZero() }

// Needs is enough for an error of the platform's, and to see that it is none.
func (httpAPI) Needs() int64 { return maxError + 1 }

// Decode reads the function's answer, which comes without an envelope.
func (httpAPI) Decode(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	read(i, from, to, webfn(i))
}

// webfn reports whether the scenario itself says, by its header, that the
// target is an HTTP function, whose answer the gateway passes through
// (PROTOCOL.md 1.1).
func webfn(i *engine.Invocation) bool {
	return slices.ContainsFunc(i.Header, func(f engine.Field) bool {
		return strings.EqualFold(f.Name, "X-Tcb-Webfn") && strings.EqualFold(f.Value, "true")
	})
}
