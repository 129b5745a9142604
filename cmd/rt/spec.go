package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rtcontainers/rt/libcontainer/seccomp"
	"github.com/rtcontainers/rt/spec"
	"github.com/urfave/cli/v3"
)

func specCommand() command {
	return command{
		Command: cli.Command{
			Name:  "spec",
			Usage: "write a config.json to start from",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "bundle", Aliases: []string{"b"}, Usage: "write it to `DIR` (default: the working directory)"},
				&cli.BoolFlag{Name: "rootless", Usage: "write one for a container that an ordinary user can run"},
			},
		},
		run: func(in *input) error {
			s := spec.Default()
			if in.Bool("rootless") {
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
		Command: cli.Command{
			Name:  "features",
			Usage: "print the features that rt supports as JSON",
		},
		run: func(*input) error {
			return printJSON(spec.Features(map[string]string{
				"com.github.rtcontainers.rt.version": version,
				"com.github.rtcontainers.rt.commit":  buildCommit(),
			}, seccomp.Architectures()))
		},
	}
}
