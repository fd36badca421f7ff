package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/check"
	"volley/engine/invoke"
	"volley/scenarios"
)

// Invoke invokes the one function of a scenario once: the reply goes to
// standard output, what is known about it to standard error.
func (p *Process) Invoke(ctx context.Context, c *scenarios.Compiled, s Source) error {
	t, err := p.connect(c, s, 1, nil)
	if err != nil {
		return err
	}
	defer t.close()
	ctx, cancel := context.WithCancelCause(ctx)
	var asked sync.WaitGroup
	asked.Go(func() {
		select {
		case <-p.Stop:
			cancel(ErrInterrupted)
		case <-ctx.Done():
		}
	})
	defer func() { cancel(nil); asked.Wait() }()

	base := time.Now()
	client := &invoke.Client{Transport: t.invocations, Tokens: t.tokens, Base: base, Check: check.Reply, Whole: true}
	if err := client.SignIn(ctx, c.Plan); err != nil && ctx.Err() == nil {
		return ExitError{check.Ending{Stopped: true}.ExitCode(), err}
	}
	r, err := engine.Once(ctx, c.Plan, client, base)
	if err != nil {
		return err
	}
	mask := masking(c, c.Plan)
	for _, text := range []*string{&r.Reply.Message, &r.Reply.Code, &r.Reply.RequestID, &r.Reply.Server.Instance} {
		*text = mask(*text)
	}
	p.tellReply(r)
	body := mask(string(r.Reply.Body))
	if body != string(r.Reply.Body) {
		p.note("the reply has credentials of the scenario in it; they are shown as %s", auth.Mask)
	}
	if _, err := io.WriteString(p.Out, body); err != nil {
		return err
	}
	if p.Colour && body != "" && !strings.HasSuffix(body, "\n") {
		// On a terminal the prompt shall not follow the reply.
		if _, err := fmt.Fprintln(p.Out); err != nil {
			return err
		}
	}
	switch r.Reply.Outcome {
	case engine.OK:
		return nil
	case engine.Canceled:
		return ExitError{Code: check.Ending{Interrupted: true}.ExitCode()}
	}
	return ExitError{check.Ending{CouldNotRun: true}.ExitCode(), fmt.Errorf("%s: %s", r.Invocation.Step.Function, describe(&r.Reply))}
}

// describe tells a reply that is not ok in one line.
func describe(r *engine.Reply) string {
	parts := []string{r.Outcome.String()}
	if r.Status != 0 {
		parts = append(parts, fmt.Sprintf("status %d", r.Status))
	}
	for _, s := range []string{r.Code, r.Detail, r.Message} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}

func (p *Process) tellReply(r *engine.Result) {
	if p.Quiet || len(r.Attempts) == 0 {
		return
	}
	last := r.Attempts[len(r.Attempts)-1]
	fmt.Fprintf(p.Err, "%-9s %s", "outcome", r.Reply.Outcome)
	if r.Reply.Status != 0 {
		fmt.Fprintf(p.Err, ", status %d", r.Reply.Status)
	}
	if r.Reply.Code != "" {
		fmt.Fprintf(p.Err, ", code %s", r.Reply.Code)
	}
	fmt.Fprintln(p.Err)
	if r.Request != nil {
		fmt.Fprintf(p.Err, "%-9s %s %s\n", "request", r.Request.Verb, r.Request.URL())
	}
	if r.Reply.RequestID != "" {
		fmt.Fprintf(p.Err, "%-9s %s\n", "id", r.Reply.RequestID)
	}
	if len(r.Attempts) > 1 {
		renewed := ""
		if r.Renewed {
			renewed = ", one of them with a new token"
		}
		fmt.Fprintf(p.Err, "%-9s %d%s\n", "attempts", len(r.Attempts), renewed)
	}
	if last.Phases.Preflight >= 0 {
		fmt.Fprintf(p.Err, "%-9s %s, before it\n", "preflight", round(last.Phases.Preflight))
	}
	fmt.Fprintf(p.Err, "%-9s %s", "service", round(last.End-last.Start))
	for _, ph := range []struct {
		name string
		took time.Duration
	}{{"dns", last.Phases.DNS}, {"connect", last.Phases.Connect}, {"tls", last.Phases.TLS}, {"send", last.Phases.Send},
		{"first byte", last.Phases.FirstByte}, {"receive", last.Phases.Receive}} {
		if ph.took >= 0 {
			fmt.Fprintf(p.Err, ", %s %s", ph.name, round(ph.took))
		}
	}
	fmt.Fprintln(p.Err)
	p.tellServer(&r.Reply.Server)
	target := r.Invocation.Step.Target
	if n, ok := target.Method.(engine.Noter); ok {
		for _, note := range n.Notes(target) {
			fmt.Fprintf(p.Err, "%-9s %s\n", "note", note)
		}
	}
}

// tellServer tells what the reply says about the function's side.
func (p *Process) tellServer(s *engine.ServerSide) {
	var parts []string
	if s.Timed {
		parts = append(parts, "took "+s.Duration.String())
	}
	if s.Billed > 0 {
		parts = append(parts, "billed "+s.Billed.String())
	}
	if s.MemoryBytes > 0 {
		parts = append(parts, fmt.Sprintf("used %.1f MiB", float64(s.MemoryBytes)/(1<<20)))
	}
	switch s.Cold {
	case engine.Yes:
		parts = append(parts, "cold start")
	case engine.No:
		parts = append(parts, "no cold start")
	}
	if s.Instance != "" {
		parts = append(parts, fmt.Sprintf("instance %q", s.Instance))
	}
	if len(parts) > 0 {
		fmt.Fprintf(p.Err, "%-9s %s, as the reply says\n", "function", strings.Join(parts, ", "))
	}
}

// round leaves three digits of a time.
func round(d time.Duration) time.Duration {
	unit := time.Microsecond
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit)
}

// Validate checks a scenario and says so, or also what it would fire.
func (p *Process) Validate(s Source, plan bool) error {
	c, err := p.Load(s)
	if err != nil {
		return err
	}
	if plan {
		return scenarios.Explain(c, p.Out)
	}
	_, err = fmt.Fprintf(p.Out, "%s: ok\n", s.File)
	return err
}

// New writes a commented scenario to NAME.yaml, or to standard output where the
// name is -: one to start from, or one of the vendor's project file.
func (p *Process) New(name, from string) error {
	write := func(name string) ([]byte, error) { return scenarios.Starter(name), nil }
	if from != "" {
		project, err := p.project(from)
		if err != nil {
			return err
		}
		for _, note := range project.Notes {
			p.note("%s", note)
		}
		write = func(name string) ([]byte, error) {
			src, notes, err := project.Scenario(name)
			for _, note := range notes {
				p.note("%s", note)
			}
			return src, err
		}
	}
	if name == "-" {
		src, err := write("scenario")
		if err == nil {
			_, err = p.Out.Write(src)
		}
		return err
	}
	path := name
	if !strings.HasSuffix(path, ".yaml") && !strings.HasSuffix(path, ".yml") {
		path += ".yaml"
	}
	base := path[strings.LastIndexByte(path, '/')+1:]
	src, err := write(strings.TrimSuffix(strings.TrimSuffix(base, ".yaml"), ".yml"))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return Hinted(fmt.Errorf("%s: it is there already, and stays as it is", path), "name another one, or volley new - to print it")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(src)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if from == "" {
		p.note("it runs as it stands: volley run %s", path)
	} else {
		p.note("look at what it would fire: volley validate --plan %s", path)
	}
	_, err = fmt.Fprintln(p.Out, path)
	return err
}
