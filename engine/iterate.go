package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A caller makes iterations, one at a time.
type caller struct {
	run    *Run
	id     int
	record Recorder

	form   form            // of invocations that stand in no group
	pass   pass            // the iteration under way
	end    time.Duration   // of its last iteration, warm-up not counted
	scope  Scope           // its own
	result IterationResult // what is written down about it
}

// A pass is one iteration under way. Steps fired side by side share it.
type pass struct {
	*caller
	ticket
	losers  sync.WaitGroup // groups that have settled, and have members left
	grouped bool           // there was a group; written by who makes the steps at the top
	began   time.Duration  // when its caller looked at the clock; 0: something was waited for since

	// The largest lateness of its invocations, in ns; less than 0 when there were
	// none. Members of groups have theirs apart, for they may end at any time.
	late    int64
	members atomic.Int64
}

// A StepError is why a step failed.
type StepError struct {
	Step    string
	Outcome Outcome
	Message string
}

func (e *StepError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("%s: %s", e.Step, e.Outcome)
	}
	return fmt.Sprintf("%s: %s: %s", e.Step, e.Outcome, e.Message)
}

// errExpression marks failures that no invocation's result tells of.
var errExpression = errors.New("expression")

// iterate makes one iteration and records it. It returns when everything that
// it fired has ended, the losers of its groups included: they are load, too,
// and belong under max_in_flight.
func (c *caller) iterate(ctx context.Context, t *ticket) {
	start := c.start(t)
	p := &c.pass
	_, end, err := p.steps(ctx, c.run.Plan.Steps, &c.scope, moment{due: t.due, held: t.held}, nil)
	p.losers.Wait()
	c.ended(ctx, start, end, err)
}

// start makes the caller's papers ready for an iteration, and says when it
// starts.
func (c *caller) start(t *ticket) time.Duration {
	r, p := c.run, &c.pass
	r.count(t.warm, &r.sent)
	p.caller, p.ticket, p.grouped, p.began, p.late = c, *t, false, 0, -1
	c.scope = Scope{}
	c.scope.Seed, c.scope.Iteration, c.scope.Row = r.Plan.Seed, t.n, t.row
	if r.load.Arrivals == nil {
		if r.Rows == nil { // else its row may have had to be waited for
			p.began = t.due
		}
		return t.due // a closed run's is due when its caller looks at the clock
	}
	p.began = r.now()
	return p.began
}

// ended records an iteration.
func (c *caller) ended(ctx context.Context, start, end time.Duration, err error) {
	r, p, t, it := c.run, &c.pass, &c.pass.ticket, &c.result
	*it = IterationResult{
		Scope: &c.scope, Warmup: t.warm, Due: t.due, Start: start, End: end, Held: t.held,
		Lateness: p.lateness(), Failed: err != nil, Canceled: err != nil && ctx.Err() != nil,
	}
	if it.Lateness < 0 {
		it.Lateness = max(0, start-t.due-t.held)
	}
	if errors.Is(err, errExpression) {
		it.Err = err
	}
	if it.Canceled {
		r.count(t.warm, &r.canceled)
	} else {
		r.count(t.warm, &r.finished)
	}
	if !t.warm {
		if p.grouped { // what no longer mattered may have ended last
			end = r.now()
		}
		c.end = max(c.end, end)
		if int64(c.end) > r.lastEnd.Load()+int64(time.Millisecond) { // to the moment it is told when the caller leaves
			raise(&r.lastEnd, int64(c.end))
		}
	}
	c.record.Iteration(it)
}

// leave is called when the caller makes no iteration any more.
func (c *caller) leave() { raise(&c.run.lastEnd, int64(c.end)) }

// lateness returns the largest of the iteration's invocations, all of which have
// ended; less than 0 when there were none.
func (p *pass) lateness() time.Duration {
	if p.grouped {
		p.late = max(p.late, p.members.Swap(-1))
	}
	return time.Duration(p.late)
}

// A moment is when a step is due, and for how long it has been held since.
type moment struct{ due, held time.Duration }

// steps makes steps one after the other. The first is due at m, every other
// when the one before has settled. It returns what they saved and when the
// last one settled; a step that fails ends them, unless it says continue. The
// scope goes along with them: it is the caller's own, and changes.
func (p *pass) steps(ctx context.Context, steps []Step, s *Scope, m moment, w *wire) (saved map[string]any, end time.Duration, err error) {
	end = m.due
	for i := range steps {
		if err := ctx.Err(); err != nil {
			return saved, max(end, p.run.now()), context.Cause(ctx)
		}
		var fresh map[string]any
		fresh, end, err = p.step(ctx, &steps[i], s, m, w)
		if len(fresh) > 0 {
			s.Vars = with(s.Vars, fresh)
			saved = with(saved, fresh)
		}
		if err != nil && (!steps[i].Continue || ctx.Err() != nil) {
			return saved, end, err
		}
		if end != m.due { // a step that did nothing leaves the wait to the next
			m = moment{due: end}
		}
	}
	return saved, end, nil
}

// with returns a copy of vars that has fresh, too.
func with(vars, fresh map[string]any) map[string]any {
	if len(vars) == 0 {
		return fresh
	}
	both := maps.Clone(vars)
	maps.Copy(both, fresh)
	return both
}

// step makes one step, unless its condition says no.
func (p *pass) step(ctx context.Context, st *Step, s *Scope, m moment, w *wire) (saved map[string]any, end time.Duration, err error) {
	s.at(st, p.run.Base.Add(m.due))
	if yes, err := st.wanted(s); err != nil || !yes {
		return nil, m.due, err
	}
	return p.do(ctx, st, s, m, w)
}

// at moves the scope to a step that is due at a time.
func (s *Scope) at(st *Step, due time.Time) { s.Step, s.Now = st.ID, due }

// wanted says whether the step's condition holds.
func (st *Step) wanted(s *Scope) (bool, error) {
	if st.When == nil {
		return true, nil
	}
	yes, err := st.When(s)
	if err != nil {
		return false, fmt.Errorf("%w: when: %w", errExpression, err)
	}
	return yes, nil
}

// do makes one step; s is at it.
func (p *pass) do(ctx context.Context, st *Step, s *Scope, m moment, w *wire) (saved map[string]any, end time.Duration, err error) {
	switch {
	case st.Invoke != nil:
		return p.invoke(ctx, st.Invoke, s, m, w)
	case st.Group != nil:
		if w == nil {
			p.grouped = true
		}
		return p.group(ctx, st.Group, s, m, w)
	case st.Pause != nil:
		end, err := p.pause(ctx, st.Pause, s, m.due+m.held)
		return nil, end, err
	case st.Pick != nil:
		return p.steps(ctx, pick(st.Pick, s).Steps, s, m, w)
	default:
		return p.steps(ctx, st.Sequence, s, m, w)
	}
}

// pause lets its time go by, from when the step was due and might begin. Its end is when that time is over, not when the
// clock woke us: what we oversleep is our lateness.
func (p *pass) pause(ctx context.Context, pa *Pause, s *Scope, from time.Duration) (time.Duration, error) {
	d := pa.Min
	if pa.Max > pa.Min {
		d += time.Duration(s.Rand().Int64N(int64(pa.Max-pa.Min) + 1))
	}
	end := from + d
	t := time.NewTimer(end - p.run.now())
	defer t.Stop()
	select {
	case <-t.C:
		return end, nil
	case <-ctx.Done():
		return p.run.now(), context.Cause(ctx)
	}
}

// pick chooses one of the choices by their weights.
func pick(choices []Choice, s *Scope) *Choice {
	var sum float64
	for i := range choices {
		sum += choices[i].Weight
	}
	x := s.Rand().Float64() * sum
	for i := range choices {
		if x -= choices[i].Weight; x < 0 {
			return &choices[i]
		}
	}
	return &choices[len(choices)-1]
}

// invoke makes one invocation and records its result. What comes before and
// after has functions of its own: many callers wait in here, each on a stack
// that should stay small.
func (p *pass) invoke(ctx context.Context, in *Invoke, s *Scope, m moment, w *wire) (saved map[string]any, end time.Duration, err error) {
	f := p.begin(in, s, m, w)
	if f.good {
		p.run.Invoker.Invoke(ctx, &f.invocation, &f.result)
	}
	return p.conclude(f, s, w)
}

// begin writes down what is to be invoked.
func (p *pass) begin(in *Invoke, s *Scope, m moment, w *wire) *form {
	f := &p.form
	if w != nil { // others may write at the same time
		f = p.run.borrow()
	}
	i, r := &f.invocation, &f.result
	*i = Invocation{Step: in, Scope: s, Header: i.Header[:0], Query: i.Query[:0], Due: m.due, Held: m.held, Worker: p.id, Warmup: p.warm}
	if w == nil && m.due == p.due { // else time may have gone by
		i.Asked = p.began
	}
	err := i.render(s)
	if f.good = err == nil; !f.good {
		r.Begin(i)
		r.Request = nil
		r.Start = p.run.now()
		r.End = r.Start
		r.Reply = Reply{Outcome: Rejected, Detail: "expression", Message: clip(err.Error())}
	}
	return f
}

// conclude records the result of an invocation, and takes out of it what the
// steps after it need.
func (p *pass) conclude(f *form, s *Scope, w *wire) (saved map[string]any, end time.Duration, err error) {
	in, r := f.invocation.Step, &f.result
	r.Invocation = &f.invocation
	if r.Reply.Outcome == OK && len(in.Saves) > 0 {
		saved = save(in.Saves, s, &r.Reply)
	}
	if late := int64(r.Lateness()); w == nil {
		p.late = max(p.late, late)
	} else {
		raise(&p.members, late)
	}
	w.add(r.Attempts)
	p.record.Invocation(r)
	end = r.End
	if r.Reply.Outcome != OK {
		saved, err = nil, &StepError{Step: in.Name, Outcome: r.Reply.Outcome, Message: r.Reply.Message}
	}
	if w != nil {
		p.run.spare.Put(f)
	}
	return saved, end, err
}

// A form is what an invocation is written on. It is used again for another as
// soon as its result is recorded.
type form struct {
	invocation Invocation
	result     Result
	good       bool // the invocation could be written down
}

func (r *Run) borrow() *form {
	if f, ok := r.spare.Get().(*form); ok {
		return f
	}
	return new(form)
}

// render fills in the values of this iteration.
func (i *Invocation) render(s *Scope) (err error) {
	in := i.Step
	if in.Data != nil {
		if i.Data, err = in.Data(s); err != nil {
			return fmt.Errorf("data: %w", err)
		}
	}
	if i.Header, err = lines(i.Header, in.Header, s); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	if in.HTTP == nil {
		return nil
	}
	if in.HTTP.Path != nil {
		if i.Path, err = in.HTTP.Path(s); err != nil {
			return fmt.Errorf("http.path: %w", err)
		}
	}
	if i.Query, err = lines(i.Query, in.HTTP.Query, s); err != nil {
		return fmt.Errorf("http.query: %w", err)
	}
	return nil
}

func lines(to []Field, from []HeaderLine, s *Scope) ([]Field, error) {
	for k := range from {
		v, err := from[k].Value(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from[k].Name, err)
		}
		to = append(to, Field{Name: from[k].Name, Value: v, Secret: from[k].Secret})
	}
	return to, nil
}

// save takes the values out of a reply. A value that cannot be taken fails the
// reply like a check: what comes next would rest on nothing.
func save(saves []Save, s *Scope, r *Reply) map[string]any {
	saved := make(map[string]any, len(saves))
	for _, sv := range saves {
		v, err := sv.Value(s, r)
		if err != nil {
			r.Outcome, r.Detail, r.Message = CheckFailed, "save "+sv.Name, clip(err.Error())
			return nil
		}
		saved[sv.Name] = v
	}
	return saved
}

// clip bounds a message, and never in the middle of a character.
func clip(message string) string {
	if len(message) > MaxMessage {
		message = strings.ToValidUTF8(message[:MaxMessage], "")
	}
	return message
}
