//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// begin runs a server until the test ends.
func begin(t *testing.T, s schedule, keep int, file string) *net.TCPAddr {
	t.Helper()
	listener, err := listen(netip.MustParseAddrPort("127.0.0.1:0"), keep > 0)
	if err != nil {
		t.Fatal(err)
	}
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	v, err := newServer(listener, pipe[0], s, newTruth(keep), file)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- v.run() }()
	t.Cleanup(func() {
		_, _ = syscall.Write(pipe[1], []byte{1})
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, fd := range []int{pipe[0], pipe[1], listener} {
			_ = syscall.Close(fd)
		}
	})
	p, err := port(listener)
	if err != nil {
		t.Fatal(err)
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(p)}
}

func dial(t *testing.T, at *net.TCPAddr) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// expect reads n replies, and no byte more.
func expect(t *testing.T, c net.Conn, n int) {
	t.Helper()
	want := bytes.Repeat([]byte(head(len(body))+body), n)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %.300q, want %d replies", got, n)
	}
}

// ask makes a control request on a connection of its own.
func ask(t *testing.T, at *net.TCPAddr, what string) string {
	t.Helper()
	c := dial(t, at)
	send(t, c, "GET /-/"+what+" HTTP/1.1\r\nConnection: close\r\n\r\n")
	text, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestServer(t *testing.T) {
	at := begin(t, schedule{}, 0, "")
	c := dial(t, at)
	t.Run("one", func(t *testing.T) { send(t, c, post); expect(t, c, 1) })
	t.Run("split", func(t *testing.T) {
		for i := range len(post) {
			send(t, c, post[i:i+1])
		}
		expect(t, c, 1)
	})
	t.Run("pipelined", func(t *testing.T) {
		send(t, c, strings.Repeat(post, 200)+post[:40])
		expect(t, c, 200)
		send(t, c, post[40:])
		expect(t, c, 1)
	})
	t.Run("more than the peer takes", func(t *testing.T) {
		const n = 100_000 // 20 MB of replies, which nobody reads before the end of the requests
		go func() { _, _ = io.WriteString(c, strings.Repeat(post, n)) }()
		time.Sleep(50 * time.Millisecond)
		expect(t, c, n)
	})
	t.Run("counted", func(t *testing.T) {
		if got := ask(t, at, "count"); !strings.Contains(got, `{"requests":100203,"connections":2,"waiting":0,"refused":0,`) {
			t.Errorf("the count is %s", got)
		}
		ask(t, at, "reset")
		if got := ask(t, at, "count"); !strings.Contains(got, `{"requests":0,`) {
			t.Errorf("after a reset the count is %s", got)
		}
	})
	t.Run("refused", func(t *testing.T) {
		long := "GET / HTTP/1.1\r\nA: "
		long += strings.Repeat("a", inSize-len(long)) // no byte is left unread, which would reset the connection
		for _, text := range []string{"nonsense\r\n\r\n", long} {
			c := dial(t, at)
			send(t, c, text)
			if got, err := io.ReadAll(c); !strings.HasPrefix(string(got), "HTTP/1.1 400 ") {
				t.Errorf("the reply is %q, %v", got, err)
			}
		}
		if got := ask(t, at, "count"); !strings.Contains(got, `"refused":2,`) {
			t.Errorf("the count is %s", got)
		}
	})
	t.Run("the last", func(t *testing.T) {
		send(t, c, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
		expect(t, c, 1)
		if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil {
			t.Errorf("then comes %q, %v; want the end", rest, err)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		for what, want := range map[string]string{"x": "404", "write": "409"} {
			if got := ask(t, at, what); !strings.HasPrefix(got, "HTTP/1.1 "+want) {
				t.Errorf("/-/%s: %q, want %s", what, got, want)
			}
		}
	})
}

// What the server writes down lies between what its client sees.
func TestServerTruth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "truth.csv")
	const keep, latency = 3, 20 * time.Millisecond
	at := begin(t, schedule{median: latency}, keep, file)
	c := dial(t, at)
	var sent, got [keep + 1]int64
	for i := range sent { // one more than is kept
		sent[i] = time.Now().UnixNano()
		send(t, c, post)
		expect(t, c, 1)
		got[i] = time.Now().UnixNano()
	}
	if reply := ask(t, at, "write"); !strings.Contains(reply, `{"requests":4,"written":3}`) {
		t.Fatalf("the reply is %s", reply)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 1+keep || lines[0] != "arrived_ns,answered_ns" {
		t.Fatalf("the file is %q", text)
	}
	for i, line := range lines[1:] {
		var arrived, answered int64
		if _, err := fmt.Sscanf(line, "%d,%d", &arrived, &answered); err != nil {
			t.Fatal(err)
		}
		if arrived < sent[i] || answered < arrived+int64(latency) {
			t.Errorf("request %d arrived at %d and was answered at %d, but was sent at %d and takes %v", i, arrived, answered, sent[i], latency)
		}
		if arrived > got[i] {
			t.Errorf("request %d arrived at %d, after its reply at %d", i, arrived, got[i])
		}
	}
}

// Who leaves before the answer leaves nothing behind.
func TestServerLeft(t *testing.T) {
	at := begin(t, schedule{median: 50 * time.Millisecond}, 0, "")
	c := dial(t, at)
	send(t, c, post)
	c.Close()
	d := dial(t, at)
	send(t, d, post)
	expect(t, d, 1)
	if got := ask(t, at, "count"); !strings.Contains(got, `{"requests":2,"connections":2,"waiting":0,`) {
		t.Errorf("the count is %s", got)
	}
}
