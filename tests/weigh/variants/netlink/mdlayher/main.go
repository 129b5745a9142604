// github.com/mdlayher/netlink.
package main

import (
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func main() {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		panic(err)
	}
	c.Close()
}
