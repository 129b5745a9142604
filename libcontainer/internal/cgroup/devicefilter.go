package cgroup

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	devices "github.com/opencontainers/cgroups/devices/config"
	"golang.org/x/sys/unix"
)

// On cgroup v2 an eBPF program decides about every open and every mknod of a device:
// kernel, Documentation/admin-guide/cgroup-v2.rst, "Device controller".

// instruction is struct bpf_insn of linux/bpf.h.
type instruction struct {
	code      uint8
	registers uint8 // low half: destination; high half: source
	offset    int16
	immediate int32
}

// The kernel passes this to the program in r1: struct bpf_cgroup_dev_ctx.
const (
	ctxAccess = 0 // access << 16 | type
	ctxMajor  = 4
	ctxMinor  = 8
)

// The sizes of numbers in the kernel's dev_t.
const majorBits, minorBits = 12, 20

// deviceKinds are the types of devices in the program's terms.
var deviceKinds = map[devices.Type]int32{devices.BlockDevice: unix.BPF_DEVCG_DEV_BLOCK, devices.CharDevice: unix.BPF_DEVCG_DEV_CHAR}

// The registers of the program.
const (
	verdict = iota // r0
	input
	kind      // r2: block or character device
	undecided // r3: the kinds of access that no rule has decided yet
	major
	minor
	both // r6: as in a dev_t
)

// accesses are the bits of a rule's permissions in the program's terms.
func accesses(p devices.Permissions) (bits int32) {
	for _, c := range string(p) {
		switch c {
		case 'm':
			bits |= unix.BPF_DEVCG_ACC_MKNOD
		case 'r':
			bits |= unix.BPF_DEVCG_ACC_READ
		case 'w':
			bits |= unix.BPF_DEVCG_ACC_WRITE
		}
	}
	return bits
}

const allAccesses = unix.BPF_DEVCG_ACC_MKNOD | unix.BPF_DEVCG_ACC_READ | unix.BPF_DEVCG_ACC_WRITE

// maxFilter keeps all jumps within a filter, whose ends are four instructions more.
const maxFilter = math.MaxInt16 - 4

// effective are the rules that can still matter, and the default if none of them matches:
// a rule for all devices overrides those before it.
func effective(rules []*devices.Rule) (rest []*devices.Rule, allow bool) {
	for i := len(rules) - 1; i >= 0; i-- {
		r := rules[i]
		if r.Type == devices.WildcardDevice && r.Major == devices.Wildcard && r.Minor == devices.Wildcard && accesses(r.Permissions) == allAccesses {
			return rules[i+1:], r.Allow
		}
	}
	return rules, false
}

// deviceFilter compiles rules. The last matching rule decides, separately for each kind of
// access, so the program checks them from the last to the first.
//
// The kernel follows all ways through a filter when it loads it, which takes longer than
// anything else that rt does with cgroup v2. So most rules are a single comparison: rules
// for the same type of devices share the comparison of the type, both numbers are compared
// at once, and a rule for all accesses needs no arithmetic.
func deviceFilter(rules []*devices.Rule) ([]instruction, error) {
	rules, otherwise := effective(rules)
	p := []instruction{
		load(kind, ctxAccess),
		move32(undecided, kind),
		alu(unix.BPF_RSH, undecided, 16),
		alu(unix.BPF_AND, kind, math.MaxUint16),
		load(major, ctxMajor),
		load(minor, ctxMinor),
		move32(both, major),
		alu(unix.BPF_LSH, both, minorBits),
		{code: unix.BPF_ALU | unix.BPF_OR | unix.BPF_X, registers: minor<<4 | both},
	}
	var toAllow, toRefuse, toNextType []int // jumps whose target is not known yet
	kindIs := devices.WildcardDevice
	for _, r := range slices.Backward(rules) {
		if r.Type != kindIs {
			bind(p, toNextType)
			toNextType, kindIs = nil, r.Type
			switch r.Type {
			case devices.BlockDevice, devices.CharDevice:
				toNextType = []int{len(p)}
				p = append(p, jump(unix.BPF_JNE, kind, deviceKinds[r.Type]))
			case devices.WildcardDevice:
			default:
				return nil, fmt.Errorf("a rule cannot have the device type %q", string(r.Type))
			}
		}
		if err := checkNumbers(r); err != nil {
			return nil, err
		}
		register, value, possible := compared(r)
		if !possible {
			continue
		}
		decided := &toRefuse
		if r.Allow {
			decided = &toAllow
		}
		bits := accesses(r.Permissions)
		if bits == allAccesses && register != 0 {
			*decided = append(*decided, len(p))
			p = append(p, jump(unix.BPF_JEQ, register, value))
			continue
		}
		var toNext []int
		if register != 0 {
			toNext = []int{len(p)}
			p = append(p, jump(unix.BPF_JNE, register, value))
		}
		if r.Allow {
			p = append(p, alu(unix.BPF_AND, undecided, ^bits))
		}
		*decided = append(*decided, len(p))
		if r.Allow {
			p = append(p, jump(unix.BPF_JEQ, undecided, 0))
		} else {
			p = append(p, jump(unix.BPF_JSET, undecided, bits))
		}
		bind(p, toNext)
	}
	bind(p, toNextType)
	// The default decides about the remaining accesses. The kernel refuses a program with
	// unreachable instructions.
	result, other, jumps := int32(0), toAllow, toRefuse
	if otherwise {
		result, other, jumps = 1, toRefuse, toAllow
	}
	// Jumps have 16 bits: a longer one would wrap around.
	if len(p) > maxFilter {
		return nil, fmt.Errorf("%d rules need a filter of more than %d instructions; merge rules, such as those of one major number", len(rules), maxFilter)
	}
	bind(p, jumps)
	p = append(p, finish(result)...)
	if len(other) > 0 {
		bind(p, other)
		p = append(p, finish(1-result)...)
	}
	return p, nil
}

func load(to uint8, offset int16) instruction {
	return instruction{code: unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, registers: input<<4 | to, offset: offset}
}

// alu is 32-bit arithmetic with a constant.
func alu(operation, register uint8, value int32) instruction {
	return instruction{code: unix.BPF_ALU | operation | unix.BPF_K, registers: register, immediate: value}
}

func move32(to, from uint8) instruction {
	return instruction{code: unix.BPF_ALU | unix.BPF_MOV | unix.BPF_X, registers: from<<4 | to}
}

// jump compares 32 bits.
func jump(condition, register uint8, value int32) instruction {
	return instruction{code: unix.BPF_JMP32 | condition | unix.BPF_K, registers: register, immediate: value}
}

func finish(result int32) []instruction {
	return []instruction{
		{code: unix.BPF_ALU | unix.BPF_MOV | unix.BPF_K, registers: verdict, immediate: result},
		{code: unix.BPF_JMP | unix.BPF_EXIT},
	}
}

// compared is the register that a rule compares, and with what: 0 if it is for all numbers.
// It is not possible that a device has a number with more bits than the kernel's.
func compared(r *devices.Rule) (register uint8, value int32, possible bool) {
	is := func(n int64) bool { return n != devices.Wildcard }
	switch {
	case is(r.Major) && r.Major>>majorBits != 0, is(r.Minor) && r.Minor>>minorBits != 0:
		return 0, 0, false
	case is(r.Major) && is(r.Minor):
		return both, int32(uint32(r.Major<<minorBits | r.Minor)), true
	case is(r.Major):
		return major, int32(r.Major), true
	case is(r.Minor):
		return minor, int32(r.Minor), true
	}
	return 0, 0, true
}

// checkNumbers refuses numbers that no rule can have.
func checkNumbers(r *devices.Rule) error {
	for _, n := range []int64{r.Major, r.Minor} {
		if n != devices.Wildcard && (n < 0 || n > math.MaxUint32) {
			return fmt.Errorf("%d is no device number", n)
		}
	}
	return nil
}

// bind makes jumps go to the next instruction that is appended.
func bind(p []instruction, jumps []int) {
	for _, j := range jumps {
		p[j].offset = int16(len(p) - j - 1)
	}
}

// restrictV2 replaces the device rules of a cgroup.
func restrictV2(dir string, rules []*devices.Rule) error {
	program, err := deviceFilter(rules)
	if err != nil {
		return err
	}
	cgroup, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(cgroup)
	old, err := attachedFilters(cgroup)
	defer func() {
		for _, fd := range old {
			unix.Close(fd)
		}
	}()
	if err != nil {
		return err
	}
	filter, err := loadFilter(program)
	if errors.Is(err, unix.E2BIG) {
		return fmt.Errorf("the kernel finds a filter of %d rules too complex to check; merge rules, such as those of one major number", len(rules))
	}
	if err != nil {
		return err
	}
	defer unix.Close(filter)
	attr := attachAttr{target: uint32(cgroup), program: uint32(filter), kind: unix.BPF_CGROUP_DEVICE, flags: unix.BPF_F_ALLOW_MULTI}
	if len(old) == 1 {
		attr.flags |= unix.BPF_F_REPLACE
		attr.replaced = uint32(old[0])
	}
	if _, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return fmt.Errorf("attach the device filter: %w", err)
	}
	if len(old) == 1 {
		return nil
	}
	for _, fd := range old {
		attr := attachAttr{target: uint32(cgroup), program: uint32(fd), kind: unix.BPF_CGROUP_DEVICE}
		if _, err := bpf(unix.BPF_PROG_DETACH, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
			return fmt.Errorf("detach a former device filter: %w", err)
		}
	}
	return nil
}

// attachAttr is the part of union bpf_attr for BPF_PROG_ATTACH and _DETACH.
type attachAttr struct{ target, program, kind, flags, replaced uint32 }

func loadFilter(program []instruction) (int, error) {
	license := [...]byte{'A', 'p', 'a', 'c', 'h', 'e', 0} // it calls no function that would require another one
	log := make([]byte, 0)
	for {
		attr := struct {
			kind, count           uint32
			instructions, license unsafe.Pointer
			logLevel, logSize     uint32
			log                   unsafe.Pointer
			_, flags              uint32
			name                  [unix.BPF_OBJ_NAME_LEN]byte
			_, attachKind         uint32
		}{
			kind: unix.BPF_PROG_TYPE_CGROUP_DEVICE, count: uint32(len(program)),
			instructions: unsafe.Pointer(&program[0]), license: unsafe.Pointer(&license), attachKind: unix.BPF_CGROUP_DEVICE,
		}
		copy(attr.name[:], "rt_devices")
		if len(log) > 0 {
			attr.logLevel, attr.logSize, attr.log = 1, uint32(len(log)), unsafe.Pointer(&log[0])
		}
		fd, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		switch {
		case err == nil:
			return fd, nil
		case len(log) == 0 && (err == unix.EINVAL || err == unix.EACCES):
			log = make([]byte, 1<<16) // the verifier's objection to the program
		default:
			text := strings.TrimSpace(unix.ByteSliceToString(log))
			return -1, fmt.Errorf("load the device filter: %w %s", err, text)
		}
	}
}

// attachedFilters opens the filters of a cgroup.
func attachedFilters(cgroup int) ([]int, error) {
	const most = 64 // BPF_CGROUP_MAX_PROGS of the kernel
	var ids [most]uint32
	// Since Linux 6.17 the kernel writes to the revision, whatever size of this structure
	// it is told.
	attr := struct {
		target, kind, flags, attachFlags uint32
		ids                              unsafe.Pointer
		count                            uint32
		programFlags, links, linkFlags   unsafe.Pointer
		revision                         uint64
	}{target: uint32(cgroup), kind: unix.BPF_CGROUP_DEVICE, ids: unsafe.Pointer(&ids), count: most}
	if _, err := bpf(unix.BPF_PROG_QUERY, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		return nil, fmt.Errorf("look for device filters: %w", err)
	}
	var fds []int
	for _, id := range ids[:attr.count] {
		attr := struct{ id, next, flags uint32 }{id: id}
		fd, err := bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		switch {
		case err == nil:
			fds = append(fds, fd)
		case err == unix.EPERM || err == unix.EACCES || err == unix.ENOENT:
			// It belongs to somebody else, or is gone. All filters must agree: one that
			// stays can only forbid more.
		default:
			return fds, fmt.Errorf("open a device filter: %w", err)
		}
	}
	return fds, nil
}

// bpf is bpf(2).
func bpf(command int, attr unsafe.Pointer, size uintptr) (int, error) {
	for {
		n, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attr), size)
		runtime.KeepAlive(attr)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR, unix.EAGAIN: // the verifier was interrupted
		default:
			return -1, errno
		}
	}
}
