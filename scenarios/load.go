// Package scenarios turns files into plans. A Scenario is what a person wrote;
// Load reads it strictly, all mistakes at once, and compiles it into an
// engine.Plan: what the program will do. Nothing later looks at the file.
package scenarios

import (
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/check"
	"volley/engine/emulator"
	"volley/scenarios/dataset"
)

// Options are what a scenario is read with, beside its bytes.
type Options struct {
	// Env looks a variable up: first what -e says, then the environment. nil
	// knows none.
	Env func(name string) (value string, ok bool)

	Set   []string // --set path.to.key=value, in their order
	Flags Flags    // the flags that stand for parts of a scenario; they win over Set

	// Dir is where relative paths of data files start; "" means the folder of
	// the scenario's file, or the working folder where there is no file.
	Dir   string
	Stdin io.Reader // what the data file "-" reads

	Seed    uint64 // where the scenario gives none
	NoLoad  bool   // the load section may be missing: it is not what is going to be done
	NoSteps bool   // steps may be missing: all that is wanted is the emulator

	// What stands around a scenario, for what it leaves out where it goes to the
	// vendor's own hosts: not with an endpoint of its own, nor with an emulator.
	DefaultEnv, DefaultRegion string
	DefaultsFrom              string // where the two came from, such as cloudbaserc.json

	// Ambient finds credentials that a method takes, and says where they came
	// from; none are found: the zero Auth. It is asked once for each method that
	// needs it. nil finds none.
	Ambient func(method string) (a Auth, from string, err error)
}

// A Compiled is a scenario made ready: the plan, and what is needed around it.
// It does not change.
type Compiled struct {
	Plan       *engine.Plan
	Scenario   *Scenario // resolved: variables filled in, flags applied, defaults in place
	Source     []byte    // the bytes of the file; for a scenario made of flags, what a file of it would be
	Data       *dataset.Spec
	Thresholds []check.Threshold
	Client     Client
	Batch      *BatchPlan
	Compare    *ComparePlan

	// Emulator is to be started where Plan's targets without an endpoint of their
	// own have EmulatorEndpoint as theirs; see At. nil: there is none.
	Emulator    *emulator.Config
	EmulatorTLS bool

	// Secrets are the values that must not be shown.
	Secrets []auth.Secret

	// EnvFrom, RegionFrom and AuthFrom say where environment, region and
	// credentials came from that the scenario itself does not name, such as
	// cloudbaserc.json; "" where it does.
	EnvFrom, RegionFrom, AuthFrom string

	mask   *strings.Replacer // what Secrets look like
	nodes  map[string]*node
	proofs map[*engine.Target]proof // what the sources of the plan's targets are made of
	sends  []sending                // what Explain says of invocations
}

// Client says how the plan's requests are sent.
type Client struct {
	Protocol    string // auto, h1 or h2
	Connections int    // the most connections; 0: as many as the plan's parallelism needs
	KeepAlive   bool
}

// EmulatorEndpoint stands for the emulator's address in plans that were
// compiled before it was known. The name cannot exist (RFC 6761, section 6.4).
const EmulatorEndpoint = "http://emulator.invalid"

// Load reads and compiles a scenario. The error is Errors, with every mistake.
// path is for messages and for finding data files; src is the file's content.
func Load(path string, src []byte, o Options) (*Compiled, error) {
	r := &report{file: path}
	root := parse(src, r)
	if root == nil {
		return nil, r.close()
	}
	c, err := load(root, r, o)
	if err != nil {
		return nil, err
	}
	c.Source = src
	return c, nil
}

// commandLine is the file of a scenario that flags alone make up.
const commandLine = "command line"

// FromFlags compiles the scenario that flags alone describe.
func FromFlags(o Options) (*Compiled, error) {
	r := &report{file: commandLine}
	if o.Dir == "" {
		o.Dir = "."
	}
	c, err := load(&node{kind: mappingKind, at: origin{flag: commandLine}}, r, o)
	if err != nil {
		return nil, err
	}
	c.Source = c.Resolved()
	return c, nil
}

func load(root *node, r *report, o Options) (*Compiled, error) {
	if root.kind != mappingKind {
		r.add(root.at, "", "a scenario is a mapping with keys such as target, load and steps; `volley new` writes one", "%s stands where a scenario is wanted", root.what())
		return nil, r.close()
	}
	o.apply(root, r)
	d := &decoder{
		environment: &environment{report: r, lookup: o.Env, ref: reference()},
		nodes:       map[string]*node{},
	}
	s := &Scenario{}
	if o.NoSteps {
		r.meant = append(r.meant, "steps")
	}
	d.into(reflect.ValueOf(s).Elem(), root, "", rules{})
	c := &compiler{
		report: r, nodes: d.nodes, scenario: s, opts: o, lookup: o.Env,
		out: &Compiled{Scenario: s, nodes: d.nodes, proofs: map[*engine.Target]proof{}},
	}
	c.compile()
	if err := r.close(); err != nil {
		return nil, err
	}
	c.out.Secrets, c.out.mask = r.secrets, NewMask(r.secrets)
	return c.out, nil
}

// Mask replaces every secret of the scenario in a text, also where it is
// encoded for a URL, for JSON or in base64.
func (c *Compiled) Mask(text string) string { return c.mask.Replace(text) }

// A compiler turns a Scenario into a plan, and looks for what is wrong with it
// as a whole.
type compiler struct {
	*report
	nodes    map[string]*node
	scenario *Scenario
	opts     Options
	lookup   func(string) (string, bool)
	out      *Compiled

	methods  map[string]engine.Method // by name, with their options
	targets  map[targetKey]*engine.Target
	sources  map[proof]auth.Source
	ambients map[string]*Auth // by method; nil: none was found
	authFrom []string
	env      map[string]string // what expressions read of the environment
	bodies   bool              // some expression of the step under way looks at a reply's body
	plan     *engine.Plan
	series   map[engine.SeriesKey]int
	named    map[string]stepName // by the name in reports
	kinds    map[string]int      // groups so far, by kind
	used     map[string]bool     // methods
	trials   []trial
}

// A stepName is what a name of a step or group stands for.
type stepName struct {
	function, path string
	group          bool
}

func (c *compiler) compile() {
	s := c.scenario
	c.env = map[string]string{}
	c.plan = &engine.Plan{Name: c.name(), Seed: c.opts.Seed, Parallel: 1}
	if s.Seed != nil {
		c.plan.Seed = *s.Seed
	}
	c.compileTarget()
	c.compileEmulator()
	c.compileData()
	c.compileLoad()
	c.compileSteps()
	c.compileThresholds()
	c.compileBatch()
	c.compileCompare()
	c.compileCost()
	c.unusedOptions()
	c.out.Plan = c.plan
	c.out.Client = Client{
		Protocol: s.Target.Protocol, Connections: int(s.Target.Connections), KeepAlive: s.Target.KeepAlive == nil || *s.Target.KeepAlive,
	}
	if len(c.errs) == 0 {
		for _, t := range c.trials {
			c.try(t)
		}
	}
}

// runName is what names of runs look like; their folders are named so.
const runName = `^[\pL\pN][\pL\pN ._-]{0,99}$`

// name is the scenario's, else the file's, else the first function's.
func (c *compiler) name() string {
	s := c.scenario
	switch {
	case s.Name != "":
		if !regexp.MustCompile(runName).MatchString(s.Name) || strings.Contains(s.Name, "..") {
			c.fail("name", "use letters, digits, spaces, . _ and -, at most 100: the run's folder is named so", "%s is not a name for a run", quote(s.Name))
		}
		return s.Name
	case c.file != "" && c.file != "-" && c.file != commandLine:
		base := filepath.Base(c.file)
		if name := strings.TrimSuffix(base, filepath.Ext(base)); name != "" {
			return name
		}
	}
	for _, st := range s.Steps {
		if st.Invoke != "" {
			return st.Invoke
		}
	}
	return "run"
}

// has reports whether something was written at a path.
func (c *compiler) has(path string) bool { return c.nodes[path] != nil }

// origin returns where a path was written, or the nearest thing around it.
func (c *compiler) origin(path string) origin {
	for p := path; ; p = parentPath(p) {
		if n := c.nodes[p]; n != nil {
			return n.at
		}
		if p == "" {
			return origin{line: 1, col: 1}
		}
	}
}

// parentPath cuts the last part off a path.
func parentPath(path string) string {
	if strings.HasSuffix(path, `"]`) {
		if i := strings.LastIndex(path, `["`); i >= 0 {
			return path[:i]
		}
	}
	if strings.HasSuffix(path, `"`) {
		if i := strings.LastIndex(path[:len(path)-1], `"`); i >= 0 {
			return strings.TrimSuffix(path[:i], ".")
		}
	}
	i := strings.LastIndexAny(path, ".[")
	return path[:max(0, i)]
}

// fail reports a mistake at a path, unless one was reported there, above or
// below already: that one is its cause.
func (c *compiler) fail(path, fix, problem string, args ...any) {
	for _, e := range c.errs {
		if e.Field == path || within(e.Field, path) || within(path, e.Field) && e.Field != "" {
			return
		}
	}
	if slices.Contains(c.meant, path) {
		return
	}
	c.add(c.origin(path), path, fix, problem, args...)
}

// within reports whether a path lies below another.
func within(path, above string) bool {
	rest, ok := strings.CutPrefix(path, above)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '[')
}
