// Command jsongen writes the Go code that reads and writes types as JSON with
// package jsontext. Run it with `go generate ./...`.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"os"

	"github.com/rtcontainers/rt/libcontainer/internal/jsongen/generate"
)

func main() {
	name := flag.String("roots", "", "which types: "+generate.Names())
	out := flag.String("o", "", "the `file` to write")
	flag.Parse()
	if err := run(*name, *out); err != nil {
		fmt.Fprintln(os.Stderr, "jsongen:", err)
		os.Exit(1)
	}
}

func run(name, out string) error {
	var code bytes.Buffer
	if err := generate.Write(&code, name); err != nil {
		return err
	}
	text, err := format.Source(code.Bytes())
	if err != nil {
		return fmt.Errorf("%w in\n%s", err, code.Bytes())
	}
	return os.WriteFile(out, text, 0o644)
}
