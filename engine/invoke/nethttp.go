package invoke

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"volley/engine"
)

// Options says how an HTTP transport connects. The zero value is ready to use.
type Options struct {
	Protocol    string // auto, h1 or h2; "" is auto: what TLS negotiates, and HTTP/1.1 without TLS
	Connections int    // the most connections to one host; 0: as many as there are exchanges at once
	MaxIdle     int    // with Connections 0: idle connections kept to one host; 0: 1024
	NoKeepAlive bool   // a new connection for every exchange
	UserAgent   string // such as volley/1.2.3; "" sends none
	CAFile      []byte // certificates in PEM that are trusted beside the system's
	Insecure    bool   // trust any certificate
	MaxReply    int64  // the largest reply that is read, in bytes; 0: 8 MiB, above the platform's own 6 MB (PROTOCOL.md 7.1)

	// Stamped takes it that a reply came when the system got it, where that tells,
	// and not when we got round to reading it.
	Stamped bool

	// Proxy returns the proxy for a URL, or nil; nil for none at all.
	Proxy func(*url.URL) (*url.URL, error)

	// Dial opens connections; nil: the system's way, with its resolver.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	defaultMaxIdle  = 1024
	defaultMaxReply = 8 << 20
	maxReplyHeader  = 256 << 10

	// writeBuffer holds a request's head and all but large bodies, so that
	// they go out in one write. It is also the size of a TLS record.
	writeBuffer = 16 << 10

	// idleTime ends connections before common gateways do (60 to 75 s), so
	// that few requests find theirs closed.
	idleTime = 50 * time.Second

	// maxResends bounds how often a request is sent again of which nothing
	// had gone out. Each time removes one dead connection from the pool.
	maxResends = 64
)

// An HTTP is a Transport over net/http, for HTTP/1.1 and HTTP/2.
//
// net/http sends some requests again without a word when a reused connection
// breaks: a server could see two where one is counted. An HTTP never does:
// bodies cannot be replayed, and a request is sent again only where nothing of
// it had been written, or where an HTTP/2 server has said that it did not
// process it (RFC 9113, sections 6.8 and 8.7).
type HTTP struct {
	rt        *http.Transport
	conns     *conns
	userAgent string
	maxReply  int64
	h2only    bool
	traces    sync.Pool // of *trace
	h2hosts   sync.Map  // hosts seen to speak HTTP/2; as many as the plan has
}

var _ Transport = (*HTTP)(nil)

// NewHTTP returns a transport. Close it after use.
func NewHTTP(o Options) (*HTTP, error) {
	h := &HTTP{
		userAgent: o.UserAgent,
		maxReply:  cmp.Or(o.MaxReply, defaultMaxReply),
		h2only:    o.Protocol == "h2",
		conns: &conns{
			open:  map[*conn]struct{}{},
			dials: map[*context.CancelCauseFunc]struct{}{},
		},
	}
	var protocols http.Protocols
	switch o.Protocol {
	case "", "auto":
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
	case "h1":
		protocols.SetHTTP1(true)
	case "h2":
		protocols.SetHTTP2(true)
		protocols.SetUnencryptedHTTP2(true)
	default:
		return nil, fmt.Errorf("protocol: %q is not one of auto, h1, h2", o.Protocol)
	}
	if o.Connections < 0 || o.MaxIdle < 0 || o.MaxReply < 0 {
		return nil, fmt.Errorf("connections: %d, idle connections: %d, largest reply: %d; none may be less than 0", o.Connections, o.MaxIdle, o.MaxReply)
	}
	open, err := newOpener(o)
	if err != nil {
		return nil, err
	}
	h.conns.dial = open.dial
	h.rt = &http.Transport{
		DialContext:            h.conns.connect,
		TLSClientConfig:        open.tls,
		TLSHandshakeTimeout:    30 * time.Second,
		DisableKeepAlives:      o.NoKeepAlive,
		DisableCompression:     true,
		MaxConnsPerHost:        o.Connections,
		MaxIdleConnsPerHost:    cmp.Or(o.Connections, o.MaxIdle, defaultMaxIdle),
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: maxReplyHeader,
		WriteBufferSize:        writeBuffer,
		Protocols:              &protocols,
		OnProxyConnectResponse: proxyAnswer,
	}
	if o.Proxy != nil {
		h.rt.Proxy = func(r *http.Request) (*url.URL, error) {
			u, err := o.Proxy(r.URL)
			if err != nil {
				return nil, &exchangeError{detail: detailProxy, message: "the proxy for " + r.URL.Host + ": " + err.Error()}
			}
			return u, nil
		}
	}
	return h, nil
}

// proxyAnswer turns what a proxy says to CONNECT into an error with a name.
func proxyAnswer(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &exchangeError{detail: detailProxy, message: fmt.Sprintf("the proxy %s answered %.100q to CONNECT", proxy.Host, answer.Status)}
}

// Close ends all connections, and waits for those that are being made. No
// exchange may be under way or follow.
func (h *HTTP) Close() {
	h.conns.close()
	h.rt.CloseIdleConnections()
}

// Exchange sends q once and reads the whole reply.
func (h *HTTP) Exchange(ctx context.Context, _ int, q *engine.Request, p *engine.Response, t *Timing) error {
	t.begin()
	tr, ok := h.traces.Get().(*trace)
	if !ok {
		tr = newTrace()
	}
	tr.open(t.Base)
	bound, cancel := t.bound(ctx)
	defer cancel()
	err := h.send(tr.with(bound), tr, q, p, t)
	if err != nil && errors.Is(context.Cause(bound), errTimeout) {
		err = errTimeout
	}
	if quiet := tr.finish(t, time.Since(t.Base), int64(len(q.Body))); quiet && err == nil {
		h.traces.Put(tr)
	}
	if err == nil {
		err = unpack(q, p, h.maxReply) // our work, and so after the end
	}
	return err
}

// send makes the round trip, again where nothing had been written.
func (h *HTTP) send(ctx context.Context, tr *trace, q *engine.Request, p *engine.Response, t *Timing) error {
	u := address(q)
	for n := 0; ; n++ {
		resp, err := h.rt.RoundTrip(h.request(ctx, u, q))
		if err == nil {
			if resp.ProtoMajor == 2 {
				h.learn(q.Host)
			}
			return h.receive(q, resp, p, t)
		}
		if ctx.Err() != nil || n >= maxResends || !tr.untouched() && !unprocessed(err) {
			return err
		}
		tr.resume()
	}
}

// unprocessed reports whether an HTTP/2 connection had no place for the
// request, or its server said that it did not process it. net/http would send
// it again if it could replay the body; for a broken HTTP/1.1 connection it
// never says so, because our bodies are not replayable.
func unprocessed(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "http2: Transport: cannot retry err [") && !strings.Contains(text, "PROTOCOL_ERROR") ||
		text == "net/http: cannot rewind body after connection loss"
}

func (h *HTTP) learn(host string) {
	if _, ok := h.h2hosts.Load(host); !ok {
		h.h2hosts.Store(host, nil)
	}
}

// request returns what net/http is to send. GetBody is never set, so that it
// cannot send a body again.
func (h *HTTP) request(ctx context.Context, u *url.URL, q *engine.Request) *http.Request {
	r := (&http.Request{
		Method: q.Verb, URL: u, Host: q.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, len(q.Header)+1),
	}).WithContext(ctx)
	for i := range q.Header {
		h.addField(r, &q.Header[i])
	}
	if _, ok := r.Header["User-Agent"]; !ok {
		r.Header["User-Agent"] = []string{h.userAgent} // "" keeps net/http from sending its own
	}
	switch {
	case len(q.Body) > 0:
		// This very type is one that net/http knows to be in memory, and so
		// sends in one write with the head.
		r.Body = io.NopCloser(bytes.NewReader(q.Body))
		r.ContentLength = int64(len(q.Body))
	case replayable(q.Verb) && !h.speaksH2(q.Host):
		// Without a body net/http takes it for replayable. An empty one that
		// is not http.NoBody prevents that, and "identity" keeps net/http from
		// looking (in another goroutine) whether it is empty, and from
		// chunking it: nothing of either is seen on the wire. HTTP/2 would send
		// an empty frame for it, and replays only what was not processed.
		r.Body = io.NopCloser(bytes.NewReader(nil))
		r.TransferEncoding = []string{"identity"}
	}
	return r
}

// addField adds a header line.
func (h *HTTP) addField(r *http.Request, f *engine.Field) {
	name := http.CanonicalHeaderKey(f.Name)
	switch name {
	case "Host":
		r.Host = f.Value
		return
	case "Idempotency-Key", "X-Idempotency-Key":
		// net/http sends a request with one of these again; in lower case it
		// does not know them, and servers do.
		name = strings.ToLower(name)
	}
	r.Header[name] = append(r.Header[name], f.Value)
}

// replayable reports whether net/http sends a request without a body again.
func replayable(verb string) bool {
	switch verb {
	case "GET", "HEAD", "OPTIONS", "TRACE", "":
		return true
	}
	return false
}

// speaksH2 reports whether requests to host go over HTTP/2.
func (h *HTTP) speaksH2(host string) bool {
	if h.h2only {
		return true
	}
	_, ok := h.h2hosts.Load(host)
	return ok
}

// receive reads the whole reply.
func (h *HTTP) receive(q *engine.Request, resp *http.Response, p *engine.Response, t *Timing) error {
	defer resp.Body.Close()
	p.Status, p.Proto = resp.StatusCode, resp.Proto
	body, size, err := readAll(resp.Body, resp.ContentLength, h.maxReply, q)
	t.BytesIn = size
	if err == nil && size > h.maxReply {
		err = tooLarge(resp.StatusCode, h.maxReply)
	}
	if err != nil {
		return err
	}
	p.Body = body
	p.Header = make([]engine.Field, 0, len(resp.Header))
	for name, values := range resp.Header {
		for _, v := range values {
			p.Header = append(p.Header, engine.Field{Name: name, Value: v, Secret: name == "Set-Cookie"})
		}
	}
	slices.SortStableFunc(p.Header, func(a, b engine.Field) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// readAll reads a body of the length that was announced, or less than 0 if it
// was not, and returns what q wants of it, and its size. It stops one byte above
// most.
func readAll(from io.Reader, length, most int64, q *engine.Request) (body []byte, size int64, err error) {
	if q.Verb == "HEAD" || length == 0 {
		return nil, 0, nil
	}
	if length > most {
		return nil, 0, &exchangeError{detail: detailTooLarge, message: fmt.Sprintf("the reply is to have %d bytes; at most %d are read", length, most)}
	}
	keep := most + 1
	if q.Keep > 0 {
		keep = min(keep, q.Keep)
	}
	if length > 0 {
		body = make([]byte, min(length, keep))
		n, err := io.ReadFull(from, body)
		if body = body[:n]; err != nil {
			return body, int64(n), err
		}
	} else if body, err = io.ReadAll(io.LimitReader(from, keep)); err != nil {
		return body, int64(len(body)), err
	}
	// The end must be seen, or the connection cannot be used again.
	rest, err := io.Copy(io.Discard, io.LimitReader(from, most+1-int64(len(body))))
	return body, int64(len(body)) + rest, err
}

// unpack unpacks the body of p, the reply to q, if it has to be: nobody sees then
// that it was packed but by its header.
func unpack(q *engine.Request, p *engine.Response, most int64) (err error) {
	if packed(q, p) {
		p.Body, err = unzip(p.Body, most)
	}
	return err
}

// packed reports whether there is a body to unpack. HEAD, 204 and 304 tell of
// one that does not come, and empty ones are not worth the packing.
func packed(q *engine.Request, p *engine.Response) bool {
	return len(p.Body) > 0 && strings.EqualFold(p.Get("Content-Encoding"), "gzip") && asksGzip(q)
}

// asksGzip reports whether the scenario asks for gzip. Otherwise a reply is
// left as it came.
func asksGzip(q *engine.Request) bool {
	return slices.ContainsFunc(q.Header, func(f engine.Field) bool {
		return strings.EqualFold(f.Name, "Accept-Encoding") && strings.Contains(f.Value, "gzip")
	})
}

// unzip unpacks a reply, so that checks see the function's answer.
func unzip(body []byte, most int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(z, most+1))
	}
	if err != nil {
		return nil, &exchangeError{detail: detailProtocol, message: "the reply says it is gzip, but: " + err.Error()}
	}
	if int64(len(body)) > most {
		return nil, &exchangeError{detail: detailTooLarge, message: fmt.Sprintf("the reply unpacks to more than %d bytes, the most that is read", most)}
	}
	return body, nil
}
