package emulator

import "net/http"

// allowOrigin lets a page of a security domain read the answer. It reports
// false where the request comes from a page of another.
func (x *exchange) allowOrigin() bool {
	origin := x.r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	h := x.w.Header()
	h.Add("Vary", "Origin")
	if len(x.s.origins) > 0 && !x.s.origins[origin] {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	return true
}

// fromPage deals with browsers where the platform itself answers: a page of
// another domain is refused, and one that asks if it may ask is told so. Where
// it returns false, the answer is given.
func (x *exchange) fromPage() bool {
	if !x.allowOrigin() {
		x.refuse(403, codeSource, outcomeRejected, "pages of "+x.r.Header.Get("Origin")+" may not call: it is not among the security domains")
		return false
	}
	if isPreflight(x.r) {
		x.preflight()
		return false
	}
	return true
}

// isPreflight reports whether a browser asks if it may ask.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

func (x *exchange) preflight() {
	h := x.w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS")
	if asked := x.r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", x.s.maxAge)
	x.send(answer{end: end{outcomeOK, "preflight", 204}, upstream: "-"})
}
