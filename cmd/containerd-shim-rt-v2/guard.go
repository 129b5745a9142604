package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// workerEnv is the variable that has the path of the worker's socket.
const workerEnv = "RT_SHIM_WORKER"

// The descriptors of a guard and a worker: the listening socket; a pipe that ends when the
// guard is in its place; the socket to the guard's store.
const (
	workerListener = 3
	guardPlaced    = 4
	workerStore    = 4
)

// guard keeps a shim that serves many pods going. The shim itself, the worker, is another
// process: the guard holds the connections of containerd, the descriptors of containers'
// streams, and is the parent of their processes when a worker crashes. A new worker takes
// them over. containerd, which takes a lost connection for the end of the pod, does not
// notice.
type guard struct {
	address string // for containerd
	path    string // of the worker's socket
	// program is that of the workers, even if an update replaces it.
	program *os.File
	store   store
	served  sync.WaitGroup // the store's side of a worker

	mu     sync.Mutex
	worker int // its pid
	over   bool
}

// A worker that crashes again and again is given up.
const (
	mostCrashes  = 5
	crashesCount = 10 * time.Second
)

// workerPath is the path of the socket of the worker of a guard.
func workerPath(address string) string { return strings.TrimPrefix(address, "unix://") + "w" }

// runGuard runs until the worker ends by itself.
func runGuard(address string) error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	placed := os.NewFile(guardPlaced, "placed")
	_, _ = placed.Read(make([]byte, 1)) // until it is in its cgroup: its worker is born there
	placed.Close()
	front, err := net.FileListener(os.NewFile(workerListener, "socket"))
	if err != nil {
		return err
	}
	defer front.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.Open(self)
	if err != nil {
		return err
	}
	defer program.Close()
	g := &guard{address: address, path: workerPath(address), program: program}
	_ = os.Remove(g.path) // of a guard that was killed
	back, err := net.ListenUnix("unix", &net.UnixAddr{Name: g.path, Net: "unix"})
	if err != nil {
		return err
	}
	back.SetUnlinkOnClose(false) // the worker removes it, before another guard can make it anew
	defer back.Close()
	if err := os.Chmod(g.path, 0o600); err != nil {
		return err
	}
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, unix.SIGTERM, unix.SIGINT)
	go func() {
		sig := (<-ends).(unix.Signal)
		g.mu.Lock()
		defer g.mu.Unlock()
		_ = unix.Kill(g.worker, sig)
	}()
	go reapOrphans(context.Background(), g.isKept)
	go g.accept(front)
	defer g.end()
	if err := g.supervise(back); err != nil {
		_ = os.Remove(g.path) // nobody takes the place of this guard before it has gone
		g.store.openLog()
		return err
	}
	return nil
}

// supervise starts a worker, and another one whenever it crashes.
func (g *guard) supervise(back *net.UnixListener) error {
	listener, err := back.File()
	if err != nil {
		return err
	}
	debug.SetGCPercent(smallGC) // its heap has messages on their way and little else
	runtime.LockOSThread()      // the worker is killed at the end of the thread that starts it
	var crashes []time.Time
	for {
		cmd, err := g.start(listener)
		if err != nil {
			return fmt.Errorf("start the shim's worker: %w", err)
		}
		time.AfterFunc(settled, giveBack)
		err = cmd.Wait()
		if err == nil {
			return nil
		}
		g.served.Wait() // until all is taken that it has sent
		now := time.Now()
		if crashes = append(crashes, now); len(crashes) >= mostCrashes {
			if now.Sub(crashes[len(crashes)-mostCrashes]) < crashesCount {
				return fmt.Errorf("the shim's worker: %w: %d times in %v", err, mostCrashes, crashesCount)
			}
		}
	}
}

func (g *guard) start(listener *os.File) (*exec.Cmd, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "store")
	defer theirs.Close()
	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", g.program.Fd()), os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), sharedEnv+"="+g.address, workerEnv+"="+g.path)
	cmd.ExtraFiles = []*os.File{listener, theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := cmd.Start(); err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	g.worker = cmd.Process.Pid
	g.served.Go(func() { g.store.serve(pair[0]) })
	return cmd, nil
}

// isKept tells whether a child is not an orphan of nobody: the worker waits for its
// status, or the next one will.
func (g *guard) isKept(z zombie) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return z.pid == g.worker || g.store.keeps(z.pid)
}

func (g *guard) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
}

var errOver = errors.New("the shim has ended")

// dial connects to the worker that there is, or the next one.
func (g *guard) dial() (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return nil, errOver
	}
	return net.Dial("unix", g.path)
}

// accept relays the connections of containerd.
func (g *guard) accept(front net.Listener) {
	for {
		conn, err := front.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // too many descriptors
			continue
		}
		if !isOwnUser(conn.(*net.UnixConn)) {
			conn.Close()
			continue
		}
		go newRelay(conn, g.dial).run()
	}
}

// isOwnUser tells whether the other end is a process of the same user, as the shim
// package demands.
func isOwnUser(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	own := false
	_ = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		own = err == nil && int(cred.Uid) == os.Geteuid()
	})
	return own
}
