package invoke

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// certificate returns a certificate for the names, and the PEM of the
// authority that signed it: itself.
func certificate(t testing.TB, expired bool, names ...string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Hour)
	if expired {
		end = time.Now().Add(-time.Minute)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// tlsServer serves HTTPS, with HTTP/2 if wanted.
func tlsServer(t testing.TB, cert tls.Certificate, h2 bool, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = tlsConfig(cert)
	s.EnableHTTP2 = h2
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func tlsConfig(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// reply serves one raw reply to each connection, and hangs up.
func reply(text string) func(*testing.T) (string, Options) {
	return func(t *testing.T) (string, Options) {
		return rawServer(t, func(_ int, c net.Conn) {
			c.Read(make([]byte, 4096))
			io.WriteString(c, text)
		}), Options{}
	}
}

// dialFails makes dialling fail with an error.
func dialFails(err error) func(*testing.T) (string, Options) {
	return func(*testing.T) (string, Options) {
		return "http://10.9.8.7:1", Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 9, 8, 7), Port: 1}, Err: err}
		}}
	}
}

// httpsWith serves HTTPS by a certificate, and trusts it or not.
func httpsWith(trust, expired bool, names ...string) func(*testing.T) (string, Options) {
	return func(t *testing.T) (string, Options) {
		cert, ca := certificate(t, expired, names...)
		if !trust {
			ca = nil
		}
		return tlsServer(t, cert, false, func(http.ResponseWriter, *http.Request) {}), Options{CAFile: ca}
	}
}

// TestFaults has a server, a network or a limit for every way in which an
// exchange can fail. The messages must be the same each time, so that failures
// are counted together.
func TestFaults(t *testing.T) {
	syscallErr := func(e syscall.Errno) error { return os.NewSyscallError("connect", e) }
	tests := []struct {
		name    string
		server  func(*testing.T) (base string, o Options)
		outcome engine.Outcome
		detail  string
		message string // what it has in it
		status  int
	}{
		{"a port where nobody listens", func(t *testing.T) (string, Options) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			return "http://" + l.Addr().String(), Options{}
		}, engine.NetworkError, detailRefused, "connection refused", 0},
		{"a connection that is reset", func(t *testing.T) (string, Options) {
			return rawServer(t, func(_ int, c net.Conn) {
				c.Read(make([]byte, 4096))
				c.(*net.TCPConn).SetLinger(0)
			}), Options{}
		}, engine.NetworkError, detailReset, "connection reset by peer", 0},
		{"closed without a word", reply(""), engine.NetworkError, detailEOF, "EOF", 0},
		{"half a head", reply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"), engine.NetworkError, detailEOF, "EOF", 0},
		{"half a body", reply("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), engine.NetworkError, detailEOF, "unexpected EOF", 0},
		{"half a chunk", reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf"), engine.NetworkError, detailEOF, "unexpected EOF", 0},
		{"no last chunk", reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), engine.NetworkError, detailEOF, "unexpected EOF", 0},
		{"not HTTP", reply("SSH-2.0-OpenSSH\r\n\r\n"), engine.NetworkError, detailProtocol, "malformed HTTP", 0},
		{"a bad status", reply("HTTP/1.1 abc OK\r\n\r\n"), engine.NetworkError, detailProtocol, "malformed HTTP status", 0},
		{"a bad header", reply("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), engine.NetworkError, detailProtocol, "malformed MIME header", 0},
		{"a bad length", reply("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), engine.NetworkError, detailProtocol, "bad Content-Length", 0},
		{"a bad chunk", reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), engine.NetworkError, detailProtocol, "chunk", 0},
		{"an encoding that we do not know", reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: strange\r\n\r\n"), engine.NetworkError, detailProtocol, "unsupported transfer encoding", 0},
		{"a head without end", reply("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 400)), engine.NetworkError, detailTooLarge, "headers exceeded", 0},
		{"a body that is announced too large", func(t *testing.T) (string, Options) {
			base, _ := reply("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n")(t)
			return base, Options{MaxReply: 100}
		}, engine.NetworkError, detailTooLarge, "to have 101 bytes; at most 100 are read", 0},
		{"a body without end", func(t *testing.T) (string, Options) {
			return rawServer(t, func(_ int, c net.Conn) {
				c.Read(make([]byte, 4096))
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				for _, err := c.Write(make([]byte, 4096)); err == nil; {
					_, err = c.Write(make([]byte, 4096))
				}
			}), Options{MaxReply: 100_000}
		}, engine.NetworkError, detailTooLarge, "(status 200) is larger than 100000 bytes", 0},
		{"a slow body without end", func(t *testing.T) (string, Options) {
			return rawServer(t, func(_ int, c net.Conn) {
				c.Read(make([]byte, 4096))
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nab")
				c.Read(make([]byte, 1)) // until the client leaves
			}), Options{}
		}, engine.ClientTimeout, "", "within 300ms, while reading the reply", 0},
		{"slow headers", func(t *testing.T) (string, Options) {
			return rawServer(t, func(_ int, c net.Conn) {
				c.Read(make([]byte, 4096))
				c.Read(make([]byte, 1))
			}), Options{}
		}, engine.ClientTimeout, "", "within 300ms, while waiting for the reply", 0},
		{"a dial that does not end", func(*testing.T) (string, Options) {
			return "http://10.9.8.7:1", Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}
		}, engine.ClientTimeout, "", "within 300ms, while waiting for a free connection", 0},
		{"a handshake that does not end", func(t *testing.T) (string, Options) {
			base := rawServer(t, func(_ int, c net.Conn) { io.Copy(io.Discard, c) })
			return strings.Replace(base, "http:", "https:", 1), Options{}
		}, engine.ClientTimeout, "", "within 300ms, while connecting or sending", 0},
		{"a name without an address", dialFails(&net.DNSError{Err: "no such host", Name: "nonexistent.invalid", IsNotFound: true}),
			engine.NetworkError, detailDNS, "look up nonexistent.invalid: no such host", 0},
		{"no route", dialFails(syscallErr(syscall.EHOSTUNREACH)), engine.NetworkError, detailUnreachable, "dial 10.9.8.7:1: connect: no route to host", 0},
		{"no network", dialFails(syscallErr(syscall.ENETUNREACH)), engine.NetworkError, detailUnreachable, "network is unreachable", 0},
		{"nobody answers", dialFails(syscallErr(syscall.ETIMEDOUT)), engine.NetworkError, detailUnreachable, "connection timed out", 0},
		{"nobody answers for as long as we dial", dialFails(os.ErrDeadlineExceeded), engine.NetworkError, detailUnreachable, "dial 10.9.8.7:1: i/o timeout", 0},
		{"out of ports", dialFails(syscallErr(syscall.EADDRNOTAVAIL)), engine.NetworkError, detailLocal, "cannot assign requested address", 0},
		{"out of files", dialFails(os.NewSyscallError("socket", syscall.EMFILE)), engine.NetworkError, detailLocal, "too many open files", 0},
		{"something else", dialFails(errors.New("strange")), engine.NetworkError, detailOther, "dial 10.9.8.7:1: strange", 0},

		{"a certificate by nobody we know", httpsWith(false, false, "127.0.0.1"), engine.NetworkError, detailTLS,
			"unable to verify the certificate chain; add the missing certificate with --ca-file", 0},
		{"a certificate for others", httpsWith(true, false, "a.example", "b.example", "10.1.1.1"), engine.NetworkError, detailTLS,
			"the certificate is for a.example, b.example, 10.1.1.1, not for 127.0.0.1", 0},
		{"a certificate for nobody", httpsWith(true, false), engine.NetworkError, detailTLS, "has no name at all", 0},
		{"a certificate that has expired", httpsWith(true, true, "127.0.0.1"), engine.NetworkError, detailTLS, "expired", 0},
		{"plain HTTP behind https", func(t *testing.T) (string, Options) {
			base, o := reply("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")(t)
			return strings.Replace(base, "http:", "https:", 1), o
		}, engine.NetworkError, detailTLS, "does not speak TLS", 0},
		{"a server that wants a certificate of ours", func(t *testing.T) (string, Options) {
			cert, ca := certificate(t, false, "127.0.0.1")
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
			s.Config.ErrorLog = quiet()
			s.StartTLS()
			t.Cleanup(s.Close)
			return s.URL, Options{CAFile: ca}
		}, engine.NetworkError, detailTLS, "TLS: ", 0},
		{"HTTP/2 wanted where there is none", func(t *testing.T) (string, Options) {
			base, o := httpsWith(true, false, "127.0.0.1")(t)
			o.Protocol = "h2"
			return base, o
		}, engine.NetworkError, detailTLS, "no application protocol", 0},
		{"HTTP/2 without TLS wanted where there is none", func(t *testing.T) (string, Options) {
			return rawServer(t, func(_ int, c net.Conn) {
				c.Read(make([]byte, 24)) // the preface
				io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
				io.Copy(io.Discard, c)
			}), Options{Protocol: "h2"}
		}, engine.NetworkError, detailProtocol, "http2", 0},

		{"a proxy that is not there", func(t *testing.T) (string, Options) {
			return "http://h.invalid", Options{
				Proxy: func(*url.URL) (*url.URL, error) { return url.Parse("http://u:hush@10.9.8.7:1") },
				Dial: func(context.Context, string, string) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 9, 8, 7), Port: 1}, Err: syscallErr(syscall.ECONNREFUSED)}
				}}
		}, engine.NetworkError, detailProxy, "the proxy: dial 10.9.8.7:1: connect: connection refused", 0},
		{"a proxy that says no", func(t *testing.T) (string, Options) {
			base, _ := reply("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")(t)
			return "https://h.invalid", Options{Proxy: func(*url.URL) (*url.URL, error) { return url.Parse(base) }}
		}, engine.NetworkError, detailProxy, `answered "407 Proxy Authentication Required" to CONNECT`, 0},
		{"a proxy that cannot be told", func(t *testing.T) (string, Options) {
			return "http://h.invalid", Options{Proxy: func(*url.URL) (*url.URL, error) { return nil, errors.New("bad proxy setting") }}
		}, engine.NetworkError, detailProxy, "the proxy for h.invalid: bad proxy setting", 0},

		{"throttled by the server", reply("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"), engine.Throttled, "", "", 429},
		{"a failure of the server's", reply("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), engine.FunctionError, "", "", 500},
		{"and a success", reply(okReply), engine.OK, "", "", 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			base, o := tt.server(t)
			u, err := url.Parse(base)
			if err != nil {
				t.Fatal(err)
			}
			for kind, open := range map[string]func() Transport{
				"net/http": func() Transport { return open(t, o) },
				"fast":     func() Transport { return openAuto(t, o) },
			} {
				var last string
				for range 2 {
					c := &Client{Transport: open(), Base: time.Now()}
					var r engine.Result
					timeout := 10 * time.Second
					if tt.outcome == engine.ClientTimeout {
						timeout = 300 * ms
					}
					c.Invoke(t.Context(), call(func(i *engine.Invocation) {
						i.Step.Target.Timeout, i.Step.Target.Method = timeout, at{plain{}, u}
					}), &r)
					if r.Reply.Outcome != tt.outcome || r.Reply.Detail != tt.detail || kind == "net/http" && !strings.Contains(r.Reply.Message, tt.message) || tt.message != "" && r.Reply.Message == "" || r.Reply.Status != tt.status {
						t.Errorf("%s: %v, detail %q, %q, status %d; want %v, %q, %q, %d", kind, r.Reply.Outcome, r.Reply.Detail, r.Reply.Message, r.Reply.Status, tt.outcome, tt.detail, tt.message, tt.status)
					}
					// What net/http says of a server without HTTP/2 is a matter of which goroutine finds out.
					if last != "" && r.Reply.Message != last && !strings.HasPrefix(last, "http2: ") {
						t.Errorf("the message was %q, and is %q", last, r.Reply.Message)
					}
					last = r.Reply.Message
					if strings.Contains(last, "hush") {
						t.Errorf("the message tells a secret: %q", last)
					}
					if len(r.Attempts) != 1 || r.End < r.Start || r.End-r.Start != r.InService || r.Start < 0 {
						t.Errorf("attempts %+v, start %v, end %v, in service %v", r.Attempts, r.Start, r.End, r.InService)
					}
					if tt.outcome == engine.ClientTimeout && (r.Response() < timeout || r.Response() > timeout+5*time.Second) {
						t.Errorf("a timeout of %v took %v", timeout, r.Response())
					}
				}
			}
		})
	}
}

// at is plain, at another address.
type at struct {
	plain
	u *url.URL
}

func (m at) Encode(_ *engine.Invocation, _ auth.Grant, _ time.Time, to *engine.Request) error {
	to.Verb, to.Scheme, to.Host, to.Path, to.Body = "POST", m.u.Scheme, m.u.Host, "/", []byte("{}")
	return nil
}

// TestCancelEndsTheExchange holds that a canceled attempt does not go on.
func TestCancelEndsTheExchange(t *testing.T) { both(t, testCancelEndsTheExchange) }

func testCancelEndsTheExchange(t *testing.T, open func(t testing.TB, o Options) Transport) {
	arrived := make(chan struct{})
	base := rawServer(t, func(_ int, c net.Conn) {
		c.Read(make([]byte, 4096))
		close(arrived)
		c.Read(make([]byte, 1))
	})
	u, _ := url.Parse(base)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	c := &Client{Transport: open(t, Options{}), Base: time.Now()}
	var r engine.Result
	c.Invoke(ctx, call(func(i *engine.Invocation) { i.Step.Target.Method = at{plain{}, u} }), &r)
	if r.Reply.Outcome != engine.Canceled || len(r.Attempts) != 1 || r.Attempts[0].Outcome != engine.Canceled {
		t.Errorf("%+v", r)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{Protocol: "h3"}, `protocol: "h3" is not one of auto, h1, h2`},
		{Options{CAFile: []byte("hello")}, "ca-file: has no certificate"},
		{Options{Connections: -1}, "none may be less than 0"},
	} {
		if _, err := NewHTTP(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("NewHTTP(%+v): %v, want %q", tt.o, err, tt.want)
		}
	}
}

func TestAlert(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"TLS 1.2", append([]byte{21, 3, 3, 0, 26}, make([]byte, 26)...), true},
		{"TLS 1.3", append([]byte{23, 3, 3, 0, 19}, make([]byte, 19)...), true},
		{"data", append([]byte{23, 3, 3, 0, 60}, make([]byte, 60)...), false},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), false},
		{"nothing", nil, false},
	} {
		if got := alert(tt.b); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
