package record

import (
	"cmp"
	"fmt"
	"math"
	"strconv"

	"volley/engine"
)

// A Basis is what the billed time of an attempt is taken from.
type Basis uint8

// The bases, the best first.
const (
	ByBilled   Basis = iota + 1 // the reply says what is billed
	ByFunction                  // the function's own time
	ByService                   // the service time, which has the way in it: an upper estimate

	numBases = int(iota)
)

// String returns the basis as it stands in files.
func (b Basis) String() string {
	if b >= ByBilled && b <= ByService {
		return [...]string{"billed", "function", "service"}[b-1]
	}
	return fmt.Sprintf("basis(%d)", uint8(b))
}

// A Billing is the attempts that may be billed, and their time, each by its
// basis: ByBilled first. What was refused before a function ran is in none.
type Billing struct {
	Sure  [numBases]Billed // outcomes that are billed
	Maybe [numBases]Billed // outcomes of which that is not known
}

// Billed is some attempts, and how much of their time is billed.
type Billed struct {
	Count int64
	US    int64 // µs, in all
}

// Add adds o to b.
func (b *Billing) Add(o Billing) {
	for i := range numBases {
		b.Sure[i].Count += o.Sure[i].Count
		b.Sure[i].US += o.Sure[i].US
		b.Maybe[i].Count += o.Maybe[i].Count
		b.Maybe[i].US += o.Maybe[i].US
	}
}

// billing sums up what the sets have.
func billing(sets ...*set) Billing {
	var b Billing
	for _, s := range sets {
		if s == nil {
			continue
		}
		for i := range s.series {
			b.Add(s.series[i].bill)
		}
	}
	return b
}

// A Cost is an estimate of what a run has cost, warm-up included, in the
// currency of the scenario's prices. Low counts the attempts that are surely
// billed, high those of which it is not known as well (timeouts, broken
// connections), as do all other numbers here.
type Cost struct {
	Invocations int64            `json:"invocations"` // attempts that are, or may be, billed
	GBSeconds   float64          `json:"gb_s"`        // memory × billed time
	Requests    float64          `json:"requests"`    // what the invocations cost
	Compute     float64          `json:"compute"`     // what the GB-seconds cost
	Total       float64          `json:"total"`
	Low         float64          `json:"low"`
	High        float64          `json:"high"`
	Basis       string           `json:"basis,omitempty"` // where the billed time of most is from: billed, function, service
	ByBasis     map[string]int64 `json:"by_basis"`        // invocations by where it is from; by service time it is an upper estimate
	Budget      float64          `json:"budget,omitempty"`
	Currency    string           `json:"currency,omitempty"` // of all amounts, as the scenario names it
}

// gigabyte is what prices mean by a GB: 1024 MB of 1024 × 1024 bytes, as
// memory is configured.
const gigabyte = 1 << 30

// Estimate returns what b costs at the prices of c. It is pure, and stands
// here because the run folder's document has its result; whoever plans a run
// can make up a Billing and ask the same.
func Estimate(c engine.Cost, b Billing) Cost {
	e := Cost{Budget: finite(c.Budget), Currency: c.Currency, ByBasis: map[string]int64{}}
	var sure, all, most int64
	var sureUS, allUS float64
	for i := range numBases {
		n := b.Sure[i].Count + b.Maybe[i].Count
		sure += b.Sure[i].Count
		all += n
		sureUS += float64(b.Sure[i].US)
		allUS += float64(b.Sure[i].US) + float64(b.Maybe[i].US)
		if n > 0 {
			e.ByBasis[Basis(i+1).String()] = n
		}
		if n > most {
			most, e.Basis = n, Basis(i+1).String()
		}
	}
	price := func(n int64, us float64) (gbs, requests, compute float64) {
		gbs = us / 1e6 * float64(c.MemoryBytes) / gigabyte
		return finite(gbs), finite(float64(n) / 1e6 * c.PerMillion), finite(gbs * c.PerGBSecond)
	}
	_, requests, compute := price(sure, sureUS)
	e.Low = finite(requests + compute)
	e.Invocations = all
	e.GBSeconds, e.Requests, e.Compute = price(all, allUS)
	e.Total = finite(e.Requests + e.Compute)
	e.High = e.Total
	return e
}

// finite returns x to twelve digits, which leaves out what adding up floats
// leaves behind and nothing that anybody pays; and never what JSON has no word
// for.
func finite(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	x = min(max(x, -math.MaxFloat64), math.MaxFloat64)
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'e', 11, 64), 64) // of twelve digits, the largest is below math.MaxFloat64
	return x
}

// A headerCost is what counts.jsonl has of a plan's prices.
type headerCost struct {
	PerGBSecond float64 `json:"price_gb_s"`
	PerMillion  float64 `json:"price_per_million"`
	MemoryBytes int64   `json:"memory_bytes"`
	Budget      float64 `json:"budget,omitempty"`
	Currency    string  `json:"currency,omitempty"`
}

// A billLine is a part of a series' billing.
type billLine struct {
	Basis string `json:"basis"`
	Maybe bool   `json:"maybe,omitempty"` // whether these are billed is not known
	Count int64  `json:"count"`
	US    int64  `json:"time_us"`
}

func billLines(b Billing) []billLine {
	var lines []billLine
	for _, part := range []struct {
		of    *[numBases]Billed
		maybe bool
	}{{&b.Sure, false}, {&b.Maybe, true}} {
		for i, v := range part.of {
			if v != (Billed{}) {
				lines = append(lines, billLine{Basis(i + 1).String(), part.maybe, v.Count, v.US})
			}
		}
	}
	return lines
}

// add reads a line.
func (b *Billing) add(l billLine) error {
	for i := range numBases {
		if Basis(i+1).String() != l.Basis {
			continue
		}
		to := &b.Sure
		if l.Maybe {
			to = &b.Maybe
		}
		to[i] = Billed{to[i].Count + l.Count, to[i].US + l.US}
		return nil
	}
	return fmt.Errorf("billed time is not known by %q", cmp.Or(l.Basis, "nothing"))
}
