package machine

import (
	"errors"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// each is the share of one in n that began at a time.
func each(began time.Time, n int) time.Duration { return time.Since(began) / time.Duration(n) }

func pageFault() (time.Duration, error) {
	const pages = 1024
	size := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, pages*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return 0, os.NewSyscallError("mmap", err)
	}
	// A huge page would be one fault for all. A kernel without them refuses the advice.
	unix.Madvise(memory, unix.MADV_NOHUGEPAGE)
	began := time.Now()
	for i := 0; i < len(memory); i += size {
		memory[i] = 1
	}
	cost := each(began, pages)
	return cost, unix.Munmap(memory)
}

func call() (time.Duration, error) {
	const calls = 10000
	began := time.Now()
	for range calls {
		unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
	}
	return each(began, calls), nil
}

// thread ends a thread by ending its goroutine while it is locked to it.
func thread() (time.Duration, error) {
	const threads = 20
	began := time.Now()
	for range threads {
		done := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(done)
		}()
		<-done
	}
	return each(began, threads), nil
}

// threadSwitch sends a byte back and forth between two threads on one CPU.
func threadSwitch() (time.Duration, error) {
	const trips = 500
	var there, back [2]int
	for _, p := range []*[2]int{&there, &back} {
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return 0, os.NewSyscallError("pipe2", err)
		}
		defer unix.Close(p[0])
		defer unix.Close(p[1])
	}
	cpu, err := firstCPU()
	if err != nil {
		return 0, err
	}
	echoed := make(chan error, 1)
	go func() { echoed <- onCPU(cpu, func() error { return relay(there[0], back[1], trips) }) }()
	var cost time.Duration
	err = errors.Join(onCPU(cpu, func() error {
		began := time.Now()
		// The first byte is sent, and the others are passed on.
		if _, err := unix.Write(there[1], []byte{1}); err != nil {
			return err
		}
		if err := relay(back[0], there[1], trips-1); err != nil {
			return err
		}
		_, err := unix.Read(back[0], make([]byte, 1))
		cost = each(began, 2*trips)
		return err
	}), <-echoed)
	return cost, err
}

func relay(from, to, n int) error {
	buffer := make([]byte, 1)
	for range n {
		if _, err := unix.Read(from, buffer); err != nil {
			return err
		}
		if _, err := unix.Write(to, buffer); err != nil {
			return err
		}
	}
	return nil
}

// onCPU calls a function on a thread that ends with it.
func onCPU(cpu int, f func() error) error {
	done := make(chan error, 1)
	go func() {
		// A thread that is not unlocked ends with its goroutine, and so does its affinity.
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			done <- os.NewSyscallError("sched_setaffinity", err)
			return
		}
		done <- f()
	}()
	return <-done
}

func firstCPU() (int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, os.NewSyscallError("sched_getaffinity", err)
	}
	cpu := 0
	for !set.IsSet(cpu) {
		cpu++
	}
	return cpu, nil
}
