package compile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// Request is what a program asks of its parent. It is two 64-bit words, a code and an argument; a descriptor may
// come with it. The parent answers with one byte, or the program ends.
type Request interface {
	encode() (code, argument uint64)
}

// The requests.
type (
	// RequestMaps asks for the uid and gid maps.
	RequestMaps struct{}
	// RequestChild says that the process Pid continues as the container; the asking one
	// ends.
	RequestChild struct{ Pid int }
	// RequestTerminal brings the master of the container's terminal.
	RequestTerminal struct{}
	// RequestReady says that the container is created.
	RequestReady struct{}
	// RequestCgroup asks to be moved to the container's cgroup.
	RequestCgroup struct{}
	// RequestPath brings the container's root directory and asks to make the path of
	// that Index in Plan.Paths there. The answer brings the path, opened.
	RequestPath struct{ Index uint64 }
	// RequestHooks asks to run the prestart and createRuntime hooks, and to write
	// the state that the createContainer hooks read.
	RequestHooks struct{}
	// RequestHook brings the pidfd of a hook that the program has started: number Index in
	// the list of the phase. Its time begins.
	RequestHook struct {
		Phase Phase
		Index int
	}
	// RequestHookDone says that the hook has ended.
	RequestHookDone struct{ Status unix.WaitStatus }
	// RequestCopyFrom brings a directory of the container, and RequestCopyTo the
	// file system that its content is to be copied to.
	RequestCopyFrom struct{}
	RequestCopyTo   struct{}
	// RequestNetDevices brings a socket of netlink(7) in the container's network
	// namespace and asks to move linux.netDevices there.
	RequestNetDevices struct{}
	// RequestListener says that the program's descriptor FD is the listener of a seccomp
	// filter, for the agent.
	RequestListener struct{ FD int }
	// RequestSource asks for an O_PATH descriptor of number Index in Plan.Sources, which
	// the answer brings. The program copies the tree itself, in its own mount namespace:
	// only there does the kernel lock the restrictions of the host's mounts, if a user
	// namespace is entered with it (mount_namespaces(7)).
	RequestSource struct{ Index uint64 }
	// RequestMapIDs brings a detached mount tree, whose ids are to be mapped as number
	// Index in Plan.Sources says.
	RequestMapIDs struct{ Index uint64 }
	// RequestCopied is the result of a CopyCommand: a system call's.
	RequestCopied struct{ Result int64 }
	// RequestFailure reports a failed call: the address of its record, the errno, and the
	// kernel's message, if there is one.
	RequestFailure struct {
		Record uint64
		Errno  unix.Errno
		Log    []byte
	}
)

func (RequestMaps) encode() (code, argument uint64)     { return 1, 0 }
func (r RequestChild) encode() (code, argument uint64)  { return 2, uint64(r.Pid) }
func (RequestTerminal) encode() (code, argument uint64) { return 3, 0 }
func (RequestReady) encode() (code, argument uint64)    { return 4, 0 }
func (RequestCgroup) encode() (code, argument uint64)   { return 5, 0 }
func (r RequestPath) encode() (code, argument uint64)   { return 6, r.Index }
func (RequestHooks) encode() (code, argument uint64)    { return 7, 0 }
func (r RequestHook) encode() (code, argument uint64) {
	return 8, uint64(r.Phase)<<32 | uint64(r.Index)
}
func (r RequestHookDone) encode() (code, argument uint64) { return 9, uint64(r.Status) }
func (RequestCopyFrom) encode() (code, argument uint64)   { return 10, 0 }
func (RequestCopyTo) encode() (code, argument uint64)     { return 11, 0 }
func (RequestNetDevices) encode() (code, argument uint64) { return 12, 0 }
func (r RequestListener) encode() (code, argument uint64) { return 13, uint64(r.FD) }
func (r RequestSource) encode() (code, argument uint64)   { return 14, r.Index }
func (r RequestMapIDs) encode() (code, argument uint64)   { return 15, r.Index }
func (r RequestCopied) encode() (code, argument uint64)   { return 16, uint64(r.Result) }
func (r RequestFailure) encode() (code, argument uint64)  { return failureCode, r.Record }

// The byte of the answer to a RequestSource: SourceMade if it brings a mount tree, which
// must not be copied again; SourceOpened if it brings a path.
const SourceOpened, SourceMade = 1, 2

// decoders make requests from their arguments, by code.
var decoders = [...]func(argument uint64) Request{
	1:  func(uint64) Request { return RequestMaps{} },
	2:  func(a uint64) Request { return RequestChild{int(a)} },
	3:  func(uint64) Request { return RequestTerminal{} },
	4:  func(uint64) Request { return RequestReady{} },
	5:  func(uint64) Request { return RequestCgroup{} },
	6:  func(a uint64) Request { return RequestPath{a} },
	7:  func(uint64) Request { return RequestHooks{} },
	8:  func(a uint64) Request { return RequestHook{Phase(a >> 32), int(uint32(a))} },
	9:  func(a uint64) Request { return RequestHookDone{unix.WaitStatus(a)} },
	10: func(uint64) Request { return RequestCopyFrom{} },
	11: func(uint64) Request { return RequestCopyTo{} },
	12: func(uint64) Request { return RequestNetDevices{} },
	13: func(a uint64) Request { return RequestListener{int(a)} },
	14: func(a uint64) Request { return RequestSource{a} },
	15: func(a uint64) Request { return RequestMapIDs{a} },
	16: func(a uint64) Request { return RequestCopied{int64(a)} },
}

// A message as it is sent: a code and an argument, which may be stored there only while
// the program runs. In messages about failures, the errno and the kernel's message follow.
const (
	requestSize = 16
	argumentAt  = 8
	failureCode = 255
	errnoAt     = 16
	logAt       = 24
	logSize     = 232
	failureSize = logAt + logSize
)

// Decode reads a program's message. It does not trust the program.
func Decode(message []byte) (Request, error) {
	if len(message) < requestSize || len(message)%8 != 0 {
		return nil, errors.New("malformed message from the init program")
	}
	code, argument := binary.LittleEndian.Uint64(message), binary.LittleEndian.Uint64(message[argumentAt:])
	if code == failureCode && len(message) >= logAt {
		errno := unix.Errno(binary.LittleEndian.Uint64(message[errnoAt:]))
		return RequestFailure{argument, errno, message[logAt:]}, nil
	}
	if code < uint64(len(decoders)) && decoders[code] != nil {
		return decoders[code](argument), nil
	}
	return nil, fmt.Errorf("unknown request %d from the init program", code)
}

// Words are the kernel's message about a failure: fsopen(2) puts a letter for its kind
// before it and a newline after it.
func (r RequestFailure) Words() string {
	s, _, _ := bytes.Cut(r.Log, []byte{0})
	if s = bytes.TrimSpace(s); len(s) > 2 && s[1] == ' ' {
		s = s[2:]
	}
	return string(s)
}

// message is a request in the program's data.
func (c *compiler) message(what string, r Request) program.Arg {
	return program.At(c.Struct(what, fields(r)...))
}

// openMessage is a message whose argument the program stores there.
func (c *compiler) openMessage(what string, r Request) (message program.Arg, argument program.Ref) {
	ref := c.WritableStruct(what, fields(r)...)
	return program.At(ref), ref.Plus(argumentAt)
}

func fields(r Request) []program.Field {
	code, argument := r.encode()
	return []program.Field{program.U64(code), program.U64(argument)}
}

// request sends a request and waits until the parent has served it.
func (c *compiler) request(r Request, what string) { c.ask(c.message(what, r), what) }

func (c *compiler) ask(msg program.Arg, what string) {
	c.plan.Asks = true
	r := c.Reg()
	c.tell(msg, what)
	c.await(r)
	c.Free(r)
}

// fetch asks for a descriptor, which the answer brings: SCM_RIGHTS, unix(7).
func (c *compiler) fetch(dst program.Reg, r Request, what string) {
	c.plan.Asks = true
	c.tell(c.message(what, r), what)
	c.takeFile(dst)
}

// sendFile sends a request together with a descriptor, by SCM_RIGHTS (unix(7)),
// and waits until the parent has served it.
func (c *compiler) sendFile(fd program.Reg, r Request, purpose string) {
	c.sendOnly(fd, r, purpose)
	answer := c.Reg()
	c.await(answer)
	c.Free(answer)
}

// exchangeFile sends a request with a descriptor and gets another one for it.
func (c *compiler) exchangeFile(dst, fd program.Reg, r Request, purpose string) {
	c.sendOnly(fd, r, purpose)
	c.takeFile(dst)
}

func (c *compiler) sendOnly(fd program.Reg, r Request, purpose string) {
	m := c.msghdr(c.message("request", r).Ref(), requestSize, 1)
	c.Store(fd, 4, m.files)
	c.Do(program.Sendmsg, program.R(c.conv), program.At(m.header), program.Imm(0)).For(purpose)
	_, path := r.(RequestPath)
	c.plan.Asks = c.plan.Asks || !path
}

func (c *compiler) tell(msg program.Arg, what string) {
	c.Do(program.Write, program.R(c.conv), msg, program.Imm(requestSize)).For("tell the parent: " + what)
}

// takeFile waits for an answer that brings a descriptor.
func (c *compiler) takeFile(dst program.Reg) {
	n := c.Reg()
	message := c.msghdr(c.reply, 8, 1)
	c.Do(program.Recvmsg, program.R(c.conv), program.At(message.header), program.Imm(unix.MSG_CMSG_CLOEXEC)).To(n).For("take the descriptor")
	c.orphaned(n)
	c.Load(dst, 4, message.files)
	c.Free(n)
}

// msghdr is a struct msghdr with room for descriptors.
type msghdr struct {
	header, files program.Ref
	// controlSize is the value of msg_controllen.
	controlSize int
}

// msghdr makes one for data of the program. It can be used once: recvmsg(2) changes it.
// Without a descriptor its place holds -1.
func (c *compiler) msghdr(data program.Ref, size uint64, files int) msghdr {
	const (
		header = 16 // CMSG_LEN(0)
		none   = ^uint32(0)
	)
	fields := []program.Field{program.U64(uint64(header + 4*files)), program.U32(unix.SOL_SOCKET), program.U32(unix.SCM_RIGHTS)}
	for range (files + 1) / 2 * 2 { // CMSG_SPACE is a multiple of 8
		fields = append(fields, program.U32(none))
	}
	control := c.WritableStruct("control message", fields...)
	iov := c.Struct("iovec", program.Ptr(data), program.U64(size))
	return msghdr{
		c.WritableStruct("msghdr", program.U64(0), program.U64(0), program.Ptr(iov), program.U64(1), program.Ptr(control),
			program.U64(uint64(header+(files+1)/2*8)), program.U64(0)),
		control.Plus(header),
		header + (files+1)/2*8,
	}
}

// await reads the parent's one byte.
func (c *compiler) await(r program.Reg) {
	c.awaitByte(r, program.R(c.conv), "wait for the parent's answer")
}

// awaitByte reads one byte from the parent. If there is none, the parent is gone, and the
// container must end, too.
func (c *compiler) awaitByte(r program.Reg, from program.Arg, purpose string) {
	c.Do(program.Read, from, program.At(c.reply), program.Imm(8)).To(r).For(purpose)
	c.orphaned(r)
	c.Load(r, 1, c.reply)
}

// orphaned ends the program if the parent's answer has no bytes.
func (c *compiler) orphaned(size program.Reg) {
	if c.gone == nil {
		gone := c.NewLabel("parent is gone")
		c.gone = &gone
		c.later("", "the parent is gone", func() {
			c.Bind(gone)
			c.takeOffAdded()
			c.Do(program.ExitGroup, program.Imm(1))
		})
	}
	c.Branch(size, program.Eq, 0, *c.gone)
}

// ready tells the parent that the container is created and waits for start.
func (c *compiler) ready() {
	const what = "the container is ready"
	c.Source("", "the container is created")
	r := c.Reg()
	c.tell(c.message(what, RequestReady{}), what)
	if c.opt.Gate {
		c.await(r)
	} else {
		// The parent works at the same time as the program, and may have finished.
		c.awaitByte(r, c.waitsAt, "wait until the parent is done")
	}
	c.Free(r)
	c.plan.Ready = c.Len()
	if !c.opt.Gate {
		return
	}
	c.Do(program.Close, program.R(c.conv)).For("close the connection to rt create")
	c.Source("", "wait for start")
	conn, n := c.Reg(), c.Reg()
	again := c.Here("accept")
	start := c.NewLabel("start")
	c.Do(program.Accept4, c.waitsAt, program.Imm(0), program.Imm(0), program.Imm(unix.SOCK_CLOEXEC)).To(conn)
	c.Move(c.status, program.R(conn))
	c.Do(program.Read, program.R(conn), program.At(c.reply), program.Imm(8)).To(n).Ignore(unix.ECONNRESET)
	c.Branch(n, program.Eq, 1, start)
	c.Do(program.Close, program.R(conn)).For("somebody only checked whether the container waits")
	c.Jump(again)
	c.Bind(start)
	c.Move(c.conv, program.R(conn)).For("continue with the connection of rt start")
	c.Free(n)
}

// failureHandler reports the failed call on the status descriptor. Failures in here are
// ignored: there is nobody left to report them to.
func (c *compiler) failureHandler() {
	c.Source("", "report the failure")
	c.FailAt(c.Here("failure"))
	c.takeOffAdded()
	code := c.Reg()
	c.Move(code, program.Imm(failureCode))
	c.Store(code, 8, c.failure)
	c.Store(program.FailedAt, 8, c.failure.Plus(argumentAt))
	c.Store(program.FailedWith, 8, c.failure.Plus(errnoAt))
	c.Do(program.Read, program.R(c.fsfd), program.At(c.failure.Plus(logAt)), program.Imm(logSize)).Ignore()
	c.Do(program.Write, program.R(c.status), program.At(c.failure), program.Imm(failureSize)).Ignore()
	c.Do(program.ExitGroup, program.Imm(1))
}

// fail makes the program fail here with ENOENT and this purpose.
func (c *compiler) fail(purpose string) {
	c.Do(program.Openat, program.AtFdcwd, c.Str(""), program.Imm(unix.O_PATH), program.Imm(0)).For(purpose)
}
