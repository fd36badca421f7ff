// Package auth turns secrets into what proves who we are: tokens and
// signatures. It is the only room that holds a secret, and its types print
// as [secret] however they are printed. It does no I/O of its own.
package auth

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
)

// Mask stands wherever a secret would.
const Mask = "[secret]"

// A Secret is a text that must not be seen. It prints, formats and encodes as
// Mask; only Reveal gives the text, to what goes on the wire.
type Secret struct{ text string }

var (
	_ fmt.Formatter          = Secret{}
	_ json.Marshaler         = Secret{}
	_ encoding.TextMarshaler = Secret{}
)

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text itself.
func (s Secret) Reveal() string { return s.text }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// String returns Mask, or "" when there is no secret.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return Mask
}

// GoString returns what String returns.
func (s Secret) GoString() string { return s.String() }

// Format writes what String returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText returns what String returns.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON returns what String returns, quoted.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// A Grant is what a request is authorized with.
type Grant struct {
	Bearer Secret // goes into Authorization: Bearer (PROTOCOL.md 2.1); zero when there is none
}

// A Source hands out a grant that is valid now. It must be safe for concurrent
// use, and should make one refresh serve all who wait.
type Source interface {
	Grant(ctx context.Context) (Grant, error)
}

// Fixed is a Source of one grant that never changes: an API key, a publishable
// key, an access token made elsewhere. The zero value grants nothing, which is
// right for a target that asks for no credentials.
type Fixed struct{ G Grant }

// Grant returns the fixed grant.
func (f Fixed) Grant(context.Context) (Grant, error) { return f.G, nil }
