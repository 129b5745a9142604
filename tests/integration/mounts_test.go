package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mountsFile writes mounts for `rt mounts`.
func (b *bundle) mountsFile(mounts ...specs.Mount) string {
	b.t.Helper()
	data, err := json.Marshal(mounts)
	must(b.t, err)
	name := filepath.Join(b.dir, "mounts.json")
	must(b.t, os.WriteFile(name, data, 0o644))
	return name
}

// addMounts adds mounts, and removeMounts removes them.
func (b *bundle) addMounts(mounts ...specs.Mount) {
	b.t.Helper()
	b.ok("mounts", "add", b.id, b.mountsFile(mounts...))
}

func (b *bundle) removeMounts(mounts ...specs.Mount) {
	b.t.Helper()
	b.ok("mounts", "remove", b.id, b.mountsFile(mounts...))
}

// mountInfo is the mountinfo of the container's first process, by mount point.
func (b *bundle) mountInfo() map[string]string {
	b.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", b.state().Pid))
	must(b.t, err)
	list := map[string]string{}
	for _, line := range lines(string(data)) {
		list[strings.Fields(line)[4]] = line
	}
	return list
}

// source makes a directory of the host with a file, for bind mounts.
func (b *bundle) source(name string) string {
	b.t.Helper()
	dir := filepath.Join(b.dir, name)
	must(b.t, os.MkdirAll(dir, 0o777))
	must(b.t, os.WriteFile(filepath.Join(dir, "file"), []byte("of the host"), 0o666))
	return dir
}

func bindMount(source, destination string, options ...string) specs.Mount {
	return specs.Mount{Destination: destination, Type: "bind", Source: source, Options: append([]string{"rbind"}, options...)}
}

func tmpfsMount(destination string, options ...string) specs.Mount {
	return specs.Mount{Destination: destination, Type: "tmpfs", Source: "tmpfs", Options: options}
}

// writable makes the root file system writable, for missing mount points.
func writable(b *bundle) { b.spec.Root.Readonly = false }

func TestAddAndRemoveMounts(t *testing.T) {
	b := running(t, writable)
	dir := b.source("data")
	mounts := []specs.Mount{
		bindMount(dir, "/new/dir"),
		bindMount(dir, "/ro", "ro"),
		bindMount(filepath.Join(dir, "file"), "/one/file"),
		bindMount("data", "/relative", "rprivate"),
		tmpfsMount("/scratch", "size=64k", "mode=1777"),
		tmpfsMount("/scratch/below", "ro"),
		{Destination: "/queues", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid"}},
	}
	before := b.mountInfo()
	b.addMounts(mounts...)
	for _, name := range []string{"/new/dir/file", "/ro/file", "/one/file", "/relative/file"} {
		want(t, name, b.ok("exec", b.id, "cat", name), "of the host")
	}
	if r := b.rt("exec", b.id, "touch", "/ro/new"); r.code == 0 || !strings.Contains(r.stderr, "Read-only") {
		t.Errorf("the option ro: %v", r)
	}
	if r := b.rt("exec", b.id, "touch", "/scratch/below/new"); r.code == 0 {
		t.Error("the tmpfs is not read-only")
	}
	want(t, "tmpfs", b.ok("exec", b.id, "stat", "-c", "%a", "/scratch"), "1777")
	b.ok("exec", b.id, "touch", "/new/dir/written")
	if _, err := os.Stat(filepath.Join(dir, "written")); err != nil {
		t.Error(err)
	}
	info := b.mountInfo()
	for _, m := range mounts {
		if info[m.Destination] == "" {
			t.Errorf("no mount on %s", m.Destination)
		}
	}
	b.removeMounts(mounts...)
	if after := b.mountInfo(); len(after) != len(before) {
		t.Errorf("left: %v", after)
	}
	if r := b.rt("exec", b.id, "cat", "/one/file"); r.code != 0 || r.stdout != "" {
		t.Errorf("below the file: %v", r)
	}
}

// A container that waits for its start gets mounts, too, and its process finds them.
func TestAddMountsBeforeTheStart(t *testing.T) {
	b := newBundle(t, "cat /data/file")
	writable(b)
	b.write()
	out := filepath.Join(b.dir, "out")
	f, err := os.Create(out)
	must(t, err)
	defer f.Close()
	cmd := b.command("create", b.id)
	cmd.Stdout = f
	must(t, cmd.Run())
	b.addMounts(bindMount(b.source("source"), "/data"))
	b.ok("start", b.id)
	b.waitFor(specs.StateStopped)
	data, err := os.ReadFile(out)
	must(t, err)
	want(t, "the process", string(data), "of the host")
	b.fails([]string{b.id, "cannot add mounts to a container that is stopped"}, "mounts", "add", b.id, b.mountsFile(tmpfsMount("/tmp")))
	b.fails([]string{b.id, "cannot remove mounts from a container that is stopped"}, "mounts", "remove", b.id, b.mountsFile(tmpfsMount("/tmp")))
}

// Either all mounts are added or none, whether the program or its parent finds the error.
func TestAddMountsIsWholeOrNot(t *testing.T) {
	b := running(t, writable)
	must(t, os.WriteFile(b.path("file"), nil, 0o644))
	dir := b.source("source")
	before := b.mountInfo()
	for name, c := range map[string]struct {
		second specs.Mount
		words  []string
	}{
		"a source that is missing": {bindMount("/no/such/source", "/b"), []string{"mounts[2]", "/no/such/source", "no such file"}},
		"an option of tmpfs":       {tmpfsMount("/b", "size=much"), []string{"mounts[2]", "tmpfs"}},
		"a type":                   {specs.Mount{Destination: "/b", Type: "nosuchfs"}, []string{"mounts[2]", "nosuchfs"}},
		"a directory on a file":    {bindMount(dir, "/file"), []string{"mounts[2]", "/file", "a directory can only be mounted on a directory"}},
		"a file on the way":        {bindMount(dir, "/file/deep/er"), []string{"mounts[2]", "/file/deep/er", "not a directory"}},
		"a place in procfs":        {tmpfsMount("/proc/sys/fs"), []string{"mounts[2]", "procfs", "choose another destination"}},
	} {
		t.Run(name, func(t *testing.T) {
			b.fails(c.words, "mounts", "add", b.id, b.mountsFile(bindMount(dir, "/a"), bindMount(filepath.Join(dir, "file"), "/f"), c.second))
			if after := b.mountInfo(); len(after) != len(before) {
				t.Errorf("left: %v", after)
			}
		})
	}
}

// No symlink of the container is followed: it could lead to a mount that must not change.
func TestAddMountsFollowsNoSymlinks(t *testing.T) {
	b := running(t, writable)
	outside := filepath.Join(b.dir, "outside")
	must(t, os.Mkdir(outside, 0o777))
	must(t, os.Symlink(outside, b.path("link")))
	must(t, os.Symlink("/../../../..", b.path("up")))
	must(t, os.Symlink("/", b.path("root")))
	for _, destination := range []string{"/link", "/link/data", "/up/tmp", "/root"} {
		b.fails([]string{"mounts[0]", "symlink"}, "mounts", "add", b.id, b.mountsFile(bindMount(b.source("source"), destination)))
		b.fails([]string{"mounts[0]", "symlink"}, "mounts", "remove", b.id, b.mountsFile(tmpfsMount(destination)))
	}
	b.ok("exec", b.id, "true")
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("made on the host: %v, %v", entries, err)
	}
}

// Mounts that hide or protect parts of a procfs or sysfs stay.
func TestAddMountsSparesTheMasks(t *testing.T) {
	b := running(t, writable)
	for _, c := range []struct {
		command, destination, word string
	}{
		{"add", "/", "mounts[0].destination"},
		{"add", "/proc", "linux.maskedPaths[0]"},
		{"add", "/proc/tty", "procfs"},
		{"add", "/proc/kcore", "linux.maskedPaths"},
		{"add", "/proc/bus", "linux.readonlyPaths"},
		{"add", "/to-proc", "symlink"},
		{"add", "/to-sys", "symlink"},
		{"remove", "/", "mounts[0].destination"},
		{"remove", "/proc", "linux.maskedPaths[0]"},
		{"remove", "/sys", "linux.maskedPaths"},
		{"remove", "/proc/kcore", "linux.maskedPaths"},
		{"remove", "/in-proc/kcore", "symlink"},
		{"remove", "/to-kcore", "no symlink"},
		{"remove", "/bin", "must be a mount point"},
		{"remove", "/none", "no such file"},
	} {
		for name, target := range map[string]string{"to-proc": "/proc", "to-sys": "/sys", "in-proc": "/proc", "to-kcore": "/proc/kcore"} {
			_ = os.Symlink(target, b.path(name))
		}
		b.fails([]string{"mounts[0]", c.word}, "mounts", c.command, b.id, b.mountsFile(tmpfsMount(c.destination)))
	}
	b.addMounts(bindMount(filepath.Join(b.source("source"), "file"), "/proc/uptime"))
	want(t, "lxcfs's file", b.ok("exec", b.id, "cat", "/proc/uptime"), "of the host")
	b.removeMounts(specs.Mount{Destination: "/proc/uptime"})
}

// In a user namespace the container cannot lift the restrictions of the host's mount.
func TestAddMountsInAUserNamespace(t *testing.T) {
	b := running(t, writable, mapped, func(b *bundle) {
		b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		c := b.spec.Process.Capabilities
		for _, set := range []*[]string{&c.Bounding, &c.Effective, &c.Permitted} {
			*set = append(*set, "CAP_SYS_ADMIN")
		}
	})
	dir := b.source("readonly")
	must(t, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NODEV, ""))
	closed := b.source("closed")
	must(t, os.Chmod(closed, 0o700))
	mounts := []specs.Mount{bindMount(dir, "/ro"), bindMount(dir, "/rw", "rw"), bindMount(filepath.Join(closed, "file"), "/deep/file"), tmpfsMount("/scratch")}
	b.addMounts(mounts...)
	for _, name := range []string{"/ro", "/rw"} {
		want(t, name, b.ok("exec", b.id, "cat", name+"/file"), "of the host")
		for _, options := range []string{"remount,bind,rw", "remount,bind,rw,nodev"} {
			if r := b.rt("exec", b.id, "mount", "-o", options, name); r.code == 0 {
				t.Errorf("%s can be mounted %s", name, options)
			}
		}
		if r := b.rt("exec", b.id, "touch", name+"/new"); r.code == 0 {
			t.Errorf("%s is writable", name)
		}
	}
	want(t, "a file in a closed directory", b.ok("exec", b.id, "cat", "/deep/file"), "of the host")
	want(t, "the owner of what was made", b.ok("exec", b.id, "stat", "-c", "%u", "/deep", "/scratch"), "0\n0")
	b.ok("exec", b.id, "touch", "/scratch/new")
	b.removeMounts(mounts...)
	if r := b.rt("exec", b.id, "cat", "/ro/file"); r.code == 0 {
		t.Error("/ro is still mounted")
	}
}

// A bind mount sees later mounts of the host as if it had been mounted at the creation,
// and the host keeps its own mounts.
func TestAddedMountsPropagate(t *testing.T) {
	for _, kind := range []string{"", "rslave", "rshared", "rprivate"} {
		t.Run("rootfsPropagation="+kind, func(t *testing.T) {
			b := running(t, writable, func(b *bundle) { b.spec.Linux.RootfsPropagation = kind })
			dir := filepath.Join(b.dir, "host")
			must(t, os.MkdirAll(filepath.Join(dir, "later"), 0o755))
			must(t, unix.Mount(dir, dir, "", unix.MS_BIND, ""))
			t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
			must(t, unix.Mount("", dir, "", unix.MS_SHARED, ""))
			mounts := []specs.Mount{bindMount(dir, "/none"), bindMount(dir, "/slave", "rslave"), bindMount(dir, "/shared", "rshared"), bindMount(dir, "/private", "rprivate")}
			b.addMounts(mounts...)
			must(t, unix.Mount("tmpfs", filepath.Join(dir, "later"), "tmpfs", 0, ""))
			must(t, os.WriteFile(filepath.Join(dir, "later", "seen"), nil, 0o644))
			for _, m := range mounts {
				seen := "seen"
				if m.Destination == "/private" || kind == "rprivate" {
					seen = ""
				}
				want(t, m.Destination, b.ok("exec", b.id, "ls", m.Destination+"/later"), seen)
			}
			b.removeMounts(mounts...)
			if _, err := os.Stat(filepath.Join(dir, "later", "seen")); err != nil {
				t.Errorf("the host's mount is gone, too: %v", err)
			}
		})
	}
}

func TestAddMountsWithoutPivotRoot(t *testing.T) {
	b := newBundle(t, "exec sleep 1000")
	writable(b)
	b.create("--no-pivot")
	b.ok("start", b.id)
	m := bindMount(b.source("source"), "/data")
	b.addMounts(m)
	want(t, "the mount", b.ok("exec", b.id, "cat", "/data/file"), "of the host")
	b.removeMounts(m)
	b.fails([]string{"mounts[0]", "mount point"}, "mounts", "remove", b.id, b.mountsFile(m))
}

func TestAddMountsMapsIDs(t *testing.T) {
	b := running(t, writable)
	dir := b.source("source")
	must(t, os.Chown(filepath.Join(dir, "file"), 5, 6))
	m := bindMount(dir, "/mapped", "idmap=uids=0-1000-100;gids=0-2000-100")
	b.addMounts(tmpfsMount("/tmp"), m)
	want(t, "owners", b.ok("exec", b.id, "stat", "-c", "%u:%g", "/mapped/file"), "1005:2006")
}

// A bind mount of a container that shares its mount namespace would affect others.
func TestMountsNeedANamespace(t *testing.T) {
	b := running(t, func(b *bundle) {
		b.spec.Linux.Namespaces = slices.DeleteFunc(b.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.MountNamespace })
		b.spec.Linux.MaskedPaths, b.spec.Linux.ReadonlyPaths = nil, nil
	})
	for _, command := range []string{"add", "remove"} {
		b.fails([]string{b.id, "linux.namespaces", "no mount namespace of its own"}, "mounts", command, b.id, b.mountsFile(tmpfsMount("/tmp")))
	}
}

func TestMountsOfAPausedContainer(t *testing.T) {
	b := running(t)
	b.ok("pause", b.id)
	b.fails([]string{b.id, "paused", "resume it"}, "mounts", "add", b.id, b.mountsFile(tmpfsMount("/tmp")))
	b.fails([]string{b.id, "paused", "resume it"}, "mounts", "remove", b.id, b.mountsFile(tmpfsMount("/tmp")))
}

// Errors in the file or the command line are named.
func TestMountsErrors(t *testing.T) {
	b := running(t)
	for text, words := range map[string][]string{
		`[{"destination": "/a", "type": 5}]`: {"mounts.json", "mounts[0].type", "string"},
		`{"mounts": []}`:                     {"mounts.json", "array"},
		`[{"destination": "/a"`:              {"mounts.json", "line 1"},
		`[{"type": "tmpfs"}]`:                {"mounts[0].destination", "missing"},
		`[{"destination": "/a", "type": "tmpfs"}, {"destination": "/b"}]`:                 {"mounts[1].type", "missing"},
		`[{"destination": "/a", "type": "bind"}]`:                                         {"mounts[0].source", "missing"},
		`[{"destination": "/a", "type": "bind", "source": "/", "options": ["readonly"]}]`: {"mounts[0].options[0]", "ro"},
		`[{"destination": "/a", "type": "proc"}]`:                                         {"mounts[0].type", "config.json"},
		`[{"destination": "/tmp", "options": ["remount"]}]`:                               {"mounts[0].options", "remount"},
	} {
		must(t, os.WriteFile(filepath.Join(b.dir, "mounts.json"), []byte(text), 0o644))
		b.fails(words, "mounts", "add", b.id, "mounts.json")
	}
	file := b.mountsFile(tmpfsMount("/tmp"))
	b.fails([]string{"/no/such/file"}, "mounts", "add", b.id, "/no/such/file")
	b.fails([]string{"mounts", "one of add, remove"}, "mounts", "list", b.id, file)
	b.fails([]string{"mounts", "needs add or remove"}, "mounts", "add", b.id)
	b.fails([]string{"no-such-container"}, "mounts", "add", "no-such-container", file)
	b.addMounts()
	if r := b.rtIn(`[{"destination": "/dev/shm", "type": "tmpfs"}]`, "mounts", "remove", b.id, "-"); r.code != 0 {
		t.Error(r)
	}
	if r := b.rt("exec", b.id, "grep", " /dev/shm ", "/proc/mounts"); r.code == 0 {
		t.Errorf("a mount of the configuration is still there: %v", r)
	}
}

// Several callers add mounts at the same time, while the container's processes work.
func TestAddMountsAtTheSameTime(t *testing.T) {
	const callers = 8
	b := running(t, writable)
	dir := b.source("source")
	errs := make(chan error, callers)
	for i := range callers {
		name := filepath.Join(b.dir, fmt.Sprintf("mounts-%d.json", i))
		data, err := json.Marshal([]specs.Mount{bindMount(dir, fmt.Sprintf("/at/%d", i))})
		must(t, err)
		must(t, os.WriteFile(name, data, 0o644))
		go func() {
			out, err := b.command("mounts", "add", b.id, name).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			errs <- err
		}()
	}
	for range callers {
		select {
		case err := <-errs:
			must(t, err)
		case <-time.After(patience(time.Minute)):
			t.Fatal("a caller does not end")
		}
	}
	for i := range callers {
		want(t, "a mount", b.ok("exec", b.id, "cat", fmt.Sprintf("/at/%d/file", i)), "of the host")
	}
}
