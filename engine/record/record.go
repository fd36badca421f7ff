// Package record writes down what a run measures: histograms, counts, and the
// run folder.
//
// Callers hand in results; each counts them in a shard, and keeps their times
// there as they are. One collector takes that away five times a second, and is
// the only one that touches histograms. Every second it writes one histogram for every
// series and measure to series.hlog, and one line to counts.jsonl. These two
// are enough to make the report again, whatever ended the run.
//
// What a histogram of class ok or failed has in it are results that ran to an
// end of their own. A client timeout is one of them, with the time it took.
// Canceled and dropped results are counted among the outcomes and have no
// time. What was due in the warm-up is counted, and its response and service
// times are in series.hlog, tagged phase=warmup; it is in no other number.
package record

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"volley/engine"
)

const (
	ticksPerSecond = 5
	tick           = time.Second / ticksPerSecond

	// maxSeries bounds the series and groups of a plan together. A thousand
	// arms and steps are a mistake, not a comparison.
	maxSeries = 4096

	// stride is how long the collector works before it lets everybody else go on
	// for a moment, where nothing waits for it. The runtime itself would take the
	// processor away from it only after 10 ms: with one core, nothing would be sent
	// meanwhile.
	stride = 100 * time.Microsecond
	moment = time.Millisecond

	// patience is how long after a tick it does so at most: where there are
	// thousands of series, a second would not be written before the next is over.
	patience = tick

	// slowestEvery is how often slowest.jsonl is brought up to date during a run.
	slowestEvery = 10 * time.Second
)

// Options says what a Recorder records, and where to. Plan, Start and Tally
// are required.
type Options struct {
	Dir   string              // the run folder, which exists; "": nothing is kept on disk
	Plan  *engine.Plan        // what is run
	Start time.Time           // what all times of results count from
	Tally func() engine.Tally // how far the run has come; must be safe for concurrent use

	// OnSecond is called after every second, one call at a time, by the
	// collector's goroutine, and for the last, shorter one by Close. The next
	// second waits for it, results do not. It must not call Close. Nil: nobody
	// asks.
	OnSecond func(*Second)

	// Mask hides secrets in texts that came from outside and are kept: messages,
	// the start of replies, rows, curl lines. It must be safe for concurrent use.
	// Nil: there are none.
	Mask func(text string) string

	open func(path string) (file, error) // for tests that need failing disks
}

// A file is what is written to during a run.
type file interface {
	Write([]byte) (int, error)
	Close() error
}

// A Recorder writes down the results of one run. Close must be called.
type Recorder struct {
	o     Options
	shape *shape
	head  header
	cold  *cold
	seed  maphash.Seed // of the names of instances

	shards []*shard
	hired  atomic.Uint32 // calls of Shard so far
	snap   atomic.Pointer[Snapshot]
	err    atomic.Pointer[error]

	wake chan struct{}
	stop chan struct{}
	done chan struct{}

	mu       sync.Mutex // guards what follows, and comes before a shard's
	spare    [2]*gather // what the next shard to be emptied goes on with
	main     *gather
	warm     *gather
	dense    *hdr.Histogram // on the way from lists to sparse ones
	live     live
	relieved int64 // times that a caller had to empty a full shard

	instances instances

	// The collector's own.
	total     *set
	warmTotal *set
	second    int
	since     time.Duration // end of the last second that was written
	tallied   engine.Tally  // at that time
	encode    encoder
	hlog      file
	counts    file
	failures  file
	logged    int64         // histograms written so far
	slowAt    time.Duration // when slowest.jsonl was last written
	ticked    time.Time     // when it was last woken by the clock
	rested    time.Time     // when it last let everybody else go on
	closed    sync.Once
}

// Create returns a recorder for a run that starts at o.Start, creates its
// files in the run folder, and starts its collector, which Close ends.
func Create(o Options) (*Recorder, error) {
	if o.Plan == nil || o.Tally == nil || o.Start.IsZero() {
		return nil, errors.New("record: Options needs a Plan, a Start and a Tally")
	}
	if n := len(o.Plan.Series) + len(o.Plan.Groups); n > maxSeries {
		return nil, fmt.Errorf("record: the plan has %d series and groups, at most %d can be kept apart: use fewer steps, arms or qualifiers", n, maxSeries)
	}
	if o.open == nil {
		o.open = func(path string) (file, error) { return os.Create(path) }
	}
	sh := &shape{series: o.Plan.Series, groups: o.Plan.Groups}
	r := &Recorder{
		o: o, shape: sh, head: newHeader(o.Plan, o.Start),
		cold: newCold(sh, o.Start, o.Dir != "", o.Mask),
		seed: maphash.MakeSeed(),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		main: newGather(sh), warm: newGather(sh), spare: [2]*gather{newGather(sh), newGather(sh)},
		dense: hdr.New(lowestUS, MaxUS, precision),
		live:  live{hist: hdr.New(lowestUS, MaxUS, precision)},
		total: newSet(sh), warmTotal: newSet(sh),
	}
	for range runtime.GOMAXPROCS(0) {
		r.shards = append(r.shards, &shard{r: r, main: newGather(sh), warm: newGather(sh)})
	}
	r.snap.Store(&Snapshot{})
	if err := r.openFiles(); err != nil {
		return nil, err
	}
	go r.collect()
	return r, nil
}

func (r *Recorder) openFiles() error {
	if r.o.Dir == "" {
		return nil
	}
	var err error
	for _, f := range []struct {
		to   *file
		name string
		head []byte
	}{
		{&r.hlog, SeriesFile, hlogHead(r.o.Start)},
		{&r.counts, CountsFile, appendJSON(nil, r.head)},
		{&r.failures, FailuresFile, nil},
	} {
		if err == nil {
			*f.to, err = r.o.open(filepath.Join(r.o.Dir, f.name))
		}
		if err == nil && f.head != nil {
			_, err = (*f.to).Write(f.head)
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("record: %w", err), r.closeFiles())
	}
	return nil
}

func (r *Recorder) closeFiles() error {
	var errs []error
	for _, f := range []*file{&r.hlog, &r.counts, &r.failures} {
		if *f != nil {
			errs = append(errs, (*f).Close())
			*f = nil
		}
	}
	return errors.Join(errs...)
}

// Shard returns what one caller writes to. There are as many shards as
// processors; more callers share them.
func (r *Recorder) Shard() engine.Recorder {
	return r.shards[int(r.hired.Add(1)-1)%len(r.shards)]
}

// Err returns the first error of writing to the run folder, or nil. The run
// goes on without its file, and its results are still complete in memory.
func (r *Recorder) Err() error {
	if p := r.err.Load(); p != nil {
		return *p
	}
	return nil
}

// fail remembers the first error.
func (r *Recorder) fail(err error) {
	if err != nil {
		err = fmt.Errorf("record: %w", err)
		r.err.CompareAndSwap(nil, &err)
	}
}

// nudge wakes the collector before its time.
func (r *Recorder) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// relieve empties a full shard in place of the collector.
func (r *Recorder) relieve(s *shard) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.relieved++
	r.empty(s)
}

// empty takes away what a shard has. r.mu is held.
func (r *Recorder) empty(s *shard) {
	s.mu.Lock()
	main, warm := s.main, s.warm
	s.main, s.warm = r.spare[0], r.spare[1]
	s.mu.Unlock()
	r.live.take(main, warm)
	r.meet(main.seen, r.main.set)
	r.main.absorb(main, r.dense)
	r.warm.absorb(warm, r.dense)
	r.spare = [2]*gather{main, warm}
}

// collect empties the shards, and ends each second, until stop is closed.
func (r *Recorder) collect() {
	defer close(r.done)
	// Ticks are aimed at whole seconds from the start of the run, so that what
	// is drained at a boundary is what came before it.
	next := func() time.Duration { return tick - time.Since(r.o.Start)%tick }
	timer := time.NewTimer(next())
	defer timer.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-r.wake:
			r.drain()
		case <-timer.C:
			r.ticked = time.Now()
			r.rested = r.ticked
			r.drain()
			t := r.o.Tally()
			now := time.Since(r.o.Start)
			if second := now.Truncate(time.Second); second > r.since {
				r.fold(0)
				r.endSecond(second, t, false)
			} else {
				r.fold(listCapacity / 2)
			}
			r.publish(now, t)
			timer.Reset(next())
		}
	}
}

// rest lets everybody else go on, if it is time to, and nobody waits for the end.
func (r *Recorder) rest() {
	if time.Since(r.rested) < stride || time.Since(r.ticked) > patience {
		return
	}
	select {
	case <-r.stop:
	default:
		time.Sleep(moment) // to yield is not enough: nobody would look who can go on
		r.rested = time.Now()
	}
}

// fold brings lists of more than n values into their histograms, so that less
// of it has to be done at once.
func (r *Recorder) fold(n int) {
	for _, g := range []*gather{r.main, r.warm} {
		for i, more := 0, true; more; i++ {
			r.mu.Lock()
			if more = i < len(g.touched); more {
				if l := g.cell(g.touched[i]); len(l.us) > n {
					l.fold(r.dense)
				}
			}
			r.mu.Unlock()
			r.rest()
		}
	}
}

func (r *Recorder) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.shards {
		r.empty(s)
	}
}

// endSecond closes the second that ends now: adds it to the totals, writes it
// down, and shows it to who asked.
func (r *Recorder) endSecond(now time.Duration, t engine.Tally, last bool) {
	// To the millisecond, as the log has it.
	now = max(r.since, now.Truncate(time.Millisecond))
	r.mu.Lock()
	main, warm := r.main.finish(r.dense), r.warm.finish(r.dense)
	relieved := r.relieved
	r.mu.Unlock()
	r.learn(main, warm)
	r.total.merge(main, r.rest)
	r.warmTotal.mergeCounts(warm)

	s := &Second{Start: r.since, Length: now - r.since, Tally: t, before: r.tallied, active: max(0, t.Active-r.tallied.Active), set: main, warm: warm, shape: r.shape}
	r.write(s, warm, relieved, last)
	r.since, r.tallied = now, t
	r.second++
	if r.o.OnSecond != nil {
		r.o.OnSecond(s)
	}
}

// write brings a second to the files. The histograms come before the line of
// counts: a second without its line did not happen.
func (r *Recorder) write(s *Second, warm *set, relieved int64, last bool) {
	l := newLine(r.second, s, warm)
	l.Relieved = relieved
	r.cold.mu.Lock()
	l.NewErrors, l.Errors, l.OtherErrors = r.cold.errors.news()
	l.FailuresKept, l.FailuresLeftOut = r.cold.kept, r.cold.leftOut
	failures := r.cold.pending
	r.cold.pending = nil
	r.cold.mu.Unlock()
	if r.o.Dir == "" {
		return
	}
	r.logged += int64(len(s.set.hists) + len(warm.hists))
	l.Histograms = r.logged
	log := r.encode.appendHlog(nil, r.shape, s.set, false, s.Start, s.Length, r.rest)
	log = r.encode.appendHlog(log, r.shape, warm, true, s.Start, s.Length, r.rest)
	if r.put(&r.hlog, log) { // or the counts would speak of histograms that are not there
		r.put(&r.counts, appendJSON(nil, l))
	}
	r.put(&r.failures, failures)
	if now := s.Start + s.Length; last || now-r.slowAt >= slowestEvery {
		r.slowAt = now
		if lines := r.cold.slowestLines(); lines != nil || last {
			r.fail(WriteFile(filepath.Join(r.o.Dir, SlowestFile), lines))
		}
	}
}

// put writes to a file, and reports whether what is in it is still whole. After
// an error nothing more is written to it.
func (r *Recorder) put(f *file, b []byte) bool {
	if *f == nil {
		return false
	}
	if len(b) == 0 {
		return true
	}
	if _, err := (*f).Write(b); err != nil {
		r.fail(err)
		r.fail((*f).Close())
		*f = nil
	}
	return *f != nil
}

// Close ends the recording, after the last caller has returned: it writes down
// the last second and returns all that was recorded. The totals are complete
// even when the error says that the folder is not.
func (r *Recorder) Close() (*Totals, error) {
	var t *Totals
	r.closed.Do(func() {
		close(r.stop)
		<-r.done
		r.drain()
		tally := r.o.Tally()
		now := time.Since(r.o.Start)
		r.endSecond(now, tally, true)
		r.publish(now, tally)
		r.fail(r.closeFiles())
		t = &Totals{head: r.head, shape: r.shape, set: r.total, warm: r.warmTotal, tally: newTallyLine(tally).tally(),
			errors: r.cold.errors.rows, last: line{OtherErrors: r.cold.errors.other,
				FailuresKept: r.cold.kept, FailuresLeftOut: r.cold.leftOut, Relieved: r.relieved}}
	})
	if t == nil {
		return nil, errors.New("record: closed twice")
	}
	return t, r.Err()
}
