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
	s := &suite{dir: dir}
	s.rootfs = filepath.Join(strings.TrimSpace(module), "rootfs-"+runtime.GOARCH+".tar.gz")
	for _, importPath := range strings.Fields(mains) {
		s.programs = append(s.programs, path.Base(importPath))
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
