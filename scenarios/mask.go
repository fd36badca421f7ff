package scenarios

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"volley/engine/auth"
)

// NewMask replaces secrets in texts, as they are and as they look in URLs, in
// JSON and in base64. Of two that begin at one place it takes the longer; those
// of fewer than 4 bytes stay.
func NewMask(secrets []auth.Secret) *strings.Replacer {
	var forms []string
	for _, s := range secrets {
		v := s.Reveal()
		if len(v) < leastMasked {
			continue
		}
		forms = append(forms, v, url.QueryEscape(v), url.PathEscape(v))
		if quoted, err := json.Marshal(v); err == nil {
			forms = append(forms, string(quoted[1:len(quoted)-1]))
		}
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			forms = append(forms, e.EncodeToString([]byte(v)))
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, f := range slices.Compact(forms) {
		pairs = append(pairs, f, auth.Mask)
	}
	return strings.NewReplacer(pairs...)
}
