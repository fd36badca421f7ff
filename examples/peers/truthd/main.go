//go:build linux && (amd64 || arm64)

// Truthd is a server that costs less than whoever loads it, and writes down
// what came: the other side of every measurement in examples/peers. It answers
// every HTTP/1.1 request on a connection that is kept with the same JSON,
// at once or late as asked, from one thread that waits for nothing else.
//
//	truthd -listen 127.0.0.1:9911                                     at once
//	truthd -median 2ms -sigma 0.5 -seed 7 -keep 300000 -truth t.csv   log-normal latency
//	truthd -stall 1s -every 5s                                        nothing from 2 s to 3 s of every 5 s
//
// Time counts from the first request after the start or a reset. It is asked
// about itself at its own port: GET /-/count tells what came, /-/reset begins
// anew, /-/write writes the times that it kept to the file of -truth, which it
// also does when it is told to stop by SIGINT or SIGTERM.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "truthd: error:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	set := flag.NewFlagSet("truthd", flag.ExitOnError)
	var (
		at     = set.String("listen", "127.0.0.1:9911", "IPv4 `address` of this machine to listen on; port 0 takes a free one")
		median = set.Duration("median", 0, "median of a log-normal latency; 0 answers at once")
		sigma  = set.Float64("sigma", 0, "standard deviation of its logarithm; 0 makes every latency the median")
		seed   = set.Uint64("seed", 1, "what the latencies are drawn from")
		every  = set.Duration("every", 5*time.Second, "how often it stalls")
		stall  = set.Duration("stall", 0, "how long nothing is answered, in the middle of every; 0 is never")
		keep   = set.Int("keep", 0, "of how many requests to keep the times")
		file   = set.String("truth", "", "`file` to write these times to")
	)
	_ = set.Parse(args) // ExitOnError
	addr, err := netip.ParseAddrPort(*at)
	switch {
	case err != nil:
		return fmt.Errorf("-listen: %w: write it like 127.0.0.1:9911", err)
	case !addr.Addr().Is4() || !addr.Addr().IsLoopback():
		return fmt.Errorf("-listen: %s is not in 127.0.0.0/8: this server is for this machine only", addr)
	case *median < 0 || *sigma < 0 || *stall < 0 || *every <= 0 || *stall >= *every || *keep < 0:
		return errors.New("-median, -sigma, -stall and -keep are at least 0, and -stall is shorter than -every")
	case (*keep > 0) != (*file != ""):
		return errors.New("-keep and -truth belong together: how many times to keep, and where to write them")
	}

	// All memory is taken before the first request. Where a client opens
	// connections without end, the limit keeps the collector from being off.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(1 << 30)
	runtime.LockOSThread()
	const prSetTimerSlack = 29
	// Else the kernel rounds every wait up by 50 µs.
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1, 0); errno != 0 {
		return os.NewSyscallError("prctl", errno)
	}

	listener, err := listen(addr, *keep > 0)
	if err != nil {
		return fmt.Errorf("-listen %s: %w", addr, err)
	}
	defer func() { _ = syscall.Close(listener) }()
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	defer func() { _, _ = syscall.Close(pipe[0]), syscall.Close(pipe[1]) }()
	t := newTruth(*keep)
	s := schedule{median: *median, sigma: *sigma, random: rand.New(rand.NewPCG(*seed, 0)), every: *every, stall: *stall}
	v, err := newServer(listener, pipe[0], s, t, *file)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-signals:
			_, _ = syscall.Write(pipe[1], []byte{1})
		case <-ended:
		}
	}()

	p, err := port(listener)
	if err != nil {
		return err
	}
	if _, err := fmt.Printf("truthd: listening on http://%s\n", netip.AddrPortFrom(addr.Addr(), p)); err != nil {
		return err
	}
	if err := v.run(); err != nil {
		return err
	}
	if *file != "" {
		return t.write(*file)
	}
	return nil
}
