package seccomp

import (
	"slices"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// program is the whole filter. The machine's own architecture is asked first.
//
// For calls that are always allowed the kernel does not run it at all: since
// Linux 5.11 it tries every number when the filter is installed, and remembers
// those that are allowed whatever the arguments (kernel/seccomp.c,
// seccomp_cache_prepare). So a flat tree makes the installation quick, which
// is part of starting a container, and helps where arguments are compared.
func (c *compiler) program() []unix.SockFilter {
	at := c.asm.ret(badArch)
	var own group
	for _, g := range c.groups() {
		if g.native {
			own = g
			continue
		}
		at = c.asm.jump(unix.BPF_JEQ, g.audit, c.numbers(g), at)
	}
	if defence.Off(defence.Seccomp) {
		return c.asm.program(c.numbers(own))
	}
	at = c.asm.jump(unix.BPF_JEQ, own.audit, c.numbers(own), at)
	return c.asm.program(c.asm.load(offsetArch, at))
}

// group is a range of the machine's architectures with the same audit value.
type group struct {
	first, end int
	audit      uint32
	native     bool
	covered    bool
}

// groups are those of which the profile covers at least one architecture.
func (c *compiler) groups() []group {
	var list []group
	for i, a := range c.machine.archs {
		if n := len(list); n == 0 || list[n-1].audit != a.audit {
			list = append(list, group{first: i, audit: a.audit})
		}
		g := &list[len(list)-1]
		g.end = i + 1
		g.native = g.native || a.name == c.machine.native
		g.covered = g.covered || c.listed[i]
	}
	return slices.DeleteFunc(list, func(g group) bool { return !g.covered })
}

// numbers is the code that decides about a system call by its number.
func (c *compiler) numbers(g group) position {
	s := c.spansOf(g.first, g.end)
	if len(s) == 1 {
		return c.leaf(s[0].verdict)
	}
	return c.asm.load(offsetNumber, c.tree(s, units(s)))
}

// unit is a part of the search tree's lowest level: a range of spans that are
// told apart by asking for single numbers, in steps many questions. All other
// numbers have the verdict outer.
type unit struct {
	first, end int
	outer      int
	steps      int
}

// maxSteps limits the questions of one unit, so that the tree stays flat.
const maxSteps = 3

// units divides the spans so that the program has as few instructions as
// possible: each unit costs its questions, and one to find it.
func units(s spans) []unit {
	// best[i] is the best first unit for the spans from i on, at cost[i].
	best := make([]unit, len(s))
	cost := make([]int, len(s)+1)
	for i := len(s) - 1; i >= 0; i-- {
		cost[i] = len(s) * (maxSteps + 1)
		for o := i; o < len(s) && o <= i+maxSteps; o++ {
			u := unit{first: i, end: i, outer: s[o].verdict}
			for u.extend(s) {
				if total := u.steps + 1 + cost[u.end]; total < cost[i] {
					best[i], cost[i] = u, total
				}
			}
		}
	}
	var list []unit
	for i := 0; i < len(s); i = best[i].end {
		list = append(list, best[i])
	}
	return list
}

// extend makes the unit one span longer, if it can be.
func (u *unit) extend(s spans) bool {
	switch {
	case u.end == len(s):
		return false
	case s[u.end].verdict == u.outer:
	case s.single(u.end) && u.steps < maxSteps:
		u.steps++
	default:
		return false
	}
	u.end++
	return true
}

// tree is a binary search for the unit of a number.
func (c *compiler) tree(s spans, list []unit) position {
	if len(list) == 1 {
		return c.unit(s, list[0])
	}
	m := middle(list)
	high := c.tree(s, list[m:])
	low := c.tree(s, list[:m])
	return c.asm.jump(unix.BPF_JGE, s[list[m].first].first, high, low)
}

// middle divides a list so that both sides become trees of about equal depth:
// a unit of n steps is as deep as a tree of 2^n units.
func middle(list []unit) int {
	total := 0
	for _, u := range list {
		total += 1 << u.steps
	}
	sum := 1 << list[0].steps
	for m := 1; m < len(list)-1; m++ {
		next := sum + 1<<list[m].steps
		if next-total/2 > total/2-sum {
			return m
		}
		sum = next
	}
	return len(list) - 1
}

func (c *compiler) unit(s spans, u unit) position {
	at := c.leaf(u.outer)
	for i := u.end - 1; i >= u.first; i-- {
		if s[i].verdict != u.outer {
			at = c.asm.jump(unix.BPF_JEQ, s[i].first, c.leaf(s[i].verdict), at)
		}
	}
	return at
}
