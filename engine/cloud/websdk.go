package cloud

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// The versions of @cloudbase/js-sdk whose requests are sent, as they announce
// themselves.
const (
	webSDK3 = "@cloudbase/js-sdk/3.7.0"
	webSDK2 = "@cloudbase/js-sdk/2.31.0"
	webSDK1 = "@cloudbase/js-sdk/1.8.4"

	// webLanguage is what versions 2 and 3 ask for unless they are told otherwise.
	webLanguage = "zh-CN"
)

// webSDK invokes an event function as the vendor's library for browsers does:
// version 3 through the gateway, 2 and 1 by an action posted to /web
// (PROTOCOL.md 5).
type webSDK struct{ version string } // "" is 3

func newWebSDK(version string) (engine.Method, error) {
	switch version {
	case "", "3":
		return webSDK{}, nil
	case "2", "1":
		return webSDK{version}, nil
	}
	return nil, fmt.Errorf("sdk: %q is not one of 3, 2, 1, the versions of web-sdk", version)
}

func (webSDK) Name() string { return "web-sdk" }

// Notes says what a report should say of the older versions.
func (m webSDK) Notes(*engine.Target) []string {
	if m.version == "" {
		return nil
	}
	return []string{"web-sdk " + m.version + " goes through /web and not the gateway, and cannot ask for a version of the function."}
}

// Encode writes the library's request.
func (m webSDK) Encode(i *engine.Invocation, g auth.Grant, now time.Time, to *engine.Request) error {
	if err := checkFunction(i, "web-sdk"); err != nil {
		return err
	}
	if m.bare(i.Step.Function) {
		return m.gateway(i, g, now, to)
	}
	return m.backend(i, g, now, to)
}

// bare reports whether the function is asked through the gateway, and so
// answers without an envelope: that is version 3, but for the functions of the
// vendor's low-code service, which it always asks through /web (PROTOCOL.md 5.1).
func (m webSDK) bare(function string) bool {
	switch function {
	case "lcap-common-service", "cloudbase_module", "lowcode-wx-datasource":
		return false
	}
	return m.version == "" && !strings.HasPrefix(function, "lcap-data") && !strings.HasPrefix(function, "lowcode-datasource")
}

// gateway writes what version 3 sends: the event as it is, and nothing where
// there is none. A qualifier goes into its header, where the library's own
// option for it goes nowhere (PROTOCOL.md 5.1).
func (m webSDK) gateway(i *engine.Invocation, g auth.Grant, now time.Time, to *engine.Request) error {
	t := i.Step.Target
	if err := gateway(t, to); err != nil {
		return err
	}
	if err := functionPath(i.Step.Function, to); err != nil {
		return err
	}
	if g.Bearer.IsZero() {
		return errors.New("auth: the method web-sdk needs a token: publishable_key, access_token, anonymous, or username and password")
	}
	event, err := eventText(i.Data)
	if err != nil {
		return err
	}
	if event != "" && event[0] != '{' {
		return fmt.Errorf("data: %s is not a JSON object, and the gateway takes no other event", snippet(i.Data))
	}
	to.Verb, to.Body = "POST", []byte(event)
	to.Header = append(to.Header, engine.Field{Name: "X-SDK-Version", Value: webSDK3})
	if err := authorize(g, to); err != nil {
		return err
	}
	to.Header = append(to.Header,
		engine.Field{Name: "Accept-Language", Value: webLanguage},
		engine.Field{Name: "Content-Type", Value: "application/json; charset=utf-8"},
		engine.Field{Name: "X-Request-Id", Value: uuid(nonce(i, now))})
	if err := qualify(t, to); err != nil {
		return err
	}
	return override(i.Header, to)
}

// backend writes what versions 2 and 1 send, and 3 for a few functions: the
// action functions.invokeFunction, with the token in the body.
func (m webSDK) backend(i *engine.Invocation, g auth.Grant, now time.Time, to *engine.Request) error {
	t := i.Step.Target
	switch {
	case t.Qualifier == "":
	case m.version == "":
		return fmt.Errorf("target.qualifier: %q cannot be asked for by web-sdk of %s, which it asks through /web; leave it empty, or use http-api", t.Qualifier, i.Step.Function)
	default:
		return fmt.Errorf(`target.qualifier: %q cannot be asked for by version %s of web-sdk; leave it empty, or write sdk: "3"`, t.Qualifier, m.version)
	}
	if err := errors.Join(checkEnv(t), checkRegion(t)); err != nil {
		return err
	}
	if g.Bearer.IsZero() {
		return errors.New("auth: the method web-sdk needs a token: publishable_key, access_token, anonymous, or username and password")
	}
	token := g.Bearer.Reveal()
	if err := checkToken(token); err != nil {
		return err
	}
	event, err := eventText(i.Data)
	if err != nil {
		return err
	}
	if err := address(t, m.host(t), to); err != nil {
		return err
	}
	seq := strconv.FormatUint(nonce(i, now).Uint64()>>12|1<<51, 16) // 13 digits
	to.Verb, to.Path, to.Query = "POST", to.Path+"/web", envQuery(t.Env)
	m.head(t, seq, to)
	to.SecretBody = true
	b := make([]byte, 0, len(event)+len(event)/8+len(token)+512)
	b = append(b, '{')
	b = appendField(b, "action", "functions.invokeFunction")
	b = appendField(b, "dataVersion", "2020-01-10")
	b = appendField(b, "env", t.Env)
	b = appendField(b, "function_name", i.Step.Function)
	b = appendField(b, "request_data", event)
	b = appendField(b, "access_token", token)
	b = appendField(b, "seqId", seq)
	to.Body = append(b, '}')
	return override(i.Header, to)
}

// host returns where the library posts to: version 1 names environment and
// region only when it is told a region, versions 2 and 3 always do.
func (m webSDK) host(t *engine.Target) string {
	switch {
	case t.Region != "":
		return backendHost(t.Env, t.Region)
	case m.version == "1":
		return backendHost("", "")
	}
	return backendHost(t.Env, "ap-shanghai")
}

func (m webSDK) head(t *engine.Target, seq string, to *engine.Request) {
	version := webSDK3
	switch m.version {
	case "2":
		version = webSDK2
	case "1":
		version = webSDK1
	}
	to.Header = append(to.Header,
		engine.Field{Name: "Content-Type", Value: "application/json;charset=UTF-8"},
		engine.Field{Name: "X-SDK-Version", Value: version},
		engine.Field{Name: "x-seqid", Value: seq})
	if m.version != "1" {
		to.Header = append(to.Header, engine.Field{Name: "Accept-Language", Value: webLanguage})
	}
	if t.Region != "" {
		to.Header = append(to.Header, engine.Field{Name: "X-TCB-Region", Value: t.Region})
	}
}

// Decode reads the function's answer: through the gateway it comes without an
// envelope.
func (m webSDK) Decode(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	if m.bare(i.Step.Function) {
		read(i, from, to, webfn(i))
		return
	}
	readEnvelope(i, from, to)
}
