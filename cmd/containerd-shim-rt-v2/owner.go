package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/spec"
)

// mapOwner lets the streams of a container in a user namespace belong to its root,
// if no option says whose they are: a process could not open /dev/stdout anew. It gives
// them to its own user then, as without a user namespace.
func (o *taskOptions) mapOwner(bundle string) error {
	if o.IoUID != 0 || o.IoGID != 0 {
		return nil
	}
	data, err := spec.LoadDocument(filepath.Join(bundle, spec.ConfigName))
	if err != nil || !bytes.Contains(data, []byte(`"uidMappings"`)) { // it need not be parsed
		return err
	}
	var config struct {
		Linux struct {
			UIDMappings []specs.LinuxIDMapping `json:"uidMappings"`
			GIDMappings []specs.LinuxIDMapping `json:"gidMappings"`
		} `json:"linux"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	o.IoUID, o.IoGID = hostRoot(config.Linux.UIDMappings), hostRoot(config.Linux.GIDMappings)
	return nil
}

// hostRoot is the host's number of a container's id 0; 0 if it has none.
func hostRoot(mappings []specs.LinuxIDMapping) uint32 {
	for _, m := range mappings {
		if m.ContainerID == 0 && m.Size > 0 {
			return m.HostID
		}
	}
	return 0
}
