package invoke

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"volley/engine"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func openH2(t testing.TB, o Options) *H2 {
	t.Helper()
	o.Protocol = "h2"
	h, err := NewH2(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// An h2peer is the server's side of a connection.
type h2peer struct {
	*http2.Framer
	c     net.Conn
	pings atomic.Int64
	heads atomic.Int64 // of requests, that next has returned
}

// h2Server answers each connection by a function of the test's, after the
// preface.
func h2Server(t testing.TB, serve func(n int, p *h2peer)) (base string) {
	return rawServer(t, func(n int, c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, len(preface))); err != nil {
			return
		}
		p := &h2peer{Framer: http2.NewFramer(c, c), c: c}
		p.ReadMetaHeaders = hpack.NewDecoder(tableSize, nil)
		serve(n, p)
	})
}

// next returns the next frame that is no business of the connection's; nil
// when there is none any more.
func (p *h2peer) next() http2.Frame {
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return nil
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			p.heads.Add(1)
			return f
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = p.WriteSettingsAck()
			}
		case *http2.WindowUpdateFrame, *http2.GoAwayFrame:
		case *http2.PingFrame:
			p.pings.Add(1)
			if !f.IsAck() {
				_ = p.WritePing(true, f.Data)
			}
		default:
			return f
		}
	}
}

// request returns the stream of the next request, whose body is read; 0 when
// there is none any more. Resets are passed over.
func (p *h2peer) request() uint32 {
	for {
		switch f := p.next().(type) {
		case nil:
			return 0
		case *http2.MetaHeadersFrame:
			if f.StreamEnded() {
				return f.StreamID
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				return f.StreamID
			}
		}
	}
}

func (p *h2peer) answer(id uint32, text string) {
	_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block(":status", "200")), EndHeaders: true})
	_ = p.WriteData(id, true, []byte(text))
}

// TestH2SentAgain holds which requests are sent again: those that the server
// cannot have processed, and no others.
func TestH2SentAgain(t *testing.T) {
	serveAll := func(p *h2peer, seen *atomic.Int64) {
		for id := p.request(); id != 0; id = p.request() {
			seen.Add(1)
			p.answer(id, "ok")
		}
	}
	for _, tt := range []struct {
		name  string
		first func(p *h2peer) // what the server does with the first connection after its settings
		ok    bool
		seen  int64 // requests that were processed, those that first took not counted
		fails string
	}{
		{"refused", func(p *h2peer) {
			_ = p.WriteRSTStream(p.request(), http2.ErrCodeRefusedStream)
			p.answer(p.request(), "ok")
			p.next()
		}, true, 0, ""},
		{"above the last of a GOAWAY", func(p *h2peer) { p.request(); _ = p.WriteGoAway(0, http2.ErrCodeNo, nil); p.next() }, true, 1, ""},
		{"above the last of an angry GOAWAY", func(p *h2peer) { p.request(); _ = p.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil) }, true, 1, ""},
		{"among those of a GOAWAY", func(p *h2peer) { _ = p.WriteGoAway(p.request(), http2.ErrCodeNo, nil) }, false, 0, detailEOF},
		{"hung up on", func(p *h2peer) { p.request(); _ = p.c.(*net.TCPConn).CloseWrite(); p.next() }, false, 0, detailEOF},
		{"broken off", func(p *h2peer) { p.request(); _ = p.c.(*net.TCPConn).SetLinger(0) }, false, 0, detailReset},
		{"reset by another code", func(p *h2peer) { _ = p.WriteRSTStream(p.request(), http2.ErrCodeInternal); p.next() }, false, 0, detailReset},
		{"reset by CANCEL", func(p *h2peer) { _ = p.WriteRSTStream(p.request(), http2.ErrCodeCancel); p.next() }, false, 0, detailReset},
		{"refused after the answer began", func(p *h2peer) {
			id := p.request()
			_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block(":status", "103")), EndHeaders: true})
			_ = p.WriteRSTStream(id, http2.ErrCodeRefusedStream)
			p.next()
		}, false, 0, detailReset},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen, first atomic.Int64
			base := h2Server(t, func(n int, p *h2peer) {
				_ = p.WriteSettings()
				if n == 0 {
					tt.first(p)
					first.Store(p.heads.Load())
					return
				}
				serveAll(p, &seen)
			})
			h := openH2(t, Options{})
			p, tm, err := do(t, h, ask(t, "POST", base, "{}"))
			defer func() {
				h.Close() // and the server sees that nothing more comes
				for end := time.Now().Add(time.Second); first.Load() == 0 && time.Now().Before(end); time.Sleep(ms) {
				}
				if n := first.Load(); n > 1 && !tt.ok {
					t.Errorf("it was sent %d times on the first connection", n)
				}
			}()
			if tt.ok && (err != nil || string(p.Body) != "ok") {
				t.Errorf("%q, %v", p.Body, err)
			}
			if !tt.ok {
				// A server that closes with something unread resets the connection.
				if detail, message := classify(errOr(err)); detail != tt.fails && (tt.fails != detailEOF || detail != detailReset) {
					t.Errorf("%s (%s), want %s", detail, message, tt.fails)
				}
			}
			if got := seen.Load(); got != tt.seen {
				t.Errorf("%d were processed on further connections, want %d", got, tt.seen)
			}
			if tm.BytesOut != 2 || tm.End < tm.Start || tm.Start < 0 {
				t.Errorf("timing %+v", tm)
			}
		})
	}
}

// TestH2RefusedForGood holds that a server which refuses all is not asked
// forever.
func TestH2RefusedForGood(t *testing.T) {
	var seen atomic.Int64
	base := h2Server(t, func(_ int, p *h2peer) {
		_ = p.WriteSettings()
		for id := p.request(); id != 0; id = p.request() {
			seen.Add(1)
			_ = p.WriteRSTStream(id, http2.ErrCodeRefusedStream)
		}
	})
	h := openH2(t, Options{})
	var p engine.Response
	tm := Timing{Base: time.Now(), Until: 300 * ms}
	if err := h.Exchange(t.Context(), 0, ask(t, "GET", base, ""), &p, &tm); err == nil || seen.Load() > maxResends+1 || seen.Load() < 3 {
		t.Errorf("%v after %d refusals", err, seen.Load())
	}
	if tm.End > 2*time.Second {
		t.Errorf("it took %v", tm.End)
	}
}

// TestH2Limits holds the server's limit of streams, whatever it is, and that
// more connections are opened where that is allowed.
func TestH2Limits(t *testing.T) {
	for _, tt := range []struct {
		name        string
		limit       uint32
		connections int
		most        int64 // requests at once, and on one connection
		onOne       int64
		conns       int64
	}{
		{"one at a time", 1, 1, 1, 1, 1},
		{"three at a time", 3, 1, 3, 3, 1},
		{"two connections of three", 3, 2, 6, 3, 2},
		{"as many connections as it takes", 4, 0, 12, 4, 3},
		{"all on one", 100, 0, 12, 12, 1},
		{"as many connections as asked for", 100, 4, 12, 12, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var at, most, onOne, conns atomic.Int64
			raise := func(x *atomic.Int64, to int64) {
				for old := x.Load(); to > old && !x.CompareAndSwap(old, to); old = x.Load() {
				}
			}
			base := h2Server(t, func(_ int, p *h2peer) {
				conns.Add(1)
				_ = p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: tt.limit})
				var mu sync.Mutex
				var here atomic.Int64
				var all sync.WaitGroup
				defer all.Wait()
				for id := p.request(); id != 0; id = p.request() {
					raise(&onOne, here.Add(1))
					raise(&most, at.Add(1))
					all.Go(func() {
						time.Sleep(5 * ms)
						here.Add(-1)
						at.Add(-1)
						mu.Lock()
						defer mu.Unlock()
						p.answer(id, "ok")
					})
				}
			})
			h := openH2(t, Options{Connections: tt.connections})
			var first engine.Response // so that the limit is known
			if err := h.Exchange(t.Context(), 0, ask(t, "GET", base, ""), &first, &Timing{Base: time.Now()}); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for worker := range 12 {
				all.Go(func() {
					for range 10 {
						var p engine.Response
						tm := Timing{Base: time.Now(), Until: 10 * time.Second}
						if err := h.Exchange(t.Context(), worker, ask(t, "GET", base, ""), &p, &tm); err != nil || string(p.Body) != "ok" {
							t.Errorf("%q, %v", p.Body, err)
						} else if took := tm.End - tm.Start; tm.Phases.Connect < 0 && took > 200*ms {
							t.Errorf("it took %v; waiting for a stream is no service", took)
						}
					}
				})
			}
			all.Wait()
			if most.Load() > tt.most || onOne.Load() > tt.onOne || conns.Load() != tt.conns {
				t.Errorf("%d at once, %d on one connection, %d connections; want %d, %d, %d", most.Load(), onOne.Load(), conns.Load(), tt.most, tt.onOne, tt.conns)
			}
			if c, s, _ := h.seen(placeOf(ask(t, "GET", base, ""))); int64(c) != tt.conns || s != int(tt.limit) {
				t.Errorf("%d connections seen, a limit of %d", c, s)
			}
		})
	}
}

// TestH2NoStreams lets a server allow no stream at all, and then some.
func TestH2NoStreams(t *testing.T) {
	more := make(chan struct{})
	base := h2Server(t, func(n int, p *h2peer) {
		if n > 0 {
			t.Error("another connection was opened, which would be given nothing either")
		}
		_ = p.WriteSettings()
		p.answer(p.request(), "ok")
		_ = p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0})
		_ = p.WritePing(false, [8]byte{})
		for ok := false; !ok; { // until it has obeyed
			f, err := p.ReadFrame()
			if err != nil {
				t.Error(err)
				return
			}
			_, ok = f.(*http2.PingFrame)
		}
		more <- struct{}{}
		<-more
		_ = p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
		p.answer(p.request(), "late")
		p.next()
	})
	h := openH2(t, Options{})
	if _, _, err := do(t, h, ask(t, "GET", base, "")); err != nil {
		t.Fatal(err)
	}
	<-more
	var p engine.Response
	tm := Timing{Base: time.Now(), Until: 50 * ms}
	if err := h.Exchange(t.Context(), 0, ask(t, "GET", base, ""), &p, &tm); !errors.Is(err, errTimeout) || tm.Start >= 0 {
		t.Errorf("without a stream: %v, start %v", err, tm.Start)
	}
	time.AfterFunc(30*ms, func() { close(more) })
	p, tm, err := do(t, h, ask(t, "GET", base, ""))
	if err != nil || string(p.Body) != "late" || tm.Start < 25*ms {
		t.Errorf("%q, %v, start %v", p.Body, err, tm.Start)
	}
}

// TestH2Timeouts holds that a stream that is given up is reset, harms no other,
// and that the connection is used again.
func TestH2Timeouts(t *testing.T) {
	for _, how := range []string{"timeout", "cancel"} {
		t.Run(how, func(t *testing.T) {
			reset := make(chan http2.ErrCode, 1)
			base := h2Server(t, func(n int, p *h2peer) {
				_ = p.WriteSettings()
				slow := p.request()
				other := p.request()
				for {
					switch f := p.next().(type) {
					case *http2.RSTStreamFrame:
						reset <- f.ErrCode
						// It comes too late, and must harm nobody, nor the table.
						_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: slow, BlockFragment: []byte(block(":status", "200", "x-late", "1")), EndHeaders: true})
						_ = p.WriteData(slow, true, []byte("late"))
						_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: other, BlockFragment: []byte("\x88\xbe"), EndHeaders: true})
						_ = p.WriteData(other, true, []byte("ok"))
					case *http2.MetaHeadersFrame:
						p.answer(f.StreamID, "again")
					case nil:
						return
					}
				}
			})
			h := openH2(t, Options{Connections: 1})
			start := time.Now()
			var all sync.WaitGroup
			all.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var p engine.Response
				tm := Timing{Base: start, Until: 100 * ms}
				want := errTimeout
				if how == "cancel" {
					tm.Until, want = 10*time.Second, context.Canceled
					time.AfterFunc(100*ms, cancel)
				}
				err := h.Exchange(ctx, 0, ask(t, "GET", base, ""), &p, &tm)
				if !errors.Is(err, want) || tm.End < 100*ms || tm.End > 3*time.Second || tm.Phases.Send < 0 || tm.Phases.FirstByte >= 0 {
					t.Errorf("%v, %+v", err, tm)
				}
			})
			time.Sleep(30 * ms)
			p, tm, err := do(t, h, ask(t, "GET", base, ""))
			if err != nil || string(p.Body) != "ok" || p.Get("x-late") != "1" || !tm.Reused {
				t.Errorf("beside it: %q, %v, %v, reused %v", p.Body, p.Header, err, tm.Reused)
			}
			all.Wait()
			if code := <-reset; code != http2.ErrCodeCancel {
				t.Errorf("reset by %v", code)
			}
			if p, tm, err := do(t, h, ask(t, "GET", base, "")); err != nil || string(p.Body) != "again" || !tm.Reused {
				t.Errorf("after it: %q, %v, reused %v", p.Body, err, tm.Reused)
			}
		})
	}
}

// TestH2DeadConnection holds that a connection on which nothing comes any more
// gets no more requests after a while.
func TestH2DeadConnection(t *testing.T) {
	over := make(chan struct{})
	base := h2Server(t, func(n int, p *h2peer) {
		_ = p.WriteSettings()
		if n == 0 {
			p.answer(p.request(), "ok")
			<-over // and reads nothing, not even the ping
			return
		}
		for id := p.request(); id != 0; id = p.request() {
			p.answer(id, "ok")
		}
	})
	defer close(over)
	h := openH2(t, Options{Connections: 1})
	if _, _, err := do(t, h, ask(t, "GET", base, "")); err != nil {
		t.Fatal(err)
	}
	var p engine.Response
	if err := h.Exchange(t.Context(), 0, ask(t, "GET", base, ""), &p, &Timing{Base: time.Now(), Until: 30 * ms}); !errors.Is(err, errTimeout) {
		t.Fatal(err)
	}
	time.Sleep(doubtful)
	if _, tm, err := do(t, h, ask(t, "GET", base, "")); err != nil || tm.Reused {
		t.Errorf("%v, reused %v; want another connection", err, tm.Reused)
	}
}

// TestH2Uploads holds that bodies go out as the server takes them.
func TestH2Uploads(t *testing.T) {
	const size = 3<<20 + 7
	text := strings.Repeat("0123456789", size/10+1)[:size]
	t.Run("through small windows that change", func(t *testing.T) {
		base := h2Server(t, func(_ int, p *h2peer) {
			_ = p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
			var got bytes.Buffer
			stream, conn, changed := int64(firstWindow), int64(firstWindow), false
			for {
				switch f := p.next().(type) {
				case nil:
					return
				case *http2.DataFrame:
					got.Write(f.Data())
					stream -= int64(len(f.Data()))
					if conn -= int64(len(f.Data())); conn < 0 || len(f.Data()) > maxFrame {
						t.Errorf("window %d, a frame of %d", conn, len(f.Data()))
					}
					if f.StreamEnded() {
						p.answer(f.StreamID, fmt.Sprint(got.Len(), got.String() == text))
						continue
					}
					if !changed && got.Len() > 100_000 {
						changed = true
						_ = p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}) // it may go below 0
						_ = p.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 300_000})
					}
					_ = p.WriteWindowUpdate(0, uint32(len(f.Data())+1))
					conn += int64(len(f.Data()) + 1)
					_ = p.WriteWindowUpdate(f.StreamID, uint32(len(f.Data())+1))
				}
			}
		})
		h := openH2(t, Options{})
		p, tm, err := do(t, h, ask(t, "POST", base, text))
		if err != nil || string(p.Body) != fmt.Sprint(size, " true") || tm.BytesOut != size {
			t.Errorf("%q, %v, %d out", p.Body, err, tm.BytesOut)
		}
	})
	t.Run("beside others, when its server does not want it", func(t *testing.T) {
		base := h2Server(t, func(_ int, p *h2peer) {
			_ = p.WriteSettings()
			for {
				switch f := p.next().(type) {
				case nil:
					return
				case *http2.MetaHeadersFrame:
					if f.StreamEnded() || f.PseudoValue("path") == "/small" {
						p.answer(f.StreamID, "ok")
					}
					// No window for the large one, which takes all of the connection's.
				}
			}
		})
		h := openH2(t, Options{Connections: 1})
		var all sync.WaitGroup
		all.Go(func() {
			var p engine.Response
			tm := Timing{Base: time.Now(), Until: 300 * ms}
			if err := h.Exchange(t.Context(), 0, ask(t, "POST", base, text), &p, &tm); !errors.Is(err, errTimeout) || tm.BytesOut != firstWindow {
				t.Errorf("%v, %d out", err, tm.BytesOut)
			}
		})
		time.Sleep(50 * ms)
		if p, _, err := do(t, h, ask(t, "GET", base, "")); err != nil || string(p.Body) != "ok" {
			t.Errorf("%q, %v", p.Body, err)
		}
		all.Wait()
	})
	for _, how := range []string{"and says so", "and does not say so"} {
		t.Run("answered at once by who wants no more, "+how, func(t *testing.T) {
			codes := make(chan http2.ErrCode, 2)
			base := h2Server(t, func(_ int, p *h2peer) {
				_ = p.WriteSettings()
				for {
					switch f := p.next().(type) {
					case nil:
						return
					case *http2.MetaHeadersFrame:
						p.answer(f.StreamID, "no")
						if how == "and says so" {
							_ = p.WriteRSTStream(f.StreamID, http2.ErrCodeNo)
						}
					case *http2.RSTStreamFrame:
						codes <- f.ErrCode
					}
				}
			})
			h := openH2(t, Options{})
			for n := range 2 {
				p, tm, err := do(t, h, ask(t, "POST", base, text))
				if err != nil || string(p.Body) != "no" || tm.Reused != (n > 0) || tm.End-tm.Start > 2*time.Second {
					t.Errorf("%q, %v, %+v", p.Body, err, tm)
				}
			}
			if code := <-codes; code != http2.ErrCodeNo {
				t.Errorf("reset by %v", code)
			}
		})
	}
}

// TestH2LargeReplies holds that the windows are given anew.
func TestH2LargeReplies(t *testing.T) {
	const size = 3*replyWindow + 5
	s := h2cServer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, size))
	})
	h := openH2(t, Options{MaxReply: size})
	for range 3 {
		if p, tm, err := do(t, h, ask(t, "GET", s, "")); err != nil || len(p.Body) != size || tm.BytesIn != size {
			t.Errorf("%d bytes, %v, %d in", len(p.Body), err, tm.BytesIn)
		}
	}
	for _, most := range []int64{size - 1, 100} {
		if _, _, err := do(t, openH2(t, Options{MaxReply: most}), ask(t, "GET", s, "")); err == nil {
			t.Errorf("a reply of %d was taken, and %d are the most", size, most)
		} else if detail, _ := classify(err); detail != detailTooLarge {
			t.Errorf("%s: %v", detail, err)
		}
	}
}

// TestH2EndlessBody holds that a server which sends without end, whatever the
// windows, is left.
func TestH2EndlessBody(t *testing.T) {
	base := h2Server(t, func(_ int, p *h2peer) {
		_ = p.WriteSettings()
		id := p.request()
		_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block(":status", "200")), EndHeaders: true})
		go func() {
			for p.next() != nil {
			}
		}()
		for { // as fast as it goes, whatever the windows
			if p.WriteData(id, false, make([]byte, maxFrame)) != nil {
				return
			}
		}
	})
	_, _, err := do(t, openH2(t, Options{}), ask(t, "GET", base, ""))
	if detail, message := classify(errOr(err)); detail != detailTooLarge {
		t.Errorf("%s (%s)", detail, message)
	}
}

// h2cServer serves HTTP/2 without TLS.
func h2cServer(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ErrorLog = quiet()
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// TestH2Wire looks at the fields of requests.
func TestH2Wire(t *testing.T) {
	field := func(name, value string) engine.Field { return engine.Field{Name: name, Value: value} }
	for _, tt := range []struct {
		name string
		q    engine.Request
		want string
	}{
		{"a GET", engine.Request{Verb: "GET", Path: "/a", Query: "b=c"}, ":method=GET :scheme=http :authority=HOST :path=/a?b=c user-agent=volley/9"},
		{"a POST has a length", engine.Request{Verb: "POST", Path: "/"}, ":method=POST :scheme=http :authority=HOST :path=/ user-agent=volley/9 content-length=0"},
		{"a body has a length", engine.Request{Verb: "DELETE", Path: "/", Body: []byte("hi")}, ":method=DELETE :scheme=http :authority=HOST :path=/ user-agent=volley/9 content-length=2"},
		{"no path and no verb", engine.Request{}, ":method=GET :scheme=http :authority=HOST :path=/ user-agent=volley/9"},
		{"headers in lower case, Host and User-Agent in place of ours",
			engine.Request{Path: "/", Header: []engine.Field{field("Host", "other.example"), field("USER-AGENT", "me"), field("X-A", " 1 "), field("X-A", "2")}},
			":method=GET :scheme=http :authority=other.example :path=/ user-agent=me x-a=1 x-a=2"},
		{"nothing about the connection",
			engine.Request{Path: "/", Header: []engine.Field{field("Connection", "close"), field("Keep-Alive", "1"), field("Transfer-Encoding", "chunked"), field("Upgrade", "x"), field("TE", "gzip"), field("Content-Length", "7"), field("Proxy-Connection", "x"), field("X-A", "1")}},
			":method=GET :scheme=http :authority=HOST :path=/ user-agent=volley/9 x-a=1"},
		{"TE of trailers", engine.Request{Path: "/", Header: []engine.Field{field("TE", "trailers")}}, ":method=GET :scheme=http :authority=HOST :path=/ user-agent=volley/9 te=trailers"},
		{"a large head", engine.Request{Path: "/", Header: []engine.Field{field("X-A", strings.Repeat("\x80", 3*maxFrame))}},
			":method=GET :scheme=http :authority=HOST :path=/ user-agent=volley/9 x-a=" + strings.Repeat("\x80", 3*maxFrame)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan string, 3)
			base := h2Server(t, func(_ int, p *h2peer) {
				_ = p.WriteSettings()
				p.MaxHeaderListSize = 1 << 20
				for {
					switch f := p.next().(type) {
					case nil:
						return
					case *http2.MetaHeadersFrame:
						var all []string
						for _, h := range f.Fields {
							all = append(all, h.Name+"="+h.Value)
						}
						got <- strings.Join(all, " ")
						if f.StreamEnded() {
							p.answer(f.StreamID, "")
						}
					case *http2.DataFrame:
						p.answer(f.StreamID, "")
					}
				}
			})
			h := openH2(t, Options{UserAgent: "volley/9"})
			for _, shared := range []bool{false, true} {
				q := tt.q
				q.Scheme, q.Host, q.Shared = "http", strings.TrimPrefix(base, "http://"), shared
				for range 3 {
					if _, _, err := do(t, h, &q); err != nil {
						t.Fatal(err)
					}
					if g := strings.ReplaceAll(<-got, q.Host, "HOST"); g != tt.want {
						t.Errorf("sent %.200q, want %.200q", g, tt.want)
					}
				}
			}
		})
	}
	h := openH2(t, Options{Dial: func(context.Context, string, string) (net.Conn, error) { return newScripted("", 0), nil }})
	for _, bad := range []engine.Field{field("x a", "1"), field("", "1"), field("x-a", "1\n2"), field("x-a", "\x00")} {
		q := &engine.Request{Scheme: "http", Host: "h", Header: []engine.Field{bad}}
		if _, _, err := do(t, h, q); err == nil || !strings.Contains(err.Error(), "cannot be sent") {
			t.Errorf("%v was sent: %v", bad, err)
		}
	}
}

// TestH2Compressed holds that the same request is a few bytes when it comes
// again, as long as the server has a table for it.
func TestH2Compressed(t *testing.T) {
	e := newEncoder(staticFields())
	var fields []hpack.HeaderField
	d := hpack.NewDecoder(tableSize, func(f hpack.HeaderField) { fields = append(fields, f) })
	q := &engine.Request{Verb: "POST", Scheme: "https", Host: "env.example", Path: "/v1/functions/hello", Shared: true, Body: []byte("{}"),
		Header: []engine.Field{{Name: "Authorization", Value: "Bearer " + strings.Repeat("t", 900)}, {Name: "Content-Type", Value: "application/json"}}}
	send := func(q *engine.Request) int {
		t.Helper()
		fields = nil
		b, err := e.appendRequest(nil, q, "volley/9")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write(b); err != nil || d.Close() != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if len(fields) != 8 || fields[3].Value != q.Path || fields[5].Value != q.Header[0].Value || fields[7].Value != fmt.Sprint(len(q.Body)) {
			t.Fatalf("decoded %v", fields)
		}
		return len(b)
	}
	first := send(q)
	for range 3 {
		if n := send(q); n > 8 || first < 600 {
			t.Errorf("%d bytes, and %d when it came again", first, n)
		}
	}
	// Others drive it out of the table, and it comes back.
	for n := range 200 {
		other := *q
		other.Path, other.Shared = fmt.Sprint("/", n/2), n%3 == 0
		send(&other)
		send(q)
	}
	for _, size := range []int{0, 100, 4096, 1 << 20, 500, 4096} {
		e.resize(size)
		d.SetAllowedMaxDynamicTableSize(uint32(min(size, tableSize)))
		for range 3 {
			send(q)
		}
		e.resize(0)
		e.resize(tableSize) // both must be told
		d.SetAllowedMaxDynamicTableSize(tableSize)
		send(q)
	}
	e.resize(0)
	e.resize(tableSize)
	if b, err := e.appendRequest(nil, q, "volley/9"); err != nil || !bytes.HasPrefix(b, []byte("\x20\x3f\xe1\x1f")) {
		t.Errorf("%x, %v; want the smallest size told, and then the last (RFC 7541, section 4.2)", b, err)
	} else if _, err := d.Write(b); err != nil || d.Close() != nil {
		t.Error(err)
	}
	if n := send(q); n > 8 {
		t.Errorf("%d bytes at last", n)
	}
	// What cannot be sent leaves nothing behind that the other side does not know.
	bad := *q
	bad.Verb, bad.Path, bad.Shared = "BAD", "/a\nb", true // what is shared goes into the table
	fails := func() {
		if _, err := e.appendRequest(nil, &bad, "volley/9"); err == nil {
			t.Error("a path with a line feed is sent")
		}
	}
	fails()
	for range 3 {
		send(q)
	}
	e.resize(100)
	fails()
	if b, err := e.appendRequest(nil, q, "volley/9"); err != nil || !bytes.HasPrefix(b, []byte("\x3f\x45")) {
		t.Errorf("%x, %v; want the new size told", b, err)
	}
	if len(e.blocks) > maxBlocks || e.size > tableSize {
		t.Errorf("%d blocks, a table of %d", len(e.blocks), e.size)
	}
}

// TestH2Decode holds the decoder against another, over many blocks of fields
// that come again, that differ a little, and that drive each other out.
func TestH2Decode(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	var wire bytes.Buffer
	e := hpack.NewEncoder(&wire)
	d := newDecoder(staticFields())
	for n := range 20_000 {
		wire.Reset()
		if r.IntN(50) == 0 {
			e.SetMaxDynamicTableSizeLimit(tableSize)
			e.SetMaxDynamicTableSize(uint32(r.IntN(tableSize + 1)))
		}
		var want []hpack.HeaderField
		for range r.IntN(8) {
			f := hpack.HeaderField{
				Name:      []string{"server", "date", "x-request-id", "set-cookie", "x-a", ":status", "etag"}[r.IntN(7)],
				Value:     []string{"", "nginx", "0", strings.Repeat("v", r.IntN(400)), fmt.Sprint(r.IntN(300)), fmt.Sprintf("%c%c", r.IntN(95)+32, r.IntN(95)+32)}[r.IntN(6)],
				Sensitive: r.IntN(9) == 0,
			}
			want = append(want, f)
			if err := e.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		d.begin()
		got := 0
		for b := wire.Bytes(); len(b) > 0; {
			f, rest, err := d.field(b)
			if err != nil {
				t.Fatalf("block %d: %v", n, err)
			}
			if b = rest; f == nil {
				continue
			}
			if f.name != want[got].Name || f.value != want[got].Value || f.kind != kindOf(f.name) || f.bad == (validName(f.name) && validValue(f.value)) {
				t.Fatalf("block %d: %+v, want %v", n, f, want[got])
			}
			got++
		}
		if got != len(want) {
			t.Fatalf("block %d: %d fields, want %d", n, got, len(want))
		}
	}
}

// TestH2Goes holds that the tests of other transports hold here, too.
func TestH2Goes(t *testing.T) {
	zipped := h2cServer(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Method, n)
	})
	h := openH2(t, Options{})
	for _, verb := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
		for _, size := range []int{0, 100, wholeWrite, wholeWrite + 1, 1 << 20} {
			p, tm, err := do(t, h, ask(t, verb, zipped, strings.Repeat("x", size)))
			want := fmt.Sprint(verb, size)
			if verb == "HEAD" {
				want = ""
			}
			if err != nil || string(p.Body) != want || tm.BytesOut != int64(size) {
				t.Errorf("%s of %d: %q, %v, %d out", verb, size, p.Body, err, tm.BytesOut)
			}
		}
	}
}

// TestH2Close holds that nothing is left.
func TestH2Close(t *testing.T) {
	base := h2cServer(t, func(http.ResponseWriter, *http.Request) {})
	before := runtime.NumGoroutine()
	h := openH2(t, Options{Connections: 3})
	var all sync.WaitGroup
	for worker := range 12 {
		all.Go(func() {
			var p engine.Response
			if err := h.Exchange(t.Context(), worker, ask(t, "POST", base, "x"), &p, &Timing{Base: time.Now(), Until: time.Minute}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	h.Close()
	if _, _, err := do(t, h, ask(t, "GET", base, "")); !errors.Is(err, errClosed) {
		t.Errorf("an exchange after Close: %v", err)
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(5 * ms) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// TestH2NoKeepAlive holds that every exchange has a connection of its own, as
// many at once as may be.
func TestH2NoKeepAlive(t *testing.T) {
	for _, most := range []int{0, 2} {
		var conns, at, peak atomic.Int64
		base := h2Server(t, func(_ int, p *h2peer) {
			conns.Add(1)
			if n := at.Add(1); n > peak.Load() {
				peak.Store(n)
			}
			_ = p.WriteSettings()
			id := p.request()
			time.Sleep(2 * ms)
			at.Add(-1)
			p.answer(id, "ok")
			p.next()
		})
		h := openH2(t, Options{NoKeepAlive: true, Connections: most})
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				for range 3 {
					if _, tm, err := do(t, h, ask(t, "GET", base, "")); err != nil || tm.Reused || tm.Phases.Connect < 0 {
						t.Errorf("%v, reused %v, connect %v", err, tm.Reused, tm.Phases.Connect)
					}
				}
			})
		}
		all.Wait()
		if conns.Load() != 18 || most > 0 && peak.Load() > int64(most) {
			t.Errorf("%d connections, %d at once, want 18, %d", conns.Load(), peak.Load(), most)
		}
	}
}

// TestAutoAsksOnce holds that many who begin at once make one connection to
// find out what a server speaks, and what HTTP/2 then needs.
func TestAutoAsksOnce(t *testing.T) {
	cert, ca := certificate(t, false, "127.0.0.1")
	for _, stream := range []bool{true, false} {
		base := tlsServer(t, cert, stream, func(http.ResponseWriter, *http.Request) { time.Sleep(20 * ms) })
		var dials, first atomic.Int64
		a := openAuto(t, Options{CAFile: ca, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if dials.Add(1) == 1 {
				time.Sleep(30 * ms)
			} else {
				first.CompareAndSwap(0, time.Now().UnixNano())
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}})
		began := time.Now()
		var all sync.WaitGroup
		for worker := range 20 {
			all.Go(func() {
				var p engine.Response
				tm := Timing{Base: began, Until: 10 * time.Second}
				err := a.Exchange(t.Context(), worker, ask(t, "GET", base, ""), &p, &tm)
				if err != nil || tm.Start > 20*ms || tm.End < 50*ms || (p.Proto == "HTTP/2.0") != stream {
					t.Errorf("%s, %v, %+v", p.Proto, err, tm)
				}
			})
		}
		all.Wait()
		if n := dials.Load(); stream && n != 1 || !stream && n < 2 {
			t.Errorf("HTTP/2 %v: %d connections", stream, n)
		}
		if at := time.Unix(0, first.Load()); !stream && at.Sub(began) < 30*ms {
			t.Errorf("a second connection was opened after %v, before the first had told", at.Sub(began))
		}
	}
}

// TestAutoFollows lets the servers behind an address speak different versions.
func TestAutoFollows(t *testing.T) {
	cert, ca := certificate(t, false, "127.0.0.1")
	handler := func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }
	one, two := tlsServer(t, cert, false, handler), tlsServer(t, cert, true, handler)
	var dials atomic.Int64
	a := openAuto(t, Options{CAFile: ca, NoKeepAlive: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		to := one
		if dials.Add(1)%3 == 0 {
			to = two
		}
		return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(to, "https://"))
	}})
	protos := map[string]int{}
	for range 12 {
		p, _, err := do(t, a, ask(t, "POST", "https://127.0.0.1", "x"))
		if err != nil {
			t.Fatal(err)
		}
		protos[p.Proto]++
	}
	if protos["HTTP/1.1"] == 0 || protos["HTTP/2.0"] == 0 {
		t.Errorf("by %v, want both", protos)
	}
}

// TestAutoGivesUpAsking holds that who waits for another's connection waits no
// longer than it may.
func TestAutoGivesUpAsking(t *testing.T) {
	a := openAuto(t, Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			var p engine.Response
			tm := Timing{Base: time.Now(), Until: time.Duration(200-40*n) * ms}
			err := a.Exchange(t.Context(), n, ask(t, "GET", "https://h.example", ""), &p, &tm)
			if !errors.Is(err, errTimeout) || tm.Start < 0 || tm.End < tm.Until || tm.End > tm.Until+2*time.Second {
				t.Errorf("%v, %+v", err, tm)
			}
		})
		time.Sleep(5 * ms)
	}
	all.Wait()
}
