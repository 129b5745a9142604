package main

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// site is a system call of rt: the call, and the functions that make it. The same call in
// a loop has a number of its own each time. Unlike the order of all calls, which the Go
// scheduler decides, sites are the same in every run.
type site struct {
	nr    int
	stack uint64 // a hash of the addresses
	n     int
}

func (s site) String() string { return fmt.Sprintf("%d.%x.%d", s.nr, s.stack, s.n) }

func parseSite(text string) (s site, err error) {
	_, err = fmt.Sscanf(strings.ReplaceAll(text, ".", " "), "%d %x %d", &s.nr, &s.stack, &s.n)
	return s, err
}

// call is a system call as it begins.
type call struct {
	site
	// pcs are the addresses of the call and its callers.
	pcs []uint64
	// pid is rt's, child the last process that rt has made, or 0.
	pid, child int
}

// action is what happens to a call: nothing, an error in its place, or a SIGKILL for a
// process.
type action struct {
	errno unix.Errno
	// after lets the call happen before it returns the error: close(2) always closes.
	after bool
	kill  int
}

// tracer runs one command of rt and shows each system call of rt's threads, and of its
// child before that executes something.
type tracer struct {
	main, child int
	threads     map[int]*thread
	seen        map[site]int
	decide      func(call) action
	late        atomic.Bool
	status      unix.WaitStatus
}

type thread struct {
	started bool
	errno   unix.Errno
}

const traceOptions = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL

// trace runs the command. Only its main process is waited for.
func (w *world) trace(cmd *exec.Cmd, decide func(call) action) (outcome, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, errs, err := w.files()
	if err != nil {
		return outcome{}, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return outcome{}, err
	}
	defer null.Close()
	attr := &syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		*attr = *cmd.SysProcAttr
	}
	attr.Ptrace = true
	pid, err := syscall.ForkExec(cmd.Path, cmd.Args, &syscall.ProcAttr{Dir: cmd.Dir, Env: cmd.Env, Files: []uintptr{null.Fd(), out.Fd(), errs.Fd()}, Sys: attr})
	if err != nil {
		return outcome{}, err
	}
	t := &tracer{main: pid, threads: map[int]*thread{pid: {started: true}}, seen: map[site]int{}, decide: decide}
	timer := time.AfterFunc(timeLimit, func() {
		t.late.Store(true)
		_ = unix.Kill(pid, unix.SIGKILL)
	})
	err = t.loop()
	timer.Stop()
	o := outcome{stdout: taken(out), stderr: taken(errs), late: t.late.Load(), code: t.status.ExitStatus()}
	if t.status.Signaled() {
		o.code = 128 + int(t.status.Signal())
	}
	return o, err
}

func (t *tracer) loop() error {
	var ws unix.WaitStatus
	if _, err := unix.Wait4(t.main, &ws, unix.WALL, nil); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(t.main, traceOptions); err != nil {
		return err
	}
	if err := unix.PtraceSyscall(t.main, 0); err != nil {
		return err
	}
	for {
		pid, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case ws.Exited() || ws.Signaled():
			delete(t.threads, pid)
			if pid == t.main {
				t.status = ws
				t.letGo()
				return nil
			}
			continue
		case !ws.Stopped():
			continue
		}
		t.stopped(pid, ws)
	}
}

// letGo lets a child go on that has survived rt. It stops at its next call.
func (t *tracer) letGo() {
	for end := time.Now().Add(time.Second); len(t.threads) > 0 && time.Now().Before(end); {
		for pid := range t.threads {
			var ws unix.WaitStatus
			got, err := unix.Wait4(pid, &ws, unix.WALL|unix.WNOHANG, nil)
			if err == nil && got == 0 {
				continue
			}
			if err == nil && ws.Stopped() {
				_ = unix.PtraceDetach(pid)
			}
			delete(t.threads, pid)
		}
	}
}

// stopped handles a stop of a thread and lets it continue.
func (t *tracer) stopped(pid int, ws unix.WaitStatus) {
	th := t.threads[pid]
	if th == nil { // before its maker's stop
		th = new(thread)
		t.threads[pid] = th
	}
	signal := 0
	switch stop := ws.StopSignal(); {
	case stop == unix.SIGTRAP|0x80:
		t.syscall(pid, th)
	case stop == unix.SIGTRAP && ws.TrapCause() == unix.PTRACE_EVENT_EXEC:
		// The child is not rt any more, nor is rt itself if the keeper replaces it.
		_ = unix.PtraceDetach(pid)
		delete(t.threads, pid)
		return
	case stop == unix.SIGTRAP && ws.TrapCause() > 0:
		if made, err := unix.PtraceGetEventMsg(pid); err == nil && !sameProcess(int(made), t.main) {
			t.child = int(made)
			if t.threads[t.child] == nil { // it may not have stopped yet when rt is killed
				t.threads[t.child] = new(thread)
			}
		}
	case stop == unix.SIGSTOP && !th.started:
		th.started = true
	case stop == unix.SIGTRAP:
	default:
		signal = int(stop)
	}
	_ = unix.PtraceSyscall(pid, signal)
}

func sameProcess(tid, pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(tid))
	return err == nil
}

// syscallInfo is struct ptrace_syscall_info.
type syscallInfo struct {
	op      uint8
	_       [3]byte
	arch    uint32
	ip, sp  uint64
	content [64]byte
}

const (
	ptraceGetSyscallInfo = 0x420e
	syscallEntry         = 1
)

func (t *tracer) syscall(pid int, th *thread) {
	var info syscallInfo
	_, _, e := unix.RawSyscall6(unix.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(pid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if e != 0 {
		return
	}
	var regs unix.PtraceRegs
	if info.op != syscallEntry {
		if th.errno != 0 && unix.PtraceGetRegs(pid, &regs) == nil {
			regs.Rax = uint64(-int64(th.errno))
			_ = unix.PtraceSetRegs(pid, &regs)
		}
		th.errno = 0
		return
	}
	if unix.PtraceGetRegs(pid, &regs) != nil {
		return
	}
	c := call{site: site{nr: int(regs.Orig_rax)}, pcs: stack(pid, &regs), pid: t.main, child: t.child}
	h := fnv.New64a()
	for _, pc := range c.pcs {
		h.Write(binary.LittleEndian.AppendUint64(nil, pc))
	}
	c.stack = h.Sum64()
	t.seen[c.site]++
	c.n = t.seen[c.site]
	switch a := t.decide(c); {
	case a.kill != 0:
		_ = unix.Kill(a.kill, unix.SIGKILL)
	case a.errno != 0:
		th.errno = a.errno
		if !a.after {
			regs.Orig_rax = ^uint64(0)
			_ = unix.PtraceSetRegs(pid, &regs)
		}
	}
}

// stack follows the frame pointers. The instruction of a call is in a function without a
// frame of its own (internal/runtime/syscall/linux.Syscall6), so that the address of its
// caller is on top.
func stack(pid int, regs *unix.PtraceRegs) []uint64 {
	const size = 16 << 10
	memory := make([]byte, size)
	n := 0
	for try := size; try >= 512; try /= 2 { // the stack may end before
		local := []unix.Iovec{{Base: &memory[0], Len: uint64(try)}}
		remote := []unix.RemoteIovec{{Base: uintptr(regs.Rsp), Len: try}}
		if got, err := unix.ProcessVMReadv(pid, local, remote, 0); err == nil && got > 0 {
			n = got
			break
		}
	}
	word := func(addr uint64) uint64 {
		if at := addr - regs.Rsp; addr >= regs.Rsp && at+8 <= uint64(n) {
			return binary.LittleEndian.Uint64(memory[at:])
		}
		return 0
	}
	pcs := []uint64{regs.Rip, word(regs.Rsp)}
	for frame := regs.Rbp; len(pcs) < 40; {
		pc := word(frame + 8)
		if pc == 0 {
			break
		}
		pcs = append(pcs, pc)
		next := word(frame)
		if next <= frame {
			break
		}
		frame = next
	}
	return pcs
}
