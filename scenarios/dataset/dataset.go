// Package dataset reads the rows that a scenario is run with, from files and from standard input.
//
// Rows are streamed: a file is never in memory as a whole. In random order they are found by an index of eight bytes a
// row, in the files themselves or, for what cannot be read twice or is compressed, in a temporary copy that Close removes.
//
// Whatever is wrong with the data is an error that names its place. There is no way to lose a row silently: a file
// that ends too early, has a row with a field too many, or changes between two passes stops the reader.
package dataset

import (
	"cmp"
	"fmt"
	"io"
	"time"
)

// Default limits of a Spec.
const (
	DefaultMaxRowBytes   = 6 << 20 // the largest body that a platform accepts
	DefaultMaxRows       = 50_000_000
	DefaultMaxSpoolBytes = 16 << 30
	DefaultMaxFiles      = 100_000

	// Bounds of what the index of a shuffle can hold.
	maxRowBytes   = 1<<24 - 1
	maxTotalBytes = 1 << 40
)

// An Order says in which order rows come, and whether they end.
type Order string

// The orders. The empty one is Once.
const (
	Once    Order = "once"    // as they stand, then io.EOF
	Cycle   Order = "cycle"   // as they stand, over and over
	Shuffle Order = "shuffle" // each pass over the rows in a random order of its own, over and over
)

// A Spec says which rows to read. Only Files is needed.
type Spec struct {
	Files  []string  // paths, globs (as of path/filepath.Match), and "-" for Stdin; globs are sorted, else the order is kept
	Dir    string    // relative paths start here; empty: in the working directory
	Stdin  io.Reader // what "-" reads
	Order  Order     // empty means Once
	Seed   uint64    // of Shuffle: the same seed and rows give the same order
	Format string    // csv, tsv, jsonl or json; empty: by each file's extension, and for "-" by its first bytes

	MaxRowBytes   int    // longest row in bytes of its source; 0 means DefaultMaxRowBytes; at most 16 MiB - 1
	MaxRows       int    // most rows that Shuffle indexes; 0 means DefaultMaxRows
	MaxSpoolBytes int64  // most bytes of the temporary copy; 0 means DefaultMaxSpoolBytes
	MaxFiles      int    // most files; 0 means DefaultMaxFiles
	TempDir       string // where the temporary copy is; empty means the system's place
}

// check fills in the defaults of s.
func (s *Spec) check() error {
	s.Order = cmp.Or(s.Order, Once)
	s.MaxRowBytes = cmp.Or(s.MaxRowBytes, DefaultMaxRowBytes)
	s.MaxRows = cmp.Or(s.MaxRows, DefaultMaxRows)
	s.MaxSpoolBytes = cmp.Or(s.MaxSpoolBytes, DefaultMaxSpoolBytes)
	s.MaxFiles = cmp.Or(s.MaxFiles, DefaultMaxFiles)
	switch s.Order {
	case Once, Cycle, Shuffle:
	default:
		return &Error{Problem: fmt.Sprintf("order %q is unknown", string(s.Order)), Fix: "write once, cycle or shuffle"}
	}
	switch s.Format {
	case "", formatCSV, formatTSV, formatJSONL, formatJSON:
	case formatParquet:
		return parquetError("")
	default:
		return &Error{Problem: fmt.Sprintf("format %q is unknown", s.Format), Fix: "write csv, tsv, jsonl or json"}
	}
	if s.MaxRowBytes < 0 || s.MaxRowBytes > maxRowBytes {
		return &Error{Problem: fmt.Sprintf("the limit of %d bytes for a row is out of range", s.MaxRowBytes),
			Fix: fmt.Sprintf("choose 1 to %d", maxRowBytes)}
	}
	return nil
}

// A Position says where the row that Next returned last begins.
type Position struct {
	File string // as it was listed, or found by a glob; "-" for standard input; empty before the first row
	Line int    // counted from 1; 0 if it cannot be told any more
	Pass int    // how many times the rows had all been read before; 0 in the first pass
}

// String is the position as errors write it: users.csv:17.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// A Reader reads rows. It belongs to one goroutine at a time.
type Reader struct {
	spec    Spec
	sources []*source
	header  header
	spool   *spool
	index   *index // of a shuffle

	pass    int
	inPass  int64 // rows of this pass so far
	current int   // index of the source that is being read
	stream  *stream
	at      Position
	err     error // ends the reader
}

// Open finds the files and makes ready to read them. With Shuffle it reads them all once. Errors are *Error, except
// for those of the file system.
func Open(s Spec) (*Reader, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	sources, err := find(&s)
	if err != nil {
		return nil, err
	}
	r := &Reader{spec: s, sources: sources}
	if s.Order != Shuffle {
		return r, nil
	}
	if err := r.buildIndex(); err != nil {
		return nil, cmp.Or(err, r.Close())
	}
	return r, nil
}

// Next returns the next row: a map[string]any for an object and, with texts as values, for a line of csv or tsv; other
// values of JSON as []any, string, bool, nil, int64 (an integer that fits) or float64. The caller owns the row. After
// the last row of Once the error is io.EOF. Any error ends the reader: it comes again and again.
func (r *Reader) Next() (any, error) {
	if r.err != nil {
		return nil, r.err
	}
	row, err := r.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	r.inPass++
	return row, nil
}

func (r *Reader) next() (any, error) {
	if r.index != nil {
		return r.nextShuffled()
	}
	for {
		if r.stream == nil {
			if err := r.advance(); err != nil {
				return nil, err
			}
		}
		row, at, err := r.stream.decoder.next()
		if err == nil {
			r.at = Position{File: r.sources[r.current].name, Line: at.line, Pass: r.pass}
			return row, nil
		}
		name := r.sources[r.current].name
		if !ended(err) {
			return nil, inFile(name, err)
		}
		if err := r.endSource(); err != nil {
			return nil, inFile(name, err)
		}
	}
}

// endSource is called when all of the current source has been read without an error.
func (r *Reader) endSource() error {
	st, src := r.stream, r.sources[r.current]
	r.stream = nil
	r.current++
	if st.file != nil {
		info, err := st.file.Stat()
		if err == nil && info.Size() < src.state.bytes {
			err = src.changed(info) // rows were cut off behind our back
		}
		if err != nil {
			return cmp.Or(err, st.Close())
		}
	}
	return st.Close()
}

// advance opens the next source, in a new pass if all have been read.
func (r *Reader) advance() error {
	if r.current == len(r.sources) {
		if r.spec.Order == Once {
			return io.EOF
		}
		if r.inPass == 0 {
			return r.noRows()
		}
		r.pass, r.inPass, r.current = r.pass+1, 0, 0
	}
	src := r.sources[r.current]
	st, err := r.open(src, r.spec.Order == Cycle && src.once && r.pass == 0)
	if err != nil {
		return inFile(src.name, err)
	}
	r.stream = st
	return nil
}

func (r *Reader) noRows() error {
	return &Error{File: r.sources[0].name, Problem: "there are no rows", Fix: "a dataset that is repeated needs at least one"}
}

// Position says where the row that Next returned last begins.
func (r *Reader) Position() Position {
	if r.index != nil {
		return r.index.position(r)
	}
	return r.at
}

// Close closes the files and removes the temporary copy. It does not close Stdin.
func (r *Reader) Close() error {
	var err error
	if r.stream != nil {
		err = r.stream.Close()
		r.stream = nil
	}
	for _, s := range r.sources {
		if s.file != nil {
			err = cmp.Or(err, s.file.Close())
			s.file = nil
		}
	}
	if r.spool != nil {
		err = cmp.Or(err, r.spool.Close())
		r.spool = nil
	}
	r.err = cmp.Or(r.err, error(&Error{Problem: "the dataset is closed"}))
	return err
}

// state is what must not change in a file that is read more than once.
type state struct {
	bytes    int64
	modified time.Time
}
