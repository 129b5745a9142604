package seccomp

// The calls that socketcall(2) and ipc(2) multiplex, with their numbers there
// (include/uapi/linux/net.h and ipc.h).
var (
	socketCalls = [...]subcall{
		{"socket", 1}, {"bind", 2}, {"connect", 3}, {"listen", 4}, {"accept", 5},
		{"getsockname", 6}, {"getpeername", 7}, {"socketpair", 8}, {"send", 9},
		{"recv", 10}, {"sendto", 11}, {"recvfrom", 12}, {"shutdown", 13},
		{"setsockopt", 14}, {"getsockopt", 15}, {"sendmsg", 16}, {"recvmsg", 17},
		{"accept4", 18}, {"recvmmsg", 19}, {"sendmmsg", 20},
	}
	ipcCalls = [...]subcall{
		{"semop", 1}, {"semget", 2}, {"semctl", 3}, {"semtimedop", 4},
		{"msgsnd", 11}, {"msgrcv", 12}, {"msgget", 13}, {"msgctl", 14},
		{"shmat", 21}, {"shmdt", 22}, {"shmget", 23}, {"shmctl", 24},
	}
)

type subcall struct {
	name   string
	number uint32
}

// multiplexed finds the call through which a name can also be made, and the
// condition on its first argument. Architectures without that call ignore it.
func multiplexed(name string) (through string, cond condition) {
	for i := range socketCalls {
		if c := &socketCalls[i]; c.name == name {
			return "socketcall", condition{op: opEqual, mask: ^uint64(0), value: uint64(c.number)}
		}
	}
	for i := range ipcCalls {
		if c := &ipcCalls[i]; c.name == name {
			return "ipc", condition{op: opEqual, mask: 0xffff, value: uint64(c.number)}
		}
	}
	return "", condition{}
}
