package birth

import (
	"context"
	"errors"
	"io"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"golang.org/x/sys/unix"
)

// CompileChange makes a plan for the mounts of a container with that configuration.
type CompileChange func(*specs.Spec, []specs.Mount, compile.Host, compile.ChangeOptions) (*compile.Plan, error)

// change is a program that changes a container's mounts. It does not become a user's
// process.
type change struct {
	Birth
	mounts  []specs.Mount
	planned CompileChange
	// first is the container's first process.
	first *os.File
}

// ChangeMounts changes the mounts of the container with this first process. The program
// stays outside the container's cgroup, because it neither reads nor copies the
// container's data.
func ChangeMounts(c Container, s *specs.Spec, first *os.File, mounts []specs.Mount, plan CompileChange) error {
	b := &change{Birth: Birth{ctx: context.Background(), container: c, spec: s, clone: launch.Config{CgroupFD: -1}}, mounts: mounts, planned: plan, first: first}
	b.kind = b
	defer b.end()
	return b.make()
}

func (b *change) compile([3]*os.File) (*compile.Plan, error) {
	namespaces, err := otherNamespaces(b.spec, b.container.State.Pid)
	if err != nil {
		return nil, err
	}
	b.spec.Process = nil // about which the host would be asked, too
	host, err := hostFacts(b.spec, "", nil, [3]*os.File{})
	if err != nil {
		return nil, err
	}
	return b.planned(b.spec, b.mounts, host, compile.ChangeOptions{Bundle: b.container.State.Bundle, Namespaces: namespaces})
}

func (b *change) open(*compile.File) (*os.File, error) { return b.first, nil }

// serve serves the requests of such a program.
func (b *change) serve(r *request) (answer, error) {
	switch q := r.Request.(type) {
	case compile.RequestPath:
		return given, b.makePath(q.Index, r.file)
	case compile.RequestSource:
		return given, b.sendSource(q.Index)
	case compile.RequestMapIDs:
		return goOn, b.mapIDs(q.Index, r.file)
	case compile.RequestReady:
		return b.ready()
	case compile.RequestFailure:
		return given, b.failure(q)
	}
	return given, unexpected(r)
}

// ready is told that the mounts are changed.
func (b *change) ready() (answer, error) {
	b.reach(Made)
	return given, nil
}

func (b *change) ended(err error) error {
	if errors.Is(err, io.EOF) && b.phase == Made {
		return nil
	}
	return b.died(err)
}

// end ends the program. If it still waits for an answer, it undoes its changes first.
func (b *change) end() {
	if b.proc == nil {
		return
	}
	b.proc.Conversation.Close()
	waitEnd(b.proc.PidFD)
	b.proc.Kill()
	unix.Close(b.proc.PidFD)
}
