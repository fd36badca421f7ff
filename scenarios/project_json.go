package scenarios

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseJSON reads one JSON value, strictly (RFC 8259): comments and trailing
// commas are mistakes. start is where in the file the text begins.
func parseJSON(src []byte, start origin, r *report) *node {
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	p := &jsonReader{src: src, at: start}
	var whole json.RawMessage
	if err := json.Unmarshal(src, &whole); err != nil {
		at := start
		if s, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = p.place(max(0, s.Offset-1))
		}
		r.add(at, "", "JSON has texts in double quotes, no comments, and no comma before a closing bracket", "this is not JSON: %v", err)
		return nil
	}
	p.dec = json.NewDecoder(bytes.NewReader(src))
	p.dec.UseNumber()
	n, err := p.value(0)
	if err != nil {
		r.add(p.at, "", "write it in a plainer way", "%v", err)
		return nil
	}
	return n
}

// A jsonReader makes nodes of JSON that is known to be well-formed.
type jsonReader struct {
	src    []byte
	dec    *json.Decoder
	at     origin // of offset
	offset int64
}

var errTooDeep = errors.New("more than 1000 levels of nesting")

// place returns the place of an offset, at or after the one before.
func (p *jsonReader) place(offset int64) origin {
	for p.offset < offset && p.offset < int64(len(p.src)) {
		r, size := utf8.DecodeRune(p.src[p.offset:])
		p.offset += int64(size)
		p.at.col++
		if r == '\n' {
			p.at.line, p.at.col = p.at.line+1, 1
		}
	}
	return p.at
}

// token returns the next token, and where it begins.
func (p *jsonReader) token() (json.Token, origin, error) {
	from := p.dec.InputOffset()
	for from < int64(len(p.src)) && strings.IndexByte(" \t\r\n,:", p.src[from]) >= 0 {
		from++
	}
	at := p.place(from)
	t, err := p.dec.Token()
	return t, at, err
}

func (p *jsonReader) value(depth int) (*node, error) {
	t, at, err := p.token()
	switch {
	case err != nil:
		return nil, err
	case depth > 1000:
		return nil, errTooDeep
	}
	n := &node{at: at}
	switch t := t.(type) {
	case json.Delim:
		n.kind = sequenceKind
		if t == '{' {
			n.kind = mappingKind
		}
		seen := map[string]int{}
		for p.dec.More() {
			key, keyAt := "", origin{}
			if n.kind == mappingKind {
				k, at, err := p.token()
				if err != nil {
					return nil, err
				}
				key, keyAt = k.(string), at
			}
			v, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			if n.kind == sequenceKind {
				n.items = append(n.items, v)
				continue
			}
			// Of a key that is there twice, JavaScript takes the last.
			if i, twice := seen[key]; twice {
				n.entries[i].value = v
				continue
			}
			seen[key] = len(n.entries)
			n.entries = append(n.entries, entry{key: key, at: keyAt, value: v})
		}
		_, _, err := p.token()
		return n, err
	case string:
		n.text = t
	case json.Number:
		n.text, n.plain = t.String(), true
	case bool:
		n.text, n.plain = strconv.FormatBool(t), true
	case nil:
		n.text, n.plain = "null", true
	}
	return n, nil
}

// json appends n as JSON, without spaces.
func (n *node) json(b []byte) []byte {
	switch {
	case n.kind == mappingKind:
		b = append(b, '{')
		for i, e := range n.entries {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, e.key), ':')
			b = e.value.json(b)
		}
		return append(b, '}')
	case n.kind == sequenceKind:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.json(b)
		}
		return append(b, ']')
	case !n.plain:
		return appendText(b, n.text)
	case json.Valid([]byte(n.text)) && strings.Trim(n.text, "-0123456789") == "":
		return append(b, n.text...) // also an integer that no float64 holds
	}
	switch v := resolvePlain(n.text).(type) {
	case string:
		return appendText(b, v)
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return append(b, "null"...) // as JavaScript writes them
		}
		j, _ := json.Marshal(v) // finite, so there is no error
		return append(b, j...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	}
	return append(b, "null"...)
}

// resolvePlain says what a scalar without quotes is.
func resolvePlain(text string) any {
	if text == "" {
		return nil
	}
	return resolve(text)
}

// appendText appends a text as JSON, without the escapes that only HTML needs.
func appendText(b []byte, s string) []byte {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text has no error
	return append(b, bytes.TrimRight(buf.Bytes(), "\n")...)
}
