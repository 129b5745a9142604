package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/containerd/containerd/api/types/runc/options"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
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
	// BinaryName is of no use here: see remarks.
	BinaryName string
	// Grouping is "pod" (the default), or "node": one shim for all pods of a namespace of
	// containerd.
	Grouping string
	// CRIRoot and CRIState are the directories in which containerd's CRI plugin looks for the
	// files of pods, if they are not beside those of containerd's sandbox plugin.
	CRIRoot, CRIState string
	// NoUnprivilegedPorts and NoUnprivilegedICMP are for a CRI plugin with
	// enable_unprivileged_ports or enable_unprivileged_icmp = false: it tells nobody.
	NoUnprivilegedPorts, NoUnprivilegedICMP bool
}

// The values of taskOptions.Grouping.
const (
	groupingPod  = "pod"
	groupingNode = "node"
)

// remarks say which of the options have no effect.
func (o *taskOptions) remarks(warn func(string)) {
	if o.BinaryName != "" {
		warn(fmt.Sprintf("runtime options: BinaryName %q is ignored: this shim makes containers itself and executes no runtime", o.BinaryName))
	}
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

func readMessage(data []byte) (*anypb.Any, error) {
	var message anypb.Any
	if err := proto.Unmarshal(data, &message); err != nil {
		return nil, fmt.Errorf("runtime options: %w", err)
	}
	return &message, nil
}

func isOptions(message *anypb.Any) bool {
	return message.MessageName() == createOptions ||
		message.MessageIs((*options.Options)(nil)) || message.MessageIs((*runtimeoptions.Options)(nil))
}

// createOptions are containerd.linux.runc.CreateOptions, which the Go client of containerd
// 1.x gives to any runtime but runc's. containerd 2 has no such type.
const createOptions = "containerd.linux.runc.CreateOptions"

func parseCreateOptions(message []byte) (*taskOptions, error) {
	o := new(taskOptions)
	return o, fields(message, func(number protowire.Number, data []byte) error {
		if number == 9 {
			if !utf8.Valid(data) { // a string of protocol buffers is
				return errors.New("ShimCgroup is not UTF-8")
			}
			o.ShimCgroup = string(data)
		}
		return nil
	}, func(number protowire.Number, value uint64) {
		switch number {
		case 1:
			o.NoPivotRoot = value != 0
		case 8:
			o.NoNewKeyring = value != 0
		case 10:
			o.IoUID = uint32(value)
		case 11:
			o.IoGID = uint32(value)
		}
	})
}

// optionsEnv is the variable that has options as a table of TOML, such as {Grouping =
// "node"}. containerd can give it to all its shims. It does more with runtimes that have no
// options, or runc's, than with others.
const optionsEnv = "RT_SHIM_OPTIONS"

// defaultOptions are those of the environment.
func defaultOptions() (*taskOptions, error) {
	var given struct{ Options taskOptions }
	table := os.Getenv(optionsEnv)
	if table == "" {
		return &given.Options, nil
	}
	if err := toml.NewDecoder(strings.NewReader("Options = " + table)).DisallowUnknownFields().Decode(&given); err != nil {
		if unknown := new(toml.StrictMissingError); errors.As(err, &unknown) {
			key := unknown.Errors[0].Key()
			return nil, fmt.Errorf("%s: there is no option %s", optionsEnv, key[len(key)-1])
		}
		return nil, fmt.Errorf("%s=%s: it must be a table of TOML, such as {Grouping = \"node\"}: %w", optionsEnv, table, err)
	}
	return &given.Options, nil
}

// parseOptions reads the options of the runc shim, or those that the CRI plugin
// and Docker give to any other: a table of TOML, inline or in a file.
func parseOptions(message *anypb.Any) (*taskOptions, error) {
	o, err := defaultOptions()
	if err != nil {
		return nil, err
	}
	if message != nil && len(message.GetValue()) > 0 {
		if err := o.read(message); err != nil {
			return nil, fmt.Errorf("runtime options: %w", err)
		}
	}
	if o.Grouping != "" && o.Grouping != groupingPod && o.Grouping != groupingNode {
		return nil, fmt.Errorf("runtime options: Grouping: %q is neither %q nor %q", o.Grouping, groupingPod, groupingNode)
	}
	return o, nil
}

// read takes the options of a message over.
func (o *taskOptions) read(message *anypb.Any) error {
	if message.MessageName() == createOptions {
		old, err := parseCreateOptions(message.Value)
		if err == nil {
			o.likeRunc(old)
		}
		return err
	}
	m, err := message.UnmarshalNew()
	if err != nil && !errors.Is(err, protoregistry.NotFound) {
		return err
	}
	switch m := m.(type) {
	case *options.Options:
		o.likeRunc(&taskOptions{
			NoPivotRoot: m.NoPivotRoot, NoNewKeyring: m.NoNewKeyring, ShimCgroup: m.ShimCgroup,
			IoUID: m.IoUid, IoGID: m.IoGid, Root: m.Root, SystemdCgroup: m.SystemdCgroup, BinaryName: m.BinaryName,
		})
	case *runtimeoptions.Options:
		table := m.ConfigBody
		if len(table) == 0 && m.ConfigPath != "" {
			if table, err = os.ReadFile(m.ConfigPath); err != nil {
				return fmt.Errorf("ConfigPath: %w", err)
			}
		}
		return toml.Unmarshal(table, o)
	default:
		return fmt.Errorf("unknown type %s: give those of the runc shim", message.TypeUrl)
	}
	return nil
}

// likeRunc takes options of runc's type over. containerd gives them to any runtime that has
// none of its own, with what it wants to say itself: what they do not say stays as it is.
func (o *taskOptions) likeRunc(given *taskOptions) {
	o.NoPivotRoot = o.NoPivotRoot || given.NoPivotRoot
	o.NoNewKeyring = o.NoNewKeyring || given.NoNewKeyring
	o.SystemdCgroup = o.SystemdCgroup || given.SystemdCgroup
	o.ShimCgroup = cmp.Or(given.ShimCgroup, o.ShimCgroup)
	o.IoUID, o.IoGID = cmp.Or(given.IoUID, o.IoUID), cmp.Or(given.IoGID, o.IoGID)
	o.Root = cmp.Or(given.Root, o.Root)
	o.BinaryName = cmp.Or(given.BinaryName, o.BinaryName)
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
