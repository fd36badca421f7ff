// Package cloud knows the ways to ask a cloud platform to invoke a function:
// how a request of each method is written, and how its reply is read. It is
// pure: it does no I/O and reads no clock.
//
// Every request is the one that the vendor's own library, of the version that
// the constants here name, sends for the same call; only time, nonces and
// User-Agent differ. Where a grant has both a token and keys, the token goes
// along and nothing is signed, but for control-plane and version 2 of node-sdk,
// which know no tokens.
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
	for _, m := range []engine.Method{httpAPI{}, httpFunction{}, web{}, nodeSDK{}, webSDK{}, miniProgram{}, controlPlane{}} {
		all[m.Name()] = m
	}
	return all
}

// New returns the method of that name with its options. The error says which
// option is wrong, by its name in scenario files: one that the method does not
// have, or a value that it does not know.
func New(name string, o Options) (engine.Method, error) {
	m := Methods()[name]
	if m == nil {
		return nil, fmt.Errorf("method: %q is not one of %s", name, strings.Join(slices.Sorted(maps.Keys(Methods())), ", "))
	}
	if o.SDK != "" && name != "node-sdk" && name != "web-sdk" {
		return nil, fmt.Errorf("sdk: %q is for the methods node-sdk and web-sdk; %s has no versions", o.SDK, name)
	}
	if o.Form != "" && name != "mini-program" {
		return nil, fmt.Errorf("form: %q is for the method mini-program; %s has one form", o.Form, name)
	}
	if o.Web != (Web{}) && name != "web" {
		return nil, fmt.Errorf("web: is for the method web; %s does not do what browsers do", name)
	}
	switch name {
	case "web":
		return newWeb(o.Web)
	case "node-sdk":
		return newNodeSDK(o.SDK)
	case "web-sdk":
		return newWebSDK(o.SDK)
	case "mini-program":
		return newMiniProgram(o.Form)
	}
	return m, nil
}
