package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"volley/engine/auth"
	"volley/scenarios"
)

// What is kept of a long text may end in the middle of a secret: that half is
// hidden, too, and nothing else is.
func TestMasking(t *testing.T) {
	const key = "hush-0123456789-abcdefghij"
	token := "hush-0123-token-" + strings.Repeat("0123456789", 90)
	env := func(name string) (string, bool) { return key, name == "KEY" }
	load := func(how string) *scenarios.Compiled {
		c, err := scenarios.Load("x.yaml", fmt.Appendf(nil, "target: {env: e-1, region: ap-shanghai, auth: %s}\nload: {workers: 1, for: 1s}\nsteps: [{invoke: hello}, {invoke: hello, qualifier: '2'}]\n", how), scenarios.Options{Env: env})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	fixed, session := load("{api_key: '${KEY}'}"), load("{anonymous: true}")
	if _, err := session.Plan.Steps[0].Invoke.Target.Auth.Grant(t.Context(), func(context.Context, *auth.Ask) (*auth.Answer, error) {
		return &auth.Answer{Status: 200, Body: fmt.Appendf(nil, `{"access_token":%q,"expires_in":60}`, token)}, nil
	}); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("hush ", 40)
	for _, tt := range []struct {
		name       string
		c          *scenarios.Compiled
		text, want string
	}{
		{"a secret of the scenario", fixed, "is " + key + ".", "is [secret]."},
		{"a token", session, "is " + token + ".", "is [secret]."},
		{"a token in the middle of much", session, long + token + long, long + "[secret]" + long},
		{"half a secret at the end", fixed, long + key[:20], long + "[secret]"},
		{"all of it but a letter", fixed, long + key[:len(key)-1], long + "[secret]"},
		{"half a token at the end", session, long + token[:700], long + "[secret]"},
		{"half a token behind another half", session, long + token[:50] + token[:50], long + token[:50] + "[secret]"},
		{"too little to be one", fixed, long + key[:7], long + key[:7]},
		{"half a secret that goes on otherwise", fixed, long + key[:20] + "!", long + key[:20] + "!"},
		{"a short text, of which nothing was cut off", fixed, "hush-0123", "hush-0123"},
	} {
		if got := masking(tt.c, tt.c.Plan)(tt.text); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestProxyVariableIsNotShown(t *testing.T) {
	if _, err := unquoted(nil, errors.New(`invalid proxy address "http://me:hush@bad host"`)); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}
