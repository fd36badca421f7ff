package emulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"
)

// recordedBody is the most bytes of a body that are written down.
const recordedBody = 64 << 10

// A recorded is one line of Config.Record: a request as it came. The package
// comment says what the fields mean.
type recorded struct {
	Seq      uint64      `json:"seq"`
	Arrival  int64       `json:"arrival_ns"`
	ID       string      `json:"request_id"`
	Protocol protocol    `json:"protocol"`
	Proto    string      `json:"proto"`
	Method   string      `json:"method"`
	Scheme   string      `json:"scheme"`
	Host     string      `json:"host"`
	Path     string      `json:"path"`
	Query    string      `json:"query"`
	Headers  [][2]string `json:"headers"`
	Body     string      `json:"body"`
	Base64   []byte      `json:"body_base64,omitempty"`
	Bytes    int         `json:"body_bytes"`
	Cut      bool        `json:"body_cut,omitempty"`
	Encoded  bool        `json:"body_encoded,omitempty"`
}

// newRecord starts the stream of Config.Record.
func newRecord(c Config, start time.Time) *stream {
	return newStream(c.Record, "record", fmt.Sprintf(`{"schema":"volley.record/1","start":%q}`+"\n", start.UTC().Format(time.RFC3339Nano)))
}

// note writes the line of a request. It reads the body for that, as far as one
// may be long.
func (x *exchange) note() {
	raw := x.take()
	r := x.r
	l := recorded{Seq: x.seq, Arrival: int64(x.arrived), ID: x.id, Protocol: protocolOf(r), Proto: r.Proto, Method: r.Method, Scheme: "http", Host: r.Host,
		Path: r.URL.EscapedPath(), Query: maskQuery(r.URL.RawQuery), Headers: [][2]string{}, Bytes: len(raw)}
	if r.TLS != nil {
		l.Scheme = "https"
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			l.Headers = append(l.Headers, [2]string{name, maskHeader(name, value)})
		}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		l.Encoded = true // nobody sees what secrets are in it
	} else {
		l.body(raw)
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(l) // of texts and numbers: it always can be
	x.s.record.add(line.Bytes())
}

func (l *recorded) body(raw []byte) {
	masked := maskBody(raw)
	text := utf8.Valid(masked)
	if l.Cut = len(masked) > recordedBody; l.Cut {
		cut := recordedBody
		for text && !utf8.RuneStart(masked[cut]) {
			cut--
		}
		masked = masked[:cut]
	}
	if text {
		l.Body = string(masked)
	} else {
		l.Base64 = masked
	}
}
