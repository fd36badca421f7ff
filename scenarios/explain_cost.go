package scenarios

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"volley/scenarios/dataset"
)

// explainCost estimates what a run costs. How long functions take is known
// after it only, so the compute stands for each 100 ms, and as a range.
func (c *Compiled) explainCost(p *printer, f forecast) {
	cost := c.Plan.Cost
	if cost == nil {
		return
	}
	money := func(x float64) string { return amount(x, c.Scenario.Cost.Currency) }
	each := cost.PerMillion / 1e6
	perSecond := cost.PerGBSecond * float64(cost.MemoryBytes) / (1 << 30) // of one function
	longest := c.longest()
	least, most := c.expected(f)
	word, n := "", float64(least)
	switch {
	case least == 0 && most == unbounded:
		p.line("cost", "unknown: only the run can tell how many invocations there are")
		word, n = "a million of them: ", 1e6
		p.line("", "a million of them cost %s by their number", money(n*each))
	case most == unbounded:
		word = "at least "
		p.line("cost", "at least %d invocations, %s by their number", least, money(n*each))
	case least == most:
		p.line("cost", "%d invocations, %s by their number", least, money(n*each))
	case least == 0:
		word, n = "at most ", float64(most)
		p.line("cost", "at most %d invocations, %s by their number", most, money(n*each))
	default:
		p.line("cost", "%d to %d invocations, %s to %s by their number", least, most, money(n*each), money(float64(most)*each))
		word, n = "at most ", float64(most)
	}
	if perSecond > 0 {
		p.line("", "%s%s for every 100 ms that each is billed on average, at %s", word, money(n*perSecond/10), Size(cost.MemoryBytes))
		low := n * (each + perSecond*time.Millisecond.Seconds())
		high := n * (each + perSecond*longest.Seconds())
		p.line("", "together %s%s at 1 ms each, %s at %s, the longest timeout", word, money(low), money(high), shortDuration(longest))
	}
	if f.warmup > 0 && least > 0 {
		p.line("", "what is fired in the warm-up is in it")
	}
	if retries(c.Plan) && least == most {
		p.line("", "retries come on top of that")
	}
	if cost.Budget > 0 {
		p.line("", "the run ends when it has cost %s", money(cost.Budget))
	}
}

// expected returns how many invocations a whole run makes, warm-up included,
// if nothing is dropped; most is unbounded where only the run can tell.
func (c *Compiled) expected(f forecast) (least, most int64) {
	low, high := invocations(c.Plan.Steps)
	iterations := f.warmup + f.total
	closed := c.Plan.Load.Crowd != nil
	if !f.known || closed && c.Plan.Load.Warmup > 0 {
		return 0, unbounded
	}
	if int64(max(low, high)) > math.MaxInt64/max(1, iterations) {
		return 0, unbounded
	}
	least, most = int64(low)*iterations, int64(high)*iterations
	if high == unbounded {
		most = unbounded
	}
	if closed || c.Data != nil && c.Data.Order == dataset.Once {
		least = 0 // it may end before
	}
	return least, most
}

// longest is the longest timeout of an attempt.
func (c *Compiled) longest() (d time.Duration) {
	for _, s := range c.sends {
		d = max(d, s.invoke.Target.Timeout)
	}
	return d
}

// amount writes money with three digits that matter.
func amount(x float64, currency string) string {
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if x > 0 {
		digits := max(0, 2-int(math.Floor(math.Log10(x))))
		s = strconv.FormatFloat(x, 'f', min(digits, 18), 64)
	}
	if currency != "" {
		return fmt.Sprintf("%s %s", s, currency)
	}
	return s
}
