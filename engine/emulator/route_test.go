package emulator

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
)

func TestRoutes(t *testing.T) {
	const action = "X-Tc-Action: Invoke"
	for _, tt := range []struct {
		line, header string
		want         protocol
	}{
		{"POST /v1/functions/fn", "", byGateway},
		{"POST http://e.api.tcloudbasegateway.com/v1/functions/fn", "", byGateway},
		{"POST http://e.api.tcloudbasegateway.com/fn", "", byGateway},
		{"POST http://e.api.intl.tcloudbasegateway.com/auth/v1/token", "", bySignIn},
		{"POST http://e.ap-shanghai.tcb-api.tencentcloudapi.com/auth/v1/token", "", bySignIn},
		{"POST /auth/v1/token", "", bySignIn},
		{"POST /auth", "", byAccess},
		{"POST /admin?env=e", "", byAdmin},
		{"POST /admin?&eventId=1&seqId=1", "", byAdmin},
		{"POST /admin", "", byAccess},
		{"POST http://tcb-api.tencentcloudapi.com:8080/admin", "", byAdmin},
		{"POST http://e.ap-shanghai.tcb-api.tencentcloudapi.com/web", "", byWebSDK},
		{"POST /web?env=e", "", byWebSDK},
		{"POST /web?a=1", "", byAccess},
		{"POST /admin?eventId=1", "", byAdmin},
		{"POST /web?seqId=1", "", byWebSDK},
		{"GET http://e.service.tcloudbase.com/admin?env=e", "", byAccess},
		{"GET http://e-123.ap-shanghai.app.tcloudbase.com/v1/functions/fn", "", byAccess},
		{"POST /tcb/invokecloudfunction?access_token=a", "", byWeChat},
		{"GET /cgi-bin/token", "", byWeChat},
		{"POST /cgi-bin/stable_token", "", byWeChat},
		{"GET http://api.weixin.qq.com/anything", "", byWeChat},
		{"POST /", action, byControlPlane},
		{"POST /", "", byAccess},
		{"POST /fn", action, byAccess},
		{"POST http://scf.tencentcloudapi.com/", "", byControlPlane},
		{"GET http://notscf.example.com/fn", "", byAccess},
		{"GET http://eviltcb-api.tencentcloudapi.com.example.com/admin", "", byAccess},
	} {
		headers := []string{}
		if tt.header != "" {
			headers = append(headers, tt.header)
		}
		if got := protocolOf(request(tt.line, "", headers...)); got != tt.want {
			t.Errorf("%s %s is %s, want %s", tt.line, tt.header, got, tt.want)
		}
	}
}

func TestEnvironmentsInHosts(t *testing.T) {
	for host, want := range map[string]string{
		"e-1.api.tcloudbasegateway.com":                   "e-1",
		"e-1.api.intl.tcloudbasegateway.com:443":          "e-1",
		"e-1.service.tcloudbase.com":                      "e-1",
		"e-1-1250000000.ap-shanghai.app.tcloudbase.com":   "e-1",
		"e-1.tcb-api.tencentcloudapi.com":                 "e-1",
		"e-1.ap-guangzhou.tcb-api.tencentcloudapi.com:80": "e-1",
		"e-1.internal.tcb-api.tencentcloudapi.com":        "e-1",
		"ap-guangzhou.tcb-api.tencentcloudapi.com":        "",
		"tcb-api.tencentcloudapi.com":                     "",
		"tcb-admin.tencentcloudapi.com":                   "",
		"scf.tencentcloudapi.com":                         "",
		"api.weixin.qq.com":                               "",
		"127.0.0.1:8080":                                  "",
		"[::1]:8080":                                      "",
		"app.example.com":                                 "",
	} {
		if got := envOf(host); got != want {
			t.Errorf("%s names %q, want %q", host, got, want)
		}
	}
}

// A client that is told to connect here for any of the vendor's hosts can
// verify who answers.
func TestCertificateNames(t *testing.T) {
	s := start(t, Config{})
	config, err := s.tlsConfig(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CACert())
	verify := func(host string) error {
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
		return err
	}
	for _, host := range []string{
		"localhost", "127.0.0.1", "e.api.tcloudbasegateway.com", "e.api.intl.tcloudbasegateway.com", "e.service.tcloudbase.com",
		"e-1.ap-shanghai.app.tcloudbase.com", "e-1.ap-singapore.app.tcloudbase.com", "tcb-api.tencentcloudapi.com", "e.tcb-api.tencentcloudapi.com",
		"e.ap-shanghai.tcb-api.tencentcloudapi.com", "e.internal.tcb-api.tencentcloudapi.com", "scf.tencentcloudapi.com", "tcb.tencentcloudapi.com",
		"scf.ap-shanghai.tencentcloudapi.com", "api.weixin.qq.com",
	} {
		if err := verify(host); err != nil {
			t.Error(err)
		}
	}
	if verify("example.com") == nil {
		t.Error("it is good for any host")
	}
	if config.MinVersion < tls.VersionTLS12 {
		t.Error("it takes what is older than TLS 1.2")
	}
}
