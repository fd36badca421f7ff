package payload

import (
	"cmp"
	"errors"
	"strings"
)

// A part of a string is a literal text or an expression.
type part struct {
	text string
	expr *Expr
	at   int // where the expression's source begins in the string, in bytes
}

// A String is a compiled string, such as a header or a path.
type String struct {
	MaxBytes int // limit of what Render returns; 0 means the package's MaxBytes

	source string
	parts  []part
}

// CompileString compiles a string in which expressions stand between ${{ and }}. To write ${{ itself, write $${{.
// Errors are *Error, or several of them joined.
func CompileString(src string, scope Scope) (*String, error) {
	parts, err := split(src, scope)
	if err != nil {
		return nil, err
	}
	return &String{source: src, parts: parts}, nil
}

// Static reports whether the string has no expression, so that it renders always the same.
func (s *String) Static() bool { return static(s.parts) }

// Reads returns what the expressions read, as Expr.Reads does.
func (s *String) Reads() []Read { return readsOf(nil, s.parts) }

// Render evaluates the expressions and puts their values into the string. Numbers are written as JavaScript does,
// times as RFC 3339, objects and lists as JSON; null is an error. Errors are *Error.
func (s *String) Render(env *Env) (string, error) {
	if len(s.parts) == 0 {
		return "", nil
	}
	if len(s.parts) == 1 && s.parts[0].expr == nil {
		return s.parts[0].text, nil
	}
	b, err := render(nil, s.source, s.parts, env, cmp.Or(s.MaxBytes, MaxBytes))
	return string(b), err
}

// Value evaluates a string that is exactly one expression to the expression's value, and renders any other.
func (s *String) Value(env *Env) (any, error) {
	e := single(s.parts)
	if e == nil {
		return s.Render(env)
	}
	v, err := e.Eval(env)
	if err != nil {
		return nil, place(err, s.source, s.parts[0].at)
	}
	return v, nil
}

func static(parts []part) bool {
	for _, p := range parts {
		if p.expr != nil {
			return false
		}
	}
	return true
}

// single returns the expression of a string that is one expression and nothing else.
func single(parts []part) *Expr {
	if len(parts) == 1 {
		return parts[0].expr
	}
	return nil
}

// split cuts src into its texts and expressions. Neighbouring texts are one part.
func split(src string, scope Scope) ([]part, error) {
	var parts []part
	var errs []error
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, part{text: text.String()})
			text.Reset()
		}
	}
	for i := 0; ; {
		n := strings.Index(src[i:], "${{")
		if n < 0 {
			text.WriteString(src[i:])
			break
		}
		open := i + n
		if open > i && src[open-1] == '$' {
			text.WriteString(src[i:open-1] + "${{")
			i = open + 3
			continue
		}
		text.WriteString(src[i:open])
		flush()
		begin := open + 3
		end := closing(src, begin)
		if end < 0 {
			errs = append(errs, at(src, open, "${{ is never closed", "write }} after the expression, or $${{ for the text ${{"))
			break
		}
		inner := src[begin:end]
		// expr counts from the first character that it is given: leave the spaces around to it.
		e, err := CompileExpr(inner, scope)
		if err != nil {
			if bad, ok := errors.AsType[*Error](err); ok {
				err = bad.within(src, begin)
			}
			errs = append(errs, err)
		}
		parts = append(parts, part{expr: e, at: begin})
		i = end + 2
	}
	flush()
	if len(errs) == 1 {
		return nil, errs[0]
	}
	return parts, errors.Join(errs...)
}

// closing finds the }} that ends the expression that begins at i: not one in a text, and not the end of two objects in
// each other. It returns -1 if there is none.
func closing(src string, i int) int {
	depth := 0
	for ; i < len(src); i++ {
		switch c := src[i]; c {
		case '"', '\'', '`':
			for i++; i < len(src) && src[i] != c; i++ {
				if src[i] == '\\' && c != '`' {
					i++
				}
			}
		case '{':
			depth++
		case '}':
			if depth == 0 && strings.HasPrefix(src[i:], "}}") {
				return i
			}
			depth--
		}
	}
	return -1
}

// render appends the parts, with the values of their expressions, to b.
func render(b []byte, src string, parts []part, env *Env, limit int) ([]byte, error) {
	for _, p := range parts {
		if p.expr == nil {
			if b = append(b, p.text...); len(b) > limit {
				return nil, place(tooLarge(limit), src, 0)
			}
			continue
		}
		v, err := p.expr.Eval(env)
		if err == nil {
			b, err = appendText(b, v, limit)
		}
		if err != nil {
			return nil, place(err, src, p.at)
		}
	}
	return b, nil
}

// place gives an error of an expression, or of its value, its place in the string where the expression stands.
func place(err error, src string, offset int) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.within(src, offset)
	}
	if p, ok := errors.AsType[*problem](err); ok {
		e := at(src, offset, p.what, p.fix)
		e.Err = err
		return e
	}
	return at(src, offset, err.Error(), "")
}

func readsOf(reads []Read, parts []part) []Read {
	for _, p := range parts {
		if p.expr != nil {
			reads = append(reads, p.expr.reads...)
		}
	}
	return reads
}
