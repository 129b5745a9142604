package libcontainer

import (
	"fmt"
	"log/slog"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/birth"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/spec"
)

// AddMounts mounts file systems in a container that has been created, in order, as
// mounts in config.json does at its creation; relative sources begin at the bundle. If
// one fails, those before it are taken off again. The mounts are not kept with the
// container's configuration. The logger is told what the specification wants to be
// logged; it may be nil.
func (c *Container) AddMounts(mounts []specs.Mount, logger *slog.Logger) error {
	return c.changeMounts("add mounts to", mounts, compile.CompileAddMounts, func(s *specs.Spec) error {
		warnings, err := spec.PrepareMounts(s)
		birth.WarnAll(warner(logger), warnings)
		return err
	})
}

// RemoveMounts takes off the mounts at the destinations, and what is mounted below
// them, in a container that has been created. The last one goes first. The other
// members of the mounts do not count.
func (c *Container) RemoveMounts(mounts []specs.Mount) error {
	return c.changeMounts("remove mounts from", mounts, compile.CompileRemoveMounts, spec.CheckDestinations)
}

// changeMounts lets a program change the mounts of the container. check looks at those
// of a configuration.
func (c *Container) changeMounts(what string, mounts []specs.Mount, plan birth.CompileChange, check func(*specs.Spec) error) error {
	switch status := c.Status(); {
	case status == Paused:
		return fmt.Errorf("container %q: %w: cannot %s a paused container: resume it", c.ID(), ErrWrongState, what)
	case status != Running && status != Created:
		return fmt.Errorf("container %q: %w: cannot %s a container that is %s", c.ID(), ErrWrongState, what, status)
	}
	s, err := c.spec()
	if err != nil {
		return err
	}
	mounts = slices.Clone(mounts) // their options may be taken apart
	checked := *s
	checked.Mounts = mounts
	if err := check(&checked); err != nil {
		return err
	}
	if n := spec.FindNamespace(s, specs.MountNamespace); n == nil || n.Path != "" {
		return fmt.Errorf("container %q: linux.namespaces: cannot %s it: it has no mount namespace of its own, and others would see the change: create it with {\"type\": \"mount\"} and no path", c.ID(), what)
	}
	if len(mounts) == 0 {
		return nil
	}
	first, err := c.birth().Running()
	if err != nil {
		return err
	}
	defer first.Close()
	return birth.ChangeMounts(c.birth(), s, first, mounts, plan)
}
