package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"volley/engine"
	"volley/engine/auth"
	"volley/engine/check"
	"volley/engine/invoke"
	"volley/engine/pace"
	"volley/engine/record"
	"volley/engine/self"
	"volley/scenarios"
	"volley/scenarios/dataset"
)

// RunOptions say what `run` makes of a scenario.
type RunOptions struct {
	Source
	Out     string         // run folder; "" makes one under runs/
	Formats []Format       // what to tell at the end
	Given   map[string]any // the flags as given, by name: strings, lists of them, bools
}

// ahead is how long before its first iteration a run begins, so that opening
// its files does not make that one late.
const ahead = 20 * time.Millisecond

// Run fires a scenario, and tells what came of it. The report is written on
// every way out; the error carries the exit code where it is not 0.
func (p *Process) Run(ctx context.Context, c *scenarios.Compiled, o RunOptions) error {
	s, err := p.open(ctx, c, o)
	if err != nil {
		return errors.Join(err, s.close())
	}
	fired := s.fire(ctx)
	fired = errors.Join(fired, s.rowless(ctx, fired))
	d, err := s.document(ctx, fired)
	err = errors.Join(fired, err, s.close())
	if d == nil {
		return err
	}
	if e := record.WriteDocument(s.dir, d); e != nil {
		err = errors.Join(err, fmt.Errorf("%s: %w", record.ReportFile, e))
	}
	if e := p.write(o.Formats, d); e != nil {
		err = errors.Join(err, e)
	}
	if !p.Quiet {
		p.note("the run is kept in %s", s.dir)
	}
	if err != nil {
		return err
	}
	if d.ExitCode != 0 {
		_, why, _ := s.early.get()
		return ExitError{Code: d.ExitCode, Err: why}
	}
	return nil
}

// rowless says so where there was not one row to measure anything with.
func (s *session) rowless(ctx context.Context, fired error) error {
	if fired != nil || s.rows == nil || s.interrupted(ctx) || s.stopping() {
		return nil
	}
	if s.run.Tally().Due > 0 {
		return nil
	}
	return Hinted(fmt.Errorf("data.file: %s: there are no rows", strings.Join(s.c.Data.Files, ", ")), "every iteration takes a row: add some")
}

// connecting is how long a run may open connections before it begins.
const connecting = 3 * time.Second

// A session is everything that is open around one run.
type session struct {
	p    *Process
	c    *scenarios.Compiled
	o    RunOptions
	plan *engine.Plan

	dir     string
	gateway *gateway
	wires   transports
	rows    *dataset.Reader
	timer   pace.Timer
	machine self.Machine

	base    time.Time
	run     *engine.Run
	record  *record.Recorder
	watcher *check.Watcher
	health  self.Health

	stop    chan struct{} // closed to stop gently
	stopped sync.Once
	barred  chan struct{} // closed when there are no credentials any more
	early   ending
	mask    func(text string) string // of the scenario's secrets, and of all that was got with them
}

// An ending is why a run ended before its load did: all the reasons there are,
// in the order in which they came up.
type ending struct {
	mu    sync.Mutex
	why   []string
	errs  []error // what to tell beside the report
	fatal bool    // a budget is used up, or credentials are refused
}

// add adds a reason; err is what to tell beside the report, nil for nothing.
func (e *ending) add(why string, err error, fatal bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.why, e.fatal = append(e.why, why), e.fatal || fatal
	if err != nil {
		e.errs = append(e.errs, err)
	}
}

// get returns the reasons in words, "" when there is none.
func (e *ending) get() (why string, err error, fatal bool) { //nolint:revive // the error is data here
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.why, "; "), errors.Join(e.errs...), e.fatal
}

// open opens what a run needs, the run folder last of all: where something is
// wrong, none is left behind.
func (p *Process) open(ctx context.Context, c *scenarios.Compiled, o RunOptions) (s *session, err error) {
	s = &session{p: p, c: c, o: o, plan: c.Plan, stop: make(chan struct{}), barred: make(chan struct{})}
	for _, f := range o.Formats {
		if err := f.check(); err != nil {
			return s, err
		}
	}
	var trust []byte
	if s.gateway, err = embedded(ctx, c); err != nil {
		return s, err
	}
	if s.gateway != nil {
		s.c = c.Moved(s.gateway.url)
		s.plan, trust = s.c.Plan, s.gateway.cert
		p.detail("the emulator listens on %s", s.gateway.url)
	}
	s.machine = self.Describe()
	self.MakeRoomForFiles(s.parallel())
	if s.wires, err = p.connect(c, o.Source, s.parallel(), trust); err != nil {
		return s, err
	}
	if c.Data != nil {
		if s.rows, err = dataset.Open(*c.Data); err != nil {
			return s, err
		}
	}
	if s.timer, err = pace.NewTimer(); err != nil {
		return s, err
	}
	prints, err := fingerprints(o.Source.name(), c)
	if err != nil {
		return s, err
	}
	now := time.Now()
	if s.dir, err = record.CreateFolder(o.Out, "runs", s.plan.Name, now); err != nil {
		return s, Hinted(err, "--out names another folder")
	}
	if err := os.WriteFile(filepath.Join(s.dir, record.ScenarioFile), c.Source, 0o644); err != nil {
		return s, err
	}
	return s, record.WriteInfo(s.dir, record.RunInfo{
		Kind: "run", Name: s.plan.Name, Started: now, Seed: s.plan.Seed, Flags: masked(o.Given, c.Mask),
		Tool: p.tool(), Machine: s.machine, Fingerprints: prints,
	})
}

// parallel is the most invocations that the plan can have on the wire.
func (s *session) parallel() int {
	const most = 1 << 16 // connections from one address to another
	l := s.plan.Load
	iterations := l.MaxInFlight
	if l.Crowd != nil {
		iterations = int(l.Crowd.Peak()) + 1
	}
	return max(1, min(most, iterations*s.plan.Parallel))
}

func (p *Process) tool() record.Tool {
	return record.Tool{Version: p.Version, Commit: p.Commit, Go: runtime.Version()}
}

// fire fires the plan; the error is that of the rows.
func (s *session) fire(ctx context.Context) error {
	s.watcher = check.Watch(s.c.Thresholds, func(source string) { s.endFor("the threshold "+source+" failed", nil, false) })
	budget := check.WatchBudget(s.plan.Cost, func(why string) {
		s.endFor(why, Hinted(errors.New("cost.budget: "+why), "raise cost.budget to go further"), true)
	})
	ctx, cut := context.WithCancelCause(ctx)
	var asked sync.WaitGroup
	over := make(chan struct{})
	asked.Go(func() {
		select {
		case <-s.p.Stop:
			s.end()
		case <-over:
		}
	})
	asked.Go(func() { s.cutShort(cut, over) })
	defer func() { close(over); asked.Wait(); cut(nil) }()

	s.mask = masking(s.c, s.plan)
	client := &invoke.Client{Transport: s.wires.invocations, Tokens: s.wires.tokens, Check: check.Reply,
		Limit: invoke.NewLimit(s.plan.Load.MaxRate), Fatal: s.refused}
	s.signIn(ctx, client)
	if !s.stopping() {
		s.untilStopped(ctx, func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, connecting)
			defer cancel()
			client.Connect(ctx, s.plan, s.spareFiles())
		})
	}
	// What compiling left is collected now and not in the first milliseconds. The
	// runtime also learns by it how small most stacks are: callers that start on
	// one twice as large keep it.
	runtime.GC()
	s.base = time.Now().Add(ahead)
	client.Base = s.base
	var rows engine.Feed
	if s.rows != nil {
		rows = s.rows
	}
	s.run = engine.NewRun(engine.Options{
		Plan: s.plan, Invoker: client, Rows: rows, Timer: s.timer, Stop: s.stop, Base: s.base,
		Record: func() engine.Recorder { return s.record.Shard() },
	})
	var err error
	s.record, err = record.Create(record.Options{Dir: s.dir, Plan: s.plan, Start: s.base, Tally: s.run.Tally,
		OnSecond: func(second *record.Second) { s.watcher.Second(second); budget.Second(second) }, Mask: s.mask})
	if err != nil {
		return err
	}
	sampler := self.Start()
	progress := s.progress()
	err = s.run.Fire(ctx)
	progress()
	s.health = sampler.Stop()
	return err
}

// spareFiles is how many files the process may open beside those of the run
// folder and its own.
func (s *session) spareFiles() int {
	const own = 100
	limit := s.machine.FilesLimit
	if !limit.Measured {
		return math.MaxInt
	}
	return max(0, int(min(limit.Value, math.MaxInt32))-own)
}

// signIn gets the credentials that the run needs before anything is due. A run
// that gets none sends nothing; its report says why.
func (s *session) signIn(ctx context.Context, client *invoke.Client) {
	var err error
	stopped := s.untilStopped(ctx, func(ctx context.Context) { err = client.SignIn(ctx, s.plan) })
	if err != nil && !stopped {
		s.endFor("there are no credentials: "+err.Error(), err, true)
	}
}

// untilStopped does what comes before anything is due, and reports whether it
// ended because the run is to.
func (s *session) untilStopped(ctx context.Context, do func(ctx context.Context)) bool {
	ctx, cancel := context.WithCancel(ctx)
	var asked sync.WaitGroup
	asked.Go(func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	do(ctx)
	stopped := ctx.Err() != nil
	cancel()
	asked.Wait()
	return stopped
}

// lastReplies is how long what is on its way may still take when there are no
// credentials any more: nothing can follow it.
const lastReplies = 500 * time.Millisecond

// errBarred is the cause with which the rest is canceled then.
var errBarred = errors.New("there are no credentials any more")

// refused ends the run when there is no way to credentials any more. It is
// called once at most.
func (s *session) refused(e *auth.Error) {
	s.endFor(errBarred.Error()+": "+e.Error(), e, true)
	close(s.barred)
}

// cutShort has the run end soon after it has been barred.
func (s *session) cutShort(cut context.CancelCauseFunc, over <-chan struct{}) {
	select {
	case <-s.barred:
	case <-over:
		return
	}
	wait := time.NewTimer(lastReplies)
	defer wait.Stop()
	select {
	case <-wait.C:
		cut(errBarred)
	case <-over:
	}
}

// endFor stops the run gently, and remembers why.
func (s *session) endFor(why string, err error, fatal bool) {
	s.early.add(why, err, fatal)
	s.end()
}

// end stops the run gently.
func (s *session) end() { s.stopped.Do(func() { close(s.stop) }) }

// document makes the report of what was fired.
func (s *session) document(ctx context.Context, fired error) (*record.Document, error) {
	if s.record == nil {
		return nil, nil //nolint:nilnil // nothing was fired, and fire has said why
	}
	totals, err := s.record.Close()
	if totals == nil {
		return nil, err
	}
	d := totals.Document()
	d.Tool, d.Machine, d.Health = s.p.tool(), s.health.Machine, &s.health
	evidence := check.Gather(totals.Tally(), s.health, totals)
	evidence.NoFiles, evidence.NoPorts = ranOut(d.Errors)
	why, _, fatal := s.early.get()
	switch {
	case fired != nil:
		d.Ended = fired.Error()
	case s.interrupted(ctx):
		d.Ended = "somebody asked it to stop"
	default:
		d.Ended = why
	}
	d.Ended = s.mask(d.Ended)
	for _, way := range s.wires.invocations.Ways() {
		t := record.Transport{Host: way.Host, By: "volley", Because: way.Because, Protocol: way.Protocol, Connections: way.Connections, OpenedAhead: way.Ahead}
		if way.Streams >= 0 {
			t.StreamsLimit = &way.Streams
		}
		if way.Because != "" {
			t.By = "net/http"
		}
		d.Transports = append(d.Transports, t)
	}
	verdict := check.Judge(evidence)
	d.Validity = verdict.Validity()
	d.Thresholds = verdict.Void(s.watcher.Results(totals))
	d.ExitCode = check.Ending{
		CouldNotRun:     err != nil || fired != nil,
		Interrupted:     s.interrupted(ctx),
		Stopped:         fatal,
		Invalid:         verdict.Level == check.Invalid,
		ThresholdFailed: failed(d.Thresholds),
	}.ExitCode()
	return d, err
}

// interrupted reports whether somebody asked the process to stop before the
// run had come to its end.
func (s *session) interrupted(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	select {
	case <-s.p.Stop:
		return true
	default:
		return false
	}
}

func failed(rows []record.Threshold) bool {
	for _, t := range rows {
		if !t.OK {
			return true
		}
	}
	return false
}

// ranOut counts the attempts that found no file descriptor or no local port.
func ranOut(errs []record.Error) (files, ports int64) {
	for _, e := range errs {
		switch {
		case e.Detail != "local":
		case strings.Contains(e.Message, "too many open files"):
			files += e.Count
		default:
			ports += e.Count
		}
	}
	return files, ports
}

// close closes what open has opened.
func (s *session) close() error {
	var errs []error
	if s.rows != nil {
		errs = append(errs, s.rows.Close())
	}
	s.wires.close()
	if s.timer != nil {
		errs = append(errs, s.timer.Close())
	}
	return errors.Join(append(errs, s.gateway.close())...)
}

// maxFingerprint bounds how much of a data file is read to tell it again.
const maxFingerprint = 64 << 20

// fingerprints tell later whether the scenario and its data are still the same.
// Standard input cannot be read twice and has none.
func fingerprints(name string, c *scenarios.Compiled) ([]record.Fingerprint, error) {
	if name == "" {
		name = "flags"
	}
	sum := sha256.Sum256(c.Source)
	list := []record.Fingerprint{{File: name, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(c.Source))}}
	if c.Data == nil {
		return list, nil
	}
	for _, file := range c.Data.Files {
		pattern := file
		if !filepath.IsAbs(file) {
			pattern = filepath.Join(c.Data.Dir, file)
		}
		paths, err := filepath.Glob(pattern)
		if file == "-" || err != nil {
			continue // no pattern: opening it has told what is wrong with it
		}
		for _, path := range paths {
			f, err := fingerprint(path)
			if err != nil {
				return nil, err
			}
			f.File = filepath.Base(path)
			list = append(list, f)
		}
	}
	return list, nil
}

func fingerprint(path string) (record.Fingerprint, error) {
	f, err := os.Open(path)
	if err != nil {
		return record.Fingerprint{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return record.Fingerprint{}, err
	}
	if info.Size() > maxFingerprint { // too large to be read for this alone
		return record.Fingerprint{Bytes: info.Size()}, nil
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	return record.Fingerprint{SHA256: hex.EncodeToString(h.Sum(nil)), Bytes: n}, err
}
