// Package engines runs containers on rt through the engines that people use. The same
// scenarios run on runc, to tell rt's faults from the engine's.
package engines

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	binaries   = flag.String("binaries", "", "`directory` of rt and containerd-shim-rt-v2")
	containerd = flag.String("containerd", "", "`directory` of the programs of containerd's current release")
	buildkit   = flag.String("buildkit", "", "`directory` of the programs of BuildKit")
	docker     = flag.String("docker", "", "`directory` of the current Docker daemon")
	packaged   = flag.Bool("packaged", false, "run only the engines that are installed, and skip what needs -containerd, -buildkit or -docker")
	compare    = flag.Bool("compare", true, "run the scenarios on runc, too")
	markdown   = flag.String("markdown", "", "write the table of results to `file`")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Geteuid() != 0 || *binaries == "" || !*packaged && (*containerd == "" || *buildkit == "" || *docker == "") {
		fmt.Fprintln(os.Stderr, "engines: run by root, with the directories of the programs: make engines-test")
		os.Exit(2)
	}
	keepNull := nullOwner()
	code := m.Run()
	keepNull()
	if code != 0 && *compare && len(results.engines) > 0 && !results.failed {
		fmt.Println("engines: what failed above failed without rt")
		code = 0
	}
	if len(elsewhere) > 0 {
		fmt.Println("engines: run by make test-all only: " + strings.Join(elsewhere, ", "))
	}
	if *markdown != "" {
		if err := results.write(*markdown); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// nullOwner returns a function that restores the owner of the host's /dev/null: crun 1.8
// gives the standard streams of a container to its user, even if one is that device.
func nullOwner() (restore func()) {
	var st unix.Stat_t
	if unix.Stat(os.DevNull, &st) != nil {
		return func() {}
	}
	return func() { _ = unix.Chown(os.DevNull, int(st.Uid), int(st.Gid)) }
}

// elsewhere names the tests that newest skipped.
var elsewhere []string

// newest is the directory of an engine's current release. The test is skipped if these are
// left out: they take many minutes to build.
func newest(t testing.TB, dir string) string {
	t.Helper()
	if *packaged {
		elsewhere = append(elsewhere, t.Name())
		t.Skip("-packaged leaves current releases out: run by make test-all, or by make engines-test")
	}
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// name is a unique name for this test.
func name() string { return "rt-engines-" + strings.ToLower(rand.Text()[:8]) }

// The image that all engines load.
const image = "docker.io/library/rt-engines:latest"

// writeImage makes an image of busybox in the form of `docker save`, which all
// engines read.
func writeImage(t testing.TB, path, tag string, command []string) {
	t.Helper()
	layer := layer(t)
	config, err := json.Marshal(map[string]any{
		"architecture": goarch(), "os": "linux",
		"config": map[string]any{
			"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, "Cmd": command,
		},
		"history": []any{map[string]any{"created_by": "rt's tests"}},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	must(t, err)
	manifest, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{tag}, "Layers": []string{"layer.tar"},
	}})
	must(t, err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		data []byte
	}{{"layer.tar", layer}, {"config.json", config}, {"manifest.json", manifest}} {
		must(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data))}))
		_, err := w.Write(f.data)
		must(t, err)
	}
	must(t, w.Close())
	must(t, os.WriteFile(path, b.Bytes(), 0o644))
}

// layer is a root file system: busybox, and users.
func layer(t testing.TB) []byte {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	must(t, err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"bin", "dev", "etc", "proc", "root", "sys", "tmp", "var"} {
		mode := int64(0o755)
		if dir == "tmp" {
			mode = 0o1777
		}
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: mode}))
	}
	file := func(name string, mode int64, data []byte) {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data))}))
		_, err := io.Copy(w, bytes.NewReader(data))
		must(t, err)
	}
	file("bin/busybox", 0o755, busybox)
	file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"))
	file("etc/group", 0o644, []byte("root:x:0:\nuser:x:1000:\n"))
	// Debian's busybox has neither.
	file("bin/ipcs", 0o755, []byte("#!/bin/sh\nexec cat /proc/sysvipc/shm\n"))
	file("bin/pgrep", 0o755, []byte("#!/bin/sh\ngrep -lx \"$1\" /proc/[0-9]*/comm 2>/dev/null | cut -d / -f 3 | grep .\n"))
	file("root/index.html", 0o644, []byte("hello\n"))
	file("etc/not-executable", 0o644, []byte("text\n"))
	applets, err := exec.Command("/bin/busybox", "--list").Output()
	must(t, err)
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet == "busybox" {
			continue
		}
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777}))
	}
	must(t, w.Close())
	return b.Bytes()
}

// unmountBelow unmounts what an engine left mounted in its directory.
func unmountBelow(t testing.TB, dir string) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for _, line := range slices.Backward(lines) {
		if point := strings.Fields(line)[4]; strings.HasPrefix(point, dir+"/") {
			_ = unix.Unmount(point, unix.MNT_DETACH)
		}
	}
}

// removeCgroups removes cgroups that engines left behind for the tests.
func removeCgroups(name string) {
	found, _ := filepath.Glob("/sys/fs/cgroup/*/" + name + "*")
	direct, _ := filepath.Glob("/sys/fs/cgroup/" + name + "*")
	for _, root := range append(found, direct...) {
		var dirs []string
		_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			_ = os.Remove(dirs[i])
		}
	}
}
