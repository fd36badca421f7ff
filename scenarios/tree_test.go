package scenarios

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"volley/engine"
)

func TestAnchors(t *testing.T) {
	c := mustLoad(t, emulated+`
steps:
  - invoke: hello
    retry: &retry {attempts: 4, base: 1s}
    data: &data {a: 1, b: {c: [1, 2]}}
  - invoke: world
    retry: {<<: *retry, attempts: 5}
    data: *data
  - {invoke: hello, data: {<<: [{a: 2}, *data], d: 3}}
`, Options{NoLoad: true, Set: []string{"steps[1].data.b.c[0]=9"}})
	body := func(i int) string {
		b, err := c.Plan.Steps[i].Invoke.Data(&engine.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if r := c.Plan.Steps[1].Invoke.Retry; r.Attempts != 5 || r.Base != time.Second {
		t.Errorf("merged: %+v", r)
	}
	if body(0) != `{"a":1,"b":{"c":[1,2]}}` || body(1) != `{"a":1,"b":{"c":[9,2]}}` {
		t.Errorf("a change to an alias changes its anchor: %s, %s", body(0), body(1))
	}
	if body(2) != `{"d":3,"a":2,"b":{"c":[1,2]}}` {
		t.Errorf("merged list: %s", body(2))
	}
}

// TestHostile reads files that are made to take long, or to take the stack.
func TestHostile(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 'b'; i <= 'z'; i++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	for name, src := range map[string]string{
		"aliases of aliases":    bomb,
		"deep brackets":         strings.Repeat("[", 500_000),
		"deep braces":           "a: " + strings.Repeat("{a: ", 100_000),
		"deep dashes":           strings.Repeat("- ", 500_000),
		"deep keys":             strings.Repeat("a: ", 300_000),
		"deep question marks":   strings.Repeat("? ", 300_000),
		"many anchors":          strings.Repeat("&a ", 300_000),
		"many tags":             strings.Repeat("!a ", 300_000),
		"many keys":             strings.Repeat("a: 1\n", 200_000),
		"deep by indentation":   deepBlock(1200),
		"a quote without end":   `a: "` + strings.Repeat("x", 1_000_000),
		"lines of quotes":       strings.Repeat("\"\n", 300_000),
		"too large":             strings.Repeat("# x\n", 300_000),
		"references all over":   "name: \"" + strings.Repeat("${A}", 200_000) + "\"",
		"many mistakes":         "steps:\n" + strings.Repeat("  - {a: 1}\n", 5_000),
		"a long expression":     emulated + "steps:\n  - {invoke: hello, when: \"" + strings.Repeat("(", 10_000) + "\"}",
		"a NUL":                 "name: a\x00b",
		"carriage returns":      "steps:\r  - invoke: hello\r",
		"a byte order mark":     "\xef\xbb\xbfsteps: 1",
		"a colon and nothing":   ":",
		"a dash and nothing":    "-",
		"only an anchor":        "&a",
		"an alias at the top":   "*a",
		"a key that is a list":  "[a, b]: 1",
		"a key that is a null":  "~: 1",
		"merge of a text":       "<<: a",
		"merge of a list":       "<<: [a, 1]",
		"explicit keys":         "? steps\n: - invoke: hello\n",
		"a block of text":       "steps: |\n  - invoke: hello\n",
		"an empty flow mapping": "{}",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Load("test.yaml", []byte(src), Options{})
			if took := time.Since(start); took > 15*time.Second { // a second on a quiet machine; under the race detector many times that
				t.Errorf("took %v", took)
			}
			var list Errors
			if !errors.As(err, &list) {
				t.Fatalf("loads, or is no Errors: %v", err)
			}
			if text := list.Error(); strings.Count(text, "\n") > shown {
				t.Errorf("%d lines of mistakes", strings.Count(text, "\n"))
			}
		})
	}
}

func deepBlock(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestManyMistakesAreCounted(t *testing.T) {
	_, err := Load("test.yaml", []byte("steps:\n"+strings.Repeat("  - {a: 1}\n", 30)), Options{NoLoad: true})
	var list Errors
	if !errors.As(err, &list) || len(list) < 30 {
		t.Fatalf("%d mistakes: %v", len(list), err)
	}
	if want := fmt.Sprintf("\nand %d more", len(list)-20); !strings.HasSuffix(err.Error(), want) {
		t.Errorf("no %q at the end of:\n%v", want, err)
	}
	for i := 1; i < len(list); i++ {
		if list[i].Line < list[i-1].Line {
			t.Errorf("line %d comes after line %d", list[i].Line, list[i-1].Line)
		}
	}
}

func TestWindowsLineEnds(t *testing.T) {
	src := strings.ReplaceAll(strings.TrimPrefix(small, "\n"), "\n", "\r\n")
	mustLoad(t, src, Options{})
	_, err := Load("test.yaml", []byte(strings.ReplaceAll(src, "10/s", "10/x")), Options{})
	if err == nil || !strings.HasPrefix(err.Error(), "test.yaml:7:14: ") {
		t.Errorf("place: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	for _, glob := range []string{"../examples/*.yaml", "testdata/broken/*.yaml", "starter.yaml"} {
		files, _ := filepath.Glob(glob)
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(src))
		}
	}
	f.Add(emulated + "steps: [{invoke: hello, data: {a: \"$${x} ${E} $${{ y }} ${{ 1 }}\", b: -0.0, c: 1e400, d: .5}}]")
	env := environ(map[string]string{"E": "${{ 1 }}", "KEY": "sk-verysecret", "TCB_ENV_ID": "my-env"})
	f.Fuzz(func(t *testing.T, src string) {
		o := Options{Env: env, Dir: t.TempDir(), NoLoad: true}
		c, err := Load("fuzz.yaml", []byte(src), o)
		if err != nil {
			var list Errors
			if !errors.As(err, &list) || len(list) == 0 {
				t.Fatalf("not Errors: %v", err)
			}
			for _, e := range list {
				if e.Line < 1 || e.Col < 1 || e.Problem == "" || e.Fix == "" {
					t.Errorf("without place, problem or hint: %+v", e)
				}
			}
			return
		}
		var b strings.Builder
		if err := Explain(c, &b); err != nil {
			t.Fatal(err)
		}
		resolved := c.Resolved()
		again, err := Load("fuzz.yaml", resolved, o)
		if err != nil {
			t.Fatalf("what loads does not load again: %v\n%s", err, resolved)
		}
		if second := again.Resolved(); string(second) != string(resolved) {
			t.Fatalf("what loads again is something else:\n%s\n%s", resolved, second)
		}
	})
}
