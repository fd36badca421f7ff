package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func FuzzExpr(f *testing.F) {
	for _, s := range []string{
		`row.userId`, `row?.a.b ?? 1`, `status == 200 && body.code in [0, 1]`, `let x = row; x.y`, `map(row.items, #)[0]`, `headers["a"]`,
		`randInt(1, 2) + pick([1])`, `row["a"][0]?.b`, `{a: 1}.a`, `row.n != nil ? uuid() : now()`, `"é" + rows`, `env?.X == nil`, `[1] == row.items`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 100 || strings.Count(src, "..") > 1 {
			return // loops in loops are slow, not wrong
		}
		for _, scope := range []Scope{Request, Reply, Event} {
			e, err := CompileExpr(src, scope)
			if err == nil {
				_, err = e.Eval(world())
			}
			if err == nil {
				continue
			}
			var bad *Error
			if !errors.As(err, &bad) {
				t.Fatalf("error has the type %T", err)
			}
			if bad.Offset < 0 || bad.Offset > len(src) || bad.Line < 1 || bad.Column < 1 || bad.Problem == "" {
				t.Fatalf("error is %+v", bad)
			}
		}
	})
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a", "${{", "$${{ a }}", "${{ 'a' }}", "a $$${{", "${{ {a: '}}'} }}", "${{ \"\\\"}}\" }}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		escaped, err := CompileString(strings.ReplaceAll(s, "${{", "$${{"), Request)
		if err != nil {
			t.Fatalf("%q cannot be escaped: %v", s, err)
		}
		if got, err := escaped.Render(nil); err != nil || got != s || !escaped.Static() {
			t.Fatalf("%q, escaped, renders as %q, %v", s, got, err)
		}
		if len(s) > 100 || strings.Count(s, "..") > 1 {
			return
		}
		c, err := CompileString(s, Request)
		if err != nil {
			return
		}
		text, err := c.Render(world())
		if err == nil && c.Static() && !strings.Contains(s, "${{") && text != s {
			t.Fatalf("%q renders as %q", s, text)
		}
	})
}

// FuzzTemplate takes values of JSON as templates: what has no expression renders as itself.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{`{"b":[1,2.5,null,"x<&>\u2028\ud800"],"a":{}}`, `[1e300,1e-300,-0.0,9007199254740993,1e21,123456789012345678901]`, `"${{ row.n }}"`, `{"a":"x ${{ row }}"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := DecodeJSON([]byte(s))
		if err != nil {
			return
		}
		c, err := CompileTemplate(v, Request)
		if err != nil {
			if !strings.Contains(s, "{{") && !strings.Contains(s, `\u`) && strings.Count(s, "[")+strings.Count(s, "{") < maxDepth {
				t.Fatalf("%s is refused: %v", s, err)
			}
			return
		}
		if len(s) > 200 || strings.Count(s, "..") > 1 {
			return
		}
		b, err := c.JSON(world())
		if err != nil {
			return
		}
		again, err := DecodeJSON(b)
		if err != nil {
			t.Fatalf("%s renders as %s: %v", s, b, err)
		}
		if c.Static() && !strings.Contains(s, "{{") && !strings.Contains(s, `\u`) {
			var want bytes.Buffer
			e := json.NewEncoder(&want)
			e.SetEscapeHTML(false)
			if err := e.Encode(v); err != nil {
				t.Fatal(err)
			}
			reread, err := DecodeJSON(want.Bytes())
			if err != nil || !reflect.DeepEqual(again, reread) {
				t.Fatalf("%s renders as %s", s, b)
			}
		}
	})
}
