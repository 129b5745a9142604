package main

import "golang.org/x/sys/unix"

const map32Bit = unix.MAP_32BIT

// call32 makes a call of 32-bit x86: int 0x80.
func call32(number, a, b uintptr) int
