package libcontainer

import (
	"github.com/opencontainers/cgroups"
)

// Stats is what a container uses, in the form that engines read from `runc
// events`: times in nanoseconds, sizes in bytes.
type Stats struct {
	CPU      CPUStats                `json:"cpu"`
	CPUSet   CPUSetStats             `json:"cpuset"`
	Memory   MemoryStats             `json:"memory"`
	Pids     PidsStats               `json:"pids"`
	BlockIO  BlockIOStats            `json:"blkio"`
	Hugetlb  map[string]HugetlbStats `json:"hugetlb"`
	IntelRdt struct{}                `json:"intel_rdt"`
	Networks []struct{}              `json:"network_interfaces"`
}

// CPUStats are times of CPUs.
type CPUStats struct {
	Usage struct {
		Total        uint64   `json:"total,omitempty"`
		Percpu       []uint64 `json:"percpu,omitempty"`
		PercpuKernel []uint64 `json:"percpu_kernel,omitempty"`
		PercpuUser   []uint64 `json:"percpu_user,omitempty"`
		Kernel       uint64   `json:"kernel"`
		User         uint64   `json:"user"`
	} `json:"usage,omitempty"`
	Throttling struct {
		Periods          uint64 `json:"periods,omitempty"`
		ThrottledPeriods uint64 `json:"throttledPeriods,omitempty"`
		ThrottledTime    uint64 `json:"throttledTime,omitempty"`
	} `json:"throttling,omitempty"`
	PSI *PressureStats `json:"psi,omitempty"`
}

// PressureStats are how long processes waited for a resource: the kernel's
// Documentation/accounting/psi.rst. Some of them waited, or all.
type PressureStats struct {
	Some Pressure `json:"some,omitzero"`
	Full Pressure `json:"full,omitzero"`
}

// Pressure has the share of the time in the last 10, 60 and 300 seconds, in per cent, and
// the total in microseconds.
type Pressure struct {
	Avg10  float64 `json:"avg10"`
	Avg60  float64 `json:"avg60"`
	Avg300 float64 `json:"avg300"`
	Total  uint64  `json:"total"`
}

func pressure(p *cgroups.PSIStats) *PressureStats {
	if p == nil {
		return nil
	}
	return &PressureStats{Pressure(p.Some), Pressure(p.Full)}
}

// CPUSetStats are the settings of cpuset(7).
type CPUSetStats struct {
	CPUs                  []uint16 `json:"cpus,omitempty"`
	CPUExclusive          uint64   `json:"cpu_exclusive"`
	Mems                  []uint16 `json:"mems,omitempty"`
	MemHardwall           uint64   `json:"mem_hardwall"`
	MemExclusive          uint64   `json:"mem_exclusive"`
	MemoryMigrate         uint64   `json:"memory_migrate"`
	MemorySpreadPage      uint64   `json:"memory_spread_page"`
	MemorySpreadSlab      uint64   `json:"memory_spread_slab"`
	MemoryPressure        uint64   `json:"memory_pressure"`
	SchedLoadBalance      uint64   `json:"sched_load_balance"`
	SchedRelaxDomainLevel int64    `json:"sched_relax_domain_level"`
}

// MemoryEntry is one kind of memory.
type MemoryEntry struct {
	Limit   uint64 `json:"limit"`
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

// MemoryStats are sizes of memory.
type MemoryStats struct {
	Cache     uint64            `json:"cache,omitempty"`
	Usage     MemoryEntry       `json:"usage,omitempty"`
	Swap      MemoryEntry       `json:"swap,omitempty"`
	Kernel    MemoryEntry       `json:"kernel,omitempty"`
	KernelTCP MemoryEntry       `json:"kernelTCP,omitempty"`
	Raw       map[string]uint64 `json:"raw,omitempty"`
	PSI       *PressureStats    `json:"psi,omitempty"`
}

// PidsStats are numbers of processes and threads.
type PidsStats struct {
	Current uint64 `json:"current,omitempty"`
	Limit   uint64 `json:"limit,omitempty"`
}

// BlockIOEntry is what happened on one device.
type BlockIOEntry struct {
	Major uint64 `json:"major,omitempty"`
	Minor uint64 `json:"minor,omitempty"`
	Op    string `json:"op,omitempty"`
	Value uint64 `json:"value,omitempty"`
}

// BlockIOStats are by device and operation.
type BlockIOStats struct {
	ServiceBytes []BlockIOEntry `json:"ioServiceBytesRecursive,omitempty"`
	Serviced     []BlockIOEntry `json:"ioServicedRecursive,omitempty"`
	Queue        []BlockIOEntry `json:"ioQueueRecursive,omitempty"`
	ServiceTime  []BlockIOEntry `json:"ioServiceTimeRecursive,omitempty"`
	WaitTime     []BlockIOEntry `json:"ioWaitTimeRecursive,omitempty"`
	Merged       []BlockIOEntry `json:"ioMergedRecursive,omitempty"`
	Time         []BlockIOEntry `json:"ioTimeRecursive,omitempty"`
	Sectors      []BlockIOEntry `json:"sectorsRecursive,omitempty"`
	PSI          *PressureStats `json:"psi,omitempty"`
}

// HugetlbStats are of one size of huge pages.
type HugetlbStats struct {
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

// Stats returns what the container uses now.
func (c *Container) Stats() (*Stats, error) {
	cg, err := c.cgroup()
	if err != nil {
		return nil, err
	}
	raw, err := cg.Stats()
	if err != nil {
		return nil, err
	}
	s := &Stats{Hugetlb: map[string]HugetlbStats{}}
	s.cpu(raw)
	s.memory(&raw.MemoryStats)
	s.Pids = PidsStats{raw.PidsStats.Current, raw.PidsStats.Limit}
	s.blockIO(&raw.BlkioStats)
	for size, h := range raw.HugetlbStats {
		s.Hugetlb[size] = HugetlbStats{h.Usage, h.MaxUsage, h.Failcnt}
	}
	return s, nil
}

func (s *Stats) cpu(raw *cgroups.Stats) {
	u := &raw.CpuStats.CpuUsage
	s.CPU.Usage.Total, s.CPU.Usage.Kernel, s.CPU.Usage.User = u.TotalUsage, u.UsageInKernelmode, u.UsageInUsermode
	s.CPU.Usage.Percpu, s.CPU.Usage.PercpuKernel, s.CPU.Usage.PercpuUser = u.PercpuUsage, u.PercpuUsageInKernelmode, u.PercpuUsageInUsermode
	t := &raw.CpuStats.ThrottlingData
	s.CPU.Throttling.Periods, s.CPU.Throttling.ThrottledPeriods, s.CPU.Throttling.ThrottledTime = t.Periods, t.ThrottledPeriods, t.ThrottledTime
	s.CPU.PSI = pressure(raw.CpuStats.PSI)
	c := &raw.CPUSetStats
	s.CPUSet = CPUSetStats{
		c.CPUs, c.CPUExclusive, c.Mems, c.MemHardwall, c.MemExclusive, c.MemoryMigrate, c.MemorySpreadPage, c.MemorySpreadSlab,
		c.MemoryPressure, c.SchedLoadBalance, c.SchedRelaxDomainLevel,
	}
}

func (s *Stats) memory(m *cgroups.MemoryStats) {
	entry := func(d cgroups.MemoryData) MemoryEntry { return MemoryEntry{d.Limit, d.Usage, d.MaxUsage, d.Failcnt} }
	s.Memory = MemoryStats{
		Cache: m.Cache, Usage: entry(m.Usage), Swap: entry(m.SwapUsage), Kernel: entry(m.KernelUsage),
		KernelTCP: entry(m.KernelTCPUsage), Raw: m.Stats, PSI: pressure(m.PSI),
	}
}

func (s *Stats) blockIO(b *cgroups.BlkioStats) {
	list := func(from []cgroups.BlkioStatEntry) (to []BlockIOEntry) {
		for _, e := range from {
			to = append(to, BlockIOEntry{e.Major, e.Minor, e.Op, e.Value})
		}
		return to
	}
	s.BlockIO = BlockIOStats{
		list(b.IoServiceBytesRecursive), list(b.IoServicedRecursive), list(b.IoQueuedRecursive), list(b.IoServiceTimeRecursive),
		list(b.IoWaitTimeRecursive), list(b.IoMergedRecursive), list(b.IoTimeRecursive), list(b.SectorsRecursive), pressure(b.PSI),
	}
}
