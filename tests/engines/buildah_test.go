package engines

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestBuildah(t *testing.T) {
	for _, runtime := range runtimes() {
		t.Run(runtime, func(t *testing.T) {
			p := newPodman(t, runtime, false)
			e := *p
			e.kind, e.title = "buildah", "Buildah with "+runtime
			e.client = append([]string{"buildah"}, p.client[1:]...)
			e.run(t, buildahScenarios(runtimePath(t, runtime)))
		})
	}
}

// buildahScenarios are what people do with Buildah, with a runtime given by path.
func buildahScenarios(runtime string) []scenario {
	from := func(t *testing.T, e *engine, flags ...string) string {
		id := e.ok(t, append(append([]string{"from", "--pull-never"}, flags...), image)...)
		t.Cleanup(func() { _, _ = e.try(t, "", "rm", id) })
		return id
	}
	// line is `buildah run` of a shell's script.
	line := func(container, script string, flags ...string) []string {
		return append(append([]string{"run", "--runtime", runtime, "--network", "none"}, flags...), container, "--", "sh", "-c", script)
	}
	// has runs a script and looks for words in its output: Buildah asks for ambient
	// capabilities that are not possible, and rt warns about them.
	has := func(t *testing.T, e *engine, container, script, word string, flags ...string) {
		t.Helper()
		contains(t, e.ok(t, line(container, script, flags...)...), word)
	}
	buildLine := func(t *testing.T, dockerfile string, flags ...string) []string {
		t.Helper()
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644))
		must(t, os.WriteFile(filepath.Join(dir, "word"), []byte("from the context\n"), 0o644))
		args := append([]string{"build", "--runtime", runtime, "--network", "none", "--no-cache", "--pull-never", "-t", strings.ToLower(name())}, flags...)
		return append(args, dir)
	}
	build := func(t *testing.T, e *engine, dockerfile string, flags ...string) string {
		t.Helper()
		return e.ok(t, buildLine(t, dockerfile, flags...)...)
	}
	return []scenario{
		{name: "output of a container", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "echo out", "out")
		}},
		{name: "exit status", run: func(t *testing.T, e *engine) {
			e.exits(t, 42, line(from(t, e), "exit 42")...)
		}},
		{name: "input", run: func(t *testing.T, e *engine) {
			out, code := e.try(t, "given\n", line(from(t, e), "read word; echo got $word")...)
			if code != 0 {
				t.Errorf("exit status %d", code)
			}
			contains(t, out, "got given")
		}},
		{name: "command that is not there", run: func(t *testing.T, e *engine) {
			out, code := e.try(t, "", "run", "--runtime", runtime, "--network", "none", from(t, e), "--", "/no/such/program")
			if code == 0 {
				t.Error("the run succeeds")
			}
			contains(t, out, "/no/such/program")
		}},
		{name: "terminal", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "tty", "/dev/", "--tty")
		}},
		{name: "environment and directory", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "echo $NAME in $PWD", "value in /tmp", "--env", "NAME=value", "--workingdir", "/tmp")
		}},
		{name: "another user", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "echo $(id -u):$(id -g)", "1000:1000", "--user", "1000:1000")
		}},
		{name: "host name", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "echo name=$(hostname)", "name=elsewhere", "--hostname", "elsewhere")
		}},
		{name: "volume", run: func(t *testing.T, e *engine) {
			dir := t.TempDir()
			has(t, e, from(t, e), "echo kept > /volume/file; echo done", "done", "--volume", dir+":/volume")
			data, err := os.ReadFile(filepath.Join(dir, "file"))
			must(t, err)
			equal(t, strings.TrimSpace(string(data)), "kept")
		}},
		{name: "read-only volume", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "touch /volume/file || echo refused", "refused", "--volume", t.TempDir()+":/volume:ro")
		}},
		{name: "tmpfs", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "grep ' /scratch ' /proc/mounts", "tmpfs /scratch", "--mount", "type=tmpfs,destination=/scratch")
		}},
		{name: "capabilities", run: func(t *testing.T, e *engine) {
			const raw = 1 << 13 // CAP_NET_RAW
			script := "echo $(( (0x$(grep CapBnd /proc/self/status | cut -f2) & " + fmt.Sprint(raw) + ") != 0 )) is it"
			has(t, e, from(t, e), script, "1 is it", "--cap-add", "CAP_NET_RAW")
			has(t, e, from(t, e), script, "0 is it", "--cap-drop", "CAP_NET_RAW")
		}},
		{name: "seccomp", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "grep Seccomp: /proc/self/status", "2")
			has(t, e, from(t, e, "--security-opt", "seccomp=unconfined"), "grep Seccomp: /proc/self/status", "0")
		}},
		{name: "limits of files and memory", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e, "--ulimit", "nofile=100:100", "--shm-size", "1m"), "echo $(ulimit -n) files; df -k /dev/shm | grep -c ' 1024 '; true", "100 files")
		}},
		{name: "network of the host", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "readlink /proc/self/ns/net", ownNamespace(t, "net"), "--network", "host")
		}},
		{name: "pids of the host", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "readlink /proc/self/ns/pid", ownNamespace(t, "pid"), "--pid", "host")
		}},
		{name: "IPC of the host", run: func(t *testing.T, e *engine) {
			has(t, e, from(t, e), "readlink /proc/self/ns/ipc", ownNamespace(t, "ipc"), "--ipc", "host")
		}},
		{name: "run after run", run: func(t *testing.T, e *engine) {
			id := from(t, e)
			has(t, e, id, "echo one > /file; echo done", "done")
			has(t, e, id, "echo two >> /file; cat /file", "one\ntwo")
		}},
		{name: "copied file", run: func(t *testing.T, e *engine) {
			id, file := from(t, e), filepath.Join(t.TempDir(), "file")
			must(t, os.WriteFile(file, []byte("copied\n"), 0o644))
			e.ok(t, "copy", id, file, "/there")
			has(t, e, id, "cat /there", "copied")
		}},
		{name: "settings of a container", run: func(t *testing.T, e *engine) {
			id := from(t, e)
			e.ok(t, "config", "--env", "NAME=set", "--workingdir", "/tmp", "--user", "1000", id)
			has(t, e, id, "echo $(id -u) $PWD $NAME", "1000 /tmp set")
		}},
		{name: "committed image", run: func(t *testing.T, e *engine) {
			id, made := from(t, e), strings.ToLower(name())
			has(t, e, id, "echo inside > /file; echo done", "done")
			e.ok(t, "commit", "--quiet", id, made)
			next := e.ok(t, "from", "--pull-never", made)
			t.Cleanup(func() { _, _ = e.try(t, "", "rm", next) })
			has(t, e, next, "cat /file", "inside")
		}},
		{name: "10 runs at once", run: func(t *testing.T, e *engine) {
			// Each has its own container: Buildah removes the mount points that one run
			// leaves in a root file system while another one mounts there.
			var wg sync.WaitGroup
			for i := range 10 {
				id := from(t, e)
				wg.Go(func() {
					if out, code := e.try(t, "", line(id, fmt.Sprintf("echo number %d.", i))...); code != 0 || !strings.Contains(out, fmt.Sprintf("number %d.", i)) {
						t.Errorf("run %d: exit status %d: %s", i, code, out)
					}
				})
			}
			wg.Wait()
		}},
		{name: "build", run: func(t *testing.T, e *engine) {
			contains(t, build(t, e, "FROM "+image+"\nRUN echo built-$((6*7)) && touch /made\nUSER user\nRUN id -u\n"), "built-42", "\n1000")
		}},
		{name: "step that fails", run: func(t *testing.T, e *engine) {
			out, code := e.try(t, "", buildLine(t, "FROM "+image+"\nRUN exit 42\n")...)
			if code == 0 {
				t.Error("the build succeeds")
			}
			contains(t, out, "42")
		}},
		{name: "argument of the build", run: func(t *testing.T, e *engine) {
			contains(t, build(t, e, "FROM "+image+"\nARG WORD\nRUN echo the word is $WORD\n", "--build-arg", "WORD=given"), "\nthe word is given")
		}},
		{name: "files of the context", run: func(t *testing.T, e *engine) {
			contains(t, build(t, e, "FROM "+image+"\nCOPY word /word\nRUN cat /word\n"), "\nfrom the context")
		}},
		{name: "bind from another stage", run: func(t *testing.T, e *engine) {
			contains(t, build(t, e, "FROM "+image+" AS other\nRUN echo theirs > /theirs\nFROM "+image+"\nRUN --mount=type=bind,from=other,target=/other cat /other/theirs\n"), "\ntheirs")
		}},
		{name: "secret", run: func(t *testing.T, e *engine) {
			secret := filepath.Join(t.TempDir(), "secret")
			must(t, os.WriteFile(secret, []byte("hidden"), 0o600))
			contains(t, build(t, e, "FROM "+image+"\nRUN --mount=type=secret,id=word echo $(wc -c < /run/secrets/word) letters\n", "--secret", "id=word,src="+secret), "\n6 letters")
		}},
	}
}
