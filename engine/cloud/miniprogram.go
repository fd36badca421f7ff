package cloud

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// miniProgram invokes an event function through WeChat's server API, the
// nearest that there is to wx.cloud.callFunction outside of WeChat
// (PROTOCOL.md 6).
type miniProgram struct{ inBody bool }

func newMiniProgram(form string) (engine.Method, error) {
	switch form {
	case "", "query":
		return miniProgram{}, nil
	case "body":
		return miniProgram{inBody: true}, nil
	}
	return nil, fmt.Errorf("form: %q is not one of query, body, the forms of mini-program", form)
}

func (miniProgram) Name() string { return "mini-program" }

// Notes says what this way cannot show.
func (miniProgram) Notes(*engine.Target) []string {
	return []string{
		"mini-program asks WeChat's server API, so the function sees no user: there is no OPENID.",
		"WeChat ends a function that is invoked this way after 5 s, whatever time limit the function or the scenario has.",
	}
}

// Encode writes a call of invokecloudfunction: the event is the body, or its
// field req_data. Without data the event is {}, because WeChat refuses an
// empty body.
func (m miniProgram) Encode(i *engine.Invocation, g auth.Grant, _ time.Time, to *engine.Request) error {
	t := i.Step.Target
	if err := errors.Join(checkFunction(i, "mini-program"), checkEnv(t)); err != nil {
		return err
	}
	if t.Env == "" {
		return errors.New("target.env: is empty; WeChat wants the id of the environment, whatever the endpoint")
	}
	if t.Qualifier != "" {
		return fmt.Errorf("target.qualifier: %q cannot be asked for by the method mini-program, which WeChat gives no versions; "+
			"leave it empty, or use another method", t.Qualifier)
	}
	if g.Bearer.IsZero() {
		return errors.New("auth: the method mini-program needs WeChat's access token: app_id and app_secret, or access_token")
	}
	token := g.Bearer.Reveal()
	if err := checkToken(token); err != nil {
		return err
	}
	event, err := eventText(i.Data)
	if err != nil {
		return err
	}
	if event == "" {
		event = "{}"
	}
	if err := address(t, "api.weixin.qq.com", to); err != nil {
		return err
	}
	to.Verb, to.Path = "POST", to.Path+"/tcb/invokecloudfunction"
	to.Query, to.SecretQuery = "access_token="+url.QueryEscape(token), true
	if m.inBody {
		b := make([]byte, 0, len(event)+len(event)/8+128)
		b = append(b, '{')
		b = appendField(b, "env", t.Env)
		b = appendField(b, "name", i.Step.Function)
		b = appendField(b, "req_data", event)
		to.Body = append(b, '}')
	} else {
		to.Query += "&" + envQuery(t.Env) + "&name=" + i.Step.Function
		to.Body = []byte(event)
	}
	to.Header = append(to.Header, engine.Field{Name: "Content-Type", Value: "application/json"})
	return override(i.Header, to)
}

// Decode takes the function's answer out of its envelope, and judges by
// errcode.
func (miniProgram) Decode(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	readWeChat(i, from, to)
}
