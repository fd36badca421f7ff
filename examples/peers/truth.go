//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A truth is a truthd that runs: the server, and what it knows.
type truth struct {
	*process
	url    string
	client *http.Client
	file   string // of times; "" keeps none
}

// serve starts truthd with flags of its own, and keep times.
func (h *harness) serve(ctx context.Context, keep int, flags ...string) (*truth, error) {
	t := &truth{client: &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}}
	args := append([]string{h.truthd, "-listen", "127.0.0.1:0"}, flags...)
	if keep > 0 {
		t.file = h.path("truth.csv")
		args = append(args, "-keep", strconv.Itoa(keep), "-truth", t.file)
	}
	var err error
	t.process, err = h.start(ctx, command{name: "truthd", args: args, core: h.serverCore, stop: syscall.SIGTERM})
	if err != nil {
		return nil, err
	}
	const hello = "truthd: listening on "
	err = t.ready(func() bool {
		said, err := os.ReadFile(t.out)
		line, whole := strings.CutSuffix(string(said), "\n")
		t.url = strings.TrimPrefix(line, hello)
		return err == nil && whole
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// ready waits until a server that was just started can be used.
func (p *process) ready(able func() bool) error {
	for range 500 {
		if able() {
			return nil
		}
		select {
		case <-p.ended:
			return p.early("before it served")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not serve after 5s; it said:\n%s", p.name, p.tail())
}

// close stops the server.
func (t *truth) close() error {
	t.client.CloseIdleConnections()
	return t.end()
}

// A tally is what truthd counts since it was last reset.
type tally struct {
	Requests    int64 // whole ones that arrived
	Connections int64 // that are open, the one that asks among them
	Waiting     int64 // requests without an answer yet
	Refused     int64 // connections that were closed for what they sent
}

// tally asks the server for its counts.
func (t *truth) tally(ctx context.Context) (tally, error) {
	var c tally
	text, err := get(ctx, t.client, t.url+"/-/count")
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// count is how many requests arrived since it was last reset.
func (t *truth) count(ctx context.Context) (int64, error) {
	c, err := t.tally(ctx)
	if err == nil && c.Refused > 0 {
		err = fmt.Errorf("truthd refused %d connections for what they sent", c.Refused)
	}
	return c.Requests, err
}

// reset begins anew.
func (t *truth) reset(ctx context.Context) error {
	_, err := get(ctx, t.client, t.url+"/-/reset")
	return err
}

// times returns what the server saw since it was last reset.
func (t *truth) times(ctx context.Context) ([]seen, error) {
	if _, err := get(ctx, t.client, t.url+"/-/write"); err != nil {
		return nil, err
	}
	f, err := os.Open(t.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := readTimes(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.file, err)
	}
	return all, nil
}

// readTimes reads a file of truthd.
func readTimes(from io.Reader) ([]seen, error) {
	lines := bufio.NewScanner(from)
	if !lines.Scan() || lines.Text() != "arrived_ns,answered_ns" {
		return nil, fmt.Errorf("it begins with %q", lines.Text())
	}
	var all []seen
	for lines.Scan() {
		a, b, _ := strings.Cut(lines.Text(), ",")
		arrived, err := strconv.ParseInt(a, 10, 64)
		if err != nil {
			return nil, err
		}
		answered, err := strconv.ParseInt(b, 10, 64)
		if err != nil {
			return nil, err
		}
		if answered == 0 {
			return nil, fmt.Errorf("request %d was not answered", len(all)+1)
		}
		all = append(all, seen{arrived, answered})
	}
	return all, lines.Err()
}

// get returns the body of a reply with status 200.
func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	reply, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, reply.Status, text)
	}
	return text, err
}
