package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An exchange is one request and its answer.
type exchange struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	stop    <-chan struct{} // closed when the server cannot wait any more
	arrived time.Duration

	seq   uint64 // its number
	id    string // of the request
	runID string // of the function's run, should it come to one
	by    protocol
	web   bool // it came by the HTTP Access Service, not the gateway
	form  form // how its protocol words answers; nil: as the gateway does
	to    *route

	raw   []byte // the body, once it was taken
	taken bool

	values [4]string // of the answer's headers, which are slices of it

	instance uint64
	cold     bool
	spent    time.Duration // in the function, and on the way there and back
	work     time.Duration // in the function alone
	ceiling  time.Duration // the longest time that its protocol lets a function have; 0: none of its own
}

// serve answers r. It panics with http.ErrAbortHandler, as net/http wants it,
// where the connection must break.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, stop <-chan struct{}) {
	x := exchange{s: s, w: w, r: r, stop: stop, arrived: s.now(), to: &s.stray}
	x.name()
	select {
	case <-stop:
		x.abort(outcomeCanceled, "")
	default:
	}
	if s.record != nil {
		x.note()
	}
	switch x.by = protocolOf(r); x.by {
	case byGateway:
		x.gateway()
	case bySignIn:
		x.signIn()
	case byAdmin:
		x.admin()
	case byWebSDK:
		x.webSDK()
	case byWeChat:
		x.wechat()
	case byControlPlane:
		x.controlPlane()
	default:
		x.web = true
		x.access()
	}
}

// name gives the exchange its ids. A client's own request id is kept, so that
// it is found in the truth.
func (x *exchange) name() {
	n := x.s.requests.Add(1)
	x.seq = n
	a := mix(x.s.seed ^ mix(n))
	b := mix(a + 0x9E3779B97F4A7C15)
	var text [72]byte
	appendUUID(text[:0:36], a, b)
	appendUUID(text[36:36:72], b, mix(b))
	ids := string(text[:])
	x.id, x.runID = ids[:36], ids[36:]
	if own := x.r.Header["X-Request-Id"]; len(own) > 0 && plain(own[0]) {
		x.id = own[0]
	}
}

// appendUUID formats 128 bits as a version 4 UUID (RFC 9562).
func appendUUID(b []byte, hi, lo uint64) []byte {
	hi = hi&^0xF000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	const digits = "0123456789abcdef"
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			b = append(b, '-')
		}
		word := hi
		if i >= 16 {
			word = lo
		}
		b = append(b, digits[word>>(60-4*(i%16))&15])
	}
	return b
}

// plain reports whether s can be used as an id everywhere.
func plain(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// gateway serves /v1/ (PROTOCOL.md 1).
func (x *exchange) gateway() {
	r := x.r
	if !x.named(envOf(r.Host)) {
		return
	}
	if !x.fromPage() {
		return
	}
	if signedBy(r) && int64(len(x.take())) > x.s.maxBody {
		x.tooLarge() // there is no telling what was signed
		return
	}
	if code, message := x.authorize(true); code != "" {
		x.refuse(401, code, outcomeAuth, message)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/v1/functions/")
	if !ok {
		x.refuse(404, codePath, outcomeRejected, "no route for "+r.URL.Path)
		return
	}
	name, sub, deeper := strings.Cut(rest, "/")
	fn := x.s.functions[name]
	if fn == nil {
		x.refuse(404, codeNotFound, outcomeRejected, "function "+name+" not found")
		return
	}
	qualifier := r.Header.Get("X-Qualifier")
	if x.to = fn.routes[qualifier]; x.to == nil {
		x.to = &fn.unknown
		x.refuse(404, codeNoQualifier, outcomeRejected, "qualifier "+qualifier+" of function "+name+" not found")
		return
	}
	switch webfn := isWebfn(r); {
	case fn.http && webfn:
		x.forward("/" + sub)
	case webfn:
		// The platform passes the request on to a port where an event function
		// does not listen (PROTOCOL.md 1.3).
		x.send(answer{end: end{outcomeRejected, "port_unreachable", 443}, upstream: "443"})
	case fn.http:
		// What the platform does is unknown; this is for people to read.
		x.refuse(400, codeParam, outcomeRejected, name+" is an HTTP function: add ?webfn=true or the header X-Tcb-Webfn: true")
	case r.Method != http.MethodPost || deeper:
		x.refuse(404, codePath, outcomeRejected, "no route for "+r.Method+" "+r.URL.Path+": an event function is invoked by POST /v1/functions/"+name)
	default:
		x.event()
	}
}

// access serves the HTTP Access Service (PROTOCOL.md 3). The first part of the
// path is the function's route; it is stripped, as without path pass-through.
// The version belongs to the route, so X-Qualifier has no say.
func (x *exchange) access() {
	r := x.r
	if !x.named(envOf(r.Host)) {
		return
	}
	name, sub, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	fn := x.s.functions[name]
	if fn == nil {
		x.refuse(404, codePath, outcomeRejected, "no route for "+r.URL.Path+": the first part of a path names the function")
		return
	}
	x.to = fn.routes[""]
	x.allowOrigin()
	if isPreflight(r) {
		x.preflight()
		return
	}
	if fn.webAuth {
		if code, message := x.authorize(false); code != "" {
			x.refuse(401, code, outcomeAuth, message)
			return
		}
	}
	x.forward("/" + sub)
}

// authorize returns the code and message to refuse r with, or nothing: by its
// bearer token, or its signature over the body (PROTOCOL.md 2.1).
func (x *exchange) authorize(signed bool) (code, message string) {
	if signed && signedBy(x.r) {
		return x.s.verifyGateway(x.r, x.take())
	}
	token, code, message := bearer(x.r)
	if code != "" {
		return code, message
	}
	return x.s.admits(token)
}

// bearer returns the token of the Authorization header, or what is wrong with it.
func bearer(r *http.Request) (token, code, message string) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	switch {
	case scheme == "" || strings.EqualFold(scheme, "Bearer") && token == "":
		return "", codeNoCredentials, "missing credentials"
	case !strings.EqualFold(scheme, "Bearer"):
		return "", codeCredentials, "invalid credentials: a bearer token is wanted"
	}
	return token, "", ""
}

// take reads the body as far as it may go, and puts it back, so that it can be
// read again: signatures cover all of it.
func (x *exchange) take() []byte {
	if x.taken || x.r.Body == nil || x.r.Body == http.NoBody {
		return x.raw
	}
	x.taken = true
	raw, err := io.ReadAll(io.LimitReader(x.r.Body, x.s.maxBody+1))
	if err != nil {
		x.abort(outcomeCanceled, "body")
	}
	again := *x.r // the handler's request is not ours to change
	again.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(raw), x.r.Body), x.r.Body}
	x.raw, x.r = raw, &again
	return raw
}

func isWebfn(r *http.Request) bool {
	if h := r.Header["X-Tcb-Webfn"]; len(h) > 0 && strings.EqualFold(h[0], "true") {
		return true
	}
	return strings.Contains(r.URL.RawQuery, "webfn=") && strings.EqualFold(r.URL.Query().Get("webfn"), "true")
}

// event invokes an event function with what was posted.
func (x *exchange) event() {
	buf := x.s.buffer()
	defer x.s.putBuffer(buf)
	if !x.read(buf) {
		return
	}
	raw := buf.Bytes()
	if len(raw) == 0 {
		raw = []byte("{}") // what the vendor's SDK sends for no data
	}
	if lead := bytes.TrimLeft(raw, " \t\r\n"); len(lead) == 0 || lead[0] != '{' || !json.Valid(raw) {
		x.refuse(400, codeParam, outcomeRejected, "bad http request body (not a JSON object)")
		return
	}
	x.call(raw)
}

// call invokes a function with raw, which is JSON.
func (x *exchange) call(raw []byte) {
	x.invoke(func(reply func(any) ([]byte, error)) answer {
		if reply == nil {
			return answer{end: end{outcomeOK, "", 200}, kind: x.s.labels.json, body: raw, upstream: "200"}
		}
		var event any
		if err := json.Unmarshal(raw, &event); err != nil {
			return x.failure(err)
		}
		body, err := reply(event)
		if err != nil {
			return x.failure(err)
		}
		return answer{end: end{outcomeOK, "", 200}, kind: x.s.labels.of(body), body: body, upstream: "200"}
	})
}

// forward invokes a function with the description of an HTTP request.
func (x *exchange) forward(path string) {
	buf := x.s.buffer()
	defer x.s.putBuffer(buf)
	if !x.read(buf) {
		return
	}
	x.invoke(func(reply func(any) ([]byte, error)) answer {
		event := x.describe(path, buf.Bytes())
		var body []byte
		var err error
		if reply == nil {
			body, err = json.Marshal(event)
		} else {
			body, err = reply(event)
		}
		if err != nil {
			return x.failure(err)
		}
		a, err := x.s.response(body, reply != nil)
		if err != nil {
			return x.failure(err)
		}
		if a.status == 0 {
			a.status = 200
			if x.to.version.fn.ReplyStatus != 0 {
				a.status = x.to.version.fn.ReplyStatus
			}
		}
		a.outcome = ownOutcome(a.status)
		a.upstream = strconv.Itoa(a.status)
		return a
	})
}

// read takes in the request's body; where it returns false, the answer is given.
func (x *exchange) read(buf *bytes.Buffer) bool { return x.readUpTo(buf, x.s.maxBody) }

// readUpTo is read with a limit of its own.
func (x *exchange) readUpTo(buf *bytes.Buffer, limit int64) bool {
	if x.r.Body == nil || x.r.Body == http.NoBody {
		return true
	}
	body := io.LimitedReader{R: x.r.Body, N: limit + 1}
	if _, err := buf.ReadFrom(&body); err != nil {
		x.abort(outcomeCanceled, "body")
	}
	if int64(buf.Len()) > limit {
		x.tooLarge()
		return false
	}
	return true
}

// tooLarge refuses a body, after reading on for a while: most clients look at
// the answer only when they have sent all.
func (x *exchange) tooLarge() {
	_, _ = io.CopyN(io.Discard, x.r.Body, 64<<20) // the refusal is the answer, whatever happens here
	x.refuse(413, codePayload, outcomeRejected, fmt.Sprintf("the request body is larger than %d bytes", x.s.maxBody))
}
