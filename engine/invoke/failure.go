package invoke

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"volley/engine"
)

// The details of a network_error. The list is closed, so that they can be
// counted apart.
const (
	detailDNS         = "dns"         // the host's name has no address
	detailRefused     = "refused"     // nothing listens there
	detailReset       = "reset"       // the other side broke the connection, or the stream
	detailTLS         = "tls"         // no trusted encrypted connection
	detailUnreachable = "unreachable" // no way there
	detailEOF         = "eof"         // closed without a whole reply
	detailProtocol    = "protocol"    // the reply is not HTTP
	detailTooLarge    = "too_large"   // the reply is larger than we read
	detailProxy       = "proxy"       // the proxy did not let us through
	detailLocal       = "local"       // this machine is out of ports, file descriptors or memory
	detailOther       = "other"
)

// An exchangeError is a failure whose detail the transport knows.
type exchangeError struct{ detail, message string }

func (e *exchangeError) Error() string { return e.message }

// failure says what an exchange that failed is: a timeout of ours, the run's
// end, or a network error.
func failure(ctx context.Context, timeout time.Duration, t *Timing, err error) engine.Reply {
	if out := errors.Is(err, errTimeout); out || ctx.Err() != nil {
		if out {
			return engine.Reply{Outcome: engine.ClientTimeout, Message: fmt.Sprintf("no whole reply within %v, while %s", timeout, stage(t))}
		}
		return engine.Reply{Outcome: engine.Canceled, Message: stopped(ctx)}
	}
	detail, message := classify(err)
	if t.leave {
		message = "the preflight: " + message
	}
	return engine.Reply{Outcome: engine.NetworkError, Detail: detail, Message: words(message)}
}

// stage says how far an exchange came.
func stage(t *Timing) string {
	switch p := t.Phases; {
	case t.leave:
		return "asking for leave (preflight)"
	case t.Start < 0:
		return "waiting for a free connection; raise connections"
	case p.Receive >= 0:
		return "reading the reply"
	case p.FirstByte >= 0 || p.Send >= 0:
		return "waiting for the reply"
	default:
		return "connecting or sending"
	}
}

// stopped says why ctx is done.
func stopped(ctx context.Context) string {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return words("stopped: " + cause.Error())
	}
	return "stopped"
}

// classify returns the detail of a network error, and what it says without
// anything that differs from one connection to the next, such as our own port:
// equal failures shall be counted together.
func classify(err error) (detail, message string) {
	if known, ok := errors.AsType[*exchangeError](err); ok {
		return known.detail, known.message
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "proxyconnect" {
		return detailProxy, "the proxy: " + steady(op.Err)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return detailDNS, fmt.Sprintf("look up %s: %s", dns.Name, dns.Err)
	}
	if message, ok := aboutTLS(err); ok {
		return detailTLS, message
	}
	if op != nil && op.Op == "dial" && op.Timeout() {
		return detailUnreachable, steady(err)
	}
	if detail := byErrno(err); detail != "" {
		return detail, steady(err)
	}
	return byText(err), steady(err)
}

// byErrno returns the detail that the system's error stands for, or "".
func byErrno(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	switch errno {
	case syscall.ECONNREFUSED:
		return detailRefused
	case syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED:
		return detailReset
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.ETIMEDOUT, syscall.EACCES, syscall.EPERM:
		return detailUnreachable
	case syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN:
		return detailLocal
	}
	return detailOther
}

// byText returns the detail of an error that only its text tells: most of
// net/http's own have no type.
func byText(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return detailEOF
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return detailProtocol
	}
	text := err.Error()
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("server response headers exceeded", "header list too large"):
		return detailTooLarge
	case has("server closed idle connection", "unexpected EOF", "GOAWAY", "client connection lost", "connection force closed"):
		return detailEOF
	case has("stream error:", "use of closed network connection"):
		return detailReset
	case has("malformed", "net/http: HTTP/1.x transport connection broken", "bad Content-Length", "invalid byte", "unsupported", "too many transfer encodings",
		"connection error:", "http2:", "http: unexpected", "1xx informational", "suspiciously long trailer", "bad trailer", "chunk", "header line too long"):
		return detailProtocol
	case has("too many open files"):
		return detailLocal
	}
	return detailOther
}

// aboutTLS says what is wrong with a certificate or a handshake, if that is
// what failed.
func aboutTLS(err error) (string, bool) {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		// A known reason: gateways that send only the leaf (PROTOCOL.md 1.5).
		return "unable to verify the certificate chain; add the missing certificate with --ca-file", true
	}
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		return wrongName(name), true
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the certificate is not good: " + bad.Err.Error(), true
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) {
		return "the server does not speak TLS; is the endpoint http:// rather than https://?", true
	}
	var alert tls.AlertError
	if errors.As(err, &alert) || strings.Contains(err.Error(), "tls: ") {
		return "TLS: " + steady(err), true
	}
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error") {
		return "TLS: " + op.Error(), true
	}
	if strings.Contains(err.Error(), "TLS handshake timeout") {
		return "TLS: no handshake in time", true
	}
	return "", false
}

// wrongName says which names a certificate has in place of the one asked for.
func wrongName(e x509.HostnameError) string {
	names := e.Certificate.DNSNames
	for _, ip := range e.Certificate.IPAddresses {
		names = append(slices.Clip(names), ip.String())
	}
	if len(names) == 0 {
		return fmt.Sprintf("the certificate is not for %s and has no name at all", e.Host)
	}
	return fmt.Sprintf("the certificate is for %s, not for %s", strings.Join(names[:min(len(names), 5)], ", "), e.Host)
}

// steady returns an error's text without the local address.
func steady(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err.Error()
	}
	if op.Addr == nil {
		return op.Op + ": " + op.Err.Error()
	}
	return op.Op + " " + op.Addr.String() + ": " + op.Err.Error()
}

// words bounds a message, and makes it valid UTF-8.
func words(text string) string {
	if len(text) > engine.MaxMessage {
		cut := engine.MaxMessage
		for cut > engine.MaxMessage-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	return strings.ToValidUTF8(text, "")
}
