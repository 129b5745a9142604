package signals

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A caught signal waits for a process or for a channel, whichever comes first.
func TestCaughtSignals(t *testing.T) {
	signal.Ignore(unix.SIGHUP) // as nohup starts programs
	c, err := Catch()
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, len(Forwarded))
	defer signal.Stop(signals)
	send := func(s unix.Signal) {
		t.Helper()
		if err := unix.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	child := func() (*exec.Cmd, int) {
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		return cmd, fd
	}
	endedBy := func(cmd *exec.Cmd, want unix.Signal) {
		t.Helper()
		_ = cmd.Wait()
		if got := cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != want {
			t.Errorf("ended by %v, not by %v", got, want)
		}
	}

	send(unix.SIGUSR2)
	if s := c.Terminating(); s != 0 {
		t.Errorf("terminating: %v", s)
	}
	first, fd := child()
	c.SendTo(fd)
	endedBy(first, unix.SIGUSR2)

	second, fd := child()
	c.SendTo(fd)
	send(unix.SIGTERM)
	endedBy(second, unix.SIGTERM)

	c.SendTo(-1)
	send(unix.SIGHUP)
	if s := c.Terminating(); s != unix.SIGHUP {
		t.Errorf("terminating: %v", s)
	}
	c.Release(signals)
	send(unix.SIGUSR1)
	send(unix.SIGHUP)
	for _, want := range []unix.Signal{unix.SIGHUP, unix.SIGUSR1, unix.SIGHUP} {
		select {
		case got := <-signals:
			if got != want {
				t.Errorf("got %v, not %v", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%v does not come", want)
		}
	}
}
