package runner

import (
	"slices"
	"strings"
	"sync"

	"volley/engine"
	"volley/engine/auth"
	"volley/scenarios"
)

// tokens is a source that gets some on the way.
type tokens interface {
	Obtained() []auth.Secret
	Count() int
}

// masking hides the scenario's secrets in a text, and the tokens that were got
// with them on the way. A text that may have been cut is searched for one that
// was cut with it.
func masking(c *scenarios.Compiled, plan *engine.Plan) func(text string) string {
	m := masker{scenario: c.Mask, count: -1}
	for _, t := range plan.Targets() {
		switch s := t.Auth.(type) {
		case tokens:
			if !slices.Contains(m.sessions, s) {
				m.sessions = append(m.sessions, s)
			}
		case auth.Fixed:
			m.fixed = append(m.fixed, s.G.Bearer, s.G.Keys.ID, s.G.Keys.Key, s.G.Keys.Session)
		}
	}
	return m.mask
}

// A masker hides secrets. It makes a new mask when there are new tokens.
type masker struct {
	scenario func(string) string
	sessions []tokens
	fixed    []auth.Secret // that invocations are sent with

	mu    sync.Mutex
	count int // tokens that are known to it
	got   *strings.Replacer
	whole []string // what may be cut
}

const (
	mayBeCut  = engine.MaxMessage / 4 // the shortest text of which something may have been cut off; its white space may be gone
	leastHalf = 8                     // bytes of a secret that are hidden where the rest is cut off
)

func (m *masker) mask(text string) string {
	got, whole := m.known()
	masked := got.Replace(m.scenario(text))
	if len(text) < mayBeCut {
		return masked
	}
	for _, w := range whole {
		masked = withoutHalf(masked, w)
	}
	return masked
}

// known returns what hides the tokens that there are by now, and all secrets
// that invocations are sent with.
func (m *masker) known() (got *strings.Replacer, whole []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := 0
	for _, s := range m.sessions {
		count += s.Count()
	}
	if count != m.count {
		var all []auth.Secret
		for _, s := range m.sessions {
			all = append(all, s.Obtained()...)
		}
		m.count, m.got, m.whole = count, scenarios.NewMask(all), nil
		for _, s := range append(all, m.fixed...) {
			if text := s.Reveal(); len(text) > leastHalf {
				m.whole = append(m.whole, text)
			}
		}
	}
	return m.got, m.whole
}

// withoutHalf hides the beginning of a secret that a text ends with.
func withoutHalf(text, secret string) string {
	from := max(0, len(text)-len(secret))
	for {
		at := strings.Index(text[from:], secret[:leastHalf])
		if at < 0 {
			return text
		}
		from += at
		if strings.HasPrefix(secret, text[from:]) {
			return text[:from] + auth.Mask
		}
		from++
	}
}
