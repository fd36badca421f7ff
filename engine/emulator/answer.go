package emulator

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An answer is what is sent back.
type answer struct {
	end
	kind     []string    // Content-Type; nil: none
	header   http.Header // the function's own
	body     []byte
	upstream string // the status that the function layer gave; "-": it was not called
	fault    fault
}

// labels are header values that do not change. They are shared by all answers,
// which net/http only reads.
type labels struct{ server, json, text, html, scf, none []string }

func newLabels() labels {
	return labels{
		server: []string{"tcbgw"},
		json:   []string{"application/json; charset=utf-8"},
		text:   []string{"text/plain; charset=utf-8"},
		html:   []string{"text/html; charset=utf-8"},
		scf:    []string{"Tencent-SCF"},
		none:   []string{"-"},
	}
}

// of tells JSON from text, as the platform does by the type that was returned
// (PROTOCOL.md 1.2).
func (l *labels) of(body []byte) []string {
	if json.Valid(body) {
		return l.json
	}
	return l.text
}

// moreInformation ends messages of the gateway, which is how a client can tell
// them from a function's own (PROTOCOL.md 1.2).
const moreInformation = ". For more information, please refer to https://docs.cloudbase.net/error-code/service"

// A form is how a protocol words what the platform and its functions say. It
// gets the code, the status and the outcome that the gateway would answer with,
// and makes of them what its own clients are told.
type form interface {
	success(x *exchange, body []byte) answer
	failure(x *exchange, e end, message string) answer
}

// platform is an answer in the platform's form.
func (x *exchange) platform(e end, message, upstream string) answer {
	if x.form != nil {
		return x.form.failure(x, e, message)
	}
	b := make([]byte, 0, 192+len(message))
	b = append(b, `{"code":"`...)
	b = append(b, e.cause...)
	b = append(b, `","message":`...)
	if !x.web {
		message += moreInformation
	}
	b = appendString(b, message)
	b = append(b, `,"requestId":"`...)
	b = append(b, x.id...)
	b = append(b, `"}`...)
	return answer{end: e, kind: x.s.labels.json, body: b, upstream: upstream}
}

// refuse answers before any function is asked.
func (x *exchange) refuse(status int, code, outcome, message string) {
	x.send(x.platform(end{outcome, code, status}, message, "-"))
}

// failure is the answer of a function that failed. An HTTP function is a web
// server: its 500 is its own (PROTOCOL.md 1.3).
func (x *exchange) failure(err error) answer {
	if fn := x.s.functions[x.to.function]; fn.http {
		return answer{end: end{outcomeFunction, "function_error", 500}, kind: x.s.labels.text, body: []byte(err.Error()), upstream: "500"}
	}
	return x.platform(end{outcomeFunction, codeFailed, 500}, err.Error(), "430")
}

// answer is what the mishap sends.
func (m *mishap) answer(x *exchange) answer {
	e := end{m.outcome, m.name, m.status}
	switch {
	case m.fault != noFault:
		return answer{end: e, fault: m.fault, upstream: "-"}
	case m.name == "function_error":
		return x.failure(errors.New(m.message))
	case m.code == codeTimeLimit:
		e.cause = m.code
		return x.platform(e, timeLimitMessage(x.work), m.upstream)
	case m.code != "":
		e.cause = m.code
		return x.platform(e, m.message, m.upstream)
	case m.status == 443 && x.form != nil:
		return x.platform(end{m.outcome, codeParam, m.status}, "port 9000 of the function cannot be reached", m.upstream)
	case m.status == 443: // arrives with an empty body (PROTOCOL.md 1.3)
		return answer{end: e, upstream: m.upstream}
	}
	// Where the gateway itself breaks down, a proxy before it answers.
	page := fmt.Sprintf("<html><head><title>%d %[2]s</title></head><body><h1>%[1]d %[2]s</h1></body></html>\n", m.status, http.StatusText(m.status))
	return answer{end: e, kind: x.s.labels.html, body: []byte(page), upstream: m.upstream}
}

// response reads what a function on an HTTP path returned. An object with a
// statusCode is a whole response, where the function may say so; all else is a
// body, whose status is left at 0.
func (s *Server) response(returned []byte, whole bool) (answer, error) {
	a := answer{kind: s.labels.of(returned), body: returned}
	if !whole || !bytes.Contains(returned, []byte(`"statusCode"`)) || len(a.kind) == 0 || a.kind[0] != s.labels.json[0] {
		return a, nil
	}
	var res struct {
		StatusCode      *int                       `json:"statusCode"`
		Headers         map[string]json.RawMessage `json:"headers"`
		Body            json.RawMessage            `json:"body"`
		IsBase64Encoded bool                       `json:"isBase64Encoded"`
	}
	if lead := bytes.TrimLeft(returned, " \t\r\n"); lead[0] != '{' {
		return a, nil
	}
	if err := json.Unmarshal(returned, &res); err != nil {
		return a, fmt.Errorf("read the response that the function returned: %w", err)
	}
	if res.StatusCode == nil {
		return a, nil
	}
	if *res.StatusCode < 200 || *res.StatusCode > 599 {
		return a, fmt.Errorf("statusCode %d is not from 200 to 599", *res.StatusCode)
	}
	a.status = *res.StatusCode
	a.body = res.Body
	var text string
	if len(res.Body) == 0 || string(res.Body) == "null" {
		a.body = nil
	} else if json.Unmarshal(res.Body, &text) == nil {
		a.body = []byte(text)
	}
	if res.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return a, fmt.Errorf("decode the body that isBase64Encoded speaks of: %w", err)
		}
		a.body = decoded
	}
	a.kind = s.labels.of(a.body)
	a.header = make(http.Header, len(res.Headers))
	for name, value := range res.Headers {
		addHeader(a.header, name, value)
	}
	return a, nil
}

// addHeader adds one value, or each of a list (as Set-Cookie needs). Headers
// that say how the body travels are the server's business.
func addHeader(h http.Header, name string, value json.RawMessage) {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
		return
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		list = []json.RawMessage{value}
	}
	for _, v := range list {
		var text string
		if json.Unmarshal(v, &text) != nil {
			text = string(v) // a number, a bool
		}
		h.Add(name, text)
	}
}

// describe makes the event of an HTTP request (PROTOCOL.md 3), as decoded JSON.
// Header names are lower-case. Authorization is left out: an echo would carry
// the caller's credentials into whatever stores replies.
func (x *exchange) describe(path string, body []byte) map[string]any {
	r := x.r
	headers := make(map[string]any, len(r.Header)+1)
	for name, values := range r.Header {
		if name != "Authorization" {
			headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	headers["host"] = r.Host
	query := map[string]any{}
	if r.URL.RawQuery != "" {
		for name, values := range r.URL.Query() {
			if !x.web && name == "webfn" {
				continue
			}
			if len(values) == 1 {
				query[name] = values[0]
				continue
			}
			all := make([]any, len(values))
			for i, v := range values {
				all[i] = v
			}
			query[name] = all
		}
	}
	text, encoded := string(body), false
	if !utf8.Valid(body) {
		text, encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return map[string]any{
		"path": path, "httpMethod": r.Method, "headers": headers, "queryStringParameters": query,
		"requestContext": map[string]any{"requestId": x.id, "envId": x.s.env, "appId": "", "uin": ""},
		"body":           text, "isBase64Encoded": encoded,
	}
}

// send gives the answer and writes the truth about it. It is called once.
func (x *exchange) send(a answer) {
	gone := x.r.Context().Err() != nil
	x.to.count(a.end, x.cold, gone)
	if a.fault != noFault && a.fault != halfFault {
		x.misbehave(a, gone)
		return
	}
	x.head(a)
	bodyless := a.status == http.StatusNoContent || a.status == http.StatusNotModified
	length := len(a.body)
	if a.fault == halfFault {
		length, a.body = max(len(a.body), 2), a.body[:len(a.body)/2] // of an empty body, too, something is missing
	}
	if !bodyless {
		x.w.Header()["Content-Length"] = []string{strconv.Itoa(length)}
	}
	x.w.WriteHeader(a.status)
	if !bodyless {
		_, _ = x.w.Write(a.body) // it fails where the client has left, which is no business of the function's
	}
	// Without a flush the answer leaves after the handler, and the truth would
	// not know when. It costs no system call more.
	if f, ok := x.w.(http.Flusher); ok {
		f.Flush()
	}
	x.record(a.end, gone)
	if a.fault == halfFault {
		panic(http.ErrAbortHandler)
	}
}

// head sets the headers of PROTOCOL.md 1.4, by their canonical names.
func (x *exchange) head(a answer) {
	h := x.w.Header()
	for name, values := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			h[name] = values // the function's word, and not two: whose the platform takes is unknown
			continue
		}
		h[name] = append(h[name], values...)
	}
	if x.form != nil { // the headers are the gateway's
		if a.kind != nil {
			h["Content-Type"] = a.kind
		}
		return
	}
	l := &x.s.labels
	x.values = [4]string{x.id, a.upstream, "", x.runID}
	vals := &x.values
	h["Server"] = l.server
	h["X-Request-Id"] = vals[0:1:1]
	h["X-Cloudbase-Request-Id"] = vals[0:1:1]
	if a.upstream == "-" {
		h["X-Cloudbase-Upstream-Type"] = l.none
		h["X-Cloudbase-Upstream-Status-Code"] = l.none
		h["X-Cloudbase-Upstream-Timecost"] = l.none
	} else {
		vals[2] = strconv.FormatInt(x.spent.Milliseconds(), 10)
		h["X-Cloudbase-Upstream-Type"] = l.scf
		h["X-Cloudbase-Upstream-Status-Code"] = vals[1:2:2]
		h["X-Cloudbase-Upstream-Timecost"] = vals[2:3:3]
		h["X-Tencent-Scf-Request-Id"] = vals[3:4:4]
	}
	if a.kind != nil && h["Content-Type"] == nil {
		h["Content-Type"] = a.kind
	}
	if a.kind == nil && len(a.body) == 0 {
		h["Content-Type"] = nil // keeps net/http from guessing
	}
}

// abort breaks the connection without an answer.
func (x *exchange) abort(outcome, cause string) {
	e := end{outcome: outcome, cause: cause}
	x.to.count(e, x.cold, false)
	x.record(e, false)
	panic(http.ErrAbortHandler)
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always can be
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// buffer lends a buffer for a request's body.
func (s *Server) buffer() *bytes.Buffer {
	if b, ok := s.buffers.Get().(*bytes.Buffer); ok {
		return b
	}
	return new(bytes.Buffer)
}

func (s *Server) putBuffer(b *bytes.Buffer) {
	if b.Cap() <= 1<<20 { // one large body must not stay for ever
		b.Reset()
		s.buffers.Put(b)
	}
}
