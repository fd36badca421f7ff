package auth_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"volley/engine/auth"
)

// However a secret is printed, alone or inside other values, its text stays in.
func TestSecretNeverShows(t *testing.T) {
	const text = "sk-live-0123456789"
	s := auth.NewSecret(text)
	g := auth.Grant{Bearer: s}
	asJSON, err := json.Marshal(map[string]any{"s": s, "g": g, "p": &g})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{
		"%v": fmt.Sprintf("%v", s), "%+v": fmt.Sprintf("%+v", g), "%#v": fmt.Sprintf("%#v", g),
		"%s": fmt.Sprintf("%s", s), "%q": fmt.Sprintf("%q", s), "%x": fmt.Sprintf("%x", s), "%d": fmt.Sprintf("%d", s),
		"pointer": fmt.Sprintf("%+v", &g), "json": string(asJSON), "error": fmt.Errorf("token %v: %w", s, fmt.Errorf("%#v", s)).Error(),
		"fixed": fmt.Sprintf("%#v", auth.Fixed{G: g}),
	}
	hexed := fmt.Sprintf("%x", text)
	for how, got := range shown {
		if strings.Contains(got, text) || strings.Contains(got, hexed) {
			t.Errorf("%s shows the secret: %s", how, got)
		}
		if !strings.Contains(got, auth.Mask) {
			t.Errorf("%s = %q, want it to hold %s", how, got, auth.Mask)
		}
	}
	if got := fmt.Sprint(auth.Secret{}); got != "" {
		t.Errorf("no secret prints as %q, want nothing", got)
	}
}
