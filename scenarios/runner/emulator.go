package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"volley/engine/emulator"
	"volley/scenarios"
)

// A gateway is an emulator that is being served.
type gateway struct {
	server *emulator.Server
	url    string
	cert   []byte // PEM of the authority that signs its certificate; nil without TLS
	cancel context.CancelFunc
	ended  sync.WaitGroup
	err    error // of Serve; to be read after ended
}

// serve starts an emulator on an address.
func serve(ctx context.Context, c emulator.Config, listen string, tls bool) (*gateway, error) {
	server, err := emulator.New(c)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, errors.Join(Hinted(fmt.Errorf("listen on %s: %w", listen, err), "name another address with --listen; port 0 takes a free one"), server.Close())
	}
	g := &gateway{server: server, url: "http://" + ln.Addr().String()}
	if tls {
		g.url, g.cert = "https://"+ln.Addr().String(), server.CACert()
	}
	// The emulator outlives an interrupted run: what is under way still ends.
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g.cancel = cancel
	g.ended.Go(func() { g.err = server.Serve(serving, ln, tls) })
	return g, nil
}

func (g *gateway) close() error {
	if g == nil {
		return nil
	}
	g.cancel()
	g.ended.Wait()
	return errors.Join(g.err, g.server.Close())
}

// embedded starts the emulator of a scenario that has one.
func embedded(ctx context.Context, c *scenarios.Compiled) (*gateway, error) {
	if c.Emulator == nil {
		return nil, nil //nolint:nilnil // no emulator is no error, and close knows nil
	}
	return serve(ctx, *c.Emulator, "127.0.0.1:0", c.EmulatorTLS)
}

// An EmulateOptions says where an emulator is served.
type EmulateOptions struct {
	Listen string
	TLS    bool
	Truth  string // file for a line of JSON about every request; "": none
	Record string // file for every request as it came, secrets masked; "": none
	CAOut  string // file for the certificate that signs the server's own; "": none
}

// Emulate serves a scenario's emulator, or one with a function to try, until
// the process is asked to stop.
func (p *Process) Emulate(ctx context.Context, s Source, o EmulateOptions) (err error) {
	config := emulator.Config{Functions: map[string]emulator.Function{"hello": {Latency: emulator.Latency{P50: 20 * time.Millisecond, P99: 80 * time.Millisecond}}}}
	if s.File != "" {
		c, err := p.Load(s)
		if err != nil {
			return err
		}
		if c.Emulator == nil {
			return Hinted(fmt.Errorf("%s: it has no target.emulator to serve", s.File), "volley new writes a scenario that has one")
		}
		config, o.TLS = *c.Emulator, o.TLS || c.EmulatorTLS
	}
	if o.Truth != "" {
		f, err := os.Create(o.Truth)
		if err != nil {
			return fmt.Errorf("--truth: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		config.Truth = f
	}
	if o.Record != "" {
		f, err := os.OpenFile(o.Record, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("--record: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		config.Record = f
	}
	g, err := serve(ctx, config, o.Listen, o.TLS)
	if err != nil {
		return err
	}
	if o.CAOut != "" && o.TLS {
		if err := os.WriteFile(o.CAOut, g.cert, 0o644); err != nil {
			return errors.Join(fmt.Errorf("--ca-out: %w", err), g.close())
		}
	}
	if _, err := fmt.Fprintf(p.Out, "listening on %s\n", g.url); err != nil {
		return errors.Join(err, g.close())
	}
	p.welcome(g.url, config, o)
	failed := make(chan struct{})
	go func() { g.ended.Wait(); close(failed) }() // ends with close below at the latest
	select {
	case <-p.Stop:
	case <-ctx.Done():
	case <-failed:
	}
	err = g.close()
	<-failed
	truth := g.server.Truth()
	p.note("requests answered: %d", truth.Requests)
	for _, n := range truth.Counts {
		p.detail("  %s%s: %d× %s %d %s", n.Function, qualified(n.Qualifier), n.Requests, n.Outcome, n.Status, n.Cause)
	}
	if truth.Lost > 0 {
		err = errors.Join(err, fmt.Errorf("--truth %s: %d lines could not be written", o.Truth, truth.Lost))
	}
	return err
}

func qualified(q string) string {
	if q == "" {
		return ""
	}
	return "@" + q
}

// welcome says how to use the emulator.
func (p *Process) welcome(url string, c emulator.Config, o EmulateOptions) {
	if p.Quiet {
		return
	}
	names := slices.Sorted(maps.Keys(c.Functions))
	if len(names) == 0 {
		p.note("there are no functions")
		return
	}
	functions := "one function"
	if n := len(names); n > 1 {
		functions = fmt.Sprintf("%d functions", n)
	}
	trust := ""
	switch {
	case o.TLS && o.CAOut != "":
		trust = " --ca-file " + o.CAOut
	case o.TLS:
		trust = " --insecure"
	}
	p.note("%s; try, with any token that it accepts:\n  volley invoke %s --endpoint %s%s -e TOKEN=any -H 'Authorization: Bearer ${TOKEN}'", functions, names[0], url, trust)
}
