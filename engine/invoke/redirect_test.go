package invoke

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
)

func TestRedirects(t *testing.T) {
	to := func(status int, where string) line {
		return line{took: 10 * ms, status: status, header: []engine.Field{{Name: "Location", Value: where}}}
	}
	secret := engine.Field{Name: "Authorization", Value: "s", Secret: true}
	kind := engine.Field{Name: "Content-Type", Value: "text/plain"}
	trace := engine.Field{Name: "X-Trace", Value: "1"}
	tests := []struct {
		name   string
		most   int
		lines  []line
		status int
		want   []string // requests as sent
	}{
		{"none is followed unless asked for", 0, []line{to(302, "/b")}, 302, []string{"POST http://h/fn atc body"}},
		{"302 turns a POST into a GET", 1, []line{to(302, "/b?c=d")}, 200, []string{"POST http://h/fn atc body", "GET http://h/b?c=d at"}},
		{"307 keeps it", 1, []line{to(307, "b")}, 200, []string{"POST http://h/fn atc body", "POST http://h/b atc body"}},
		{"303", 1, []line{to(303, "/b")}, 200, []string{"POST http://h/fn atc body", "GET http://h/b at"}},
		{"one too many stands", 2, []line{to(302, "/1"), to(302, "/2"), to(302, "/3")}, 302, []string{"POST http://h/fn atc body", "GET http://h/1 at", "GET http://h/2 at"}},
		{"secrets stay behind", 1, []line{to(308, "https://other/x")}, 200, []string{"POST http://h/fn atc body", "POST https://other/x tc body"}},
		{"a redirect without a place stands", 3, []line{{status: 302}}, 302, []string{"POST http://h/fn atc body"}},
		{"304 is none", 3, []line{to(304, "/b")}, 304, []string{"POST http://h/fn atc body"}},
		{"escapes stay", 1, []line{to(302, "/a%2Fb%20c")}, 200, []string{"POST http://h/fn atc body", "GET http://h/a%2Fb%20c at"}},
		{"to nowhere", 1, []line{to(302, "ftp://h/b")}, 0, []string{"POST http://h/fn atc body"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{lines: tt.lines}
				c := &Client{Transport: s, Base: time.Now()}
				var r engine.Result
				c.Invoke(t.Context(), call(func(i *engine.Invocation) {
					i.Step.Target.Redirects, i.Data = tt.most, []byte("body")
					i.Header = []engine.Field{secret, trace, kind}
				}), &r)
				var got []string
				for _, q := range s.asked {
					u := q.Scheme + "://" + q.Host + q.Path
					if q.Query != "" {
						u += "?" + q.Query
					}
					marks := ""
					for _, f := range q.Header {
						marks += map[string]string{"Authorization": "a", "X-Trace": "t", "Content-Type": "c"}[f.Name]
					}
					got = append(got, strings.TrimSpace(q.Verb+" "+u+" "+marks+" "+string(q.Body)))
				}
				if !slices.Equal(got, tt.want) || r.Reply.Status != tt.status || len(r.Attempts) != 1 {
					t.Errorf("status %d after %q, want %d after %q", r.Reply.Status, got, tt.status, tt.want)
				}
				if len(got) > 1 && r.InService != time.Duration(min(len(tt.lines), len(got)))*10*ms {
					t.Errorf("in service %v", r.InService)
				}
				if tt.status == 0 && (r.Reply.Outcome != engine.NetworkError || r.Reply.Detail != detailProtocol) {
					t.Errorf("%v %q", r.Reply.Outcome, r.Reply.Detail)
				}
			})
		})
	}
}

func TestTimingAdd(t *testing.T) {
	a := Timing{Start: 1, End: 2, Reused: true, BytesOut: 3, BytesIn: 4, Phases: engine.Phases{Preflight: -1, DNS: -1, Connect: -1, TLS: 1, Send: 1, FirstByte: 1, Receive: 1}}
	a.add(&Timing{Start: 5, End: 9, BytesOut: 1, BytesIn: 1, Phases: engine.Phases{Preflight: -1, DNS: 2, Connect: -1, TLS: -1, Send: 1, FirstByte: 1, Receive: 1}})
	want := Timing{Start: 1, End: 9, BytesOut: 4, BytesIn: 5, Phases: engine.Phases{Preflight: -1, DNS: 2, Connect: -1, TLS: 1, Send: 2, FirstByte: 2, Receive: 2}}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("%+v, want %+v", a, want)
	}
}
