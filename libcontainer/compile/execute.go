package compile

import (
	"fmt"
	"strings"

	"github.com/rtcontainers/rt/libcontainer/program"
	"golang.org/x/sys/unix"
)

// defaultPath is where execvp(3) looks without a PATH.
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
	env := p.Env
	if _, ok := lookup(env, "HOME"); !ok && c.host.Home != "" {
		env = append(env[:len(env):len(env)], "HOME="+c.host.Home)
	}
	argv, envp := program.At(c.Strings("argv", p.Args)), program.At(c.Strings("envp", env))
	c.Source("process.args[0]", fmt.Sprintf("exec %q", name))
	if strings.Contains(name, "/") {
		c.Do(program.Execve, c.Str(name), argv, envp)
		return
	}
	c.search(name, env, argv, envp)
}

// search tries the directories of PATH like execvp(3): the first program that
// can be executed wins; one that may not be is remembered for the error.
func (c *compiler) search(name string, env []string, argv, envp program.Arg) {
	dirs, ok := lookup(env, "PATH")
	if !ok {
		dirs = defaultPath
	}
	forbidden, r := c.Reg(), c.Reg()
	c.Move(forbidden, program.Imm(0))
	for _, dir := range strings.Split(dirs, ":") {
		if dir == "" {
			dir = "."
		}
		next := c.NewLabel("next")
		file := c.Str(strings.TrimSuffix(dir, "/") + "/" + name)
		c.Do(program.Execve, file, argv, envp).To(r).Ignore(unix.ENOENT, unix.ENOTDIR, unix.EACCES, unix.ELOOP)
		c.Branch(r, program.Ne, -int64(unix.EACCES), next)
		c.Move(forbidden, file)
		c.Bind(next)
	}
	missing := c.NewLabel("not found")
	c.Branch(forbidden, program.Eq, 0, missing)
	c.Do(program.Execve, program.R(forbidden), argv, envp)
	c.Bind(missing)
	c.Do(program.Execve, c.Str(""), argv, envp).For(fmt.Sprintf("exec %q: executable file not found in $PATH", name))
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
