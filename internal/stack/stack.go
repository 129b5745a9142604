// Package stack saves the Go runtime copies of stacks.
package stack

// Grow makes the caller's stack 32 KiB large, which is enough for most of what rt does. A
// stack grows by doubling: from 2 KiB that would be four copies, and for each the runtime
// looks up all frames in tables that are not in memory yet. Grow is for the begin of a
// goroutine, when there are few frames.
func Grow()
