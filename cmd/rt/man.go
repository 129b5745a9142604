package main

import (
	"fmt"
	"strings"
)

// manPages are the manual pages in man(7)'s language, by file name: rt.8 and
// one a command, made from the definitions of the commands.
func manPages() map[string]string {
	pages := map[string]string{"rt.8": mainPage()}
	for _, c := range commands() {
		pages["rt-"+c.name+".8"] = commandPage(&c)
	}
	return pages
}

// page collects the lines of a manual page.
type page struct{ strings.Builder }

func newPage(name, summary string) *page {
	p := new(page)
	fmt.Fprintf(p, ".TH %s 8 \"\" \"rt %s\"\n", strings.ToUpper(name), version)
	p.section("NAME")
	p.text(name + " - " + summary)
	return p
}

func (p *page) section(name string) { fmt.Fprintf(p, ".SH %s\n", name) }

// text is a paragraph, or a line that must not be taken for a request.
func (p *page) text(s string) { fmt.Fprintln(p, roff(s)) }

func (p *page) entry(tag, text string) {
	fmt.Fprintf(p, ".TP\n\\fB%s\\fR\n", roff(tag))
	p.text(text)
}

// roff protects what man(7) would take for its own.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// flags are the options.
func (p *page) flags(title string, flags []flag) {
	if len(flags) == 0 {
		return
	}
	p.section(title)
	for _, f := range flags {
		tag, text := f.shown()
		if f.value != "" && f.name != "root" { // whose default depends on the user
			text += " (default: " + f.value + ")"
		}
		p.entry(tag, text)
	}
}

func mainPage() string {
	p := newPage("rt", summary)
	p.section("SYNOPSIS")
	p.text(synopsis)
	p.section("DESCRIPTION")
	p.text(strings.Join(strings.Fields(description), " "))
	p.section("COMMANDS")
	for _, c := range commands() {
		p.entry("rt-"+c.name+"(8)", c.usage)
	}
	p.flags("GLOBAL OPTIONS", globalFlags())
	p.section("FILES")
	p.entry("/run/rt", "the state of containers; for users other than root $XDG_RUNTIME_DIR/rt")
	p.section("EXIT STATUS")
	p.text("run and exec end with the status of the container's process, or 128 and the number of the signal that ended it. " +
		"A failure of rt itself is 1, of exec 255.")
	p.section("SEE ALSO")
	p.text("The OCI runtime specification: https://github.com/opencontainers/runtime-spec")
	return p.String()
}

func commandPage(c *command) string {
	p := newPage("rt-"+c.name, c.usage)
	p.section("SYNOPSIS")
	p.text(c.synopsis())
	p.section("DESCRIPTION")
	p.text(strings.ToUpper(c.usage[:1]) + c.usage[1:] + ".")
	p.flags("OPTIONS", c.flags)
	p.section("SEE ALSO")
	p.text("rt(8), which has the global options")
	return p.String()
}
