package scenarios

import (
	"strings"
	"testing"
)

// TestCuresForWhatIsAround holds that hints say what helps where a scenario is:
// in a project, at an endpoint, or on the command line alone.
func TestCuresForWhatIsAround(t *testing.T) {
	nobody := func(string) (Auth, string, error) { return Auth{}, "", nil }
	const load = "load: {rate: 1/s, for: 1s}\nsteps: [{invoke: hello}]\n"
	around := "set CLOUDBASE_APIKEY, or TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY, or log in (tcb login); or add auth: {"
	for _, tt := range []struct {
		name, src string
		o         Options
		want      []string
	}{
		{"a project without an environment is named", load, Options{DefaultsFrom: "cloudbaserc.json", Ambient: nobody},
			[]string{"no environment is named, and cloudbaserc.json names none", "add envId to cloudbaserc.json"}},
		{"no project, no word of one", load, Options{}, []string{"no environment is named\n", "target.emulator"}},
		{"a wrong id of a project's", load, Options{DefaultEnv: "BAD ENV", DefaultsFrom: "cloudbaserc.json"},
			[]string{`target.env: "BAD ENV" (from cloudbaserc.json) is not an environment id`}},
		{"a wrong region of a project's", load, Options{DefaultEnv: "my-env", DefaultRegion: "ap-shangai", DefaultsFrom: "cloudbaserc.json"},
			[]string{`target.region: "ap-shangai" (from cloudbaserc.json) is not a region`, "write ap-shanghai"}},
		{"a wrong region of the scenario's own", "target: {env: my-env, region: mars}\n" + load, Options{DefaultEnv: "my-env", DefaultsFrom: "cloudbaserc.json"},
			[]string{`target.region: "mars" is not a region`}},
		{"credentials may come from around", "target: {env: my-env}\n" + load, Options{Ambient: nobody}, []string{around + `api_key: "${CLOUDBASE_APIKEY}"}`}},
		{"those of node-sdk", "target: {env: my-env, method: node-sdk}\n" + load, Options{Ambient: nobody},
			[]string{around + `secret_id: "${TENCENTCLOUD_SECRETID}", secret_key: "${TENCENTCLOUD_SECRETKEY}"}`}},
		{"those of the control plane are no API key", "target: {env: my-env, method: control-plane}\n" + load, Options{Ambient: nobody},
			[]string{"  set TENCENTCLOUD_SECRETID and TENCENTCLOUD_SECRETKEY, or log in"}},
		{"WeChat's do not", "target: {env: my-env, method: mini-program}\n" + load, Options{Ambient: nobody},
			[]string{`  add auth: {app_id: "${WX_APP_ID}", app_secret: "${WX_APP_SECRET}"}` + "\n"}},
		{"nobody asked around", "target: {env: my-env}\n" + load, Options{}, []string{`  add auth: {api_key: "${CLOUDBASE_APIKEY}"}` + "\n"}},
		{"an endpoint is not given them", "target: {endpoint: 'http://localhost', method: node-sdk}\n" + load, Options{Ambient: nobody},
			[]string{"  add auth: {secret_id", "is for the vendor's own hosts"}},
		{"flags have no section", "", Options{Ambient: nobody, Set: []string{"target.endpoint=http://localhost", "target.method=control-plane", "steps=[{invoke: hello}]"}},
			[]string{"  add --set 'target.auth.secret_id=${TENCENTCLOUD_SECRETID}' --set 'target.auth.secret_key=${TENCENTCLOUD_SECRETKEY}'"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load("test.yaml", []byte(tt.src), tt.o)
			if tt.src == "" {
				_, err = FromFlags(tt.o)
			}
			if err == nil {
				t.Fatal("loads")
			}
			for _, want := range tt.want {
				if got := told(err); !strings.Contains(got, want) {
					t.Errorf("%s\nwant %s", got, want)
				}
			}
		})
	}
}

// TestRegions holds that what may be a region is taken, and what is a slip is
// not.
func TestRegions(t *testing.T) {
	for region, ok := range map[string]bool{
		"": true, "ap-shanghai": true, "ap-shanghai-fsi": true, "ap-singapore": true, "eu-frankfurt": true, "ap-hangzhou": true, "ap-shenzhen": true,
		"ap-shangai": false, "ap-shanghaii": false, "ap-shenghai": false, "ap-singapor": false, "AP-SHANGHAI": false, "ap-shanghai-fs": false,
	} {
		src := "target: {env: my-env, region: '" + region + "', auth: none, endpoint: 'https://example.com'}\nload: {rate: 1/s, for: 1s}\nsteps: [{invoke: hello}]\n"
		if _, err := Load("test.yaml", []byte(src), Options{}); (err == nil) != ok {
			t.Errorf("%q: %v, want it taken: %v", region, err, ok)
		}
	}
}

// TestOneIsNotMany holds that what is told of one thing reads so.
func TestOneIsNotMany(t *testing.T) {
	c, err := Load("test.yaml", []byte("target: {emulator: {functions: {hello: {}}}}\nload: {workers: 1, iterations: 1}\nsteps: [{invoke: hello}]\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := Explain(c, &b); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(got, "closed: 1 worker, each waiting for its iteration, until 1 iteration iterations") {
		t.Errorf("%s", b.String())
	}
}

// TestWhatAProjectLosesIsTold holds that what does not become a part of the
// scenario is not lost in silence.
func TestWhatAProjectLosesIsTold(t *testing.T) {
	p, err := ReadProject(folder("cloudbaserc.json", `{"envId": "my-env", "functions": [{"name": "site", "type": "HTTP", "params": {"a": 1}}, {"name": "page", "type": "HTTP"}, {"name": "x"}]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	src, notes, err := p.Scenario("shop")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(src), "http: {method: GET, path: /} # its params are left out: it takes requests, and no event\n"); n != 1 {
		t.Errorf("%d steps say that their params are left out, want 1:\n%s", n, src)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], `the function "x" is left out, which is not a name`) {
		t.Errorf("notes: %q", notes)
	}
}
