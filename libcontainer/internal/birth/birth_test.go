package birth

import (
	"errors"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/cgroup"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/launch"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
	"golang.org/x/sys/unix"
)

func TestStepsAreTakenBackInReverse(t *testing.T) {
	var b Birth
	var got []string
	for _, step := range []string{"directory", "cgroup", "process"} {
		b.undoing(func() { got = append(got, step) })
	}
	b.goBack()
	b.goBack() // once only
	if want := []string{"process", "cgroup", "directory"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestPhasesArePrintedAndDoNotGoBack(t *testing.T) {
	var got []string
	b := Birth{Caller: Caller{Debug: func(step string) { got = append(got, step) }}}
	for _, p := range []Phase{Checked, Compiled, Answered, Made, Limited} {
		b.reach(p)
	}
	want := []string{"read and checked the configuration", "compiled the program", "the program made the container", "set the limits"}
	if b.phase != Made || !slices.Equal(got, want) {
		t.Errorf("phase %d, %q; want %d, %q", b.phase, got, Made, want)
	}
}

// rt does not trust a program: each kind serves only the requests of its own programs.
func TestUnexpectedRequestsAreRefused(t *testing.T) {
	further, change := &further{}, &change{}
	further.kind, change.kind = further, change
	further.spec, change.spec = &specs.Spec{}, &specs.Spec{}
	ofFirst := []compile.Request{
		compile.RequestCgroup{}, compile.RequestMaps{}, compile.RequestHooks{}, compile.RequestCopyFrom{}, compile.RequestCopyTo{},
		compile.RequestNetDevices{}, compile.RequestCopied{},
	}
	for _, test := range []struct {
		name     string
		server   server
		requests []compile.Request
	}{
		{"exec", further, append(ofFirst, compile.RequestHook{}, compile.RequestHookDone{}, compile.RequestPath{}, compile.RequestSource{}, compile.RequestMapIDs{})},
		{"mounts", change, append(ofFirst, compile.RequestHook{}, compile.RequestHookDone{}, compile.RequestChild{}, compile.RequestTerminal{}, compile.RequestListener{})},
	} {
		for _, r := range test.requests {
			if _, err := test.server.serve(&request{Request: r}); err == nil || !strings.Contains(err.Error(), "unexpected request") {
				t.Errorf("%s: %T: %v", test.name, r, err)
			}
		}
	}
	plain := &first{Birth: Birth{spec: &specs.Spec{}, plan: &compile.Plan{}, place: &cgroup.Placement{}, container: Container{State: &state.State{}}}, hooks: hookWatch{hooks: &specs.Hooks{}}}
	plain.proc = &launch.Process{}
	for _, r := range []compile.Request{
		compile.RequestCgroup{}, compile.RequestMaps{}, compile.RequestCopyFrom{}, compile.RequestCopyTo{}, compile.RequestNetDevices{},
		compile.RequestCopied{}, compile.RequestHook{}, compile.RequestHookDone{}, compile.RequestPath{}, compile.RequestSource{},
		compile.RequestMapIDs{}, compile.RequestTerminal{}, compile.RequestListener{},
	} {
		if _, err := plain.serve(&request{Request: r}); err == nil {
			t.Errorf("create: %T, for which there is no reason, was served", r)
		}
	}
	if _, err := further.serve(&request{Request: compile.RequestTerminal{}}); err == nil {
		t.Error("exec: a terminal that nobody wants was taken")
	}
}

func TestOnlyErrorsOfCloneNameTheLimitOfProcesses(t *testing.T) {
	limit := int64(3)
	b := Birth{spec: &specs.Spec{Linux: &specs.Linux{Resources: &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}}}}}
	failed := func(call program.Call, errno unix.Errno) error {
		return &program.Failure{Call: call.String(), Errno: errno}
	}
	for _, test := range []struct {
		err   error
		names bool
	}{
		{failed(program.Clone, unix.EAGAIN), true},
		{failed(program.Clone3, unix.EAGAIN), true},
		{failed(program.Clone3, unix.EBUSY), false},
		{failed(program.Execve, unix.EAGAIN), false},
		{errors.Join(launch.ErrNoRoom, unix.EAGAIN), false}, // a hook's, since the program runs already
		{unix.EAGAIN, false},
	} {
		err := b.served(test.err)
		var full *fullError
		if is := errors.As(err, &full); is != test.names || strings.Contains(err.Error(), "linux.resources.pids.limit") != test.names || !errors.Is(err, test.err) {
			t.Errorf("%v: got %v", test.err, err)
		}
	}
}
