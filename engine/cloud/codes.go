package cloud

import (
	"strings"

	"volley/engine"
)

// byCode classes a platform's code: the whole table of PROTOCOL.md 1.5, and no
// wildcard, for EXCEED_REQUEST_SIZE_LIMIT is about a body and not about load.
func byCode(code string) (engine.Outcome, bool) {
	switch code {
	case "FUNCTION_INVOCATION_FAILED",
		"FUNCTION_MEMORY_LIMIT_EXCEEDED", "FUNCTIONS_MEMORY_LIMIT_EXCEEDED",
		"FUNCTIONS_EXECUTE_FAIL", "FUNCTIONS_STATUS_ABNORMITY", "FUNCTION_STATUS_ABNORMAL":
		return engine.FunctionError, true
	case "FUNCTION_TIME_LIMIT_EXCEEDED", "FUNCTIONS_TIME_LIMIT_EXCEEDED":
		return engine.FunctionTimeout, true
	case "FUNCTION_EXCEED_RESOURCE_LIMIT",
		"EXCEED_RATELIMIT", "EXCEED_REQUEST_LIMIT", "EXCEED_CONCURRENT_REQUEST_LIMIT":
		return engine.Throttled, true
	case "SYS_ERR", "SERVER_TIMEOUT":
		return engine.PlatformError, true
	case "MISSING_CREDENTIALS", "INVALID_CREDENTIALS", "SIGN_PARAM_INVALID", "CHECK_LOGIN_FAILED",
		"ACCESS_TOKEN_EXPIRED", "REFRESH_TOKEN_EXPIRED", "INVALID_REFRESH_TOKEN", "REFRESH_TOKEN_EXHAUSTED",
		"EXCEED_AUTHORITY", "ACTION_FORBIDDEN":
		return engine.AuthFailed, true
	case "FUNCTION_NOT_FOUND", "FUNCTION_QUALIFIER_NOT_FOUND", "FUNCTION_PARAM_INVALID",
		"EXCEED_MAX_PAYLOAD_SIZE", "EXCEED_REQUEST_SIZE_LIMIT",
		"INVALID_ENV", "INVALID_ENV_STATUS", "ENV_ABNORMAL", "SERVICE_CHARGE_OVERDUE",
		"INVALID_HOST", "INVALID_PATH", "HTTPSERVICE_NONACTIVATED", "DEFAULT_DOMAIN_EXPIRED", "INVALID_REQUEST_SOURCE":
		return engine.Rejected, true
	}
	return 0, false
}

// byNumber classes the numeric codes of the authentication layer: gRPC's, and
// the vendor's own about signing in (PROTOCOL.md 2.2).
func byNumber(code string) (engine.Outcome, bool) {
	switch code {
	case "7", "16", "4001", "4002", "4019", "4022", "4042", "4045":
		return engine.AuthFailed, true
	case "3", "5", "9", "10", "12":
		return engine.Rejected, true
	case "8":
		return engine.Throttled, true
	case "13", "14":
		return engine.PlatformError, true
	}
	return 0, false
}

// byLayer classes the statuses that the function layer gives in place of an
// answer of the function's (PROTOCOL.md 7.2; 443 from 1.3).
func byLayer(status int) (engine.Outcome, bool) {
	switch status {
	case 407, // the answer is too large
		430, // the user's code failed
		434: // out of memory
		return engine.FunctionError, true
	case 432:
		return engine.Throttled, true
	case 433:
		return engine.FunctionTimeout, true
	case 443: // nothing listens on the function's port
		return engine.Rejected, true
	}
	return 0, false
}

// byStatus classes a status that came without a code we know.
func byStatus(status int) engine.Outcome {
	if o, ok := byLayer(status); ok && status != 407 { // 407 may also come from a proxy
		return o
	}
	switch status {
	case 429:
		return engine.Throttled
	case 401, 403:
		return engine.AuthFailed
	case 502, 503:
		return engine.PlatformError
	case 504:
		return engine.FunctionTimeout
	}
	if status >= 500 {
		return engine.FunctionError
	}
	return engine.Rejected
}

// bySCF classes a status that the function layer tells by itself, where no
// status of a function's own can be meant: the table of PROTOCOL.md 7.2.
func bySCF(status int) (engine.Outcome, bool) {
	switch status {
	case 400, 402, 404, 406, 410, 435, 436:
		return engine.Rejected, true
	case 401:
		return engine.AuthFailed, true
	case 405: // the code ended its process
		return engine.FunctionError, true
	case 429:
		return engine.Throttled, true
	}
	return byLayer(status)
}

// byCloudCode classes an error of the cloud API by its code's first part, the
// group that the vendor documents; the second part says which resource.
func byCloudCode(code string) (engine.Outcome, bool) {
	group, detail, _ := strings.Cut(code, ".")
	if detail == "InsufficientBalance" {
		return engine.Rejected, true
	}
	switch group {
	case "AuthFailure", "UnauthorizedOperation":
		return engine.AuthFailed, true
	case "LimitExceeded", "RequestLimitExceeded":
		return engine.Throttled, true
	case "InvalidParameter", "InvalidParameterValue", "MissingParameter", "UnknownParameter",
		"InvalidAction", "InvalidRequest", "NoSuchVersion", "NoSuchProduct", "ActionOffline",
		"UnsupportedOperation", "UnsupportedProtocol", "UnsupportedRegion",
		"ResourceNotFound", "ResourceInUse", "OperationDenied", "RequestSizeLimitExceeded":
		return engine.Rejected, true
	case "ResponseSizeLimitExceeded":
		return engine.FunctionError, true
	case "InternalError", "FailedOperation", "ResourceInsufficient", "ResourceUnavailable", "ServiceUnavailable":
		return engine.PlatformError, true
	}
	return 0, false
}

// byErrcode classes an errcode of WeChat (PROTOCOL.md 6), and says whether a
// new token may help. What is not in the table is the platform's when it is
// less than 0, and the request's otherwise.
func byErrcode(code, message string) (o engine.Outcome, tokenExpired bool) {
	switch code {
	case "40001", "40014", "42001":
		return engine.AuthFailed, true
	case "40013", "41001", "40164", "48001", "-501023", "-604101":
		return engine.AuthFailed, false
	case "45009", "45011", "-501003", "-501004":
		return engine.Throttled, false
	case "-501005", "-501007", "-501009", "-501015", "-501016", "-606003":
		return engine.Rejected, false
	case "-501000": // also how a missing function or environment shows
		return engine.Rejected, false
	case "-504002":
		if strings.Contains(message, "FunctionName") { // another way that a missing function shows
			return engine.Rejected, false
		}
		return engine.FunctionError, false
	case "-404011":
		return engine.FunctionError, false
	case "-504003":
		return engine.FunctionTimeout, false
	}
	if strings.HasPrefix(code, "-") {
		return engine.PlatformError, false
	}
	return engine.Rejected, false
}
