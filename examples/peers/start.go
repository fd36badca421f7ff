//go:build linux

package main

import (
	"context"
	"errors"
	"time"
)

// beginning holds volley to how soon it is there, and gone.
func beginning(ctx context.Context, h *harness) (err error) {
	const repeats = 21
	server, err := h.serve(ctx, 100)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	var versions, ends []float64
	for range repeats {
		began := time.Now()
		ended, err := h.ends(ctx, command{name: "volley", args: []string{h.program, "version"}, core: h.clientCore})
		if err != nil {
			return err
		}
		versions = append(versions, ended.Sub(began).Seconds()*1000)

		if err := server.reset(ctx); err != nil {
			return err
		}
		c, out := h.volley("volley", "plain.yaml", server.url, "--workers", "1", "-n", "1")
		if ended, err = h.ends(ctx, c); err != nil {
			return err
		}
		all, err := server.times(ctx)
		if err != nil {
			return err
		}
		if _, err := h.told("volley, one invocation", out, int64(len(all))); err != nil {
			return err
		}
		if len(all) == 1 {
			ends = append(ends, float64(ended.UnixNano()-all[0].answered)/1e6)
		}
	}
	h.judge.atMost(figure{"volley version", versions, " ms"}, 20)
	if len(ends) > 0 {
		h.judge.atMost(figure{"from the one reply to the end of the run", ends, " ms"}, 50)
	}
	return nil
}

// ends runs a short command, and returns when it had ended.
func (h *harness) ends(ctx context.Context, c command) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	p, err := h.start(ctx, c)
	if err != nil {
		return time.Time{}, err
	}
	<-p.ended
	at := time.Now()
	_, err = p.wait()
	return at, err
}
