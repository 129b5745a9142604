package cgroup

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"

	systemddbus "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
	"github.com/opencontainers/cgroups"
	devices "github.com/opencontainers/cgroups/devices/config"
	"github.com/opencontainers/cgroups/systemd"
	"github.com/rtcontainers/rt/internal/defence"
	"github.com/rtcontainers/rt/internal/sysfile"
)

// rt sets device rules itself, except under systemd: there the library does, through a
// plug-in. The library's own one, the package devices, brings a second assembler and its
// dependencies into every start, and asks the kernel for features that are older than
// rt's minimum. A program that links it keeps it.
func init() {
	if cgroups.DevicesSetV1 == nil {
		cgroups.DevicesSetV1 = func(dir string, r *cgroups.Resources) error {
			if r.SkipDevices {
				return nil
			}
			return setDevicesV1(dir, r.Devices)
		}
	}
	if cgroups.DevicesSetV2 == nil {
		cgroups.DevicesSetV2 = func(dir string, r *cgroups.Resources) error {
			if r.SkipDevices {
				return nil
			}
			return setDevicesV2(dir, r.Devices)
		}
	}
	if systemd.GenerateDeviceProps == nil {
		systemd.GenerateDeviceProps = func(r *cgroups.Resources, _ int) ([]systemddbus.Property, error) {
			if r.SkipDevices {
				return nil, nil
			}
			return deviceProperties(r.Devices), nil
		}
	}
}

func setDevicesV1(dir string, rules []*devices.Rule) error {
	if sysfile.InUserNamespace() || defence.Off(defence.DeviceRules) {
		return nil
	}
	if dir == "" {
		return errors.New("the devices controller is not mounted")
	}
	return restrictV1(dir, rules)
}

func setDevicesV2(dir string, rules []*devices.Rule) error {
	if defence.Off(defence.DeviceRules) {
		return nil
	}
	err := restrictV2(dir, rules)
	if err != nil && sysfile.InUserNamespace() {
		return nil // nor can device nodes be made there
	}
	return err
}

// restrictV1 writes the rules of a cgroup without processes.
func restrictV1(dir string, rules []*devices.Rule) error {
	rules, allow, err := exceptions(rules)
	if err != nil {
		return err
	}
	all := devices.Rule{Type: devices.WildcardDevice, Major: devices.Wildcard, Minor: devices.Wildcard, Permissions: "rwm", Allow: allow}
	err = writeRules(dir, append([]*devices.Rule{&all}, rules...))
	if err != nil && !allow {
		// A cgroup with others below it does not accept the rule for all devices. If it
		// allows only single devices, they can be removed one by one.
		list, readErr := sysfile.Read(filepath.Join(dir, "devices.list"))
		if readErr != nil || strings.HasPrefix(string(list), "a ") {
			return err
		}
		if list := strings.Split(strings.TrimSpace(string(list)), "\n"); list[0] != "" {
			if err := sysfile.WriteEach(filepath.Join(dir, "devices.deny"), list...); err != nil {
				return err
			}
		}
		return writeRules(dir, rules)
	}
	return err
}

func writeRules(dir string, rules []*devices.Rule) error {
	for len(rules) > 0 {
		name := "devices.deny"
		if rules[0].Allow {
			name = "devices.allow"
		}
		var alike []string // consecutive rules for one file
		for allow := rules[0].Allow; len(rules) > 0 && rules[0].Allow == allow; rules = rules[1:] {
			alike = append(alike, ruleText(rules[0]))
		}
		if err := sysfile.WriteEach(filepath.Join(dir, name), alike...); err != nil {
			return err
		}
	}
	return nil
}

// ruleText is a rule in the form of devices.allow and devices.deny. (The library's own
// function uses fmt, which a short program feels.)
func ruleText(r *devices.Rule) string {
	return string(r.Type) + " " + number(r.Major) + ":" + number(r.Minor) + " " + string(r.Permissions)
}

func number(n int64) string {
	if n == devices.Wildcard {
		return "*"
	}
	return strconv.FormatInt(n, 10)
}

// deviceAllow is an entry of a unit's property DeviceAllow: org.freedesktop.systemd1(5).
type deviceAllow struct{ Path, Access string }

// deviceProperties tell systemd about the device rules, as far as it can express them:
// systemd.resource-control(5), DeviceAllow=. rt sets the exact rules itself; these are for
// when systemd sets its own again.
func deviceProperties(rules []*devices.Rule) []systemddbus.Property {
	property := func(name string, value any) systemddbus.Property {
		return systemddbus.Property{Name: name, Value: dbus.MakeVariant(value)}
	}
	rules, allow := effective(rules)
	list := []deviceAllow{}
	if allow {
		return []systemddbus.Property{property("DeviceAllow", list), property("DevicePolicy", "auto")}
	}
	for _, r := range rules {
		if !r.Allow || r.Major == devices.Wildcard && r.Minor != devices.Wildcard {
			continue
		}
		for kind, word := range map[devices.Type]string{devices.CharDevice: "char", devices.BlockDevice: "block"} {
			if r.Type != kind && r.Type != devices.WildcardDevice {
				continue
			}
			path := word + "-" + number(r.Major) // "char-*", and since systemd 240 "char-136"
			if r.Minor != devices.Wildcard {
				path = "/dev/" + word + "/" + number(r.Major) + ":" + number(r.Minor)
			}
			list = append(list, deviceAllow{path, string(r.Permissions)})
		}
	}
	// The first one removes the rules of an existing unit.
	return []systemddbus.Property{property("DeviceAllow", []deviceAllow{}), property("DevicePolicy", "strict"), property("DeviceAllow", list)}
}
