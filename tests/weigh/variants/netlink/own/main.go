// rt's few messages of rtnetlink(7).
package main

import (
	"os"

	"github.com/rtcontainers/rt/libcontainer/internal/netdev"
	"golang.org/x/sys/unix"
)

func main() {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		panic(err)
	}
	if err := netdev.Move(nil, 0, os.NewFile(uintptr(fd), "netlink")); err != nil {
		panic(err)
	}
}
