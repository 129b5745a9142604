package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ConfigName is the configuration's name in a bundle.
const ConfigName = "config.json"

// Load reads and checks the configuration of the bundle. It returns the
// document as it was read too: what happens after create is decided by that
// copy. Errors name the file and the field, or the line and column.
func Load(bundle string) (*specs.Spec, []byte, error) {
	name := filepath.Join(bundle, ConfigName)
	data, err := os.ReadFile(name)
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
	var s specs.Spec
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, located(data, err)
	}
	return &s, nil
}

// located adds the line and column to what encoding/json says.
func located(data []byte, err error) error {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		line, column := position(data, syntax.Offset)
		return fmt.Errorf("line %d, column %d: %w", line, column, syntax)
	case errors.As(err, &wrong):
		line, column := position(data, wrong.Offset)
		return fmt.Errorf("line %d, column %d: %s: found a JSON %s where %s is expected", line, column, wrong.Field, wrong.Value, expected(wrong))
	}
	return err
}

func expected(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "struct", "map":
		return "an object"
	case "slice":
		return "an array"
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	}
	return "a number of type " + e.Type.String()
}

// position converts the number of bytes that were read to the place of the
// last one of them; both count from 1.
func position(data []byte, offset int64) (line, column int) {
	offset = max(min(offset, int64(len(data))), 1)
	before := data[:offset-1]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, len(before) - bytes.LastIndexByte(before, '\n')
}
