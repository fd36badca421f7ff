package scenarios

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"volley/engine/auth"
)

// LoginFile is where the vendor's CLI keeps who is logged in, below the home
// folder (PROTOCOL.md 8).
const LoginFile = ".config/.cloudbase/auth.json"

// expiresEarly is how long before its end a login counts as expired, as in the
// vendor's CLI.
const expiresEarly = 120 * time.Second

// Credentials returns what a scenario without credentials of its own is
// authorized with, for each method: the first that fits of CLOUDBASE_APIKEY,
// then TENCENTCLOUD_SECRETID with TENCENTCLOUD_SECRETKEY and perhaps
// TENCENTCLOUD_SESSIONTOKEN, which is node-sdk's order, then the login of the
// vendor's CLI. An empty variable is none. web and mini-program get nothing.
//
// readLogin returns the content of LoginFile, or an error that is
// fs.ErrNotExist; it is called at most once, and only when it is needed. from
// says where the credentials are from; it is "" where there are none. No error
// has a secret in it. The function is for Options.Ambient.
func Credentials(env func(name string) (value string, ok bool), readLogin func() ([]byte, error), now time.Time) func(method string) (a Auth, from string, err error) {
	c := credentials{env: env, login: sync.OnceValues(func() (Auth, error) { return login(readLogin, now) })}
	return c.of
}

type credentials struct {
	env   func(name string) (string, bool)
	login func() (Auth, error)
}

func (c credentials) of(method string) (a Auth, from string, err error) {
	var bearer, keys bool
	switch method {
	case "http-api", "http-function", "node-sdk", "web-sdk":
		bearer, keys = true, true
	case "control-plane":
		keys = true
	}
	if bearer {
		if key := c.get("CLOUDBASE_APIKEY"); key != "" {
			return Auth{APIKey: auth.NewSecret(key)}, "CLOUDBASE_APIKEY of the environment", nil
		}
	}
	if !keys {
		return Auth{}, "", nil
	}
	a, err = c.pair()
	from = "TENCENTCLOUD_SECRETID of the environment"
	if err == nil && a.SecretID.IsZero() {
		a, err = c.login()
		from = "the login file ~/" + LoginFile + " (tcb login)"
	}
	if err != nil || a.SecretID.IsZero() {
		return Auth{}, "", err
	}
	// A web client cannot sign: a token is made of the keys for it.
	a.ClientCredential = method == "web-sdk"
	return a, from, nil
}

func (c credentials) get(name string) string {
	if c.env == nil {
		return ""
	}
	value, _ := c.env(name)
	return value
}

// pair returns the environment's keys, which are two or none.
func (c credentials) pair() (Auth, error) {
	id, key := c.get("TENCENTCLOUD_SECRETID"), c.get("TENCENTCLOUD_SECRETKEY")
	switch {
	case id == "" && key == "":
		return Auth{}, nil
	case key == "":
		return Auth{}, halfPair("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY")
	case id == "":
		return Auth{}, halfPair("TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SECRETID")
	}
	return Auth{SecretID: auth.NewSecret(id), SecretKey: auth.NewSecret(key), SessionToken: auth.NewSecret(c.get("TENCENTCLOUD_SESSIONTOKEN"))}, nil
}

func halfPair(set, missing string) error {
	return &auth.Error{What: set + " is set in the environment, and " + missing + " is not", Fatal: true,
		Cure: "set " + missing + ", too, or unset " + set}
}

// login reads who is logged in in the vendor's CLI: keys that last, or a
// browser's temporary ones. Those that have expired are not used, nor renewed:
// that is the CLI's own.
func login(read func() ([]byte, error), now time.Time) (Auth, error) {
	if read == nil {
		return Auth{}, nil
	}
	src, err := read()
	if errors.Is(err, fs.ErrNotExist) {
		return Auth{}, nil
	}
	fail := func(what, cure string) (Auth, error) {
		return Auth{}, &auth.Error{What: "~/" + LoginFile + ": " + what, Cure: cure, Fatal: true}
	}
	const again = "log in again: tcb login; or write target.auth"
	if err != nil {
		return fail(fmt.Sprintf("it cannot be read: %v", err), "make it readable, or write target.auth")
	}
	if len(src) > MaxFile {
		return fail(fmt.Sprintf("it has %d bytes, and at most %d are read", len(src), MaxFile), again)
	}
	var file struct {
		Credential struct {
			ID      string      `json:"secretId"`
			Key     string      `json:"secretKey"`
			Token   string      `json:"token"`
			TmpID   string      `json:"tmpSecretId"`
			TmpKey  string      `json:"tmpSecretKey"`
			TmpTok  string      `json:"tmpToken"`
			Expires json.Number `json:"accessTokenExpired"` // in ms since 1970, a number or a text
			TmpExp  json.Number `json:"tmpExpired"`
		} `json:"credential"`
	}
	if err := json.Unmarshal(src, &file); err != nil {
		return fail("it is not what the vendor's CLI writes (its content is not shown)", again)
	}
	k := &file.Credential
	either := func(a, b string) string {
		if a != "" {
			return a
		}
		return b
	}
	id, key, token := either(k.ID, k.TmpID), either(k.Key, k.TmpKey), either(k.Token, k.TmpTok)
	if id == "" && key == "" {
		return Auth{}, nil // logged out
	}
	if id == "" || key == "" {
		return fail("it has one of secretId and secretKey, and not the other", again)
	}
	if e := either(k.Expires.String(), k.TmpExp.String()); e != "" && e != "0" {
		ms, err := json.Number(e).Float64()
		if err != nil {
			return fail("the time when its keys expire is not a number", again)
		}
		if end := time.UnixMilli(int64(ms)); !now.Add(expiresEarly).Before(end) {
			return fail(fmt.Sprintf("its keys expire at %s, and now it is %s", end.UTC().Format(time.DateTime), now.UTC().Format(time.DateTime+" MST")), again)
		}
	}
	return Auth{SecretID: auth.NewSecret(id), SecretKey: auth.NewSecret(key), SessionToken: auth.NewSecret(token)}, nil
}
