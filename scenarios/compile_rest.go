package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/check"
	"volley/scenarios/dataset"
)

// compileThresholds reads the thresholds.
func (c *compiler) compileThresholds() {
	list := c.scenario.Thresholds
	if len(list) > MaxThresholds {
		c.fail("thresholds", fmt.Sprintf("stay within %d", MaxThresholds), "%d thresholds", len(list))
		return
	}
	steps, groups := c.stepNames(false), c.stepNames(true)
	for i, th := range list {
		path := index("thresholds", i)
		field := path
		if p := join(path, "expr"); c.has(p) {
			field = p
		}
		if th.Expr == "" {
			if c.has(field) {
				c.fail(field, `write one such as "response.p99 < 300ms"`, "the threshold is empty")
			}
			continue
		}
		t, err := check.Parse(th.Expr, steps, groups)
		if err != nil {
			c.thresholdError(field, err)
			continue
		}
		t, err = t.With(check.Options{Window: time.Duration(th.Window), Abort: th.Abort, MinSamples: th.MinSamples})
		if err != nil {
			if p := join(path, "window"); c.has(p) {
				field = p
			}
			c.thresholdError(field, err)
			continue
		}
		if t.Metric.Kind == check.Cold && !c.tellsCold(t.Step) {
			c.fail(field, "say where a reply tells of it, such as server: {cold: body.cold}; of the methods, only control-plane knows",
				"%s: nothing tells of cold starts, and they are not guessed", quote(th.Expr))
			continue
		}
		c.out.Thresholds = append(c.out.Thresholds, t)
	}
}

// tellsCold reports whether anything tells of a step's cold starts (PROTOCOL.md
// 7.3), of any step's for "". It is not known where steps are wrong.
func (c *compiler) tellsCold(step string) bool {
	if len(c.out.sends) == 0 || slices.ContainsFunc(c.errs, func(e *Error) bool {
		return strings.HasPrefix(e.Field, "steps") || strings.HasPrefix(e.Field, "target")
	}) {
		return true
	}
	const method = "control-plane"
	if p := c.scenario.Compare; p != nil {
		for _, arm := range p.Arms {
			if arm.Method == method {
				return true
			}
		}
	}
	return slices.ContainsFunc(c.out.sends, func(s sending) bool {
		i := s.invoke
		return (step == "" || i.Name == step) && (i.Target.Method != nil && i.Target.Method.Name() == method || i.Server != nil && i.Server.Cold != nil)
	})
}

// thresholdError reports what package check says, at its place in the text.
func (c *compiler) thresholdError(field string, err error) {
	problem, fix := hinted(err)
	o := c.origin(field)
	var e *check.Error
	if n := c.nodes[field]; errors.As(err, &e) && e.Column > 0 && n != nil && n.simple && n.text == e.Source && o.line > 0 {
		problem = quote(e.Source) + ": " + e.Problem
		o.col += e.Column - 1
		if !n.plain {
			o.col++
		}
	}
	if len(c.out.sends) == 0 || slices.ContainsFunc(c.errs, func(e *Error) bool { return e.Field == field }) {
		return
	}
	c.add(o, field, fix, "%s", problem)
}

// compileData checks the data section.
func (c *compiler) compileData() {
	d := c.scenario.Data
	if d == nil {
		return
	}
	d.Order = c.orDefault(d.Order, string(dataset.Cycle))
	spec := &dataset.Spec{Files: d.File, Dir: c.dir(), Stdin: c.opts.Stdin, Order: dataset.Order(d.Order), Seed: c.plan.Seed}
	for i, name := range d.File {
		field := "data.file"
		if p := index(field, i); c.has(p) {
			field = p
		}
		c.dataFile(field, name)
	}
	c.out.Data = spec
}

// dataFile checks that a file is there, and that it is of a kind that can be
// read.
func (c *compiler) dataFile(field, name string) {
	const check = "check the name; it is relative to the folder of the scenario"
	switch {
	case name == "-":
		if c.file == "-" {
			c.fail(field, "keep the scenario, or the data, in a file", "standard input is the scenario already")
		}
		return
	case name == "":
		c.fail(field, "name a file", "the name is empty")
		return
	case strings.ContainsAny(name, "*?["):
		matches, err := filepath.Glob(c.inDir(name))
		if err != nil || len(matches) == 0 {
			c.fail(field, check, "%s matches no file", quote(name))
		}
		return
	}
	plain := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(name), ".gz"), ".zst")
	if filepath.Ext(plain) == ".parquet" {
		c.fail(field, "convert it to jsonl or csv", "%s: parquet is not built into this version yet", quote(name))
		return
	}
	info, err := os.Stat(c.inDir(name))
	switch {
	case err != nil:
		c.fail(field, check, "%s cannot be read: %v", quote(name), plainErr(err))
	case info.IsDir():
		c.fail(field, "name a file in it, or a pattern such as "+filepath.Join(name, "*.jsonl"), "%s is a folder", quote(name))
	}
}

// plainErr is the reason alone of an error of the file system, in words that
// are the same on every system.
func plainErr(err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errors.New("there is no such file")
	case errors.Is(err, os.ErrPermission):
		return errors.New("permission denied")
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return err
}

// A BatchPlan is the batch section made ready.
type BatchPlan struct {
	Concurrency int           // rows at once; 0: adaptive
	MaxRate     float64       // a ceiling on attempts per second; 0: none
	Retry       *engine.Retry // nil: the steps' own
	Tolerate    float64       // the share of rows that may fail, from 0 to 1
	Key         string        // the field of a row that joins its result to it; "": its ordinal
	InputOrder  bool          // results stand in the order of the rows
}

func (c *compiler) compileBatch() {
	b := c.scenario.Batch
	if b == nil {
		return
	}
	p := &BatchPlan{Concurrency: int(b.Concurrency), Tolerate: float64(b.Tolerate), Key: b.Key, InputOrder: b.Order == "input"}
	b.Order = c.orDefault(b.Order, "any")
	if b.MaxRate != nil && c.positive("batch.max_rate", *b.MaxRate) {
		p.MaxRate = float64(*b.MaxRate)
	}
	if b.Retry != nil {
		p.Retry = c.retry(b.Retry, "batch.retry")
	}
	if c.scenario.Data == nil {
		c.fail("batch", "add data: {file: rows.jsonl}", "a batch works through rows, and the scenario has no data")
	}
	if c.has("batch.key") && b.Key == "" {
		c.fail("batch.key", "name a field of the rows, or delete the key", "the name of the field is empty")
	}
	c.out.Batch = p
}

// A ComparePlan is the compare section made ready.
type ComparePlan struct {
	Baseline string
	Arms     []string // by name, the baseline first
	Targets  map[string]*engine.Target
	Metrics  []string
	Margin   float64 // how much worse is still as good, as a share
}

func (c *compiler) compileCompare() {
	cmpr := c.scenario.Compare
	if cmpr == nil {
		return
	}
	names := slices.Sorted(maps.Keys(cmpr.Arms))
	if cmpr.Baseline != "" && len(names) > 0 && !slices.Contains(names, cmpr.Baseline) {
		c.fail("compare.baseline", didYouMean(cmpr.Baseline, names, "arm"), "%s is not one of the arms", quote(cmpr.Baseline))
	}
	p := &ComparePlan{Baseline: cmpr.Baseline, Metrics: cmpr.Metrics, Margin: float64(cmpr.Margin), Targets: map[string]*engine.Target{}}
	if !c.has("compare.margin") {
		cmpr.Margin, p.Margin = 0.1, 0.1
	}
	if !c.has("compare.metrics") {
		cmpr.Metrics = []string{"p50", "p95", "p99", "failed"}
		p.Metrics = cmpr.Metrics
	}
	for i, m := range p.Metrics {
		if !comparable(m) {
			c.fail(index("compare.metrics", i), didYouMean(m, append([]string{"p50", "p90", "p95", "p99", "avg", "min", "max", "med", "failed"}, failures()...), "metric"),
				"%s is not a metric", quote(m))
		}
	}
	for _, name := range names {
		arm := cmpr.Arms[name]
		path := join("compare.arms", name)
		if !regexp.MustCompile(`^[\pL\pN_][\pL\pN_.-]{0,63}$`).MatchString(name) {
			c.fail(path, "use letters, digits, _ . and -", "%s cannot be the name of an arm", quote(name))
		}
		c.checkEnv(join(path, "env"), arm.Env)
		c.checkRegion(join(path, "region"), arm.Region)
		t := c.targetOf(change{arm.Qualifier, arm.Method, arm.Endpoint, arm.Env, arm.Region, &arm.Timeout, arm.Auth}, path)
		c.headers(join(path, "headers"), arm.Headers, scopeVars{all: true})
		if t.Method != nil {
			c.used[t.Method.Name()] = true
			c.reachable(t, path)
		}
		p.Targets[name] = t
	}
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case a == p.Baseline && b != a:
			return -1
		case b == p.Baseline && a != b:
			return 1
		}
		return 0
	})
	p.Arms = names
	c.out.Compare = p
}

// comparable reports whether a metric can be set side by side.
func comparable(metric string) bool {
	switch metric {
	case "avg", "min", "max", "med", "failed", "rate":
		return true
	}
	if o, ok := engine.ParseOutcome(metric); ok {
		return o.Failed()
	}
	return regexp.MustCompile(`^p(\d{1,2}(\.\d+)?|\(\d{1,2}(\.\d+)?\))$`).MatchString(metric)
}

// A trial is an invocation that is the same for all iterations.
type trial struct {
	invoke *engine.Invoke
	path   string
}

// try encodes what never changes, so that what a method refuses is known
// before the run.
func (c *compiler) try(t trial) {
	in, s := t.invoke, &engine.Scope{}
	i := &engine.Invocation{Step: in, Scope: s}
	fields := func(lines []engine.HeaderLine) (out []engine.Field, err error) {
		for _, l := range lines {
			v, err := l.Value(s)
			if err != nil {
				return nil, err
			}
			out = append(out, engine.Field{Name: l.Name, Value: v, Secret: l.Secret})
		}
		return out, nil
	}
	grant := auth.Grant{}
	switch c.out.proofs[in.Target].way {
	case byKeys:
		grant.Keys = auth.Keys{ID: auth.NewSecret("trial"), Key: auth.NewSecret("trial")}
	case nobody, "":
	default:
		grant.Bearer = auth.NewSecret("trial")
	}
	var errs [4]error
	if in.Data != nil {
		i.Data, errs[0] = in.Data(s)
	}
	i.Header, errs[1] = fields(in.Header)
	if in.HTTP != nil {
		if in.HTTP.Path != nil {
			i.Path, errs[2] = in.HTTP.Path(s)
		}
		i.Query, errs[3] = fields(in.HTTP.Query)
	}
	err := errors.Join(errs[:]...)
	if err == nil {
		err = in.Target.Method.Encode(i, grant, time.Unix(0, 0), &engine.Request{})
	}
	if err != nil {
		c.fail(t.path, "change the step so that its request can be sent", "%v", err)
	}
}
