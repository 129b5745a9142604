package birth

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/resctrl"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// load reads the configuration. If it fails, nothing on the system has changed.
func (f *first) load() error {
	if err := state.CheckID(f.o.ID); err != nil {
		return err
	}
	if err := checkKernel(); err != nil {
		return err
	}
	bundle, err := filepath.Abs(f.o.Bundle)
	if err != nil {
		return err
	}
	f.o.Bundle = bundle
	config, err := f.read()
	if err != nil {
		return err
	}
	f.spec, f.config = config.Spec, config.Data
	if p := f.spec.Process; p != nil {
		p.Env = append(p.Env, f.o.Env...)
	}
	WarnAll(f.Warn, config.Warnings)
	for _, m := range config.Unknown {
		f.note(spec.ConfigName + ": " + m)
	}
	return f.check()
}

// read reads the configuration, wherever it is.
func (f *first) read() (*spec.Config, error) {
	if f.o.Spec != nil {
		return spec.FromSpec(f.o.Spec)
	}
	return spec.LoadFile(f.o.Bundle, f.o.Config)
}

// check checks whether this host and this caller can make such a container.
func (f *first) check() (err error) {
	if err := checkRights(f.spec); err != nil {
		return err
	}
	if ahead := namespacesAhead(f.spec); ahead != 0 && f.thread != nil {
		f.thread.Unshare(ahead)
	}
	if f.rootfs, err = rootfs(f.o.Bundle, f.spec); err != nil {
		return err
	}
	if f.spec.Process != nil && f.spec.Process.Terminal && f.Terminal == nil {
		return errors.New("process.terminal: is true, but nothing receives the terminal: give --console-socket, or run in the foreground")
	}
	if err := checkLabels(f.spec); err != nil {
		return err
	}
	if l := f.spec.Linux; l != nil && l.IntelRdt != nil {
		if f.resctrl, err = resctrl.Mountpoint(); err != nil {
			return err
		}
	}
	if f.o.NoCgroup {
		f.cgroup, err = cgroup.NewNone(f.spec)
		return err
	}
	f.cgroup, err = cgroup.New(f.spec, f.o.ID, f.o.SystemdCgroup, f.o.Rootless)
	return err
}

// nameKeyring makes a name for the session keyring: runc's name, and a number that no
// other container can guess.
func (f *first) nameKeyring() error {
	if f.o.NoNewKeyring {
		return nil
	}
	var number [16]byte
	if _, err := unix.Getrandom(number[:], 0); err != nil {
		return os.NewSyscallError("getrandom", err)
	}
	f.keyring = keyringName(f.o.ID, hex.EncodeToString(number[:]))
	return nil
}

func keyringName(id, number string) string { return "_ses." + id + "." + number }

func rootfs(bundle string, s *specs.Spec) (string, error) {
	path := s.Root.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(bundle, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("root.path: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("root.path: %s is not a directory", path)
	}
	return path, nil
}

// checkRights explains what the kernel would answer only with EPERM: clone(2),
// user_namespaces(7).
func checkRights(s *specs.Spec) error {
	if os.Geteuid() == 0 || spec.FindNamespace(s, specs.UserNamespace) != nil || ownCapabilities()&(1<<unix.CAP_SYS_ADMIN) != 0 {
		return nil
	}
	return errors.New("linux.namespaces: this user is not root and can make containers only in a user namespace: add {\"type\": \"user\"} with linux.uidMappings and linux.gidMappings, as rt spec --rootless does")
}
