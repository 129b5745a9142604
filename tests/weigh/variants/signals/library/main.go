// os/signal: this is built with the tag os_signal.
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
