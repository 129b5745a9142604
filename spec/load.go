package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/jsontext"
)

//go:generate go run -tags generate ../libcontainer/internal/jsongen -roots spec -o decode_gen.go

// ConfigName is the configuration's name in a bundle.
const ConfigName = "config.json"

// Config is a bundle's configuration.
type Config struct {
	*specs.Spec
	// Data is the document as it was read: everything after create uses this copy.
	Data []byte
	// Warnings are about values that rt ignores, as the specification allows, and about
	// members whose names are in other letter cases than the specification's.
	Warnings []string
	// Unknown are lines about members that rt does not know.
	Unknown []string
}

// Remarks are about the names of members in a document.
type Remarks struct {
	// Folded members were accepted, though their names are in other letter cases.
	Folded []string
	// Unknown members were ignored: config.md, "Extensibility".
	Unknown []string
}

// Load reads and checks the configuration of the bundle. Errors name the file
// and the field, or the line and column.
func Load(bundle string) (*Config, error) { return LoadFile(bundle, "") }

// LoadFile is Load for a configuration in another file, if name is not "".
func LoadFile(bundle, name string) (*Config, error) {
	if name == "" {
		name = filepath.Join(bundle, ConfigName)
	}
	data, err := LoadDocument(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("bundle %s has no %s: give the bundle's directory with --bundle, or make a configuration with `rt spec`: %w", bundle, ConfigName, err)
	}
	if err != nil {
		return nil, err
	}
	return readConfig(name, data)
}

// FromSpec checks a configuration in memory, of which it makes a copy: what it returns
// is as if the document had been read.
func FromSpec(s *specs.Spec) (*Config, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return readConfig("the configuration", data)
}

func readConfig(name string, data []byte) (*Config, error) {
	s, remarks, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	v := check(s)
	if len(v.problems) > 0 {
		return nil, fmt.Errorf("%s: %w", name, v.problems)
	}
	return &Config{s, data, append(remarks.Folded, v.warnings...), remarks.Unknown}, nil
}

// Parse decodes a configuration. It does not check it.
func Parse(data []byte) (*specs.Spec, error) {
	s, _, err := parse(data)
	return s, err
}

func parse(data []byte) (*specs.Spec, Remarks, error) {
	s := new(specs.Spec)
	d := jsontext.NewDecoder(string(data))
	decodeSpec(d, s)
	err := d.End()
	plain(s)
	return s, Remarks(d.Remarks()), err
}

// plain rewrites older and other forms that engines use.
func plain(s *specs.Spec) {
	plainOptions(s)
	plainAnnotations(s)
	if s.Linux != nil {
		plainResources(s.Linux.Resources)
	}
}

// ParseProcess decodes an object as process in config.json. It does not check it.
func ParseProcess(data []byte) (*specs.Process, Remarks, error) {
	p := new(specs.Process)
	d := jsontext.NewDecoder(string(data))
	decodeProcess(d, p)
	err := d.End()
	return p, Remarks(d.Remarks()), err
}

// ParseMounts decodes a list as mounts in config.json. It does not check it.
func ParseMounts(data []byte) ([]specs.Mount, Remarks, error) {
	var list []specs.Mount
	d := jsontext.NewDecoder(string(data))
	if n := 0; !d.Null() {
		for e := d.Array(); e.Next(); n++ {
			list = jsontext.Extend(list, n)
			decodeMount(d, &list[n])
		}
	}
	err := d.End()
	var wrong *jsontext.Error
	if errors.As(err, &wrong) && strings.HasPrefix(wrong.Field, "[") {
		wrong.Field = "mounts" + wrong.Field
	}
	return list, Remarks(d.Remarks()), err
}

// ParseResources decodes an object as linux.resources in config.json, over existing
// limits: members that the document does not have stay. It does not check it.
func ParseResources(data []byte, over *specs.LinuxResources) (Remarks, error) {
	text, fresh := string(data), new(specs.LinuxResources)
	d := jsontext.NewDecoder(text)
	decodeLinuxResources(d, fresh)
	if err := d.End(); err != nil {
		return Remarks{}, err
	}
	remarks := Remarks(d.Remarks())
	dropLists(reflect.ValueOf(over).Elem(), reflect.ValueOf(fresh).Elem())
	d = jsontext.NewDecoder(text)
	decodeLinuxResources(d, over)
	plainResources(over)
	return remarks, d.End()
}

// dropLists empties the lists of a value that another one has, too, because a document
// replaces a list as a whole.
func dropLists(over, by reflect.Value) {
	switch over.Kind() {
	case reflect.Struct:
		for i := range over.NumField() {
			dropLists(over.Field(i), by.Field(i))
		}
	case reflect.Pointer:
		if !over.IsNil() && !by.IsNil() {
			dropLists(over.Elem(), by.Elem())
		}
	case reflect.Slice:
		if !by.IsNil() {
			over.SetZero()
		}
	}
}
