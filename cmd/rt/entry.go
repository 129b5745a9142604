package main

// The Go runtime starts threads before any code of ours runs, and exits with a trace if
// the user may have no more of them. So the kernel starts rt at a few instructions in
// entry_*.s (the Makefile passes their name to the linker; without it rt works the same,
// except for this). They make as many threads as rt needs, and name the limit if the
// kernel refuses one. Then these threads end and the Go runtime begins.
//
// They do so only if RLIMIT_NPROC may matter. It counts the user's tasks, which are at
// most those of the whole machine, and their number is cheap to get. Only the kernel knows
// whether the limit applies; it does not apply to root.

//lint:file-ignore U1000 only the instructions use these
var (
	// fewestTasks is how many tasks rt has at most at once: the threads of the Go runtime,
	// and the container's first process. In tests it needed five beside its first thread.
	fewestTasks uint64 = 8
	// releasedTasks is 1 when the threads must end.
	releasedTasks uint32
	tooManyTasks  = "rt: RLIMIT_NPROC: the caller's user has as many processes and threads as the limit allows, or nearly, and rt needs 8 more: end some, or raise it (ulimit -u)\n"
)
