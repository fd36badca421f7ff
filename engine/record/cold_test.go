package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine"
)

func TestErrorsAreToldApartByTheirForm(t *testing.T) {
	tests := []struct {
		name, a, b string
		same       bool
	}{
		{"ports change", "read tcp 10.0.0.3:41234->1.2.3.4:443: reset", "read tcp 10.0.0.3:50999->1.2.3.4:443: reset", true},
		{"ids change", "request 7d0a7b6e-8f1b failed", "request 11223344-aaaa failed", true},
		{"words differ", "connection reset", "connection refused", false},
		{"short numbers tell apart", "status 502", "status 503", false},
		{"hosts tell apart", "dial 1.2.3.4", "dial 1.2.3.5", false},
		{"letters outside ASCII", "函数 a1234 不存在", "函数 b9999 不存在", true},
		{"nothing and something", "", "x", false},
	}
	for _, tt := range tests {
		if got := form(tt.a) == form(tt.b); got != tt.same {
			t.Errorf("%s: same %v, want %v (%q, %q)", tt.name, got, tt.same, form(tt.a), form(tt.b))
		}
	}
}

// cold runs each result through a recorder with a folder.
func recorded(t *testing.T, results ...*engine.Result) (dir string, d *Document) {
	t.Helper()
	dir = t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r, err := Create(Options{Dir: dir, Plan: examplePlan(), Start: start, Tally: exampleTally(start)})
		if err != nil {
			t.Fatal(err)
		}
		s := r.Shard()
		for _, v := range results {
			s.Invocation(v)
		}
		s.Iteration(&engine.IterationResult{Failed: true, Err: errors.New("each: row has no items")})
		totals, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		d = totals.Document()
	})
	return dir, d
}

func TestKindsOfErrorsAreBounded(t *testing.T) {
	var results []*engine.Result
	for i := range 150 {
		for range 1 + i%2 {
			v := invocation(0, engine.Rejected, 0, ms)
			v.Reply.Code = fmt.Sprintf("CODE-%d", i)
			v.Reply.Message = "bad \xff bytes"
			results = append(results, v)
		}
	}
	warm := invocation(0, engine.PlatformError, 0, ms)
	warm.Invocation.Warmup = true
	_, d := recorded(t, append(results, warm)...)
	if n := len(d.Errors); n != maxErrors+1 {
		t.Fatalf("%d rows of errors, want %d and one for all others", n, maxErrors)
	}
	if last := d.Errors[maxErrors]; last.Outcome != "other" || last.Count != 76 {
		t.Errorf("the last row is %+v, want 76 others: 50 kinds once or twice, and an expression", last)
	}
	var sum int64
	for i, e := range d.Errors {
		sum += e.Count
		if i > 0 && i < maxErrors && e.Count > d.Errors[i-1].Count {
			t.Errorf("row %d has %d, after one of %d", i, e.Count, d.Errors[i-1].Count)
		}
		if e.Outcome == "platform_error" {
			t.Error("an error of the warm-up is among the errors")
		}
	}
	if sum != 226 {
		t.Errorf("%d errors in all rows, want 226", sum)
	}
	if got := d.Errors[0].Message; got != "bad \ufffd bytes" {
		t.Errorf("message %q", got)
	}
}

func TestAFailedExpressionIsAnError(t *testing.T) {
	_, d := recorded(t)
	want := Error{Outcome: "rejected", Detail: "expression", Message: "each: row has no items", Count: 1}
	if len(d.Errors) != 1 || d.Errors[0] != want {
		t.Errorf("errors %+v, want %+v", d.Errors, want)
	}
}

func TestFailuresAreASample(t *testing.T) {
	var results []*engine.Result
	for i := range 8000 {
		v := invocation(0, engine.Throttled, 0, ms)
		v.Reply.Status, v.Reply.Code = 400+i%80, fmt.Sprint(i/80%2)
		v.Reply.Body = []byte(strings.Repeat("x", 10_000))
		results = append(results, v)
	}
	dir, d := recorded(t, results...)
	lines := readLines(t, filepath.Join(dir, FailuresFile))
	if d.Failures.Kept+d.Failures.LeftOut != 8000 || int(d.Failures.Kept) != len(lines) || len(lines) > maxFailures || len(lines) < 100 {
		t.Errorf("%d lines, %+v; want at most %d, and the two to be all 8000", len(lines), d.Failures, maxFailures)
	}
	var first Entry
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	if first.Step != "getUser" || first.Function != "getUser" || first.Outcome != "throttled" || first.Status != 400 || first.RequestID != "r-1" ||
		first.Iteration != 12 || first.ResponseUS != 1000 || first.Attempts != 1 || len(first.Reply) != maxKeptBody {
		t.Errorf("the first line is %+v", first)
	}
}

func TestTheSlowestSayWhy(t *testing.T) {
	v := invocation(0, engine.OK, 5*ms, 80*ms)
	v.Invocation.Scope.Row = map[string]any{"userId": "u12", "long": strings.Repeat("y", 2000)}
	v.Invocation.Scope.Item = math.Inf(1)
	v.Held = 2 * ms
	v.End += 10 * ms
	warm := invocation(0, engine.OK, 0, time.Hour)
	warm.Invocation.Warmup = true
	dir, _ := recorded(t, v, warm, invocation(0, engine.Canceled, 0, time.Hour))
	lines := readLines(t, filepath.Join(dir, SlowestFile))
	if len(lines) != 1 {
		t.Fatalf("%d lines, want the one that is neither of the warm-up nor canceled", len(lines))
	}
	var got Slow
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	if got.ResponseUS != 90_000 || got.ServiceUS != 80_000 || got.HeldUS != 2000 || got.LatenessUS != 8000 || len(got.Tries) != 1 ||
		got.Tries[0].Phases["first_byte_us"] != 79_980 || len(got.Tries[0].Phases) != 3 || !got.Tries[0].Reused {
		t.Errorf("the line is %+v", got)
	}
	if row, ok := got.Row.(string); !ok || len(row) > maxKeptRow+10 || !strings.HasSuffix(row, "…") {
		t.Errorf("the row is %v, want the start of its JSON", got.Row)
	}
	if item, ok := got.Item.(string); !ok || !strings.HasPrefix(item, "not JSON") {
		t.Errorf("the item is %v, want to be told that it cannot be written", got.Item)
	}
}

func TestCurl(t *testing.T) {
	post := func(body string) *engine.Request {
		return &engine.Request{Verb: "POST", Scheme: "http", Host: "h:1", Path: "/p", Body: []byte(body), Header: []engine.Field{{Name: "Content-Type", Value: "text/plain"}}}
	}
	const head = `curl -g -X 'POST' 'http://h:1/p' -H 'Content-Type: text/plain'`
	tests := []struct {
		name string
		r    *engine.Request
		size int
		want string
	}{
		{"a plain body", post("a b"), 3, head + ` --data-binary 'a b'`},
		{"quotes", post("it's"), 4, head + ` --data-binary 'it'\''s'`},
		{"a body like a file's name", post("@/etc/passwd"), 12, head + ` --data-raw '@/etc/passwd'`},
		{"control characters", post("a\x1b[2J\n\t'\\"), 9, head + ` --data-binary $'a\033[2J\n\t\'\\'`},
		{"no UTF-8", post("\xff1"), 2, head + ` --data-binary $'\3771'`},
		{"a zero byte", post("a\x00"), 2, head + ` # without its body of 2 bytes: it has a zero byte, which no argument can hold`},
		{"a body cut off within a letter", post("函\xe6\x95"), 90, head + ` --data-binary '函' # the first 3 of 90 bytes of the body`},
		{"a secret body", &engine.Request{Verb: "POST", Scheme: "http", Host: "h", Path: "/", Body: []byte("hush"), SecretBody: true}, 4,
			`curl -g -X 'POST' 'http://h/' -H 'Content-Type:' --data-binary '[secret]'`},
		{"secret fields and query", &engine.Request{Verb: "GET", Scheme: "https", Host: "h", Path: "/", Query: "token=hush", SecretQuery: true,
			Header: []engine.Field{{Name: "X-Key", Value: "hush", Secret: true}, {Name: "cookie", Value: "hush"}, {Name: "Empty"}, {Name: "Host", Value: "h"}}}, 0,
			`curl -g 'https://h/?[secret]' -H 'X-Key: [secret]' -H 'cookie: [secret]' -H 'Empty;'`},
		{"a head", &engine.Request{Verb: "HEAD", Scheme: "http", Host: "h", Path: "/", Header: []engine.Field{{Name: "Content-Length", Value: "3"}}}, 0, `curl -g -I 'http://h/'`},
	}
	for _, tt := range tests {
		if got := Curl(tt.r, tt.size); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// FuzzCurl has a shell read what was quoted for it.
func FuzzCurl(f *testing.F) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		f.Skip("no bash")
	}
	for _, body := range []string{"a", "it's $HOME `id` \\ \"x\"", "\x1b[2J\r\n\u202e", "\xff\xfe123", "@x", "!!", "-d"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if body == "" || strings.Contains(body, "\x00") {
			return
		}
		line := Curl(&engine.Request{Verb: "POST", Scheme: "http", Host: "h", Path: "/", Body: []byte(body)}, len(body))
		out, err := exec.Command(bash, "--norc", "-c", `curl() { printf %s "${!#}"; }; `+line).Output()
		if err != nil || string(out) != body {
			t.Errorf("the shell makes %q of %q by %s (%v)", out, body, line, err)
		}
	})
}

// TestKeptTextsAreMasked has the secret in every text that a reply brings, and
// where the kept part of a body ends.
func TestKeptTextsAreMasked(t *testing.T) {
	const secret = "hush-hush-hush-hush"
	mask := func(text string) string { return strings.ReplaceAll(text, secret, "[secret]") }
	v := invocation(0, engine.FunctionError, 0, ms)
	v.Reply.Code, v.Reply.Detail, v.Reply.RequestID, v.Reply.Message = "C-"+secret, "D-"+secret, "R-"+secret, "M-"+secret
	v.Attempts[0].RequestID = v.Reply.RequestID
	v.Reply.Body = []byte(strings.Repeat("x", maxKeptBody-5) + secret + "tail")
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r, err := Create(Options{Dir: dir, Plan: examplePlan(), Start: start, Tally: exampleTally(start), Mask: mask})
		if err != nil {
			t.Fatal(err)
		}
		r.Shard().Invocation(v)
		totals, err := r.Close()
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteDocument(dir, totals.Document()); err != nil {
			t.Fatal(err)
		}
	})
	for _, name := range []string{CountsFile, FailuresFile, SlowestFile, ReportFile} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if at := strings.Index(string(text), "hush"); at >= 0 {
			t.Errorf("%s has a secret in it: …%s", name, text[max(0, at-60):min(len(text), at+40)])
		}
	}
}
