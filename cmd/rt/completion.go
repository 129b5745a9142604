package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
)

// completionFlag is how the shells' completion asks for candidates for the last word
// before it. It counts only with this variable: a container's command may have such an
// argument, too.
const (
	completionFlag = "--generate-shell-completion"
	completing     = "RT_COMPLETION"
)

// The scripts ask for candidates. If there are none, or none fits, the user may mean a
// file.
var completionScripts = map[string]string{
	"bash": `_rt() {
    local cur=${COMP_WORDS[COMP_CWORD]} line=() word words
    for word in "${COMP_WORDS[@]:0:COMP_CWORD}"; do # bash splits --flag=value
        if [[ $word == = || ${line[*]: -1} == *= ]]; then line[-1]+=$word; else line+=("$word"); fi
    done
    words=$(RT_COMPLETION=1 "${line[@]}" "$cur" --generate-shell-completion 2>/dev/null)
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _rt rt
`,
	"zsh": `#compdef rt
_rt() {
    local -a candidates
    candidates=(${(f)"$(RT_COMPLETION=1 "${(@)words[1,CURRENT]}" --generate-shell-completion 2>/dev/null)"})
    compadd -a candidates || _files
}
if [ "$funcstack[1]" = _rt ]; then _rt "$@"; else compdef _rt rt; fi
`,
	"fish": `function __rt_candidates
    set -l words (commandline -opc)
    RT_COMPLETION=1 $words (commandline -ct) --generate-shell-completion 2>/dev/null
end
complete -c rt -a '(__rt_candidates)'
`,
}

func completionCommand() command {
	return command{
		Command: cli.Command{
			Name:      "completion",
			Usage:     "print a completion script for a shell",
			ArgsUsage: "<bash | zsh | fish>",
			Description: `Example:
   rt completion bash > /etc/bash_completion.d/rt`,
		},
		run: func(in *input) error {
			if len(in.args) == 1 {
				if script, ok := completionScripts[in.args[0]]; ok {
					_, err := io.WriteString(in.Root().Writer, script)
					return err
				}
			}
			return usageError(in.Name, "needs one of bash, zsh, fish, not %q", in.args)
		},
	}
}

// complete prints candidates for the last of the words: names of commands, ids of
// containers, flags. It prints nothing for a flag's value, which may be a file.
func complete(words []string) cli.ShellCompleteFunc {
	return func(_ context.Context, c *cli.Command) {
		w, current, before := c.Root().Writer, "", ""
		if n := len(words); n > 0 {
			current = words[n-1]
			before = strings.Join(words[max(0, n-2):n-1], "")
		}
		args := c.Args().Slice()
		switch {
		case wantsValue(c, before):
		case strings.HasPrefix(current, "-"):
			for _, f := range flagsOf(c) {
				fmt.Fprintln(w, "--"+f.Names()[0])
			}
		case c == c.Root() && len(args) > 1: // after an unknown command
		case c == c.Root():
			for _, name := range commandNames() {
				fmt.Fprintln(w, name)
			}
		case len(args) > 1:
		case c.Name == "completion":
			for shell := range completionScripts {
				fmt.Fprintln(w, shell)
			}
		case strings.HasPrefix(c.ArgsUsage, "<container-id"):
			entries, _ := os.ReadDir(c.String("root"))
			for _, e := range entries {
				fmt.Fprintln(w, e.Name())
			}
		}
	}
}

// wantsValue tells whether a word is a flag whose value is the next word.
func wantsValue(c *cli.Command, word string) bool {
	if !strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
		return false
	}
	name := strings.TrimLeft(word, "-")
	for _, f := range flagsOf(c) {
		if _, isBool := f.(*cli.BoolFlag); !isBool && slices.Contains(f.Names(), name) {
			return true
		}
	}
	return false
}

// flagsOf are the flags that a command takes: its own, and rt's.
func flagsOf(c *cli.Command) []cli.Flag {
	return slices.Concat(c.VisibleFlags(), c.VisiblePersistentFlags())
}
