package invoke

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
)

func TestCookies(t *testing.T) {
	sets := func(all ...string) line {
		l := line{status: 200}
		for _, c := range all {
			l.header = append(l.header, engine.Field{Name: "Set-Cookie", Value: c})
		}
		return l
	}
	type ask struct {
		worker int
		own    string
		want   string // the Cookie header
	}
	var flood []string
	for n := range 500 {
		flood = append(flood, fmt.Sprintf("c%03d=1", n))
	}
	tests := []struct {
		name  string
		keeps bool
		lines []line
		asks  []ask
	}{
		{"go back to who set them", true, []line{sets("a=1", "b=2; Path=/"), sets("a=3")}, []ask{{0, "", ""}, {0, "", "a=1; b=2"}, {0, "", "a=3; b=2"}}},
		{"belong to one caller", true, []line{sets("a=1")}, []ask{{0, "", ""}, {1, "", ""}, {0, "", "a=1"}}},
		{"come after the scenario's own", true, []line{sets("a=1")}, []ask{{0, "x=y", "x=y"}, {0, "x=y", "x=y; a=1"}}},
		{"can be taken back", true, []line{sets("a=1"), sets("a=; Max-Age=0")}, []ask{{0, "", ""}, {0, "", "a=1"}, {0, "", ""}}},
		{"not of another path", true, []line{sets("a=1; Path=/other")}, []ask{{0, "", ""}, {0, "", ""}}},
		{"not without TLS when secure", true, []line{sets("a=1; Secure")}, []ask{{0, "", ""}, {0, "", ""}}},
		{"only where the method keeps them", false, []line{sets("a=1")}, []ask{{0, "", ""}, {0, "", ""}}},
		{"not when they are huge", true, []line{sets("a="+strings.Repeat("x", maxCookie), "b=2")}, []ask{{0, "", ""}, {0, "", "b=2"}}},
		{"not without end", true, []line{sets(flood...)}, []ask{{0, "", ""}, {0, "", strings.Join(flood[:maxCookies], "; ")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{lines: tt.lines}
				c := &Client{Transport: s, Base: time.Now()}
				for n, a := range tt.asks {
					var r engine.Result
					c.Invoke(t.Context(), call(func(i *engine.Invocation) {
						i.Worker, i.Step.Target.Method = a.worker, plain{cookies: tt.keeps}
						if a.own != "" {
							i.Header = []engine.Field{{Name: "Cookie", Value: a.own}}
						}
					}), &r)
					if got := cookie(&s.asked[n]); got != a.want {
						t.Errorf("request %d had %q, want %q", n, got, a.want)
					}
				}
			})
		})
	}
	t.Run("of a redirect go with the next request, and none of them elsewhere", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hop := sets("a=1")
			hop.status, hop.header = 302, append(hop.header, engine.Field{Name: "Location", Value: "/b"})
			away := line{status: 302, header: []engine.Field{{Name: "Location", Value: "http://other/"}}}
			s := &script{lines: []line{hop, away}}
			c := &Client{Transport: s, Base: time.Now()}
			var r engine.Result
			c.Invoke(t.Context(), call(func(i *engine.Invocation) {
				i.Step.Target.Method, i.Step.Target.Redirects = plain{cookies: true}, 5
				i.Header = []engine.Field{{Name: "Cookie", Value: "x=y", Secret: true}}
			}), &r)
			if len(s.asked) != 3 || cookie(&s.asked[0]) != "x=y" || cookie(&s.asked[1]) != "x=y; a=1" || cookie(&s.asked[2]) != "" {
				t.Errorf("sent %+v", s.asked)
			}
		})
	})
}
