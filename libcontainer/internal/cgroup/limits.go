package cgroup

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// limit is one limit of linux.resources.
type limit struct {
	// field is its name below linux.resources.
	field string
	// v1 and v2 are the files that it is written to, by the beginnings of their names:
	// cgroups(7). A version that has none refuses the limit.
	v1, v2 string
	// library are the members of the library's Resources, with is another one without which
	// it refuses them.
	library, with string
	// translate sets them, and tells whether the limit is given: zero often means that
	// nothing changes.
	translate func(c *cgroups.Resources, r *specs.LinuxResources) bool
	// complete gives it the kernel's default in a set of limits that has not got it, if
	// another set has, so that it can be taken back. It may be nil.
	complete func(before, other *cgroups.Resources)
}

// limits are all limits but the device rules. A file belongs to the first that names it
// by the longest beginning.
var limits = []limit{
	{
		field: "memory.limit", v1: "memory.limit_in_bytes", v2: "memory.max", library: "Memory",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.Memory != nil && set(&c.Memory, r.Memory.Limit)
		},
		complete: func(before, other *cgroups.Resources) { unlimited(&before.Memory, other.Memory) },
	},
	{
		field: "memory.reservation", v1: "memory.soft_limit_in_bytes", v2: "memory.low", library: "MemoryReservation",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.Memory != nil && set(&c.MemoryReservation, r.Memory.Reservation)
		},
		complete: func(before, other *cgroups.Resources) {
			unlimited(&before.MemoryReservation, other.MemoryReservation)
		},
	},
	{
		field: "memory.swap", v1: "memory.memsw.limit_in_bytes", v2: "memory.swap.max", library: "MemorySwap", with: "Memory",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.Memory != nil && set(&c.MemorySwap, r.Memory.Swap)
		},
		complete: func(before, other *cgroups.Resources) { unlimited(&before.MemorySwap, other.MemorySwap) },
	},
	{
		field: "memory.swappiness", v1: "memory.swappiness", library: "MemorySwappiness",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.Memory != nil && refer(&c.MemorySwappiness, r.Memory.Swappiness)
		},
	},
	{
		field: "memory.disableOOMKiller", v1: "memory.oom_control", library: "OomKillDisable",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.Memory != nil && set(&c.OomKillDisable, r.Memory.DisableOOMKiller)
		},
	},
	{
		field: "memory.checkBeforeUpdate", v1: "memory", v2: "memory", library: "MemoryCheckBeforeUpdate",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.Memory != nil && set(&c.MemoryCheckBeforeUpdate, r.Memory.CheckBeforeUpdate)
		},
	},
	{
		field: "cpu.shares", v1: "cpu.shares", v2: "cpu.weight", library: "CpuShares CpuWeight",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			if r.CPU == nil || !set(&c.CpuShares, r.CPU.Shares) {
				return false
			}
			c.CpuWeight = cgroups.ConvertCPUSharesToCgroupV2Value(c.CpuShares)
			return true
		},
		complete: func(before, other *cgroups.Resources) {
			if before.CpuShares == 0 && other.CpuShares != 0 {
				before.CpuShares, before.CpuWeight = 1024, 100
			}
		},
	},
	{
		field: "cpu.quota", v1: "cpu.cfs_quota_us", v2: "cpu.max", library: "CpuQuota",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.CPU != nil && set(&c.CpuQuota, r.CPU.Quota)
		},
		complete: func(before, other *cgroups.Resources) { unlimited(&before.CpuQuota, other.CpuQuota) },
	},
	{
		field: "cpu.period", v1: "cpu.cfs_period_us", v2: "cpu.max", library: "CpuPeriod",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.CPU != nil && set(&c.CpuPeriod, r.CPU.Period)
		},
		complete: func(before, other *cgroups.Resources) {
			if before.CpuPeriod == 0 && other.CpuPeriod != 0 {
				before.CpuPeriod = 100_000
			}
		},
	},
	{
		field: "cpu.burst", v1: "cpu.cfs_burst_us", v2: "cpu.max.burst", library: "CpuBurst",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.CPU != nil && refer(&c.CpuBurst, r.CPU.Burst)
		},
		complete: func(before, other *cgroups.Resources) {
			if before.CpuBurst == nil && other.CpuBurst != nil {
				before.CpuBurst = new(uint64)
			}
		},
	},
	{
		field: "cpu.idle", v1: "cpu.idle", v2: "cpu.idle", library: "CPUIdle",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.CPU != nil && refer(&c.CPUIdle, r.CPU.Idle)
		},
		complete: func(before, other *cgroups.Resources) {
			if before.CPUIdle == nil && other.CPUIdle != nil {
				before.CPUIdle = new(int64)
			}
		},
	},
	{
		field: "cpu.realtimeRuntime", v1: "cpu.rt_runtime_us", library: "CpuRtRuntime",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.CPU != nil && set(&c.CpuRtRuntime, r.CPU.RealtimeRuntime)
		},
	},
	{
		field: "cpu.realtimePeriod", v1: "cpu.rt_period_us", library: "CpuRtPeriod",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.CPU != nil && set(&c.CpuRtPeriod, r.CPU.RealtimePeriod)
		},
	},
	{
		field: "cpu.cpus", v1: "cpuset.cpus", v2: "cpuset.cpus", library: "CpusetCpus",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.CPU != nil && set(&c.CpusetCpus, &r.CPU.Cpus)
		},
	},
	{
		field: "cpu.mems", v1: "cpuset.mems", v2: "cpuset.mems", library: "CpusetMems",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.CPU != nil && set(&c.CpusetMems, &r.CPU.Mems)
		},
	},
	{
		field: "pids.limit", v1: "pids.max", v2: "pids.max", library: "PidsLimit",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.Pids != nil && refer(&c.PidsLimit, r.Pids.Limit)
		},
		complete: func(before, other *cgroups.Resources) {
			if before.PidsLimit == nil && other.PidsLimit != nil {
				none := int64(-1)
				before.PidsLimit = &none
			}
		},
	},
	{
		field: "blockIO.weight", v1: "blkio.weight blkio.bfq.weight", v2: "io.weight io.bfq.weight", library: "BlkioWeight",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.BlockIO != nil && set(&c.BlkioWeight, r.BlockIO.Weight)
		},
	},
	{
		field: "blockIO.leafWeight", v1: "blkio.leaf_weight", library: "BlkioLeafWeight",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.BlockIO != nil && set(&c.BlkioLeafWeight, r.BlockIO.LeafWeight)
		},
	},
	{
		field: "blockIO.weightDevice", v1: "blkio.weight_device blkio.bfq.weight_device blkio.leaf_weight_device", v2: "io.weight", library: "BlkioWeightDevice",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			if r.BlockIO == nil {
				return false
			}
			for _, d := range r.BlockIO.WeightDevice {
				var weight, leaf uint16
				set(&weight, d.Weight)
				set(&leaf, d.LeafWeight)
				c.BlkioWeightDevice = append(c.BlkioWeightDevice, cgroups.NewWeightDevice(d.Major, d.Minor, weight, leaf))
			}
			return len(c.BlkioWeightDevice) > 0
		},
	},
	{
		field: "blockIO.throttleReadBpsDevice", v1: "blkio.throttle.read_bps_device", v2: "io.max", library: "BlkioThrottleReadBpsDevice",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.BlockIO != nil && throttle(&c.BlkioThrottleReadBpsDevice, r.BlockIO.ThrottleReadBpsDevice)
		},
	},
	{
		field: "blockIO.throttleWriteBpsDevice", v1: "blkio.throttle.write_bps_device", v2: "io.max", library: "BlkioThrottleWriteBpsDevice",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.BlockIO != nil && throttle(&c.BlkioThrottleWriteBpsDevice, r.BlockIO.ThrottleWriteBpsDevice)
		},
	},
	{
		field: "blockIO.throttleReadIOPSDevice", v1: "blkio.throttle.read_iops_device", v2: "io.max", library: "BlkioThrottleReadIOPSDevice",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.BlockIO != nil && throttle(&c.BlkioThrottleReadIOPSDevice, r.BlockIO.ThrottleReadIOPSDevice)
		},
	},
	{
		field: "blockIO.throttleWriteIOPSDevice", v1: "blkio.throttle.write_iops_device", v2: "io.max", library: "BlkioThrottleWriteIOPSDevice",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.BlockIO != nil && throttle(&c.BlkioThrottleWriteIOPSDevice, r.BlockIO.ThrottleWriteIOPSDevice)
		},
	},
	{
		field: "hugepageLimits", v1: "hugetlb", v2: "hugetlb", library: "HugetlbLimit",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			for _, h := range r.HugepageLimits {
				c.HugetlbLimit = append(c.HugetlbLimit, &cgroups.HugepageLimit{Pagesize: h.Pagesize, Limit: h.Limit})
			}
			return len(c.HugetlbLimit) > 0
		},
	},
	{
		field: "network.classID", v1: "net_cls", library: "NetClsClassid",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			return r.Network != nil && set(&c.NetClsClassid, r.Network.ClassID)
		},
	},
	{
		field: "network.priorities", v1: "net_prio", library: "NetPrioIfpriomap",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			if r.Network == nil {
				return false
			}
			for _, p := range r.Network.Priorities {
				c.NetPrioIfpriomap = append(c.NetPrioIfpriomap, &cgroups.IfPrioMap{Interface: p.Name, Priority: int64(p.Priority)})
			}
			return len(c.NetPrioIfpriomap) > 0
		},
	},
	{
		field: "rdma", v1: "rdma", v2: "rdma", library: "Rdma",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			for name, l := range r.Rdma {
				if c.Rdma == nil {
					c.Rdma = map[string]cgroups.LinuxRdma{}
				}
				c.Rdma[name] = cgroups.LinuxRdma{HcaHandles: l.HcaHandles, HcaObjects: l.HcaObjects}
			}
			return len(c.Rdma) > 0
		},
	},
	{
		field: "unified", v2: "any", library: "Unified",
		translate: func(c *cgroups.Resources, r *specs.LinuxResources) bool {
			if len(r.Unified) > 0 {
				c.Unified = r.Unified
			}
			return len(r.Unified) > 0
		},
	},
}

// set copies a value, and tells whether it changes something.
func set[T comparable](to *T, from *T) bool {
	var zero T
	if from == nil {
		return false
	}
	*to = *from
	return *from != zero
}

// refer copies a pointer to a value that is a limit even if it is zero.
func refer[T any](to **T, from *T) bool {
	*to = from
	return from != nil
}

func throttle(to *[]*cgroups.ThrottleDevice, from []specs.LinuxThrottleDevice) bool {
	for _, d := range from {
		*to = append(*to, cgroups.NewThrottleDevice(d.Major, d.Minor, d.Rate))
	}
	return len(from) > 0
}

// unlimited is the default of limits for which -1 means that there is none.
func unlimited(to *int64, other int64) {
	if *to == 0 && other != 0 {
		*to = -1
	}
}

// Complete gives limits that were not set the kernel's default, where other limits
// set them: so that they can be taken back.
func Complete(before, other *cgroups.Resources) {
	for i := range limits {
		if limits[i].complete != nil {
			limits[i].complete(before, other)
		}
	}
}

// limitsOf are the resources of a configuration; they may be empty.
func limitsOf(s *specs.Spec) *specs.LinuxResources {
	if s.Linux == nil || s.Linux.Resources == nil {
		return new(specs.LinuxResources)
	}
	return s.Linux.Resources
}

// onlyDevices tells whether a configuration limits nothing but access to devices.
func onlyDevices(s *specs.Spec) bool {
	r, scratch := limitsOf(s), new(cgroups.Resources)
	for i := range limits {
		if limits[i].translate(scratch, r) {
			return false
		}
	}
	return true
}

// CheckSupported refuses limits that this system's version of cgroups has not
// got, and that would otherwise be ignored. What only a controller lacks, the
// kernel refuses itself.
func CheckSupported(s *specs.Spec) error {
	return checkVersion(limitsOf(s), cgroups.IsCgroup2UnifiedMode())
}

func checkVersion(r *specs.LinuxResources, v2 bool) error {
	scratch := new(cgroups.Resources)
	for i := range limits {
		l := &limits[i]
		switch given := l.translate(scratch, r); {
		case given && v2 && l.v2 == "":
			return fmt.Errorf("%s.%s: cgroup v2 has no such limit", allResources, l.field)
		case given && !v2 && l.v1 == "":
			return fmt.Errorf("%s.%s: needs cgroup v2, and this system has v1", allResources, l.field)
		}
	}
	for i, d := range scratch.BlkioWeightDevice {
		if v2 && d.LeafWeight != 0 {
			return fmt.Errorf("%s.blockIO.weightDevice[%d].leafWeight: cgroup v2 has no such limit", allResources, i)
		}
	}
	return nil
}

// allResources is the field of an error that names no file.
const allResources = "linux.resources"

// given tells whether r, which may be nil, has the limit.
func (l *limit) given(r *cgroups.Resources) bool {
	if r == nil {
		return false
	}
	for name := range strings.FieldsSeq(l.library) {
		if !reflect.ValueOf(r).Elem().FieldByName(name).IsZero() {
			return true
		}
	}
	return false
}

// fieldOfFile is the limit that an error is about, by the file that it names: of several
// that are written to it, the first that r has.
func fieldOfFile(err error, r *cgroups.Resources) string {
	var path *os.PathError
	if !errors.As(err, &path) {
		return allResources
	}
	name, longest, given, field := filepath.Base(path.Path), 0, false, allResources
	for i := range limits {
		for file := range strings.FieldsSeq(limits[i].v1 + " " + limits[i].v2) {
			if !strings.HasPrefix(name, file) || len(file) < longest || len(file) == longest && (given || !limits[i].given(r)) {
				continue
			}
			longest, given, field = len(file), limits[i].given(r), allResources+"."+limits[i].field
		}
	}
	return field
}

// fieldOf finds the limit that the library failed to set: the file, or the only one that
// is given, or the first that fails by itself. The library's errors have words for it, but
// no types. Without set no limit is tried: one that the library has refused because of
// others could end processes that run.
func fieldOf(err error, r *cgroups.Resources, set func(*cgroups.Resources) error) string {
	var path *os.PathError
	if field := fieldOfFile(err, r); field != allResources && errors.As(err, &path) {
		if _, unified := r.Unified[filepath.Base(path.Path)]; !unified {
			return field
		}
	}
	only := ""
	for i := range limits {
		if limits[i].given(r) {
			if only != "" {
				only = ""
				break
			}
			only = allResources + "." + limits[i].field
		}
	}
	if only != "" || set == nil {
		return cmp.Or(only, fieldOfFile(err, r))
	}
	from := reflect.ValueOf(r).Elem()
	for i := range limits {
		alone := &cgroups.Resources{SkipDevices: true, SkipFreezeOnSet: true}
		to := reflect.ValueOf(alone).Elem()
		for name := range strings.FieldsSeq(limits[i].library) {
			to.FieldByName(name).Set(from.FieldByName(name))
		}
		if with := limits[i].with; with != "" {
			to.FieldByName(with).Set(from.FieldByName(with))
		}
		if limits[i].given(r) && set(alone) != nil {
			return allResources + "." + limits[i].field
		}
	}
	return fieldOfFile(err, r)
}
