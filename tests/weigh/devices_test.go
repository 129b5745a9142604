package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/cgroups"
	_ "github.com/opencontainers/cgroups/devices" // the library's filter
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// node is a device that the test tries to make and to open.
type node struct {
	kind         uint32
	major, minor uint32
}

var nodes = []node{
	{unix.S_IFCHR, 1, 3}, {unix.S_IFCHR, 1, 5}, {unix.S_IFCHR, 1, 11}, {unix.S_IFCHR, 5, 1}, {unix.S_IFCHR, 10, 237}, {unix.S_IFCHR, 7, 0},
	{unix.S_IFBLK, 7, 0}, {unix.S_IFBLK, 7, 1}, {unix.S_IFBLK, 1, 3},
}

func (n node) name(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("%o-%d-%d", n.kind, n.major, n.minor))
}

func (n node) make(name string) error {
	return unix.Mknod(name, n.kind|0o600, int(unix.Mkdev(n.major, n.minor)))
}

func TestMain(m *testing.M) {
	if group := os.Getenv("WEIGH_PROBE"); group != "" {
		probe(group, os.Getenv("WEIGH_NODES"))
		return
	}
	os.Exit(m.Run())
}

// probe enters a cgroup and prints what is refused there.
func probe(group, dir string) {
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0); err != nil {
		panic(err)
	}
	for _, n := range nodes {
		made := n.name(dir) + ".probe"
		fmt.Printf("mknod %v %v\n", n, n.make(made) == unix.EPERM)
		os.Remove(made)
		for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY} {
			fd, err := unix.Open(n.name(dir), flags|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
			if err == nil {
				unix.Close(fd)
			}
			fmt.Printf("open %v %d %v\n", n, flags, err == unix.EPERM)
		}
	}
}

// randomRules are rules that mean the same to rt and to the library. With rt each access
// is decided by the last rule that is about it. The library keeps a list of exceptions:
// a rule takes back only one that has the same numbers, and one of type a is for all
// devices, whatever numbers it has.
func randomRules() []specs.LinuxDeviceCgroup {
	pick := func(list ...int64) *int64 {
		if n := list[rand.IntN(len(list))]; n >= 0 {
			return &n
		}
		return nil
	}
	all := rand.IntN(3) == 0
	rules := []specs.LinuxDeviceCgroup{{Allow: all, Access: "rwm"}}
	for range rand.IntN(6) {
		if len(rules) == 2 && rand.IntN(4) == 0 {
			back := rules[1]
			back.Allow = !back.Allow
			rules = append(rules, back)
			continue
		}
		rules = append(rules, specs.LinuxDeviceCgroup{
			Allow: !all, Type: []string{"c", "b"}[rand.IntN(2)],
			Major: pick(-1, 1, 5, 7, 10), Minor: pick(-1, -1, 0, 3, 5, 11, 237),
			Access: []string{"r", "w", "m", "rw", "rm", "wm", "rwm", "rwm"}[rand.IntN(8)],
		})
	}
	return rules
}

// The filter of rt and that of the library refuse the same, in real cgroups.
func TestFiltersRefuseTheSame(t *testing.T) {
	rt := os.Getenv("RT")
	if rt == "" || os.Geteuid() != 0 || !cgroups.IsCgroup2UnifiedMode() {
		t.Fatal("RT must name the rt binary, and the test needs root and cgroup v2: use `make devices-test`")
	}
	dir := t.TempDir()
	for _, n := range nodes {
		if err := n.make(n.name(dir)); err != nil {
			t.Fatal(err)
		}
	}
	compared := 0
	for i := range 120 {
		config := spec.Default()
		config.Process.Terminal = false
		config.Linux.Resources.Devices = randomRules()
		text, _ := json.Marshal(config.Linux.Resources.Devices)
		library := filepath.Join("/sys/fs/cgroup", fmt.Sprintf("rt-weigh-%d-%d", os.Getpid(), i))
		if err := os.Mkdir(library, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(library) })
		err := cgroups.DevicesSetV2(library, cgroup.Resources(config))
		if err == nil {
			own, remove := container(t, rt, dir, config)
			ours, theirs := refused(t, own, dir), refused(t, library, dir)
			remove()
			for n := range theirs {
				if ours[n] != theirs[n] {
					t.Errorf("%s\nrt: %s\nthe library: %s", text, ours[n], theirs[n])
				}
			}
			compared++
		} // else the library has no words for such rules
	}
	t.Logf("%d lists of rules compared", compared)
	if compared < 60 {
		t.Error("too few")
	}
}

// container makes one with rt, and returns its cgroup.
func container(t *testing.T, rt, dir string, config *specs.Spec) (group string, remove func()) {
	t.Helper()
	bundle, err := os.MkdirTemp(dir, "bundle")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(bundle, "rootfs", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "sh"), nil, 0o755); err != nil { // nobody starts it
		t.Fatal(err)
	}
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) *exec.Cmd {
		return exec.Command(rt, append([]string{"--root", filepath.Join(bundle, "state")}, args...)...)
	}
	pidFile := filepath.Join(bundle, "pid")
	id := fmt.Sprintf("rt-weigh-%d", rand.Uint32())
	create := command("create", "--bundle", bundle, "--pid-file", pidFile, id)
	create.Stderr = os.Stderr
	if err := create.Run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command("delete", "--force", id).Run() })
	remove = func() {
		if out, err := command("delete", "--force", id).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strconv.Atoi(string(pid)); err != nil {
		t.Fatal(err)
	}
	membership, err := os.ReadFile("/proc/" + string(pid) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(membership)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return filepath.Join("/sys/fs/cgroup", path), remove
		}
	}
	t.Fatalf("no cgroup v2: %s", membership)
	return "", nil
}

func refused(t *testing.T, group, nodes string) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WEIGH_PROBE="+group, "WEIGH_NODES="+nodes)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", group, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
