package invoke

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"time"

	"volley/engine"
)

// An opener opens connections as the options say. Every transport has one.
type opener struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	tls  *tls.Config
}

// newOpener returns one that offers these protocols in TLS, the best first.
func newOpener(o Options, protocols ...string) (opener, error) {
	roots, err := trusted(o.CAFile)
	if err != nil {
		return opener{}, err
	}
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	}
	return opener{dial: dial, tls: &tls.Config{
		RootCAs:            roots,
		InsecureSkipVerify: o.Insecure,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
		NextProtos:         protocols,
	}}, nil
}

// trusted returns the system's certificates with more added; nil for the
// system's alone.
func trusted(more []byte) (*x509.CertPool, error) {
	if len(more) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(more) {
		return nil, errors.New("ca-file: has no certificate in it; it must be PEM, with lines -----BEGIN CERTIFICATE-----")
	}
	return pool, nil
}

// A place is where connections lead.
type place struct {
	secure bool
	host   string
}

func placeOf(q *engine.Request) place { return place{q.Scheme == "https", q.Host} }

// address returns what is dialled for a place, and the name that it must prove
// in TLS.
func (to place) address() (dial, name string) {
	name, port, err := net.SplitHostPort(to.host)
	if err != nil {
		name, port = strings.Trim(to.host, "[]"), "80"
		if to.secure {
			port = "443"
		}
	}
	return net.JoinHostPort(name, port), name
}

// reach dials a place, and tells t what that took.
func (o *opener) reach(ctx context.Context, to place, t *Timing) (net.Conn, error) {
	now := func() time.Duration { return time.Since(t.Base) }
	began := now()
	address, name := to.address()
	traced := ctx
	if _, err := netip.ParseAddr(name); err != nil { // there is a name to look up
		dns := never
		traced = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			DNSStart: func(httptrace.DNSStartInfo) { dns = now() },
			DNSDone:  func(httptrace.DNSDoneInfo) { t.Phases.DNS = now() - dns },
		})
	}
	c, err := o.dial(traced, "tcp", address)
	if err != nil {
		return nil, cause(ctx, err)
	}
	t.Phases.Connect = now() - began - max(0, t.Phases.DNS)
	return c, nil
}

// encrypt shakes hands over a connection to a place, and tells t what that took.
// It leaves the connection open on an error.
func (o *opener) encrypt(ctx context.Context, over net.Conn, to place, t *Timing) (*tls.Conn, error) {
	began := time.Since(t.Base)
	config := o.tls.Clone()
	_, config.ServerName = to.address()
	c := tls.Client(over, config)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, cause(ctx, err)
	}
	t.Phases.TLS = time.Since(t.Base) - began
	return c, nil
}

// cause is why a context ended, where it has, in place of an error that only
// says so.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}
