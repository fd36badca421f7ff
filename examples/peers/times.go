//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bars of truthfulness: what volley fires and reports, against what the server
// wrote down.

// An opened is an open run, from both sides.
type opened struct {
	arrivals, dropped int64
	late              []int64 // ns, sorted; empty when iterations were dropped
	truth             []int64 // responses by the server's file, ns, sorted; empty as well
	reported          distribution
	verdict           string
	cpu               float64 // % of a core
}

// open fires an open load at a server that is reset for it.
func (h *harness) open(ctx context.Context, server *truth, perSecond, seconds int) (opened, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+time.Minute)
	defer cancel()
	if err := server.reset(ctx); err != nil {
		return opened{}, err
	}
	name := fmt.Sprintf("volley at %d/s", perSecond)
	c, out := h.volley("volley", "open.yaml", server.url, "--rate", fmt.Sprintf("%d/s", perSecond), "--for", fmt.Sprintf("%ds", seconds))
	p, err := h.start(ctx, c)
	if err != nil {
		return opened{}, err
	}
	used, err := p.wait()
	if err != nil {
		return opened{}, err
	}
	all, err := server.times(ctx)
	if err != nil {
		return opened{}, err
	}
	r, err := h.told(name, out, int64(len(all)))
	if err != nil {
		return opened{}, err
	}
	o := opened{
		arrivals: int64(len(all)), dropped: r.Load.Dropped, reported: r.Total.Response.All,
		verdict: r.Validity.Verdict, cpu: used.Seconds() / float64(seconds) * 100,
	}
	if o.dropped == 0 && len(all) > 0 { // else nobody knows which arrival belongs to which due time
		start := r.Started.UnixNano()
		o.late, o.truth = lateness(all, start, perSecond), responses(all, start, perSecond)
	}
	return o, nil
}

// pacing holds arrivals and response times to the schedule, at rates from
// ordinary to high, against a server that takes its time.
func pacing(ctx context.Context, h *harness) (err error) {
	perSecond := slices.DeleteFunc([]int{1000, 5000, 10_000, 20_000}, func(rate int) bool { return rate > h.top })
	repeats := min(3, h.rounds)
	server, err := h.serve(ctx, slices.Max(perSecond)*h.openFor+1000, "-median", "2ms", "-sigma", "0.5", "-seed", "7")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	runs := map[int][]opened{}
	for i := range repeats {
		h.progress("round %d of %d", i+1, repeats)
		for _, rate := range perSecond {
			o, err := h.open(ctx, server, rate, h.openFor)
			if err != nil {
				return err
			}
			runs[rate] = append(runs[rate], o)
		}
	}
	h.say(openTable(perSecond, runs))
	for _, rate := range perSecond {
		h.holdPace(rate, runs[rate])
	}
	return nil
}

// holdPace holds the runs at one rate against the bars.
func (h *harness) holdPace(rate int, runs []opened) {
	at := fmt.Sprintf("%s/s: ", thousands(int64(rate)))
	asked := float64(rate * h.openFor)
	h.judge.atMost(figure{at + "arrivals off what was asked", each(runs, func(o opened) float64 {
		return abs(float64(o.arrivals)-asked) / asked * 100
	}), " %"}, 0.05)
	if rate == 10_000 {
		h.judge.atMost(figure{at + "CPU", each(runs, func(o opened) float64 { return o.cpu }), " % of a core"}, 55)
	}
	if slices.ContainsFunc(runs, func(o opened) bool { return len(o.late) == 0 }) {
		h.judge.miss(at+"lateness and response", "iterations were dropped, so that nobody knows which arrivals were due when")
		return
	}
	h.judge.atMost(figure{at + "lateness p50", each(runs, func(o opened) float64 { return micros(quantile(o.late, 0.5)) }), " µs"}, 60)
	h.judge.atMost(figure{at + "lateness p99", each(runs, func(o opened) float64 { return micros(quantile(o.late, 0.99)) }), " µs"}, 250)
	h.holdResponse(at, runs, quantiles()[:3], 0.015, 50)
}

// A toldQuantile is one of those that reports have.
type toldQuantile struct {
	name string
	q    float64
	of   func(distribution) int64 // µs
}

func quantiles() []toldQuantile {
	return []toldQuantile{
		{"p50", 0.5, func(d distribution) int64 { return d.P50 }},
		{"p90", 0.9, func(d distribution) int64 { return d.P90 }},
		{"p99", 0.99, func(d distribution) int64 { return d.P99 }},
		{"max", 1, func(d distribution) int64 { return d.Max }},
	}
}

// holdResponse holds reported response times against the truth: they may be
// off by a share of it, or by least, in µs.
func (h *harness) holdResponse(at string, runs []opened, all []toldQuantile, share, least float64) {
	for _, q := range all {
		truth := each(runs, func(o opened) float64 { return micros(quantile(o.truth, q.q)) })
		h.judge.atMost(figure{at + "response " + q.name + " off the truth", each(runs, func(o opened) float64 {
			return abs(float64(q.of(o.reported)) - micros(quantile(o.truth, q.q)))
		}), " µs"}, max(share*median(truth), least))
	}
}

func each(runs []opened, value func(opened) float64) []float64 {
	var all []float64
	for _, o := range runs {
		all = append(all, value(o))
	}
	return all
}

// openTable tells what came of each run.
func openTable(perSecond []int, runs map[int][]opened) string {
	rows := [][]string{{"asked/s", "arrivals", "lateness p50/p99/max µs", "reported p50/p90/p99 ms", "truth p50/p90/p99 ms", "CPU %", "verdict"}}
	for _, rate := range perSecond {
		for _, o := range runs[rate] {
			late, truth := "-", "-"
			if len(o.late) > 0 {
				late = join(number, micros(quantile(o.late, 0.5)), micros(quantile(o.late, 0.99)), micros(quantile(o.late, 1)))
				truth = join(millis, micros(quantile(o.truth, 0.5)), micros(quantile(o.truth, 0.9)), micros(quantile(o.truth, 0.99)))
			}
			reported := join(millis, float64(o.reported.P50), float64(o.reported.P90), float64(o.reported.P99))
			rows = append(rows, []string{thousands(int64(rate)), thousands(o.arrivals), late, reported, truth, number(o.cpu), o.verdict})
		}
	}
	return tabulate(rows)
}

func join(write func(float64) string, x ...float64) string {
	words := make([]string, len(x))
	for i := range x {
		words[i] = write(x[i])
	}
	return strings.Join(words, "/")
}

// millis writes µs as ms.
func millis(us float64) string { return strconv.FormatFloat(us/1000, 'f', 3, 64) }

func micros(ns int64) float64 { return float64(ns) / 1000 }

func abs(x float64) float64 { return max(x, -x) }

// stall holds response times to the truth where the server answers nothing for
// 1 s of every 5 s: whoever counts from when it sent, or stops sending
// meanwhile, hides most of it.
func stall(ctx context.Context, h *harness) (err error) {
	const rate = 500
	server, err := h.serve(ctx, rate*h.stallFor+1000, "-stall", "1s", "-every", "5s")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	o, err := h.open(ctx, server, rate, h.stallFor)
	if err != nil {
		return err
	}
	h.say(openTable([]int{rate}, map[int][]opened{rate: {o}}))
	h.judge.honest(o.arrivals == int64(rate*h.stallFor), "stall: %d requests arrived, want exactly %d", o.arrivals, rate*h.stallFor)
	if len(o.late) == 0 {
		h.judge.miss("response", "iterations were dropped, so that nobody knows which arrivals were due when")
		return nil
	}
	h.holdResponse("", []opened{o}, quantiles(), 0.02, 5000)
	return nil
}
