package cloud

import (
	"net/url"
	"strings"

	"volley/engine"
)

var (
	_ engine.Noter = web{}
	_ engine.Noter = nodeSDK{}
	_ engine.Noter = webSDK{}
	_ engine.Noter = miniProgram{}
	_ engine.Noter = controlPlane{}
)

// Notes says what the vendor says of its own domains (PROTOCOL.md 3).
func (web) Notes(t *engine.Target) []string {
	u, err := url.Parse(t.Endpoint)
	if err != nil || !strings.HasSuffix(strings.ToLower(u.Hostname()), ".tcloudbase.com") {
		return nil
	}
	return []string{"web on a default domain (tcloudbase.com) is limited in frequency and meant for development; load belongs on a custom domain."}
}
