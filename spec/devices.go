package spec

import (
	"math"
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// DeviceTypes gives the types of linux.devices the file types of mknod(2).
var DeviceTypes = Table[uint32]{{"c", unix.S_IFCHR}, {"u", unix.S_IFCHR}, {"b", unix.S_IFBLK}, {"p", unix.S_IFIFO}}

// The kernel's device numbers have 12 and 20 bits: makedev(3).
const (
	maxMajor = 1<<12 - 1
	maxMinor = 1<<20 - 1
)

// node is what mknod(2) makes.
type node struct {
	kind         uint32
	major, minor int64
}

// devices checks linux.devices: config-linux.md, "Devices".
func (v *validator) devices(list []specs.LinuxDevice) {
	if len(list) == 0 {
		return
	}
	paths := make(map[string]node, len(list))
	nodes := make(map[node]string, len(list))
	for i := range list {
		d := &list[i]
		field := entry("linux.devices", i)
		kind := v.device(field, d)
		this, name := node{kind, d.Major, d.Minor}, path.Clean(d.Path)
		if kind == unix.S_IFIFO {
			this.major, this.minor = 0, 0
		}
		if other, ok := paths[name]; ok && other != this {
			v.add(field+".path", "%q is already listed as another device", d.Path)
		} else if first, again := nodes[this]; again && kind != unix.S_IFIFO {
			v.warn(field, "%s %d:%d is listed twice, as %q and %q", d.Type, d.Major, d.Minor, first, d.Path)
		}
		paths[name], nodes[this] = this, d.Path
	}
}

// device checks one entry and returns its file type.
func (v *validator) device(field string, d *specs.LinuxDevice) uint32 {
	v.absolute(field+".path", d.Path)
	kind, known := DeviceTypes.Find(d.Type)
	if !known {
		v.add(field+".type", "%q is not one of c, b, u, p", d.Type)
	}
	if known && kind != unix.S_IFIFO {
		if d.Major == 0 {
			v.add(field+".major", "missing; a device of type %s needs major and minor", d.Type)
		}
		v.deviceNumber(field, d.Major, d.Minor)
	}
	v.fileMode(field+".fileMode", d, kind)
	for _, o := range []struct {
		name string
		id   *uint32
	}{{"uid", d.UID}, {"gid", d.GID}} {
		if o.id != nil && *o.id == math.MaxUint32 {
			v.add(field+"."+o.name, "%d is not an id: it means \"unchanged\" to the kernel", *o.id)
		}
	}
	return kind
}

// deviceNumber checks the numbers of a device.
func (v *validator) deviceNumber(field string, major, minor int64) {
	v.within(field+".major", major, 0, maxMajor)
	v.within(field+".minor", minor, 0, maxMinor)
}

// fileMode may have permission bits. The bits of the file type are accepted if they are
// right: callers have long copied st_mode (containerd pull request 5028).
func (v *validator) fileMode(field string, d *specs.LinuxDevice, kind uint32) {
	if d.FileMode == nil {
		return
	}
	mode := uint32(*d.FileMode)
	if mode&unix.S_IFMT == kind {
		mode &^= kind
	}
	if mode > 0o7777 {
		v.add(field, "%#o has more than permission bits; the number is decimal: 438 is 0o666", uint32(*d.FileMode))
	}
}
