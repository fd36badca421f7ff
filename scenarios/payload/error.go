package payload

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/file"
)

// An Error is a mistake in an expression or a template, found when it was compiled or when it was evaluated.
type Error struct {
	Path    string // place in a template, such as .user.tags[2]; empty for its root and outside of templates
	Source  string // the text that was compiled
	Offset  int    // where in Source the mistake is, in bytes counted from 0
	Line    int    // the same, counted from 1
	Column  int    // the same, in characters of that line counted from 1; 0 if the mistake has no place
	Problem string // what is wrong, with the value found
	Fix     string // what to write instead; may be empty
	Err     error  // the cause, if another error was
}

// Error says what is wrong and where in the source.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Path != "" {
		b.WriteString(e.Path)
		b.WriteString(": ")
	}
	switch {
	case e.Line > 1:
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	case e.Column > 1:
		fmt.Fprintf(&b, "column %d: ", e.Column)
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Hint says what to write instead.
func (e *Error) Hint() string { return e.Fix }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// A problem is an error of a function or an access before its place in the source is known.
type problem struct {
	what, fix string
}

func (p *problem) Error() string { return p.what }

func problemf(fix, format string, args ...any) error {
	return &problem{what: fmt.Sprintf(format, args...), fix: fix}
}

// at returns an Error at a byte offset of src.
func at(src string, offset int, what, fix string) *Error {
	offset = min(max(offset, 0), len(src))
	before := src[:offset]
	start := strings.LastIndexByte(before, '\n') + 1
	return &Error{
		Source: src, Offset: offset, Line: strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(before[start:]) + 1, Problem: what, Fix: fix,
	}
}

// within moves an Error of an expression to its place in the string that the expression stands in.
func (e *Error) within(src string, offset int) *Error {
	moved := at(src, offset+e.Offset, e.Problem, e.Fix)
	moved.Path, moved.Err = e.Path, e.Err
	return moved
}

// explain turns an error of expr into one in the words of this program.
func explain(src string, err error, scope Scope) *Error {
	var fe *file.Error
	if !errors.As(err, &fe) {
		return at(src, 0, plain(err.Error()), "")
	}
	offset := runeOffset(src, fe.From)
	if p, ok := errors.AsType[*problem](fe.Prev); ok {
		e := at(src, offset, p.what, p.fix)
		e.Err = fe.Prev
		return e
	}
	if name, ok := strings.CutPrefix(fe.Message, "unknown name "); ok {
		what, fix := unknownName(name, scope)
		return at(src, offset, what, fix)
	}
	if len(src) > 0 && strings.TrimSpace(src) == "" {
		return at(src, 0, "the expression is empty", "")
	}
	e := at(src, offset, plain(fe.Message), "")
	e.Err = fe.Prev
	return e
}

// runeOffset converts an offset in characters, as expr counts, to one in bytes.
func runeOffset(src string, runes int) int {
	for i := range src {
		if runes <= 0 {
			return i
		}
		runes--
	}
	return len(src)
}

// plain rewrites those messages of expr that speak of its insides.
func plain(message string) string {
	message = strings.TrimPrefix(message, "runtime error: ")
	switch message {
	case "unexpected token EOF", "unexpected end of expression":
		return "the expression ends too early"
	case "literal not terminated":
		return "a text is never closed"
	case "memory budget exceeded":
		return fmt.Sprintf("the expression makes more than %d elements", memoryBudget)
	case "invalid operation: cannot call nil":
		return "what is called here is not a function"
	}
	if _, token, ok := strings.Cut(message, "unexpected token "); ok {
		if _, quoted, ok := strings.Cut(strings.TrimSuffix(token, ")"), "("); ok {
			return "unexpected " + quoted
		}
	}
	if what, ok := strings.CutPrefix(message, "interface conversion: interface {} is "); ok {
		got, want, _ := strings.Cut(what, ", not ")
		return fmt.Sprintf("expected %s, got %s", kindName(want), kindName(got))
	}
	if what, ok := strings.CutPrefix(message, "cannot fetch "); ok {
		key, of, _ := strings.Cut(what, " from ")
		return fmt.Sprintf("cannot read %s of %s", key, kindName(of))
	}
	if what, ok := strings.CutPrefix(message, "reflect.Value.MapIndex: value of type "); ok {
		got, want, _ := strings.Cut(what, " is not assignable to type ")
		return fmt.Sprintf("in: expected %s, as the list has, got %s", kindName(want), kindName(got))
	}
	if what, ok := strings.CutPrefix(message, "reflect: call of reflect.Value."); ok {
		if _, kind, ok := strings.Cut(what, " on "); ok {
			return "expected a list, got " + kindName(strings.TrimSuffix(kind, " Value"))
		}
	}
	for _, t := range []string{"<nil>", "map[string]interface {}", "[]interface {}", "interface {}"} {
		message = strings.ReplaceAll(message, t, kindName(t))
	}
	return message
}

// kindName is the name that a user knows a Go type by.
func kindName(t string) string {
	switch t {
	case "<nil>", "nil", "zero":
		return "null"
	case "bool":
		return "true or false"
	case "string":
		return "a text"
	case "int", "int64", "float64", "uint64":
		return "a number"
	case "map[string]interface {}", "map[string]string", "map":
		return "an object"
	case "[]interface {}", "[]int", "[]string", "slice":
		return "a list"
	case "interface {}":
		return "a value"
	}
	return t
}

// unknownName explains a name that the scope does not have.
func unknownName(name string, scope Scope) (what, fix string) {
	where := map[Scope]string{
		Request: "it is known once the reply is there: in check and save",
		Reply:   "", Event: "a reply of the emulator sees event alone",
	}[scope]
	if isName(name) && where != "" && (scope == Event || name != "event") {
		return fmt.Sprintf("%s is not known here", name), where
	}
	if name == "event" {
		return "event is not known here", "it is known in replies of the emulator"
	}
	what = fmt.Sprintf("unknown name %s", name)
	known := scope.Names()
	candidates := append(known, functionNames()...)
	if near := Nearest(name, candidates); near != "" {
		return what, fmt.Sprintf("did you mean %s?", near)
	}
	return what, "known here: " + strings.Join(known, ", ") + ", and functions"
}

// isName reports whether some scope has the name.
func isName(name string) bool {
	for _, s := range []Scope{Reply, Event} {
		if slices.Contains(s.Names(), name) {
			return true
		}
	}
	return false
}

// Nearest returns the candidate that looks most like name, whatever the case,
// or "" if none is near enough to be meant: hints rest on it.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", max(1, len([]rune(name))/3)+1
	for _, c := range candidates {
		d := distance(strings.ToLower(name), strings.ToLower(c))
		if d == 0 {
			return c
		}
		if d < bestDistance && d < len(c) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the characters to insert, delete, replace or swap with their neighbour to make a out of b (optimal
// string alignment). Texts of more than 64 characters count as far apart.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	var before, last, row [65]int
	for j := range len(y) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
