// Package state keeps containers on disk: one directory for each below the root, with a
// file that is only ever replaced as a whole.
package state

import (
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

//go:generate go run -tags generate ../jsongen -roots state -o json_gen.go

// State is what rt saves about a container.
type State struct {
	OCIVersion  string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	UID         int               `json:"uid"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Cgroup      Cgroup            `json:"cgroup"`
	// Pid is the container's first process in rt's pid namespace, 0 while it is being
	// made. It is valid only together with its start time, in clock ticks after boot
	// (field 22 of proc_pid_stat(5)).
	Pid       int    `json:"pid,omitempty"`
	StartTime uint64 `json:"startTime,omitempty"`
	// SharedPids is true if the container does not have its own pid namespace: its
	// processes do not end with the first one.
	SharedPids bool `json:"sharedPids,omitempty"`
	// RootMount is set if the container has no mount namespace of its own, so that its
	// mounts outlive it: the mount at Rootfs before they were made, by its id of statx(2).
	RootMount uint64 `json:"rootMount,omitempty"`
	// MountNamespace is the namespace of these mounts, if not rt's own.
	MountNamespace *Namespace `json:"mountNamespace,omitempty"`
	// Keyring is the name of the container's session keyring, by which its further
	// processes find it; others must not know it. It is empty if there is none.
	Keyring string `json:"keyring,omitempty"`
	// Hooks are those that run after create.
	Hooks *Hooks `json:"hooks,omitempty"`
	// Seccomp is where the listener of the filter is sent.
	Seccomp *Seccomp `json:"seccomp,omitempty"`
	// Resctrl is the container's part of the resctrl file system.
	Resctrl *Resctrl `json:"resctrl,omitempty"`
	// Image is the program in which a created container's process waits.
	Image *Image `json:"image,omitempty"`
}

// Steps describe the instructions that run at the start. They are in a file of their own: they are
// most of what rt knows about a created container, and only the errors of start need them.
type Steps struct {
	Steps []Step `json:"steps"`
}

// Cgroup is where the container's cgroup is: cgroup.Config.
type Cgroup struct {
	Paths    map[string]string `json:"paths"`
	Path     string            `json:"path,omitempty"`
	Parent   string            `json:"parent,omitempty"`
	Name     string            `json:"name,omitempty"`
	Prefix   string            `json:"prefix,omitempty"`
	Systemd  bool              `json:"systemd,omitempty"`
	Rootless bool              `json:"rootless,omitempty"`
}

// Resctrl is the container's part of the resctrl file system: resctrl.Group.
type Resctrl struct {
	Control string `json:"control,omitempty"`
	Monitor string `json:"monitor,omitempty"`
}

// Namespace is somebody else's namespace: its file, and the identity that the file must
// still have.
type Namespace struct {
	Path  string `json:"path"`
	Inode uint64 `json:"inode"`
}

// Image identifies an executable: stat(2).
type Image struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// Hooks are lists of hooks: config.md, "POSIX-platform Hooks".
type Hooks struct {
	StartContainer []Hook `json:"startContainer,omitempty"`
	Poststart      []Hook `json:"poststart,omitempty"`
	Poststop       []Hook `json:"poststop,omitempty"`
}

// Hook is a specs.Hook that distinguishes an empty environment from a missing one.
type Hook struct {
	Path    string   `json:"path"`
	Args    []string `json:"args,omitempty"`
	Env     []string `json:"env"`
	Timeout *int     `json:"timeout,omitempty"`
}

// StoredHooks converts a list of the configuration's.
func StoredHooks(list []specs.Hook) []Hook {
	kept := make([]Hook, len(list))
	for i, h := range list {
		kept[i] = Hook(h)
	}
	return kept
}

// SpecHooks converts it back.
func SpecHooks(kept []Hook) []specs.Hook {
	list := make([]specs.Hook, len(kept))
	for i, h := range kept {
		list[i] = specs.Hook(h)
	}
	return list
}

// Seccomp names the agent of a seccomp filter.
type Seccomp struct {
	ListenerPath string `json:"listenerPath"`
	Metadata     string `json:"metadata,omitempty"`
}

// Step describes one instruction of the program.
type Step struct {
	Index   int    `json:"index"`
	Call    string `json:"call"`
	Source  string `json:"source"`
	Purpose string `json:"purpose"`
}
