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

// A Grant is what a request is authorized with: a token, or keys to sign it
// with. The zero value grants nothing, which is right for a target that asks
// for no credentials.
type Grant struct {
	Bearer Secret // Authorization: Bearer, or access_token where a method has it elsewhere (PROTOCOL.md 2.1)
	Keys   Keys   // to sign with (PROTOCOL.md 9)
}

// IsZero reports whether g grants nothing.
func (g Grant) IsZero() bool { return g.Bearer.IsZero() && g.Keys.IsZero() }

// Keys are cloud credentials, which requests are signed with. Session is the
// token of temporary ones; zero for those that last.
type Keys struct{ ID, Key, Session Secret }

// IsZero reports whether there are no keys.
func (k Keys) IsZero() bool { return k.ID.IsZero() && k.Key.IsZero() }

// A Source hands out a grant that is valid now. It must be safe for concurrent
// use, and makes one refresh serve all who wait. One that has a method
// Accepted(Grant), too, is told when the platform took a grant.
type Source interface {
	// Grant returns a grant, which it may have to ask for. An error that cannot
	// be mended by asking again is an *Error with Fatal set, and every later
	// call returns it at once.
	Grant(ctx context.Context, ask Exchange) (Grant, error)

	// Refused says that the platform refused g as expired or superseded. It
	// reports whether Grant can give another: a token made elsewhere stays what
	// it is.
	Refused(g Grant) bool
}

// An Exchange sends one request to where tokens are made, and reads its whole
// reply. An error means that no reply came.
type Exchange func(ctx context.Context, q *Ask) (*Answer, error)

// An Ask is a request to where tokens are made. All of it may be secret.
type Ask struct {
	Verb   string
	URL    string
	Header [][2]string // name and value
	Body   []byte
}

// An Answer is the reply to an Ask.
type Answer struct {
	Status int
	Body   []byte
}

// An Error says why there is no grant, and what to do about it. It has no
// secret in it.
type Error struct {
	What  string // such as "sign in at e-1.api.tcloudbasegateway.com: invalid_password: wrong name or password"
	Code  string // the platform's code, if it gave one
	Cure  string // what to do about it
	Fatal bool   // asking again does not help
}

func (e *Error) Error() string { return e.What }

// Hint returns what to do about it.
func (e *Error) Hint() string { return e.Cure }

// Fixed is a Source of one grant that never changes: an API key, a publishable
// key, an access token made elsewhere, keys to sign with.
type Fixed struct{ G Grant }

// Grant returns the fixed grant.
func (f Fixed) Grant(context.Context, Exchange) (Grant, error) { return f.G, nil }

// Refused reports false: there is no other.
func (f Fixed) Refused(Grant) bool { return false }
