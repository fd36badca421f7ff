package live

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// line returns how a run stands in one plain line.
func line(s Snapshot, over bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "volley: %s", label(s, over))
	at := s.Elapsed.Round(time.Second)
	switch {
	case over || s.Phase == Finishing:
		fmt.Fprintf(&b, " after %v", at)
	case s.Total > 0:
		fmt.Fprintf(&b, " %v of %v", at, s.Total.Round(time.Second))
	default:
		fmt.Fprintf(&b, " %v", at)
	}
	what := s.What
	if what == "" {
		what = "iterations"
	}
	fmt.Fprintf(&b, ": %s", count(s.Done))
	if s.All > 0 {
		fmt.Fprintf(&b, " of %s", count(s.All))
	}
	fmt.Fprintf(&b, " %s, %s/s", what, rate(s.Rate))
	if s.Phase != Finishing && !over {
		fmt.Fprintf(&b, ", %s in flight", count(int64(s.InFlight)))
	}
	if s.P99 > 0 {
		fmt.Fprintf(&b, ", p99 %s", latency(s.P99))
	}
	if s.Results > 0 {
		fmt.Fprintf(&b, ", failed %s", share(s.Failed, s.Results))
	}
	return b.String()
}

// label names the phase, or the end.
func label(s Snapshot, over bool) string {
	switch {
	case over && s.Stopped:
		return "stopped"
	case over:
		return "done"
	case s.Phase == Finishing:
		return "finishing " + count(int64(s.InFlight)) + " in flight"
	case s.Phase == WarmingUp:
		return "warming up"
	}
	return "running"
}

// count returns n in at most six columns: 9,999 or 12.3k.
func count(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	if n < 10000 {
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	x := float64(n) / 1e3
	for _, unit := range []string{"k", "M", "G", "T"} {
		if x < 999.5 {
			return digits(x) + unit
		}
		x /= 1e3
	}
	return digits(x) + "P"
}

// digits returns x, at least 1 and below 1000, with three significant digits.
func digits(x float64) string {
	switch {
	case x < 9.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 99.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// rate returns a number per second: with a digit after the point where it is
// small, since 0.5/s is not 0/s.
func rate(r float64) string {
	if r < 9.95 && r != math.Trunc(r) {
		return strconv.FormatFloat(r, 'f', 1, 64)
	}
	return count(int64(math.Round(r)))
}

// latency returns a time with three significant digits. There is no µ in it,
// whose width terminals do not agree on.
func latency(d time.Duration) string {
	us := float64(d) / 1e3
	switch {
	case us < 999.5:
		return strconv.FormatFloat(us, 'f', 0, 64) + "us"
	case us < 999_500:
		return digits(us/1e3) + "ms"
	case us < 999_500_000:
		return digits(us/1e6) + "s"
	}
	return strconv.FormatFloat(us/1e6, 'f', 0, 64) + "s"
}

// share returns part ÷ whole in per cent. What is not nothing never looks like
// nothing, and what is not all never looks like all.
func share(part, whole int64) string {
	switch p := float64(part) / float64(whole) * 100; {
	case part == 0:
		return "0%"
	case part >= whole:
		return "100%"
	case p < 0.1:
		return "<0.1%"
	case p > 99.9:
		return ">99.9%"
	default:
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	}
}

// clock returns a time as on a clock: 1:05, or 1:00:00.
func clock(d time.Duration) string {
	s := int64(d / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
