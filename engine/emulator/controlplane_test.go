package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"volley/engine/auth"
)

// cloudAsk is a request as the vendor's manager makes it.
func cloudAsk(host string, at time.Time, action, body string) *http.Request {
	service, version := "scf", "2018-04-16"
	if strings.HasPrefix(action, "Describe") {
		service, version = "tcb", "2018-06-08"
	}
	r := request("POST https://"+host+"/", body, "Content-Type: application/json", "X-TC-Action: "+action, "X-TC-Version: "+version,
		"X-TC-Region: ap-shanghai", "X-TC-Timestamp: "+strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("Authorization", auth.SignCloudAPI(openKeys(), service, at, auth.Signable{Verb: "POST", Host: host, Path: "/",
		Header: [][2]string{{"content-type", "application/json"}, {"host", host}}, Body: []byte(body)}))
	return r
}

func signedCloud(at time.Time, action, body string) *http.Request {
	return cloudAsk("scf.tencentcloudapi.com", at, action, body)
}

func TestControlPlane(t *testing.T) {
	apiError := func(code, message string) string {
		return `{"Response":{"Error":{"Code":"` + code + `","Message":"` + message + `"},"RequestId":"ID"}}`
	}
	for _, tt := range []struct{ name, action, body, want, truth string }{
		{"an answer is text", "Invoke", `{"FunctionName":"says","Namespace":"env-1"}`, `"RetMsg":"Hello fn"`, "says|$LATEST|ok|"},
		{"ClientContext is the event", "Invoke", `{"FunctionName":"echo","Namespace":"env-1","LogType":"None","ClientContext":"{\"a\":1}"}`, `"RetMsg":"{\"a\":1}"`, "echo|$LATEST|ok|"},
		{"no ClientContext is an empty object", "Invoke", `{"FunctionName":"echo","Namespace":"env-1","InvocationType":"RequestResponse"}`, `"RetMsg":"{}"`, "echo|$LATEST|ok|"},
		{"a version by its Qualifier", "Invoke", `{"FunctionName":"echo","Namespace":"env-1","Qualifier":"3"}`, `"RetMsg":"\"three\""`, "echo|3|ok|"},
		{"no Qualifier is $LATEST", "Invoke", `{"FunctionName":"split","Namespace":"env-1"}`, `"RetMsg":"1"`, "split|$LATEST|ok|"},
		{"a function that fails looks like one that does not", "Invoke", `{"FunctionName":"fails","Namespace":"env-1"}`,
			`{"Response":{"Result":{"InvokeResult":0,"RetMsg":"{\"errorCode\":-1,\"errorMessage\":\"user code exception caught\",\"requestId\":\"ID\",\"stackTrace\":\"no \\\"luck\\\"\",\"statusCode\":430}","ErrMsg":"",`, "fails|$LATEST|function_error|430"},
		{"an answer that is too large", "Invoke", `{"FunctionName":"big","Namespace":"env-1"}`, `\"errorMessage\":\"the response is larger than 1000 bytes\",\"requestId\":\"ID\",\"statusCode\":407}`, "big|$LATEST|function_error|407"},

		{"a function that is missing", "Invoke", `{"FunctionName":"nobody","Namespace":"env-1"}`, apiError("ResourceNotFound.Function", "function nobody not found"), "||rejected|ResourceNotFound.Function"},
		{"a version that is missing", "Invoke", `{"FunctionName":"echo","Namespace":"env-1","Qualifier":"9"}`, apiError("ResourceNotFound.Qualifier", "qualifier 9 of function echo not found"), "echo|(unknown)|rejected|ResourceNotFound.Qualifier"},
		{"another namespace", "Invoke", `{"FunctionName":"echo","Namespace":"env-2"}`, apiError("ResourceNotFound.Namespace", "environment env-2 does not exist here"), "||rejected|ResourceNotFound.Namespace"},
		{"no namespace is default", "Invoke", `{"FunctionName":"echo"}`, apiError("ResourceNotFound.Namespace", "environment default does not exist here"), "||rejected|ResourceNotFound.Namespace"},
		{"no function", "Invoke", `{"Namespace":"env-1"}`, apiError("MissingParameter", "The parameter FunctionName is missing."), "||rejected|MissingParameter"},
		{"an HTTP function", "Invoke", `{"FunctionName":"site","Namespace":"env-1"}`, apiError("InvalidParameterValue", "site is an HTTP function, which cannot be called this way"), "site|$LATEST|rejected|InvalidParameterValue"},
		{"a LogType that there is not", "Invoke", `{"FunctionName":"echo","Namespace":"env-1","LogType":"Head"}`, apiError("InvalidParameterValue", "LogType Head is not None or Tail."), "||rejected|InvalidParameterValue"},
		{"an InvocationType that there is not here", "Invoke", `{"FunctionName":"echo","Namespace":"env-1","InvocationType":"Event"}`,
			apiError("InvalidParameterValue", "InvocationType Event is not RequestResponse, the only one here."), "||rejected|InvalidParameterValue"},
		{"an event that is not JSON", "Invoke", `{"FunctionName":"echo","Namespace":"env-1","ClientContext":"a=1"}`, apiError("InvalidParameterValue", "the event is not JSON"), "echo|$LATEST|rejected|InvalidParameterValue"},
		{"an event that is too large", "Invoke", `{"FunctionName":"echo","Namespace":"env-1","ClientContext":"\"` + strings.Repeat("x", 1000) + `\""}`,
			apiError("RequestSizeLimitExceeded", "the event is larger than 1000 bytes"), "echo|$LATEST|rejected|RequestSizeLimitExceeded"},
		{"parameters of another kind", "Invoke", `{"FunctionName":5}`, apiError("InvalidParameter", "The body is not a JSON object with this action's parameters."), "||rejected|InvalidParameter"},
		{"another action", "DeleteFunction", `{}`, apiError("InvalidAction", "The action DeleteFunction does not exist here."), "||rejected|InvalidAction"},
		{"an environment is described", "DescribeEnvInfo", `{"EnvId":"env-1"}`, `"EnvInfo":{"EnvBaseInfo":{"EnvId":"env-1","Alias":"env-1","Status":"NORMAL",`, "||ok|describe"},
		{"with the namespace of its functions", "DescribeEnvInfo", `{"EnvId":"env-1"}`, `"Functions":[{"Namespace":"env-1","Region":"ap-shanghai"}]`, "||ok|describe"},
		{"environments are listed", "DescribeEnvs", `{}`, `"EnvList":[{"EnvId":"env-1",`, "||ok|describe"},
		{"another environment is not", "DescribeEnvs", `{"EnvId":"env-2"}`, apiError("ResourceNotFound.Namespace", "environment env-2 does not exist here"), "||rejected|ResourceNotFound.Namespace"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, land())
			res := ask(s, signedCloud(time.Now(), tt.action, tt.body))
			got := ids.ReplaceAllString(text(t, res), "ID")
			if res.StatusCode != 200 || !json.Valid([]byte(got)) || !strings.Contains(got, tt.want) || strings.Contains(tt.want, `"Error"`) && got != tt.want {
				t.Errorf("status %d, body %s\nwant 200 with %s", res.StatusCode, got, tt.want)
			}
			if got, want := told(s), tt.truth+"|200"; got != want {
				t.Errorf("the truth says %s, want %s", got, want)
			}
		})
	}
}

// The very request that the vendor's command line sends, and changes to it.
func TestControlPlaneSignature(t *testing.T) {
	const body = `{"FunctionName":"fn","Namespace":"env-1","LogType":"Tail","ClientContext":"{\"a\":1}"}`
	set := func(name, value string) func(r *http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, tt := range []struct {
		name   string
		change func(r *http.Request)
		want   string
		late   time.Duration
	}{
		{"as it was sent", func(*http.Request) {}, `"InvokeResult":0`, 0},
		{"without headers that are not signed", func(r *http.Request) { r.Header.Del("User-Agent") }, `"InvokeResult":0`, 0},
		{"signed for the host without its port", func(r *http.Request) { r.Host += ":8787" }, `"InvokeResult":0`, 0},
		{"another host", func(r *http.Request) { r.Host = "tcb.tencentcloudapi.com" }, "AuthFailure.SignatureFailure", 0},
		{"another content type", set("Content-Type", "text/plain"), "AuthFailure.SignatureFailure", 0},
		{"another body", func(r *http.Request) {
			*r = *request("POST https://scf.tencentcloudapi.com/", strings.Replace(body, "1}", "2}", 1), "Authorization: "+r.Header.Get("Authorization"),
				"Content-Type: application/json", "X-TC-Action: Invoke", "X-TC-Version: 2018-04-16", "X-TC-Region: ap-shanghai", "X-TC-Timestamp: "+r.Header.Get("X-Tc-Timestamp"))
		}, "AuthFailure.SignatureFailure", 0},
		{"no signature", set("Authorization", ""), "AuthFailure.SignatureFailure", 0},
		{"a token in its place", set("Authorization", "Bearer t0"), "AuthFailure.SignatureFailure", 0},
		{"another time", func(r *http.Request) {
			at, _ := strconv.ParseInt(r.Header.Get("X-Tc-Timestamp"), 10, 64)
			r.Header.Set("X-Tc-Timestamp", strconv.FormatInt(at-1, 10))
		}, "AuthFailure.SignatureFailure", 0},
		{"a session that is not the key's", set("X-TC-Token", "x"), "AuthFailure.TokenFailure", 0},
		{"five minutes later", func(*http.Request) {}, `"InvokeResult":0`, 5 * time.Minute},
		{"more than five minutes later", func(*http.Request) {}, "AuthFailure.SignatureExpire", 5*time.Minute + time.Second},
		{"another version of the API", set("X-TC-Version", "2018-06-08"), "NoSuchVersion", 0},
		{"no region", func(r *http.Request) { r.Header.Del("X-Tc-Region") }, "MissingParameter", 0},
		{"by GET", func(r *http.Request) { r.Method = "GET" }, "InvalidRequest", 0},
		{"a path", func(r *http.Request) { r.URL.Path = "/x" }, "InvalidRequest", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, Config{Functions: map[string]Function{"fn": {}}})
				r := signedCloud(time.Now(), "Invoke", body)
				r.Header.Set("User-Agent", "node-fetch")
				tt.change(r)
				time.Sleep(tt.late)
				if got := text(t, ask(s, r)); !strings.Contains(got, tt.want) {
					t.Errorf("%s, want %s", got, tt.want)
				}
			})
		})
	}
}

// A cloudResult is what Invoke tells.
type cloudResult struct {
	InvokeResult           int
	RetMsg, ErrMsg         string
	Duration               float64
	MemUsage, BillDuration int64
	FunctionRequestID      string `json:"FunctionRequestId"`
	Log                    string
}

func invokeByCloud(t *testing.T, s *Server, fields string) cloudResult {
	t.Helper()
	var got struct{ Response struct{ Result *cloudResult } }
	body := text(t, ask(s, signedCloud(time.Now(), "Invoke", `{"FunctionName":"fn"`+fields+`}`)))
	if json.Unmarshal([]byte(body), &got) != nil || got.Response.Result == nil {
		t.Fatalf("no result: %s", body)
	}
	return *got.Response.Result
}

// What is told of a run is what happened.
func TestControlPlaneResult(t *testing.T) {
	type run struct {
		f       Function
		invoked int
		ms      float64
		bill    int64
		used    int64
		log     string // of ID
	}
	report := func(first, second string) string {
		return "START RequestId: ID\n" + first + "END RequestId: ID\nReport RequestId: ID " + second + "\n"
	}
	for name, tt := range map[string]run{
		"a cold start is in the log, and not in the duration": {Function{Latency: Latency{P50: 12*ms + 345*time.Microsecond}, ColdStart: 561 * ms}, 0, 12.345, 13, 268435456 / 10,
			report("", "Duration: 12.345ms Memory: 256MB MemUsage: 25.599999MB Coldstart: 561ms")},
		"memory is the function's": {Function{Memory: 128 << 20, MemoryUsed: 26 << 20}, 0, 0, 0, 26 << 20,
			report("", "Duration: 0ms Memory: 128MB MemUsage: 26.000000MB Coldstart: 0ms")},
		"a stall is no work": {Function{Latency: Latency{P50: ms}, Stall: Stall{Every: time.Second, For: 999 * ms}}, 0, 1, 1, 268435456 / 10,
			report("", "Duration: 1ms Memory: 256MB MemUsage: 25.599999MB Coldstart: 0ms")},
		"a time limit": {Function{Latency: Latency{P50: time.Minute}, Timeout: 3 * time.Second}, 0, 3000, 3000, 268435456 / 10,
			report("Invoking task timed out after 3 seconds\n", "Duration: 3000ms Memory: 256MB MemUsage: 25.599999MB Coldstart: 0ms")},
		"all memory": {Function{Errors: map[string]float64{"memory_limit": 1}, Latency: Latency{P50: ms}}, 0, 1, 1, 256 << 20,
			report("memory limit exceeded\n", "Duration: 1ms Memory: 256MB MemUsage: 256.000000MB Coldstart: 0ms")},
		"an answer that took its time to make": {Function{Reply: func(any) ([]byte, error) { time.Sleep(7 * ms); return nil, nil }}, 0, 7, 7, 268435456 / 10,
			report("", "Duration: 7ms Memory: 256MB MemUsage: 25.599999MB Coldstart: 0ms")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, Config{Functions: map[string]Function{"fn": tt.f}})
				got := invokeByCloud(t, s, `,"LogType":"Tail"`)
				if got.InvokeResult != tt.invoked || got.Duration != tt.ms || got.BillDuration != tt.bill || got.MemUsage != tt.used {
					t.Errorf("told %+v, want %+v", got, tt)
				}
				if !ids.MatchString(got.FunctionRequestID) || strings.ReplaceAll(got.Log, got.FunctionRequestID, "ID") != tt.log {
					t.Errorf("log of %s:\n%s\nwant\n%s", got.FunctionRequestID, got.Log, tt.log)
				}
			})
		})
	}
}

func TestControlPlaneLog(t *testing.T) {
	s := start(t, Config{Functions: map[string]Function{"fn": {Reply: func(any) ([]byte, error) { panic(strings.Repeat("好", 5000)) }}}})
	if got := invokeByCloud(t, s, ""); got.Log != "" {
		t.Errorf("a log that was not asked for: %s", got.Log)
	}
	got := invokeByCloud(t, s, `,"LogType":"Tail"`).Log
	if len(got) > logBytes || len(got) < logBytes-3 || !strings.HasPrefix(got, "好") || strings.Contains(got, "Coldstart") || !strings.Contains(got, "\nReport RequestId: ") {
		t.Errorf("a log of %d bytes:\n%s", len(got), got)
	}
}

// Functions that no instance took are not billed, and have no memory or log.
func TestControlPlaneOverQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, Config{Functions: map[string]Function{"fn": {Latency: Latency{P50: time.Second}, Concurrency: 1}}})
		go ask(s, signedCloud(time.Now(), "Invoke", `{"FunctionName":"fn"}`))
		time.Sleep(ms)
		got := invokeByCloud(t, s, `,"LogType":"Tail"`)
		if got.InvokeResult != -1 || got.Duration != 0 || got.BillDuration != 0 || got.MemUsage != 0 || got.Log != "" ||
			got.ErrMsg != "ResourceLimitReached: all instances are busy" || !strings.Contains(got.RetMsg, `"statusCode":432}`) {
			t.Errorf("told %+v", got)
		}
		time.Sleep(time.Second)
	})
}

// Whatever is posted, something well-formed comes back.
func FuzzControlPlane(f *testing.F) {
	for _, body := range []string{`{"FunctionName":"echo","Namespace":"env-1","LogType":"Tail","ClientContext":"{}"}`, `{"FunctionName":"\u0000","Qualifier":"\""}`, `{}`, `[]`, ``, "{\"LogType\":\"\xff\"}"} {
		f.Add(body, "Invoke")
		f.Add(body, "DescribeEnvs")
	}
	s, err := New(land())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	f.Fuzz(func(t *testing.T, body, action string) {
		res := ask(s, signedCloud(time.Now(), action, body))
		if got := text(t, res); action != "" && (res.StatusCode != 200 || !json.Valid([]byte(got))) {
			t.Errorf("status %d, %s", res.StatusCode, got)
		}
	})
}
