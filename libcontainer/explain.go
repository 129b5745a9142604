package libcontainer

import (
	"os"

	"github.com/rtcontainers/rt/libcontainer/internal/birth"
	"github.com/rtcontainers/rt/libcontainer/internal/compile"
	"github.com/rtcontainers/rt/libcontainer/internal/program"
)

// Plan is how a container would be made.
type Plan struct {
	// Clone names the flags of the clone(2) that starts the program.
	Clone string `json:"clone"`
	// Files are the program's descriptors beside the standard streams.
	Files []PlanFile `json:"files"`
	// Steps are the instructions of the program.
	Steps []PlanStep `json:"steps"`
	// Warnings are about what is ignored.
	Warnings []string `json:"warnings,omitempty"`
}

// PlanFile is a descriptor that the program is given.
type PlanFile struct {
	Number int    `json:"number"`
	What   string `json:"what"`
	Path   string `json:"path,omitempty"`
	Source string `json:"source,omitempty"`
}

// PlanStep is one instruction: its call, the field of config.json that asked
// for it, and its purpose.
type PlanStep struct {
	Step int    `json:"step"`
	Call string `json:"call"`
	// Syscall is the system call's name, empty for jumps and the like.
	Syscall string `json:"syscall,omitempty"`
	// Rare is true for what is done only where something is missing or fails.
	Rare    bool   `json:"rare,omitempty"`
	Source  string `json:"source,omitempty"`
	Purpose string `json:"purpose"`
}

// Explain makes the plan of Create without carrying it out: it needs no
// privileges and changes nothing.
func Explain(o Options) (*Plan, error) {
	o.Terminal = func(*os.File) error { return nil }
	var warnings []string
	first := o.first(true)
	first.Warn, first.Debug, first.Trace = func(message string) { warnings = append(warnings, message) }, nil, nil
	made, err := birth.PlanFirst(first)
	if err != nil {
		return nil, err
	}
	plan := &Plan{Clone: program.CloneFlagNames(made.CloneFlags), Files: []PlanFile{}, Warnings: append(warnings, made.Warnings...)}
	for i, f := range made.Files {
		plan.Files = append(plan.Files, PlanFile{Number: 3 + i, What: fileText(&f), Path: f.Path, Source: f.Source})
	}
	p := made.Program
	for i := range p.Instructions {
		ins := &p.Instructions[i]
		step := PlanStep{Step: i, Call: p.Text(i), Source: ins.Source, Purpose: ins.Purpose, Rare: i >= made.Rare}
		if ins.Op == program.OpSyscall {
			step.Syscall = ins.Call.String()
		}
		plan.Steps = append(plan.Steps, step)
	}
	return plan, nil
}

func fileText(f *compile.File) string {
	switch f.Kind {
	case compile.Conversation:
		return "the conversation with rt"
	case compile.StartSocket:
		return "the socket at which `rt start` knocks"
	case compile.Release:
		return "a pipe with rt's permission to execute the user's program"
	case compile.Namespace:
		return "the " + string(f.Namespace) + " namespace " + f.Path
	}
	if f.Kind == compile.HookState || f.Kind == compile.HookOutput || f.Kind == compile.HookErrors {
		return "a file for hooks in the container"
	}
	return "a place for a descriptor that the program keeps"
}
