//go:build man

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	docs "github.com/urfave/cli-docs/v3"
	"github.com/urfave/cli/v3"
)

// page is a manual page in Markdown, from which urfave/cli-docs makes man(7).
const page = `% {{ .Command.Name }} {{ .SectionNum }}

# NAME

{{ .Command.Name }} - {{ .Command.Usage }}

# SYNOPSIS

{{ .Command.UsageText }}

# DESCRIPTION

{{ .Command.Description }}
{{ if .Command.Commands }}
# COMMANDS
{{ range .Command.Commands }}
**{{ .Name }}**(8)
: {{ .Usage }}
{{ end }}{{ end }}{{ if .Command.VisibleFlags }}
# OPTIONS
{{ range .Command.VisibleFlags }}
{{ printf "%s" . }}
{{ end }}{{ end }}
# EXIT STATUS

**run** and **exec** end with the status of the container's process, or 128 and the number of the signal that
ended it. A failure of rt itself is 1, of **exec** 255. An unknown command is 3.

# FILES

/run/rt
: the state of containers; for users other than root $XDG_RUNTIME_DIR/rt

# SEE ALSO

**rt**(8), https://github.com/opencontainers/runtime-spec
`

// With the build tag man, rt only writes its manual pages to the directory that is its
// argument: rt.8, and one for each command.
func init() {
	docs.MarkdownDocTemplate = page
	cli.FlagStringer = manFlag
	root := commandLine([]string{"help"}, io.Discard, nil)
	root.UsageText = "**rt** [*global option*...] *command* [*option*...] [*argument*...]"
	for _, c := range root.Commands {
		c.UsageText = fmt.Sprintf("**rt** [*global option*...] **%s** [*option*...] %s", c.Name, strings.NewReplacer("<", `\<`, "[", `\[`).Replace(c.ArgsUsage))
		if c.Description == "" {
			c.Description = strings.ToUpper(c.Usage[:1]) + c.Usage[1:] + "."
		}
		c.Name = "rt-" + c.Name
	}
	for _, c := range append([]*cli.Command{root}, root.Commands...) {
		text, err := docs.ToManWithSection(c, 8)
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], c.Name+".8"), []byte(text), 0o644)
		}
		if err != nil {
			fail(err)
		}
	}
	os.Exit(0)
}

// manFlag is a flag as an entry of a list of definitions.
func manFlag(f cli.Flag) string {
	d := f.(cli.DocGenerationFlag)
	usage, value := d.GetUsage(), ""
	if parts := strings.Split(usage, "`"); d.TakesValue() && len(parts) == 3 {
		value = " *" + parts[1] + "*"
	}
	var names []string
	for _, name := range f.Names() {
		dashes := "--"
		if len(name) == 1 {
			dashes = "-"
		}
		names = append(names, "**"+dashes+name+"**"+value)
	}
	text := strings.ReplaceAll(usage, "`", "")
	if v := d.GetValue(); d.TakesValue() && v != "" && v != "0" && names[0] != "**--root** *DIR*" { // that depends on the user
		text += " (default: " + v + ")"
	}
	return strings.Join(names, ", ") + "\n: " + text
}
