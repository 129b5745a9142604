package cgroup

import (
	"reflect"
	"testing"

	"github.com/opencontainers/cgroups"
	devices "github.com/opencontainers/cgroups/devices/config"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// fill gives every field of a document a different value.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), value)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(*n))
	default:
		v.SetUint(uint64(*n))
	}
}

// Every field arrives where the library has a place for it, even if the machines of the
// other tests do not have its controller.
func TestEveryResourceIsTranslated(t *testing.T) {
	var r specs.LinuxResources
	fill(reflect.ValueOf(&r).Elem(), new(int))
	r.Devices[0] = specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: ptr(int64(8)), Minor: ptr(int64(1)), Access: "rm"}
	got := Resources(&specs.Spec{Linux: &specs.Linux{Resources: &r}})

	if d := got.Devices[0]; *d != (devices.Rule{Type: devices.BlockDevice, Major: 8, Minor: 1, Permissions: "rm", Allow: true}) {
		t.Errorf("devices: %+v", d)
	}
	b, m, c := r.BlockIO, r.Memory, r.CPU
	throttle := func(d []specs.LinuxThrottleDevice) []*cgroups.ThrottleDevice {
		return []*cgroups.ThrottleDevice{cgroups.NewThrottleDevice(d[0].Major, d[0].Minor, d[0].Rate)}
	}
	want := &cgroups.Resources{
		Memory: *m.Limit, MemoryReservation: *m.Reservation, MemorySwap: *m.Swap, MemorySwappiness: m.Swappiness,
		OomKillDisable: true, MemoryCheckBeforeUpdate: true,
		CpuShares: *c.Shares, CpuWeight: cgroups.ConvertCPUSharesToCgroupV2Value(*c.Shares), CpuQuota: *c.Quota, CpuPeriod: *c.Period,
		CpuBurst: c.Burst, CPUIdle: c.Idle, CpuRtRuntime: *c.RealtimeRuntime, CpuRtPeriod: *c.RealtimePeriod,
		CpusetCpus: "text", CpusetMems: "text", PidsLimit: r.Pids.Limit,
		BlkioWeight: *b.Weight, BlkioLeafWeight: *b.LeafWeight,
		BlkioWeightDevice: []*cgroups.WeightDevice{cgroups.NewWeightDevice(
			b.WeightDevice[0].Major, b.WeightDevice[0].Minor, *b.WeightDevice[0].Weight, *b.WeightDevice[0].LeafWeight)},
		BlkioThrottleReadBpsDevice: throttle(b.ThrottleReadBpsDevice), BlkioThrottleWriteBpsDevice: throttle(b.ThrottleWriteBpsDevice),
		BlkioThrottleReadIOPSDevice: throttle(b.ThrottleReadIOPSDevice), BlkioThrottleWriteIOPSDevice: throttle(b.ThrottleWriteIOPSDevice),
		HugetlbLimit:     []*cgroups.HugepageLimit{{Pagesize: "text", Limit: r.HugepageLimits[0].Limit}},
		NetClsClassid:    *r.Network.ClassID,
		NetPrioIfpriomap: []*cgroups.IfPrioMap{{Interface: "text", Priority: int64(r.Network.Priorities[0].Priority)}},
		Rdma:             map[string]cgroups.LinuxRdma{"key": {HcaHandles: r.Rdma["key"].HcaHandles, HcaObjects: r.Rdma["key"].HcaObjects}},
		Unified:          map[string]string{"key": "text"},
	}
	want.Devices = got.Devices
	for i, v := 0, reflect.ValueOf(*want); i < v.NumField(); i++ {
		if g := reflect.ValueOf(*got).Field(i); !reflect.DeepEqual(g.Interface(), v.Field(i).Interface()) {
			t.Errorf("%s: got %+v, want %+v", v.Type().Field(i).Name, g, v.Field(i))
		}
	}
}

func ptr[T any](v T) *T { return &v }
