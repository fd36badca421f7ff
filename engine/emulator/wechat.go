package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// wechatLimit is the longest that a function may run that is invoked by
// WeChat's API (PROTOCOL.md 6).
const wechatLimit = 5 * time.Second

// A wechatForm words answers as WeChat's API does: HTTP 200, and a number
// (PROTOCOL.md 6).
type wechatForm struct{}

func (wechatForm) success(x *exchange, body []byte) answer {
	b := make([]byte, 0, 64+len(body)+len(body)/8)
	b = append(b, `{"errcode":0,"errmsg":"ok","resp_data":`...)
	b = appendString(b, string(body))
	b = append(b, '}')
	return answer{end: end{outcomeOK, "", http.StatusOK}, kind: x.s.labels.json, body: b}
}

func (wechatForm) failure(x *exchange, e end, message string) answer {
	known, ok := wechatErrors()[e.cause]
	if !ok {
		known = wechatError{code: -1, message: "system error"}
	}
	switch {
	case known.message == "":
		known.message = message
	case known.code == -504002 || known.code == -504003:
		known.message += " " + message
	}
	return x.wechatFailure(e.outcome, known.code, known.message)
}

// wechatFailure is an answer that says what went wrong. There is no request id
// but in the text.
func (x *exchange) wechatFailure(outcome string, code int, message string) answer {
	number := strconv.Itoa(code)
	b := make([]byte, 0, 96+len(message))
	b = append(b, `{"errcode":`...)
	b = append(b, number...)
	b = append(b, `,"errmsg":`...)
	b = appendString(b, message+" rid: "+x.id)
	b = append(b, '}')
	return answer{end: end{outcome, number, http.StatusOK}, kind: x.s.labels.json, body: b}
}

// A wechatError is what WeChat calls a failure.
type wechatError struct {
	code    int
	message string // empty: the emulator's own
}

// wechatErrors returns the errcode of each code of the platform (PROTOCOL.md
// 6). Which of the three quota numbers stands for what is inferred from their
// texts.
func wechatErrors() map[string]wechatError {
	return map[string]wechatError{
		codeNoCredentials: {41001, "access_token missing"},
		codeCredentials:   {40001, "invalid credential, access_token is invalid or not latest"},
		codeExpired:       {42001, "access_token expired"},
		codeAuthority:     {-501023, "permission denied"},
		codeEnv:           {-501005, "invalid env"},
		codeNotFound:      {-501000, "ResourceNotFound.FunctionName, FunctionName parameter could not be found."},
		codeParam:         {-501007, ""},
		codePayload:       {45002, "content size out of limit"},
		codeRate:          {-501003, "EXCEED_REQUEST_LIMIT"},
		codeResources:     {-501004, "EXCEED_CONCURRENT_REQUEST_LIMIT"},
		codeSystem:        {-501001, "SYS_ERR"},
		codeFailed:        {-504002, "functions execute fail |"},
		codeMemory:        {-504002, "FUNCTION_MEMORY_LIMIT_EXCEEDED |"},
		codeTimeLimit:     {-504003, "FUNCTION_TIME_LIMIT_EXCEEDED |"},
	}
}

// wechat serves WeChat's server API (PROTOCOL.md 6).
func (x *exchange) wechat() {
	x.form, x.ceiling = wechatForm{}, wechatLimit
	switch x.r.URL.Path {
	case "/tcb/invokecloudfunction":
		x.wechatInvoke()
	case "/cgi-bin/stable_token":
		x.stableToken()
	case "/cgi-bin/token":
		x.legacyToken()
	default:
		x.send(x.wechatFailure(outcomeRejected, 40066, "invalid url"))
	}
}

// wechatInvoke serves POST /tcb/invokecloudfunction in both of its forms.
func (x *exchange) wechatInvoke() {
	r := x.r
	if r.Method != http.MethodPost {
		x.send(x.wechatFailure(outcomeRejected, 43002, "require POST method"))
		return
	}
	query := r.URL.Query()
	if code := x.s.acceptWechat(query.Get("access_token")); code != "" {
		x.refuse(http.StatusUnauthorized, code, outcomeAuth, "")
		return
	}
	buf := x.s.buffer()
	defer x.s.putBuffer(buf)
	if !x.readUpTo(buf, x.s.enveloped()) {
		return
	}
	raw := buf.Bytes()
	if len(raw) == 0 {
		x.send(x.wechatFailure(outcomeRejected, 44002, "empty post data"))
		return
	}
	if !json.Valid(raw) {
		x.send(x.wechatFailure(outcomeRejected, 47001, "data format error"))
		return
	}
	env, name, event := query.Get("env"), query.Get("name"), string(raw)
	if !query.Has("env") && !query.Has("name") {
		var call struct {
			Env  string `json:"env"`
			Name string `json:"name"`
			Data string `json:"req_data"`
		}
		if !decode(raw, &call) {
			x.send(x.wechatFailure(outcomeRejected, 47001, "data format error"))
			return
		}
		env, name, event = call.Env, call.Name, call.Data
	}
	if env == "" || name == "" {
		x.send(x.wechatFailure(outcomeRejected, 40101, "missing parameter: env and name are wanted"))
		return
	}
	if x.named(env) && x.find(name, "") {
		x.invokeText(event)
	}
}
