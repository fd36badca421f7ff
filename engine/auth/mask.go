package auth

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	maxWords = 400 // bytes of a platform's message that an error quotes

	// minMasked is the fewest bytes of a secret that are masked where they
	// stand: shorter ones are in every other word, and the whole text goes.
	minMasked = 4
)

// secretsOf returns what is secret in q beyond the session's own secrets: the
// signature.
func secretsOf(q *Ask) (secrets []string) {
	for _, h := range q.Header {
		if strings.EqualFold(h[0], "Authorization") {
			secrets = append(secrets, h[1])
			if g, err := ParseSignature(h[1]); err == nil {
				secrets = append(secrets, g.Value)
			}
		}
	}
	return secrets
}

// mask returns text fit for an error: without the secrets, as they are or
// encoded in a common way, in one line of printable characters, and not long.
func mask(text string, secrets []string) string {
	var long []string
	for _, s := range secrets {
		switch {
		case s == "":
		case len(s) >= minMasked:
			long = append(long, forms(s)...)
		case slices.ContainsFunc(forms(s), func(f string) bool { return strings.Contains(text, f) }):
			return Mask
		}
	}
	// The longest first: one secret may be a part of another.
	slices.SortFunc(long, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, f := range long {
		text = strings.ReplaceAll(text, f, Mask)
	}
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return !unicode.IsPrint(r) }), " ")
	if len(text) > maxWords {
		text = strings.ToValidUTF8(text[:maxWords], "") + "…"
	}
	return text
}

// Forms returns the text itself and in the encodings in which it may come
// back: in URLs, in JSON and Go quotes, in hex and base64. It is for those who
// have to look for it.
func (s Secret) Forms() []string { return forms(s.text) }

func forms(secret string) []string {
	raw := []byte(secret)
	quoted, _ := json.Marshal(secret) // a string has no error
	goQuoted := strconv.Quote(secret)
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), string(quoted[1 : len(quoted)-1]), goQuoted[1 : len(goQuoted)-1], hex.EncodeToString(raw),
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
	}
}
