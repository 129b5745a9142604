// Package seccomp compiles the seccomp profile of an OCI configuration
// (config-linux.md, "Seccomp") to a classic BPF program for seccomp(2). It is
// pure: it looks at nothing but the profile and at tables that were generated
// from golang.org/x/sys/unix, and never touches the system.
//
// The decisions are those of runc, that is of libseccomp as runc calls it,
// with a few exceptions named below. tests/seccomp compares them.
//
// # Which rule decides
//
// For one system call of one architecture:
//
//  1. Rules whose action equals the default action, error number included, are
//     ignored.
//  2. If rules without conditions remain, the first of them decides, wherever
//     it stands: conditions of other rules do not matter. A condition that
//     compares nothing (SCMP_CMP_MASKED_EQ with mask 0) is none.
//  3. Otherwise the first rule whose conditions hold decides. (libseccomp
//     merges rules into one tree of comparisons. With several rules of several
//     conditions it misses some that hold, and it refuses profiles whose rules
//     contradict each other.)
//  4. Otherwise the default action.
//
// The conditions of one rule must all hold, unless two of them name the same
// argument: then one is enough. runc calls that the old behaviour and keeps
// it, as profiles in use rely on it.
//
// Conditions compare 64 bits on 64-bit architectures. On 32-bit ones and on
// x32 they compare the lower 32 bits of the argument with the lower 32 bits of
// the value.
//
// # System calls that the profile does not know
//
// Names that no architecture of this machine has are skipped (Filter.Unknown).
// Numbers that a profile cannot have known get the error ENOSYS, so that a C
// library falls back to older calls: these are, in each architecture, the
// numbers above the largest one that any rule names, rules with the default
// action included. This holds if the default action is one of KILL, TRAP and
// ERRNO; ALLOW, LOG and TRACE decide for themselves. An architecture of which
// the profile names no call, or none but number 0, is left to the default
// action. Holes below the largest number are, too. A call that can be made
// through socketcall(2) or ipc(2), see below, names these as well.
//
// On s390x the kernel reports number 0, setup(2), for every number that it
// does not know; it gets ENOSYS as well. The private numbers of 32-bit ARM
// (cacheflush, set_tls, from 0x0f0000 on) do not count as the largest.
//
// # Architectures
//
// The machine's own architecture is always covered. Those in the profile that
// this machine's kernel does not have are left out. A call through an
// architecture that is not covered kills the thread (SECCOMP_RET_KILL_THREAD,
// the action of libseccomp). x32 has the audit value of x86_64 and numbers
// from 0x40000000 on: without SCMP_ARCH_X32 in the profile these kill, except
// for number -1, with which a tracer skips a call: it gets the default action.
//
// # socketcall(2) and ipc(2)
//
// 32-bit x86, s390x, ppc and mips can make the calls of sockets and of System
// V IPC through one number, with the call's own number in the first argument.
// A rule for socket(2) holds there for socketcall(SYS_SOCKET) too. The call's
// arguments lie in memory that a filter cannot read: conditions on them are
// ignored, so that the rule decides for all of them, and Filter.Warnings says
// so. (libseccomp drops a condition on the first argument. It applies those on
// others to the arguments of socketcall, where they mean nothing.)
//
// The kernel takes the upper 16 bits of ipc's first argument for a version.
// rt ignores them; libseccomp compares them too, so that with it a forbidden
// shmget(2) can be made as ipc(0x10017).
package seccomp
