package cgroup

import (
	"math/rand/v2"
	"strings"
	"testing"

	devices "github.com/opencontainers/cgroups/devices/config"
)

// kernelV1 decides as devcgroup_check_permission does, by what was written to
// devices.allow and devices.deny.
type kernelV1 struct {
	allow bool
	list  []devices.Rule
}

func (k *kernelV1) write(r *devices.Rule) {
	for i := range k.list {
		e := &k.list[i]
		if e.Type != r.Type || e.Major != r.Major || e.Minor != r.Minor {
			continue
		}
		for _, access := range string(r.Permissions) {
			e.Permissions = devices.Permissions(strings.ReplaceAll(string(e.Permissions), string(access), ""))
		}
		if r.Allow != k.allow {
			e.Permissions += r.Permissions
		}
		return
	}
	if r.Allow != k.allow {
		k.list = append(k.list, *r)
	}
}

func (k *kernelV1) may(kind devices.Type, major, minor int64, access string) bool {
	for _, e := range k.list {
		if e.Type == kind && meet(e.Major, major) && meet(e.Minor, minor) && strings.Contains(string(e.Permissions), access) {
			return !k.allow
		}
	}
	return k.allow
}

// last is the last rule that matches.
func last(rules []*devices.Rule, kind devices.Type, major, minor int64, access string) bool {
	allow := false
	for _, r := range rules {
		if (r.Type == kind || r.Type == devices.WildcardDevice) && meet(r.Major, major) && meet(r.Minor, minor) && strings.Contains(string(r.Permissions), access) {
			allow = r.Allow
		}
	}
	return allow
}

// The written rules mean the same as the given ones, or there is an error.
func TestExceptionsMeanTheRules(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(n ...int64) int64 { return n[random.IntN(len(n))] }
	refused, decisions := 0, 0
	for range 20000 {
		var rules []*devices.Rule
		for range 1 + random.IntN(5) {
			rules = append(rules, &devices.Rule{
				Type: devices.Type([]rune("abc")[random.IntN(3)]), Major: pick(devices.Wildcard, 1, 2), Minor: pick(devices.Wildcard, 1, 2),
				Permissions: devices.Permissions([]string{"r", "rw", "rwm", "m"}[random.IntN(4)]), Allow: random.IntN(2) == 0,
			})
		}
		plan, allow, err := exceptions(rules)
		if err != nil {
			refused++
			continue
		}
		k := kernelV1{allow: allow}
		for _, r := range plan {
			k.write(r)
		}
		for _, kind := range []devices.Type{devices.CharDevice, devices.BlockDevice} {
			for major := range int64(3) {
				for minor := range int64(3) {
					for _, access := range []string{"r", "w", "m"} {
						decisions++
						if got, want := k.may(kind, major, minor, access), last(rules, kind, major, minor, access); got != want {
							var text []string
							for _, r := range rules {
								text = append(text, ruleText(r))
							}
							t.Fatalf("%c %d:%d %s: %v, want %v, of %q", kind, major, minor, access, got, want, text)
						}
					}
				}
			}
		}
	}
	if refused > 15000 || decisions < 100000 {
		t.Errorf("%d of 20000 lists were refused, %d decisions were compared", refused, decisions)
	}
}
