package check

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
	"volley/engine/record"
)

func TestBudget(t *testing.T) {
	// A million invocations cost 1e6, so each costs 1; so does a GB-second.
	prices := engine.Cost{PerMillion: 1e6, PerGBSecond: 1, MemoryBytes: 1 << 30, Budget: 10, Currency: "USD"}
	sure := func(n, seconds int64) record.Billing {
		return record.Billing{Sure: [3]record.Billed{{Count: n, US: seconds * 1e6}}}
	}
	maybe := func(n int64) record.Billing { return record.Billing{Maybe: [3]record.Billed{2: {Count: n}}} }
	free := prices
	free.Budget = 0
	tests := []struct {
		name    string
		cost    engine.Cost
		seconds []record.Billing
		at      int // the second that ends the run, from 1; 0: none does
	}{
		{"below the budget nothing happens", prices, []record.Billing{sure(4, 0), sure(5, 0)}, 0},
		{"at the budget the run ends", prices, []record.Billing{sure(4, 0), sure(6, 0)}, 2},
		{"time costs, too", prices, []record.Billing{sure(1, 4), sure(1, 4), {}}, 2},
		{"what may be billed counts", prices, []record.Billing{sure(4, 0), {}, maybe(6)}, 3},
		{"it ends the run once", prices, []record.Billing{sure(20, 0), sure(20, 0)}, 1},
		{"no budget is never used up", free, []record.Billing{sure(1e9, 1e9)}, 0},
		{"nothing spent is nothing used up", engine.Cost{Budget: 1e-12}, []record.Billing{{}, {}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now, at, why := 0, 0, ""
			b := WatchBudget(&tt.cost, func(text string) {
				if at != 0 {
					t.Errorf("aborted again in second %d", now)
				}
				at, why = now, text
			})
			for _, s := range tt.seconds {
				now++
				if b != nil {
					b.spend(s)
				}
			}
			if at != tt.at {
				t.Errorf("aborted in second %d, want %d", at, tt.at)
			}
			if at > 0 && !strings.Contains(why, "the budget of 10 USD is used up") {
				t.Errorf("why: %q", why)
			}
		})
	}
	for x, want := range map[float64]string{0.0000106312: "0.00001063", 1: "1", 12345.6: "12350", 0.25: "0.25"} {
		if got := amount(x); got != want {
			t.Errorf("amount(%v) = %q, want %q", x, got, want)
		}
	}
	WatchBudget(nil, nil).Second(&record.Second{}) // no prices: nobody watches
}

// TestBudgetOfARun holds that the warm-up is spent money, and that the budget
// is looked at every second.
func TestBudgetOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		plan := &engine.Plan{Series: []engine.SeriesKey{{Step: "hello", Function: "hello"}}, Load: engine.Load{Warmup: time.Hour},
			Cost: &engine.Cost{PerMillion: 1e6, Budget: 25}}
		var at time.Duration
		b := WatchBudget(plan.Cost, func(string) { at = time.Since(began) })
		r, err := record.Create(record.Options{Plan: plan, Start: began, Tally: func() engine.Tally { return engine.Tally{} }, OnSecond: b.Second})
		if err != nil {
			t.Fatal(err)
		}
		shard := r.Shard()
		for range 40 {
			time.Sleep(100 * time.Millisecond)
			shard.Invocation(&engine.Result{Invocation: &engine.Invocation{Step: &engine.Invoke{Attempts: -1}, Warmup: true},
				Attempts: []engine.Attempt{{Phases: engine.NoPhases()}}})
		}
		totals, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		if at != 3*time.Second {
			t.Errorf("aborted after %v, want 3s: ten invocations a second cost 1 each, and 25 are there", at)
		}
		if c := totals.Document().Cost; c == nil || c.Total != 40 || c.Budget != 25 || c.Basis != "service" {
			t.Errorf("the document has %+v, want a cost of 40", c)
		}
	})
}
