// github.com/vishvananda/netlink.
package main

import "github.com/vishvananda/netlink"

func main() {
	h, err := netlink.NewHandle()
	if err != nil {
		panic(err)
	}
	h.Close()
}
