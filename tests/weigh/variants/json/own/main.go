// The reader that rt generates.
package main

import (
	"os"

	"github.com/rtcontainers/rt/spec"
)

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	if _, err := spec.Parse(data); err != nil {
		panic(err)
	}
}
