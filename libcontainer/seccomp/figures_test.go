package seccomp

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/seccomp/simulate"
)

func dockerProfile(t testing.TB) *specs.LinuxSeccomp {
	t.Helper()
	text, err := os.ReadFile("../../tests/testdata/docker/seccomp.json")
	if err != nil {
		t.Fatal(err)
	}
	profile := &specs.LinuxSeccomp{}
	if err := json.Unmarshal(text, profile); err != nil {
		t.Fatal(err)
	}
	return profile
}

func program(t testing.TB, f *Filter, order binary.ByteOrder) *simulate.Program {
	t.Helper()
	p, err := simulate.New(f.Instructions, order)
	if err != nil {
		t.Fatalf("the kernel would refuse the filter: %v", err)
	}
	return p
}

// TestDockerProfileStaysSmall prints the size of Docker's default profile and
// holds it to what is reached.
func TestDockerProfileStaysSmall(t *testing.T) {
	f, err := Compile(dockerProfile(t))
	if err != nil {
		t.Fatal(err)
	}
	depth := program(t, f, binary.NativeEndian).Depth()
	t.Logf("%d instructions, longest path %d", len(f.Instructions), depth)
	t.Logf("unknown here: %v", f.Unknown)
	if len(f.Instructions) > 240 || depth > 20 {
		t.Error("that is more than it was: 223 instructions, longest path 19 (amd64)")
	}
	for _, w := range f.Warnings {
		t.Logf("warning: %s", w)
	}
}

func BenchmarkCompileDocker(b *testing.B) {
	profile := dockerProfile(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(profile); err != nil {
			b.Fatal(err)
		}
	}
}
