package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestALifecycleIsDrawnAgain: a seed and a number say everything.
func TestALifecycleIsDrawnAgain(t *testing.T) {
	w := &world{controllers: true, holder: &exec.Cmd{Process: &os.Process{Pid: 1}}}
	draw := func(seed uint64, k int) (string, []string) {
		l := &lifecycle{place: &place{bundle: "/nonexistent/bundle"}, w: w, k: k, rng: rand.New(rand.NewPCG(seed, uint64(k))), id: "id"}
		l.draw()
		data, err := json.Marshal(l.spec)
		if err != nil {
			t.Fatal(err)
		}
		return string(data), l.drawn
	}
	different := map[string]bool{}
	drawn := map[string]bool{}
	for k := range 500 {
		config, names := draw(1, k)
		again, namesAgain := draw(1, k)
		if config != again || !slices.Equal(names, namesAgain) {
			t.Fatalf("lifecycle %d differs: %v, %v", k, names, namesAgain)
		}
		different[config] = true
		for _, name := range names {
			drawn[name] = true
		}
	}
	if len(different) < 300 {
		t.Errorf("500 lifecycles have only %d configurations", len(different))
	}
	for _, f := range features {
		if !drawn[f.name] {
			t.Errorf("%q was never drawn", f.name)
		}
	}
	for _, m := range manners {
		if !drawn[m.name] {
			t.Errorf("%q was never drawn", m.name)
		}
	}
	if other, _ := draw(2, 0); different[other] {
		t.Error("another seed draws the same")
	}
}

func TestCompare(t *testing.T) {
	before := snapshot{"mounts": {"/", "/proc"}, "processes": {"1"}}
	if err := before.compare(snapshot{"mounts": {"/proc", "/"}, "processes": {"1"}}); err != nil {
		t.Errorf("the same in another order differs: %v", err)
	}
	err := before.compare(snapshot{"mounts": {"/", "/new"}, "processes": {"1"}})
	if err == nil || !strings.Contains(err.Error(), "left behind: /new") || !strings.Contains(err.Error(), "gone: /proc") {
		t.Errorf("%v, want a new mount and a missing one", err)
	}
}

func TestGrowthIsFound(t *testing.T) {
	w := &world{}
	if err := w.flat(100, 1000); err != nil || w.firstAt != 100 {
		t.Fatal(err, w.firstAt)
	}
	if err := w.flat(200, 1000); err != nil {
		t.Errorf("without growth: %v", err)
	}
	var files []*os.File
	for range 3 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if err := w.flat(300, 1000); err == nil || !strings.Contains(err.Error(), "grows") {
		t.Errorf("three more descriptors: %v", err)
	}
	for _, f := range files {
		f.Close()
	}
}

// TestReapedProcessesAreToldApart: an older process with the same pid does not count.
func TestReapedProcessesAreToldApart(t *testing.T) {
	r := reaped{of: map[int]reapedProcess{}}
	r.listen(strings.NewReader("17 256\n"))
	after := r.now()
	go func() {
		time.Sleep(5 * time.Millisecond)
		r.listen(strings.NewReader("nonsense\n17 9\n"))
	}()
	if status, ok := r.await(17, after); !ok || !status.Signaled() || status.Signal() != 9 {
		t.Errorf("status %#x, %v; want signal 9", status, ok)
	}
}
