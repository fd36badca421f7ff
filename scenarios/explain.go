package scenarios

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"volley/engine"
	"volley/engine/pace"
	"volley/scenarios/dataset"
)

// Explain writes what a run of the scenario would fire: arrivals, invocations,
// data, targets, thresholds, and the scenario as it is resolved, in lines of at
// most 80 columns where the scenario's own are not longer. Errors are the
// writer's.
func Explain(c *Compiled, w io.Writer) error {
	var b strings.Builder
	p := &printer{b: &b}
	p.line("plan", "%s, seed %d", c.Plan.Name, c.Plan.Seed)
	f := c.forecast()
	c.explainLoad(p, f)
	c.explainInvocations(p, f)
	c.explainData(p)
	c.explainTargets(p)
	c.explainCost(p, f)
	for i, t := range c.Thresholds {
		label := ""
		if i == 0 {
			label = "thresholds"
		}
		p.line(label, "%s", t.Source)
	}
	b.WriteString("\n")
	b.Write(c.Resolved())
	_, err := io.WriteString(w, c.Mask(b.String()))
	return err
}

// A printer writes a column of labels and one of texts.
type printer struct{ b *strings.Builder }

const (
	labelWidth = 13
	lineWidth  = 80
)

// line writes one label with its text, wrapped between words.
func (p *printer) line(label, format string, args ...any) {
	fmt.Fprintf(p.b, "%-*s", labelWidth, label)
	used := labelWidth
	for i, word := range strings.Fields(fmt.Sprintf(format, args...)) {
		n := utf8.RuneCountInString(word)
		if i > 0 && used+1+n > lineWidth {
			p.b.WriteString("\n" + strings.Repeat(" ", labelWidth))
			used = labelWidth
		} else if i > 0 {
			p.b.WriteByte(' ')
			used++
		}
		p.b.WriteString(word)
		used += n
	}
	p.b.WriteByte('\n')
}

// A forecast is what a plan's load comes to.
type forecast struct {
	warmup, total int64         // iterations due in the warm-up, and after it
	first, last   time.Duration // from the end of the warm-up
	about         bool          // total was worked out and not counted
	known         bool          // total can be told before the run
}

// mostCounted bounds how many arrivals are counted one by one.
const mostCounted = 3_000_000

func (c *Compiled) forecast() (f forecast) {
	l := c.Plan.Load
	if l.Arrivals == nil {
		return forecast{total: l.Iterations, known: l.Iterations > 0}
	}
	if l.Level != nil && l.Level.Length() >= forever && l.Iterations == 0 {
		return f // it ends with the rows
	}
	f.known = true
	a := l.Arrivals()
	for n := range int64(mostCounted) {
		due, ok := a.Due(n)
		switch {
		case !ok:
			return f
		case due < l.Warmup:
			f.warmup++
			continue
		case f.total == 0:
			f.first = due - l.Warmup
		}
		f.total, f.last = f.total+1, due-l.Warmup
		if f.total == l.Iterations {
			return f
		}
	}
	f.about = true
	if l.Level != nil {
		f.total, f.last = int64(math.Round(l.Level.Area(l.Level.Length()))), l.Level.Length()
		f.warmup = int64(math.Round(l.Warmup.Seconds() * firstLevel(l.Level)))
	}
	if l.Iterations > 0 {
		f.total = min(f.total, l.Iterations)
	}
	return f
}

func (c *Compiled) explainLoad(p *printer, f forecast) {
	l, s := c.Plan.Load, c.Scenario.Load
	switch {
	case s == nil:
		p.line("load", "none: nothing says what `run` would fire")
		return
	case l.Crowd != nil && len(s.Stages) > 0:
		p.line("load", "closed: %d stages over %s, each worker waiting for its iteration%s", len(s.Stages), shortDuration(l.Crowd.Length()), until(s))
	case l.Crowd != nil:
		p.line("load", "closed: %s, each waiting for its iteration%s", plural(int64(*s.Workers), "worker"), until(s))
	case s.Replay != "":
		p.line("load", "open: arrivals recorded in %s%s", s.Replay, until(s))
	case len(s.Stages) > 0:
		p.line("load", "open: %d stages over %s, %s arrivals%s", len(s.Stages), shortDuration(l.Level.Length()), s.Arrivals, until(s))
	default:
		p.line("load", "open: %s, %s arrivals%s", s.Rate, s.Arrivals, until(s))
	}
	about := ""
	if f.about {
		about = "about "
	}
	switch {
	case f.known && l.Crowd != nil:
		p.line("iterations", "at most %d", f.total)
	case f.known:
		p.line("iterations", "%s%d, the first at %s, the last at %s", about, f.total, roundTime(f.first), roundTime(f.last))
	case c.Data != nil && c.Data.Order == dataset.Once:
		p.line("iterations", "one for each row")
	default:
		p.line("iterations", "as many as the functions let through")
	}
	if l.Warmup > 0 {
		if l.Arrivals != nil {
			p.line("warm-up", "%s before that, %d iterations, not counted", shortDuration(l.Warmup), f.warmup)
		} else {
			p.line("warm-up", "%s before that, not counted", shortDuration(l.Warmup))
		}
	}
	if l.Arrivals != nil {
		then := "is dropped and counted"
		if l.WaitWhenBusy {
			then = "waits"
		}
		p.line("", "at most %d at once: what is due beyond that %s", l.MaxInFlight, then)
	}
	if l.MaxRate > 0 {
		p.line("", "at most %s invocations, whatever the plan says", Rate(l.MaxRate))
	}
	switch {
	case l.Level != nil && l.Level.Length() < forever:
		curve(p.b, l.Level, Rate(math.Round(l.Level.Peak()*100)/100).String())
	case l.Crowd != nil && len(s.Stages) > 0:
		curve(p.b, l.Crowd, strconv.Itoa(int(l.Crowd.Peak())))
	}
}

// until says when the load ends.
func until(s *LoadSection) string {
	out := ""
	if s.For != nil {
		out += ", for " + s.For.String()
	}
	if s.Iterations != nil {
		out += fmt.Sprintf(", until %s", plural(int64(*s.Iterations), "iteration"))
	}
	return out
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func roundTime(d time.Duration) string {
	switch {
	case d >= time.Minute:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Second:
		d = d.Round(time.Millisecond)
	default:
		d = d.Round(time.Microsecond)
	}
	return shortDuration(d)
}

// curve draws the level over time; label is its peak.
func curve(b *strings.Builder, p pace.Profile, label string) {
	const columns, rows = 60, 6
	peak, length := p.Peak(), p.Length()
	for row := rows; row >= 1; row-- {
		left := ""
		if row == rows {
			left = label
		}
		line := make([]byte, columns)
		for x := range line {
			level, _ := p.Level(time.Duration((float64(x) + 0.5) / columns * float64(length)))
			line[x] = ' '
			if level/peak*rows >= float64(row)-0.5 {
				line[x] = '#'
			}
		}
		fmt.Fprintf(b, "%*s |%s\n", labelWidth-2, left, strings.TrimRight(string(line), " "))
	}
	end := shortDuration(length)
	fmt.Fprintf(b, "%*s +%s\n%*s0s%*s\n", labelWidth-2, "0", strings.Repeat("-", columns), labelWidth, "", columns-2, end)
}

// unbounded is a number of invocations that only the run knows.
const unbounded = -1

// invocations returns how many invocations steps make, if nothing fails.
func invocations(steps []engine.Step) (least, most int) {
	add := func(n int) {
		if most != unbounded {
			if most += n; n == unbounded {
				most = unbounded
			}
		}
	}
	for i := range steps {
		st := &steps[i]
		low, high := 0, 0
		switch {
		case st.Invoke != nil:
			low, high = 1, 1
		case st.Group != nil:
			low, high = invocations(st.Group.Members)
			if st.Group.Each != nil {
				low, high = 0, unbounded
			}
		case st.Pick != nil:
			low = math.MaxInt
			for _, ch := range st.Pick {
				l, h := invocations(ch.Steps)
				low = min(low, l)
				if high != unbounded && (h == unbounded || h > high) {
					high = h
				}
			}
		default:
			low, high = invocations(st.Sequence)
		}
		if st.When != nil {
			low = 0
		}
		least += low
		add(high)
	}
	return least, most
}

func (c *Compiled) explainInvocations(p *printer, f forecast) {
	least, most := invocations(c.Plan.Steps)
	text := spread(int64(least), int64(most)) + " in each iteration"
	if f.known && f.total < math.MaxInt64/int64(max(1, most)) {
		total := int64(most) * f.total
		if most == unbounded {
			total = unbounded
		}
		text += ", " + spread(int64(least)*f.total, total) + " in all"
		if c.Plan.Load.Crowd != nil {
			text += " at most"
		}
	}
	if retries(c.Plan) {
		text += ", retries not counted"
	}
	p.line("invocations", "%s; at most %d at once in an iteration", text, c.Plan.Parallel)
}

func retries(p *engine.Plan) bool {
	return slices.ContainsFunc(p.Series, func(k engine.SeriesKey) bool { return k.Attempts })
}

func spread(least, most int64) string {
	switch {
	case most == unbounded:
		return fmt.Sprintf("%d or more", least)
	case least == most:
		return strconv.FormatInt(least, 10)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

func (c *Compiled) explainData(p *printer) {
	if c.Data == nil {
		return
	}
	p.line("data", "%s, %s", strings.Join(c.Data.Files, ", "), c.Data.Order)
	s, err := dataset.Inspect(*c.Data)
	if err != nil {
		p.line("", "which cannot be read: %v", err)
		return
	}
	switch {
	case s.Counted:
		p.line("", "%d rows", s.Rows)
	case s.Rows > 0:
		p.line("", "%d rows and more", s.Rows)
	default:
		p.line("", "not looked at before the run")
	}
	if m, ok := s.First.(map[string]any); ok {
		keys := slices.Sorted(maps.Keys(m))
		if len(s.Columns) > 0 {
			keys = s.Columns
		}
		more := ""
		if len(keys) > 20 {
			keys, more = keys[:20], ", …"
		}
		p.line("", "the first has %s%s", strings.Join(keys, ", "), more)
	}
}
