package cgroup

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
	"github.com/opencontainers/cgroups"
	sd "github.com/opencontainers/cgroups/systemd"
)

// unitLetters are those of systemd.unit(5).
const (
	letters     = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	unitLetters = letters + "0123456789:_.\\-@"
)

// systemdPath reads linux.cgroupsPath as slice:prefix:name. An empty slice is
// that of the system's or the user's services.
func (cfg *Config) systemdPath(path, id string) error {
	if !sd.IsRunningSystemd() {
		return fmt.Errorf("--systemd-cgroup: systemd does not manage this system")
	}
	cfg.Prefix, cfg.Name = "rt", id
	if path != "" {
		parts := strings.Split(path, ":")
		if len(parts) != 3 {
			return fmt.Errorf("linux.cgroupsPath: %q is not of the form slice:prefix:name, which --systemd-cgroup needs", path)
		}
		cfg.Parent, cfg.Prefix, cfg.Name = parts[0], parts[1], parts[2]
	}
	if cfg.Parent == "" {
		cfg.Parent = "system.slice"
		if cfg.Rootless {
			cfg.Parent = "user.slice"
		}
	}
	if err := cfg.checkUnit(); err != nil {
		return fmt.Errorf("linux.cgroupsPath: %q: %w", path, err)
	}
	return nil
}

// Scope is the systemd unit of the cgroup, or "".
func (cfg *Config) Scope() string {
	if !cfg.Systemd {
		return ""
	}
	return cfg.Prefix + "-" + cfg.Name + ".scope"
}

// checkUnit requires names that systemd accepts: its own errors would not name the field.
func (cfg *Config) checkUnit() error {
	if _, err := sd.ExpandSlice(cfg.Parent); err != nil || strings.Trim(cfg.Parent, unitLetters) != "" {
		return fmt.Errorf("%q is not the name of a slice, such as system.slice or a-b.slice", cfg.Parent)
	}
	const longest = 255
	scope := cfg.Prefix + "-" + cfg.Name + ".scope"
	switch {
	case cfg.Name == "":
		return fmt.Errorf("the name is empty")
	case strings.HasSuffix(cfg.Name, ".slice"):
		return fmt.Errorf("the name %q is that of a slice, which has no processes of its own", cfg.Name)
	case strings.Trim(scope, unitLetters) != "":
		return fmt.Errorf(`prefix and name %q have other characters than letters, digits and : _ . \ - @`, cfg.Prefix+":"+cfg.Name)
	case len(scope) > longest:
		return fmt.Errorf("the unit %q has a name of more than %d bytes", scope, longest)
	}
	return nil
}

// propertyPrefix is the prefix of annotations that set a property of the container's
// scope, as in runc.
const propertyPrefix = "org.systemd.property."

// unitProperties reads the properties of the container's scope from its annotations;
// values are in GVariant's text format. They are sorted by name.
func unitProperties(annotations map[string]string) ([]systemd.Property, error) {
	var list []systemd.Property
	for key, text := range annotations {
		name, ok := strings.CutPrefix(key, propertyPrefix)
		if !ok {
			continue
		}
		p, err := unitProperty(name, text)
		if err != nil {
			return nil, fmt.Errorf("annotations[%q]: %w", key, err)
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b systemd.Property) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func unitProperty(name, text string) (systemd.Property, error) {
	if len(name) < 3 || strings.Trim(name, letters) != "" {
		return systemd.Property{}, fmt.Errorf("%q is not the name of a systemd property", name)
	}
	value, err := dbus.ParseVariant(text, dbus.Signature{})
	if err != nil {
		return systemd.Property{}, fmt.Errorf("%q is not a value in GVariant's text format, such as 'text', true or uint64 5: %w", text, err)
	}
	// Times are in seconds, as in unit files; D-Bus uses microseconds.
	if base, ok := strings.CutSuffix(name, "Sec"); ok && base != "" && !strings.HasSuffix(base, "U") {
		if value, err = microseconds(value); err != nil {
			return systemd.Property{}, err
		}
		name = base + "USec"
	}
	return systemd.Property{Name: name, Value: value}, nil
}

// microseconds converts a number of seconds, whatever its type.
func microseconds(v dbus.Variant) (dbus.Variant, error) {
	const perSecond = 1_000_000
	number, value := reflect.TypeFor[float64](), reflect.ValueOf(v.Value())
	if !value.CanConvert(number) {
		return v, fmt.Errorf("%v is not a number of seconds", v)
	}
	seconds := value.Convert(number).Float()
	if seconds < 0 {
		return v, fmt.Errorf("%v is a negative number of seconds", v)
	}
	return dbus.MakeVariant(uint64(seconds * perSecond)), nil
}

// patientManager does not wait for ever for a systemd, or a bus, that takes connections
// and never answers.
type patientManager struct{ cgroups.Manager }

func (m patientManager) Apply(pid int) error {
	return bounded(func() error { return m.Manager.Apply(pid) })
}

func (m patientManager) Set(r *cgroups.Resources) error {
	return bounded(func() error { return m.Manager.Set(r) })
}

func (m patientManager) Destroy() error { return bounded(m.Manager.Destroy) }

const (
	// patience is more than the library's own, which waits half a minute for systemd to
	// finish a job.
	patience = 40 * time.Second
	// givenUp is how long nobody asks again after that, so that rt does not wait once
	// more to undo what it did not do.
	givenUp = 10 * time.Second
)

// silentUntil is a time by the clock of began.
var (
	began       = time.Now()
	silentUntil atomic.Int64
)

// bounded asks systemd, and stops waiting after some time.
func bounded(ask func() error) error {
	errSilent := fmt.Errorf("systemd has not answered over D-Bus for %v: is it, or dbus-daemon, running? --cgroup-manager=cgroupfs does without", patience)
	if time.Since(began) < time.Duration(silentUntil.Load()) {
		return errSilent
	}
	answer := make(chan error, 1)
	go func() { answer <- ask() }()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-answer:
		return err
	case <-timer.C:
		silentUntil.Store(int64(time.Since(began) + givenUp))
		return errSilent
	}
}
