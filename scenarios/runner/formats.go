package runner

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"volley/engine/record"
	"volley/report"
)

// A Format is one report that is wanted: a kind, and the file it goes to.
type Format struct {
	Kind string
	File string // "" and "-" are standard output
}

// ParseFormats reads --format KIND[=FILE].
func ParseFormats(args []string) ([]Format, error) {
	if len(args) == 0 {
		return []Format{{Kind: "text"}}, nil
	}
	var list []Format
	kinds := slices.Sorted(maps.Keys(report.Formats()))
	for _, a := range args {
		kind, file, named := strings.Cut(a, "=")
		if !slices.Contains(kinds, kind) {
			return nil, Hinted(fmt.Errorf("--format %s: there is no such format", a), "the formats are "+strings.Join(kinds, ", "))
		}
		if named && file == "" {
			return nil, Hinted(fmt.Errorf("--format %s: the file has no name", a), "write "+kind+"=FILE, or "+kind+" alone for standard output")
		}
		list = append(list, Format{kind, file})
	}
	return list, nil
}

// check finds out before a run whether its reports could be written after it.
func (f Format) check() error {
	if f.File == "" || f.File == "-" {
		return nil
	}
	dir := filepath.Dir(f.File)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return Hinted(fmt.Errorf("--format %s=%s: there is no folder %s", f.Kind, f.File, dir), "make it, or name another file")
	}
	if info, err := os.Stat(f.File); err == nil && info.IsDir() {
		return Hinted(fmt.Errorf("--format %s=%s: this is a folder", f.Kind, f.File), "name a file")
	}
	return nil
}

// write writes documents, one after the other, in every format that is wanted.
// One that fails does not keep the others from being written.
func (p *Process) write(formats []Format, docs ...*record.Document) error {
	var errs []error
	for _, f := range formats {
		to := report.Formats()[f.Kind]
		if f.Kind == "text" {
			to = report.Text{Color: p.Colour && f.File == ""}.Write
		}
		var b bytes.Buffer
		for i, d := range docs {
			if i > 0 && f.Kind == "text" {
				b.WriteByte('\n')
			}
			if err := to(&b, d); err != nil {
				errs = append(errs, err)
			}
		}
		if f.File == "" || f.File == "-" {
			_, err := p.Out.Write(b.Bytes())
			errs = append(errs, err)
		} else if err := os.WriteFile(f.File, b.Bytes(), 0o644); err != nil {
			errs = append(errs, fmt.Errorf("--format %s: %w", f.Kind, err))
		}
	}
	return errors.Join(errs...)
}

// Report tells stored runs again, one after the other.
func (p *Process) Report(dirs []string, formats []Format) error {
	var errs []error
	var docs []*record.Document
	for _, dir := range dirs {
		f, err := record.OpenFolder(dir)
		if err != nil {
			errs = append(errs, Hinted(err, "name the folder that a run has written, such as runs/20261122-101530-home-page"))
			continue
		}
		d, notes, err := f.Document()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, n := range notes {
			p.note("%s: %s", dir, n)
		}
		docs = append(docs, d)
	}
	if len(docs) > 0 {
		errs = append(errs, p.write(formats, docs...))
	}
	return errors.Join(errs...)
}
