package machine

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMeasure(t *testing.T) {
	k, err := Measure()
	if err != nil {
		t.Fatal(err)
	}
	t.Log(k)
	for name, cost := range map[string]time.Duration{"page fault": k.PageFault, "switch": k.Switch, "thread": k.Thread, "call": k.Call} {
		if cost <= 0 || cost > 10*time.Millisecond {
			t.Errorf("a %s costs %v", name, cost)
		}
	}
	if (k.CPUID > 0) != (runtime.GOARCH == "amd64") {
		t.Errorf("CPUID costs %v on %s", k.CPUID, runtime.GOARCH)
	}
}

func TestString(t *testing.T) {
	for want, k := range map[string]Kind{
		"page fault 0.5 µs, system call 0.1 µs: cheap page faults (below 2µs)":      {PageFault: 500, Call: 100},
		"page fault 2 µs, CPUID 6 µs: expensive page faults (2µs or more)":          {PageFault: 2000, CPUID: 6000},
		"page fault 11.3 µs, new thread 90 µs: expensive page faults (2µs or more)": {PageFault: 11_300, Thread: 90_000},
	} {
		if got := k.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if strings.Contains(Kind{PageFault: 1}.String(), "CPUID") {
		t.Error("what was not measured is printed")
	}
}
