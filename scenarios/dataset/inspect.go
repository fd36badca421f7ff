package dataset

import (
	"cmp"
	"io"
	"strings"
)

// inspectRows is how many rows Inspect reads before it leaves the rest uncounted.
const inspectRows = 100_000

// A Summary says what a dataset is made of.
type Summary struct {
	Files   []File
	Columns []string // of csv and tsv
	First   any      // the first row; nil if there is none, or it was not read
	Rows    int64    // rows that were read, and found to be good
	Counted bool     // Rows is all of them: else the dataset is larger, or cannot be read twice
}

// A File is one source of a dataset.
type File struct {
	Name   string // as it was listed, or found by a glob; "-" for standard input
	Format string // csv, tsv, jsonl or json; empty if the first bytes will tell
	Packed string // gzip, zstd, or empty, by the name
	Bytes  int64  // as it is on the disk; -1 if that cannot be told
}

// Inspect looks at a dataset without using it up: standard input and pipes are listed but not read. Of files it reads the
// first 100000 rows, in the order in which they stand. Errors are those of Open and Next.
func Inspect(s Spec) (_ *Summary, err error) {
	s.Order = Once
	if s.Stdin == nil {
		s.Stdin = strings.NewReader("") // it need not be there before a scenario runs
	}
	r, err := Open(s)
	if err != nil {
		return nil, err
	}
	defer func() { err = cmp.Or(err, r.Close()) }()
	sum := &Summary{Counted: true}
	files := r.sources[:0:0]
	for _, src := range r.sources {
		f := File{Name: src.name, Format: src.format, Packed: src.packed, Bytes: src.state.bytes}
		if src.once {
			f.Bytes, sum.Counted = -1, false
		} else {
			files = append(files, src)
		}
		sum.Files = append(sum.Files, f)
	}
	r.sources = files
	for {
		if sum.Rows == inspectRows {
			sum.Counted = false
			break
		}
		row, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if sum.Rows == 0 {
			sum.First = row
		}
		sum.Rows++
	}
	sum.Columns = r.header.names
	return sum, nil
}
