// Volley fires invocations at cloud functions: it load-tests them and says how
// far its own numbers can be trusted. See README.md.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"volley/engine/check"
	"volley/scenarios"
	"volley/scenarios/runner"
)

// version and commit are set by the build; without it, the module's own are
// shown.
//
//nolint:gochecknoglobals // -ldflags -X can only set package variables
var version, commit string

func main() {
	// net/http logs what servers do wrong, through whatever is set here. Volley
	// tells it as an outcome.
	log.SetOutput(io.Discard)
	os.Exit(run(os.Args[1:], process()))
}

// A command line. Each command is a struct with a Run method; kong binds the
// process and the context to its parameters.
type commandLine struct {
	Run      runCmd      `cmd:"" help:"Load-test functions as a scenario says."`
	Invoke   invokeCmd   `cmd:"" help:"Invoke one function once."`
	Validate validateCmd `cmd:"" help:"Check scenario files."`
	New      newCmd      `cmd:"" help:"Write a commented scenario to start from."`
	Schema   schemaCmd   `cmd:"" help:"Print the JSON Schema of scenario files."`
	Emulate  emulateCmd  `cmd:"" help:"Serve a local gateway to invoke functions at."`
	Report   reportCmd   `cmd:"" help:"Tell a stored run again."`
	Version  versionCmd  `cmd:"" help:"Print the version."`

	Quiet   bool `help:"No progress." env:"VOLLEY_QUIET"`
	Verbose bool `help:"Say more about what is done." env:"VOLLEY_VERBOSE"`
}

// process is this process as commands see it.
func process() *runner.Process {
	env := func(name string) (string, bool) { return os.LookupEnv(name) }
	_, ci := env("CI")
	_, noColor := env("NO_COLOR")
	errTerm, outTerm := term.IsTerminal(int(os.Stderr.Fd())), term.IsTerminal(int(os.Stdout.Fd()))
	p := &runner.Process{
		In: os.Stdin, Out: os.Stdout, Err: runner.NewConsole(os.Stderr), Env: env,
		Bars: errTerm && !ci, Colour: outTerm && !noColor && !ci,
		Version: buildVersion(), Commit: buildCommit(),
	}
	if errTerm {
		p.Width = func() int {
			w, _, err := term.GetSize(int(os.Stderr.Fd()))
			if err != nil {
				return 0
			}
			return w
		}
	}
	return p
}

// run carries out one command line and returns the exit code.
func run(args []string, p *runner.Process) int {
	var c commandLine
	code, parsed := parse(&c, args, p)
	if parsed == nil {
		return code
	}
	p.Quiet, p.Verbose = c.Quiet, c.Verbose

	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	stop := make(chan struct{})
	p.Stop = stop
	defer listen(p, stop, cancel)()

	err := parsed.Run(p, &contextArg{ctx}, given(parsed))
	var coded runner.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		tell(p.Err, coded.Err)
		return coded.Code
	}
	tell(p.Err, err)
	return check.Ending{CouldNotRun: true}.ExitCode()
}

// contextArg carries the context to a command's Run: kong binds by concrete
// type, and a context is an interface.
type contextArg struct{ context.Context } //nolint:containedctx // it lives as long as the call

// flags are what was given on the command line, or for it in the environment.
type flags map[string]any

func given(parsed *kong.Context) flags {
	given := flags{}
	for _, f := range parsed.Flags() {
		if !f.Set {
			continue
		}
		value := parsed.FlagValue(f)
		if s, ok := value.(*string); ok {
			value = *s
		}
		given[f.Name] = value
	}
	return given
}

// parse reads the command line. Without a command to run, parsed is nil.
func parse(c *commandLine, args []string, p *runner.Process) (code int, parsed *kong.Context) {
	type exit int
	defer func() {
		if e := recover(); e != nil {
			asked, ok := e.(exit)
			if !ok {
				panic(e)
			}
			code, parsed = int(asked), nil // --help has been printed
		}
	}()
	parser, err := kong.New(c,
		kong.Name("volley"),
		kong.Description("Fire invocations at cloud functions, and tell the truth about it."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 80}),
		kong.Writers(p.Out, p.Err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.Vars{"version": p.Version},
	)
	if err != nil {
		panic(err) // the grammar above is wrong, not what was typed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err = parser.Parse(args)
	if unwritten, ok := errors.AsType[*fs.PathError](err); ok { // of the help
		tell(p.Err, unwritten)
		return check.Ending{CouldNotRun: true}.ExitCode(), nil
	}
	if err != nil {
		tell(p.Err, runner.Hinted(fmt.Errorf("command line: %w", err), usage(err)))
		return check.Ending{WrongCommandLine: true}.ExitCode(), nil
	}
	return 0, parsed
}

// usage says where help is for the command that was meant.
func usage(err error) string {
	var pe *kong.ParseError
	if errors.As(err, &pe) && pe.Context != nil {
		if n := pe.Context.Selected(); n != nil {
			return fmt.Sprintf("volley %s --help lists what it takes", n.Name)
		}
	}
	return "volley --help lists the commands"
}

// tell prints an error, or several, and the hint of each.
func tell(w io.Writer, err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			tell(w, e)
		}
		return
	}
	fmt.Fprintf(w, "volley: error: %s\n", oneLine(err.Error()))
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(w, "volley: hint: %s\n", oneLine(h.Hint()))
	}
}

// oneLine keeps what came from outside from drawing on the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// listen turns signals into stops: the first stops gently, the second at once,
// the third does not even wait for that. The returned function ends it.
func listen(p *runner.Process, stop chan<- struct{}, cancel context.CancelCauseFunc) func() {
	signals := make(chan os.Signal, 3)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			case s := <-signals:
				switch n {
				case 1:
					fmt.Fprintf(p.Err, "volley: %s: letting what is under way finish; once more to stop at once\n", s)
					close(stop)
				case 2:
					fmt.Fprintf(p.Err, "volley: %s: stopping at once\n", s)
					cancel(runner.ErrInterrupted)
				default:
					os.Exit(check.Ending{Interrupted: true}.ExitCode())
				}
			}
		}
	})
	return func() {
		signal.Stop(signals)
		close(done)
		all.Wait()
	}
}

// scenarioFlags are shared by every command that reads a scenario.
type scenarioFlags struct {
	Env         []string `name:"e" short:"e" placeholder:"NAME=VALUE" sep:"none" help:"Environment for the scenario. (repeatable)"`
	Set         []string `placeholder:"path.to.key=value" sep:"none" help:"Override one value of the scenario. (repeatable)"`
	Environment string   `name:"env" placeholder:"ID" env:"VOLLEY_ENV" help:"CloudBase environment id."`
	Endpoint    string   `placeholder:"URL" env:"VOLLEY_ENDPOINT" help:"Other base URL: a custom domain, a test server."`
	Method      string   `placeholder:"METHOD" env:"VOLLEY_METHOD" help:"http-api, http-function, web, node-sdk, web-sdk, mini-program or control-plane."`
	Qualifier   string   `short:"q" placeholder:"Q" env:"VOLLEY_QUALIFIER" help:"Version or alias of the functions."`
	Timeout     string   `short:"t" placeholder:"10s" env:"VOLLEY_TIMEOUT" help:"Of one attempt."`
	Data        *string  `name:"data" short:"d" placeholder:"BODY|@FILE" sep:"none" help:"What to send."`
	Headers     []string `name:"header" short:"H" placeholder:"'Name: value'" sep:"none" help:"Header field of every request. (repeatable)"`
	Check       []string `placeholder:"EXPR" sep:"none" help:"What every reply must meet. (repeatable)"`
	CAFile      string   `name:"ca-file" placeholder:"FILE" env:"VOLLEY_CA_FILE" help:"Certificates to trust, in PEM."`
	Insecure    bool     `env:"VOLLEY_INSECURE" help:"Trust any certificate."`
	Connect     string   `name:"connect-to" placeholder:"HOST:PORT" env:"VOLLEY_CONNECT_TO" help:"Open every connection to this address, whatever host the URL names."`
}

// source is what the flags say about a scenario.
func (f *scenarioFlags) source(p *runner.Process, file string) (runner.Source, error) {
	s := runner.Source{File: file, Env: f.Env, Set: f.Set, CAFile: f.CAFile, Insecure: f.Insecure, Connect: f.Connect, Flags: scenarios.Flags{
		Env: f.Environment, Endpoint: f.Endpoint, Method: f.Method, Qualifier: f.Qualifier, Timeout: f.Timeout,
		Body: f.Data, Headers: f.Headers, Checks: f.Check,
	}}
	if f.Data != nil && strings.HasPrefix(*f.Data, "@") {
		body, err := readBody(p, file, (*f.Data)[1:])
		if err != nil {
			return s, err
		}
		text := string(body)
		s.Flags.Body = &text
	}
	return s, nil
}

// readBody reads the file of -d @FILE; - is standard input.
func readBody(p *runner.Process, scenario, name string) (body []byte, err error) {
	switch {
	case name == "-" && scenario == "-":
		return nil, wrongCommandLine(runner.Hinted(errors.New("-d @-: the scenario is read from standard input already"), "name a file for one of them"))
	case name == "-":
		body, err = io.ReadAll(p.In)
	default:
		body, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, runner.Hinted(fmt.Errorf("-d @%s: %w", name, err), "write -d @FILE for what is in a file, @- for standard input, or the body itself")
	}
	return body, nil
}

type loadFlags struct {
	Function    string   `placeholder:"NAME" help:"Function to invoke, without a scenario."`
	Rate        string   `placeholder:"50/s" env:"VOLLEY_RATE" help:"Iterations per second, minute or hour (open load)."`
	For         string   `placeholder:"30s" env:"VOLLEY_FOR" help:"How long."`
	Workers     string   `placeholder:"N" env:"VOLLEY_WORKERS" help:"Callers, each waiting for its reply (closed load)."`
	Iterations  string   `short:"n" placeholder:"N" env:"VOLLEY_ITERATIONS" help:"How many iterations."`
	MaxInFlight string   `placeholder:"N" env:"VOLLEY_MAX_IN_FLIGHT" help:"The most iterations under way at once."`
	Seed        string   `placeholder:"N" env:"VOLLEY_SEED" help:"What randomness starts from."`
	Threshold   []string `placeholder:"EXPR" sep:"none" help:"What the run must meet, as 'p99 < 300ms'. (repeatable)"`
}

func (f *loadFlags) apply(to *scenarios.Flags) {
	to.Function, to.Rate, to.For, to.Workers = f.Function, f.Rate, f.For, f.Workers
	to.Iterations, to.MaxInFlight, to.Seed, to.Thresholds = f.Iterations, f.MaxInFlight, f.Seed, f.Threshold
}

type runCmd struct {
	Scenario string `arg:"" optional:"" help:"Scenario file; - is standard input. Without one, from flags."`
	scenarioFlags
	loadFlags
	Out    string   `placeholder:"DIR" env:"VOLLEY_OUT" help:"Run folder; default runs/<UTC time>-<name>."`
	Format []string `placeholder:"KIND[=FILE]" sep:"none" env:"VOLLEY_FORMAT" help:"What to print or write at the end: text, json. (repeatable)"`
}

func (c *runCmd) Run(p *runner.Process, ctx *contextArg, given flags) error {
	formats, err := runner.ParseFormats(c.Format)
	if err != nil {
		return wrongCommandLine(err)
	}
	if c.Scenario == "" && c.Function == "" {
		return wrongCommandLine(runner.Hinted(errors.New("run: neither a scenario nor --function was given"), "volley run scenario.yaml, or volley run --function hello --rate 50/s --for 30s"))
	}
	s, err := c.source(p, c.Scenario)
	if err != nil {
		return err
	}
	c.apply(&s.Flags)
	compiled, err := p.Load(s)
	if err != nil {
		return err
	}
	return p.Run(ctx, compiled, runner.RunOptions{Source: s, Out: c.Out, Formats: formats, Given: given})
}

type invokeCmd struct {
	Function string `arg:"" help:"Function to invoke."`
	scenarioFlags
}

func (c *invokeCmd) Run(p *runner.Process, ctx *contextArg) error {
	s, err := c.source(p, "")
	if err != nil {
		return err
	}
	s.Flags.Function, s.NoLoad = c.Function, true
	compiled, err := p.Load(s)
	if err != nil {
		return err
	}
	return p.Invoke(ctx, compiled, s)
}

type validateCmd struct {
	Scenarios []string `arg:"" name:"scenario" help:"Scenario files; - is standard input."`
	scenarioFlags
	Plan bool `help:"Also print what would be fired."`
}

func (c *validateCmd) Run(p *runner.Process) error {
	var errs []error
	code := 0
	for _, file := range c.Scenarios {
		s, err := c.source(p, file)
		if err != nil {
			return err
		}
		if err := p.Validate(s, c.Plan); err != nil {
			if coded, ok := errors.AsType[runner.ExitError](err); ok {
				err, code = coded.Err, coded.Code
			}
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil && code != 0 {
		return runner.ExitError{Code: code, Err: err}
	}
	return errors.Join(errs...)
}

type newCmd struct {
	Name string `arg:"" optional:"" default:"scenario" help:"Name of the scenario; it is written to NAME.yaml. - prints it."`
	From string `placeholder:"cloudbaserc.json" help:"Invoke each function of this project with its params."`
}

func (c *newCmd) Run(p *runner.Process) error { return p.New(c.Name, c.From) }

type schemaCmd struct{}

func (schemaCmd) Run(p *runner.Process) error {
	_, err := p.Out.Write(scenarios.Schema())
	return err
}

type emulateCmd struct {
	Scenario string   `arg:"" optional:"" help:"Scenario with a target.emulator; without one, the function hello."`
	Env      []string `name:"e" short:"e" placeholder:"NAME=VALUE" sep:"none" help:"Environment for the scenario. (repeatable)"`
	Set      []string `placeholder:"path.to.key=value" sep:"none" help:"Override one value of the scenario. (repeatable)"`
	Listen   string   `default:"127.0.0.1:8787" help:"Address to listen on; port 0 takes a free one. (${default})"`
	TLS      bool     `name:"tls" help:"Serve HTTPS, with HTTP/2 and a certificate of its own."`
	CAOut    string   `name:"ca-out" placeholder:"FILE" help:"Where to write the certificate to trust."`
	Truth    string   `placeholder:"FILE" help:"Where to write a line of JSON about every request: when it came, how it ended."`
	Record   string   `placeholder:"FILE" help:"Where to write every request as it came, secrets masked, as lines of JSON."`
}

func (c *emulateCmd) Run(p *runner.Process, ctx *contextArg) error {
	if c.CAOut != "" && !c.TLS && c.Scenario == "" {
		return wrongCommandLine(runner.Hinted(errors.New("--ca-out: without --tls there is no certificate"), "add --tls"))
	}
	o := runner.EmulateOptions{Listen: c.Listen, TLS: c.TLS, Truth: c.Truth, Record: c.Record, CAOut: c.CAOut}
	return p.Emulate(ctx, runner.Source{File: c.Scenario, Env: c.Env, Set: c.Set, NoLoad: true, NoSteps: true}, o)
}

type reportCmd struct {
	Runs   []string `arg:"" name:"run" help:"Run folders."`
	Format []string `placeholder:"KIND[=FILE]" sep:"none" help:"text or json. (repeatable)"`
	Out    string   `placeholder:"FILE" help:"Write there instead of to standard output."`
}

func (c *reportCmd) Run(p *runner.Process) error {
	formats, err := runner.ParseFormats(c.Format)
	if err != nil {
		return wrongCommandLine(err)
	}
	if c.Out == "" {
		return p.Report(c.Runs, formats)
	}
	var text bytes.Buffer
	p.Out, p.Colour = &text, false
	err = p.Report(c.Runs, formats)
	if text.Len() > 0 { // else what the file has stays
		if e := os.WriteFile(c.Out, text.Bytes(), 0o644); e != nil {
			err = errors.Join(err, fmt.Errorf("--out: %w", e))
		}
	}
	return err
}

func wrongCommandLine(err error) error {
	return runner.ExitError{Code: check.Ending{WrongCommandLine: true}.ExitCode(), Err: err}
}

type versionCmd struct{}

func (versionCmd) Run(p *runner.Process) error {
	_, err := fmt.Fprintf(p.Out, "volley %s\ncommit %s\n%s %s/%s\n", p.Version, cmp.Or(p.Commit, "unknown"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func buildCommit() string {
	if commit != "" {
		return commit
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var revision, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " (changed since)"
		}
	}
	return revision + dirty
}
