package emulator

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// A protocol is a way to ask the platform.
type protocol string

const (
	byGateway      protocol = "gateway"       // /v1/…
	bySignIn       protocol = "sign-in"       // /auth/v1/…
	byAccess       protocol = "access"        // the HTTP Access Service
	byAdmin        protocol = "admin"         // node-sdk
	byWebSDK       protocol = "web-sdk"       // js-sdk 2 and 1
	byWeChat       protocol = "wechat"        // WeChat's server API
	byControlPlane protocol = "control-plane" // the cloud API
)

// The vendor's domains (PROTOCOL.md 1.1, 3, 4.1, 5.2, 6, 7.3).
const (
	gatewayDomain     = "api.tcloudbasegateway.com"
	gatewayDomainIntl = "api.intl.tcloudbasegateway.com"
	oldAccessDomain   = "service.tcloudbase.com"
	accessDomain      = "app.tcloudbase.com"
	sdkDomain         = "tcb-api.tencentcloudapi.com"
	oldSDKDomain      = "tcb-admin.tencentcloudapi.com"
	cloudDomain       = "tencentcloudapi.com"
	weChatDomain      = "api.weixin.qq.com"
)

// regions are those that stand in the vendor's host names (PROTOCOL.md 1.1),
// and the level that hosts have inside the cloud.
func regions() []string {
	return []string{"ap-shanghai", "ap-guangzhou", "ap-shenzhen-fsi", "ap-shanghai-fsi", "ap-nanjing", "ap-beijing", "ap-chengdu",
		"ap-chongqing", "ap-hongkong", "ap-singapore", "internal"}
}

// protocolOf tells what r speaks: by its host where that is one of the
// vendor's, else by its path. On other hosts /admin and /web are the SDKs'
// when the query names what theirs always does; a function of such a name is
// reached without.
func protocolOf(r *http.Request) protocol {
	host, path := bare(r.Host), r.URL.Path
	kind := domainOf(host)
	switch {
	case strings.HasPrefix(path, "/v1/") && (kind == "" || kind == gatewayDomain):
		return byGateway
	case kind == oldAccessDomain || kind == accessDomain:
		return byAccess
	case kind == weChatDomain:
		return byWeChat
	case kind == cloudDomain:
		return byControlPlane
	case strings.HasPrefix(path, "/auth/v1/"):
		return bySignIn
	case kind == gatewayDomain:
		return byGateway
	case kind == sdkDomain && path == "/web":
		return byWebSDK
	case kind == sdkDomain:
		return byAdmin
	}
	switch path {
	case "/":
		if r.Header.Get("X-Tc-Action") != "" {
			return byControlPlane
		}
	case "/admin", "/web":
		q := r.URL.Query()
		if !q.Has("env") && !q.Has("seqId") && !q.Has("eventId") {
			break
		}
		if path == "/web" {
			return byWebSDK
		}
		return byAdmin
	case "/tcb/invokecloudfunction", "/cgi-bin/token", "/cgi-bin/stable_token":
		return byWeChat
	}
	return byAccess
}

// bare returns host without a port.
func bare(host string) string {
	if strings.IndexByte(host, ':') < 0 {
		return host // quickly: SplitHostPort makes an error of it
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// domainOf returns which of the vendor's domains host is in; "" is none.
func domainOf(host string) string {
	if !strings.HasSuffix(host, ".com") {
		return "" // most hosts, quickly
	}
	in := func(domain string) bool {
		rest, ok := strings.CutSuffix(host, domain)
		return ok && (rest == "" || strings.HasSuffix(rest, "."))
	}
	switch {
	case in(gatewayDomain), in(gatewayDomainIntl):
		return gatewayDomain
	case in(oldAccessDomain):
		return oldAccessDomain
	case in(accessDomain):
		return accessDomain
	case in(sdkDomain), in(oldSDKDomain):
		return sdkDomain
	case in(cloudDomain):
		return cloudDomain
	case host == weChatDomain:
		return weChatDomain
	}
	return ""
}

// envOf returns the environment that one of the vendor's hosts names; other
// hosts name none.
func envOf(host string) string {
	host = bare(host)
	env, rest, _ := strings.Cut(host, ".")
	switch domainOf(host) {
	case gatewayDomain, oldAccessDomain:
		return env
	case accessDomain: // ENV-<appid>.REGION
		if i := strings.LastIndexByte(env, '-'); i > 0 {
			return env[:i]
		}
	case sdkDomain: // ENV, ENV.REGION, REGION, or nothing
		if strings.HasSuffix(rest, sdkDomain) && !slices.Contains(regions(), env) {
			return env
		}
	}
	return ""
}

// hostNames are the vendor's hosts as a certificate names them. A wildcard
// stands for one level.
func hostNames() []string {
	names := []string{"*." + gatewayDomain, "*." + gatewayDomainIntl, "*." + oldAccessDomain, "*." + sdkDomain, "*." + cloudDomain, weChatDomain}
	for _, region := range regions() {
		names = append(names, "*."+region+"."+accessDomain, "*."+region+"."+sdkDomain, "*."+region+"."+cloudDomain)
	}
	return names
}
