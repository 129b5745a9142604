package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestDefaultBundle(t *testing.T) {
	b := newBundle(t, `echo $$ $(hostname) $(id -u):$(id -g) $(pwd) $HOME; ip -o link | wc -l`)
	out := lines(b.run())
	want(t, "identity", out[0], "1 rt 0:0 / /")
	want(t, "network interfaces", out[1], "1")
}

func TestLoopbackIsUp(t *testing.T) {
	b := newBundle(t, `ip -o addr show lo`)
	if out := b.run(); !strings.Contains(out, "127.0.0.1") {
		t.Errorf("lo has no address: %s", out)
	}
}

// namespaceLinks prints the container's namespaces in a fixed order.
const namespaceLinks = `for n in user cgroup ipc uts net pid time mnt; do readlink /proc/self/ns/$n; done`

var namespaceFiles = []string{"user", "cgroup", "ipc", "uts", "net", "pid", "time", "mnt"}

func TestAllNamespacesAreNew(t *testing.T) {
	b := newBundle(t, namespaceLinks)
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace}, specs.LinuxNamespace{Type: specs.TimeNamespace})
	b.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1000}}
	mapped(b)
	for i, link := range lines(b.run()) {
		if own, _ := os.Readlink("/proc/self/ns/" + namespaceFiles[i]); link == own {
			t.Errorf("the %s namespace is the host's", namespaceFiles[i])
		}
	}
}

// mapped gives the bundle's user namespace a mapping and the root file system to its root.
func mapped(b *bundle) {
	const host, size = 200000, 65536
	b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: host, Size: size}}
	b.spec.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: host, Size: size}}
	must(b.t, os.Lchown(b.path(""), host, host))
	for dir := filepath.Dir(b.path("")); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must(b.t, os.Chmod(dir, 0o711))
	}
}

func TestInheritedNamespaces(t *testing.T) {
	b := newBundle(t, namespaceLinks)
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	b.spec.Hostname = ""
	for i, link := range lines(b.run()) {
		own, _ := os.Readlink("/proc/self/ns/" + namespaceFiles[i])
		if name := namespaceFiles[i]; (link == own) != (name != "mnt") {
			t.Errorf("%s namespace: container %s, host %s", name, link, own)
		}
	}
}

func TestNoMountNamespace(t *testing.T) {
	b := newBundle(t, `readlink /proc/self/ns/mnt; ls -d /dev/null`)
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.UTSNamespace}}
	b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil
	own, _ := os.Readlink("/proc/self/ns/mnt")
	want(t, "mount namespace", lines(b.run())[0], own)
	must(t, os.Symlink("rootfs", filepath.Join(b.dir, "link")))
	b.spec.Root.Path = "link"
	want(t, "mount namespace", lines(b.run())[0], own)
	b.noTrace()
}

// config.md: the object linux is optional.
func TestNoLinuxObject(t *testing.T) {
	b := newBundle(t, "echo here")
	b.spec.Linux, b.spec.Hostname, b.spec.Mounts = nil, "", nil
	want(t, "output", b.run(), "here")
	b.create()
	b.ok("start", b.id)
	b.waitFor(specs.StateStopped)
	b.ok("delete", b.id)
	b.noTrace()
}

// holder is a container whose namespaces others join.
func holder(t *testing.T, types ...specs.LinuxNamespaceType) (*bundle, func(specs.LinuxNamespaceType) string) {
	b := newBundle(t, "sleep 1000")
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	b.spec.Hostname = ""
	for _, typ := range types {
		if typ != specs.MountNamespace {
			b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: typ})
		}
		if typ == specs.UserNamespace {
			mapped(b)
		}
	}
	b.create()
	pid := b.state().Pid
	return b, func(typ specs.LinuxNamespaceType) string {
		name := map[specs.LinuxNamespaceType]string{specs.NetworkNamespace: "net", specs.MountNamespace: "mnt"}[typ]
		if name == "" {
			name = string(typ)
		}
		return fmt.Sprintf("/proc/%d/ns/%s", pid, name)
	}
}

func TestJoinNamespaces(t *testing.T) {
	types := []specs.LinuxNamespaceType{
		specs.CgroupNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace, specs.PIDNamespace, specs.TimeNamespace,
	}
	_, path := holder(t, types...)
	b := newBundle(t, namespaceLinks)
	b.spec.Hostname = ""
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	for _, typ := range types {
		b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: typ, Path: path(typ)})
	}
	for i, link := range lines(b.run()) {
		name := namespaceFiles[i]
		typ := specs.LinuxNamespaceType(name)
		switch name {
		case "user", "mnt":
			continue
		case "net":
			typ = specs.NetworkNamespace
		}
		theirs, err := os.Readlink(path(typ))
		must(t, err)
		want(t, name+" namespace", link, theirs)
	}
}

func TestJoinUserNamespaceAndOthers(t *testing.T) {
	_, path := holder(t, specs.UserNamespace, specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace)
	b := newBundle(t, `id -u; readlink /proc/self/ns/user; readlink /proc/self/ns/net`)
	b.spec.Hostname = ""
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{
		{Type: specs.MountNamespace}, {Type: specs.PIDNamespace}, {Type: specs.IPCNamespace, Path: path(specs.IPCNamespace)},
		{Type: specs.NetworkNamespace, Path: path(specs.NetworkNamespace)}, {Type: specs.UserNamespace, Path: path(specs.UserNamespace)},
	}
	mapped(b)
	b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = nil, nil
	out := lines(b.run())
	user, _ := os.Readlink(path(specs.UserNamespace))
	network, _ := os.Readlink(path(specs.NetworkNamespace))
	want(t, "user", out[0], "0")
	want(t, "user namespace", out[1], user)
	want(t, "network namespace", out[2], network)
}

func TestNewUserNamespaceWithAHostNetwork(t *testing.T) {
	_, path := holder(t, specs.NetworkNamespace)
	b := newBundle(t, `id -u; readlink /proc/self/ns/net; echo $$`)
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{
		{Type: specs.MountNamespace}, {Type: specs.PIDNamespace}, {Type: specs.UTSNamespace}, {Type: specs.IPCNamespace},
		{Type: specs.UserNamespace},
		{Type: specs.NetworkNamespace, Path: path(specs.NetworkNamespace)},
	}
	// Only the owner of the network namespace may mount sysfs.
	for i, m := range b.spec.Mounts {
		if m.Type == "sysfs" {
			b.spec.Mounts = append(b.spec.Mounts[:i], b.spec.Mounts[i+2:]...)
			break
		}
	}
	mapped(b)
	out := lines(b.run())
	network, _ := os.Readlink(path(specs.NetworkNamespace))
	want(t, "user", out[0], "0")
	want(t, "network namespace", out[1], network)
	want(t, "pid", out[2], "1")
}

func TestUserNamespaceMapping(t *testing.T) {
	b := newBundle(t, `cat /proc/self/uid_map; id -u; touch /dev/shm/x; stat -c %u /dev/shm/x; echo > /dev/null && echo null works`)
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	mapped(b)
	out := lines(b.run())
	want(t, "map", strings.Join(strings.Fields(out[0]), " "), "0 200000 65536")
	want(t, "user", out[1], "0")
	want(t, "owner of a new file", out[2], "0")
	want(t, "/dev/null", out[3], "null works")
}

// A container's processes share a session keyring, which is not the caller's.
func TestSessionKeyring(t *testing.T) {
	for name, userNamespace := range map[string]bool{"host's users": false, "own users": true} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, "sleep 1000")
			b.spec.Linux.MaskedPaths = nil // one of them is /proc/keys
			if userNamespace {
				b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
				mapped(b)
			}
			b.spec.Process.User.UID = 7
			b.spec.Process.Args = []string{"sh", "-c", keyrings(b) + "; exec sleep 1000"}
			out := b.path("out")
			b.write()
			f, err := os.Create(out)
			must(t, err)
			defer f.Close()
			cmd := b.command("create", b.id)
			cmd.Stdout = f
			must(t, cmd.Run())
			b.ok("start", b.id)
			var first string
			eventually(t, "the container has a keyring", func() bool {
				text, err := os.ReadFile(out)
				first = string(text)
				return err == nil && strings.HasSuffix(first, "\n")
			})
			want(t, "of another process", b.ok("exec", b.id, "sh", "-c", keyrings(b)), strings.TrimSpace(first))
			b.ok("delete", "--force", b.id)

			b.spec.Process.Args = []string{"sh", "-c", keyrings(b) + "; echo none"}
			b.write()
			want(t, "the caller's", b.ok("run", "--no-new-keyring", b.id), "none")
		})
	}
}

// keyrings is a command that lists the session keyrings of the container: the
// number and the uid of each.
func keyrings(b *bundle) string { return "awk '/_ses." + b.id + "/ { print $1, $6 }' /proc/keys" }

func TestTimeOffsets(t *testing.T) {
	b := newBundle(t, `cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets | tr -s ' '`)
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
	b.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1000000, Nanosecs: 5}, "monotonic": {Secs: 7}}
	var seconds int
	out := b.run()
	if _, err := fmt.Sscan(out, &seconds); err != nil || seconds < 1000000 {
		t.Errorf("uptime is %d s (%v)", seconds, err)
	}
	for _, line := range []string{"monotonic 7 0\n", "boottime 1000000 5\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in %q", line, out)
		}
	}
}

func TestDefaultMountsAndDevices(t *testing.T) {
	b := newBundle(t, `mount | cut -d' ' -f3,5; stat -c '%n %F %t:%T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; `+
		`for l in fd stdin stdout stderr core ptmx; do echo $l $(readlink /dev/$l); done`)
	out := b.run()
	for _, line := range []string{
		"/proc proc", "/dev tmpfs", "/dev/pts devpts", "/dev/shm tmpfs", "/dev/mqueue mqueue", "/sys sysfs",
		"/dev/null character special file 1:3 666", "/dev/zero character special file 1:5 666", "/dev/full character special file 1:7 666",
		"/dev/random character special file 1:8 666", "/dev/urandom character special file 1:9 666", "/dev/tty character special file 5:0 666",
		"fd /proc/self/fd", "stdin /proc/self/fd/0", "stdout /proc/self/fd/1", "stderr /proc/self/fd/2", "core /proc/kcore", "ptmx pts/ptmx",
	} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	if !strings.Contains(out, "/sys/fs/cgroup ") {
		t.Error("no cgroup mount")
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestReadonlyRoot(t *testing.T) {
	for _, readonly := range []bool{true, false} {
		b := newBundle(t, `touch /file 2>/dev/null && echo writable || echo read-only; touch /dev/shm/file && echo shm writable`)
		b.spec.Root.Readonly = readonly
		out := lines(b.run())
		want(t, fmt.Sprintf("readonly %v", readonly), out[0], map[bool]string{true: "read-only", false: "writable"}[readonly])
		want(t, "/dev/shm", out[1], "shm writable")
	}
}

func TestBindMounts(t *testing.T) {
	source := t.TempDir()
	must(t, os.WriteFile(source+"/file", []byte("content"), 0o644))
	must(t, os.Mkdir(source+"/below", 0o755))
	must(t, unix.Mount("tmpfs", source+"/below", "tmpfs", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(source+"/below", 0)) })
	must(t, os.WriteFile(source+"/below/deep", []byte("deep"), 0o644))

	b := newBundle(t, `cat /file; echo; ls /bind/below; cat /rbind/below/deep; echo; touch /ro/x 2>/dev/null || echo ro; touch /bind/made && echo rw`)
	b.spec.Root.Readonly = false
	b.spec.Mounts = append(b.spec.Mounts,
		specs.Mount{Destination: "/file", Type: "bind", Source: source + "/file", Options: []string{"bind"}},
		specs.Mount{Destination: "/bind", Source: source, Options: []string{"", "bind"}}, // as Buildah has it
		specs.Mount{Destination: "/rbind", Type: "none", Source: source, Options: []string{"rbind"}},
		specs.Mount{Destination: "/ro", Type: "bind", Source: source, Options: []string{"ro"}},
	)
	want(t, "output", b.run(), "content\ndeep\nro\nrw")
	if _, err := os.Stat(source + "/made"); err != nil {
		t.Error(err)
	}
}

func TestMountPointsStayInsideTheRoot(t *testing.T) {
	outside := t.TempDir()
	b := newBundle(t, `cat /a/b/c/file /inside/x/file; ls /target`)
	b.spec.Root.Readonly = false
	must(t, os.Symlink(outside, b.path("out")))
	must(t, os.Symlink("../../../../../../.."+outside, b.path("up")))
	must(t, os.Symlink("/target", b.path("inside")))
	must(t, os.MkdirAll(b.path("target"), 0o755))
	source := t.TempDir()
	must(t, os.WriteFile(source+"/file", []byte("f"), 0o644))
	for _, to := range []string{"/a/b/c", "/out/x", "/up/y", "/inside/x", "/a/../../../escape"} {
		b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: to, Type: "bind", Source: source})
	}
	want(t, "output", b.run(), "ffx")
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("made outside of the root: %v", entries)
	}
}

func TestMaskedAndReadonlyPaths(t *testing.T) {
	b := newBundle(t, `cat /secret | wc -c; ls /hidden | wc -l; echo x > /locked/file 2>/dev/null || echo read-only; cat /locked/file`)
	b.spec.Root.Readonly = false
	must(t, os.WriteFile(b.path("secret"), []byte("secret"), 0o644))
	must(t, os.MkdirAll(b.path("hidden/dir"), 0o755))
	must(t, os.MkdirAll(b.path("locked"), 0o755))
	must(t, os.WriteFile(b.path("locked/file"), []byte("kept"), 0o644))
	b.spec.Linux.MaskedPaths = append(b.spec.Linux.MaskedPaths, "/secret", "/hidden", "/does/not/exist")
	b.spec.Linux.ReadonlyPaths = append(b.spec.Linux.ReadonlyPaths, "/locked", "/not/there/either")
	want(t, "output", b.run(), "0\n0\nread-only\nkept")
}

func TestHostnameAndDomainname(t *testing.T) {
	b := newBundle(t, `hostname; cat /proc/sys/kernel/domainname`)
	b.spec.Hostname, b.spec.Domainname = "box", "example"
	want(t, "names", b.run(), "box\nexample")
}

func TestNoPivot(t *testing.T) {
	b := newBundle(t, `ls -d /bin /proc/1; ls / | wc -l`)
	out := b.run("--no-pivot")
	if !strings.HasPrefix(out, "/bin\n/proc/1\n") {
		t.Error(out)
	}
}

func TestSysctl(t *testing.T) {
	b := newBundle(t, `cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni`)
	b.spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "80", "kernel.shmmni": "77"}
	want(t, "sysctls", b.run(), "80\n77")

	// The host's namespace, by a name that does not say so.
	own := b.path("own")
	must(t, os.Symlink("/proc/self/ns/net", own))
	for i, n := range b.spec.Linux.Namespaces {
		if n.Type == specs.NetworkNamespace {
			b.spec.Linux.Namespaces[i].Path = own
		}
	}
	b.write()
	b.fails([]string{"linux.sysctl", "ip_unprivileged_port_start", "would change the host", own}, "run", b.id)
	b.noTrace()
}

func TestMountNamespaceDoesNotLeakToTheHost(t *testing.T) {
	before, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	newBundle(t, "true").run()
	after, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	if string(before) != string(after) {
		t.Errorf("the host's mounts changed:\n%s\n%s", before, after)
	}
}

// On a host with shared mounts, as systemd makes them, the container's unmount of the
// host's file system must stay in its mount namespace.
func TestSharedMountsOfTheHostStay(t *testing.T) {
	for _, name := range []string{"", "shared", "rshared", "slave", "private"} {
		for _, bind := range []string{"mount --bind rootfs rootfs", "true"} {
			for _, hook := range []string{"", "/bin/true"} {
				b := newBundle(t, "true")
				b.spec.Linux.RootfsPropagation = name
				if hook != "" { // these see the mounts at root.path
					b.spec.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: hook}}}
				}
				b.write()
				run := b.command("run", b.id)
				// Under engines the root file system is a mount.
				cmd := exec.Command("unshare", "-m", "--propagation", "private", "sh", "-ec",
					`mount --make-rshared /; `+bind+`; before=$(cat /proc/self/mountinfo); "$@"; [ "$before" = "$(cat /proc/self/mountinfo)" ]`, "sh")
				cmd.Args, cmd.Dir = append(cmd.Args, run.Args...), b.dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("rootfsPropagation %q, %s, hook %q: the host's mounts change: %v: %s", name, bind, hook, err, out)
				}
			}
		}
	}
}

func TestRootfsPropagation(t *testing.T) {
	for name, mark := range map[string]string{"shared": "shared:", "rslave": "", "private": "", "unbindable": "unbindable"} {
		b := newBundle(t, "awk '$5 == \"/\"' /proc/self/mountinfo")
		b.spec.Linux.RootfsPropagation = name
		if out := b.run(); !strings.Contains(out, mark) || (mark != "shared:" && strings.Contains(out, "shared:")) {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// The root of a container's user namespace may write to its directories whatever their
// modes: those of Podman's images are read-only.
func TestMountPointInAReadOnlyDirectory(t *testing.T) {
	b := newBundle(t, "cat /made/here/file")
	source := filepath.Join(b.dir, "file")
	must(t, os.WriteFile(source, []byte("text"), 0o644))
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	mapped(b)
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{
		Destination: "/made/here/file", Source: source, Options: []string{"bind"},
	})
	must(t, os.Chmod(b.path("."), 0o555))
	want(t, "content", b.run(), "text")
}

// The root of a user namespace may not be able to access the source of a bind mount.
func TestBindOfAClosedDirectory(t *testing.T) {
	b := newBundle(t, "stat -c %F:%a /made/dir /made/file")
	source := filepath.Join(b.dir, "closed")
	must(t, os.Mkdir(source, 0o700))
	must(t, os.WriteFile(source+"/file", nil, 0o600))
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	mapped(b)
	for name, source := range map[string]string{"dir": source, "file": source + "/file"} {
		b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/made/" + name, Source: source, Options: []string{"bind"}})
	}
	want(t, "mounts", b.run(), "directory:700\nregular empty file:600")
}

func TestReadonlyRootByPath(t *testing.T) {
	for _, path := range []string{"/", "/bin/.."} {
		b := newBundle(t, "touch /x 2>/dev/null || echo read-only; touch /dev/shm/x && echo writable")
		b.spec.Root.Readonly = false
		b.spec.Linux.ReadonlyPaths = append(b.spec.Linux.ReadonlyPaths, path)
		want(t, path, b.run(), "read-only\nwritable")
		b.spec.Linux.ReadonlyPaths, b.spec.Linux.MaskedPaths = nil, []string{path}
		b.write()
		b.fails([]string{"linux.maskedPaths[0]", "root directory"}, "run", b.id)
	}
}

func TestRemount(t *testing.T) {
	b := newBundle(t, "grep ' /dev/shm ' /proc/self/mountinfo; touch /dev/shm/x 2>/dev/null || echo read-only")
	mounts := b.spec.Mounts
	change := func(destination string, options ...string) {
		b.spec.Mounts = append(slices.Clip(mounts), specs.Mount{Destination: destination, Options: append([]string{"remount"}, options...)})
		b.write()
	}
	change("/dev/shm", "ro", "exec", "size=1m")
	out := b.run()
	for _, part := range []string{"ro,nosuid,nodev,relatime", "size=1024k", "\nread-only\n"} {
		if !strings.Contains(out, part) {
			t.Errorf("no %q in %s", part, out)
		}
	}
	change("/dev/shm", "siez=1m")
	b.fails([]string{fmt.Sprintf("mounts[%d]", len(mounts)), "remount", "'siez'"}, "run", b.id)
	change("/bin", "ro")
	b.fails([]string{fmt.Sprintf("mounts[%d]", len(mounts)), `"/bin", which must be a mount point`}, "run", b.id)
	b.noTrace()
}

// A mount on the root directory is the root file system for all later mounts.
func TestMountOnTheRoot(t *testing.T) {
	for _, hooks := range []*specs.Hooks{nil, {CreateContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "test -d rootfs-bin"}}}}} {
		b := newBundle(t, "ls -d /rootfs-bin /dev/null; stat -f -c %T /; touch /x 2>/dev/null || echo read-only")
		b.spec.Root.Readonly = true
		b.spec.Hooks = hooks
		b.spec.Mounts = append([]specs.Mount{{Destination: "/", Type: "tmpfs", Source: "tmpfs"}}, b.spec.Mounts...)
		for _, dir := range []string{"bin", "rootfs-bin"} {
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/" + dir, Type: "bind", Source: b.path("bin"), Options: []string{"bind"}})
		}
		want(t, "root", b.run(), "/dev/null\n/rootfs-bin\ntmpfs\nread-only")
		b.noTrace()
	}
}

// A mount at the place of a default device stays there.
func TestMountOnADefaultDevice(t *testing.T) {
	b := newBundle(t, "stat -c %t:%T /dev/random")
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/dev/random", Type: "bind", Source: "/dev/urandom", Options: []string{"rbind", "rprivate"}})
	want(t, "/dev/random", b.run(), "1:9")
}

// A tmpfs without a mode has the mode of the directory that it hides.
func TestModeOfTmpfs(t *testing.T) {
	b := newBundle(t, "stat -c '%a %n' /private /shared /new /own")
	b.spec.Root.Readonly = false
	must(t, os.Mkdir(b.path("private"), 0o700))
	must(t, os.Mkdir(b.path("shared"), 0))
	must(t, os.Chmod(b.path("shared"), 0o755|os.ModeSticky))
	must(t, os.Mkdir(b.path("own"), 0o755))
	for name, options := range map[string][]string{"/private": {"nosuid", "ro"}, "/shared": nil, "/new": nil, "/own": {"mode=711"}} {
		b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: name, Type: "tmpfs", Source: "tmpfs", Options: options})
	}
	want(t, "modes", b.run(), "700 /private\n1755 /shared\n1777 /new\n711 /own")
}

// In its own user namespace, too, tmpcopyup copies files, limits are set, and a bind mount
// of a read-only source stays read-only.
func TestUserNamespaceOfRoot(t *testing.T) {
	b := newBundle(t, "cat /srv/f; stat -c '%u %a' /srv/f /srv/d; ulimit -n; ls /bound")
	b.spec.Root.Readonly = false
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	mapped(b)
	root := int(b.spec.Linux.UIDMappings[0].HostID)
	must(t, os.MkdirAll(b.path("srv/d"), 0o750))
	must(t, os.WriteFile(b.path("srv/f"), []byte("content\n"), 0o640))
	must(t, os.Mkdir(b.path("bound"), 0o755))
	for _, name := range []string{"srv", "srv/f", "srv/d"} {
		must(t, os.Lchown(b.path(name), root, root))
	}
	b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 77, Hard: 88}}
	b.spec.Mounts = append(b.spec.Mounts,
		specs.Mount{Destination: "/srv", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}},
		specs.Mount{Destination: "/bound", Type: "bind", Source: "/sys/kernel", Options: []string{"rbind", "rw", "rprivate"}})
	out := lines(b.run())
	want(t, "the copy", strings.Join(out[:4], ", "), "content, 0 640, 0 750, 77")
}
