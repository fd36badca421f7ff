package cloud

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"volley/engine"
)

// marker stands in the message of every error that the platform itself
// writes, and so tells a platform's error from a function's answer of the same
// shape (PROTOCOL.md 1.2).
const marker = "docs.cloudbase.net/error-code"

// maxError bounds the body, in bytes, that is looked at for a platform's
// error. They are a few hundred bytes long.
const maxError = 16 << 10

// expired is the code of a token that has run out: with a new one the same
// request may well pass (PROTOCOL.md 1.5).
const expired = "ACCESS_TOKEN_EXPIRED"

// start fills in what every reply has.
func start(from *engine.Response, to *engine.Reply) heard {
	h := listen(from.Header)
	*to = engine.Reply{Status: from.Status, Header: from.Header, Body: from.Body, RequestID: clean(cmp.Or(h.requestID, h.cloudbaseID), maxID)}
	if h.timeCost != "" {
		to.Server = upstreamTime(h.timeCost)
	}
	if h.retryAfter != "" {
		to.RetryAfter = retryAfter(h.retryAfter, from)
	}
	return h
}

// heard is what header lines say that mean the same in every reply, the first
// of each name; "" where there is none.
type heard struct {
	requestID   string // X-Request-Id
	cloudbaseID string // x-cloudbase-request-id: the gateway's, where the other is not there
	timeCost    string // x-cloudbase-upstream-timecost
	upstream    string // x-cloudbase-upstream-status-code
	retryAfter  string // Retry-After
}

// listen goes through the header once: asking for one name after the other
// would go through it five times for every reply.
func listen(header []engine.Field) (h heard) {
	for i := range header {
		name, to := "", (*string)(nil)
		switch len(header[i].Name) {
		case len("Retry-After"):
			name, to = "Retry-After", &h.retryAfter
		case len("X-Request-Id"):
			name, to = "X-Request-Id", &h.requestID
		case len("x-cloudbase-request-id"):
			name, to = "x-cloudbase-request-id", &h.cloudbaseID
		case len("x-cloudbase-upstream-timecost"):
			name, to = "x-cloudbase-upstream-timecost", &h.timeCost
		case len("x-cloudbase-upstream-status-code"):
			name, to = "x-cloudbase-upstream-status-code", &h.upstream
		default:
			continue
		}
		if *to == "" && strings.EqualFold(header[i].Name, name) {
			*to = header[i].Value
		}
	}
	return h
}

// good reports whether a status is of the class that means success.
func good(status int) bool { return status >= 200 && status <= 299 }

// read reads a reply of the gateway. Where the gateway passes a function's own
// HTTP answer through, a failure can be the function's or the platform's, and
// the headers about what happened upstream tell which (PROTOCOL.md 1.3, 1.4).
// So code that throws inside the vendor's functions framework, which answers
// 500 with a SYS_ERR of its own, is a function that failed where those headers
// say that it was reached, and the platform's failure where they say nothing.
func read(i *engine.Invocation, from *engine.Response, to *engine.Reply, passed bool) {
	h := start(from, to)
	layer, reached, _ := h.layer()
	own := passed && reached // the function's own answer
	if _, ok := byLayer(layer); ok {
		own = false // the function layer's, in place of an answer
	}
	if good(from.Status) && (own || !marked(from.Body)) {
		return
	}
	if slices.Contains(i.Step.Target.OKStatus, from.Status) {
		return
	}
	var f failure
	if !own || marked(from.Body) {
		f = parseFailure(from.Body)
	}
	fail(from, f, own, to)
}

// fail writes down a failure that came in from: by its code first, by the
// function layer's status second, by its own status last.
func fail(from *engine.Response, f failure, own bool, to *engine.Reply) {
	to.Code, to.Message = clean(f.code, maxID), clean(f.message, engine.MaxMessage)
	if to.RequestID == "" {
		to.RequestID = clean(f.requestID, maxID)
	}
	if to.Message == "" {
		to.Message = plain(from)
	}
	to.TokenExpired = f.code == expired
	var ok bool
	if to.Outcome, ok = f.outcome(); ok {
		return
	}
	h := listen(from.Header)
	layer, reached, known := h.layer()
	switch {
	case good(from.Status): // the platform's error with a code that is not in the table
		to.Outcome = engine.PlatformError
	case own && from.Status >= 500:
		to.Outcome = engine.FunctionError
	default:
		if to.Outcome, ok = byLayer(layer); ok {
			return
		}
		if to.Outcome, ok = bySCF(layer); ok && !own { // the layer's word, under whatever status the gateway gave it
			return
		}
		to.Outcome = byStatus(from.Status)
		if to.Outcome == engine.FunctionError && from.Status >= 500 && known && !reached {
			to.Outcome = engine.PlatformError // the function was not called
		}
	}
}

// layer says what the gateway tells of the function layer: its status; whether
// it was reached; whether the gateway tells at all.
func (h *heard) layer() (status int, reached, known bool) {
	if h.upstream == "" {
		return 0, false, false
	}
	status, err := strconv.Atoi(h.upstream)
	return status, err == nil, true
}

// marked reports whether body is an error that the platform itself wrote.
func marked(body []byte) bool {
	if len(body) > maxError || bytes.IndexByte(body, '/') < 0 || !bytes.Contains(body, []byte(marker)) { // the first is sooner found
		return false
	}
	f := parseFailure(body)
	return f.code != "" && strings.Contains(f.message, marker)
}

// A failure is an error body of either shape (PROTOCOL.md 1.2).
type failure struct {
	code, message, requestID string
	number                   string // error_code of the second shape
}

// outcome classes the failure, if its code is one that we know.
func (f failure) outcome() (engine.Outcome, bool) {
	if o, ok := byCode(f.code); ok {
		return o, true
	}
	return byNumber(f.number)
}

// parseFailure reads {code, message, requestId} or {error, error_code,
// error_description}. Field by field, so that one of an unexpected type does
// not hide the others.
func parseFailure(body []byte) failure {
	if len(body) > maxError {
		return failure{}
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return failure{}
	}
	f := failure{
		code:      scalar(fields["code"]),
		message:   scalar(fields["message"]),
		requestID: scalar(fields["requestId"]),
	}
	if f.code == "" {
		f.code = scalar(fields["error"])
		f.number = scalar(fields["error_code"])
		if f.code == "" {
			f.code = f.number
		}
	}
	if f.message == "" {
		f.message = scalar(fields["error_description"])
	}
	return f
}

// scalar returns a string's text or a number as it is written; "" for what is
// neither, and for 0, which means success wherever codes are numbers.
func scalar(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	switch c := raw[0]; {
	case c == '"':
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return s
	case c == '-' || c >= '1' && c <= '9':
		return string(raw)
	}
	return ""
}

// plain returns words for a failure whose body has none that we understand:
// the beginning of its text.
func plain(from *engine.Response) string {
	if from.Status == 443 && len(from.Body) == 0 {
		return "nothing listens on the function's port"
	}
	if to := from.Get("Location"); to != "" && from.Status >= 300 && from.Status <= 399 {
		return clean("it redirects to "+bareURL(to), engine.MaxMessage)
	}
	text := from.Body[:min(len(from.Body), engine.MaxMessage)]
	return clean(strings.Join(strings.Fields(string(text)), " "), engine.MaxMessage)
}

// bareURL returns a URL without its parts in which secrets stand: user, query
// and fragment.
func bareURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "what is not a URL"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	if u.Opaque != "" {
		return u.Scheme + ":…"
	}
	return u.String()
}

// maxID bounds the ids and codes that are kept, in bytes.
const maxID = 128

// clean makes text valid UTF-8 of at most most bytes.
func clean(text string, most int) string {
	if len(text) > most {
		cut := most
		for cut > 0 && cut > most-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	if text == "" {
		return ""
	}
	return strings.ToValidUTF8(text, "")
}

// upstreamTime returns what the gateway says it spent upstream, in
// milliseconds on the wire (PROTOCOL.md 1.4).
func upstreamTime(text string) engine.ServerSide {
	ms, err := strconv.ParseFloat(text, 64)
	if err != nil || !(ms >= 0 && ms <= float64(time.Hour/time.Millisecond)) {
		return engine.ServerSide{}
	}
	return engine.ServerSide{Timed: true, Duration: time.Duration(ms * float64(time.Millisecond))}
}

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 24 * time.Hour

// retryAfter returns what the server asked for, in seconds or as a date, which
// is taken against the reply's own (RFC 9110, section 10.2.3), or 0.
func retryAfter(v string, from *engine.Response) time.Duration {
	if s, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(s, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	then, ok := httpDate(v)
	now, known := httpDate(from.Get("Date"))
	if !ok || !known {
		return 0
	}
	return min(max(then.Sub(now), 0), maxRetryAfter)
}

// httpDate reads a date in any of the three forms of RFC 9110, section 5.6.7.
func httpDate(text string) (time.Time, bool) {
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
