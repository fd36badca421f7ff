package cloud

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// The versions of @cloudbase/node-sdk whose requests are sent.
const (
	nodeSDK3 = "tcb-node-sdk/3.18.3"
	nodeSDK2 = "tcb-node-sdk/2.11.0"
)

// agent is sent as User-Agent where a signature covers it.
const agent = "volley"

// nodeSDK invokes an event function as the vendor's library for Node.js does:
// an action posted to /admin, signed with keys, or with an API key
// (PROTOCOL.md 4).
type nodeSDK struct{ version2 bool }

func newNodeSDK(version string) (engine.Method, error) {
	switch version {
	case "", "3":
		return nodeSDK{}, nil
	case "2":
		return nodeSDK{version2: true}, nil
	}
	return nil, fmt.Errorf("sdk: %q is not one of 3, 2, the versions of node-sdk", version)
}

func (nodeSDK) Name() string { return "node-sdk" }

// Notes says what the numbers leave out that the library itself does
// (PROTOCOL.md 4.3), and what is different about the older version.
func (m nodeSDK) Notes(*engine.Target) []string {
	notes := []string{"node-sdk sends the library's requests without its overhead: outside of Tencent Cloud, " +
		"the library asks for metadata twice before each call, up to 30 ms each, and it queues what is above 100 connections."}
	if m.version2 {
		notes = append(notes, "node-sdk 2 signs with keys only, and names the environment in the host and the body, not in the query.")
	}
	return notes
}

// Encode writes the action functions.invokeFunction. All header lines are
// signed, those of the scenario included, as the library signs them.
func (m nodeSDK) Encode(i *engine.Invocation, g auth.Grant, now time.Time, to *engine.Request) error {
	t := i.Step.Target
	if err := errors.Join(checkFunction(i, "node-sdk"), checkEnv(t), checkRegion(t)); err != nil {
		return err
	}
	event, err := eventText(i.Data)
	if err != nil {
		return err
	}
	if err := m.checkGrant(g); err != nil {
		return err
	}
	if err := address(t, backendHost(t.Env, t.Region), to); err != nil {
		return err
	}
	seq := strconv.FormatInt(now.UnixMilli(), 16) + "_" + strconv.FormatUint(uint64(nonce(i, now).Uint32()), 16)
	to.Verb, to.Path = "POST", to.Path+"/admin"
	to.Query = envQuery(t.Env) + "&seqId=" + seq
	if m.version2 {
		to.Query = "&eventId=" + seq + "&seqId=" + seq
	}
	m.head(t, now, to)
	if err := override(i.Header, to); err != nil {
		return err
	}
	params := m.params(i, g, event, seq)
	to.Body = make([]byte, 0, len(event)+len(event)/8+512)
	to.Body = append(to.Body, '{')
	for _, p := range params {
		to.Body = appendField(to.Body, p[0], p[1])
	}
	to.Body = append(to.Body, '}')
	to.SecretBody = m.signs(g) && !g.Keys.Session.IsZero()
	m.prove(g, now, params, to)
	return nil
}

// checkGrant refuses what the library could not be set up with.
func (m nodeSDK) checkGrant(g auth.Grant) error {
	switch {
	case !g.Bearer.IsZero() && !m.version2:
		return checkToken(g.Bearer.Reveal())
	case !g.Keys.IsZero():
		return checkKeys(g.Keys)
	case !g.Bearer.IsZero():
		return errors.New(`auth: version 2 of node-sdk knows no API key; write secret_id and secret_key, or sdk: "3"`)
	}
	return errors.New("auth: is empty; the method node-sdk needs secret_id and secret_key, or api_key")
}

// signs reports whether the request is signed; else a token goes along.
func (m nodeSDK) signs(g auth.Grant) bool {
	return !g.Keys.IsZero() && (g.Bearer.IsZero() || m.version2)
}

// head adds the header lines that are signed, but for the host.
func (m nodeSDK) head(t *engine.Target, now time.Time, to *engine.Request) {
	version, source := nodeSDK3, ",unknown"
	if m.version2 {
		version, source = nodeSDK2, ",not_scf"
	}
	to.Header = append(to.Header,
		engine.Field{Name: "Content-Type", Value: "application/json"},
		engine.Field{Name: "User-Agent", Value: agent},
		engine.Field{Name: "X-TCB-Source", Value: source},
		engine.Field{Name: "X-Client-Timestamp", Value: strconv.FormatInt(now.UnixMilli(), 10)},
		engine.Field{Name: "X-SDK-Version", Value: version})
	if t.Region != "" {
		to.Header = append(to.Header, engine.Field{Name: "X-TCB-Region", Value: t.Region})
	}
}

// params returns the body's fields in the order of the library.
func (m nodeSDK) params(i *engine.Invocation, g auth.Grant, event, seq string) [][2]string {
	t := i.Step.Target
	p := [][2]string{{"action", "functions.invokeFunction"}, {"function_name", i.Step.Function}}
	if t.Qualifier != "" {
		p = append(p, [2]string{"qualifier", t.Qualifier})
	}
	p = append(p, [2]string{"request_data", event}, [2]string{"envName", t.Env})
	if m.version2 {
		p = append(p, [2]string{"eventId", seq})
	}
	p = append(p, [2]string{"wxCloudApiToken", ""}, [2]string{"wxCloudbaseAccesstoken", ""}, [2]string{"tcb_sessionToken", ""})
	if m.signs(g) && !g.Keys.Session.IsZero() {
		p = append(p, [2]string{"sessionToken", g.Keys.Session.Reveal()})
	}
	return append(p, [2]string{"crossAuthorizationToken", ""})
}

// prove adds what shows who we are, and what the library does not sign. A
// scenario's own Authorization stands.
func (m nodeSDK) prove(g auth.Grant, now time.Time, params [][2]string, to *engine.Request) {
	at := now.Add(-skew)
	if _, own := header(to, "Authorization"); !own {
		var value string
		if m.signs(g) {
			s := signable(to)
			s.Params, s.AllParams = params, m.version2
			value = auth.SignAdmin(g.Keys, at, s)
		} else {
			value = "Bearer " + g.Bearer.Reveal()
		}
		to.Header = append(to.Header, engine.Field{Name: "Authorization", Value: value, Secret: true})
	}
	supply(to, engine.Field{Name: "X-Signature-Expires", Value: "600"})
	supply(to, engine.Field{Name: "X-Timestamp", Value: seconds(at)})
	if m.version2 {
		supply(to, engine.Field{Name: "Accept", Value: "application/json"})
	}
}

// Decode takes the function's answer out of its envelope.
func (nodeSDK) Decode(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	readEnvelope(i, from, to)
}
