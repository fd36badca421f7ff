package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"volley/engine/self"
)

// The files of a run folder.
const (
	ScenarioFile = "scenario.yaml"  // the bytes that were run
	RunFile      = "run.json"       // see RunInfo; written first
	SeriesFile   = "series.hlog"    // HdrHistogram log v1.3: one histogram per series and second
	CountsFile   = "counts.jsonl"   // one line per second
	ReportFile   = "report.json"    // see Document
	FailuresFile = "failures.jsonl" // see Entry
	SlowestFile  = "slowest.jsonl"  // see Slow
)

// The formats that this version writes, and reads.
const (
	RunSchema    = "volley.run/1"
	ReportSchema = "volley.report/1"
)

// A RunInfo is run.json: what was run, on what, with what. Secrets in it are
// masked by who fills it in.
type RunInfo struct {
	Schema  string         `json:"schema"` // RunSchema; filled in when written
	Kind    string         `json:"kind"`   // run, batch, compare, capacity
	Name    string         `json:"name"`
	Started time.Time      `json:"started"`
	Seed    uint64         `json:"seed"`
	Flags   map[string]any `json:"flags"` // as given; secrets masked
	Tool    Tool           `json:"tool"`
	Machine self.Machine   `json:"machine"`

	// Fingerprints are of the scenario and of the data files, by the names
	// that the scenario gives them.
	Fingerprints []Fingerprint `json:"fingerprints"`
}

// A Fingerprint tells whether a file is still the one that was run.
type Fingerprint struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"` // in hex
	Bytes  int64  `json:"bytes"`
}

// CreateFolder makes the folder of a run and returns its path: dir, if that is
// not "", else <UTC time>-<name> in base, with the name made safe for files and
// a number added when two runs start in one second. A dir that exists and is
// not empty is refused, so that no run can overwrite another.
func CreateFolder(dir, base, name string, start time.Time) (string, error) {
	if dir != "" {
		entries, err := os.ReadDir(dir)
		switch {
		case err == nil && len(entries) > 0:
			return "", fmt.Errorf("run folder %s: it is not empty: name another one, or remove it first", dir)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("run folder %s: %w", dir, err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", fmt.Errorf("run folder %s: %w", dir, err)
		}
		return dir, nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("run folder: %w", err)
	}
	stem := filepath.Join(base, start.UTC().Format("20060102-150405")+"-"+fileName(name))
	for n := 1; n <= 1000; n++ {
		path := stem
		if n > 1 {
			path += "-" + strconv.Itoa(n)
		}
		err := os.Mkdir(path, 0o755) // who makes it has it
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("run folder: %w", err)
		}
	}
	return "", fmt.Errorf("run folder %s: a thousand runs have started in this second: name a folder of its own", stem)
}

// fileName returns name as a part of a file's name: letters, digits, dots,
// underscores and dashes, at most 64 bytes.
func fileName(name string) string {
	var b strings.Builder
	for _, c := range name {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '.' && c != '_' || c == unicode.ReplacementChar {
			c = '-'
		}
		if c == '-' && (b.Len() == 0 || strings.HasSuffix(b.String(), "-")) {
			continue
		}
		if b.Len()+len(string(c)) > 64 {
			break
		}
		b.WriteRune(c)
	}
	if safe := strings.Trim(b.String(), "-."); safe != "" {
		return safe
	}
	return "run"
}

// WriteFile writes a file so that it is there as a whole or not at all: beside
// its place first, then renamed into it.
func WriteFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// WriteInfo writes run.json.
func WriteInfo(dir string, i RunInfo) error {
	i.Schema = RunSchema
	b, err := marshal(i)
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, RunFile), b)
}

// WriteDocument writes report.json.
func WriteDocument(dir string, d *Document) error {
	b, err := marshal(d)
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, ReportFile), b)
}

// marshal returns v as indented JSON with a line break at the end.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// A Folder is the folder of a run that has been.
type Folder struct {
	Dir  string
	Info RunInfo
}

// OpenFolder opens a run folder and reads its run.json.
func OpenFolder(dir string) (*Folder, error) {
	f := &Folder{Dir: dir}
	if err := readJSON(dir, RunFile, &f.Info); err != nil {
		return nil, err
	}
	if err := checkSchema(f.Info.Schema, RunSchema); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, RunFile), err)
	}
	return f, nil
}

// Document returns the run's report. When there is none, because the run was
// killed, it is rebuilt from what was written every second: notes then say so,
// and the parts that only the run itself could tell (validity, thresholds,
// exit code) are empty.
func (f *Folder) Document() (d *Document, notes []string, err error) {
	d = &Document{}
	err = readJSON(f.Dir, ReportFile, d)
	switch {
	case err == nil:
		if err := checkSchema(d.Schema, ReportSchema); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", filepath.Join(f.Dir, ReportFile), err)
		}
		return d, nil, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	t, err := Rebuild(f.Dir)
	if err != nil {
		return nil, nil, err
	}
	d = t.Document()
	d.Kind, d.Tool, d.Machine = f.Info.Kind, f.Info.Tool, f.Info.Machine
	return d, append([]string{ReportFile + ": there is none: the run was ended before it could report; this is rebuilt"}, t.Notes()...), nil
}

func readJSON(dir, name string, to any) error {
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, gone := os.Stat(dir); gone != nil {
			return fmt.Errorf("run folder %s: there is none: %w", dir, fs.ErrNotExist)
		}
		return fmt.Errorf("run folder %s: there is no %s in it, so it is not the folder of a run: %w", dir, name, fs.ErrNotExist)
	case err != nil:
		return err
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// checkSchema says whether a file of format got can be read by who knows want.
func checkSchema(got, want string) error {
	kind, version, _ := strings.Cut(want, "/")
	theirs, number, ok := strings.Cut(got, "/")
	if !ok || theirs != kind {
		return fmt.Errorf("its format is %q, not %q", got, want)
	}
	n, err := strconv.Atoi(number)
	known, _ := strconv.Atoi(version)
	switch {
	case err != nil || n < 1:
		return fmt.Errorf("its format is %q, not %q", got, want)
	case n > known:
		return fmt.Errorf("its format is %q, newer than %q: read it with the version of volley that wrote it, or a later one", got, want)
	}
	return nil
}
