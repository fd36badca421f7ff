package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestStatic(t *testing.T) {
	tests := []struct {
		node any
		want bool
	}{
		{nil, true}, {"a", true}, {"", true}, {"$${{ a }}", true}, {Map{{"a", []any{1}}}, true}, {[]any{}, true},
		{"${{ 1 }}", false}, {Map{{"${{ 'a' }}", 1}}, false}, {[]any{"a ${{ 1 }}"}, false},
	}
	for _, tt := range tests {
		c, err := CompileTemplate(tt.node, Request)
		if err != nil {
			t.Fatal(err)
		}
		if c.Static() != tt.want {
			t.Errorf("Static of %v is %v", tt.node, c.Static())
		}
		a, err1 := c.JSON(nil)
		b, err2 := c.JSON(nil)
		if err1 != nil || err2 != nil || string(a) != string(b) || !json.Valid(a) {
			t.Errorf("%v renders as %s, %v, then %s, %v", tt.node, a, err1, b, err2)
		}
	}
}

func TestTemplateErrors(t *testing.T) {
	tests := []struct {
		name string
		node any
		want string
	}{
		{"places in the tree", Map{{"a", []any{1, "x ${{ rows }}"}}, {"b c", "${{ 1 + }}"}, {"k${{ vers }}", 1}},
			".a[1]: column 7: unknown name rows\n" + `["b c"]: column 8: the expression ends too early` + "\n" + `["k${{ vers }}"]: column 6: unknown name vers`},
		{"two in one string", "${{ a1 }} ${{ b1 }}", "column 5: unknown name a1\ncolumn 15: unknown name b1"},
		{"a place in a later line", "x\n  ${{\n rows }}", "line 3, column 2: unknown name rows"},
		{"never closed", "a ${{ row.x }", "column 3: ${{ is never closed"},
		{"never closed, but for a text", "a ${{ '}}'", "column 3: ${{ is never closed"},
		{"empty", "a ${{ }}", "column 6: the expression is empty"},
		{"a key twice", Map{{"a", 1}, {"a", 2}}, `.a: the key "a" is twice in one object`},
		{"not a number", []any{math.NaN()}, "[0]: NaN is not a number that JSON can hold"},
		{"a type that JSON has not", Map{{"f", time.Second}}, ".f: a value of type time.Duration cannot be sent"},
		{"too deep", deep(maxDepth + 2), strings.Repeat("[0]", maxDepth+1) + ": nested more than 1000 levels deep"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := CompileTemplate(tt.node, Request)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error is\n%v, want\n%s", err, tt.want)
			}
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("error has the type %T", err)
			}
		})
	}
}

func deep(n int) any {
	var v any
	for range n {
		v = []any{v}
	}
	return v
}

func TestRenderErrors(t *testing.T) {
	tests := []struct {
		name string
		node any
		want string
	}{
		{"a typo", Map{{"a", Map{{"b", "${{ row.userID }}"}}}}, ".a.b: column 9: row.userID: no such field; the row has big, items, n, name, none, odd key, user, userId, x, yes"},
		{"null in a text", []any{"a ${{ row.none }}"}, "[0]: column 6: the value is null, which has no place in a text"},
		{"no number", "${{ row.n / 0 }}", "column 4: +Inf is not a number that JSON can hold"},
		{"a key twice", Map{{"a", []any{"a", Map{{"x", 1}, {"${{ 'x' }}", 2}}}}}, `the key "x" is twice in one object`},
		{"too large a value", []any{"${{ repeat('x', 90) }}", "${{ repeat('x', 90) }}"}, "[1]: column 4: the result has more than 100 bytes"},
		{"too large a text", "${{ repeat('x', 60) }}${{ repeat('x', 60) }}", "column 26: the result has more than 100 bytes"},
		{"too large a tree", []any{strings.Repeat("x", 120), "${{ 1 }}"}, "the result has more than 100 bytes"},
		{"too large and always the same", strings.Repeat("x", 100), "the result has more than 100 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := CompileTemplate(tt.node, Request)
			if err != nil {
				t.Fatal(err)
			}
			c.MaxBytes = 100
			b, err := c.JSON(world())
			if err == nil || err.Error() != tt.want {
				t.Errorf("JSON = %s, %v, want %s", b, err, tt.want)
			}
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("error has the type %T", err)
			}
		})
	}
}

func TestKeysThatAreTwiceInDifferentObjectsAreFine(t *testing.T) {
	c, err := CompileTemplate(Map{{"${{ 'a' }}", Map{{"a", []any{"a", "a"}}}}, {"b", "a"}, {"c", Map{{"a", nil}}}}, Request)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := c.JSON(nil); err != nil || string(b) != `{"a":{"a":["a","a"]},"b":"a","c":{"a":null}}` {
		t.Errorf("JSON = %s, %v", b, err)
	}
}

func TestString(t *testing.T) {
	tests := []struct {
		src, text string
		value     any
	}{
		{"", "", ""},
		{"plain", "plain", "plain"},
		{"/u/${{ row.userId }}?n=${{ row.n }}", "/u/u1?n=5", "/u/u1?n=5"},
		{"${{ row.n }}", "5", int64(5)},
		{"${{ row.yes }}", "true", true},
		{"$${{ x }} ${{ 1 }}", "${{ x }} 1", "${{ x }} 1"},
		{"$$${{ x }}", "$${{ x }}", "$${{ x }}"},
		{"at ${{ now() }}", "at 2026-11-22T02:15:30.5Z", "at 2026-11-22T02:15:30.5Z"},
		{"${{ 0.0000001 }} ${{ 1234567.5 }} ${{ -0.0 }}", "1e-7 1234567.5 0", "1e-7 1234567.5 0"},
	}
	for _, tt := range tests {
		s, err := CompileString(tt.src, Request)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := s.Render(world()); err != nil || text != tt.text {
			t.Errorf("%s renders as %q, %v, want %q", tt.src, text, err, tt.text)
		}
		if value, err := s.Value(world()); err != nil || value != tt.value {
			t.Errorf("%s has the value %#v, %v, want %#v", tt.src, value, err, tt.value)
		}
		if s.Static() != !strings.Contains(strings.ReplaceAll(tt.src, "$${{", ""), "${{") {
			t.Errorf("Static of %s is %v", tt.src, s.Static())
		}
	}
}

func TestReads(t *testing.T) {
	c, err := CompileTemplate(Map{{"a", "${{ row.userId + (vars?.x ?? '') }}"}, {"b", "${{ row }} ${{ iteration }}"}, {"c", "${{ row.userId == nil || row.n > 1 }}"}}, Request)
	if err != nil {
		t.Fatal(err)
	}
	const want = "[{row userId true} {vars x false} {row  false} {iteration  false} {row userId false} {row n true}]"
	if got := fmt.Sprint(c.Reads()); got != want {
		t.Errorf("Reads = %s, want %s", got, want)
	}
}

func TestBoolIsNothingElse(t *testing.T) {
	for src, want := range map[string]string{
		`"a" + "b"`: "expected true or false, got a text",
		`status`:    "expected true or false, got a number",
		`body.code`: "expected true or false, got the number 0",
		`body.data`: "expected true or false, got an object",
		`[1]`:       "expected true or false, got a list",
		`nil`:       "expected true or false, got null",
	} {
		e, err := CompileBool(src, Reply)
		if err == nil {
			_, err = e.EvalBool(world())
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s: error is %v, want %s", src, err, want)
		}
	}
}

func TestSameSeedSameValues(t *testing.T) {
	const src = `[uuid(), randInt(-5, 5), randFloat(), randString(8), pick(["a", "b", "c"]), pick(keys({a: 1, b: 2, c: 3}))]`
	e, err := CompileExpr(src, Request)
	if err != nil {
		t.Fatal(err)
	}
	draw := func(seed uint64) string {
		v, err := e.Eval(&Env{Rand: rand.New(rand.NewPCG(seed, 0))})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(v)
	}
	for range 20 {
		if a, b := draw(1), draw(1); a != b {
			t.Fatalf("the same seed gives %s, then %s", a, b)
		}
	}
	if draw(1) == draw(2) {
		t.Error("two seeds give the same")
	}
}

func TestRandomFunctionsStayInTheirBounds(t *testing.T) {
	env := &Env{Rand: rand.New(rand.NewPCG(3, 4))}
	eval := func(src string) any {
		e, err := CompileExpr(src, Event)
		if err != nil {
			t.Fatal(err)
		}
		v, err := e.Eval(env)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	seen := make(map[any]int)
	for range 400 {
		seen[eval(`randInt(-1, 2)`)]++
	}
	if len(seen) != 4 || seen[int64(-1)] < 60 || seen[int64(2)] < 60 {
		t.Errorf("randInt(-1, 2) gives %v", seen)
	}
	if v := eval(`randInt(7, 7)`); v != int64(7) {
		t.Errorf("randInt(7, 7) = %v", v)
	}
	eval(`randInt(-9223372036854775807 - 1, 9223372036854775807)`)
	if v := eval(`randString(40)`).(string); len(v) != 40 || strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		t.Errorf("randString(40) = %q", v)
	}
	for range 100 {
		id := eval(`uuid()`).(string)
		if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || strings.Count(id, "-") != 4 {
			t.Fatalf("uuid() = %s", id)
		}
	}
	e, _ := CompileExpr(`uuid()`, Event)
	if _, err := e.Eval(&Env{}); err == nil || err.Error() != "there is no randomness here" {
		t.Errorf("without a source: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	c, err := CompileTemplate(Map{{"id", "${{ row.id }}"}, {"sum", "${{ sum(map(row.l, # * 2)) }}"}, {"u", "n-${{ iteration }}"}}, Request)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := CompileExpr(`row.nope`, Request)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range int64(8) {
		wg.Go(func() {
			for i := range int64(200) {
				n := g*1000 + i
				env := &Env{Row: map[string]any{"id": n, "l": []any{n, int64(1)}}, Iteration: n}
				want := fmt.Sprintf(`{"id":%d,"sum":%d,"u":"n-%d"}`, n, 2*n+2, n)
				if b, err := c.JSON(env); err != nil || string(b) != want {
					t.Errorf("JSON = %s, %v, want %s", b, err, want)
				}
				if _, err := bad.Eval(env); err == nil {
					t.Error("no error for a missing field")
				}
			}
		})
	}
	wg.Wait()
}

func TestFunctionsAreAllDescribed(t *testing.T) {
	for _, f := range Functions() {
		if !strings.HasPrefix(f.Signature, f.Name+"(") || !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("%s is described as %q: %q", f.Name, f.Signature, f.Doc)
		}
		if n := strings.Count(f.Signature, ",") + 1; len(f.args) > 0 && n != len(f.args) {
			t.Errorf("%s takes %d arguments", f.Signature, len(f.args))
		}
	}
}
