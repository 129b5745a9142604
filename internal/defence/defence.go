// Package defence names the defences of rt that tests/attacks switches off, one
// at a time, to prove that each of its attacks can succeed. Only a build with
// the tag "weakened", which no release has, can switch one off; in every other
// build Off is the constant false.
package defence

// Name is a defence: one safety rule, kept at one place in the code.
type Name string

// The defences. Each comment says what an attacker gains without it.
const (
	// InheritedFiles closes descriptors that the caller of rt leaked, in the
	// program, in hooks and in the keeper (CVE-2024-21626).
	InheritedFiles Name = "inherited-files"
	// OwnFiles closes rt's own descriptors in the program before the image chooses
	// what is executed (CVE-2024-21626).
	OwnFiles Name = "own-files"
	// WorkingDirectory walks process.cwd inside the root and checks, after entering it,
	// that it is there (CVE-2024-21626).
	WorkingDirectory Name = "working-directory"
	// LockedMounts clones mounts inside the container's user namespace, so that the
	// kernel locks their flags.
	LockedMounts Name = "locked-mounts"
	// WaitingCapabilities leaves a waiting program only the container's own
	// capabilities.
	WaitingCapabilities Name = "waiting-capabilities"
	// Dumpable keeps other processes out of the program (CVE-2016-9962).
	Dumpable Name = "dumpable"
	// SealedImage prevents writes to the program's executable (CVE-2019-5736).
	SealedImage Name = "sealed-image"
	// KnownFiles checks the type of a file of the container before rt opens it
	// (CVE-2025-24965).
	KnownFiles Name = "known-files"
	// InRoot walks paths of the container inside its root (CVE-2021-30465).
	InRoot Name = "in-root"
	// MountDescriptors reaches files on a mount that rt made from that mount
	// (CVE-2019-16884, CVE-2025-31133).
	MountDescriptors Name = "mount-descriptors"
	// ExactProc never mounts proc and sysfs through a symlink (CVE-2019-19921).
	ExactProc Name = "exact-proc"
	// ProcDestination refuses other mounts on a procfs or sysfs (CVE-2019-19921,
	// CVE-2023-27561).
	ProcDestination Name = "proc-destination"
	// CheckedDevices checks /dev/null and the terminal by type and number
	// (CVE-2025-31133, CVE-2025-52565).
	CheckedDevices Name = "checked-devices"
	// RetriedWalks repeats openat2(2) when a rename elsewhere disturbs it.
	RetriedWalks Name = "retried-walks"
	// ChargedCopies copies for tmpcopyup inside the container's cgroup.
	ChargedCopies Name = "charged-copies"
	// NotifySocket gives the socket of sd_notify(3) its mode by descriptor, in a
	// directory that the container cannot write to.
	NotifySocket Name = "notify-socket"
	// OwnProcfs writes to /proc only through a procfs that rt made or checked
	// (CVE-2025-52881).
	OwnProcfs Name = "own-procfs"
	// FilteredHooks loads the seccomp filter in startContainer hooks, too.
	FilteredHooks Name = "filtered-hooks"
	// HostProc unmounts the host's proc and sysfs if pivot_root is not used.
	HostProc Name = "host-proc"
	// ExactPlaces follows no symlinks to mounts that are added to or removed from a
	// running container.
	ExactPlaces Name = "exact-places"
	// RootDestination refuses a mount on the root directory through a symlink.
	RootDestination Name = "root-destination"
	// UnknownOptions refuses unknown mount options.
	UnknownOptions Name = "unknown-options"
	// FoldedMembers accepts members of config.json in another case.
	FoldedMembers Name = "folded-members"
	// ReadOnlySysfs makes the superblock of a container's own sysfs read-only.
	ReadOnlySysfs Name = "read-only-sysfs"
	// StateOwner trusts a state only if its owner and mode are right.
	StateOwner Name = "state-owner"
	// BoundedWait ends the wait for a program that was stopped.
	BoundedWait Name = "bounded-wait"
	// QuietQueries answers queries without connecting to the container.
	QuietQueries Name = "quiet-queries"
	// OwnChild checks that a pid from the program is a child of rt and runs the program's
	// image.
	OwnChild Name = "own-child"
	// Limits limits the size of configurations.
	Limits Name = "limits"
	// MaskedPaths hides linux.maskedPaths; ReadonlyPaths protects linux.readonlyPaths
	// (CVE-2023-25809 for cgroups).
	MaskedPaths   Name = "masked-paths"
	ReadonlyPaths Name = "readonly-paths"
	// DeviceRules applies linux.resources.devices.
	DeviceRules Name = "device-rules"
	// Seccomp covers the foreign architectures and x32 in a filter.
	Seccomp Name = "seccomp-architectures"
	// Keyring gives a container a session keyring of its own.
	Keyring Name = "keyring"
	// KeyringName gives that keyring a name that no other container can guess.
	KeyringName Name = "keyring-name"
	// InheritableCapabilities keeps inheritable capabilities as configured
	// (CVE-2022-29162).
	InheritableCapabilities Name = "inheritable-capabilities"
	// NetlinkLengths checks lengths before it writes them to a message (CVE-2021-43784).
	NetlinkLengths Name = "netlink-lengths"
	// NewSession takes the caller's terminal away from the container's process, which
	// could type into it (TIOCSTI).
	NewSession Name = "new-session"
	// CgroupMount mounts only the container's own cgroups, with the requested attributes
	// (CVE-2023-25809).
	CgroupMount Name = "cgroup-mount"
	// HostCgroups does not change the options of the host's cgroup v2 if a container has
	// no cgroup namespace.
	HostCgroups Name = "host-cgroups"
	// CgroupTree finds all cgroups below the container's, however long their paths are,
	// and thaws frozen ones.
	CgroupTree Name = "cgroup-tree"
	// PrivateState keeps other users from the state directory of a container.
	PrivateState Name = "private-state"
	// CallerFiles writes pid files and logs that only their owner can change, and never
	// writes a pid file through a symlink.
	CallerFiles Name = "caller-files"
)
