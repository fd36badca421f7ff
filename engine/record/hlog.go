package record

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hlogHead returns the first lines of an HdrHistogram log, version 1.3. Start
// and base time are the same, with milliseconds, and every line's time counts
// from there: readers that know only one of the two agree. The library's
// writer would cut both to whole seconds.
func hlogHead(start time.Time) []byte {
	at := float64(start.UnixMilli()) / 1000
	return fmt.Appendf(nil, "#[Histogram log format version 1.3]\n"+
		"#[StartTime: %.3f (seconds since epoch), %s]\n"+
		"#[BaseTime: %.3f (seconds since epoch)]\n"+
		"#[Values are in microseconds, Interval_Max in milliseconds; a straggler value is a ratio in thousandths]\n"+
		"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
		at, start.UTC().Format(time.RFC3339), at)
}

// A tag names a histogram in the log. It has no spaces, commas or line breaks.
func (s *shape) tag(cell int, warmup bool) string {
	owner, m, c := s.split(cell)
	var b strings.Builder
	part := func(key, value string) {
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		b.WriteString(key + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20"))
	}
	switch {
	case owner < len(s.series):
		k := s.series[owner]
		kind := "invocation"
		if k.Attempts {
			kind = "attempt"
		}
		part("step", k.Step)
		part("method", k.Method)
		part("qualifier", k.Qualifier)
		part("arm", k.Arm)
		part("kind", kind)
	case owner < s.run():
		owner -= len(s.series)
		part("step", s.groups[owner].Step)
		part("kind", "group")
	default:
		owner = 0
		part("step", "")
		part("kind", "run")
	}
	part("time", m.String())
	part("class", c.String())
	if warmup {
		part("phase", "warmup")
	}
	part("id", strconv.Itoa(owner))
	return b.String()
}

// cellOf is the inverse of tag.
func (s *shape) cellOf(tag string) (cell int, warmup bool, err error) {
	parts := map[string]string{}
	for part := range strings.SplitSeq(tag, ";") {
		key, value, _ := strings.Cut(part, "=")
		parts[key] = value
	}
	owner, err := strconv.Atoi(parts["id"])
	limit := 1
	switch parts["kind"] {
	case "invocation", "attempt":
		limit = len(s.series)
	case "group":
		limit = len(s.groups)
	case "run":
	default:
		return 0, false, fmt.Errorf("tag %q: kind %q is none of invocation, attempt, group, run", tag, parts["kind"])
	}
	if err != nil || owner < 0 || owner >= limit {
		return 0, false, fmt.Errorf("tag %q: id %q is not a whole number from 0 to %d", tag, parts["id"], limit-1)
	}
	switch parts["kind"] {
	case "group":
		owner = s.group(owner)
	case "run":
		owner = s.run()
	}
	m, known := measureOf(parts["time"])
	for _, c := range []Class{Success, Failure} {
		if known && c.String() == parts["class"] {
			return s.cell(owner, m, c), parts["phase"] == "warmup", nil
		}
	}
	return 0, false, fmt.Errorf("tag %q: no time %q of class %q is known", tag, parts["time"], parts["class"])
}

// appendHlog appends a line for every histogram of the set, and calls rest after
// each.
func (e *encoder) appendHlog(to []byte, sh *shape, s *set, warmup bool, start, length time.Duration, rest func()) []byte {
	for _, cell := range slices.Sorted(maps.Keys(s.hists)) {
		h := s.hists[cell]
		to = fmt.Appendf(to, "Tag=%s,%.3f,%.3f,%.3f,", sh.tag(cell, warmup),
			start.Seconds(), length.Seconds(), float64(h.Max())/1000)
		to = append(e.encode(to, h), '\n')
		rest()
	}
	return to
}

// An hlogLine is one histogram of a log.
type hlogLine struct {
	start  time.Duration
	cell   int
	warmup bool
	hist   *Hist
}

// parseHlog reads one line, without its line break; ok is false for comments
// and the legend.
func (s *shape) parseHlog(line []byte) (l hlogLine, ok bool, err error) {
	if len(line) == 0 || line[0] == '#' || line[0] == '"' {
		return l, false, nil
	}
	fields := bytes.Split(line, []byte(","))
	if len(fields) != 5 || !bytes.HasPrefix(fields[0], []byte("Tag=")) {
		return l, false, fmt.Errorf("%d fields, want 5 with a tag first", len(fields))
	}
	l.cell, l.warmup, err = s.cellOf(string(fields[0][len("Tag="):]))
	if err != nil {
		return l, false, err
	}
	seconds, err := strconv.ParseFloat(string(fields[1]), 64)
	if err != nil {
		return l, false, fmt.Errorf("start %q is not a number of seconds", fields[1])
	}
	l.start = time.Duration(seconds*1000+0.5) * time.Millisecond
	maxMS, err := strconv.ParseFloat(string(fields[3]), 64)
	if err != nil {
		return l, false, fmt.Errorf("maximum %q is not a number of milliseconds", fields[3])
	}
	l.hist, err = decode(fields[4], int64(math.Round(maxMS*1000)))
	return l, err == nil, err
}
