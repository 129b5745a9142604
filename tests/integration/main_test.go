// Package integration runs the rt binary as root on the machine at hand: real
// namespaces, mounts, cgroups and signals. RT names the binary.
package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	rtPath      string
	busyboxPath string
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "sd_notify" { // in a container, see TestNotifySocket
		if err := notify(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "sd_notify:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// prepare refuses to run where the tests could not mean anything: a test that
// is skipped in silence does not exist.
func prepare() (err error) {
	if os.Geteuid() != 0 {
		return fmt.Errorf("these tests need root")
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
	if busyboxPath, err = exec.LookPath("busybox"); err != nil {
		return fmt.Errorf("busybox-static is missing: use `make integration`: %w", err)
	}
	return nil
}
