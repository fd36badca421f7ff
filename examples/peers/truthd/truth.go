//go:build linux && (amd64 || arm64)

package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
)

// A truth is what the server saw since it was last reset: how many requests,
// and of the first of them the times, in nanoseconds on the wall clock.
type truth struct {
	requests    int64   // whole requests that arrived, control requests left out
	first, last int64   // arrivals; last is no finer than one turn of the loop
	arrived     []int64 // as long as the most that are kept
	answered    []int64 // 0 is not yet
}

func newTruth(keep int) *truth {
	t := &truth{arrived: make([]int64, keep), answered: make([]int64, keep)}
	for i := range t.arrived { // memory that is first touched in a measurement would cost there
		t.arrived[i], t.answered[i] = -1, -1
	}
	t.reset()
	return t
}

func (t *truth) reset() {
	kept := t.kept()
	clear(t.arrived[:kept])
	clear(t.answered[:kept])
	t.requests, t.first, t.last = 0, 0, 0
}

// kept is how many requests have their times in t.
func (t *truth) kept() int64 { return min(t.requests, int64(len(t.arrived))) }

// write leaves the times in a file, one request a line, in the order of
// arrival.
func (t *truth) write(name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "arrived_ns,answered_ns")
	var line []byte
	for i := range t.kept() {
		line = strconv.AppendInt(line[:0], t.arrived[i], 10)
		line = append(line, ',')
		line = strconv.AppendInt(line, t.answered[i], 10)
		w.Write(append(line, '\n'))
	}
	return w.Flush()
}
