package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// fields maps the files of cgroups(7) to the fields of linux.resources that are written to
// them, for errors. The longest matching prefix counts.
var fields = []struct{ file, field string }{
	{"memory.limit_in_bytes", "memory.limit"}, {"memory.max", "memory.limit"},
	{"memory.soft_limit_in_bytes", "memory.reservation"}, {"memory.low", "memory.reservation"},
	{"memory.memsw.limit_in_bytes", "memory.swap"}, {"memory.swap.max", "memory.swap"},
	{"memory.kmem", "memory.kernel"}, {"memory.swappiness", "memory.swappiness"}, {"memory.oom_control", "memory.disableOOMKiller"},
	{"memory", "memory"},
	{"cpu.shares", "cpu.shares"}, {"cpu.weight", "cpu.shares"}, {"cpu.cfs_quota_us", "cpu.quota"}, {"cpu.cfs_period_us", "cpu.period"},
	{"cpu.cfs_burst_us", "cpu.burst"}, {"cpu.max.burst", "cpu.burst"}, {"cpu.max", "cpu.quota"}, {"cpu.idle", "cpu.idle"},
	{"cpu.rt_runtime_us", "cpu.realtimeRuntime"}, {"cpu.rt_period_us", "cpu.realtimePeriod"},
	{"cpuset.cpus", "cpu.cpus"}, {"cpuset.mems", "cpu.mems"},
	{"pids.max", "pids.limit"}, {"blkio", "blockIO"}, {"io", "blockIO"},
	{"blkio.weight", "blockIO.weight"}, {"blkio.bfq.weight", "blockIO.weight"}, {"io.weight", "blockIO.weight"}, {"io.bfq.weight", "blockIO.weight"}, {"hugetlb", "hugepageLimits"},
	{"net_cls", "network.classID"}, {"net_prio", "network.priorities"}, {"rdma", "rdma"}, {"devices", "devices"},
}

// words occur in errors of the library that name a limit instead of a file. The first
// match counts.
var words = []struct{ text, field string }{
	{"unified resource", "unified"}, {"memory+swap limit", "memory.swap"}, {"memory limit", "memory.limit"},
	{"cannot set rdma", "rdma"}, {"cannot set hugetlb", "hugepageLimits"}, {"cannot set net_cls", "network.classID"},
	{"cannot set net_prio", "network.priorities"}, {"cannot set pids", "pids.limit"}, {"cannot set blkio", "blockIO"},
	{"cannot set cpuset", "cpu.cpus"}, {"cannot set cpu", "cpu"}, {"allowed cpu-shares", "cpu.shares"},
}

// fieldByWords is for the errors of the library that name a limit instead of a
// file.
func fieldByWords(text string) string {
	for _, w := range words {
		if strings.Contains(text, w.text) {
			return allResources + "." + w.field
		}
	}
	return allResources
}

// allResources is the field of an error that names no file.
const allResources = "linux.resources"

// field is the part of the configuration that an error of the library is about, as far as
// the error names the file.
func field(err error) string {
	var path *os.PathError
	if !errors.As(err, &path) || strings.Contains(err.Error(), "unified resource") {
		return fieldByWords(err.Error())
	}
	name := filepath.Base(path.Path)
	file, of := "", allResources
	for _, f := range fields {
		if strings.HasPrefix(name, f.file) && len(f.file) > len(file) {
			file, of = f.file, allResources+"."+f.field
		}
	}
	return of
}
