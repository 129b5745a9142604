package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestGeneratedTablesAreUpToDate(t *testing.T) {
	unix, err := source()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outputs {
		want, err := o.text(unix)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", "..", o.name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not up to date: run go generate in libcontainer/seccomp", o.name())
		}
	}
}

func TestX32(t *testing.T) {
	table := x32(numbers{"read": 0, "execve": 59, "uselib": 134})
	if _, ok := table["uselib"]; ok || table["execve"] != 520 || table["read"] != 0 || table["pwritev2"] != 547 {
		t.Errorf("table %v", table)
	}
}
