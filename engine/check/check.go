// Package check answers two questions: is this reply right, and is this run
// good. Checks judge replies; thresholds judge what a run measured; Judge says
// whether the measurement itself can be trusted; ExitCode makes one number of
// it all.
package check

import (
	"strings"

	"volley/engine"
)

// Reply takes from an ok reply what the scenario says that it tells of the
// function's side, and turns it into check_failed when one of the checks does
// not hold. The detail is the source of the first that does not; one that cannot
// be evaluated does not hold either, and the message says why. Replies that
// are not ok stay as they are: what failed already says more than a check.
func Reply(i *engine.Invoke, s *engine.Scope, r *engine.Reply) {
	if r.Outcome != engine.OK {
		return
	}
	if i.Server != nil {
		probe(i.Server, s, r)
	}
	for k := range i.Checks {
		holds, err := i.Checks[k].Holds(s, r)
		if err == nil && holds {
			continue
		}
		r.Outcome, r.Detail, r.Message = engine.CheckFailed, i.Checks[k].Source, ""
		if err != nil {
			r.Message = cut(err.Error())
		}
		return
	}
}

// cut bounds a message.
func cut(s string) string { return bound(s, engine.MaxMessage) }

// bound returns at most n bytes of s, valid, and never half a character.
func bound(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
