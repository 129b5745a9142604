// rt's handler of the signals that it forwards.
package main

import (
	"os"

	"github.com/rtcontainers/rt/internal/signals"
)

func main() {
	c, err := signals.Catch()
	if err != nil {
		panic(err)
	}
	c.SendTo(-1)
	_ = os.Args
}
