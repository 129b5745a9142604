package cgroup

import (
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

func TestUnitNames(t *testing.T) {
	for _, c := range []struct{ slice, prefix, name, problem string }{
		{"system.slice", "rt", "box", ""},
		{"kubepods-besteffort-pod1_2.slice", "cri-containerd", "0123abc", ""},
		{"-.slice", "rt", "box", ""},
		{"system.slice", "", "box", ""},
		{"system", "rt", "box", `"system" is not the name of a slice`},
		{".slice", "rt", "box", `".slice" is not the name of a slice`},
		{"a--b.slice", "rt", "box", `"a--b.slice" is not the name of a slice`},
		{"../x.slice", "rt", "box", `"../x.slice" is not the name of a slice`},
		{"a b.slice", "rt", "box", `"a b.slice" is not the name of a slice`},
		{"system.slice", "rt", "", "name is empty"},
		{"system.slice", "rt", "user.slice", "slice, which has no processes"},
		{"system.slice", "rt", "a/b", "characters"},
		{"system.slice", "r t", "box", "characters"},
		{"system.slice", "rt", strings.Repeat("x", 250), "255"},
	} {
		err := (&Config{Parent: c.slice, Prefix: c.prefix, Name: c.name}).checkUnit()
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s:%s:%s: %v, want %q", c.slice, c.prefix, c.name, err, c.problem)
		}
	}
}

func TestUnitProperties(t *testing.T) {
	got, err := unitProperties(map[string]string{
		"org.systemd.property.TimeoutStopSec":     "uint64 5",
		"org.systemd.property.CollectMode":        "'inactive-or-failed'",
		"org.systemd.property.TimeoutAbortUSec":   "uint64 7",
		"org.systemd.property.RuntimeMaxSec":      "1.5",
		"org.example.systemd.property.NotForUs":   "at all",
		"org.systemd.property.SendSIGHUP":         "true",
		"org.systemd.property.DefaultStartupSecX": "int32 1",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]dbus.Variant{
		"TimeoutStopUSec": dbus.MakeVariant(uint64(5_000_000)), "CollectMode": dbus.MakeVariant("inactive-or-failed"),
		"TimeoutAbortUSec": dbus.MakeVariant(uint64(7)), "RuntimeMaxUSec": dbus.MakeVariant(uint64(1_500_000)),
		"SendSIGHUP": dbus.MakeVariant(true), "DefaultStartupSecX": dbus.MakeVariant(int32(1)),
	}
	if len(got) != len(want) {
		t.Errorf("%d properties, want %d: %v", len(got), len(want), got)
	}
	for _, p := range got {
		if p.Value.String() != want[p.Name].String() || p.Value.Signature() != want[p.Name].Signature() {
			t.Errorf("%s: %v, want %v", p.Name, p.Value, want[p.Name])
		}
	}
	for key, text := range map[string]string{
		"": "true", "ab": "true", "With-Dash": "true", "Description": "no quotes", "TimeoutStopSec": "'long'", "RuntimeMaxSec": "-1",
	} {
		key = propertyPrefix + key
		if _, err := unitProperties(map[string]string{key: text}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %s: %v", key, text, err)
		}
	}
}
