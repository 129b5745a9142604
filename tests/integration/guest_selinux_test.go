//go:build guest

package integration

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Labels of the guest's policy, tests/guest/selinux.cil: a container's process may use
// only objects with a container's label.
const (
	processLabel = "system_u:system_r:container_t:s0:c1,c2"
	fileLabel    = "system_u:object_r:container_file_t:s0:c1,c2"
	secretLabel  = "system_u:object_r:secret_t:s0"
	labelName    = "security.selinux"
)

// enforce lets SELinux enforce its policy. It skips the test if the kernel has SELinux
// switched off.
func enforce(t *testing.T) {
	t.Helper()
	line, err := os.ReadFile("/proc/cmdline")
	must(t, err)
	if !strings.Contains(string(line), "security=selinux") {
		t.Skip("this guest has AppArmor")
	}
	const file = "/sys/fs/selinux/enforce"
	must(t, os.WriteFile(file, []byte("1"), 0))
	t.Cleanup(func() { must(t, os.WriteFile(file, []byte("0"), 0)) })
}

// labelFiles gives the container's files their label, as engines do.
func (b *bundle) labelFiles() {
	b.t.Helper()
	must(b.t, filepath.WalkDir(b.path(""), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return unix.Lsetxattr(path, labelName, []byte(fileLabel), 0)
	}))
}

// look shows what a process in the container may do: its label, a file of the
// container's, a secret, and one that it makes itself.
const look = "cat /proc/self/attr/current; echo; cat /file 2>&1; cat /secret 2>&1; echo new > /dev/shm/new; cat /dev/shm/new 2>&1; true"

// allowed is what look prints.
func allowed(label string) string {
	return label + "\nfile\ncat: can't open '/secret': Permission denied\nnew"
}

// addFiles makes what look looks at.
func (b *bundle) addFiles() {
	b.t.Helper()
	must(b.t, os.WriteFile(b.path("file"), []byte("file\n"), 0o644))
	must(b.t, os.WriteFile(b.path("secret"), []byte("secret\n"), 0o644))
	b.labelFiles()
	must(b.t, unix.Lsetxattr(b.path("secret"), labelName, []byte(secretLabel), 0))
}

// piped is what a command prints to a pipe: SELinux lets no container have a file
// of the test's.
func (b *bundle) piped(args ...string) string {
	b.t.Helper()
	out, err := b.outside(20*time.Second, append([]string{"sh", "-c", `"$@" 2>&1 | cat`, "sh"}, args...)...)
	if err != nil {
		b.t.Errorf("%v: %v", args, err)
	}
	return strings.TrimSpace(strings.ReplaceAll(out, "\x00", ""))
}

func TestSELinux(t *testing.T) {
	enforce(t)
	b := newBundle(t, look)
	b.addFiles()
	b.spec.Process.SelinuxLabel, b.spec.Linux.MountLabel = processLabel, fileLabel
	b.write()
	rt := []string{rtPath, "--root", b.root}
	want(t, "run", b.piped(append(rt, "run", b.id)...), allowed(processLabel))

	b.spec.Linux.MaskedPaths = []string{"/sys/firmware"} // not /proc/keys
	b.spec.Process.Args = []string{"sleep", "1000"}
	b.create()
	b.ok("start", b.id)
	in := func(script string, flags ...string) string {
		t.Helper()
		return b.piped(slices.Concat(rt, []string{"exec"}, flags, []string{b.id, "sh", "-c", script})...)
	}
	want(t, "exec", in(look), allowed(processLabel))
	const other = "system_u:system_r:container_t:s0:c3"
	want(t, "exec with a label", in(look, "--process-label", other), allowed(other))
	// A key with the label of rt would be invisible.
	want(t, "session keyrings", in(keyrings(b)+" | wc -l"), "1")
	for _, name := range []string{"dev", "dev/shm", "dev/mqueue", "sys/firmware"} {
		var label [256]byte
		n, err := unix.Lgetxattr(fmt.Sprintf("/proc/%d/root/%s", b.state().Pid, name), labelName, label[:])
		must(t, err)
		want(t, name, strings.TrimRight(string(label[:n]), "\x00"), fileLabel)
	}
	b.ok("delete", "--force", b.id)
}

// Without linux.mountLabel the container cannot use its file systems.
func TestSELinuxWithoutAMountLabel(t *testing.T) {
	enforce(t)
	b := newBundle(t, "echo new > /dev/shm/new; cat /dev/shm/new 2>&1; true")
	b.labelFiles()
	b.spec.Process.SelinuxLabel = processLabel
	b.write()
	want(t, "run", b.piped(rtPath, "--root", b.root, "run", b.id),
		"sh: can't create /dev/shm/new: Permission denied\ncat: can't open '/dev/shm/new': Permission denied")
}

func TestSELinuxLabelsThatThePolicyDoesNotKnow(t *testing.T) {
	enforce(t)
	b := newBundle(t, "true")
	b.labelFiles()
	b.spec.Process.SelinuxLabel = "system_u:system_r:nobody_t:s0"
	b.write()
	for _, flags := range [][]string{{"run"}, {"run", "--no-new-keyring"}} {
		b.fails([]string{"process.selinuxLabel", "nobody_t", "invalid argument"}, append(flags, b.id)...)
	}
	b.spec.Process.SelinuxLabel, b.spec.Linux.MountLabel = processLabel, "system_u:object_r:nothing_t:s0"
	b.write()
	b.fails([]string{"linux.mountLabel", "nothing_t"}, "run", b.id)
	b.noTrace()
}

// Podman chooses labels if there is SELinux.
func TestPodmanWithSELinux(t *testing.T) {
	enforce(t)
	p := newPodman(t, false)
	p.addFiles()
	out := p.piped(slices.Concat([]string{"env"}, p.env, []string{"podman", "--log-level", "error", "run", "--rm", "--network", "none",
		"--security-opt", "label=level:s0:c1,c2", "--rootfs", p.path(""), "sh", "-c", look})...)
	want(t, "podman run", out, allowed(processLabel))
}
