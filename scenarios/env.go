package scenarios

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"volley/engine/auth"
)

// reference is a ${NAME} or ${NAME:-default} at the start of a text.
func reference() *regexp.Regexp {
	return regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}`)
}

// An environment fills ${NAME} into texts.
type environment struct {
	*report
	lookup func(name string) (string, bool)
	ref    *regexp.Regexp
}

// A span is a part of a text, [from, to).
type span struct{ from, to int }

// fill returns the node's text with its variables filled in, and reports
// whether there was no mistake in it.
//
// Where a template is wanted, expressions stay as they are, and what comes from
// the environment is escaped, so that it can never become an expression.
// Elsewhere an expression is a mistake.
func (e *environment) fill(n *node, path string, template bool) (text string, ok bool) {
	s := n.text
	if !strings.Contains(s, "${") {
		return s, true
	}
	var b strings.Builder
	var filled []span
	ok = true
	for i := 0; i < len(s); {
		j := strings.Index(s[i:], "${")
		if j < 0 {
			b.WriteString(s[i:])
			break
		}
		j += i
		expression := strings.HasPrefix(s[j:], "${{")
		switch {
		case j > i && s[j-1] == '$' && expression && template:
			b.WriteString(s[i : j+3]) // the escape is the template's own
			i = j + 3
		case j > i && s[j-1] == '$':
			b.WriteString(s[i:j-1] + "${")
			i = j + 2
		case expression:
			end := expressionEnd(s, j+3)
			ok = e.expression(n, s[j:end], path, template) && ok
			b.WriteString(s[i:end])
			i = end
		default:
			b.WriteString(s[i:j])
			value, length, found := e.value(n, s[j:], path)
			ok = ok && found
			filled = append(filled, span{b.Len(), b.Len() + len(value)})
			b.WriteString(value)
			i = j + length
		}
	}
	text = b.String()
	if template {
		text = escape(text, filled)
	}
	return text, ok
}

// expression looks at a ${{ expression }} for what must not be in it.
func (e *environment) expression(n *node, s, path string, template bool) bool {
	if !template {
		e.add(n.at, path, "write the value itself, or ${NAME} from the environment; expressions may stand in data, headers, http.path, http.query, when, each, check and save",
			"%s is an expression, which cannot stand here", quote(s))
		return false
	}
	return e.noVariables(n, s[3:], path)
}

// noVariables refuses ${NAME} in an expression: what is filled in could be
// read as a part of it.
func (e *environment) noVariables(n *node, source, path string) bool {
	for i := strings.Index(source, "${"); i >= 0; {
		if m := e.ref.FindStringSubmatch(source[i:]); m != nil {
			e.add(n.at, path, "write env."+m[1], "%s stands inside of an expression", quote("${"+m[1]+"}"))
			return false
		}
		next := strings.Index(source[i+2:], "${")
		if next < 0 {
			break
		}
		i += 2 + next
	}
	return true
}

// value returns the value of the variable that s begins with, and the length
// of its reference.
func (e *environment) value(n *node, s, path string) (value string, length int, ok bool) {
	m := e.ref.FindStringSubmatch(s)
	if m == nil {
		shown, _, _ := strings.Cut(s, "\n")
		e.add(n.at, path, "write ${NAME} or ${NAME:-default}; for the text ${ itself write $${", "%s is not a variable", quote(shown))
		return "", 2, false
	}
	name, hasDefault := m[1], strings.Contains(m[0], ":-")
	v, set := "", false
	if e.lookup != nil {
		v, set = e.lookup(name)
	}
	switch {
	case set && (v != "" || !hasDefault): // as in a shell, :- also replaces an empty value
	case hasDefault:
		v = m[2]
	default:
		e.add(n.at, path, "set it: -e "+name+"=VALUE, or export "+name+"=VALUE; or give a default: ${"+name+":-VALUE}", "${%s} is not set", name)
		return "", len(m[0]), false
	}
	return v, len(m[0]), true
}

// escape writes $${{ for every ${{ that has come to be by filling in.
func escape(text string, filled []span) string {
	if len(filled) == 0 || !strings.Contains(text, "${{") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		j := strings.Index(text[i:], "${{")
		if j < 0 {
			b.WriteString(text[i:])
			break
		}
		j += i
		b.WriteString(text[i:j])
		if slices.ContainsFunc(filled, func(f span) bool { return f.from < j+3 && j < f.to }) {
			b.WriteByte('$')
		}
		b.WriteString("${{")
		i = j + 3
	}
	return b.String()
}

// expressionEnd returns the end of the expression whose source begins at i: past
// the }} that is not in a text nor the end of two objects in each other, or
// the end of s.
func expressionEnd(s string, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\'', '`':
			for i++; i < len(s) && s[i] != c; i++ {
				if s[i] == '\\' && c != '`' {
					i++
				}
			}
		case '{':
			depth++
		case '}':
			if depth == 0 && strings.HasPrefix(s[i:], "}}") {
				return i + 2
			}
			depth--
		}
	}
	return len(s)
}

// whole reports whether the node is one ${NAME} and nothing else.
func (e *environment) whole(n *node) bool {
	return n.kind == scalarKind && len(n.text) > 0 && len(e.ref.FindString(n.text)) == len(n.text)
}

// secret returns the value of a node that must be one ${NAME}. It never says
// what stands there instead.
func (e *environment) secret(n *node, path string) (auth.Secret, bool) {
	m := e.ref.FindStringSubmatch(n.text)
	if n.kind != scalarKind || m == nil || len(m[0]) != len(n.text) || m[2] != "" {
		e.add(n.at, path, "write "+path[strings.LastIndexByte(path, '.')+1:]+": \"${NAME}\", and set it by -e NAME=VALUE or in the environment",
			"a secret must not stand in a scenario (what was found is not shown)")
		return auth.Secret{}, false
	}
	v, _, ok := e.value(n, n.text, path)
	if !ok {
		return auth.Secret{}, false
	}
	if strings.TrimSpace(v) == "" {
		e.add(n.at, path, "set it to the secret itself", "${%s} is empty", m[1])
		return auth.Secret{}, false
	}
	if strings.ContainsAny(v, "\r\n\x00") {
		e.add(n.at, path, "remove the line break; did a file end in one?", "${%s} has a line break in it", m[1])
		return auth.Secret{}, false
	}
	s := auth.NewSecret(v)
	e.secrets = append(e.secrets, s)
	return s, true
}

// secretHeader reports whether a header of that name carries a secret.
func secretHeader(name string) bool {
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token", "x-access-token",
		"x-cloudbase-authorization", "x-cloudbase-sessiontoken":
		return true
	}
	return false
}

// secretLine checks the value of a header that carries a secret: what is secret
// must come from a variable or an expression. It notes the variables' values.
func (e *environment) secretLine(n *node, path, name string) bool {
	rest, references := n.text, 0
	var literal strings.Builder
	for rest != "" {
		i := strings.Index(rest, "${")
		if i < 0 {
			literal.WriteString(rest)
			break
		}
		literal.WriteString(rest[:i])
		rest = rest[i:]
		references++
		if strings.HasPrefix(rest, "${{") {
			rest = rest[expressionEnd(rest, 3):]
			continue
		}
		m := e.ref.FindStringSubmatch(rest)
		if m == nil {
			break // fill says so
		}
		if m[2] != "" {
			literal.WriteString("a default is a literal, too")
		}
		if e.lookup != nil {
			if v, ok := e.lookup(m[1]); ok {
				e.secrets = append(e.secrets, auth.NewSecret(v))
			}
		}
		rest = rest[len(m[0]):]
	}
	scheme := regexp.MustCompile(`^[A-Za-z0-9-]{0,20} ?$`) // such as Bearer
	if strings.EqualFold(name, "cookie") {
		scheme = regexp.MustCompile(`^[^=]{1,64}=`) // names, and the values that are not secret
	}
	if n.kind == scalarKind && references > 0 && scheme.MatchString(literal.String()) {
		return true
	}
	form := "${NAME}"
	switch {
	case strings.EqualFold(name, "cookie"):
		form = "session=${NAME}"
	case strings.HasSuffix(strings.ToLower(name), "authorization"):
		form = "Bearer ${NAME}"
	}
	e.add(n.at, path, fmt.Sprintf("write %s: %q, and set it by -e NAME=VALUE or in the environment", name, form),
		"a secret must not stand in a scenario (what was found is not shown)")
	return false
}
