package cloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"volley/engine"
	"volley/engine/auth"
)

// authorize adds the grant's token (PROTOCOL.md 2.1).
func authorize(g auth.Grant, to *engine.Request) error {
	if g.Bearer.IsZero() {
		return nil
	}
	token := g.Bearer.Reveal()
	if err := checkToken(token); err != nil {
		return err
	}
	to.Header = append(to.Header, engine.Field{Name: "Authorization", Value: "Bearer " + token, Secret: true})
	return nil
}

// qualify adds the version or alias that is asked for (PROTOCOL.md 1.1).
func qualify(t *engine.Target, to *engine.Request) error {
	if t.Qualifier == "" {
		return nil
	}
	f := engine.Field{Name: "X-Qualifier", Value: t.Qualifier}
	if err := checkField(f); err != nil {
		return fmt.Errorf("target.qualifier: %w", err)
	}
	to.Header = append(to.Header, f)
	return nil
}

// override puts the scenario's header lines over the method's own. Those that
// frame the message are refused: only the transport knows them.
func override(lines []engine.Field, to *engine.Request) error {
	for _, f := range lines {
		if err := checkField(f); err != nil {
			return fmt.Errorf("headers: %w", err)
		}
		for _, own := range []string{"Content-Length", "Transfer-Encoding", "Trailer"} {
			if strings.EqualFold(f.Name, own) {
				return fmt.Errorf("headers: %s cannot be set: it follows from the body that is sent", own)
			}
		}
		to.Set(f)
	}
	return nil
}

// checkField refuses what would end a header line early, and so smuggle in
// another: names are tokens, values have no control characters but the tab
// (RFC 9110, section 5).
func checkField(f engine.Field) error {
	if f.Name == "" || strings.ContainsFunc(f.Name, func(r rune) bool {
		return !alnum(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) {
		return fmt.Errorf("%q is not a header name", f.Name)
	}
	i := strings.IndexFunc(f.Value, control)
	if i < 0 {
		return nil
	}
	value := f.Value
	if f.Secret {
		value = auth.Mask
	}
	return fmt.Errorf("%s: the value %q has a control character at byte %d; a line break would start another header line", f.Name, value, i)
}

func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// maxWhole bounds the body, in bytes, that is parsed from end to end to see
// whether it is JSON. Of a longer one only both ends are looked at: a load
// generator should not read megabytes for every request.
const maxWhole = 64 << 10

// isJSON reports whether body is one JSON value.
func isJSON(body []byte) bool {
	if len(body) <= maxWhole {
		return json.Valid(body)
	}
	if body = bytes.TrimSpace(body); len(body) == 0 {
		return false
	}
	first, last := body[0], body[len(body)-1]
	return first == '{' && last == '}' || first == '[' && last == ']' || first == '"' && last == '"'
}

// isObject reports whether body is a JSON object.
func isObject(body []byte) bool {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{' && isJSON(body)
}

// snippet returns the beginning of text for an error message.
func snippet(text []byte) string {
	const most = 40
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q…", text[:most])
}
