//go:build unix

package dataset

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestNamedPipe(t *testing.T) {
	for _, order := range []Order{Once, Cycle, Shuffle} {
		path := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- os.WriteFile(path, []byte("a\n0\n1\n"), 0) }()
		sum, err := Inspect(Spec{Files: []string{path}})
		if err != nil || sum.Counted || sum.Rows != 0 || sum.Files[0].Bytes != -1 {
			t.Errorf("Inspect = %+v, %v", sum, err)
		}
		rows, err := column(Spec{Files: []string{path}, Order: order}, "a", 4)
		if err != nil || order == Once && len(rows) != 2 || order != Once && len(rows) != 4 {
			t.Errorf("%s: rows are %v, %v", order, rows, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
