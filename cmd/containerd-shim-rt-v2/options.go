package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/api/types/runc/options"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/pelletier/go-toml/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// taskOptions are those of the runc shim, so that a line of configuration is
// all that changes.
type taskOptions struct {
	NoPivotRoot   bool
	NoNewKeyring  bool
	ShimCgroup    string
	IoUID         uint32 `toml:"IoUid"`
	IoGID         uint32 `toml:"IoGid"`
	Root          string
	SystemdCgroup bool
}

// defaultRoot is where containers keep their state, by namespace:
// `rt --root /run/containerd/rt/NAMESPACE list` shows them.
const defaultRoot = "/run/containerd/rt"

func (o *taskOptions) root(namespace string) string {
	root := o.Root
	if root == "" {
		root = defaultRoot
	}
	return filepath.Join(root, namespace)
}

// readOptions reads what containerd gives to a shim that is started.
func readOptions(r io.Reader) (*taskOptions, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var message anypb.Any
	if err := proto.Unmarshal(data, &message); err != nil {
		return nil, fmt.Errorf("runtime options: %w", err)
	}
	return parseOptions(&message)
}

// parseOptions reads the options of the runc shim, or those that the CRI plugin
// and Docker give to any other: a table of TOML, inline or in a file.
func parseOptions(message *anypb.Any) (*taskOptions, error) {
	o := new(taskOptions)
	switch {
	case message == nil || len(message.GetValue()) == 0:
		return o, nil
	case message.MessageIs((*options.Options)(nil)):
		var m options.Options
		if err := message.UnmarshalTo(&m); err != nil {
			return nil, fmt.Errorf("runtime options: %w", err)
		}
		*o = taskOptions{
			NoPivotRoot: m.NoPivotRoot, NoNewKeyring: m.NoNewKeyring, ShimCgroup: m.ShimCgroup,
			IoUID: m.IoUid, IoGID: m.IoGid, Root: m.Root, SystemdCgroup: m.SystemdCgroup,
		}
		return o, nil
	case message.MessageIs((*runtimeoptions.Options)(nil)):
		var m runtimeoptions.Options
		if err := message.UnmarshalTo(&m); err != nil {
			return nil, fmt.Errorf("runtime options: %w", err)
		}
		table := m.ConfigBody
		if len(table) == 0 && m.ConfigPath != "" {
			var err error
			if table, err = os.ReadFile(m.ConfigPath); err != nil {
				return nil, fmt.Errorf("runtime options: ConfigPath: %w", err)
			}
		}
		if err := toml.Unmarshal(table, o); err != nil {
			return nil, fmt.Errorf("runtime options: %w", err)
		}
		return o, nil
	}
	return nil, fmt.Errorf("runtime options: unknown type %s: give those of the runc shim", message.TypeUrl)
}

const optionsFile = "options.json"

// save keeps the options in the bundle, for whoever cleans up.
func (o *taskOptions) save(bundle string) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, optionsFile), data, 0o600)
}

func loadOptions(bundle string) (*taskOptions, error) {
	o := new(taskOptions)
	data, err := os.ReadFile(filepath.Join(bundle, optionsFile))
	if errors.Is(err, os.ErrNotExist) {
		return o, nil // the shim died before it made the container
	}
	if err == nil {
		err = json.Unmarshal(data, o)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", optionsFile, err)
	}
	return o, nil
}
