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

// Load reads and checks the configuration of the bundle. It returns the
// document as it was read too: what happens after create is decided by that
// copy. Errors name the file and the field, or the line and column.
func Load(bundle string) (*specs.Spec, []byte, error) {
	name := filepath.Join(bundle, ConfigName)
	data, err := sysfile.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("bundle %s has no %s: give the bundle's directory with --bundle, or make a configuration with `rt spec`: %w", bundle, ConfigName, err)
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := Parse(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := Validate(s); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, data, nil
}

// Parse decodes a configuration. It does not check it.
func Parse(data []byte) (*specs.Spec, error) {
	s := new(specs.Spec)
	d := jsontext.NewDecoder(string(data))
	decodeSpec(d, s)
	return s, d.End()
}
