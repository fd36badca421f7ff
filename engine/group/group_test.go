package group_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine/group"
)

// A node is a leaf, a group or a sequence of testdata/cases.json; the form is
// described in testdata/oracle.mjs.
type node struct {
	ID      string
	Kind    string
	DelayMS int `json:"delay_ms"`
	OK      bool
	Value   any
	Members []node
}

type verdict struct {
	Name  string
	State string
	Value any
	Error any
	AtMS  int      `json:"at_ms"`
	Order [][3]any // id, at_ms, state
}

func readJSON[T any](t *testing.T, file string) (v T) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

// Groups settle as JavaScript's promises do: same order, same values, same
// errors, at the same times. testdata/expected.json is what Node's own
// Promise.all, allSettled, any and race made of testdata/cases.json.
func TestSettlesAsJavaScript(t *testing.T) {
	cases := readJSON[[]struct {
		Name string
		Root node
	}](t, "testdata/cases.json")
	expected := readJSON[[]verdict](t, "testdata/expected.json")
	if len(cases) < 500 || len(cases) != len(expected) {
		t.Fatalf("%d cases, %d expected; want as many, and 500 at least", len(cases), len(expected))
	}
	kinds := map[string]int{}
	for i, c := range cases {
		kinds[c.Root.Kind]++
		synctest.Test(t, func(t *testing.T) {
			got, want := settle(c.Name, c.Root), expected[i]
			if want.State == "pending" {
				// An empty race: pending for ever there, an error at once here.
				if got.State != "rejected" || got.Error != group.ErrEmptyRace.Error() {
					t.Errorf("%s: an empty race is %s (%v), want the error %v", c.Name, got.State, got.Error, group.ErrEmptyRace)
				}
				return
			}
			if !reflect.DeepEqual(normal(got), normal(want)) {
				t.Errorf("%s:\n got  %s\n want %s", c.Name, normal(got), normal(want))
			}
		})
	}
	t.Logf("%d cases: %v", len(cases), kinds)
}

func normal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// A settling writes down in which order and when nodes settle.
type settling struct {
	start time.Time
	mu    sync.Mutex
	order []event
}

type event struct {
	place int // in post-order, which breaks ties
	id    string
	atMS  int
	state string
}

func (s *settling) note(n placed, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := "fulfilled"
	if err != nil {
		state = "rejected"
	}
	s.order = append(s.order, event{n.place, n.ID, s.now(), state})
}

func (s *settling) now() int { return int(time.Since(s.start) / time.Millisecond) }

// placed is a node with its place in post-order.
type placed struct {
	node
	place   int
	members []placed
}

func place(n node, next *int) placed {
	p := placed{node: n}
	for _, m := range n.Members {
		p.members = append(p.members, place(m, next))
	}
	p.place = *next
	*next++
	return p
}

func settle(name string, root node) verdict {
	s := &settling{start: time.Now()}
	next := 0
	var inner sync.WaitGroup
	value, err := s.run(place(root, &next), &inner)
	v := verdict{Name: name, State: "fulfilled", Value: value, AtMS: s.now()}
	if err != nil {
		v.State, v.Value, v.Error = "rejected", nil, describe(err)
	}
	inner.Wait() // losers
	slices.SortFunc(s.order, func(a, b event) int {
		if a.atMS != b.atMS {
			return a.atMS - b.atMS
		}
		return a.place - b.place
	})
	v.Order = [][3]any{}
	for _, e := range s.order {
		v.Order = append(v.Order, [3]any{e.id, e.atMS, e.state})
	}
	return v
}

var errLeaf = errors.New("leaf")

type leafError string

func (e leafError) Error() string        { return string(e) }
func (e leafError) Is(target error) bool { return target == errLeaf }

func describe(err error) any {
	if all, ok := errors.AsType[*group.AggregateError](err); ok {
		list := []any{}
		for _, e := range all.Errors {
			list = append(list, describe(e))
		}
		return map[string]any{"errors": list}
	}
	return err.Error()
}

// run starts a node and returns when it settles, as await does; what is left
// of it then is counted in inner.
func (s *settling) run(n placed, inner *sync.WaitGroup) (value any, err error) {
	switch n.Kind {
	case "":
		time.Sleep(time.Duration(n.DelayMS) * time.Millisecond)
		if value = n.Value; !n.OK {
			value, err = nil, leafError(n.ID)
		}
	case "sequence":
		list := []any{}
		for _, m := range n.members {
			var v any
			if v, err = s.run(m, inner); err != nil {
				break
			}
			list = append(list, v)
		}
		value = list
	default:
		value, err = s.group(n, inner)
	}
	s.note(n, err)
	return value, err
}

func (s *settling) group(n placed, inner *sync.WaitGroup) (value any, err error) {
	var g group.Group
	for _, k := range group.Kinds() {
		if k.String() == n.Kind {
			g.Kind = k
		}
	}
	settled := make(chan struct{})
	inner.Go(func() {
		group.Run(context.Background(), g, len(n.members),
			func(_ context.Context, i int) (any, error) { return s.run(n.members[i], inner) },
			func(members []group.Settled[any], done []bool, why error) {
				value, err = valueOf(g.Kind, members, done), why
				close(settled)
			})
	})
	<-settled
	return value, err
}

// valueOf makes of the members what JavaScript's promise is fulfilled with.
func valueOf(k group.Kind, members []group.Settled[any], done []bool) any {
	list := []any{}
	for i, m := range members {
		switch {
		case k == group.All:
			list = append(list, m.Value)
		case k == group.AllSettled && m.Err == nil:
			list = append(list, map[string]any{"status": "fulfilled", "value": m.Value})
		case k == group.AllSettled:
			list = append(list, map[string]any{"status": "rejected", "reason": describe(m.Err)})
		case done[i] && m.Err == nil:
			return m.Value
		}
	}
	return list
}

// Under a limit, members start in order as places become free, and queued ones
// are fired even after the group has settled: promises do not cancel.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var began []int
		var at []time.Duration
		now, most := 0, 0
		group.Run(t.Context(), group.Group{Kind: group.All, Limit: 2}, 5, func(_ context.Context, i int) (int, error) {
			mu.Lock()
			began, at = append(began, i), append(at, time.Since(start))
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Duration(10+i) * time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			if i == 0 {
				return 0, errLeaf
			}
			return i, nil
		}, func(_ []group.Settled[int], _ []bool, err error) {
			if err != errLeaf || time.Since(start) != 10*time.Millisecond {
				t.Errorf("settled as %v after %v, want %v after 10ms", err, time.Since(start), errLeaf)
			}
		})
		if most != 2 {
			t.Errorf("%d members at once, want 2", most)
		}
		slices.Sort(began)
		if !slices.Equal(began, []int{0, 1, 2, 3, 4}) {
			t.Errorf("started %v, want all five", began)
		}
		if !slices.IsSorted(at) || at[2] != 10*time.Millisecond || at[3] != 11*time.Millisecond {
			t.Errorf("started at %v", at)
		}
	})
}

// With Cancel the members left are told to give up when the group settles, and
// why; without it they run on. Run waits for them either way.
func TestCancel(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var loser error
			group.Run(t.Context(), group.Group{Kind: group.Race, Cancel: cancel}, 2, func(ctx context.Context, i int) (int, error) {
				select {
				case <-time.After(time.Duration(1+9*i) * time.Millisecond):
				case <-ctx.Done():
					loser = context.Cause(ctx)
				}
				return i, nil
			}, func([]group.Settled[int], []bool, error) {})
			want, cause := 10*time.Millisecond, error(nil)
			if cancel {
				want, cause = time.Millisecond, group.ErrSettled
			}
			if got := time.Since(start); got != want || loser != cause {
				t.Errorf("cancel=%v: ended after %v with %v, want %v with %v", cancel, got, loser, want, cause)
			}
		})
	}
}

// What a loser brings after the group has settled changes nothing.
func TestLosersComeTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept []group.Settled[string]
		calls := 0
		group.Run(t.Context(), group.Group{Kind: group.Any}, 3, func(_ context.Context, i int) (string, error) {
			time.Sleep(time.Duration(i+1) * time.Second)
			return []string{"a", "b", "c"}[i], []error{errLeaf, nil, nil}[i]
		}, func(members []group.Settled[string], done []bool, err error) {
			calls++
			kept = members
			if !slices.Equal(done, []bool{true, true, false}) || err != nil {
				t.Errorf("settled with done=%v, err=%v", done, err)
			}
		})
		if calls != 1 || kept[2] != (group.Settled[string]{}) {
			t.Errorf("settled %d times; after the end the loser's place holds %v", calls, kept[2])
		}
	})
}

func TestNames(t *testing.T) {
	var b bytes.Buffer
	for _, k := range group.Kinds() {
		b.WriteString(k.String() + " ")
	}
	if got := b.String(); got != "all all_settled any race " {
		t.Errorf("kinds are %q", got)
	}
}
