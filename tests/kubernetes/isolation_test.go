package kubernetes

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The test runs in three stages. The supervisor makes a cgroup, starts the init process in
// it and in namespaces of its own, and checks in the end that nothing is left. The init
// process is process 1 of everything that the test starts: when it ends, the kernel ends them
// all. It mounts what is the node's own, starts the tests, and reaps.
const (
	stageVariable = "RT_KUBERNETES_STAGE"
	stageInit     = "init"
	stageTests    = "tests"
)

// hierarchy is a hierarchy of cgroups: the one of version 2 has no options.
type hierarchy struct {
	point   string // where it is mounted
	options string // of the mount: the controllers
	own     string // the cgroup of this process
}

// hierarchies are those of /proc/self/mountinfo. On a machine with a hybrid layout the test
// is to run in a view of version 1: tests/view v1.
func hierarchies() ([]hierarchy, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var list []hierarchy
	for line := range strings.Lines(string(mounts)) {
		front, back, _ := strings.Cut(strings.TrimSpace(line), " - ")
		kind := strings.Fields(back)
		if kind[0] != "cgroup" && kind[0] != "cgroup2" {
			continue
		}
		h := hierarchy{point: strings.Fields(front)[4]}
		if kind[0] == "cgroup" {
			h.options = strings.TrimPrefix(strings.TrimPrefix(kind[2], "rw,"), "xattr,")
		}
		for entry := range strings.Lines(string(own)) {
			fields := strings.SplitN(strings.TrimSpace(entry), ":", 3)
			if fields[1] == h.options {
				h.own = fields[2]
			}
		}
		list = append(list, h)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no cgroups are mounted")
	}
	return list, nil
}

// make makes a cgroup in the hierarchy.
func (h hierarchy) make(name string) error {
	dir := filepath.Join(h.point, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if h.options != "cpuset" {
		return nil
	}
	// A new cgroup of version 1 has no processors and no memory.
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		data, err := os.ReadFile(filepath.Join(h.point, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0); err != nil {
			return err
		}
	}
	return nil
}

// enter moves this process into a cgroup.
func (h hierarchy) enter(name string) error {
	return os.WriteFile(filepath.Join(h.point, name, "cgroup.procs"), []byte("0"), 0)
}

// remove removes a cgroup and all below it, and reports what it cannot remove.
func (h hierarchy) remove(name string) error {
	root := filepath.Join(h.point, name)
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		err := syscall.Rmdir(dir)
		// A process that was killed leaves its cgroup a moment later.
		for i := 0; err == syscall.EBUSY && i < 100; i++ {
			time.Sleep(50 * time.Millisecond)
			err = syscall.Rmdir(dir)
		}
		if err != nil {
			return fmt.Errorf("left: %s: %w", dir, err)
		}
	}
	return nil
}

// supervise runs the test in cgroups and namespaces of its own, and returns the exit status.
func supervise() int {
	name := fmt.Sprintf("rt-kubernetes-%d", os.Getpid())
	before, _ := os.ReadFile("/proc/self/mountinfo")
	list, err := hierarchies()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubernetes:", err)
		return 1
	}
	code, err := superviseIn(name, list)
	for _, h := range list {
		if e := h.remove(name); err == nil {
			err = e
		}
	}
	after, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(after)) {
		if err == nil && !strings.Contains(string(before), line) {
			err = fmt.Errorf("left mounted: %s", line)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kubernetes:", err)
		return 1
	}
	fmt.Println("kubernetes: no process, mount, cgroup or network namespace of the test is left")
	return code
}

func superviseIn(name string, list []hierarchy) (code int, err error) {
	// The parent's death is that of the thread.
	runtime.LockOSThread()
	for _, h := range list {
		if err := h.make(name); err != nil {
			return 0, err
		}
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), stageVariable+"="+stageInit)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWCGROUP,
		Pdeathsig:  syscall.SIGKILL,
	}
	// The root of a new cgroup namespace is where its maker is.
	for _, h := range list {
		defer func() { _ = h.enter(h.own) }()
		if err := h.enter(name); err != nil {
			return 0, err
		}
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for _, h := range list {
		if err := h.enter(h.own); err != nil {
			_ = cmd.Process.Kill()
			return 0, err
		}
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-interrupted
		_ = cmd.Process.Kill()
	}()
	_ = cmd.Wait()
	if code = cmd.ProcessState.ExitCode(); code < 0 {
		code = 1 // killed
	}
	return code, nil
}

// beInit is the first process of the namespaces.
func beInit() int {
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "kubernetes:", err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), stageVariable+"="+stageTests, "TMPDIR=/run", "HOME=/run", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "kubernetes:", err)
		return 1
	}
	// The shims are nobody's children.
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid == cmd.Process.Pid {
			if status.Exited() {
				return status.ExitStatus()
			}
			return 1
		}
	}
}

// furnish mounts what belongs to the node. Its directories are where a node has them, in
// memory.
func furnish() error {
	list, err := hierarchies()
	if err != nil {
		return err
	}
	flags := uintptr(syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC)
	type mount struct {
		source, target, kind, data string
		flags                      uintptr
	}
	steps := []mount{
		{target: "/", flags: syscall.MS_REC | syscall.MS_PRIVATE},
		{"proc", "/proc", "proc", "", flags},
		{"sysfs", "/sys", "sysfs", "", flags},
		{"tmpfs", "/dev/shm", "tmpfs", "", syscall.MS_NOSUID | syscall.MS_NODEV},
		{"tmpfs", "/run", "tmpfs", "mode=755", 0},
		{"tmpfs", "/var/lib", "tmpfs", "mode=755", 0},
		{"tmpfs", "/var/log", "tmpfs", "mode=755", 0},
		{"tmpfs", "/usr/local/bin", "tmpfs", "mode=755", 0},
	}
	if list[0].options != "" {
		steps = append(steps, mount{"tmpfs", "/sys/fs/cgroup", "tmpfs", "mode=755", 0})
	}
	if hasAppArmor() {
		steps = append(steps, mount{"securityfs", "/sys/kernel/security", "securityfs", "", flags})
	}
	for _, s := range steps {
		if err := syscall.Mount(s.source, s.target, s.kind, s.flags, s.data); err != nil {
			return fmt.Errorf("mount %s: %w", s.target, err)
		}
	}
	if err := mountCgroups(list); err != nil {
		return err
	}
	// As on a node, mounts come through to pods that ask for them.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte(nodeName)); err != nil {
		return err
	}
	for _, line := range []string{
		"ip link set lo up",
		"ip link add node0 type bridge",
		"ip address add " + nodeAddress + "/24 dev node0",
		"ip link set node0 up",
		"ip route add default dev node0",
	} {
		args := strings.Fields(line)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, out)
		}
	}
	shim := "/usr/local/bin/containerd-shim-rt-v2"
	return os.Symlink(filepath.Join(*binaries, filepath.Base(shim)), shim)
}

func mountCgroups(list []hierarchy) error {
	for _, h := range list {
		kind := "cgroup2"
		if h.options != "" {
			kind = "cgroup"
			if err := os.MkdirAll(h.point, 0o755); err != nil {
				return err
			}
		}
		options := h.options
		if strings.HasPrefix(options, "name=") {
			options = "none," + options
		}
		if err := syscall.Mount(kind, h.point, kind, 0, options); err != nil {
			return fmt.Errorf("mount %s: %w", h.point, err)
		}
		if kind == "cgroup" {
			continue
		}
		// A cgroup of version 2 with controllers for others has no processes.
		if err := h.make("node"); err != nil {
			return err
		}
		if err := h.enter("node"); err != nil {
			return err
		}
		data, err := os.ReadFile(filepath.Join(h.point, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for controller := range strings.FieldsSeq(string(data)) {
			if err := os.WriteFile(filepath.Join(h.point, "cgroup.subtree_control"), []byte("+"+controller), 0); err != nil {
				return err
			}
		}
	}
	return nil
}
