package libcontainer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/spec"
	"golang.org/x/sys/unix"
)

// AddMounts mounts file systems in a container that has been created, in order, as
// mounts in config.json does at its creation; relative sources begin at the bundle. If
// one fails, those before it are taken off again. The mounts are not kept with the
// container's configuration. warn is told what the specification wants to be logged;
// it may be nil.
func (c *Container) AddMounts(mounts []specs.Mount, warn func(message string)) error {
	return c.changeMounts("add mounts to", mounts, compile.CompileAddMounts, func(s *specs.Spec) error {
		warnings, err := spec.PrepareMounts(s)
		warnAll(warn, warnings)
		return err
	})
}

// RemoveMounts takes off the mounts at the destinations, and what is mounted below
// them, in a container that has been created. The last one goes first. The other
// members of the mounts do not count.
func (c *Container) RemoveMounts(mounts []specs.Mount) error {
	return c.changeMounts("remove mounts from", mounts, compile.CompileRemoveMounts, spec.CheckDestinations)
}

// compileChange makes a plan for the mounts of a container with that configuration.
type compileChange func(*specs.Spec, []specs.Mount, compile.Host, compile.ChangeOptions) (*compile.Plan, error)

// changeMounts lets a program change the mounts of the container. check looks at those
// of a configuration.
func (c *Container) changeMounts(what string, mounts []specs.Mount, plan compileChange, check func(*specs.Spec) error) error {
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
	first, err := c.process()
	if err == unix.ESRCH {
		return fmt.Errorf("container %q: %w: container not running", c.ID(), ErrWrongState)
	}
	if err != nil {
		return err
	}
	defer first.Close()
	change := &mountChange{served: served{spec: s}, container: c, first: first}
	return change.make(mounts, plan)
}

// mountChange is a change of a container's mounts.
type mountChange struct {
	served
	container *Container
	// first is the container's first process.
	first *os.File
}

func (b *mountChange) make(mounts []specs.Mount, plan compileChange) error {
	namespaces, err := otherNamespaces(b.spec, b.container.state.Pid)
	if err != nil {
		return err
	}
	b.spec.Process = nil // about which the host would be asked, too
	host, err := hostFacts(b.spec, "", nil, [3]*os.File{})
	if err != nil {
		return err
	}
	b.plan, err = plan(b.spec, mounts, host, compile.ChangeOptions{Bundle: b.container.state.Bundle, Namespaces: namespaces})
	if err != nil {
		return err
	}
	exe, err := executable(b.plan, nil)
	if err != nil {
		return err
	}
	defer exe.Close()
	if err := b.launch(exe); err != nil {
		return err
	}
	defer b.end()
	return b.converse()
}

// launch starts the program outside of the container's cgroup: it reads and copies
// nothing of the container's.
func (b *mountChange) launch(exe *os.File) error {
	streams, closeNull, err := stdio(nil, nil, nil)
	if err != nil {
		return err
	}
	defer closeNull()
	files := streams[:]
	for _, f := range b.plan.Files {
		files = append(files, map[compile.FileKind]*os.File{compile.ContainerProcess: b.first, compile.Spare: exe}[f.Kind])
	}
	b.proc, err = launch.Start(&launch.Config{Image: exe, CgroupFD: -1, Files: files, Conversation: len(streams)})
	return err
}

// converse serves the program's requests until it has ended.
func (b *mountChange) converse() error {
	for changed := false; ; {
		m, err := b.proc.Receive()
		if errors.Is(err, io.EOF) && changed {
			return nil
		}
		if err != nil {
			return died(err, b.proc, nil)
		}
		switch m.Words[0] {
		case compile.RequestPath:
			err = b.makePath(m)
		case compile.RequestSource:
			err = b.sendSource(m)
		case compile.RequestMapIDs:
			if err = b.mapIDs(m); err == nil {
				err = b.proc.Reply()
			}
		case compile.RequestReady:
			changed = true
		case compile.RequestFailure:
			return failure(b.plan, m)
		default:
			err = fmt.Errorf("unknown request %d from the init program", m.Words[0])
		}
		if err != nil && !errors.Is(err, launch.ErrGone) { // else Receive says so
			return err
		}
	}
}

// end leaves the program, which undoes what it has done if it still waits for an
// answer, and ends.
func (b *mountChange) end() {
	b.proc.Conversation.Close()
	waitEnd(b.proc.PidFD)
	b.proc.Kill()
	unix.Close(b.proc.PidFD)
}
