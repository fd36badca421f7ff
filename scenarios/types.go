package scenarios

import "volley/engine/auth"

// A Scenario is what a person wrote in a YAML file, or said by flags: strictly
// read, variables filled in, nothing else done to it. Its doc comments are the
// descriptions of the published schema.
type Scenario struct {
	// Name of the run; the file's name without its ending if left out.
	Name string `yaml:"name,omitempty"`
	// What randomness starts from: with the same seed two runs fire the same invocations at the same times. Left out, each run draws one and writes it down.
	Seed *uint64 `yaml:"seed,omitempty"`
	// Where invocations go, and how.
	Target Target `yaml:"target,omitempty"`
	// Rows of data, one for each iteration.
	Data *Data `yaml:"data,omitempty"`
	// What `run` fires, and when.
	Load *LoadSection `yaml:"load,omitempty"`
	// One iteration, in order.
	Steps []Step `yaml:"steps"`
	// What must hold for the run to be good, such as `response.p99 < 300ms`.
	Thresholds []Threshold `yaml:"thresholds,omitempty"`
	// What `batch` does.
	Batch *Batch `yaml:"batch,omitempty"`
	// What `compare` does.
	Compare *Compare `yaml:"compare,omitempty"`
}

// Target says where invocations go, and how.
type Target struct {
	// CloudBase environment id.
	Env string `yaml:"env,omitempty"`
	// Region of the environment, such as ap-shanghai.
	Region string `yaml:"region,omitempty"`
	// How functions are asked: http-api for event functions, http-function for HTTP functions, web for the HTTP access service.
	Method string `yaml:"method,omitempty" jsonschema:"default=http-api,enum=http-api,enum=http-function,enum=web,enum=node-sdk,enum=web-sdk,enum=mini-program,enum=control-plane"`
	// Version or alias to ask for (X-Qualifier), such as "3", stable or $LATEST.
	Qualifier string `yaml:"qualifier,omitempty"`
	// Base URL to use instead of the method's own: a custom domain, a proxy, a test server.
	Endpoint string `yaml:"endpoint,omitempty"`
	// How long one attempt may take.
	Timeout Duration `yaml:"timeout,omitempty" jsonschema:"default=10s"`
	// HTTP version: auto takes HTTP/2 where the server offers it.
	Protocol string `yaml:"protocol,omitempty" jsonschema:"default=auto,enum=auto,enum=h1,enum=h2"`
	// The most connections to use; auto: as many as the plan's parallelism needs.
	Connections AutoInt `yaml:"connections,omitempty" jsonschema:"default=auto"`
	// Use connections again; false dials for every invocation.
	KeepAlive *bool `yaml:"keep_alive,omitempty" jsonschema:"default=true"`
	// Header fields of every request.
	Headers Headers `yaml:"headers,omitempty"`
	// Who asks. Secrets must be written as ${NAME}.
	Auth *Auth `yaml:"auth,omitempty"`
	// Invoke an emulator inside this process instead of an environment.
	Emulator *Emulator `yaml:"emulator,omitempty"`
	// Statuses that are ok beside 2xx.
	OKStatus []int `yaml:"ok_status,omitempty"`
	// How many redirects to follow.
	Redirects int `yaml:"redirects,omitempty" jsonschema:"default=0,minimum=0,maximum=20"`
}

// Auth says who asks: one of the ways, with what it needs.
type Auth struct {
	// API key of the environment (administrator's rights).
	APIKey auth.Secret `yaml:"api_key,omitempty"`
	// Access token of a user, made elsewhere.
	AccessToken auth.Secret `yaml:"access_token,omitempty"`
	// Publishable key (an anonymous user's rights).
	PublishableKey auth.Secret `yaml:"publishable_key,omitempty"`
	// Cloud credentials: the id. Needs secret_key.
	SecretID auth.Secret `yaml:"secret_id,omitempty"`
	// Cloud credentials: the key.
	SecretKey auth.Secret `yaml:"secret_key,omitempty"`
	// Cloud credentials: the token of temporary ones.
	SessionToken auth.Secret `yaml:"session_token,omitempty"`
	// Sign in as an anonymous user.
	Anonymous bool `yaml:"anonymous,omitempty"`
	// Sign in by name and password: the name.
	Username auth.Secret `yaml:"username,omitempty"`
	// Sign in by name and password: the password.
	Password auth.Secret `yaml:"password,omitempty"`
	// WeChat: the app's id. Needs app_secret.
	AppID auth.Secret `yaml:"app_id,omitempty"`
	// WeChat: the app's secret.
	AppSecret auth.Secret `yaml:"app_secret,omitempty"`
}

// Data says which rows a run is made with.
type Data struct {
	// csv, tsv, jsonl or json, also as .gz or .zst; "-" is standard input; a list, or a pattern such as users-*.csv. Relative to the scenario's folder.
	File Files `yaml:"file"`
	// once: the run ends when the rows do; cycle: again from the start; shuffle: again in a random order each time.
	Order string `yaml:"order,omitempty" jsonschema:"default=cycle,enum=once,enum=cycle,enum=shuffle"`
}

// LoadSection says what `run` fires, and when: a rate (open: however slow the
// functions are), workers (closed: each waits for its iteration), stages of
// rates or of workers, or a recording.
type LoadSection struct {
	// Iterations per second, minute or hour.
	Rate *Rate `yaml:"rate,omitempty"`
	// Callers, each of which begins the next iteration when its last has ended.
	Workers *int `yaml:"workers,omitempty" jsonschema:"minimum=1,maximum=100000"`
	// How long, warm-up not counted.
	For *Duration `yaml:"for,omitempty"`
	// How many iterations, warm-up not counted. With `for`, the end is whichever comes first.
	Iterations *int64 `yaml:"iterations,omitempty" jsonschema:"minimum=1"`
	// Load that changes, instead of rate or workers and for: all stages are rates (open), or all are numbers of workers (closed).
	Stages []Stage `yaml:"stages,omitempty" jsonschema:"minItems=1,maxItems=1000"`
	// A file of recorded arrivals: instead of rate and for. The first column of each line is the time: seconds, a duration, or a timestamp of RFC 3339.
	Replay string `yaml:"replay,omitempty"`
	// even: equally spaced; poisson: random, as independent users arrive.
	Arrivals string `yaml:"arrivals,omitempty" jsonschema:"default=even,enum=even,enum=poisson"`
	// How long to fire, at the first rate, before what counts.
	Warmup Duration `yaml:"warmup,omitempty" jsonschema:"default=0s"`
	// The most iterations under way at once in an open run.
	MaxInFlight int `yaml:"max_in_flight,omitempty" jsonschema:"default=1000,minimum=1,maximum=1000000"`
	// What an iteration does that is due while all of max_in_flight is in use.
	WhenBusy string `yaml:"when_busy,omitempty" jsonschema:"default=drop,enum=drop,enum=wait"`
	// A ceiling on invocations over all steps, whatever the plan says.
	MaxRate *Rate `yaml:"max_rate,omitempty"`
	// How long the last iterations may take to finish.
	GracefulStop *Duration `yaml:"graceful_stop,omitempty" jsonschema:"default=30s"`
}

// Stage is a stretch of time: to a level in a straight line, or at a level. A
// level is a rate, or a number of workers.
type Stage struct {
	// The level at its end; it goes there in a straight line from the level before (0 at the start).
	To *Level `yaml:"to,omitempty"`
	// The level all along.
	At *Level `yaml:"at,omitempty"`
	// How long.
	For Duration `yaml:"for"`
}

// Step is one line of an iteration: an invocation, a group, a sequence, one of
// several, or a pause.
type Step struct {
	// Its name in reports; default: the function's, or the group's kind and number, such as all#1.
	Name string `yaml:"name,omitempty"`
	// Do it only where this expression is true.
	When Expr `yaml:"when,omitempty"`
	// Go on with the iteration when it fails.
	Continue bool `yaml:"continue,omitempty"`

	// The function to invoke.
	Invoke string `yaml:"invoke,omitempty"`
	// What to send: for http-api an object, the function's event.
	Data *Value `yaml:"data,omitempty"`
	// The HTTP request, for http-function and web.
	HTTP *HTTP `yaml:"http,omitempty"`
	// Overrides the target's headers of the same name, and adds others.
	Headers Headers `yaml:"headers,omitempty"`
	// Overrides the target's.
	Qualifier *string `yaml:"qualifier,omitempty"`
	// Overrides the target's.
	Method string `yaml:"method,omitempty" jsonschema:"enum=http-api,enum=http-function,enum=web,enum=node-sdk,enum=web-sdk,enum=mini-program,enum=control-plane"`
	// Overrides the target's.
	Endpoint string `yaml:"endpoint,omitempty"`
	// Overrides the target's.
	Timeout Duration `yaml:"timeout,omitempty"`
	// Expressions that must hold for the reply to be ok: of status, headers, body, text, ms, outcome.
	Check []Expr `yaml:"check,omitempty"`
	// Values to take out of the reply, for the steps after: name to expression.
	Save Saves `yaml:"save,omitempty"`
	// Which failures to try again.
	Retry *Retry `yaml:"retry,omitempty"`

	// A group: fulfilled when all members are, failed by the first failure.
	All []Step `yaml:"all,omitempty"`
	// A group: fulfilled when all members have ended, failed or not.
	AllSettled []Step `yaml:"all_settled,omitempty"`
	// A group: fulfilled by the first member that is.
	Any []Step `yaml:"any,omitempty"`
	// A group: settled by the first member that ends.
	Race []Step `yaml:"race,omitempty"`
	// Fire the group's members once for every item of this list.
	Each *Value `yaml:"each,omitempty"`
	// The most members of the group at once; left out: all.
	Limit int `yaml:"limit,omitempty" jsonschema:"minimum=1"`
	// What happens to members that no longer matter.
	OnLoss string `yaml:"on_loss,omitempty" jsonschema:"default=continue,enum=continue,enum=cancel"`

	// A sequence: one after the other.
	Steps []Step `yaml:"steps,omitempty"`
	// Wait: a duration, or a range such as 100ms-300ms.
	Pause *Span `yaml:"pause,omitempty"`
	// One of these, as often as its weight says.
	Pick []Choice `yaml:"pick,omitempty"`
}

// Choice is a step of a pick.
type Choice struct {
	// How often it is taken, in proportion to the others'.
	Weight *float64 `yaml:"weight,omitempty" jsonschema:"default=1,exclusiveMinimum=0"`
	Step   `yaml:",inline"`
}

// HTTP is the request of an HTTP function or a web client.
type HTTP struct {
	// The verb.
	Method string `yaml:"method,omitempty" jsonschema:"default=GET,enum=GET,enum=POST,enum=PUT,enum=DELETE,enum=PATCH,enum=HEAD,enum=OPTIONS"`
	// Path after the function's name or the domain; it starts with a slash.
	Path Text `yaml:"path,omitempty"`
	// Query parameters.
	Query Query `yaml:"query,omitempty"`
	// Send the body as it is to the function's root, by POST.
	Raw bool `yaml:"raw,omitempty" jsonschema:"default=false"`
}

// Retry says which failures to try again, and how often.
type Retry struct {
	// How often to try in all, the first included.
	Attempts int `yaml:"attempts,omitempty" jsonschema:"default=3,minimum=2,maximum=100"`
	// The outcomes to try again.
	On []string `yaml:"on,omitempty"`
	// The longest first wait; each further wait may be twice as long. Waits are drawn evenly from 0 up to that.
	Base Duration `yaml:"base,omitempty" jsonschema:"default=100ms"`
	// The longest wait, also where a server asks for a longer one.
	Cap Duration `yaml:"cap,omitempty" jsonschema:"default=10s"`
}

// Threshold is a condition on the run's numbers.
type Threshold struct {
	// [STEP.][all.|ok.|failed.][response.|service.|first.|settle.|makespan.]METRIC OP VALUE
	Expr string `yaml:"expr"`
	// Judge the last such stretch of time, over and over, instead of the whole run.
	Window Duration `yaml:"window,omitempty"`
	// End the run when it fails.
	Abort bool `yaml:"abort,omitempty" jsonschema:"default=false"`
	// Do not judge fewer samples than this.
	MinSamples int64 `yaml:"min_samples,omitempty" jsonschema:"default=0,minimum=0"`
}

// Batch says how `batch` works through the rows.
type Batch struct {
	// How many rows at once; adaptive finds out.
	Concurrency AdaptiveInt `yaml:"concurrency,omitempty" jsonschema:"default=adaptive"`
	// A ceiling on invocations.
	MaxRate *Rate `yaml:"max_rate,omitempty"`
	// Which failures to try again.
	Retry *Retry `yaml:"retry,omitempty"`
	// The share of rows that may fail.
	Tolerate Share `yaml:"tolerate,omitempty" jsonschema:"default=0%"`
	// The field of a row that joins its result to it.
	Key string `yaml:"key,omitempty"`
	// any: results as they come; input: in the order of the rows.
	Order string `yaml:"order,omitempty" jsonschema:"default=any,enum=any,enum=input"`
}

// Compare says what `compare` sets side by side.
type Compare struct {
	// The arm that the others are compared with.
	Baseline string `yaml:"baseline"`
	// Two or more named overrides of the target.
	Arms map[string]Arm `yaml:"arms" jsonschema:"minProperties=2"`
	// What to compare; default: p50, p95, p99 and failed.
	Metrics []string `yaml:"metrics,omitempty"`
	// How much worse than the baseline is still as good.
	Margin Share `yaml:"margin,omitempty" jsonschema:"default=10%"`
}

// Arm is one side of a comparison: what it overrides of the target.
type Arm struct {
	// Version or alias to ask for.
	Qualifier *string `yaml:"qualifier,omitempty"`
	// How functions are asked.
	Method string `yaml:"method,omitempty" jsonschema:"enum=http-api,enum=http-function,enum=web,enum=node-sdk,enum=web-sdk,enum=mini-program,enum=control-plane"`
	// Base URL.
	Endpoint string `yaml:"endpoint,omitempty"`
	// Environment id.
	Env string `yaml:"env,omitempty"`
	// Region of the environment.
	Region string `yaml:"region,omitempty"`
	// How long one attempt may take.
	Timeout Duration `yaml:"timeout,omitempty"`
	// Header fields.
	Headers Headers `yaml:"headers,omitempty"`
}

// Emulator describes a CloudBase-shaped gateway inside this process.
type Emulator struct {
	// The functions that it knows, by name.
	Functions map[string]Function `yaml:"functions,omitempty"`
	// Serve HTTPS with HTTP/2 and a certificate of its own.
	TLS bool `yaml:"tls,omitempty" jsonschema:"default=false"`
	// Bearer tokens that are accepted; left out: any.
	Tokens []string `yaml:"tokens,omitempty"`
	// Security domains whose pages may call HTTP access service paths; left out: all.
	Origins []string `yaml:"origins,omitempty"`
	// The most bytes of a request or a reply.
	MaxBody Size `yaml:"max_body,omitempty" jsonschema:"default=6MiB"`
}

// Function says how an emulated function behaves.
type Function struct {
	// What it answers; the event is in scope. Default: the event itself.
	Reply *Value `yaml:"reply,omitempty"`
	// How long it works on a request: a duration, or {p50, p99} of a log-normal distribution.
	Latency *Latency `yaml:"latency,omitempty"`
	// How long a new instance takes to start.
	ColdStart Duration `yaml:"cold_start,omitempty"`
	// Versions and aliases, by qualifier; what one leaves out is the function's.
	Versions map[string]Function `yaml:"versions,omitempty"`
	// Shares of requests that end in another way: error to percentage.
	Errors map[string]Share `yaml:"errors,omitempty"`
	// The most instances at one time; above: status 432.
	Concurrency int `yaml:"concurrency,omitempty" jsonschema:"minimum=1"`
	// The most new instances per minute; faster growth: status 429.
	Burst *Rate `yaml:"burst,omitempty"`
	// Its time limit.
	Timeout Duration `yaml:"timeout,omitempty"`
	// Times without an answer.
	Stall *Stall `yaml:"stall,omitempty"`
	// It is an HTTP function.
	HTTP bool `yaml:"http,omitempty" jsonschema:"default=false"`
	// Status of an HTTP function's answers.
	Status int `yaml:"status,omitempty" jsonschema:"minimum=200,maximum=599"`
	// Its HTTP access service path wants a bearer token.
	WebAuth bool `yaml:"web_auth,omitempty" jsonschema:"default=false"`
}

// Stall is a pause that returns: in each period, no answer is given in its last part.
type Stall struct {
	// The period.
	Every Duration `yaml:"every"`
	// The part of it without answers.
	For Duration `yaml:"for"`
}
