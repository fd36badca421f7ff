package dataset

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sort"
)

const (
	// maxOpenFiles is how many files a shuffle keeps open. If there are more, they are all copied into the spool.
	maxOpenFiles = 64
	// milestoneBytes is how far apart the places are whose line numbers an index remembers.
	milestoneBytes = 1 << 20
)

// An index finds the rows of all sources by number. An entry has the offset of a row among the bytes of all sources in
// its upper 40 bits, and its length in the lower 24.
type index struct {
	rows       []uint64
	milestones []milestone
	decoders   []decoder // one per source
	raw        []byte
	next       int // in rows
	last       uint64
}

// A milestone is the line number of some row, to count on from.
type milestone struct {
	offset int64
	line   int
}

// buildIndex reads all sources once, checks them, and remembers where the rows are.
func (r *Reader) buildIndex() error {
	r.index = &index{}
	var total int64
	for i, src := range r.sources {
		r.current = i
		src.first = total
		if err := r.indexSource(src); err != nil {
			return inFile(src.name, err)
		}
		if total += src.length; total >= maxTotalBytes {
			return inFile(src.name, &Error{Problem: fmt.Sprintf("the files have more than %d bytes together, too many to shuffle", int64(maxTotalBytes))})
		}
	}
	if len(r.index.rows) == 0 {
		return r.noRows()
	}
	r.shuffle()
	return nil
}

func (r *Reader) indexSource(src *source) (err error) {
	copied := src.once || len(r.sources) > maxOpenFiles
	if !copied {
		packed, err := isPacked(src.path)
		if err != nil {
			return err
		}
		copied = packed
	}
	st, err := r.open(src, copied)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, st.Close()) }()
	if !copied {
		src.length = src.state.bytes
	}
	mark := int64(-milestoneBytes)
	for {
		_, at, err := st.decoder.next()
		if ended(err) {
			break
		}
		if err != nil {
			return err
		}
		if len(r.index.rows) >= r.spec.MaxRows {
			return &Error{Line: at.line, Problem: fmt.Sprintf("there are more than %d rows, too many to shuffle", r.spec.MaxRows),
				Fix: "use order: cycle"}
		}
		if at.length > maxRowBytes {
			return tooLong(at.line, maxRowBytes, "")
		}
		offset := src.first + st.skipped + at.offset
		if offset >= maxTotalBytes {
			return &Error{Line: at.line, Problem: "the files are too large to shuffle"}
		}
		r.index.rows = append(r.index.rows, uint64(offset)<<24|uint64(at.length))
		if offset-mark >= milestoneBytes {
			r.index.milestones = append(r.index.milestones, milestone{offset, at.line})
			mark = offset
		}
	}
	if !copied {
		if src.file, err = os.Open(src.path); err != nil {
			return err
		}
	}
	r.index.decoders = append(r.index.decoders, again(st.decoder))
	return nil
}

// again returns a decoder for parse, without the buffers of the one that it is made from.
func again(d decoder) decoder {
	if c, ok := d.(*csvRows); ok {
		return &csvRows{lines: lines{in: bufio.NewReader(bytes.NewReader(nil)), limit: maxRowBytes}, comma: c.comma, header: c.header}
	}
	if l, ok := d.(*jsonList); ok {
		return &jsonList{limit: l.limit}
	}
	return &jsonLines{}
}

// isPacked reports whether the first bytes of a file say that it is compressed.
func isPacked(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var magic [4]byte
	n, err := io.ReadFull(f, magic[:])
	if err != nil && !ended(err) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.HasPrefix(magic[:n], []byte{0x1f, 0x8b}) || bytes.Equal(magic[:n], []byte{0x28, 0xb5, 0x2f, 0xfd}), nil
}

// shuffle puts the rows into the order of the current pass (R. Durstenfeld, "Algorithm 235: Random permutation",
// CACM 7(7), 1964, as rand.Shuffle has it). Each pass goes on from the order of the one before.
func (r *Reader) shuffle() {
	rows := r.index.rows
	random := rand.New(rand.NewPCG(r.spec.Seed, uint64(r.pass)))
	random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	r.index.next = 0
}

func (r *Reader) nextShuffled() (any, error) {
	x := r.index
	if x.next == len(x.rows) {
		r.pass, r.inPass = r.pass+1, 0
		if err := r.unchanged(); err != nil {
			return nil, err
		}
		r.shuffle()
	}
	entry := x.rows[x.next]
	i := r.sourceAt(int64(entry >> 24))
	row, err := r.parseEntry(i, entry)
	if err != nil {
		return nil, err
	}
	x.next++
	x.last = entry
	return row, nil
}

func (r *Reader) parseEntry(i int, entry uint64) (any, error) {
	x, src := r.index, r.sources[i]
	offset, length := int64(entry>>24), int(entry&maxRowBytes)
	if cap(x.raw) < length {
		x.raw = make([]byte, length+length/4)
	}
	raw := x.raw[:length]
	n, err := r.readAt(src, raw, offset-src.first)
	if n == length {
		var row any
		if row, err = x.decoders[i].parse(raw); err == nil {
			return row, nil
		}
	}
	// What was a row when it was indexed is none any more, or is not there.
	if changed := r.unchanged(); changed != nil {
		return nil, changed
	}
	return nil, inFile(src.name, err)
}

// readAt reads plain bytes of a source.
func (r *Reader) readAt(src *source, p []byte, offset int64) (int, error) {
	if src.spooled {
		return r.spool.file.ReadAt(p, src.base+offset)
	}
	return src.file.ReadAt(p, offset)
}

// unchanged returns an error if a file that rows are read from by offset is not the one that was indexed.
func (r *Reader) unchanged() error {
	for _, src := range r.sources {
		if src.file == nil {
			continue
		}
		info, err := src.file.Stat()
		if err != nil {
			return inFile(src.name, err)
		}
		if err := src.changed(info); err != nil {
			return err
		}
	}
	return nil
}

// sourceAt returns the number of the source that has the byte at an offset among all sources.
func (r *Reader) sourceAt(offset int64) int {
	return sort.Search(len(r.sources), func(i int) bool { return r.sources[i].first > offset }) - 1
}

// position finds the line of the row that was returned last, by counting from the milestone before it.
func (x *index) position(r *Reader) Position {
	if x.last == 0 {
		return Position{}
	}
	offset := int64(x.last >> 24)
	src := r.sources[r.sourceAt(offset)]
	p := Position{File: src.name, Pass: r.pass}
	i := sort.Search(len(x.milestones), func(i int) bool { return x.milestones[i].offset > offset }) - 1
	if i < 0 || r.spool == nil && src.file == nil {
		return p
	}
	m := x.milestones[i]
	between := make([]byte, offset-m.offset)
	if n, _ := r.readAt(src, between, m.offset-src.first); n == len(between) {
		p.Line = m.line + bytes.Count(between, []byte("\n"))
	}
	return p
}
