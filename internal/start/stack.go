package start

import "github.com/rtcontainers/rt/internal/stack"

func init() { stack.Grow() }
