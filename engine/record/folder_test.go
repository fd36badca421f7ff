package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCreateFolder(t *testing.T) {
	base := filepath.Join(t.TempDir(), "runs")
	start := time.Date(2026, 11, 22, 18, 15, 30, 0, time.FixedZone("CST", 8*3600))
	tests := []struct{ name, of, want string }{
		{"time in UTC, and the name", "home-page", "20261122-101530-home-page"},
		{"a second run in the same second", "home-page", "20261122-101530-home-page-2"},
		{"a name that would leave the folder", "../../etc/passwd", "20261122-101530-etc-passwd"},
		{"letters of any script", "首页 压测", "20261122-101530-首页-压测"},
		{"control characters and quotes", "a\n'b'\x00", "20261122-101530-a-b"},
		{"no name", "", "20261122-101530-run"},
		{"only dots", "...", "20261122-101530-run-2"},
		{"a name that is too long", strings.Repeat("x", 300), "20261122-101530-" + strings.Repeat("x", 64)},
	}
	for _, tt := range tests {
		got, err := CreateFolder("", base, tt.of, start)
		if err != nil || got != filepath.Join(base, tt.want) {
			t.Errorf("%s: %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}

	own := filepath.Join(t.TempDir(), "a", "b")
	for _, why := range []string{"is made", "may be there when it is empty"} {
		if got, err := CreateFolder(own, base, "x", start); err != nil || got != own {
			t.Errorf("a folder of one's own %s: %s, %v", why, got, err)
		}
	}
	if err := os.WriteFile(filepath.Join(own, RunFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateFolder(own, base, "x", start); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder with something in it: %v", err)
	}
	if _, err := CreateFolder(filepath.Join(own, RunFile), base, "x", start); err == nil {
		t.Error("a file is taken for a folder")
	}
}

func TestWriteFileReplacesAsAWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.json")
	for _, text := range []string{"one, and rather long", "two"} {
		if err := WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%q, %v; want %q", b, err, text)
		}
	}
	if err := WriteFile(filepath.Join(dir, "nowhere", "x"), nil); err == nil {
		t.Error("no error for a folder that does not exist")
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "taken"), []byte("x")); err == nil {
		t.Error("no error when the place is taken by a folder")
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%q are left behind (%v)", left, err)
	}
}

func TestOpenFolder(t *testing.T) {
	dir, want := smallRun(t, 6)
	if _, err := OpenFolder(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "no run.json in it") {
		t.Errorf("without run.json: %v", err)
	}
	if _, err := OpenFolder(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "there is none") {
		t.Errorf("without a folder: %v", err)
	}
	if err := WriteInfo(dir, RunInfo{Kind: "run", Name: "home-page", Tool: Tool{Version: "1.2.3"}}); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFolder(dir)
	if err != nil || f.Info.Name != "home-page" || f.Info.Schema != RunSchema {
		t.Fatalf("%+v, %v", f, err)
	}

	d, notes, err := f.Document()
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "rebuilt") || d.Tool.Version != "1.2.3" {
		t.Fatalf("without a report: %+v, %q, %v", d, notes, err)
	}
	d.Tool = Tool{}
	if got := document(t, d); got != want {
		t.Errorf("rebuilt:\n%s\nwant\n%s", got, want)
	}

	d.ExitCode = 99
	if err := WriteDocument(dir, d); err != nil {
		t.Fatal(err)
	}
	if d, notes, err := f.Document(); err != nil || d.ExitCode != 99 || len(notes) > 0 {
		t.Errorf("with a report: %+v, %q, %v", d, notes, err)
	}
	for text, want := range map[string]string{
		`{"schema":"volley.report/2"}`: "newer than",
		`{"schema":"volley.run/1"}`:    `not "volley.report/1"`,
		`{"schema":"volley.report/x"}`: `not "volley.report/1"`,
		`{}`:                           `not "volley.report/1"`,
		`{`:                            "unexpected end",
	} {
		if err := WriteFile(filepath.Join(dir, ReportFile), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Document(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ReportFile) {
			t.Errorf("report.json is %s: error %v, want it to name the file and say %q", text, err, want)
		}
	}
}
