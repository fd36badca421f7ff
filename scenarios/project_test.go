package scenarios

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"volley/engine"
)

// folder makes a folder of files, given as name and content.
func folder(files ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return fsys
}

func variablesOf(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func TestProjectIsTheFirstThatTheCLIFinds(t *testing.T) {
	const (
		rc   = `{"envId": "json"}`
		yaml = "envId: yaml\n"
	)
	for name, c := range map[string]struct {
		files     []string
		file, env string
	}{
		"nothing there":                  {},
		"json":                           {[]string{"cloudbaserc.json", rc}, "cloudbaserc.json", "json"},
		"yaml":                           {[]string{"cloudbaserc.yaml", yaml}, "cloudbaserc.yaml", "yaml"},
		"yml":                            {[]string{"cloudbaserc.yml", yaml}, "cloudbaserc.yml", "yaml"},
		"no ending is yaml":              {[]string{"cloudbaserc", yaml}, "cloudbaserc", "yaml"},
		"no ending comes before json":    {[]string{"cloudbaserc.json", rc, "cloudbaserc", yaml}, "cloudbaserc", "yaml"},
		"json comes before yaml":         {[]string{"cloudbaserc.yaml", yaml, "cloudbaserc.json", rc}, "cloudbaserc.json", "json"},
		"package.json comes first":       {[]string{"cloudbaserc", yaml, "package.json", `{"cloudbase": {"envId": "package"}}`}, "package.json", "package"},
		"package.json without the key":   {[]string{"cloudbaserc.json", rc, "package.json", `{"name": "app", "cloudbaserc": {"envId": "no"}}`}, "cloudbaserc.json", "json"},
		"an empty file is passed over":   {[]string{"cloudbaserc", " \n", "cloudbaserc.json", rc}, "cloudbaserc.json", "json"},
		"null is passed over":            {[]string{"cloudbaserc", "null", "cloudbaserc.json", rc}, "cloudbaserc.json", "json"},
		"a folder is passed over":        {[]string{"cloudbaserc/index.js", "1", "cloudbaserc.json", rc}, "cloudbaserc.json", "json"},
		"json comes before a program":    {[]string{"cloudbaserc.js", "module.exports = {}", "cloudbaserc.json", rc}, "cloudbaserc.json", "json"},
		"a program is named":             {[]string{"cloudbaserc.js", "module.exports = {}"}, "cloudbaserc.js", ""},
		"the other program is named":     {[]string{"cloudbase.config.js", "module.exports = {}"}, "cloudbase.config.js", ""},
		"a byte order mark is no matter": {[]string{"cloudbaserc.json", "\xef\xbb\xbf" + rc}, "cloudbaserc.json", "json"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ReadProject(folder(c.files...), nil)
			if err != nil {
				t.Fatal(err)
			}
			if p == nil {
				p = &Project{}
			}
			if p.File != c.file || p.Env != c.env {
				t.Errorf("got %q of %q, want %q of %q", p.Env, p.File, c.env, c.file)
			}
			if program := strings.HasSuffix(c.file, ".js"); program != (len(p.Notes) == 1 && strings.Contains(p.Notes[0], "cloudbaserc.json")) {
				t.Errorf("notes of %s: %q", p.File, p.Notes)
			}
		})
	}
}

func TestProjectFunctions(t *testing.T) {
	type function struct {
		Name, Params, Runtime string
		HTTP, WebSocket       bool
		Timeout               time.Duration
		Memory                int64
	}
	for name, c := range map[string]struct {
		project string
		want    []function
	}{
		"params are an object by default": {`{"envId":"e","functions":[{"name":"a"}]}`, []function{{Name: "a", Params: `{}`}}},
		"what is said of a function": {`{"envId":"e","functions":[{"name":"a","timeout":60,"memorySize":256,"runtime":"Nodejs18.15","params":{"b":[1,"x",null,true],"a":1.50}}]}`,
			[]function{{Name: "a", Params: `{"b":[1,"x",null,true],"a":1.5}`, Runtime: "Nodejs18.15", Timeout: time.Minute, Memory: 256 << 20}}},
		"type HTTP":     {`{"envId":"e","functions":[{"name":"a","type":"HTTP"},{"name":"b","type":"Event"}]}`, []function{{Name: "a", Params: "{}", HTTP: true}, {Name: "b", Params: "{}"}}},
		"isHTTP":        {`{"envId":"e","functions":[{"name":"a","isHTTP":true},{"name":"b","isHTTP":false}]}`, []function{{Name: "a", Params: "{}", HTTP: true}, {Name: "b", Params: "{}"}}},
		"WebSocket":     {`{"envId":"e","functions":[{"name":"a","type":"HTTP","protocolType":"WS"}]}`, []function{{Name: "a", Params: "{}", HTTP: true, WebSocket: true}}},
		"no name":       {`{"envId":"e","functions":[{"timeout":5},{"name":"b"}]}`, []function{{Name: "b", Params: "{}"}}},
		"null params":   {`{"envId":"e","functions":[{"name":"b","params":null}]}`, []function{{Name: "b", Params: "{}"}}},
		"big integers":  {`{"envId":"e","functions":[{"name":"b","params":{"id":12345678901234567890}}]}`, []function{{Name: "b", Params: `{"id":12345678901234567890}`}}},
		"JSON in text":  {`{"envId":"e","functions":[{"name":"b","params":"{\"a\":{\"b\":1}}"}]}`, []function{{Name: "b", Params: `{"a":{"b":1}}`}}},
		"text stays":    {`{"envId":"e","functions":[{"name":"b","params":{"a":"12","b":"true","c":"{no"}}]}`, []function{{Name: "b", Params: `{"a":"12","b":"true","c":"{no"}`}}},
		"last of twice": {`{"envId":"e","functions":[{"name":"b","name":"c"}]}`, []function{{Name: "c", Params: `{}`}}},
		"config, the older form, wins": {`{"envId":"e","functions":[{"name":"b","timeout":5,"config":{"timeout":7},"params":{"a":1}}]}`,
			[]function{{Name: "b", Params: `{"a":1}`, Timeout: 7 * time.Second}}},
		"defaults are merged deeply": {`{"envId":"e","functionDefaultConfig":{"timeout":5,"memorySize":128,"params":{"deep":{"a":1,"b":2},"list":[1,2,3],"gone":1}},
			"functions":[{"name":"b","timeout":7,"params":{"deep":{"b":3},"list":[9],"gone":null}},{"name":"c"}]}`, []function{
			{Name: "b", Params: `{"deep":{"a":1,"b":3},"list":[9,2,3],"gone":null}`, Timeout: 7 * time.Second, Memory: 128 << 20},
			{Name: "c", Params: `{"deep":{"a":1,"b":2},"list":[1,2,3],"gone":1}`, Timeout: 5 * time.Second, Memory: 128 << 20}}},
		"what is not known is not looked at": {`{"envId":"e","functions":[{"name":"b","triggers":{"x":"{{"},"vpc":[1]}],"hosting":"{{#x}}"}`, []function{{Name: "b", Params: `{}`}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ReadProject(folder("cloudbaserc.json", c.project), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []function
			for _, f := range p.Functions {
				got = append(got, function{f.Name, string(f.Params()), f.Runtime, f.HTTP, f.WebSocket, f.Timeout, f.MemoryBytes})
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestProjectReadsYAML(t *testing.T) {
	p, err := ReadProject(folder("cloudbaserc.yaml", `
envId: 'my-env'
region: ap-guangzhou
functions:
  - {name: hello, timeout: 20, params: {id: 7, text: yes, when: ~, list: [1.5, "2"]}}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Functions) != 1 || p.Env != "my-env" || p.Region != "ap-guangzhou" {
		t.Fatalf("got %+v", p)
	}
	if got, want := string(p.Functions[0].Params()), `{"id":7,"text":"yes","when":null,"list":[1.5,"2"]}`; got != want {
		t.Errorf("params are %s, want %s", got, want)
	}
}

func TestProjectTemplates(t *testing.T) {
	files := []string{".env", "A=one\nB='two'\nC=\"three\\nlines\"\n# D=no\n E = spaced \nF=a#b\nDOT.TED=yes\r\nEMPTY=", ".env.local", "B=local\nA_B=under"}
	for name, c := range map[string]struct {
		text, want string
		note       string // a part of it
	}{
		"from .env":                        {"{{env.A}}", "one", ""},
		".env.local wins over .env":        {"{{env.B}}", "local", ""},
		"the environment wins over files":  {"{{env.F}}", "process", ""},
		"spaces in a template":             {"x-{{ env.A }}-{{{env.A}}}-{{& env.A}}", "x-one-one-one", ""},
		"spaces around a value":            {"{{env.E}}", "spaced", ""},
		"a name with a dot":                {"{{env.DOT.TED}}", "yes", ""},
		"not set is nothing":               {"a{{env.NOT}}b", "ab", "{{env.NOT}}"},
		"empty is nothing, without a word": {"a{{env.EMPTY}}b", "ab", ""},
		"a comment in a line is not set":   {"a{{env.D}}b", "ab", "{{env.D}}"},
		"the environment's own id":         {"{{env.ENV_ID}}/{{tcb.envId}}", "e-1/e-1", ""},
		"another name is nothing":          {"a{{envId}}b", "ab", "{{envId}}"},
		"a comment of mustache":            {"a{{! b }}c", "ac", ""},
		"one brace is text":                {"{env.A}", "{env.A}", ""},
		"escapes in a value are read":      {"{{env.ESCAPE}}", "tab\there", ""},
	} {
		t.Run(name, func(t *testing.T) {
			project, _ := json.Marshal(map[string]any{"envId": "e-1", "functions": []any{map[string]any{"name": "f", "params": map[string]any{"x": c.text}}}})
			p, err := ReadProject(folder(append(files, "cloudbaserc.json", string(project))...), variablesOf("F", "process", "ESCAPE", `tab\there`))
			if err != nil {
				t.Fatal(err)
			}
			want, _ := json.Marshal(map[string]any{"x": c.want})
			if got := string(p.Functions[0].Params()); got != string(want) {
				t.Errorf("got %s, want %s", got, want)
			}
			if len(p.Notes) != min(1, len(c.note)) || c.note != "" && !strings.Contains(p.Notes[0], c.note) {
				t.Errorf("notes are %q, want one with %q", p.Notes, c.note)
			}
		})
	}
	t.Run("numbers and objects may be filled in", func(t *testing.T) {
		p, err := ReadProject(folder("cloudbaserc.json", `{"envId":"{{env.E}}","functions":[{"name":"{{env.E}}-f","timeout":"{{env.T}}","params":"{{env.P}}"}]}`),
			variablesOf("E", "prod", "T", "30", "P", `{\"a\": [1]}`))
		if err != nil {
			t.Fatal(err)
		}
		f := p.Functions[0]
		if p.Env != "prod" || f.Name != "prod-f" || f.Timeout != 30*time.Second || string(f.Params()) != `{"a":[1]}` {
			t.Errorf("got %+v, params %s", p, f.Params())
		}
	})
}

func TestProjectMistakesHaveTheirPlace(t *testing.T) {
	const file = "cloudbaserc.json"
	deep := strings.Repeat(`{"a":`, 90) + "1" + strings.Repeat("}", 90)
	for name, c := range map[string]struct {
		name, src, where, what string
	}{
		"a comment":             {file, "{\n  // none\n}", file + ":2:3", "not JSON"},
		"a trailing comma":      {file, "{\n  \"envId\": \"e\",\n}", file + ":3:1", "not JSON"},
		"cut off":               {file, `{"envId"`, file + ":1:8", "not JSON"},
		"a list":                {file, `[]`, file + ":1:1", "a list stands where a project is wanted"},
		"functions is a text":   {file, "{\"envId\": \"e\",\n \"functions\": \"x\"}", file + ":2:15: functions", `"x" stands where a list of functions`},
		"a function is a text":  {file, "{\"envId\": \"é\", \"functions\": [ \"x\"]}", file + ":1:31: functions[0]", "a function is wanted"},
		"a timeout is a word":   {file, "{\"envId\": \"e\", \"functions\":\n[{\"name\": \"a\", \"timeout\":  \"long\"}]}", file + ":2:28: functions[0].timeout", `"long" is not a number of seconds`},
		"a timeout below 0":     {file, `{"envId":"e","functions":[{"name":"a","timeout":-1}]}`, file + ":1:49: functions[0].timeout", "-1"},
		"memory beyond reason":  {file, `{"envId":"e","functions":[{"name":"a","memorySize":1e300}]}`, file + ":1:52: functions[0].memorySize", "MB"},
		"a name is a list":      {file, `{"envId":"e","functions":[{"name":["a"]}]}`, file + ":1:35: functions[0].name", "a list stands where a text"},
		"envId is a mapping":    {file, `{"envId":{}}`, file + ":1:10: envId", "a mapping stands where a text"},
		"a section of mustache": {file, `{"envId":"{{#env}}x{{/env}}"}`, file + ":1:10: envId", "mustache"},
		"a template not closed": {file, `{"envId":"{{env.A"}`, file + ":1:10: envId", "never closed"},
		"too deep":              {file, `{"envId":"e","functions":[{"name":"a","params":` + deep + `}]}`, file + ":1:", "levels of nesting"},
		"a value with quotes":   {file, `{"envId":"{{env.QUOTED}}"}`, file + ":1:10: envId", "breaks the file"},
		"yaml":                  {"cloudbaserc.yaml", "envId: e\nfunctions:\n  - name: a\n    timeout: soon\n", "cloudbaserc.yaml:4:14: functions[0].timeout", "soon"},
		"broken yaml":           {"cloudbaserc.yml", "envId: [e\n", "cloudbaserc.yml:1", ""},
		"package.json":          {"package.json", "{\"cloudbase\":\n {\"functions\": 1}}", "package.json:2:16: cloudbase.functions", "list of functions"},
		"too large":             {file, strings.Repeat(" ", MaxFile) + "{}", file + ": ", "1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ReadProject(folder(c.name, c.src), variablesOf("QUOTED", `top"secret`))
			var all Errors
			if !errors.As(err, &all) {
				t.Fatalf("got %+v, error %v, want Errors", p, err)
			}
			if !strings.HasPrefix(err.Error(), c.where) || !strings.Contains(err.Error(), c.what) || all[0].Fix == "" {
				t.Errorf("got %q (%s)\nwant %s … %s", err, all[0].Fix, c.where, c.what)
			}
			if strings.Contains(err.Error()+all[0].Fix, "top") {
				t.Errorf("the value is shown: %v", err)
			}
		})
	}
}

// loaded loads the scenario of a project, and returns it.
func loaded(t *testing.T, p *Project, name string) (*Compiled, []string) {
	t.Helper()
	src, notes, err := p.Scenario(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(name+".yaml", src, Options{
		Env: variablesOf("TCB_ENV_ID", "e-from-outside"),
		Ambient: func(string) (Auth, string, error) {
			return Auth{APIKey: newSecret("k-e-y")}, "a test", nil
		},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return c, notes
}

func TestProjectScenario(t *testing.T) {
	p, err := ReadProject(folder("cloudbaserc.json", `{"envId":"my-env-1","region":"ap-guangzhou","functions":[
		{"name":"hello","timeout":60,"memorySize":256,"runtime":"Nodejs18.15","params":{"who":"${NAME}","e":"$${","token":"{{env.TOKEN}}"}},
		{"name":"site","type":"HTTP","memorySize":256},{"name":"x"},{"name":"socket","type":"HTTP","protocolType":"WS"},{"name":"listed","params":[1]},{"name":"keyed","params":{"x":[{"${X}":1}]}},{"name":"long-keyed","params":{"`+strings.Repeat("long", 300)+`":1}},
		{"name":"count","memorySize":256,"timeout":3}]}`, ".env", "TOKEN=t-1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, notes := loaded(t, p, "shop")
	if len(notes) != 5 {
		t.Errorf("notes are %q, want those of x, socket, listed, keyed and long-keyed", notes)
	}
	if c.Plan.Name != "shop" || len(c.Plan.Steps) != 1 || c.Plan.Steps[0].Group == nil || c.Plan.Steps[0].Group.Kind.String() != "all_settled" {
		t.Fatalf("the plan is %+v", c.Plan)
	}
	var got []string
	for _, m := range c.Plan.Steps[0].Group.Members {
		in := m.Invoke
		body := "-"
		if in.Data != nil {
			b, err := in.Data(&engine.Scope{})
			if err != nil {
				t.Fatal(err)
			}
			body = string(b)
		}
		got = append(got, fmt.Sprint(in.Name, " ", in.Function, " ", in.Target.Env, " ", in.Target.Region, " ", in.Target.Method.Name(), " ", in.Target.Timeout, " ", body))
	}
	want := []string{
		`hello hello my-env-1 ap-guangzhou http-api 1m5s {"who":"${NAME}","e":"$${","token":"t-1"}`,
		`site site my-env-1 ap-guangzhou http-function 10s -`,
		`count-step count my-env-1 ap-guangzhou http-api 10s -`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	src, _, _ := p.Scenario("shop")
	for _, part := range []string{"# The functions of cloudbaserc.json", "volley run FILE", "# left out: \"x\"", "filled in from TOKEN", "# auth: {api_key: \"${CLOUDBASE_APIKEY}\"}", "# Nodejs18.15, 256MiB"} {
		if !strings.Contains(string(src), part) {
			t.Errorf("%q is not in\n%s", part, src)
		}
	}
}

func TestProjectWithNothingToInvoke(t *testing.T) {
	for name, c := range map[string]struct{ file, src, what string }{
		"no functions":       {"cloudbaserc.json", `{"envId":"e"}`, "no functions"},
		"none of them fits":  {"cloudbaserc.json", `{"envId":"e","functions":[{"name":"x"}]}`, "not a name"},
		"it is a program":    {"cloudbaserc.js", `module.exports = {}`, "is a program"},
		"too much of params": {"cloudbaserc.json", `{"envId":"e","functions":[{"name":"aa","params":{"x":[` + strings.Repeat("1,", MaxFile/4) + `1]}}]}`, "would have"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ReadProject(folder(c.file, c.src), nil)
			if err != nil {
				t.Fatal(err)
			}
			src, _, err := p.Scenario("s")
			var all Errors
			if !errors.As(err, &all) || !strings.Contains(err.Error(), c.what) || all[0].Fix == "" || src != nil {
				t.Errorf("got %v, want one with %q", err, c.what)
			}
		})
	}
}

// Whatever a project says, its scenario loads, and each function gets exactly
// its params.
func TestProjectScenarioIsExact(t *testing.T) {
	valid := regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,58}[a-zA-Z0-9]$`)
	for seed := range uint64(100) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		type function struct {
			Name   string         `json:"name"`
			Type   string         `json:"type,omitempty"`
			Time   int            `json:"timeout,omitempty"`
			Memory int            `json:"memorySize,omitempty"`
			Params map[string]any `json:"params,omitempty"`
		}
		project := struct {
			EnvID     string     `json:"envId"`
			Region    string     `json:"region,omitempty"`
			Functions []function `json:"functions"`
		}{EnvID: g.pick("my-env-1a2b3c", "123", "null", "e_1", "true", "${HOME}", "a b", "-x"), Region: g.pick("", "ap-shanghai", "no such", "0-1")}
		project.Functions = append(project.Functions, function{Name: "always"})
		for range g.IntN(5) {
			project.Functions = append(project.Functions, function{
				Name: g.pick("hello", "Null", "true", "yes", "count", "count-step", "failed", "p99", "No", "e1", "a b", "a", "ünicode", "with\"quote", "${X}", "# x", "ok", "sequence\n"),
				Type: g.pick("", "", "HTTP", "Event"), Time: g.IntN(100), Memory: g.IntN(3) * 128, Params: g.object(3),
			})
		}
		src, err := json.Marshal(project)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ReadProject(folder("cloudbaserc.json", string(src)), nil)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, src)
		}
		c, _ := loaded(t, p, g.pick("shop", "null", "0", "a/b", ""))
		members := c.Plan.Steps[0].Group.Members
		for _, f := range project.Functions {
			if !valid.MatchString(f.Name) {
				continue
			}
			if len(members) == 0 || members[0].Invoke.Function != f.Name {
				t.Fatalf("seed %d: %q is not where it should be in\n%s", seed, f.Name, src)
			}
			in := members[0].Invoke
			members = members[1:]
			if http := f.Type == "HTTP"; http != (in.Target.Method.Name() == "http-function") {
				t.Errorf("seed %d: %s by %s", seed, f.Name, in.Target.Method.Name())
			} else if http || len(f.Params) == 0 {
				continue
			}
			b, err := in.Data(&engine.Scope{})
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			wanted, _ := json.Marshal(f.Params)
			if err := errors.Join(json.Unmarshal(b, &got), json.Unmarshal(wanted, &want)); err != nil || !reflect.DeepEqual(got, asCLI(want)) {
				scenario, _, _ := p.Scenario("s")
				t.Fatalf("seed %d: %s gets\n%s\nwant\n%s\n%v\n%s", seed, f.Name, b, wanted, err, scenario)
			}
		}
		if len(members) > 0 {
			t.Errorf("seed %d: %d functions too many", seed, len(members))
		}
	}
}

// asCLI does what the vendor's CLI does to each text: that of an object, a list
// or null becomes it.
func asCLI(v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = asCLI(x[k])
		}
	case []any:
		for i := range x {
			x[i] = asCLI(x[i])
		}
	case string:
		var inner any
		if json.Unmarshal([]byte(x), &inner) == nil {
			switch inner.(type) {
			case nil, map[string]any, []any:
				return inner
			}
		}
	}
	return v
}

// A generator makes odd values.
type generator struct{ *rand.Rand }

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g generator) object(depth int) map[string]any {
	m := map[string]any{}
	for range g.IntN(4) {
		if key := strings.ReplaceAll(g.text(), "${", "$"); len(key) < 900 {
			m[key] = g.value(depth - 1)
		}
	}
	return m
}

func (g generator) value(depth int) any {
	switch n := g.IntN(9); {
	case n == 0:
		return nil
	case n == 1:
		return g.IntN(2) == 0
	case n == 2:
		return g.Int64() - g.Int64()
	case n == 3:
		return []any{g.NormFloat64() * 1e30, 1e-7, 0.1, -0.5, 1e21, 1.0}[g.IntN(6)]
	case n == 4 && depth > 0:
		return g.object(depth)
	case n == 5 && depth > 0:
		list := []any{}
		for range g.IntN(4) {
			list = append(list, g.value(depth-1))
		}
		return list
	}
	return g.text()
}

// text puts together what is odd in YAML or in templates. {{ is not among it,
// as the project's own templates are.
func (g generator) text() string {
	parts := []string{"a", "1", " ", "\n", "\t", "\r", "${", "$", "{", "}", "}}", "${NAME}", "${NAME:-x}", "$${", "\"", "'", "\\", "#", ": ", "- ", "&a", "*a", "<<", "~", "null",
		"true", "yes", "0x1f", "1e3", ".inf", "é", "漢字", "😀", "\u2028", "\ufeff", "\x01", "\x7f", "\u0085", "\x00", "!!str", "%", "@", "`", "|", ">", "[", ",", "?", "---", "...", "=", "/", "row", strings.Repeat("long ", 300)}
	var b strings.Builder
	for range g.IntN(5) {
		part := parts[g.IntN(len(parts))]
		if strings.HasSuffix(b.String(), "{") && strings.HasPrefix(part, "{") {
			part = "-"
		}
		b.WriteString(part)
	}
	return b.String()
}

func TestProjectScenarioKeepsExpressionsAsText(t *testing.T) {
	for _, text := range []string{"${{ uuid() }}", "$${{ x }}", "$$${{", "${{", "${{ '}}' }}${A}", "a${{b}}c${D}e$${F}"} {
		p := &Project{File: "cloudbaserc.json", Env: "e-1", Functions: []ProjectFunction{{Name: "hello", params: &node{kind: mappingKind, entries: []entry{{key: text, value: &node{text: text}}}}}}}
		c, _ := loaded(t, p, "s")
		b, err := c.Plan.Steps[0].Group.Members[0].Invoke.Data(&engine.Scope{})
		if err != nil {
			t.Fatal(err)
		}
		if want := string(p.Functions[0].Params()); string(b) != want {
			t.Errorf("the payload is %s, want %s", b, want)
		}
	}
}

// Whatever stands in a project file: it is read or refused with words, and what
// is read has a scenario that loads, or a reason why it has none.
func FuzzProject(f *testing.F) {
	for _, s := range []string{`{"envId":"e","functions":[{"name":"aa","params":{"a":"{{env.A}}"}}]}`, `{"functions":[{"config":{"name":"b"}}]}`, "envId: e\nfunctions: [{name: aa, params: {<<: {a: 1}}}]", `{{`, "[", `{"envId":"{{{env.A}}}"}`} {
		f.Add(s, "A=1", false)
		f.Add(s, `A="`, true)
	}
	f.Fuzz(func(t *testing.T, src, env string, yaml bool) {
		name := "cloudbaserc.json"
		if yaml {
			name = "cloudbaserc.yaml"
		}
		p, err := ReadProject(folder(name, src, ".env", env), nil)
		if err != nil {
			if err.Error() == "" {
				t.Error("refused without a word")
			}
			return
		}
		if p == nil {
			return
		}
		for _, fn := range p.Functions {
			if !json.Valid(fn.Params()) {
				t.Errorf("params of %q are %s", fn.Name, fn.Params())
			}
		}
		if _, _, err := p.Scenario("s"); err == nil {
			loaded(t, p, "s")
		}
	})
}
