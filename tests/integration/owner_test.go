package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// stranger is an ordinary user of the host.
const stranger = 4321

// asStranger runs a shell script as that user.
func asStranger(t *testing.T, script string) {
	t.Helper()
	cmd := exec.Command(busyboxPath, "sh", "-ec", script)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// publicDir is a directory that others can reach.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rt-test-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

// planted is a state whose deletion runs a program of the stranger's.
func planted(t *testing.T, dir, id string) string {
	t.Helper()
	state, err := json.Marshal(map[string]any{
		"ociVersion": specs.Version, "id": id, "bundle": dir, "rootfs": dir, "created": time.Now(), "uid": 0, "pid": 1, "startTime": 1, "cgroup": map[string]any{},
		"hooks": specs.Hooks{Poststop: []specs.Hook{{Path: busyboxPath, Args: []string{"touch", filepath.Join(dir, "attacked")}}}},
	})
	must(t, err)
	return string(state)
}

// A state in a directory that others can write to may be theirs: rt does nothing that it
// says, and reports it.
func TestPlantedState(t *testing.T) {
	const id = "planted"
	for name, c := range map[string]struct {
		mode  os.FileMode // of the root directory
		plant func(t *testing.T, root, state string)
		words []string
		inOwn bool // the directory of the container is rt's own
	}{
		"a directory of the stranger's": {os.ModeSticky | 0o777, func(t *testing.T, root, state string) {
			asStranger(t, fmt.Sprintf("cd %s; mkdir -m 755 %s; echo '%s' > %[2]s/state.json", root, id, state))
		}, []string{"/planted", "belongs to user 4321", "mode 0755"}, false},
		"a root directory of the stranger's": {0o755, func(t *testing.T, root, state string) {
			must(t, os.Mkdir(filepath.Join(root, id), 0o700))
			must(t, os.WriteFile(filepath.Join(root, id, "state.json"), []byte(state), 0o600))
			must(t, os.Chown(root, stranger, stranger))
		}, []string{"belongs to user 4321", "mode 0755"}, false},
		"a root directory in which others can rename": {0o777, func(t *testing.T, root, state string) {
			must(t, os.Mkdir(filepath.Join(root, id), 0o700))
			must(t, os.WriteFile(filepath.Join(root, id, "state.json"), []byte(state), 0o600))
		}, []string{"mode 0777", "chmod"}, false},
		"a directory that others can write to": {0o711, func(t *testing.T, root, state string) {
			must(t, os.Mkdir(filepath.Join(root, id), 0o700))
			must(t, os.Chmod(filepath.Join(root, id), 0o777))
			asStranger(t, fmt.Sprintf("echo '%s' > %s/%s/state.json; chmod 600 %[2]s/%[3]s/state.json", state, root, id))
		}, []string{"/planted", "mode 0777", "chmod"}, false},
		"a file of the stranger's": {0o711, func(t *testing.T, root, state string) {
			must(t, os.Mkdir(filepath.Join(root, id), 0o700))
			file := filepath.Join(root, id, "state.json")
			must(t, os.WriteFile(file, []byte(state), 0o600))
			must(t, os.Chown(file, stranger, stranger))
		}, []string{"/planted/state.json", "belongs to user 4321"}, true},
		"a file that others can write to": {0o711, func(t *testing.T, root, state string) {
			must(t, os.Mkdir(filepath.Join(root, id), 0o700))
			file := filepath.Join(root, id, "state.json")
			must(t, os.WriteFile(file, []byte(state), 0o600))
			must(t, os.Chmod(file, 0o620))
		}, []string{"/planted/state.json", "mode 0620"}, true},
		"a symlink to a directory": {os.ModeSticky | 0o777, func(t *testing.T, root, state string) {
			must(t, os.Mkdir(filepath.Join(root, "..", "else"), 0o700))
			must(t, os.WriteFile(filepath.Join(root, "..", "else", "state.json"), []byte(state), 0o600))
			asStranger(t, fmt.Sprintf("ln -s ../else %s/%s", root, id))
		}, []string{"/planted", "not a directory"}, false},
		"a symlink to a file": {0o711, func(t *testing.T, root, state string) {
			must(t, os.Mkdir(filepath.Join(root, id), 0o700))
			must(t, os.WriteFile(filepath.Join(root, "..", "theirs"), []byte(state), 0o600))
			must(t, os.Symlink("../../theirs", filepath.Join(root, id, "state.json")))
		}, []string{"/planted/state.json", "symbolic link"}, true},
		"a pipe": {0o711, func(t *testing.T, root, state string) {
			must(t, os.Mkdir(filepath.Join(root, id), 0o700))
			must(t, syscall.Mkfifo(filepath.Join(root, id, "state.json"), 0o600))
		}, []string{"/planted/state.json", "not a regular file"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := publicDir(t)
			b := newBundle(t, "true")
			b.root = filepath.Join(dir, "state")
			t.Cleanup(func() { _ = os.RemoveAll(b.root) }) // before the bundle's
			must(t, os.Mkdir(b.root, 0o700))
			must(t, os.Chmod(b.root, c.mode))
			c.plant(t, b.root, planted(t, dir, id))
			if r := b.rt("list"); name != "a symlink to a directory" && !strings.Contains(r.stderr, c.words[0]) {
				t.Errorf("rt list says nothing of it: %v", r)
			}
			for _, args := range [][]string{
				{"state", id}, {"start", id}, {"kill", id}, {"ps", id}, {"exec", id, "true"}, {"update", id}, {"delete", id}, {"delete", "--force", id},
			} {
				r := b.rt(args...)
				// A directory of rt's own can be removed, whatever is in it.
				if givenUp := args[1] == "--force" && c.inOwn; (r.code == 0) != givenUp {
					t.Errorf("rt %v: %v", args, r)
				}
				for _, word := range c.words {
					if !strings.Contains(r.stderr, word) {
						t.Errorf("rt %v: no %q in %s", args, word, r.stderr)
					}
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "attacked")); err == nil {
				t.Error("rt has run a program of the stranger's")
			}
		})
	}
}

// rt lists its own containers in a directory like /tmp, and can delete them beside those
// of others.
func TestStateBesideThatOfOthers(t *testing.T) {
	b := newBundle(t, "sleep 1000")
	b.root = filepath.Join(publicDir(t), "state")
	must(t, os.Mkdir(b.root, 0o700))
	must(t, os.Chmod(b.root, os.ModeSticky|0o777))
	asStranger(t, fmt.Sprintf("mkdir -m 700 %s/planted %[1]s/%s", b.root, "taken"))
	b.create()
	r := b.rt("list", "-q")
	if r.code != 0 || strings.TrimSpace(r.stdout) != b.id || !strings.Contains(r.stderr, "planted") {
		t.Errorf("%v", r)
	}
	b.fails([]string{"already exists", "belongs to user 4321"}, "create", "taken")
	b.ok("delete", "--force", b.id)
	must(t, os.RemoveAll(b.root))
}

// The pid file replaces what a stranger has put in its place, and rt writes nothing
// through their symlink.
func TestPidFileInAPublicDirectory(t *testing.T) {
	dir := publicDir(t)
	must(t, os.Chmod(dir, 0o777)) // without the sticky bit the kernel follows their symlinks
	target := filepath.Join(t.TempDir(), "target")
	must(t, os.WriteFile(target, []byte("before"), 0o600))
	b := newBundle(t, "sleep 1000")
	file := filepath.Join(dir, "pid")
	asStranger(t, fmt.Sprintf("ln -s %[1]s %[2]s/pid; ln -s %[1]s %[2]s/.pid", target, dir))
	b.write()
	b.fails([]string{dir + "/.pid", "file exists"}, "create", "--pid-file", file, b.id)
	b.noTrace()
	must(t, os.Remove(filepath.Join(dir, ".pid")))
	b.ok("create", "--pid-file", file, b.id)
	if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the pid file: %v, %v", info, err)
	}
	data, err := os.ReadFile(target)
	must(t, err)
	want(t, "the target of the symlinks", string(data), "before")
}

// The kernel answers an ordinary user with EPERM; rt says what to write instead.
func TestErrorsOfAnOrdinaryUser(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *bundle)
		words  []string
	}{
		"no user namespace": {func(b *bundle) { b.spec.Linux = spec.Default().Linux },
			[]string{"linux.namespaces", "user namespace", "rt spec --rootless"}},
		"a device that the host does not have": {func(b *bundle) {
			b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/nosuch", Type: "c", Major: 1, Minor: 3}}
		}, []string{"linux.devices[0]", "/dev/nosuch", "only root"}},
		"a mount with ids": {func(b *bundle) {
			b.spec.Mounts = append(b.spec.Mounts, bindMount("/usr", "/data", "idmap=uids=0-1000-10;gids=0-3000-10"))
		}, []string{"mounts[6]", "only root", "map the ids"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, "true")
			dir := publicDir(t)
			must(t, os.Mkdir(filepath.Join(dir, "rootfs"), 0o755))
			b.spec.Root.Path = "rootfs"
			l := b.spec.Linux
			l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			l.UIDMappings = []specs.LinuxIDMapping{{HostID: stranger, Size: 1}}
			l.GIDMappings = l.UIDMappings
			l.Resources = nil
			// The group of terminals does not exist.
			b.spec.Mounts = slices.DeleteFunc(b.spec.Mounts, func(m specs.Mount) bool { return m.Type == "devpts" })
			c.change(b)
			data, err := json.Marshal(b.spec)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, spec.ConfigName), data, 0o644))
			program, err := os.ReadFile(rtPath) // which may be where others cannot go
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, "rt"), program, 0o755))
			must(t, os.Chown(dir, stranger, stranger))
			must(t, os.Chown(filepath.Join(dir, "rootfs"), stranger, stranger))
			cmd := exec.Command(filepath.Join(dir, "rt"), "--root", filepath.Join(dir, "state"), "run", b.id)
			cmd.Dir = dir
			cmd.Stdin = strings.NewReader("") // a user could later own a file that they get
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
			out, err := cmd.CombinedOutput()
			if err == nil || strings.Count(string(out), "\n") != 1 {
				t.Errorf("%v, %s", err, out)
			}
			for _, word := range c.words {
				if !strings.Contains(string(out), word) {
					t.Errorf("no %q in %s", word, out)
				}
			}
			if left, err := os.ReadDir(filepath.Join(dir, "state")); err == nil && len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
