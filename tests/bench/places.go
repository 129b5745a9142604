package main

import (
	"debug/elf"
	"fmt"

	"github.com/rtcontainers/rt/tests/bench/perf"
	"github.com/rtcontainers/rt/tests/bench/stats"
	"golang.org/x/sys/unix"
)

// places says where page faults are: in which section of rt's executable, in the heap of Go, on the
// stack, or in which piece of memory that Go asked the kernel for. The executable is static and not relocated, so that the addresses of
// its sections are those of the process.
type places struct {
	sections []elf.SectionHeader
	// mappings are what the command has mapped so far, asked are the threads' calls that have not
	// returned yet.
	mappings []mapping
	asked    map[int]mapping
	// now are the faults of the command that runs, all those of the samples by command.
	now map[string]float64
	all map[string]map[string][]float64
	// runs is the number of samples of a command.
	runs map[string]int
}

func newPlaces(path string) (*places, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if file.Type != elf.ET_EXEC {
		return nil, fmt.Errorf("%s: a program that is relocated has no fixed places", path)
	}
	p := &places{all: map[string]map[string][]float64{}, runs: map[string]int{}}
	for _, s := range file.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 {
			p.sections = append(p.sections, s.SectionHeader)
		}
	}
	return p, nil
}

// mapping is a piece of memory that mmap(2) returned.
type mapping struct {
	address, length uint64
	file            bool
}

func (p *places) begin() {
	p.now, p.mappings, p.asked = map[string]float64{}, nil, map[int]mapping{}
}

func (p *places) see(e perf.Event) {
	switch {
	case e.Kind == perf.Fault:
		p.now[p.place(e.Address)]++
	case e.Kind == perf.Enter && e.Number == unix.SYS_MMAP:
		p.asked[e.TID] = mapping{length: e.Args[1], file: e.Args[3]&unix.MAP_ANONYMOUS == 0}
	case e.Kind == perf.Return && e.Number == unix.SYS_MMAP:
		m := p.asked[e.TID]
		m.address = uint64(e.Result)
		p.mappings = append(p.mappings, m)
	}
}

// Go takes its heap in arenas of 64 MiB at multiples of their size, goroutines' stacks included.
const arena = 64 << 20

func (p *places) place(address uint64) string {
	const page = 4096
	for _, s := range p.sections {
		// The first section that has a part of the page: the kernel maps pages, not sections.
		if address >= s.Addr && address < s.Addr+s.Size {
			return section(s.Name)
		}
	}
	for _, s := range p.sections {
		if address >= s.Addr&^(page-1) && address < (s.Addr+s.Size+page-1)&^(page-1) {
			return section(s.Name)
		}
	}
	// Go reserves a large piece before it maps parts of it: the first that has the address says
	// what it is for.
	for _, m := range p.mappings {
		if address < m.address || address >= m.address+m.length {
			continue
		}
		switch {
		case m.file:
			return "mapped file"
		case m.length == arena && m.address%arena == 0:
			return "Go heap and stacks"
		}
		return "Go's tables, mmap of " + size(m.length)
	}
	return "stack, vdso"
}

// size is in the largest unit that it is a multiple of.
func size(bytes uint64) string {
	if bytes%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}

// section joins the sections that lie in the same segment.
func section(name string) string {
	switch name {
	case ".text":
		return "text"
	case ".data", ".noptrdata", ".go.buildinfo":
		return "data"
	case ".bss", ".noptrbss":
		return "bss"
	case ".gopclntab":
		return "rodata: table of functions"
	}
	return "rodata"
}

// end makes a sample of the faults since begin.
func (p *places) end(command string) {
	if p.all[command] == nil {
		p.all[command] = map[string][]float64{}
	}
	samples := p.all[command]
	for place, n := range p.now {
		// A place that was not touched before had none.
		for len(samples[place]) < p.runs[command] {
			samples[place] = append(samples[place], 0)
		}
		samples[place] = append(samples[place], n)
	}
	p.runs[command]++
}

func (p *places) medians() map[string]map[string]float64 {
	medians := map[string]map[string]float64{}
	for command, samples := range p.all {
		medians[command] = map[string]float64{}
		for place, list := range samples {
			for len(list) < p.runs[command] {
				list = append(list, 0)
			}
			medians[command][place] = stats.Median(list)
		}
	}
	return medians
}
