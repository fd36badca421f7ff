package cloud

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"volley/engine"
)

// GatewayHost returns the host of an environment's HTTP API. Regions in China
// share one domain; every other region has the international one; no region
// means China, as in the vendor's own libraries (PROTOCOL.md 1.1).
func GatewayHost(env, region string) string {
	switch region {
	case "", "ap-shanghai", "ap-guangzhou", "ap-shenzhen-fsi", "ap-shanghai-fsi", "ap-nanjing",
		"ap-beijing", "ap-chengdu", "ap-chongqing", "ap-hongkong":
		return env + ".api.tcloudbasegateway.com"
	}
	return env + ".api.intl.tcloudbasegateway.com"
}

// gateway points to at the HTTP API of t's environment, or at its endpoint.
func gateway(t *engine.Target, to *engine.Request) error {
	if t.Endpoint == "" {
		// The id becomes part of a host name, where anything else could lead astray.
		if err := checkEnv(t); err != nil {
			return err
		}
	}
	return address(t, GatewayHost(t.Env, t.Region), to)
}

// endpoint points to at a base URL. Its path, if any, goes before the
// method's own.
func endpoint(base string, to *engine.Request) error {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return errors.New("target.endpoint: is not a URL; write one such as https://example.com")
	case u.User != nil: // not quoted: what stands there may be a secret
		return errors.New("target.endpoint: has a user or password in it; put credentials under target.auth")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		if strings.ContainsAny(base, "@?#") {
			return errors.New("target.endpoint: is not an http or https URL; write one such as https://example.com")
		}
		return fmt.Errorf("target.endpoint: %q is not an http or https URL; write one such as https://example.com", base)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("target.endpoint: %q is followed by a query or fragment; a base URL ends with its path", bareURL(base))
	}
	to.Scheme, to.Host = u.Scheme, u.Host
	to.Path = strings.TrimRight(u.EscapedPath(), "/")
	return nil
}

// functionPath adds the gateway's path of a function to the request's.
func functionPath(name string, to *engine.Request) error {
	if !validName(name) {
		return badName(name)
	}
	to.Path += "/v1/functions/" + name
	return nil
}

func badName(name string) error {
	return fmt.Errorf("invoke: %q is not a function name; it starts with a letter, ends with a letter or digit, "+
		"has letters, digits, - and _ between, and is 2 to 60 characters long", name)
}

// validName reports whether name is ^[a-zA-Z][a-zA-Z0-9_-]{0,58}[a-zA-Z0-9]$
// (PROTOCOL.md 1.1). What is allowed needs no escaping in a path.
func validName(name string) bool {
	if len(name) < 2 || len(name) > 60 || !letter(rune(name[0])) || !alnum(rune(name[len(name)-1])) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return !alnum(r) && r != '-' && r != '_' })
}

func letter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }
func alnum(r rune) bool  { return letter(r) || r >= '0' && r <= '9' }

// subPath adds the scenario's own path to the request's. A query written in
// the path is accepted, as people paste URLs.
func subPath(path string, to *engine.Request) error {
	if path == "" {
		return nil
	}
	if path[0] != '/' {
		return fmt.Errorf("http.path: %q does not start with a slash", path)
	}
	path, query, _ := strings.Cut(path, "?")
	to.Path += escape(path, pathByte)
	addQuery(to, escape(query, queryByte))
	return nil
}

// queryFields adds the scenario's query to the request's.
func queryFields(fields []engine.Field, to *engine.Request) {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(f.Name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(f.Value))
		to.SecretQuery = to.SecretQuery || f.Secret
	}
	addQuery(to, b.String())
}

func addQuery(to *engine.Request, more string) {
	switch {
	case more == "":
	case to.Query == "":
		to.Query = more
	default:
		to.Query += "&" + more
	}
}

// escape percent-encodes the bytes that may not stand for themselves. What is
// percent-encoded already stays as it is, so that a path can say %2F.
func escape(s string, keep func(byte) bool) string {
	fine := func(i int) bool {
		return keep(s[i]) || s[i] == '%' && i+2 < len(s) && hex(s[i+1]) && hex(s[i+2])
	}
	i := 0
	for i < len(s) && fine(i) {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if fine(i) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

// pathByte and queryByte are the bytes of RFC 3986, section 3.3 and 3.4.
func pathByte(c byte) bool {
	return alnum(rune(c)) || strings.IndexByte("-._~!$&'()*+,;=:@/", c) >= 0
}

func queryByte(c byte) bool { return pathByte(c) || c == '?' }

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}
