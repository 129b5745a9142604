package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// podFiles are the files of a pod that its containers mount: hostname, hosts, resolv.conf,
// and the file system for /dev/shm. containerd's CRI plugin looks for them in two
// directories of its own, and only the sandboxer makes them. When containerd starts again,
// its CRI plugin removes the directories of pods that have no pause container, and all in
// them, even what is in use. It leaves symbolic links alone.
type podFiles struct {
	// Dir is the directory, in the bundle; Links are where the CRI plugin looks.
	Dir   string
	Links []string
}

func (o *taskOptions) podFiles(bundle, id string) podFiles {
	root, state := o.CRIRoot, o.CRIState
	if root == "" {
		// containerd links the directory of a bundle's data in the bundle.
		work, _ := os.Readlink(filepath.Join(bundle, "work"))
		root = filepath.Join(directoryOf(work, "/var/lib/containerd"), criPlugin)
	}
	if state == "" {
		state = filepath.Join(directoryOf(bundle, "/run/containerd"), criPlugin)
	}
	f := podFiles{Dir: filepath.Join(bundle, "pod")}
	for _, dir := range []string{root, state} {
		f.Links = append(f.Links, filepath.Join(dir, "sandboxes", id))
	}
	return f
}

// The names of plugins, which those of containerd's directories are: DIR/PLUGIN/NAMESPACE/ID.
const (
	criPlugin     = "io.containerd.grpc.v1.cri"
	sandboxPlugin = "io.containerd.sandbox.controller.v1.shim"
)

// directoryOf is containerd's directory above that of a pod, or the usual one.
func directoryOf(pod, usual string) string {
	if plugin := filepath.Dir(filepath.Dir(pod)); filepath.Base(plugin) == sandboxPlugin {
		return filepath.Dir(plugin)
	}
	return usual
}

const shmSize = 64 << 20

func (f podFiles) shm() string { return filepath.Join(f.Dir, "shm") }

// make makes the files of a pod.
func (f podFiles) make(p *podConfig) error {
	if err := os.Mkdir(f.Dir, 0o711); err != nil {
		return err
	}
	hostname := p.Hostname
	if hostname == "" {
		var err error
		if hostname, err = os.Hostname(); err != nil {
			return err
		}
	}
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil {
		return err
	}
	resolv, err := p.resolvConf()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"hostname": []byte(hostname + "\n"), "hosts": hosts, "resolv.conf": resolv} {
		if err := os.WriteFile(filepath.Join(f.Dir, name), content, 0o644); err != nil {
			return err
		}
	}
	if p.IPC != nodeNamespace {
		if err := os.Mkdir(f.shm(), 0o700); err != nil {
			return err
		}
		if err := unix.Mount("shm", f.shm(), "tmpfs", unix.MS_NOEXEC|unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("mode=1777,size=%d", shmSize)); err != nil {
			return fmt.Errorf("mount the pod's /dev/shm: %w", err)
		}
	}
	for _, link := range f.Links {
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(f.Dir, link); err != nil {
			return err
		}
	}
	return nil
}

// resolvConf is the pod's resolv.conf(5): the host's, unless the pod has its own.
func (p *podConfig) resolvConf() ([]byte, error) {
	if p.DNS == nil {
		return os.ReadFile("/etc/resolv.conf")
	}
	var b strings.Builder
	if len(p.DNS.Searches) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(p.DNS.Searches, " "))
	}
	for _, s := range p.DNS.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(p.DNS.Options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(p.DNS.Options, " "))
	}
	return []byte(b.String()), nil
}

// unmount unmounts the pod's /dev/shm, which nobody uses any more.
func (f podFiles) unmount() error {
	switch err := unix.Unmount(f.shm(), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err {
	case nil, unix.ENOENT, unix.EINVAL: // it is not mounted
		return nil
	default:
		return &os.PathError{Op: "unmount", Path: f.shm(), Err: err}
	}
}

// remove removes the files of a pod. It can be repeated.
func (f podFiles) remove() error {
	err := f.unmount()
	if err == nil {
		err = os.RemoveAll(f.Dir)
	}
	for _, link := range f.Links {
		if target, _ := os.Readlink(link); target == f.Dir {
			err = errors.Join(err, os.Remove(link))
		}
	}
	return err
}
