package engines

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuildKit builds images; each RUN step is a container.
func TestBuildKit(t *testing.T) {
	for _, runtime := range runtimes() {
		t.Run(runtime, func(t *testing.T) {
			e := newBuildKit(t, runtime)
			e.title, e.runtime, e.control = "BuildKit with "+runtime, runtime, runtime == "runc"
			e.run(t, buildScenarios)
		})
	}
}

// newBuildKit starts BuildKit's daemon with a runtime. Its own networks need CNI's plugins
// and a bridge, so the steps are in the host's network or in none.
func newBuildKit(t *testing.T, runtime string) *engine {
	t.Helper()
	programs := absolute(t, newest(t, *buildkit))
	dir, err := os.MkdirTemp("", "rt-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	socket := "unix://" + filepath.Join(dir, "socket")
	e := &engine{kind: "buildkit", dir: dir, client: []string{filepath.Join(programs, "buildctl"), "--addr", socket}}
	stop := daemon(t, filepath.Join(dir, "log"), nil, func() bool {
		return e.command(context.Background(), "debug", "workers").Run() == nil
	}, filepath.Join(programs, "buildkitd"), "--root", filepath.Join(dir, "root"), "--addr", socket, "--containerd-worker=false",
		"--oci-worker=true", "--oci-worker-binary", runtimePath(t, runtime), "--oci-worker-net", "host")
	t.Cleanup(func() {
		stop()
		unmountBelow(t, dir)
		removeCgroups("buildkit")
	})
	return e
}

// buildLine is the command line that builds a Dockerfile whose first stage, base, exists
// already.
func buildLine(t *testing.T, dockerfile string) []string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "layer.tar"), layer(t), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch AS base\nADD layer.tar /\nENV PATH=/bin\n"+dockerfile), 0o644))
	return []string{"build", "--progress", "plain", "--no-cache", "--frontend", "dockerfile.v0", "--local", "context=" + dir, "--local", "dockerfile=" + dir}
}

// build builds a Dockerfile. The result of the last stage is in the directory out.
func (e *engine) build(t *testing.T, dockerfile string, more ...string) (log string, code int, out string) {
	t.Helper()
	out = t.TempDir()
	args := append(buildLine(t, dockerfile), "--output", "type=local,dest="+out)
	log, code = e.try(t, "", append(args, more...)...)
	return log, code, out
}

// builds builds a Dockerfile that must succeed, and returns the text of a file in the last
// stage.
func (e *engine) builds(t *testing.T, dockerfile, file string, more ...string) string {
	t.Helper()
	log, code, out := e.build(t, dockerfile, more...)
	if code != 0 {
		t.Fatalf("exit status %d: %s", code, log)
	}
	data, err := os.ReadFile(filepath.Join(out, file))
	must(t, err)
	return strings.TrimSpace(string(data))
}

var buildScenarios = []scenario{
	{name: "steps build on each other", run: func(t *testing.T, e *engine) {
		equal(t, e.builds(t, "RUN echo one > /file\nRUN echo two >> /file\n", "file"), "one\ntwo")
	}},
	{name: "output of a step", run: func(t *testing.T, e *engine) {
		log, code, _ := e.build(t, "RUN echo seen-out; echo seen-err >&2\n")
		if code != 0 {
			t.Errorf("exit status %d", code)
		}
		contains(t, log, "seen-out", "seen-err")
	}},
	{name: "step that fails", run: func(t *testing.T, e *engine) {
		log, code, _ := e.build(t, "RUN exit 42\n")
		if code == 0 {
			t.Error("the build succeeds")
		}
		contains(t, log, "exit code: 42")
	}},
	{name: "command that is not there", run: func(t *testing.T, e *engine) {
		log, code, _ := e.build(t, "RUN [\"/no/such/program\"]\n")
		if code == 0 {
			t.Error("the build succeeds")
		}
		contains(t, log, "/no/such/program", "no such file or directory")
	}},
	{name: "environment and directory", run: func(t *testing.T, e *engine) {
		equal(t, e.builds(t, "WORKDIR /tmp\nENV NAME=value\nUSER 1000\nRUN echo $(id -u) $PWD $NAME > file\n", "tmp/file"), "1000 /tmp value")
	}},
	{name: "argument of the build", run: func(t *testing.T, e *engine) {
		equal(t, e.builds(t, "ARG WORD\nRUN echo $WORD > /file\n", "file", "--opt", "build-arg:WORD=given"), "given")
	}},
	{name: "network of the host", run: func(t *testing.T, e *engine) {
		equal(t, e.builds(t, "RUN readlink /proc/self/ns/net > /file\n", "file"), ownNamespace(t, "net"))
	}},
	{name: "no network", run: func(t *testing.T, e *engine) {
		equal(t, e.builds(t, "RUN --network=none ls /sys/class/net > /file\n", "file"), "lo")
	}},
	{name: "cache between steps", run: func(t *testing.T, e *engine) {
		equal(t, e.builds(t, "RUN --mount=type=cache,target=/cache echo kept > /cache/file\n"+
			"RUN --mount=type=cache,target=/cache cp /cache/file /file; ls /cache >> /file\n", "file"), "kept\nfile")
	}},
	{name: "tmpfs", run: func(t *testing.T, e *engine) {
		contains(t, e.builds(t, "RUN --mount=type=tmpfs,target=/scratch grep ' /scratch ' /proc/mounts > /file\n", "file"), "tmpfs")
	}},
	{name: "bind from another stage", run: func(t *testing.T, e *engine) {
		equal(t, e.builds(t, "FROM base AS other\nRUN echo theirs > /theirs\nFROM base\n"+
			"RUN --mount=from=other,target=/other cp /other/theirs /file; touch /other/x 2>/dev/null || echo refused >> /file\n", "file"), "theirs\nrefused")
	}},
	{name: "secret", run: func(t *testing.T, e *engine) {
		secret := filepath.Join(t.TempDir(), "secret")
		must(t, os.WriteFile(secret, []byte("hidden"), 0o600))
		equal(t, e.builds(t, "RUN --mount=type=secret,id=word wc -c < /run/secrets/word > /file\n", "file", "--secret", "id=word,src="+secret), "6")
	}},
	{name: "stages at the same time", run: func(t *testing.T, e *engine) {
		var b strings.Builder
		for i := range 8 {
			fmt.Fprintf(&b, "FROM base AS s%d\nRUN echo %[1]d > /file%[1]d\n", i)
		}
		b.WriteString("FROM base\n")
		for i := range 8 {
			fmt.Fprintf(&b, "COPY --from=s%d /file%[1]d /\n", i)
		}
		b.WriteString("RUN cat /file? > /all\n")
		equal(t, e.builds(t, b.String(), "all"), "0\n1\n2\n3\n4\n5\n6\n7")
	}},
	{name: "capabilities", run: func(t *testing.T, e *engine) {
		equal(t, e.builds(t, "RUN grep CapEff /proc/self/status | cut -f2 > /file\n", "file"), "00000000a80425fb")
	}},
	{name: "seccomp", run: func(t *testing.T, e *engine) {
		equal(t, e.builds(t, "RUN grep Seccomp: /proc/self/status | cut -f2 > /file\n", "file"), "2")
	}},
	{name: "host names and resolver", run: func(t *testing.T, e *engine) {
		contains(t, e.builds(t, "RUN hostname > /file; grep localhost /etc/hosts >> /file\n", "file"), "buildkitsandbox", "localhost")
	}},
	{name: "build that is interrupted", run: func(t *testing.T, e *engine) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		cmd := e.command(ctx, buildLine(t, "RUN [\"/bin/sleep\", \"98765\"]\n")...)
		must(t, cmd.Start())
		sleeps := func() bool {
			lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
			must(t, err)
			for _, name := range lines {
				if line, _ := os.ReadFile(name); string(line) == "/bin/sleep\x0098765\x00" {
					return true
				}
			}
			return false
		}
		eventually(t, "the step runs", sleeps)
		must(t, cmd.Process.Signal(os.Interrupt))
		_ = cmd.Wait()
		eventually(t, "the step has ended", func() bool { return !sleeps() })
	}},
}
