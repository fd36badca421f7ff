package scenarios

// Emulator describes a CloudBase-shaped gateway inside this process.
type Emulator struct {
	// The functions that it knows, by name.
	Functions map[string]Function `yaml:"functions,omitempty"`
	// Serve HTTPS with HTTP/2 and a certificate of its own.
	TLS bool `yaml:"tls,omitempty" jsonschema:"default=false"`
	// Bearer tokens that are accepted; left out: any.
	Tokens []string `yaml:"tokens,omitempty"`
	// Secret ids that signatures are checked with, each with its secret key; left out: the pair that scenarios without credentials sign with.
	Keys map[string]string `yaml:"keys,omitempty"`
	// The tokens of those of the keys that are temporary.
	SessionTokens map[string]string `yaml:"session_tokens,omitempty"`
	// Names that may sign in, each with its password; left out: all, with any password.
	Users map[string]string `yaml:"users,omitempty"`
	// Ids of WeChat apps, each with its secret; left out: all.
	Apps map[string]string `yaml:"apps,omitempty"`
	// How long the tokens last that are given out.
	TokenLife Duration `yaml:"token_life,omitempty" jsonschema:"default=2h"`
	// Make every request for a token end with this error.
	SignInError string `yaml:"sign_in_error,omitempty"`
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
	// How much memory an instance has.
	Memory Size `yaml:"memory,omitempty" jsonschema:"default=256MiB"`
	// How much of it a request uses. Default: a tenth.
	MemoryUsed Size `yaml:"memory_used,omitempty"`
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
