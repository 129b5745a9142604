package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	rootfs  = "rootfs"
	busybox = "bin/busybox"
)

// makeBundle writes a bundle with a root file system of busybox.
func makeBundle(dir string, config object) error {
	if err := makeRootfs(filepath.Join(dir, rootfs)); err != nil {
		return err
	}
	// The docker configuration binds these over the container's own.
	for _, name := range []string{"resolv.conf", "hostname", "hosts"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(config, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644)
}

func makeRootfs(dir string) error {
	for _, name := range []string{"bin", "dev", "etc", "proc", "sys", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	if err := copyProgram("/bin/busybox", filepath.Join(dir, busybox)); err != nil {
		return fmt.Errorf("a static busybox is needed: %w", err)
	}
	for _, applet := range []string{"true", "sleep"} {
		if err := os.Symlink(filepath.Base(busybox), filepath.Join(dir, "bin", applet)); err != nil {
			return err
		}
	}
	return nil
}

func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		target.Close()
		return err
	}
	// A program that is still open for writing cannot be executed.
	return target.Close()
}
