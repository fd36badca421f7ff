package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// explained returns what validate --plan would print of a file.
func explained(t *testing.T, file string) string {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(file, src, Options{Env: environ(map[string]string{"TOKEN": "tk-verysecret", "NAME": "id-verysecret", "CLOUDBASE_APIKEY": "sk-verysecret"})})
	if err != nil {
		t.Fatal(told(err))
	}
	var b strings.Builder
	if err := Explain(c, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExplain(t *testing.T) {
	for _, name := range []string{"full", "stages", "closed", "closed-stages", "dataset"} {
		t.Run(name, func(t *testing.T) {
			file := "testdata/full.yaml"
			if name != "full" {
				file = "../examples/" + name + ".yaml"
			}
			got := explained(t, file)
			golden := "testdata/explain-" + name + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if strings.Contains(got, "verysecret") {
				t.Error("a secret is shown")
			}
		})
	}
}

func TestExplainFits80Columns(t *testing.T) {
	files, _ := filepath.Glob("../examples/*.yaml")
	for _, f := range append(files, "testdata/full.yaml") {
		head, _, _ := strings.Cut(explained(t, f), "\n\n") // the scenario's own lines are as long as it wants
		for line := range strings.SplitSeq(head, "\n") {
			if n := utf8.RuneCountInString(line); n > 80 {
				t.Errorf("%s: %d columns: %s", f, n, line)
			}
		}
	}
}

func TestStarter(t *testing.T) {
	for given, want := range map[string]string{"checkout": "checkout", "": "hello", "../x": "hello", "two words": "two words", "123": "123", "true": "true"} {
		c, err := Load("starter.yaml", Starter(given), Options{})
		if err != nil {
			t.Errorf("%q: %v", given, told(err))
			continue
		}
		if c.Plan.Name != want {
			t.Errorf("the starter for %q is called %q, want %q", given, c.Plan.Name, want)
		}
		if len(c.Thresholds) == 0 || c.Emulator == nil {
			t.Errorf("%q: no thresholds, or no emulator to run on", given)
		}
	}
}

// TestResolvedLoadsAgain holds that what is shown of a scenario is that very
// scenario.
func TestResolvedLoadsAgain(t *testing.T) {
	files, _ := filepath.Glob("../examples/*.yaml")
	env := environ(map[string]string{"TOKEN": "tk-verysecret", "NAME": "id-verysecret", "CLOUDBASE_APIKEY": "sk-verysecret"})
	for _, f := range append(files, "testdata/full.yaml") {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Load(f, src, Options{Env: env})
		if err != nil {
			t.Fatal(told(err))
		}
		first := c.Resolved()
		again, err := Load(f, first, Options{Env: env})
		if err != nil {
			t.Errorf("%v\n%s", told(err), first)
			continue
		}
		if second := again.Resolved(); string(second) != string(first) {
			t.Errorf("resolved twice differs:\n%s\n%s", first, second)
		}
	}
}
