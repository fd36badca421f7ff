package record

import (
	"time"

	"volley/engine"
)

// Totals are all that a run recorded. They do not change, and are safe for
// concurrent reading.
type Totals struct {
	head   header
	shape  *shape
	set    *set
	warm   *set // counts only
	tally  engine.Tally
	errors []errorRow
	last   line // what it has "so far"
	notes  []string
}

// Hist implements View for the whole run.
func (t *Totals) Hist(step string, c Class, m Measure) *Hist {
	return t.shape.hist([]*set{t.set}, step, c, m)
}

// Counts implements View for the whole run.
func (t *Totals) Counts(step string) (Counts, bool) { return t.shape.counts([]*set{t.set}, step) }

// Iterations implements View for the whole run.
func (t *Totals) Iterations() (due, dropped int64) { return t.tally.Due, t.tally.Dropped }

// Active implements View for the whole run.
func (t *Totals) Active() time.Duration { return t.tally.Active }

// Tally returns how far the run came.
func (t *Totals) Tally() engine.Tally { return t.tally }

// Billing returns all that may be billed, warm-up included.
func (t *Totals) Billing() Billing { return billing(t.set, t.warm) }

// Excluded returns the results of invocations that were due in the warm-up.
func (t *Totals) Excluded() Counts {
	c, _ := t.shape.counts([]*set{t.warm}, "")
	return c
}

// Notes says what was found wanting when the totals were rebuilt from files;
// none when the run ended by itself.
func (t *Totals) Notes() []string { return t.notes }
