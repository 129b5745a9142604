package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rtcontainers/rt/libcontainer"
	"github.com/rtcontainers/rt/spec"
	"github.com/sirupsen/logrus"
	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"
)

func createCommand() *cli.Command {
	return &cli.Command{
		Name:         "create",
		Usage:        "create a container; `rt start` starts its process",
		ArgsUsage:    "<container-id>",
		Flags:        creationFlags(),
		OnUsageError: usageError,
		Action: func(_ context.Context, cmd *cli.Command) error {
			o, err := creationOptions(cmd)
			if err != nil {
				return err
			}
			if o.Terminal, err = consoleSocket(cmd); err != nil {
				return err
			}
			c, err := libcontainer.Create(*o)
			if err != nil {
				return err
			}
			return c.Close()
		},
	}
}

// creationFlags are those that create and run share.
func creationFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "bundle", Aliases: []string{"b"}, Usage: "`DIR` of the bundle (default: the working directory)"},
		&cli.StringFlag{Name: "console-socket", Usage: "`PATH` of a unix socket that receives the master of the container's terminal"},
		&cli.StringFlag{Name: "pid-file", Usage: "write the pid of the container's process to `FILE`"},
		&cli.BoolFlag{Name: "no-pivot", Usage: "enter the root file system with chroot, not pivot_root: for one on a ramdisk"},
		&cli.BoolFlag{Name: "no-new-keyring", Usage: "leave the container in the caller's session keyring"},
		&cli.IntFlag{Name: "preserve-fds", Usage: "pass `N` descriptors after the standard streams (and $LISTEN_FDS) to the container"},
	}
}

func creationOptions(cmd *cli.Command) (*libcontainer.Options, error) {
	id, err := oneID(cmd)
	if err != nil {
		return nil, err
	}
	o := &libcontainer.Options{
		Root: cmd.String("root"), ID: id, Bundle: cmd.String("bundle"), PidFile: cmd.String("pid-file"),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		NoPivot: cmd.Bool("no-pivot"), NoNewKeyring: cmd.Bool("no-new-keyring"),
		SystemdCgroup: cmd.Bool("systemd-cgroup"), Rootless: rootless(cmd),
		Warn: func(m string) { logrus.Warn(m) },
	}
	if cmd.Bool("debug") {
		o.Debug = func(step string) { logrus.WithField("ms", milliseconds(time.Since(started))).Debug(step) }
	}
	if o.Preserve, err = preserved(cmd.Int("preserve-fds")); err != nil {
		return nil, err
	}
	if o.Bundle == "" {
		o.Bundle, o.ID = findBundle(id)
	}
	return o, nil
}

// findBundle makes `rt run mybundle` do what it looks like: when there is no
// configuration here, but one in the directory of that name, that directory is
// the bundle and its base name the id.
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

// preserved are the descriptors of --preserve-fds, behind those of socket
// activation, sd_listen_fds(3).
func preserved(n int) ([]*os.File, error) {
	if n < 0 {
		return nil, fmt.Errorf("--preserve-fds: %d is negative", n)
	}
	if s := os.Getenv("LISTEN_FDS"); s != "" {
		listen, err := strconv.Atoi(s)
		if err != nil || listen < 0 {
			return nil, fmt.Errorf("LISTEN_FDS: %q is not a number of descriptors", s)
		}
		n += listen
	}
	var files []*os.File
	for fd := 3; fd < 3+n; fd++ {
		// What rt was given survived its execve; what rt opened itself would not.
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
			return nil, fmt.Errorf("--preserve-fds: descriptor %d is not open", fd)
		}
		files = append(files, os.NewFile(uintptr(fd), "preserved "+strconv.Itoa(fd)))
	}
	return files, nil
}
