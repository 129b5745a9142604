package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rtcontainers/rt/spec"
)

// fault is one file of the collection.
type fault struct {
	name string
	// Fault says in words what is wrong.
	Fault string `json:"fault"`
	// Path is the field that the message must name, Words what else it must say.
	Path  string   `json:"path"`
	Words []string `json:"words"`
	// Needs is a feature whose absence on the host makes this a fault.
	Needs string `json:"needs"`
	// Text is the whole file, for faults of the document itself.
	Text *string `json:"text"`
	// Set changes the default configuration: JSON pointers (RFC 6901) and their
	// new values; null removes, "-" appends.
	Set map[string]any `json:"set"`
	// Files and Links are made in the root file system.
	Files map[string]string `json:"files"`
	Links map[string]string `json:"links"`
}

// hostFeatures are files whose absence a fault may need.
var hostFeatures = map[string]string{
	"no-apparmor": "/sys/kernel/security/apparmor",
	"no-selinux":  "/sys/fs/selinux",
	"no-resctrl":  "/sys/fs/resctrl/schemata",
}

func loadFaults(directory string) ([]fault, error) {
	files, err := filepath.Glob(filepath.Join(directory, "*.json"))
	if err != nil {
		return nil, err
	}
	var faults []fault
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		f := fault{name: strings.TrimSuffix(filepath.Base(file), ".json")}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		decoder.UseNumber()
		if err := decoder.Decode(&f); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if path, known := hostFeatures[f.Needs]; f.Needs != "" && !known {
			return nil, fmt.Errorf("%s: needs: %q is unknown", file, f.Needs)
		} else if _, err := os.Stat(path); known && err == nil {
			fmt.Fprintf(os.Stderr, "%s: left out, this host has %s\n", f.name, path)
			continue
		}
		faults = append(faults, f)
	}
	if len(faults) < 60 {
		return nil, fmt.Errorf("%s: only %d faults", directory, len(faults))
	}
	return faults, nil
}

// config is the text of the faulty config.json.
func (f *fault) config() ([]byte, error) {
	if f.Text != nil {
		return []byte(*f.Text), nil
	}
	s := spec.Default()
	s.Version = "1.0.2" // which all runtimes know
	s.Process.Terminal = false
	s.Process.Args = []string{"true"}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	for pointer, value := range f.Set {
		if document, err = set(document, strings.Split(pointer, "/")[1:], value); err != nil {
			return nil, fmt.Errorf("%s: %w", pointer, err)
		}
	}
	return json.MarshalIndent(document, "", "\t")
}

// set returns the document with the value at the keys.
func set(document any, keys []string, value any) (any, error) {
	if len(keys) == 0 {
		return value, nil
	}
	key := keys[0]
	switch d := document.(type) {
	case nil:
		return set(map[string]any{}, keys, value)
	case map[string]any:
		if len(keys) == 1 && value == nil {
			delete(d, key)
			return d, nil
		}
		inner, err := set(d[key], keys[1:], value)
		d[key] = inner
		return d, err
	case []any:
		if key == "-" {
			inner, err := set(nil, keys[1:], value)
			return append(slices.Clip(d), inner), err
		}
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(d) {
			return nil, fmt.Errorf("no element %q", key)
		}
		d[i], err = set(d[i], keys[1:], value)
		return d, err
	}
	return nil, fmt.Errorf("%q is below a value", key)
}

// makeBundle writes the bundle.
func (f *fault) makeBundle(dir string) error {
	busybox, err := findBusybox()
	if err != nil {
		return err
	}
	rootfs := filepath.Join(dir, "rootfs")
	if err := os.MkdirAll(filepath.Join(rootfs, "bin"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(rootfs, "bin", "busybox"), busybox, 0o755); err != nil {
		return err
	}
	if err := os.Symlink("busybox", filepath.Join(rootfs, "bin", "true")); err != nil {
		return err
	}
	for name, content := range f.Files {
		if err := os.WriteFile(filepath.Join(rootfs, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	for name, target := range f.Links {
		if err := os.Symlink(target, filepath.Join(rootfs, name)); err != nil {
			return err
		}
	}
	config, err := f.config()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, spec.ConfigName), config, 0o644)
}

// problems are requirements that rt did not meet.
func (f *fault) problems(o outcome) (list []string) {
	if o.code != 1 {
		list = append(list, fmt.Sprintf("exit status %d instead of 1: %s", o.code, o.message))
	} else {
		for _, word := range append([]string{f.Path}, f.Words...) {
			if !strings.Contains(o.message, word) {
				list = append(list, fmt.Sprintf("no %q in the message: %s", word, o.message))
			}
		}
	}
	for _, what := range o.left {
		list = append(list, "left behind: "+what)
	}
	return list
}
