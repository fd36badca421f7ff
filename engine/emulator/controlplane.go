package emulator

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// A cloudForm words answers as Tencent Cloud's API does: HTTP 200, and all in a
// Response (PROTOCOL.md 7.3). What the function layer says is a Result, also
// where it failed; what the platform refuses is an Error.
type cloudForm struct {
	tail bool // the Log is wanted
}

// cloudLimit is the longest that a function may run that is invoked by Invoke.
const cloudLimit = 300 * time.Second

const logBytes = 4 << 10 // of a Log

func (f cloudForm) success(x *exchange, body []byte) answer {
	return f.result(x, end{outcomeOK, "", http.StatusOK}, 0, string(body), "")
}

// A retMsg is what a function that failed is said to have returned.
type retMsg struct {
	ErrorCode    int    `json:"errorCode"`
	ErrorMessage string `json:"errorMessage"`
	RequestID    string `json:"requestId"`
	StackTrace   string `json:"stackTrace,omitempty"`
	StatusCode   int    `json:"statusCode"`
}

// failure is a Result that looks like a success but for its RetMsg where the
// function was at work, as people report it; InvokeResult is -1, as the
// documentation has it, where no instance took the request.
func (f cloudForm) failure(x *exchange, e end, message string) answer {
	ret := retMsg{ErrorCode: -1, ErrorMessage: message, RequestID: x.runID}
	invoked := 0
	switch e.cause {
	case codeFailed:
		ret.StatusCode = 430
		if e.status == 407 {
			ret.StatusCode = 407
		} else {
			ret.ErrorMessage, ret.StackTrace = "user code exception caught", message
		}
	case codeTimeLimit:
		ret.StatusCode = 433
	case codeMemory:
		ret.StatusCode = 434
	case codeResources:
		ret.StatusCode, invoked = e.status, -1
	case codeParam:
		if e.status == 443 {
			ret.StatusCode, invoked = 443, -1
		}
	}
	if ret.StatusCode == 0 {
		code := cloudErrors()[e.cause]
		return x.cloudError(e.outcome, cmp.Or(code, "InternalError"), message)
	}
	text, _ := json.Marshal(ret) // numbers and texts always can be
	e.cause, e.status = strconv.Itoa(ret.StatusCode), http.StatusOK
	return f.result(x, e, invoked, string(text), message)
}

// cloudErrors returns the code of an Error for each code of the gateway.
func cloudErrors() map[string]string {
	return map[string]string{
		codeNoCredentials: "AuthFailure.SecretIdNotFound",
		codeCredentials:   "AuthFailure.SignatureFailure",
		codeExpired:       "AuthFailure.TokenFailure",
		codeAuthority:     "AuthFailure.UnauthorizedOperation",
		codeEnv:           "ResourceNotFound.Namespace",
		codeNotFound:      "ResourceNotFound.Function",
		codeNoQualifier:   "ResourceNotFound.Qualifier",
		codeParam:         "InvalidParameterValue",
		codePayload:       "RequestSizeLimitExceeded",
		codeRate:          "RequestLimitExceeded",
		codeSystem:        "InternalError",
	}
}

// cloudError is an answer that refuses.
func (x *exchange) cloudError(outcome, code, message string) answer {
	b := append([]byte(nil), `{"Response":{"Error":{"Code":"`...)
	b = append(b, code...)
	b = append(b, `","Message":`...)
	b = appendString(b, message)
	b = append(b, `},"RequestId":"`...)
	b = append(b, x.id...)
	b = append(b, `"}}`...)
	return answer{end: end{outcome, code, http.StatusOK}, kind: x.s.labels.json, body: b}
}

// result is an answer about a run of the function. Durations are in ms,
// sizes in bytes.
func (f cloudForm) result(x *exchange, e end, invoked int, returned, problem string) answer {
	fn := x.to.version.fn
	memory := cmp.Or(fn.Memory, defaultMemory)
	used := cmp.Or(fn.MemoryUsed, memory/10)
	switch {
	case x.instance == 0:
		used = 0
	case e.cause == "434":
		used = memory
	}
	ms := math.Round(float64(x.work)/float64(time.Microsecond)) / 1e3
	res := struct {
		InvokeResult           int
		RetMsg, ErrMsg         string
		Duration               float64
		MemUsage, BillDuration int64
		FunctionRequestID      string `json:"FunctionRequestId"`
		Log                    string
	}{InvokeResult: invoked, RetMsg: returned, Duration: ms, MemUsage: used, BillDuration: int64(math.Ceil(ms)), FunctionRequestID: x.runID}
	if invoked != 0 {
		res.ErrMsg = problem
	}
	if f.tail && x.instance != 0 {
		res.Log = x.log(problem, ms, memory, used)
	}
	text, _ := json.Marshal(res) // numbers and texts always can be
	b := append([]byte(nil), `{"Response":{"Result":`...)
	b = append(b, text...)
	b = append(b, `,"RequestId":"`...)
	b = append(b, x.id...)
	b = append(b, `"}}`...)
	return answer{end: e, kind: x.s.labels.json, body: b}
}

// log is the end of what the function's run wrote to its log, as text. Its last
// line tells a cold start.
func (x *exchange) log(problem string, ms float64, memory, used int64) string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	b := append([]byte(nil), "START RequestId: "+x.runID+"\n"...)
	if problem != "" {
		b = append(b, problem+"\n"...)
	}
	b = append(b, "END RequestId: "+x.runID+"\nReport RequestId: "+x.runID+" Duration: "+number(ms)+"ms Memory: "...)
	b = strconv.AppendInt(b, memory>>20, 10)
	b = append(b, "MB MemUsage: "+strconv.FormatFloat(float64(used)/(1<<20), 'f', 6, 64)+"MB"...)
	if x.cold {
		b = append(b, " Coldstart: "+strconv.FormatInt(x.to.version.fn.ColdStart.Milliseconds(), 10)+"ms"...)
	}
	b = append(b, '\n')
	for len(b) > logBytes || !utf8.RuneStart(b[0]) {
		b = b[max(1, len(b)-logBytes):]
	}
	return string(b)
}

// A cloudCall is what an action of the control plane is given.
type cloudCall struct {
	FunctionName, Namespace, Qualifier, ClientContext string // Invoke
	LogType, InvocationType                           string
	EnvID                                             string `json:"EnvId"` // DescribeEnvs, DescribeEnvInfo
}

// controlPlane serves POST / with an X-TC-Action (PROTOCOL.md 7.3): Invoke, and
// what the vendor's manager asks before it.
func (x *exchange) controlPlane() {
	x.form, x.ceiling = cloudForm{}, cloudLimit
	if x.r.URL.Path != "/" || x.r.Method != http.MethodPost {
		x.send(x.cloudError(outcomeRejected, "InvalidRequest", "Requests are POST /, with an X-TC-Action."))
		return
	}
	buf := x.s.buffer()
	defer x.s.putBuffer(buf)
	if !x.readUpTo(buf, x.s.enveloped()) {
		return
	}
	h := x.r.Header
	for _, name := range []string{"X-TC-Version", "X-TC-Region", "X-TC-Timestamp"} {
		if h.Get(name) == "" {
			x.send(x.cloudError(outcomeRejected, "MissingParameter", "The header "+name+" is missing."))
			return
		}
	}
	service, version := "", ""
	switch action := h.Get("X-TC-Action"); action {
	case "Invoke":
		service, version = "scf", "2018-04-16"
	case "DescribeEnvs", "DescribeEnvInfo":
		service, version = "tcb", "2018-06-08"
	default:
		x.send(x.cloudError(outcomeRejected, "InvalidAction", "The action "+action+" does not exist here."))
		return
	}
	if got := h.Get("X-TC-Version"); got != version {
		x.send(x.cloudError(outcomeRejected, "NoSuchVersion", "The version "+got+" does not exist: this action is of "+version+"."))
		return
	}
	if code, message := x.provenCloud(service, buf.Bytes()); code != "" {
		x.send(x.cloudError(outcomeAuth, code, message))
		return
	}
	var call cloudCall
	if !decode(buf.Bytes(), &call) {
		x.send(x.cloudError(outcomeRejected, "InvalidParameter", "The body is not a JSON object with this action's parameters."))
		return
	}
	if service == "tcb" {
		x.describeEnvs(call.EnvID, h.Get("X-TC-Action") == "DescribeEnvInfo")
		return
	}
	x.cloudInvoke(call)
}

func (x *exchange) cloudInvoke(call cloudCall) {
	refuse := func(code, message string) { x.send(x.cloudError(outcomeRejected, code, message)) }
	if call.FunctionName == "" {
		refuse("MissingParameter", "The parameter FunctionName is missing.")
		return
	}
	switch call.LogType {
	case "", "None":
	case "Tail":
		x.form = cloudForm{tail: true}
	default:
		refuse("InvalidParameterValue", "LogType "+call.LogType+" is not None or Tail.")
		return
	}
	if call.InvocationType != "" && call.InvocationType != "RequestResponse" {
		refuse("InvalidParameterValue", "InvocationType "+call.InvocationType+" is not RequestResponse, the only one here.")
		return
	}
	if x.named(cmp.Or(call.Namespace, "default")) && x.find(call.FunctionName, cmp.Or(call.Qualifier, latest)) {
		x.invokeText(call.ClientContext)
	}
}

// provenCloud checks a signature. The vendor's manager signs its host without
// the port, so that either is taken.
func (x *exchange) provenCloud(service string, body []byte) (code, message string) {
	code, message = x.s.verifyCloudAPI(x.r, body, service)
	if host := bare(x.r.Host); code != "" && host != x.r.Host {
		without := *x.r
		without.Host = host
		if again, _ := x.s.verifyCloudAPI(&without, body, service); again == "" {
			return "", ""
		}
	}
	return code, message
}

// describeEnvs tells of the environment what the vendor's manager reads before
// it invokes: the namespace of its functions.
func (x *exchange) describeEnvs(env string, one bool) {
	if !x.named(env) {
		return
	}
	type namespace struct{ Namespace, Region string }
	type info struct {
		EnvID                            string `json:"EnvId"`
		Alias, Status, Source, Region    string
		CreateTime, UpdateTime           string
		Functions                        []namespace
		Databases, Storages, LogServices []struct{}
	}
	var list []info
	region := x.r.Header.Get("X-TC-Region")
	if env = cmp.Or(env, x.s.env); env != "" {
		since := x.s.start.UTC().Format(time.DateTime)
		list = append(list, info{EnvID: env, Alias: env, Status: "NORMAL", Source: "qcloud", Region: region, CreateTime: since, UpdateTime: since,
			Functions: []namespace{{env, region}}, Databases: []struct{}{}, Storages: []struct{}{}, LogServices: []struct{}{}})
	}
	response := map[string]any{"RequestId": x.id}
	switch {
	case one && len(list) == 0:
		x.send(x.cloudError(outcomeRejected, "MissingParameter", "The parameter EnvId is missing."))
		return
	case one:
		response["EnvInfo"] = map[string]any{"EnvBaseInfo": list[0]}
	default:
		response["EnvList"], response["Total"] = list, len(list)
	}
	body, _ := json.Marshal(map[string]any{"Response": response}) // texts always can be
	x.send(answer{end: end{outcomeOK, "describe", http.StatusOK}, kind: x.s.labels.json, body: body})
}
