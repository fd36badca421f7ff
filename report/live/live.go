// Package live shows how far a run is while it lasts: a bar on a terminal,
// else a line now and then. It looks at the run; nobody waits for it.
package live

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"golang.org/x/term"
)

// A Phase is a part of a run.
type Phase uint8

// The phases.
const (
	Running   Phase = iota // the load is on
	WarmingUp              // what is sent now is not measured
	Finishing              // nothing more is sent; what is under way may finish
)

// A Snapshot is how a run stands.
type Snapshot struct {
	Phase    Phase
	Elapsed  time.Duration // since the phase began; of Finishing: since the load began
	Total    time.Duration // how long it will take; 0: not known
	Done     int64         // iterations or rows that have ended
	All      int64         // how many there will be; 0: not known
	What     string        // what Done counts; "" for iterations
	Rate     float64       // invocations per second, of late
	InFlight int           // iterations under way
	Results  int64         // of invocations
	Failed   int64         // of these
	P99      time.Duration // of response, so far; 0: no results yet
	Stopped  bool          // the run is cut short: the bar stays where it is
}

// fraction returns how much of the phase is done, from 0 to 1; ok is false
// when nobody knows. Where time and count both end it, the one nearer to its
// end is told.
func (s Snapshot) fraction() (f float64, ok bool) {
	if s.Total > 0 {
		f, ok = float64(s.Elapsed)/float64(s.Total), true
	}
	if s.All > 0 {
		f, ok = max(f, float64(s.Done)/float64(s.All)), true
	}
	return min(max(f, 0), 1), ok
}

// Options says where and how to show progress. Out is required.
type Options struct {
	Out    io.Writer
	Bars   bool          // draw on Out, which is a terminal; else write a line now and then
	Colour bool          // of the bar
	Width  int           // in columns, where Out cannot tell; 0: 80
	Every  time.Duration // between lines; 0: 10 s
}

const (
	refresh = time.Second / 5
	every   = 10 * time.Second
)

// Progress is what is shown of one run. Stop must be called.
type Progress struct {
	o        Options
	snapshot func() Snapshot
	bars     *mpb.Progress // nil: lines
	bar      *mpb.Bar
	frame    *frame

	stop chan struct{}
	once sync.Once
	all  sync.WaitGroup
	mu   sync.Mutex // guards writing of lines
}

// Start begins to show what snapshot returns, which must not block. It is
// asked five times a second for a bar, else once for each line, and never
// after Stop.
func Start(o Options, snapshot func() Snapshot) *Progress {
	p := &Progress{o: o, snapshot: snapshot, stop: make(chan struct{})}
	if p.o.Every <= 0 {
		p.o.Every = every
	}
	if !o.Bars || sizeless(o.Out) {
		p.all.Go(p.lines)
		return p
	}
	p.frame = &frame{snapshot: snapshot, paint: painter(o.Colour)}
	p.bars = mpb.New(mpb.WithOutput(o.Out), mpb.WithWidth(o.Width), mpb.WithRefreshRate(refresh), mpb.WithAutoRefresh())
	p.bar = p.frame.add(p.bars)
	return p
}

// sizeless reports whether out is a terminal that does not know its size, as
// serial consoles do not: there is no telling where a bar would end.
func sizeless(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false
	}
	width, height, err := term.GetSize(int(f.Fd()))
	return err != nil || width <= 0 || height <= 0
}

// Stop shows how the run stands at its end and waits until all is written. The
// cursor is left at the start of a line. Calls after the first do nothing.
func (p *Progress) Stop() {
	p.once.Do(func() {
		if p.bars == nil {
			close(p.stop)
			p.all.Wait()
			return
		}
		p.frame.over.Store(true)
		p.bar.Abort(false)
		p.bars.Wait()
	})
}

// Write writes whole lines to where progress is shown, above the bar. It may
// be called until Stop, and after it, too.
func (p *Progress) Write(text []byte) (int, error) {
	if p.bars != nil {
		// A terminal that shows ^C has moved the cursor, and the bar is cleared
		// from there on only: what is left of it has to be written over.
		n, err := p.bars.Write(append([]byte{'\r'}, text...))
		if !errors.Is(err, mpb.ErrDone) {
			return max(0, n-1), err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.o.Out.Write(text)
}

// lines writes a line now and then until stop is closed; and, when there were
// any, a last one.
func (p *Progress) lines() {
	tick := time.NewTicker(p.o.Every)
	defer tick.Stop()
	any := false
	for {
		select {
		case <-tick.C:
			any = true
			fmt.Fprintln(p, line(p.snapshot(), false)) //nolint:errcheck // nobody could be told
		case <-p.stop:
			if any {
				fmt.Fprintln(p, line(p.snapshot(), true)) //nolint:errcheck // nobody could be told
			}
			return
		}
	}
}
