package cloud

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"volley/engine"
)

// readInvoke reads a reply of the cloud API's action Invoke (PROTOCOL.md 7.3).
// Its status is 200 for errors, too; and where InvokeResult says that all went
// well, RetMsg may still tell of a function that failed.
func readInvoke(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	start(from, to)
	if !good(from.Status) && slices.Contains(i.Step.Target.OKStatus, from.Status) {
		return
	}
	var response, failed, result, id []byte
	members(from.Body, func(name string, v []byte) {
		if name == "Response" {
			response = v
		}
	})
	within(response, func(name string, v []byte) {
		switch name {
		case "Error":
			failed = v
		case "Result":
			result = v
		case "RequestId":
			id = v
		}
	})
	if own := clean(text(id), maxID); own != "" {
		to.RequestID = own
	}
	var code, message []byte
	refused := within(failed, func(name string, v []byte) {
		switch name {
		case "Code":
			code = v
		case "Message":
			message = v
		}
	})
	switch {
	case refused:
		refuse(from, text(code), text(message), to)
	case !good(from.Status):
		fail(from, parseFailure(from.Body), false, to)
	case !readResult(result, to):
		strange(from, "Response with a Result", to)
	}
}

// refuse writes down an error of the cloud API.
func refuse(from *engine.Response, code, message string, to *engine.Reply) {
	f := failure{code: code, message: message}
	fail(from, f, false, to)
	if o, ok := byCloudCode(code); ok {
		to.Outcome = o
	}
}

// readResult reads what Invoke tells of the invocation. It reports false when
// it tells nothing.
func readResult(result []byte, to *engine.Reply) bool {
	var failed bool
	var answer []byte
	var wrong, log, run string
	var s engine.ServerSide
	ok := within(result, func(name string, v []byte) {
		switch name {
		case "InvokeResult":
			failed = truthy(v)
		case "RetMsg":
			answer = v
		case "ErrMsg":
			wrong = text(v)
		case "FunctionRequestId":
			run = text(v)
		case "Log":
			log = text(v)
		case "Duration":
			s.Duration, s.Timed = milliseconds(v)
		case "BillDuration":
			s.Billed, _ = milliseconds(v)
		case "MemUsage":
			s.MemoryBytes = size(v)
		}
	})
	if !ok {
		return false
	}
	s.Cold = coldStart(log)
	to.Server = s
	said := content(answer)
	status, message, own := layerError(said, run)
	if !failed && !own {
		to.Body = said
		return true
	}
	to.Outcome = engine.FunctionError
	if status != 0 {
		to.Code = strconv.Itoa(status)
		var known bool
		if to.Outcome, known = bySCF(status); !known {
			to.Outcome = unlisted(status)
		}
	}
	if message == "" {
		message = wrong
	}
	if message == "" {
		message = strings.Join(strings.Fields(string(said[:min(len(said), engine.MaxMessage)])), " ")
	}
	if run != "" { // the id that finds the function's log
		tail := " (function request id " + clean(run, maxID) + ")"
		message = clean(message, engine.MaxMessage-len(tail)) + tail
	}
	to.Message = clean(message, engine.MaxMessage)
	return true
}

// unlisted classes a status of the function layer that PROTOCOL.md 7.2 has not.
func unlisted(status int) engine.Outcome {
	switch {
	case status == 504:
		return engine.FunctionTimeout
	case status >= 500:
		return engine.PlatformError
	}
	return engine.Rejected
}

// layerError reads the error that the function layer puts in place of a
// function's answer: {errorCode, errorMessage, statusCode, requestId}. A
// function may answer with something like it, so that it counts only if it
// names a request, and without a status only if that is the very run.
func layerError(said []byte, run string) (status int, message string, own bool) {
	if len(said) > maxError || len(said) == 0 || said[0] != '{' {
		return 0, "", false
	}
	var code []byte
	var id string
	members(said, func(name string, v []byte) {
		switch name {
		case "errorCode":
			code = v
		case "errorMessage":
			message = text(v)
		case "requestId":
			id = text(v)
		case "statusCode":
			if n, err := strconv.Atoi(text(v)); err == nil && n >= 400 && n <= 599 {
				status = n
			}
		}
	})
	return status, message, truthy(code) && message != "" && id != "" && (status != 0 || id == run)
}

// milliseconds reads a time, and whether there is one that can be.
func milliseconds(raw []byte) (time.Duration, bool) {
	ms, err := strconv.ParseFloat(text(raw), 64)
	if err != nil || !(ms >= 0 && ms <= float64(24*time.Hour/time.Millisecond)) {
		return 0, false
	}
	return time.Duration(math.Round(ms * float64(time.Millisecond))), true
}

// size reads a number of bytes; 0 when it is none that can be.
func size(raw []byte) int64 {
	n, err := strconv.ParseFloat(text(raw), 64)
	if err != nil || !(n >= 0 && n <= 1<<50) {
		return 0
	}
	return int64(n)
}

// maxLog bounds how much of a log's end is looked at, in bytes. The platform
// gives at most 4 KB.
const maxLog = 16 << 10

// coldStart reads from the log's tail whether a new instance was started: the
// platform's report line, or the one about the initialisation, then has the
// time that it took. A report without one is a warm start; a log without a
// report tells nothing.
func coldStart(log string) engine.Answer {
	log = log[max(0, len(log)-maxLog):]
	cold := engine.Unknown
	for line := range strings.Lines(log) {
		line = strings.ToLower(strings.TrimSpace(line))
		first := strings.HasPrefix(line, "init report ")
		if !first && !strings.HasPrefix(line, "report ") {
			continue
		}
		_, took, told := strings.Cut(line, "coldstart")
		switch {
		case told && strings.TrimLeft(took, ": 0.") != "" && !strings.HasPrefix(strings.TrimLeft(took, ": 0."), "ms"):
			cold = engine.Yes
		case !first && cold == engine.Unknown:
			cold = engine.No
		}
	}
	return cold
}
