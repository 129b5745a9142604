package launch

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// A program that has ended is found out, but not at the first look: its last message may
// be on its way.
func TestSilenceOfDeadPrograms(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	zombie := new(silence)
	if err := zombie.look(cmd.Process.Pid, nil); err != nil {
		t.Error(err)
	}
	if err := zombie.look(cmd.Process.Pid, nil); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	_ = cmd.Wait()
	if err := zombie.look(cmd.Process.Pid, nil); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	alive := new(silence)
	for range 3 * stoppedFor {
		if err := alive.look(os.Getpid(), nil); err != nil {
			t.Error(err)
		}
	}
	frozen := new(silence)
	var err error
	for range stoppedFor {
		if err != nil {
			t.Error(err)
		}
		err = frozen.look(os.Getpid(), func(pid int) string { return "/cgroup/" + strconv.Itoa(pid) })
	}
	if err == nil || errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
