package payload

import (
	"reflect"
	"testing"
)

// quicks are expressions that have a quick form.
func quicks() []string {
	return []string{
		"status == 200", "status != 200", "status < 300", "status >= 200", "status > 1", " status<=200 ",
		"body.a", "body.a.b", `body["a"].b`, "body[0]", "body[1].a", "body.a[2]", `body.a == "x"`, "body.a == 'x'", `body.a != "x"`,
		"body.a == 1", "body.a != 1", "body.a.b < 7", "body.a >= -3", "body.a == true", "body.a != false",
	}
}

func replies() []string {
	return []string{
		`{"a":1}`, `{"a":"x"}`, `{"a":true}`, `{"a":{"b":6}}`, `{"a":[1,2,"x"]}`, `[{"a":1},{"a":"x"}]`, `[7]`, `{}`, `[]`, ``, `no`, `"x"`, `null`,
		` { "a" : { "b" : 9 , "c" : [ ] } } `, `{"a":1,"a":2}`, `{"a":{"b":1},"a":{"c":2}}`, `{"a":{"b":1},"a":7}`, `{"a":{"b":1,"b":"x"}}`,
		`{"\u0061":1}`, `{"a":"\u0078"}`, `{"a":"x\n"}`, "{\"a\":\"\xff\"}", "{\"\xff\":1,\"a\":1}", `{"a":1.0}`, `{"a":1e0}`, `{"a":-0}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`,
		`{"a":123456789012345678}`, `{"a":1234567890123456789012}`, `{"a":1,"b":1e999}`, `{"a":null}`, `{"a":1} x`, `{"a":1,}`, `{"a" 1}`, `{"a":"x}`, `{"a":tru}`, "{\"a\":\"\x01\"}",
		`{"a":[1,2,3],"b":[[[]]]}`, `{"b":"\q","a":1}`, `{"b":"\u12g4","a":1}`,
	}
}

// sameAsQuick holds that where the quick form of an expression knows the
// answer, it is that of the expression. It reports whether it does.
func sameAsQuick(t *testing.T, src string, status int, body string) bool {
	t.Helper()
	e, err := CompileExpr(src, Reply)
	if err != nil {
		return false
	}
	q := e.Quick()
	if q == nil {
		return false
	}
	got, ok := q.Value(status, []byte(body))
	if !ok {
		return false
	}
	env := &Env{Status: status, Body: body}
	if v, err := DecodeJSON([]byte(body)); err == nil {
		env.Body = v
	}
	if want, err := e.Eval(env); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s of %q: %#v, want %#v, %v", src, body, got, want, err)
	}
	return true
}

func TestQuickIsTheSame(t *testing.T) {
	known := map[string]bool{}
	for _, src := range quicks() {
		for _, body := range replies() {
			for _, status := range []int{200, 404} {
				known[src] = sameAsQuick(t, src, status, body) || known[src]
			}
		}
		if !known[src] {
			t.Errorf("%s: the quick form knows nothing", src)
		}
	}
}

// TestNotQuick has expressions that mean more than a quick form can say.
func TestNotQuick(t *testing.T) {
	for _, src := range []string{"status", "body", "status == 200.5", `status == 200 or body.a == 1`, "body.a == body.b", "body?.a", "body.a ?? 1", "ms < 5",
		"body.a == nil", `body.a < "x"`, "not body.a", "body.a == 1 ? 2 : 3", "200 == status", "body.a == 9999999999999999", `body["a\\n"]`, "len(text) > 0"} {
		e, err := CompileExpr(src, Reply)
		if err != nil {
			t.Errorf("%s: %v", src, err)
		} else if e.Quick() != nil {
			t.Errorf("%s has a quick form", src)
		}
	}
	if e, err := CompileExpr("row.a == 1", Request); err != nil || e.Quick() != nil {
		t.Errorf("an expression about no reply has a quick form, %v", err)
	}
}

// TestQuickGarbage holds what a check costs that most scenarios have.
func TestQuickGarbage(t *testing.T) {
	e, err := CompileBool("body.data.total == 42", Reply)
	if err != nil {
		t.Fatal(err)
	}
	q, body := e.Quick(), []byte(`{"code":0,"data":{"id":"u1","total":42},"list":[1,2,{"x":null}]}`)
	if n := testing.AllocsPerRun(100, func() {
		if holds, ok := q.Holds(200, body); !holds || !ok {
			t.Fatal("it does not hold")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzQuick(f *testing.F) {
	for _, src := range quicks() {
		for _, body := range replies() {
			f.Add(src, body)
		}
	}
	f.Fuzz(func(t *testing.T, src, body string) { sameAsQuick(t, src, 200, body) })
}

func BenchmarkQuick(b *testing.B) {
	body := []byte(`{"code":0,"data":{"id":"u1","name":"abcdefghijklmnopqrstuvwxyz","total":42,"ok":true},"requestId":"0123456789abcdef0123456789"}`)
	e, err := CompileExpr("body.data.id", Reply)
	if err != nil {
		b.Fatal(err)
	}
	q := e.Quick()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := q.Value(200, body); !ok {
			b.Fatal("not found")
		}
	}
}
