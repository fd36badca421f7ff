package emulator

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"volley/engine/auth"
)

// secretName reports whether what has this name, of a field, a parameter or a
// header, is a secret.
func secretName(name string) bool {
	switch name = strings.ToLower(strings.TrimSpace(name)); name {
	case "access_token", "refresh_token", "verification_token", "provider_token", "captcha_token", "token", "id_token",
		"accesstoken", "refreshtoken", "sessiontoken", "tcb_sessiontoken", "wxcloudapitoken", "wxcloudbaseaccesstoken", "crossauthorizationtoken",
		"password", "secret", "client_secret", "appsecret", "secretkey", "secret_key", "accesskey", "access_key", "apikey", "api_key", "ticket", "authorization",
		"x-tc-token", "x-cloudbase-sessiontoken", "x-cloudbase-authorization", "proxy-authorization", "x-api-key":
		return true
	}
	return false
}

// maskHeader masks what is secret in a header's value.
func maskHeader(name, value string) string {
	switch {
	case name == "Authorization":
		return maskAuthorization(value)
	case name == "Cookie":
		parts := strings.Split(value, ";")
		for i, p := range parts {
			k, _, named := strings.Cut(p, "=")
			if named {
				parts[i] = k + "=" + auth.Mask
			} else if strings.TrimSpace(p) != "" {
				parts[i] = p[:len(p)-len(strings.TrimLeft(p, " "))] + auth.Mask
			}
		}
		return strings.Join(parts, ";")
	case secretName(name) && value != "":
		return auth.Mask
	}
	return value
}

// maskAuthorization keeps of a signature what it covers and when it was made,
// and of all else a scheme that everybody knows.
func maskAuthorization(value string) string {
	scheme, rest, _ := strings.Cut(value, " ")
	if scheme != "TC3-HMAC-SHA256" {
		if known := strings.ToLower(scheme); rest != "" && (known == "bearer" || known == "basic") {
			return scheme + " " + auth.Mask
		}
		return auth.Mask // the first word may be the secret itself
	}
	var kept []string
	for part := range strings.SplitSeq(rest, ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential": // ID/DATE/SERVICE/tc3_request
			scope := strings.Split(text, "/")
			text = strings.Join(append([]string{auth.Mask}, scope[max(0, len(scope)-3):]...), "/")
			if len(scope) < 4 {
				text = auth.Mask
			}
		case "SignedHeaders", "SignedParams", "Timestamp":
		case "Signature", "Token":
			text = auth.Mask
		default: // what does not belong, or the rest of a token
			continue
		}
		kept = append(kept, name+"="+text)
	}
	return scheme + " " + strings.Join(kept, ", ")
}

// maskQuery masks the values of secret parameters, and leaves all else as it is.
func maskQuery(raw string) string {
	if !strings.Contains(raw, "=") {
		return raw
	}
	parts := strings.Split(raw, "&")
	for i, p := range parts {
		name, value, ok := strings.Cut(p, "=")
		if plain, err := url.QueryUnescape(name); err == nil && ok && value != "" && secretName(plain) {
			parts[i] = name + "=" + auth.Mask
		}
	}
	return strings.Join(parts, "&")
}

// maskBody masks secret fields of JSON, of JSON in the strings of JSON, and of
// forms, and leaves all else as it is. Empty values stay: they are no secret,
// and say something.
func maskBody(b []byte) []byte {
	lead := bytes.TrimLeft(b, " \t\r\n\ufeff")
	if len(lead) > 0 && lead[0] != '{' && lead[0] != '[' && lead[0] != '"' {
		b = []byte(maskQuery(string(b)))
	}
	return maskJSON(b)
}

// maskJSON works on what need not be whole or right: a body that was cut is not
// a reason to tell a password.
func maskJSON(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] != '"' {
			out = append(out, b[i])
			i++
			continue
		}
		end := textEnd(b, i)
		colon := spaceEnd(b, end)
		if colon >= len(b) || b[colon] != ':' {
			out = append(out, maskText(b[i:end])...)
			i = end
			continue
		}
		value := spaceEnd(b, colon+1)
		out = append(out, b[i:value]...)
		if !secretName(unquoted(b[i:end])) {
			i = value
			continue
		}
		i = valueEnd(b, value)
		if v := string(b[value:i]); v == `""` || v == "null" || v == "" {
			out = append(out, v...)
		} else {
			out = append(out, `"`+auth.Mask+`"`...)
		}
	}
	return out
}

// maskText masks a string that holds JSON itself, as request_data does.
func maskText(literal []byte) []byte {
	text := unquoted(literal)
	if lead := strings.TrimLeft(text, " \t\r\n"); lead == "" || lead[0] != '{' && lead[0] != '[' {
		return literal
	}
	masked := string(maskJSON([]byte(text)))
	if masked == text {
		return literal
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(masked) // a string always can be
	return bytes.TrimRight(b.Bytes(), "\n")
}

// unquoted returns the text of a JSON string; where it is none, what is there.
func unquoted(literal []byte) string {
	var text string
	if json.Unmarshal(literal, &text) != nil {
		return string(bytes.Trim(literal, `"`))
	}
	return text
}

// textEnd returns where the string ends that starts at i, its quote included.
func textEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

func spaceEnd(b []byte, i int) int {
	for i < len(b) && strings.IndexByte(" \t\r\n", b[i]) >= 0 {
		i++
	}
	return i
}

// valueEnd returns where the value ends that starts at i.
func valueEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = textEnd(b, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}
