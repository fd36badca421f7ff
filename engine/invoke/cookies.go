package invoke

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"

	"volley/engine"
)

// Limits of a jar, those of common browsers; what goes beyond is ignored.
const (
	maxCookies = 180
	maxCookie  = 4096 // bytes of one cookie
)

// A jar keeps the cookies of one caller. A nil jar keeps none. The members of
// a group share their caller's, so it is safe for concurrent use.
type jar struct {
	mu    sync.Mutex
	store *cookiejar.Jar      // nil until there is a cookie
	names map[string]struct{} // what was stored, to bound it
}

// send sets q's cookies: the scenario's own, and those that belong to q.
func (j *jar) send(q *engine.Request, own string) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.store == nil {
		return
	}
	var pairs []string
	if own != "" {
		pairs = append(pairs, own)
	}
	for _, c := range j.store.Cookies(address(q)) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	if len(pairs) > 0 {
		q.Set(engine.Field{Name: "Cookie", Value: strings.Join(pairs, "; "), Secret: true})
	} else {
		q.Header = slices.DeleteFunc(q.Header, func(f engine.Field) bool { return strings.EqualFold(f.Name, "Cookie") })
	}
}

// cookie returns the cookies of a request, as they stand in its header.
func cookie(q *engine.Request) string {
	for k := range q.Header {
		if strings.EqualFold(q.Header[k].Name, "Cookie") {
			return q.Header[k].Value
		}
	}
	return ""
}

// keep stores the cookies that came with the reply to q.
func (j *jar) keep(q *engine.Request, p *engine.Response) {
	if j == nil {
		return
	}
	var lines []string
	for k := range p.Header {
		if strings.EqualFold(p.Header[k].Name, "Set-Cookie") && len(p.Header[k].Value) <= maxCookie {
			lines = append(lines, p.Header[k].Value)
		}
	}
	if len(lines) == 0 {
		return
	}
	cookies := (&http.Response{Header: http.Header{"Set-Cookie": lines}}).Cookies()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.store == nil {
		j.store, _ = cookiejar.New(nil) // without options it cannot fail
		j.names = map[string]struct{}{}
	}
	u := address(q)
	for _, c := range cookies {
		key := u.Host + "\x00" + c.Domain + "\x00" + c.Path + "\x00" + c.Name
		if _, ok := j.names[key]; !ok {
			if len(j.names) >= maxCookies {
				continue
			}
			j.names[key] = struct{}{}
		}
		j.store.SetCookies(u, []*http.Cookie{c})
	}
}

// address returns the URL of q. An escaped path stays as it is.
func address(q *engine.Request) *url.URL {
	u := &url.URL{Scheme: q.Scheme, Host: q.Host, Path: q.Path, RawQuery: q.Query}
	if path, err := url.PathUnescape(q.Path); err == nil {
		u.Path, u.RawPath = path, q.Path
	}
	return u
}
