package start

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The region is asked for when the package is initialised, which was before this test.
func TestHeapHasAHugePage(t *testing.T) {
	text, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || !strings.Contains(string(text), "[madvise]") {
		t.Skipf("huge pages are not for those who ask for them: %q %v", text, err)
	}
	if !advisable() {
		t.Error("not advisable")
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	// proc_pid_smaps(5): hg is set by MADV_HUGEPAGE.
	advised := regexp.MustCompile(`(?m)^Size: +2048 kB\n(?:[A-Z].*\n)*VmFlags:.* hg`)
	if !advised.Match(maps) {
		t.Errorf("no mapping of 2 MiB has the flag hg:\n%s", maps)
	}
}

// The list of getdents64(2) is taken apart without package syscall.
func TestSecondTask(t *testing.T) {
	entry := func(name string) []byte {
		length := (19 + len(name) + 1 + 7) &^ 7
		e := make([]byte, length)
		e[16] = byte(length)
		copy(e[19:], name)
		return e
	}
	list := func(names ...string) (all []byte) {
		for _, n := range names {
			all = append(all, entry(n)...)
		}
		return all
	}
	whole := list(".", "..", "4711", "4713", "4712")
	for _, test := range []struct {
		list []byte
		want string
	}{
		{whole, "4713"},
		{list(".", "..", "4711"), ""},
		{nil, ""},
		{whole[:80], ""}, // cut off
		{make([]byte, 64), ""},
		{list("1", "12345678901234567890"), "123456789012"}, // no task: no room is overrun
	} {
		var name [12]byte
		if n := secondTask(test.list, name[:]); string(name[:n]) != test.want {
			t.Errorf("%q, not %q", name[:n], test.want)
		}
	}
}
