package spec

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/jsontext"
)

// problemCase is one check: a change of the default configuration that it must refuse, at
// this field, and one that it must accept.
type problemCase struct {
	field, bad, good string
}

// changed is the default configuration with the members of a document. Objects
// are merged, everything else is replaced.
func changed(t *testing.T, document string) *specs.Spec {
	t.Helper()
	s, fresh := Default(), new(specs.Spec)
	decodeSpec(jsontext.NewDecoder(document), fresh)
	dropLists(reflect.ValueOf(s).Elem(), reflect.ValueOf(fresh).Elem())
	d := jsontext.NewDecoder(document)
	decodeSpec(d, s)
	if err := d.End(); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	return s
}

func TestProblems(t *testing.T) {
	for _, table := range [][]problemCase{generalProblems, processProblems, mountProblems, linuxProblems, resourceProblems} {
		for _, c := range table {
			bad := check(changed(t, c.bad)).problems
			if !slices.ContainsFunc(bad, func(p Problem) bool { return p.Field == c.field }) {
				t.Errorf("no problem at %s in %s, but %v", c.field, c.bad, bad)
			}
			if good := check(changed(t, c.good)).problems; len(good) > 0 {
				t.Errorf("%s: %v in %s", c.field, good, c.good)
			}
		}
	}
}

var generalProblems = []problemCase{
	{"ociVersion", `{"ociVersion": ""}`, `{"ociVersion": "1.0.0-rc5"}`},
	{"root.path", `{"root": {"path": ""}}`, `{"root": {"path": "/srv/root"}}`},
	{"root.path", `{"root": {"path": "a\u0000b"}}`, `{"root": {"path": "a b"}}`},
	{"hostname", `{"hostname": "` + strings.Repeat("h", 65) + `"}`, `{"hostname": "` + strings.Repeat("h", 64) + `"}`},
	{"hostname", `{"linux": null}`, `{"linux": null, "hostname": ""}`},
	{"hostname", `{"hostname": "a\u0000b"}`, `{"hostname": ""}`},
	{"domainname", `{"domainname": "` + strings.Repeat("d", 65) + `"}`, `{"domainname": "` + strings.Repeat("d", 64) + `"}`},
	{"domainname", `{"domainname": "d", "linux": {"namespaces": []}}`, `{"domainname": "d"}`},
	{"annotations", `{"annotations": {"": "x"}}`, `{"annotations": {"com.example.key": ""}}`},
	{"hooks.prestart[0].path", `{"hooks": {"prestart": [{}]}}`, `{"hooks": {"prestart": [{"path": "/bin/hook"}]}}`},
	{"hooks.createRuntime[1].path", `{"hooks": {"createRuntime": [{"path": "/x"}, {"path": "x"}]}}`, `{"hooks": {"createRuntime": [{"path": "/x"}]}}`},
	{"hooks.createContainer[0].timeout", `{"hooks": {"createContainer": [{"path": "/x", "timeout": 0}]}}`, `{"hooks": {"createContainer": [{"path": "/x", "timeout": 1}]}}`},
	{"hooks.poststart[0].args[1]", `{"hooks": {"poststart": [{"path": "/x", "args": ["x", "\u0000"]}]}}`, `{"hooks": {"poststart": [{"path": "/x", "args": ["x", ""]}]}}`},
	{"hooks.poststop[0].timeout", `{"hooks": {"poststop": [{"path": "/x", "timeout": -1}]}}`, `{"hooks": {"poststop": [{"path": "/x", "timeout": 60}]}}`},
}

var processProblems = []problemCase{
	{"process.consoleSize.height", `{"process": {"consoleSize": {"height": 65536}}}`, `{"process": {"consoleSize": {"height": 25, "width": 80}}}`},
	{"process.consoleSize.width", `{"process": {"consoleSize": {"width": 65536}}}`, `{"process": {"terminal": false, "consoleSize": {"width": 65536}}}`},
	{"process.user.uid", `{"process": {"user": {"uid": 4294967295}}}`, `{"process": {"user": {"uid": 4294967294}}}`},
	{"process.user.gid", `{"process": {"user": {"gid": 4294967295}}}`, `{"process": {"user": {"gid": 1000}}}`},
	{"process.user.uid", `{"process": {"user": {"uid": 10}}, ` + userNamespace, `{"process": {"user": {"uid": 9}}, ` + userNamespace},
	{"process.user.additionalGids[1]", `{"process": {"user": {"additionalGids": [1, 10]}}, ` + userNamespace, `{"process": {"user": {"additionalGids": [1, 9]}}, ` + userNamespace},
	{"process.user.additionalGids", `{"process": {"user": {"additionalGids": [1` + strings.Repeat(",1", 65536) + `]}}}`, `{"process": {"user": {"additionalGids": [1, 1]}}}`},
	{"process.user.umask", `{"process": {"user": {"umask": 512}}}`, `{"process": {"user": {"umask": 511}}}`},
	{"process.args", `{"process": {"args": []}}`, `{"process": {"args": ["a", ""]}}`},
	{"process.env[1]", `{"process": {"env": ["A=1", "B"]}}`, `{"process": {"env": ["A=1", "B=="]}}`},
	{"process.env[0]", `{"process": {"env": ["=x"]}}`, `{"process": {"env": []}}`},
	{"process.cwd", `{"process": {"cwd": ""}}`, `{"process": {"cwd": "/tmp"}}`},
	{"process.cwd", `{"process": {"cwd": "/\u0000"}}`, `{"process": null}`},
	{"process.rlimits[1].type", `{"process": {"rlimits": [{"type": "RLIMIT_AS"}, {"type": "RLIMIT_AS"}]}}`, `{"process": {"rlimits": [{"type": "RLIMIT_AS"}, {"type": "RLIMIT_CPU"}]}}`},
	{"process.apparmorProfile", `{"process": {"apparmorProfile": "a\nb"}}`, `{"process": {"apparmorProfile": "docker-default"}}`},
	{"process.selinuxLabel", `{"process": {"selinuxLabel": "system_u:system_r"}}`, `{"process": {"selinuxLabel": "system_u:system_r:svirt_lxc_net_t:s0:c124,c675"}}`},
	{"process.selinuxLabel", `{"process": {"selinuxLabel": "a::c"}}`, `{"process": {"selinuxLabel": "a:b:c"}}`},
	{"process.oomScoreAdj", `{"process": {"oomScoreAdj": -1001}}`, `{"process": {"oomScoreAdj": -1000}}`},

	{"process.scheduler.policy", `{"process": {"scheduler": {}}}`, `{"process": {"scheduler": {"policy": "SCHED_OTHER", "nice": -20}}}`},
	{"process.scheduler.policy", `{"process": {"scheduler": {"policy": "SCHED_ISO"}}}`, `{"process": {"scheduler": {"policy": "SCHED_IDLE"}}}`},
	{"process.scheduler.policy", `{"process": {"scheduler": {"policy": "SCHED_FAST"}}}`, `{"process": {"scheduler": {"policy": "SCHED_BATCH"}}}`},
	{"process.scheduler.nice", `{"process": {"scheduler": {"policy": "SCHED_OTHER", "nice": 20}}}`, `{"process": {"scheduler": {"policy": "SCHED_OTHER", "nice": 19}}}`},
	{"process.scheduler.priority", `{"process": {"scheduler": {"policy": "SCHED_OTHER", "priority": 1}}}`, `{"process": {"scheduler": {"policy": "SCHED_RR", "priority": 1}}}`},
	{"process.scheduler.priority", `{"process": {"scheduler": {"policy": "SCHED_FIFO"}}}`, `{"process": {"scheduler": {"policy": "SCHED_FIFO", "priority": 99}}}`},
	{"process.scheduler.flags[1]", `{"process": {"scheduler": {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_RECLAIM", "X"]}}}`, `{"process": {"scheduler": {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_RESET_ON_FORK"]}}}`},
	{"process.scheduler.runtime", `{"process": {"scheduler": {"policy": "SCHED_OTHER", "runtime": 5000}}}`, deadline(5000, 5000, 5000)},
	{"process.scheduler.runtime", deadline(1023, 5000, 5000), deadline(1024, 5000, 5000)},
	{"process.scheduler.runtime", deadline(5001, 5000, 0), deadline(5000, 5000, 0)},
	{"process.scheduler.deadline", deadline(5000, 7000, 6000), deadline(5000, 6000, 7000)},
	{"process.scheduler.period", deadline(5000, 6000, 1<<63), deadline(5000, 6000, 1<<63-1)},
	{"process.ioPriority.class", `{"process": {"ioPriority": {"class": "IOPRIO_CLASS_NONE"}}}`, `{"process": {"ioPriority": {"class": "IOPRIO_CLASS_RT"}}}`},
	{"process.ioPriority.priority", `{"process": {"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}}}`, `{"process": {"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 7}}}`},
	{"process.execCPUAffinity.initial", `{"process": {"execCPUAffinity": {"initial": "7-3"}}}`, `{"process": {"execCPUAffinity": {"initial": "7"}}}`},
	{"process.execCPUAffinity.final", `{"process": {"execCPUAffinity": {"final": "all"}}}`, `{"process": {"execCPUAffinity": {"final": "0-3,7"}}}`},
}

// userNamespace ends a document with a user namespace of ten ids.
const userNamespace = `"linux": {"namespaces": [{"type": "user"}, {"type": "uts"}],
	"uidMappings": [{"hostID": 1000, "size": 10}], "gidMappings": [{"hostID": 1000, "size": 10}]}}`
