package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// within fails the test if what f does takes longer than a person waits.
func within(t *testing.T, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > patience(20*time.Second) {
		t.Errorf("it took %v", took)
	}
}

// rt refuses a configuration beyond the limits at once.
func TestTooLargeConfigurations(t *testing.T) {
	const n = 100_000
	for name, c := range map[string]struct {
		change func(b *bundle)
		words  []string
	}{
		"mounts": {func(b *bundle) {
			b.spec.Mounts = slices.Repeat([]specs.Mount{{Destination: "/m", Type: "tmpfs", Source: "x"}}, n)
		}, []string{"mounts: 100000 entries", "at most 10000"}},
		"masked paths": {func(b *bundle) { b.spec.Linux.MaskedPaths = slices.Repeat([]string{"/proc/kcore"}, n) },
			[]string{"linux.maskedPaths: 100000 entries", "at most 1000"}},
		"device rules": {func(b *bundle) {
			b.spec.Linux.Resources.Devices = slices.Repeat([]specs.LinuxDeviceCgroup{{Access: "rwm"}}, n)
		}, []string{"linux.resources.devices: 100000 entries"}},
		"seccomp rules": {func(b *bundle) {
			b.spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
			for i := range n / 2 {
				b.spec.Linux.Seccomp.Syscalls = append(b.spec.Linux.Seccomp.Syscalls, specs.LinuxSyscall{
					Names: []string{"getpid"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Value: uint64(i), Op: specs.OpEqualTo}},
				})
			}
		}, []string{"linux.seccomp.syscalls: 50000 entries"}},
		"seccomp instructions": {func(b *bundle) {
			b.spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
			for i := range 10_000 {
				b.spec.Linux.Seccomp.Syscalls = append(b.spec.Linux.Seccomp.Syscalls, specs.LinuxSyscall{
					Names: []string{"getpid"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Value: uint64(i), Op: specs.OpEqualTo}},
				})
			}
		}, []string{"linux.seccomp: the profile needs a filter of", "the kernel allows 4096"}},
		"hooks": {func(b *bundle) {
			b.spec.Hooks = &specs.Hooks{CreateRuntime: slices.Repeat([]specs.Hook{{Path: "/bin/true"}}, n)}
		}, []string{"hooks.createRuntime: 100000 entries", "at most 1000"}},
		"environment": {func(b *bundle) { b.spec.Process.Env = slices.Repeat([]string{"A=" + strings.Repeat("x", 100)}, n) },
			[]string{"process.args: ", "process.env", "at most 6291456"}},
		"one argument": {func(b *bundle) { b.spec.Process.Args = []string{"true", strings.Repeat("x", 8<<20)} },
			[]string{"process.args[1]: 8388608 bytes", "at most 131071"}},
		"one path": {func(b *bundle) { b.spec.Process.Cwd = "/" + strings.Repeat("x", 8<<20) },
			[]string{"process.cwd: 8388609 bytes", "at most 4095"}},
		"the document": {func(b *bundle) { b.spec.Annotations = map[string]string{"a": strings.Repeat("x", spec.MaxSize)} },
			[]string{"config.json: larger than 16 MiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, "true")
			c.change(b)
			b.write()
			within(t, func() {
				message := b.fails(c.words, "run", b.id)
				if len(message) > 2000 {
					t.Errorf("a message of %d bytes", len(message))
				}
			})
			b.noTrace()
		})
	}
}

// A configuration within the limits runs in time that grows only with its size.
func TestLargeConfigurations(t *testing.T) {
	for name, change := range map[string]func(b *bundle){
		"mounts": func(b *bundle) {
			for i := range often(5000) {
				b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: fmt.Sprint("/m/", i), Type: "bind", Source: b.dir, Options: []string{"bind", "ro"}})
			}
		},
		"mounts on one place": func(b *bundle) {
			for range often(5000) {
				b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/m", Type: "tmpfs", Source: "x"})
			}
		},
		"paths": func(b *bundle) {
			b.spec.Linux.MaskedPaths = slices.Repeat([]string{"/proc/kcore"}, 1000)
			b.spec.Linux.ReadonlyPaths = slices.Repeat([]string{"/proc/sys"}, 1000)
		},
		"devices": func(b *bundle) {
			for i := range 10_000 {
				b.spec.Linux.Devices = append(b.spec.Linux.Devices, specs.LinuxDevice{Path: fmt.Sprint("/dev/d/", i), Type: "c", Major: int64(1 + i/200), Minor: int64(i % 200)})
			}
		},
		"device rules": func(b *bundle) {
			for i := range 1000 {
				b.spec.Linux.Resources.Devices = append(b.spec.Linux.Resources.Devices, specs.LinuxDeviceCgroup{
					Allow: i%3 > 0, Type: "c", Major: ptr(int64(100 + i/200)), Minor: ptr(int64(i % 200)), Access: "rwm",
				})
			}
		},
		"hooks": func(b *bundle) {
			b.spec.Hooks = &specs.Hooks{CreateRuntime: slices.Repeat([]specs.Hook{{Path: busyboxPath, Args: []string{"true"}}}, often(1000))}
		},
		"arguments": func(b *bundle) {
			b.spec.Process.Args = append([]string{"true"}, slices.Repeat([]string{"x"}, 100_000)...)
			b.spec.Process.Env = append(b.spec.Process.Env, slices.Repeat([]string{"A=b"}, 100_000)...)
		},
		"groups": func(b *bundle) {
			for i := range uint32(65536) {
				b.spec.Process.User.AdditionalGids = append(b.spec.Process.User.AdditionalGids, i)
			}
		},
		"annotations": func(b *bundle) {
			b.spec.Annotations = map[string]string{"a": strings.Repeat("x", 8<<20)}
			for i := range 100_000 {
				b.spec.Annotations[fmt.Sprint("key", i)] = "value"
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, "true")
			change(b)
			b.write()
			within(t, func() { b.ok("explain", b.dir) })
			within(t, func() { b.ok("run", b.id) })
		})
	}
}

// The other documents have the same limit, and need not be files.
func TestTooLargeDocuments(t *testing.T) {
	b := running(t)
	large := `{"x": "` + strings.Repeat("x", spec.MaxSize) + `"}`
	file := filepath.Join(b.dir, "large.json")
	must(t, os.WriteFile(file, []byte(large), 0o600))
	for _, r := range []result{
		b.rt("exec", "--process", file, b.id),
		b.rt("update", "--resources", file, b.id),
		b.rtIn(large, "update", "--resources", "-", b.id),
		b.rt("update", "--resources", "/dev/zero", b.id),
	} {
		if r.code == 0 || !strings.Contains(r.stderr, "larger than 16 MiB") {
			t.Errorf("%v", r)
		}
	}
	want(t, "a small one", b.rtIn(`{"cwd": "/", "args": ["echo", "small"], "env": ["PATH=/bin"]}`, "exec", "--process", "/dev/stdin", b.id).stdout, "small")
}
