package check

import (
	"errors"
	"strings"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/record"
)

func names() (steps, groups []string) {
	return []string{"getUserInfo", "getOrderList", "v1.orders", "v1", "get <all>"}, []string{"all#1", "race#2"}
}

func TestParse(t *testing.T) {
	type th = Threshold
	p := func(q float64) Metric { return Metric{Kind: Quantile, Quantile: q} }
	o := func(o engine.Outcome, share bool) Metric { return Metric{Kind: Outcome, Outcome: o, Share: share} }
	tests := []struct {
		source string
		want   Threshold
		short  string // what it is written as again; "" is the source
	}{
		{"response.p99 < 300ms", th{Metric: p(0.99), Op: Less, Limit: 300000}, "p99 < 300ms"},
		{"p(99)<300", th{Metric: p(0.99), Op: Less, Limit: 300000}, "p99 < 300ms"},
		{"p( 99.9 )<=1500", th{Metric: p(0.999), Op: LessOrEqual, Limit: 1500000}, "p99.9 <= 1.5s"},
		{"  avg < 200.5 ", th{Metric: Metric{Kind: Avg}, Op: Less, Limit: 200500}, "avg < 200.5ms"},
		{"med<0.25", th{Metric: p(0.5), Op: Less, Limit: 250}, "p50 < 250µs"},
		{"max < 1m30s", th{Metric: Metric{Kind: Max}, Op: Less, Limit: 9e7}, ""},
		{"min > 0s", th{Metric: Metric{Kind: Min}, Op: Greater, Limit: 0}, ""},
		{"p100 < 59m59s", th{Metric: p(1), Op: Less, Limit: 3599e6}, ""},
		{"p99.99 < 1s", th{Metric: p(0.9999), Op: Less, Limit: 1e6}, ""},
		{"getOrderList.p95 < 200ms", th{Step: "getOrderList", Metric: p(0.95), Op: Less, Limit: 200000}, ""},
		{"getOrderList.ok.service.p95 < 200ms", th{Step: "getOrderList", Class: record.Success, Measure: record.Service, Metric: p(0.95), Op: Less, Limit: 200000}, ""},
		{"v1.orders.p95 < 200ms", th{Step: "v1.orders", Metric: p(0.95), Op: Less, Limit: 200000}, ""},
		{"v1.failed.p95 < 200ms", th{Step: "v1", Class: record.Failure, Metric: p(0.95), Op: Less, Limit: 200000}, ""},
		{"v1.failed < 5", th{Step: "v1", Metric: Metric{Kind: Failed}, Op: Less, Limit: 5}, ""},
		{"get <all>.p95 < 200ms", th{Step: "get <all>", Metric: p(0.95), Op: Less, Limit: 200000}, ""},
		{"all#1.p95 < 200ms", th{Step: "all#1", Metric: p(0.95), Op: Less, Limit: 200000}, ""},
		{"all#1.makespan.p95 < 200ms", th{Step: "all#1", Measure: record.Makespan, Metric: p(0.95), Op: Less, Limit: 200000}, ""},
		{"failed.settle.max < 200ms", th{Class: record.Failure, Measure: record.Settle, Metric: Metric{Kind: Max}, Op: Less, Limit: 200000}, ""},
		{"race#2.first.count >= 10", th{Step: "race#2", Measure: record.First, Metric: Metric{Kind: Count, measured: true}, Op: GreaterOrEqual, Limit: 10}, ""},
		{"failed < 0.1%", th{Metric: Metric{Kind: Failed, Share: true}, Op: Less, Limit: 0.001}, ""},
		{"failed == 0", th{Metric: Metric{Kind: Failed}, Op: Equal}, ""},
		{"failed <= 12.3456789 %", th{Metric: Metric{Kind: Failed, Share: true}, Op: LessOrEqual, Limit: 0.123456789}, "failed <= 12.3456789%"},
		{"cold < 5%", th{Metric: Metric{Kind: Cold, Share: true}, Op: Less, Limit: 0.05}, ""},
		{"getUserInfo.cold <= 10", th{Step: "getUserInfo", Metric: Metric{Kind: Cold}, Op: LessOrEqual, Limit: 10}, ""},
		{"function.p95 < 50ms", th{Measure: record.Function, Metric: p(0.95), Op: Less, Limit: 50000}, ""},
		{"v1.ok.function.avg < 50ms", th{Step: "v1", Class: record.Success, Measure: record.Function, Metric: Metric{Kind: Avg}, Op: Less, Limit: 50000}, ""},
		{"ok == 100%", th{Metric: o(engine.OK, true), Op: Equal, Limit: 1}, ""},
		{"client_timeout == 0", th{Metric: o(engine.ClientTimeout, false), Op: Equal}, ""},
		{"getUserInfo.throttled<1%", th{Step: "getUserInfo", Metric: o(engine.Throttled, true), Op: Less, Limit: 0.01}, "getUserInfo.throttled < 1%"},
		{"ok.rate >= 195/s", th{Class: record.Success, Metric: Metric{Kind: Rate}, Op: GreaterOrEqual, Limit: 195}, ""},
		{"rate > 12000/m", th{Metric: Metric{Kind: Rate}, Op: Greater, Limit: 200}, "rate > 200/s"},
		{"all.rate > 100 / h", th{Metric: Metric{Kind: Rate}, Op: Greater, Limit: 100.0 / 3600}, "rate > 0.027777777777777776/s"},
		{"failed.count < 3", th{Class: record.Failure, Metric: Metric{Kind: Count}, Op: Less, Limit: 3}, ""},
		{"response.count > 3", th{Metric: Metric{Kind: Count, measured: true}, Op: Greater, Limit: 3}, ""},
		{"count === 3", th{Metric: Metric{Kind: Count}, Op: Equal, Limit: 3}, "count == 3"},
		{"count!==3", th{Metric: Metric{Kind: Count}, Op: NotEqual, Limit: 3}, "count != 3"},
	}
	steps, groups := names()
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			got, err := Parse(tt.source, steps, groups)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Source = strings.TrimSpace(tt.source)
			if got != tt.want {
				t.Errorf("Parse = %+v, want %+v", got, tt.want)
			}
			short := tt.short
			if short == "" {
				short = tt.source
			}
			if got.String() != short {
				t.Errorf("String = %q, want %q", got, short)
			}
			again, err := Parse(got.String(), steps, groups)
			again.Source = got.Source
			if err != nil || again != got {
				t.Errorf("%q reads as %+v (%v), want %+v", got, again, err, got)
			}
		})
	}
}

func TestParseError(t *testing.T) {
	tests := []struct {
		source       string
		column       int
		problem, fix string
	}{
		{"", 1, "a metric is missing", "p99"},
		{"p99", 4, "an operator is missing", "p99 < 300ms"},
		{"p99 <", 6, "a value is missing", "300ms"},
		{"p99 = 300ms", 5, `"=" is not an operator`, "write =="},
		{"p99 =< 300ms", 5, `"=<" is not an operator`, "write <="},
		{"p99 <<< 300ms", 5, `"<<<" is not an operator`, "write <, <="},
		{"response.p99 < 300", 16, `"300" has no unit`, "write 300ms"},
		{"response.p(99) < 300", 18, `"300" has no unit`, "write 300ms"},
		{"getOrderList.avg < 300", 20, `"300" has no unit`, "write 300ms"},
		{"p99 < 300", 7, `"300" has no unit`, "write 300ms"},
		{"p99 < 1%", 7, `"1%" is not a duration, and p99 is one`, "300ms"},
		{"p99 < 2h", 7, `"2h" is out of range`, "less than 1h"},
		{"p99 < -1s", 7, `"-1s" is out of range`, "less than 1h"},
		{"p99 < 1500ns", 7, `finer than what is measured`, "2µs"},
		{"p0 < 1s", 1, `"p0" is not a percentile`, "at most p100"},
		{"p101 < 1s", 1, `"p101" is not a percentile`, "at most p100"},
		{"p(99 < 1s", 1, `"p(99" is not a metric`, "p99"},
		{"agv < 1s", 1, `"agv" is not a metric`, "did you mean avg?"},
		{"client_timeuot == 0", 1, `"client_timeuot" is not a metric`, "did you mean client_timeout?"},
		{"getOrderLst.p95 < 1s", 1, `no step is called "getOrderLst"`, "did you mean getOrderList?"},
		{"getOrderLst.ok.response.p99.9 < 1s", 1, `no step is called "getOrderLst"`, "did you mean getOrderList?"},
		{"respnse.p95 < 1s", 1, `no step is called "respnse"`, "did you mean response?"},
		{"whatever.p95 < 1s", 1, `no step is called "whatever"`, "the steps are getUserInfo, getOrderList"},
		{"response.ok.p99 < 1s", 10, `"ok" does not belong here`, "then the metric"},
		{"getUserInfo.p95x < 1s", 13, `"p95x" is not a metric`, "did you mean p95?"},
		{"getUserInfo < 1s", 1, `a metric is missing after "getUserInfo"`, "getUserInfo.p99"},
		{"response < 1s", 1, `a metric is missing after "response"`, "response.p99"},
		{"ok.failed < 1%", 1, "failed counts among all results", "leave the class"},
		{"getUserInfo.dropped == 0", 1, "whole iterations are dropped, not getUserInfo alone", "leave the step out"},
		{"service.throttled < 1%", 1, "throttled counts among all results", "leave the class"},
		{"getUserInfo.settle.p99 < 1s", 13, "settle is a time of groups, and getUserInfo is none", "all#1"},
		{"all#1.service.p99 < 1s", 7, "a group has no service time", "settle"},
		{"all#1.function.p99 < 1s", 7, "a group has no function time", "settle"},
		{"all#1.cold < 1%", 1, "a group has no cold starts", "one of its invocations"},
		{"ok.cold < 1%", 1, "cold counts among all results", "leave the class"},
		{"service.cold < 1%", 1, "cold counts among all results", "leave the class"},
		{"cold < 50ms", 8, `"50ms" is not a count`, "1%"},
		{"cold < 0.05", 8, `"0.05" is neither a share nor a count`, "write 5%"},
		{"clod < 5%", 1, `"clod" is not a metric`, "did you mean cold?"},
		{"functoin.p95 < 1s", 1, `no step is called "functoin"`, "did you mean function?"},
		{"function < 1s", 1, `a metric is missing after "function"`, "function.p99"},
		{"function.ok.p99 < 1s", 10, `"ok" does not belong here`, "service, function, first"},
		{"all#1.throttled < 1%", 1, "a group has no outcome called throttled", "failed"},
		{"failed < 0.01", 10, `"0.01" is neither a share nor a count`, "write 1%"},
		{"failed < 101%", 10, `"101%" is not a share`, "from 0% to 100%"},
		{"failed < 1.5", 10, `"1.5" is not a count`, ""},
		{"failed < many", 10, `"many" is not a count`, ""},
		{"count < 10ms", 9, `"10ms" is not a count`, "1000"},
		{"count < 1e3", 9, `"1e3" is not a count`, ""},
		{"rate >= 195", 9, `"195" has no unit`, "write 195/s"},
		{"rate < 0.01", 8, `"0.01" has no unit`, "failed < 1%"},
		{"rate < 1%", 8, `"1%" is not a rate`, "failed < 1%"},
		{"rate < 5/d", 8, `"5/d" is not a rate`, "12000/m"},
		{"名.p95 << 1s", 1, `no step is called "名"`, "the steps are"},
		{"p99 < 1s extra", 7, `"1s extra" is not a duration`, ""},
		{strings.Repeat("x", 1001), 0, "1001 bytes long", "at most 1000"},
		{"p99 < \xff", 0, "is not valid UTF-8", "UTF-8"},
	}
	steps, groups := names()
	for _, tt := range tests {
		t.Run(tt.source, func(t *testing.T) {
			got, err := Parse(tt.source, steps, groups)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Parse = %+v, %v; want an *Error", got, err)
			}
			if e.Column != tt.column || !strings.Contains(e.Problem, tt.problem) || !strings.Contains(e.Fix, tt.fix) || e.Hint() == "" {
				t.Errorf("error at %d: %q, fix %q; want %d: %q, fix %q", e.Column, e.Problem, e.Fix, tt.column, tt.problem, tt.fix)
			}
			if strings.ContainsAny(e.Error()+e.Hint(), "\n") {
				t.Errorf("error %q, hint %q: want one line each", e, e.Hint())
			}
		})
	}
}

func TestParseWithoutGroups(t *testing.T) {
	_, err := Parse("settle.p99 < 1s", []string{"hello"}, nil)
	if err == nil || !strings.Contains(err.Error(), "the scenario has none") {
		t.Errorf("error = %v, want one that says that there are no groups", err)
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		names []string
		bad   string // "" when all are good
	}{
		{[]string{"hello", "v1.hello", "p", "p9x", "okay", "all#1"}, ""},
		{[]string{"hello", "p95"}, "p95"},
		{[]string{"p(99.9)"}, "p(99.9)"},
		{[]string{"count"}, "count"},
		{[]string{"throttled"}, "throttled"},
		{[]string{"all"}, "all"},
		{[]string{"cold"}, "cold"},
		{[]string{"function"}, "function"},
		{[]string{"first"}, "first"},
		{[]string{"a.ok"}, ""},
		{[]string{"a.ok.b", "a"}, "a.ok.b"},
		{[]string{"a", "a.p95"}, "a.p95"},
	}
	for _, tt := range tests {
		err := Names(tt.names)
		var e *Error
		switch {
		case tt.bad == "" && err != nil:
			t.Errorf("Names(%q) = %v, want none", tt.names, err)
		case tt.bad != "" && (!errors.As(err, &e) || e.Source != tt.bad):
			t.Errorf("Names(%q) = %v, want one about %q", tt.names, err, tt.bad)
		}
	}
	if _, err := Parse("p99 < 1s", []string{"count"}, nil); err == nil {
		t.Error("Parse took a step called count")
	}
}

func TestWith(t *testing.T) {
	tests := []struct {
		name, source string
		o            Options
		bad          string
	}{
		{"takes all", "ok.rate >= 195/s", Options{Window: 10 * time.Second, Abort: true, MinSamples: 100}, ""},
		{"refuses parts of a second", "p99 < 1s", Options{Window: 1500 * time.Millisecond}, "window of 1.5s"},
		{"refuses a window that is too long", "p99 < 1s", Options{Window: 11 * time.Minute}, "window of 11m0s"},
		{"refuses a negative window", "p99 < 1s", Options{Window: -time.Second}, "window of -1s"},
		{"refuses negative samples", "p99 < 1s", Options{MinSamples: -1}, "min_samples is -1"},
		{"refuses to abort for what is still to come", "count >= 1000", Options{Abort: true}, "still to be reached"},
		{"aborts for too many", "failed < 10", Options{Abort: true}, ""},
		{"aborts for too few in a window", "count >= 1000", Options{Abort: true, Window: time.Second}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			th, err := Parse(tt.source, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := th.With(tt.o)
			switch {
			case tt.bad == "" && (err != nil || got.Options != tt.o):
				t.Errorf("With = %+v, %v", got, err)
			case tt.bad != "" && (err == nil || !strings.Contains(err.Error(), tt.bad)):
				t.Errorf("With: %v, want an error with %q", err, tt.bad)
			}
		})
	}
}

// FuzzParse holds that no text fails a parser, and that what it reads is
// written so that it reads the same again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"response.p99 < 300ms", "p(99)<300", "failed < 0.1%", "v1.orders.ok.rate >= 195/s", "all#1.settle.max != 1s",
		"client_timeout == 0", "a.p95 <", "p99.99 === 1", "rate > 1/h", "\xff", "get <all>.p50 < 1ms", "failed < 12.3456789012345678%", "cold < 5%", "v1.function.p95 < 50ms"} {
		f.Add(s)
	}
	steps, groups := names()
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Parse(s, steps, groups)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) || e.Problem == "" || e.Fix == "" {
				t.Fatalf("Parse(%q) = %#v: want an *Error with a fix", s, err)
			}
			return
		}
		again, err := Parse(got.String(), steps, groups)
		again.Source = got.Source
		if err != nil || again != got {
			t.Errorf("%q reads as %+v; its %q as %+v (%v)", s, got, got.String(), again, err)
		}
	})
}
