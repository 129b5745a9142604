package kubernetes

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// logMark is a place in a daemon's log.
type logMark struct {
	path   string
	offset int
}

func markLog(d *daemon) *logMark {
	data, _ := os.ReadFile(d.log())
	return &logMark{path: d.log(), offset: len(data)}
}

// errorLine is a line of the kubelet, such as
//
//	E1130 11:22:33.444555    77 pod_workers.go:1324] "Error syncing pod" err=…
//
// or one of containerd, with level=error.
var errorLine = regexp.MustCompile(`(?m)^(?:E\d{4} \S+ +\d+ (.*)|.* level=error (msg=.*))$`)

// errors are the lines with errors since the mark.
func (m *logMark) errors() []string {
	data, _ := os.ReadFile(m.path)
	var lines []string
	for _, found := range errorLine.FindAllStringSubmatch(string(data[m.offset:]), -1) {
		lines = append(lines, found[1]+found[2])
	}
	return lines
}

// varying is what differs from run to run and from handler to handler.
var varying = []struct {
	pattern *regexp.Regexp
	text    string
}{
	// What the runtime says in its own words, after the code of an error.
	{regexp.MustCompile(`(OCI runtime \w+ failed|code = \w+ desc).*`), "$1"},
	// Names of pods and other objects, and what follows the name of a pod.
	{regexp.MustCompile(`[a-z0-9-]+_(runc|rt-sandbox|rt)\(.*`), "POD"},
	{regexp.MustCompile(`((?:pod=|pods |configmaps |name:|namespace:|[nN]ame=|\.io )\\*)"[^"]*"`), "$1"},
	{regexp.MustCompile(`(for \\*"|container=)[a-z0-9-]+`), "$1"},
	{regexp.MustCompile(`object-\\*".*`), ""},
	{regexp.MustCompile(`[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+`), "#"},
}

// races are errors that depend on the moment, with any runtime.
var races = regexp.MustCompile(strings.Join([]string{
	// A pod or its objects were made or deleted while the kubelet looked at them.
	"no relationship found between node",
	"configmap.go:|secret.go:|projected.go:|nestedpendingoperations.go:",
	"Unable to fetch container log stats",
	"RecentStats: unable to find data in memory cache",
	"Missing actuated resource record",
	"Failed to remove container.* code = NotFound|already in removing state",
	"Operation cannot be fulfilled|Failed to update status for pod",
	// A probe, a client or a container ended.
	"Failed to create existing container",
	"collecting metrics for .* no such device",
	"in a container that has ended|ExecSync .* code = FailedPrecondition|no running task found",
	"received message on inactive stream",
	"Error proxying data",
	// The kubelet or containerd was restarted, or a shim was killed.
	"ttrpc: closed",
	"Error getting the current node from lister|Skipping pod synchronization",
	"code = Unavailable",
}, "|"))

// kind is a line without what differs from run to run, and from handler to handler.
func kind(line string) string {
	for _, v := range varying {
		line = v.pattern.ReplaceAllString(line, v.text)
	}
	return line
}

// sameErrors is the row of the table that the comparison has.
const sameErrors = "no errors in the logs but those with runc"

// often is how many lines of a kind are no race. The kubelet and containerd try again: what
// fails each time is logged more often.
const often = 3

// compareErrors reports the kinds of lines that only rt has.
func compareErrors(t *testing.T, rt, runc []string) {
	known := map[string]bool{}
	for _, line := range runc {
		known[kind(line)] = true
	}
	lines := map[string][]string{}
	for _, line := range rt {
		if k := kind(line); !known[k] && !races.MatchString(line) {
			lines[k] = append(lines[k], line)
		}
	}
	for _, list := range lines {
		if len(list) < often {
			t.Logf("only with rt, but seldom: %s", list[0])
			continue
		}
		t.Errorf("%d times, only with rt: %s", len(list), list[0])
	}
}
