// Package integration runs the rt binary as root on the machine at hand: real namespaces,
// mounts, cgroups and signals. RT names the binary. RT_SYSTEMD_CGROUP lets systemd manage
// the cgroups, and RT_TEST_PATIENCE multiplies the deadlines, for an emulated machine. An
// ordinary user runs a part: user_test.go.
package integration

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

var (
	rtPath      string
	busyboxPath string
	// systemd is true if systemd manages the containers' cgroups.
	systemd = os.Getenv("RT_SYSTEMD_CGROUP") != ""
	// slowness is how much slower than usual the machine is.
	slowness = 1
)

// patience is how long to wait for what takes d at most on an ordinary machine.
func patience(d time.Duration) time.Duration { return d * time.Duration(slowness) }

// often is how many times to do what a test does n times on an ordinary machine.
func often(n int) int { return max(1, n/slowness) }

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "sd_notify" { // in a container, see TestNotifySocket
		if err := notify(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "sd_notify:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if filepath.Base(os.Args[0]) == swapper { // in a container, see TestNotifySocketIsNotSwapped
		swapSocket(os.Args[1])
	}
	if filepath.Base(os.Args[0]) == leaderless { // in a container, see TestKillAProcessWithoutALeader
		loseLeader()
	}
	flag.Parse()
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		os.Exit(1)
	}
	code := m.Run()
	if code == 0 {
		if err := checkCoverage(); err != nil {
			fmt.Fprintln(os.Stderr, "integration:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// prepare refuses to run if the tests could not mean anything: a silently skipped test is
// no test.
func prepare() (err error) {
	if err := chooseTests(); err != nil {
		return err
	}
	name := os.Getenv("RT")
	if name == "" {
		return fmt.Errorf("RT must name the rt binary: use `make integration`")
	}
	if rtPath, err = filepath.Abs(name); err != nil {
		return err
	}
	if _, err := os.Stat(rtPath); err != nil {
		return err
	}
	if s := os.Getenv("RT_TEST_PATIENCE"); s != "" {
		if slowness, err = strconv.Atoi(s); err != nil || slowness < 1 {
			return fmt.Errorf("RT_TEST_PATIENCE: %q is not a number above 0", s)
		}
	}
	if busyboxPath, err = exec.LookPath("busybox"); err != nil {
		return fmt.Errorf("busybox-static is missing: use `make integration`: %w", err)
	}
	return nil
}
