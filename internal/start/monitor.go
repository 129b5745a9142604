package start

import "unsafe"

// slack is how late the monitor may wake, in nanoseconds.
const slack = "500000"

// The Go runtime has a thread that looks after the others: sysmon. It wakes every 20 us as
// long as there is work, which were half of the context switches of a start, and took the
// CPU from others. It finds little to do in a program of some milliseconds. So it gets a
// timer slack (prctl(2), PR_SET_TIMERSLACK): no other thread does, because a new process
// inherits it. The kernel lists threads in the order in which they were made, and the
// monitor is the first after the main thread. Without CAP_SYS_NICE nothing changes.
func init() {
	const tasks, proc, timerslack = "/proc/self/task\x00", "/proc/", "/timerslack_ns\x00"
	dir := syscall(sysOpenat, atFDCWD, text(tasks), oDirectory|oCloexec, 0)
	if int(dir) < 0 {
		return
	}
	var list [512]byte
	n := int(syscall(sysGetdents64, dir, uintptr(unsafe.Pointer(&list)), uintptr(len(list)), 0))
	var path [32]byte
	begin := copy(path[:], proc)
	if length := secondTask(list[:max(n, 0)], path[begin:]); length > 0 {
		copy(path[begin+length:], timerslack)
		file := syscall(sysOpenat, atFDCWD, uintptr(unsafe.Pointer(&path)), oWronly|oCloexec, 0)
		if int(file) >= 0 {
			syscall(sysWrite, file, text(slack), uintptr(len(slack)), 0)
			syscall(sysClose, file, 0, 0, 0)
		}
	}
	syscall(sysClose, dir, 0, 0, 0)
}

func text(s string) uintptr { return uintptr(unsafe.Pointer(unsafe.StringData(s))) }

// secondTask copies the number of the second task in a list of getdents64(2), and returns
// its length.
func secondTask(list, name []byte) int {
	const recordLength, recordName = 16, 19
	tasks := 0
	for len(list) > recordName {
		length := int(list[recordLength]) | int(list[recordLength+1])<<8
		if length <= recordName || length > len(list) {
			return 0
		}
		if entry := list[recordName:length]; entry[0] != '.' {
			if tasks++; tasks == 2 {
				i := 0
				for i < len(entry) && entry[i] != 0 && i < 12 {
					name[i] = entry[i]
					i++
				}
				return i
			}
		}
		list = list[length:]
	}
	return 0
}
