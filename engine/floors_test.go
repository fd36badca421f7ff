package engine_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// module is the path that the module's own imports start with.
const module = "volley"

// floors gives every package of the module its floor, by folder. A package
// imports lower floors only; packages of one floor do not know each other.
// Folders that do not exist yet stand here already.
func floors() map[string]int {
	return map[string]int{
		".": 7,

		// programs that measure volley from outside, and import none of it
		"examples/peers":        7,
		"examples/peers/truthd": 7,

		"scenarios/runner": 6,

		"scenarios":         5,
		"report":            5,
		"report/live":       5,
		"report/prometheus": 5,
		"report/otlp":       5,

		"engine/batch":    4,
		"engine/capacity": 4,
		"engine/cluster":  4,
		"report/compare":  4,

		"engine/check": 3,

		"engine/invoke":   2,
		"engine/cloud":    2,
		"engine/record":   2,
		"engine/emulator": 2,

		"engine": 1,

		"engine/pace":       0,
		"engine/group":      0,
		"engine/auth":       0,
		"engine/self":       0,
		"scenarios/dataset": 0,
		"scenarios/payload": 0,
		"report/stats":      0,
	}
}

// homes gives every foreign package the folders that may import it, so that
// replacing one is a change in one place. A key covers the packages below it.
func homes() map[string][]string {
	return map[string][]string{
		"github.com/alecthomas/kong":              {"."},
		"github.com/vbauerster/mpb/v8":            {"report/live"},
		"github.com/HdrHistogram/hdrhistogram-go": {"engine/record"},
		"github.com/goccy/go-yaml":                {"scenarios"},
		"github.com/invopop/jsonschema":           {"scenarios"},
		"github.com/expr-lang/expr":               {"scenarios/payload"},
		"github.com/klauspost/compress":           {"scenarios/dataset", "engine/batch", "engine/record"},
		"github.com/nats-io/nats.go":              {"engine/cluster"},
		"github.com/prometheus/client_golang":     {"report/prometheus"},
		"go.opentelemetry.io/otel":                {"report/otlp"},
		"golang.org/x/time/rate":                  {"engine/invoke", "engine/emulator"},
		"golang.org/x/net/http2/hpack":            {"engine/invoke"},
		"golang.org/x/term":                       {".", "report/live"},
		"golang.org/x/sys/unix":                   {"engine/pace", "engine/self", "engine/emulator"},
	}
}

// loud lists what nothing under engine may touch, by import path. An empty
// list of names means the whole package.
func loud() map[string][]string {
	return map[string][]string{
		// log.New stays: a server of net/http logs on its own unless it is given a logger that discards.
		"log": {
			"Print", "Printf", "Println", "Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln",
			"Default", "Output", "SetOutput", "SetFlags", "SetPrefix", "Writer",
		},
		"log/slog": nil,
		"os/exec":  nil,
		"flag":     nil,
		"fmt":      {"Print", "Printf", "Println"},
		"os": {
			"Exit", "Stdin", "Stdout", "Stderr", "Args",
			"Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv", "Clearenv",
			"UserHomeDir", "UserConfigDir", "UserCacheDir",
		},
		"syscall":               {"Exit", "Getenv", "Environ", "Setenv", "Unsetenv", "Clearenv"},
		"golang.org/x/sys/unix": {"Exit", "Getenv", "Environ", "Setenv", "Unsetenv", "Clearenv"},
		// These take a proxy from the environment, and are shared by the whole process.
		"net/http": {
			"ProxyFromEnvironment", "DefaultTransport", "DefaultClient", "DefaultServeMux",
			"Get", "Head", "Post", "PostForm", "Handle", "HandleFunc",
		},
	}
}

// A source is one Go file that is not a test.
type source struct {
	path string // slash-separated, from the module's root
	file *ast.File
}

func (s source) folder() string { return path.Dir(s.path) }

// A program is every source of the module.
type program struct {
	fset    *token.FileSet
	sources []source
}

// TestFloors holds the rules that keep the tree of packages what it is.
func TestFloors(t *testing.T) {
	p := load(t, os.DirFS(".."))
	if !slices.ContainsFunc(p.sources, func(s source) bool { return strings.HasPrefix(s.path, "engine/") }) {
		t.Fatal("found no source under engine/: the walk looks in the wrong place")
	}
	for _, v := range p.violations() {
		t.Error(v)
	}
}

// load parses the sources of the module at root. It takes every file,
// whatever its build constraints, so that the answer is the same everywhere.
func load(t *testing.T, root fs.FS) program {
	t.Helper()
	p := program{fset: token.NewFileSet()}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && foreign(root, name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(p.fset, filepath.FromSlash(name), text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p.sources = append(p.sources, source{name, f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// foreign reports whether a folder is none of the module: the go command keeps
// out of it, or npm filled it.
func foreign(root fs.FS, name string) bool {
	base := path.Base(name)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" {
		return true
	}
	_, err := fs.Stat(root, path.Join(name, "go.mod"))
	return err == nil
}

// violations returns one line for each place where a rule is broken: where,
// what, why the rule stands, and what to do.
func (p program) violations() []string {
	var all []string
	for _, s := range p.sources {
		all = append(all, p.badImports(s)...)
		all = append(all, p.inits(s)...)
		if s.folder() == "engine" || strings.HasPrefix(s.path, "engine/") {
			all = append(all, p.noise(s)...)
		}
	}
	all = append(all, p.homeless()...)
	return append(all, p.undocumented()...)
}

// homeless reports packages that have no floor.
func (p program) homeless() []string {
	var all []string
	for _, folder := range p.folders() {
		if _, ok := floors()[folder]; !ok {
			all = append(all, fmt.Sprintf("%s: this package has no floor; "+
				"without one nothing stops it from importing upward: "+
				"add it to floors in engine/floors_test.go, and to the tree in the documentation", folder))
		}
	}
	return all
}

// badImports holds the order of the floors and the homes of foreign packages.
func (p program) badImports(s source) []string {
	var all []string
	for _, spec := range s.file.Imports {
		name := importPath(spec)
		var problem string
		switch {
		case name == "C":
			problem = "volley is one static binary, built without cgo: find a way in Go"
		case name == module || strings.HasPrefix(name, module+"/"):
			problem = upward(s.folder(), path.Clean("./"+strings.TrimPrefix(strings.TrimPrefix(name, module), "/")))
		case strings.Contains(strings.Split(name, "/")[0], "."):
			problem = abroad(s.folder(), name)
		}
		if problem != "" {
			all = append(all, fmt.Sprintf("%s: imports %q: %s", p.fset.Position(spec.Pos()), name, problem))
		}
	}
	return all
}

// upward says what is wrong with a package that imports another of the
// module, or nothing. A package without a floor is homeless' to report.
func upward(from, to string) string {
	ours, ok := floors()[from]
	theirs, known := floors()[to]
	switch {
	case !ok || !known || theirs < ours:
		return ""
	case theirs == ours:
		return fmt.Sprintf("sideways, both are on floor %d; packages of one floor do not know each other, "+
			"so that each can be read, tested and replaced alone: move what both need to a lower floor, "+
			"or let the caller above hand it over as a value or a function", ours)
	default:
		return fmt.Sprintf("upward, from floor %d to floor %d; a package stands on lower floors only, "+
			"or what is below can no longer be read and tested without what is above: "+
			"move the shared type down, or declare a small interface here that the upper package satisfies", ours, theirs)
	}
}

// abroad says what is wrong with an import of a foreign package, or nothing.
func abroad(folder, name string) string {
	for root, allowed := range homes() {
		if name != root && !strings.HasPrefix(name, root+"/") {
			continue
		}
		if slices.Contains(allowed, folder) {
			return ""
		}
		return fmt.Sprintf("its home is %s; one foreign package has one home, so that it can be replaced in one place: "+
			"offer what is needed from there", strings.Join(allowed, ", "))
	}
	return "a foreign package without a home; each one is code that we answer for: " +
		"use the standard library, or give it a home in homes in engine/floors_test.go and say why in the commit"
}

// inits reports functions that run on import.
func (p program) inits(s source) []string {
	var all []string
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			all = append(all, fmt.Sprintf("%s: func init: nothing happens on import, "+
				"so that two tests may run at once and order never matters: "+
				"return the value from a function and call that where it is needed", p.fset.Position(f.Pos())))
		}
	}
	return all
}

// noise reports where a source under engine prints, exits, logs, starts
// programs, or reads the environment.
func (p program) noise(s source) []string {
	const why = "nothing under engine prints, exits, logs or reads the environment, " +
		"so that it can run inside tests, agents and other programs: " +
		"return an error or a value, and take settings as fields"
	var all []string
	report := func(at token.Pos, what string) {
		all = append(all, fmt.Sprintf("%s: %s: %s", p.fset.Position(at), what, why))
	}
	banned := map[string][]string{} // by the name that this file gives the package
	for _, spec := range s.file.Imports {
		name := importPath(spec)
		local := path.Base(name)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		names, ok := loud()[name]
		switch {
		case ok && names == nil:
			report(spec.Pos(), fmt.Sprintf("imports %q", name))
		case ok && local == ".":
			report(spec.Pos(), fmt.Sprintf("imports %q with a dot, which hides what it uses", name))
		case ok:
			banned[local] = names
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(banned[x.Name], n.Sel.Name) {
				report(n.Pos(), x.Name+"."+n.Sel.Name)
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
				report(n.Pos(), "builtin "+f.Name)
			}
		}
		return true
	})
	return all
}

// undocumented reports packages whose package comments are none or many.
func (p program) undocumented() []string {
	type found struct {
		name  string
		where []string
	}
	comments := map[string]*found{}
	for _, s := range p.sources {
		f := comments[s.folder()]
		if f == nil {
			f = &found{name: s.file.Name.Name}
			comments[s.folder()] = f
		}
		if strings.TrimSpace(s.file.Doc.Text()) == "" {
			continue
		}
		f.where = append(f.where, s.path)
	}
	var all []string
	for _, folder := range p.folders() {
		switch f := comments[folder]; {
		case len(f.where) == 0:
			all = append(all, fmt.Sprintf("%s: package %s has no package comment, the line that says which question it answers: "+
				"write one in doc.go or in the file named after the package", folder, f.name))
		case len(f.where) > 1:
			all = append(all, fmt.Sprintf("%s: package %s has %d package comments, in %s; go doc runs them together: keep one",
				folder, f.name, len(f.where), strings.Join(f.where, ", ")))
		}
	}
	return all
}

// folders returns every folder that has a source, sorted.
func (p program) folders() []string {
	var all []string
	for _, s := range p.sources {
		all = append(all, s.folder())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// importPath returns what an import spec imports.
func importPath(spec *ast.ImportSpec) string {
	name, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value // the parser has accepted it, so it cannot be
	}
	return name
}

// TestFloorsCatch breaks each rule in a small module and looks for the line
// that says so. A row without wants is a module that keeps the rules.
func TestFloorsCatch(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []string // what each violation contains, in order
	}{
		{"a lower floor may be imported", map[string]string{
			"engine/engine.go":    "// Package engine is.\npackage engine\nimport _ \"volley/engine/pace\"",
			"engine/pace/pace.go": "// Package pace is.\npackage pace",
			"main.go":             "// Volley is.\npackage main\nimport (\n_ \"volley/engine\"\n_ \"github.com/alecthomas/kong\"\n)\nfunc main() {}",
		}, nil},
		{"an upward import", map[string]string{
			"engine/pace/pace.go": "// Package pace is.\npackage pace\nimport _ \"volley/engine\"",
		}, []string{`engine/pace/pace.go:3:8: imports "volley/engine": upward, from floor 0 to floor 1; a package stands on lower`}},
		{"a sideways import", map[string]string{
			"engine/cloud/cloud.go": "// Package cloud is.\npackage cloud\nimport \"volley/engine/emulator\"\nvar _ = emulator.X",
		}, []string{`imports "volley/engine/emulator": sideways, both are on floor 2; packages of one floor`}},
		{"an import of the root", map[string]string{
			"report/report.go": "// Package report is.\npackage report\nimport _ \"volley\"",
		}, []string{`imports "volley": upward, from floor 5 to floor 7`}},
		{"a package without a floor", map[string]string{
			"engine/util/util.go": "// Package util is.\npackage util",
		}, []string{"engine/util: this package has no floor"}},
		{"a foreign package away from home", map[string]string{
			"engine/engine.go": "// Package engine is.\npackage engine\nimport _ \"github.com/HdrHistogram/hdrhistogram-go\"",
		}, []string{`imports "github.com/HdrHistogram/hdrhistogram-go": its home is engine/record; one foreign package`}},
		{"a package below a foreign one, at home and away", map[string]string{
			"report/live/live.go": "// Package live is.\npackage live\nimport _ \"github.com/vbauerster/mpb/v8/decor\"",
			"report/report.go":    "// Package report is.\npackage report\nimport _ \"github.com/vbauerster/mpb/v8/decor\"",
		}, []string{`report/report.go:3:8: imports "github.com/vbauerster/mpb/v8/decor": its home is report/live;`}},
		{"a foreign package without a home", map[string]string{
			"engine/engine.go": "// Package engine is.\npackage engine\nimport _ \"github.com/pkg/errors\"",
		}, []string{`imports "github.com/pkg/errors": a foreign package without a home`}},
		{"a foreign package whose name starts like one with a home", map[string]string{
			"engine/record/record.go": "// Package record is.\npackage record\nimport _ \"github.com/HdrHistogram/hdrhistogram-go2\"",
		}, []string{"a foreign package without a home"}},
		{"cgo", map[string]string{
			"engine/engine.go": "// Package engine is.\npackage engine\nimport \"C\"",
		}, []string{`imports "C": volley is one static binary`}},
		{"code that runs on import", map[string]string{
			"scenarios/scenarios.go": "// Package scenarios is.\npackage scenarios\nfunc init() {}\ntype t int\nfunc (t) init() {}",
		}, []string{"scenarios/scenarios.go:3:1: func init: nothing happens on import"}},
		{"a logger, a child process, a flag set in the engine", map[string]string{
			"engine/engine.go": "// Package engine is.\npackage engine\nimport (\n\"log\"\n_ \"log/slog\"\n_ \"os/exec\"\n_ \"flag\"\n)\nfunc f() { log.Fatal(1) }",
		}, []string{`imports "log/slog":`, `imports "os/exec":`, `imports "flag":`, "log.Fatal: nothing under engine"}},
		{"a logger that discards, for net/http to be quiet", map[string]string{
			"engine/emulator/emulator.go": "// Package emulator is.\npackage emulator\nimport (\n\"io\"\n\"log\"\n)\nvar _ = log.New(io.Discard, \"\", 0)",
		}, nil},
		{"printing, leaving and asking the environment in the engine", map[string]string{
			"engine/self/self.go": "// Package self is.\npackage self\nimport (\n\"fmt\"\n\"os\"\n)\n" +
				"func f() {\nfmt.Println()\nos.Exit(1)\n_ = os.Getenv(\"A\")\nfmt.Fprintln(os.Stderr)\nprintln()\n}\nvar _ = fmt.Sprint(os.Getpid())",
		}, []string{"fmt.Println: nothing under engine", "os.Exit:", "os.Getenv:", "os.Stderr:", "builtin println:"}},
		{"printing under another name", map[string]string{
			"engine/engine.go": "// Package engine is.\npackage engine\nimport say \"fmt\"\nvar _ = say.Printf",
		}, []string{"say.Printf: nothing under engine"}},
		{"printing through a dot", map[string]string{
			"engine/engine.go": "// Package engine is.\npackage engine\nimport . \"fmt\"\nvar _ = Printf",
		}, []string{`imports "fmt" with a dot`}},
		{"a proxy from the environment in the engine", map[string]string{
			"engine/invoke/invoke.go": "// Package invoke is.\npackage invoke\nimport \"net/http\"\nvar _ = http.Transport{Proxy: http.ProxyFromEnvironment}",
		}, []string{"http.ProxyFromEnvironment: nothing under engine"}},
		{"all of these outside the engine", map[string]string{
			"main.go": "// Volley is.\npackage main\nimport (\n\"fmt\"\n_ \"log\"\n\"os\"\n)\nfunc main() { fmt.Println(os.Getenv(\"A\")); os.Exit(1) }",
		}, nil},
		{"no package comment", map[string]string{
			"engine/engine.go": "package engine", "engine/run.go": "//go:build linux\n\npackage engine",
		}, []string{"engine: package engine has no package comment"}},
		{"a directive is no package comment", map[string]string{
			"engine/engine.go": "//go:generate true\npackage engine",
		}, []string{"engine: package engine has no package comment"}},
		{"two package comments", map[string]string{
			"engine/a.go": "// Package engine is.\npackage engine", "engine/b.go": "// Package engine does.\npackage engine",
		}, []string{"engine: package engine has 2 package comments, in engine/a.go, engine/b.go"}},
		{"tests and what is not of the module are let be", map[string]string{
			"engine/engine_test.go":                "package engine\nimport _ \"volley/report\"\nfunc init() {}",
			"engine/testdata/x.go":                 "package x\nfunc init() {}",
			".ci/x.go":                             "package x\nfunc init() {}",
			"examples/a/node_modules/b/go/main.go": "package b",
			"examples/other/go.mod":                "module other",
			"examples/other/x.go":                  "package other",
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for name, text := range tt.files {
				files[name] = &fstest.MapFile{Data: []byte(text)}
			}
			got := load(t, files).violations()
			for i := range max(len(got), len(tt.want)) {
				switch {
				case i >= len(got):
					t.Errorf("violation %d is missing, want one with %q", i, tt.want[i])
				case i >= len(tt.want):
					t.Errorf("violation %d is %q, want none", i, got[i])
				case !strings.Contains(got[i], tt.want[i]):
					t.Errorf("violation %d is %q, want one with %q", i, got[i], tt.want[i])
				}
			}
		})
	}
}

// TestFloorsAgree keeps the two maps in step: a home is a package with a floor.
func TestFloorsAgree(t *testing.T) {
	for name, allowed := range homes() {
		for _, folder := range allowed {
			if _, ok := floors()[folder]; !ok {
				t.Errorf("the home %q of %q is not a package with a floor", folder, name)
			}
		}
	}
}
