package cloud

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

const blanks = " \t\r\n" // JSON's white space

// appendString appends text as a JSON string, byte for byte as
// JavaScript's JSON.stringify writes it: nothing is escaped but the quote, the
// backslash and control characters. What is not UTF-8 becomes U+FFFD.
func appendString(b []byte, text string) []byte {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	const digits = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\t':
			b = append(b, `\t`...)
		case '\n':
			b = append(b, `\n`...)
		case '\f':
			b = append(b, `\f`...)
		case '\r':
			b = append(b, `\r`...)
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	b = append(b, text[from:]...)
	return append(b, '"')
}

// appendField appends a member of an object that is being written, with the
// comma that it needs.
func appendField(b []byte, name, value string) []byte {
	if len(b) > 0 && b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(appendString(b, name), ':')
	return appendString(b, value)
}

// truthy reports whether a JSON value counts as true in JavaScript: all but
// what is missing, null, false, "" and numbers that are 0.
func truthy(raw []byte) bool {
	if len(raw) == 0 {
		return false
	}
	switch c := raw[0]; {
	case c == '-' || c >= '0' && c <= '9':
		mantissa := raw
		if e := bytes.IndexAny(raw, "eE"); e >= 0 {
			mantissa = raw[:e]
		}
		return bytes.ContainsAny(mantissa, "123456789")
	case c == 'n' || c == 'f':
		return false
	}
	return string(raw) != `""`
}

// members calls visit with each member of a JSON object, in order. It reports
// false when text is not a JSON object. The values are parts of text.
//
// It exists for replies of megabytes, whose envelope encoding/json would go
// through many times over, and because JavaScript, unlike encoding/json, tells
// large letters in names from small ones.
func members(text []byte, visit func(name string, value []byte)) bool {
	text = bytes.Trim(text, blanks)
	if !json.Valid(text) {
		return false
	}
	return within(text, visit)
}

// within is members for a value that members gave, and so is known to be valid.
func within(text []byte, visit func(name string, value []byte)) bool {
	if len(text) == 0 || text[0] != '{' {
		return false
	}
	for i := skipBlanks(text, 1); text[i] != '}'; {
		if text[i] == ',' {
			i = skipBlanks(text, i+1)
		}
		end := skipValue(text, i)
		name := unquote(text[i:end])
		i = skipBlanks(text, skipBlanks(text, end)+1) // past the colon
		end = skipValue(text, i)
		visit(name, text[i:end])
		i = skipBlanks(text, end)
	}
	return true
}

func skipBlanks(text []byte, i int) int {
	for strings.IndexByte(blanks, text[i]) >= 0 {
		i++
	}
	return i
}

// skipValue returns where the value that starts at i ends, in valid JSON.
func skipValue(text []byte, i int) int {
	depth := 0
	for {
		switch text[i] {
		case '"':
			i = skipString(text, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		default:
			i++
			for depth == 0 && i < len(text) && strings.IndexByte(",]}"+blanks, text[i]) < 0 {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}

// skipString returns where the string that starts at i ends.
func skipString(text []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(text[i:], '"')
		back := i
		for text[back-1] == '\\' {
			back--
		}
		if (i-back)%2 == 0 {
			return i + 1
		}
	}
}

// unquote returns the text of a JSON string that is known to be valid.
func unquote(raw []byte) string {
	var s string
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// value returns the text of a JSON value: of a string what it says, of all
// else how it is written.
func value(raw []byte) string {
	if len(raw) > 0 && raw[0] == '"' {
		return unquote(raw)
	}
	return string(raw)
}
