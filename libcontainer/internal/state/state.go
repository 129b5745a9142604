// Package state keeps containers on disk: one directory each below the root,
// with a file that is only ever replaced as a whole.
package state

import (
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

//go:generate go run -tags generate ../jsongen -roots state -o json_gen.go

// State is what rt remembers of a container.
type State struct {
	OCIVersion  string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	UID         int               `json:"uid"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Cgroup      Cgroup            `json:"cgroup"`
	// Pid is the container's first process in rt's pid namespace, 0 while it is
	// being made. It means that process only together with its start time, in
	// clock ticks after boot (field 22 of proc_pid_stat(5)).
	Pid       int    `json:"pid,omitempty"`
	StartTime uint64 `json:"startTime,omitempty"`
	// SharedPids is true when the container has no pid namespace of its own:
	// its processes do not end with the first one.
	SharedPids bool `json:"sharedPids,omitempty"`
	// RootMount is set when the container has no mount namespace of its own, so
	// that its mounts outlive it: the mount at Rootfs before they were made, by
	// its id of statx(2).
	RootMount uint64 `json:"rootMount,omitempty"`
	// MountNamespace is where that is, if not rt's own.
	MountNamespace *Namespace `json:"mountNamespace,omitempty"`
	// Keyring is the name of the container's session keyring, by which its further
	// processes find it; others must not know it. Empty where it has none.
	Keyring string `json:"keyring,omitempty"`
	// Hooks are those that run after create.
	Hooks *Hooks `json:"hooks,omitempty"`
	// Seccomp is where the listener of the filter goes.
	Seccomp *Seccomp `json:"seccomp,omitempty"`
	// Resctrl is the container's part of the resctrl file system.
	Resctrl *Resctrl `json:"resctrl,omitempty"`
	// Image is the program that a created container's process waits in.
	Image *Image `json:"image,omitempty"`
	// Steps describe the instructions that run at the start.
	Steps []Step `json:"steps,omitempty"`
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

// Namespace is a namespace of others: the file by which it is found, and what that
// has to be then.
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

// Hook is a specs.Hook, of which an empty environment is another than none.
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
