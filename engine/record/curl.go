package record

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"volley/engine"
	"volley/engine/auth"
)

// Curl returns a command line that sends r again, for a POSIX shell (and, when
// there are control characters or bytes that are not UTF-8 in it, for one that
// knows $'…', such as bash and zsh). Secrets are masked: who runs it fills
// them in. The body had bodyBytes bytes; if r has only its start, that is said
// in a comment at the end.
func Curl(r *engine.Request, bodyBytes int) string {
	var b strings.Builder
	b.WriteString("curl -g") // a URL with brackets is no pattern
	switch {
	case r.Verb == "HEAD":
		b.WriteString(" -I")
	case r.Verb != "GET" || len(r.Body) > 0:
		b.WriteString(" -X " + quote(r.Verb))
	}
	b.WriteString(" " + quote(r.URL()))
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, "Content-Length") || strings.EqualFold(f.Name, "Host") && f.Value == r.Host {
			continue // curl's own
		}
		line := f.Name + ": " + f.Value
		switch {
		case f.Secret || secretName(f.Name):
			line = f.Name + ": " + auth.Mask
		case f.Value == "":
			line = f.Name + ";" // how curl sends an empty field
		}
		b.WriteString(" -H " + quote(line))
	}
	if len(r.Body) > 0 && !slices.ContainsFunc(r.Header, func(f engine.Field) bool { return strings.EqualFold(f.Name, "Content-Type") }) {
		b.WriteString(" -H 'Content-Type:'") // curl would add that of a form
	}
	switch {
	case len(r.Body) == 0:
	case bytes.IndexByte(r.Body, 0) >= 0 && !r.SecretBody:
		fmt.Fprintf(&b, " # without its body of %d bytes: it has a zero byte, which no argument can hold", bodyBytes)
	case r.SecretBody:
		b.WriteString(" --data-binary " + quote(auth.Mask))
	default:
		body := string(r.Body)
		if bodyBytes > len(r.Body) {
			body = wholeRunes(body)
		}
		if strings.HasPrefix(body, "@") {
			b.WriteString(" --data-raw " + quote(body)) // --data-binary would read a file
		} else {
			b.WriteString(" --data-binary " + quote(body))
		}
		if bodyBytes > len(body) {
			fmt.Fprintf(&b, " # the first %d of %d bytes of the body", len(body), bodyBytes)
		}
	}
	return b.String()
}

// secretName reports whether a field is a secret whatever it is marked as.
func secretName(name string) bool {
	for _, secret := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		if strings.EqualFold(name, secret) {
			return true
		}
	}
	return false
}

// wholeRunes cuts off a rune that was torn at the end.
func wholeRunes(s string) string {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		if tail := s[len(s)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRuneInString(tail) {
				return s[:len(s)-n]
			}
			break
		}
	}
	return s
}

// quote returns s as one word of a shell. A control character would reach the
// terminal of who prints it, so such a word is written with escapes.
func quote(s string) string {
	plain := utf8.ValidString(s)
	for _, c := range s {
		plain = plain && !unicode.Is(unicode.C, c)
	}
	if plain {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for rest := s; rest != ""; {
		c, n := utf8.DecodeRuneInString(rest)
		switch {
		case c == '\'' || c == '\\':
			b.WriteString(`\` + string(c))
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == utf8.RuneError && n == 1 || unicode.Is(unicode.C, c):
			for _, octet := range []byte(rest[:n]) {
				fmt.Fprintf(&b, `\%03o`, octet) // octal ends after three digits, hex does not
			}
		default:
			b.WriteString(rest[:n])
		}
		rest = rest[n:]
	}
	b.WriteString("'")
	return b.String()
}
