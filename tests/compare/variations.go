package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// variation is one change of the configuration, or a few that belong together.
type variation struct {
	name   string
	change func(b *bundle)
	flags  []string
	// without are peers that are not compared, because they do something else.
	without []string
}

func (v *variation) skips(peer string) bool { return slices.Contains(v.without, peer) }

// variations are all of them, topic by topic.
func variations(w *world) []variation {
	var list []variation
	for _, topic := range []func(w *world) []variation{
		plain, bindOptions, newFileSystems, destinations, namespaces, users, capabilities, limitsOfProcesses,
		hooks, paths, deviceNodes, kernelParameters, roots, seccompProfiles, processes, resources,
	} {
		list = append(list, topic(w)...)
	}
	return list
}

func plain(*world) []variation {
	return []variation{
		{name: "default", change: func(*bundle) {}},
		{name: "no linux", change: func(b *bundle) { b.spec.Linux = nil; b.spec.Hostname = ""; b.spec.Mounts = b.spec.Mounts[:1] }},
		{name: "no mounts but proc", change: func(b *bundle) { b.spec.Mounts = b.spec.Mounts[:1] }},
		{name: "annotations", change: func(b *bundle) { b.spec.Annotations = map[string]string{"com.example.key": "value"} }},
	}
}

func mount(destination, kind, source string, options ...string) specs.Mount {
	return specs.Mount{Destination: destination, Type: kind, Source: source, Options: options}
}

func (b *bundle) mount(m specs.Mount) { b.spec.Mounts = append(b.spec.Mounts, m) }

// bindOptions are the options of bind mounts, alone and in pairs, with sources that have
// other flags.
func bindOptions(w *world) (list []variation) {
	options := []string{"ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "relatime", "nodiratime", "private", "rprivate", "slave", "rslave", "shared", "rshared"}
	bind := func(source string, options ...string) variation {
		return variation{
			name: "bind " + source + " " + strings.Join(options, ","),
			change: func(b *bundle) {
				b.mount(mount("/data", "bind", w.dir+"/"+source, append([]string{"rbind"}, options...)...))
			},
		}
	}
	for _, source := range []string{"plain", "closed", "readonly"} {
		list = append(list, bind(source))
		for i, one := range options {
			list = append(list, bind(source, one))
			for _, other := range options[i+1:] {
				// Contradictions are other variations; a mount has one propagation.
				if source == "readonly" || isPropagation(one) && isPropagation(other) || opposite(one, other) || (i+len(other))%2 == 0 && source == "closed" {
					continue
				}
				list = append(list, bind(source, one, other))
			}
		}
	}
	for _, pair := range [][]string{{"ro", "rw"}, {"rw", "ro"}, {"nosuid", "suid"}, {"exec", "noexec"}, {"noatime", "relatime"}} {
		list = append(list, bind("plain", pair...))
	}
	for _, kind := range []string{"bind", "none", ""} {
		list = append(list, variation{name: "bind type " + kind, change: func(b *bundle) { b.mount(mount("/data", kind, w.dir+"/plain", "bind")) }})
	}
	file := func(b *bundle) string {
		name := b.dir + "/file"
		_ = os.WriteFile(name, []byte("content"), 0o644)
		return name
	}
	return append(list,
		variation{name: "bind a file", change: func(b *bundle) { b.mount(mount("/data", "bind", file(b), "bind")) }},
		variation{name: "bind a file below", change: func(b *bundle) { b.mount(mount("/data/deep/file", "bind", file(b), "bind", "ro")) }},
		variation{name: "bind what is missing", change: func(b *bundle) { b.mount(mount("/data", "bind", "/no/such", "bind")) }},
		variation{name: "bind without a source", change: func(b *bundle) { b.mount(mount("/data", "bind", "", "bind")) }},
		variation{name: "bind relative", change: func(b *bundle) { _ = os.Mkdir(b.dir+"/rel", 0o755); b.mount(mount("/data", "bind", "rel", "bind")) }},
		variation{name: "bind onto a file", change: func(b *bundle) {
			_ = os.WriteFile(b.root("data"), nil, 0o600)
			b.mount(mount("/data", "bind", file(b), "bind"))
		}},
		variation{name: "bind a directory onto a file", change: func(b *bundle) {
			_ = os.WriteFile(b.root("data"), nil, 0o600)
			b.mount(mount("/data", "bind", w.dir+"/plain", "bind"))
		}},
		variation{name: "bind twice", change: func(b *bundle) {
			b.mount(mount("/data", "bind", w.dir+"/plain", "bind"))
			b.mount(mount("/data", "bind", w.dir+"/closed", "bind"))
		}},
	)
}

func isPropagation(o string) bool {
	return slices.Contains([]string{"private", "slave", "shared"}, strings.TrimPrefix(o, "r"))
}

func opposite(a, b string) bool {
	for _, pair := range []string{"ro rw", "nosuid suid", "nodev dev", "noexec exec", "noatime relatime"} {
		if pair == a+" "+b || pair == b+" "+a {
			return true
		}
	}
	return false
}

// newFileSystems are the options of those that are made for a container.
func newFileSystems(*world) (list []variation) {
	options := []string{"ro", "nosuid", "nodev", "noexec", "noatime", "size=64k", "mode=700", "mode=1777", "nr_inodes=100", "uid=5", "rprivate"}
	add := func(kind string, options ...string) {
		list = append(list, variation{name: kind + " " + strings.Join(options, ","), change: func(b *bundle) { b.mount(mount("/data", kind, kind, options...)) }})
	}
	add("tmpfs")
	for i, one := range options {
		add("tmpfs", one)
		for _, other := range options[i+1:] {
			if !strings.HasPrefix(one, "mode=") || !strings.HasPrefix(other, "mode=") {
				add("tmpfs", one, other)
			}
		}
	}
	for _, wrong := range []string{"nosuch", "size=x", "mode=9", "readonly"} {
		add("tmpfs", wrong)
	}
	for _, kind := range []string{"proc", "sysfs", "mqueue", "devpts"} {
		add(kind)
		add(kind, "ro")
		add(kind, "nosuid", "noexec", "nodev")
	}
	add("nosuchfs")
	list = append(list,
		variation{name: "tmpfs with a mode below", change: func(b *bundle) {
			_ = os.Mkdir(b.root("data"), 0o700)
			_ = os.Chmod(b.root("data"), 0o2750)
			b.mount(mount("/data", "tmpfs", "tmpfs"))
		}},
		variation{name: "tmpfs in tmpfs", change: func(b *bundle) {
			b.mount(mount("/data", "tmpfs", "tmpfs"))
			b.mount(mount("/data/below", "tmpfs", "tmpfs", "mode=711"))
		}},
		variation{name: "read-only tmpfs in which one is mounted", change: func(b *bundle) {
			b.mount(mount("/data", "tmpfs", "tmpfs", "ro"))
			b.mount(mount("/data/below", "tmpfs", "tmpfs"))
		}},
		variation{name: "read-only dev", change: func(b *bundle) { b.spec.Mounts[1].Options = append(b.spec.Mounts[1].Options, "ro") }},
		variation{name: "tmpcopyup", change: func(b *bundle) {
			_ = os.MkdirAll(b.root("data/dir"), 0o711)
			_ = os.Symlink("dir", b.root("data/link"))
			_ = os.WriteFile(b.root("data/file"), []byte("x"), 0o604)
			b.mount(mount("/data", "tmpfs", "tmpfs", "tmpcopyup"))
		}},
	)
	return list
}

// destinations are places that do not exist, or lead elsewhere.
func destinations(w *world) (list []variation) {
	bind := func(name, destination string, prepare func(b *bundle)) {
		list = append(list, variation{name: "destination " + name, change: func(b *bundle) {
			if prepare != nil {
				prepare(b)
			}
			b.mount(mount(destination, "bind", w.dir+"/plain", "bind"))
		}})
	}
	link := func(target, name string) func(b *bundle) {
		return func(b *bundle) { _ = os.Symlink(target, b.root(name)) }
	}
	bind("deep", "/data/a/b/c", nil)
	bind("with dots", "/data/../data/./x", nil)
	bind("above the root", "/../../data", nil)
	bind("a symlink", "/link", link("data", "link"))
	bind("an absolute symlink", "/link", link("/data", "link"))
	bind("a symlink out of the root", "/link", link("../../../data", "link"))
	bind("below a symlink", "/link/x", link("data", "link"))
	bind("a circle", "/link", link("link", "link"))
	bind("proc", "/proc", nil)
	bind("in proc", "/proc/sys", nil)
	bind("proc by a symlink", "/link", link("/proc", "link"))
	bind("in proc by a symlink", "/link/sys", link("/proc", "link"))
	bind("sys", "/sys", nil)
	bind("in sys", "/sys/kernel", nil)
	bind("dev", "/dev", nil)
	bind("in dev", "/dev/there", nil)
	bind("the root", "/", nil)
	for _, file := range []string{"cpuinfo", "meminfo", "uptime", "loadavg", "kcore", "version", "self/attr"} {
		list = append(list, variation{name: "a file on /proc/" + file, change: func(b *bundle) {
			name := b.dir + "/file"
			_ = os.WriteFile(name, nil, 0o644)
			b.mount(mount("/proc/"+file, "bind", name, "bind"))
		}})
	}
	return list
}

// namespaces are new, joined or the host's, alone and in pairs.
func namespaces(w *world) (list []variation) {
	types := []struct {
		typ  specs.LinuxNamespaceType
		file string
	}{{specs.PIDNamespace, "pid"}, {specs.NetworkNamespace, "net"}, {specs.IPCNamespace, "ipc"}, {specs.UTSNamespace, "uts"}, {specs.CgroupNamespace, "cgroup"}}
	hows := []string{"new", "host", "joined"}
	set := func(b *bundle, n int, how string) {
		t := types[n]
		b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t.typ })
		switch how {
		case "new":
			b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: t.typ})
		case "joined":
			b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: t.typ, Path: w.joined(t.file)})
		}
		if t.typ == specs.UTSNamespace && how == "host" {
			b.spec.Hostname = ""
		}
	}
	for i := range types {
		for _, one := range hows {
			if one == "joined" && types[i].file == "cgroup" {
				continue
			}
			list = append(list, variation{name: fmt.Sprintf("%s=%s", types[i].file, one), change: func(b *bundle) { set(b, i, one) }})
			for j := i + 1; j < len(types); j++ {
				for _, other := range hows {
					if other == "joined" && types[j].file == "cgroup" || one == "new" && other == "new" {
						continue
					}
					list = append(list, variation{
						name:   fmt.Sprintf("%s=%s %s=%s", types[i].file, one, types[j].file, other),
						change: func(b *bundle) { set(b, i, one); set(b, j, other) },
					})
				}
			}
		}
	}
	user := func(b *bundle) {
		b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 200000, Size: 65536}}
		b.spec.Linux.GIDMappings = b.spec.Linux.UIDMappings
		_ = os.Chown(b.root(""), 200000, 200000)
		for _, dir := range []string{b.world.dir, b.dir} {
			_ = os.Chmod(dir, 0o711)
		}
	}
	list = append(list,
		variation{name: "user=new", change: user},
		variation{name: "user=new with a bind", change: func(b *bundle) { user(b); b.mount(mount("/data", "bind", w.dir+"/plain", "rbind", "ro")) }},
		variation{name: "user=new with a tmpfs", change: func(b *bundle) { user(b); b.mount(mount("/data", "tmpfs", "tmpfs", "mode=750")) }},
		variation{name: "user=new as another user", change: func(b *bundle) { user(b); b.spec.Process.User = specs.User{UID: 1000, GID: 1000} }},
		variation{name: "user=new without mappings", change: func(b *bundle) { user(b); b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = nil, nil }},
		variation{name: "mappings without user", change: func(b *bundle) { b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 1000, Size: 1}} }},
		variation{name: "namespace twice", change: func(b *bundle) { b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, b.spec.Linux.Namespaces[0]) }},
		variation{name: "namespace of an unknown type", change: func(b *bundle) {
			b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: "nosuch"})
		}},
		variation{name: "namespace that is missing", change: func(b *bundle) { b.spec.Linux.Namespaces[1].Path = "/no/such" }},
		variation{name: "namespace that is none", change: func(b *bundle) { b.spec.Linux.Namespaces[1].Path = "/etc/passwd" }},
		variation{name: "namespace of another type", change: func(b *bundle) { b.spec.Linux.Namespaces[1].Path = w.joined("uts") }},
	)
	return list
}

func users(*world) (list []variation) {
	masks := []uint32{0, 0o77, 0o777}
	for _, u := range []specs.User{{}, {UID: 1000}, {GID: 1000}, {UID: 1000, GID: 1000}, {UID: 5, AdditionalGids: []uint32{7, 9}}, {AdditionalGids: []uint32{0, 4}}, {UID: 4294967294, GID: 4294967294}} {
		list = append(list, variation{name: fmt.Sprintf("user %d:%d %v", u.UID, u.GID, u.AdditionalGids), change: func(b *bundle) { b.spec.Process.User = u }})
	}
	for _, m := range masks {
		list = append(list, variation{name: fmt.Sprintf("umask %#o", m), change: func(b *bundle) { b.spec.Process.User.Umask = &m }})
	}
	return list
}

func capabilities(*world) (list []variation) {
	sets := []struct {
		name string
		of   func(c *specs.LinuxCapabilities) *[]string
	}{
		{"bounding", func(c *specs.LinuxCapabilities) *[]string { return &c.Bounding }},
		{"effective", func(c *specs.LinuxCapabilities) *[]string { return &c.Effective }},
		{"permitted", func(c *specs.LinuxCapabilities) *[]string { return &c.Permitted }},
		{"inheritable", func(c *specs.LinuxCapabilities) *[]string { return &c.Inheritable }},
		{"ambient", func(c *specs.LinuxCapabilities) *[]string { return &c.Ambient }},
	}
	list = append(list,
		variation{name: "capabilities none", change: func(b *bundle) { b.spec.Process.Capabilities = nil }},
		variation{name: "capabilities empty", change: func(b *bundle) { b.spec.Process.Capabilities = new(specs.LinuxCapabilities) }},
	)
	for _, uid := range []uint32{0, 1000} {
		for bits := 1; bits < 1<<len(sets); bits++ {
			var names []string
			for i, s := range sets {
				if bits&(1<<i) != 0 {
					names = append(names, s.name)
				}
			}
			list = append(list, variation{name: fmt.Sprintf("CAP_CHOWN of %d in %s", uid, strings.Join(names, ",")), change: func(b *bundle) {
				b.spec.Process.User.UID = uid
				b.spec.Process.Capabilities = new(specs.LinuxCapabilities)
				for i, s := range sets {
					if bits&(1<<i) != 0 {
						*s.of(b.spec.Process.Capabilities) = []string{"CAP_CHOWN"}
					}
				}
			}})
		}
	}
	return append(list,
		variation{name: "capability that nobody knows", change: func(b *bundle) {
			b.spec.Process.Capabilities.Effective = append(b.spec.Process.Capabilities.Effective, "CAP_NOSUCH")
		}},
		variation{name: "no new privileges", change: func(b *bundle) { b.spec.Process.NoNewPrivileges = true }},
		variation{name: "new privileges", change: func(b *bundle) { b.spec.Process.NoNewPrivileges = false }},
	)
}

func limitsOfProcesses(*world) (list []variation) {
	for _, typ := range []string{"NOFILE", "CORE", "NPROC", "FSIZE", "MEMLOCK", "STACK"} {
		for _, value := range []uint64{0, 64, 1 << 20} {
			if typ == "NOFILE" && value == 0 || typ == "STACK" && value < 1<<20 || typ == "NPROC" && value == 0 || typ == "FSIZE" && value == 0 {
				continue // the probe itself could not run
			}
			list = append(list, variation{name: fmt.Sprintf("limit %s %d", typ, value), change: func(b *bundle) {
				b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_" + typ, Soft: value, Hard: value}}
			}})
		}
	}
	return append(list,
		variation{name: "limit soft above hard", change: func(b *bundle) { b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 5, Hard: 1}} }},
		variation{name: "limit twice", change: func(b *bundle) {
			b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 5, Hard: 5}, {Type: "RLIMIT_CORE", Soft: 4, Hard: 4}}
		}},
		variation{name: "limit that nobody knows", change: func(b *bundle) {
			b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOSUCH", Soft: 5, Hard: 5}}
		}},
	)
}

// hooks that succeed, fail, are late, or do not exist, in every phase.
func hooks(*world) (list []variation) {
	phases := []struct {
		name string
		of   func(h *specs.Hooks) *[]specs.Hook
	}{
		{"prestart", func(h *specs.Hooks) *[]specs.Hook { return &h.Prestart }},
		{"createRuntime", func(h *specs.Hooks) *[]specs.Hook { return &h.CreateRuntime }},
		{"createContainer", func(h *specs.Hooks) *[]specs.Hook { return &h.CreateContainer }},
		{"poststart", func(h *specs.Hooks) *[]specs.Hook { return &h.Poststart }},
		{"poststop", func(h *specs.Hooks) *[]specs.Hook { return &h.Poststop }},
	}
	one := 1
	kinds := []struct {
		name string
		hook specs.Hook
	}{
		{"good", specs.Hook{Path: "/bin/true"}},
		{"failing", specs.Hook{Path: "/bin/false"}},
		{"late", specs.Hook{Path: "/bin/sleep", Args: []string{"sleep", "10"}, Timeout: &one}},
		{"missing", specs.Hook{Path: "/no/such"}},
		{"no program", specs.Hook{Path: "/etc/passwd"}},
		{"with a bare word in env", specs.Hook{Path: "/bin/true", Env: []string{"WORD"}}},
		{"that tells its input", specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "grep -q '\"status\"' && grep -q . /dev/null; cat > /dev/null"}}},
	}
	for _, p := range phases {
		for _, k := range kinds {
			list = append(list, variation{name: p.name + " hook " + k.name, change: func(b *bundle) {
				b.spec.Hooks = new(specs.Hooks)
				*p.of(b.spec.Hooks) = []specs.Hook{k.hook}
			}})
		}
	}
	return append(list,
		variation{name: "startContainer hook", change: func(b *bundle) {
			b.spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/" + probeName, Args: []string{probeName}}}}
		}},
		variation{name: "startContainer hook missing", change: func(b *bundle) {
			b.spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/no/such"}}}
		}},
		variation{name: "createRuntime hook changes the root", change: func(b *bundle) {
			b.spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "echo from a hook > " + b.root("hooks")}}}}
		}},
		variation{name: "hook with a relative path", change: func(b *bundle) {
			b.spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "bin/true"}}}
		}},
	)
}

func paths(*world) (list []variation) {
	for _, name := range []string{"/proc/kcore", "/sys/firmware", "/masked", "/masked/file", "/no/such", "/proc", "/etc/passwd"} {
		list = append(list,
			variation{name: "masked " + name, change: func(b *bundle) { b.spec.Linux.MaskedPaths = []string{name} }},
			variation{name: "read-only " + name, change: func(b *bundle) { b.spec.Linux.ReadonlyPaths = []string{name} }})
	}
	return append(list,
		variation{name: "no masked paths", change: func(b *bundle) { b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil }},
		variation{name: "masked by a symlink", change: func(b *bundle) {
			_ = os.Symlink("/masked", b.root("link"))
			b.spec.Linux.MaskedPaths = []string{"/link"}
		}},
	)
}

func deviceNodes(*world) (list []variation) {
	mode, id := os.FileMode(0o600), uint32(7)
	for name, d := range map[string]specs.LinuxDevice{
		"fuse":           {Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229},
		"with a mode":    {Path: "/dev/there", Type: "c", Major: 1, Minor: 3, FileMode: &mode},
		"with an owner":  {Path: "/dev/there", Type: "c", Major: 1, Minor: 3, UID: &id, GID: &id},
		"block":          {Path: "/dev/there", Type: "b", Major: 7, Minor: 0},
		"fifo":           {Path: "/dev/there", Type: "p"},
		"u":              {Path: "/dev/there", Type: "u", Major: 1, Minor: 5},
		"in a directory": {Path: "/dev/a/b/there", Type: "c", Major: 1, Minor: 5},
		"elsewhere":      {Path: "/data/null", Type: "c", Major: 1, Minor: 3},
		"a default one":  {Path: "/dev/null", Type: "c", Major: 1, Minor: 3, FileMode: &mode},
		"unknown type":   {Path: "/dev/there", Type: "x", Major: 1, Minor: 3},
		"without a path": {Type: "c", Major: 1, Minor: 3},
	} {
		list = append(list, variation{name: "device " + name, change: func(b *bundle) { b.spec.Linux.Devices = []specs.LinuxDevice{d} }})
	}
	slices.SortFunc(list, func(a, b variation) int { return strings.Compare(a.name, b.name) })
	return append(list, variation{name: "device over a file", change: func(b *bundle) {
		_ = os.WriteFile(b.root("file"), nil, 0o600)
		b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/file", Type: "c", Major: 1, Minor: 3}}
	}})
}

func kernelParameters(*world) (list []variation) {
	for name, value := range map[string]string{"kernel.msgmax": "9000", "net.ipv4.ip_forward": "1", "kernel/msgmax": "9001", "kernel.hostname": "x", "vm.swappiness": "1", "no.such": "1"} {
		list = append(list, variation{name: "sysctl " + name, change: func(b *bundle) { b.spec.Linux.Sysctl = map[string]string{name: value} }})
	}
	slices.SortFunc(list, func(a, b variation) int { return strings.Compare(a.name, b.name) })
	return list
}

func roots(*world) (list []variation) {
	for _, propagation := range []string{"", "private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "nosuch"} {
		for _, readonly := range []bool{false, true} {
			list = append(list, variation{name: fmt.Sprintf("root %s readonly=%v", propagation, readonly), change: func(b *bundle) {
				b.spec.Linux.RootfsPropagation, b.spec.Root.Readonly = propagation, readonly
			}})
		}
	}
	return append(list,
		variation{name: "root without a path", change: func(b *bundle) { b.spec.Root.Path = "" }},
		variation{name: "root that is missing", change: func(b *bundle) { b.spec.Root.Path = "nosuch" }},
		variation{name: "root that is a file", change: func(b *bundle) { b.spec.Root.Path = "config.json" }},
		variation{name: "root by its absolute path", change: func(b *bundle) { b.spec.Root.Path = b.root("") }},
		variation{name: "root by a symlink", change: func(b *bundle) { _ = os.Symlink("rootfs", b.dir+"/link"); b.spec.Root.Path = "link" }},
		variation{name: "no pivot", change: func(*bundle) {}, flags: []string{"--no-pivot"}},
		variation{name: "no new keyring", change: func(*bundle) {}, flags: []string{"--no-new-keyring"}},
	)
}

func seccompProfiles(*world) (list []variation) {
	errno := uint(unix.EXDEV)
	profile := func(name string, s specs.LinuxSeccomp) {
		list = append(list, variation{name: "seccomp " + name, change: func(b *bundle) { b.spec.Linux.Seccomp = &s }})
	}
	profile("allow", specs.LinuxSeccomp{DefaultAction: specs.ActAllow})
	for _, action := range []specs.LinuxSeccompAction{specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActTrap, specs.ActLog, specs.ActTrace} {
		profile("umask "+string(action), specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"umask"}, Action: action}}})
	}
	profile("errno", specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"uname"}, Action: specs.ActErrno, ErrnoRet: &errno}}})
	profile("unknown call", specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"nosuchcall"}, Action: specs.ActErrno}}})
	profile("unknown action", specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_NOSUCH"})
	profile("unknown architecture", specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{"SCMP_ARCH_NOSUCH"}})
	profile("architectures", specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchAARCH64}})
	profile("arguments", specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"umask"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 1, Op: specs.OpEqualTo}}}}})
	return list
}

func processes(*world) []variation {
	return []variation{
		{name: "cwd", change: func(b *bundle) { b.spec.Process.Cwd = "/tmp" }},
		{name: "cwd that is made", change: func(b *bundle) { b.spec.Process.Cwd = "/made/cwd" }},
		{name: "cwd relative", change: func(b *bundle) { b.spec.Process.Cwd = "tmp" }},
		{name: "cwd that is a file", change: func(b *bundle) { b.spec.Process.Cwd = "/etc/passwd" }},
		{name: "no args", change: func(b *bundle) { b.spec.Process.Args = nil }},
		{name: "a program that is missing", change: func(b *bundle) { b.spec.Process.Args = []string{"/no/such"} }},
		{name: "a program in PATH", change: func(b *bundle) { b.spec.Process.Args[0] = probeName }},
		{name: "a program that is not in PATH", change: func(b *bundle) { b.spec.Process.Args = []string{"nosuch"} }},
		{name: "a program that is none", change: func(b *bundle) { b.spec.Process.Args = []string{"/etc/passwd"} }},
		{name: "a program that is a directory", change: func(b *bundle) { b.spec.Process.Args = []string{"/etc"} }},
		{name: "no PATH", change: func(b *bundle) {
			b.spec.Process.Env = b.spec.Process.Env[len(b.spec.Process.Env)-1:]
			b.spec.Process.Args[0] = probeName
		}},
		{name: "environment twice", change: func(b *bundle) { b.spec.Process.Env = append(b.spec.Process.Env, "A=1", "A=2") }},
		{name: "environment without a value", change: func(b *bundle) { b.spec.Process.Env = append(b.spec.Process.Env, "A=") }},
		{name: "environment without a sign", change: func(b *bundle) { b.spec.Process.Env = append(b.spec.Process.Env, "A") }},
		{name: "HOME of a user", change: func(b *bundle) { b.spec.Process.User.UID = 1000 }},
		{name: "HOME of nobody", change: func(b *bundle) { b.spec.Process.User.UID = 77 }},
		{name: "HOME empty", change: func(b *bundle) { b.spec.Process.Env = append(b.spec.Process.Env, "HOME=") }},
		{name: "HOME given", change: func(b *bundle) { b.spec.Process.Env = append(b.spec.Process.Env, "HOME=/there") }},
		{name: "hostname", change: func(b *bundle) { b.spec.Hostname = "another" }},
		{name: "hostname without a namespace", change: func(b *bundle) {
			b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UTSNamespace })
		}},
		{name: "oom score", change: func(b *bundle) { n := 500; b.spec.Process.OOMScoreAdj = &n }},
		{name: "oom score too high", change: func(b *bundle) { n := 5000; b.spec.Process.OOMScoreAdj = &n }},
		{name: "personality", change: func(b *bundle) { b.spec.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32} }},
		{name: "terminal without one", change: func(b *bundle) { b.spec.Process.Terminal = true }},
		{name: "no process", change: func(b *bundle) { b.spec.Process = nil }},
	}
}

func resources(*world) (list []variation) {
	number := func(n int64) *int64 { return &n }
	positive := func(n uint64) *uint64 { return &n }
	weight := func(n uint16) *uint16 { return &n }
	for name, r := range map[string]specs.LinuxResources{
		"pids":                    {Pids: &specs.LinuxPids{Limit: number(100)}},
		"pids -1":                 {Pids: &specs.LinuxPids{Limit: number(-1)}},
		"pids -2":                 {Pids: &specs.LinuxPids{Limit: number(-2)}},
		"memory":                  {Memory: &specs.LinuxMemory{Limit: number(64 << 20)}},
		"memory -1":               {Memory: &specs.LinuxMemory{Limit: number(-1)}},
		"swappiness":              {Memory: &specs.LinuxMemory{Swappiness: positive(60)}},
		"swappiness 101":          {Memory: &specs.LinuxMemory{Swappiness: positive(101)}},
		"swappiness -1":           {Memory: &specs.LinuxMemory{Swappiness: positive(1<<64 - 1)}},
		"shares":                  {CPU: &specs.LinuxCPU{Shares: positive(512)}},
		"quota":                   {CPU: &specs.LinuxCPU{Quota: number(50000), Period: positive(100000)}},
		"quota -1":                {CPU: &specs.LinuxCPU{Quota: number(-1)}},
		"cpus":                    {CPU: &specs.LinuxCPU{Cpus: "0"}},
		"cpus that are not there": {CPU: &specs.LinuxCPU{Cpus: "900"}},
		"weight":                  {BlockIO: &specs.LinuxBlockIO{Weight: weight(300)}},
		"devices":                 {Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}},
		"a device":                {Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}, {Allow: true, Type: "c", Major: number(10), Minor: number(229), Access: "rw"}}},
		"network":                 {Network: &specs.LinuxNetwork{}},
	} {
		list = append(list, variation{name: "resources " + name, change: func(b *bundle) { b.spec.Linux.Resources = &r }})
	}
	for name, path := range map[string]string{"relative": "rt-compare-below/%s", "absolute": "/rt-compare-below/%s", "with dots": "/rt-compare-below/x/../%s"} {
		list = append(list, variation{name: "cgroup " + name, change: func(b *bundle) { b.spec.Linux.CgroupsPath = fmt.Sprintf(path, b.id) }})
	}
	slices.SortFunc(list, func(a, b variation) int { return strings.Compare(a.name, b.name) })
	return list
}
