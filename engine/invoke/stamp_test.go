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
	}{
		{"between", lay(4), 1, 9, 5},
		{"at once", lay(8), 1, 9, 1},
		{"now", lay(0), 1, 9, 9},
		{"before the request", lay(9), 1, 9, 9},
		{"in the future", lay(-1), 1, 9, 9},
		{"a day ago", lay(24 * time.Hour), 1, 9, 9},
	} {
		if got := tt.s.before(clock, tt.now, tt.from); got != tt.want {
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

// TestStamped reads late what came early.
func TestStamped(t *testing.T) {
	switch runtime.GOOS + "/" + runtime.GOARCH {
	case "linux/amd64", "linux/arm64", "linux/riscv64", "linux/loong64":
	default:
		t.Skip("the system does not tell when what is read came in")
	}
	const late = 50 * ms
	var base time.Time
	for _, tt := range []struct {
		name string
		read func(c net.Conn) (string, time.Duration, error)
	}{
		{"socket", func(c net.Conn) (string, time.Duration, error) {
			s := newSocket(c, nil, true)
			base = time.Now()
			time.Sleep(late)
			b := make([]byte, 100)
			n, err := s.Read(b)
			return string(b[:n]), s.stamp.since(base, 0), err
		}},
		{"socket that somebody waits for", func(c net.Conn) (string, time.Duration, error) {
			s := newSocket(c, nil, true)
			base = time.Now()
			s.soon = true
			time.Sleep(late)
			b := make([]byte, 100)
			n, err := s.Read(b)
			return string(b[:n]), s.stamp.since(base, 0), err
		}},
		{"page", func(c net.Conn) (string, time.Duration, error) {
			s := newSocket(c, new(pages), true)
			base = time.Now()
			time.Sleep(late)
			b, n, err := s.ReadPage()
			return string(b[:n]), s.stamp.since(base, 0), err
		}},
		{"HTTP/2", func(c net.Conn) (string, time.Duration, error) {
			w := newWire(c, true)
			var came time.Duration
			base = time.Now()
			w.before = func() { time.Sleep(late) }
			w.after = func() { came = w.sock.stamp.since(base, 0) }
			b := make([]byte, 100)
			n, err := w.Read(b)
			return string(b[:n]), came, err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The kernel begins to note times some moments after the first socket
			// has asked for it.
			for try := range 20 {
				at := rawServer(t, func(_ int, c net.Conn) {
					time.Sleep(late / 5)
					c.Write([]byte("hello"))
					time.Sleep(2 * late)
				})
				c, err := net.Dial("tcp", at[len("http://"):])
				if err != nil {
					t.Fatal(err)
				}
				text, came, err := tt.read(c)
				c.Close()
				if text != "hello" || err != nil {
					t.Fatalf("%q, %v", text, err)
				}
				if came >= late/10 && came < late*9/10 {
					return
				}
				t.Logf("try %d: it came at %v", try, came)
			}
			t.Errorf("what came after %v and was read after %v was never noted when it came", late/5, late)
		})
	}
}
