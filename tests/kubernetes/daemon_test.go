package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is for a busy machine. An emulated one is slower still: RT_TEST_PATIENCE.
var patience = func() time.Duration {
	factor, err := strconv.Atoi(os.Getenv("RT_TEST_PATIENCE"))
	if err != nil {
		factor = 1
	}
	return time.Duration(factor) * 150 * time.Second
}()

// waiting is how long kubectl waits: a little less.
func waiting() string { return (patience - 10*time.Second).String() }

// daemon is a program that serves until it is stopped.
type daemon struct {
	name  string
	args  []string
	ready func() bool
	stop  func()
}

// log is the file with what a daemon prints.
func (d *daemon) log() string {
	dir := *logs
	if dir == "" {
		dir = "/run"
	}
	return filepath.Join(dir, d.name+".log")
}

// start starts the daemon, and waits until it is ready.
func (d *daemon) start(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(d.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(t, err)
	defer f.Close()
	cmd := exec.Command(d.args[0], d.args[1:]...)
	cmd.Stdout, cmd.Stderr = f, f
	must(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	d.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			t.Fatalf("%s has ended: %s", d.name, d.tail())
		default:
		}
		if d.ready() {
			return
		}
	}
	d.stop()
	t.Fatalf("%s does not get ready: %s", d.name, d.tail())
}

// tail is the end of the log.
func (d *daemon) tail() []byte {
	data, _ := os.ReadFile(d.log())
	return data[max(0, len(data)-4000):]
}
