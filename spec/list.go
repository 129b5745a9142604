package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// maxListed limits the numbers of a list: the kernel supports at most 8192 CPUs and 1024
// memory nodes.
const maxListed = 8191

// listed has a bit for every number.
type listed [(maxListed + 1) / 64]uint64

// ParseList reads a list of CPUs or memory nodes in the "list format" of
// cpuset(7): numbers and ranges with commas between, such as "0-3,7", and
// "0-15:2/4" for the first two of every four. The result is in ascending order
// and names every number once.
func ParseList(list string) ([]int, error) {
	var set listed
	for item := range strings.SplitSeq(list, ",") {
		if err := set.add(strings.TrimSpace(item)); err != nil {
			return nil, err
		}
	}
	var numbers []int
	for i := range maxListed + 1 {
		if set[i/64]&(1<<(i%64)) != 0 {
			numbers = append(numbers, i)
		}
	}
	return numbers, nil
}

// add puts the numbers of one item into the set.
func (set *listed) add(item string) error {
	span, groups, grouped := strings.Cut(item, ":")
	from, until, isRange := strings.Cut(span, "-")
	if !isRange {
		until = from
	}
	used, size := "1", "1"
	if grouped {
		used, size, _ = strings.Cut(groups, "/")
	}
	var n [4]int
	for i, text := range []string{from, until, used, size} {
		number, err := strconv.ParseUint(text, 10, 32)
		if err != nil || grouped && !isRange {
			return fmt.Errorf("%q is neither a number nor a range such as 0-3", item)
		}
		if number > maxListed {
			return fmt.Errorf("%s is above %d", text, maxListed)
		}
		n[i] = int(number)
	}
	if n[0] > n[1] || n[2] == 0 || n[2] > n[3] {
		return fmt.Errorf("%q contains no number", item)
	}
	for i := n[0]; i <= n[1]; i++ {
		if (i-n[0])%n[3] < n[2] {
			set[i/64] |= 1 << (i % 64)
		}
	}
	return nil
}

// list checks a list of CPUs or memory nodes.
func (v *validator) list(field, list string) {
	if list == "" {
		return
	}
	if _, err := ParseList(list); err != nil {
		v.add(field, "%q is not a list such as 0-3,7: %v", list, err)
	}
}
