package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// DecodeJSON returns the one value that data holds. Objects are map[string]any, lists []any. An integer that fits an
// int64 is one, so that ids of 64 bits survive; any other number is a float64.
func DecodeJSON(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, problemf("", "not JSON: there is nothing")
		}
		return nil, problemf("", "not JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, problemf("", "not JSON: there is more after the first value")
	}
	return numbers(v)
}

// numbers replaces each json.Number in v, which it owns.
func numbers(v any) (any, error) {
	var err error
	switch t := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(string(t), 10, 64); err == nil {
			return i, nil
		}
		f, err := strconv.ParseFloat(string(t), 64)
		if err != nil {
			return nil, problemf("", "the number %s is too large", t)
		}
		return f, nil
	case map[string]any:
		for k, e := range t {
			if t[k], err = numbers(e); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, e := range t {
			if t[i], err = numbers(e); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// appendJSON appends v as JSON, without spaces, and without the escapes that only HTML needs. The keys of a Map keep
// their order, those of a Go map are sorted. It fails where b would pass limit bytes, by one value at most.
func appendJSON(b []byte, v any, limit, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, problemf("", "the value is nested more than %d levels deep", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		b = append(b, "null"...)
	case bool:
		b = strconv.AppendBool(b, v)
	case string:
		if len(v) > limit-len(b) {
			return nil, tooLarge(limit)
		}
		b = appendString(b, v)
	case int:
		b = strconv.AppendInt(b, int64(v), 10)
	case int64:
		b = strconv.AppendInt(b, v, 10)
	case uint64:
		b = strconv.AppendUint(b, v, 10)
	case float64:
		return appendFloat(b, v)
	case json.Number:
		if !json.Valid([]byte(v)) {
			return nil, problemf("", "%q is not a number", string(v))
		}
		b = append(b, v...)
	case time.Time:
		b = appendString(b, v.Format(time.RFC3339Nano))
	case time.Duration:
		b = appendString(b, v.String())
	case map[string]any:
		return appendObject(b, slices.Sorted(maps.Keys(v)), func(i int, k string) any { return v[k] }, limit, depth)
	case map[string]string:
		return appendObject(b, slices.Sorted(maps.Keys(v)), func(i int, k string) any { return v[k] }, limit, depth)
	case Map:
		keys := make([]string, len(v))
		for i, e := range v {
			keys[i] = e.Key
		}
		return appendObject(b, keys, func(i int, k string) any { return v[i].Value }, limit, depth)
	case []any:
		return appendList(b, len(v), func(i int) any { return v[i] }, limit, depth)
	case []string:
		return appendList(b, len(v), func(i int) any { return v[i] }, limit, depth)
	case []int:
		return appendList(b, len(v), func(i int) any { return v[i] }, limit, depth)
	default:
		return appendOther(b, v, limit)
	}
	if len(b) > limit {
		return nil, tooLarge(limit)
	}
	return b, nil
}

func tooLarge(limit int) error {
	return problemf("", "the result has more than %d bytes", limit)
}

func appendObject(b []byte, keys []string, value func(i int, key string) any, limit, depth int) ([]byte, error) {
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, k), ':')
		var err error
		if b, err = appendJSON(b, value(i, k), limit, depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func appendList(b []byte, n int, value func(i int) any, limit, depth int) ([]byte, error) {
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendJSON(b, value(i), limit, depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// appendOther leaves kinds that are seldom met to encoding/json.
func appendOther(b []byte, v any, limit int) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, problemf("", "%s cannot be written as JSON", describe(v))
	}
	if b = append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...); len(b) > limit {
		return nil, tooLarge(limit)
	}
	return b, nil
}

// appendFloat writes a number as JavaScript does (ECMA-262, Number::toString): the shortest text that reads back the same,
// with an exponent only below 1e-6 and from 1e21.
func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, problemf("", "%v is not a number that JSON can hold", f)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		b = strconv.AppendFloat(b, f, 'e', -1, 64)
		if n := len(b); n >= 4 && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' { // e-09 to e-9
			b[n-2] = b[n-1]
			b = b[:n-1]
		}
		return b, nil
	}
	if f == 0 {
		f = 0 // JavaScript writes -0 as 0
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64), nil
}

// appendString writes s in quotes. What is not UTF-8 becomes U+FFFD, as encoding/json does it.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

// appendText writes v as it stands in the middle of a text: a string as it is, a number without quotes, an object or a
// list as JSON.
func appendText(b []byte, v any, limit int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return nil, problemf(`write ?? "" after it, or another default`, "the value is null, which has no place in a text")
	case string:
		if len(v) > limit-len(b) {
			return nil, tooLarge(limit)
		}
		return append(b, v...), nil
	case []byte:
		if len(v) > limit-len(b) {
			return nil, tooLarge(limit)
		}
		return append(b, v...), nil
	case time.Time:
		return v.AppendFormat(b, time.RFC3339Nano), nil
	case time.Duration:
		return append(b, v.String()...), nil
	case fmt.Stringer:
		return append(b, v.String()...), nil
	}
	return appendJSON(b, v, limit, 0)
}
