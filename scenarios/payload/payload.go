// Package payload turns expressions and templates into values and bodies.
//
// An expression is written in the language of github.com/expr-lang/expr. A template is a tree of values, as a YAML file
// holds it, in which strings may contain expressions between ${{ and }}. Both are compiled once, and evaluated once per
// invocation against an Env. Whatever is compiled is safe for concurrent use.
//
// Reading a field that is not there is an error that names the fields that are, so that a typo does not silently send
// null; see Expr for the ways to say that a field may be missing.
package payload

import (
	"math/rand/v2"
	"time"
)

// Limits on what a scenario may ask for.
const (
	MaxSource = 16 << 10 // bytes of one expression's source
	MaxBytes  = 6 << 20  // default limit of a rendered body or string, in bytes: the largest body a platform accepts

	memoryBudget = 1_000_000 // elements that one evaluation may create
	maxDepth     = 1_000     // levels of nesting in a value to encode, or in a template
)

// Env is what an expression sees. Fields that a Scope does not name cannot be reached by its expressions, and may stay
// zero. An evaluation only reads it, except for Rand, so an Env with a Rand of its own belongs to one goroutine.
type Env struct {
	Row       any               `expr:"row"`       // the dataset's row of this iteration; nil without a dataset
	Vars      map[string]any    `expr:"vars"`      // values saved by earlier steps of this iteration
	Iteration int64             `expr:"iteration"` // counted from 0
	Item      any               `expr:"item"`      // the element of an each
	Env       map[string]string `expr:"env"`       // the scenario's environment
	Event     any               `expr:"event"`     // what an emulated function was called with

	Status  int               `expr:"status"`  // HTTP status of the reply; 0 if none came
	Headers map[string]string `expr:"headers"` // headers of the reply; their names are compared without case
	Body    any               `expr:"body"`    // the reply's body: parsed JSON, else text
	Text    string            `expr:"text"`    // the reply's body as it came
	MS      float64           `expr:"ms"`      // response time in milliseconds
	Outcome string            `expr:"outcome"` // class of the result, such as ok or throttled

	Now  time.Time  `expr:"-"` // what now() gives: start of the run + due time
	Rand *rand.Rand `expr:"-"` // seeded by the caller; nil, without a Seed, makes the random functions an error
	Seed [2]uint64  `expr:"-"` // what Rand is made of when a function first asks for it, for most ask for none; zero is none
}

// random returns the source of random numbers; nil if there is none.
func (e *Env) random() *rand.Rand {
	if e.Rand == nil && e.Seed != [2]uint64{} {
		e.Rand = rand.New(rand.NewPCG(e.Seed[0], e.Seed[1]))
	}
	return e.Rand
}

// A Scope says which names an expression may use.
type Scope int

// The scopes, by where an expression stands.
const (
	Request Scope = iota // data, headers, when, each: row, vars, iteration, item, env
	Reply                // check, save: those of Request, and status, headers, body, text, ms, outcome
	Event                // replies of the emulator: event
)

// Names lists the names in scope, in the order in which they are explained to users. Functions are always in scope.
func (s Scope) Names() []string {
	switch s {
	case Reply:
		return []string{"status", "headers", "body", "text", "ms", "outcome", "row", "vars", "iteration", "item", "env"}
	case Event:
		return []string{"event"}
	default:
		return []string{"row", "vars", "iteration", "item", "env"}
	}
}

// A Map is an object whose keys keep the order in which they were written. Loaders use it for mappings in a template.
type Map []Entry

// An Entry is one key of a Map with its value. The key may contain expressions.
type Entry struct {
	Key   string
	Value any
}
