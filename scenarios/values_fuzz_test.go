package scenarios

import (
	"math"
	"testing"
	"time"
)

// Whatever text stands where a value is wanted: it is read, or refused with
// what is wrong and what to write; and what was read is written so that it
// reads as the same again.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"200/s", "0.5/m", "1e3/h", "12000/m", "1m30s", "100ms-300ms", "6MiB", "1.5KB", "0.1%", "100%", "-1/s", "NaN/s", "1e400/s",
		"99999999999999999999/h", "9223372036854775807ns", "1h-1m", "5", "", "/s", "%", "١/s", "0x10/s", "1_000/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		refused := func(what string, p *problem) bool {
			if p != nil && (p.what == "" || p.fix == "") {
				t.Errorf("%s %q is refused without a word: %+v", what, s, *p)
			}
			return p != nil
		}
		if r, p := parseRate(s); !refused("rate", p) {
			again, p := parseRate(Rate(r).String())
			if p != nil || math.Abs(again-r) > 1e-9*r || r < 0 || math.IsInf(r, 0) || math.IsNaN(r) {
				t.Errorf("rate %q is %g, written %q, read %g (%v)", s, r, Rate(r), again, p)
			}
		}
		if d, p := parseDuration(s); !refused("duration", p) {
			if again, p := parseDuration(Duration(d).String()); p != nil || again != d {
				t.Errorf("duration %q is %v, written %q, read %v", s, d, Duration(d), again)
			}
		}
		if n, p := parseSize(s); !refused("size", p) {
			if again, p := parseSize(Size(n).String()); p != nil || again != n || n < 0 {
				t.Errorf("size %q is %d, written %q, read %d", s, n, Size(n), again)
			}
		}
		if x, p := parseShare(s); !refused("share", p) {
			if again, p := parseShare(Share(x).String()); p != nil || math.Abs(again-x) > 1e-9 || x < 0 || x > 1 {
				t.Errorf("share %q is %g, written %q, read %g", s, x, Share(x), again)
			}
		}
		if v, p := parseSpan(s); !refused("span", p) {
			if again, p := parseSpan(v.String()); p != nil || again != v || v.Max < v.Min || v.Max > Duration(math.MaxInt64*time.Nanosecond) {
				t.Errorf("span %q is %v, written %q, read %v", s, v, v, again)
			}
		}
	})
}
