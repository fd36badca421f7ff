package emulator

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const wechatURL = "https://api.weixin.qq.com/tcb/invokecloudfunction?access_token=t0&env=env-1&"

func TestWechat(t *testing.T) {
	const url = "POST " + wechatURL
	const short = "POST https://api.weixin.qq.com/tcb/invokecloudfunction?access_token=t0"
	for _, tt := range []row{
		{"a function answers with a text that is JSON", url + "name=echo", nil, `{"a":1}`, 200, `{"errcode":0,"errmsg":"ok","resp_data":"{\"a\":1}"}`, "echo||ok|"},
		{"any text stays as it is", url + "name=says", nil, `{}`, 200, `{"errcode":0,"errmsg":"ok","resp_data":"Hello fn"}`, "says||ok|"},
		{"all may stand in the body", short, nil, `{"env":"env-1","name":"echo","req_data":"{\"a\":1}"}`, 200, `{"errcode":0,"errmsg":"ok","resp_data":"{\"a\":1}"}`, "echo||ok|"},
		{"also without data", short, nil, `{"env":"env-1","name":"echo"}`, 200, `{"errcode":0,"errmsg":"ok","resp_data":"{}"}`, "echo||ok|"},
		{"$DEFAULT is asked", url + "name=split", nil, `{}`, 200, `{"errcode":0,"errmsg":"ok","resp_data":"2"}`, "split||ok|"},
		{"any host will do", "POST /tcb/invokecloudfunction?access_token=t0&env=env-1&name=says", nil, `{}`, 200, `{"errcode":0,"errmsg":"ok","resp_data":"Hello fn"}`, "says||ok|"},

		{"no token", "POST /tcb/invokecloudfunction?env=env-1&name=echo", nil, `{}`, 200, `{"errcode":41001,"errmsg":"access_token missing rid: ID"}`, "||auth_failed|41001"},
		{"an unknown token", "POST /tcb/invokecloudfunction?access_token=t1&env=env-1&name=echo", nil, `{}`, 200,
			`{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest rid: ID"}`, "||auth_failed|40001"},
		{"a function that is missing", url + "name=nobody", nil, `{}`, 200,
			`{"errcode":-501000,"errmsg":"ResourceNotFound.FunctionName, FunctionName parameter could not be found. rid: ID"}`, "||rejected|-501000"},
		{"a function that fails", url + "name=fails", nil, `{}`, 200, `{"errcode":-504002,"errmsg":"functions execute fail | no \"luck\" rid: ID"}`, "fails||function_error|-504002"},
		{"an HTTP function", url + "name=site", nil, `{}`, 200, `{"errcode":-501007,"errmsg":"site is an HTTP function, which cannot be called this way rid: ID"}`, "site||rejected|-501007"},
		{"another environment", "POST /tcb/invokecloudfunction?access_token=t0&env=env-2&name=echo", nil, `{}`, 200, `{"errcode":-501005,"errmsg":"invalid env rid: ID"}`, "||rejected|-501005"},
		{"another environment in the body", short, nil, `{"env":"env-2","name":"echo"}`, 200, `{"errcode":-501005,"errmsg":"invalid env rid: ID"}`, "||rejected|-501005"},
		{"no function", url, nil, `{}`, 200, `{"errcode":40101,"errmsg":"missing parameter: env and name are wanted rid: ID"}`, "||rejected|40101"},
		{"no environment", short, nil, `{"name":"echo"}`, 200, `{"errcode":40101,"errmsg":"missing parameter: env and name are wanted rid: ID"}`, "||rejected|40101"},
		{"no body", url + "name=echo", nil, ``, 200, `{"errcode":44002,"errmsg":"empty post data rid: ID"}`, "||rejected|44002"},
		{"a body that is not JSON", url + "name=echo", nil, `a=1`, 200, `{"errcode":47001,"errmsg":"data format error rid: ID"}`, "||rejected|47001"},
		{"data that is not JSON", short, nil, `{"env":"env-1","name":"echo","req_data":"a=1"}`, 200, `{"errcode":-501007,"errmsg":"the event is not JSON rid: ID"}`, "echo||rejected|-501007"},
		{"data that is too large", url + "name=echo", nil, `{"a":"` + strings.Repeat("x", 1000) + `"}`, 200, `{"errcode":45002,"errmsg":"content size out of limit rid: ID"}`, "echo||rejected|45002"},
		{"an answer that is too large", url + "name=big", nil, `{}`, 200, `{"errcode":-504002,"errmsg":"functions execute fail | the response is larger than 1000 bytes rid: ID"}`, "big||function_error|-504002"},
		{"by GET", "GET " + wechatURL + "name=echo", nil, ``, 200, `{"errcode":43002,"errmsg":"require POST method rid: ID"}`, "||rejected|43002"},
		{"another API", "POST https://api.weixin.qq.com/wxa/getwxacode?access_token=t0", nil, `{}`, 200, `{"errcode":40066,"errmsg":"invalid url rid: ID"}`, "||rejected|40066"},
	} {
		tt.check(t, land())
	}
}

// By WeChat a function has five seconds at most, or less where it says so.
func TestWechatLimit(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    Function
		took time.Duration
		want string
	}{
		{"its own limit is longer", Function{Latency: Latency{P50: 6 * time.Second}, Timeout: time.Minute}, 5 * time.Second, "timed out after 5 seconds"},
		{"its own limit is shorter", Function{Latency: Latency{P50: 6 * time.Second}, Timeout: 2 * time.Second}, 2 * time.Second, "timed out after 2 seconds"},
		{"it has none", Function{Latency: Latency{P50: 5001 * ms}}, 5 * time.Second, "timed out after 5 seconds"},
		{"it is quick enough", Function{Latency: Latency{P50: 5 * time.Second}}, 5 * time.Second, `"errcode":0,`},
		{"a cold start does not count", Function{Latency: Latency{P50: 4 * time.Second}, ColdStart: 3 * time.Second}, 7 * time.Second, `"errcode":0,`},
		{"a time limit that is drawn", Function{Errors: map[string]float64{"function_timeout": 1}, Timeout: time.Minute}, 5 * time.Second, "timed out after 5 seconds"},
		{"the platform's time limit that is drawn", Function{Errors: map[string]float64{"function_timeout": 1}}, 3 * time.Second, "timed out after 3 seconds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, Config{Functions: map[string]Function{"fn": tt.f}})
				begin := time.Now()
				got := text(t, ask(s, request("POST "+wechatURL+"name=fn", "{}")))
				if took := time.Since(begin); took != tt.took || !strings.Contains(got, tt.want) {
					t.Errorf("after %v: %s; want %v and %s", took, got, tt.took, tt.want)
				}
			})
		})
	}
}

func TestWechatTokenRefusals(t *testing.T) {
	const stable, legacy = "POST https://api.weixin.qq.com/cgi-bin/stable_token", "GET https://api.weixin.qq.com/cgi-bin/token?grant_type=client_credential&"
	for _, tt := range []row{
		{"an unknown app", stable, nil, `{"grant_type":"client_credential","appid":"wx2","secret":"app-secret"}`, 200, `{"errcode":40013,"errmsg":"invalid appid rid: ID"}`, "||auth_failed|40013"},
		{"an app whose id is endless", stable, nil, `{"grant_type":"client_credential","appid":"` + strings.Repeat("x", 65) + `","secret":"app-secret"}`, 200, `{"errcode":40013,"errmsg":"invalid appid rid: ID"}`, "||auth_failed|40013"},
		{"a wrong secret", stable, nil, `{"grant_type":"client_credential","appid":"wx1","secret":"x"}`, 200, `{"errcode":40125,"errmsg":"invalid appsecret rid: ID"}`, "||auth_failed|40125"},
		{"no app", stable, nil, `{"grant_type":"client_credential","secret":"x"}`, 200, `{"errcode":41002,"errmsg":"appid missing rid: ID"}`, "||auth_failed|41002"},
		{"no secret", stable, nil, `{"grant_type":"client_credential","appid":"wx1"}`, 200, `{"errcode":41004,"errmsg":"appsecret missing rid: ID"}`, "||auth_failed|41004"},
		{"another grant", stable, nil, `{"grant_type":"password","appid":"wx1","secret":"app-secret"}`, 200, `{"errcode":40002,"errmsg":"invalid grant_type rid: ID"}`, "||rejected|40002"},
		{"no JSON", stable, nil, `appid=wx1`, 200, `{"errcode":47001,"errmsg":"data format error rid: ID"}`, "||rejected|47001"},
		{"by GET", "GET https://api.weixin.qq.com/cgi-bin/stable_token", nil, ``, 200, `{"errcode":43002,"errmsg":"require POST method rid: ID"}`, "||rejected|43002"},
		{"an unknown app, in the query", legacy + "appid=wx2&secret=app-secret", nil, ``, 200, `{"errcode":40013,"errmsg":"invalid appid rid: ID"}`, "||auth_failed|40013"},
		{"a wrong secret, in the query", legacy + "appid=wx1&secret=x", nil, ``, 200, `{"errcode":40125,"errmsg":"invalid appsecret rid: ID"}`, "||auth_failed|40125"},
	} {
		tt.check(t, land())
	}
}

func TestWechatSignInErrors(t *testing.T) {
	for name, want := range map[string]string{
		"ip_not_allowed":   `{"errcode":40164,"errmsg":"invalid ip 192.0.2.1 ipv6 ::ffff:192.0.2.1, not in whitelist rid: ID"}`,
		"not_found":        `{"errcode":40013,"errmsg":"invalid appid rid: ID"}`,
		"invalid_password": `{"errcode":40125,"errmsg":"invalid appsecret rid: ID"}`,
		"daily_quota":      `{"errcode":45009,"errmsg":"reach max api daily quota limit rid: ID"}`,
		"unavailable":      `{"errcode":-1,"errmsg":"system error rid: ID"}`,
		"internal":         ``,
	} {
		c := land()
		c.SignInError = name
		s := start(t, c)
		res := ask(s, request("POST /cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"wx1","secret":"app-secret"}`)) // from 192.0.2.1:1234, as httptest has it
		status := 200
		if want == "" {
			status = 500
		}
		if got := ids.ReplaceAllString(text(t, res), "ID"); got != want || res.StatusCode != status {
			t.Errorf("%s: %d %s, want %d %s", name, res.StatusCode, got, status, want)
		}
	}
}

// A wechatWorld is a server and what its clients do.
type wechatWorld struct {
	*testing.T
	s *Server
}

func (w wechatWorld) token(r *http.Request) (token string, life float64) {
	w.Helper()
	var got struct {
		Token string  `json:"access_token"`
		Life  float64 `json:"expires_in"`
	}
	body := text(w.T, ask(w.s, r))
	if json.Unmarshal([]byte(body), &got) != nil || got.Token == "" {
		w.Fatalf("no token: %s", body)
	}
	return got.Token, got.Life
}

func (w wechatWorld) stable(force string) (token string, life float64) {
	w.Helper()
	return w.token(request("POST /cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"wx1","secret":"app-secret"`+force+`}`))
}

func (w wechatWorld) legacy() (token string, life float64) {
	w.Helper()
	return w.token(request("GET /cgi-bin/token?grant_type=client_credential&appid=wx1&secret=app-secret", ""))
}

func (w wechatWorld) invoke(token string) (errcode int) {
	w.Helper()
	var got struct {
		Code *int `json:"errcode"`
	}
	body := text(w.T, ask(w.s, request("POST /tcb/invokecloudfunction?access_token="+token+"&env=env-1&name=echo", "{}")))
	if json.Unmarshal([]byte(body), &got) != nil || got.Code == nil {
		w.Fatalf("no errcode: %s", body)
	}
	return *got.Code
}

func (w wechatWorld) expect(what string, got, want any) {
	w.Helper()
	if got != want {
		w.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestWechatTokens(t *testing.T) {
	const force = `,"force_refresh":true`
	synctest.Test(t, func(t *testing.T) {
		w := wechatWorld{t, start(t, land())}
		first, life := w.stable("")
		w.expect("life", life, 7200.0)
		w.expect("the first token", w.invoke(first), 0)
		time.Sleep(time.Hour)
		again, life := w.stable(`,"force_refresh":false`)
		w.expect("asked again", again, first)
		w.expect("what is left of it", life, 3600.0)

		old, _ := w.legacy()
		latest, _ := w.legacy()
		w.expect("the older endpoint's earlier token", w.invoke(old), 40001)
		w.expect("its latest", w.invoke(latest), 0)
		w.expect("the stable one beside it", w.invoke(first), 0)

		forced, _ := w.stable(force)
		w.expect("the token before one by force", w.invoke(first), 40001)
		w.expect("the one by force", w.invoke(forced), 0)
		w.expect("the older endpoint's beside it", w.invoke(latest), 0)
		time.Sleep(wechatForcing - 1)
		same, _ := w.stable(force)
		w.expect("by force within 30s", same, forced)
		time.Sleep(time.Nanosecond)
		next, _ := w.stable(force)
		w.expect("by force after 30s is another", next != forced, true)

		time.Sleep(2*time.Hour - 1)
		w.expect("at the end of its life", w.invoke(next), 0)
		early, _ := w.stable("")
		w.expect("shortly before, another is given", early != next, true)
		w.expect("and both are good", w.invoke(early)+w.invoke(next), 0)
		time.Sleep(time.Nanosecond)
		w.expect("after its life", w.invoke(next), 42001)
		user := posted(t, w.s, `"action":"auth.signInAnonymously"`)["refresh_token"].(string)
		user = posted(t, w.s, `"action":"auth.fetchAccessTokenWithRefreshToken","refresh_token":"`+user+`"`)["access_token"].(string)
		w.expect("a user's token", w.invoke(user), 40001)
		w.expect("an app's token is not the gateway's", ask(w.s, request("POST /v1/functions/echo", "{}", "Authorization: Bearer "+early)).StatusCode, 401)
	})
}

// A token that was revoked, or forgotten, is not handed out again.
func TestWechatTokensAreGood(t *testing.T) {
	w := wechatWorld{t, start(t, land())}
	first, _ := w.stable("")
	w.expect("revoked", ask(w.s, request("POST /auth/v1/revoke", `{"token":"`+first+`"}`)).StatusCode, 200)
	w.expect("after that", w.invoke(first), 40001)
	next, _ := w.stable("")
	w.expect("asked again", w.invoke(next), 0)
}

// Twenty renewals by force a day, and then no more.
func TestWechatForceQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := wechatWorld{t, start(t, land())}
		w.stable("")
		const body = `{"grant_type":"client_credential","appid":"wx1","secret":"app-secret","force_refresh":true}`
		for range wechatForced {
			w.stable(`,"force_refresh":true`)
			time.Sleep(time.Minute)
		}
		if got := text(t, ask(w.s, request("POST /cgi-bin/stable_token", body))); !strings.Contains(got, `"errcode":45009,`) {
			t.Errorf("once more: %s", got)
		}
		w.stable("") // the ordinary way goes on
		time.Sleep(24*time.Hour - wechatForced*time.Minute)
		w.stable(`,"force_refresh":true`)
	})
}

func TestWechatAppsAreBounded(t *testing.T) {
	s := start(t, Config{})
	for i := range wechatApps + 1 {
		got := text(t, ask(s, request("POST /cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"wx`+jsonText(i)+`","secret":"x"}`)))
		if full := i == wechatApps; strings.Contains(got, `"errcode":45009,`) != full {
			t.Fatalf("app %d: %s", i, got)
		}
	}
	s = start(t, Config{})
	long := strings.Repeat("x", wechatAppID)
	for _, app := range []string{long, long + "x"} {
		got := text(t, ask(s, request("GET /cgi-bin/token?grant_type=client_credential&secret=x&appid="+app, "")))
		if kept := s.weixin.apps[app] != nil; kept != (app == long) || strings.Contains(got, "access_token") != kept {
			t.Errorf("an id of %d bytes is kept: %v; %s", len(app), kept, got)
		}
	}
}

// Whatever is posted, something well-formed comes back.
func FuzzWechat(f *testing.F) {
	for _, body := range []string{`{"env":"env-1","name":"echo","req_data":"{}"}`, `{"grant_type":"client_credential","appid":"wx1","secret":"app-secret"}`, `{"env":1}`, `[1]`, ``, `"`, "{\"name\":\"\xff\"}"} {
		f.Add(body)
	}
	s, err := New(land())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/tcb/invokecloudfunction?access_token=t0", "/tcb/invokecloudfunction?access_token=t0&env=env-1&name=echo", "/cgi-bin/stable_token"} {
			res := ask(s, request("POST "+path, body))
			if got := text(t, res); res.StatusCode != 200 || !json.Valid([]byte(got)) {
				t.Errorf("%s: status %d, %s", path, res.StatusCode, got)
			}
		}
	})
}
