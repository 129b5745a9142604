package birth

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rtcontainers/rt/internal/sysfile"
)

// hostMounts lists where the host's proc and sysfs are mounted, but for those in
// the container's root file system; what was mounted last comes first.
func hostMounts(rootfs string) ([]string, error) {
	data, err := sysfile.Read("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		name, fstype, ok := parseMountinfo(line)
		if ok && (fstype == "proc" || fstype == "sysfs") && name != rootfs && !strings.HasPrefix(name, rootfs+"/") {
			list = append(list, name)
		}
	}
	slices.Reverse(list)
	return list, nil
}

// parseMountinfo reads the mount point and the type of the file system from a line
// of proc_pid_mountinfo(5).
func parseMountinfo(line string) (name, fstype string, ok bool) {
	const mountPoint = 4
	before, after, ok := strings.Cut(line, " - ")
	fields := strings.Fields(before)
	if !ok || len(fields) <= mountPoint {
		return "", "", false
	}
	fstype, _, _ = strings.Cut(after, " ")
	return unescapeOctal(fields[mountPoint]), fstype, true
}

// unescapeOctal undoes what the kernel makes of spaces and the like: "\040".
func unescapeOctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
