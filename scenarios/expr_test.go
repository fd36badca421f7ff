package scenarios

import (
	"fmt"
	"testing"
	"time"

	"volley/engine"
)

// only returns the invocation of a scenario of one step.
func only(t *testing.T, step string, o Options) *engine.Invoke {
	t.Helper()
	o.NoLoad = true
	return mustLoad(t, emulated+"data: {file: times.csv}\nsteps:\n"+step, o).Plan.Steps[0].Invoke
}

func TestBodies(t *testing.T) {
	scope := &engine.Scope{Seed: 1, Iteration: 4, Row: map[string]any{"id": "u1", "n": int64(3)}, Step: 9}
	env := environ(map[string]string{"NAME": "Ada", "N": "5", "EVIL": "${{ row.id }}", "EMPTY": "", "HALF": "$", "REST": "{{ row.id }}", "QUOTE": "a\": 1, \"b"})
	tests := []struct{ name, data, want string }{
		{"keys keep their order", "{z: 1, a: 2, m: {y: 1, b: 2}}", `{"z":1,"a":2,"m":{"y":1,"b":2}}`},
		{"values keep their types", `{i: 1, f: 1.5, e: 1e3, t: true, n: null, s: "1", d: 2026-01-01}`, `{"i":1,"f":1.5,"e":1000,"t":true,"n":null,"s":"1","d":"2026-01-01"}`},
		{"large integers stay exact", "{a: 9223372036854775807, b: 18446744073709551615, c: 123456789012345678901234567890}", `{"a":9223372036854775807,"b":18446744073709551615,"c":123456789012345678901234567890}`},
		{"one expression keeps its type", `{a: "${{ row.n }}", b: "n${{ row.n }}"}`, `{"a":3,"b":"n3"}`},
		{"a variable is a text", `{a: "${N}", b: "hi ${NAME}", c: "${NOPE:-x}"}`, `{"a":"5","b":"hi Ada","c":"x"}`},
		{"a default stands for an empty variable, too", `{a: "${EMPTY:-x}", b: "${EMPTY}", c: "${EMPTY:-}"}`, `{"a":"x","b":"","c":""}`},
		{"a variable never becomes an expression", `{a: "${EVIL}", b: "${HALF}${REST}", c: "x${EVIL}y"}`, `{"a":"${{ row.id }}","b":"${{ row.id }}","c":"x${{ row.id }}y"}`},
		{"a variable never changes the structure", `{a: "${QUOTE}"}`, `{"a":"a\": 1, \"b"}`},
		{"an escape stands for itself", `{a: "$${NAME}", b: "$${{ x }}", c: "$5 {x}"}`, `{"a":"${NAME}","b":"${{ x }}","c":"$5 {x}"}`},
		{"env reads a variable with its own rules", `{a: "${{ env.NAME }}", b: "${{ env.NOPE ?? \"none\" }}"}`, `{"a":"Ada","b":"none"}`},
		{"iteration", `{i: "${{ iteration }}"}`, `{"i":4}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := only(t, "  - invoke: hello\n    data: "+tt.data, Options{Env: env})
			got, err := in.Data(scope)
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestBodyOfAnEventFunctionIsAnObject(t *testing.T) {
	in := only(t, "  - invoke: hello\n    data: \"${{ row }}\"", Options{})
	if b, err := in.Data(&engine.Scope{Row: map[string]any{"a": int64(1)}}); err != nil || string(b) != `{"a":1}` {
		t.Errorf("an object: %s, %v", b, err)
	}
	if b, err := in.Data(&engine.Scope{Row: []any{int64(1)}}); err == nil {
		t.Errorf("a list is sent: %s", b)
	}
	in = only(t, "  - {invoke: hello, method: http-function, data: \"a=${{ row.a }}\"}", Options{})
	if b, err := in.Data(&engine.Scope{Row: map[string]any{"a": int64(1)}}); err != nil || string(b) != "a=1" {
		t.Errorf("a text for an HTTP function: %s, %v", b, err)
	}
}

func TestStatic(t *testing.T) {
	for step, want := range map[string]bool{
		"  - invoke: hello\n":                                                                                     true,
		"  - {invoke: hello, data: {a: 1}, headers: {X: y}}":                                                      true,
		"  - {invoke: hello, data: {a: \"${{ iteration }}\"}}":                                                    false,
		"  - {invoke: hello, headers: {X: \"${{ uuid() }}\"}}":                                                    false,
		"  - {invoke: hello, method: http-function, http: {path: /a, query: {b: c}}}":                             true,
		"  - {invoke: hello, method: http-function, http: {path: \"/${{ iteration }}\"}}":                         false,
		"  - {invoke: hello, method: http-function, http: {path: /a, query: {b: \"${{ iteration }}\"}}}":          false,
		"  - {invoke: hello, check: [\"status == 200\"], save: {a: body}, when: \"iteration > 1\", data: {b: 1}}": true,
	} {
		if got := only(t, step, Options{}).Static; got != want {
			t.Errorf("Static = %v, want %v: %s", got, want, step)
		}
	}
}

// TestBlind holds which steps do not look at the bodies of their replies.
func TestBlind(t *testing.T) {
	for step, want := range map[string]bool{
		"  - invoke: hello\n": true,
		"  - {invoke: hello, check: [\"status == 200\", \"headers['x'] == 'y'\", \"ms < 100\"]}":           true,
		"  - {invoke: hello, data: {text: body}, save: {body: \"headers['x']\"}}":                          true,
		"  - {invoke: hello, check: [\"status == 200\", \"body.code == 0\"]}":                              false,
		"  - {invoke: hello, check: [\"text contains 'ok' or len(text) > 3\"]}":                            false,
		"  - {invoke: hello, save: {a: body}}":                                                             false,
		"  - {invoke: hello, save: {a: status, b: body.data.id}, check: [\"status == 200\"]}":              false,
		"  - {invoke: hello, server: {duration_ms: body.ms}}":                                              false,
		"  - {invoke: hello, server: {duration_ms: \"headers['x-ms']\"}}":                                  true,
		"  - {invoke: hello, check: [\"body.a == 1\"]}\n  - {invoke: hello, name: b, check: [\"ms < 1\"]}": false, // the first
	} {
		if got := only(t, step, Options{}).Blind; got != want {
			t.Errorf("Blind = %v, want %v: %s", got, want, step)
		}
	}
	c := mustLoad(t, emulated+"data: {file: times.csv}\nsteps:\n  - {invoke: hello, check: [\"body.a == 1\"]}\n  - {invoke: hello, name: b, check: [\"ms < 1\"]}", Options{NoLoad: true})
	if in := c.Plan.Steps[1].Invoke; !in.Blind {
		t.Error("what one step looks at counts for the next")
	}
}

func TestRandomFieldsDiffer(t *testing.T) {
	in := only(t, "  - {invoke: hello, data: {a: \"${{ uuid() }}\"}, headers: {A: \"${{ uuid() }}\", B: \"${{ uuid() }}\"}}", Options{})
	values := func(iteration int64) map[string]bool {
		s := &engine.Scope{Seed: 7, Iteration: iteration, Step: 3}
		b, err := in.Data(s)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]bool{string(b[6 : len(b)-2]): true}
		for _, h := range in.Header {
			v, err := h.Value(s)
			if err != nil {
				t.Fatal(err)
			}
			all[v] = true
		}
		return all
	}
	one, again, next := values(1), values(1), values(2)
	if len(one) != 3 {
		t.Errorf("three fields that ask for a uuid get %d: %v", len(one), one)
	}
	for v := range one {
		if !again[v] {
			t.Errorf("%s is not drawn again for the same seed and iteration", v)
		}
		if next[v] {
			t.Errorf("%s is drawn in the next iteration, too", v)
		}
	}
}

func TestChecksAndSaves(t *testing.T) {
	in := only(t, `
  - invoke: hello
    check:
      - status == 200 && body.code == 0
      - ${{ headers["x-kind"] == "a" }}
      - ms < 50
      - len(text) == 28
      - outcome == "ok"
      - body.id == row.id
    save: {id: body.id, all: body, twice: "${{ body.n * 2 }}"}
`, Options{})
	s := &engine.Scope{Row: map[string]any{"id": "u1"}}
	reply := func() *engine.Reply {
		return &engine.Reply{Status: 200, Took: 40 * time.Millisecond, Header: []engine.Field{{Name: "X-Kind", Value: "a"}}, Body: []byte(`{"code":0,"id":"u1","n":21 }`)}
	}
	r := reply()
	for _, c := range in.Checks {
		if ok, err := c.Holds(s, r); !ok || err != nil {
			t.Errorf("%s: %v, %v", c.Source, ok, err)
		}
	}
	want := []string{"id u1", "all map[code:0 id:u1 n:21]", "twice 42"}
	for i, sv := range in.Saves {
		v, err := sv.Value(s, r)
		if got := fmt.Sprint(sv.Name, " ", v); err != nil || got != want[i] {
			t.Errorf("saved %s, %v; want %s", got, err, want[i])
		}
	}
	for i, spoil := range []func(*engine.Reply){
		func(r *engine.Reply) { r.Status = 404 },
		func(r *engine.Reply) { r.Header = nil },
		func(r *engine.Reply) { r.Took = time.Second },
		func(r *engine.Reply) { r.Body = []byte(`{"code":0,"id":"u1"}`) },
		func(r *engine.Reply) { r.Outcome = engine.Throttled },
		func(r *engine.Reply) { r.Body = []byte(`{"id":"u2"}`) },
	} {
		r := reply()
		spoil(r)
		if ok, _ := in.Checks[i].Holds(s, r); ok {
			t.Errorf("%s holds of a reply that it should not", in.Checks[i].Source)
		}
	}
	if r := (&engine.Reply{Body: []byte("plain")}); true {
		if v, err := in.Saves[1].Value(s, r); err != nil || v != "plain" {
			t.Errorf("a body that is no JSON: %v, %v", v, err)
		}
		if _, err := in.Saves[0].Value(s, r); err == nil {
			t.Error("a field of a text is saved")
		}
	}
}

func TestBodyIsParsedOnce(t *testing.T) {
	in := only(t, "  - {invoke: hello, check: [\"body.a + 0 == 1\", \"body.a + 0 > 0\"]}", Options{})
	r := &engine.Reply{Body: []byte(`{"a":1}`)}
	if ok, err := in.Checks[0].Holds(&engine.Scope{}, r); !ok || err != nil {
		t.Fatal(ok, err)
	}
	r.Body = []byte(`{"a":-1}`) // what was parsed before is what counts
	if ok, err := in.Checks[1].Holds(&engine.Scope{}, r); !ok || err != nil {
		t.Error("the body was parsed again")
	}
}

func TestWhenAndEach(t *testing.T) {
	p := mustLoad(t, emulated+`
steps:
  - {invoke: hello, save: {total: body.total, list: body.list}}
  - {invoke: hello, when: "vars.total > 2"}
  - each: "${{ vars.list }}"
    all: [{invoke: hello, data: {sku: "${{ item }}"}}]
  - each: [1, "${{ vars.total }}", {a: b}]
    all: [{invoke: hello}]
`, Options{NoLoad: true}).Plan
	s := &engine.Scope{Vars: map[string]any{"total": int64(3), "list": []any{"a", "b"}}}
	if yes, err := p.Steps[1].When(s); !yes || err != nil {
		t.Errorf("when: %v, %v", yes, err)
	}
	if yes, _ := p.Steps[1].When(&engine.Scope{Vars: map[string]any{"total": int64(1)}}); yes {
		t.Error("when holds where it should not")
	}
	if items, err := p.Steps[2].Group.Each(s); err != nil || fmt.Sprint(items) != "[a b]" {
		t.Errorf("each: %v, %v", items, err)
	}
	if items, err := p.Steps[3].Group.Each(s); err != nil || fmt.Sprint(items) != "[1 3 map[a:b]]" {
		t.Errorf("a list of its own: %v, %v", items, err)
	}
	if items, err := p.Steps[2].Group.Each(&engine.Scope{Vars: map[string]any{"list": "ab"}}); err == nil {
		t.Errorf("a text is a list: %v", items)
	}
	if b, err := p.Steps[2].Group.Members[0].Invoke.Data(&engine.Scope{Item: "a"}); err != nil || string(b) != `{"sku":"a"}` {
		t.Errorf("item: %s, %v", b, err)
	}
}

func TestEmulatorReplies(t *testing.T) {
	c := mustLoad(t, `
target:
  emulator:
    tls: true
    max_body: 1MiB
    functions:
      hello:
        reply: {code: 0, id: "${{ event.userId }}"}
        latency: {p50: 20ms, p99: 80ms}
        cold_start: 400ms
        errors: {throttled: 0.5%}
        concurrency: 100
        burst: 500/m
        timeout: 3s
        stall: {every: 5s, for: 1s}
        versions: {"4": {latency: 25ms, errors: {}}}
      text: {reply: "hi ${{ event.name }}"}
      echo: {}
steps: [{invoke: hello, qualifier: "4"}]
`, Options{NoLoad: true, Seed: 5})
	f := c.Emulator.Functions["hello"]
	if b, err := f.Reply(map[string]any{"userId": "u7"}); err != nil || string(b) != `{"code":0,"id":"u7"}` {
		t.Errorf("reply %s, %v", b, err)
	}
	if b, err := c.Emulator.Functions["text"].Reply(map[string]any{"name": "Ada"}); err != nil || string(b) != "hi Ada" {
		t.Errorf("a text goes out as %s, %v", b, err)
	}
	if c.Emulator.Functions["echo"].Reply != nil {
		t.Error("an echo has a reply")
	}
	if f.Latency.P99 != 80*time.Millisecond || f.ColdStart != 400*time.Millisecond || f.Errors["throttled"] != 0.005 || f.Concurrency != 100 ||
		f.Burst < 499.999 || f.Burst > 500.001 || f.Timeout != 3*time.Second || f.Stall.Every != 5*time.Second {
		t.Errorf("function: %+v", f)
	}
	if v := f.Versions["4"]; v.Latency.P50 != 25*time.Millisecond || v.Latency.P99 != 0 || v.Errors == nil {
		t.Errorf("version: %+v", v)
	}
	if !c.EmulatorTLS || c.Emulator.MaxBody != 1<<20 || c.Emulator.Seed != 5 {
		t.Errorf("emulator: %+v", c.Emulator)
	}
}
