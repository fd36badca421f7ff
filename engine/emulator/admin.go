package emulator

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// admin serves POST /admin, which the vendor's node-sdk calls functions by
// (PROTOCOL.md 4).
func (x *exchange) admin() {
	r := x.r
	if r.URL.Path != "/admin" || r.Method != http.MethodPost {
		x.refuse(http.StatusNotFound, codePath, outcomeRejected, "no route for "+r.Method+" "+r.URL.Path)
		return
	}
	x.form = sdkForm{}
	buf := x.s.buffer()
	defer x.s.putBuffer(buf)
	var call sdkCall
	if !x.readCall(buf, &call) {
		return
	}
	if !x.named(envOf(r.Host), r.URL.Query().Get("env"), call.EnvName) {
		return
	}
	if code, message := x.provenAdmin(buf.Bytes(), call.Session); code != "" {
		x.refuse(http.StatusUnauthorized, code, outcomeAuth, message)
		return
	}
	if call.Action != actionInvoke {
		x.refuse(http.StatusBadRequest, codeParam, outcomeRejected, "the action "+call.Action+" does not exist here")
		return
	}
	x.sdkInvoke(&call)
}

// sdkInvoke invokes what a call names.
func (x *exchange) sdkInvoke(call *sdkCall) {
	if call.Function == "" {
		x.refuse(http.StatusBadRequest, codeParam, outcomeRejected, "function_name is missing")
		return
	}
	if x.find(call.Function, call.Qualifier) {
		x.invokeText(call.Data)
	}
}

// provenAdmin returns the code and message to refuse a call with, or nothing:
// by its signature over the fields of its body, or by an API key.
func (x *exchange) provenAdmin(body []byte, session string) (code, message string) {
	if signedBy(x.r) {
		return x.s.verifyAdmin(x.r, paramsOf(body), session)
	}
	token, code, message := bearer(x.r)
	if code != "" {
		return code, message
	}
	return x.s.admits(token)
}

// paramsOf returns the fields of a JSON object with their values as they are
// signed: texts as they are, all else as JSON without spaces (PROTOCOL.md 9 A).
func paramsOf(body []byte) [][2]string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil // decode has taken it, so that this does not happen
	}
	params := make([][2]string, 0, len(fields))
	for name, raw := range fields {
		var text string
		if json.Unmarshal(raw, &text) != nil || raw[0] != '"' {
			var tight bytes.Buffer
			_ = json.Compact(&tight, raw) // it is JSON
			text = tight.String()
		}
		params = append(params, [2]string{name, text})
	}
	return params
}
