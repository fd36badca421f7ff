package runner_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"volley/engine/emulator"
	"volley/scenarios"
	"volley/scenarios/runner"
)

// Invoke signs in, invokes once, renews a token that is refused, and ends with
// what scripts can tell apart.
func TestInvoke(t *testing.T) {
	const wrong = `{"error":"invalid_password","error_description":"not you"}`
	const asksLeave = "preflight "
	tests := []struct {
		name      string
		function  emulator.Function
		refusal   string
		hangs     bool
		code      int
		out, told string
	}{
		{"a reply", emulator.Function{}, "", false, 0, `{"a":1}`, "outcome   ok, status 200"},
		{"a function that fails", emulator.Function{Errors: map[string]float64{"function_error": 1}}, "", false, 1, "", "outcome   function_error"},
		{"a token that is refused", emulator.Function{Errors: map[string]float64{"token_expired": 1}}, "", false, 1, "", "attempts  2, one of them with a new token"},
		{"a page of another origin", emulator.Function{}, "", false, -1, "", asksLeave},
		{"no credentials", emulator.Function{}, wrong, false, 115, "", ""},
		{"somebody who does not wait", emulator.Function{}, "", true, 105, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, at := newTollgate(t, emulator.Config{Functions: map[string]emulator.Function{"hello": tt.function}}, "")
			g.refuse(tt.refusal)
			stop, over := make(chan struct{}), make(chan struct{})
			defer close(over)
			if tt.hangs {
				g.hang = over
				defer time.AfterFunc(200*time.Millisecond, func() { close(stop) }).Stop()
			}
			var out, told bytes.Buffer
			p := &runner.Process{In: strings.NewReader(""), Out: &out, Err: runner.NewConsole(&told), Version: "test", Stop: stop,
				Env: func(string) (string, bool) { return "", false }}
			body := `{"a":1}`
			how := ""
			if tt.told == asksLeave {
				how = ", method: web, web: {origin: \"https://app.example\", preflight: true}"
			}
			source := runner.Source{File: writeScenario(t, fmt.Sprintf("target: {env: my-env, endpoint: %q, auth: {anonymous: true, endpoint: %q}%s}\nsteps: [{invoke: hello}]\n", at, at, how)),
				NoLoad: true, Flags: scenarios.Flags{Body: &body}}
			c, err := p.Load(source)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			err = p.Invoke(t.Context(), c, source)
			exit, _ := errors.AsType[runner.ExitError](err)
			if exit.Code != tt.code && tt.code >= 0 || time.Since(began) > 4*time.Second {
				t.Errorf("exit code %d, %v, after %v; want %d", exit.Code, err, time.Since(began), tt.code)
			}
			if !strings.Contains(out.String(), tt.out) || !strings.Contains(told.String(), tt.told) {
				t.Errorf("on standard output\n%s\non standard error\n%s\nwant %q and %q", &out, &told, tt.out, tt.told)
			}
			if tt.refusal != "" && (!strings.Contains(err.Error(), "not you") || out.Len() > 0) {
				t.Errorf("%v, and %q on standard output; want why, and nothing", err, &out)
			}
		})
	}
}

// TestInvokeTellsAll holds that a reply that no check looks at is told whole.
func TestInvokeTellsAll(t *testing.T) {
	_, at := newTollgate(t, emulator.Config{Functions: map[string]emulator.Function{"hello": {}}}, "")
	body := `{"a":"` + strings.Repeat("x", 100_000) + `"}`
	for _, method := range []string{"http-api"} {
		var out, told bytes.Buffer
		p := &runner.Process{In: strings.NewReader(""), Out: &out, Err: runner.NewConsole(&told), Version: "test", Stop: make(chan struct{}),
			Env: func(string) (string, bool) { return "", false }}
		source := runner.Source{File: writeScenario(t, fmt.Sprintf("target: {env: my-env, endpoint: %q, method: %s, auth: {anonymous: true, endpoint: %q}}\nsteps: [{invoke: hello}]\n", at, method, at)),
			NoLoad: true, Flags: scenarios.Flags{Body: &body}}
		c, err := p.Load(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Invoke(t.Context(), c, source); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		if !strings.Contains(out.String(), body) {
			t.Errorf("%s: %d bytes are told of a reply of %d; on standard error %s", method, out.Len(), len(body), &told)
		}
	}
}
