package auth_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine/auth"
)

func weChat() *auth.Session {
	return auth.WeChat("https://api.weixin.qq.com", auth.NewSecret("wx0123456789"), auth.NewSecret("0123456789abcdef"), false)
}

func TestWeChatRefusalsNameTheCure(t *testing.T) {
	for _, row := range []struct {
		name, body       string
		status           int
		asked            int
		what, cure, code string
	}{
		{"an address that is not allowed", `{"errcode":40164,"errmsg":"invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 65f"}`, 200, 1, "40164: invalid ip 203.0.113.9", "add 203.0.113.9 to the list", "40164"},
		{"an address that is not named", `{"errcode":40164,"errmsg":"not in whitelist"}`, 200, 1, "40164: not in whitelist", "add the address that this machine calls from", "40164"},
		{"a wrong app id", `{"errcode":40013,"errmsg":"invalid appid rid: 1"}`, 200, 1, "ask WeChat for a stable token at api.weixin.qq.com: 40013: invalid appid rid: 1", "check the app id", "40013"},
		{"a wrong secret", `{"errcode":40125,"errmsg":"invalid appsecret"}`, 200, 1, "40125", "check the app secret", "40125"},
		{"a secret of another app", `{"errcode":40001,"errmsg":"invalid credential"}`, 200, 1, "40001", "check the app secret", "40001"},
		{"the quota of the day", `{"errcode":45009,"errmsg":"reach max api daily quota limit"}`, 200, 1, "45009: reach max api daily quota limit (WeChat's limit", "quota", "45009"},
		{"the quota of the minute", `{"errcode":45011,"errmsg":"api minute-quota reach limit"}`, 200, 1, "(WeChat's limit", "quota", "45011"},
		{"what is not known", `{"errcode":61450,"errmsg":""}`, 200, 1, "61450: no words of WeChat's", "global error codes", "61450"},
		{"busy all the time", `{"errcode":-1,"errmsg":"system error"}`, 200, 3, "-1: system error (3 tries)", "busy", "-1"},
		{"failing all the time", `<html>`, 503, 3, "status 503 (3 tries)", "failing", ""},
		{"somebody else's answer", `<html>`, 404, 1, "status 404", "check the address", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{say: func(int, *auth.Ask) (*auth.Answer, error) { return answer(row.status, "%s", row.body), nil }}
				err := refusal(t, weChat(), e)
				if e.count() != row.asked {
					t.Errorf("asked %d times, want %d", e.count(), row.asked)
				}
				if !strings.Contains(err.What, row.what) || !strings.Contains(err.Cure, row.cure) || err.Code != row.code {
					t.Errorf("%q, cure %q, code %q; want %q, %q, %q", err.What, err.Cure, err.Code, row.what, row.cure, row.code)
				}
			})
		})
	}
}

func TestWeChatBusyForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{say: func(n int, _ *auth.Ask) (*auth.Answer, error) {
			if n < 3 {
				return answer(200, `{"errcode":-1,"errmsg":"system error"}`), nil
			}
			return answer(200, `{"errcode":0,"access_token":"at","expires_in":7200}`), nil
		}}
		if got := grant(t, weChat(), e); got != "at" {
			t.Errorf("%q, want at", got)
		}
	})
}

// No token of WeChat's lives for more than two hours.
func TestWeChatLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{say: func(n int, _ *auth.Ask) (*auth.Answer, error) {
			return answer(200, `{"access_token":"at-%d","expires_in":86400}`, n), nil
		}}
		s := weChat()
		grant(t, s, e)
		time.Sleep(7200 * time.Second)
		if got := grant(t, s, e); got != "at-2" {
			t.Errorf("after two hours %q, want a new one", got)
		}
	})
}

// A stable token is the same one until its end is near.
func TestSameTokenAgainEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		e := &endpoint{}
		e.say = func(int, *auth.Ask) (*auth.Answer, error) {
			period := time.Since(begin) / (100 * time.Second)
			rest := 100 - time.Since(begin)/time.Second%100
			return answer(200, `{"access_token":"at-%d","expires_in":%d}`, period, rest), nil
		}
		s := weChat()
		for range 10_000 {
			want := fmt.Sprint("at-", int(time.Since(begin)/(100*time.Second)))
			if got := grant(t, s, e); got != want {
				t.Fatalf("after %v %s, want %s", time.Since(begin), got, want)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if n := e.count(); n > 5*16 {
			t.Errorf("asked %d times in five lives of a token, want some in each", n)
		}
	})
}

// A token that is refused and then given out again is not taken again.
func TestSameTokenAgainAfterItsRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := "at-1"
		e := &endpoint{say: func(n int, _ *auth.Ask) (*auth.Answer, error) {
			if n == 4 {
				text = "at-2"
			}
			return answer(200, `{"access_token":%q,"expires_in":7200}`, text), nil
		}}
		s := weChat()
		old := bearer(grant(t, s, e))
		time.Sleep(time.Minute)
		all(500, func(int) {
			s.Refused(old)
			if got := grant(t, s, e); got != "at-2" {
				t.Errorf("%s, want at-2", got)
			}
		})
		if e.count() != 4 {
			t.Errorf("asked %d times, want three times for a new one", e.count()-1)
		}
		s.Refused(bearer("at-2"))
		e.reset()
		begin := time.Now()
		if err := refusal(t, s, e); e.count() != 3 || time.Since(begin) > time.Second || !strings.Contains(err.What, "again that was refused") {
			t.Errorf("after %d asks and %v: %v", e.count(), time.Since(begin), err)
		}
	})
}
