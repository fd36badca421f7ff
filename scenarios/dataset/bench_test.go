package dataset

import (
	"fmt"
	"strings"
	"testing"
)

func BenchmarkNext(b *testing.B) {
	var c, j strings.Builder
	c.WriteString("userId,name,email,city,n\n")
	for i := range 20_000 {
		fmt.Fprintf(&c, "u%d,Ann %d,ann%d@example.com,Shanghai,%d\n", i, i, i, i)
		fmt.Fprintf(&j, `{"userId":"u%d","name":"Ann %d","email":"ann%d@example.com","city":"Shanghai","n":%d}`+"\n", i, i, i, i)
	}
	list := "[" + strings.ReplaceAll(strings.TrimSpace(j.String()), "\n", ",\n") + "]"
	dir := folder(b, map[string]string{"d.csv": c.String(), "d.csv.gz": gz(c.String()), "d.csv.zst": zst(c.String()), "d.jsonl": j.String(), "d.json": list})
	for _, name := range []string{"d.csv", "d.csv.gz", "d.csv.zst", "d.jsonl", "d.json"} {
		for _, order := range []Order{Cycle, Shuffle} {
			b.Run(name+"/"+string(order), func(b *testing.B) {
				r, err := Open(Spec{Files: []string{name}, Dir: dir, Order: order})
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				b.ReportAllocs()
				for b.Loop() {
					if _, err := r.Next(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}
