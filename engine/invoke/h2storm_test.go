package invoke

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"volley/engine"

	"golang.org/x/net/http2"
)

// TestH2CutAnywhere breaks a connection at every byte of two replies: no part
// of a reply passes for a whole one, and nothing is sent again that was read.
func TestH2CutAnywhere(t *testing.T) {
	one := heads(0, ":status", "200", "x-a", "1") + body(0, "on") + body(flagEndStream, "e")
	two := frame(frameHeaders, flagEndHeaders, 3, "\x88\xbe") + frame(frameData, flagEndStream, 3, "two")
	for cut := range len(one) + len(two) + 1 {
		for _, hard := range []bool{false, true} {
			var mu sync.Mutex
			seen := map[string]int{}
			again := 0
			base := h2Server(t, func(n int, p *h2peer) {
				left := cut
				say := func(text string) {
					k := min(left, len(text))
					left -= k
					_, _ = p.c.Write([]byte(text[:k]))
					if k < len(text) || left == 0 {
						if hard {
							_ = p.c.Close()
						} else {
							_ = p.c.(*net.TCPConn).CloseWrite()
						}
					}
				}
				_ = p.WriteSettings()
				for {
					switch f := p.next().(type) {
					case nil:
						return
					case *http2.MetaHeadersFrame:
						mu.Lock()
						seen[f.PseudoValue("path")]++
						if n > 0 {
							again++
						}
						mu.Unlock()
						switch {
						case n > 0:
							p.answer(f.StreamID, f.PseudoValue("path")[1:])
						case f.StreamID == 1:
							say(one)
						case f.StreamID == 3:
							say(two)
						}
					}
				}
			})
			h := openH2(t, Options{Connections: 1})
			for k, want := range []string{"one", "two"} {
				p, tm, err := do(t, h, ask(t, "GET", base+"/"+want, ""))
				if err == nil && (p.Status != 200 || string(p.Body) != want) {
					t.Errorf("cut at %d: %d, %q passes for %q", cut, p.Status, p.Body, want)
				}
				mu.Lock()
				if k == 0 && (err == nil) != (cut >= len(one)) || k == 1 && err == nil && tm.Reused && cut < len(one)+len(two) || seen["/"+want] > 1 {
					t.Errorf("cut at %d: reply %d: %v, reused %v, seen %v", cut, k+1, err, tm.Reused, seen)
				}
				mu.Unlock()
				if err != nil {
					if detail, _ := classify(err); detail != detailEOF && detail != detailReset {
						t.Errorf("cut at %d: %v is %s", cut, err, detail)
					}
				}
			}
			h.Close()
		}
	}
}

// TestH2Storm sends hundreds of requests at once to a server that answers,
// refuses, resets and ends connections as it likes, while some are given up. It
// is for the race detector; and no request may be processed twice, nor may a
// reply be another's.
func TestH2Storm(t *testing.T) {
	const workers, each = 500, 8
	var processed sync.Map // how often, by path
	var answered, twice atomic.Int64
	base := h2Server(t, func(n int, p *h2peer) {
		r := rand.New(rand.NewPCG(1, uint64(n)))
		_ = p.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(50 + r.IntN(200))})
		process := func(path string) {
			if _, again := processed.LoadOrStore(path, true); again {
				twice.Add(1)
			}
		}
		paths := map[uint32]string{}
		var last uint32
		away := false
		for {
			f := p.next()
			if f == nil {
				return
			}
			id := f.Header().StreamID
			switch f := f.(type) {
			case *http2.MetaHeadersFrame:
				paths[id] = f.PseudoValue("path")
				if !f.StreamEnded() {
					continue
				}
			case *http2.DataFrame:
				if _, ok := paths[id]; !ok {
					continue
				}
				_ = p.WriteWindowUpdate(0, uint32(len(f.Data())+1))
				_ = p.WriteWindowUpdate(id, uint32(len(f.Data())+1))
				if !f.StreamEnded() {
					continue
				}
			default:
				delete(paths, id)
				continue
			}
			path := paths[id]
			delete(paths, id)
			if away && id > last {
				continue // it was not processed, as we have said
			}
			last = max(last, id)
			switch k := r.IntN(1000); {
			case k < 30:
				_ = p.WriteRSTStream(id, http2.ErrCodeRefusedStream)
			case k < 60:
				process(path)
				_ = p.WriteRSTStream(id, http2.ErrCodeInternal)
			case k < 80:
				process(path) // and says nothing
			case k < 90 && !away:
				process(path)
				p.answer(id, path)
				answered.Add(1)
				away = true
				_ = p.WriteGoAway(last, http2.ErrCodeNo, nil)
				for other := range paths {
					if other > last {
						delete(paths, other)
					}
				}
			case k < 93:
				process(path)
				return
			default:
				process(path)
				p.answer(id, path)
				answered.Add(1)
			}
		}
	})
	h := openH2(t, Options{})
	var good, bad, wrong atomic.Int64
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			var p engine.Response
			for n := range each {
				path := fmt.Sprintf("/%d/%d", worker, n)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				q := ask(t, "POST", base+path, strings.Repeat("x", n%4*40_000))
				tm := Timing{Base: time.Now(), Until: time.Duration(50+worker%300) * ms}
				err := h.Exchange(ctx, worker, q, &p, &tm)
				cancel()
				switch {
				case err != nil:
					bad.Add(1)
				case string(p.Body) != path:
					wrong.Add(1)
				default:
					good.Add(1)
				}
				if tm.End < tm.Start || err == nil && (tm.Phases.FirstByte < 0 || tm.Phases.Receive < 0 || tm.Phases.Send < 0) {
					t.Errorf("timing %+v, error %v", tm, err)
				}
			}
		})
	}
	all.Wait()
	if wrong.Load() > 0 || twice.Load() > 0 || good.Load() > answered.Load() || good.Load() == 0 {
		t.Errorf("%d good, %d bad, %d answered; %d replies were another's, %d requests were processed twice", good.Load(), bad.Load(), answered.Load(), wrong.Load(), twice.Load())
	}
	t.Logf("%d good, %d bad, %d answered", good.Load(), bad.Load(), answered.Load())
	h.Close()
	for _, host := range h.hosts {
		if host.counted != 0 || host.dialing != 0 || len(host.queue) != 0 || len(host.all) != 0 || host.waiting.Load() != 0 {
			t.Errorf("%d counted, %d dialling, %d in the queue, %d known, %d waiting after Close", host.counted, host.dialing, len(host.queue), len(host.all), host.waiting.Load())
		}
	}
}

// FuzzH2Reply lets a server say anything. Nothing makes the client panic or
// hang; it reads the same whatever the pieces; and what it takes, net/http takes
// as well, and reads the same.
func FuzzH2Reply(f *testing.F) {
	for _, c := range h2cases() {
		if len(c.wire) < 4000 {
			f.Add(c.verb == "HEAD", []byte(strings.TrimPrefix(c.wire, set())))
		}
	}
	f.Fuzz(func(t *testing.T, head bool, wire []byte) {
		c := h2case{wire: set() + string(wire)}
		if head {
			c.verb = "HEAD"
		}
		p, err := c.ours(0)
		one, errOne := c.ours(1 + len(wire)%13)
		if (err == nil) != (errOne == nil) || err == nil && (p.Status != one.Status || !bytes.Equal(p.Body, one.Body) || !slices.Equal(p.Header, one.Header)) {
			t.Fatalf("at once %d %q %v, in pieces %d %q %v", p.Status, p.Body, err, one.Status, one.Body, errOne)
		}
		if err != nil {
			if detail, _ := classify(err); !slices.Contains([]string{detailProtocol, detailEOF, detailTooLarge, detailReset}, detail) && !strings.Contains(err.Error(), "dialled again") {
				t.Fatalf("%v is %s", err, detail)
			}
			return // stricter than they are; the table argues for it
		}
		if p.Status == 304 && p.Get("Content-Length") != "" {
			return // net/http waits for a body
		}
		type answer struct {
			engine.Response
			error
		}
		answers := make(chan answer, 1)
		go func() {
			var a answer
			for range 5 { // which of its goroutines sees the end first is a matter of luck
				if a.Response, a.error = c.theirs(); a.error == nil {
					break
				}
			}
			answers <- a
		}()
		var theirs engine.Response
		select {
		case a := <-answers:
			theirs, err = a.Response, a.error
		case <-time.After(5 * time.Second):
			return // it has locked itself in, as it does when a stream's window overflows
		}
		if err != nil {
			t.Fatalf("status %d, body %q, which net/http refuses: %v", p.Status, p.Body, err)
		}
		if p.Status != theirs.Status || !bytes.Equal(p.Body, theirs.Body) {
			t.Fatalf("status %d, body %q; net/http has %d, %q", p.Status, p.Body, theirs.Status, theirs.Body)
		}
	})
}
