package spec

import (
	"errors"
	"fmt"
	"math"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/sysfile"
	"golang.org/x/sys/unix"
)

// The limits of a configuration: docs/limits.md. If the kernel has a limit, it would
// report it later and in other words, or silently truncate a long value. The other limits
// bound rt's time and memory, and are far above what anybody writes.
const (
	// MaxSize is the most bytes of a document: config.json, or what exec --process
	// and update --resources read.
	MaxSize = 16 << 20
	// maxEntries is the maximum number of entries of a list or an object.
	maxEntries = 10_000
	// maxHooks is the maximum for each kind of hook, since every hook is a process.
	maxHooks = 1000
	// maxPaths is for maskedPaths and readonlyPaths, which are mounts: with many mounts on
	// one path, the kernel's time grows with the square of their number.
	maxPaths = 1000
	// maxConditions is for the arguments of a rule of linux.seccomp; each may apply to all
	// of its names.
	maxConditions = 100
	// maxTests is for the sum over all rules of their names times their arguments.
	maxTests = 1_000_000
	// maxPath is PATH_MAX without the NUL: path_resolution(7).
	maxPath = unix.PathMax - 1
	// maxArgument is MAX_ARG_STRLEN without the NUL. maxArguments is the maximum for all
	// strings of the arguments and the environment, with the pointers to them: execve(2).
	maxArgument  = 128<<10 - 1
	maxArguments = 6 << 20
	// maxPage is the maximum that kernel files, such as those of sysctl, and mount(2)
	// accept at once, without the NUL.
	maxPage = 4095
	// maxOption is the longest value that fsconfig(2) accepts. If one is longer, all
	// options of the mount go to mount(2) together.
	maxOption = 255
)

// over tells whether there is more of something than allowed.
func over(n, limit int) bool { return n > limit && !defence.Off(defence.Limits) }

// ReadDocument reads a configuration from an open file, which may be a pipe. The name
// is for errors.
func ReadDocument(fd int, name string) ([]byte, error) {
	limit := int64(math.MaxInt64)
	if over(math.MaxInt, MaxSize) {
		limit = MaxSize
	}
	data, err := sysfile.ReadAll(fd, name, limit)
	if errors.Is(err, sysfile.ErrTooLarge) {
		return nil, fmt.Errorf("%s: larger than %d MiB, the limit of a configuration; look for what makes it so large", name, MaxSize>>20)
	}
	return data, err
}

// LoadDocument is ReadDocument for the name of a file.
func LoadDocument(name string) ([]byte, error) {
	fd, err := sysfile.OpenAt(unix.AT_FDCWD, name, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return ReadDocument(fd, name)
}

// sizes checks the limits. The other checks take time for each entry, so they come after
// it.
func (v *validator) sizes() {
	s := v.s
	v.processSizes(s.Process)
	if s.Root != nil {
		v.pathSize("root.path", s.Root.Path)
	}
	v.mountsSizes()
	if s.Hooks != nil {
		for _, kind := range Hooks {
			v.hookSizes("hooks."+kind.Name, kind.Value(s.Hooks))
		}
	}
	if s.Linux != nil {
		v.linuxSizes(s.Linux)
		v.resourceSizes(s.Linux.Resources)
		v.seccompSizes(s.Linux.Seccomp)
	}
}

func (v *validator) processSizes(p *specs.Process) {
	if p == nil {
		return
	}
	v.argumentSizes("process", p.Args, p.Env)
	v.pathSize("process.cwd", p.Cwd)
	v.count("process.rlimits", len(p.Rlimits), maxEntries)
	v.pageSize("process.apparmorProfile", p.ApparmorProfile)
	v.pageSize("process.selinuxLabel", p.SelinuxLabel)
	if c := p.Capabilities; c != nil {
		for _, set := range []struct {
			name string
			list []string
		}{
			{"bounding", c.Bounding}, {"effective", c.Effective}, {"inheritable", c.Inheritable}, {"permitted", c.Permitted}, {"ambient", c.Ambient},
		} {
			v.count("process.capabilities."+set.name, len(set.list), maxEntries)
		}
	}
}

// argumentSizes checks the arguments of execve(2).
func (v *validator) argumentSizes(field string, args, env []string) {
	const pointer = 8
	total := 0
	for _, list := range []struct {
		name    string
		strings []string
	}{{".args", args}, {".env", env}} {
		for i, s := range list.strings {
			total += len(s) + 1 + pointer
			if over(len(s), maxArgument) {
				v.add(entry(field+list.name, i), "%d bytes; the kernel takes arguments and variables of at most %d", len(s), maxArgument)
			}
		}
	}
	if over(total, maxArguments) {
		v.add(field+".args", "%d bytes with %s.env; the kernel takes at most %d for arguments and environment together", total, field, maxArguments)
	}
}

func (v *validator) mountsSizes() {
	v.count("mounts", len(v.s.Mounts), maxEntries)
	for i := range v.s.Mounts {
		v.mountSizes(i, &v.s.Mounts[i])
	}
}

func (v *validator) mountSizes(i int, m *specs.Mount) {
	if len(m.Destination) > maxPath || len(m.Source) > maxPath {
		v.pathSize(entry("mounts", i)+".destination", m.Destination)
		v.pathSize(entry("mounts", i)+".source", m.Source)
	}
	if len(m.Options) == 0 {
		return
	}
	total, long := 0, false
	for _, o := range m.Options {
		_, value, _ := strings.Cut(o, "=")
		total, long = total+len(o)+1, long || len(value) > maxOption
	}
	if long && over(total-1, maxPage) {
		v.add(entry("mounts", i)+".options", "%d bytes; the kernel takes at most %d of all options of a mount if one has a value of more than %d", total-1, maxPage, maxOption)
	}
	v.count(entry("mounts", i)+".options", len(m.Options), maxEntries)
}

func (v *validator) hookSizes(field string, hooks []specs.Hook) {
	v.count(field, len(hooks), maxHooks)
	for i, h := range hooks {
		v.pathSize(entry(field, i)+".path", h.Path)
		v.argumentSizes(entry(field, i), h.Args, h.Env)
	}
}

func (v *validator) linuxSizes(l *specs.Linux) {
	v.count("linux.namespaces", len(l.Namespaces), maxEntries)
	for i, n := range l.Namespaces {
		if n.Path != "" {
			v.pathSize(entry("linux.namespaces", i)+".path", n.Path)
		}
	}
	v.count("linux.devices", len(l.Devices), maxEntries)
	for i, d := range l.Devices {
		v.pathSize(entry("linux.devices", i)+".path", d.Path)
	}
	v.pathSizes("linux.maskedPaths", l.MaskedPaths)
	v.pathSizes("linux.readonlyPaths", l.ReadonlyPaths)
	v.pathSize("linux.cgroupsPath", l.CgroupsPath)
	v.pageSize("linux.mountLabel", l.MountLabel)
	v.count("linux.netDevices", len(l.NetDevices), maxEntries)
	v.count("linux.timeOffsets", len(l.TimeOffsets), maxEntries)
	v.pages("linux.sysctl", l.Sysctl)
	if l.Personality != nil {
		v.count("linux.personality.flags", len(l.Personality.Flags), maxEntries)
	}
	if l.MemoryPolicy != nil {
		v.count("linux.memoryPolicy.flags", len(l.MemoryPolicy.Flags), maxEntries)
	}
	if l.IntelRdt != nil {
		v.count("linux.intelRdt.schemata", len(l.IntelRdt.Schemata), maxEntries)
	}
}

func (v *validator) resourceSizes(r *specs.LinuxResources) {
	if r == nil {
		return
	}
	v.count(resourcesField+"devices", len(r.Devices), maxEntries)
	v.count(resourcesField+"hugepageLimits", len(r.HugepageLimits), maxEntries)
	v.count(resourcesField+"rdma", len(r.Rdma), maxEntries)
	v.pages(resourcesField+"unified", r.Unified)
	if r.Network != nil {
		v.count(resourcesField+"network.priorities", len(r.Network.Priorities), maxEntries)
	}
	if b := r.BlockIO; b != nil {
		v.count(resourcesField+"blockIO.weightDevice", len(b.WeightDevice), maxEntries)
		v.count(resourcesField+"blockIO.throttleReadBpsDevice", len(b.ThrottleReadBpsDevice), maxEntries)
		v.count(resourcesField+"blockIO.throttleWriteBpsDevice", len(b.ThrottleWriteBpsDevice), maxEntries)
		v.count(resourcesField+"blockIO.throttleReadIOPSDevice", len(b.ThrottleReadIOPSDevice), maxEntries)
		v.count(resourcesField+"blockIO.throttleWriteIOPSDevice", len(b.ThrottleWriteIOPSDevice), maxEntries)
	}
}

// seccompSizes: the number of instructions of the filter is checked when it is made.
func (v *validator) seccompSizes(s *specs.LinuxSeccomp) {
	if s == nil {
		return
	}
	v.count("linux.seccomp.architectures", len(s.Architectures), maxEntries)
	v.count("linux.seccomp.flags", len(s.Flags), maxEntries)
	v.count("linux.seccomp.syscalls", len(s.Syscalls), maxEntries)
	tests := 0
	for i := range s.Syscalls {
		r := &s.Syscalls[i]
		tests += len(r.Names) * len(r.Args)
		if len(r.Names) > maxEntries || len(r.Args) > maxConditions {
			v.count(entry("linux.seccomp.syscalls", i)+".names", len(r.Names), maxEntries)
			v.count(entry("linux.seccomp.syscalls", i)+".args", len(r.Args), maxConditions)
		}
	}
	if over(tests, maxTests) {
		v.add("linux.seccomp.syscalls", "%d combinations of a name with an argument; there may be at most %d", tests, maxTests)
	}
}

func (v *validator) count(field string, n, limit int) {
	if over(n, limit) {
		v.add(field, "%d entries; there may be at most %d", n, limit)
	}
}

func (v *validator) pathSize(field, path string) {
	if over(len(path), maxPath) {
		v.add(field, "%d bytes; the kernel takes paths of at most %d", len(path), maxPath)
	}
}

func (v *validator) pathSizes(field string, paths []string) {
	v.count(field, len(paths), maxPaths)
	for i, p := range paths {
		if len(p) > maxPath {
			v.pathSize(entry(field, i), p)
		}
	}
}

func (v *validator) pageSize(field, text string) {
	if over(len(text), maxPage) {
		v.add(field, "%d bytes; the kernel takes at most %d", len(text), maxPage)
	}
}

// pages checks the values of kernel files.
func (v *validator) pages(field string, files map[string]string) {
	v.count(field, len(files), maxEntries)
	for _, name := range sortedKeys(files) {
		if over(len(name), maxPath) {
			v.add(member(field, name), "the name has %d bytes; the kernel takes paths of at most %d", len(name), maxPath)
		}
		if len(files[name]) > maxPage {
			v.pageSize(member(field, name), files[name])
		}
	}
}
