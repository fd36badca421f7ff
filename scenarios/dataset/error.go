package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// An Error is a mistake in a dataset, or in what was said about it.
type Error struct {
	File    string // as it was listed; empty if it is about no file
	Line    int    // counted from 1; 0 if the mistake is in no line
	Column  int    // in characters, counted from 1; 0 if the whole line is meant
	Problem string // what is wrong, with the value found
	Fix     string // what to do; may be empty
	Err     error  // the cause, if another error was
}

// Error is the place and the problem: users.csv:17: 5 fields, the header has 4.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
			if e.Column > 0 {
				fmt.Fprintf(&b, ":%d", e.Column)
			}
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Hint says what to do.
func (e *Error) Hint() string { return e.Fix }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// inFile names the file in which an error was met.
func inFile(name string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		if e.File == "" {
			e.File = name
		}
		return err
	}
	cause := err
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		cause = path.Err // the path is named already
	}
	return &Error{File: name, Problem: "read: " + cause.Error(), Err: err}
}

// inText returns an Error at a byte offset of text, whose first character stands at line and column.
func inText(text string, offset, line, column int, problem, fix string) *Error {
	before := text[:min(max(offset, 0), len(text))]
	if n := strings.Count(before, "\n"); n > 0 {
		line += n
		before = before[strings.LastIndexByte(before, '\n')+1:]
		column = 1
	}
	return &Error{Line: line, Column: column + utf8.RuneCountInString(before), Problem: problem, Fix: fix}
}

// notUTF8 explains bytes that are not text.
func notUTF8(raw []byte, line, column int) error {
	offset := 0
	for offset < len(raw) {
		r, n := utf8.DecodeRune(raw[offset:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		offset += n
	}
	offset = min(offset, len(raw)-1)
	line += bytes.Count(raw[:offset], []byte("\n"))
	if i := bytes.LastIndexByte(raw[:offset], '\n'); i >= 0 {
		column = 1 + utf8.RuneCount(raw[i+1:offset])
	} else {
		column += utf8.RuneCount(raw[:offset])
	}
	return &Error{Line: line, Column: column, Problem: fmt.Sprintf("the byte 0x%02x is not UTF-8", raw[offset]),
		Fix: "save the file in UTF-8, such as with iconv -f GB18030 -t UTF-8"}
}

func tooLong(line, limit int, fix string) error {
	return &Error{Line: line, Problem: fmt.Sprintf("the row that begins here has more than %d bytes", limit), Fix: fix}
}
