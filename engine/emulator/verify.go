package emulator

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"volley/engine/auth"
)

// How long after its making a signature is good. Variant A says it in
// X-Signature-Expires, which may shorten it; for B nothing is documented, and
// A's is taken; for C it is the cloud API's rule. A clock that is ahead may be
// so by clockSkew.
const (
	signatureLife      = 10 * time.Minute
	cloudSignatureLife = 5 * time.Minute
	clockSkew          = 5 * time.Minute
)

// OpenKeys returns the secret id and key that signatures are checked with where
// Config.Keys is empty. They open no door but an emulator's.
func OpenKeys() (id, key string) {
	return "AKIDvolleyEmulatorOpenForEverybody00", "volleyEmulatorOpenForEverybody00"
}

// A flaw is what is wrong with a signature.
type flaw int

const (
	flawless     flaw = iota
	noSignature       // there is none, or not in its form
	unknownID         // nobody has the secret id
	late              // too old, or from the future
	wrongSession      // the session token is not the id's
	mismatch          // it does not fit the request
)

// signedBy reports whether the Authorization is a signature, in any variant.
func signedBy(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "TC3-HMAC-SHA256")
}

// verifyGateway checks a signature of variant B over r and its whole body
// (PROTOCOL.md 9). It returns the platform's code and message; nothing where
// the signature is right.
func (s *Server) verifyGateway(r *http.Request, body []byte) (code, message string) {
	g, err := auth.ParseSignature(r.Header.Get("Authorization"))
	if err != nil {
		return noSignature.platform()
	}
	p := signable(r, g)
	p.Body = body
	return s.verify(r, g, "tcb", g.Timestamp, g.Token, signatureLife, func(k auth.Keys, at time.Time) string {
		return auth.SignGateway(k, at, p)
	}).platform()
}

// verifyAdmin checks a signature of variant A over r and the fields of its
// body, values as text; session is the token in the body. It returns the
// platform's code and message; nothing where the signature is right.
func (s *Server) verifyAdmin(r *http.Request, params [][2]string, session string) (code, message string) {
	g, err := auth.ParseSignature(r.Header.Get("Authorization"))
	if err != nil || !listed(params, g.Params) {
		return noSignature.platform()
	}
	at, err := strconv.ParseInt(r.Header.Get("X-Timestamp"), 10, 64)
	if err != nil {
		return noSignature.platform()
	}
	life := signatureLife
	if text := r.Header.Get("X-Signature-Expires"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil || seconds <= 0 {
			return noSignature.platform()
		}
		life = min(life, time.Duration(seconds)*time.Second)
	}
	p := signable(r, g)
	p.Params = params
	return s.verify(r, g, "tcb", at, session, life, func(k auth.Keys, at time.Time) string {
		return auth.SignAdmin(k, at, p)
	}).platform()
}

// verifyCloudAPI checks a signature of variant C for a service over r and its
// whole body. It returns the cloud API's code and message; nothing where the
// signature is right.
func (s *Server) verifyCloudAPI(r *http.Request, body []byte, service string) (code, message string) {
	g, err := auth.ParseSignature(r.Header.Get("Authorization"))
	if err != nil {
		return noSignature.cloud()
	}
	at, err := strconv.ParseInt(r.Header.Get("X-Tc-Timestamp"), 10, 64)
	if err != nil {
		return noSignature.cloud()
	}
	p := signable(r, g)
	p.Body = body
	return s.verify(r, g, service, at, r.Header.Get("X-Tc-Token"), cloudSignatureLife, func(k auth.Keys, at time.Time) string {
		return auth.SignCloudAPI(k, service, at, p)
	}).cloud()
}

// verify is what the variants share. The host is always signed anew, so that a
// signature that leaves it out does not fit.
func (s *Server) verify(r *http.Request, g auth.Signature, service string, stamp int64, session string, life time.Duration, sign func(auth.Keys, time.Time) string) flaw {
	if g.Service != service {
		return noSignature
	}
	at := time.Unix(stamp, 0)
	if age := time.Since(at); age > life || age < -clockSkew {
		return late
	}
	if at.UTC().Format(time.DateOnly) != g.Date {
		return noSignature
	}
	key, ok := s.keys[g.ID]
	if !ok {
		return unknownID
	}
	want, err := auth.ParseSignature(sign(auth.Keys{ID: auth.NewSecret(g.ID), Key: key.secret}, at))
	if err != nil || !same(want.Value, g.Value) || !slices.Equal(want.Headers, g.Headers) {
		return mismatch
	}
	if !same(session, key.session.Reveal()) {
		return wrongSession
	}
	return flawless
}

// A secretKey is what belongs to a secret id.
type secretKey struct{ secret, session auth.Secret }

func newKeys(keys, sessions map[string]string) map[string]secretKey {
	if len(keys) == 0 {
		id, key := OpenKeys()
		keys = map[string]string{id: key}
	}
	known := make(map[string]secretKey, len(keys))
	for id, key := range keys {
		known[id] = secretKey{auth.NewSecret(key), auth.NewSecret(sessions[id])}
	}
	return known
}

// signable returns the parts of r that g says it covers.
func signable(r *http.Request, g auth.Signature) auth.Signable {
	p := auth.Signable{Verb: r.Method, Host: r.Host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery}
	for _, name := range g.Headers {
		p.Header = append(p.Header, [2]string{name, strings.Join(headerOf(r, name), ", ")})
	}
	return p
}

// headerOf returns the values of a header, of those that net/http takes away, too.
func headerOf(r *http.Request, name string) []string {
	switch name {
	case "host":
		return []string{r.Host}
	case "content-length":
		return []string{strconv.FormatInt(r.ContentLength, 10)}
	}
	return r.Header.Values(name)
}

// listed reports whether names are those of params: all that are not empty, as
// node-sdk 3 lists them, and as many of the others as there may be, as 2 does.
// Names that differ in case alone are one in the signature, but not in the
// body: nobody sends them honestly.
func listed(params [][2]string, names []string) bool {
	known := make(map[string]bool, len(params))
	for _, p := range params {
		name := strings.ToLower(p[0])
		if known[name] || strings.TrimSpace(p[1]) != "" && !slices.Contains(names, name) {
			return false
		}
		known[name] = true
	}
	return !slices.ContainsFunc(names, func(name string) bool { return !known[name] })
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// platform names the flaw as the gateway and /admin do. Which code comes with
// which flaw is not documented; those of PROTOCOL.md 1.5 are used.
func (f flaw) platform() (code, message string) {
	switch f {
	case flawless:
		return "", ""
	case noSignature:
		return codeSignature, "the signature is not in its form, or leaves out what must be signed"
	case late:
		return codeSignature, "the signature has expired, or its time is not now"
	case unknownID:
		return codeCredentials, "invalid credentials: the secret id is not found"
	case wrongSession:
		return codeCredentials, "invalid credentials: the session token is not the secret id's"
	}
	return codeSignature, "the signature does not fit the request"
}

// cloud names the flaw as the cloud API does (its common error codes).
func (f flaw) cloud() (code, message string) {
	switch f {
	case flawless:
		return "", ""
	case late:
		return "AuthFailure.SignatureExpire", "The provided signature has expired: its timestamp is more than five minutes from the server's time."
	case unknownID:
		return "AuthFailure.SecretIdNotFound", "The SecretId is not found, please ensure that your SecretId is correct."
	case wrongSession:
		return "AuthFailure.TokenFailure", "The token is not correct."
	}
	return "AuthFailure.SignatureFailure", "The provided credentials could not be validated. Please check your signature is correct."
}
