package dataset

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A header is the names of the columns. All files of a dataset have the same.
type header struct {
	names []string
	file  string // that it was read from
}

// A csvRows decodes comma- or tab-separated rows (RFC 4180). The first one is the header. Empty lines are skipped, CRLF
// in a quoted field becomes LF, and a quote is allowed only around a field or, doubled, in a quoted one: as encoding/csv
// has it, which is not used because it does not tell a quote that is never closed from one that is out of place, and
// would read the rest of the file into memory to find out.
type csvRows struct {
	lines  lines
	comma  byte
	header *header

	text []byte // the fields of one row, one after the other
	ends []int  // where each ends in text
}

func newCSV(in *bufio.Reader, comma byte, limit int, h *header, name string) (*csvRows, error) {
	d := &csvRows{lines: lines{in: in, limit: limit}, comma: comma, header: h}
	at, err := d.record()
	if ended(err) {
		return nil, &Error{Problem: "the file is empty", Fix: "the first line must name the columns"}
	}
	if err != nil {
		return nil, err
	}
	names := d.fields()
	for i, n := range names {
		names[i] = strings.TrimSpace(n)
	}
	if err := checkHeader(names, at.line); err != nil {
		return nil, err
	}
	if h.names == nil {
		h.names, h.file = names, name
	}
	if !slices.Equal(h.names, names) {
		return nil, &Error{Line: at.line, Problem: fmt.Sprintf("the columns are %s, those of %s are %s",
			list(names), h.file, list(h.names)), Fix: "files that are read together need the same columns in the same order"}
	}
	return d, nil
}

func checkHeader(names []string, line int) error {
	const first = "the first line must name the columns"
	for i, n := range names {
		switch {
		case strings.Contains(n, "\r"):
			return &Error{Line: line, Problem: "the lines end in CR alone", Fix: "convert the file to LF, such as with tr '\\r' '\\n'"}
		case n == "":
			return &Error{Line: line, Problem: fmt.Sprintf("column %d has no name", i+1), Fix: first}
		case slices.Contains(names[:i], n):
			return &Error{Line: line, Problem: fmt.Sprintf("two columns are named %q", shorten(n)), Fix: first + ", each differently"}
		}
	}
	return nil
}

// list writes names for a message, at most a dozen.
func list(names []string) string {
	const most = 12
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return shorten(strings.Join(names, ", ")) + more
}

func (d *csvRows) next() (any, span, error) {
	at, err := d.record()
	if err != nil {
		return nil, at, err
	}
	row, err := d.row(at.line)
	return row, at, err
}

func (d *csvRows) parse(raw []byte) (any, error) {
	d.lines.in.Reset(bytes.NewReader(raw))
	row, _, err := d.next()
	return row, err
}

// row makes a row of the record that was read last. Its texts share one string of their own.
func (d *csvRows) row(line int) (any, error) {
	if len(d.ends) != len(d.header.names) {
		fix := "add the missing fields, empty ones if need be"
		if len(d.ends) > len(d.header.names) {
			fix = fmt.Sprintf("put a field that has a %q into double quotes", d.comma)
		}
		return nil, &Error{Line: line, Problem: fmt.Sprintf("%s, the header has %d",
			plural(len(d.ends), "field"), len(d.header.names)), Fix: fix}
	}
	text := string(d.text)
	row := make(map[string]any, len(d.ends))
	start := 0
	for i, end := range d.ends {
		row[d.header.names[i]] = text[start:end]
		start = end
	}
	return row, nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (d *csvRows) fields() []string {
	out := make([]string, len(d.ends))
	start := 0
	for i, end := range d.ends {
		out[i] = string(d.text[start:end])
		start = end
	}
	return out
}

// line returns the next line without its line break.
func (d *csvRows) line() ([]byte, error) {
	b, err := d.lines.next()
	if err != nil {
		return nil, err
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if !utf8.Valid(b) {
		return nil, notUTF8(b, d.lines.line, 1)
	}
	return b, nil
}

// record reads the next record into text and ends.
func (d *csvRows) record() (span, error) {
	var line []byte
	var at span
	for len(line) == 0 {
		at.offset = d.lines.offset
		var err error
		if line, err = d.line(); err != nil {
			return at, err
		}
	}
	at.line = d.lines.line
	d.text, d.ends = d.text[:0], d.ends[:0]
	for pos := 0; ; pos++ {
		if pos < len(line) && line[pos] == '"' {
			var err error
			if line, pos, err = d.quoted(line, pos, at); err != nil {
				return at, err
			}
			if pos < len(line) && line[pos] != d.comma {
				return at, d.fail(line, pos, "text stands after a closing quote", `write a quote in a quoted field twice: ""`)
			}
		} else {
			field := line[pos:]
			if i := bytes.IndexByte(field, d.comma); i >= 0 {
				field = field[:i]
			}
			if i := bytes.IndexByte(field, '"'); i >= 0 {
				return at, d.fail(line, pos+i, "a quote stands in a field without quotes",
					`put the field into quotes, and write a quote in it twice: ""`)
			}
			d.text = append(d.text, field...)
			pos += len(field)
		}
		d.ends = append(d.ends, len(d.text))
		if pos >= len(line) {
			at.length = d.lines.offset - at.offset
			return at, nil
		}
	}
}

// quoted reads a field that begins with a quote, over as many lines as it has. It returns the line in which it ends, and
// the position after its closing quote.
func (d *csvRows) quoted(line []byte, pos int, at span) ([]byte, int, error) {
	opened := d.fail(line, pos, "a quote is opened here and never closed", `write a quote in a quoted field twice: ""`)
	for pos++; ; {
		i := bytes.IndexByte(line[pos:], '"')
		if i < 0 {
			d.text = append(append(d.text, line[pos:]...), '\n')
			var err error
			if line, err = d.line(); ended(err) {
				return nil, 0, opened
			} else if err != nil {
				return nil, 0, err
			}
			if d.lines.offset-at.offset > int64(d.lines.limit) {
				return nil, 0, tooLong(at.line, d.lines.limit, "a quote in it may never be closed")
			}
			pos = 0
			continue
		}
		d.text = append(d.text, line[pos:pos+i]...)
		pos += i + 1
		if pos >= len(line) || line[pos] != '"' {
			return line, pos, nil
		}
		d.text = append(d.text, '"')
		pos++
	}
}

func (d *csvRows) fail(line []byte, pos int, problem, fix string) error {
	return &Error{Line: d.lines.line, Column: utf8.RuneCount(line[:pos]) + 1, Problem: problem, Fix: fix}
}
