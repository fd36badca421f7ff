package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"volley/scenarios"
	"volley/scenarios/runner"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"volley": main})
}

// The scripts in examples/ run the real program, as users do.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "examples",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "TOKEN=tok-0123456789abcdef")
			examples, err := filepath.Glob("examples/*")
			if err != nil {
				return err
			}
			for _, from := range examples { // the scenarios that scripts may name as examples/NAME
				if info, err := os.Stat(from); err != nil || info.IsDir() || filepath.Ext(from) == ".txtar" {
					continue
				}
				content, err := os.ReadFile(from)
				if err != nil {
					return err
				}
				to := filepath.Join(e.WorkDir, from)
				if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(to, content, 0o644); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "json": jsonCmd, "awaits": awaits, "secret": secret,
		},
	})
}

// exits CODE PROGRAM ARG... runs a program that must end with that code, or
// with one of several: 0|111 is a run that is well, but may have been measured
// on a machine that is busy with other tests.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE[|CODE...] PROGRAM ARG...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if !slices.Contains(strings.Split(args[0], "|"), strconv.Itoa(got)) {
		ts.Fatalf("the exit code is %d, want %s", got, args[0])
	}
}

// json FILE PATH WANT compares one value of a JSON file, such as .load.due,
// with a text. WANT may be >N or <N.
func jsonCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: [!] json FILE .path.to.value WANT")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	for key := range strings.SplitSeq(strings.TrimPrefix(args[1], "."), ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				ts.Fatalf("%s: %s: there are %d of it", args[0], args[1], len(in))
			}
			v = in[i]
		default:
			v = nil
		}
	}
	got := fmt.Sprint(v)
	if f, ok := v.(float64); ok {
		got = strconv.FormatFloat(f, 'f', -1, 64)
	}
	holds := got == args[2]
	if bound, err := strconv.ParseFloat(args[2][min(1, len(args[2])):], 64); err == nil && strings.ContainsAny(args[2][:1], "<>") {
		f, isNumber := v.(float64)
		holds = isNumber && (args[2][0] == '<' && f < bound || args[2][0] == '>' && f > bound)
	}
	if holds == neg {
		ts.Fatalf("%s: %s is %s, want %s (negated: %v)", args[0], args[1], got, args[2], neg)
	}
}

// awaits FILE TEXT waits until a text stands in a file.
func awaits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: awaits FILE TEXT")
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(b), args[1]) {
			return
		}
	}
	ts.Fatalf("%s does not have %q", args[0], args[1])
}

// secret DIR TEXT fails if a text stands in any file under a folder.
func secret(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: secret DIR TEXT")
	}
	files := 0
	ts.Check(filepath.Walk(ts.MkAbs(args[0]), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), args[1]) {
			ts.Fatalf("%s has the secret in it", path)
		}
		return err
	}))
	if files == 0 {
		ts.Fatalf("there are no files under %s", args[0])
	}
}

var update = flag.Bool("update", false, "write the scripts' expected output anew; read the diff")

// What the README tells people to type exists: targets in the Makefile, and
// command lines that parse.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, " #")
			words := shellWords(line)
			if len(words) == 0 {
				continue
			}
			commands++
			switch words[0] {
			case "make":
				if !strings.Contains(string(makefile), "\n"+words[1]+":") {
					t.Errorf("README says %q: the Makefile has no such target", strings.TrimSpace(line))
				}
			case "volley":
				var c commandLine
				var told strings.Builder
				p := &runner.Process{Out: io.Discard, Err: runner.NewConsole(&told)}
				if code, parsed := parse(&c, words[1:], p); parsed == nil {
					t.Errorf("README says %q: exit code %d: %s", strings.TrimSpace(line), code, &told)
				}
			default:
				t.Errorf("README says %q, which nobody checks", strings.TrimSpace(line))
			}
		}
	}
	if commands < 5 {
		t.Errorf("%d commands were found in the README", commands)
	}
}

// The scenario in the README is one.
func TestReadmeScenario(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README shows no scenario")
	}
	env := func(name string) (string, bool) { return "my-" + strings.ToLower(name), true }
	c, err := scenarios.Load("README.yaml", block[1], scenarios.Options{Env: env, Dir: "examples"})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(c.Thresholds); got != 4 || c.Plan.Parallel != 2 {
		t.Errorf("%d thresholds, %d in parallel; want 4 and 2", got, c.Plan.Parallel)
	}
}

// shellWords splits a line as a shell does, as far as the README needs it.
func shellWords(line string) (words []string) {
	for _, m := range regexp.MustCompile(`'([^']*)'|([^\s']+)`).FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2])
	}
	return words
}

// BenchmarkRun runs the program against servers in this process, as users do.
// Half of the time is theirs. `make pgo` has the compiler's profile made of it.
func BenchmarkRun(b *testing.B) {
	rows := filepath.Join(b.TempDir(), "rows.csv")
	csv := []byte("userId,city,sku\n")
	for n := range 1000 {
		csv = fmt.Appendf(csv, "u%06d,city-%d,sku-%d\n", n, n%97, n*31)
	}
	if err := os.WriteFile(rows, csv, 0o644); err != nil {
		b.Fatal(err)
	}
	plain, secure := answering(b)
	for _, bench := range []struct {
		name, file, server string
		more               []string
	}{
		{"plain", "plain", plain, nil},
		{"checked", "checked", plain, nil},
		{"fanout", "fanout", plain, []string{"-e", "ROWS=" + rows}},
		{"open", "open", plain, []string{"--rate", "10000/s"}},
		{"tls", "plain", secure, []string{"--insecure"}},
		{"h2", "h2", secure, []string{"--insecure"}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				report := filepath.Join(b.TempDir(), "report.json")
				p := process()
				p.Err = runner.NewConsole(io.Discard)
				args := append([]string{"run", "examples/peers/" + bench.file + ".yaml", "--for", "2s", "--quiet", "-e", "TOKEN=any", "-e", "ENDPOINT=" + bench.server,
					"--out", filepath.Join(b.TempDir(), strconv.Itoa(n)), "--format", "json=" + report}, bench.more...)
				if code := run(args, p); code != 0 && code != 111 {
					b.Fatalf("exit code %d", code)
				}
				var d struct {
					Load struct {
						Good float64 `json:"invocations_good_per_s"`
					} `json:"load"`
				}
				if content, err := os.ReadFile(report); err != nil || json.Unmarshal(content, &d) != nil {
					b.Fatalf("%s: %v", report, err)
				}
				b.ReportMetric(d.Load.Good, "ok/s")
			}
		})
	}
}

// answering starts servers that give everybody the same answer, one for
// HTTP/1.1 that does no more than it must, and one for TLS with HTTP/2.
func answering(b *testing.B) (plain, secure string) {
	const body = `{"code":0,"data":{"id":"u1","name":"somebody","total":42,"ok":true},"requestId":"0123456789abcdef"}`
	reply := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := make([]byte, 16<<10)
				for { // a client sends its next request when it has the answer
					if _, err := c.Read(in); err != nil {
						return
					}
					if _, err := c.Write(reply); err != nil {
						return
					}
				}
			}()
		}
	}()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	b.Cleanup(s.Close)
	return "http://" + l.Addr().String(), s.URL
}
