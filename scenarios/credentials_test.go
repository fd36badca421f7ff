package scenarios

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"volley/engine/auth"
)

func newSecret(s string) auth.Secret { return auth.NewSecret(s) }

// spelled writes credentials out, to be compared.
func spelled(a Auth) string {
	var parts []string
	for _, p := range []struct {
		name string
		s    auth.Secret
	}{{"key", a.APIKey}, {"id", a.SecretID}, {"secret", a.SecretKey}, {"session", a.SessionToken}} {
		if !p.s.IsZero() {
			parts = append(parts, p.name+"="+p.s.Reveal())
		}
	}
	if a.ClientCredential {
		parts = append(parts, "client_credential")
	}
	return strings.Join(parts, " ")
}

func TestCredentialsHaveTheSDKsPrecedence(t *testing.T) {
	const (
		login   = `{"_":"…","credential":{"secretId":"AKIDfile","secretKey":"file-key"}}`
		apiKey  = "CLOUDBASE_APIKEY"
		id, key = "TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY"
	)
	all := []string{apiKey, "k1", id, "AKIDenv", key, "env-key", "TENCENTCLOUD_SESSIONTOKEN", "env-token"}
	for name, c := range map[string]struct {
		env           []string
		login, method string
		want, from    string
	}{
		"the API key comes first":                  {all, login, "node-sdk", "key=k1", "CLOUDBASE_APIKEY"},
		"so for the HTTP API":                      {all, login, "http-api", "key=k1", "CLOUDBASE_APIKEY"},
		"and for the web SDK":                      {all, login, "web-sdk", "key=k1", "CLOUDBASE_APIKEY"},
		"and for HTTP functions":                   {all, login, "http-function", "key=k1", "CLOUDBASE_APIKEY"},
		"the control plane takes keys alone":       {all, login, "control-plane", "id=AKIDenv secret=env-key session=env-token", "TENCENTCLOUD_SECRETID"},
		"keys come next":                           {all[2:], login, "node-sdk", "id=AKIDenv secret=env-key session=env-token", "TENCENTCLOUD_SECRETID"},
		"keys need no session token":               {all[2:6], login, "http-api", "id=AKIDenv secret=env-key", "TENCENTCLOUD_SECRETID"},
		"for the web SDK a token is made of them":  {all[2:6], login, "web-sdk", "id=AKIDenv secret=env-key client_credential", "TENCENTCLOUD_SECRETID"},
		"the login comes last":                     {nil, login, "http-function", "id=AKIDfile secret=file-key", "auth.json (tcb login)"},
		"an empty variable is none":                {[]string{apiKey, "", id, "", key, ""}, login, "node-sdk", "id=AKIDfile secret=file-key", "auth.json"},
		"the login is for the control plane, too":  {all[:2], login, "control-plane", "id=AKIDfile secret=file-key", "auth.json"},
		"nothing at all":                           {nil, "", "http-api", "", ""},
		"no vendor names for mini programs":        {all, login, "mini-program", "", ""},
		"a web client says itself who asks":        {all, login, "web", "", ""},
		"logged out":                               {nil, `{"_":"…","credential":{}}`, "http-api", "", ""},
		"internal names are not read":              {[]string{"TENCENT_SECRET_ID", "AKIDint", "TENCENT_SECRET_KEY", "int"}, "", "node-sdk", "", ""},
		"half a pair does not matter to a key":     {[]string{apiKey, "k1", id, "AKIDenv"}, login, "node-sdk", "key=k1", "CLOUDBASE_APIKEY"},
		"a browser's login":                        {nil, `{"credential":{"tmpSecretId":"AKIDtmp","tmpSecretKey":"tmp-key","tmpToken":"tmp-token","tmpExpired":1795348921000,"expired":1797847321000}}`, "node-sdk", "id=AKIDtmp secret=tmp-key session=tmp-token", "auth.json"},
		"a browser's login, its time a text":       {nil, `{"credential":{"tmpSecretId":"AKIDtmp","tmpSecretKey":"tmp-key","tmpToken":"tmp-token","tmpExpired":"1795348921000"}}`, "web-sdk", "id=AKIDtmp secret=tmp-key session=tmp-token client_credential", "auth.json"},
		"of both forms the lasting one is taken":   {nil, `{"credential":{"secretId":"AKIDfile","secretKey":"file-key","token":"t","tmpSecretId":"x","tmpSecretKey":"y"}}`, "node-sdk", "id=AKIDfile secret=file-key session=t", "auth.json"},
		"keys that last have no time to expire at": {nil, `{"credential":{"secretId":"AKIDfile","secretKey":"file-key","accessTokenExpired":0}}`, "node-sdk", "id=AKIDfile secret=file-key", "auth.json"},
	} {
		t.Run(name, func(t *testing.T) {
			reads := 0
			f := Credentials(variablesOf(c.env...), func() ([]byte, error) {
				if reads++; c.login == "" {
					return nil, fmt.Errorf("open: %w", fs.ErrNotExist)
				}
				return []byte(c.login), nil
			}, time.UnixMilli(1795348800000)) // two minutes and a second before the browser's login ends
			for range 2 {
				a, from, err := f(c.method)
				if err != nil {
					t.Fatal(err)
				}
				if spelled(a) != c.want || !strings.Contains(from, c.from) || (from == "") != (c.from == "") {
					t.Errorf("got %q from %q, want %q from %q", spelled(a), from, c.want, c.from)
				}
			}
			if reads > 1 {
				t.Errorf("the login was read %d times", reads)
			}
		})
	}
}

func TestCredentialsThatAreOfNoUse(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	expires := func(at time.Time) string {
		return fmt.Sprintf(`{"credential":{"tmpSecretId":"AKIDsecret","tmpSecretKey":"topsecret","tmpToken":"topsecret","tmpExpired":%d,"refreshToken":"topsecret"}}`, at.UnixMilli())
	}
	denied := fmt.Errorf("open: %w", fs.ErrPermission)
	for name, c := range map[string]struct {
		env        []string
		login      string
		err        error
		what, cure string
	}{
		"an id without a key":        {[]string{"TENCENTCLOUD_SECRETID", "AKIDsecret"}, "", nil, "TENCENTCLOUD_SECRETKEY is not", "set TENCENTCLOUD_SECRETKEY"},
		"a key without an id":        {[]string{"TENCENTCLOUD_SECRETKEY", "topsecret"}, "", nil, "TENCENTCLOUD_SECRETID is not", "set TENCENTCLOUD_SECRETID"},
		"a login that has expired":   {nil, expires(now.Add(-time.Hour)), nil, "expire at 2026-11-22 11:00:00, and now it is 2026-11-22 12:00:00 UTC", "tcb login"},
		"a login in its last minute": {nil, expires(now.Add(expiresEarly)), nil, "expire at", "tcb login"},
		"a login with half a pair":   {nil, `{"credential":{"secretId":"AKIDsecret"}}`, nil, "one of secretId and secretKey", "tcb login"},
		"a login of another kind":    {nil, `{"credential":{"secretKey":["topsecret"]}}`, nil, "not what the vendor's CLI writes", "tcb login"},
		"a login that is not JSON":   {nil, `topsecret`, nil, "not what the vendor's CLI writes", "tcb login"},
		"a time that is no number":   {nil, `{"credential":{"secretId":"AKIDsecret","secretKey":"topsecret","tmpExpired":"topsecret"}}`, nil, "", "tcb login"},
		"a login beyond reason":      {nil, strings.Repeat(" ", MaxFile+1), nil, "bytes", "tcb login"},
		"a login not to be read":     {nil, "", denied, "permission denied", "target.auth"},
	} {
		t.Run(name, func(t *testing.T) {
			f := Credentials(variablesOf(c.env...), func() ([]byte, error) { return []byte(c.login), c.err }, now)
			a, from, err := f("node-sdk")
			var e *auth.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %q from %q, error %v, want an *auth.Error", spelled(a), from, err)
			}
			if spelled(a) != "" || from != "" || !e.Fatal || !strings.Contains(e.What, c.what) || !strings.Contains(e.Cure, c.cure) {
				t.Errorf("got %q (%s)\nwant %q (%s)", e.What, e.Cure, c.what, c.cure)
			}
			if strings.Contains(e.What+e.Cure, "secret\"") || strings.Contains(e.What+e.Cure, "topsecret") || strings.Contains(e.What+e.Cure, "AKID") {
				t.Errorf("a secret is shown: %s (%s)", e.What, e.Cure)
			}
		})
	}
}
