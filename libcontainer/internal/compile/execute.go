package compile

import (
	"fmt"
	"strings"

	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// defaultPath is where execvp(3) searches without a PATH.
const defaultPath = "/bin:/usr/bin"

// execute ends the program by becoming the user's: process.args.
func (c *compiler) execute() {
	p := c.spec.Process
	if p == nil {
		c.Source("process", "start")
		c.fail("there is no process to start in config.json")
		return
	}
	name := p.Args[0]
	env := lastOfEach(p.Env)
	if home, _ := lookup(env, "HOME"); home == "" && c.host.Home != "" {
		env = lastOfEach(append(env[:len(env):len(env)], "HOME="+c.host.Home))
	}
	argv, envp := program.At(c.Strings("argv", p.Args)), program.At(c.Strings("envp", env))
	if c.filter != nil {
		// Once the filter is loaded, rt may not be able to report what is wrong.
		c.locate()
	}
	c.setLabels()
	c.rlimits()
	c.loadFilter()
	if c.late != nil {
		c.late()
	}
	c.Source("process.args[0]", fmt.Sprintf("exec %q", name))
	switch {
	case c.located:
		c.Do(program.Execve, program.R(c.executable), argv, envp)
	case strings.Contains(name, "/"):
		c.Do(program.Execve, c.Str(name), argv, envp)
	default:
		c.search(name, env, argv, envp)
	}
	if c.filter != nil {
		// A filter can make it return as if it had succeeded.
		c.fail("execute the container's process, which linux.seccomp forbids")
		c.Do(program.ExitGroup, program.Imm(1))
	}
}

// locate searches for the program to execute, so that create already reports a missing
// one, not only start.
func (c *compiler) locate() {
	p := c.spec.Process
	if c.located || p == nil {
		return
	}
	c.located, c.executable = true, c.Reg()
	name := p.Args[0]
	c.Source("process.args[0]", fmt.Sprintf("exec %q", name))
	if strings.Contains(name, "/") {
		c.Do(program.Faccessat2, program.AtFdcwd, c.Str(name), program.Imm(unix.X_OK), program.Imm(unix.AT_EACCESS))
		c.Move(c.executable, c.Str(name))
		return
	}
	c.find(name, p.Env, c.executable)
}

// find looks a program up in the directories of PATH: the first that can be
// executed, else the first that exists.
func (c *compiler) find(name string, env []string, file program.Reg) {
	r, found, missing := c.Reg(), c.NewLabel("found"), c.NewLabel("not found")
	c.Move(file, program.Imm(0))
	for _, path := range candidates(name, env) {
		next, forbidden := c.NewLabel("next"), c.NewLabel("forbidden")
		c.Do(program.Faccessat2, program.AtFdcwd, c.Str(path), program.Imm(unix.X_OK), program.Imm(unix.AT_EACCESS)).To(r).Ignore()
		c.Branch(r, program.Eq, -int64(unix.EACCES), forbidden)
		c.Branch(r, program.Ne, 0, next)
		c.skipDirectory(path, r, next)
		c.Move(file, c.Str(path))
		c.Jump(found)
		c.Bind(forbidden)
		c.Move(file, c.Str(path))
		c.Bind(next)
	}
	c.Branch(file, program.Eq, 0, missing)
	c.Do(program.Faccessat2, program.AtFdcwd, program.R(file), program.Imm(unix.X_OK), program.Imm(unix.AT_EACCESS))
	c.Bind(missing)
	c.Do(program.Faccessat2, program.AtFdcwd, c.Str(""), program.Imm(unix.X_OK), program.Imm(0)).For(fmt.Sprintf("exec %q: executable file not found in $PATH", name))
	c.Bind(found)
	c.Free(r)
}

// skipDirectory continues elsewhere if a path is not a regular file, because directories
// can be "executed", too.
func (c *compiler) skipDirectory(path string, r program.Reg, next program.Label) {
	c.Do(program.Statx, program.AtFdcwd, c.Str(path), program.Imm(0), program.Imm(unix.STATX_TYPE), program.At(c.stat)).To(r).Ignore()
	c.Branch(r, program.Ne, 0, next)
	c.Load(r, 4, c.stat.Plus(offMode))
	c.Branch(r, program.Lt, unix.S_IFREG, next)
	c.Branch(r, program.Ge, unix.S_IFREG+0o10000, next)
}

// candidates are the paths at which a program of that name may be.
func candidates(name string, env []string) []string {
	dirs, ok := lookup(env, "PATH")
	if !ok {
		dirs = defaultPath
	}
	var list []string
	for dir := range strings.SplitSeq(dirs, ":") {
		if dir == "" {
			dir = "."
		}
		list = append(list, strings.TrimSuffix(dir, "/")+"/"+name)
	}
	return list
}

// search tries the directories of PATH like execvp(3): it executes the first program that
// can be executed, and remembers one that may not be for the error.
func (c *compiler) search(name string, env []string, argv, envp program.Arg) {
	forbidden, r := c.Reg(), c.Reg()
	c.Move(forbidden, program.Imm(0))
	for _, path := range candidates(name, env) {
		next := c.NewLabel("next")
		c.Do(program.Execve, c.Str(path), argv, envp).To(r).Ignore(unix.ENOENT, unix.ENOTDIR, unix.EACCES, unix.ELOOP)
		c.Branch(r, program.Ne, -int64(unix.EACCES), next)
		c.Move(forbidden, c.Str(path))
		c.Bind(next)
	}
	missing := c.NewLabel("not found")
	c.Branch(forbidden, program.Eq, 0, missing)
	c.Do(program.Execve, program.R(forbidden), argv, envp)
	c.Bind(missing)
	c.Do(program.Execve, c.Str(""), argv, envp).For(fmt.Sprintf("exec %q: executable file not found in $PATH", name))
}

// lastOfEach keeps the last value of every variable, at the place of its first: getenv(3)
// finds the first.
func lastOfEach(env []string) []string {
	place := make(map[string]int, len(env))
	list := make([]string, 0, len(env)+1)
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if i, ok := place[name]; ok {
			list[i] = entry
			continue
		}
		place[name] = len(list)
		list = append(list, entry)
	}
	return list
}

// lookup finds a variable; the last one counts, as in most shells.
func lookup(env []string, name string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(env[i], "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}
