package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"volley/engine/auth"
	"volley/scenarios/payload"
)

// An Error is one mistake in a scenario, in a file or on the command line.
type Error struct {
	File      string // the file, or the flag that the value came from
	Line, Col int    // counted from 1, Col in characters; 0 when the mistake has no place in a file
	Field     string // its path, such as steps[2].timeout; "" for the file as a whole
	Problem   string // what is wrong, with the value found
	Fix       string // what to write instead
}

// Error says where the mistake is, and what is wrong.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Col)
	}
	b.WriteString(": ")
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Hint says what to write instead. It is for a line of its own.
func (e *Error) Hint() string { return e.Fix }

// Errors are all mistakes of a scenario, in the order of the file; those of the
// command line come first.
type Errors []*Error

// shown bounds how many mistakes are told at once.
const shown = 20

// Error has a line for each mistake, at most 20 of them, and counts the rest.
func (l Errors) Error() string {
	var b strings.Builder
	for i, e := range l {
		if i == shown {
			fmt.Fprintf(&b, "\nand %d more", len(l)-shown)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Error())
	}
	return b.String()
}

// Unwrap returns the mistakes one by one.
func (l Errors) Unwrap() []error {
	errs := make([]error, len(l))
	for i, e := range l {
		errs[i] = e
	}
	return errs
}

// A report collects mistakes. Values of secrets that get into it are masked
// when it is closed.
type report struct {
	file    string
	errs    Errors
	secrets []auth.Secret
	meant   []string // paths that were probably meant by others: nothing is missing there
}

func (r *report) add(o origin, field, fix, problem string, args ...any) {
	e := &Error{File: r.file, Line: o.line, Col: o.col, Field: field, Problem: fmt.Sprintf(problem, args...), Fix: fix}
	if o.flag != "" {
		e.File, e.Line, e.Col = o.flag, 0, 0
	}
	r.errs = append(r.errs, e)
}

// close returns all mistakes, or nil when there are none.
func (r *report) close() error {
	if len(r.errs) == 0 {
		return nil
	}
	for _, e := range r.errs {
		e.Problem, e.Fix = maskAll(e.Problem, r.secrets), maskAll(e.Fix, r.secrets)
		e.Field = maskAll(e.Field, r.secrets)
	}
	slices.SortStableFunc(r.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	// One mistake may be met twice, by way of an alias: say it once.
	r.errs = slices.CompactFunc(r.errs, func(a, b *Error) bool {
		return a.Line == b.Line && a.Col == b.Col && a.Line > 0 && a.Problem == b.Problem
	})
	return r.errs
}

// leastMasked is the length from which a secret is looked for in texts: a
// shorter one would be found in innocent words. Where a value is known to be a
// secret it is not printed, whatever its length.
const leastMasked = 4

func maskAll(text string, secrets []auth.Secret) string { return NewMask(secrets).Replace(text) }

// hinted takes apart what another room says about a value.
func hinted(err error) (problem, fix string) {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		fix = h.Hint()
	}
	return err.Error(), fix
}

// quote shows a value that was found, cut where it is long.
func quote(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// didYouMean suggests the nearest of names, or lists them when none is near.
func didYouMean(name string, names []string, what string) string {
	if near := payload.Nearest(name, names); near != "" {
		return "did you mean " + near + "?"
	}
	const most = 30
	if len(names) == 0 {
		return "there is no " + what + " here"
	}
	list := slices.Clone(names)
	more := ""
	if len(list) > most {
		list, more = list[:most], ", …"
	}
	return "known: " + strings.Join(list, ", ") + more
}
