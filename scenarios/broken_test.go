package scenarios

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// brokenEnv is the environment of the broken scenarios.
func brokenEnv() map[string]string {
	return map[string]string{"WORD": "many", "SECRET": "sk-verysecret"}
}

// told writes every mistake with its hint, as the program does.
func told(err error) string {
	var list Errors
	if !errors.As(err, &list) {
		return err.Error()
	}
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%s\n  %s\n", e.Error(), e.Hint())
	}
	return b.String()
}

// TestBroken holds what is said about wrong scenarios: each mistake has its
// place, what was found, and a hint.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d broken scenarios: %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Base(f)
			_, err = Load(name, src, Options{Env: environ(brokenEnv()), Dir: filepath.Dir(f)})
			if err == nil {
				t.Fatal("loads")
			}
			got := told(err)
			golden := strings.TrimSuffix(f, ".yaml") + ".txt"
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
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
			if strings.Contains(got, "verysecret") {
				t.Error("a secret is shown")
			}
			wellTold(t, name, got)
		})
	}
}

// wellTold checks that each mistake has a place, a value found, and a hint.
func wellTold(t *testing.T, name, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		if !regexp.MustCompile(`^` + regexp.QuoteMeta(name) + `:\d+:\d+: `).MatchString(lines[i]) {
			t.Errorf("no place: %s", lines[i])
		}
		if strings.TrimSpace(lines[i+1]) == "" {
			t.Errorf("no hint: %s", lines[i])
		}
	}
}
