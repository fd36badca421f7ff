//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// A judge holds figures against their bars, and remembers what it said.
type judge struct {
	slack  float64 // at least 1: how much worse than its bar a figure may be
	lines  []string
	missed int
	wrong  []string // what no machine can excuse: requests lost, or counted twice
}

// A figure is what is held against a bar.
type figure struct {
	what   string
	values []float64 // of the rounds; their median is judged
	unit   string    // after each number, with its space if it needs one
}

// atLeast wants f to reach bar. What must be high is eased by division.
func (j *judge) atLeast(f figure, bar float64) {
	eased := bar / j.slack
	j.say(f, median(f.values) >= eased, ">=", bar, eased)
}

// atMost wants f not to pass bar. What must be low is eased by multiplication.
func (j *judge) atMost(f figure, bar float64) {
	eased := bar * j.slack
	j.say(f, median(f.values) <= eased, "<=", bar, eased)
}

// miss misses a bar for which there is no figure.
func (j *judge) miss(what, why string) {
	j.missed++
	j.lines = append(j.lines, fmt.Sprintf("  %-6s  %-46s %s", "MISSED", what, why))
}

func (j *judge) say(f figure, ok bool, sign string, bar, eased float64) {
	word := "met"
	if !ok {
		word = "MISSED"
		j.missed++
	}
	value := number(median(f.values)) + f.unit
	if len(f.values) > 1 {
		value += fmt.Sprintf(" (%s-%s)", number(slices.Min(f.values)), number(slices.Max(f.values)))
	}
	wanted := fmt.Sprintf("%s %s%s", sign, number(bar), f.unit)
	if eased != bar {
		wanted += fmt.Sprintf(", eased to %s", number(eased))
	}
	j.lines = append(j.lines, fmt.Sprintf("  %-6s  %-46s %-26s wanted %s", word, f.what, value, wanted))
}

// honest fails the whole program where a count does not agree: no slack and no
// noise makes up for it.
func (j *judge) honest(ok bool, format string, args ...any) {
	if !ok {
		j.wrong = append(j.wrong, fmt.Sprintf(format, args...))
	}
}

// take returns what was said since it was last asked.
func (j *judge) take() string {
	said := strings.Join(j.lines, "\n")
	j.lines = nil
	return said
}

// tabulate sets rows of cells under each other: the first of each to the left,
// the others to the right.
func tabulate(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		b.WriteString("  " + row[0] + strings.Repeat(" ", widths[0]-utf8.RuneCountInString(row[0])))
		for i, cell := range row[1:] {
			b.WriteString(strings.Repeat(" ", 2+widths[i+1]-utf8.RuneCountInString(cell)) + cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// number writes x with three figures that matter, or all of its whole ones.
func number(x float64) string {
	switch a := math.Abs(x); {
	case a >= 1000:
		return thousands(int64(math.Round(x)))
	case a >= 100:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.2f", x), ".00")
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	s := fmt.Sprint(max(n, -n))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n < 0 {
		s = "-" + s
	}
	return s
}
