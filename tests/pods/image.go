package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/containerd/containerd/v2/client"
)

// image is that of all containers, and of pause containers.
const image = "docker.io/library/rt-pods:latest"

// load makes the image and gives it to containerd.
func (n *node) load(ctx context.Context) error {
	data, err := makeImage(filepath.Join(n.opts.bin, "pods/pause"), "/bin/busybox")
	if err != nil {
		return err
	}
	images, err := n.client.Import(ctx, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("import the image: %w", err)
	}
	for _, i := range images {
		if err := client.NewImage(n.client, i).Unpack(ctx, ""); err != nil {
			return fmt.Errorf("unpack the image: %w", err)
		}
	}
	return nil
}

// file is an entry of an archive; a name with a slash at its end is a directory's.
type file struct {
	name string
	data []byte
}

func archive(files []file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.data))}
		if f.name[len(f.name)-1] == '/' {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// makeImage makes an image in the form of `docker save`, of two static programs: one that waits, and
// busybox as /bin/true.
func makeImage(pause, busybox string) ([]byte, error) {
	wait, err := os.ReadFile(pause)
	if err != nil {
		return nil, err
	}
	box, err := os.ReadFile(busybox)
	if err != nil {
		return nil, err
	}
	layer, err := archive([]file{
		{"bin/", nil}, {"dev/", nil}, {"etc/", nil}, {"proc/", nil}, {"sys/", nil}, {"pause", wait}, {"bin/true", box},
	})
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Env": []string{"PATH=/bin"}, "Cmd": []string{"/pause"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{image}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return nil, err
	}
	return archive([]file{{"layer.tar", layer}, {"config.json", config}, {"manifest.json", manifest}})
}
