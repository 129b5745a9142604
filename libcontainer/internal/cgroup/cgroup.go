// Package cgroup is a thin layer over github.com/opencontainers/cgroups: it makes a
// container's cgroup without moving a process into it, and says how the container's first
// process is born there.
package cgroup

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	systemddbus "github.com/coreos/go-systemd/v22/dbus"
	"github.com/opencontainers/cgroups"
	devices "github.com/opencontainers/cgroups/devices/config"
	"github.com/opencontainers/cgroups/manager"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/sysfile"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// Config is what the state keeps about a container's cgroup.
type Config struct {
	// Paths are the directories by controller; in cgroup v2 there is one, "".
	Paths map[string]string
	// Path, Parent and Name are the requested place.
	Path   string
	Parent string
	Name   string
	Prefix string
	// Systemd is true if systemd manages the cgroup.
	Systemd bool
	// Rootless is true if missing permissions are not an error.
	Rootless bool
}

// Cgroup is a container's cgroup.
type Cgroup struct {
	Config
	// Missing is true after Create if the user may not make cgroups and the container does
	// not need one.
	Missing   bool
	manager   cgroups.Manager
	resources *cgroups.Resources
	// owner is the uid that may divide the cgroup, or nil for rt's own.
	owner *int
	v1    hierarchies
	// mountedEarly is true if the container's cgroup mounts are prepared before its first
	// process exists.
	mountedEarly bool
	// none is true for a container that stays in its creator's cgroup.
	none bool
	// onlyDevices is true if the configuration limits only access to devices.
	onlyDevices bool
	// existed is true if a directory existed before the container.
	existed bool
}

// New works out where a container's cgroup is, without making anything. linux.cgroupsPath
// is a path, absolute below the mount points of the cgroup file systems or relative to
// rt's own cgroup; with systemd it is slice:prefix:name. Without it the container's id is
// the name.
func New(s *specs.Spec, id string, systemd, rootless bool) (*Cgroup, error) {
	if err := CheckSupported(s); err != nil {
		return nil, err
	}
	cfg := Config{Systemd: systemd, Rootless: rootless}
	path := ""
	if s.Linux != nil {
		path = s.Linux.CgroupsPath
	}
	resources := Resources(s)
	var properties []systemddbus.Property
	switch {
	case systemd:
		if err := cfg.systemdPath(path, id); err != nil {
			return nil, err
		}
		var err error
		if properties, err = unitProperties(s.Annotations); err != nil {
			return nil, err
		}
		if !cgroups.IsCgroup2UnifiedMode() {
			properties = append(properties, deviceProperties(resources.Devices)...)
		}
	case path == "":
		cfg.Name = id
	default:
		cfg.Path = filepath.Clean(path)
	}
	v1, err := cfg.findPaths()
	if err != nil {
		return nil, fmt.Errorf("linux.cgroupsPath: %w", err)
	}
	c, err := cfg.open(&cgroups.Cgroup{Resources: resources, OwnerUID: owner(s), SystemdProps: properties})
	if err != nil {
		return nil, fmt.Errorf("linux.cgroupsPath: %w", err)
	}
	// The library changes its own map while it makes the cgroup, and others read ours.
	c.Paths = maps.Clone(c.manager.GetPaths())
	c.v1 = v1
	c.onlyDevices = onlyDevices(s)
	c.mountedEarly = spec.FindNamespace(s, specs.CgroupNamespace) == nil
	return c, nil
}

// findPaths works out the directories, unless systemd decides about them, and returns the
// hierarchies where there is cgroup v1. (The library would prepare /proc/self/cgroup for
// polling.)
func (cfg *Config) findPaths() (v1 hierarchies, err error) {
	if cgroups.IsCgroup2UnifiedMode() {
		if !cfg.Systemd {
			cfg.Paths, err = v2Paths(cfg.inner())
		}
		return v1, err
	}
	own, err := memberships("self")
	if v1 = newHierarchies(own); err == nil && !cfg.Systemd {
		cfg.Paths, err = v1.paths(cfg.inner())
	}
	return v1, err
}

// v2Paths is the container's directory in cgroup v2. A relative path is beside rt's own
// cgroup and not below it: that one has processes, and so its children get no controllers.
func v2Paths(inner string) (map[string]string, error) {
	if !filepath.IsAbs(inner) {
		own, err := memberships("self")
		if err != nil {
			return nil, err
		}
		path, ok := find(own, "")
		if !ok {
			return nil, errors.New("/proc/self/cgroup does not name rt's own cgroup")
		}
		inner = filepath.Join(filepath.Dir(path), inner)
	}
	return map[string]string{"": filepath.Join(unifiedRoot, inner)}, nil
}

// inner is the place as a clean path. Relative ones stay below rt's own cgroup.
func (cfg *Config) inner() string {
	path := cfg.Path
	if path == "" {
		path = filepath.Join(cfg.Parent, cfg.Name)
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return strings.TrimPrefix(filepath.Clean("/"+path), "/")
}

// ErrNone means that a container has no cgroup, or none yet.
var ErrNone = errors.New("the container has no cgroup")

// Load returns the cgroup in the state. The error is ErrNone if there is none: without a
// path, the library would take rt's own cgroup for it.
func Load(cfg Config) (*Cgroup, error) {
	if len(cfg.Paths) == 0 {
		return nil, ErrNone
	}
	return cfg.open(&cgroups.Cgroup{Resources: &cgroups.Resources{}})
}

// open adds the cgroup's place to the library's configuration.
func (cfg Config) open(c *cgroups.Cgroup) (*Cgroup, error) {
	c.Path, c.Parent, c.Name, c.ScopePrefix = cfg.Path, cfg.Parent, cfg.Name, cfg.Prefix
	c.Systemd, c.Rootless = cfg.Systemd, cfg.Rootless
	m, err := manager.NewWithPaths(c, cfg.Paths)
	if err != nil {
		return nil, err
	}
	if cfg.Systemd {
		m = patientManager{m}
	}
	return &Cgroup{Config: cfg, manager: m, resources: c.Resources, owner: c.OwnerUID}, nil
}

// Unified is the container's directory when the machine has only cgroup v2.
func (c *Cgroup) Unified() string {
	if c.none {
		return ""
	}
	if len(c.Paths) == 1 && cgroups.IsCgroup2UnifiedMode() {
		return c.Paths[""]
	}
	return ""
}

// CheckUnused fails if the cgroup has processes, because they would share the container's
// limits and its end. It also fails if the cgroup is frozen, because nothing could run
// there. It must run before the first step with an undo, since that kills all processes of
// the cgroup.
func (c *Cgroup) CheckUnused() error {
	if c.none {
		return nil
	}
	if pids, err := c.allPids(); err == nil && len(pids) > 0 {
		return fmt.Errorf("linux.cgroupsPath: cgroup %s already has processes in it", c.anyPath())
	}
	if dir := c.frozenAncestor(); dir != "" {
		return fmt.Errorf("linux.cgroupsPath: cgroup %s is frozen: nothing can run in it", dir)
	}
	return nil
}

// frozenAncestor looks at the cgroup, or at the next one above that exists.
func (c *Cgroup) frozenAncestor() string {
	if dir := c.Unified(); dir != "" {
		return frozenFrom(dir, "cgroup.events", "frozen 1")
	}
	return frozenFrom(c.Paths["freezer"], "freezer.state", "FR") // FREEZING, FROZEN
}

// FrozenAt returns the cgroup in which a process of the container is frozen, by the
// container or by others, or "". What rt cannot see counts as not frozen.
func (c *Cgroup) FrozenAt(pid int) string {
	theirs, err := memberships(strconv.Itoa(pid))
	if err != nil {
		return ""
	}
	if c.Unified() != "" {
		path, _ := find(theirs, "")
		return frozenFrom(filepath.Join(unifiedRoot, path), "cgroup.events", "frozen 1")
	}
	if path, ok := find(theirs, "freezer"); ok {
		return frozenFrom(filepath.Join(unifiedRoot, "freezer", path), "freezer.state", "FR")
	}
	return ""
}

func frozenFrom(dir, file, mark string) string {
	for ; len(dir) > len(unifiedRoot); dir = filepath.Dir(dir) {
		text, err := sysfile.Read(filepath.Join(dir, file))
		if sysfile.IsNotExist(err) {
			continue
		}
		if err == nil && strings.Contains(string(text), mark) {
			return dir
		}
		break
	}
	return ""
}

// Create makes the directories. RestrictDevices sets the device rules or, if they are not
// needed before the first process, Limit does.
func (c *Cgroup) Create() error {
	switch {
	case c.none:
		return nil
	case c.Systemd:
		return c.createForScope()
	case c.Unified() != "":
		return c.createUnified()
	}
	err := c.createV1()
	if errors.Is(err, errUnusual) {
		return c.createByLibrary()
	}
	return err
}

func (c *Cgroup) createUnified() error {
	if err := c.createByLibrary(); err != nil {
		return err
	}
	return c.giveAway()
}

// createForScope makes nothing: systemd makes the scope around its first process. But if
// the container mounts its cgroup from outside a cgroup namespace, the mount is prepared
// before there is a process; systemd takes over an existing directory.
func (c *Cgroup) createForScope() error {
	if !c.mountedEarly {
		return nil
	}
	for _, path := range c.Paths {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("linux.cgroupsPath: %w", err)
		}
	}
	return nil
}

// RestrictDevices sets device rules that must be complete before there is a process in the
// cgroup. It may run while others read Paths.
func (c *Cgroup) RestrictDevices() error {
	if !c.devicesFirst() {
		return nil
	}
	return c.restrict(c.resources.Devices)
}

// restrict sets the device rules.
func (c *Cgroup) restrict(rules []*devices.Rule) (err error) {
	if cgroups.IsCgroup2UnifiedMode() {
		err = setDevicesV2(c.Unified(), rules)
	} else {
		err = setDevicesV1(c.Paths["devices"], rules)
	}
	var rule *ruleError
	if errors.As(err, &rule) {
		return err
	}
	if err != nil && !c.Rootless {
		return fmt.Errorf("linux.resources.devices: %w", err)
	}
	return nil
}

func (c *Cgroup) createByLibrary() error {
	err := c.manager.Apply(-1)
	switch {
	case err == nil:
		return nil
	case c.Rootless && errors.Is(err, cgroups.ErrRootless):
		c.Missing = true
		return nil
	case c.Rootless && c.Path == "" && errors.Is(err, os.ErrPermission):
		return fmt.Errorf("linux.resources: limits need a cgroup, which this user may not make; in a user session of systemd, use --systemd-cgroup: %w", err)
	}
	// Real-time limits must exist before the first process.
	if f := fieldOfFile(err, c.resources); f != allResources {
		return fmt.Errorf("%s: %w", f, err)
	}
	return fmt.Errorf("linux.cgroupsPath: create the cgroup: %w", err)
}

func (c *Cgroup) anyPath() string {
	for _, p := range c.Paths {
		return p
	}
	return ""
}

// Limit applies linux.resources. It may run while the container is being made.
func (c *Cgroup) Limit() error {
	if c.none {
		return nil
	}
	r := *c.resources
	r.SkipDevices = c.devicesFirst()
	switch {
	case c.Systemd && !cgroups.IsCgroup2UnifiedMode():
		// systemd has had the rules since it made the scope. With rules, the library would
		// freeze the program, which then could not end with rt.
		r.SkipDevices, r.SkipFreezeOnSet = true, true
		if err := c.set(&r, c.setByLibrary); err != nil {
			return err
		}
		return c.restrict(c.resources.Devices)
	case !c.onlyDevices || c.Systemd || c.Rootless:
		return c.set(&r, c.setByLibrary)
	case r.SkipDevices:
		return nil
	}
	return c.restrict(c.resources.Devices)
}

// devicesFirst tells whether linux.resources.devices must be complete before the first
// process is in the cgroup. On v1 it must, because the rules pass through states in which
// nothing is allowed. On v2 the filter is attached as a whole, and systemd makes the
// cgroup only with the process.
func (c *Cgroup) devicesFirst() bool { return !c.none && !c.Systemd && c.Unified() == "" }

// setting is held by who has the library set limits on cgroup v1: its managers share
// what they find out about the files of blkio, without a lock of their own.
var setting sync.Mutex

func (c *Cgroup) setByLibrary(r *cgroups.Resources) error {
	if !c.Systemd && c.Unified() == "" {
		setting.Lock()
		defer setting.Unlock()
	}
	return c.manager.Set(r)
}

// set sets limits. If it fails, try finds the one by setting each by itself; nil must be
// given where processes run that this could end.
func (c *Cgroup) set(r *cgroups.Resources, try func(*cgroups.Resources) error) error {
	others := *r
	if !c.Systemd {
		others.Devices, others.SkipDevices = nil, true
	}
	err := c.setByLibrary(&others)
	if err == nil {
		err = c.setDeviceWeights(r)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", fieldOf(err, &others, try), err)
	}
	if r.SkipDevices || c.Systemd {
		return nil
	}
	return c.restrict(r.Devices)
}

// setDeviceWeights sets the weights of single devices on cgroup v2. The library sets them
// for the BFQ scheduler only, and otherwise drops them.
func (c *Cgroup) setDeviceWeights(r *cgroups.Resources) error {
	dir := c.Unified()
	if dir == "" || len(r.BlkioWeightDevice) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, "io.bfq.weight")); err == nil {
		return nil
	}
	for _, d := range r.BlkioWeightDevice {
		weight := cgroups.ConvertBlkIOToIOWeightValue(d.Weight)
		if err := sysfile.Write(filepath.Join(dir, "io.weight"), fmt.Appendf(nil, "%d:%d %d", d.Major, d.Minor, weight)); err != nil {
			return err
		}
	}
	return nil
}

// Exists tells whether the directories are there.
func (c *Cgroup) Exists() bool { return c.manager.Exists() }

// Remove removes the directories of an empty cgroup, and tells whether all of them are
// gone.
func (c *Cgroup) Remove() bool {
	gone := true
	for _, path := range c.Paths {
		if err := unix.Rmdir(path); err != nil && err != unix.ENOENT {
			gone = false
		}
	}
	return gone
}
