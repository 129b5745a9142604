package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// feature is a change of the configuration that goes with all others.
type feature struct {
	name     string
	chance   float64
	possible func(l *lifecycle, m manner) bool
	apply    func(l *lifecycle)
}

// features are asked in this order: a later one may depend on an earlier.
var features = []feature{
	{"user namespace", 0.15, nil, func(l *lifecycle) {
		l.spec.Linux.Namespaces = append(l.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		l.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 200000, Size: 65536}}
		l.spec.Linux.GIDMappings = l.spec.Linux.UIDMappings
	}},
	{"terminal", 0.15, func(l *lifecycle, m manner) bool { return m.terminal && l.script.name != "writes much" }, func(l *lifecycle) {
		l.spec.Process.Terminal = true
		l.spec.Process.ConsoleSize = &specs.Box{Width: 80, Height: 24}
	}},
	{"no cgroup namespace", 0.1, nil, func(l *lifecycle) { l.drop(specs.CgroupNamespace) }},
	{"host's IPC", 0.05, own, func(l *lifecycle) { l.drop(specs.IPCNamespace); l.unmount("/dev/mqueue") }},
	{"host's network", 0.1, own, func(l *lifecycle) { l.drop(specs.NetworkNamespace) }},
	{"joined IPC", 0.05, ownAnd(specs.IPCNamespace), func(l *lifecycle) { l.join(specs.IPCNamespace, "ipc") }},
	{"joined network", 0.05, ownAnd(specs.NetworkNamespace), func(l *lifecycle) { l.join(specs.NetworkNamespace, "net") }},
	{"joined UTS", 0.05, own, func(l *lifecycle) { l.join(specs.UTSNamespace, "uts") }},
	{"time namespace", 0.05, own, func(l *lifecycle) {
		l.spec.Linux.Namespaces = append(l.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		l.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1000}}
	}},
	{"bind", 0.3, nil, func(l *lifecycle) {
		options := [][]string{{"rbind"}, {"bind", "ro"}, {"rbind", "nosuid", "nodev"}, {"bind", "ro", "noexec", "private"}, {"rbind", "rslave"}}
		l.mount("/data", "bind", filepath.Join(l.bundle, "source"), options[l.rng.IntN(len(options))]...)
	}},
	{"bind of a file", 0.15, nil, func(l *lifecycle) {
		l.mount("/file", "bind", filepath.Join(l.bundle, "source-file"), "bind", "ro")
	}},
	{"tmpfs", 0.2, nil, func(l *lifecycle) {
		options := [][]string{nil, {"ro"}, {"size=64k", "nosuid"}, {"mode=700", "noexec"}}
		l.mount("/data2", "tmpfs", "tmpfs", options[l.rng.IntN(len(options))]...)
	}},
	{"tmpcopyup", 0.1, nil, func(l *lifecycle) { l.mount("/copied", "tmpfs", "tmpfs", "tmpcopyup") }},
	{"read-only root", 0.15, nil, func(l *lifecycle) { l.spec.Root.Readonly = true }},
	{"more masked paths", 0.1, nil, func(l *lifecycle) {
		l.spec.Linux.MaskedPaths = append(l.spec.Linux.MaskedPaths, "/etc/group", "/copied", "/no/such")
		l.spec.Linux.ReadonlyPaths = append(l.spec.Linux.ReadonlyPaths, "/etc")
	}},
	{"propagation", 0.1, nil, func(l *lifecycle) {
		l.spec.Linux.RootfsPropagation = []string{"private", "slave", "rslave", "rprivate"}[l.rng.IntN(4)]
	}},
	{"Docker's seccomp profile", 0.2, nil, func(l *lifecycle) { l.spec.Linux.Seccomp = l.w.seccomp }},
	{"small seccomp profile", 0.1, nil, func(l *lifecycle) {
		errno := uint(1)
		l.spec.Linux.Seccomp = &specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow,
			Syscalls:      []specs.LinuxSyscall{{Names: []string{"getcwd", "syslog"}, Action: specs.ActErrno, ErrnoRet: &errno}},
		}
	}},
	{"new privileges", 0.2, nil, func(l *lifecycle) { l.spec.Process.NoNewPrivileges = false }},
	{"no capabilities", 0.1, nil, func(l *lifecycle) { l.spec.Process.Capabilities = nil }},
	{"other user", 0.15, nil, func(l *lifecycle) {
		l.spec.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{5, 7}}
	}},
	{"umask", 0.1, nil, func(l *lifecycle) { mask := uint32(0o77); l.spec.Process.User.Umask = &mask }},
	{"rlimits", 0.15, nil, func(l *lifecycle) {
		l.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 256, Hard: 512}, {Type: "RLIMIT_CORE"}}
	}},
	{"OOM score", 0.1, nil, func(l *lifecycle) { score := 500; l.spec.Process.OOMScoreAdj = &score }},
	{"sysctl", 0.1, func(l *lifecycle, m manner) bool {
		// A joined namespace, and the host's, have no sysctls of the container's.
		return !m.wrong && own(l, m) && slices.Contains(l.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	}, func(l *lifecycle) {
		l.spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"}
	}},
	{"environment and directory", 0.2, nil, func(l *lifecycle) {
		l.spec.Process.Cwd = "/tmp"
		for i := range 20 {
			l.spec.Process.Env = append(l.spec.Process.Env, fmt.Sprintf("VARIABLE%d=%d", i, l.k))
		}
	}},
	{"annotations", 0.1, nil, func(l *lifecycle) { l.spec.Annotations = map[string]string{"com.example.k": fmt.Sprint(l.k)} }},
	{"device", 0.15, own, func(l *lifecycle) {
		l.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/soak", Type: "c", Major: 1, Minor: 3}}
	}},
	{"device rules", 0.15, nil, func(l *lifecycle) {
		major, minor := int64(1), int64(3)
		l.spec.Linux.Resources.Devices = append(l.spec.Linux.Resources.Devices,
			specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &major, Minor: &minor, Access: "rwm"})
	}},
	{"hooks", 0.15, nil, func(l *lifecycle) {
		l.spec.Hooks = new(specs.Hooks)
		second := 20
		for i, phase := range hookPhases(l.spec.Hooks) {
			if l.chance(0.4) {
				*phase = []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >/dev/null"}, Timeout: &second}}
				l.drawn = append(l.drawn, []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}[i])
			}
		}
	}},
	{"memory limit", 0.15, controllers, func(l *lifecycle) {
		limit := int64(64 << 20)
		l.spec.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	}},
	{"CPU limits", 0.15, controllers, func(l *lifecycle) {
		shares, quota, period := uint64(512), int64(90000), uint64(100000)
		l.spec.Linux.Resources.CPU = &specs.LinuxCPU{Shares: &shares, Quota: &quota, Period: &period, Cpus: "0"}
	}},
	{"limit of processes", 0.15, controllers, func(l *lifecycle) {
		limit := int64(100)
		l.spec.Linux.Resources.Pids = &specs.LinuxPids{Limit: &limit}
	}},
	{"cgroup by path", 0.3, nil, func(l *lifecycle) { l.cgroup = "/" + l.id + "-path"; l.spec.Linux.CgroupsPath = l.cgroup }},
	{"no new keyring", 0.1, cli, func(l *lifecycle) { l.flags = append(l.flags, "--no-new-keyring") }},
}

// own says that the container has no user namespace, in which it might not touch what is the host's.
func own(l *lifecycle, _ manner) bool { return !l.has(specs.UserNamespace) }

func ownAnd(t specs.LinuxNamespaceType) func(*lifecycle, manner) bool {
	return func(l *lifecycle, m manner) bool { return own(l, m) && l.has(t) }
}

func controllers(l *lifecycle, _ manner) bool { return l.w.controllers }

func cli(_ *lifecycle, m manner) bool { return !m.library }

func (l *lifecycle) has(t specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(l.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t })
}

func (l *lifecycle) drop(t specs.LinuxNamespaceType) {
	l.spec.Linux.Namespaces = slices.DeleteFunc(l.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t })
}

func (l *lifecycle) join(t specs.LinuxNamespaceType, name string) {
	l.drop(t)
	l.spec.Linux.Namespaces = append(l.spec.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: l.w.joined(name)})
	if t == specs.UTSNamespace {
		l.spec.Hostname = ""
	}
}

func (l *lifecycle) mount(destination, kind, source string, options ...string) {
	l.spec.Mounts = append(l.spec.Mounts, specs.Mount{Destination: destination, Type: kind, Source: source, Options: options})
}

func (l *lifecycle) unmount(destination string) {
	l.spec.Mounts = slices.DeleteFunc(l.spec.Mounts, func(m specs.Mount) bool { return m.Destination == destination })
}

func hookPhases(h *specs.Hooks) []*[]specs.Hook {
	return []*[]specs.Hook{&h.Prestart, &h.CreateRuntime, &h.CreateContainer, &h.StartContainer, &h.Poststart, &h.Poststop}
}

// readSeccomp reads Docker's profile.
func readSeccomp(tests string) (*specs.LinuxSeccomp, error) {
	data, err := os.ReadFile(filepath.Join(tests, "testdata/docker/seccomp.json"))
	if err != nil {
		return nil, err
	}
	profile := new(specs.LinuxSeccomp)
	return profile, json.Unmarshal(data, profile)
}

// wrong is a fault in the configuration.
type wrong struct {
	name string
	// refused is a part of the message.
	refused string
	// early: create finds it, otherwise start.
	early bool
	apply func(l *lifecycle)
}

var wrongs = []wrong{
	{"namespace that does not exist", "/no/such", true, func(l *lifecycle) {
		l.drop(specs.NetworkNamespace)
		l.spec.Linux.Namespaces = append(l.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/no/such"})
	}},
	{"source that does not exist", "/no/such", true, func(l *lifecycle) { l.mount("/data", "bind", "/no/such", "bind") }},
	{"file system that nobody knows", "nosuchfs", true, func(l *lifecycle) { l.mount("/data", "nosuchfs", "none") }},
	{"option that nobody knows", "nosuch", true, func(l *lifecycle) { l.mount("/data", "tmpfs", "tmpfs", "nosuch") }},
	{"failing createRuntime hook", "hooks.createRuntime", true, func(l *lifecycle) {
		l.spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/false"}}}
	}},
	{"failing createContainer hook", "hooks.createContainer", true, func(l *lifecycle) {
		l.spec.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/true"}, {Path: "/bin/false"}}}
	}},
	{"failing startContainer hook", "hooks.startContainer", false, func(l *lifecycle) {
		l.spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/false"}}}
	}},
	{"limit that nobody knows", "RLIMIT_NOSUCH", true, func(l *lifecycle) {
		l.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOSUCH", Soft: 1, Hard: 1}}
	}},
	{"sysctl that does not exist", "kernel.nosuch", true, func(l *lifecycle) { l.spec.Linux.Sysctl = map[string]string{"kernel.nosuch": "1"} }},
	{"root that does not exist", "root.path", true, func(l *lifecycle) { l.spec.Root.Path = "no-such" }},
	{"no JSON", "config.json", true, func(l *lifecycle) {
		_ = os.WriteFile(filepath.Join(l.bundle, "config.json"), []byte(`{"ociVersion": "1.0.2", "process": {`), 0o644)
	}},
	{"program that does not exist", "/bin/nosuch", true, func(l *lifecycle) { l.spec.Process.Args = []string{"/bin/nosuch"} }},
	{"program that is none", "/etc/passwd", true, func(l *lifecycle) { l.spec.Process.Args = []string{"/etc/passwd"} }},
}
