package scenarios

import "volley/engine/auth"

// Target says where invocations go, and how.
type Target struct {
	// CloudBase environment id.
	Env string `yaml:"env,omitempty"`
	// Region of the environment, such as ap-shanghai.
	Region string `yaml:"region,omitempty"`
	// How functions are asked: http-api for event functions, http-function for HTTP functions, web for the HTTP access service, node-sdk, web-sdk and mini-program as the vendor's libraries do, control-plane by the cloud's own API.
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
	// Who asks. Secrets must be written as ${NAME}; none says that nobody in particular does.
	Auth *Auth `yaml:"auth,omitempty"`
	// Invoke an emulator inside this process instead of an environment.
	Emulator *Emulator `yaml:"emulator,omitempty"`
	// Statuses that are ok beside 2xx.
	OKStatus []int `yaml:"ok_status,omitempty"`
	// How many redirects to follow.
	Redirects int `yaml:"redirects,omitempty" jsonschema:"default=0,minimum=0,maximum=20"`
	// Where functions' replies tell about their side.
	Server *Server `yaml:"server,omitempty"`
	// Options of the method web.
	Web *Web `yaml:"web,omitempty"`
	// Options of the method web-sdk.
	WebSDK *WebSDK `yaml:"web_sdk,omitempty"`
	// Options of the method node-sdk.
	NodeSDK *NodeSDK `yaml:"node_sdk,omitempty"`
	// Options of the method mini-program.
	MiniProgram *MiniProgram `yaml:"mini_program,omitempty"`
}

// Web says how far the method web goes in what browsers do.
type Web struct {
	// The page that asks, such as https://app.example.com; left out: none, and no CORS.
	Origin string `yaml:"origin,omitempty"`
	// Ask for leave before requests that need it, as browsers do. Default: true where there is an origin.
	Preflight *bool `yaml:"preflight,omitempty"`
	// When cookies and credentials go along.
	Credentials string `yaml:"credentials,omitempty" jsonschema:"default=include,enum=include,enum=same-origin,enum=omit"`
	// Who keeps cookies: each worker its own for the whole run, or each iteration its own.
	Cookies string `yaml:"cookies,omitempty" jsonschema:"default=worker,enum=worker,enum=iteration"`
}

// WebSDK says which of the vendor's web libraries to ask as.
type WebSDK struct {
	// Its version: 3 asks the HTTP API, 2 and 1 ask /web.
	Version WebSDKVersion `yaml:"version,omitempty" jsonschema:"default=3"`
}

// NodeSDK says which of the vendor's server libraries to ask as.
type NodeSDK struct {
	// Its version.
	Version NodeSDKVersion `yaml:"version,omitempty" jsonschema:"default=3"`
}

// MiniProgram says how WeChat's server API is asked.
type MiniProgram struct {
	// Where the event goes: query has environment and function in the query, the event being the body; body has all of them in the body.
	Form string `yaml:"form,omitempty" jsonschema:"default=query,enum=query,enum=body"`
}

// Server says where a function's reply tells about its side: expressions of status, headers, body, text, ms, outcome.
type Server struct {
	// The function's own time, in milliseconds.
	DurationMS Expr `yaml:"duration_ms,omitempty"`
	// What is billed of it, in milliseconds.
	BilledMS Expr `yaml:"billed_ms,omitempty"`
	// The most memory that it used, in bytes.
	MemoryBytes Expr `yaml:"memory_bytes,omitempty"`
	// Whether a new instance was started for it: true or false.
	Cold Expr `yaml:"cold,omitempty"`
	// Which instance answered.
	Instance Expr `yaml:"instance,omitempty"`
}

// Auth says who asks: one of the ways, with what it needs.
type Auth struct {
	// API key of the environment (administrator's rights).
	APIKey auth.Secret `yaml:"api_key,omitempty"`
	// Publishable key (an anonymous user's rights).
	PublishableKey auth.Secret `yaml:"publishable_key,omitempty"`
	// Access token of a user or, for mini-program, of an app, made elsewhere.
	AccessToken auth.Secret `yaml:"access_token,omitempty"`
	// Cloud credentials: the id. Needs secret_key.
	SecretID auth.Secret `yaml:"secret_id,omitempty"`
	// Cloud credentials: the key.
	SecretKey auth.Secret `yaml:"secret_key,omitempty"`
	// Cloud credentials: the token of temporary ones.
	SessionToken auth.Secret `yaml:"session_token,omitempty"`
	// Make an administrator's token of the cloud credentials, in place of signing each request.
	ClientCredential bool `yaml:"client_credential,omitempty" jsonschema:"default=false"`
	// Sign in as an anonymous user.
	Anonymous bool `yaml:"anonymous,omitempty" jsonschema:"default=false"`
	// Sign in by name and password: the name.
	Username auth.Secret `yaml:"username,omitempty"`
	// Sign in by name and password: the password.
	Password auth.Secret `yaml:"password,omitempty"`
	// Go on from this refresh token of a user.
	RefreshToken auth.Secret `yaml:"refresh_token,omitempty"`
	// WeChat: the app's id. Needs app_secret.
	AppID auth.Secret `yaml:"app_id,omitempty"`
	// WeChat: the app's secret.
	AppSecret auth.Secret `yaml:"app_secret,omitempty"`
	// WeChat: ask for a token of the old kind, which puts an end to the one that everybody else uses.
	LegacyToken bool `yaml:"legacy_token,omitempty" jsonschema:"default=false"`
	// The device that signs in (x-device-id): the same device is the same anonymous user. Default: made from the seed.
	Device string `yaml:"device,omitempty"`
	// Base URL of where tokens are made. Default: target.endpoint, or the environment's gateway.
	Endpoint string `yaml:"endpoint,omitempty"`

	// None says that requests carry no credentials. It is written as the text none in place of the mapping.
	None bool `yaml:"-"`
}
