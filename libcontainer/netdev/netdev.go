// Package netdev moves network devices into a container's network namespace:
// config-linux.md, "Network Devices". Nobody enters that namespace: a socket
// that the container's program opened there acts in it.
package netdev

import (
	"fmt"
	"maps"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Move moves devices from rt's network namespace into that of a process, where
// inside is a socket of rtnetlink(7). Their permanent addresses of global scope
// go along, and they are up afterwards.
func Move(devices map[string]specs.LinuxNetDevice, pid int, inside *os.File) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	m := mover{pid: pid, host: &conn{fd: fd}, container: &conn{fd: int(inside.Fd())}}
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		to := devices[name].Name
		if to == "" {
			to = name
		}
		if err := m.move(name, to); err != nil {
			return fmt.Errorf("linux.netDevices[%q]: %w", name, err)
		}
	}
	return nil
}

type mover struct {
	pid             int
	host, container *conn
}

func (m *mover) move(name, to string) error {
	index, err := m.host.link(name)
	if err != nil {
		return fmt.Errorf("find the device: %w", err)
	}
	addresses, err := m.host.addresses(index)
	if err != nil {
		return fmt.Errorf("list its addresses: %w", err)
	}
	before, err := m.container.links()
	if err != nil {
		return fmt.Errorf("list the container's devices: %w", err)
	}
	_, err = m.host.do(unix.RTM_NEWLINK, 0, ifinfo(index, 0, 0), number(unix.IFLA_NET_NS_PID, uint32(m.pid)), text(unix.IFLA_IFNAME, to))
	if err == unix.EEXIST {
		return fmt.Errorf("the container has a device %q already: choose another name, such as %q", to, "eth%d")
	}
	if err != nil {
		return fmt.Errorf("move it as %q: %w", to, err)
	}
	return m.configure(before, addresses)
}

// configure sets the device up that the namespace did not have before: its
// index may have changed, and its name is the kernel's choice if it has "%d".
func (m *mover) configure(before map[int32]bool, addresses []address) error {
	now, err := m.container.links()
	if err != nil {
		return fmt.Errorf("list the container's devices: %w", err)
	}
	for index := range now {
		if before[index] {
			continue
		}
		for _, a := range addresses {
			if err := m.container.add(index, a); err != nil {
				return fmt.Errorf("give it its address again: %w", err)
			}
		}
		if _, err := m.container.do(unix.RTM_NEWLINK, 0, ifinfo(index, unix.IFF_UP, unix.IFF_UP)); err != nil {
			return fmt.Errorf("set it up: %w", err)
		}
		return nil
	}
	return fmt.Errorf("it disappeared while it was moved")
}
