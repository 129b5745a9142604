package start

const (
	sysRead       = 0
	sysClose      = 3
	sysMadvise    = 28
	sysOpenat     = 257
	sysGetdents64 = 217
	sysWrite      = 1
)

// oDirectory differs between architectures.
const oDirectory = 0x10000
