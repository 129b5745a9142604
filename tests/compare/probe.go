package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// probeName is the name of this program in a container: it prints what it sees, a
// key, a tab and a value on each line.
const probeName = "probe"

func probe() {
	say := func(key, format string, args ...any) { fmt.Printf("%s\t%s\n", key, fmt.Sprintf(format, args...)) }
	// It queries the system first: the environment of Go's own start is small.
	groups, _ := unix.Getgroups()
	slices.Sort(groups)
	say("ids", "%d %d %v", unix.Getuid(), unix.Getgid(), groups)
	mask := unix.Umask(0)
	say("umask", "%#o", mask)
	dir, err := os.Getwd()
	say("cwd", "%s %v", dir, err)
	env := os.Environ()
	sort.Strings(env)
	say("env", "%s", strings.Join(env, " "))
	say("args", "%s", strings.Join(os.Args[1:], " "))
	status("self", say)
	limits(say)
	ofHost(say)
	mountTable(say)
	files(say)
	devices(say)
	var u unix.Utsname
	_ = unix.Uname(&u)
	say("hostname", "%s", unix.ByteSliceToString(u.Nodename[:]))
	for _, name := range []string{"oom_score_adj", "personality"} {
		data, _ := os.ReadFile("/proc/self/" + name)
		say(name, "%s", strings.TrimSpace(string(data)))
	}
	for _, name := range []string{"/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/ip_forward"} {
		if data, err := os.ReadFile(name); err == nil {
			say(name, "%s", strings.TrimSpace(string(data)))
		}
	}
	sid, _ := unix.Getsid(0)
	say("session leader", "%v", sid == unix.Getpid())
	say("pid", "%v", unix.Getpid() == 1)
	prio, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
	say("nice", "%d", 20-prio)
	if data, err := os.ReadFile("/hooks"); err == nil {
		say("hooks", "%s", strings.Join(strings.Fields(string(data)), " "))
	}
}

func status(pid string, say func(string, string, ...any)) {
	f, err := os.Open("/proc/" + pid + "/status")
	if err != nil {
		say("status", "%v", err)
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch key {
		case "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Cpus_allowed", "SigBlk":
			say(key, "%s", strings.TrimSpace(value))
		}
	}
}

func limits(say func(string, string, ...any)) {
	for name, n := range map[string]int{"NOFILE": unix.RLIMIT_NOFILE, "CORE": unix.RLIMIT_CORE, "NPROC": unix.RLIMIT_NPROC, "FSIZE": unix.RLIMIT_FSIZE, "MEMLOCK": unix.RLIMIT_MEMLOCK, "STACK": unix.RLIMIT_STACK} {
		var l unix.Rlimit
		_ = unix.Prlimit(0, n, nil, &l)
		// Go raises the soft limit of descriptors as it starts.
		if name == "NOFILE" {
			l.Cur = 0
		}
		say("limit "+name, "%d %d", l.Cur, l.Max)
	}
}

// ofHost tells which namespaces are the host's: those that the variable names.
func ofHost(say func(string, string, ...any)) {
	for _, pair := range strings.Fields(os.Getenv(hostNamespaces)) {
		name, host, _ := strings.Cut(pair, "=")
		link, _ := os.Readlink("/proc/self/ns/" + name)
		say("namespace "+name, "host: %v", link == host)
	}
}

const hostNamespaces = "HOST_NAMESPACES"

// mountTable lists the mounts with their options, except names and numbers that differ for
// every container.
func mountTable(say func(string, string, ...any)) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		say("mounts", "%v", err)
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		fields, fs := strings.Fields(before), strings.Fields(after)
		if len(fields) < 6 || len(fs) < 3 {
			continue
		}
		var propagation []string
		for _, p := range fields[6:] {
			kind, _, _ := strings.Cut(p, ":")
			if kind != "propagate_from" {
				propagation = append(propagation, kind)
			}
		}
		options := strings.Split(fields[5], ",")
		sort.Strings(options)
		if fields[4] == "/" {
			fs[0] = "root"
		}
		say("mount "+fields[4], "%s %s %s", fs[0], strings.Join(options, ","), strings.Join(propagation, ","))
	}
}

// files lists the modes and owners of what variations make.
func files(say func(string, string, ...any)) {
	names, _ := filepath.Glob("/data*")
	more, _ := filepath.Glob("/data*/*")
	names = append(append(names, more...), "/dev", "/proc", "/sys", "/tmp", "/proc/kcore", "/proc/sys/kernel", "/made/cwd")
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			continue
		}
		writable := "writable"
		if unix.Access(name, unix.W_OK) != nil {
			writable = "not writable"
		}
		if strings.HasPrefix(name, "/proc/") || strings.HasPrefix(name, "/sys") {
			say("file "+name, "%s", writable)
			continue
		}
		say("file "+name, "%o %d:%d %s", st.Mode, st.Uid, st.Gid, writable)
	}
	for _, name := range []string{"/proc/kcore", "/proc/timer_list", "/proc/keys", "/sys/firmware", "/masked", "/masked/file"} {
		data, err := os.ReadFile(name)
		say("reads "+name, "%v %v", len(data) > 0, err == nil || strings.Contains(err.Error(), "is a directory"))
	}
}

// devices lists what is in /dev.
func devices(say func(string, string, ...any)) {
	entries, _ := os.ReadDir("/dev")
	for _, e := range entries {
		var st unix.Stat_t
		if unix.Lstat("/dev/"+e.Name(), &st) == nil {
			link, _ := os.Readlink("/dev/" + e.Name())
			say("dev "+e.Name(), "%o %d:%d %d:%d %s", st.Mode, st.Uid, st.Gid, unix.Major(st.Rdev), unix.Minor(st.Rdev), link)
		}
	}
}
