package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/jsontext"
	"github.com/rtcontainers/rt/internal/sysfile"
)

//go:generate go run -tags generate ../internal/jsongen -roots spec -o decode_gen.go

// ConfigName is the configuration's name in a bundle.
const ConfigName = "config.json"

// Config is a bundle's configuration.
type Config struct {
	*specs.Spec
	// Data is the document as it was read: what happens after create is decided
	// by that copy.
	Data []byte
	// Warnings are about what is ignored, as the specification allows.
	Warnings []string
}

// Load reads and checks the configuration of the bundle. Errors name the file
// and the field, or the line and column.
func Load(bundle string) (*Config, error) {
	name := filepath.Join(bundle, ConfigName)
	data, err := sysfile.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("bundle %s has no %s: give the bundle's directory with --bundle, or make a configuration with `rt spec`: %w", bundle, ConfigName, err)
	}
	if err != nil {
		return nil, err
	}
	s, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	v := check(s)
	if len(v.problems) > 0 {
		return nil, fmt.Errorf("%s: %w", name, v.problems)
	}
	return &Config{s, data, v.warnings}, nil
}

// Parse decodes a configuration. It does not check it.
func Parse(data []byte) (*specs.Spec, error) {
	s := new(specs.Spec)
	d := jsontext.NewDecoder(string(data))
	decodeSpec(d, s)
	return s, d.End()
}
