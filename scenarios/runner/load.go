package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"volley/engine/check"
	"volley/engine/invoke"
	"volley/scenarios"
)

// A Source says where a scenario comes from, and what the command line says
// about it.
type Source struct {
	File     string   // path, "-" for standard input, "" for flags alone
	Env      []string // -e NAME=VALUE
	Set      []string // --set
	Flags    scenarios.Flags
	CAFile   string
	Insecure bool
	Connect  string // every connection goes to this host and port, whatever the URL's; "": to the URL's
	NoLoad   bool
	NoSteps  bool
}

// Load reads and compiles a scenario. Its mistakes have exit code 104.
func (p *Process) Load(s Source) (*scenarios.Compiled, error) {
	env, err := p.environment(s.Env)
	if err != nil {
		return nil, ExitError{check.Ending{WrongCommandLine: true}.ExitCode(), err}
	}
	o := scenarios.Options{Env: env, Set: s.Set, Flags: s.Flags, Stdin: p.In, Seed: rand.Uint64() >> 11, NoLoad: s.NoLoad, NoSteps: s.NoSteps}
	broken := p.surroundings(&o)
	var c *scenarios.Compiled
	if s.File == "" {
		c, err = scenarios.FromFlags(o)
	} else {
		var src []byte
		if src, err = p.read(s.File); err != nil {
			return nil, err
		}
		c, err = scenarios.Load(s.File, src, o)
	}
	if err != nil {
		return nil, ExitError{check.Ending{WrongScenario: true}.ExitCode(), errors.Join(err, broken)}
	}
	p.tellSurroundings(c)
	return c, nil
}

// maxScenario bounds a scenario's file, so that a wrong name (of a dataset,
// say) is not read into memory; scenarios.Load has the limit that counts.
const maxScenario = 16 << 20

func (p *Process) read(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(io.LimitReader(p.In, maxScenario))
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Hinted(fmt.Errorf("%s: there is no such file", file), "volley new writes a scenario to start from")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, Hinted(fmt.Errorf("%s: this is a folder", file), "name the scenario's file in it")
	}
	return io.ReadAll(io.LimitReader(f, maxScenario))
}

// environment looks names up among the -e values first.
func (p *Process) environment(pairs []string) (func(string) (string, bool), error) {
	said := map[string]string{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			// It may be a secret, so it is not repeated.
			return nil, Hinted(errors.New("-e: this is not NAME=VALUE (what was found is not shown)"), "write -e NAME=VALUE, such as -e TCB_ENV_ID=my-env")
		}
		said[name] = value
	}
	return func(name string) (string, bool) {
		if v, ok := said[name]; ok {
			return v, true
		}
		return p.Env(name)
	}, nil
}

// transports are the connections' side of a run: one that invocations use, as
// the scenario says, and one for those who ask for tokens, which the scenario's
// protocol and number of connections do not concern.
type transports struct {
	invocations *invoke.Auto
	tokens      *invoke.HTTP
}

func (t transports) close() {
	if t.invocations != nil {
		t.invocations.Close()
	}
	if t.tokens != nil {
		t.tokens.Close()
	}
}

// connect opens the connections' side of a run.
func (p *Process) connect(c *scenarios.Compiled, s Source, parallel int, trust []byte) (t transports, err error) {
	o := invoke.Options{UserAgent: "volley/" + p.Version, Insecure: s.Insecure, CAFile: trust, Proxy: p.proxy, MaxIdle: 1}
	if s.Connect != "" {
		o.Proxy = nil
		o.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, network, s.Connect)
		}
	}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return t, Hinted(fmt.Errorf("--ca-file: %w", err), "name a file of certificates in PEM")
		}
		o.CAFile = append(pem, trust...)
	}
	if t.tokens, err = invoke.NewHTTP(o); err == nil {
		o.Protocol, o.Connections, o.NoKeepAlive, o.MaxIdle = c.Client.Protocol, c.Client.Connections, !c.Client.KeepAlive, parallel
		o.Stamped = c.Plan.Load.Arrivals != nil
		t.invocations, err = invoke.NewAuto(o)
	}
	if err != nil {
		return t, fmt.Errorf("transport: %w", err)
	}
	return t, nil
}

// proxy follows HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as everybody does.
func (p *Process) proxy(u *url.URL) (*url.URL, error) {
	return unquoted(http.ProxyFromEnvironment(&http.Request{URL: u}))
}

// unquoted keeps the value of such a variable out of the error: it may have a
// password in it.
func unquoted(u *url.URL, err error) (*url.URL, error) {
	if err != nil {
		return nil, errors.New("HTTP_PROXY or HTTPS_PROXY is not the address of a proxy (what was found is not shown)")
	}
	return u, nil
}

// name is how a scenario's file is called in a run folder.
func (s Source) name() string {
	if s.File == "" || s.File == "-" {
		return s.File
	}
	return filepath.Base(s.File)
}
