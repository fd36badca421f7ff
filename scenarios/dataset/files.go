package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Formats, as Spec.Format names them.
const (
	formatCSV     = "csv"
	formatTSV     = "tsv"
	formatJSONL   = "jsonl"
	formatJSON    = "json"
	formatParquet = "parquet"
)

// A source is one file, or standard input.
type source struct {
	name     string // as users know it
	path     string // as the system knows it
	format   string // "" for standard input: by its first bytes
	packed   string // "gzip" or "zstd" by its extension; the first bytes decide
	stdin    bool
	once     bool  // it can be read only once: standard input, a pipe
	state    state // when it was found
	file     *os.File
	segments // where its rows are, if they are read by offset
}

// segments says where the plain bytes of a source are.
type segments struct {
	spooled bool  // in the spool, else in file
	base    int64 // where they begin there
	length  int64
	first   int64 // where they begin among those of all sources
}

// find lists the sources that a Spec means.
func find(s *Spec) ([]*source, error) {
	if len(s.Files) == 0 {
		return nil, &Error{Problem: "no files are named", Fix: `name a file, a glob, or "-" for standard input`}
	}
	var sources []*source
	stdin := false
	for _, name := range s.Files {
		var found []*source
		var err error
		switch {
		case name == "":
			err = &Error{Problem: "the name of a file is empty"}
		case name == "-" && stdin:
			err = &Error{File: "-", Problem: "standard input is listed twice"}
		case name == "-" && s.Stdin == nil:
			err = &Error{File: "-", Problem: "there is no standard input here"}
		case name == "-":
			stdin = true
			found = []*source{{name: "-", stdin: true, once: true, format: s.Format}}
		default:
			found, err = s.named(name)
		}
		if err != nil {
			return nil, err
		}
		if sources = append(sources, found...); len(sources) > s.MaxFiles {
			return nil, &Error{File: name, Problem: fmt.Sprintf("these are more than %d files", s.MaxFiles)}
		}
	}
	return sources, nil
}

// named returns the source of one file, or those of a glob.
func (s *Spec) named(name string) ([]*source, error) {
	path := s.path(name)
	info, err := os.Stat(path)
	if err == nil {
		src, err := s.newSource(name, path, info)
		return []*source{src}, err
	}
	// A path that exists is never a glob, so that every file can be named.
	if !strings.ContainsAny(name, "*?[") {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, s.notFound(name, path, err)
		}
		return nil, inFile(name, err)
	}
	paths, err := filepath.Glob(path)
	if err != nil {
		return nil, &Error{File: name, Problem: "the glob is malformed", Fix: "close each [ with ]", Err: err}
	}
	slices.Sort(paths)
	var sources []*source
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, inFile(s.shorten(name, p), err)
		}
		if info.IsDir() {
			continue
		}
		src, err := s.newSource(s.shorten(name, p), p, info)
		if err != nil {
			return nil, err
		}
		sources = append(sources, src)
	}
	if len(sources) == 0 {
		return nil, &Error{File: name, Problem: "no file matches", Fix: "relative paths start in " + s.dir()}
	}
	return sources, nil
}

func (s *Spec) dir() string {
	if s.Dir == "" {
		return "the working directory"
	}
	return s.Dir
}

func (s *Spec) path(name string) string {
	if filepath.IsAbs(name) || s.Dir == "" {
		return name
	}
	return filepath.Join(s.Dir, name)
}

// shorten names a file that a glob has found as the glob was written: relative to Dir, if it was.
func (s *Spec) shorten(glob, path string) string {
	if filepath.IsAbs(glob) || s.Dir == "" {
		return path
	}
	if rel, err := filepath.Rel(s.Dir, path); err == nil {
		return rel
	}
	return path
}

// notFound looks for a file in the same folder that may have been meant.
func (s *Spec) notFound(name, path string, cause error) error {
	e := &Error{File: name, Problem: "there is no such file", Fix: "relative paths start in " + s.dir(), Err: cause}
	entries, _ := os.ReadDir(filepath.Dir(path))
	base := strings.ToLower(stem(filepath.Base(path)))
	for _, d := range entries {
		if !d.IsDir() && strings.ToLower(stem(d.Name())) == base {
			e.Fix = fmt.Sprintf("did you mean %s?", filepath.Join(filepath.Dir(name), d.Name()))
			break
		}
	}
	return e
}

// stem is a file name without its extensions.
func stem(name string) string {
	before, _, _ := strings.Cut(name, ".")
	return before
}

func (s *Spec) newSource(name, path string, info fs.FileInfo) (*source, error) {
	if info.IsDir() {
		return nil, &Error{File: name, Problem: "this is a directory", Fix: "name the files in it: " + filepath.Join(name, "*.csv")}
	}
	src := &source{
		name: name, path: path, once: !info.Mode().IsRegular(),
		state: state{bytes: info.Size(), modified: info.ModTime()},
	}
	ext := strings.ToLower(filepath.Ext(path))
	rest := strings.TrimSuffix(path, filepath.Ext(path))
	switch ext {
	case ".gz", ".gzip":
		src.packed, ext = packedGzip, strings.ToLower(filepath.Ext(rest))
	case ".zst", ".zstd":
		src.packed, ext = packedZstd, strings.ToLower(filepath.Ext(rest))
	}
	if src.format = s.Format; src.format != "" {
		return src, nil
	}
	switch ext {
	case ".csv":
		src.format = formatCSV
	case ".tsv", ".tab":
		src.format = formatTSV
	case ".jsonl", ".ndjson":
		src.format = formatJSONL
	case ".json":
		src.format = formatJSON
	case ".parquet":
		return nil, parquetError(name)
	default:
		if src.once {
			return src, nil // a pipe has no extension: its first bytes tell
		}
		return nil, &Error{File: name, Problem: fmt.Sprintf("the extension %q does not tell the format", ext),
			Fix: "end the name in .csv, .tsv, .jsonl or .json, and .gz or .zst after it if it is compressed"}
	}
	return src, nil
}

func parquetError(name string) error {
	return &Error{File: name, Problem: "parquet cannot be read yet",
		Fix: "convert it: duckdb -c \"COPY (FROM 'rows.parquet') TO 'rows.jsonl' (FORMAT json)\""}
}

// changed returns an error if the file is not the one that was found at first.
func (s *source) changed(info fs.FileInfo) error {
	if s.once || info.Size() == s.state.bytes && info.ModTime().Equal(s.state.modified) {
		return nil
	}
	return &Error{File: s.name, Problem: fmt.Sprintf("the file changed while it was in use: it had %d bytes, now it has %d",
		s.state.bytes, info.Size()), Fix: "give each run a file that nobody writes to"}
}
