package scenarios

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"volley/engine/auth"
	"volley/engine/emulator"
)

var update = flag.Bool("update", false, "write golden files and schema.json anew")

const (
	variablePattern = `\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}`
	rateForm        = `[0-9]+(\.[0-9]+)?/[smh]`
	goDuration      = `([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)`
)

// or allows a form, or one variable in its place.
func or(form string) string { return "^(" + form + ")$|" + variablePattern }

func pattern(form, example string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: or(form), Examples: []any{example}}
}

// version allows each of some numbers, also as a text.
func version(numbers ...int) *jsonschema.Schema {
	var texts, all []any
	for _, n := range numbers {
		texts, all = append(texts, strconv.Itoa(n)), append(all, n)
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Enum: append(texts, all...)}, {Type: "string", Pattern: variablePattern}}}
}

// forms are the schemas of types that read themselves.
func forms(t reflect.Type) *jsonschema.Schema {
	text := &jsonschema.Schema{Type: "string"}
	switch t {
	case reflect.TypeFor[Duration]():
		return pattern(`0|(`+goDuration+`)+`, "1m30s")
	case reflect.TypeFor[Rate]():
		return pattern(rateForm, "200/s")
	case reflect.TypeFor[Level]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{pattern(rateForm, "200/s"), {Type: "integer", Minimum: "0", Maximum: json.Number(strconv.Itoa(MaxWorkers))}}}
	case reflect.TypeFor[Size]():
		return pattern(`[0-9]+(\.[0-9]+)?(B|KB|MB|GB|KiB|MiB|GiB)`, "6MiB")
	case reflect.TypeFor[Share]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{pattern(`0|[0-9]+(\.[0-9]*)?%`, "0.1%"), {Const: 0}}}
	case reflect.TypeFor[Span]():
		return pattern(`(0|(`+goDuration+`)+)( *- *(0|(`+goDuration+`)+))?`, "100ms-300ms")
	case reflect.TypeFor[AutoInt](), reflect.TypeFor[AdaptiveInt]():
		word := "auto"
		if t == reflect.TypeFor[AdaptiveInt]() {
			word = "adaptive"
		}
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "integer", Minimum: "1"}, {Type: "string", Pattern: or(word)}}}
	case reflect.TypeFor[WebSDKVersion]():
		return version(3, 2, 1)
	case reflect.TypeFor[NodeSDKVersion]():
		return version(3, 2)
	case reflect.TypeFor[Text]():
		return text
	case reflect.TypeFor[Expr]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string", MinLength: new(uint64(1))}, {Type: "boolean"}}}
	case reflect.TypeFor[Value]():
		return &jsonschema.Schema{}
	case reflect.TypeFor[Headers](), reflect.TypeFor[Query]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: text}
	case reflect.TypeFor[Saves]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: text,
			PropertyNames: &jsonschema.Schema{Pattern: `^[A-Za-z_][A-Za-z0-9_]*$`}}
	case reflect.TypeFor[Files]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{text, {Type: "array", Items: text, MinItems: new(uint64(1))}}}
	case reflect.TypeFor[auth.Secret]():
		return &jsonschema.Schema{Type: "string", Pattern: `^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`}
	}
	return nil
}

// generate makes the schema of the Go types.
func generate(t *testing.T) []byte {
	t.Helper()
	r := &jsonschema.Reflector{FieldNameTag: "yaml", Mapper: forms, ExpandedStruct: true, Anonymous: true, Namer: func(t reflect.Type) string {
		return strings.TrimSuffix(t.Name(), "Section")
	}}
	if err := r.AddGoComments("volley/scenarios", "./"); err != nil {
		t.Fatal(err)
	}
	// AddGoComments names this package after its folder: "./" is "volley/scenarios".
	for k, v := range r.CommentMap {
		r.CommentMap[k] = strings.Join(strings.Fields(v), " ")
	}
	s := r.Reflect(&Scenario{})
	s.Title = "Volley scenario"
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	defs := tree["$defs"].(map[string]any)
	orVariable(tree)
	step := defs["Step"].(map[string]any)
	step["oneOf"] = oneOf()
	choice := defs["Choice"].(map[string]any)
	choice["oneOf"] = oneOf()
	// A threshold may be a text, a latency a duration, and there may be no credentials.
	short(defs, "Threshold", map[string]any{"type": "string"})
	short(defs, "Auth", map[string]any{"const": "none"})
	short(defs, "Latency", map[string]any{"type": "string", "pattern": or(`0|(` + goDuration + `)+`)})
	errorsOf := defs["Function"].(map[string]any)["properties"].(map[string]any)["errors"].(map[string]any)
	errorsOf["properties"] = errorNames(errorsOf["additionalProperties"])
	errorsOf["additionalProperties"] = false
	signIn := defs["Emulator"].(map[string]any)["properties"].(map[string]any)["sign_in_error"].(map[string]any)
	signIn["anyOf"] = []any{map[string]any{"enum": signInErrors()}, map[string]any{"type": "string", "pattern": variablePattern}}
	delete(signIn, "type")
	defs["Retry"].(map[string]any)["properties"].(map[string]any)["on"].(map[string]any)["items"] = map[string]any{"enum": failures()}
	numbers(defs)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(tree); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func oneOf() []any {
	kinds, _, _ := kindsOfSteps()
	var list []any
	for _, k := range kinds {
		list = append(list, map[string]any{"required": []any{k}})
	}
	return list
}

func short(defs map[string]any, name string, form map[string]any) {
	full := defs[name].(map[string]any)
	description := full["description"]
	delete(full, "description")
	defs[name] = map[string]any{"anyOf": []any{form, full}, "description": description}
}

func errorNames(share any) map[string]any {
	out := map[string]any{}
	for _, k := range emulator.ErrorKinds() {
		one := map[string]any{"description": k.Meaning}
		maps.Copy(one, share.(map[string]any))
		out[k.Name] = one
	}
	return out
}

// orVariable lets a variable stand where a number, a truth value or a word of
// a list is wanted.
func orVariable(v any) {
	switch x := v.(type) {
	case map[string]any:
		for _, e := range x {
			orVariable(e)
		}
		_, listed := x["enum"]
		switch x["type"] {
		case "integer", "number", "boolean":
		case "string":
			if !listed {
				return
			}
		default:
			return
		}
		form := map[string]any{}
		for _, key := range []string{"type", "enum", "minimum", "maximum", "exclusiveMinimum"} {
			if value, ok := x[key]; ok {
				form[key] = value
				delete(x, key)
			}
		}
		x["anyOf"] = []any{form, map[string]any{"type": "string", "pattern": variablePattern}}
	case []any:
		for _, e := range x {
			orVariable(e)
		}
	}
}

// numbers makes numbers of defaults that the generator keeps as texts, as it
// does for types with a form of their own.
func numbers(defs map[string]any) {
	for _, d := range defs {
		properties, _ := d.(map[string]any)["properties"].(map[string]any)
		for _, p := range properties {
			property := p.(map[string]any)
			s, ok := property["default"].(string)
			if !ok {
				continue
			}
			forms, _ := json.Marshal(property["anyOf"])
			switch {
			case bytes.Contains(forms, []byte(`"boolean"`)):
				property["default"] = s == "true"
			case bytes.Contains(forms, []byte(`"integer"`)), bytes.Contains(forms, []byte(`"number"`)):
				if f, err := strconv.ParseFloat(s, 64); err == nil {
					property["default"] = f
				}
			}
		}
	}
}

func TestSchema(t *testing.T) {
	got := generate(t)
	if *update {
		if err := os.WriteFile("schema.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(got, Schema()) {
		t.Error("schema.json is stale: go generate ./scenarios")
	}
}

// compiledSchema is the published schema, compiled by a validator that has
// nothing to do with what generated it.
func compiledSchema(t *testing.T) *validator.Schema {
	t.Helper()
	doc, err := validator.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON reads YAML as an editor's schema checker does.
func asJSON(t *testing.T, src []byte) any {
	t.Helper()
	b, err := yaml.YAMLToJSON(src)
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAllowsExamples(t *testing.T) {
	s := compiledSchema(t)
	files, _ := filepath.Glob("../examples/*.yaml")
	whole, _ := filepath.Glob("testdata/*.yaml")
	files = append(files, whole...)
	if len(files) == 0 {
		t.Fatal("no examples")
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(asJSON(t, src)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	for _, name := range []string{"", "checkout"} {
		if err := s.Validate(asJSON(t, Starter(name))); err != nil {
			t.Errorf("starter: %v", err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := compiledSchema(t)
	for _, tt := range []struct{ name, src string }{
		{"an unknown key", "stepz: []\nsteps: [{invoke: ab}]"},
		{"an unknown key further down", "target: {timeot: 3s}\nsteps: [{invoke: ab}]"},
		{"a bare number for a duration", "target: {timeout: 3}\nsteps: [{invoke: ab}]"},
		{"a rate without a unit", "load: {rate: 3}\nsteps: [{invoke: ab}]"},
		{"a wrong unit of a rate", "load: {rate: 3/sec}\nsteps: [{invoke: ab}]"},
		{"a number for a qualifier", "target: {qualifier: 3}\nsteps: [{invoke: ab}]"},
		{"a literal secret", "target: {auth: {api_key: abc}}\nsteps: [{invoke: ab}]"},
		{"a literal secret among others", "target: {auth: {secret_id: \"${A}\", secret_key: abc}}\nsteps: [{invoke: ab}]"},
		{"a word for credentials", "target: {auth: anybody}\nsteps: [{invoke: ab}]"},
		{"a version of a library that is none", "target: {method: web-sdk, web_sdk: {version: 4}}\nsteps: [{invoke: ab}]"},
		{"a version that the other library has", "target: {method: node-sdk, node_sdk: {version: 1}}\nsteps: [{invoke: ab}]"},
		{"an error of signing in that is none", "target: {emulator: {sign_in_error: captcha}}\nsteps: [{invoke: ab}]"},
		{"a form that is none", "target: {mini_program: {form: header}}\nsteps: [{invoke: ab}]"},
		{"an option of another method", "target: {node_sdk: {form: query}}\nsteps: [{invoke: ab}]"},
		{"a price below nothing", "cost: {price_gb_s: -1}\nsteps: [{invoke: ab}]"},
		{"a budget of nothing", "cost: {price_gb_s: 1, budget: 0}\nsteps: [{invoke: ab}]"},
		{"an unknown method", "target: {method: htp}\nsteps: [{invoke: ab}]"},
		{"two kinds of step in one", "steps: [{invoke: ab, pause: 1s}]"},
		{"a step that does nothing", "steps: [{name: ab}]"},
		{"no steps", "name: x"},
		{"an outcome that is none", "steps: [{invoke: ab, retry: {on: [trottled]}}]"},
		{"a stage of a part of a worker", "load: {stages: [{to: 2.5, for: 1s}]}\nsteps: [{invoke: ab}]"},
		{"a stage of fewer workers than none", "load: {stages: [{to: -1, for: 1s}]}\nsteps: [{invoke: ab}]"},
		{"a stage of too many workers", "load: {stages: [{at: 100001, for: 1s}]}\nsteps: [{invoke: ab}]"},
		{"too few workers", "load: {workers: 0}\nsteps: [{invoke: ab}]"},
	} {
		if s.Validate(asJSON(t, []byte(tt.src))) == nil {
			t.Errorf("%s: the schema allows %s", tt.name, fmt.Sprintf("%q", tt.src))
		}
		if _, err := Load("x.yaml", []byte(tt.src), Options{NoLoad: true}); err == nil {
			t.Errorf("%s: the loader allows %q", tt.name, tt.src)
		}
	}
}
