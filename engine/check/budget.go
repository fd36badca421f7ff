package check

import (
	"fmt"
	"strconv"

	"volley/engine"
	"volley/engine/record"
)

// A Budget ends a run that has cost as much as it may. Second is called by one
// goroutine. The zero value, and nil, watch nothing.
type Budget struct {
	cost  engine.Cost
	abort func(why string)
	spent record.Billing
	ended bool
}

// WatchBudget returns a watcher of what a run costs, nil when there is no
// budget. It calls abort at most once, from Second, with a line that says why:
// as soon as the high estimate, which counts what may be billed but is not
// known to be, reaches the budget. What is on the wire then will still be
// billed, so that a run ends a little above it.
func WatchBudget(c *engine.Cost, abort func(why string)) *Budget {
	if c == nil || c.Budget <= 0 {
		return nil
	}
	return &Budget{cost: *c, abort: abort}
}

// Second takes in the next second of the run; it fits record's OnSecond.
func (b *Budget) Second(s *record.Second) {
	if b != nil {
		b.spend(s.Billing())
	}
}

func (b *Budget) spend(more record.Billing) {
	b.spent.Add(more)
	if b.ended || b.cost.Budget <= 0 {
		return
	}
	e := record.Estimate(b.cost, b.spent)
	if e.Invocations == 0 || e.High < b.cost.Budget {
		return
	}
	b.ended = true
	b.abort(fmt.Sprintf("the budget of %s is used up: invocations so far %d, cost up to %s",
		b.in(strconv.FormatFloat(b.cost.Budget, 'f', -1, 64)), e.Invocations, b.in(amount(e.High))))
}

// in adds the currency to an amount.
func (b *Budget) in(amount string) string {
	if b.cost.Currency == "" {
		return amount
	}
	return amount + " " + b.cost.Currency
}

// amount writes money as people do, without an exponent, with four digits that
// matter.
func amount(x float64) string {
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	return strconv.FormatFloat(x, 'f', -1, 64)
}
