// Package resctrl puts a container's process into a group of the resctrl file
// system: config-linux.md, "IntelRdt".
package resctrl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Mountpoint finds the mounted resctrl file system.
func Mountpoint() (string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("resctrl"))
	if err != nil {
		return "", err
	}
	if len(mounts) == 0 {
		return "", errors.New("linux.intelRdt: no resctrl file system is mounted: mount -t resctrl resctrl /sys/fs/resctrl")
	}
	return mounts[0].Mountpoint, nil
}

// Group is a container's group in the resctrl file system. The named directories were made
// for it.
type Group struct {
	// Control is the directory of its class, if the container made it and is its only
	// user.
	Control string
	// Monitor is the directory of its monitoring group.
	Monitor string
}

// Plan works out which directories a container will have.
func Plan(root, id string, r *specs.LinuxIntelRdt) Group {
	var g Group
	if r.ClosID == "" {
		g.Control = filepath.Join(root, id)
	}
	if r.EnableMonitoring {
		g.Monitor = filepath.Join(class(root, id, r), "mon_groups", id)
	}
	return g
}

// class is the directory of the container's class of service.
func class(root, id string, r *specs.LinuxIntelRdt) string {
	switch r.ClosID {
	case "":
		return filepath.Join(root, id)
	case "/":
		return root
	}
	return filepath.Join(root, r.ClosID)
}

// Apply makes the group and moves the process there.
func Apply(root, id string, r *specs.LinuxIntelRdt, pid int) error {
	dir := class(root, id, r)
	lines := Schemata(r)
	made, err := makeClass(dir, r, lines)
	if err != nil {
		return fmt.Errorf("linux.intelRdt.closID: %w", err)
	}
	if made || r.ClosID == "" || r.ClosID == "/" {
		if err := allow(dir, lines); err != nil {
			if made {
				os.Remove(dir)
			}
			return err
		}
	} else if err := compare(filepath.Join(dir, "schemata"), lines); err != nil {
		return fmt.Errorf("linux.intelRdt.schemata: %w", err)
	}
	if err := write(filepath.Join(dir, "tasks"), strconv.Itoa(pid)); err != nil {
		return fmt.Errorf("linux.intelRdt: %w", err)
	}
	if r.EnableMonitoring {
		return monitor(filepath.Join(dir, "mon_groups", id), pid)
	}
	return nil
}

// Update changes what the container's class allows; before is what it restores if that
// fails.
func Update(root, id string, r *specs.LinuxIntelRdt, before []string) error {
	dir := class(root, id, r)
	if err := allow(dir, Schemata(r)); err != nil {
		return errors.Join(err, allow(dir, before))
	}
	return nil
}

// allow writes the lines into a class.
func allow(dir string, lines []string) error {
	for _, line := range lines {
		if err := write(filepath.Join(dir, "schemata"), line+"\n"); err != nil {
			return fmt.Errorf("linux.intelRdt.schemata: write %q: %w", line, err)
		}
	}
	return nil
}

// Schemata are the lines to write, in the order of the specification.
func Schemata(r *specs.LinuxIntelRdt) []string {
	var lines []string
	for _, s := range []string{r.L3CacheSchema, r.MemBwSchema} {
		if s != "" {
			lines = append(lines, s)
		}
	}
	return append(lines, r.Schemata...)
}

// makeClass makes the directory of a class. If the configuration names one without its
// schemata, it must exist.
func makeClass(dir string, r *specs.LinuxIntelRdt, lines []string) (made bool, err error) {
	err = os.Mkdir(dir, 0o755)
	switch {
	case err == nil && r.ClosID != "" && len(lines) == 0:
		os.Remove(dir)
		return false, fmt.Errorf("%s does not exist: make it, or set linux.intelRdt.schemata", dir)
	case errors.Is(err, fs.ErrExist):
		return false, nil
	}
	return err == nil, err
}

// compare checks that an existing class allows what the lines say.
func compare(name string, lines []string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for line := range strings.SplitSeq(string(data), "\n") {
		have[strings.TrimSpace(line)] = true
	}
	for _, line := range lines {
		if !have[strings.TrimSpace(line)] {
			return fmt.Errorf("%q differs from the existing class: %s", line, strings.TrimSpace(string(data)))
		}
	}
	return nil
}

func monitor(dir string, pid int) error {
	err := os.Mkdir(dir, 0o755)
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = write(filepath.Join(dir, "tasks"), strconv.Itoa(pid))
	}
	if err != nil {
		return fmt.Errorf("linux.intelRdt.enableMonitoring: %w", err)
	}
	return nil
}

func write(name, content string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Close())
}

// Remove removes what was made for the container. It can be repeated.
func (g Group) Remove() error {
	for _, dir := range []string{g.Monitor, g.Control} {
		if dir == "" {
			continue
		}
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("linux.intelRdt: %w", err)
		}
	}
	return nil
}
