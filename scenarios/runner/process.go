// Package runner carries out what a command asks: it opens what a run needs,
// fires it, and closes it, from the scenario's file to the reports.
//
//	Load ─▶ Fire: folder, emulator, transport, recorder, sampler, progress
//	          └─▶ engine.Run ─▶ totals ─▶ thresholds, verdict ─▶ report.json ─▶ formats
package runner

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// A Process is what commands touch of the process they run in.
type Process struct {
	In  io.Reader
	Out io.Writer // results
	Err *Console  // all else
	Env func(name string) (string, bool)

	Bars   bool       // Err is a terminal that may be drawn on
	Colour bool       // Out is a terminal that wants colour
	Width  func() int // of Err's terminal, in columns; nil or 0: not known

	Quiet, Verbose  bool
	Version, Commit string

	Stop <-chan struct{} // closed when the process is asked to stop gently
}

// A Console is where diagnosis goes, from several goroutines. While a bar is
// drawn there, it goes above the bar.
type Console struct {
	mu sync.Mutex
	to io.Writer
}

// NewConsole returns a console on w.
func NewConsole(w io.Writer) *Console { return &Console{to: w} }

// Write implements io.Writer.
func (c *Console) Write(text []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.to.Write(text)
}

// plain returns what the console writes to.
func (c *Console) plain() io.Writer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.to
}

// through has the console write to w from now on.
func (c *Console) through(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = w
}

// ErrInterrupted is the cause with which everything is canceled when the
// process is asked a second time to stop.
var ErrInterrupted = errors.New("interrupted")

// An ExitError is a command's end with another code than 0. Err is what to
// tell; nil when everything has been told.
type ExitError struct {
	Code int
	Err  error
}

func (e ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Hinted is err with a hint what to do about it.
func Hinted(err error, hint string) error { return hinted{err, hint} }

type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }
func (h hinted) Hint() string  { return h.hint }

// note prints a line of diagnosis; verbose ones only when they are wanted.
func (p *Process) note(format string, args ...any) {
	fmt.Fprintf(p.Err, "volley: "+format+"\n", args...)
}

func (p *Process) detail(format string, args ...any) {
	if p.Verbose {
		p.note(format, args...)
	}
}
