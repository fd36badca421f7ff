package scenarios

import (
	"os"
	"path/filepath"
	"testing"
)

// environ answers for the tests' environment.
func environ(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestExamplesLoad(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Load(f, src, Options{Env: environ(map[string]string{})})
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Plan.Steps) == 0 || c.Plan.Parallel < 1 {
				t.Errorf("plan has %d steps and parallel %d", len(c.Plan.Steps), c.Plan.Parallel)
			}
		})
	}
}
