package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	eventstypes "github.com/containerd/containerd/api/events"
	"github.com/containerd/log"
	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// What a worker tells the guard of a container or a pod, for the next worker.
type (
	boxRecord struct {
		Bundle string
		Stdio  stdioRecord
		// Pid is 0 while the container is being made.
		Pid int
		// End is how its first process ended.
		End *end `json:",omitempty"`
	}
	stdioRecord struct {
		Stdin, Stdout, Stderr string
		Terminal              bool
	}
	podRecord struct {
		Bundle, Netns string
		// Config is the runtime.v1.PodSandboxConfig.
		Config  []byte
		Pid     int
		Created time.Time
		End     *end `json:",omitempty"`
	}
)

func boxName(id string) string { return "box/" + id }
func podName(id string) string { return "pod/" + id }

// keepBox lets the guard know of a container.
func (s *service) keepBox(c *container) {
	if s.keeper == nil {
		return
	}
	pid, _, _ := c.first.exit()
	io := c.first.stdio
	r := boxRecord{Bundle: c.bundle, Stdio: stdioRecord{io.stdin, io.stdout, io.stderr, io.terminal}, Pid: int(pid), End: c.first.ending()}
	s.kept(boxName(c.id), r.Pid, r.End, r)
}

// announceBox lets the guard know of a container that is going to be made.
func (s *service) announceBox(id, bundle string) error {
	return s.keeper.put(boxName(id), 0, boxRecord{Bundle: bundle})
}

// announcePod lets it know of a pod that is going to be made.
func (s *service) announcePod(b *sandbox) error {
	return s.keeper.put(podName(b.id), 0, podRecord{Bundle: b.bundle, Netns: b.netns, Config: b.raw})
}

// keepPod lets it know of a pod.
func (s *service) keepPod(b *sandbox) {
	if s.keeper == nil {
		return
	}
	pid, _, _ := b.first.exit()
	r := podRecord{Bundle: b.bundle, Netns: b.netns, Config: b.raw, Pid: int(pid), Created: b.created, End: b.first.ending()}
	s.kept(podName(b.id), r.Pid, r.End, r)
}

// kept tells the guard, which keeps the status of a process that has not ended.
func (s *service) kept(name string, pid int, ended *end, record any) {
	if ended != nil {
		pid = 0
	}
	if err := s.keeper.put(name, pid, record); err != nil {
		log.G(s.ctx).WithError(err).WithField("record", name).Warn("a crash of the shim would end it")
	}
}

// takeOver takes the containers and pods over of a worker that crashed.
func (s *service) takeOver() error {
	records, err := s.keeper.all()
	if err != nil {
		return fmt.Errorf("take over from a worker that crashed: %w", err)
	}
	boxes, pods := 0, 0
	for name, r := range records {
		id, logger := path.Base(name), log.G(s.ctx).WithField("record", name)
		switch path.Dir(name) {
		case "pod":
			pods++
			err = s.takePod(id, r)
		case "box":
			boxes++
			files := map[string]kept{}
			for other, r := range records {
				if stream, below := strings.CutPrefix(other, name+"/"); below {
					files[stream] = r
				}
			}
			err = s.takeBox(id, r, files)
		default:
			continue
		}
		if err != nil {
			logger.WithError(err).Error("take over from a worker that crashed")
		}
	}
	if boxes+pods > 0 {
		log.G(s.ctx).Warnf("the shim crashed: a new worker has taken %d containers and %d pods over", boxes, pods)
	}
	return nil
}

func (s *service) takePod(id string, r kept) error {
	var record podRecord
	if err := r.decode(&record); err != nil {
		return err
	}
	config, err := parsePodConfig(record.Config)
	if err != nil {
		return err
	}
	o, err := loadOptions(record.Bundle)
	if err != nil {
		return err
	}
	b := newSandbox(id, record.Bundle, record.Netns, config, record.Config, o)
	b.created = record.Created
	s.sandboxes[id] = b
	s.log.add(b.bundle)
	if record.Pid == 0 {
		return nil // it was being started: containerd is told that this failed
	}
	if err := s.takeProcess(b.first, record.Pid, record.End, b.bundle); err != nil {
		return err
	}
	b.usage = usage(record.Pid, b.first.at() == stopped)
	if b.first.move(prepared, running) {
		go s.followSandbox(b)
	}
	return nil
}

// takeBox takes a container over. One that was being made is removed: containerd has been
// told that this failed.
func (s *service) takeBox(id string, r kept, files map[string]kept) error {
	var record boxRecord
	if err := r.decode(&record); err != nil {
		return err
	}
	o, err := loadOptions(record.Bundle)
	if err != nil {
		return err
	}
	root := o.root(s.namespace)
	if record.Pid == 0 {
		err := libcontainer.Delete(root, id, true, logOf(s.ctx, id))
		if err != nil && !errors.Is(err, libcontainer.ErrNotExist) {
			return err
		}
		s.keeper.drop(boxName(id))
		return unmountRootfs(record.Bundle)
	}
	io := stdio{record.Stdio.Stdin, record.Stdio.Stdout, record.Stdio.Stderr, record.Stdio.Terminal}
	c := newContainer(id, record.Bundle, root, o, newProcess("", io), s.events)
	st, err := adoptStreams(io, o, files)
	if err != nil {
		return err
	}
	st.keepIn(s.keeper, boxName(id))
	c.first.streams = st
	s.containers[id] = c
	s.log.add(c.bundle)
	if err := s.takeProcess(c.first, record.Pid, record.End, c.bundle); err != nil {
		return err
	}
	c.usage = func() (proto.Message, error) { return nil, errFinished }
	own, err := c.open()
	if err == nil {
		defer own.Close()
		c.sharesPids = own.SharesPids()
		if own.Status() != libcontainer.Created {
			c.first.move(prepared, running)
		}
	} else if !errors.Is(err, libcontainer.ErrNotExist) {
		return err
	}
	if c.first.at() == stopped {
		c.over = true
		pid, status, at := c.first.exit() // perhaps nobody has heard of it
		c.news.tell(&eventstypes.TaskExit{ContainerID: id, ID: id, Pid: pid, ExitStatus: status, ExitedAt: timestamppb.New(at)})
		return nil
	}
	c.usage = usage(record.Pid, c.first.ended())
	if own != nil && c.first.at() == running {
		s.watchMemory(c, own)
	}
	go s.follow(c, c.first)
	return nil
}

// takeProcess takes a process over, which is the guard's child now. It is not if the
// worker that crashed has seen its end, and had no time to tell the guard.
func (s *service) takeProcess(p *process, pid int, ended *end, bundle string) error {
	p.pid, p.statusOf = pid, s.keeper.status
	if ended == nil {
		fd, err := unix.PidfdOpen(pid, 0)
		if err == nil && parentOfProcess(pid) == os.Getppid() {
			return p.takePidfd(os.NewFile(uintptr(fd), "pidfd"))
		}
		unix.Close(fd)
		last, err := loadEnd(bundle)
		if err != nil {
			last = end{uint32(pid), noProcess, time.Now()}
		}
		ended = &last
	}
	p.end(ended.Status, ended.At)
	p.settle()
	return nil
}
