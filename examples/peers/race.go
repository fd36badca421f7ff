//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A counter tells how many requests a server has got so far.
type counter interface {
	count(ctx context.Context) (int64, error)
}

// A racer is one client of a race.
type racer struct {
	name    string
	command func() command
	check   func(arrived int64) error // what to look at after each lap; nil is nothing
}

// A lap is what one client did in one round.
type lap struct {
	perSecond float64 // requests, by the server's counter, in the middle of its run
	cpu       float64 // µs of the whole client for each request of the whole run
	peak      int64   // bytes: the most that was resident, until its last tenth
}

// Of the time for which a client sends, the middle part counts: from begun,
// when it is in its stride, for so long as counted says.
const (
	begun   = 0.1
	counted = 0.8
)

// errHeldUp is a lap in which this program was not there in time to look at
// the counter.
var errHeldUp = errors.New("the machine was busy with something else")

// race runs every client in every round, in an order that rotates, and returns
// the laps of each.
func (h *harness) race(ctx context.Context, server counter, racers []racer) (map[string][]lap, error) {
	laps := map[string][]lap{}
	for round := range h.rounds {
		h.progress("round %d of %d", round+1, h.rounds)
		for i := range racers {
			r := racers[(i+round)%len(racers)]
			l, err := h.lap(ctx, server, r)
			for tries := 1; tries < 3 && errors.Is(err, errHeldUp); tries++ {
				h.progress("%s again: %v", r.name, err)
				l, err = h.lap(ctx, server, r)
			}
			if err != nil {
				return nil, err
			}
			laps[r.name] = append(laps[r.name], l)
		}
	}
	return laps, nil
}

// lap runs one client for the seconds of a lap.
func (h *harness) lap(ctx context.Context, server counter, r racer) (lap, error) {
	const startUp, patience = 10 * time.Second, 30 * time.Second
	length := time.Duration(h.seconds) * time.Second
	ctx, cancel := context.WithTimeout(ctx, startUp+length+patience)
	defer cancel()
	before, err := server.count(ctx)
	if err != nil {
		return lap{}, err
	}
	p, err := h.start(ctx, r.command())
	if err != nil {
		return lap{}, err
	}
	defer func() { cancel(); <-p.ended }()

	first, err := p.until(ctx, server, before, startUp)
	if err != nil {
		return lap{}, err
	}
	var at [2]time.Time
	var n [2]int64
	for i, share := range []float64{begun, begun + counted} {
		select {
		case <-p.ended:
			if _, err := p.wait(); err != nil {
				return lap{}, err
			}
			return lap{}, fmt.Errorf("%w: %s of %s had ended before %.0f %% of it were over", errHeldUp, length, r.name, share*100)
		case <-time.After(time.Until(first.Add(time.Duration(share * float64(length))))):
		}
		if n[i], err = server.count(ctx); err != nil {
			return lap{}, err
		}
		at[i] = time.Now()
	}
	// That of wait4 is never less than ours, from which the client was started.
	peak := p.status("VmHWM")
	used, err := p.wait()
	if err != nil {
		return lap{}, err
	}
	after, err := server.count(ctx)
	if err != nil {
		return lap{}, err
	}
	if r.check != nil {
		if err := r.check(after - before); err != nil {
			return lap{}, err
		}
	}
	return lap{
		perSecond: float64(n[1]-n[0]) / at[1].Sub(at[0]).Seconds(),
		cpu:       used.Seconds() * 1e6 / float64(after-before),
		peak:      peak,
	}, nil
}

// until waits for the first request of a client.
func (p *process) until(ctx context.Context, server counter, before int64, most time.Duration) (time.Time, error) {
	for began := time.Now(); time.Since(began) < most; {
		n, err := server.count(ctx)
		if err != nil {
			return time.Time{}, err
		}
		if n > before {
			return time.Now(), nil
		}
		select {
		case <-p.ended:
			return time.Time{}, p.early("without a request")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return time.Time{}, fmt.Errorf("%s sent no request in %s; it said:\n%s", p.name, most, p.tail())
}

// rates and cpus are the columns of laps.
func rates(laps []lap) []float64 { return column(laps, func(l lap) float64 { return l.perSecond }) }
func costs(laps []lap) []float64 { return column(laps, func(l lap) float64 { return l.cpu }) }

func column(laps []lap, of func(lap) float64) []float64 {
	var all []float64
	for _, l := range laps {
		all = append(all, of(l))
	}
	return all
}

// table tells the laps of all, each beside those of the base.
func table(laps map[string][]lap, racers []racer, base string) string {
	rows := [][]string{{"client", "requests/s", "min-max", "x " + base, "min-max", "CPU µs", "min-max", "x " + base, "RSS MB"}}
	for _, r := range racers {
		mine, other := laps[r.name], laps[base]
		rate, cost := rates(mine), costs(mine)
		faster, dearer := ratios(rate, rates(other)), ratios(cost, costs(other))
		peak := column(mine, func(l lap) float64 { return float64(l.peak) / (1 << 20) })
		rows = append(rows, []string{r.name, number(median(rate)), between(rate), number(median(faster)), between(faster),
			number(median(cost)), between(cost), number(median(dearer)), number(slices.Max(peak))})
	}
	return tabulate(rows)
}

func between(x []float64) string { return number(slices.Min(x)) + "-" + number(slices.Max(x)) }
