package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rtcontainers/rt/libcontainer"
	"github.com/rtcontainers/rt/spec"
	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"
)

func createCommand() command {
	return command{
		Command: cli.Command{
			Name:      "create",
			Usage:     "create a container, whose process waits for rt start",
			ArgsUsage: "<container-id>",
			Description: `Example:
   rt create --bundle /srv/box box
   rt start box`,
			Flags: creationFlags(),
		},
		run: func(in *input) error {
			o, err := creationOptions(in)
			if err != nil {
				return err
			}
			if newNotifier() != nil {
				o.Notify = func(string) error { return nil } // rt start makes the socket
			}
			if o.Terminal, err = consoleSocket(in); err != nil {
				return err
			}
			c, p, err := libcontainer.Create(context.Background(), *o)
			if err != nil {
				return err
			}
			p.Close()
			c.Close()
			return nil // the container is created, whatever an error of close(2) may say
		},
	}
}

// handingOver is the group of flags for descriptors and files that rt exchanges with the
// caller.
const handingOver = "Files, sockets and descriptors"

// creationFlags are those that create and run share.
func creationFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "bundle", Aliases: []string{"b"}, Usage: "use the bundle in `DIR` (default: the working directory)"},
		&cli.StringFlag{Name: "config", Usage: "read the configuration from `FILE` instead of the bundle's config.json"},
		&cli.StringFlag{Name: "console-socket", Category: handingOver, Usage: "send the master of the container's terminal to the unix socket `PATH`"},
		&cli.StringFlag{Name: "pid-file", Category: handingOver, Usage: "write the pid of the container's process to `FILE`"},
		&cli.StringFlag{Name: "pidfd-socket", Category: handingOver, Usage: "send a pidfd of the container's process to the unix socket `PATH`"},
		&cli.BoolFlag{Name: "no-pivot", Usage: "enter the root file system with chroot instead of pivot_root, for a root file system on a ramdisk"},
		&cli.BoolFlag{Name: "no-new-keyring", Usage: "do not make a session keyring for the container"},
		&cli.IntFlag{Name: "preserve-fds", Category: handingOver, HideDefault: true, Usage: "pass `N` descriptors after the standard streams and $LISTEN_FDS to the container"},
	}
}

func creationOptions(in *input) (*libcontainer.Options, error) {
	id, err := in.oneID()
	if err != nil {
		return nil, err
	}
	o := &libcontainer.Options{
		Root: in.String("root"), ID: id, Bundle: in.String("bundle"), Config: in.String("config"), PidFile: in.String("pid-file"),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		NoPivot: in.Bool("no-pivot"), NoNewKeyring: in.Bool("no-new-keyring"),
		SystemdCgroup: in.Bool("systemd-cgroup"), NoCgroup: in.String("cgroup-manager") == "disabled", Rootless: rootless(in),
		Logger: logger(), Trace: tracing.listener(),
	}
	if o.Preserve, o.Env, err = preserved(in.Int("preserve-fds")); err != nil {
		return nil, err
	}
	if o.PIDFD, err = socket(in, "pidfd-socket", "standard"); err != nil {
		return nil, err
	}
	if o.Bundle == "" {
		o.Bundle, o.ID = findBundle(id)
	}
	return o, nil
}

// findBundle makes `rt run mybundle` do what it looks like: if there is no
// configuration here, but one in the directory of that name, that directory is the
// bundle and its base name the id.
func findBundle(arg string) (bundle, id string) {
	if isBundle(".") || !isBundle(arg) {
		return ".", arg
	}
	dir, err := filepath.Abs(arg)
	if err != nil {
		return ".", arg
	}
	return dir, filepath.Base(dir)
}

func isBundle(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, spec.ConfigName))
	return err == nil
}

// preserved are the descriptors of --preserve-fds, after those of socket activation,
// sd_listen_fds(3), and the variables by which a process finds the latter.
func preserved(n int) (files []*os.File, env []string, err error) {
	if n < 0 {
		return nil, nil, fmt.Errorf("--preserve-fds: %d is negative", n)
	}
	if pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID")); pid == os.Getpid() {
		s := os.Getenv("LISTEN_FDS")
		listen, err := strconv.Atoi(s)
		if err != nil || listen < 0 {
			return nil, nil, fmt.Errorf("LISTEN_FDS: %q is not a number of descriptors", s)
		}
		if listen > 0 {
			n += listen
			env = []string{"LISTEN_FDS=" + s, "LISTEN_PID=1"}
		}
	}
	for fd := 3; fd < 3+n; fd++ {
		// Descriptors from rt's caller survived rt's execve; rt's own are close-on-exec.
		var file *os.File
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			file = os.NewFile(uintptr(fd), "preserved "+strconv.Itoa(fd))
		}
		files = append(files, file)
	}
	return files, env, nil
}
