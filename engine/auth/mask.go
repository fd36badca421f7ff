package auth

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
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
	var forms []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		if len(s) < minMasked {
			if strings.Contains(text, s) {
				return Mask
			}
			continue
		}
		quoted, _ := json.Marshal(s) //nolint:errcheck // a string has no error
		forms = append(forms, s, url.QueryEscape(s), url.PathEscape(s), string(quoted[1:len(quoted)-1]), hex.EncodeToString([]byte(s)))
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			forms = append(forms, e.EncodeToString([]byte(s)))
		}
	}
	// The longest first: one secret may be a part of another.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, f := range forms {
		text = strings.ReplaceAll(text, f, Mask)
	}
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return !unicode.IsPrint(r) }), " ")
	if len(text) > maxWords {
		text = strings.ToValidUTF8(text[:maxWords], "") + "…"
	}
	return text
}
