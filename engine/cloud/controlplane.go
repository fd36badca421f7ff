package cloud

import (
	"errors"
	"time"

	"volley/engine"
	"volley/engine/auth"
)

// controlPlane invokes an event function by the cloud API's action Invoke, as
// the vendor's command line does: the only way whose reply tells duration,
// memory, billed time and cold starts (PROTOCOL.md 7.3).
type controlPlane struct{}

func (controlPlane) Name() string { return "control-plane" }

// Notes says what is different about this way.
func (controlPlane) Notes(*engine.Target) []string {
	return []string{
		"control-plane is for profiles and not for load: the platform allows 100 calls of Invoke a second.",
		"control-plane invokes the version $LATEST where no qualifier is given, and not what the alias $DEFAULT leads to, as http-api does.",
	}
}

// Encode writes the action Invoke, with the log tail asked for. Without data
// there is no ClientContext.
func (controlPlane) Encode(i *engine.Invocation, g auth.Grant, now time.Time, to *engine.Request) error {
	t := i.Step.Target
	if err := errors.Join(checkFunction(i, "control-plane"), checkEnv(t), checkRegion(t)); err != nil {
		return err
	}
	if g.Keys.IsZero() {
		return errors.New("auth: the method control-plane signs each request, and needs secret_id and secret_key; it takes no token")
	}
	if err := checkKeys(g.Keys); err != nil {
		return err
	}
	event, err := eventText(i.Data)
	if err != nil {
		return err
	}
	if err := address(t, "scf.tencentcloudapi.com", to); err != nil {
		return err
	}
	if to.Path == "" {
		to.Path = "/"
	}
	to.Verb = "POST"
	b := make([]byte, 0, len(event)+len(event)/8+256)
	b = append(b, '{')
	b = appendField(b, "FunctionName", i.Step.Function)
	if t.Env != "" {
		b = appendField(b, "Namespace", t.Env)
	}
	b = appendField(b, "LogType", "Tail")
	if event != "" {
		b = appendField(b, "ClientContext", event)
	}
	if t.Qualifier != "" {
		b = appendField(b, "Qualifier", t.Qualifier)
	}
	to.Body = append(b, '}')
	return signInvoke(i, g.Keys, now, to)
}

// signInvoke adds the header, of which content type and host are signed
// (PROTOCOL.md 9, variant C).
func signInvoke(i *engine.Invocation, k auth.Keys, now time.Time, to *engine.Request) error {
	region := i.Step.Target.Region
	if region == "" {
		region = "ap-shanghai"
	}
	to.Header = append(to.Header,
		engine.Field{Name: "X-TC-Action", Value: "Invoke"},
		engine.Field{Name: "X-TC-Version", Value: "2018-04-16"},
		engine.Field{Name: "X-TC-Region", Value: region},
		engine.Field{Name: "X-TC-Timestamp", Value: seconds(now)},
		engine.Field{Name: "Content-Type", Value: "application/json"})
	if !k.Session.IsZero() {
		to.Header = append(to.Header, engine.Field{Name: "X-TC-Token", Value: k.Session.Reveal(), Secret: true})
	}
	if err := override(i.Header, to); err != nil {
		return err
	}
	if _, own := header(to, "Authorization"); own {
		return nil
	}
	s := signable(to)
	kind, _ := header(to, "Content-Type") // perhaps the scenario's
	s.Header = [][2]string{{kind.Name, kind.Value}}
	to.Header = append(to.Header, engine.Field{Name: "Authorization", Value: auth.SignCloudAPI(k, "scf", now, s), Secret: true})
	return nil
}

// Decode takes the function's answer out of its envelope, with what the
// platform tells about the invocation.
func (controlPlane) Decode(i *engine.Invocation, from *engine.Response, to *engine.Reply) {
	readInvoke(i, from, to)
}
