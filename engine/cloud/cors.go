package cloud

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"volley/engine"
)

// What follows is the Fetch standard's CORS protocol (fetch.spec.whatwg.org,
// sections "CORS protocol" and "HTTP-network-or-cache fetch"), as far as a
// server can tell that a page asks.

// Cookies reports whether cookies go along with q (credentials mode).
func (w web) Cookies(q *engine.Request) bool {
	switch w.Credentials {
	case "omit":
		return false
	case "same-origin":
		return !w.cross(q)
	}
	return true
}

// Fresh reports whether every iteration is a new visitor.
func (w web) Fresh() bool { return w.Web.Cookies == "iteration" }

// origin is the page's for q: the scenario's own header first.
func (w web) origin(q *engine.Request) string {
	for _, f := range q.Header {
		if strings.EqualFold(f.Name, "Origin") {
			return f.Value
		}
	}
	return w.Origin
}

// cross reports whether q leaves the page's origin. Without a page it does not.
func (w web) cross(q *engine.Request) bool {
	return w.Origin != "" && w.Origin != originOf(q.Scheme, q.Host)
}

// originOf writes an origin as browsers do: in lower case, without the port
// that is the scheme's own (URL standard, section "Origin").
func originOf(scheme, host string) string {
	scheme, host = strings.ToLower(scheme), strings.ToLower(host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host
}

// addOrigin adds the header that browsers add: to every request to another
// origin, and to those within one that are neither GET nor HEAD.
func (w web) addOrigin(q *engine.Request) {
	if w.Origin == "" || !w.cross(q) && (q.Verb == "GET" || q.Verb == "HEAD") {
		return
	}
	if !slices.ContainsFunc(q.Header, func(f engine.Field) bool { return strings.EqualFold(f.Name, "Origin") }) {
		q.Header = append(q.Header, engine.Field{Name: "Origin", Value: w.Origin})
	}
}

// Preflight writes the request that asks for leave to send q, if it needs any:
// to another origin, with a verb or a header that a form could not send.
func (w web) Preflight(q, to *engine.Request) bool {
	if !w.Web.Preflight || !w.cross(q) {
		return false
	}
	unsafe := unsafeHeaders(q)
	if simpleVerb(q.Verb) && len(unsafe) == 0 {
		return false
	}
	*to = engine.Request{Verb: "OPTIONS", Scheme: q.Scheme, Host: q.Host, Path: q.Path, Query: q.Query, SecretQuery: q.SecretQuery,
		Header: []engine.Field{{Name: "Accept", Value: "*/*"}, {Name: "Access-Control-Request-Method", Value: q.Verb}}}
	if len(unsafe) > 0 {
		to.Header = append(to.Header, engine.Field{Name: "Access-Control-Request-Headers", Value: strings.Join(unsafe, ",")})
	}
	to.Header = append(to.Header, engine.Field{Name: "Origin", Value: w.origin(q)})
	return true
}

func simpleVerb(verb string) bool { return verb == "GET" || verb == "HEAD" || verb == "POST" }

// unsafeHeaders returns the names, in lower case and sorted, of those of q's
// header fields that are not CORS-safelisted. Those that browsers set
// themselves, and no script may, need no leave. The standard's bound of 1024
// bytes for all safelisted values together needs no look: there are five such
// names, each at most once, and 128 bytes for each value.
func unsafeHeaders(q *engine.Request) []string {
	var names []string
	for _, f := range q.Header {
		if name := strings.ToLower(f.Name); !browsersOwn(name) && !safelisted(name, f.Value) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func browsersOwn(name string) bool {
	switch name {
	case "accept-charset", "accept-encoding", "access-control-request-headers", "access-control-request-method", "connection", "cookie",
		"cookie2", "date", "dnt", "expect", "host", "keep-alive", "origin", "referer", "set-cookie", "te", "upgrade", "via", "user-agent":
		return true
	}
	return strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "sec-")
}

// safelisted reports whether a header field may go to another origin without
// leave.
func safelisted(name, value string) bool {
	if len(value) > 128 {
		return false
	}
	odd := func(r rune) bool { return r < ' ' && r != '\t' || strings.ContainsRune("\"():<>?@[\\]{}\x7f", r) }
	switch name {
	case "accept":
		return !strings.ContainsFunc(value, odd)
	case "accept-language", "content-language":
		return !strings.ContainsFunc(value, func(r rune) bool { return !alnum(r) && !strings.ContainsRune(" *,-.;=", r) })
	case "content-type":
		kind, _, _ := strings.Cut(value, ";") // parameters may be odd: the standard's parser passes over them
		kind = strings.ToLower(strings.Trim(kind, blanks))
		return !strings.ContainsFunc(value, odd) &&
			(kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data" || kind == "text/plain")
	case "range":
		return oneRange(value)
	}
	return false
}

// oneRange reports whether value asks for one range from a place that it
// names, as players of media do: bytes=0-, bytes=5-9.
func oneRange(value string) bool {
	from, to, ok := strings.Cut(strings.TrimPrefix(value, "bytes="), "-")
	first, err := strconv.ParseUint(from, 10, 64)
	if !ok || err != nil || !strings.HasPrefix(value, "bytes=") {
		return false
	}
	last, err := strconv.ParseUint(to, 10, 64)
	return to == "" || err == nil && first <= last
}

// Limits of how long a leave counts.
const (
	defaultLeave = 5 * time.Second // where the server does not say (Fetch standard)
	maxLeave     = 2 * time.Hour   // whatever it says, as in Chromium
)

// Leave reads the reply to a preflight.
func (w web) Leave(q *engine.Request, from *engine.Response) (time.Duration, error) {
	if from.Status < 200 || from.Status > 299 {
		return 0, fmt.Errorf("its status is %d, and only 2xx gives leave", from.Status)
	}
	if err := w.Readable(q, from); err != nil {
		return 0, err
	}
	any := w.credentials() != "include" // * counts only where no credentials go along
	if verbs := list(from, "Access-Control-Allow-Methods"); !simpleVerb(q.Verb) && !slices.Contains(verbs, q.Verb) && (!any || !slices.Contains(verbs, "*")) {
		return 0, fmt.Errorf("Access-Control-Allow-Methods is %.200q, without %s", combined(from, "Access-Control-Allow-Methods"), q.Verb)
	}
	allowed := list(from, "Access-Control-Allow-Headers")
	for _, name := range unsafeHeaders(q) {
		found := slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, name) })
		if !found && (!any || name == "authorization" || !slices.Contains(allowed, "*")) {
			return 0, fmt.Errorf("Access-Control-Allow-Headers is %.200q, without %s", combined(from, "Access-Control-Allow-Headers"), name)
		}
	}
	s, err := strconv.ParseInt(strings.TrimSpace(combined(from, "Access-Control-Max-Age")), 10, 64)
	if err != nil {
		return defaultLeave, nil
	}
	return time.Duration(min(max(s, 0), int64(maxLeave/time.Second))) * time.Second, nil
}

func (w web) credentials() string {
	if w.Credentials == "" {
		return "include"
	}
	return w.Credentials
}

// combined returns a header's value, all its lines together: two that would do
// alone make one that does not, as where a proxy and a function both add one.
func combined(from *engine.Response, name string) string {
	var values []string
	for _, f := range from.Header {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return strings.Join(values, ", ")
}

// list returns the words of a header that is a list.
func list(from *engine.Response, name string) []string {
	words := strings.Split(combined(from, name), ",")
	for i, word := range words {
		words[i] = strings.TrimSpace(word)
	}
	return words
}

// Readable is the standard's CORS check: it says why the page may not read the
// reply to q.
func (w web) Readable(q *engine.Request, from *engine.Response) error {
	if !w.cross(q) {
		return nil
	}
	allowed, include := combined(from, "Access-Control-Allow-Origin"), w.credentials() == "include"
	switch {
	case allowed == "":
		return fmt.Errorf("there is no Access-Control-Allow-Origin, so a page of %s cannot read the reply; add the origin to the environment's security domains", w.Origin)
	case allowed == "*" && include:
		return errors.New("Access-Control-Allow-Origin is *, which does not count where credentials go along; set web.credentials to omit or same-origin, or have the server name the origin")
	case strings.Contains(allowed, ","):
		return fmt.Errorf("Access-Control-Allow-Origin is %.200q, and browsers take one value alone; have only one of proxy and function set it", allowed)
	case allowed != "*" && allowed != w.origin(q):
		return fmt.Errorf("Access-Control-Allow-Origin is %.200q, and the page is of %s", allowed, w.Origin)
	case include && combined(from, "Access-Control-Allow-Credentials") != "true":
		return fmt.Errorf("Access-Control-Allow-Credentials is %.40q, and credentials go along; set web.credentials to omit or same-origin, or have the server say true", combined(from, "Access-Control-Allow-Credentials"))
	}
	return nil
}
