package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/rtcontainers/rt/libcontainer"
)

// phases are the parts of a container's birth, by the fields of config.json that ask for
// them. A field belongs to the first phase that names it, or to the one before it.
var phases = []struct {
	title  string
	fields []string
}{
	{"Getting ready", []string{"linux.namespaces", "linux.timeOffsets", "hostname", "domainname", "linux.rootfsPropagation", "linux.resources"}},
	{"The root file system", []string{"root.path", "mounts", "linux.devices", "process.terminal"}},
	{"What the container must not see or change", []string{"linux.maskedPaths", "linux.readonlyPaths", "linux.sysctl", "root.readonly"}},
	{"Limits and rights", []string{"process.rlimits", "process.cwd", "process.capabilities", "process.user", "process.noNewPrivileges",
		"process.apparmorProfile", "process.selinuxLabel", "linux.seccomp", "process.oomScoreAdj", "process.scheduler", "process.ioPriority"}},
	{"The container's program", []string{"hooks", "process.args"}},
}

// phaseOf is the phase of a field, or the one before it.
func phaseOf(field string, before int) int {
	for i, p := range phases {
		for _, name := range p.fields {
			if field == name || strings.HasPrefix(field, name+"[") || strings.HasPrefix(field, name+".") {
				return i
			}
		}
	}
	return before
}

// htmlField is a field with its steps, at one place in the plan.
type htmlField struct {
	name  string
	phase int
	rare  bool
	steps []libcontainer.PlanStep
}

func (f *htmlField) calls() (n int) {
	for _, s := range f.steps {
		if s.Syscall != "" {
			n++
		}
	}
	return n
}

func htmlFields(plan *libcontainer.Plan) []*htmlField {
	var fields []*htmlField
	var last *htmlField
	for _, s := range plan.Steps {
		if last == nil || last.name != s.Source || last.rare != s.Rare {
			before := 0
			if last != nil {
				before = last.phase
			}
			last = &htmlField{name: s.Source, phase: phaseOf(s.Source, before), rare: s.Rare}
			fields = append(fields, last)
		}
		last.steps = append(last.steps, s)
	}
	return fields
}

// writePlan writes the plan as one self-contained, searchable page; an address that ends
// in #WORDS searches, too.
func writePlan(w io.Writer, bundle string, plan *libcontainer.Plan) {
	// Package html would make rt 120 KB larger, because of its table of entities.
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace
	fields := htmlFields(plan)
	total := 0
	for _, f := range fields {
		if !f.rare {
			total += f.calls()
		}
	}
	fmt.Fprintf(w, pageBegin, escape(bundle), escape(bundle), total)
	fmt.Fprintf(w, "<p>rt clones a process with <code>%s</code>.</p>\n<ul>\n", escape(plan.Clone))
	for _, f := range plan.Files {
		fmt.Fprintf(w, "<li>Its descriptor %d is %s.</li>\n", f.Number, escape(f.What))
	}
	io.WriteString(w, "</ul>\n")
	for _, m := range plan.Warnings {
		fmt.Fprintf(w, "<p class=\"warning\">%s</p>\n", escape(m))
	}
	io.WriteString(w, "<nav>\n")
	for i, p := range phases {
		fmt.Fprintf(w, "<a href=\"#p%d\" data-phase=\"p%d\">%s</a>\n", i, i, escape(p.title))
	}
	io.WriteString(w, "<a href=\"#rare\" data-phase=\"rare\">Only where something is missing or fails</a>\n</nav>\n")

	open := ""
	for _, f := range fields {
		id, title := fmt.Sprintf("p%d", f.phase), phases[f.phase].title
		if f.rare {
			id, title = "rare", "Only where something is missing or fails"
		}
		if id != open {
			if open != "" {
				io.WriteString(w, "</section>\n")
			}
			fmt.Fprintf(w, "<section class=\"%s\"><h2>%s</h2>\n", id, escape(title))
			open = id
		}
		writeField(w, f, escape)
	}
	io.WriteString(w, "</section>\n"+pageEnd)
}

func writeField(w io.Writer, f *htmlField, escape func(string) string) {
	fmt.Fprintf(w, "<details><summary><b>%d</b><code>%s</code><span>%s</span></summary><table>\n",
		f.calls(), escape(cmp.Or(f.name, "–")), escape(f.steps[0].Purpose))
	purpose := ""
	for _, s := range f.steps {
		fmt.Fprintf(w, "<tr data-find=\"%s\"><td>%d</td><td><code>%s</code></td><td>", escape(strings.ToLower(s.Source+" "+s.Purpose+" "+s.Call)), s.Step, escape(s.Call))
		if s.Purpose != purpose {
			purpose = s.Purpose
			io.WriteString(w, escape(purpose))
		}
		io.WriteString(w, "</td></tr>\n")
	}
	io.WriteString(w, "</table></details>\n")
}

const pageBegin = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%s: how rt makes the container</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: light-dark(#0b5fb0, #7db8f5); --warn: light-dark(#fff3cd, #4d3d00) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
code { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
.warning { background: var(--warn); padding: .5rem .8rem; border-radius: .3rem }
.warning::before { content: "Warning: "; font-weight: 600 }
form { position: sticky; top: 0; background: Canvas; padding: .6rem 0; display: flex; gap: 1rem; align-items: center }
input { flex: 1; font: inherit; padding: .4rem .7rem; border: 1px solid var(--line); border-radius: .3rem }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem } a { color: var(--accent) }
details { border-top: 1px solid var(--line) }
summary { display: grid; grid-template-columns: 3rem minmax(8rem, 18rem) 1fr; gap: 1rem; padding: .25rem 0; cursor: pointer; list-style: none }
summary:hover, tr:hover { background: var(--soft) }
summary b { text-align: right; font-weight: 500; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100%%; margin: .2rem 0 1rem }
td { padding: .1rem .6rem; vertical-align: top } td:first-child { text-align: right; width: 3rem; opacity: .6 } td:last-child { width: 30%% }
[hidden] { display: none }
</style>
<h1>How rt makes the container of %s</h1>
<form><input type="search" placeholder="Search: a field, a call, a path, a purpose" aria-label="Search"><output>%d system calls</output></form>
`

const pageEnd = `<script>
const input = document.querySelector("input"), output = document.querySelector("output"), all = output.textContent;
function search() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const field of document.querySelectorAll("details")) {
    let any = 0;
    for (const row of field.querySelectorAll("tr")) {
      const fits = words.every(word => row.dataset.find.includes(word));
      row.hidden = !fits;
      any += fits;
    }
    field.hidden = !any;
    field.open = any && words.length > 0;
    found += any;
  }
  for (const section of document.querySelectorAll("section"))
    section.hidden = !section.querySelector("details:not([hidden])");
  output.textContent = words.length ? found + " steps" : all;
}
input.addEventListener("input", search);
document.querySelector("form").addEventListener("submit", event => event.preventDefault());
document.querySelector("nav").addEventListener("click", event => {
  const phase = event.target.dataset.phase;
  if (phase) { event.preventDefault(); document.querySelector("section." + phase)?.scrollIntoView(); }
});
if (location.hash.length > 1) { input.value = decodeURIComponent(location.hash.slice(1)); search(); }
</script>
`
