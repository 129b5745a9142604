package seccomp

import (
	"math"

	"github.com/rtcontainers/rt/internal/defence"
	"golang.org/x/sys/unix"
)

// span is a range of system call numbers with the same verdict. It ends where
// the next one begins.
type span struct {
	first   uint32
	verdict int
}

// spans divide all 2^32 numbers.
type spans []span

func (s *spans) add(first uint32, verdict int) {
	if n := len(*s); n == 0 || (*s)[n-1].verdict != verdict {
		*s = append(*s, span{first, verdict})
	}
}

// last is the last number of span i.
func (s spans) last(i int) uint32 {
	if i == len(s)-1 {
		return math.MaxUint32
	}
	return s[i+1].first - 1
}

func (s spans) single(i int) bool { return s.last(i) == s[i].first }

// spansOf divides the numbers of one audit value, which the architectures
// from first to end (exclusive) share.
func (c *compiler) spansOf(first, end int) spans {
	var s spans
	for i := first; i < end; i++ {
		last := uint32(math.MaxUint32)
		if i+1 < end {
			last = c.machine.archs[i+1].base - 1
		}
		if c.listed[i] {
			c.addArch(&s, i, last)
			continue
		}
		other := uint32(badArch)
		if defence.Off(defence.Seccomp) {
			other = unix.SECCOMP_RET_ALLOW
		}
		s.add(c.machine.archs[i].base, c.constant(other))
		if i > first && last == math.MaxUint32 {
			// A tracer skips a call by setting its number to -1, since Linux
			// 4.8 before the filter runs. Such a thread must not be killed.
			s.add(math.MaxUint32, c.constant(c.fallback))
		}
	}
	return s
}

// addArch appends an architecture's rules and what lies between them.
func (c *compiler) addArch(s *spans, arch int, last uint32) {
	a, rules := &c.machine.archs[arch], &c.arch[arch]
	enosys := rules.largest > 0 && !permissive(c.fallback)
	unknown := uint32(noSuchCall)
	if defence.Off(defence.Seccomp) {
		unknown = unix.SECCOMP_RET_ALLOW
	}
	// gap fills the numbers from next up to, and without, the number end.
	next := uint64(a.base)
	gap := func(end uint64) {
		limit := uint64(rules.largest) + 1
		if next < end && (!enosys || next < limit) {
			s.add(uint32(next), c.constant(c.fallback))
			next = min(max(limit, next), end)
		}
		if next < end && enosys {
			s.add(uint32(next), c.constant(unknown))
		}
	}
	if a.setup && enosys {
		s.add(0, c.constant(noSuchCall))
		next = 1
	}
	for uses := rules.sorted(); len(uses) > 0; {
		n := 1
		for n < len(uses) && uses[n].number == uses[0].number {
			n++
		}
		if number := uint64(uses[0].number); number >= next {
			gap(number)
			s.add(uint32(number), c.verdict(uses[:n], a.wide))
			next = number + 1
		}
		uses = uses[n:]
	}
	gap(uint64(last) + 1)
}
