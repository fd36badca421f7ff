package emulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// An sdkForm words answers as /admin and /web do: HTTP 200 whatever happened,
// and a code at the top where it went wrong (PROTOCOL.md 4.2).
type sdkForm struct {
	parse bool // response_data is to be the function's JSON itself
}

func (f sdkForm) success(x *exchange, body []byte) answer {
	b := make([]byte, 0, 96+len(body)+len(body)/8)
	b = append(b, `{"requestId":"`...)
	b = append(b, x.id...)
	b = append(b, `","data":{"response_data":`...)
	if f.parse && json.Valid(body) {
		b = append(b, body...)
	} else {
		b = appendString(b, string(body))
	}
	b = append(b, "}}"...)
	return answer{end: end{outcomeOK, "", http.StatusOK}, kind: x.s.labels.json, body: b}
}

func (sdkForm) failure(x *exchange, e end, message string) answer {
	b := make([]byte, 0, 128+len(message))
	b = append(b, `{"code":"`...)
	b = append(b, e.cause...)
	b = append(b, `","message":`...)
	b = appendString(b, message)
	b = append(b, `,"requestId":"`...)
	b = append(b, x.id...)
	b = append(b, `"}`...)
	e.status = http.StatusOK
	return answer{end: e, kind: x.s.labels.json, body: b}
}

// An sdkCall is what the vendor's SDKs post to /admin and /web.
type sdkCall struct {
	Action    string `json:"action"`
	Function  string `json:"function_name"`
	Qualifier string `json:"qualifier"`
	Data      string `json:"request_data"` // JSON; empty for no data

	EnvName string `json:"envName"`      // /admin
	Session string `json:"sessionToken"` // /admin, with temporary keys

	Env          string `json:"env"` // /web, and all that follows
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	UUID         string `json:"anonymous_uuid"`
	LoginType    string `json:"loginType"`
	Username     string `json:"username"`
	Password     string `json:"password"`
}

// Codes that only the SDKs' ways answer with (PROTOCOL.md 1.5). For a request
// that is called wrong none is documented; FUNCTION_PARAM_INVALID is used.
const (
	codeLogin          = "CHECK_LOGIN_FAILED"
	codeRefreshExpired = "REFRESH_TOKEN_EXPIRED"
	codeRefreshInvalid = "INVALID_REFRESH_TOKEN"
)

const actionInvoke = "functions.invokeFunction"

// enveloped is the most bytes of a body that carries the data of a function as
// a JSON string, where escapes make it longer.
func (s *Server) enveloped() int64 { return 2*s.maxBody + 64<<10 }

// decode reads one JSON object into v, and no more than that.
func decode(body []byte, v any) bool {
	lead := bytes.TrimLeft(body, " \t\r\n")
	return len(lead) > 0 && lead[0] == '{' && json.Unmarshal(body, v) == nil
}

// readCall reads what an SDK posts. Where it returns false, the answer is given.
func (x *exchange) readCall(buf *bytes.Buffer, call *sdkCall) bool {
	if !x.readUpTo(buf, x.s.enveloped()) {
		return false
	}
	if !decode(buf.Bytes(), call) {
		x.refuse(http.StatusBadRequest, codeParam, outcomeRejected, "the body is not a JSON object with the fields of this request")
		return false
	}
	return true
}

// named reports whether the request is for this environment, which its parts
// name: those that are empty say nothing. Where it returns false, the answer is
// given.
func (x *exchange) named(parts ...string) bool {
	for _, env := range parts {
		if env != "" && x.s.env != "" && env != x.s.env {
			x.refuse(http.StatusBadRequest, codeEnv, outcomeRejected, "environment "+env+" does not exist here")
			return false
		}
	}
	return true
}

// find leads the exchange to a version of an event function. Where it returns
// false, the answer is given. None of the ways but the gateway and the HTTP
// Access Service reaches HTTP functions (PROTOCOL.md 0); how each refuses is
// unknown.
func (x *exchange) find(name, qualifier string) bool {
	fn := x.s.functions[name]
	if fn == nil {
		x.refuse(http.StatusNotFound, codeNotFound, outcomeRejected, "function "+name+" not found")
		return false
	}
	if x.to = fn.routes[qualifier]; x.to == nil {
		x.to = &fn.unknown
		x.refuse(http.StatusNotFound, codeNoQualifier, outcomeRejected, "qualifier "+qualifier+" of function "+name+" not found")
		return false
	}
	if fn.http {
		x.refuse(http.StatusBadRequest, codeParam, outcomeRejected, name+" is an HTTP function, which cannot be called this way")
		return false
	}
	return true
}

// invokeText invokes the function with an event that came as text: JSON, or
// nothing for an empty object.
func (x *exchange) invokeText(event string) {
	if event == "" {
		event = "{}"
	}
	if int64(len(event)) > x.s.maxBody {
		x.refuse(http.StatusRequestEntityTooLarge, codePayload, outcomeRejected, "the event is larger than "+strconv.FormatInt(x.s.maxBody, 10)+" bytes")
		return
	}
	raw := []byte(event)
	if !json.Valid(raw) {
		x.refuse(http.StatusBadRequest, codeParam, outcomeRejected, "the event is not JSON")
		return
	}
	x.call(raw)
}
