package launch

import (
	"encoding/binary"
	"os"
	"runtime"

	"github.com/rtcontainers/rt/internal/stack"
	"golang.org/x/sys/unix"
)

// Thread is an OS thread on which a container is prepared and then started: the container
// inherits the thread's namespaces and cgroups.
type Thread struct {
	jobs    chan func() error
	results chan error
	// given and done count jobs in the kernel, which wakes a waiter directly. The Go
	// scheduler would first wake another thread, which looks for work, finds the
	// goroutine, and wakes the thread that it is tied to.
	given, done semaphore
	// unread are the jobs whose results nobody has taken.
	unread int
	// made are the namespaces that the thread has made.
	made uint64
	// failed is the error of the first job that failed: later jobs are not done.
	failed error
	// last is done in any case before the thread ends, and closes over.
	last func()
	over chan struct{}
}

// NewThread starts a thread. End it with End.
func NewThread() *Thread {
	const atOnce = 4
	t := &Thread{jobs: make(chan func() error, atOnce), results: make(chan error, atOnce), given: noSemaphore, done: noSemaphore, over: make(chan struct{})}
	if runtime.NumCPU() > 1 {
		// With a locked thread, the scheduler has to be told that there is nothing to do.
		t.given, t.done = newSemaphore(), newSemaphore()
	}
	startThread(t.work)
	return t
}

func (t *Thread) work() {
	for {
		t.given.take()
		job, ok := <-t.jobs
		if !ok {
			if t.last != nil {
				t.last()
			}
			close(t.over)
			t.given.close()
			t.done.close()
			return
		}
		if t.failed == nil {
			t.failed = job()
		}
		t.results <- t.failed
		t.done.give()
	}
}

// Do queues a job for the thread; a few can wait in line. The job is not done if one
// before it has failed.
func (t *Thread) Do(job func() error) {
	t.unread++
	t.jobs <- job
	t.given.give()
}

// Wait waits until all jobs are done, and returns the first error.
func (t *Thread) Wait() (err error) {
	for ; t.unread > 0; t.unread-- {
		t.done.take()
		err = <-t.results
	}
	return err
}

// Unshare lets the thread make namespaces. The flags are clone(2) flags that unshare(2)
// allows for a single thread: a network namespace takes the kernel as long as rt takes for
// the program.
func (t *Thread) Unshare(namespaces uint64) {
	t.Do(func() error {
		// If it fails, clone fails, too, and reports it.
		if unix.Unshare(int(namespaces)) == nil {
			t.made |= namespaces
		}
		return nil
	})
}

// Start is the function Start, on the thread.
func (t *Thread) Start(cfg *Config) (*Process, error) {
	var p *Process
	t.Do(func() (err error) {
		own := *cfg
		own.CloneFlags &^= t.made
		p, err = Start(&own)
		return err
	})
	return p, t.Wait()
}

// End ends the thread after its last job, and after last, which may be nil. It does not wait for
// that; the channel that it returns is closed then.
func (t *Thread) End(last func()) (over <-chan struct{}) {
	t.last = last
	close(t.jobs)
	t.given.give()
	return t.over
}

// startThread runs f on an OS thread that runs nothing else, now or later.
func startThread(f func()) {
	go func() {
		stack.Grow()
		runtime.LockOSThread()
		if unix.Gettid() != os.Getpid() {
			f()
			return // ending while locked ends the thread
		}
		// The main thread never ends, so f must not change it. Occupy it while another one
		// is used.
		done := make(chan struct{})
		startThread(func() {
			defer close(done)
			f()
		})
		<-done
		runtime.UnlockOSThread()
	}()
}

// semaphore is an eventfd(2) that counts. Without it, the channels alone do the work.
type semaphore int

const noSemaphore semaphore = -1

func newSemaphore() semaphore {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_SEMAPHORE)
	if err != nil {
		return noSemaphore
	}
	return semaphore(fd)
}

func (s semaphore) give() {
	if s != noSemaphore {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		for range 100 { // nobody else would ever wake the waiter
			if _, err := unix.Write(int(s), one[:]); err == nil {
				return
			}
		}
	}
}

func (s semaphore) take() {
	if s != noSemaphore {
		var n [8]byte
		for {
			if _, err := unix.Read(int(s), n[:]); err != unix.EINTR {
				return
			}
		}
	}
}

func (s semaphore) close() {
	if s != noSemaphore {
		unix.Close(int(s))
	}
}
