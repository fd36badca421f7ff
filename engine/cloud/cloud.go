// Package cloud knows the ways to ask a cloud platform to invoke a function:
// how a request of each method is written, and how its reply is read. It is
// pure: it does no I/O and reads no clock.
package cloud

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"volley/engine"
)

// Options are what some methods leave open. The zero value is each method's
// usual way.
type Options struct {
	// SDK is the version of the vendor's library whose requests are sent: for
	// web-sdk 3 (the default), 2 or 1, for node-sdk 3 (the default) or 2.
	SDK string

	// Form is where the mini-program's event goes: query, the whole body being
	// the event (the default), or body, as req_data (PROTOCOL.md 6).
	Form string

	Web Web
}

// Web says how far the method web goes in what browsers do.
type Web struct {
	// Origin is the page's, such as https://app.example.com; "" for no page:
	// then there is neither an Origin header nor CORS.
	Origin string

	// Preflight asks for leave before requests that need it by the Fetch
	// standard, as browsers do.
	Preflight bool

	// Credentials says when cookies go along: include (the default), same-origin
	// or omit.
	Credentials string

	// Cookies says who keeps them: worker (the default), each its own for the
	// whole run, or iteration, each its own from the start.
	Cookies string
}

// Methods returns every way of asking, by the name that scenario files use.
// The map is new on each call.
func Methods() map[string]engine.Method {
	all := map[string]engine.Method{}
	for _, m := range []engine.Method{httpAPI{}, httpFunction{}, web{}} {
		all[m.Name()] = m
	}
	return all
}

// New returns the method of that name. The error says which option is wrong,
// by its name in scenario files.
func New(name string, o Options) (engine.Method, error) {
	m := Methods()[name]
	if m == nil {
		return nil, fmt.Errorf("method: %q is not one of %s", name, strings.Join(slices.Sorted(maps.Keys(Methods())), ", "))
	}
	return m, nil
}
