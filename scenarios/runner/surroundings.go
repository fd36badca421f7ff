package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"volley/scenarios"
)

// surroundings finds what a scenario may leave out, as the vendor's own tools
// do: the project in the working folder, the credentials of the environment,
// the login of the vendor's CLI. What is wrong with a project matters only to
// who needs it, so broken is told when nothing else is known.
func (p *Process) surroundings(o *scenarios.Options) (broken error) {
	project, err := scenarios.ReadProject(os.DirFS("."), o.Env)
	if project != nil {
		o.DefaultEnv, o.DefaultRegion, o.DefaultsFrom = project.Env, project.Region, project.File
		for _, note := range project.Notes {
			p.detail("%s", note)
		}
	}
	o.Ambient = scenarios.Credentials(o.Env, func() ([]byte, error) { return p.login(o.Env) }, time.Now())
	return err
}

// login reads the file in which the vendor's CLI keeps who is logged in.
func (p *Process) login(env func(string) (string, bool)) ([]byte, error) {
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home, ok := env(name); ok && home != "" {
			return os.ReadFile(filepath.Join(home, filepath.FromSlash(scenarios.LoginFile)))
		}
	}
	return nil, fs.ErrNotExist
}

// tellSurroundings says what was taken from around a scenario: it is not in
// the file, and decides where invocations go and who asks.
func (p *Process) tellSurroundings(c *scenarios.Compiled) {
	var parts []string
	if c.EnvFrom != "" {
		parts = append(parts, "environment "+c.Scenario.Target.Env+" from "+c.EnvFrom)
	}
	if c.AuthFrom != "" {
		parts = append(parts, "credentials from "+c.AuthFrom)
	}
	if len(parts) > 0 && !p.Quiet {
		p.note("%s", strings.Join(parts, ", "))
	}
}

// project reads the project file that a path names, or that is in the folder
// that it names.
func (p *Process) project(path string) (*scenarios.Project, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Hinted(fmt.Errorf("--from %s: there is no such file", path), "name the project's cloudbaserc.json, or its folder")
	}
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	folder := os.DirFS(path)
	if !info.IsDir() {
		base := filepath.Base(path)
		if !slices.Contains(scenarios.ProjectFiles(), base) {
			return nil, Hinted(fmt.Errorf("--from %s: this is not a name that the vendor's CLI looks for", path), "name it "+strings.Join(scenarios.ProjectFiles(), ", "))
		}
		folder = oneProject{os.DirFS(filepath.Dir(path)), base}
	}
	project, err := scenarios.ReadProject(folder, p.Env)
	if err == nil && project == nil {
		err = Hinted(fmt.Errorf("--from %s: there is no project in it", path), "tcb init makes one; it is a cloudbaserc.json with envId and functions")
	}
	return project, err
}

// oneProject is a folder in which no other project file than the one named is
// seen.
type oneProject struct {
	fs.FS
	name string
}

func (o oneProject) Open(name string) (fs.File, error) {
	if name != o.name && slices.Contains(scenarios.ProjectFiles(), name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return o.FS.Open(name)
}
