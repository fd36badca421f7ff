package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// A decoder reads the rows of one source.
type decoder interface {
	// next returns the next row and where it is; io.EOF after the last one, if the source ended where it may. Its
	// other errors are *Error without a file, or those of the source.
	next() (any, span, error)
	// parse returns the row that some next has read from the bytes of its span.
	parse(raw []byte) (any, error)
}

// A span is where a row is in the plain bytes of its source.
type span struct {
	offset, length int64
	line           int // counted from 1
}

func newDecoder(format string, in *bufio.Reader, limit int, h *header, name string) (decoder, error) {
	switch format {
	case formatCSV:
		return newCSV(in, ',', limit, h, name)
	case formatTSV:
		return newCSV(in, '\t', limit, h, name)
	case formatJSONL:
		return &jsonLines{lines: lines{in: in, limit: limit}}, nil
	case formatJSON:
		return &jsonList{in: in, limit: limit, line: 1}, nil
	}
	return nil, &Error{Problem: fmt.Sprintf("format %q is unknown", format)}
}

// lines cuts a source into lines of at most limit bytes.
type lines struct {
	in     *bufio.Reader
	limit  int
	long   []byte // a line that is longer than the buffer of in
	line   int    // number of the line that next returned
	offset int64  // where the line after it begins
}

// next returns the next line with its line break, if it has one. It is valid until the next call.
func (l *lines) next() ([]byte, error) {
	b, err := l.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long[:0], b...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(l.long) > l.limit {
				return nil, tooLong(l.line+1, l.limit, "")
			}
			b, err = l.in.ReadSlice('\n')
			l.long = append(l.long, b...)
		}
		b = l.long
	}
	if ended(err) && len(b) > 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	l.line++
	l.offset += int64(len(b))
	if len(b) > l.limit && len(bytes.TrimRight(b, "\r\n")) > l.limit {
		return nil, tooLong(l.line, l.limit, "")
	}
	return b, nil
}

// jsonLines decodes a value of JSON in each line. Lines with nothing but space are skipped.
type jsonLines struct {
	lines lines
}

func (d *jsonLines) next() (any, span, error) {
	for {
		offset := d.lines.offset
		raw, err := d.lines.next()
		if err != nil {
			return nil, span{}, err
		}
		at := span{offset, int64(len(raw)), d.lines.line}
		if len(bytes.TrimLeft(raw, " \t\r\n")) == 0 {
			continue
		}
		row, err := parseAt(bytes.TrimRight(raw, " \t\r\n"), at.line, 1, "each line must be one value of JSON")
		return row, at, err
	}
}

func (d *jsonLines) parse(raw []byte) (any, error) { return parseAt(raw, 0, 1, "") }

// parseAt parses a value that begins at a line and column.
func parseAt(raw []byte, line, column int, fix string) (any, error) {
	if !utf8.Valid(raw) {
		return nil, notUTF8(raw, line, column)
	}
	text := string(raw)
	row, bad := parseJSON(text)
	if bad != nil {
		return nil, inText(text, bad.offset, line, column, "not JSON: "+bad.problem, fix)
	}
	return row, nil
}

// jsonList decodes the elements of one list. It finds the end of each by its brackets and quotes, so that no more than
// one is in memory, and leaves all else to the parser.
type jsonList struct {
	in           *bufio.Reader
	limit        int
	raw          []byte
	offset       int64
	line, column int // of the byte that was read last
	begun        bool
	rows         int
}

func (d *jsonList) next() (any, span, error) {
	c, err := d.begin()
	if err != nil {
		return nil, span{}, err
	}
	at := span{offset: d.offset - 1, line: d.line}
	column := d.column
	if err := d.element(c, at.line); err != nil {
		return nil, span{}, err
	}
	d.rows++
	at.length = int64(len(d.raw))
	row, err := parseAt(d.raw, at.line, column, "")
	return row, at, err
}

func (d *jsonList) parse(raw []byte) (any, error) { return parseAt(raw, 0, 1, "") }

// begin returns the first byte of the next element, or io.EOF after the end of the list.
func (d *jsonList) begin() (byte, error) {
	const isLines = "if each line is a value, name the file .jsonl"
	c, err := d.token()
	if err != nil {
		return 0, d.cut(err)
	}
	if !d.begun {
		if c != '[' {
			return 0, d.fail(fmt.Sprintf("expected a list of rows, found %q", c), isLines)
		}
		d.begun = true
		if c, err = d.token(); err != nil {
			return 0, d.cut(err)
		}
	} else if c == ',' {
		if c, err = d.token(); err != nil {
			return 0, d.cut(err)
		}
		if c == ']' {
			return 0, d.fail("a comma stands before the end of the list", "")
		}
		return c, nil
	} else if c != ']' {
		return 0, d.fail(fmt.Sprintf("not JSON: expected , or ] after a row, found %q", c), "")
	}
	if c != ']' {
		return c, nil
	}
	if c, err = d.token(); err != nil {
		return 0, err // the good end
	}
	return 0, d.fail(fmt.Sprintf("there is more after the list: found %q", c), isLines)
}

// element reads the element that begins with c into raw.
func (d *jsonList) element(c byte, line int) error {
	d.raw = append(d.raw[:0], c)
	if c == ',' || c == ']' || c == '}' || c == ':' {
		return d.fail(fmt.Sprintf("not JSON: expected a value, found %q", c), "")
	}
	depth, quoted, escaped := 0, c == '"', false
	if c == '{' || c == '[' {
		depth = 1
	}
	scalar := depth == 0 && !quoted
	for scalar || quoted || depth > 0 {
		c, err := d.read()
		if ended(err) && scalar {
			return nil // the next token says that the list has no end
		}
		if err != nil {
			return d.cut(err)
		}
		if scalar && (c == ',' || c == ']' || c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			return d.unread(c)
		}
		if d.raw = append(d.raw, c); len(d.raw) > d.limit {
			return tooLong(line, d.limit, "")
		}
		switch {
		case quoted:
			quoted = escaped || c != '"'
			escaped = !escaped && c == '\\'
		case c == '"':
			quoted = !scalar
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// token returns the next byte that is not space.
func (d *jsonList) token() (byte, error) {
	for {
		c, err := d.read()
		if err != nil || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, err
		}
	}
}

func (d *jsonList) read() (byte, error) {
	c, err := d.in.ReadByte()
	if err != nil {
		return 0, err
	}
	d.offset++
	switch {
	case c == '\n':
		d.line++
		d.column = 0
	case utf8.RuneStart(c):
		d.column++
	}
	return c, nil
}

// unread takes back the byte that was read last.
func (d *jsonList) unread(c byte) error {
	d.offset--
	if c == '\n' {
		d.line--
	} else {
		d.column--
	}
	return d.in.UnreadByte()
}

// cut explains the end of a source that comes too early.
func (d *jsonList) cut(err error) error {
	switch {
	case !ended(err):
		return err
	case !d.begun:
		return &Error{Problem: "the file is empty", Fix: "an empty list of rows is []"}
	}
	return &Error{Line: d.line, Column: d.column + 1, Problem: fmt.Sprintf("the list is never closed: the file ends after %d rows", d.rows)}
}

func (d *jsonList) fail(problem, fix string) error {
	return &Error{Line: d.line, Column: d.column, Problem: problem, Fix: fix}
}
