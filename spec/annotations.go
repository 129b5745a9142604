package spec

import (
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Annotations by which engines ask crun for something, crun(1), "Extensions to OCI".
const (
	// AnnotationKeepGroups leaves the additional groups of the caller of rt to the
	// process.
	AnnotationKeepGroups = "run.oci.keep_original_groups"
	// AnnotationHooksStdout and AnnotationHooksStderr name files to which the output of
	// hooks is appended.
	AnnotationHooksStdout = "run.oci.hooks.stdout"
	AnnotationHooksStderr = "run.oci.hooks.stderr"
	// AnnotationMountContext is the option by which file systems get linux.mountLabel;
	// without it, "context": mount(8).
	AnnotationMountContext = "run.oci.mount_context_type"
	// AnnotationSeccompReceiver is linux.seccomp.listenerPath under another name.
	AnnotationSeccompReceiver = "run.oci.seccomp.receiver"
	// annotationSubgroup makes a cgroup below the scope; empty, as rt does it: none.
	annotationSubgroup = "run.oci.systemd.subgroup"
)

const annotationPrefix = "run.oci."

// UnsafeAnnotations are those with an effect beyond the container: features.md,
// "potentiallyUnsafeConfigAnnotations". One that ends with a dot is a prefix.
var UnsafeAnnotations = []string{"org.systemd.property.", AnnotationHooksStderr, AnnotationHooksStdout, AnnotationKeepGroups, AnnotationSeccompReceiver}

// refusedAnnotations would change what a container may do, and rt does not.
var refusedAnnotations = Table[string]{
	{annotationSubgroup, "rt makes no cgroup below the scope; remove it, or leave its value empty"},
	{"run.oci.delegate-cgroup", "rt makes no cgroup below the container's; the container may make its own in a cgroup namespace"},
	{"run.oci.systemd.force_cgroup_v1", "rt mounts no v1 hierarchy on a host with v2; mount one of type cgroup in mounts"},
	{"run.oci.handler", "rt executes Linux programs only"},
	{"run.oci.timens_offset", "write linux.timeOffsets"},
	{"run.oci.seccomp_bpf_data", "write linux.seccomp"},
	{"run.oci.seccomp.plugins", "rt loads no plugins; write linux.seccomp.listenerPath"},
	{"run.oci.seccomp_fail_unknown_syscall", "rt warns about system calls that it does not know, and does not fail"},
}

// MountContexts are the options of mount(8) that label a file system.
var MountContexts = []string{"context", "fscontext", "defcontext", "rootcontext"}

// annotations checks the keys, config.md, "Annotations", and the annotations that rt
// knows.
func (v *validator) annotations() {
	if _, ok := v.s.Annotations[""]; ok {
		v.add("annotations", "a key is empty; use names such as com.example.key")
	}
	for _, name := range sortedKeys(v.s.Annotations) {
		if strings.HasPrefix(name, annotationPrefix) {
			v.annotation(member("annotations", name), name, v.s.Annotations[name])
		}
	}
}

func (v *validator) annotation(field, name, value string) {
	switch name {
	case AnnotationKeepGroups:
	case AnnotationHooksStdout, AnnotationHooksStderr, AnnotationSeccompReceiver:
		if !path.IsAbs(value) {
			v.add(field, "%q is not an absolute path", value)
		}
		v.text(field, value)
	case AnnotationMountContext:
		table := Table[bool]{}
		for _, c := range MountContexts {
			table = append(table, Entry[bool]{c, true})
		}
		oneOf(v, field, value, table)
	default:
		reason, known := refusedAnnotations.Find(name)
		switch {
		case name == annotationSubgroup && value == "":
		case known:
			v.add(field, "is not supported: %s", reason)
		default:
			v.warn(field, "is unknown and has no effect")
		}
	}
}

// plainAnnotations applies annotations that are another way to write a field.
func plainAnnotations(s *specs.Spec) {
	receiver := s.Annotations[AnnotationSeccompReceiver]
	if receiver != "" && s.Linux != nil && s.Linux.Seccomp != nil && s.Linux.Seccomp.ListenerPath == "" {
		s.Linux.Seccomp.ListenerPath = receiver
	}
}
