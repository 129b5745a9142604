// Package netdev moves network devices into a container's network namespace:
// config-linux.md, "Network Devices". rt does not enter that namespace: it uses a socket
// that the container's program opened there.
package netdev

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Move moves devices from rt's network namespace into that of a process; inside is a
// rtnetlink(7) socket there. Their permanent addresses of global scope move along, and the
// devices are up afterwards.
func Move(devices map[string]specs.LinuxNetDevice, pid int, inside *os.File) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	m := mover{pid: pid}
	if m.host, err = newConn(fd); err != nil {
		return err
	}
	if m.container, err = newConn(int(inside.Fd())); err != nil {
		return err
	}
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
	there, err := m.container.links()
	if err != nil {
		return fmt.Errorf("list the container's devices: %w", err)
	}
	// rt chooses its new index: other devices may arrive at the same time, and the kernel
	// chooses the name if it has "%d".
	inside := freeIndex(index, there)
	_, err = m.host.do(unix.RTM_NEWLINK, 0, ifinfo(index, 0, 0), number(unix.IFLA_NET_NS_PID, uint32(m.pid)),
		text(unix.IFLA_IFNAME, to), number(unix.IFLA_NEW_IFINDEX, uint32(inside)))
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("the container has a device %q already: choose another name, such as %q", to, "eth%d")
	}
	if err != nil {
		return fmt.Errorf("move it as %q: %w", to, err)
	}
	return m.configure(inside, addresses)
}

// freeIndex is the device's own index, if no device of the container has that number.
func freeIndex(index int32, taken map[int32]bool) int32 {
	if !taken[index] {
		return index
	}
	for other := range taken {
		index = max(index, other)
	}
	return index + 1
}

// configure restores the addresses of a device and brings it up.
func (m *mover) configure(index int32, addresses []address) error {
	for _, a := range addresses {
		if err := m.container.add(index, a); err != nil {
			return fmt.Errorf("restore its address: %w", err)
		}
	}
	if _, err := m.container.do(unix.RTM_NEWLINK, 0, ifinfo(index, unix.IFF_UP, unix.IFF_UP)); err != nil {
		return fmt.Errorf("bring it up: %w", err)
	}
	return nil
}
