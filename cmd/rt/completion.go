package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// completionFlag is how the completion of the shells asks what may stand in the
// place of the last word before it.
const completionFlag = "--generate-shell-completion"

// The scripts ask for candidates. When there are none, or none fits, a file may
// be meant.
var completionScripts = map[string]string{
	"bash": `_rt() {
    local cur=${COMP_WORDS[COMP_CWORD]} line=() word words
    for word in "${COMP_WORDS[@]:0:COMP_CWORD}"; do # bash splits --flag=value
        if [[ $word == = || ${line[*]: -1} == *= ]]; then line[-1]+=$word; else line+=("$word"); fi
    done
    words=$("${line[@]}" "$cur" --generate-shell-completion 2>/dev/null)
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _rt rt
`,
	"zsh": `#compdef rt
_rt() {
    local -a candidates
    candidates=(${(f)"$("${(@)words[1,CURRENT]}" --generate-shell-completion 2>/dev/null)"})
    compadd -a candidates || _files
}
if [ "$funcstack[1]" = _rt ]; then _rt "$@"; else compdef _rt rt; fi
`,
	"fish": `function __rt_candidates
    set -l words (commandline -opc)
    $words (commandline -ct) --generate-shell-completion 2>/dev/null
end
complete -c rt -a '(__rt_candidates)'
`,
}

func completionCommand() command {
	return command{
		name:  "completion",
		usage: "print the script that completes rt's command lines in a shell",
		args:  "<bash | zsh | fish>",
		run: func(in *input) error {
			if len(in.args) == 1 {
				if script, ok := completionScripts[in.args[0]]; ok {
					fmt.Print(script)
					return nil
				}
			}
			return usageError(in.command, "needs one of bash, zsh, fish, not %q", in.args)
		},
	}
}

// complete prints what may stand in the place of the last word: names of
// commands, ids of containers, flags.
func complete(w io.Writer, words []string) {
	current := ""
	if n := len(words); n > 0 {
		current, words = words[n-1], words[:n-1]
	}
	c, in, err := parse(words)
	if err != nil {
		return // a flag's value is wanted, which may be a file, or the line is wrong
	}
	switch {
	case strings.HasPrefix(current, "-"):
		flags := slices.Concat(alwaysFlags(in.command), globalFlags())
		if c != nil {
			flags = append(flags, c.flags...)
		}
		for _, f := range flags {
			fmt.Fprintln(w, "--"+f.name)
		}
	case c == nil:
		for _, c := range commands() {
			fmt.Fprintln(w, c.name)
		}
	case len(in.args) > 0:
	case c.name == "completion":
		for shell := range completionScripts {
			fmt.Fprintln(w, shell)
		}
	case strings.HasPrefix(c.args, "<container-id"):
		entries, _ := os.ReadDir(in.String("root"))
		for _, e := range entries {
			fmt.Fprintln(w, e.Name())
		}
	}
}
