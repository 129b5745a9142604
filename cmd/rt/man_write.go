//go:build man

package main

import (
	"os"
	"path/filepath"
)

// With the build tag man, rt does nothing but write its manual pages to the
// directory that is its argument.
func init() {
	for name, text := range manPages() {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), []byte(text), 0o644); err != nil {
			fail(err)
		}
	}
	os.Exit(0)
}
