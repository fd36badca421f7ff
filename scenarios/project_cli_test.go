package scenarios

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"volley/engine"
)

// The projects in testdata/project were made by the vendor's own command line,
// which also wrote down what it invokes in them (examples/project/make.mjs). We
// find the same environments and functions, and send the same events.
func TestProjectAsTheVendorsCLIHasIt(t *testing.T) {
	folders, err := filepath.Glob("testdata/project/*")
	if err != nil || len(folders) < 4 {
		t.Fatalf("there are %d projects (%v); examples/project/make.mjs makes them", len(folders), err)
	}
	for _, dir := range folders {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			type invocation struct {
				Env, Function string
				Params        any
			}
			record, err := os.ReadFile(filepath.Join(dir, "invocations.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]invocation{}
			for lines := bufio.NewScanner(bytes.NewReader(record)); lines.Scan(); {
				var i invocation
				if err := json.Unmarshal(lines.Bytes(), &i); err != nil {
					t.Fatal(err)
				}
				want[i.Function] = i
			}
			p, err := ReadProject(os.DirFS(dir), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]invocation{}
			http := map[string]bool{}
			for _, f := range p.Functions {
				i := invocation{Env: p.Env, Function: f.Name}
				if err := json.Unmarshal(f.Params(), &i.Params); err != nil {
					t.Fatal(err)
				}
				got[f.Name], http[f.Name] = i, f.HTTP
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("read    %v\ninvoked %v", got, want)
			}

			c, notes := loaded(t, p, "project")
			members := c.Plan.Steps[0].Group.Members
			if len(members) != len(want) || len(notes) > 0 {
				t.Fatalf("the plan has %d of %d functions; notes: %q", len(members), len(want), notes)
			}
			var plan strings.Builder
			if err := Explain(c, &plan); err != nil {
				t.Fatal(err)
			}
			for _, m := range members {
				in := m.Invoke
				i := want[in.Function]
				if in.Target.Env != i.Env || http[in.Function] != (in.Target.Method.Name() == "http-function") {
					t.Errorf("%s is invoked in %q by %s", in.Function, in.Target.Env, in.Target.Method.Name())
				}
				if !strings.Contains(plan.String(), in.Function) || !strings.Contains(plan.String(), i.Env) {
					t.Errorf("%s in %s is not told in\n%s", in.Function, i.Env, plan.String())
				}
				if http[in.Function] {
					continue
				}
				body := []byte("{}") // what is sent where there is no data
				if in.Data != nil {
					if body, err = in.Data(&engine.Scope{}); err != nil {
						t.Fatal(err)
					}
				}
				var sent any
				if err := json.Unmarshal(body, &sent); err != nil || !reflect.DeepEqual(sent, i.Params) {
					t.Errorf("%s gets %s, and from the CLI %v (%v)", in.Function, body, i.Params, err)
				}
			}
		})
	}
}
