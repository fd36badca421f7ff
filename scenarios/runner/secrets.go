package runner

import (
	"slices"
	"strings"
	"sync"

	"volley/engine"
	"volley/engine/auth"
	"volley/scenarios"
)

// masking hides the scenario's secrets in a text, and the tokens that were got
// with them on the way.
func masking(c *scenarios.Compiled, plan *engine.Plan) func(text string) string {
	type session interface{ Obtained() []auth.Secret }
	var sessions []session
	for _, t := range plan.Targets() {
		if s, ok := t.Auth.(session); ok && !slices.Contains(sessions, s) {
			sessions = append(sessions, s)
		}
	}
	if len(sessions) == 0 {
		return c.Mask
	}
	var mu sync.Mutex
	var known []auth.Secret
	var mask *strings.Replacer
	return func(text string) string {
		var got []auth.Secret
		for _, s := range sessions {
			got = append(got, s.Obtained()...)
		}
		mu.Lock()
		if !slices.Equal(got, known) || mask == nil {
			known, mask = got, scenarios.NewMask(got)
		}
		m := mask
		mu.Unlock()
		return m.Replace(c.Mask(text))
	}
}

// notes are what the plan's methods have to say to whoever reads the report.
func notes(plan *engine.Plan) []string {
	var all []string
	for _, t := range plan.Targets() {
		for _, note := range noted(t.Method) {
			if !slices.Contains(all, note) {
				all = append(all, note)
			}
		}
	}
	return all
}

func noted(m engine.Method) []string {
	if n, ok := m.(engine.Noter); ok {
		return n.Notes()
	}
	return nil
}
