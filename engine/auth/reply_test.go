package auth

import (
	"strings"
	"testing"
	"time"
)

// Whatever a reply says: a token that a header can carry and that lives, or a
// reason, and never both.
func FuzzReplies(f *testing.F) {
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"access_token":"t","refresh_token":"r","expires_in":7200}`, `{"access_token":"t","expires_in":1e9}`,
		`{"error":"captcha_required","error_code":4001,"error_description":"d"}`, `{"code":"INVALID_ENV","message":"m"}`, `{"error":{},"error_code":"x"}`,
		`{"errcode":40164,"errmsg":"invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist"}`, `{"errcode":0,"access_token":"t","expires_in":1}`, `{"errcode":"a"}`,
	} {
		f.Add(200, []byte(body))
		f.Add(400, []byte(body))
		f.Add(503, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for name, read := range map[string]func(*Answer) (token, *refusal){
			"gateway": gateway{env: "e", cure: "c"}.read, "renewal": gateway{env: "e", renews: true, cure: "c"}.read, "WeChat": readWeChat,
		} {
			got, no := read(&Answer{Status: status, Body: body})
			if no == nil {
				for _, text := range []string{got.bearer, got.refresh} {
					if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
						t.Errorf("%s: the token %q", name, text)
					}
				}
				if got.bearer == "" || got.life < time.Second || got.life > maxLife*time.Second || status/100 != 2 {
					t.Errorf("%s: status %d and a token %q that lives %v", name, status, got.bearer, got.life)
				}
				continue
			}
			if no.text == "" || no.cure == "" {
				t.Errorf("%s: a refusal without words or cure: %+v", name, no)
			}
			if shown := mask(no.code+": "+no.text, []string{string(body)}); len(shown) > maxWords+len("…") || strings.ContainsAny(shown, "\r\n\x00\x1b") {
				t.Errorf("%s: words that are too many or not plain: %q", name, shown)
			}
		}
	})
}
