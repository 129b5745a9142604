package seccomp

import "golang.org/x/sys/unix"

// struct seccomp_data (seccomp(2)): int nr, __u32 arch, __u64
// instruction_pointer, __u64 args[6].
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// half is 32 bits of an argument: BPF has no larger words.
type half struct {
	offset      uint32
	mask, value uint32
}

func (c *compiler) halves(cond condition) (high, low half) {
	offset := offsetArgs + 8*uint32(cond.arg)
	high = half{offset + 4, uint32(cond.mask >> 32), uint32(cond.value >> 32)}
	low = half{offset, uint32(cond.mask), uint32(cond.value)}
	if c.machine.bigEndian {
		high.offset, low.offset = low.offset, high.offset
	}
	return high, low
}

// leaf is the code of a verdict.
func (c *compiler) leaf(index int) position {
	v := &c.verdicts[index]
	if len(v.rules) == 0 {
		return c.asm.ret(v.otherwise)
	}
	if c.placed[index] == nowhere {
		c.placed[index] = c.rules(v)
	}
	return c.placed[index]
}

// rules asks the rules of a verdict, one after the other. The last is written
// first.
func (c *compiler) rules(v *verdict) position {
	at := c.asm.ret(v.otherwise)
	for end := len(v.rules); end > 0; {
		start := end - 1
		for start > 0 && v.rules[start-1].alike(&v.rules[end-1], v.wide) {
			start--
		}
		if end-start > 1 {
			at = c.choice(v.rules[start:end], v.wide, at)
		} else {
			at = c.rule(&v.rules[start], v.wide, at)
		}
		end = start
	}
	return at
}

// alike says that two rules compare the same bits of the same argument, and
// nothing else, and differ in the lower half of the value only.
func (r *rule) alike(other *rule, wide bool) bool {
	if len(r.when) != 1 || len(other.when) != 1 {
		return false
	}
	a, b := r.when[0], other.when[0]
	return a.op == opEqual && !a.negate && uint32(a.mask) != 0 &&
		b.op == opEqual && !b.negate && a.arg == b.arg && a.mask == b.mask &&
		(!wide || a.value>>32 == b.value>>32)
}

// choice is a number of rules that are alike: the argument is loaded once.
func (c *compiler) choice(rules []rule, wide bool, otherwise position) position {
	high, low := c.halves(rules[0].when[0])
	at := otherwise
	for i := len(rules) - 1; i >= 0; i-- {
		at = c.asm.jump(unix.BPF_JEQ, uint32(rules[i].when[0].value), c.asm.ret(rules[i].then), at)
	}
	at = c.loadMasked(low, at)
	if wide && high.mask != 0 {
		at = c.equal(high, at, otherwise)
	}
	return at
}

// rule is one rule: all conditions must hold.
func (c *compiler) rule(r *rule, wide bool, otherwise position) position {
	at := c.asm.ret(r.then)
	for i := len(r.when) - 1; i >= 0; i-- {
		at = c.condition(r.when[i], wide, at, otherwise)
	}
	return at
}

func (c *compiler) condition(cond condition, wide bool, yes, no position) position {
	if cond.negate {
		yes, no = no, yes
	}
	high, low := c.halves(cond)
	if cond.op == opEqual {
		at := c.equal(low, yes, no)
		if wide {
			at = c.equal(high, at, no)
		}
		return at
	}
	comparison := uint16(unix.BPF_JGT)
	if cond.op == opGreaterEqual {
		comparison = unix.BPF_JGE
	}
	at := c.asm.load(low.offset, c.asm.jump(comparison, low.value, yes, no))
	if wide {
		// The lower half counts only if the upper ones are equal.
		at = c.asm.jump(unix.BPF_JEQ, high.value, at, no)
		at = c.asm.load(high.offset, c.asm.jump(unix.BPF_JGT, high.value, yes, at))
	}
	return at
}

// equal compares a half of an argument under its mask.
func (c *compiler) equal(h half, yes, no position) position {
	switch {
	case h.mask == 0:
		return yes
	case h.value == 0 && h.mask != ^uint32(0):
		return c.asm.load(h.offset, c.asm.jump(unix.BPF_JSET, h.mask, no, yes))
	}
	return c.loadMasked(h, c.asm.jump(unix.BPF_JEQ, h.value, yes, no))
}

func (c *compiler) loadMasked(h half, next position) position {
	if h.mask != ^uint32(0) {
		next = c.asm.mask(h.mask, next)
	}
	return c.asm.load(h.offset, next)
}
