package main

import (
	"debug/elf"
	"debug/gosym"
	"fmt"
	"strings"
)

// symbols name the functions of rt.
type symbols struct{ table *gosym.Table }

// readSymbols reads the table that the Go runtime itself needs; it is in a stripped binary,
// too.
func readSymbols(path string) (*symbols, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, text := f.Section(".gopclntab"), f.Section(".text")
	if lines == nil || text == nil {
		return nil, fmt.Errorf("%s: no .gopclntab", path)
	}
	data, err := lines.Data()
	if err != nil {
		return nil, err
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	if err != nil {
		return nil, err
	}
	return &symbols{table}, nil
}

// functions are the names of a call's callers, the innermost first.
func (s *symbols) functions(pcs []uint64) (names []string) {
	for i, pc := range pcs {
		if i > 0 {
			pc-- // of the call, not of the return
		}
		if f := s.table.PCToFunc(pc); f != nil {
			names = append(names, f.Name)
		}
	}
	return names
}

// wrappers are the functions through which all calls go.
var wrappers = []string{"internal/runtime/syscall", "syscall.", "golang.org/x/sys/unix."}

// runtimes tells whether the Go runtime makes a call by itself.
func runtimes(names []string) bool {
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "runtime.") && name != "runtime.asmcgocall":
			return true
		case !strings.HasPrefix(name, "internal/runtime/"):
			return false
		}
	}
	return true
}

// where is a call in words: the functions above the wrappers.
func where(names []string) string {
	var list []string
	for _, name := range names {
		wrapper := false
		for _, w := range wrappers {
			wrapper = wrapper || strings.HasPrefix(name, w)
		}
		if !wrapper && len(list) < 5 {
			list = append(list, name[strings.LastIndexByte(name, '/')+1:])
		}
	}
	return strings.Join(list, " < ")
}
