package birth

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// namespacesAhead are the container's namespaces that take the kernel long and that do not
// depend on others: a namespace that a user namespace owns has to be made in it.
func namespacesAhead(s *specs.Spec) (flags uint64) {
	if spec.FindNamespace(s, specs.UserNamespace) != nil {
		return 0
	}
	for _, t := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.IPCNamespace} {
		if n := spec.FindNamespace(s, t); n != nil && n.Path == "" {
			flags |= spec.NamespaceFlag(t)
		}
	}
	return flags
}

// otherNamespaces are the container's namespaces that differ from rt's: new ones, and
// joined or kept ones that are not rt's own. setns(2) refuses the user namespace that the
// caller is already in.
func otherNamespaces(s *specs.Spec, pid int) (uint64, error) {
	var flags uint64
	for _, n := range spec.Namespaces {
		if made := spec.FindNamespace(s, n.Type); made != nil && made.Path == "" {
			flags |= n.Flag
			continue
		}
		own, err := isOwnNamespace(n.Type, fmt.Sprintf("/proc/%d/ns/%s", pid, n.Proc))
		if errors.Is(err, os.ErrNotExist) {
			continue // not in this kernel
		}
		if err != nil {
			return 0, err
		}
		if !own {
			flags |= n.Flag
		}
	}
	return flags, nil
}

// isOwnNamespace tells whether a file refers to rt's own namespace of a type; it then has
// the same device and inode: namespaces(7).
func isOwnNamespace(t specs.LinuxNamespaceType, name string) (bool, error) {
	var own, theirs unix.Stat_t
	if err := unix.Stat(name, &theirs); err != nil {
		return false, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	err := unix.Stat("/proc/self/ns/"+procName(t), &own)
	return err == nil && own.Dev == theirs.Dev && own.Ino == theirs.Ino, nil
}

// openNamespace opens a namespace to join. The kernel parameters of the configuration must
// not be set in rt's own namespace, whichever file leads there.
func (f *first) openNamespace(n *compile.File) (*os.File, error) {
	file, err := openNamespace(n)
	if err != nil {
		return nil, err
	}
	if field := spec.SysctlOf(f.spec, n.Namespace); field != "" {
		if own, _ := isOwnNamespace(n.Namespace, fmt.Sprintf("/proc/self/fd/%d", file.Fd())); own {
			file.Close()
			return nil, fmt.Errorf("%s: would change the host: %s, %q, is rt's own %s namespace: leave its path out, or set the parameter on the host", field, n.Source, n.Path, n.Namespace)
		}
	}
	return file, nil
}

// openNamespace opens a namespace and checks that it is one, of the right type.
func openNamespace(f *compile.File) (*os.File, error) {
	fd, err := sysfile.OpenRegular(unix.AT_FDCWD, f.Path, 0)
	if errors.Is(err, sysfile.ErrNotRegular) {
		return nil, notNamespace(f)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: join the %s namespace: %w", f.Source, f.Namespace, err)
	}
	file := os.NewFile(uintptr(fd), f.Path)
	flag, err := unix.IoctlRetInt(int(file.Fd()), unix.NS_GET_NSTYPE)
	if err != nil {
		file.Close()
		return nil, notNamespace(f)
	}
	if uint64(flag) != spec.NamespaceFlag(f.Namespace) {
		file.Close()
		return nil, fmt.Errorf("%s: %q is a %s namespace, not a %s namespace", f.Source, f.Path, namespaceOf(uint64(flag)), f.Namespace)
	}
	return file, nil
}

func notNamespace(f *compile.File) error {
	return fmt.Errorf("%s: %q is not a namespace: give a path such as /proc/PID/ns/%s, or a file on which one is mounted", f.Source, f.Path, procName(f.Namespace))
}

func procName(t specs.LinuxNamespaceType) string {
	for _, n := range spec.Namespaces {
		if n.Type == t {
			return n.Proc
		}
	}
	return string(t)
}

func namespaceOf(flag uint64) specs.LinuxNamespaceType {
	for _, n := range spec.Namespaces {
		if n.Flag == flag {
			return n.Type
		}
	}
	return "different"
}
