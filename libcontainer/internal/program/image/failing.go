//go:build failing

package image

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rtcontainers/rt/libcontainer/internal/program"
	"golang.org/x/sys/unix"
)

// A build with the tag "failing" lets tests/failures make single instructions fail:
//
//	RT_FAIL=PROGRAM:INSTRUCTION:ERRNO[,...]
//
// PROGRAM counts the programs that the process links, from 0. The word "halt" in place of a
// number lets the program wait for ever before the instruction. RT_FAIL_LIST is a file to
// which all programs are added, as JSON.

var linked atomic.Int64

// listed is a program in the file of RT_FAIL_LIST.
type listed struct {
	Program int          `json:"program"`
	Fail    int          `json:"fail"`
	Steps   []listedStep `json:"steps"`
}

type listedStep struct {
	Op      program.Op `json:"op"`
	Call    string     `json:"call,omitempty"`
	Text    string     `json:"text"`
	Source  string     `json:"source"`
	Purpose string     `json:"purpose"`
	Errnos  []uint16   `json:"errnos,omitempty"`
	Target  int        `json:"target"` // -1: the next instruction
}

// prepared is the program with the failures that RT_FAIL names.
func prepared(p *program.Program) (*program.Program, error) {
	number := int(linked.Add(1)) - 1
	if name := os.Getenv("RT_FAIL_LIST"); name != "" {
		if err := list(name, number, p); err != nil {
			return nil, err
		}
	}
	for entry := range strings.SplitSeq(os.Getenv("RT_FAIL"), ",") {
		if entry == "" {
			continue
		}
		fields := strings.Split(entry, ":")
		if len(fields) != 3 {
			return nil, fmt.Errorf("RT_FAIL: %q is not PROGRAM:INSTRUCTION:ERRNO", entry)
		}
		which, err := strconv.Atoi(fields[0])
		if err != nil || which != number {
			continue
		}
		i, err := strconv.Atoi(fields[1])
		if err != nil || i < 0 || i >= len(p.Instructions) {
			return nil, fmt.Errorf("RT_FAIL: no instruction %q", fields[1])
		}
		if fields[2] == "halt" {
			p = p.WithHalt(i)
			continue
		}
		errno, err := strconv.Atoi(fields[2])
		if err != nil || errno <= 0 {
			return nil, fmt.Errorf("RT_FAIL: no errno %q", fields[2])
		}
		p = p.WithFailure(i, unix.Errno(errno), Addr(i))
	}
	return p, nil
}

func list(name string, number int, p *program.Program) error {
	l := listed{Program: number, Fail: p.Target(p.Fail)}
	for i := range p.Instructions {
		ins := &p.Instructions[i]
		step := listedStep{Op: ins.Op, Text: p.Text(i), Source: ins.Source, Purpose: ins.Purpose, Target: -1}
		if ins.Op == program.OpSyscall {
			step.Call = ins.Call.String()
		}
		if ins.Target != program.Next {
			step.Target = p.Target(ins.Target)
		}
		for _, e := range ins.Errnos {
			if e != 0 {
				step.Errnos = append(step.Errnos, uint16(e))
			}
		}
		l.Steps = append(l.Steps, step)
	}
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(data, '\n'))
	return err
}
