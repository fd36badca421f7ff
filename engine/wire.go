package engine

import (
	"strings"
	"time"

	"volley/engine/auth"
)

// A Field is one header line.
type Field struct {
	Name, Value string
	Secret      bool // never shown, stored or logged
}

// A Request is one request as it goes on the wire. It is a plain value, so
// that every transport can send it, and a request that does not change from
// one iteration to the next can be encoded once.
type Request struct {
	Verb        string // GET, POST, …
	Scheme      string // http or https
	Host        string // with the port, when it is not the scheme's own
	Path        string // escaped, starts with a slash
	Query       string // raw, without the question mark
	SecretQuery bool   // the query has a secret in it
	Header      []Field
	Body        []byte
	SecretBody  bool // the body has a secret in it

	// Keep is how many bytes of the reply's body are kept, when all of it has been
	// read; 0: all. A body that fits into what is read at once may be kept whole.
	Keep int64

	// Shared says that the request is sent again and again, by many at once, and
	// so must not change. H1 is then how HTTP/1.1 sends it, and Way the
	// transport's own, if a transport has made that.
	Shared bool
	H1     []byte
	Way    any
}

// Set sets the header field of that name, whatever its case, or adds it.
func (r *Request) Set(f Field) {
	for i := range r.Header {
		if strings.EqualFold(r.Header[i].Name, f.Name) {
			r.Header[i] = f
			return
		}
	}
	r.Header = append(r.Header, f)
}

// URL returns the request's address; a secret query is masked.
func (r *Request) URL() string {
	u := r.Scheme + "://" + r.Host + r.Path
	switch {
	case r.Query == "":
	case r.SecretQuery:
		u += "?" + auth.Mask
	default:
		u += "?" + r.Query
	}
	return u
}

// A Response is one whole reply as it came off the wire.
type Response struct {
	Status int
	Proto  string // such as HTTP/1.1
	Header []Field
	Body   []byte
}

// Get returns the value of the first header field of that name, whatever its
// case, and "" if there is none.
func (r *Response) Get(name string) string { return get(r.Header, name) }

func get(header []Field, name string) string {
	for i := range header {
		// Names are ASCII, so that equal ones are of equal length.
		if len(header[i].Name) == len(name) && strings.EqualFold(header[i].Name, name) {
			return header[i].Value
		}
	}
	return ""
}

// A Reply is what came back, read by the method that asked.
type Reply struct {
	Outcome   Outcome
	Detail    string // for a network_error: dns, refused, reset, tls, …; for a failed check: its source; else ""
	Status    int    // HTTP status; 0 when no reply came
	Code      string // the platform's code, if it gave one
	Message   string // the platform's or the error's words, at most MaxMessage bytes
	RequestID string
	Header    []Field
	Body      []byte     // the function's own answer, without the method's envelope
	Server    ServerSide // what it tells about the function's side

	// TokenExpired says that the grant was refused because it is too old, or
	// has been superseded: with a new one the same request may well pass.
	TokenExpired bool

	// RetryAfter is what the server asked for in Retry-After; 0 when it did not.
	RetryAfter time.Duration

	// Took is the service time of the attempt, for checks and saves that ask for
	// it. Whoever times the exchange sets it, after Decode.
	Took time.Duration

	// Parsed is what a check or save has made of Body, kept for those after it so
	// that a body is parsed once. It is theirs alone; Decode clears it.
	Parsed any
}

// ServerSide is what a reply tells about the function's side, by the platform's
// own means or by those that the scenario names. What is zero was not told.
type ServerSide struct {
	Timed       bool          // Duration was told; it may be 0
	Duration    time.Duration // the function's own time, as near as the reply comes to it (PROTOCOL.md 1.4, 7.3)
	Billed      time.Duration // what is billed of it
	MemoryBytes int64         // the most that it used
	Cold        Answer        // whether a new instance had to be started for it
	Instance    string        // which instance answered, at most MaxInstance bytes
}

// MaxInstance bounds the name of an instance, in bytes.
const MaxInstance = 64

// MaxMessage bounds the text kept of an error, in bytes.
const MaxMessage = 512

// Get returns the value of the first header field of that name.
func (r *Reply) Get(name string) string { return get(r.Header, name) }

// A Steady method writes the same request for the same invocation whenever it is
// asked, as long as the grant is the same: neither the time nor chance is in it.
type Steady interface{ Steady(g auth.Grant) bool }

// A Brief method needs no more than the first so many bytes of a body to read a
// reply, where nobody else looks at it.
type Brief interface{ Needs() int64 }

// A Noter is a method that has something to say to whoever reads a report: a
// limit of the way to a target, or what it cannot show.
type Noter interface{ Notes(t *Target) []string }

// A Method is one way of asking a gateway to invoke a function. Encode and
// Decode are pure: they do no I/O and read no clock.
type Method interface {
	// Name is the method's name in scenario files, such as http-api.
	Name() string

	// Encode writes the request for i into to, which is empty. The grant proves
	// who we are; now is for signatures that carry the time.
	Encode(i *Invocation, g auth.Grant, now time.Time, to *Request) error

	// Decode reads a whole response: outcome, code, message, ids and the
	// function's own answer. It cannot fail: what it cannot read is an outcome.
	Decode(i *Invocation, from *Response, to *Reply)
}
