package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"volley/engine"
	"volley/engine/check"
	"volley/engine/group"
)

// unknownParallel is taken for the number of items of a list that only the run
// knows, when connections are counted.
const unknownParallel = 64

// compileSteps makes the plan's steps, series and groups.
func (c *compiler) compileSteps() {
	c.series, c.named, c.kinds, c.used = map[engine.SeriesKey]int{}, map[string]stepName{}, map[string]int{}, map[string]bool{}
	steps := c.scenario.Steps
	if len(steps) == 0 {
		if !c.opts.NoSteps {
			c.fail("steps", "add steps: [{invoke: FUNCTION}]", "there are no steps")
		}
		return
	}
	var parallel int
	c.plan.Steps, parallel, _ = c.steps(steps, "steps", scopeVars{})
	c.plan.Parallel = max(1, parallel)
	var e *check.Error
	if err := check.Names(slices.Sorted(maps.Keys(c.named))); errors.As(err, &e) {
		c.fail(join(c.named[e.Source].path, "name"), e.Fix, "%s", e.Problem)
	}
	if len(c.plan.Series) == 0 {
		c.fail("steps", "add a step: {invoke: FUNCTION}", "the steps invoke nothing")
	}
}

// steps compiles steps that come one after the other. It returns them, the most
// invocations on the wire at once, and what is saved at their end.
func (c *compiler) steps(list []Step, path string, v scopeVars) (out []engine.Step, parallel int, saved []string) {
	if len(list) > MaxSteps {
		c.fail(path, fmt.Sprintf("stay within %d", MaxSteps), "%d steps", len(list))
		return nil, 0, nil
	}
	for i := range list {
		st, n, names := c.step(&list[i], index(path, i), v)
		out = append(out, st)
		parallel = max(parallel, n)
		saved = append(saved, names...)
		v = v.with(names)
	}
	return out, parallel, saved
}

// kindsOfSteps are the keys that say what a step does, and those that go with
// invocations and groups alone.
func kindsOfSteps() (kinds, ofInvoke, ofGroup []string) {
	return []string{"invoke", "all", "all_settled", "any", "race", "steps", "pause", "pick"},
		[]string{"data", "http", "headers", "qualifier", "method", "endpoint", "timeout", "auth", "server", "check", "save", "retry"},
		[]string{"each", "limit", "on_loss"}
}

// kindOf says what a step does, or reports that nothing or too much does.
func (c *compiler) kindOf(path string) string {
	kinds, ofInvoke, ofGroup := kindsOfSteps()
	var found []string
	for _, k := range kinds {
		if c.has(join(path, k)) {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		c.fail(path, "add invoke: FUNCTION; or one of "+strings.Join(kinds[1:], ", "), "the step does nothing")
		return ""
	}
	if len(found) > 1 {
		c.fail(join(path, found[1]), "make two steps of it", "%s and %s in one step", found[0], found[1])
		return ""
	}
	kind := found[0]
	isGroup := slices.Contains([]string{"all", "all_settled", "any", "race"}, kind)
	refuse := func(keys []string, what string) {
		for _, k := range keys {
			if c.has(join(path, k)) {
				c.fail(join(path, k), "move it to the step that it is meant for, or delete it", "%s is for %s, and this step is %s", k, what, withArticle(kind))
			}
		}
	}
	if kind != "invoke" {
		refuse(ofInvoke, "invocations")
	}
	if !isGroup {
		refuse(ofGroup, "groups")
	}
	if kind != "invoke" && !isGroup && c.has(join(path, "name")) {
		c.fail(join(path, "name"), "name the invocations in it", "name is for invocations and groups, and this step is %s", withArticle(kind))
	}
	return kind
}

func withArticle(kind string) string {
	if strings.ContainsAny(kind[:1], "aeiou") {
		return "an " + kind
	}
	return "a " + kind
}

// step compiles one step.
func (c *compiler) step(st *Step, path string, v scopeVars) (out engine.Step, parallel int, saved []string) {
	out = engine.Step{ID: salt(path), When: c.when(join(path, "when"), st.When, v), Continue: st.Continue}
	kind := c.kindOf(path)
	at := join(path, kind)
	switch kind {
	case "invoke":
		out.Invoke, saved = c.invoke(st, path, v)
		parallel = 1
	case "all":
		out.Group, parallel, saved = c.group(st, group.All, st.All, path, v)
	case "all_settled":
		out.Group, parallel, saved = c.group(st, group.AllSettled, st.AllSettled, path, v)
	case "any":
		out.Group, parallel, saved = c.group(st, group.Any, st.Any, path, v)
	case "race":
		out.Group, parallel, saved = c.group(st, group.Race, st.Race, path, v)
	case "steps":
		if len(st.Steps) == 0 {
			c.fail(at, "add a step, or delete the key", "the list is empty")
		}
		out.Sequence, parallel, saved = c.steps(st.Steps, at, v)
	case "pause":
		out.Pause = &engine.Pause{Min: time.Duration(st.Pause.orZero().Min), Max: time.Duration(st.Pause.orZero().Max)}
	case "pick":
		out.Pick, parallel, saved = c.pick(st.Pick, at, v)
	}
	return out, parallel, saved
}

func (v *Span) orZero() Span {
	if v == nil {
		return Span{}
	}
	return *v
}

// pick compiles a choice of steps.
func (c *compiler) pick(choices []Choice, path string, v scopeVars) (out []engine.Choice, parallel int, saved []string) {
	if len(choices) == 0 {
		c.fail(path, "add a choice: {weight: 1, invoke: FUNCTION}", "the list is empty")
	}
	for i := range choices {
		at := index(path, i)
		weight := 1.0
		if w := choices[i].Weight; w != nil {
			weight = *w
		}
		st, n, names := c.step(&choices[i].Step, at, v)
		parallel = max(parallel, n)
		saved = append(saved, names...)
		out = append(out, engine.Choice{Weight: weight, Steps: []engine.Step{st}})
	}
	return out, parallel, saved
}

// group compiles a group. Its members see what was saved before it; what they
// save is seen after it.
func (c *compiler) group(st *Step, kind group.Kind, members []Step, path string, v scopeVars) (g *engine.Group, parallel int, saved []string) {
	at := join(path, kind.String())
	c.kinds[kind.String()]++
	name := st.Name
	if name == "" {
		name = fmt.Sprintf("%s#%d", kind, c.kinds[kind.String()])
	}
	c.claim(name, path, stepName{group: true, path: path})
	switch {
	case len(members) == 0 && kind == group.Race:
		c.fail(at, "add members, or delete the step", "a race of no members never settles")
	case len(members) == 0:
		c.fail(at, "add members, or delete the step", "the list is empty")
	case len(members) > MaxMembers:
		c.fail(at, fmt.Sprintf("stay within %d", MaxMembers), "%d members", len(members))
		return &engine.Group{Kind: kind}, 1, nil
	}
	g = &engine.Group{Index: len(c.plan.Groups), Kind: kind, Limit: st.Limit, CancelLosers: st.OnLoss == "cancel"}
	asked := len(members)
	if st.Limit > 0 {
		asked = min(asked, st.Limit)
	}
	inner := v
	if st.Each != nil {
		g.Each = c.each(join(path, "each"), st.Each, v)
		inner.item, asked = true, 0
	}
	c.plan.Groups = append(c.plan.Groups, engine.GroupKey{Step: name, Kind: kind, Asked: asked})
	var widths []int
	for i := range members {
		field := index(at, i)
		for _, wrong := range []string{"pause", "pick"} {
			if c.has(join(field, wrong)) {
				c.fail(join(field, wrong), "put it into a sequence: {steps: [{"+wrong+": …}]}", "a %s cannot be a member of a group", wrong)
			}
		}
		m, n, names := c.step(&members[i], field, inner)
		g.Members = append(g.Members, m)
		widths = append(widths, max(1, n))
		saved = append(saved, names...)
	}
	return g, width(widths, st.Limit, st.Each != nil), saved
}

// width is the most invocations of a group on the wire at once: of all members,
// or of the widest ones that a limit lets through.
func width(members []int, limit int, each bool) int {
	if len(members) == 0 {
		return 1
	}
	if each {
		n := unknownParallel
		if limit > 0 {
			n = limit
		}
		return n * slices.Max(members)
	}
	slices.Sort(members)
	slices.Reverse(members)
	if limit > 0 {
		members = members[:min(limit, len(members))]
	}
	sum := 0
	for _, m := range members {
		sum += m
	}
	return sum
}

// invoke compiles one invocation.
func (c *compiler) invoke(st *Step, path string, v scopeVars) (in *engine.Invoke, saved []string) {
	function := join(path, "invoke")
	t := c.targetOf(change{st.Qualifier, st.Method, st.Endpoint, "", "", &st.Timeout, st.Auth}, path)
	method := ""
	if t.Method != nil {
		method = t.Method.Name()
		c.used[method] = true
	}
	if !regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,58}[a-zA-Z0-9]$`).MatchString(st.Invoke) && (method != "web" || st.Invoke == "" || len(st.Invoke) > 100) {
		c.fail(function, "use 2 to 60 letters, digits, - and _; begin with a letter, end with a letter or digit", "%s is not the name of a function", quote(st.Invoke))
	}
	c.reachable(t, path)
	c.knownToEmulator(st, t, path)
	in = &engine.Invoke{Name: c.orDefault(st.Name, st.Invoke), Function: st.Invoke, Target: t, Attempts: -1}
	if in.Name != "" {
		c.claim(in.Name, path, stepName{function: st.Invoke, path: path})
	}
	in.Series = c.seriesOf(in, method, false)

	var dataStatic, ownStatic, httpStatic bool
	in.Data, dataStatic = c.body(join(path, "data"), st.Data, method, v)
	var common []engine.HeaderLine
	common, ownStatic = c.lines("target.headers", c.inherited(st), scopeVars{all: true})
	own, static := c.headers(join(path, "headers"), st.Headers, v)
	in.Header = append(common, own...)
	in.HTTP, httpStatic = c.http(st, path, method, v)
	in.Static = dataStatic && ownStatic && static && httpStatic

	c.bodies = false
	in.Server = c.server(st.Server, join(path, "server"), c.scenario.Target.Server, "target.server", v)
	in.Checks = c.checks(join(path, "check"), st.Check, v)
	in.Saves, saved = c.saves(join(path, "save"), st.Save, v)
	in.Blind = !c.bodies
	if st.Retry != nil {
		in.Retry = c.retry(st.Retry, join(path, "retry"))
		in.Attempts = c.seriesOf(in, method, true)
	}
	c.out.sends = append(c.out.sends, sending{in, st})
	if in.Static && t.Method != nil {
		c.trials = append(c.trials, trial{in, path})
	}
	return in, saved
}

// inherited are the target's headers that a step does not write itself.
func (c *compiler) inherited(st *Step) Headers {
	return slices.DeleteFunc(slices.Clone(c.scenario.Target.Headers), func(l Line) bool {
		return slices.ContainsFunc(st.Headers, func(own Line) bool { return strings.EqualFold(own.Name, l.Name) })
	})
}

// seriesOf numbers the series of a step. Steps that cannot be told apart in
// reports share one.
func (c *compiler) seriesOf(in *engine.Invoke, method string, attempts bool) int {
	key := engine.SeriesKey{Step: in.Name, Function: in.Function, Method: method, Qualifier: in.Target.Qualifier, Attempts: attempts}
	if i, ok := c.series[key]; ok {
		return i
	}
	i := len(c.plan.Series)
	c.series[key] = i
	c.plan.Series = append(c.plan.Series, key)
	return i
}

// claim gives a name in reports to a step, if it may have it.
func (c *compiler) claim(name, path string, as stepName) {
	field := join(path, "name")
	if !c.has(field) {
		if field = path; !as.group {
			field = join(path, "invoke")
		}
	}
	switch {
	case check.Reserved(name):
		c.fail(field, "add name: "+name+"-step, or another name of your choice", "%s is the name of a metric or a class, which thresholds could not tell from the step", quote(name))
		return
	case len(name) > 100 || !regexp.MustCompile(`^[\pL\pN_][\pL\pN_ .#:/@-]*$`).MatchString(name) || strings.TrimSpace(name) != name:
		c.fail(field, "use letters, digits, spaces and _ - . # : / @", "%s cannot be the name of a step", quote(name))
		return
	}
	before, taken := c.named[name]
	if taken && (before.group || as.group || before.function != as.function) {
		c.fail(field, "add a name of its own: name: "+name+"-2", "%s is also the name of %s", quote(name), before.path)
		return
	}
	if !taken {
		c.named[name] = as
	}
}

// http compiles the request of an HTTP function or a web client.
func (c *compiler) http(st *Step, path, method string, v scopeVars) (out *engine.HTTP, static bool) {
	h := st.HTTP
	if h == nil {
		return nil, true
	}
	at := join(path, "http")
	if !passesHTTP(method) {
		c.fail(at, "add method: http-function to the step or the target; or send data", "http is for the methods http-function and web; %s posts an event", method)
	}
	if h.Raw && method == "web" {
		c.fail(join(at, "raw"), "delete it", "raw is for the method http-function")
	}
	out = &engine.HTTP{Verb: h.Method, Raw: h.Raw}
	static = true
	if c.has(join(at, "path")) {
		if p := string(h.Path); !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "${{") {
			c.fail(join(at, "path"), "write /"+p, "%s does not start with a slash", quote(p))
		}
		out.Path, static = c.text(join(at, "path"), h.Path, v)
	}
	query, fixed := c.lines(join(at, "query"), h.Query, v)
	out.Query = query
	return out, static && fixed
}

// retryDefaults are the outcomes that are tried again where a scenario does
// not say which: those in which the function did not run, or may not have.
func retryDefaults() []string {
	return []string{engine.Throttled.String(), engine.PlatformError.String(), engine.NetworkError.String()}
}

func (c *compiler) retry(r *Retry, path string) *engine.Retry {
	out := &engine.Retry{Attempts: r.Attempts, Base: time.Duration(r.Base), Cap: time.Duration(r.Cap)}
	if !c.has(join(path, "attempts")) {
		r.Attempts, out.Attempts = 3, 3
	}
	if !c.has(join(path, "base")) {
		out.Base = 100 * time.Millisecond
		r.Base = Duration(out.Base)
	}
	if !c.has(join(path, "cap")) {
		out.Cap = max(10*time.Second, out.Base)
		r.Cap = Duration(out.Cap)
	}
	if out.Base <= 0 {
		c.fail(join(path, "base"), "write a duration such as 100ms", "a wait of %s is none", r.Base)
	}
	if out.Cap < out.Base {
		c.fail(join(path, "cap"), "write "+r.Base.String()+" or more", "%s is below base, %s", quote(r.Cap.String()), r.Base)
	}
	if !c.has(join(path, "on")) {
		r.On = retryDefaults()
	}
	if len(r.On) == 0 {
		c.fail(join(path, "on"), "write on: ["+strings.Join(retryDefaults(), ", ")+"]", "the list is empty")
	}
	for i, name := range r.On {
		o, ok := engine.ParseOutcome(name)
		if !ok || !o.Failed() {
			c.fail(index(join(path, "on"), i), didYouMean(name, failures(), "outcome"), "%s is not an outcome that can be tried again", quote(name))
			continue
		}
		if !slices.Contains(out.On, o) {
			out.On = append(out.On, o)
		}
	}
	return out
}

// failures are the names of the outcomes that count as failures.
func failures() []string {
	var names []string
	for o := range engine.Outcome(engine.NumOutcomes) {
		if o.Failed() {
			names = append(names, o.String())
		}
	}
	return names
}

// stepNames are the names that thresholds may ask for.
func (c *compiler) stepNames(groups bool) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.named)) {
		if c.named[name].group == groups {
			names = append(names, name)
		}
	}
	return names
}
