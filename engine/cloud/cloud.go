// Package cloud knows the ways to ask a cloud platform to invoke a function:
// how a request of each method is written, and how its reply is read. It is
// pure: it does no I/O and reads no clock.
package cloud

import "volley/engine"

// Methods returns every way of asking, by the name that scenario files use.
// The map is new on each call.
func Methods() map[string]engine.Method {
	all := map[string]engine.Method{}
	for _, m := range []engine.Method{httpAPI{}, httpFunction{}, web{}} {
		all[m.Name()] = m
	}
	return all
}
