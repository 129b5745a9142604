package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// operator is a comparison after LT, LE and NE have become the negations of
// GE, GT and EQ.
type operator uint8

const (
	opEqual operator = iota // of the bits in mask
	opGreater
	opGreaterEqual
)

// condition is one comparison of an argument.
type condition struct {
	arg    uint8
	op     operator
	negate bool
	mask   uint64
	value  uint64
}

func newCondition(arg specs.LinuxSeccompArg) condition {
	c := condition{arg: uint8(arg.Index), mask: ^uint64(0), value: arg.Value}
	switch arg.Op {
	case specs.OpNotEqual:
		c.negate = true
	case specs.OpGreaterThan:
		c.op = opGreater
	case specs.OpGreaterEqual:
		c.op = opGreaterEqual
	case specs.OpLessThan:
		c.op, c.negate = opGreaterEqual, true
	case specs.OpLessEqual:
		c.op, c.negate = opGreater, true
	case specs.OpMaskedEqual:
		c.mask, c.value = arg.Value, arg.ValueTwo&arg.Value
	}
	return c
}

// narrow is the condition for an architecture that compares 32 bits.
func (c condition) narrow() condition {
	c.mask &= 0xffffffff
	c.value &= 0xffffffff
	return c
}

// conjunction is a list of conditions that must all hold.
type conjunction []condition

// alternatives are the lists of conditions of a rule, one of which must hold.
// With two conditions on the same argument each condition is an alternative.
func alternatives(args []specs.LinuxSeccompArg) []conjunction {
	all := make(conjunction, len(args))
	var seen [maxArgs]bool
	repeated := false
	for i, arg := range args {
		all[i] = newCondition(arg)
		repeated = repeated || seen[arg.Index]
		seen[arg.Index] = true
	}
	if !repeated {
		return []conjunction{all}
	}
	list := make([]conjunction, len(all))
	for i := range all {
		list[i] = all[i : i+1]
	}
	return list
}

// adapt is the list for an architecture, without conditions that always hold
// because they compare no bit.
func (list conjunction) adapt(wide bool) conjunction {
	adapted := make(conjunction, 0, len(list))
	for _, c := range list {
		if !wide {
			c = c.narrow()
		}
		if c.mask != 0 {
			adapted = append(adapted, c)
		}
	}
	return adapted
}
