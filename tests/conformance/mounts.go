package main

import (
	"bytes"
	"slices"
	"strings"
)

// mount is a line of /proc/PID/mountinfo.
type mount struct {
	origin, point string
	// kind is the type of the file system.
	kind string
}

// unescapeMount undoes what the kernel does to paths in mountinfo.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func parseMounts(mountinfo []byte) []mount {
	var mounts []mount
	for line := range bytes.Lines(mountinfo) {
		fields := strings.Fields(string(line))
		// The number of fields before "-" varies.
		end := slices.Index(fields, "-")
		if end < 5 || len(fields) < end+2 {
			continue
		}
		mounts = append(mounts, mount{
			origin: unescapeMount.Replace(fields[3]),
			point:  unescapeMount.Replace(fields[4]),
			kind:   fields[end+1],
		})
	}
	return mounts
}
