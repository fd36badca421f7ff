package scenarios

import (
	"cmp"
	"slices"
	"strings"

	"volley/engine/auth"
)

// NewMask replaces secrets in texts, as they are and as they look encoded. Of
// two that begin at one place it takes the longer; those of fewer than 4 bytes
// stay.
func NewMask(secrets []auth.Secret) *strings.Replacer {
	var forms []string
	for _, s := range secrets {
		if len(s.Reveal()) >= leastMasked {
			forms = append(forms, s.Forms()...)
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, f := range slices.Compact(forms) {
		pairs = append(pairs, f, auth.Mask)
	}
	return strings.NewReplacer(pairs...)
}
