//go:build guest

package integration

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// loadProfile loads an AppArmor profile that forbids one file.
func loadProfile(t *testing.T, name string) {
	t.Helper()
	text := fmt.Sprintf("profile %s flags=(attach_disconnected,mediate_deleted) {\n"+
		"file, capability, network, mount, umount, pivot_root, ptrace, signal, unix,\ndeny /secret r,\n}\n", name)
	parse := func(action string) error {
		cmd := exec.Command("apparmor_parser", action)
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("apparmor_parser: %w: %s", err, out)
		}
		return err
	}
	must(t, parse("-r"))
	t.Cleanup(func() { must(t, parse("-R")) })
}

func TestAppArmor(t *testing.T) {
	b := newBundle(t, "cat /proc/self/attr/current; cat /secret 2>&1; exec sleep 1000")
	loadProfile(t, b.id)
	must(t, os.WriteFile(b.path("secret"), []byte("secret\n"), 0o644))
	b.spec.Process.ApparmorProfile = b.id
	look := []string{"sh", "-c", "cat /proc/self/attr/current; cat /secret 2>&1; true"}
	const denied = " (enforce)\ncat: can't open '/secret': Permission denied"
	b.spec.Process.Args = look
	want(t, "run", b.run(), b.id+denied)

	b.spec.Process.Args = []string{"sleep", "1000"}
	b.create()
	b.ok("start", b.id)
	want(t, "exec", b.ok(append([]string{"exec", b.id}, look...)...), b.id+denied)
	b.ok("delete", "--force", b.id)

	b.spec.Process.ApparmorProfile = "rt-no-such-profile"
	b.write()
	b.fails([]string{"process.apparmorProfile", "rt-no-such-profile"}, "run", b.id)
	b.noTrace()
}

// CAP_SYS_RESOURCE raises hard limits.
func TestRaiseAHardLimit(t *testing.T) {
	const limit = 600000 // the job's own is 524288
	b := newBundle(t, "ulimit -H -n; ulimit -S -n")
	b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: limit, Hard: limit}}
	want(t, "limits", b.run(), "600000\n600000")
}

// census lists what containers could leave on the system: cgroups, mounts, processes and
// units.
func census(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	must(t, filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			names["cgroup "+path] = true
		}
		return nil
	}))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for _, line := range lines(string(mounts)) {
		names["mount "+line] = true
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, name := range processes {
		// Kernel threads come and go, and so do udev's workers.
		if args, _ := os.ReadFile(name); len(args) > 0 && !strings.Contains(string(args), "udev-worker") {
			names[fmt.Sprintf("process %s %q", name, args)] = true
		}
	}
	units, err := exec.Command("systemctl", "list-units", "--all", "--plain", "--no-legend").Output()
	must(t, err)
	for _, line := range lines(string(units)) {
		name, _, _ := strings.Cut(line, " ")
		names["unit "+name] = true
	}
	return names
}

// count tells how many names there are of each kind.
func count(names map[string]bool) map[string]int {
	counts := map[string]int{}
	for name := range names {
		kind, _, _ := strings.Cut(name, " ")
		counts[kind]++
	}
	return counts
}

func TestManyRunsLeaveNothing(t *testing.T) {
	runs := often(1000)
	if unified() && !systemd { // the quickest; with systemd it takes a quarter of an hour
		runs = 1000
	}
	b := newBundle(t, "true")
	b.run() // what the first one loads stays
	before := census(t)
	for range runs {
		b.ok("run", b.id)
	}
	// What has gone meanwhile, such as a session of an earlier test, is not rt's.
	var after, more map[string]bool
	defer func() {
		if t.Failed() {
			t.Logf("left: %v", slices.Sorted(maps.Keys(more)))
		}
	}()
	eventually(t, "no other cgroups, mounts, processes and units than before", func() bool {
		after = census(t)
		more = maps.Clone(after)
		maps.DeleteFunc(more, func(name string, _ bool) bool { return before[name] })
		return len(more) == 0
	})
	t.Logf("before %d runs: %v, after: %v", runs, count(before), count(after))
}

// person is the guest's user without privileges.
func person(t *testing.T) *user.User {
	t.Helper()
	u, err := user.Lookup("person")
	must(t, err)
	return u
}

// newUsersBundle is a bundle for a container without privileges.
func newUsersBundle(t *testing.T, script string) *bundle {
	t.Helper()
	b := newBundle(t, script)
	u := person(t)
	spec.Rootless(b.spec)
	var id [2]uint32
	_, err := fmt.Sscan(u.Uid+" "+u.Gid, &id[0], &id[1])
	must(t, err)
	b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: id[0], Size: 1}}
	b.spec.Linux.GIDMappings = []specs.LinuxIDMapping{{HostID: id[1], Size: 1}}
	must(t, filepath.WalkDir(b.dir, func(path string, _ fs.DirEntry, err error) error {
		must(t, err)
		return os.Lchown(path, int(id[0]), int(id[1]))
	}))
	must(t, os.Chmod(filepath.Dir(b.dir), 0o755))
	return b
}

// asPerson runs a command as the user, with a session of systemd or without.
func (b *bundle) asPerson(session bool, args ...string) (string, error) {
	u := person(b.t)
	command := []string{"--reuid", u.Uid, "--regid", u.Gid, "--init-groups", "env", "-i", "PATH=" + os.Getenv("PATH"), "HOME=" + u.HomeDir}
	if session {
		command = append(command, "XDG_RUNTIME_DIR=/run/user/"+u.Uid, "systemd-run", "--user", "--quiet", "--wait", "--pipe", "--collect",
			"--working-directory="+b.dir)
	}
	return b.outside(10*time.Second, append(append([]string{"setpriv"}, command...), args...)...)
}

// outside runs a command of the machine in the bundle. Its output goes to a file: a
// container that stays may keep it open.
func (b *bundle) outside(limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience(limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	out, err := os.CreateTemp(b.dir, "output-*")
	must(b.t, err)
	defer out.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, out, out
	err = cmd.Run()
	return content(b.t, out), err
}

// cgroupsNamed lists the cgroups in whose names a word is.
func cgroupsNamed(t *testing.T, word string) string {
	t.Helper()
	out, err := exec.Command("find", "/sys/fs/cgroup", "-name", "*"+word+"*").CombinedOutput()
	must(t, err)
	return string(out)
}

// linger starts the user's systemd.
func linger(t *testing.T) {
	t.Helper()
	u := person(t)
	out, err := exec.Command("loginctl", "enable-linger", u.Username).CombinedOutput()
	if err != nil {
		t.Fatalf("enable-linger: %v: %s", err, out)
	}
	t.Cleanup(func() { must(t, exec.Command("loginctl", "disable-linger", u.Username).Run()) })
	eventually(t, "the user's systemd runs", func() bool {
		_, err := os.Stat("/run/user/" + u.Uid + "/bus")
		return err == nil
	})
}

// A user with a session has their own cgroups: limits work, and the scope is gone at the
// end.
func TestUserSession(t *testing.T) {
	if !unified() {
		t.Skip("v1 cannot be delegated safely")
	}
	u := person(t)
	linger(t)
	b := newUsersBundle(t, "cat /proc/self/cgroup; id -u")
	for i, n := range b.spec.Linux.Namespaces { // to see where it is
		if n.Type == specs.CgroupNamespace {
			b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces[:i], b.spec.Linux.Namespaces[i+1:]...)
			break
		}
	}
	b.spec.Linux.Resources = &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20))}, Pids: &specs.LinuxPids{Limit: ptr(int64(50))},
	}
	b.write()
	rt := []string{rtPath, "--root", "/run/user/" + u.Uid + "/rt", "--systemd-cgroup"}
	got, err := b.asPerson(true, append(rt, "run", b.id)...)
	if err != nil || !strings.Contains(got, "/user@"+u.Uid+".service/user.slice/rt-"+b.id+".scope\n0\n") {
		t.Fatalf("%v: %q", err, got)
	}
	b.spec.Process.Args = []string{"sleep", "1000"}
	b.write()
	remove := func() {
		if out, err := b.asPerson(true, append(rt, "delete", "--force", b.id)...); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	t.Cleanup(remove)
	if out, err := b.asPerson(true, append(rt, "run", "--detach", b.id)...); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dirs := b.cgroups()
	if len(dirs) != 1 {
		t.Fatalf("cgroups: %v", dirs)
	}
	for file, value := range map[string]string{"memory.max": "67108864", "pids.max": "50"} {
		data, err := os.ReadFile(filepath.Join(dirs[0], file))
		must(t, err)
		want(t, file, string(data), value)
	}
	remove()
	b.noTrace()
}

// A user without a cgroup gets a container all the same, and a message about it with
// --debug only; with limits they get an error that names the field.
func TestUserWithoutDelegation(t *testing.T) {
	b := newUsersBundle(t, "id -u")
	b.spec.Linux.Resources = nil
	b.write()
	out, err := b.asPerson(false, rtPath, "--root", b.root, "run", b.id)
	if err != nil || out != "0\n" {
		t.Errorf("%v: %q", err, out)
	}
	out, err = b.asPerson(false, rtPath, "--debug", "--root", b.root, "run", b.id)
	if err != nil || !strings.Contains(out, "made no cgroup") {
		t.Errorf("%v: %q", err, out)
	}
	b.spec.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: ptr(int64(50))}}
	b.write()
	if out, err := b.asPerson(false, rtPath, "--root", b.root, "run", b.id); err == nil || !strings.Contains(out, "linux.resources") {
		t.Errorf("%v: %q", err, out)
	}
	b.noTrace()
}

// A user can also map the ids that /etc/subuid and /etc/subgid allow, through the helpers
// that have the right to.
func TestSubordinateIDs(t *testing.T) {
	b := newUsersBundle(t, "id; cat /proc/self/uid_map /proc/self/gid_map")
	b.spec.Linux.Resources = nil
	b.spec.Process.User = specs.User{UID: 5, GID: 6, AdditionalGids: []uint32{7, 8}}
	subordinate := func(kind string) (first uint32) {
		data, err := os.ReadFile("/etc/sub" + kind)
		must(t, err)
		_, err = fmt.Sscanf(string(data), "person:%d:", &first)
		must(t, err)
		return first
	}
	more := func(list *[]specs.LinuxIDMapping, first uint32) {
		*list = append(*list, specs.LinuxIDMapping{ContainerID: 1, HostID: first, Size: 1000})
	}
	uid, gid := subordinate("uid"), subordinate("gid")
	more(&b.spec.Linux.UIDMappings, uid)
	more(&b.spec.Linux.GIDMappings, gid)
	b.write()
	run := []string{"env", "PATH=" + os.Getenv("PATH"), rtPath, "--root", b.root, "run", b.id}
	out, err := b.asPerson(false, run...)
	if err != nil || !strings.Contains(out, "uid=5 gid=6 groups=7,8\n") {
		t.Errorf("%v: %q", err, out)
	}
	for _, first := range []uint32{uid, gid} {
		if !strings.Contains(out, fmt.Sprintf(" %d       1000\n", first)) {
			t.Errorf("%d is not mapped: %q", first, out)
		}
	}

	run[1] = "PATH=/nowhere"
	if out, err := b.asPerson(false, run...); err == nil || !strings.Contains(out, "linux.uidMappings: ") || !strings.Contains(out, "package uidmap") {
		t.Errorf("without the helpers: %v: %q", err, out)
	}
	run[1] = "PATH=" + os.Getenv("PATH")
	b.spec.Linux.UIDMappings[1].HostID = uid + 1<<20 // not the user's
	b.write()
	if out, err := b.asPerson(false, run...); err == nil || !strings.Contains(out, "linux.uidMappings: ") || !strings.Contains(out, "/etc/subuid") {
		t.Errorf("ids of others: %v: %q", err, out)
	}
	b.noTrace()
}
