//go:build linux

package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// debian gives the programs of Debian their packages.
func debian() map[string]string {
	return map[string]string{"wrk": "wrk", "nginx": "nginx", "h2load": "nghttp2-client"}
}

// modules gives the programs in Go their packages, and the versions that the
// bars are about.
func modules() map[string]string {
	return map[string]string{
		"fortio": "fortio.org/fortio@v1.68.0",
		"hey":    "github.com/rakyll/hey@v0.1.5",
		"k6":     "go.k6.io/k6@v1.8.1",
	}
}

// find finds the named programs, and installs those that are missing: with
// apt-get, or with Go into a folder of ours.
func (h *harness) find(ctx context.Context, names []string) error {
	h.tools = map[string]string{}
	var missing []string
	for _, name := range names {
		if pkg, ok := modules()[name]; ok {
			program, err := h.fromGo(ctx, name, pkg)
			if err != nil {
				return err
			}
			h.tools[name] = program
			continue
		}
		if program := look(name); program != "" {
			h.tools[name] = program
		} else {
			missing = append(missing, debian()[name])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := h.apt(ctx, missing); err != nil {
		return err
	}
	for _, name := range names {
		if h.tools[name] == "" {
			h.tools[name] = look(name)
		}
		if h.tools[name] == "" {
			return fmt.Errorf("%s is not there, although its package is installed", name)
		}
	}
	return nil
}

// look finds a program, also where only root's PATH leads; "" is nowhere.
func look(name string) string {
	for _, file := range []string{name, "/usr/sbin/" + name} {
		if program, err := exec.LookPath(file); err == nil {
			return program
		}
	}
	return ""
}

// apt installs packages of Debian.
func (h *harness) apt(ctx context.Context, packages []string) error {
	slices.Sort(packages)
	install := "apt-get install " + strings.Join(packages, " ")
	if os.Geteuid() != 0 || look("apt-get") == "" {
		return hinted{fmt.Errorf("these are not installed: %s", strings.Join(packages, ", ")), "as root, on Debian and its like: " + install}
	}
	h.progress("%s", install)
	for _, args := range [][]string{{"update"}, append([]string{"install", "-y", "--no-install-recommends"}, packages...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w:\n%s", strings.Join(cmd.Args, " "), err, said)
		}
	}
	return nil
}

// fromGo returns a program that Go has built, of that very version.
func (h *harness) fromGo(ctx context.Context, name, pkg string) (string, error) {
	program := filepath.Join(h.bin, name)
	module, version, _ := strings.Cut(pkg, "@")
	if info, err := buildinfo.ReadFile(program); err == nil && info.Main.Path == module && info.Main.Version == version {
		return program, nil
	}
	h.progress("go install %s", pkg)
	cmd := exec.CommandContext(ctx, "go", "install", pkg)
	cmd.Env = append(os.Environ(), "GOBIN="+h.bin)
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", hinted{fmt.Errorf("go install %s: %w:\n%s", pkg, err, said), "-tools names a folder that has it already"}
	}
	return program, nil
}

// build builds a package of this module into the temporary folder.
func (h *harness) build(ctx context.Context, pkg, name string) (string, error) {
	program := h.path(name)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w:\n%s", pkg, err, said)
	}
	return program, nil
}

// module returns the folder of the module that the working folder is in.
func module(ctx context.Context) (string, error) {
	said, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	name, dir, _ := strings.Cut(strings.TrimSpace(string(said)), " ")
	if name != "volley" || dir == "" {
		return "", errors.New("this is not volley's module: start it in a clone, as make bench-peers does")
	}
	return dir, nil
}

// A hinted is an error, and what to do about it.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }
