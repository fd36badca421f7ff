package cloud

import (
	"testing"
)

func TestMethodsAreNew(t *testing.T) {
	a := Methods()
	delete(a, "web")
	if len(Methods()) != 7 {
		t.Errorf("Methods() shares its map: %v", Methods())
	}
	for name, m := range Methods() {
		if m.Name() != name {
			t.Errorf("the method under %q is called %q", name, m.Name())
		}
	}
}

func TestGatewayHost(t *testing.T) {
	tests := []struct{ region, want string }{
		{"", "e-1.api.tcloudbasegateway.com"},
		{"ap-shanghai", "e-1.api.tcloudbasegateway.com"},
		{"ap-guangzhou", "e-1.api.tcloudbasegateway.com"},
		{"ap-shenzhen-fsi", "e-1.api.tcloudbasegateway.com"},
		{"ap-shanghai-fsi", "e-1.api.tcloudbasegateway.com"},
		{"ap-nanjing", "e-1.api.tcloudbasegateway.com"},
		{"ap-beijing", "e-1.api.tcloudbasegateway.com"},
		{"ap-chengdu", "e-1.api.tcloudbasegateway.com"},
		{"ap-chongqing", "e-1.api.tcloudbasegateway.com"},
		{"ap-hongkong", "e-1.api.tcloudbasegateway.com"},
		{"ap-singapore", "e-1.api.intl.tcloudbasegateway.com"},
		{"na-siliconvalley", "e-1.api.intl.tcloudbasegateway.com"},
	}
	for _, tt := range tests {
		if got := GatewayHost("e-1", tt.region); got != tt.want {
			t.Errorf("GatewayHost in %q = %q, want %q", tt.region, got, tt.want)
		}
	}
}
