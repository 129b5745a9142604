package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// console prints what a guest writes, each line with the job's name before it, and
// remembers the last word of the job.
type console struct {
	w    io.Writer
	job  string
	line []byte
	last string
	// heard is called when the guest prints something.
	heard func()
}

func newConsole(w io.Writer, job string) *console {
	return &console{w: w, job: job, heard: func() {}}
}

func (c *console) Write(p []byte) (int, error) {
	c.line = append(c.line, p...)
	for {
		end := bytes.IndexByte(c.line, '\n')
		if end < 0 {
			return len(p), nil
		}
		c.add(strings.TrimRight(string(c.line[:end]), "\r"))
		c.line = c.line[end+1:]
	}
}

// prefix begins the job's verdicts; alive is what it prints in between.
const (
	prefix = "guest: "
	alive  = "alive: "
)

func (c *console) add(line string) {
	c.heard()
	if strings.HasPrefix(line, alive) {
		return
	}
	if strings.HasPrefix(line, prefix) {
		c.last = line
	}
	// One call a line: guests share the output.
	fmt.Fprintf(c.w, "[%s] %s\n", c.job, line)
}

// verdict is nil when the job's last word was that it passed.
func (c *console) verdict() error {
	switch word := strings.TrimPrefix(c.last, prefix); word {
	case "PASS":
		return nil
	case "":
		return fmt.Errorf("the job ended without a verdict")
	default:
		return fmt.Errorf("%s", word)
	}
}
