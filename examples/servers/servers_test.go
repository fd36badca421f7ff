//go:build servers

// Package servers holds both transports against servers that others wrote:
// nginx and Node, plain and over TLS, HTTP/1.1 and HTTP/2. Whatever a server
// does, invoke.Auto has of it what net/http's transport has. It needs both
// programs: make test-servers.
package servers

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const sixMB = 6 << 20 // what the platform lets through (PROTOCOL.md 7.1)

// A site is one server as it can be reached.
type site struct {
	name, base string
	protocol   string // of invoke.Options; "" is auto
	proto      string // what is spoken, as replies have it
	nginx      bool
}

// sites are all servers; impatient ones soon close what is idle.
var (
	sites     []site
	impatient []site
	authority []byte
)

func TestMain(m *testing.M) {
	code, err := serve(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		code = 1
	}
	os.Exit(code)
}

// serve starts the servers, runs the tests and ends the servers.
func serve(m *testing.M) (int, error) {
	for _, program := range []string{"nginx", "node"} {
		if _, err := exec.LookPath(program); err != nil {
			return 1, fmt.Errorf("%s is not installed; make test-servers says what to do", program)
		}
	}
	dir, err := os.MkdirTemp("", "volley-servers")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	cert, key, err := certificate(dir)
	if err != nil {
		return 1, err
	}
	nodePorts, endNode, err := startNode(cert, key)
	if err != nil {
		return 1, err
	}
	defer endNode()
	nginxPorts, endNginx, err := startNginx(dir, cert, key, nodePorts["plain"])
	if err != nil {
		return 1, err
	}
	defer endNginx()
	for _, of := range []struct {
		name  string
		ports map[string]int
	}{{"node", nodePorts}, {"nginx", nginxPorts}} {
		at := func(scheme, name string) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, of.ports[name]) }
		nginx := of.name == "nginx"
		sites = append(sites,
			site{of.name + ", plain", at("http", "plain"), "", "HTTP/1.1", nginx},
			site{of.name + ", TLS", at("https", "tls"), "", "HTTP/1.1", nginx},
			site{of.name + ", HTTP/2", at("https", "h2"), "", "HTTP/2.0", nginx},
			site{of.name + ", HTTP/1.1 where HTTP/2 is offered", at("https", "h2"), "h1", "HTTP/1.1", nginx})
		impatient = append(impatient, site{of.name, at("http", "impatient"), "", "HTTP/1.1", nginx})
	}
	return m.Run(), nil
}

// certificate writes a certificate for this machine, signed by itself.
func certificate(dir string) (cert, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return cert, key, cmp.Or(os.WriteFile(cert, authority, 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// startNode starts Node's servers and returns their ports by name.
func startNode(cert, key string) (map[string]int, func(), error) {
	node := exec.Command("node", "server.mjs", cert, key)
	node.Stderr = os.Stderr
	in, err := node.StdinPipe() // it ends with us, whatever becomes of us
	if err != nil {
		return nil, nil, err
	}
	out, err := node.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := node.Start(); err != nil {
		return nil, nil, err
	}
	end := func() { _ = in.Close(); _ = node.Wait() }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		end()
		return nil, nil, fmt.Errorf("node said %q, and ended", line)
	}
	ports := map[string]int{}
	if err := json.Unmarshal(line, &ports); err != nil {
		end()
		return nil, nil, fmt.Errorf("node said %q: %w", line, err)
	}
	return ports, end, nil
}

// startNginx starts nginx in front of Node and returns its ports by name.
func startNginx(dir, cert, key string, node int) (map[string]int, func(), error) {
	ports, err := freePorts("plain", "tls", "h2", "impatient")
	if err != nil {
		return nil, nil, err
	}
	words := []string{"DIR", dir, "CERT", cert, "KEY", key, "NODE", strconv.Itoa(node)}
	for name, port := range ports {
		words = append(words, strings.ToUpper(name), strconv.Itoa(port))
	}
	for _, name := range []string{"nginx.conf", "locations.conf"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.NewReplacer(words...).Replace(string(text))), 0o600); err != nil {
			return nil, nil, err
		}
	}
	files := filepath.Join(dir, "root", "files")
	if err := cmp.Or(os.MkdirAll(files, 0o700),
		os.WriteFile(filepath.Join(files, "small.txt"), []byte("a small file\n"), 0o600),
		os.WriteFile(filepath.Join(files, "empty"), nil, 0o600),
		os.WriteFile(filepath.Join(files, "large"), bytes.Repeat([]byte("0123456789abcdef"), sixMB/16), 0o600)); err != nil {
		return nil, nil, err
	}
	nginx := exec.Command("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	var said bytes.Buffer
	nginx.Stderr = &said
	if err := nginx.Start(); err != nil {
		return nil, nil, err
	}
	end := func() { _ = nginx.Process.Signal(syscall.SIGTERM); _ = nginx.Wait() }
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports["impatient"]))
		if err == nil {
			c.Close()
			return ports, end, nil
		}
		if time.Now().After(until) {
			end()
			return nil, nil, fmt.Errorf("nginx does not answer after 10 s: %s", &said)
		}
	}
}

// freePorts asks the system for ports that nobody listens on.
func freePorts(names ...string) (map[string]int, error) {
	ports := map[string]int{}
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that no two are the same
		ports[name] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
