package cloud

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// What follows is what the methods share that send an event inside an
// envelope: node-sdk and web-sdk to the back end behind the vendor's
// libraries (PROTOCOL.md 4, 5.2), mini-program and control-plane elsewhere.

// backendHost returns the host of the libraries' back end. An environment whose
// id cannot stand in a host name is told by the query alone (PROTOCOL.md 4.1).
func backendHost(env, region string) string {
	host := "tcb-api.tencentcloudapi.com"
	if region != "" {
		host = region + "." + host
	}
	if plainEnv(env) {
		host = env + "." + host
	}
	return host
}

// plainEnv reports whether env is ^[a-z0-9_-]{1,40}$.
func plainEnv(env string) bool {
	return env != "" && len(env) <= 40 && !strings.ContainsFunc(env, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
}

// checkEnv refuses an environment that is missing, or could not be one. With an
// endpoint it may be missing: there may be one behind it only.
func checkEnv(t *engine.Target) error {
	if t.Env == "" {
		if t.Endpoint != "" {
			return nil
		}
		return errors.New("target.env: is empty; write the id of the environment, or set target.endpoint")
	}
	if len(t.Env) > 63 || strings.ContainsFunc(t.Env, func(r rune) bool { return !alnum(r) && r != '-' && r != '_' }) {
		return fmt.Errorf("target.env: %q is not an environment id; letters, digits, - and _ are allowed, at most 63", t.Env)
	}
	return nil
}

// checkRegion refuses what could not be a region: it becomes part of a host
// name or of a header.
func checkRegion(t *engine.Target) error {
	if len(t.Region) > 40 || strings.ContainsFunc(t.Region, func(r rune) bool { return !alnum(r) && r != '-' }) {
		return fmt.Errorf("target.region: %q is not a region; write one such as ap-shanghai", t.Region)
	}
	return nil
}

// address points to at host, or at t's endpoint.
func address(t *engine.Target, host string, to *engine.Request) error {
	if t.Endpoint != "" {
		return endpoint(t.Endpoint, to)
	}
	to.Scheme, to.Host = "https", host
	return nil
}

// checkFunction refuses what is no call of an event function.
func checkFunction(i *engine.Invocation, method string) error {
	if i.Step.HTTP != nil {
		return fmt.Errorf("http: the method %s sends an event and no request of one's own; use http-function or web", method)
	}
	if !validName(i.Step.Function) {
		return badName(i.Step.Function)
	}
	return nil
}

// eventText returns the event as the JSON text that goes into an envelope,
// without white space around it: the signature of node-sdk covers it trimmed
// (PROTOCOL.md 9). What is no event to JavaScript is "", as in the vendor's
// libraries (PROTOCOL.md 4.1).
func eventText(data []byte) (string, error) {
	event := bytes.Trim(data, blanks)
	if len(event) > 0 && !isJSON(event) {
		return "", fmt.Errorf("data: %s is not JSON, and an event is sent as JSON", snippet(data))
	}
	if !truthy(event) {
		return "", nil
	}
	return string(event), nil
}

// nonce returns the random numbers of one request: other ones for each attempt
// at an invocation, and the same in every run of a plan at the same time.
func nonce(i *engine.Invocation, now time.Time) *rand.Rand {
	return rand.New(rand.NewPCG(i.Scope.Rand().Uint64(), uint64(now.UnixNano())))
}

// uuid returns a random UUID (RFC 9562, version 4).
func uuid(r *rand.Rand) string {
	hi, lo := r.Uint64()&^0xf000|0x4000, r.Uint64()&^(3<<62)|2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}

// seconds writes a time as headers have it.
func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// header returns the header line of that name, and whether there is one.
func header(q *engine.Request, name string) (engine.Field, bool) {
	i := slices.IndexFunc(q.Header, func(f engine.Field) bool { return strings.EqualFold(f.Name, name) })
	if i < 0 {
		return engine.Field{}, false
	}
	return q.Header[i], true
}

// supply adds a header line that the scenario has not set itself.
func supply(q *engine.Request, f engine.Field) {
	if _, ok := header(q, f.Name); !ok {
		q.Header = append(q.Header, f)
	}
}

// signable returns the parts of q that every signature covers: all that is set
// by now, as the vendor's libraries sign it (PROTOCOL.md 9).
func signable(q *engine.Request) auth.Signable {
	s := auth.Signable{Verb: q.Verb, Host: q.Host, Path: q.Path, Query: q.Query, Body: q.Body}
	if h, ok := header(q, "Host"); ok {
		s.Host = h.Value
	}
	for _, f := range q.Header {
		if !strings.EqualFold(f.Name, "Authorization") {
			s.Header = append(s.Header, [2]string{f.Name, f.Value})
		}
	}
	return s
}

// signGateway signs q for the gateway with a grant that has keys and no token
// (PROTOCOL.md 9, variant B). It comes last: what is added later is not signed.
func signGateway(g auth.Grant, now time.Time, q *engine.Request) error {
	if !g.Bearer.IsZero() || g.Keys.IsZero() {
		return nil
	}
	if _, own := header(q, "Authorization"); own {
		return nil
	}
	if err := checkKeys(g.Keys); err != nil {
		return err
	}
	value := auth.SignGateway(g.Keys, now.Add(-skew), signable(q))
	q.Header = append(q.Header, engine.Field{Name: "Authorization", Value: value, Secret: true})
	return nil
}

// skew is how much earlier than now the vendor's libraries sign, so that a
// clock that is a little ahead does no harm (PROTOCOL.md 4.1).
const skew = time.Second

// checkKeys refuses keys that cannot stand in a header line, without quoting
// them.
func checkKeys(k auth.Keys) error {
	if k.ID.IsZero() || k.Key.IsZero() {
		return errors.New("auth: secret_id and secret_key belong together, and one of them is empty")
	}
	for _, part := range []struct {
		name string
		text auth.Secret
	}{{"secret_id", k.ID}, {"session_token", k.Session}} {
		if i := strings.IndexFunc(part.text.Reveal(), control); i >= 0 {
			return fmt.Errorf("auth: the %s has a control character at byte %d; "+
				"a line break often comes in with a file that a secret is read from", part.name, i)
		}
	}
	return nil
}

// checkToken refuses a token that cannot be one, without quoting it.
func checkToken(token string) error {
	if i := strings.IndexFunc(token, control); i >= 0 {
		return fmt.Errorf("auth: the token has a control character at byte %d of %d; "+
			"a line break often comes in with a file that a secret is read from", i, len(token))
	}
	return nil
}

// envQuery returns the query that names the environment.
func envQuery(env string) string { return "env=" + url.QueryEscape(env) }
