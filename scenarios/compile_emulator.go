package scenarios

import (
	"errors"
	"maps"
	"slices"
	"time"

	"volley/engine"
	"volley/engine/emulator"
	"volley/scenarios/payload"
)

// compileEmulator makes the emulator's configuration of its section.
func (c *compiler) compileEmulator() {
	e := c.scenario.Target.Emulator
	if e == nil {
		return
	}
	cfg := emulator.Config{
		Functions: map[string]emulator.Function{}, Env: c.scenario.Target.Env, Tokens: e.Tokens, Origins: e.Origins,
		Keys: e.Keys, SessionTokens: e.SessionTokens, Users: e.Users, Apps: e.Apps, TokenLife: time.Duration(e.TokenLife), SignInError: e.SignInError,
		Seed: c.plan.Seed, MaxBody: int64(e.MaxBody),
	}
	for _, name := range slices.Sorted(maps.Keys(e.Functions)) {
		cfg.Functions[name] = c.function(e.Functions[name], join("target.emulator.functions", name))
	}
	c.out.Emulator, c.out.EmulatorTLS = &cfg, e.TLS
	if names := signInErrors(); e.SignInError != "" && !slices.Contains(names, e.SignInError) {
		c.fail("target.emulator.sign_in_error", didYouMean(e.SignInError, names, "error"), "%s is not an error of signing in", quote(e.SignInError))
	}
	srv, err := emulator.New(cfg)
	if err != nil {
		c.emulatorError(err)
		return
	}
	if err := srv.Close(); err != nil {
		c.fail("target.emulator", "try again", "%v", err)
	}
}

// signInErrors are the ways in which an emulator can refuse a token.
func signInErrors() (names []string) {
	for _, k := range emulator.SignInErrors() {
		names = append(names, k.Name)
	}
	return names
}

func (c *compiler) emulatorError(err error) {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, one := range joined.Unwrap() {
			c.emulatorError(one)
		}
		return
	}
	var e *emulator.Error
	if !errors.As(err, &e) {
		c.fail("target.emulator", "check the section", "%v", err)
		return
	}
	c.fail("target.emulator."+e.Field, e.Fix, "%s", e.Problem)
}

func (c *compiler) function(f Function, path string) emulator.Function {
	out := emulator.Function{
		ColdStart: time.Duration(f.ColdStart), Concurrency: f.Concurrency, Timeout: time.Duration(f.Timeout),
		Memory: int64(f.Memory), MemoryUsed: int64(f.MemoryUsed), HTTP: f.HTTP, ReplyStatus: f.Status, WebAuth: f.WebAuth, Reply: c.reply(f.Reply, join(path, "reply")),
	}
	if f.Latency != nil {
		out.Latency = emulator.Latency{P50: time.Duration(f.Latency.P50), P99: time.Duration(f.Latency.P99)}
	}
	if f.Stall != nil {
		out.Stall = emulator.Stall{Every: time.Duration(f.Stall.Every), For: time.Duration(f.Stall.For)}
	}
	if f.Burst != nil {
		out.Burst = float64(*f.Burst) * 60
	}
	if f.Errors != nil { // in a version, none are not the function's
		out.Errors = make(map[string]float64, len(f.Errors))
	}
	for name, share := range f.Errors {
		out.Errors[name] = float64(share)
	}
	for _, q := range slices.Sorted(maps.Keys(f.Versions)) {
		if out.Versions == nil {
			out.Versions = map[string]emulator.Function{}
		}
		out.Versions[q] = c.function(f.Versions[q], join(join(path, "versions"), q))
	}
	return out
}

// reply makes what a function answers. A text goes out as it is, as from a
// function that returns one (PROTOCOL.md 1.2); all else as JSON.
func (c *compiler) reply(v *Value, path string) func(any) ([]byte, error) {
	if v == nil {
		return nil
	}
	t, err := payload.CompileTemplate(v.Tree, payload.Event)
	if err != nil {
		c.exprError(path, err, 0)
		return nil
	}
	return func(event any) ([]byte, error) {
		b, err := t.JSON(&payload.Env{Event: event})
		if err != nil {
			return nil, err
		}
		return asText(b)
	}
}

// knownToEmulator checks that a function that is invoked at the emulator is
// one of its functions, in a version that it has.
func (c *compiler) knownToEmulator(st *Step, t *engine.Target, path string) {
	e := c.scenario.Target.Emulator
	if e == nil || t.Endpoint != EmulatorEndpoint || st.Invoke == "" {
		return
	}
	f, ok := e.Functions[st.Invoke]
	names := slices.Sorted(maps.Keys(e.Functions))
	if !ok {
		if t.Method != nil && t.Method.Name() == "web" && st.HTTP != nil && st.HTTP.Path != "" {
			return // the path says which
		}
		c.fail(join(path, "invoke"), didYouMean(st.Invoke, names, "function"), "the emulator has no function %s", quote(st.Invoke))
		return
	}
	if q := t.Qualifier; q != "" && q != "$LATEST" && q != "$DEFAULT" {
		if _, ok := f.Versions[q]; !ok {
			field := join(path, "qualifier")
			if !c.has(field) {
				field = "target.qualifier"
			}
			c.fail(field, didYouMean(q, append(slices.Sorted(maps.Keys(f.Versions)), "$LATEST"), "version"), "the emulator's function %s has no version %s", st.Invoke, quote(q))
		}
	}
}
