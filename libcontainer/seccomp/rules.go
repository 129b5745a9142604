package seccomp

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// compiler turns one profile into one program.
type compiler struct {
	machine *machine
	filter  *Filter
	listed  [maxArchs]bool
	// fallback is the default action's value.
	fallback uint32
	arch     [maxArchs]archRules
	verdicts []verdict
	asm      assembler
	// placed is where the code of a verdict begins, for those that have some.
	placed []position
}

// archRules are the rules of a profile that concern one architecture.
type archRules struct {
	uses []use
	// largest is the largest number of its table that the profile names.
	largest uint32
}

// sorted are the uses by number, those of one number in the profile's order.
func (a *archRules) sorted() []*use {
	keys := make([]uint64, len(a.uses)) // number and order: one word sorts fast
	for i := range a.uses {
		keys[i] = uint64(a.uses[i].number)<<32 | uint64(i)
	}
	slices.Sort(keys)
	list := make([]*use, len(keys))
	for i, key := range keys {
		list[i] = &a.uses[uint32(key)]
	}
	return list
}

// use is a rule of the profile applied to one number.
type use struct {
	number uint32
	when   []conjunction // one of them; an empty conjunction always holds
	then   uint32
}

// rule is a rule of a verdict.
type rule struct {
	when conjunction
	then uint32
}

// verdict decides about a number: the first rule that holds, or otherwise.
type verdict struct {
	rules     []rule
	otherwise uint32
	wide      bool
}

func (c *compiler) readRules(profile *specs.LinuxSeccomp) {
	c.fallback = result(profile.DefaultAction, profile.DefaultErrnoRet)
	total := 0
	for i := range profile.Syscalls {
		total += min(len(profile.Syscalls[i].Names), manyNames)
	}
	for i := range c.machine.archs {
		c.arch[i].uses = make([]use, 0, total)
	}
	for i := range profile.Syscalls {
		s := &profile.Syscalls[i]
		r := profileRule{
			index:     i,
			then:      result(s.Action, s.ErrnoRet),
			condition: len(s.Args) > 0,
		}
		r.redundant = r.then == c.fallback
		for _, list := range alternatives(s.Args) {
			r.narrow = append(r.narrow, list.adapt(false))
			r.wide = append(r.wide, list.adapt(true))
		}
		for _, name := range distinct(s.Names) {
			direct, through := c.direct(&r, name), c.through(&r, name)
			if !direct && !through {
				c.filter.Unknown = append(c.filter.Unknown, name)
			}
		}
	}
}

// manyNames is more than there are system calls.
const manyNames = 1000

// distinct leaves out repeated names of a long list.
func distinct(names []string) []string {
	if len(names) < manyNames {
		return names
	}
	seen := make(map[string]bool)
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		again := seen[name]
		seen[name] = true
		return again
	})
}

// profileRule is an entry of the profile's list.
type profileRule struct {
	index        int
	then         uint32
	redundant    bool // does what the default action does
	condition    bool
	narrow, wide []conjunction
}

// direct applies a rule to a system call's own numbers. It says whether the
// machine has the call.
func (c *compiler) direct(r *profileRule, name string) bool {
	numbers := c.machine.lookup(name)
	if numbers == nil {
		return false
	}
	for i, a := range c.machine.archs {
		if numbers[i] < 0 || !c.listed[i] {
			continue
		}
		number := a.base + uint32(numbers[i])
		if a.private == 0 || number < a.private {
			c.arch[i].largest = max(c.arch[i].largest, number)
		} else if r.redundant {
			// A use without rules: the call has been named.
			c.arch[i].uses = append(c.arch[i].uses, use{number: number})
		}
		when := r.narrow
		if a.wide {
			when = r.wide
		}
		c.use(i, number, r, when)
	}
	return true
}

// through applies a rule to the call that multiplexes the named one.
func (c *compiler) through(r *profileRule, name string) (found bool) {
	multiplexer, cond := multiplexed(name)
	if multiplexer == "" {
		return false
	}
	for i, a := range c.machine.archs {
		number, ok := c.machine.number(multiplexer, i)
		found = found || ok
		if !ok || !c.listed[i] {
			continue
		}
		c.arch[i].largest = max(c.arch[i].largest, number)
		when := conjunction{cond}.adapt(a.wide)
		c.use(i, number, r, []conjunction{when})
		if r.condition && !r.redundant {
			c.filter.warn("linux.seccomp.syscalls[%d].args: %s can call %s through %s, whose arguments "+
				"a filter cannot see: the rule holds for all of them", r.index, a.name, name, multiplexer)
		}
	}
	return found
}

func (c *compiler) use(arch int, number uint32, r *profileRule, when []conjunction) {
	if !r.redundant {
		a := &c.arch[arch]
		a.uses = append(a.uses, use{number, when, r.then})
	}
}

// verdict is what the rules for one number, in the profile's order, amount to.
func (c *compiler) verdict(uses []*use, wide bool) int {
	v := verdict{otherwise: c.fallback, wide: wide}
	var seen conjunctions
	for _, u := range uses {
		for _, when := range u.when {
			if len(when) == 0 {
				return c.constant(u.then)
			}
			if seen.add(when) {
				v.rules = append(v.rules, rule{when, u.then})
			}
		}
	}
	return c.intern(v)
}

// conjunctions is a set of them.
type conjunctions struct {
	few  []conjunction
	many map[[maxArgs]condition]bool
}

// add tells whether the conjunction is new. A few are compared faster than found.
func (s *conjunctions) add(when conjunction) bool {
	const enough = 16
	if s.many == nil {
		if slices.ContainsFunc(s.few, func(other conjunction) bool { return slices.Equal(other, when) }) {
			return false
		}
		if s.few = append(s.few, when); len(s.few) == enough {
			s.many = make(map[[maxArgs]condition]bool)
			for _, w := range s.few {
				s.many[w.key()] = true
			}
		}
		return true
	}
	key := when.key()
	if s.many[key] {
		return false
	}
	s.many[key] = true
	return true
}

// key is the conjunction in a form that can be compared. It has at most one condition
// for each argument, and none that compares no bit.
func (list conjunction) key() (key [maxArgs]condition) {
	copy(key[:], list)
	return key
}

// constant is a verdict without conditions.
func (c *compiler) constant(result uint32) int {
	return c.intern(verdict{otherwise: result})
}

// intern gives equal verdicts the same index.
func (c *compiler) intern(v verdict) int {
	for i := range c.verdicts {
		if c.verdicts[i].equal(&v) {
			return i
		}
	}
	c.verdicts = append(c.verdicts, v)
	c.placed = append(c.placed, nowhere)
	return len(c.verdicts) - 1
}

func (v *verdict) equal(other *verdict) bool {
	return v.otherwise == other.otherwise && v.wide == other.wide &&
		slices.EqualFunc(v.rules, other.rules, func(a, b rule) bool {
			return a.then == b.then && slices.Equal(a.when, b.when)
		})
}
