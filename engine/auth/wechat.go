package auth

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// weChatLife is the longest that a token of WeChat lives, whatever its reply
// says (PROTOCOL.md 6).
const weChatLife = 7200 * time.Second

// WeChat returns a session of a mini program's server (PROTOCOL.md 6). It asks
// for a stable token, which leaves those of others alone, and never forces a
// new one. legacy asks by GET /cgi-bin/token instead, which ends the tokens of
// every other consumer.
func WeChat(base string, appID, appSecret Secret, legacy bool) *Session {
	s, _ := newSession(base, appID, appSecret)
	s.signIn = &way{
		what: "ask WeChat for a stable token",
		ask: func(string) *Ask {
			return post(base+"/cgi-bin/stable_token", "", struct {
				GrantType    string `json:"grant_type"`
				AppID        string `json:"appid"`
				Secret       string `json:"secret"`
				ForceRefresh bool   `json:"force_refresh"`
			}{"client_credential", appID.Reveal(), appSecret.Reveal(), false})
		},
		read: readWeChat,
	}
	if legacy {
		s.signIn.what = "ask WeChat for a token"
		s.signIn.ask = func(string) *Ask {
			return &Ask{Verb: "GET", URL: base + "/cgi-bin/token?grant_type=client_credential&appid=" +
				url.QueryEscape(appID.Reveal()) + "&secret=" + url.QueryEscape(appSecret.Reveal())}
		}
	}
	return s
}

// readWeChat takes a reply apart. Its status is 200 also for errors.
func readWeChat(a *Answer) (token, *refusal) {
	var r struct {
		AccessToken string          `json:"access_token"`
		ExpiresIn   json.RawMessage `json:"expires_in"`
		Code        json.RawMessage `json:"errcode"`
		Message     json.RawMessage `json:"errmsg"`
	}
	trouble := decode(a, &r)
	code := plain(r.Code)
	if trouble == nil && code != "" {
		return token{}, weChatRefusal(code, plain(r.Message))
	}
	if a.Status/100 != 2 {
		status := strconv.Itoa(a.Status)
		if a.Status >= 500 {
			return token{}, &refusal{text: "status " + status, again: true, cure: "WeChat is failing: try again later"}
		}
		return token{}, &refusal{text: "status " + status, cure: "check the address: it should be that of https://api.weixin.qq.com"}
	}
	if trouble != nil {
		return token{}, trouble
	}
	t := token{bearer: r.AccessToken}
	no := t.check(r.ExpiresIn)
	t.life = min(t.life, weChatLife)
	return t, no
}

// weChatRefusal says what an errcode of WeChat's token endpoints means.
func weChatRefusal(code, message string) *refusal {
	no := &refusal{code: code, text: firstOf(message, "no words of WeChat's")}
	switch code {
	case "-1", "-1000":
		no.again, no.cure = true, "WeChat is busy: try again later"
	case "40164":
		no.cure = fmt.Sprintf("add %s to the list of allowed IPs in the console of WeChat (mp.weixin.qq.com, development settings)", addressIn(message))
	case "40013", "41002":
		no.cure = "check the app id: it is that of the mini program, and begins with wx"
	case "40001", "40125", "41004":
		no.cure = "check the app secret: it must be the one of this app id, and making a new one in the console of WeChat ends the old"
	case "45009", "45011":
		no.text += " (WeChat's limit on how often one may ask for a token)"
		no.cure = "wait until the quota is there again (45011: a minute; 45009: a day), and ask less often"
	default:
		no.cure = "look the errcode up in WeChat's list of global error codes"
	}
	return no
}

// addressIn returns the IP address that a message names.
func addressIn(message string) string {
	for _, word := range strings.FieldsFunc(message, func(r rune) bool { return r == ' ' || r == ',' || r == ';' }) {
		if ip, err := netip.ParseAddr(word); err == nil {
			return ip.String()
		}
	}
	return "the address that this machine calls from"
}
