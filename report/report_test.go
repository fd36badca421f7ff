package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"volley/engine/record"
)

var update = flag.Bool("update", false, "write the golden files anew; read the difference before you commit it")

func dist(n, p50, p99, max int64) record.Distribution {
	if n == 0 {
		return record.Distribution{}
	}
	d := record.Distribution{Count: n, Min: p50 / 2, Mean: p50 + p50/10, P50: p50, P75: p50 + (p99-p50)/4, P90: p50 + (p99-p50)/2,
		P95: p50 + 3*(p99-p50)/4, P99: p99, Max: max}
	if n >= 10_000 {
		v := p99 + (max-p99)/2
		d.P99_9 = &v
	}
	return d
}

func classes(n, failed, p50, p99, max int64) record.ByClass {
	return record.ByClass{All: dist(n, p50, p99, max), OK: dist(n-failed, p50, p99, max), Failed: dist(failed, p50/10, p99/10, max/10)}
}

func series(step string, n, failed, p50 int64) record.Series {
	s := record.Series{Step: step, Function: step, Method: "http-api", Qualifier: "3", Count: n,
		Outcomes: map[string]int64{"ok": n - failed}, Statuses: map[string]int64{"200": n - failed},
		NewConnections: 20, ReusedConnections: n - 20, BytesOut: 18 * n, BytesIn: 240 * n,
		Response: classes(n, failed, p50, 2*p50, 9*p50), Service: classes(n, failed, p50-100, 2*p50-300, 9*p50-1000),
		Phases: map[string]record.Distribution{"dns": dist(1, 900, 900, 900), "connect": dist(20, 1200, 1900, 2200), "tls": dist(20, 3100, 4000, 4400),
			"send": dist(n, 14, 40, 300), "first_byte": dist(n, p50-150, 2*p50-400, 9*p50-1200), "receive": dist(n, 21, 80, 900)}}
	if failed > 0 {
		s.Outcomes["throttled"] = failed
		s.Statuses["429"] = failed
	}
	return s
}

// usual is a run of three steps in a group, with thresholds and some errors.
func usual() *record.Document {
	return &record.Document{
		Schema: record.ReportSchema, Kind: "run", Name: "home-page", Started: time.Date(2026, 11, 22, 10, 15, 30, 0, time.UTC), Seed: 7, ExitCode: 99,
		Validity: record.Validity{Verdict: "valid", Reasons: []string{}},
		Load: record.Load{Model: "open", Due: 12000, Sent: 12000, ExcludedWarmup: 2000, WarmupResults: 6000, ActiveS: 60.02, SendingS: 60, WarmupS: 10,
			MaxInFlight: 1000, Callers: 31, Burst: 1.02, IterationsAskedPerS: 200, IterationsSentPerS: 200,
			InvocationsSentPerS: 599.8, InvocationsGoodPerS: 599.6, Lateness: dist(12000, 12, 80, 900)},
		Total: record.Total{Count: 36000, Outcomes: map[string]int64{"ok": 35990, "throttled": 10}, Statuses: map[string]int64{"200": 35990, "429": 10},
			NewConnections: 60, ReusedConnections: 35940, Phases: series("", 36000, 0, 41200).Phases,
			Response: classes(36000, 10, 41200, 88100, 412000), Service: classes(36000, 10, 41100, 87900, 411000)},
		Iterations: record.Iterations{Count: 12000, Failed: 10, Response: dist(12000, 61000, 120000, 412000)},
		Series:     []record.Series{series("getUserInfo", 12000, 0, 31000), series("getOrderList", 12000, 10, 62000), series("getNotifications", 12000, 0, 28000)},
		Groups: []record.Group{{Step: "all#1", Kind: "all", Count: 12000, OK: 11990, Failed: 10, AskedParallel: 3, AchievedParallel: 3, MeanParallel: 2.998, FullyParallel: 11980,
			First: dist(12000, 27000, 51000, 90000), Settle: dist(12000, 61000, 120000, 412000), Makespan: dist(12000, 61000, 120000, 412000),
			Straggler: record.Ratio{Count: 12000, Mean: 1.9, P50: 1.82, P90: 2.4, P95: 2.8, P99: 3.51, Max: 11.2}}},
		Thresholds: []record.Threshold{
			{Source: "response.p99 < 300ms", OK: true, Value: 88100, Unit: "us", Count: 36000},
			{Source: "getOrderList.p95 < 90ms", Value: 108500, Unit: "us", Count: 12000},
			{Source: "failed < 0.1%", OK: true, Value: 0.000278, Unit: "share", Count: 36000},
		},
		Errors: []record.Error{{Outcome: "throttled", Status: 429, Code: "RESOURCE_EXHAUSTED", Message: "too many concurrent instances of getOrderList", Count: 10,
			RequestID: "7d0a7b6e-8f1b-4a44-9d0e-8a2f9c2f9f10"},
			{Outcome: "network_error", Detail: "reset", Message: "read tcp 10.0.0.3:41234->1.2.3.4:443: connection reset by peer", Count: 2},
			{Outcome: "check_failed", Status: 200, Detail: "body.code == 0", Count: 1, RequestID: "r-17"}},
		Failures: record.Failures{Kept: 10},
		Tool:     record.Tool{Version: "1.0.0"},
	}
}

func degraded() *record.Document {
	d := usual()
	d.Validity = record.Validity{Verdict: "degraded", Reasons: []string{
		"lateness p99 is 4.1 ms, more than 2 ms: this machine was too slow to send everything when it was due, so response times have a part that is ours",
		"99.7 % of what was due was sent"}}
	d.Load.Dropped, d.Load.Sent, d.Load.Unfinished, d.Load.Lateness = 36, 11964, 4, dist(11964, 300, 4100, 21000)
	d.Load.Held = dist(420, 2000, 15000, 18000)
	d.Total.Outcomes["canceled"] = 12
	return d
}

func invalid() *record.Document {
	d := degraded()
	d.Validity = record.Validity{Verdict: "invalid", Reasons: []string{"91.2 % of what was due was sent: the numbers are those of a smaller load"}}
	d.ExitCode = 111
	for i := range d.Thresholds {
		d.Thresholds[i].OK = false
	}
	d.Thresholds = append(d.Thresholds, record.Threshold{Source: "nobody.p99 < 1s", Unit: "us", NoData: true},
		record.Threshold{Source: "ok.rate >= 195/s", Value: 172.25, Unit: "per_s", Count: 990, Window: 10, Abort: true, AtS: 75})
	return d
}

func closed() *record.Document {
	d := usual()
	d.ExitCode, d.Thresholds, d.Errors, d.Groups = 0, nil, nil, nil
	d.Load.Model, d.Load.IterationsAskedPerS, d.Load.ExcludedWarmup, d.Load.WarmupResults = "closed", 0, 0, 0
	d.Iterations.Failed = 0
	d.Series = []record.Series{series("hello", 36000, 0, 31000)}
	d.Series[0].Qualifier = ""
	d.Total.Outcomes, d.Total.Statuses = d.Series[0].Outcomes, d.Series[0].Statuses
	d.Total.Response, d.Total.Service = d.Series[0].Response, d.Series[0].Service
	return d
}

// serverSide makes up what n replies told, of which some were cold.
func serverSide(n, cold, p50 int64) *record.Server {
	function, way := dist(n, p50, 3*p50, 5*p50), dist(n, 4100, 9000, 31000)
	s := &record.Server{Function: &function, Way: &way, BilledMS: n * p50 / 1000, MemoryMaxBytes: 27_700_000, Instances: 12}
	if cold > 0 {
		s.Cold = &record.ColdStarts{Cold: cold, Warm: n - cold, Unknown: 30, Share: float64(cold) / float64(n),
			ColdService: dist(cold, 561_000, 902_000, 1_204_000), WarmService: dist(n-cold, p50+4100, 3*p50+9000, 5*p50+31000)}
	}
	return s
}

// mixed has every method in one group, and replies that tell of the
// function's side by some of them.
func mixed() *record.Document {
	d := usual()
	d.ExitCode, d.Ended = 115, "the budget of 5 is used up: invocations so far 36000, cost up to 5.003"
	d.Series, d.Errors, d.Thresholds = nil, nil, nil
	d.Transports = []record.Transport{{Host: "https://a", By: "volley", Protocol: "HTTP/1.1", OpenedAhead: 30}, {Host: "https://b", By: "volley", Protocol: "HTTP/1.1", OpenedAhead: 4},
		{Host: "https://c", By: "volley", Protocol: "HTTP/2", Connections: 1}, {Host: "https://d", By: "net/http", Because: "a proxy"}}
	for i, m := range []string{"http-api", "http-function", "web", "node-sdk", "web-sdk", "mini-program", "control-plane"} {
		s := series([]string{"getUserInfo", "page", "orders"}[i%3]+strings.Repeat("2", i/6), 5142, 0, 31000)
		if i == 4 {
			s.Step = "page2"
		}
		s.Method = m
		d.Series = append(d.Series, s)
	}
	d.Series[0].Server = serverSide(5142, 0, 19_000)
	d.Series[0].Server.BilledMS, d.Series[0].Server.MemoryMaxBytes, d.Series[0].Server.Instances = 0, 0, 0
	d.Series[2].Server = &record.Server{Instances: 4096, InstancesAtLeast: true}
	d.Series[6].Server = serverSide(5142, 16, 21_000)
	d.Total.Server = serverSide(10284, 16, 20_000)
	d.Total.Server.InstancesAtLeast = true
	d.Total.Renewed = 512
	d.Cost = &record.Cost{Invocations: 36010, GBSeconds: 162.2512, Requests: 0.0072, Compute: 4.9958, Total: 5.003, Low: 4.98, High: 5.003, Budget: 5,
		Basis: "service", ByBasis: map[string]int64{"billed": 5142, "function": 5142, "service": 25726}}
	d.Notes = []string{"mini-program: WeChat ends a call after 5 s, and calls come without a user's identity: OPENID and UNIONID are empty, as they are for a server",
		"control-plane: Invoke is limited to 100 calls per second"}
	return d
}

// priced is a closed run with a cost that is exact, and cold starts told by
// all, without times of the function.
func priced() *record.Document {
	d := closed()
	side := serverSide(36000, 120, 31000)
	side.Function, side.Way, side.Cold.Unknown = nil, nil, 0
	d.Series[0].Server, d.Total.Server = side, side
	d.Cost = &record.Cost{Invocations: 36000, GBSeconds: 279.1, Requests: 0.00479, Compute: 0.0309, Total: 0.03569, Low: 0.03569, High: 0.03569,
		Basis: "billed", ByBasis: map[string]int64{"billed": 36000}, Currency: "USD"}
	d.Total.Renewed = 1
	d.Load.WarmupResults = 20
	return d
}

func empty() *record.Document {
	return &record.Document{Schema: record.ReportSchema, Kind: "run", Load: record.Load{Model: "open"}, Groups: []record.Group{{Step: "all#1"}},
		Series: []record.Series{{Step: "never"}}, Thresholds: []record.Threshold{{Source: "p99 < 1s", NoData: true}}}
}

// many has more of everything than is shown, names that are too long or wide,
// and text that would do things to a terminal.
func many() *record.Document {
	d := usual()
	d.Name = strings.Repeat("很长的名字", 12)
	d.Series = nil
	for i := range 30 {
		s := series(fmt.Sprintf("step %02d", i), 1200, 0, int64(900+400*i))
		if i%2 == 1 {
			s.Method = "web"
		}
		d.Series = append(d.Series, s)
		d.Groups = append(d.Groups, d.Groups[0])
		d.Thresholds = append(d.Thresholds, record.Threshold{Source: fmt.Sprintf("step %02d.count == %d", i, i), OK: i%7 > 0, Unit: "count", Value: 1200, Count: 1200})
		d.Total.Statuses[fmt.Sprint(440+i)] = int64(1 + i)
		d.Errors = append(d.Errors, record.Error{Outcome: "network_error", Detail: "reset", Message: "read tcp 127.0.0.1:443: connection reset by peer", Count: 9})
	}
	d.Series[0].Step = "获取用户信息并且检查所有的订单和通知"
	d.Series[1].Step = "a-step-with-a-name-that-nobody-would-want-to-read"
	d.Series[2].Step = "evil \x1b[31mred\x1b[0m \u202e name\r\n"
	d.Errors[0].Message = "\x1b]0;title\a\xff and 平方"
	d.Errors[1].RequestID = "id\x1b[2J"
	d.Validity.Reasons = []string{"one", "two", "three", "four", "five", "six", "seven", "eight \x1b[1m"}
	d.Attempts = []record.Series{series("step 04", 1300, 100, 2100)}
	over := d.Total.Response.All
	over.OverRange = 3
	d.Total.Response.All = over
	d.Failures = record.Failures{Kept: 5000, LeftOut: 1234}
	return d
}

func documents() map[string]func() *record.Document {
	return map[string]func() *record.Document{"usual": usual, "degraded": degraded, "invalid": invalid, "closed": closed, "empty": empty, "many": many, "mixed": mixed, "priced": priced}
}

func TestGolden(t *testing.T) {
	for name, make := range documents() {
		for format, write := range Formats() {
			t.Run(name+"."+format, func(t *testing.T) {
				var got bytes.Buffer
				if err := write(&got, make()); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join("testdata", name+"."+format)
				if *update {
					if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got.String() != string(want) {
					t.Errorf("%s: got\n%s\nwant\n%s", path, got.String(), want)
				}
			})
		}
	}
}

func TestTextFitsATerminal(t *testing.T) {
	for name, make := range documents() {
		var out bytes.Buffer
		if err := (Text{}).Write(&out, make()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		for i, l := range lines {
			if width(l) > columns {
				t.Errorf("%s, line %d is %d columns wide: %q", name, i+1, width(l), l)
			}
			if strings.TrimRight(l, " ") != l {
				t.Errorf("%s, line %d has spaces at its end: %q", name, i+1, l)
			}
			if at := strings.IndexFunc(l, unicode.IsControl); at >= 0 || strings.ContainsRune(l, '\u202e') {
				t.Errorf("%s, line %d has a control character: %q", name, i+1, l)
			}
		}
		if name == "usual" && len(lines) > 43 {
			t.Errorf("%s has %d lines, more than 43", name, len(lines))
		}
	}
}

func TestColorIsAnOption(t *testing.T) {
	var plain, colored bytes.Buffer
	if err := (Text{}).Write(&plain, degraded()); err != nil {
		t.Fatal(err)
	}
	if err := (Text{Color: true}).Write(&colored, degraded()); err != nil {
		t.Fatal(err)
	}
	stripped := colored.String()
	for _, color := range []string{bold, red, green, yellow, "0"} {
		stripped = strings.ReplaceAll(stripped, "\x1b["+color+"m", "")
	}
	if plain.String() == colored.String() {
		t.Error("colour changes nothing")
	}
	if stripped != plain.String() {
		t.Errorf("colour changes more than colour:\n%s\nwant\n%s", stripped, plain.String())
	}
}

func TestTheVerdictComesFirst(t *testing.T) {
	for name, want := range map[string]string{"usual": "VALID", "degraded": "DEGRADED", "invalid": "INVALID", "empty": "NOT JUDGED"} {
		var out bytes.Buffer
		if err := (Text{}).Write(&out, documents()[name]()); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), want+" ") {
			t.Errorf("%s begins with %.20q, want %s", name, out.String(), want)
		}
	}
}

func TestReadersOfJSONGetTheDocument(t *testing.T) {
	for name, make := range documents() {
		if name == "many" {
			continue // has text that is not UTF-8, as only a broken writer could
		}
		var out bytes.Buffer
		if err := JSON(&out, make()); err != nil {
			t.Fatal(err)
		}
		var got record.Document
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if err := JSON(&again, &got); err != nil {
			t.Fatal(err)
		}
		if again.String() != out.String() {
			t.Errorf("%s: read and written again:\n%s\nwant\n%s", name, again.String(), out.String())
		}
	}
}

func TestReportersChangeNothing(t *testing.T) {
	for format, write := range Formats() {
		d := many()
		if err := write(&bytes.Buffer{}, d); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(d, many()) {
			t.Errorf("%s has changed the document", format)
		}
	}
}

type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestAWritersErrorIsTold(t *testing.T) {
	for format, write := range Formats() {
		if err := write(broken{}, usual()); !errors.Is(err, errBroken) {
			t.Errorf("%s: error %v, want %v", format, err, errBroken)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{micros(0), "0µs"}, {micros(999), "999µs"}, {micros(1000), "1.00ms"}, {micros(9994), "9.99ms"}, {micros(9995), "10.0ms"},
		{micros(99_949), "99.9ms"}, {micros(99_950), "100ms"}, {micros(999_499), "999ms"}, {micros(999_500), "1.00s"},
		{micros(3_600_000_000), "3600s"},
		{seconds(0), "0s"}, {seconds(0.2), "200ms"}, {seconds(59.99), "60.0s"}, {seconds(60), "1m"}, {seconds(3601), "1h1s"}, {seconds(90.4), "1m30s"},
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(1234567), "1,234,567"}, {count(-1000), "-1,000"}, {count(-100), "-100"},
		{rate(0.25), "0.25/s"}, {rate(200), "200/s"}, {rate(199.93), "199.9/s"}, {rate(12345.6), "12,346/s"}, {rate(99.999), "100/s"},
		{share(0, 10), "0%"}, {share(1, 1_000_000), "<0.01%"}, {share(999_999, 1_000_000), ">99.99%"}, {share(1, 3), "33.3%"}, {share(10, 10), "100%"},
		{share(1, 1000), "0.1%"}, {share(0, 0), "-"},
		{short(9_999_999), "9,999,999"}, {short(10_000_000), "10M"}, {short(123_456_789), "123.5M"}, {short(1 << 62), "4.6e+18"},
		{plural(1, "step"), "1 step"}, {plural(0, "step"), "0 steps"},
		{memory(0), "-"}, {memory(1023), "1023B"}, {memory(1024), "1.00KiB"}, {memory(27_700_000), "26.4MiB"}, {memory(3 << 40), "3072GiB"}, {memory(1 << 62), "4.6e+18"},
		{money(0), "0"}, {money(0.00001234567), "0.00001235"}, {money(0.5), "0.5"}, {money(5.0031), "5.003"}, {money(999.96), "1000"}, {money(1234567.891), "1234567.89"},
		{money(1e300), "1e+300"}, {money(1e-12), "1e-12"}, {money(-2.5), "-2.5"},
		{clean("a\x00b\u202e\xffc 表"), `a\x00b\u202e\xffc 表`},
		{fit("名字名字", 5), "名字…"}, {fit("名字名字", 4), "名…"}, {fit("名字名字", 8), "名字名字"}, {fit("abc", 0), ""}, {fit("e\u0301e\u0301e\u0301", 3), "e\u0301e\u0301e\u0301"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// FuzzText holds that nothing in a document can make a line longer than the
// terminal, or reach the terminal as a control character.
func FuzzText(f *testing.F) {
	f.Add("step", "m", "a message", "id", int64(5))
	f.Add("\x1b[2J", "方法", strings.Repeat("很", 200), "\u2028\xff", int64(1<<62))
	f.Fuzz(func(t *testing.T, step, method, message, id string, n int64) {
		d := usual()
		n = max(0, n)
		d.Name, d.Validity.Reasons = message, []string{message, id}
		d.Notes, d.Ended = []string{message, id, method}, id
		d.Series[0].Server = serverSide(n, n/2, n%1e13)
		d.Total.Server = &record.Server{BilledMS: n, MemoryMaxBytes: n, Instances: n}
		d.Cost = &record.Cost{Invocations: n, Low: -1, High: float64(n), Total: float64(n) / 3, Requests: 1 / float64(n+1), Compute: 1e300, Budget: 1e-300, GBSeconds: float64(n) / 7, ByBasis: map[string]int64{"service": n / 2}}
		d.Series[0].Step, d.Series[1].Method = step, method
		d.Groups[0].Step = step
		d.Errors[0] = record.Error{Outcome: method, Code: step, Message: message, RequestID: id, Count: n}
		d.Thresholds[0].Source = message
		d.Total.Statuses[id] = 3
		d.Series[2].Count, d.Load.Due, d.Load.Lateness.Max, d.Thresholds[1].Count = n, n, n%1e13, n
		var out bytes.Buffer
		if err := (Text{}).Write(&out, d); err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(out.String()) {
			l = strings.TrimSuffix(l, "\n")
			if width(l) > columns {
				t.Errorf("%d columns: %q", width(l), l)
			}
			if strings.ContainsFunc(l, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("not printable: %q", l)
			}
		}
	})
}

// TestErrorsAreTold holds that codes, ids and messages are whole wherever there
// is room for them.
func TestErrorsAreTold(t *testing.T) {
	const id = "736b39de-bab8-4ce8-8a3b-2bf9e6848e0b"
	for _, tt := range []struct {
		name string
		e    record.Error
		want string
	}{
		{"all of it in one line", record.Error{Count: 1, Outcome: "check_failed", Status: 200, Detail: "body.code == 0", RequestID: "r-17"},
			"1× check_failed 200 body.code == 0  r-17"},
		{"a message has a line of its own", record.Error{Count: 10, Outcome: "auth_failed", Status: 200, Code: "SIGN_PARAM_INVALID", Message: "the signature does not match: check secret_key", RequestID: id},
			"10× auth_failed 200 SIGN_PARAM_INVALID  " + id + "\n    the signature does not match: check secret_key"},
		{"so has an id beside a long code", record.Error{Count: 1200, Outcome: "function_timeout", Status: 433, Code: "FUNCTION_TIME_LIMIT_EXCEEDED", Message: "Invoking task timed out after 3 seconds", RequestID: id},
			"1,200× function_timeout 433 FUNCTION_TIME_LIMIT_EXCEEDED\n    Invoking task timed out after 3 seconds\n    request id " + id},
		{"a long message is cut", record.Error{Count: 1, Outcome: "function_error", Message: strings.Repeat("0123456 ", 60)},
			"1× function_error" + strings.Repeat("\n   "+strings.Repeat(" 0123456", 9), 2) + "\n   " + strings.Repeat(" 0123456", 9) + " …"},
		{"a message that is the code is told once", record.Error{Count: 1, Outcome: "rejected", Code: "X", Message: "X"}, "1× rejected X"},
	} {
		lines := describe(tt.e, columns-2)
		if got := strings.Join(lines, "\n"); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
		for _, l := range lines {
			if width(l) > columns-2 {
				t.Errorf("%s: %d columns: %s", tt.name, width(l), l)
			}
		}
	}
}

// TestWhatCannotBe holds that functions which say that they took longer than
// they did are named, and that rounding is no reason to.
func TestWhatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		name              string
		function, service int64 // the longest, µs
		told              bool
	}{
		{"less", 19_000, 20_000, false},
		{"rounded up to a millisecond", 1_000, 300, false},
		{"seconds for milliseconds", 5, 5_400, false},
		{"microseconds for milliseconds", 5_000_000, 5_400, true},
		{"within the histograms' own precision", 60_300_000, 60_000_000, false},
	} {
		d := closed()
		d.Series[0].Server = serverSide(12000, 0, tt.function)
		d.Series[0].Server.Function.Max, d.Series[0].Service.All.Max = tt.function, tt.service
		d.Total.Server = d.Series[0].Server
		var out strings.Builder
		if err := (Text{}).Write(&out, d); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "hello: the function says it took longer than the invocation"); got != tt.told {
			t.Errorf("%s: told is %v, want %v:\n%s", tt.name, got, tt.told, out.String())
		}
	}
}

// TestPreflightsHold holds that waits for a preflight are called that.
func TestPreflightsHold(t *testing.T) {
	for _, preflight := range []bool{false, true} {
		d := degraded()
		if preflight {
			d.Total.Phases["preflight"] = dist(20, 400, 900, 1100)
		}
		var out strings.Builder
		if err := (Text{}).Write(&out, d); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "held as asked, or by a preflight: 420 of"); got != preflight {
			t.Errorf("with a preflight %v, it is told %v:\n%s", preflight, got, out.String())
		}
	}
}
