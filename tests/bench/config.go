package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// object is a JSON object. Fields that the harness does not know pass through it.
type object map[string]any

func readObject(path string) (object, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}

// child returns the object in a field, empty if there is none.
func (o object) child(name string) object {
	fields, _ := o[name].(map[string]any)
	return fields
}

// loadConfig reads a case's configuration and fits it to the case.
func loadConfig(tests string, c *benchCase, seccomp bool) (object, error) {
	config, err := readObject(filepath.Join(tests, c.config))
	if err != nil {
		return nil, err
	}
	process, linux := config.child("process"), config.child("linux")
	if process == nil || linux == nil {
		return nil, fmt.Errorf("%s: process or linux is missing", c.config)
	}
	process["args"] = c.args
	if !seccomp || !c.seccomp {
		return config, nil
	}
	profile, err := readObject(filepath.Join(tests, dockerSeccomp))
	linux["seccomp"] = profile
	return config, err
}

// setCgroup gives a configuration that names a cgroup one of the comparison's own. A
// configuration without one keeps the runtime's default, which follows from the
// container's id.
func setCgroup(config object, path string) {
	if linux := config.child("linux"); linux["cgroupsPath"] != nil {
		linux["cgroupsPath"] = path
	}
}

// obstacle is a field of linux.resources that not every competitor can apply in a view.
type obstacle struct {
	field  string
	reason string
}

// dropResources removes the fields that are obstacles, and reports which.
func dropResources(config object, obstacles []obstacle) (note string) {
	resources := config.child("linux").child("resources")
	var reasons []string
	dropped := map[string][]string{}
	for _, o := range obstacles {
		if _, ok := resources[o.field]; !ok {
			continue
		}
		delete(resources, o.field)
		if !slices.Contains(reasons, o.reason) {
			reasons = append(reasons, o.reason)
		}
		dropped[o.reason] = append(dropped[o.reason], o.field)
	}
	parts := make([]string, len(reasons))
	for i, reason := range reasons {
		parts[i] = fmt.Sprintf("%s (%s)", strings.Join(dropped[reason], ", "), reason)
	}
	return strings.Join(parts, "; ")
}
