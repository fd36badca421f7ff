package scenarios

import (
	"net/url"
	"slices"
	"strings"

	"volley/engine"
	"volley/engine/cloud"
)

// method returns the method of that name, with the target's options for it.
func (c *compiler) method(path, name string) engine.Method {
	if m := c.methods[name]; m != nil {
		return m
	}
	if name == "" || !slices.Contains(methodNames(), name) {
		return nil // said where it was read
	}
	m, err := cloud.New(name, c.methodOptions(name))
	if err != nil {
		if section := "target." + strings.ReplaceAll(name, "-", "_"); c.has(section) {
			path = section
		}
		c.fail(path, "change it, or delete it", "%v", err)
		return nil
	}
	c.methods[name] = m
	return m
}

// methodNames are the methods of scenario files.
func methodNames() []string {
	return []string{"http-api", "http-function", "web", "node-sdk", "web-sdk", "mini-program", "control-plane"}
}

// methodOptions are the target's options for one method.
func (c *compiler) methodOptions(name string) (o cloud.Options) {
	t := &c.scenario.Target
	switch {
	case name == "web-sdk" && t.WebSDK != nil:
		o.SDK = string(t.WebSDK.Version)
	case name == "node-sdk" && t.NodeSDK != nil:
		o.SDK = string(t.NodeSDK.Version)
	case name == "mini-program" && t.MiniProgram != nil:
		o.Form = t.MiniProgram.Form
	case name == "web" && t.Web != nil:
		o.Web = cloud.Web{Origin: t.Web.Origin, Preflight: *t.Web.Preflight, Credentials: t.Web.Credentials, Cookies: t.Web.Cookies}
	}
	return o
}

// compileOptions checks the methods' options and puts their defaults in place.
func (c *compiler) compileOptions(t *Target) {
	if t.WebSDK != nil {
		t.WebSDK.Version = WebSDKVersion(c.orDefault(string(t.WebSDK.Version), "3"))
	}
	if t.NodeSDK != nil {
		t.NodeSDK.Version = NodeSDKVersion(c.orDefault(string(t.NodeSDK.Version), "3"))
	}
	if t.MiniProgram != nil {
		t.MiniProgram.Form = c.orDefault(t.MiniProgram.Form, "query")
	}
	if w := t.Web; w != nil {
		if w.Origin != "" {
			c.origins("target.web.origin", w.Origin)
		}
		switch {
		case w.Preflight == nil:
			w.Preflight = new(w.Origin != "")
		case *w.Preflight && w.Origin == "":
			c.fail("target.web.preflight", "add origin: https://app.example.com", "a page asks for leave, and no origin says which")
		}
		if w.Credentials == "same-origin" && w.Origin == "" {
			c.fail("target.web.credentials", "add origin: https://app.example.com", "same-origin compares with a page, and no origin says which")
		}
		w.Credentials = c.orDefault(w.Credentials, "include")
		w.Cookies = c.orDefault(w.Cookies, "worker")
	}
}

// origins checks that a text is the origin of a page (RFC 6454, section 6.1).
func (c *compiler) origins(path, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		fix := "write one such as https://app.example.com"
		if !strings.Contains(text, "://") && err == nil && u.Host == "" && u.Opaque == "" {
			fix = "write https://" + text
		}
		c.fail(path, fix, "%s is not the origin of a page", quote(text))
		return
	}
	if origin := u.Scheme + "://" + u.Host; text != origin {
		c.fail(path, "write "+origin, "%s has more in it than an origin: scheme, host and port", quote(text))
	}
}

// unusedOptions refuses options of methods that nothing uses: they would be
// believed to matter.
func (c *compiler) unusedOptions() {
	if c.opts.NoSteps && len(c.scenario.Steps) == 0 {
		return
	}
	for _, o := range [...]struct{ key, method string }{
		{"web", "web"}, {"web_sdk", "web-sdk"}, {"node_sdk", "node-sdk"}, {"mini_program", "mini-program"},
	} {
		if at := "target." + o.key; c.has(at) && !c.used[o.method] {
			c.fail(at, "delete it, or write method: "+o.method, "no step uses the method %s", o.method)
		}
	}
}

// webVersion is the version of the web SDK that is asked as.
func (c *compiler) webVersion() WebSDKVersion {
	if w := c.scenario.Target.WebSDK; w != nil {
		return w.Version
	}
	return "3"
}

// nodeVersion is the version of node-sdk that is asked as.
func (c *compiler) nodeVersion() NodeSDKVersion {
	if n := c.scenario.Target.NodeSDK; n != nil {
		return n.Version
	}
	return "3"
}

// passesHTTP reports whether a method sends a real HTTP request of one's own.
func passesHTTP(method string) bool { return method == "http-function" || method == "web" }

// takesObjects reports whether a method takes nothing but an object for data:
// an event that stands in the request as it is.
func (c *compiler) takesObjects(method string) bool {
	return method == "http-api" || method == "web-sdk" && c.webVersion() == "3"
}
