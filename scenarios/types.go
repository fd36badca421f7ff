package scenarios

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
	// What invocations cost: an estimate before the run, the cost after it, and a budget.
	Cost *Cost `yaml:"cost,omitempty"`
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
	// What to send: for event functions an object, the function's event.
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
	// Overrides the target's; none drops it.
	Auth *Auth `yaml:"auth,omitempty"`
	// Where the function's reply tells about its side; overrides the target's, key by key.
	Server *Server `yaml:"server,omitempty"`
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
	// Who asks; none drops the target's.
	Auth *Auth `yaml:"auth,omitempty"`
}

// Cost says what invocations cost, in one currency.
type Cost struct {
	// For a GB of memory over a second of billed time.
	PriceGBS float64 `yaml:"price_gb_s,omitempty" jsonschema:"default=0,minimum=0"`
	// For a million invocations.
	PricePerMillion float64 `yaml:"price_per_million,omitempty" jsonschema:"default=0,minimum=0"`
	// Memory of each function, as it is configured.
	Memory Size `yaml:"memory,omitempty" jsonschema:"default=256MiB"`
	// The currency of the prices, such as USD: for reports.
	Currency string `yaml:"currency,omitempty"`
	// End the run when it has cost so much.
	Budget float64 `yaml:"budget,omitempty" jsonschema:"exclusiveMinimum=0"`
}
