package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer"
	"golang.org/x/sys/unix"
)

// pods measures the start of a pod: a first container that holds the namespaces, and one
// that joins them, each created and started.
func (p *profiler) pods() (*profile, error) {
	network, err := newNetwork(filepath.Join(p.dir, "network"))
	if err != nil {
		return nil, err
	}
	defer network.close()
	result := &profile{name: "a pod: two containers", totals: map[string][]time.Duration{}}
	for round := range warmup + p.runs {
		for _, i := range rand.Perm(len(p.runtimes)) {
			runtime := p.runtimes[i]
			var spans []span
			begin := monotonic()
			makes := func(name string, s *specs.Spec) (int, func(), error) { return p.command(runtime, name, s) }
			if i == 0 {
				makes = func(name string, s *specs.Spec) (int, func(), error) { return p.container(&spans, name, s) }
			}
			total, err := p.pod(network.path, begin, makes)
			if err != nil {
				return nil, err
			}
			if round < warmup {
				continue
			}
			result.totals[filepath.Base(runtime)] = append(result.totals[filepath.Base(runtime)], total)
			if i == 0 {
				result.runs = append(result.runs, spans)
			}
		}
	}
	return result, nil
}

// pod makes a pod, and removes it.
func (p *profiler) pod(network string, began time.Duration, makes func(name string, s *specs.Spec) (pid int, end func(), err error)) (time.Duration, error) {
	pause := configuration("/bin/sleep", "1000")
	setNamespace(pause, specs.NetworkNamespace, network)
	first, end, err := makes("pause", pause)
	if err != nil {
		return 0, err
	}
	defer end()
	app := configuration("/bin/sleep", "1000")
	for kind, name := range map[specs.LinuxNamespaceType]string{specs.IPCNamespace: "ipc", specs.UTSNamespace: "uts", specs.NetworkNamespace: "net"} {
		setNamespace(app, kind, fmt.Sprintf("/proc/%d/ns/%s", first, name))
	}
	app.Hostname = ""
	_, end, err = makes("app", app)
	if err != nil {
		return 0, err
	}
	total := monotonic() - began
	end()
	return total, nil
}

// command creates and starts a container as the shim of runc does: by two commands.
func (p *profiler) command(runtime, name string, s *specs.Spec) (pid int, end func(), err error) {
	if err := writeConfiguration(p.bundle(runtime), s); err != nil {
		return 0, nil, err
	}
	container, pidFile := id(runtime)+"-"+name, filepath.Join(p.dir, "pid")
	end = func() { _ = p.call(runtime, "delete", "--force", container) }
	if err := p.call(runtime, "create", "--pid-file", pidFile, "--bundle", p.bundle(runtime), container); err != nil {
		return 0, nil, err
	}
	if err := p.call(runtime, "start", container); err != nil {
		end()
		return 0, nil, err
	}
	text, err := os.ReadFile(pidFile)
	if err == nil {
		pid, err = strconv.Atoi(string(text))
	}
	return pid, end, err
}

func setNamespace(s *specs.Spec, kind specs.LinuxNamespaceType, path string) {
	for i := range s.Linux.Namespaces {
		if n := &s.Linux.Namespaces[i]; n.Type == kind {
			n.Path = path
		}
	}
}

// container creates and starts a container, as a shim does. The caller ends it.
func (p *profiler) container(spans *[]span, name string, s *specs.Spec) (pid int, end func(), err error) {
	ctx := context.Background()
	note := func(row, what string, begin time.Duration) {
		*spans = append(*spans, span{row, what, "", begin, monotonic()})
	}
	trace := func(step libcontainer.Step) {
		*spans = append(*spans, span{name + ": " + step.Actor, step.Name, step.Field, step.Begin, step.End})
	}
	c, process, err := libcontainer.Create(ctx, libcontainer.Options{
		Root: filepath.Join(p.dir, "pods"), ID: fmt.Sprintf("rt-profile-%d-%s", os.Getpid(), name), Bundle: p.bundle(p.runtimes[0]), Spec: s, Trace: trace,
	})
	if err != nil {
		return 0, nil, err
	}
	end = func() {
		_ = c.Delete(true, nil)
		_, _ = process.Wait(ctx)
		c.Close()
	}
	begin := monotonic()
	if err := c.Start(ctx); err != nil {
		end()
		return 0, nil, err
	}
	note(name+": rt", "start the process", begin)
	return process.Pid(), end, nil
}

// network is a network namespace of this program, as the CRI makes one for a pod.
type network struct{ path string }

func newNetwork(path string) (*network, error) {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return nil, err
	}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the function
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), path, "", unix.MS_BIND, "")
		}
		made <- err
	}()
	return &network{path}, <-made
}

func (n *network) close() { _ = unix.Unmount(n.path, unix.MNT_DETACH) }
