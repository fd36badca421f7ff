package payload

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
)

// A Function is one that expressions may call, beside those of the language itself.
type Function struct {
	Name      string
	Signature string // such as randInt(low, high)
	Doc       string // one sentence

	env  bool // the first argument is the *Env
	args []argument
	call func(args []any) (any, error)
}

// An argument says which values a parameter takes.
type argument int

const (
	anything argument = iota
	number
	text
	listed
	object
)

func (a argument) String() string {
	return [...]string{"a value", "a number", "a text", "a list", "an object"}[a]
}

// accepts reports whether a value of type t, as far as it is known before the evaluation, can be such an argument.
func (a argument) accepts(t reflect.Type) bool {
	if t == nil || t.Kind() == reflect.Interface {
		return true // known when it is evaluated
	}
	switch a {
	case number:
		return t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64
	case text:
		return t.Kind() == reflect.String
	case listed:
		return t.Kind() == reflect.Slice || t.Kind() == reflect.Array
	case object:
		return t.Kind() == reflect.Map
	}
	return true
}

// Functions returns the functions that expressions may call, in the order in which they are explained to users. The
// random ones draw from Env.Rand alone, so that the same seed gives the same values. Some replace functions of expr that
// go by the order of a Go map, or by the clock.
func Functions() []Function {
	return []Function{
		{Name: "uuid", Signature: "uuid()", Doc: "A random UUID, version 4 (RFC 9562, section 5.4).", env: true,
			call: random(func(r *rand.Rand, _ []any) (any, error) { return uuid(r), nil })},
		{Name: "randInt", Signature: "randInt(low, high)", Doc: "A random integer from low to high, both included.",
			env: true, args: []argument{number, number}, call: random(randInt)},
		{Name: "randFloat", Signature: "randFloat()", Doc: "A random number from 0 up to, but not including, 1.", env: true,
			call: random(func(r *rand.Rand, _ []any) (any, error) { return r.Float64(), nil })},
		{Name: "randString", Signature: "randString(n)", Doc: "A random text of n letters and digits, at most 65536.",
			env: true, args: []argument{number}, call: random(randString)},
		{Name: "pick", Signature: "pick(list)", Doc: "A random element of a list.",
			env: true, args: []argument{listed}, call: random(pick)},
		{Name: "now", Signature: "now()", Doc: "The time at which the invocation is due, in UTC; RFC 3339 in a text.",
			env: true, call: func(a []any) (any, error) { return a[0].(*Env).Now.UTC(), nil }},
		{Name: "nowMs", Signature: "nowMs()", Doc: "The same in milliseconds since 1970.",
			env: true, call: func(a []any) (any, error) { return a[0].(*Env).Now.UnixMilli(), nil }},
		{Name: "base64", Signature: "base64(text)", Doc: "The text in Base64 (RFC 4648, section 4, with padding).",
			args: []argument{text}, call: texts(func(t []string) (any, error) {
				return base64.StdEncoding.EncodeToString([]byte(t[0])), nil
			})},
		{Name: "sha256", Signature: "sha256(text)", Doc: "The SHA-256 sum of the text, in lower-case hexadecimal.",
			args: []argument{text}, call: texts(func(t []string) (any, error) {
				sum := sha256.Sum256([]byte(t[0]))
				return hex.EncodeToString(sum[:]), nil
			})},
		{Name: "hmacSHA256", Signature: "hmacSHA256(key, text)", Doc: "The HMAC-SHA-256 of the text, in lower-case hexadecimal.",
			args: []argument{text, text}, call: texts(func(t []string) (any, error) {
				h := hmac.New(sha256.New, []byte(t[0]))
				h.Write([]byte(t[1]))
				return hex.EncodeToString(h.Sum(nil)), nil
			})},
		{Name: "json", Signature: "json(value)", Doc: "The value as a text of JSON, on one line, keys sorted.",
			args: []argument{anything}, call: jsonText},
		{Name: "toJSON", Signature: "toJSON(value)", Doc: "Another name of json.",
			args: []argument{anything}, call: jsonText},
		{Name: "fromJSON", Signature: "fromJSON(text)", Doc: "The value that a text of JSON holds; large integers stay exact.",
			args: []argument{text}, call: texts(func(t []string) (any, error) { return DecodeJSON([]byte(t[0])) })},
		{Name: "keys", Signature: "keys(object)", Doc: "The keys of an object, sorted.",
			args: []argument{object}, call: func(a []any) (any, error) {
				return sorted(a[0], func(k string, _ any) any { return k })
			}},
		{Name: "values", Signature: "values(object)", Doc: "The values of an object, in the order of its sorted keys.",
			args: []argument{object}, call: func(a []any) (any, error) {
				return sorted(a[0], func(_ string, v any) any { return v })
			}},
		{Name: "toPairs", Signature: "toPairs(object)", Doc: "The [key, value] pairs of an object, sorted by key.",
			args: []argument{object}, call: func(a []any) (any, error) {
				return sorted(a[0], func(k string, v any) any { return []any{k, v} })
			}},
	}
}

// declare tells expr of the functions.
func declare(c *conf.Config) {
	for _, f := range Functions() {
		c.Functions[f.Name] = &builtin.Function{
			Name: f.Name, Validate: f.validate,
			Func: func(args ...any) (any, error) { return f.call(args) },
		}
	}
	c.Functions[equalFunc] = &builtin.Function{
		Name:  equalFunc,
		Func:  func(args ...any) (any, error) { return deepEqual(args[0], args[1]), nil },
		Types: []reflect.Type{reflect.TypeFor[func(a, b any) bool]()},
	}
	c.Functions[fieldFunc] = &builtin.Function{
		Name: fieldFunc,
		Func: func(args ...any) (any, error) { return field(args[0], args[1], args[2].(string)) },
	}
}

// validate checks the arguments of a call as far as their types are known.
func (f Function) validate(args []reflect.Type) (reflect.Type, error) {
	result := reflect.TypeFor[any]()
	if f.env && len(args) > 0 {
		args = args[1:]
	}
	if len(args) != len(f.args) {
		return result, fmt.Errorf("%s takes %s, got %d", f.Signature, count(len(f.args)), len(args))
	}
	for i, a := range f.args {
		if !a.accepts(args[i]) {
			return result, fmt.Errorf("%s: argument %d must be %s, not of type %s", f.Signature, i+1, a, args[i])
		}
	}
	return result, nil
}

func count(n int) string {
	switch n {
	case 0:
		return "no arguments"
	case 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

func lookup(name string) (Function, bool) {
	all := Functions()
	i := slices.IndexFunc(all, func(f Function) bool { return f.Name == name })
	if i < 0 {
		return Function{}, false
	}
	return all[i], true
}

func needsEnv(name string) bool { f, _ := lookup(name); return f.env }

func isFunction(name string) bool { _, ok := lookup(name); return ok }

func signature(name string) string { f, _ := lookup(name); return f.Signature }

// functionNames lists all functions, those of expr included.
func functionNames() []string {
	var names []string
	for _, f := range Functions() {
		names = append(names, f.Name)
	}
	return append(names, builtin.Names...)
}

// random wraps a function that draws from the environment's source.
func random(f func(r *rand.Rand, args []any) (any, error)) func([]any) (any, error) {
	return func(args []any) (any, error) {
		env := args[0].(*Env)
		r := env.random()
		if r == nil {
			return nil, problemf("", "there is no randomness here")
		}
		return f(r, args[1:])
	}
}

// texts wraps a function whose arguments are all texts.
func texts(f func([]string) (any, error)) func([]any) (any, error) {
	return func(args []any) (any, error) {
		out := make([]string, len(args))
		for i, a := range args {
			s, ok := a.(string)
			if !ok {
				return nil, problemf("", "expected a text, got %s", describe(a))
			}
			out[i] = s
		}
		return f(out)
	}
}

func uuid(r *rand.Rand) string {
	high, low := r.Uint64(), r.Uint64()
	high = high&^0xf000 | 0x4000 // version 4
	low = low&^(3<<62) | 1<<63   // variant 10
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(high>>(56-8*i)), byte(low>>(56-8*i))
	}
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

func randInt(r *rand.Rand, args []any) (any, error) {
	low, err := toInt(args[0])
	if err != nil {
		return nil, err
	}
	high, err := toInt(args[1])
	if err != nil {
		return nil, err
	}
	if low > high {
		return nil, problemf("put the lower bound first", "randInt(%d, %d): the range is empty", low, high)
	}
	width := uint64(high) - uint64(low)
	if width == math.MaxUint64 {
		return int64(r.Uint64()), nil
	}
	return int64(uint64(low) + r.Uint64N(width+1)), nil
}

func randString(r *rand.Rand, args []any) (any, error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	n, err := toInt(args[0])
	if err != nil {
		return nil, err
	}
	if n < 0 || n > 65536 {
		return nil, problemf("", "randString(%d): the length must be 0 to 65536", n)
	}
	out := make([]byte, n)
	for i := range out {
		out[i] = letters[r.IntN(len(letters))]
	}
	return string(out), nil
}

func pick(r *rand.Rand, args []any) (any, error) {
	if l, ok := args[0].([]any); ok && len(l) > 0 {
		return l[r.IntN(len(l))], nil
	}
	v := reflect.ValueOf(args[0])
	if !v.IsValid() || v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return nil, problemf("", "pick: expected a list, got %s", describe(args[0]))
	}
	if v.Len() == 0 {
		return nil, problemf("", "pick: the list is empty")
	}
	return v.Index(r.IntN(v.Len())).Interface(), nil
}

func jsonText(args []any) (any, error) {
	b, err := appendJSON(nil, args[0], MaxBytes, 0)
	return string(b), err
}

// sorted lists what f makes of an object's fields, in the order of its keys.
func sorted(v any, f func(key string, value any) any) (any, error) {
	out := []any{}
	switch m := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(m)) {
			out = append(out, f(k, m[k]))
		}
	case map[string]string:
		for _, k := range slices.Sorted(maps.Keys(m)) {
			out = append(out, f(k, m[k]))
		}
	default:
		rv := reflect.ValueOf(v)
		if !rv.IsValid() || rv.Kind() != reflect.Map {
			return nil, problemf("", "expected an object, got %s", describe(v))
		}
		keys := rv.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			return strings.Compare(fmt.Sprint(a.Interface()), fmt.Sprint(b.Interface()))
		})
		for _, k := range keys {
			out = append(out, f(fmt.Sprint(k.Interface()), rv.MapIndex(k).Interface()))
		}
	}
	return out, nil
}
