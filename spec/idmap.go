package spec

import (
	"math"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// maxMappings is the number of lines that the kernel takes in uid_map:
// user_namespaces(7), since Linux 4.15.
const maxMappings = 340

// mappings checks a list of id mappings by the rules of user_namespaces(7).
// config-linux.md, "User namespace mappings".
func (v *validator) mappings(field string, list []specs.LinuxIDMapping) {
	if len(list) > maxMappings {
		v.add(field, "%d entries; the kernel takes at most %d", len(list), maxMappings)
		return
	}
	for i, m := range list {
		v.mapping(entry(field, i), m)
		v.overlap(field, list, i)
	}
}

func (v *validator) mapping(field string, m specs.LinuxIDMapping) {
	if m.Size == 0 {
		v.add(field+".size", "missing or 0; it is the number of ids, at least 1")
	}
	for _, first := range []struct {
		name string
		id   uint32
	}{{"containerID", m.ContainerID}, {"hostID", m.HostID}} {
		if uint64(first.id)+uint64(m.Size) > math.MaxUint32 {
			v.add(field+"."+first.name, "%d and a size of %d go beyond the last id %d", first.id, m.Size, uint32(math.MaxUint32-1))
		}
	}
}

// overlap compares an entry with those before it: an id can be mapped only once, on either
// side.
func (v *validator) overlap(field string, list []specs.LinuxIDMapping, i int) {
	m := list[i]
	for j, o := range list[:i] {
		if meet(m.ContainerID, m.Size, o.ContainerID, o.Size) {
			v.add(entry(field, i)+".containerID", "%d to %d overlaps with %s", m.ContainerID, last(m.ContainerID, m.Size), entry(field, j))
		}
		if meet(m.HostID, m.Size, o.HostID, o.Size) {
			v.add(entry(field, i)+".hostID", "%d to %d overlaps with %s", m.HostID, last(m.HostID, m.Size), entry(field, j))
		}
	}
}

func meet(a, sizeA, b, sizeB uint32) bool {
	return uint64(a) < uint64(b)+uint64(sizeB) && uint64(b) < uint64(a)+uint64(sizeA)
}

func last(first, size uint32) uint64 { return uint64(first) + uint64(size) - 1 }

// HostID is the id outside a user namespace of an id inside; ok is false if the mappings
// do not have it: user_namespaces(7).
func HostID(mappings []specs.LinuxIDMapping, id uint32) (host uint32, ok bool) {
	for _, m := range mappings {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + (id - m.ContainerID), true
		}
	}
	return 0, false
}
