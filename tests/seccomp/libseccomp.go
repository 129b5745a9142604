// Package seccomp compares the filters of rt with those of libseccomp, made in
// the way that runc makes them.
package seccomp

/*
#cgo LDFLAGS: -lseccomp
#include <seccomp.h>
#include <stdlib.h>
*/
import "C"

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var archTokens = map[specs.Arch]C.uint32_t{
	specs.ArchX86_64: C.SCMP_ARCH_X86_64,
	specs.ArchX86:    C.SCMP_ARCH_X86,
	specs.ArchX32:    C.SCMP_ARCH_X32,
}

var compareOps = map[specs.LinuxSeccompOperator]uint32{
	specs.OpNotEqual:     C.SCMP_CMP_NE,
	specs.OpLessThan:     C.SCMP_CMP_LT,
	specs.OpLessEqual:    C.SCMP_CMP_LE,
	specs.OpEqualTo:      C.SCMP_CMP_EQ,
	specs.OpGreaterEqual: C.SCMP_CMP_GE,
	specs.OpGreaterThan:  C.SCMP_CMP_GT,
	specs.OpMaskedEqual:  C.SCMP_CMP_MASKED_EQ,
}

// action is an action's value. libseccomp's values are the kernel's.
func action(name specs.LinuxSeccompAction, errnoRet *uint) uint32 {
	errno := uint32(unix.EPERM)
	if errnoRet != nil {
		errno = uint32(*errnoRet)
	}
	switch name {
	case specs.ActKillProcess:
		return C.SCMP_ACT_KILL_PROCESS
	case specs.ActTrap:
		return C.SCMP_ACT_TRAP
	case specs.ActErrno:
		return unix.SECCOMP_RET_ERRNO | errno
	case specs.ActTrace:
		return unix.SECCOMP_RET_TRACE | errno
	case specs.ActAllow:
		return C.SCMP_ACT_ALLOW
	case specs.ActLog:
		return C.SCMP_ACT_LOG
	case specs.ActNotify:
		return C.SCMP_ACT_NOTIFY
	}
	return C.SCMP_ACT_KILL_THREAD
}

// resolve is the number of a name in an architecture of libseccomp: negative
// if only others have it, and false if none has it.
func resolve(name string, arch specs.Arch) (int, bool) {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	number := C.seccomp_syscall_resolve_name_arch(archTokens[arch], text)
	return int(number), number != C.__NR_SCMP_ERROR
}

// build makes the filter that runc's calls make, without its own prologue.
func build(p *specs.LinuxSeccomp) ([]unix.SockFilter, error) {
	fallback := action(p.DefaultAction, p.DefaultErrnoRet)
	ctx := C.seccomp_init(C.uint32_t(fallback))
	if ctx == nil {
		return nil, fmt.Errorf("seccomp_init")
	}
	defer C.seccomp_release(ctx)
	for _, arch := range p.Architectures {
		if rc := C.seccomp_arch_add(ctx, archTokens[arch]); rc != 0 && rc != -C.int(unix.EEXIST) {
			return nil, fmt.Errorf("seccomp_arch_add %s: %d", arch, rc)
		}
	}
	calls := 0
	for _, s := range p.Syscalls {
		calls += len(s.Names)
	}
	if calls > 32 {
		// runc, since 1.1: a binary tree.
		C.seccomp_attr_set(ctx, C.SCMP_FLTATR_CTL_OPTIMIZE, 2)
	}
	if err := realCallFirst(ctx); err != nil {
		return nil, err
	}
	for i, s := range p.Syscalls {
		if err := addRules(ctx, &s, fallback); err != nil {
			return nil, fmt.Errorf("syscalls[%d]: %w", i, err)
		}
	}
	return export(ctx)
}

// realCallFirst works around a fault of libseccomp 2.5.4: if an architecture's
// list of calls begins with one that does not exist there, as accept on i386,
// the filter forgets to load the system call's number, and is no measure. With
// a priority getpid comes first, if the profile names it.
func realCallFirst(ctx C.scmp_filter_ctx) error {
	if rc := C.seccomp_syscall_priority(ctx, unix.SYS_GETPID, 255); rc != 0 {
		return fmt.Errorf("seccomp_syscall_priority: %w", unix.Errno(-rc))
	}
	return nil
}

// addRules adds an entry of the profile: two conditions on one argument become
// separate rules.
func addRules(ctx C.scmp_filter_ctx, s *specs.LinuxSyscall, fallback uint32) error {
	act := action(s.Action, s.ErrnoRet)
	if act == fallback {
		return nil
	}
	var conditions []C.struct_scmp_arg_cmp
	for _, arg := range s.Args {
		conditions = append(conditions, C.struct_scmp_arg_cmp{
			arg: C.uint(arg.Index), op: compareOps[arg.Op],
			datum_a: C.scmp_datum_t(arg.Value), datum_b: C.scmp_datum_t(arg.ValueTwo),
		})
	}
	for _, name := range s.Names {
		number, ok := resolve(name, specs.ArchX86_64)
		if !ok {
			continue
		}
		if !repeated(s.Args) {
			if err := addRule(ctx, act, number, conditions); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			continue
		}
		for i := range conditions {
			if err := addRule(ctx, act, number, conditions[i:i+1]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func addRule(ctx C.scmp_filter_ctx, act uint32, number int, conditions []C.struct_scmp_arg_cmp) error {
	rc := C.seccomp_rule_add_array(ctx, C.uint32_t(act), C.int(number),
		C.uint(len(conditions)), unsafe.SliceData(conditions))
	if rc != 0 {
		return fmt.Errorf("seccomp_rule_add_array: %w", unix.Errno(-rc))
	}
	return nil
}

func export(ctx C.scmp_filter_ctx) ([]unix.SockFilter, error) {
	fd, err := unix.MemfdCreate("filter", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "filter")
	defer file.Close()
	if rc := C.seccomp_export_bpf(ctx, C.int(fd)); rc != 0 {
		return nil, fmt.Errorf("seccomp_export_bpf: %w", unix.Errno(-rc))
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	code := make([]unix.SockFilter, len(text)/8)
	for i := range code {
		if _, err := binary.Decode(text[8*i:], binary.NativeEndian, &code[i]); err != nil {
			return nil, err
		}
	}
	return code, nil
}

// repeated says that two conditions compare the same argument.
func repeated(args []specs.LinuxSeccompArg) bool {
	var seen [6]bool
	for _, arg := range args {
		if seen[arg.Index] {
			return true
		}
		seen[arg.Index] = true
	}
	return false
}
