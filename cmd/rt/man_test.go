package main

import (
	"strings"
	"testing"
)

// Every command has a page, with every option.
func TestManPages(t *testing.T) {
	pages := manPages()
	if len(pages) != len(commands())+1 {
		t.Errorf("%d pages", len(pages))
	}
	for _, c := range commands() {
		text := pages["rt-"+c.name+".8"]
		for _, f := range c.flags {
			if !strings.Contains(text, roff("--"+f.name)) {
				t.Errorf("%s: no --%s", c.name, f.name)
			}
		}
		if !strings.Contains(pages["rt.8"], roff("rt-"+c.name+"(8)")) {
			t.Errorf("rt.8 does not name %s", c.name)
		}
		for _, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(line, ".") && len(strings.Fields(line)[0]) > 3 {
				t.Errorf("%s: a line looks like a request: %s", c.name, line)
			}
		}
	}
}
