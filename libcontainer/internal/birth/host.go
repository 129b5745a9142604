package birth

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// hostFacts collects the facts about the machine that the compiler needs: as few as
// possible, and without changing anything.
func hostFacts(s *specs.Spec, rootfs string, cg *cgroup.Cgroup, stdio [3]*os.File) (compile.Host, error) {
	h := compile.Host{LastCap: lastCapability(), Capabilities: ownCapabilities()}
	// Only in the initial user namespace may rt make device nodes.
	h.Privileged = os.Geteuid() == 0 && h.Capabilities&(1<<unix.CAP_SYS_ADMIN) != 0 && !sysfile.InUserNamespace()
	if wantsCgroups(s) && cg != nil {
		facts, err := cg.Facts()
		if err != nil {
			return h, err
		}
		h.Cgroup = compile.Cgroup{Unified: facts.Unified, V2: facts.V2}
		for _, v1 := range facts.V1 {
			h.Cgroup.V1 = append(h.Cgroup.V1, compile.Hierarchy(v1))
		}
		if n := spec.FindNamespace(s, specs.CgroupNamespace); n != nil && n.Path != "" {
			h.Cgroup.Joined, _ = isOwnNamespace(n.Type, n.Path)
		}
	}
	if p := s.Process; p != nil {
		if !hasVariable(p.Env, "HOME") {
			h.Home = homeOf(rootfs, p.User.UID)
		}
		if p.User.UID != 0 {
			for i, f := range stdio {
				h.OwnStdio[i] = f != nil && ownable(f)
			}
		}
	}
	return h, nil
}

func wantsCgroups(s *specs.Spec) bool {
	for _, m := range s.Mounts {
		if m.Type == "cgroup" || m.Type == "cgroup2" {
			return true
		}
	}
	return false
}

// hasVariable tells whether a variable has a value; its last entry counts.
func hasVariable(env []string, name string) bool {
	for _, e := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value != ""
		}
	}
	return false
}

// checkLabels refuses labels that this host does not support: the container would run with
// less protection than its configuration asks for.
func checkLabels(s *specs.Spec) error {
	if p := s.Process; p != nil && p.ApparmorProfile != "" && !hasAppArmor() {
		return fmt.Errorf("process.apparmorProfile: %q: this host has no AppArmor, or it is switched off (/sys/module/apparmor/parameters/enabled)", p.ApparmorProfile)
	}
	field := ""
	switch {
	case s.Process != nil && s.Process.SelinuxLabel != "":
		field = "process.selinuxLabel"
	case s.Linux != nil && s.Linux.MountLabel != "":
		field = "linux.mountLabel"
	}
	if field != "" && !hasSELinux() {
		return fmt.Errorf("%s: this host has no SELinux, or it is switched off (/sys/fs/selinux)", field)
	}
	return nil
}

func hasAppArmor() bool {
	enabled, err := sysfile.Read("/sys/module/apparmor/parameters/enabled")
	return err == nil && len(enabled) > 0 && enabled[0] == 'Y'
}

func hasSELinux() bool {
	var st unix.Statfs_t
	return unix.Statfs("/sys/fs/selinux", &st) == nil && st.Type == unix.SELINUX_MAGIC
}

// lastCapability asks the kernel by prctl(2) for the highest capability.
func lastCapability() int {
	n := len(spec.Capabilities) - 1
	known := func(c int) bool {
		_, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		return err == nil
	}
	for n > 0 && !known(n) {
		n--
	}
	for n < 63 && known(n+1) {
		n++
	}
	return n
}

// ownCapabilities is rt's permitted set.
func ownCapabilities() uint64 {
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0
	}
	return uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted)
}

// ownable tells whether rt may change the owner of a standard stream: it may if the stream
// was made for this container, but not if it is a device that others use.
func ownable(f *os.File) bool {
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return false
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFREG:
		return true
	}
	return false
}

// homeOf looks a user up in the image's /etc/passwd. It opens the file inside the root
// file system, wherever its symlinks point, and only if it is a regular file.
func homeOf(rootfs string, uid uint32) string {
	dir, err := unix.Open(rootfs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "/"
	}
	defer unix.Close(dir)
	fd, err := sysfile.OpenRegular(dir, "etc/passwd", unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	if err != nil {
		return "/"
	}
	defer unix.Close(fd)
	const limit = 1 << 20 // bytes; an image must not keep rt busy
	lines := bufio.NewScanner(io.LimitReader(plainReader(fd), limit))
	for lines.Scan() {
		// passwd(5): name:password:UID:GID:comment:home:shell
		fields := strings.Split(lines.Text(), ":")
		if len(fields) >= 6 && fields[2] == strconv.FormatUint(uint64(uid), 10) && fields[5] != "" {
			return fields[5]
		}
	}
	return "/"
}

// plainReader reads a descriptor. For a non-blocking one, os.NewFile would start the poller of
// the Go runtime, which ends the process if there are too few descriptors.
type plainReader int

func (fd plainReader) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// checkKernel reports an old kernel in one clear sentence.
func checkKernel() error {
	err := unix.MountSetattr(-1, "", 0, &unix.MountAttr{})
	if errors.Is(err, unix.ENOSYS) {
		var u unix.Utsname
		_ = unix.Uname(&u)
		return fmt.Errorf("rt needs Linux 5.14 or later (openat2, pidfd, mount_setattr); this is %s", unix.ByteSliceToString(u.Release[:]))
	}
	return nil
}

// hostMounts lists where the host's proc and sysfs are mounted, except in the container's
// root file system; the last mount comes first.
func hostMounts(rootfs string) (list []string, err error) {
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return m.FSType != "proc" && m.FSType != "sysfs" || m.Mountpoint == rootfs || strings.HasPrefix(m.Mountpoint, rootfs+"/"), false
	})
	for _, m := range slices.Backward(mounts) {
		list = append(list, m.Mountpoint)
	}
	return list, err
}
