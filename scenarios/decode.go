package scenarios

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"volley/engine/auth"
	"volley/scenarios/payload"
)

// A decoder makes Go values of nodes. It reports every mistake that it meets,
// and goes on.
type decoder struct {
	*environment
	nodes map[string]*node // by path
}

// A decodable type reads itself.
type decodable interface {
	decode(d *decoder, n *node, path string)
}

// into reads n into v.
func (d *decoder) into(v reflect.Value, n *node, path string, r rules) {
	d.nodes[path] = n
	if n.bad {
		return
	}
	if n.isNull() && v.Type() != reflect.TypeFor[*Value]() {
		d.add(n.at, path, "give it a value, or delete the key", "has no value")
		return
	}
	if v.CanAddr() {
		if custom, ok := reflect.TypeAssert[decodable](v.Addr()); ok {
			custom.decode(d, n, path)
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		d.into(fresh.Elem(), n, path, r)
		v.Set(fresh)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[auth.Secret]() {
			s, _ := d.secret(n, path)
			v.Set(reflect.ValueOf(s))
			return
		}
		d.fields(v, n, path)
	case reflect.Slice:
		d.list(v, n, path, r)
	case reflect.Map:
		d.dict(v, n, path, r)
	case reflect.String:
		if s, ok := d.plainText(n, path); ok && d.among(n, path, s, r.enum) {
			v.SetString(s)
		}
	case reflect.Bool:
		if s, ok := d.typed(n, path, "true or false"); ok {
			b, isBool := resolve(s).(bool)
			if !isBool {
				fix := "write true or false"
				if n.kind == scalarKind && !n.plain {
					fix += ", without quotes"
				}
				d.add(n.at, path, fix, "%s is neither true nor false", quote(s))
			}
			v.SetBool(b)
		}
	case reflect.Int, reflect.Int64:
		if i, ok := d.integer(n, path, r); ok {
			v.SetInt(i)
		}
	case reflect.Uint64:
		if s, ok := d.typed(n, path, "a whole number"); ok {
			u, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				d.add(n.at, path, "write a whole number from 0 to 18446744073709551615", "%s is not a whole number", quote(s))
			}
			v.SetUint(u)
		}
	case reflect.Float64:
		if f, ok := d.number(n, path, r); ok {
			v.SetFloat(f)
		}
	default:
		panic("scenarios: cannot read a " + v.Type().String())
	}
}

// fields reads a mapping into a struct.
func (d *decoder) fields(v reflect.Value, n *node, path string) {
	known := fieldsOf(v.Type())
	if n.kind != mappingKind {
		names := make([]string, 0, len(known))
		for _, f := range known {
			names = append(names, f.name)
		}
		d.add(n.at, path, "write a mapping, with keys such as "+strings.Join(names[:min(3, len(names))], ", "), "%s stands where a mapping is wanted", n.what())
		return
	}
	for _, e := range n.entries {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == e.key })
		if i < 0 {
			d.unknownKey(e, path, known)
			continue
		}
		f := known[i]
		d.into(v.FieldByIndex(f.index), e.value, join(path, e.key), f.rules)
	}
	for _, f := range known {
		if at := join(path, f.name); f.required && n.get(f.name) == nil && !slices.Contains(d.meant, at) {
			d.add(n.at, at, "add "+f.name, "is missing")
		}
	}
}

func (d *decoder) unknownKey(e entry, path string, known []field) {
	var names []string
	for _, f := range known {
		names = append(names, f.name)
	}
	fix := didYouMean(e.key, names, "key")
	near := payload.Nearest(e.key, names)
	if other, ok := otherNames()[e.key]; ok && slices.Contains(names, other) {
		near, fix = other, "did you mean "+other+"?"
	}
	if near != "" {
		d.meant = append(d.meant, join(path, near))
	}
	if e.value.kind == scalarKind && e.value.plain && e.value.text == "" && strings.Contains(e.key, ":") {
		fix = "write a space after the colon"
	}
	where := ""
	if path != "" {
		where = " of " + path
	}
	d.add(e.at, join(path, e.key), fix, "%s is not a key%s", quote(e.key), where)
}

// otherNames are what other tools call our keys.
func otherNames() map[string]string {
	return map[string]string{
		"vus": "workers", "users": "workers", "concurrency": "workers", "duration": "for", "time": "for",
		"qps": "rate", "rps": "rate", "url": "endpoint", "base_url": "endpoint", "baseUrl": "endpoint", "body": "data",
		"json": "data", "payload": "data", "event": "data", "params": "data", "sleep": "pause", "think": "pause", "wait": "pause", "think_time": "pause",
		"parallel": "all", "promise_all": "all", "sequence": "steps", "scenario": "steps", "flow": "steps",
		"function": "invoke", "call": "invoke", "request": "invoke", "assert": "check", "checks": "check", "expect": "check",
		"capture": "save", "extract": "save", "if": "when", "ramp_to": "to", "target": "to", "hold": "at",
		"version": "qualifier", "alias": "qualifier", "envId": "env", "env_id": "env", "apiKey": "api_key", "token": "access_token",
		"secretId": "secret_id", "secretKey": "secret_key", "sessionToken": "session_token", "accessKey": "api_key", "appid": "app_id", "appId": "app_id",
		"appSecret": "app_secret", "user": "username", "refreshToken": "refresh_token", "price": "price_per_million",
		"retries": "retry", "keepalive": "keep_alive", "max_vus": "max_in_flight", "poisson": "arrivals", "environment": "env",
		"data_file": "file", "path": "file", "files": "file", "forEach": "each", "expression": "expr", "threshold": "expr", "abortOnFail": "abort", "abort_on_fail": "abort", "foreach": "each", "for_each": "each",
	}
}

func (d *decoder) list(v reflect.Value, n *node, path string, r rules) {
	if n.kind != sequenceKind {
		d.add(n.at, path, `write a list: [a, b], or lines that begin with "- "`, "%s stands where a list is wanted", n.what())
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.into(out.Index(i), item, fmt.Sprintf("%s[%d]", path, i), rules{enum: r.enum})
	}
	v.Set(out)
	if len(n.items) < r.minItems {
		d.add(n.at, path, "add an item, or delete the key", "the list is empty")
	}
	if r.maxItems > 0 && len(n.items) > r.maxItems {
		d.add(n.at, path, fmt.Sprintf("stay within %d", r.maxItems), "the list has %d items", len(n.items))
	}
}

func (d *decoder) dict(v reflect.Value, n *node, path string, r rules) {
	if n.kind != mappingKind {
		d.add(n.at, path, "write a mapping of names to values", "%s stands where a mapping is wanted", n.what())
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.entries))
	for _, e := range n.entries {
		item := reflect.New(v.Type().Elem()).Elem()
		d.into(item, e.value, join(path, e.key), rules{})
		out.SetMapIndex(reflect.ValueOf(e.key), item)
	}
	v.Set(out)
	if len(n.entries) < r.minItems {
		d.add(n.at, path, fmt.Sprintf("name %d or more", r.minItems), "names %d, where at least %d are wanted", len(n.entries), r.minItems)
	}
}

// scalar returns the filled-in text of a scalar, whatever it is.
func (d *decoder) scalar(n *node, path, want string) (string, bool) {
	if n.kind != scalarKind {
		d.add(n.at, path, "write "+want, "%s stands where %s is wanted", n.what(), want)
		return "", false
	}
	return d.fill(n, path, false)
}

// typed returns the text of a scalar that is not a text: plain, or filled in
// from one variable, whose value is converted.
func (d *decoder) typed(n *node, path, want string) (string, bool) {
	s, ok := d.scalar(n, path, want)
	if ok && !n.plain && !d.whole(n) {
		fix := "write " + s + " without quotes"
		if strings.ContainsAny(s, " \t\n") {
			fix = "write " + want + ", without quotes"
		}
		d.add(n.at, path, fix, "%s is a text, where %s is wanted", quote(s), want)
		return "", false
	}
	return s, ok
}

// plainText returns a text without expressions. What YAML takes for a number or
// a truth value is not one.
func (d *decoder) plainText(n *node, path string) (string, bool) {
	if !d.isText(n, path) {
		return "", false
	}
	return d.fill(n, path, false)
}

func (d *decoder) isText(n *node, path string) bool {
	if n.kind != scalarKind {
		d.add(n.at, path, "write a text", "%s stands where a text is wanted", n.what())
		return false
	}
	if !n.plain || d.whole(n) {
		return true
	}
	switch resolve(n.text).(type) {
	case string:
		return true
	case bool:
		d.add(n.at, path, fmt.Sprintf("write %q, in quotes", n.text), "%s is a truth value, where a text is wanted", n.text)
	default:
		d.add(n.at, path, fmt.Sprintf("write %q, in quotes", n.text), "%s is a number, where a text is wanted", n.text)
	}
	return false
}

// among checks that a text is one of those allowed; with none, all are.
func (d *decoder) among(n *node, path, s string, allowed []string) bool {
	if len(allowed) == 0 || slices.Contains(allowed, s) {
		return true
	}
	fix := "write one of " + strings.Join(allowed, ", ")
	if near := payload.Nearest(s, allowed); near != "" {
		fix = "did you mean " + near + "?"
	}
	d.add(n.at, path, fix, "%s is not one of %s", quote(s), strings.Join(allowed, ", "))
	return false
}

func (d *decoder) integer(n *node, path string, r rules) (int64, bool) {
	s, ok := d.typed(n, path, "a whole number")
	if !ok {
		return 0, false
	}
	i, ok := whole(s)
	switch {
	case !ok:
		d.add(n.at, path, "write a whole number such as 100", "%s is not a whole number", quote(s))
		return 0, false
	case !d.inRange(n, path, float64(i), s, r):
		return 0, false
	case i == math.MaxInt64: // or more
		d.add(n.at, path, "write a smaller number", "%s is too large", quote(s))
		return 0, false
	}
	return i, true
}

func (d *decoder) number(n *node, path string, r rules) (float64, bool) {
	s, ok := d.typed(n, path, "a number")
	if !ok {
		return 0, false
	}
	var f float64
	switch x := resolve(s).(type) {
	case int64:
		f = float64(x)
	case uint64:
		f = float64(x)
	case float64:
		f = x
	default:
		d.add(n.at, path, "write a number such as 0.5", "%s is not a number", quote(s))
		return 0, false
	}
	if math.IsInf(f, 0) || math.IsNaN(f) {
		d.add(n.at, path, "write a number such as 0.5", "%s is not a finite number", quote(s))
		return 0, false
	}
	return f, d.inRange(n, path, f, s, r)
}

func (d *decoder) inRange(n *node, path string, f float64, s string, r rules) bool {
	switch {
	case r.min != nil && f < *r.min:
		d.add(n.at, path, fmt.Sprintf("write %v or more", *r.min), "%s is too small", quote(s))
	case r.above != nil && f <= *r.above:
		d.add(n.at, path, fmt.Sprintf("write a number above %v", *r.above), "%s is too small", quote(s))
	case r.max != nil && f > *r.max:
		d.add(n.at, path, fmt.Sprintf("write %.0f or less", *r.max), "%s is too large", quote(s))
	default:
		return true
	}
	return false
}

// A field is one key of a struct.
type field struct {
	name     string
	index    []int
	required bool
	rules    rules
}

// rules are the bounds that a field's jsonschema tag gives: the published
// schema and the loader read the same ones.
type rules struct {
	enum               []string
	min, above, max    *float64
	minItems, maxItems int
}

// fieldsOf lists the keys of a struct, those of structs inlined in it included.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		if options == "inline" {
			for _, sub := range fieldsOf(f.Type) {
				sub.index = append([]int{i}, sub.index...)
				out = append(out, sub)
			}
			continue
		}
		out = append(out, field{name: name, index: []int{i}, required: options != "omitempty", rules: rulesOf(f.Tag.Get("jsonschema"))})
	}
	return out
}

func rulesOf(tag string) rules {
	var r rules
	for part := range strings.SplitSeq(tag, ",") {
		key, value, _ := strings.Cut(part, "=")
		f, _ := strconv.ParseFloat(value, 64)
		switch key {
		case "enum":
			r.enum = append(r.enum, value)
		case "minimum":
			r.min = &f
		case "exclusiveMinimum":
			r.above = &f
		case "maximum":
			r.max = &f
		case "minItems", "minProperties":
			r.minItems = int(f)
		case "maxItems":
			r.maxItems = int(f)
		}
	}
	return r
}
