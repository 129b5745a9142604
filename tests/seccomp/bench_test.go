package seccomp

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rtcontainers/rt/libcontainer/seccomp"
	"golang.org/x/sys/unix"
)

// contestant is one of the things compared. They take turns, in a changing order, so that
// a busy moment of the machine does not affect only one of them.
type contestant struct {
	name    string
	measure func() (float64, error)
}

// medians has the rounds in its own hands: b.N says nothing about how many
// turns each must have.
func medians(b *testing.B, rounds int, list []contestant) []float64 {
	b.Helper()
	samples := make([][]float64, len(list))
	r := rand.New(rand.NewPCG(4, 5))
	for range rounds {
		for _, i := range r.Perm(len(list)) {
			value, err := list[i].measure()
			if err != nil {
				b.Fatalf("%s: %v", list[i].name, err)
			}
			samples[i] = append(samples[i], value)
		}
	}
	result := make([]float64, len(list))
	for i, values := range samples {
		slices.Sort(values)
		result[i] = values[len(values)/2]
	}
	return result
}

// BenchmarkCompile: rt may take a fifth of libseccomp's time.
func BenchmarkCompile(b *testing.B) {
	p := dockerProfile(b)
	timed := func(f func() error) func() (float64, error) {
		return func() (float64, error) {
			start := time.Now()
			err := f()
			return float64(time.Since(start).Nanoseconds()) / 1e3, err
		}
	}
	m := medians(b, 201, []contestant{
		{"rt", timed(func() error { _, err := seccomp.Compile(p); return err })},
		{"libseccomp", timed(func() error { _, err := build(p); return err })},
	})
	b.ReportMetric(0, "ns/op") // of all rounds together: no figure
	b.ReportMetric(m[0], "rt-µs")
	b.ReportMetric(m[1], "libseccomp-µs")
	b.ReportMetric(m[0]/m[1], "rt/libseccomp")
}

// BenchmarkSystemCall: the kernel remembers which calls a filter always allows, such as
// getppid, and does not run the filter for those. The profile looks at personality's
// argument, so that every call runs the filter.
func BenchmarkSystemCall(b *testing.B) {
	p := dockerProfile(b)
	f, err := seccomp.Compile(p)
	if err != nil {
		b.Fatal(err)
	}
	code, err := build(p)
	if err != nil {
		b.Fatal(err)
	}
	for _, call := range []struct {
		name   string
		number int
		arg    uint64
	}{
		{"getppid", unix.SYS_GETPPID, 0},
		{"personality", unix.SYS_PERSONALITY, 0xffffffff}, // only asks
	} {
		b.Run(call.name, func(b *testing.B) {
			under := func(code []unix.SockFilter) func() (float64, error) {
				return func() (float64, error) { return callCost(code, call.number, call.arg, 300_000) }
			}
			m := medians(b, 21, []contestant{
				{"no filter", under(nil)},
				{"rt", under(f.Instructions)},
				{"libseccomp", under(code)},
			})
			b.ReportMetric(0, "ns/op") // of all rounds together: no figure
			b.ReportMetric(m[0], "unfiltered-ns")
			b.ReportMetric(m[1], "rt-ns")
			b.ReportMetric(m[2], "libseccomp-ns")
			b.ReportMetric(m[1]/m[2], "rt/libseccomp")
		})
	}
}
