package main

// The Go runtime starts threads before any code of ours runs, and ends rt with a trace
// when the user may have no more of them. So the kernel starts rt at a few instructions
// in entry_*.s (the Makefile gives the linker their name; without it rt works the same,
// but for this). They make as many threads as rt needs, and name the limit if the
// kernel refuses one. Then those end and the Go runtime begins.
//
// They do so only where RLIMIT_NPROC may matter. It counts the user's tasks, which are
// no more than those of the whole machine, and their number costs nothing. For whom the
// limit holds, which it does not for root, only the kernel knows.

//lint:file-ignore U1000 only the instructions use these
var (
	// fewestTasks are what rt has at most at once: the threads of the Go runtime, and the
	// container's first process. It has been seen to need five beside its first thread.
	fewestTasks uint64 = 8
	// releasedTasks is 1 when the threads are to end.
	releasedTasks uint32
	tooManyTasks  = "rt: RLIMIT_NPROC: the caller's user has as many processes and threads as the limit allows, or nearly, and rt needs 8 more: end some, or raise it (ulimit -u)\n"
)
