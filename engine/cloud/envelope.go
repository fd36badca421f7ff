package cloud

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"volley/engine"
)

// readEnvelope reads a reply of /admin or /web (PROTOCOL.md 4.2): whatever the
// status, a code that JavaScript takes for true is a failure. Unlike the
// vendor's libraries it keeps body and request id of replies that are not 200.
func readEnvelope(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	start(from, to)
	if !good(from.Status) {
		if slices.Contains(i.Step.Target.OKStatus, from.Status) {
			return
		}
		fail(from, parseFailure(from.Body), false, to)
		return
	}
	var code, message, id, data []byte
	ok := members(from.Body, func(name string, v []byte) {
		switch name {
		case "code":
			code = v
		case "message":
			message = v
		case "requestId":
			id = v
		case "data":
			data = v
		}
	})
	if !ok {
		strange(from, "an object with data", to)
		return
	}
	if own := clean(text(id), maxID); own != "" {
		to.RequestID = own // the one that the vendor's libraries report
	}
	if truthy(code) {
		fail(from, failure{code: value(code), message: text(message)}, false, to)
		return
	}
	var answer []byte
	if !within(data, func(name string, v []byte) {
		if name == "response_data" {
			answer = v
		}
	}) {
		strange(from, "an object with data", to)
		return
	}
	to.Body = content(answer)
}

// text returns what a JSON string says or how a number is written, and "" for
// all else.
func text(raw []byte) string {
	if len(raw) == 0 || raw[0] != '"' && raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return ""
	}
	return value(raw)
}

// content returns the answer that an envelope has in it: what a string says,
// which is JSON or text as the function gave it; all else as it is written.
func content(raw []byte) []byte {
	if len(raw) > 0 && raw[0] == '"' {
		return []byte(unquote(raw))
	}
	return raw
}

// strange writes down a success that is not what the protocol says, and what
// it is: the beginning of it stands in the message.
func strange(from *engine.Response, want string, to *engine.Reply) {
	to.Outcome = engine.PlatformError
	body := bytes.TrimSpace(from.Body)
	what := "text that is not JSON"
	switch {
	case len(body) == 0:
		what = "an empty body"
	case body[0] == '<':
		what = "a page"
	case isJSON(body):
		what = "JSON"
	case body[0] == '{' || body[0] == '[':
		what = "JSON that is cut off or broken"
	}
	to.Message = "status " + strconv.Itoa(from.Status) + " with " + what + " where " + want + " was expected"
	if quote := plain(from); quote != "" {
		to.Message = clean(to.Message+": "+quote, engine.MaxMessage)
	}
}

// readWeChat reads a reply of WeChat's server API, whose errcode alone tells
// success from failure (PROTOCOL.md 6).
func readWeChat(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	start(from, to)
	if !good(from.Status) && slices.Contains(i.Step.Target.OKStatus, from.Status) {
		return
	}
	var code, message, answer []byte
	answered := false
	ok := members(from.Body, func(name string, v []byte) {
		switch name {
		case "errcode":
			code = v
		case "errmsg":
			message = v
		case "resp_data":
			answer, answered = v, true
		}
	})
	number := text(code)
	if number != "" && number != "0" {
		to.Code, to.Message = clean(number, maxID), clean(text(message), engine.MaxMessage)
		to.Outcome, to.TokenExpired = byErrcode(to.Code, to.Message)
		if to.RequestID == "" {
			to.RequestID = rid(to.Message)
		}
		if to.Message = explain(to.Code, to.Message); to.Message == "" {
			to.Message = plain(from)
		}
		return
	}
	switch {
	case !good(from.Status):
		fail(from, parseFailure(from.Body), false, to)
	case !ok || number == "" && !answered:
		strange(from, "an object with errcode and resp_data", to)
	default:
		to.Body = content(answer)
	}
}

// rid returns the request id that WeChat puts into an error's text.
func rid(message string) string {
	_, id, ok := strings.Cut(message, "rid:")
	if !ok {
		return ""
	}
	id = strings.TrimLeft(id, " ")
	if end := strings.IndexFunc(id, func(r rune) bool { return !alnum(r) && r != '-' && r != '_' }); end >= 0 {
		id = id[:end]
	}
	return clean(id, maxID)
}

// explain adds what is often misread about an error. The seed of many programs
// takes -404001 for a missing function; officially it is a call that failed
// inside the platform with an empty result (PROTOCOL.md 6).
func explain(code, message string) string {
	const empty = "the call failed inside the platform, with an empty result; this does not say that the function is missing"
	switch {
	case code != "-404001":
		return message
	case message == "":
		return empty
	}
	return clean(message, engine.MaxMessage-len(empty)-3) + " (" + empty + ")"
}
