package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rtcontainers/rt/spec"
)

func specCommand() command {
	return command{
		name:  "spec",
		usage: "write a default config.json",
		flags: []flag{
			{name: "bundle", alias: "b", kind: stringFlag, usage: "`DIR` of the bundle (default: the working directory)"},
			{name: "rootless", key: "spec-rootless", usage: "for a container without privileges"},
		},
		run: func(in *input) error {
			s := spec.Default()
			if in.Bool("spec-rootless") {
				spec.Rootless(s)
			}
			data, err := json.MarshalIndent(s, "", "\t")
			if err != nil {
				return err
			}
			name := filepath.Join(in.String("bundle"), spec.ConfigName)
			f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("spec: %s exists: move it away, or choose another --bundle", name)
			}
			if err != nil {
				return err
			}
			_, err = f.Write(append(data, '\n'))
			return errors.Join(err, f.Close())
		},
	}
}

func featuresCommand() command {
	return command{
		name:  "features",
		usage: "print what rt supports as JSON",
		run: func(*input) error {
			return printJSON(spec.Features(map[string]string{
				"com.github.rtcontainers.rt.version": version,
				"com.github.rtcontainers.rt.commit":  buildCommit(),
			}))
		},
	}
}
