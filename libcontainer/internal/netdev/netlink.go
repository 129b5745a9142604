package netdev

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// conn is a socket of rtnetlink(7) in some network namespace.
type conn struct {
	fd  int
	seq uint32
}

// newConn takes over a socket, and enables explanations of errors (Linux 4.12).
func newConn(fd int) (*conn, error) {
	err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	return &conn{fd: fd}, os.NewSyscallError("setsockopt(NETLINK_EXT_ACK)", err)
}

// attribute is one struct rtattr.
type attribute struct {
	kind  uint16
	value []byte
}

func text(kind uint16, s string) attribute { return attribute{kind, append([]byte(s), 0)} }

func number(kind uint16, n uint32) attribute {
	return attribute{kind, binary.NativeEndian.AppendUint32(nil, n)}
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// maxAttribute is how many bytes an attribute may have: its length is a 16-bit number. If
// it overflowed, the kernel would read the rest as further attributes (CVE-2021-43784).
const maxAttribute = math.MaxUint16 - unix.SizeofRtAttr

// message encodes a request: struct nlmsghdr, the payload, the attributes.
func (c *conn) message(kind, flags uint16, payload []byte, attributes []attribute) ([]byte, error) {
	c.seq++
	b := make([]byte, unix.SizeofNlMsghdr)
	b = append(b, payload...)
	for _, a := range attributes {
		if len(a.value) > maxAttribute && !defence.Off(defence.NetlinkLengths) {
			return nil, fmt.Errorf("a value of %d bytes: an attribute of netlink has at most %d", len(a.value), maxAttribute)
		}
		b = append(b, make([]byte, align(len(b))-len(b))...)
		b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(a.value)))
		b = binary.NativeEndian.AppendUint16(b, a.kind)
		b = append(b, a.value...)
	}
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(b[8:], c.seq)
	return b, nil
}

// dumps is how often rt asks for a list that changes while the kernel makes it.
const dumps = 10

// do sends a request and collects the answers until the kernel has confirmed
// it. The error is the kernel's errno, with its explanation.
func (c *conn) do(kind, flags uint16, payload []byte, attributes ...attribute) ([]syscall.NetlinkMessage, error) {
	for range dumps {
		answers, err := c.ask(kind, flags, payload, attributes)
		if err != errInterrupted {
			return answers, err
		}
	}
	return nil, errInterrupted
}

// errInterrupted: the list may lack something, or have it twice (NLM_F_DUMP_INTR).
var errInterrupted = errors.New("the kernel's list changed each time while it was read")

func (c *conn) ask(kind, flags uint16, payload []byte, attributes []attribute) ([]syscall.NetlinkMessage, error) {
	msg, err := c.message(kind, flags, payload, attributes)
	if err != nil {
		return nil, err
	}
	if err := unix.Sendto(c.fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	var answers []syscall.NetlinkMessage
	interrupted := false
	buf := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(c.fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		list, err := syscall.ParseNetlinkMessage(append([]byte(nil), buf[:n]...))
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if m.Header.Seq != c.seq {
				continue
			}
			interrupted = interrupted || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0
			switch {
			case m.Header.Type == unix.NLMSG_ERROR:
				return answers, refusal(m)
			case m.Header.Type != unix.NLMSG_DONE:
				answers = append(answers, m)
			case interrupted:
				return nil, errInterrupted
			default:
				return answers, nil
			}
		}
	}
}

// refusal is the error of a struct nlmsgerr, nil if the request succeeded. After it comes
// the request, or its header, and then attributes: NLMSGERR_ATTR_MSG of linux/netlink.h
// explains the error.
func refusal(m syscall.NetlinkMessage) error {
	const nlmsgerrAttrMsg = 1
	errno := -int32(binary.NativeEndian.Uint32(m.Data))
	if errno == 0 {
		return nil
	}
	rest := m.Data[4:]
	request := unix.SizeofNlMsghdr
	if m.Header.Flags&unix.NLM_F_CAPPED == 0 && len(rest) >= request {
		request = align(int(binary.NativeEndian.Uint32(rest)))
	}
	if m.Header.Flags&unix.NLM_F_ACK_TLVS == 0 || request < 0 || len(rest) < request {
		return unix.Errno(errno)
	}
	for rest = rest[request:]; len(rest) >= unix.SizeofRtAttr; {
		n := int(binary.NativeEndian.Uint16(rest))
		if n < unix.SizeofRtAttr || n > len(rest) {
			break
		}
		if binary.NativeEndian.Uint16(rest[2:]) == nlmsgerrAttrMsg {
			return fmt.Errorf("%w: %s", unix.Errno(errno), bytes.TrimRight(rest[unix.SizeofRtAttr:n], "\x00"))
		}
		rest = rest[min(align(n), len(rest)):]
	}
	return unix.Errno(errno)
}

// ifinfo is struct ifinfomsg.
func ifinfo(index int32, flags, change uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], change)
	return b
}

func (c *conn) link(name string) (int32, error) {
	answers, err := c.do(unix.RTM_GETLINK, 0, ifinfo(0, 0, 0), text(unix.IFLA_IFNAME, name))
	if err != nil {
		return 0, err
	}
	if len(answers) == 0 || len(answers[0].Data) < unix.SizeofIfInfomsg {
		return 0, unix.ENODEV
	}
	return int32(binary.NativeEndian.Uint32(answers[0].Data[4:])), nil
}

// links lists the indexes of all links.
func (c *conn) links() (map[int32]bool, error) {
	answers, err := c.do(unix.RTM_GETLINK, unix.NLM_F_DUMP, ifinfo(0, 0, 0))
	indexes := map[int32]bool{}
	for _, m := range answers {
		if m.Header.Type == unix.RTM_NEWLINK && len(m.Data) >= unix.SizeofIfInfomsg {
			indexes[int32(binary.NativeEndian.Uint32(m.Data[4:]))] = true
		}
	}
	return indexes, err
}

// address is an address of a link as the kernel describes it.
type address struct {
	header     []byte // struct ifaddrmsg
	attributes []attribute
}

// kept are the attributes of an address that move with it: the label follows the link's
// name, and the cache information is the kernel's.
var kept = map[uint16]bool{
	unix.IFA_ADDRESS: true, unix.IFA_LOCAL: true, unix.IFA_BROADCAST: true, unix.IFA_FLAGS: true, unix.IFA_RT_PRIORITY: true,
}

// addresses lists the permanent addresses of global scope of a link.
func (c *conn) addresses(index int32) ([]address, error) {
	answers, err := c.do(unix.RTM_GETADDR, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfAddrmsg))
	if err != nil {
		return nil, err
	}
	var list []address
	for _, m := range answers {
		if m.Header.Type != unix.RTM_NEWADDR || len(m.Data) < unix.SizeofIfAddrmsg {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, err
		}
		a := address{header: append([]byte(nil), m.Data[:unix.SizeofIfAddrmsg]...)}
		flags := uint32(a.header[2])
		for _, attr := range attributes {
			if attr.Attr.Type == unix.IFA_FLAGS {
				flags = binary.NativeEndian.Uint32(attr.Value)
			}
			if kept[attr.Attr.Type] {
				a.attributes = append(a.attributes, attribute{attr.Attr.Type, attr.Value})
			}
		}
		mine := int32(binary.NativeEndian.Uint32(a.header[4:])) == index
		if mine && flags&unix.IFA_F_PERMANENT != 0 && a.header[3] == unix.RT_SCOPE_UNIVERSE {
			list = append(list, a)
		}
	}
	return list, nil
}

// add adds an address to a link. It is no error if the link already has it.
func (c *conn) add(index int32, a address) error {
	binary.NativeEndian.PutUint32(a.header[4:], uint32(index))
	_, err := c.do(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, a.header, a.attributes...)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}
