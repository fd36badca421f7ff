package emulator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// grace is how long requests may still take when the context of Serve ends.
const grace = time.Second

// Serve answers requests on ln until ctx ends or the server is closed: HTTP/1.1,
// and with secure HTTPS, where HTTP/2 is offered too and the certificate is
// signed by the authority of CACert. Then it closes ln, cuts what is in progress
// (after a second, if it was ctx), and returns nil when no goroutine is left.
// It returns an error where ln fails. A Server may serve several listeners.
func (s *Server) Serve(ctx context.Context, ln net.Listener, secure bool) error {
	s.crowd.enter()
	defer s.crowd.leave()
	stop := make(chan struct{})
	var inside crowd // connections and their requests
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inside.enter()
			defer inside.leave()
			s.serve(w, r, stop)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				inside.enter()
			case http.StateClosed, http.StateHijacked:
				inside.leave()
			}
		},
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       keepWarm,
	}
	serve := func() error { return srv.Serve(ln) }
	if secure {
		config, err := s.tlsConfig(ln.Addr())
		if err != nil {
			_ = ln.Close() // the caller gave it away
			return err
		}
		srv.TLSConfig = config
		serve = func() error { return srv.ServeTLS(ln, "", "") }
	}

	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	case <-s.done:
	}
	s.shutdown(srv)
	close(stop)
	_ = srv.Close()
	if err == nil {
		err = <-failed
	}
	inside.wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the emulator on %s: %w", ln.Addr(), err)
}

// shutdown lets requests in progress end, for as long as they have.
func (s *Server) shutdown(srv *http.Server) {
	gentle, cancel := context.WithTimeout(context.Background(), grace)
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		select {
		case <-s.done:
			cancel()
		case <-gentle.Done():
		}
	}()
	_ = srv.Shutdown(gentle) // what it leaves over, Close takes
	cancel()
	<-joined
}

// CACert returns the certificate, in PEM, of the authority that signs the
// server's own; a client that trusts it can verify them. It is made anew for
// each Server and says nothing about who serves. It returns nil if the system
// gives no randomness.
func (s *Server) CACert() []byte {
	ca, err := s.ca()
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// An authority signs certificates for as long as a server lives.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the emulator's key: %w", err)
	}
	return key, nil
}

// certLife is what browsers accept at most.
const certLife = 397 * 24 * time.Hour

func newAuthority() (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: "volley emulator authority"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(certLife),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the emulator's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make the emulator's certificate: %w", err)
	}
	return &authority{cert, key}, nil
}

// tlsConfig returns the configuration of a listener at addr, with a certificate
// for it, for this machine, and for the vendor's hosts, to which a client may
// be told to connect here.
func (s *Server) tlsConfig(addr net.Addr) (*tls.Config, error) {
	ca, err := s.ca()
	if err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "volley emulator"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(certLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     append(hostNames(), "localhost"),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if tcp, ok := addr.(*net.TCPAddr); ok && !tcp.IP.IsUnspecified() && !tcp.IP.IsLoopback() {
		template.IPAddresses = append(template.IPAddresses, tcp.IP)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("make the emulator's certificate: %w", err)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key}},
	}, nil
}
