package cgroup

import (
	"fmt"
	"slices"

	devices "github.com/opencontainers/cgroups/devices/config"
)

// ruleError is about one of linux.resources.devices.
type ruleError struct {
	index int
	text  string
}

func (e *ruleError) Error() string {
	return fmt.Sprintf("linux.resources.devices[%d]: %s", e.index, e.text)
}

// exception is an entry of cgroup v1's list: it differs from the default for a kind of
// device, and knows the place of its rule in the list.
type exception struct {
	devices.Rule
	index int
}

// exceptions converts rules into ones that mean the same on cgroup v1:
// Documentation/admin-guide/cgroup-v1/devices.rst. The kernel keeps a default and a list
// of exceptions. It removes an exception only for exactly the numbers that made it,
// silently ignores other rules, and stops reading a rule after the letter "a". A rule that
// removes a part of an exception is an error.
func exceptions(rules []*devices.Rule) (plan []*devices.Rule, allow bool, err error) {
	rest, allow := effective(rules)
	first := len(rules) - len(rest)
	var kept []exception
	for i, r := range rest {
		for _, kind := range kinds(r.Type) {
			part := exception{*r, first + i}
			part.Type = kind
			if r.Allow != allow {
				kept = append(kept, part)
				plan = append(plan, &part.Rule)
				continue
			}
			back, err := takeBack(kept, part)
			if err != nil {
				return nil, false, err
			}
			plan = append(plan, back...)
		}
	}
	return plan, allow, nil
}

func kinds(t devices.Type) []devices.Type {
	if t == devices.WildcardDevice {
		return []devices.Type{devices.CharDevice, devices.BlockDevice}
	}
	return []devices.Type{t}
}

// takeBack makes the rules that remove the exceptions that a rule covers, and removes them
// from the list.
func takeBack(kept []exception, rule exception) (plan []*devices.Rule, err error) {
	for i := range kept {
		e := &kept[i]
		common := accesses(e.Permissions) & accesses(rule.Permissions)
		if common == 0 || e.Type != rule.Type || !meet(e.Major, rule.Major) || !meet(e.Minor, rule.Minor) {
			continue
		}
		if !covers(rule.Major, e.Major) || !covers(rule.Minor, e.Minor) {
			return nil, &ruleError{min(rule.index, e.index), fmt.Sprintf(
				"cgroup v1 cannot except %s from %s: name the devices of the wider rule one by one", ruleText(&rule.Rule), ruleText(&e.Rule))}
		}
		back := rule.Rule
		back.Major, back.Minor = e.Major, e.Minor
		plan = append(plan, &back)
		e.Permissions = devices.Permissions(slices.DeleteFunc([]rune(string(e.Permissions)), func(access rune) bool {
			return accesses(devices.Permissions(access))&common != 0
		}))
	}
	return plan, nil
}

// meet tells whether two numbers, which may be wildcards, overlap.
func meet(a, b int64) bool { return a == b || a == devices.Wildcard || b == devices.Wildcard }

// covers tells whether a number, or the wildcard, covers everything that another one
// covers.
func covers(a, b int64) bool { return a == b || a == devices.Wildcard }
