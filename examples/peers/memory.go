//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"
)

// Bars of memory: what volley has in RAM of its own, while it runs.

// run runs volley to its end, and returns the peak of its memory in bytes. A
// server that was just reset counts its requests.
func (h *harness) run(ctx context.Context, server *truth, name string, most time.Duration, flags ...string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := server.reset(ctx); err != nil {
		return 0, err
	}
	c, out := h.volley("volley", "plain.yaml", server.url, append(flags, "--for", "1h")...)
	p, err := h.start(ctx, c)
	if err != nil {
		return 0, err
	}
	peak := p.peakAnon()
	if _, err := p.wait(); err != nil {
		return 0, err
	}
	n, err := server.count(ctx)
	if err == nil {
		_, err = h.told(name, out, n)
	}
	return peak, err
}

// memory holds it to what many requests, and many connections, may cost.
func memory(ctx context.Context, h *harness) error {
	return errors.Join(h.requestMemory(ctx), h.connectionMemory(ctx))
}

func (h *harness) requestMemory(ctx context.Context) (err error) {
	server, err := h.serve(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	const few, patience = 100_000, 5 * time.Minute
	peaks := map[int]float64{}
	for _, n := range []int{few, h.many} {
		h.progress("%s requests", thousands(int64(n)))
		peak, err := h.run(ctx, server, fmt.Sprintf("volley, %d requests", n), patience, "-n", strconv.Itoa(n))
		if err != nil {
			return err
		}
		peaks[n] = megabytes(peak)
	}
	h.judge.atMost(figure{fmt.Sprintf("RssAnon at %s requests", thousands(int64(h.many))), []float64{peaks[h.many]}, " MB"}, 20)
	h.judge.atMost(figure{fmt.Sprintf("more than at %s requests", thousands(few)), []float64{max(0, peaks[h.many]-peaks[few])}, " MB"}, 2)
	return nil
}

// connectionMemory has all connections open at once: every reply takes so long
// that each worker has opened its own before the first comes.
func (h *harness) connectionMemory(ctx context.Context) (err error) {
	const connections, spare = 10_000, 200
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	if files.Max < connections+spare {
		return hinted{fmt.Errorf("a process may have %d files open, and %d connections need more", files.Max, connections), "raise it: ulimit -Hn 65536, as root"}
	}
	server, err := h.serve(ctx, 0, "-median", "3s")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	h.progress("%s connections", thousands(connections))
	idle, err := h.run(ctx, server, "volley, one connection", time.Minute, "-n", "1", "--workers", "1")
	if err != nil {
		return err
	}
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	most := make(chan int64, 1)
	go func() { most <- server.mostConnections(watch) }()
	open, err := h.run(ctx, server, "volley, 10,000 connections", 2*time.Minute, "-n", strconv.Itoa(2*connections), "--workers", strconv.Itoa(connections))
	cancel()
	seen := <-most
	if err != nil {
		return err
	}
	h.judge.honest(seen >= connections, "volley, 10,000 connections: only %d were open at once", seen)
	h.judge.atMost(figure{"RssAnon a connection, of 10,000", []float64{float64(open-idle) / connections / 1024}, " KB"}, 12)
	return nil
}

// mostConnections watches how many are open until ctx is done.
func (t *truth) mostConnections(ctx context.Context) (most int64) {
	for {
		if c, err := t.tally(ctx); err == nil {
			most = max(most, c.Connections-1) // ours
		}
		select {
		case <-ctx.Done():
			return most
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func megabytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
