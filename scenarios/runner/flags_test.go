package runner

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestMasked(t *testing.T) {
	mask := func(s string) string { return strings.ReplaceAll(s, "sk-1", hidden) }
	long := strings.Repeat("é", maxFlag)
	for name, tt := range map[string]struct {
		flag        string
		value, want any
	}{
		"a plain flag stays":                        {"rate", "50/s", "50/s"},
		"a switch stays":                            {"insecure", true, true},
		"an environment loses every value":          {"e", []string{"A=1", "B=x=y"}, []string{"A=[secret]", "B=[secret]"}},
		"Authorization and Cookie lose theirs":      {"header", []string{"authorization: Bearer x", "Cookie:a=b"}, []string{"authorization: [secret]", "Cookie: [secret]"}},
		"other headers stay":                        {"header", []string{"X-Trace: 1"}, []string{"X-Trace: 1"}},
		"a setting of a secret loses it":            {"set", []string{"target.auth.api_key=k"}, []string{"target.auth.api_key=[secret]"}},
		"other settings stay":                       {"set", []string{"load.for=3s"}, []string{"load.for=3s"}},
		"a known secret is masked wherever it is":   {"data", `{"k":"sk-1"}`, `{"k":"[secret]"}`},
		"a known secret is masked in lists as well": {"threshold", []string{"p99 < sk-1"}, []string{"p99 < [secret]"}},
		"a long one is cut between characters":      {"data", long, fmt.Sprintf("%s… (%d bytes)", long[:maxFlag], len(long))},
	} {
		t.Run(name, func(t *testing.T) {
			got := masked(map[string]any{tt.flag: tt.value}, mask)
			if want := map[string]any{tt.flag: tt.want}; !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
