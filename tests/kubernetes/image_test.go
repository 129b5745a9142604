package kubernetes

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// The images: busybox, and what a pause container runs.
const (
	image      = "docker.io/library/rt-kubernetes:1"
	pauseImage = "docker.io/library/rt-kubernetes-pause:1"
)

// writeImage makes an image of busybox in the form of `docker save`.
func writeImage(t testing.TB, path, tag string, command ...string) {
	t.Helper()
	layer := layer(t)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{
			"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, "Cmd": command,
		},
		"history": []any{map[string]any{"created_by": "rt's tests"}},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	must(t, err)
	manifest, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{tag}, "Layers": []string{"layer.tar"},
	}})
	must(t, err)
	a := newArchive(t)
	a.file("layer.tar", 0o644, layer)
	a.file("config.json", 0o644, config)
	a.file("manifest.json", 0o644, manifest)
	must(t, os.WriteFile(path, a.bytes(), 0o644))
}

// layer is a root file system: busybox, and users.
func layer(t testing.TB) []byte {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	must(t, err)
	a := newArchive(t)
	for _, dir := range []string{"bin", "dev", "etc", "proc", "root", "sys", "tmp", "var", "www"} {
		mode := int64(0o755)
		if dir == "tmp" {
			mode = 0o1777
		}
		a.add(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: mode}, nil)
	}
	a.file("bin/busybox", 0o755, busybox)
	a.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n"))
	a.file("etc/group", 0o644, []byte("root:x:0:\nuser:x:1000:\nimage:x:4000:user\n"))
	a.file("www/index.html", 0o644, []byte("hello\n"))
	applets, err := exec.Command("/bin/busybox", "--list").Output()
	must(t, err)
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "busybox" {
			a.add(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + applet, Linkname: "busybox", Mode: 0o777}, nil)
		}
	}
	return a.bytes()
}

type archive struct {
	t testing.TB
	b *bytes.Buffer
	w *tar.Writer
}

func newArchive(t testing.TB) *archive {
	var b bytes.Buffer
	return &archive{t: t, b: &b, w: tar.NewWriter(&b)}
}

func (a *archive) add(h tar.Header, data []byte) {
	a.t.Helper()
	h.Size = int64(len(data))
	must(a.t, a.w.WriteHeader(&h))
	_, err := a.w.Write(data)
	must(a.t, err)
}

func (a *archive) file(name string, mode int64, data []byte) {
	a.add(tar.Header{Name: name, Mode: mode}, data)
}

func (a *archive) bytes() []byte {
	must(a.t, a.w.Close())
	return a.b.Bytes()
}
