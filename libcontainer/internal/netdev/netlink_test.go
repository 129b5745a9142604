package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLongAttributesAreRefused(t *testing.T) {
	for length, ok := range map[int]bool{15: true, maxAttribute - 1: true, maxAttribute: false, 1<<16 + 8: false} {
		_, err := new(conn).message(unix.RTM_NEWLINK, 0, ifinfo(1, 0, 0), []attribute{text(unix.IFLA_IFNAME, strings.Repeat("x", length))})
		if (err == nil) != ok {
			t.Errorf("a name of %d bytes: %v", length, err)
		}
	}
}

// answer is a struct nlmsgerr with the request's first bytes and attributes behind it.
func answer(flags uint16, errno int32, request []byte, attributes ...attribute) syscall.NetlinkMessage {
	data := binary.NativeEndian.AppendUint32(nil, uint32(-errno))
	data = append(data, request...)
	for _, a := range attributes {
		data = binary.NativeEndian.AppendUint16(data, uint16(unix.SizeofRtAttr+len(a.value)))
		data = binary.NativeEndian.AppendUint16(data, a.kind)
		data = append(append(data, a.value...), make([]byte, align(len(a.value))-len(a.value))...)
	}
	return syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.NLMSG_ERROR, Flags: flags}, Data: data}
}

// The error contains the kernel's explanation, wherever that is in the message; a
// malformed one does no harm.
func TestRefusals(t *testing.T) {
	request, err := new(conn).message(unix.RTM_NEWLINK, 0, ifinfo(1, 0, 0), []attribute{text(unix.IFLA_IFNAME, "x")})
	if err != nil {
		t.Fatal(err)
	}
	request = append(request, make([]byte, align(len(request))-len(request))...)
	const explained = unix.NLM_F_ACK_TLVS
	place, why := number(2, 20), text(1, "no such device")
	for want, m := range map[string]syscall.NetlinkMessage{
		"<nil>":                     answer(0, 0, request),
		"no such device or address": answer(0, int32(unix.ENXIO), request),
		"no such device or address: no such device": answer(explained, int32(unix.ENXIO), request, place, why),
		"file exists: no such device":               answer(explained|unix.NLM_F_CAPPED, int32(unix.EEXIST), request[:unix.SizeofNlMsghdr], why),
		"invalid argument":                          answer(explained, int32(unix.EINVAL), request, place),
		"file exists":                               answer(explained, int32(unix.EEXIST), request[:10], why),
	} {
		err := refusal(m)
		if fmt.Sprint(err) != want {
			t.Errorf("%v, not %s", err, want)
		}
		for n := 4; n < len(m.Data); n++ { // cut anywhere
			_ = refusal(syscall.NetlinkMessage{Header: m.Header, Data: m.Data[:n]})
		}
	}
}

// A real kernel explains itself, and its errors are still its errnos.
func TestTheKernelExplains(t *testing.T) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	c, err := newConn(fd)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.do(unix.RTM_GETLINK, 0, ifinfo(0, 0, 0), text(unix.IFLA_IFNAME, strings.Repeat("x", 40)))
	if !errors.Is(err, unix.ERANGE) && !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), ": ") {
		t.Error(err)
	}
	if links, err := c.links(); err != nil || !links[1] {
		t.Errorf("%v, %v", links, err)
	}
}
