// Package group settles invocations that were fired side by side, as
// JavaScript's Promise.all, allSettled, any and race do.
package group

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A Kind says when a group settles, and as what.
type Kind uint8

// The kinds, named after JavaScript's.
const (
	All        Kind = iota + 1 // fulfilled when all members are; rejected with the first rejection
	AllSettled                 // fulfilled when no member is pending
	Any                        // fulfilled with the first fulfilment; rejected when all members are
	Race                       // settled as the first member to settle
)

// Kinds lists every kind.
func Kinds() []Kind { return []Kind{All, AllSettled, Any, Race} }

// String returns the kind's name in scenario files.
func (k Kind) String() string {
	switch k {
	case All:
		return "all"
	case AllSettled:
		return "all_settled"
	case Any:
		return "any"
	case Race:
		return "race"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ErrEmptyRace is the error of a race without members. In JavaScript such a
// promise stays pending for ever; here nobody shall wait for it.
var ErrEmptyRace = errors.New("a race of no members never settles")

// An AggregateError is the error of a group of kind Any in which no member was
// fulfilled. Its errors are in the members' order.
type AggregateError struct{ Errors []error }

func (e *AggregateError) Error() string {
	if len(e.Errors) == 0 {
		return "no member was fulfilled: there was none"
	}
	return fmt.Sprintf("no member of %d was fulfilled, the first because of: %v", len(e.Errors), e.Errors[0])
}

// Unwrap returns the members' errors.
func (e *AggregateError) Unwrap() []error { return e.Errors }

// A Settled is how one member ended.
type Settled[T any] struct {
	Value T
	Err   error // nil when it was fulfilled
}

// A Group says how members are fired and settled.
type Group struct {
	Kind   Kind
	Limit  int  // at most this many members at once; 0: no limit
	Cancel bool // when the group settles, cancel the context of all that is left under it
}

// ErrSettled is the cause with which members are canceled that no longer matter.
var ErrSettled = errors.New("the group has settled without it")

// Run fires n members by calling member with 0 to n-1, each in a goroutine of
// its own and, under a limit, in that order.
//
// It calls settled once, as soon as the group settles: values has the members
// that had settled by then (for All and AllSettled of success: all) in the
// members' order, with ok saying which; err is nil when the group is fulfilled.
// Members that no longer matter are not canceled unless the group says so,
// because promises do not cancel: the losers of a race still load the
// function, and a load test that hung up on them would flatter it.
//
// Run returns when the last member has ended, whoever won. It calls member and
// settled from several goroutines, but never settled twice or concurrently
// with itself.
func Run[T any](ctx context.Context, g Group, n int, member func(ctx context.Context, i int) (T, error), settled func(members []Settled[T], done []bool, err error)) {
	if n == 0 {
		settled(nil, nil, emptyErr(g.Kind))
		return
	}
	s := &state[T]{kind: g.Kind, members: make([]Settled[T], n), done: make([]bool, n), left: n, settled: settled}
	if g.Cancel {
		// Only then: members may have started groups of their own, whose
		// losers outlive this one.
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(ErrSettled)
		s.onSettle = func() { cancel(ErrSettled) }
	}
	workers := n
	if g.Limit > 0 {
		workers = min(n, g.Limit)
	}
	var next int
	var mu sync.Mutex // guards next
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == n {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				v, err := member(ctx, i)
				s.settle(i, Settled[T]{v, err})
			}
		})
	}
	all.Wait()
}

// emptyErr is what a group without members settles with.
func emptyErr(k Kind) error {
	switch k {
	case Any:
		return &AggregateError{}
	case Race:
		return ErrEmptyRace
	}
	return nil
}

// state is what is known of a group under way.
type state[T any] struct {
	mu       sync.Mutex
	kind     Kind
	members  []Settled[T]
	done     []bool
	left     int
	over     bool
	settled  func([]Settled[T], []bool, error)
	onSettle func()
}

func (s *state[T]) settle(i int, m Settled[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left--
	if s.over {
		return // a loser: what it brought is too late
	}
	s.members[i], s.done[i] = m, true
	over, err := s.verdict(m)
	if !over {
		return
	}
	s.over = true
	s.settled(s.members, s.done, err)
	if s.onSettle != nil {
		s.onSettle()
	}
}

// verdict says whether the group settles with m, and as what.
func (s *state[T]) verdict(m Settled[T]) (over bool, err error) {
	switch s.kind {
	case All:
		return m.Err != nil || s.left == 0, m.Err
	case AllSettled:
		return s.left == 0, nil
	case Any:
		if m.Err == nil {
			return true, nil
		}
		if s.left > 0 {
			return false, nil
		}
		errs := make([]error, len(s.members))
		for i := range s.members {
			errs[i] = s.members[i].Err
		}
		return true, &AggregateError{errs}
	case Race:
		return true, m.Err
	}
	panic("group: " + s.kind.String() + " is not a kind")
}
