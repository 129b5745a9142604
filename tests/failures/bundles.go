package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// plain is the bundle of `rt spec`.
func (w *world) plain(name string, args ...string) (*bundle, error) {
	s := spec.Default()
	s.Process.Terminal, s.Process.Args = false, args
	b, err := w.newBundle(name, s)
	if err != nil {
		return nil, err
	}
	return b, b.save()
}

// docker is the bundle that Docker makes, with its seccomp profile.
func (w *world) docker(name string, args ...string) (*bundle, error) {
	s, profile := new(specs.Spec), new(specs.LinuxSeccomp)
	for file, value := range map[string]any{"config.json": s, "seccomp.json": profile} {
		data, err := os.ReadFile(filepath.Join(testdata, "docker", file))
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, value); err != nil {
			return nil, err
		}
	}
	s.Process.Args, s.Linux.CgroupsPath, s.Linux.Seccomp = args, "", profile
	b, err := w.newBundle(name, s)
	if err != nil {
		return nil, err
	}
	return b, b.save()
}

// rootless is the bundle of an ordinary user without subordinate ids.
func (w *world) rootless(name string, args ...string) (*bundle, error) {
	s := spec.Default()
	s.Process.Terminal, s.Process.Args = false, args
	b, err := w.newBundle(name, s)
	if err != nil {
		return nil, err
	}
	b.user = 61234
	own := []specs.LinuxIDMapping{{ContainerID: 0, HostID: b.user, Size: 1}}
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings, s.Linux.GIDMappings = own, own
	s.Linux.Resources = nil
	for i := range s.Mounts { // the user has only one id
		s.Mounts[i].Options = slices.DeleteFunc(s.Mounts[i].Options, func(o string) bool { return o == "gid=5" })
	}
	return b, b.save()
}

func to[T any](v T) *T { return &v }

// everything is a bundle with as many features as one can have.
func (w *world) everything(name string, args ...string) (*bundle, error) {
	s := spec.Default()
	b, err := w.newBundle(name, s)
	if err != nil {
		return nil, err
	}
	agent, err := w.sink(name + ".agent")
	if err != nil {
		return nil, err
	}
	console, err := w.sink(name + ".console")
	if err != nil {
		return nil, err
	}
	b.flags = []string{"--console-socket", console}
	p, l := s.Process, s.Linux
	p.Terminal, p.Args = true, args
	p.ConsoleSize = &specs.Box{Height: 24, Width: 80}
	p.User = specs.User{UID: 0, GID: 0, AdditionalGids: []uint32{5}, Umask: to(uint32(0o27))}
	p.OOMScoreAdj = to(100)
	p.NoNewPrivileges = true
	p.Cwd = "/tmp"
	p.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 5}
	p.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 3}
	p.ExecCPUAffinity = nil
	p.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 256, Hard: 512}, {Type: "RLIMIT_CORE"}}
	s.Hostname, s.Domainname = "everything", "example.org"
	s.Root.Readonly = true
	hook := []specs.Hook{{Path: "/bin/true", Args: []string{"true"}, Timeout: to(20)}}
	inner := []specs.Hook{{Path: "/bin/true", Args: []string{"true"}, Timeout: to(20)}}
	s.Hooks = &specs.Hooks{CreateRuntime: hook, CreateContainer: hook, StartContainer: inner, Poststart: hook, Poststop: hook, Prestart: hook}
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	l.UIDMappings, l.GIDMappings = ids, ids
	l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace}, specs.LinuxNamespace{Type: specs.TimeNamespace})
	l.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 1000}, "boottime": {Secs: 1000}}
	l.RootfsPropagation = "rslave"
	l.Sysctl = map[string]string{"net.ipv4.ip_forward": "1", "kernel.msgmax": "8000"}
	l.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux}
	l.MemoryPolicy = nil
	l.MaskedPaths = append(l.MaskedPaths, "/etc/group", "/root")
	l.ReadonlyPaths = append(l.ReadonlyPaths, "/tmp")
	l.Devices = []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, FileMode: to(os.FileMode(0o666))}, {Path: "/dev/pipe", Type: "p"}}
	// The listener is for a call that nobody makes.
	l.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86},
		ListenerPath: agent, ListenerMetadata: "metadata",
		Syscalls: []specs.LinuxSyscall{{Names: []string{"acct"}, Action: specs.ActNotify}},
	}
	l.Resources.Memory = &specs.LinuxMemory{Limit: to(int64(256 << 20))}
	l.Resources.Pids = &specs.LinuxPids{Limit: to(int64(100))}
	s.Mounts = append(s.Mounts,
		specs.Mount{Destination: "/data", Source: filepath.Join(b.dir, "rootfs/data"), Options: []string{"rbind", "rro", "nosuid", "rslave"}},
		specs.Mount{Destination: "/etc/hosts", Source: filepath.Join(b.dir, "hosts"), Options: []string{"bind", "ro"}},
		specs.Mount{Destination: "/old", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup", "size=1m"}},
		specs.Mount{Destination: "/root", Source: filepath.Join(b.dir, "rootfs/data"), Options: []string{"bind", "idmap"}, UIDMappings: ids, GIDMappings: ids},
		specs.Mount{Destination: "/tmp/new/deep", Type: "tmpfs", Source: "tmpfs", Options: []string{"noatime", "mode=700"}},
	)
	s.Mounts = append([]specs.Mount{{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"}}, s.Mounts...)
	for i := range s.Mounts {
		if s.Mounts[i].Type == "cgroup" {
			s.Mounts[i].Options = []string{"nosuid", "noexec", "nodev", "relatime", "ro"}
		}
	}
	for _, d := range []string{b.dir, filepath.Join(b.dir, "rootfs")} {
		if err := os.Chmod(d, 0o755); err != nil {
			return nil, err
		}
	}
	return b, b.save()
}

// sink is a socket that takes every connection, and keeps what comes until the peer closes
// it: the agent of a seccomp filter, the reader of a terminal.
func (w *world) sink(name string) (string, error) {
	path := filepath.Join(w.dir, name)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		return "", err
	}
	w.agents = append(w.agents, l)
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go drain(c)
		}
	}()
	return path, nil
}

func drain(c *net.UnixConn) {
	defer c.Close()
	buffer, oob := make([]byte, 1<<16), make([]byte, 256)
	for {
		n, on, _, _, err := c.ReadMsgUnix(buffer, oob)
		if err != nil || n+on == 0 {
			return
		}
		controls, _ := unix.ParseSocketControlMessage(oob[:on])
		for i := range controls {
			fds, _ := unix.ParseUnixRights(&controls[i])
			for _, fd := range fds {
				_ = unix.SetNonblock(fd, true)
				go readAll(fd)
			}
		}
	}
}

// readAll empties a terminal, so that nobody waits for room in it. It keeps the master open
// for a while after the last user has closed the other side, or before the first opens it:
// without a master there is no terminal.
func readAll(fd int) {
	defer unix.Close(fd)
	buffer := make([]byte, 4096)
	for idle := 0; idle < 1000; {
		if n, err := unix.Read(fd, buffer); err != nil || n == 0 {
			idle++
			time.Sleep(2 * time.Millisecond)
			continue
		}
		idle = 0
	}
}
