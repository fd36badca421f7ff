//go:build linux

package main

import (
	"fmt"
	"strconv"
)

// What all clients send: a POST of body.json to this path, with this token.
const (
	path  = "/v1/functions/hello"
	token = "0123456789abcdef0123456789abcdef"
)

const (
	bearer = "Authorization: Bearer " + token
	media  = "application/json"
)

func (h *harness) lapFlag() string { return fmt.Sprintf("%ds", h.seconds) }

// A peer is the command of another load generator, with 64 connections.
func (h *harness) peer(name string, env []string, args ...string) racer {
	c := command{name: name, args: append([]string{h.tools[name]}, args...), env: env, core: h.clientCore}
	return racer{name: name, command: func() command { return c }}
}

func (h *harness) wrk(base string) racer {
	return h.peer("wrk", nil, "-t1", "-c64", "-d"+h.lapFlag(), "-s", "post.lua", base+path)
}

func (h *harness) fortio(base string) racer {
	return h.peer("fortio", nil, "load", "-quiet", "-qps", "0", "-c", "64", "-t", h.lapFlag(),
		"-payload-file", "body.json", "-content-type", media, "-H", bearer, base+path)
}

func (h *harness) hey(base string) racer {
	return h.peer("hey", nil, "-z", h.lapFlag(), "-c", "64", "-m", "POST", "-D", "body.json", "-T", media, "-H", bearer, base+path)
}

// k6 runs a script, without telling its maker, and without a server of its own.
func (h *harness) k6(script string, env ...string) racer {
	return h.peer("k6", append(env, "FOR="+h.lapFlag()), "run", "--quiet", "--no-usage-report", "--address=", script)
}

// h2load has so many streams on each of its connections.
func (h *harness) h2load(base string, connections, streams int) racer {
	r := h.peer("h2load", nil, "-t1", "-D", strconv.Itoa(h.seconds), "-c", strconv.Itoa(connections), "-m", strconv.Itoa(streams),
		"-d", "body.json", "-H", bearer, "-H", "Content-Type: "+media, base+path)
	r.name = fmt.Sprintf("h2load %dx%d", connections, streams)
	return r
}

// volleyRacer is volley, with a scenario and flags.
func (h *harness) volleyRacer(name, scenario, endpoint string, flags ...string) racer {
	var out string
	return racer{
		name: name,
		command: func() (c command) {
			c, out = h.volley("volley", scenario, endpoint, append(flags, "--for", h.lapFlag())...)
			return c
		},
		check: func(arrived int64) error {
			_, err := h.told(name, out, arrived)
			return err
		},
	}
}
