package start

const (
	sysOpenat     = 56
	sysClose      = 57
	sysRead       = 63
	sysMadvise    = 233
	sysGetdents64 = 61
	sysWrite      = 64
)

// oDirectory differs between architectures.
const oDirectory = 0x4000
