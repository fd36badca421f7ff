package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"volley/engine/auth"
	"volley/engine/group"
	"volley/engine/pace"
)

// A Plan is a scenario compiled: all that a run needs, and nothing of the file
// it came from. It does not change after compilation. With the same seed two
// runs of a plan fire the same invocations at the same times.
type Plan struct {
	Name   string
	Seed   uint64
	Load   Load
	Steps  []Step      // one iteration, in order
	Series []SeriesKey // what results are kept apart by; Invoke.Series points here
	Groups []GroupKey  // Group.Index points here

	// Parallel is the most invocations that one iteration can have on the wire
	// at once; at least 1. The pool of connections is sized from it.
	Parallel int

	Cost *Cost // nil: prices are not known
}

// First returns the invocations with which an iteration begins: those that are
// on the wire before any of them has been answered, as often as they are. Where
// only a row, a condition or chance can tell, there are none.
func (p *Plan) First() []*Invoke {
	var first []*Invoke
	steps := p.Steps
	for len(steps) > 0 {
		s := &steps[0]
		switch {
		case s.When != nil, len(s.Pick) > 1:
			return nil
		case s.Invoke != nil:
			return append(first, s.Invoke)
		case s.Group != nil:
			members := s.Group.Members
			if s.Group.Limit > 0 {
				members = members[:min(len(members), s.Group.Limit)]
			}
			for i := range members {
				if in := members[i].Invoke; in != nil && members[i].When == nil {
					first = append(first, in)
				}
			}
			return first
		case s.Pause != nil:
			return nil
		case s.Pick != nil:
			steps = s.Pick[0].Steps
		default:
			steps = s.Sequence
		}
	}
	return nil
}

// Targets returns where the plan's invocations go, each once.
func (p *Plan) Targets() []*Target {
	var all []*Target
	var walk func([]Step)
	walk = func(steps []Step) {
		for i := range steps {
			s := &steps[i]
			if s.Invoke != nil && !slices.Contains(all, s.Invoke.Target) {
				all = append(all, s.Invoke.Target)
			}
			if s.Group != nil {
				walk(s.Group.Members)
			}
			walk(s.Sequence)
			for _, c := range s.Pick {
				walk(c.Steps)
			}
		}
	}
	walk(p.Steps)
	return all
}

// Notes are what the methods have to say to whoever reads of the plan.
func (p *Plan) Notes() []string {
	var all []string
	for _, t := range p.Targets() {
		if t == nil {
			continue
		}
		if n, ok := t.Method.(Noter); ok {
			for _, note := range n.Notes(t) {
				if !slices.Contains(all, note) {
					all = append(all, note)
				}
			}
		}
	}
	return all
}

// A Cost is what invocations cost, in the currency of its prices.
type Cost struct {
	PerGBSecond float64 // for a GB of memory over a second of billed time
	PerMillion  float64 // for a million invocations
	MemoryBytes int64   // of each function, as it is configured
	Budget      float64 // end the run when it has cost so much; 0: never
	Currency    string  // its name, such as USD; "": not said
}

// A SeriesKey names one series: all results of one step by one method and
// qualifier (and arm, in a comparison).
type SeriesKey struct {
	Step      string
	Function  string
	Method    string
	Qualifier string // "" when none is asked for
	Arm       string // "" outside comparisons
	Attempts  bool   // single attempts of a step that retries, beside the series of its invocations
}

// A GroupKey names one group of the plan.
type GroupKey struct {
	Step  string // such as all#1
	Kind  group.Kind
	Asked int // members fired together, after its limit; 0 when only the run can tell (each)
}

// Load says when iterations are due. Exactly one of Arrivals and Crowd is set.
type Load struct {
	// Arrivals makes the due times of an open run, warm-up included.
	Arrivals func() pace.Arrivals

	// Crowd is the number of callers of a closed run, counted from the end of
	// the warm-up; during the warm-up it is as at its start.
	Crowd pace.Profile

	// Level is the iterations per second that an open run asks for, counted
	// from the end of the warm-up; nil for replayed arrivals and closed runs.
	Level pace.Profile

	Warmup       time.Duration // what is due before this is excluded from results; 0: nothing is
	Iterations   int64         // end after so many, warm-up not counted; 0: no such end
	MaxInFlight  int           // iterations under way at once in an open run; at least 1
	WaitWhenBusy bool          // at MaxInFlight: wait, where the default is to drop
	MaxRate      float64       // a ceiling on attempts per second over all steps; 0: none
	GracefulStop time.Duration // how long the last iterations may take to finish
}

// firstMoment is how long a load must have begun for those iterations not to
// belong to its first any more that begin then: most of what follows is sent by
// callers, and over connections, that are free again.
const firstMoment = 5 * time.Millisecond

// First returns how many iterations begin together when the load does. Under a
// ceiling none do.
func (l *Load) First() int {
	if l.MaxRate > 0 {
		return 0
	}
	most := math.MaxInt
	if l.Iterations > 0 {
		most = int(min(l.Iterations, math.MaxInt32))
	}
	if l.Arrivals == nil {
		n, _, _ := l.Crowd.Callers(0)
		return min(n, most)
	}
	most = min(most, l.MaxInFlight)
	due := l.Arrivals()
	for n := range most {
		if at, ok := due.Due(int64(n)); !ok || at >= firstMoment {
			return n
		}
	}
	return most
}

// A Step is one line of an iteration. Exactly one of Invoke, Group, Sequence,
// Pause and Pick is set.
type Step struct {
	ID       uint64                     // its place in the plan; keys its randomness
	When     func(*Scope) (bool, error) // nil: always
	Continue bool                       // go on when it fails

	Invoke   *Invoke
	Group    *Group
	Sequence []Step
	Pause    *Pause
	Pick     []Choice
}

// An Invoke is one call of one function, as the plan has it. Expressions are
// compiled to functions; a nil function is a field that was not written.
type Invoke struct {
	Name     string // the step's name in reports
	Function string
	Target   *Target
	Series   int // index into Plan.Series
	Attempts int // index of the series of its attempts; -1 when it does not retry

	Data   func(*Scope) ([]byte, error) // the body
	Static bool                         // Data, Header and HTTP give the same for every iteration
	Blind  bool                         // nobody looks at the bodies of replies: no check, no save, no Server
	Header []HeaderLine
	HTTP   *HTTP // for methods that pass a real HTTP request through

	Server *ServerProbe // nil: only the method says what it knows
	Checks []Check
	Saves  []Save
	Retry  *Retry
}

// A HeaderLine is a header field that the scenario adds to a request.
type HeaderLine struct {
	Name   string
	Value  func(*Scope) (string, error)
	Secret bool // Authorization, Cookie and what came from a secret
}

// HTTP is the real request of an HTTP function or a web client.
type HTTP struct {
	Verb  string                       // GET, POST, …
	Path  func(*Scope) (string, error) // after the function's name or the domain; starts with a slash
	Query []HeaderLine                 // in the order of the file
	Raw   bool                         // send the body as it is to the function's root, as the vendor's page shows (PROTOCOL.md 1.3)
}

// A Target says where invocations go, and how. Steps that override nothing
// share one.
type Target struct {
	Method    Method
	Env       string // environment id
	Region    string
	Endpoint  string        // base URL that replaces the method's own; "" for the method's own
	Qualifier string        // version or alias; "" for none
	Timeout   time.Duration // of one attempt; more than 0
	OKStatus  []int         // statuses that are ok beside 2xx
	Redirects int           // how many redirects to follow; 0: none
	Auth      auth.Source   // nil: no credentials
}

// A Check is one condition that a reply must meet.
type Check struct {
	Source string // as written
	Holds  func(*Scope, *Reply) (bool, error)
}

// A ServerProbe says where in a reply the function tells about itself. A nil
// function is not asked; a value that is nil or of a wrong type is not told.
type ServerProbe struct {
	DurationMS, BilledMS, MemoryBytes, Cold, Instance func(*Scope, *Reply) (any, error)
}

// A Save takes a value out of a reply, for the steps after.
type Save struct {
	Name  string
	Value func(*Scope, *Reply) (any, error)
}

// Retry says which outcomes are tried again, and how often.
type Retry struct {
	Attempts int           // in all, the first included; at least 2
	On       []Outcome     // the outcomes that are tried again
	Base     time.Duration // upper bound of the first wait
	Cap      time.Duration // upper bound of every wait, and of a Retry-After that is obeyed
}

// A Group is invocations fired together and settled together, as JavaScript's
// Promise.all and its sisters do.
type Group struct {
	Index        int // into Plan.Groups
	Kind         group.Kind
	Members      []Step
	Each         func(*Scope) ([]any, error) // when set, Members are fired once for every item
	Limit        int                         // at most this many members at once; 0: all
	CancelLosers bool                        // give up the members that no longer matter
}

// A Pause lets time go by: a time drawn evenly from [Min, Max].
type Pause struct{ Min, Max time.Duration }

// A Choice is one of the steps of a pick, taken as often as its weight says.
type Choice struct {
	Weight float64 // more than 0
	Steps  []Step
}

// A Scope is what expressions see, and what their randomness comes from.
type Scope struct {
	Seed      uint64
	Iteration int64          // counted from 0, warm-up included
	Row       any            // the dataset's row; nil without data
	Vars      map[string]any // saved values; never changed in place
	Item      any            // in a group over a list
	Index     int            // the item's place in that list
	Step      uint64         // ID of the step that asks
	Now       time.Time      // start of the run + due time

	nest uint64 // tells the items of lists within lists apart
}

// Rand returns the random numbers of this scope's step in this iteration:
// always the same for the same seed, iteration, step and item, whichever
// worker asks and whenever.
func (s *Scope) Rand() *rand.Rand { return rand.New(rand.NewPCG(s.Seeds(0))) }

// Seeds returns what Rand begins with, for a field of the step: for those who
// may not need it.
func (s *Scope) Seeds(field uint64) (uint64, uint64) {
	return mix(s.Seed, uint64(s.Iteration)), mix(s.Step^field, s.nest)
}

// mix makes one well-spread number of two, by the finalizer of SplitMix64
// (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators",
// OOPSLA 2014), so that neighbouring iterations share nothing.
func mix(a, b uint64) uint64 {
	z := a*0x9e3779b97f4a7c15 + b + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
