package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// An Error is one mistake in a Config.
type Error struct {
	Field   string // its path in a scenario, under target.emulator: functions.hello.latency.p99
	Problem string // what is wrong, with the value found
	Fix     string // what to write instead
}

func (e *Error) Error() string { return e.Field + ": " + e.Problem }

// Hint says how to put the mistake right.
func (e *Error) Hint() string { return e.Fix }

const (
	latest       = "$LATEST"
	defaultAlias = "$DEFAULT"
)

// A checker collects mistakes.
type checker struct{ errs []error }

func (c *checker) add(field, fix, problem string, args ...any) {
	c.errs = append(c.errs, &Error{Field: field, Problem: fmt.Sprintf(problem, args...), Fix: fix})
}

// validate returns all mistakes of c, in the order of their fields.
func validate(c Config) error {
	var ck checker
	name := regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,58}[a-zA-Z0-9]$`)
	for _, fn := range slices.Sorted(maps.Keys(c.Functions)) {
		field := "functions." + fn
		if !name.MatchString(fn) {
			ck.add(field, "use 2 to 60 letters, digits, - and _; begin with a letter, end with a letter or digit", "%q is not a function name", fn)
		}
		f := c.Functions[fn]
		ck.function(field, f)
		for _, q := range slices.Sorted(maps.Keys(f.Versions)) {
			ck.version(field+".versions."+q, q, f, f.Versions[q])
		}
	}
	if c.MaxBody < 0 {
		ck.add("max_body", "write a size such as 6MiB", "%d bytes is below 0", c.MaxBody)
	}
	for i, t := range c.Tokens {
		if strings.TrimSpace(t) != t || t == "" {
			ck.add(fmt.Sprintf("tokens[%d]", i), "give a token without spaces around it, or leave tokens out to accept any", "the token is empty or has spaces around it")
		}
	}
	ck.access(c)
	return errors.Join(ck.errs...)
}

// access checks what decides who may ask. Its mistakes quote no secret.
func (c *checker) access(g Config) {
	ids := g.Keys
	if len(ids) == 0 {
		id, key := OpenKeys()
		ids = map[string]string{id: key}
	}
	for _, group := range []struct {
		field, what, secret string
		of                  map[string]string
	}{
		{"keys", "secret id", "key", g.Keys}, {"session_tokens", "secret id", "session token", g.SessionTokens},
		{"users", "user name", "password", g.Users}, {"apps", "app id", "secret", g.Apps},
	} {
		for _, name := range slices.Sorted(maps.Keys(group.of)) {
			field := group.field + "." + name
			if name == "" || strings.TrimSpace(name) != name || group.field == "keys" && strings.ContainsAny(name, ",=;") {
				c.add(field, "write it as it is sent", "%q is not a %s", name, group.what)
			}
			if secret := group.of[name]; secret == "" || strings.TrimSpace(secret) != secret {
				c.add(field, "give one without spaces around it", "the %s is empty or has spaces around it", group.secret)
			}
			if _, ok := ids[name]; group.field == "session_tokens" && !ok {
				c.add(field, "name an id that stands in keys", "no key belongs to the secret id %q", name)
			}
		}
	}
	if g.TokenLife < 0 || g.TokenLife > refreshLife {
		c.add("token_life", "write a duration such as 2h, at most 720h", "%v is not from 0 to %v", g.TokenLife, refreshLife)
	}
	if known := signInErrors(); g.SignInError != "" && known[g.SignInError].name == "" {
		c.add("sign_in_error", "use one of: "+strings.Join(slices.Sorted(maps.Keys(known)), ", "), "there is no sign-in error %q", g.SignInError)
	}
	for i, origin := range g.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || origin != u.Scheme+"://"+u.Host {
			c.add(fmt.Sprintf("origins[%d]", i), "write scheme and host as a browser does: https://app.example.com", "%q is not an origin", origin)
		}
	}
	if g.PreflightAge < 0 || g.PreflightAge > preflightAge {
		c.add("preflight_age", "write a duration such as 10m, at most 24h", "%v is not from 0 to %v", g.PreflightAge, preflightAge)
	}
}

// version checks what only a version can get wrong, then what comes out of it.
func (c *checker) version(field, qualifier string, f, own Function) {
	if qualifier == "" || strings.TrimSpace(qualifier) != qualifier || len(qualifier) > 64 {
		c.add(field, `name it as X-Qualifier does: "3", "stable"`, "%q is not a qualifier", qualifier)
	}
	if len(own.Versions) > 0 {
		c.add(field+".versions", "put all versions under the function", "a version has no versions of its own")
	}
	if own.HTTP && !f.HTTP {
		c.add(field+".http", "set http at the function", "a function is an HTTP function in all its versions or in none")
	}
	if own.WebAuth && !f.WebAuth {
		c.add(field+".web_auth", "set web_auth at the function", "the auth switch belongs to the path, which all versions share")
	}
	// Only what the version says itself is its mistake; what it inherits was
	// checked with the function. The pairs below are judged as they work out.
	judged := inherit(f, own)
	if own.Latency == (Latency{}) {
		judged.Latency = Latency{}
	}
	if own.Stall == (Stall{}) {
		judged.Stall = Stall{}
	}
	if own.Errors == nil {
		judged.Errors = nil
	}
	judged.ColdStart, judged.Concurrency, judged.Burst, judged.Timeout = own.ColdStart, own.Concurrency, own.Burst, own.Timeout
	judged.ReplyStatus = own.ReplyStatus
	if own.Memory == 0 && own.MemoryUsed == 0 {
		judged.Memory, judged.MemoryUsed = 0, 0
	}
	c.function(field, judged)
}

func (c *checker) function(field string, f Function) {
	c.duration(field+".latency.p50", f.Latency.P50)
	c.duration(field+".latency.p99", f.Latency.P99)
	if l := f.Latency; l.P99 != 0 && l.P99 < l.P50 {
		c.add(field+".latency.p99", "give a p99 that is at least p50", "%v is below p50, %v", l.P99, l.P50)
	} else if l.P99 > 0 && l.P50 == 0 {
		c.add(field+".latency.p50", "give both quantiles, or one constant", "p99 is %v, and p50 is missing", l.P99)
	}
	c.duration(field+".cold_start", f.ColdStart)
	c.duration(field+".timeout", f.Timeout)
	c.memory(field, f)
	if f.Concurrency < 0 {
		c.add(field+".concurrency", "give a number of instances, or leave it out for no limit", "%d is below 0", f.Concurrency)
	}
	if f.Burst < 0 || math.IsNaN(f.Burst) || math.IsInf(f.Burst, 0) {
		c.add(field+".burst", "write a rate such as 500/m, or leave it out for no limit", "%v new instances per minute is not a rate", f.Burst)
	}
	c.stall(field+".stall", f.Stall)
	if s := f.ReplyStatus; s != 0 {
		if !f.HTTP {
			c.add(field+".status", "set http: true, or let the reply of an event function decide", "only an HTTP function has a status of its own")
		} else if s < 200 || s > 599 {
			c.add(field+".status", "give a status from 200 to 599", "%d is not the status of an answer", s)
		}
	}
	c.errors(field+".errors", f.Errors)
}

func (c *checker) duration(field string, d time.Duration) {
	switch {
	case d < 0:
		c.add(field, "write a duration such as 20ms", "%v is below 0", d)
	case d > maxTimeout:
		c.add(field, "stay within 15m, the longest that a function may run", "%v is above %v", d, maxTimeout)
	}
}

// memory checks sizes in bytes; 0 stands for what the platform gives.
func (c *checker) memory(field string, f Function) {
	const fix = "write a size from 64MiB to 3GiB, or leave it out for 256MiB"
	has := cmp.Or(f.Memory, defaultMemory)
	if f.Memory != 0 && (f.Memory < minMemory || f.Memory > maxMemory) {
		c.add(field+".memory", fix, "%d bytes is not from 64MiB to 3GiB", f.Memory)
		return
	}
	if f.MemoryUsed < 0 {
		c.add(field+".memory_used", "write a size such as 20MiB", "%d bytes is below 0", f.MemoryUsed)
	} else if f.MemoryUsed > has {
		c.add(field+".memory_used", "use less than the function has, or give it more memory", "%d bytes is above the %d that there are", f.MemoryUsed, has)
	}
}

func (c *checker) stall(field string, s Stall) {
	switch {
	case s == Stall{}:
	case s.Every <= 0:
		c.add(field+".every", "write both, such as {every: 5s, for: 1s}", "%v is not a period", s.Every)
	case s.For <= 0:
		c.add(field+".for", "write both, such as {every: 5s, for: 1s}", "%v is not the length of a stall", s.For)
	case s.For >= s.Every:
		c.add(field+".for", "make the stall shorter than its period", "%v leaves no time to answer in a period of %v", s.For, s.Every)
	}
}

func (c *checker) errors(field string, shares map[string]float64) {
	known := mishaps()
	sum := 0.0
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		share := shares[name]
		if _, ok := known[name]; !ok {
			c.add(field+"."+name, "use one of: "+strings.Join(slices.Sorted(maps.Keys(known)), ", "), "there is no error %q", name)
		}
		if !(share >= 0 && share <= 1) {
			c.add(field+"."+name, "write a share such as 0.5%", "%v is not a share from 0 to 1", share)
			continue
		}
		sum += share
	}
	if sum > 1+1e-9 {
		c.add(field, "lower the shares until they are at most 100% together", "the shares are %.4g%% together", sum*100)
	}
}

// inherit fills the fields that a version leaves out from its function.
func inherit(f, own Function) Function {
	v := f
	v.Versions = nil
	if own.Reply != nil {
		v.Reply = own.Reply
	}
	if own.Latency != (Latency{}) {
		v.Latency = own.Latency
	}
	if own.ColdStart != 0 {
		v.ColdStart = own.ColdStart
	}
	if own.Errors != nil {
		v.Errors = own.Errors
	}
	if own.Memory != 0 {
		v.Memory = own.Memory
	}
	if own.MemoryUsed != 0 {
		v.MemoryUsed = own.MemoryUsed
	}
	if own.Concurrency != 0 {
		v.Concurrency = own.Concurrency
	}
	if own.Burst != 0 {
		v.Burst = own.Burst
	}
	if own.Timeout != 0 {
		v.Timeout = own.Timeout
	}
	if own.Stall != (Stall{}) {
		v.Stall = own.Stall
	}
	if own.ReplyStatus != 0 {
		v.ReplyStatus = own.ReplyStatus
	}
	return v
}
