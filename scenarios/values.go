package scenarios

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Duration is a time span, written as Go does: 1m30s.
type Duration time.Duration

func (v Duration) String() string { return shortDuration(time.Duration(v)) }

// shortDuration writes 1m30s and 2m, not 2m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// A Rate is so many a second, written N/s, N/m or N/h.
type Rate float64

func (v Rate) String() string {
	for _, u := range [...]struct {
		name string
		n    float64
	}{{"s", 1}, {"m", 60}, {"h", 3600}} {
		if v := float64(v) * u.n; v >= 1 && math.Abs(v-math.Round(v)) < 1e-9*v {
			return strconv.FormatFloat(math.Round(v), 'f', -1, 64) + "/" + u.name
		}
	}
	return strconv.FormatFloat(float64(v), 'f', -1, 64) + "/s"
}

// A Level is how much load there is: a rate, or a number of workers. One of the
// two is set, and neither where what was written is wrong.
type Level struct {
	Rate    *Rate // open: iterations per second
	Workers *int  // closed: callers, from 0 to MaxWorkers
}

func (v Level) String() string {
	switch {
	case v.Rate != nil:
		return v.Rate.String()
	case v.Workers != nil:
		return strconv.Itoa(*v.Workers)
	}
	return ""
}

// kind is what sort of level it is, in words.
func (v Level) kind() string {
	if v.Rate != nil {
		return "a rate"
	}
	return "a number of workers"
}

// number is the level as a profile has it.
func (v Level) number() float64 {
	switch {
	case v.Rate != nil:
		return float64(*v.Rate)
	case v.Workers != nil:
		return float64(*v.Workers)
	}
	return 0
}

// A Size is a number of bytes, written 6MiB or 500KB.
type Size int64

func (v Size) String() string {
	for i, u := range [...]string{"GiB", "MiB", "KiB"} {
		if n := int64(1) << (30 - 10*i); int64(v) >= n && int64(v)%n == 0 {
			return strconv.FormatInt(int64(v)/n, 10) + u
		}
	}
	return strconv.FormatInt(int64(v), 10) + "B"
}

// A Share is a part of a whole, from 0 to 1, written 0.1%.
type Share float64

func (v Share) String() string {
	s := strconv.FormatFloat(float64(v)*100, 'f', 12, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".") + "%"
}

// A Span is a duration, or a range of them from which one is drawn.
type Span struct{ Min, Max Duration }

func (v Span) String() string {
	if v.Min == v.Max {
		return v.Min.String()
	}
	return v.Min.String() + "-" + v.Max.String()
}

// A Latency is a constant, or a log-normal distribution by two of its quantiles.
type Latency struct {
	P50 Duration `yaml:"p50"` // Half of all requests take longer.
	P99 Duration `yaml:"p99"` // One in a hundred takes longer.
}

// A Choice of a number or a word is 0 for the word.
type (
	// AutoInt is a number, or `auto`, which is 0.
	AutoInt int
	// AdaptiveInt is a number, or `adaptive`, which is 0.
	AdaptiveInt int
)

// A major version of one of the vendor's libraries, as a text or as a number.
type (
	// WebSDKVersion is 3, 2 or 1.
	WebSDKVersion string
	// NodeSDKVersion is 3 or 2.
	NodeSDKVersion string
)

// A Text is a text in which ${{ expressions }} may stand.
type Text string

// An Expr is an expression, with or without ${{ }} around it.
type Expr string

// A Value is any value, in whose texts ${{ expressions }} may stand.
type Value struct {
	Tree any // as payload.CompileTemplate takes it
}

// A Line is a header field or a query parameter.
type Line struct {
	Name   string
	Value  Text
	Secret bool
	ref    string // how a secret value stands in the file
}

// Headers are header fields in the order of the file. Those that carry secrets
// must have them as ${NAME}.
type Headers []Line

// Query are query parameters in the order of the file.
type Query []Line

// Saves are the values that a step takes out of its reply, in the order of the file.
type Saves []SaveLine

// A SaveLine is one of them.
type SaveLine struct {
	Name string
	From Expr
}

// Files are one or more files, or patterns of their names.
type Files []string

// Limits on values, beside those that the tags of the types hold. Whoever needs more has probably mistyped.
const (
	MaxRate       = 10_000_000 // per second
	MaxWorkers    = 100_000
	MaxIterations = 1_000_000_000_000
	MaxSteps      = 1_000
	MaxMembers    = 10_000
	MaxThresholds = 1_000
	MaxDuration   = 10_000 * time.Hour // more than a year
)

// resolve says what a plain scalar is, by the core schema of YAML 1.2
// (section 10.3.2): nil, bool, int64, uint64, float64 or string.
func resolve(text string) any {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return math.Inf(1)
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1)
	}
	if c := text[0]; c != '+' && c != '-' && c != '.' && (c < '0' || c > '9') {
		return text
	}
	if rest, ok := strings.CutPrefix(text, "0x"); ok {
		if u, err := strconv.ParseUint(rest, 16, 64); err == nil {
			return u
		}
		return text
	}
	if rest, ok := strings.CutPrefix(text, "0o"); ok {
		if u, err := strconv.ParseUint(rest, 8, 64); err == nil {
			return u
		}
		return text
	}
	digits := strings.TrimLeft(text, "+-")
	if len(text)-len(digits) > 1 {
		return text
	}
	if strings.Trim(digits, "0123456789") == "" && digits != "" {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return i
		}
		if u, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 64); err == nil {
			return u
		}
	}
	if strings.Trim(text, "0123456789.eE+-") == "" {
		if f, err := strconv.ParseFloat(text, 64); err == nil || errors.Is(err, strconv.ErrRange) {
			return f
		}
	}
	return text
}

// isNumber reports whether a plain scalar is a number.
func isNumber(text string) bool {
	switch resolve(text).(type) {
	case int64, uint64, float64:
		return true
	}
	return false
}

// whole reads a whole number; one that no int64 holds is the one next to it.
func whole(text string) (n int64, ok bool) {
	switch x := resolve(text).(type) {
	case int64:
		return x, true
	case uint64:
		return int64(min(x, math.MaxInt64)), true
	case float64:
		if digits := strings.TrimLeft(text, "+-"); strings.Trim(digits, "0123456789") == "" { // more of them than an integer holds
			if x < 0 {
				return math.MinInt64, true
			}
			return math.MaxInt64, true
		}
	}
	return 0, false
}

// A problem is what is wrong with a text, and what to write instead.
type problem struct{ what, fix string }

// parseDuration reads a duration as Go does.
func parseDuration(s string) (time.Duration, *problem) {
	const generic = "write a duration such as 500ms, 10s or 1m30s"
	if isNumber(s) && s != "" {
		fix := generic
		if unsigned(s) {
			fix = fmt.Sprintf("write %ss or %sms", s, s)
		}
		return 0, &problem{fmt.Sprintf("%s has no unit", quote(s)), fix}
	}
	d, err := time.ParseDuration(s)
	if err == nil {
		if d > MaxDuration || d < -MaxDuration {
			return 0, &problem{fmt.Sprintf("%s is too long", quote(s)), "stay within " + shortDuration(MaxDuration)}
		}
		return d, nil
	}
	meant := ""
	if m := regexp.MustCompile(`^([0-9]+) ?(d|days?|w|weeks?)$`).FindStringSubmatch(s); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 32)
		hours := n * 24
		if m[2][0] == 'w' {
			hours *= 7
		}
		if err == nil {
			meant = fmt.Sprintf("%dh", hours)
		}
	} else if m := regexp.MustCompile(`^([0-9.]+) ?(sec|secs|seconds?|min|mins|minutes?|hours?|hrs?|milliseconds?|msec|S|M|H|MS)$`).FindStringSubmatch(s); m != nil {
		unit := strings.ToLower(m[2])
		switch {
		case strings.HasPrefix(unit, "ms") || strings.HasPrefix(unit, "mil"):
			unit = "ms"
		default:
			unit = unit[:1]
		}
		meant = m[1] + unit
	}
	fix := generic
	if d, err := time.ParseDuration(meant); err == nil && d <= MaxDuration {
		fix = "write " + meant
	}
	return 0, &problem{fmt.Sprintf("%s is not a duration", quote(s)), fix}
}

// unsigned reports whether a text is a number of digits alone, with a point in
// it at most: one that a unit may follow.
func unsigned(s string) bool { return regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`).MatchString(s) }

// parseRate reads N/s, N/m or N/h.
func parseRate(s string) (float64, *problem) {
	number, unit, ok := strings.Cut(s, "/")
	n, err := strconv.ParseFloat(number, 64)
	plain := unsigned(number)
	switch {
	case !ok && plain:
		return 0, &problem{fmt.Sprintf("%s is not a rate: it has no unit", quote(s)), fmt.Sprintf("write %s/s or %s/m", s, s)}
	case err != nil || !plain:
		return 0, &problem{fmt.Sprintf("%s is not a rate", quote(s)), "write a number and a unit, such as 200/s or 12000/m"}
	}
	switch unit {
	case "s":
	case "m":
		n /= 60
	case "h":
		n /= 3600
	default:
		near := "s"
		if unit != "" && strings.Contains("mh", unit[:1]) {
			near = unit[:1]
		}
		return 0, &problem{fmt.Sprintf("%s is not a rate", quote(s)), "write " + number + "/" + near + "; the units are s, m and h"}
	}
	if n > MaxRate {
		return 0, &problem{fmt.Sprintf("%s is above %d/s", quote(s), MaxRate), fmt.Sprintf("stay within %d/s", MaxRate)}
	}
	return n, nil
}

// parseLevel reads a rate, or a plain whole number: so many workers.
func parseLevel(s string) (Level, *problem) {
	if !isNumber(s) {
		r, p := parseRate(s)
		switch {
		case p == nil:
			return Level{Rate: new(Rate(r))}, nil
		case strings.Contains(s, "/"):
			return Level{}, p
		}
		return Level{}, &problem{fmt.Sprintf("%s is neither a rate nor a number of workers", quote(s)), "write a rate such as 200/s (open), or a whole number of workers such as 50 (closed)"}
	}
	orRate := ""
	if _, p := parseRate(s + "/s"); p == nil {
		orRate = fmt.Sprintf(", or %s/s for a rate", s)
	}
	n, ok := whole(s)
	switch {
	case !ok:
		return Level{}, &problem{fmt.Sprintf("%s is not a whole number of workers", quote(s)), "write a whole number such as 50 for workers" + orRate}
	case n < 0:
		return Level{}, &problem{fmt.Sprintf("%s is too small for a number of workers", quote(s)), "write 0 or more"}
	case n > MaxWorkers:
		return Level{}, &problem{fmt.Sprintf("%s is too large for a number of workers", quote(s)), fmt.Sprintf("write %d or less", MaxWorkers) + orRate}
	}
	return Level{Workers: new(int(n))}, nil
}

// parseSize reads 6MiB, 500KB or 100B.
func parseSize(s string) (int64, *problem) {
	bad := &problem{fmt.Sprintf("%s is not a size", quote(s)), "write a number and a unit, such as 6MiB, 500KB or 100B"}
	m := regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(B|KB|MB|GB|KiB|MiB|GiB)$`).FindStringSubmatch(s)
	if m == nil {
		if unsigned(s) {
			bad.what, bad.fix = fmt.Sprintf("%s has no unit", quote(s)), fmt.Sprintf("write %sB or %sMiB", s, s)
		}
		return 0, bad
	}
	unit := map[string]float64{"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[m[2]]
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil || n*unit > 1<<40 {
		return 0, &problem{fmt.Sprintf("%s is too large", quote(s)), "stay within 1024GiB"}
	}
	return int64(n * unit), nil
}

// parseShare reads 0.1%. Zero needs no sign.
func parseShare(s string) (float64, *problem) {
	if s == "0" {
		return 0, nil
	}
	number, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(number, 64)
	switch {
	case !ok && unsigned(s) && n <= 100:
		return 0, &problem{fmt.Sprintf("%s is not a share: it has no %%", quote(s)), "write " + s + "%"}
	case err != nil || !ok || math.IsNaN(n):
		return 0, &problem{fmt.Sprintf("%s is not a share", quote(s)), "write a percentage such as 0.1%"}
	case n < 0 || n > 100:
		return 0, &problem{fmt.Sprintf("%s is not from 0%% to 100%%", quote(s)), "write a percentage such as 0.1%"}
	}
	return n / 100, nil
}

// parseSpan reads 100ms-300ms, or one duration.
func parseSpan(s string) (Span, *problem) {
	low, high, ranged := strings.Cut(s, "-")
	if !ranged || low == "" {
		d, p := parseDuration(s)
		return Span{Duration(d), Duration(d)}, p
	}
	a, p := parseDuration(strings.TrimSpace(low))
	if p != nil {
		return Span{}, p
	}
	b, p := parseDuration(strings.TrimSpace(high))
	if p != nil {
		return Span{}, p
	}
	if b < a {
		return Span{}, &problem{fmt.Sprintf("%s ends before it begins", quote(s)), fmt.Sprintf("write %s-%s", strings.TrimSpace(high), strings.TrimSpace(low))}
	}
	return Span{Duration(a), Duration(b)}, nil
}
