package scenarios

import (
	"slices"

	"volley/engine"
	"volley/engine/auth"
)

// At returns the plan with the emulator at an address, such as
// http://127.0.0.1:8787. Without an emulator it is the plan itself.
func (c *Compiled) At(endpoint string) *engine.Plan { return c.Moved(endpoint).Plan }

// Moved returns c with the emulator at an address: the plan and the arms of a
// comparison, with the places where their tokens are made. Without an emulator
// it is c itself.
func (c *Compiled) Moved(endpoint string) *Compiled {
	if c.Emulator == nil {
		return c
	}
	to := *c
	m := mover{endpoint: endpoint, proofs: c.proofs, targets: map[*engine.Target]*engine.Target{}, sources: map[proof]auth.Source{}}
	plan := *c.Plan
	plan.Steps = m.steps(plan.Steps)
	to.Plan = &plan
	if c.Compare != nil {
		compare := *c.Compare
		compare.Targets = make(map[string]*engine.Target, len(c.Compare.Targets))
		for name, t := range c.Compare.Targets {
			compare.Targets[name] = m.target(t)
		}
		to.Compare = &compare
	}
	return &to
}

// A mover copies steps, with what points to the emulator at another address.
// What was shared stays shared.
type mover struct {
	endpoint string
	proofs   map[*engine.Target]proof
	targets  map[*engine.Target]*engine.Target
	sources  map[proof]auth.Source
}

func (m mover) steps(from []engine.Step) []engine.Step {
	to := slices.Clone(from)
	for i := range to {
		st := &to[i]
		st.Sequence = m.steps(st.Sequence)
		if st.Group != nil {
			g := *st.Group
			g.Members = m.steps(g.Members)
			st.Group = &g
		}
		st.Pick = slices.Clone(st.Pick)
		for k := range st.Pick {
			st.Pick[k].Steps = m.steps(st.Pick[k].Steps)
		}
		if st.Invoke != nil {
			in := *st.Invoke
			in.Target = m.target(in.Target)
			st.Invoke = &in
		}
	}
	return to
}

func (m mover) target(t *engine.Target) *engine.Target {
	if m.targets[t] == nil {
		to := *t
		if to.Endpoint == EmulatorEndpoint {
			to.Endpoint = m.endpoint
		}
		if p := m.proofs[t]; p.base == EmulatorEndpoint {
			to.Auth = m.source(p)
		}
		m.targets[t] = &to
	}
	return m.targets[t]
}

// source makes a source whose tokens are made at the emulator's address.
func (m mover) source(p proof) auth.Source {
	if m.sources[p] == nil {
		to := p
		to.base = m.endpoint
		m.sources[p] = to.source()
	}
	return m.sources[p]
}
