package payload

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// world is an Env in which most names have a value.
func world() *Env {
	return &Env{
		Row: map[string]any{
			"userId": "u1", "name": "Ann", "n": int64(5), "big": int64(9007199254740993), "x": 1.5, "none": nil, "yes": true,
			"items": []any{"a", "b", int64(3)}, "user": map[string]any{"id": int64(7), "tags": []any{"t"}}, "odd key": int64(1),
		},
		Vars:      map[string]any{"total": 12.0, "uid": "u1"},
		Iteration: 3,
		Item:      map[string]any{"sku": "s-1"},
		Env:       map[string]string{"STAGE": "test"},
		Status:    200,
		Headers:   map[string]string{"Content-Type": "application/json"},
		Body:      map[string]any{"code": int64(0), "data": map[string]any{"id": "d1"}},
		Text:      `{"code":0}`,
		MS:        12.5,
		Outcome:   "ok",
		Now:       time.Date(2026, 11, 22, 10, 15, 30, 5e8, time.FixedZone("", 8*3600)),
		Rand:      rand.New(rand.NewPCG(1, 2)),
	}
}

func TestEval(t *testing.T) {
	tests := []struct {
		name, src string
		want      any
	}{
		{"a field of the row", `row.userId`, "u1"},
		{"a nested field", `row.user.id`, int64(7)},
		{"an index", `row.items[0]`, "a"},
		{"an index from the end", `row.items[-1]`, int64(3)},
		{"a key with a space", `row["odd key"]`, int64(1)},
		{"a computed key", `row["user" + "Id"]`, "u1"},
		{"null that is there stays null", `row.none`, nil},
		{"a large integer stays exact", `row.big`, int64(9007199254740993)},
		{"an integer equals a literal", `row.n == 5`, true},
		{"an integer is in a list", `row.n in [4, 5]`, true},
		{"a text is in a list", `row.name in ["Ann", "Bob"]`, true},
		{"a missing field with ?.", `row?.nope`, nil},
		{"a missing field with a default", `row.nope ?? "d"`, "d"},
		{"a missing key with a default", `row["nope"] ?? "d"`, "d"},
		{"a missing field by get", `get(row, "nope")`, nil},
		{"a missing field compared with nil", `row.nope == nil`, true},
		{"nil compared with a missing field", `nil != row.nope`, false},
		{"a missing field before ?.", `row.nope?.x`, nil},
		{"a missing nested field with a default", `row.user.nope ?? 1`, 1},
		{"a test for a key", `"nope" in row`, false},
		{"lists are equal by value", `row.items == ["a", "b", 3]`, true},
		{"objects are equal by value", `{id: 7.0, tags: ["t"]} == row.user`, true},
		{"objects that differ", `row.user != {id: 7, tags: ["u"]}`, true},
		{"values of unknown type are equal", `row.user.tags[0] == row.user.tags[0]`, true},
		{"a number and a text are not equal", `row.n == row.name`, false},
		{"a loop over a list", `filter(row.items, # != "a")`, []any{"b", int64(3)}},
		{"a let", `let u = row.user; u.id`, int64(7)},
		{"vars", `vars.total`, 12.0},
		{"item", `item.sku`, "s-1"},
		{"env", `env.STAGE`, "test"},
		{"env that is not set, with a default", `env.NOPE ?? "d"`, "d"},
		{"env is told apart by case", `env?.stage ?? "d"`, "d"},
		{"iteration", `iteration % 2`, 1},
		{"nowMs", `nowMs()`, int64(1795313730500)},
		{"a method of a time", `now().Format("2006-01-02")`, "2026-11-22"},
		{"base64", `base64("hé<")`, "aMOpPA=="},
		{"sha256", `sha256("abc")`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}, // FIPS 180-2, B.1
		{"hmacSHA256", `hmacSHA256("Jefe", "what do ya want for nothing?")`,
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"}, // RFC 4231, 4.3
		{"json", `json({b: 1, a: [nil, "<&>"]})`, `{"a":[null,"<&>"],"b":1}`},
		{"fromJSON keeps large integers", `fromJSON("[9007199254740993, 1.5]")`, []any{int64(9007199254740993), 1.5}},
		{"keys are sorted", `keys({c: 1, a: 2, b: 3})`, []any{"a", "b", "c"}},
		{"values go by their keys", `values({c: 1, a: 2, b: 3})`, []any{2, 3, 1}},
		{"pairs are sorted", `toPairs({b: 1, a: 2})`, []any{[]any{"a", 2}, []any{"b", 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := CompileExpr(tt.src, Request)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.Eval(world())
			if err != nil || !equal(got, tt.want) {
				t.Errorf("%s = %#v, %v, want %#v", tt.src, got, err, tt.want)
			}
		})
	}
}

func equal(a, b any) bool {
	x, err1 := appendJSON(nil, a, MaxBytes, 0)
	y, err2 := appendJSON(nil, b, MaxBytes, 0)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

func TestReplyScope(t *testing.T) {
	tests := []struct {
		src  string
		want bool
	}{
		{`status == 200 && outcome == "ok" && ms < 300`, true},
		{`body.code == 0`, true},
		{`body.data.id == "d1"`, true},
		{`headers["content-type"] startsWith "application/json"`, true},
		{`headers["X-Missing"] == nil`, true},
		{`headers["X-Missing"] startsWith "a"`, false},
		{`text contains "code"`, true},
		{`len(row.items) == 3`, true},
		{`text matches "^.\"code\":\\d+.$"`, true},
	}
	for _, tt := range tests {
		e, err := CompileBool(tt.src, Reply)
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		if got, err := e.EvalBool(world()); err != nil || got != tt.want {
			t.Errorf("%s = %v, %v, want %v", tt.src, got, err, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name, src string
		scope     Scope
		problem   string
		fix       string
		column    int
	}{
		{"unknown name", `1 + rows.x`, Request, "unknown name rows", "did you mean row?", 5},
		{"unknown function", `uid()`, Request, "unknown name uid", "did you mean uuid?", 1},
		{"a name of replies", `status == 200`, Request, "status is not known here", "it is known once the reply is there: in check and save", 1},
		{"a name of events", `event.x`, Reply, "event is not known here", "it is known in replies of the emulator", 1},
		{"a name outside of the emulator", `row.x`, Event, "row is not known here", "a reply of the emulator sees event alone", 1},
		{"the environment itself", `$env.Row`, Request, "unknown name $env", "known here: row, vars, iteration, item, env, and functions", 1},
		{"a function that is not called", `"a" + uuid`, Request, "uuid is a function", "call it: uuid()", 7},
		{"too many arguments", `uuid(1)`, Request, "uuid() takes no arguments, got 1", "", 1},
		{"too few arguments", `randInt(1)`, Request, "randInt(low, high) takes 2 arguments, got 1", "", 1},
		{"a wrong argument", `randInt("a", 2)`, Request, "randInt(low, high): argument 1 must be a number, not of type string", "", 1},
		{"syntax", `row.x +`, Request, "the expression ends too early", "", 7},
		{"a typo in a field", `row.userID`, Request, "row.userID: no such field; the row has big, items, n, name, none, odd key, user, userId, x, yes", "did you mean row.userId?", 5},
		{"a typo further down", `row.user.ID2`, Request, "row.user.ID2: no such field; row.user has id, tags", "did you mean row.user.id?", 10},
		{"a variable that is not saved", `vars.abc`, Request, "vars.abc: nothing was saved under this name; saved so far: total, uid", `if it may be missing, write vars.abc ?? "default"`, 6},
		{"environment that is not set", `env.STAG`, Request, "env.STAG: not set in the environment", "did you mean env.STAGE?", 5},
		{"a field of a text", `row.name.first`, Request, `row.name.first: row.name is the text "Ann", not an object`, "", 10},
		{"a field of null", `row.none.x`, Request, "row.none.x: row.none is null", "", 10},
		{"an index too far", `row.items[3]`, Request, "row.items[3]: the list has 3 elements", "", 10},
		{"an empty range", `randInt(2, 1)`, Request, "randInt(2, 1): the range is empty", "put the lower bound first", 1},
		{"too many elements", `map(1..2000000, #)`, Request, "the expression makes more than 1000000 elements", "", 6},
		{"an unclosed text", `"abc`, Request, "a text is never closed", "", 5},
		{"an unknown name that is like no other", `foo(1)`, Request, "unknown name foo", "known here: row, vars, iteration, item, env, and functions", 1},
		{"an expression in braces", ` ${{ row.x }}`, Request, "this is an expression as it stands", "write it without ${{ and }}", 2},
		{"a condition that is none", `row.n ? 1 : 2`, Request, "expected true or false, got a number", "", 13},
		{"a list of texts without the number", `row.n in ["a"]`, Request, "in: expected a text, as the list has, got a number", "", 7},
		{"a loop over an object", `map(row.user, #)`, Request, "expected a list, got an object", "", 15},
		{"a call of what is no function", `row.fn()`, Request, "what is called here is not a function", "", 5},
		{"a field of null below ?.", `row?.user.nope.x`, Request, "cannot read x of null", "", 16},
		{"nothing", ` `, Request, "the expression is empty", "", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := CompileExpr(tt.src, tt.scope)
			if err == nil {
				_, err = e.Eval(world())
			}
			var got *Error
			if !errors.As(err, &got) {
				t.Fatalf("error is %v", err)
			}
			if got.Problem != tt.problem || got.Fix != tt.fix || got.Column != tt.column {
				t.Errorf("error is\n%q, %q, %d, want\n%q, %q, %d", got.Problem, got.Fix, got.Column, tt.problem, tt.fix, tt.column)
			}
		})
	}
}

func TestTemplate(t *testing.T) {
	tests := []struct {
		name string
		node any
		want string
	}{
		{"keys keep their order", Map{{"b", 1}, {"a", []any{true, nil, 1.5, "s"}}}, `{"b":1,"a":[true,null,1.5,"s"]}`},
		{"one expression keeps its type", Map{{"n", "${{ row.n }}"}, {"o", "${{row.user}}"}}, `{"n":5,"o":{"id":7,"tags":["t"]}}`},
		{"a mixed string interpolates", "n=${{ row.n }}, x=${{ row.x }}, o=${{ row.user }}.", `"n=5, x=1.5, o={\"id\":7,\"tags\":[\"t\"]}."`},
		{"spaces around make it mixed", " ${{ row.n }}", `" 5"`},
		{"an escape", "a $${{ row.n }}", `"a ${{ row.n }}"`},
		{"objects within an expression", "${{ {a: {b: '}}'}} }}", `{"a":{"b":"}}"}}`},
		{"a key with an expression", Map{{"k-${{ row.n }}", 1}}, `{"k-5":1}`},
		{"no escapes for HTML", "<${{ '&' }}>", `"<&>"`},
		{"a time", "${{ now() }}", `"2026-11-22T02:15:30.5Z"`},
		{"no exponents", "${{ 1e20 }} ${{ 1e21 }}", `"100000000000000000000 1e+21"`},
		{"the whole row", "${{ row.items }}", `["a","b",3]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := CompileTemplate(tt.node, Request)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.JSON(world()); err != nil || string(got) != tt.want {
				t.Errorf("JSON = %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}
