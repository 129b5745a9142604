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
	"github.com/containerd/containerd/runtime/linux/runctypes"
	"github.com/pelletier/go-toml/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
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

// startParams are what containerd gives to a shim that is started for a container.
type startParams struct {
	options *taskOptions
	// socketDir is where the shim's socket belongs, "" for the usual place.
	socketDir string
	// version is that of the answer which the daemon understands, and of the task API.
	version int
}

// Versions of the answer to a start. All daemons understand the first one.
const (
	addressOnly   = 2
	withBootstrap = 3 // since containerd 2.3
)

// readStart reads what a daemon gives: the options, or since containerd 2.3 all there
// is to know.
func readStart(r io.Reader, namespace, id string) (*startParams, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if params, ok := parseBootstrap(data); ok && params.namespace == namespace && params.id == id {
		start := &startParams{options: new(taskOptions), socketDir: params.socketDir, version: withBootstrap}
		for _, message := range params.extensions {
			if isOptions(message) {
				start.options, err = parseOptions(message)
				break
			}
		}
		return start, err
	}
	message, err := readMessage(data)
	if err != nil {
		return nil, err
	}
	o, err := parseOptions(message)
	return &startParams{options: o, version: addressOnly}, err
}

func readMessage(data []byte) (*anypb.Any, error) {
	var message anypb.Any
	if err := proto.Unmarshal(data, &message); err != nil {
		return nil, fmt.Errorf("runtime options: %w", err)
	}
	return &message, nil
}

func isOptions(message *anypb.Any) bool {
	return message.MessageIs((*options.Options)(nil)) || message.MessageIs((*runctypes.CreateOptions)(nil)) ||
		message.MessageIs((*runtimeoptions.Options)(nil))
}

// bootstrap is what the shim needs of containerd.runtime.bootstrap.v1.BootstrapParams.
// The Go package of the message does not go with that of the shim protocol which
// older daemons speak, too.
type bootstrap struct {
	id, namespace, socketDir string
	extensions               []*anypb.Any
}

// parseBootstrap reads the message, in which options begin with two strings, too.
func parseBootstrap(data []byte) (b bootstrap, ok bool) {
	err := eachField(data, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			b.id = string(value)
		case 2:
			b.namespace = string(value)
		case 9:
			b.socketDir = string(value)
		case 8:
			return eachField(value, func(number protowire.Number, value []byte) error {
				var message anypb.Any
				err := proto.Unmarshal(value, &message)
				b.extensions = append(b.extensions, &message)
				return err
			})
		}
		return nil
	})
	return b, err == nil
}

// eachField calls f with the fields of a message that have a length.
func eachField(data []byte, f func(protowire.Number, []byte) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
				return protowire.ParseError(n)
			}
			data = data[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(number, value); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// parseOptions reads the options of the runc shim, or those that the CRI plugin
// and Docker give to any other: a table of TOML, inline or in a file.
func parseOptions(message *anypb.Any) (*taskOptions, error) {
	o := new(taskOptions)
	if message == nil || len(message.GetValue()) == 0 {
		return o, nil
	}
	m, err := message.UnmarshalNew()
	if err != nil && !errors.Is(err, protoregistry.NotFound) {
		return nil, fmt.Errorf("runtime options: %w", err)
	}
	switch m := m.(type) {
	case *options.Options:
		*o = taskOptions{
			NoPivotRoot: m.NoPivotRoot, NoNewKeyring: m.NoNewKeyring, ShimCgroup: m.ShimCgroup,
			IoUID: m.IoUid, IoGID: m.IoGid, Root: m.Root, SystemdCgroup: m.SystemdCgroup,
		}
	case *runctypes.CreateOptions: // of clients before containerd 2
		*o = taskOptions{
			NoPivotRoot: m.NoPivotRoot, NoNewKeyring: m.NoNewKeyring, ShimCgroup: m.ShimCgroup, IoUID: m.IoUid, IoGID: m.IoGid,
		}
	case *runtimeoptions.Options:
		table := m.ConfigBody
		if len(table) == 0 && m.ConfigPath != "" {
			if table, err = os.ReadFile(m.ConfigPath); err != nil {
				return nil, fmt.Errorf("runtime options: ConfigPath: %w", err)
			}
		}
		if err := toml.Unmarshal(table, o); err != nil {
			return nil, fmt.Errorf("runtime options: %w", err)
		}
	default:
		return nil, fmt.Errorf("runtime options: unknown type %s: give those of the runc shim", message.TypeUrl)
	}
	return o, nil
}

const optionsFile = "options.json"

// save keeps the options in the bundle, for whoever cleans up.
func (o *taskOptions) save(bundle string) error { return saveJSON(bundle, optionsFile, o) }

// loadOptions reads them; with an error it returns the defaults.
func loadOptions(bundle string) (*taskOptions, error) {
	o := new(taskOptions)
	err := loadJSON(bundle, optionsFile, o)
	if errors.Is(err, os.ErrNotExist) {
		return o, nil // the shim died before it made the container
	}
	if err != nil {
		return new(taskOptions), err
	}
	return o, nil
}

// saveJSON writes a file of the shim's own in a bundle.
func saveJSON(bundle, name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, name), data, 0o600)
}

func loadJSON(bundle, name string, value any) error {
	data, err := os.ReadFile(filepath.Join(bundle, name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
