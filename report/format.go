package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// micros returns a time in µs with three significant digits, in the unit that
// fits: 412µs, 41.2ms, 1.04s, 3600s.
func micros(us int64) string {
	switch {
	case us < 1000:
		return strconv.FormatInt(us, 10) + "µs"
	case us < 999_500:
		return digits(float64(us)/1e3) + "ms"
	}
	return digits(float64(us)/1e6) + "s"
}

// digits returns x, at least 1 or 0, with three significant digits.
func digits(x float64) string {
	switch {
	case x < 9.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 99.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// seconds returns a time in seconds: 59.8s, 1m, 1h30s.
func seconds(s float64) string {
	if s == 0 {
		return "0s"
	}
	if s < 60 {
		return micros(int64(math.Round(s * 1e6)))
	}
	whole := int64(math.Round(s))
	var b strings.Builder
	for _, unit := range []struct {
		name string
		of   int64
	}{{"h", 3600}, {"m", 60}, {"s", 1}} {
		if n := whole / unit.of; n > 0 {
			b.WriteString(strconv.FormatInt(n, 10) + unit.name)
			whole %= unit.of
		}
	}
	return b.String()
}

// count returns n with its thousands set apart.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

// short returns n in at most nine columns: 9,999,999, or 123.4M.
func short(n int64) string {
	for _, unit := range []struct {
		name string
		of   float64
	}{{"M", 1e6}, {"G", 1e9}, {"T", 1e12}} {
		if x := float64(n) / unit.of; n >= 10_000_000 && x < 99_999 {
			return trim(x, 1) + unit.name
		}
	}
	if n >= 10_000_000 {
		return strconv.FormatFloat(float64(n), 'e', 1, 64)
	}
	return count(n)
}

// plural returns a count and its noun: 1 result, 2 results.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// rate returns a number per second.
func rate(x float64) string {
	switch {
	case x >= 999.95:
		return count(int64(math.Round(x))) + "/s"
	case x >= 99.995:
		return trim(x, 1) + "/s"
	}
	return trim(x, 2) + "/s"
}

// trim returns x with at most n decimals, and without zeros at their end.
func trim(x float64, n int) string {
	s := strconv.FormatFloat(x, 'f', n, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// share returns n of total in percent. What is not none is not shown as 0, and
// what is not all is not shown as 100.
func share(n, total int64) string {
	if total == 0 {
		return "-"
	}
	return percent(float64(n) / float64(total))
}

func percent(x float64) string {
	x *= 100
	switch {
	case x > 0 && x < 0.005:
		return "<0.01%"
	case x < 100 && x > 99.994:
		return ">99.99%"
	case x >= 9.995:
		return trim(x, 1) + "%"
	}
	return trim(x, 2) + "%"
}

// clean returns text that came from outside without what could move a
// terminal's cursor or hide in it: all that is not printable is escaped.
func clean(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		return s
	}
	var b strings.Builder
	for rest := s; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, rest[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
		rest = rest[n:]
	}
	return b.String()
}

// runeWidth returns the columns that a printable rune takes in a terminal:
// two for what Unicode's East Asian Width calls wide, none for marks that
// stand above or below another.
func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && (r <= 0x115f || // Hangul Jamo
		r >= 0x2e80 && r <= 0x303e || r >= 0x3041 && r <= 0xa4cf || // CJK, kana, Yi
		r >= 0xac00 && r <= 0xd7a3 || // Hangul
		r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f ||
		r >= 0xff01 && r <= 0xff60 || r >= 0xffe0 && r <= 0xffe6 || // full width forms
		r >= 0x1f300 && r <= 0x1f64f || r >= 0x1f680 && r <= 0x1f6ff || r >= 0x1f900 && r <= 0x1faff || // pictures
		r >= 0x20000 && r <= 0x3fffd):
		return 2
	}
	return 1
}

// width returns the columns that s takes. Our own colours take none.
func width(s string) int {
	n, color := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			color = true
		case color:
			color = r != 'm'
		default:
			n += runeWidth(r)
		}
	}
	return n
}

// fit returns s in at most n columns, with … in place of what is cut off.
func fit(s string, n int) string {
	if width(s) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	used := 0
	for at, r := range s {
		if used+runeWidth(r) > n-1 {
			return s[:at] + "…"
		}
		used += runeWidth(r)
	}
	return s
}

// left returns s in exactly n columns, or more when it is longer.
func left(s string, n int) string { return s + strings.Repeat(" ", max(0, n-width(s))) }

// right is left, with the spaces before.
func right(s string, n int) string { return strings.Repeat(" ", max(0, n-width(s))) + s }
