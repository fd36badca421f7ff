//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// An nginx is one that runs, with one worker, in a folder of its own.
type nginx struct {
	*process
	h1, h2 string // base URLs: HTTPS/1.1, and HTTP/2
	status string // of its counters
	cert   string // file of the certificate to trust
	client *http.Client
	asked  int64 // how often for its counters, which counts as a request
}

// Its one cipher is what Go, OpenSSL and nginx would not agree on by
// themselves, and it never ends a connection for its age.
const nginxConf = `daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  keepalive_time 1h;
  http2_max_concurrent_streams 256;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  ssl_certificate cert.pem;
  ssl_certificate_key key.pem;
  ssl_protocols TLSv1.3;
  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
  default_type application/json;
  server { listen 127.0.0.1:%d ssl; location / { return 200 '%s'; } }
  server { listen 127.0.0.1:%d ssl http2; location / { return 200 '%[2]s'; } }
  server { listen 127.0.0.1:%[4]d; location / { stub_status; } }
}
`

// serveNginx starts nginx, which answers with reply.
func (h *harness) serveNginx(ctx context.Context, reply []byte) (*nginx, error) {
	dir := h.path("nginx")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	pool, err := certify(dir)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(nginxConf, ports[0], reply, ports[1], ports[2])
	if err := os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o644); err != nil {
		return nil, err
	}
	n := &nginx{
		h1:     fmt.Sprintf("https://127.0.0.1:%d", ports[0]),
		h2:     fmt.Sprintf("https://127.0.0.1:%d", ports[1]),
		status: fmt.Sprintf("http://127.0.0.1:%d/", ports[2]),
		cert:   dir + "/cert.pem",
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool},
		}},
	}
	n.process, err = h.start(ctx, command{
		name: "nginx", args: []string{h.tools["nginx"], "-p", dir, "-c", "nginx.conf", "-e", "stderr"}, core: h.serverCore, stop: syscall.SIGTERM,
	})
	if err != nil {
		return nil, err
	}
	if err := n.ready(func() bool { _, err := n.count(ctx); return err == nil }); err != nil {
		return nil, err
	}
	for _, url := range []string{n.h1, n.h2} {
		if got, err := get(ctx, n.client, url+path); err != nil {
			return nil, err
		} else if !bytes.Equal(got, reply) {
			return nil, fmt.Errorf("nginx answers %q, want %q", got, reply)
		}
	}
	return n, nil
}

// close stops it.
func (n *nginx) close() error {
	n.client.CloseIdleConnections()
	return n.end()
}

// count is how many requests came since it was started, those for it left out.
func (n *nginx) count(ctx context.Context) (int64, error) {
	text, err := get(ctx, n.client, n.status)
	if err != nil {
		return 0, err
	}
	n.asked++
	return nginxCount(text, n.asked)
}

// nginxCount finds the requests in what stub_status says.
func nginxCount(text []byte, asked int64) (int64, error) {
	m := regexp.MustCompile(`(?m)^ \d+ \d+ (\d+) $`).FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("nginx tells no requests in %q", text)
	}
	all, err := strconv.ParseInt(string(m[1]), 10, 64)
	return all - asked, err
}

// certify writes a certificate for 127.0.0.1 and its key into a folder.
func certify(dir string) (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	if err := os.WriteFile(dir+"/cert.pem", public, 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(dir+"/key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(public)
	return pool, nil
}

// freePorts returns n ports that nobody listens on just now.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var ports []int
	for range n {
		var c net.ListenConfig
		l, err := c.Listen(ctx, "tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // together, so that none comes twice
		addr, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("a listener has the address %s", l.Addr())
		}
		ports = append(ports, addr.Port)
	}
	return ports, nil
}
