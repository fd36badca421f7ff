package live

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	leastBar = 10  // columns; with fewer there is none
	mostBar  = 40  // a longer one says no more
	parts    = 1e4 // of the whole bar
)

// A frame makes the bar's line. mpb asks for its pieces one after the other:
// label, fields, bar. All of a line come from one snapshot, which is taken by
// the first.
type frame struct {
	snapshot func() Snapshot
	over     atomic.Bool
	paint    paint

	now      Snapshot
	last     bool
	fraction float64
	known    bool          // fraction means something
	kept     bool          // fraction and at stay as they were when the run was stopped
	at       time.Duration // of the phase
	widest   map[kind]int  // what each field took at most, so that nothing jumps
}

// add puts the bar into a container.
func (f *frame) add(p *mpb.Progress) *mpb.Bar {
	f.widest = map[kind]int{}
	style := mpb.BarStyle().FillerMeta(f.paint.bar).TipMeta(f.paint.bar).Build()
	fill := mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
		if s.AvailableWidth < leastBar || !f.known {
			return nil
		}
		s.AvailableWidth = min(s.AvailableWidth, mostBar)
		s.Total, s.Current, s.Completed = parts, int64(f.fraction*parts), f.fraction == 1
		return style.Fill(w, s)
	})
	// The bar's total is 0, so that only Stop ends it: what has been sent in
	// full may still be under way.
	return p.MustAdd(0, fill,
		mpb.PrependDecorators(f.decorator(f.begin)),
		mpb.AppendDecorators(f.decorator(f.fields)))
}

// begin takes the snapshot of a line, and returns its first piece.
func (f *frame) begin(int) (text string, width int) {
	f.last = f.over.Load()
	f.now = f.snapshot()
	if !f.kept {
		f.fraction, f.known = f.now.fraction()
		f.kept, f.at = f.now.Stopped, f.now.Elapsed
	}
	if f.last && f.known && !f.now.Stopped {
		f.fraction = 1 // the rows may have run out before the time
	}
	text = label(f.now, f.last)
	return f.paint.phase(text), len(text)
}

// A kind of field, in the order of importance: when the terminal is narrow,
// the last is left out first.
type kind uint8

const (
	failures kind = iota
	speed
	quantile
	flying
	progress
	whole
)

// A field is one number of the line. Its text is plain and its columns are its
// bytes.
type field struct {
	kind   kind
	text   string
	colour func(string) string
}

// list returns the fields of a line, from left to right.
func (f *frame) list() []field {
	s, same := f.now, func(s string) string { return s }
	var all []field
	add := func(k kind, text string, colour func(string) string) { all = append(all, field{k, text, colour}) }
	switch {
	case s.Total > 0 && s.All == 0:
		add(progress, clock(min(f.at, s.Total))+"/"+clock(s.Total), same)
	case s.All > 0:
		add(progress, count(s.Done)+"/"+count(s.All), same)
	default:
		add(progress, clock(f.at), same)
		add(whole, count(s.Done), same)
	}
	add(speed, rate(s.Rate)+"/s", same)
	if s.Phase != Finishing && !f.last {
		add(flying, count(int64(s.InFlight))+" in flight", same)
	}
	if s.P99 > 0 {
		add(quantile, "p99 "+latency(s.P99), same)
	}
	if s.Results > 0 {
		colour := same
		if s.Failed > 0 {
			colour = f.paint.alarm
		}
		add(failures, share(s.Failed, s.Results)+" failed", colour)
	}
	return all
}

// fields returns the numbers of a line, as many as fit beside a bar.
func (f *frame) fields(available int) (text string, width int) {
	const gap = 2
	room := available
	if f.known {
		room -= leastBar + 2 // and the spaces around it
	}
	all := f.list()
	for i := range all {
		f.widest[all[i].kind] = max(f.widest[all[i].kind], len(all[i].text))
	}
	take := map[kind]bool{}
	for k := failures; k <= whole; k++ {
		for _, one := range all {
			if need := f.widest[k] + gap; one.kind == k && need <= room {
				take[k] = true
				room -= need
			}
		}
	}
	for _, one := range all {
		if !take[one.kind] {
			continue
		}
		pad := f.widest[one.kind] - len(one.text)
		if width > 0 {
			pad += gap
		}
		for range pad {
			text += " "
		}
		text += one.colour(one.text)
		width += pad + len(one.text)
	}
	return text, width
}

// decorator makes a piece of the line of a function that knows how many
// columns are left. Unlike mpb's own it may be coloured: its width is told
// apart from its bytes.
func (f *frame) decorator(piece func(available int) (string, int)) decor.Decorator {
	d := decorator{piece: piece}
	d.Init()
	return d
}

type decorator struct {
	decor.WC
	piece func(available int) (string, int)
}

func (d decorator) Decor(s decor.Statistics) (string, int) { return d.piece(s.AvailableWidth) }

// A paint is how the line is coloured.
type paint struct{ bar, phase, alarm func(string) string }

func painter(colour bool) paint {
	in := func(code string) func(string) string {
		return func(s string) string {
			if !colour || s == "" {
				return s
			}
			return "\x1b[" + code + "m" + s + "\x1b[0m"
		}
	}
	return paint{bar: in("36"), phase: in("1"), alarm: in("31")}
}
