//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Bars of throughput: volley and its peers, one after the other, against the
// same server.

// plain races over HTTP/1.1.
func plain(ctx context.Context, h *harness) (err error) {
	server, err := h.serve(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	racers := []racer{
		h.volleyRacer("volley", "plain.yaml", server.url), h.volleyRacer("volley, checked", "checked.yaml", server.url),
		h.wrk(server.url), h.fortio(server.url), h.hey(server.url), h.k6("post.js", "URL="+server.url+path),
	}
	laps, err := h.race(ctx, server, racers)
	if err != nil {
		return err
	}
	h.say(table(laps, racers, "wrk"))
	for _, bar := range []struct {
		peer string
		bar  float64
	}{{"wrk", 1.05}, {"fortio", 1.2}, {"hey", 3.3}, {"k6", 7}} {
		h.faster(laps, "volley", bar.peer, bar.bar)
	}
	h.cheaper(laps, "volley", "wrk", 0.95)
	h.faster(laps, "volley, checked", "wrk", 0.85)
	return nil
}

// secure races over HTTPS/1.1 and HTTP/2.
func secure(ctx context.Context, h *harness) (err error) {
	model, err := h.serve(ctx, 0)
	if err != nil {
		return err
	}
	reply, err := get(ctx, model.client, model.url+path)
	if err = errors.Join(err, model.close()); err != nil {
		return err
	}
	server, err := h.serveNginx(ctx, reply)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	trust := []string{"--ca-file", server.cert}
	h1 := []racer{h.volleyRacer("volley", "plain.yaml", server.h1, trust...), h.wrk(server.h1)}
	laps, err := h.race(ctx, server, h1)
	if err != nil {
		return err
	}
	h.say(table(laps, h1, "wrk"))
	h.faster(laps, "volley", "wrk", 0.97)
	h.cheaper(laps, "volley", "wrk", 1)

	var h2 []racer
	pairs := [][2]int{{1, 64}, {4, 16}}
	for _, p := range pairs {
		flags := append(slices.Clone(trust), "-e", fmt.Sprintf("CONNECTIONS=%d", p[0]))
		h2 = append(h2, h.volleyRacer(fmt.Sprintf("volley %dx%d", p[0], p[1]), "h2.yaml", server.h2, flags...), h.h2load(server.h2, p[0], p[1]))
	}
	if laps, err = h.race(ctx, server, h2); err != nil {
		return err
	}
	h.say(table(laps, h2, h2[1].name))
	for i := range pairs {
		h.faster(laps, h2[2*i].name, h2[2*i+1].name, 0.82)
		h.cheaper(laps, h2[2*i].name, h2[2*i+1].name, 1.12)
	}
	return nil
}

// fanout races where there is more to do than to send the same again: three
// functions at once, of a row of a large file, their replies looked at.
func fanout(ctx context.Context, h *harness) (err error) {
	server, err := h.serve(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	rows := h.path("rows.csv")
	if err := writeRows(rows, 100_000); err != nil {
		return err
	}
	racers := []racer{
		h.volleyRacer("volley", "fanout.yaml", server.url, "-e", "ROWS="+rows),
		h.wrk(server.url),
		h.k6("fanout.js", "ROWS="+rows, "FUNCTIONS="+server.url+"/v1/functions"),
	}
	laps, err := h.race(ctx, server, racers)
	if err != nil {
		return err
	}
	h.say(table(laps, racers, "wrk"))
	h.faster(laps, "volley", "wrk", 0.4)
	h.faster(laps, "volley", "k6", 5)
	return nil
}

// writeRows writes a file of n users.
func writeRows(name string, n int) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "userId,sku,city")
	cities := []string{"Oslo", "Lagos", "Lima", "Kyoto", "Perth"}
	for i := range n {
		fmt.Fprintf(w, "u-%08d,sku-%05d,%s\n", i, i%7919, cities[i%len(cities)])
	}
	return w.Flush()
}

// faster wants so many times another's requests in the same time.
func (h *harness) faster(laps map[string][]lap, name, other string, bar float64) {
	h.judge.atLeast(figure{name + ": requests/s against " + other, ratios(rates(laps[name]), rates(laps[other])), "x"}, bar)
}

// cheaper wants at most so many times another's CPU for the same request.
func (h *harness) cheaper(laps map[string][]lap, name, other string, bar float64) {
	h.judge.atMost(figure{name + ": CPU a request against " + other, ratios(costs(laps[name]), costs(laps[other])), "x"}, bar)
}
