package auth

import (
	"bufio"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	algorithm  = "TC3-HMAC-SHA256"
	terminator = "tc3_request"

	// maxAuthorization is the longest Authorization value that ParseSignature
	// takes apart: servers commonly refuse headers of more than this.
	maxAuthorization = 64 << 10
)

// A Signable is the plain parts of a request that a signature covers
// (PROTOCOL.md 9). Host is signed as the header line host, unless Header has
// one. Text beyond ASCII is put into lower case letter by letter.
type Signable struct {
	Verb, Host, Path, Query string      // path escaped, query raw: as they are on the wire
	Header                  [][2]string // the header lines to sign, in any order; of one name the last
	Body                    []byte      // of variants B and C
	Params                  [][2]string // of variant A: the body's fields, values as text: a string as it is, all else as JSON
	AllParams               bool        // variant A as node-sdk 2 does it: SignedParams lists the empty ones, too
}

// SignAdmin returns the Authorization value of a request to /admin: variant A
// of PROTOCOL.md 9. The request also carries at, in seconds, as X-Timestamp,
// and the token of temporary keys as a field of its body.
func SignAdmin(k Keys, at time.Time, s Signable) string {
	payload, signed := s.params()
	return sign(k, "tcb", at, &s, strings.ToLower(s.Verb), "//"+s.Host+s.Path, payload, ", SignedParams="+strings.Join(signed, ";"))
}

// SignGateway returns the Authorization value of a request to /v1 or /auth,
// which ends in the time and the token of temporary keys: variant B of
// PROTOCOL.md 9.
func SignGateway(k Keys, at time.Time, s Signable) string {
	value := sign(k, "tcb", at, &s, strings.ToUpper(s.Verb), s.Path, sha256.Sum256(s.Body), "") +
		", Timestamp=" + strconv.FormatInt(at.Unix(), 10)
	if !k.Session.IsZero() {
		value += ", Token=" + k.Session.Reveal()
	}
	return value
}

// SignCloudAPI returns the Authorization value of a request to the API of a
// service, such as "scf": variant C of PROTOCOL.md 9. The request also carries
// at, in seconds, as X-TC-Timestamp, and the token of temporary keys as
// X-TC-Token.
func SignCloudAPI(k Keys, service string, at time.Time, s Signable) string {
	return sign(k, service, at, &s, strings.ToUpper(s.Verb), s.Path, sha256.Sum256(s.Body), "")
}

// sign is what the variants share; part goes between Credential and SignedHeaders.
func sign(k Keys, service string, at time.Time, s *Signable, verb, path string, payload [sha256.Size]byte, part string) string {
	date := at.UTC().Format(time.DateOnly)
	request, names := s.request(verb, path, payload)
	hashed := sha256.Sum256(request)

	// The request has been hashed: its room serves for the text to sign, then
	// for the value itself.
	b := append(request[:0], algorithm...)
	b = append(b, '\n')
	b = strconv.AppendInt(b, at.Unix(), 10)
	b = append(b, '\n')
	b = appendScope(b, date, service)
	b = append(b, '\n')
	b = hex.AppendEncode(b, hashed[:])
	signature := mac(derive(k.Key.Reveal(), date, service), b)

	b = append(b[:0], algorithm...)
	b = append(b, " Credential="...)
	b = append(b, k.ID.Reveal()...)
	b = append(b, '/')
	b = appendScope(b, date, service)
	b = append(b, part...)
	b = append(b, ", SignedHeaders="...)
	b = append(b, names...)
	b = append(b, ", Signature="...)
	return string(hex.AppendEncode(b, signature))
}

func appendScope(b []byte, date, service string) []byte {
	b = append(b, date...)
	b = append(b, '/')
	b = append(b, service...)
	return append(b, "/"+terminator...)
}

// derive returns the key that signs all requests of one UTC day to a service.
// Four hashes of short texts are too cheap to be kept for later.
func derive(key, date, service string) []byte {
	return mac(mac(mac([]byte("TC3"+key), []byte(date)), []byte(service)), []byte(terminator))
}

func mac(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// request returns the canonical request, and the names of the headers in it.
func (s *Signable) request(verb, path string, payload [sha256.Size]byte) (request []byte, names string) {
	lines := append(make([][2]string, 0, len(s.Header)+1), [2]string{"host", s.Host})
	lines = canonical(append(lines, s.Header...), true)

	b := make([]byte, 0, 1024)
	b = append(b, verb...)
	b = append(b, '\n')
	b = append(b, path...)
	b = append(b, '\n')
	b = append(b, s.Query...)
	b = append(b, '\n')
	for _, l := range lines {
		b = append(b, l[0]...)
		b = append(b, ':')
		b = append(b, l[1]...)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	from := len(b)
	for i, l := range lines {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, l[0]...)
	}
	names = string(b[from:])
	b = append(b, '\n')
	return hex.AppendEncode(b, payload[:]), names
}

// params returns the hash of the body's fields that are not empty, and the
// names of those that SignedParams lists. A GET has no body to sign.
func (s *Signable) params() (payload [sha256.Size]byte, signed []string) {
	h := sha256.New()
	if !strings.EqualFold(s.Verb, "GET") {
		signed = s.hashParams(h)
	}
	return [sha256.Size]byte(h.Sum(nil)), signed
}

func (s *Signable) hashParams(h hash.Hash) (signed []string) {
	w := bufio.NewWriterSize(h, 1024) // spares a copy of a large field
	for _, p := range canonical(s.Params, false) {
		if p[1] != "" || s.AllParams {
			signed = append(signed, p[0])
		}
		if p[1] != "" {
			w.WriteByte('&')
			w.WriteString(p[0])
			w.WriteByte('=')
			w.WriteString(p[1])
			w.WriteString("\r\n")
		}
	}
	w.Flush() //nolint:errcheck // a hash takes everything
	return signed
}

// canonical returns a copy of pairs with names and values as they are signed,
// in the order of the names; of those that are then the same, the last stands.
// It does what @cloudbase/signature-nodejs 2.2.0 does, oddities included.
func canonical(pairs [][2]string, lowerValues bool) [][2]string {
	out := make([][2]string, 0, len(pairs))
	for _, p := range pairs {
		if p[0] == "" {
			continue
		}
		name, value := escape(trim(lower(p[0]))), p[1]
		switch {
		case name != "content-type":
			value = trim(value)
			if lowerValues {
				value = lower(value)
			}
		case strings.HasPrefix(value, "multipart/form-data"):
			value = "multipart/form-data" // its boundary is not known when the vendor signs
		}
		out = append(out, [2]string{name, value})
	}
	slices.SortStableFunc(out, func(a, b [2]string) int { return collate(a[0], b[0]) })
	last := out[:0]
	for i, p := range out {
		if i+1 == len(out) || out[i+1][0] != p[0] {
			last = append(last, p)
		}
	}
	return last
}

// trim cuts off what JavaScript's trim does: white space and byte order marks,
// but not the control character U+0085.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return r == '\uFEFF' || r != '\u0085' && unicode.IsSpace(r)
	})
}

// lower differs from strings.ToLower in the one letter whose lower case is two.
func lower(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "\u0130", "i\u0307"))
}

// escape escapes all bytes of a name but letters, digits and "-_.~".
func escape(name string) string {
	plain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0
	}
	clean := true
	for i := range len(name) {
		clean = clean && plain(name[i])
	}
	if clean {
		return name
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, 3*len(name))
	for i := range len(name) {
		if c := name[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

// collate compares two escaped names as localeCompare does, by the order of the
// Unicode Collation Algorithm: "_" before "-", both before digits and letters.
func collate(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			if c := cmp.Compare(weight(a[i]), weight(b[i])); c != 0 {
				return c
			}
		}
	}
	return cmp.Compare(len(a), len(b))
}

// weight gives the place of a byte that escape may leave. Letters have none of
// their own when large: these stand only behind "%", where no small ones do.
func weight(c byte) int {
	if i := strings.IndexByte("_-.%~", c); i >= 0 {
		return i
	}
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return int(c)
}

// A Signature is an Authorization value taken apart, to be checked by who
// knows the key (PROTOCOL.md 9).
type Signature struct {
	ID, Date, Service string   // of Credential
	Value             string   // the signature itself, in hexadecimal digits
	Headers           []string // what is signed, by name
	Params            []string // of variant A
	Timestamp         int64    // in seconds, of variant B; 0 where it travels elsewhere
	Token             string   // of temporary keys, in variant B
}

// ParseSignature takes an Authorization value apart. It wants each part once
// at most, those that every variant has, and nothing that it does not know.
func ParseSignature(authorization string) (Signature, error) {
	var g Signature
	if len(authorization) > maxAuthorization {
		return g, fmt.Errorf("a signature of %d bytes: at most %d are read", len(authorization), maxAuthorization)
	}
	rest, ok := strings.CutPrefix(authorization, algorithm+" ")
	if !ok {
		return g, fmt.Errorf("no signature: it does not start with %s", algorithm)
	}
	seen := map[string]bool{}
	for rest != "" {
		var part string
		rest = strings.TrimLeft(rest, " ")
		if strings.HasPrefix(rest, "Token=") { // the last, and it may hold anything
			part, rest = rest, ""
		} else {
			part, rest, _ = strings.Cut(rest, ",")
		}
		name, value, _ := strings.Cut(part, "=")
		if err := g.set(name, strings.TrimRight(value, " ")); err != nil {
			return Signature{}, err
		}
		if seen[name] {
			return Signature{}, fmt.Errorf("a signature with %s twice", name)
		}
		seen[name] = true
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if !seen[name] {
			return Signature{}, fmt.Errorf("a signature without %s", name)
		}
	}
	return g, nil
}

// set takes in one part. What its errors quote is no secret.
func (g *Signature) set(name, value string) (err error) {
	switch name {
	case "Credential":
		// An id may hold slashes; the scope behind it does not.
		parts := strings.Split(value, "/")
		n := len(parts)
		if n < 4 || parts[n-1] != terminator {
			return fmt.Errorf("a signature's Credential is not ID/DATE/SERVICE/%s", terminator)
		}
		g.ID, g.Date, g.Service = strings.Join(parts[:n-3], "/"), parts[n-3], parts[n-2]
		if g.ID == "" || g.Service == "" {
			return fmt.Errorf("a signature's Credential lacks its id or its service")
		}
		if _, err := time.Parse(time.DateOnly, g.Date); err != nil {
			return fmt.Errorf("a signature's date %.20q is not YYYY-MM-DD", g.Date)
		}
	case "SignedHeaders":
		g.Headers = list(value)
	case "SignedParams":
		g.Params = list(value)
	case "Signature":
		if raw, err := hex.DecodeString(value); err != nil || len(raw) != sha256.Size {
			return fmt.Errorf("a signature's value is not %d hexadecimal digits", 2*sha256.Size)
		}
		g.Value = value
	case "Timestamp":
		if g.Timestamp, err = strconv.ParseInt(value, 10, 64); err != nil || g.Timestamp <= 0 {
			return fmt.Errorf("a signature's Timestamp %.20q is not a number of seconds", value)
		}
	case "Token":
		g.Token = value
	default:
		return errors.New("a signature with a part that is none of Credential, SignedParams, SignedHeaders, Signature, Timestamp, Token")
	}
	return nil
}

// list splits a list of names. An empty one has no names, not one empty name.
func list(value string) []string {
	if value == "" {
		return nil
	}
	return strings.Split(value, ";")
}
