package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"volley/engine"
)

// maxLine bounds a line of the run folder's files, in bytes.
const maxLine = 64 << 20

// Rebuild makes the totals of the run in dir again, from counts.jsonl and
// series.hlog. After a run that was killed, what is missing is at most its
// last second; Notes then says what was cut off.
func Rebuild(dir string) (*Totals, error) {
	counts, err := os.Open(filepath.Join(dir, CountsFile))
	if err != nil {
		return nil, missing(dir, CountsFile, err)
	}
	defer counts.Close()
	log, err := os.Open(filepath.Join(dir, SeriesFile))
	if err != nil {
		return nil, missing(dir, SeriesFile, err)
	}
	defer log.Close()
	t, err := rebuild(counts, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return t, nil
}

func missing(dir, name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no %s in it: not the folder of a load run, or not a whole copy", dir, name)
	}
	return err
}

func rebuild(counts, log io.Reader) (*Totals, error) {
	t := &Totals{}
	until, err := t.readCounts(counts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CountsFile, err)
	}
	if err := t.readHlog(log, until); err != nil {
		return nil, fmt.Errorf("%s: %w", SeriesFile, err)
	}
	return t, nil
}

// lines calls each with every whole line of r, counted from 1, without its
// line break. It returns how many bytes stand after the last line break: a
// line that was cut off while it was written.
func lines(r io.Reader, each func(n int, line []byte) error) (torn int, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var line []byte
	for n := 1; ; n++ {
		line = line[:0]
		for {
			part, err := in.ReadSlice('\n')
			line = append(line, part...)
			switch {
			case err == nil:
			case errors.Is(err, bufio.ErrBufferFull) && len(line) <= maxLine:
				continue
			case errors.Is(err, bufio.ErrBufferFull):
				return 0, fmt.Errorf("line %d: longer than %d bytes", n, maxLine)
			case errors.Is(err, io.EOF):
				return len(line), nil
			default:
				return 0, err
			}
			break
		}
		if err := each(n, bytes.TrimRight(line, "\r\n")); err != nil {
			return 0, fmt.Errorf("line %d: %w", n, err)
		}
	}
}

// readCounts reads counts.jsonl, and returns when its last second began; less
// than 0 when there is none.
func (t *Totals) readCounts(r io.Reader) (until time.Duration, err error) {
	until = -1
	torn, err := lines(r, func(n int, b []byte) error {
		if n == 1 {
			return t.readHeader(b)
		}
		var l line
		if err := json.Unmarshal(b, &l); err != nil {
			return err
		}
		until = time.Duration(l.StartMS) * time.Millisecond
		return t.add(&l)
	})
	switch {
	case err != nil:
		return 0, err
	case t.shape == nil:
		return 0, errors.New("it has no whole line: the run was ended before it began")
	case torn > 0:
		t.note("%s: its last line was cut off; %d bytes of it are left out, and with them at most a second", CountsFile, torn)
	}
	return until, nil
}

func (t *Totals) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *Totals) readHeader(b []byte) error {
	if err := json.Unmarshal(b, &t.head); err != nil {
		return err
	}
	if err := checkSchema(t.head.Schema, countsSchema); err != nil {
		return err
	}
	if n := len(t.head.Series) + len(t.head.Groups); n > maxSeries {
		return fmt.Errorf("%d series and groups, at most %d are known to be possible", n, maxSeries)
	}
	t.shape = t.head.shape()
	t.set, t.warm = newSet(t.shape), newSet(t.shape)
	return nil
}

// add adds what counts.jsonl has of one second.
func (t *Totals) add(l *line) error {
	t.tally = l.Tally.tally()
	t.last = line{Histograms: l.Histograms, OtherErrors: l.OtherErrors, FailuresKept: l.FailuresKept, FailuresLeftOut: l.FailuresLeftOut, Relieved: l.Relieved}
	t.set.iterations.merge(l.Iterations)
	if l.Instances != nil {
		t.set.instances.merge(*l.Instances)
	}
	for _, part := range []struct {
		to   *set
		from []seriesLine
	}{{t.set, l.Series}, {t.warm, l.Warmup}} {
		for i := range part.from {
			if err := addSeries(part.to, &part.from[i]); err != nil {
				return err
			}
		}
	}
	for _, g := range l.Groups {
		if g.I < 0 || g.I >= len(t.set.groups) {
			return fmt.Errorf("group %d: the header has %d", g.I, len(t.set.groups))
		}
		t.set.groups[g.I].merge(g.groupCount)
	}
	for _, o := range l.OverRange {
		cell, _, err := t.shape.cellOf(o.Tag)
		if err != nil {
			return err
		}
		if t.set.hists[cell] == nil {
			t.set.hists[cell] = &Hist{}
		}
		t.set.hists[cell].over += o.Count
	}
	for _, row := range l.NewErrors {
		if row.ID != len(t.errors) {
			return fmt.Errorf("error %d comes after %d others", row.ID, len(t.errors))
		}
		t.errors = append(t.errors, row)
	}
	for _, e := range l.Errors {
		if e.ID < 0 || e.ID >= len(t.errors) {
			return fmt.Errorf("error %d: only %d are known", e.ID, len(t.errors))
		}
		t.errors[e.ID].count += e.Count
	}
	return nil
}

func addSeries(to *set, l *seriesLine) error {
	if l.I < 0 || l.I >= len(to.series) {
		return fmt.Errorf("series %d: the header has %d", l.I, len(to.series))
	}
	c := seriesCount{bytesOut: l.BytesOut, bytesIn: l.BytesIn, fresh: l.Fresh, reused: l.Reused, unsent: l.Unsent, renewed: l.Renewed}
	if s := l.Server; s != nil {
		c.server = serverCount{cold: s.Cold, warm: s.Warm, memory: s.Memory}
		if s.Instances != nil {
			c.server.instances = *s.Instances
		}
	}
	for _, b := range l.Bill {
		if err := c.bill.add(b); err != nil {
			return fmt.Errorf("series %d: %w", l.I, err)
		}
	}
	for name, n := range l.Outcomes {
		o, ok := engine.ParseOutcome(name)
		if !ok {
			return fmt.Errorf("series %d: no outcome is named %q", l.I, name)
		}
		c.outcomes[o] = n
	}
	for name, n := range l.Statuses {
		status, err := strconv.Atoi(name)
		if name == "other" {
			status, err = otherStatus, nil
		}
		if err != nil {
			return fmt.Errorf("series %d: %q is not an HTTP status", l.I, name)
		}
		c.statuses.add(status, n)
	}
	to.series[l.I].merge(&c)
	return nil
}

// readHlog reads the histograms of the seconds that begin no later than until.
func (t *Totals) readHlog(r io.Reader, until time.Duration) error {
	var read, after int64
	torn, err := lines(r, func(n int, b []byte) error {
		l, ok, err := t.shape.parseHlog(b)
		switch {
		case err != nil:
			return err
		case !ok:
		case l.start > until:
			after++
		case l.warmup:
			read++
		default:
			read++
			h := t.set.hists[l.cell]
			if h == nil {
				h = &Hist{}
				t.set.hists[l.cell] = h
			}
			h.Merge(l.hist)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if torn > 0 {
		t.note("%s: its last line was cut off; %d bytes of it are left out", SeriesFile, torn)
	}
	if after > 0 {
		t.note("%s: %d histograms are of a second that %s does not have, and are left out", SeriesFile, after, CountsFile)
	}
	if read != t.last.Histograms {
		t.note("%s: it has %d of the %d histograms that %s says were written: percentiles are of a part of the results", SeriesFile, read, t.last.Histograms, CountsFile)
	}
	return nil
}
