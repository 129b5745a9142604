package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// lowMemory is memory with addresses that fit 32-bit calls.
func lowMemory(size int) ([]byte, error) {
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|map32Bit)
}

func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

// pointer is for calls that the unix package does not have.
func pointer[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }
