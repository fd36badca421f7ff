//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// A cpus is a set of cores, as the kernel writes it.
type cpus [16]uint64 // 1024 cores

func (c *cpus) add(core int) { c[core/64] |= 1 << (core % 64) }

// cores returns the cores that this process may use, in order.
func cores() ([]int, error) {
	var set cpus
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set))); errno != 0 {
		return nil, os.NewSyscallError("sched_getaffinity", errno)
	}
	var all []int
	for core := range len(set) * 64 {
		if set[core/64]>>(core%64)&1 == 1 {
			all = append(all, core)
		}
	}
	return all, nil
}

// on runs start in a thread that is bound to one core, which a process that
// is started there inherits.
func on(core int, start func() error) error {
	runtime.LockOSThread()
	var before, only cpus
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(before), uintptr(unsafe.Pointer(&before))); errno != 0 {
		runtime.UnlockOSThread()
		return os.NewSyscallError("sched_getaffinity", errno)
	}
	only.add(core)
	if err := bind(&only); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err := start()
	if e := bind(&before); e != nil {
		return errors.Join(err, e) // the thread stays locked, and ends with this goroutine
	}
	runtime.UnlockOSThread()
	return err
}

func bind(set *cpus) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
	if errno != 0 {
		return os.NewSyscallError("sched_setaffinity", errno)
	}
	return nil
}

// A command is a program to run.
type command struct {
	name string // for messages, and the files of what it prints
	args []string
	env  []string // beside what every program gets
	core int
	stop syscall.Signal // what ends it in good order; 0 is SIGKILL
	exit []int          // the statuses beside 0 with which it may end
}

// A process is a command that runs.
type process struct {
	command
	cmd   *exec.Cmd
	out   string // file of what it prints
	err   string // and of its standard error
	ended chan struct{}
	fault error // of its end, when ended is closed
}

// start starts a command. It is killed when ctx is done, and when this program
// ends without having ended it.
func (h *harness) start(ctx context.Context, c command) (*process, error) {
	h.started++
	base := filepath.Join(h.temp, fmt.Sprintf("%03d-%s", h.started, c.name))
	p := &process{command: c, out: base + ".out", err: base + ".err", ended: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	p.cmd.Dir = h.folder
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.temp, "TMPDIR=" + h.temp, "TOKEN=" + token}, c.env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if c.stop != 0 {
		p.cmd.Cancel = func() error { return p.cmd.Process.Signal(c.stop) }
	}
	p.cmd.WaitDelay = 5 * time.Second
	out, err := os.Create(p.out)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	errs, err := os.Create(p.err)
	if err != nil {
		return nil, err
	}
	defer errs.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, errs
	if err := on(c.core, p.cmd.Start); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	go func() {
		p.fault = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// wait waits for the end of a process, and returns the CPU time that it has
// used, with whatever it started and waited for.
func (p *process) wait() (time.Duration, error) {
	<-p.ended
	if p.fault != nil && !p.mayEnd() {
		return 0, fmt.Errorf("%s: %w; it said:\n%s", p.name, p.fault, p.tail())
	}
	return p.cmd.ProcessState.SystemTime() + p.cmd.ProcessState.UserTime(), nil
}

// early says that a process ended too early.
func (p *process) early(when string) error {
	return fmt.Errorf("%s ended %s (%s); it said:\n%s", p.name, when, p.cmd.ProcessState, p.tail())
}

func (p *process) mayEnd() bool {
	for _, status := range p.exit {
		if p.cmd.ProcessState.ExitCode() == status {
			return true
		}
	}
	return false
}

// end stops a process that would not end by itself, and waits for it.
func (p *process) end() error {
	select {
	case <-p.ended:
		return p.early("before it was told to")
	default:
	}
	if err := p.cmd.Process.Signal(p.stop); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill() // it ended just now, or it ends now
		<-p.ended
	}
	return nil
}

// tail returns the last of what a process printed.
func (p *process) tail() string {
	const most = 2000
	var said strings.Builder
	for _, name := range []string{p.out, p.err} {
		text, err := os.ReadFile(name)
		if err != nil {
			text = []byte(err.Error())
		}
		said.Write(text[max(0, len(text)-most):])
	}
	return strings.TrimSpace(said.String())
}

// peakAnon watches a process until it ends, and returns the most memory of its
// own that it had in RAM, in bytes: RssAnon, which leaves out the pages of its
// file, and of which the kernel keeps no peak.
func (p *process) peakAnon() int64 {
	var peak int64
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		peak = max(peak, p.status("RssAnon"))
		select {
		case <-p.ended:
			return peak
		case <-tick.C:
		}
	}
}

// status returns what the kernel says of the memory of a process, in bytes,
// such as VmHWM, the most that was resident. It is 0 when the process has ended.
func (p *process) status(field string) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	return statusField(string(status), field)
}

// statusField finds a field that is in kB; 0 is none.
func statusField(status, field string) int64 {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}
