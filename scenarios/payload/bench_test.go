package payload

import "testing"

func BenchmarkEval(b *testing.B) {
	for _, src := range []string{`row.userId`, `row.user.id`, `iteration`, `uuid()`, `randInt(1, 100)`, `row.n == 5 && vars.total > 10`} {
		b.Run(src, func(b *testing.B) {
			e, err := CompileExpr(src, Request)
			if err != nil {
				b.Fatal(err)
			}
			env := world()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Eval(env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTemplate(b *testing.B) {
	node := Map{{"userId", "${{ row.userId }}"}, {"page", 1}, {"trace", "t-${{ iteration }}"}, {"user", "${{ row.user }}"}}
	t, err := CompileTemplate(node, Request)
	if err != nil {
		b.Fatal(err)
	}
	env := world()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := t.JSON(env); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkString(b *testing.B) {
	for _, src := range []string{"/users", "/users/${{ row.userId }}/orders?page=${{ iteration }}"} {
		b.Run(src, func(b *testing.B) {
			s, err := CompileString(src, Request)
			if err != nil {
				b.Fatal(err)
			}
			env := world()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Render(env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
