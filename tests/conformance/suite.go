package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	toolsModule = "github.com/opencontainers/runtime-tools"
	// insideProgram is what the suite runs in its containers.
	insideProgram = "runtimetest"
)

// suite is the built validation suite.
type suite struct {
	// dir holds the programs and insideProgram.
	dir string
	// rootfs is the archive of the containers' root file system.
	rootfs   string
	programs []string
}

// buildSuite builds the suite into dir. The go command builds only what dir does not have yet.
func buildSuite(ctx context.Context, dir string) (*suite, error) {
	tests := toolsModule + "/validation/..."
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// insideProgram has to be static: the root file system has no C library of the host's kind.
	_, err := goCommand(ctx, "build", "-o", dir+string(filepath.Separator), tests, toolsModule+"/cmd/"+insideProgram)
	if err != nil {
		return nil, err
	}
	mains, err := goCommand(ctx, "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, tests)
	if err != nil {
		return nil, err
	}
	module, err := goCommand(ctx, "list", "-m", "-f", "{{.Dir}}", toolsModule)
	if err != nil {
		return nil, err
	}
	rootfs := filepath.Join(dir, rootfsName())
	if err := os.Remove(rootfs); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	if err := copyFile(rootfs, filepath.Join(strings.TrimSpace(module), rootfsName())); err != nil {
		return nil, err
	}
	s := &suite{dir: dir, rootfs: rootfs}
	for _, importPath := range strings.Fields(mains) {
		s.programs = append(s.programs, path.Base(importPath))
	}
	return s, nil
}

func rootfsName() string { return "rootfs-" + runtime.GOARCH + ".tar.gz" }

// builtSuite is the suite that buildSuite left in dir, for a machine without the go command.
func builtSuite(dir string) (*suite, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	s := &suite{dir: dir, rootfs: filepath.Join(dir, rootfsName())}
	for _, entry := range entries {
		if name := entry.Name(); name != insideProgram && name != rootfsName() {
			s.programs = append(s.programs, name)
		}
	}
	return s, nil
}

// goCommand runs the go command in this module and returns what it prints.
func goCommand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, stderr.String())
	}
	return string(out), nil
}
