package compile

import (
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// Command is a program of the host, such as a hook, that starts with its standard streams
// and no other descriptor of rt or its caller.
type Command struct {
	// Path is absolute; Args and Env as for execve(2).
	Path      string
	Args, Env []string
	// Dir is its working directory, or "" for rt's.
	Dir string
}

// CommandConversation is the number of the conversation with rt, the only descriptor that
// the program needs besides the standard streams.
const CommandConversation = 3

// CompileCommand makes the program that becomes the command, in its own process group. The
// conversation ends when it has become the command.
func CompileCommand(cmd *Command) (*program.Program, error) {
	c := &compiler{Builder: program.NewBuilder()}
	c.conv, c.status, c.fsfd = c.Reg(), c.Reg(), c.Reg()
	c.failure = c.Buffer("failure", failureSize)
	c.Move(c.status, program.Imm(CommandConversation))
	c.Move(c.fsfd, program.Imm(-1))
	if !defence.Off(defence.InheritedFiles) {
		c.Source("", "close the descriptors that the caller of rt left open")
		c.closeFrom(CommandConversation+1, 0)
	}
	c.Do(program.CloseRange, program.Imm(CommandConversation), program.Imm(CommandConversation), program.Imm(unix.CLOSE_RANGE_CLOEXEC))
	c.Source("", "make a process group, so that rt can kill the whole command")
	c.Do(program.Setpgid, program.Imm(0), program.Imm(0))
	if cmd.Dir != "" {
		c.Source("", "enter the directory "+cmd.Dir)
		c.Do(program.Chdir, c.Str(cmd.Dir))
	}
	c.Source("", "exec")
	c.Do(program.Execve, c.Str(cmd.Path), program.At(c.Strings("argv", cmd.Args)), program.At(c.Strings("envp", cmd.Env)))
	c.failureHandler()
	return c.Build()
}
