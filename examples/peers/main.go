//go:build linux

// Peers measures volley beside other load generators, on this machine, and
// holds it against its bars: what it must reach beside wrk, fortio, hey, k6 and
// h2load, and how near its own figures must come to what a server wrote down.
//
//	make bench-peers                          all of it, at full length
//	make test-peers                           all of it, short, with wide bars
//	go run ./examples/peers -bars 1,3         some of it
//
// The server runs on one core, clients on another, one after the other; a round
// runs each once, in an order that rotates, so that a ratio is of neighbours.
// Requests are counted by the server, CPU and memory by the kernel. Volley runs
// as users run it: a scenario file, with recording, thresholds, progress and a
// run folder. Nothing leaves this machine but what installs the peers.
//
// Whatever the machine does, volley must report as many invocations as reached
// the server, all of them ok. The exit status is 1 when it does not, and when a
// bar is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A harness is what the bars are measured with.
type harness struct {
	rounds, seconds   int // of a race, and of a client in a round
	openFor, stallFor int // seconds of an open run, and of one with stalls
	top               int // the highest rate of an open run, per second
	many              int // requests of a long run
	judge             judge

	folder, temp, bin      string            // of this package, of what we write, of the peers in Go
	program, truthd        string            // what was built
	tools                  map[string]string // programs of others, by name
	serverCore, clientCore int
	started, runs          int  // processes so far, and runs of volley
	keep                   bool // what was written, when it is over

	out  io.Writer // results
	mute error     // why the first of them that was lost was
}

// A bar is one part of the measurement.
type bar struct {
	number int
	title  string
	tools  []string // programs of others that it needs
	run    func(context.Context, *harness) error
}

func bars() []bar {
	return []bar{
		{1, "HTTP/1.1, 64 connections, against a lean server", []string{"wrk", "fortio", "hey", "k6"}, plain},
		{2, "HTTPS/1.1 and HTTP/2, against nginx", []string{"nginx", "wrk", "h2load"}, secure},
		{3, "open load: arrivals and response times, latency log-normal around 2 ms", nil, pacing},
		{4, "open load at 500/s: the server stalls for 1 s of every 5 s", nil, stall},
		{5, "memory", nil, memory},
		{6, "three functions at once, of rows, checked", []string{"wrk", "k6"}, fanout},
		{9, "start and end", nil, beginning},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	if ctx.Err() != nil { // whatever else it led to
		err = errors.New("interrupted")
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers: error:", err)
		if h, ok := errors.AsType[hinted](err); ok {
			fmt.Fprintln(os.Stderr, "peers: hint:", h.hint)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	h := &harness{out: os.Stdout}
	set := flag.NewFlagSet("peers", flag.ExitOnError)
	which := set.String("bars", "all", "`numbers` of the bars to measure, as 1,3")
	set.IntVar(&h.rounds, "rounds", 7, "how often each client runs in a race")
	set.IntVar(&h.seconds, "seconds", 4, "how long a client runs each time")
	set.IntVar(&h.openFor, "open", 10, "`seconds` of an open run")
	set.IntVar(&h.top, "top", 20_000, "the highest `rate` of an open run; a short one at 20000 measures little but its start")
	set.IntVar(&h.stallFor, "stall", 20, "`seconds` of the run with stalls: a multiple of 5")
	set.IntVar(&h.many, "requests", 2_000_000, "how `many` requests the long run of bar 5 makes")
	set.Float64Var(&h.judge.slack, "slack", 1, "`times` that a figure may be worse than its bar")
	set.StringVar(&h.bin, "tools", "", "`folder` of the peers in Go; default examples/peers/bin")
	set.StringVar(&h.program, "volley", "", "`program` to measure; default: it is built of this tree")
	set.BoolVar(&h.keep, "keep", false, "keep the run folders and what all programs printed")
	_ = set.Parse(args) // ExitOnError
	chosen, err := choose(*which)
	switch {
	case err != nil:
		return err
	case h.rounds < 1 || h.seconds < 1 || h.openFor < 1 || h.top < 1000 || h.stallFor < 5 || h.stallFor%5 != 0 || h.many < 200_000 || h.judge.slack < 1:
		return errors.New("-rounds, -seconds, -open and -slack are at least 1, -top at least 1000, -stall is a multiple of 5, -requests at least 200000")
	}
	if h.temp, err = os.MkdirTemp("", "volley-peers-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.clean()) }()
	if err := h.prepare(ctx, chosen); err != nil {
		return err
	}
	return h.measure(ctx, chosen)
}

// choose returns the bars of a list.
func choose(list string) ([]bar, error) {
	if list == "all" {
		return bars(), nil
	}
	var chosen []bar
	for word := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(bars(), func(b bar) bool { return fmt.Sprint(b.number) == word })
		if i < 0 {
			return nil, fmt.Errorf("-bars: there is no bar %q: name some of 1 to 6 and 9, as 1,3", word)
		}
		chosen = append(chosen, bars()[i])
	}
	return chosen, nil
}

// prepare makes the folders, and finds, installs and builds the programs.
func (h *harness) prepare(ctx context.Context, chosen []bar) error {
	all, err := cores()
	if err != nil {
		return err
	}
	if len(all) < 2 {
		return errors.New("the server needs one core and its clients another: there is only one")
	}
	h.serverCore, h.clientCore = all[0], all[1]
	root, err := module(ctx)
	if err != nil {
		return err
	}
	h.folder = filepath.Join(root, "examples", "peers")
	if h.bin == "" {
		h.bin = filepath.Join(h.folder, "bin")
	}
	if h.bin, err = filepath.Abs(h.bin); err != nil {
		return err
	}
	// The worker of an nginx that root starts is somebody else.
	if err := os.Chmod(h.temp, 0o755); err != nil {
		return err
	}
	var tools []string
	for _, b := range chosen {
		tools = append(tools, b.tools...)
	}
	slices.Sort(tools)
	if err := h.find(ctx, slices.Compact(tools)); err != nil {
		return err
	}
	if h.program == "" {
		h.program, err = h.build(ctx, "volley", "volley")
	} else {
		h.program, err = filepath.Abs(h.program)
	}
	if err != nil {
		return err
	}
	h.truthd, err = h.build(ctx, "volley/examples/peers/truthd", "truthd")
	return err
}

// clean removes what was written, unless somebody wants to look into it.
func (h *harness) clean() error {
	if h.keep {
		h.progress("what was written is kept in %s", h.temp)
		return nil
	}
	return os.RemoveAll(h.temp)
}

// measure measures the chosen bars, and says what came of it.
func (h *harness) measure(ctx context.Context, chosen []bar) error {
	h.say(h.conditions())
	for _, b := range chosen {
		began := time.Now()
		h.say(fmt.Sprintf("\nB%d  %s", b.number, b.title))
		if err := b.run(ctx, h); err != nil {
			return fmt.Errorf("bar %d: %w", b.number, err)
		}
		h.say(h.judge.take())
		h.progress("B%d took %s", b.number, time.Since(began).Round(time.Second))
	}
	h.say("")
	for _, w := range h.judge.wrong {
		h.say("WRONG  " + w)
	}
	if h.mute != nil {
		return h.mute
	}
	switch wrong, missed := len(h.judge.wrong), h.judge.missed; {
	case wrong > 0:
		return fmt.Errorf("%d counts do not agree, %d bars are missed", wrong, missed)
	case missed > 0:
		return fmt.Errorf("%d bars are missed", missed)
	}
	h.say("every bar is met, and every count agrees")
	return h.mute
}

// conditions tells how it is measured.
func (h *harness) conditions() string {
	text := fmt.Sprintf("%s, the server on core %d and its clients on core %d; %d rounds of %d s", system(), h.serverCore, h.clientCore, h.rounds, h.seconds)
	if h.top < 20_000 {
		text += fmt.Sprintf("\n-top %d: open loads above that are left out", h.top)
	}
	if h.judge.slack > 1 {
		text += fmt.Sprintf("\n-slack %s: what must be high may be %[1]s times lower than its bar, what must be low %[1]s times higher;"+
			"\ncounts must agree all the same", number(h.judge.slack))
	}
	return text
}

// system names the machine.
func system() string {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("of an unknown release")
	}
	return fmt.Sprintf("Linux %s, %s, %s", strings.TrimSpace(string(kernel)), runtime.GOARCH, runtime.Version())
}

// say prints a result.
func (h *harness) say(text string) {
	if _, err := fmt.Fprintln(h.out, strings.TrimSuffix(text, "\n")); h.mute == nil {
		h.mute = err
	}
}

// progress says on standard error what is done.
func (h *harness) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "peers: "+format+"\n", args...)
}

// path is a file of ours.
func (h *harness) path(name string) string { return filepath.Join(h.temp, name) }
