package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// programs are what attackers run in containers: /bin/attacker NAME ARG...
var programs = map[string]func(args []string) error{
	"say":              say,
	"remount-writable": remountWritable,
	"remount-added":    remountAdded,
	"clear-nodev":      clearNodev,
	"uncover":          uncover,
	"open-for-writing": openForWriting,
	"swap":             swap,
	"rename":           rename,
	"mount-proc":       mountProc,
	"own-proc":         ownProc,
	"stop-others":      stopOthers,
	"inject-mknod":     injectMknod,
	"overwrite-others": overwriteOthers,
	"attach-others":    attachOthers,
	"swap-many":        swapMany,
	"mkdir-i386":       mkdirI386,
	"mkdir-x32":        mkdirX32,
	"clone3-userns":    clone3Userns,
	"type-into":        typeInto,
	"key-add":          keyAdd,
	"key-read":         keyRead,
	"write-sysfs":      writeSysfs,
	"connect":          connect,
	"relink":           relink,
	"key-join":         keyJoin,
	"trace-others":     traceOthers,
}

// gained is what an attacker prints after success.
const gained = "GAINED"

func inside(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no program is named")
	}
	program, ok := programs[args[0]]
	if !ok {
		return fmt.Errorf("no program %q", args[0])
	}
	return program(args[1:])
}

// say proves that this program runs.
func say([]string) error {
	fmt.Println(secret)
	return nil
}

// remountWritable makes a read-only mount writable and writes to a file there.
func remountWritable(args []string) error {
	err := unix.MountSetattr(unix.AT_FDCWD, args[0], 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	if err != nil { // the older way, too
		err = unix.Mount("", args[0], "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID|unix.MS_NODEV, "")
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(args[0], args[1]), []byte("attacked"), 0)
}

// clearNodev makes devices usable on the mount of the root directory, and opens one.
func clearNodev(args []string) error {
	err := unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID})
	if err != nil {
		err = unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "")
	}
	fmt.Println("clear nodev:", err)
	return openForWriting(args)
}

// uncover unmounts a mount and reads what is below it.
func uncover(args []string) error {
	fmt.Println("umount:", unix.Unmount(args[0], unix.MNT_DETACH))
	data, err := os.ReadFile(args[1])
	fmt.Println(string(data))
	return err
}

// openForWriting opens files for writing, but writes nothing.
func openForWriting(names []string) error {
	for _, name := range names {
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_NONBLOCK, 0)
		fmt.Printf("open %s: %v\n", name, err)
		if err == nil {
			fmt.Println(gained, name)
			unix.Close(fd)
		}
	}
	return nil
}

// swap exchanges two files in an endless loop.
func swap(args []string) error {
	for {
		for range 100 {
			_ = unix.Renameat2(unix.AT_FDCWD, args[0], unix.AT_FDCWD, args[1], unix.RENAME_EXCHANGE)
		}
	}
}

// rename renames one of its own files in an endless loop.
func rename(args []string) error {
	a, b := filepath.Join(args[0], "a"), filepath.Join(args[0], "b")
	if err := os.WriteFile(a, nil, 0o644); err != nil {
		return err
	}
	for {
		_ = os.Rename(a, b)
		_ = os.Rename(b, a)
	}
}

// ownProc lets a process in its own user namespace mount a procfs.
func ownProc(args []string) error {
	cmd := exec.Command("/bin/"+attackerName, append([]string{"mount-proc"}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// The ids stay unmapped, so that execve would drop the capabilities.
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID, AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
	}
	return cmd.Run()
}

// mountProc mounts a procfs and opens files there for writing.
func mountProc(args []string) error {
	const place = "/tmp"
	if err := unix.Mount("proc", place, "proc", 0, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	for i := range args {
		args[i] = filepath.Join(place, args[i])
	}
	return openForWriting(args)
}

// stopOthers stops every process that starts after it.
func stopOthers([]string) error {
	self := os.Getpid()
	fmt.Println("stopping")
	for {
		for pid := self + 1; pid < self+100; pid++ {
			_ = unix.Tgkill(self, pid, 0) // its own threads have numbers, too
			if unix.Tgkill(self, pid, 0) != nil {
				_ = unix.Kill(pid, unix.SIGSTOP)
			}
		}
	}
}

// fileID tells files apart.
func fileID(info os.FileInfo) string {
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
