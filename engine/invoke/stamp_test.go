package invoke

import (
	"net"
	"runtime"
	"testing"
	"time"
)

// TestStampSays holds that a time that cannot be is not believed: somebody has
// set the wall clock.
func TestStampSays(t *testing.T) {
	clock := time.Now()
	lay := func(d time.Duration) *stamp { return &stamp{at: clock.Add(-d).UnixNano()} }
	for _, tt := range []struct {
		name            string
		s               *stamp
		from, now, want time.Duration
		last            time.Duration // since the last packet
	}{
		{"between", lay(4), 1, 9, 5, never},
		{"at once", lay(8), 1, 9, 1, never},
		{"now", lay(0), 1, 9, 9, never},
		{"before the request", lay(9), 1, 9, 9, never},
		{"in the future", lay(-1), 1, 9, 9, never},
		{"a day ago", lay(24 * time.Hour), 1, 9, 9, never},
		{"as long as is sure", lay(surely), 0, 9 * ms, 9*ms - surely, never},
		{"longer than that, and nothing is known", lay(surely + 1), 0, 9 * ms, 9 * ms, never},
		{"long, and nothing came since", lay(80 * ms), 0, 90 * ms, 10 * ms, 78 * ms},
		{"long, and bytes before them came since", lay(80 * ms), 0, 90 * ms, 90 * ms, 70 * ms},
	} {
		if got := tt.s.before(clock, tt.now, tt.from, func() time.Duration { return tt.last }); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	base := clock.Add(-time.Minute)
	for _, s := range []*stamp{nil, {}} {
		if got := s.since(base, 0); got < time.Minute || got > 2*time.Minute {
			t.Errorf("nothing was noted, and it came at %v", got)
		}
	}
}

// stamps skips a test where volley knows no way to be told when what is read came
// in: nothing can be installed there.
func stamps(t *testing.T) {
	t.Helper()
	switch runtime.GOOS + "/" + runtime.GOARCH {
	case "linux/amd64", "linux/arm64", "linux/riscv64", "linux/loong64":
	default:
		t.Skip("the system does not tell when what is read came in")
	}
}

// TestStampedLong reads what has lain there for long.
func TestStampedLong(t *testing.T) {
	stamps(t)
	at := rawServer(t, func(_ int, c net.Conn) {
		time.Sleep(50 * ms) // the kernel begins to note times some moments after it was asked to
		c.Write([]byte("hello"))
		c.Read(make([]byte, 1))
	})
	base := time.Now()
	c, err := net.Dial("tcp", at[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := newSocket(c, nil, true)
	time.Sleep(150 * ms)
	if _, err := s.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if s.stamp == nil {
		t.Fatal("there is no stamp")
	}
	if came, last := s.stamp.since(base, 0), s.stamp.lastPacket(); came > 110*ms || last < 80*ms || last > 10*time.Second {
		t.Errorf("it came at %v, the last packet %v ago; want 100ms before it was read", came, last)
	}
}

// TestStamped reads late what came early.
func TestStamped(t *testing.T) {
	stamps(t)
	const late = ms
	for _, tt := range []struct {
		name string
		read func(c net.Conn, base time.Time) (string, time.Duration, error)
	}{
		{"socket", func(c net.Conn, base time.Time) (string, time.Duration, error) {
			s := newSocket(c, nil, true)
			time.Sleep(late)
			b := make([]byte, 100)
			n, err := s.Read(b)
			return string(b[:n]), s.stamp.since(base, 0), err
		}},
		{"socket that somebody waits for", func(c net.Conn, base time.Time) (string, time.Duration, error) {
			s := newSocket(c, nil, true)
			s.soon = true
			time.Sleep(late)
			b := make([]byte, 100)
			n, err := s.Read(b)
			return string(b[:n]), s.stamp.since(base, 0), err
		}},
		{"page", func(c net.Conn, base time.Time) (string, time.Duration, error) {
			s := newSocket(c, new(pages), true)
			time.Sleep(late)
			b, n, err := s.ReadPage()
			return string(b[:n]), s.stamp.since(base, 0), err
		}},
		{"HTTP/2", func(c net.Conn, base time.Time) (string, time.Duration, error) {
			w := newWire(c, true)
			var came time.Duration
			w.before = func() { time.Sleep(late) }
			w.after = func() { came = w.sock.stamp.since(base, 0) }
			b := make([]byte, 100)
			n, err := w.Read(b)
			return string(b[:n]), came, err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The kernel begins to note times some moments after the first socket
			// has asked for it; and where we are late ourselves, we do not believe it.
			first, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer first.Close()
			early, err := net.Dial("tcp", first.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer early.Close()
			newSocket(early, nil, true)
			for try := range 200 {
				at := rawServer(t, func(_ int, c net.Conn) {
					c.Write([]byte("hello"))
					c.Read(make([]byte, 1))
				})
				base := time.Now()
				c, err := net.Dial("tcp", at[len("http://"):])
				if err != nil {
					t.Fatal(err)
				}
				text, came, err := tt.read(c, base)
				now := time.Since(base)
				c.Close()
				if text != "hello" || err != nil {
					t.Fatalf("%q, %v", text, err)
				}
				if came >= 0 && came < now-late/2 {
					return
				}
				t.Logf("try %d: it came at %v of %v", try, came, now)
			}
			t.Errorf("what was read %v late was never noted when it came", late)
		})
	}
}
