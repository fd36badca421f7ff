package scenarios

import (
	"regexp"
	"testing"
)

// TestHintsAreRight holds that whoever writes what a hint says is understood.
func TestHintsAreRight(t *testing.T) {
	duration := func(s string) *problem { _, p := parseDuration(s); return p }
	rate := func(s string) *problem { _, p := parseRate(s); return p }
	level := func(s string) *problem { _, p := parseLevel(s); return p }
	size := func(s string) *problem { _, p := parseSize(s); return p }
	share := func(s string) *problem { _, p := parseShare(s); return p }
	tests := []struct {
		name  string
		parse func(string) *problem
		texts []string
	}{
		{"duration", duration, []string{"10", "0.5", "-5", "1e3", "+7", "3d", "2 weeks", "99999999999999 days", "1.5 min", "1.2.3 min", "9 hrs", "500msec", "5S", "soon"}},
		{"rate", rate, []string{"200", "0.5", "-5", "1e3", "10/sec", "10/min", "10/hour", "10/", "10rps", "fast"}},
		{"level", level, []string{"2.5", "-5", "1e3", "200000", "50 workers", "50/sec", "all"}},
		{"size", size, []string{"100", "1.5", "-5", "1e3", "6 MiB", "large"}},
		{"share", share, []string{"5", "0.5", "500", "-5", "-5%", "1e3", "half"}},
	}
	for _, tt := range tests {
		for _, text := range tt.texts {
			p := tt.parse(text)
			if p == nil {
				t.Errorf("%s %q is read", tt.name, text)
				continue
			}
			said := regexp.MustCompile(`[-+]?[0-9][^ ,;)]*`).FindAllString(p.fix, -1)
			if len(said) == 0 {
				t.Errorf("%s %q: the hint has no example: %s", tt.name, text, p.fix)
			}
			for _, s := range said {
				if again := tt.parse(s); again != nil || s[0] == '-' {
					t.Errorf("%s %q: the hint is %q, and %q is refused", tt.name, text, p.fix, s)
				}
			}
		}
	}
}
