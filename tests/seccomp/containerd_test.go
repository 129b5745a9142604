package seccomp

import (
	"math/rand/v2"
	"testing"

	containerd "github.com/containerd/containerd/v2/contrib/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// containerd's default profile depends on the container's capabilities.
func TestContainerdProfiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	c := &tally{explained: map[string]int{}}
	for name, capabilities := range map[string][]string{
		"none":    nil,
		"default": {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_NET_RAW", "CAP_SETUID", "CAP_SYS_CHROOT"},
		"all": {
			"CAP_BPF", "CAP_DAC_READ_SEARCH", "CAP_PERFMON", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_CHROOT", "CAP_SYS_MODULE",
			"CAP_SYS_NICE", "CAP_SYS_PACCT", "CAP_SYS_PTRACE", "CAP_SYS_RAWIO", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_SYSLOG",
		},
	} {
		p := containerd.DefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: capabilities}}})
		c.compare(t, "containerd, capabilities: "+name, p, r, len(boundary))
	}
	c.report(t)
}
