package integration

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// unprivileged is true if an ordinary user runs the tests. Every bundle then has a user
// namespace in which the user is root. RT_TEST_USER says what the user has: words with
// commas between, or "nothing".
var unprivileged = os.Geteuid() != 0

// need is something that a test needs and not every user has.
type need string

const (
	// needsRoot is another user, or what only root may do on the machine.
	needsRoot need = "root"
	// needsIDs are subordinate ids, beside the user's own.
	needsIDs need = "ids"
	// needsCgroup is a cgroup that is delegated to the user, with the test in one below
	// it.
	needsCgroup need = "cgroup"
)

// needs are those of the tests that not every user can run. All others run for everybody.
var needs = map[string]need{
	"TestADeviceThatIsThereAlready":         needsRoot, // makes a device
	"TestAddMountsInAUserNamespace":         needsRoot, // has a user namespace of other ids
	"TestAddMountsMapsIDs":                  needsRoot, // has files of other users
	"TestAddedMountsPropagate":              needsRoot, // mounts on the machine
	"TestMountsNeedANamespace":              needsRoot, // has no mount namespace
	"TestErrorsOfAnOrdinaryUser":            needsRoot, // becomes a user
	"TestPropagationAtWork":                 needsRoot, // mounts on the machine
	"TestAllNamespacesAreNew":               needsRoot, // has a user namespace of other ids
	"TestBindMounts":                        needsRoot, // mounts on the machine
	"TestBindOfAClosedDirectory":            needsRoot, // has a directory of root's
	"TestCgroupOwner":                       needsRoot, // gives it to another user
	"TestContainerInAContainer":             needsRoot, // has a user namespace in another
	"TestContainerWithoutAState":            needsRoot, // makes a cgroup at the top
	"TestDeviceRules":                       needsRoot, // bpf(2)
	"TestDevices":                           needsRoot, // mknod(2)
	"TestDevicesAreRestricted":              needsRoot, // bpf(2)
	"TestErrorsNameTheField":                needsRoot, // counts namespaces
	"TestExecAtTheLimitOfProcesses":         needsRoot, // has the host's pids and a procfs
	"TestExecWhilePausedAndResumed":         needsCgroup,
	"TestExecGetsTheFilterAndLimits":        needsRoot, // a program of a user's that waits has no oom_score_adj
	"TestExecInAJoinedMountNamespace":       needsRoot, // makes one
	"TestExecJoinsTheContainer":             needsRoot, // has other namespaces
	"TestFlagsOfABindMount":                 needsRoot, // mounts on the machine
	"TestHomeWithoutAFile":                  needsRoot, // makes a device
	"TestHooksOfAClosedBundle":              needsRoot, // has a user namespace of other ids
	"TestHooksSeeTheMounts":                 needsRoot, // joins the container's from outside
	"TestIDMapOfTheUserNamespace":           needsRoot, // has files of other users
	"TestIDMappedMounts":                    needsRoot, // has files of other users
	"TestIdmapRanges":                       needsRoot, // maps ids of the host's file systems
	"TestInheritedNamespaces":               needsRoot, // has no user namespace
	"TestJoinNamespaces":                    needsRoot, // has no user namespace
	"TestJoinUserNamespaceAndOthers":        needsRoot, // has a user namespace of other ids
	"TestKeepOriginalGroups":                needsRoot, // becomes a member of a group
	"TestKeeperReapsOrphans":                needsRoot, // has no user namespace
	"TestKillAProcessWithoutALeader":        needsRoot, // has no user namespace
	"TestKillAll":                           needsRoot, // has no user namespace
	"TestKillAllOfABusyContainer":           needsRoot, // has no user namespace
	"TestLargeConfigurations":               needsRoot, // makes devices
	"TestList":                              needsRoot, // is the owner
	"TestMissingDeviceInAUserNamespace":     needsRoot, // makes a device
	"TestMountPointInAReadOnlyDirectory":    needsRoot, // has a user namespace of other ids
	"TestNetDeviceErrors":                   needsRoot, // has network devices
	"TestNetDevices":                        needsRoot, // has network devices
	"TestNewUserNamespaceWithAHostNetwork":  needsRoot, // has no user namespace
	"TestNoLinuxObject":                     needsRoot, // has no user namespace
	"TestNoMountNamespace":                  needsRoot, // has no user namespace
	"TestNotifySocket":                      needsRoot, // has a user namespace of other ids
	"TestNotifySocketIsNotSwapped":          needsRoot, // has CAP_SYS_ADMIN over the mount
	"TestPidFileInAPublicDirectory":         needsRoot, // is another user, too
	"TestPlantedState":                      needsRoot, // is another user, too
	"TestPrioritiesInAUserNamespace":        needsRoot, // has a user namespace of other ids
	"TestReadOnlyFileSystemWithADevice":     needsRoot, // makes a device
	"TestRealTimeScheduling":                needsRoot, // CAP_SYS_NICE
	"TestRecursiveReadOnly":                 needsRoot, // mounts on the machine
	"TestSessionKeyring":                    needsRoot, // has a user namespace of other ids
	"TestSharedMountsOfTheHostStay":         needsRoot, // mounts on the machine
	"TestSharedPidNamespaceIsEndedWhole":    needsRoot, // has no user namespace
	"TestSignalsAtAnyMoment":                needsRoot, // has the host's pids and a procfs
	"TestStateBesideThatOfOthers":           needsRoot, // is another user, too
	"TestSubreaperCollectsOrphans":          needsRoot, // has no user namespace
	"TestTerminalInEveryNamespace":          needsRoot, // has a user namespace of other ids, or none
	"TestThreadedCgroup":                    needsRoot, // makes a cgroup at the top
	"TestTmpCopyUp":                         needsRoot, // has files of other users
	"TestUpdateOfDeviceRules":               needsRoot, // mknod(2)
	"TestUserNamespaceMapping":              needsRoot, // has a user namespace of other ids
	"TestUserNamespaceOfRoot":               needsRoot, // has a user namespace of other ids
	"TestWorkingDirectoryOfAUser":           needsRoot, // has files of other users
	"TestCapabilitySets":                    needsIDs,
	"TestConsoleSocket":                     needsIDs,
	"TestExecOptions":                       needsIDs,
	"TestHomeOfThePasswd":                   needsIDs,
	"TestNonRootUserReopensStandardStreams": needsIDs,
	"TestNotifySocketAndItsDirectory":       needsIDs,
	"TestSeccompIsLoadedLast":               needsIDs,
	"TestSmallestLimitsOfAUser":             needsIDs,
	"TestUserGroupsAndUmask":                needsIDs,
	"TestCPUIdle":                           needsCgroup,
	"TestEventsStats":                       needsCgroup,
	"TestOOMEvent":                          needsCgroup,
	"TestUpdateIsWholeOrNot":                needsCgroup,
	"TestCgroupInUse":                       needsCgroup,
	"TestCgroupMountWithoutANamespace":      needsCgroup,
	"TestDeleteSparesOthers":                needsCgroup,
	"TestDeleteWaitsForAProcessThatEnds":    needsCgroup,
	"TestExecInASubCgroup":                  needsCgroup,
	"TestExecIntoAFrozenCgroup":             needsCgroup,
	"TestFrozenCgroup":                      needsCgroup,
	"TestHooksThatCallRT":                   needsCgroup,
	"TestKeeperRemovesWhatTheContainerMade": needsCgroup,
	"TestKillAPausedContainer":              needsCgroup,
	"TestKillWhatTheFirstProcessLeft":       needsCgroup,
	"TestLimits":                            needsCgroup,
	"TestMountsOfAPausedContainer":          needsCgroup,
	"TestPauseAndResume":                    needsCgroup,
	"TestPauseBeforeTheStart":               needsCgroup,
	"TestPs":                                needsCgroup,
	"TestUnified":                           needsCgroup,
	"TestUpdate":                            needsCgroup,
}

// userHas is what RT_TEST_USER says.
var userHas []need

// chooseTests skips what the user cannot run, and says so.
func chooseTests() error {
	if !unprivileged {
		return nil
	}
	words := os.Getenv("RT_TEST_USER")
	if words == "" {
		return fmt.Errorf("these tests need root; RT_TEST_USER=nothing runs those that do not (or cgroup, or ids, with a comma between)")
	}
	for word := range strings.SplitSeq(words, ",") {
		switch n := need(word); n {
		case needsIDs, needsCgroup:
			userHas = append(userHas, n)
		case "nothing":
		default:
			return fmt.Errorf("RT_TEST_USER: %q is not one of nothing, cgroup, ids", word)
		}
	}
	out := map[need][]string{}
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if n := needs[name]; !slices.Contains(userHas, n) {
			out[n] = append(out[n], name)
		}
	}
	var skip []string
	for _, n := range []need{needsRoot, needsIDs, needsCgroup} {
		if len(out[n]) > 0 {
			fmt.Printf("not for this user, they need %s: %s\n", n, strings.Join(out[n], " "))
			skip = append(skip, out[n]...)
		}
	}
	pattern := "^(" + strings.Join(skip, "|") + ")$"
	if before := flag.Lookup("test.skip").Value.String(); before != "" {
		pattern = before + "|" + pattern
	}
	return flag.Set("test.skip", pattern)
}

// The names in the table are names of tests.
func TestNeedsAreOfTests(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	out, err := exec.Command(self, "-test.list", ".").Output()
	must(t, err)
	tests := lines(string(out))
	for name := range needs {
		if !slices.Contains(tests, name) {
			t.Errorf("there is no %s", name)
		}
	}
}

// forUser gives the bundle a user namespace, in which the user is root and has their
// subordinate ids, if any.
func (b *bundle) forUser() {
	l := b.spec.Linux
	l.Namespaces = append(l.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	l.UIDMappings = []specs.LinuxIDMapping{{HostID: uint32(os.Geteuid()), Size: 1}}
	l.GIDMappings = []specs.LinuxIDMapping{{HostID: uint32(os.Getegid()), Size: 1}}
	l.Resources = new(specs.LinuxResources)
	if slices.Contains(userHas, needsIDs) {
		l.UIDMappings = append(l.UIDMappings, subordinate(b.t, "uid"))
		l.GIDMappings = append(l.GIDMappings, subordinate(b.t, "gid"))
		return
	}
	for i := range b.spec.Mounts {
		m := &b.spec.Mounts[i]
		// The group of terminals does not exist.
		m.Options = slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return o == "gid=5" })
	}
}

// inUserNamespace gives root's bundle a user namespace of other ids. An ordinary user's
// has one anyway.
func inUserNamespace(b *bundle) {
	if unprivileged {
		return
	}
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	mapped(b)
}

// subordinate maps the user's first range of subuid(5) or subgid(5).
func subordinate(t *testing.T, kind string) specs.LinuxIDMapping {
	t.Helper()
	u, err := user.Current()
	must(t, err)
	data, err := os.ReadFile("/etc/sub" + kind)
	must(t, err)
	for _, line := range lines(string(data)) {
		f := strings.Split(line, ":")
		if len(f) != 3 || f[0] != u.Username && f[0] != u.Uid {
			continue
		}
		first, err := strconv.ParseUint(f[1], 10, 32)
		must(t, err)
		size, err := strconv.ParseUint(f[2], 10, 32)
		must(t, err)
		return specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(first), Size: uint32(size)}
	}
	t.Fatalf("/etc/sub%s has no ids for %s", kind, u.Username)
	return specs.LinuxIDMapping{}
}

// topCgroup is the cgroup below which the tests make cgroups: the machine's, or the one
// that is delegated to the user, as a path below the mount point.
func topCgroup() string {
	if !unprivileged || !slices.Contains(userHas, needsCgroup) {
		return "/"
	}
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "/"
	}
	_, own, _ := strings.Cut(strings.TrimSpace(string(data)), "::")
	return filepath.Dir(own)
}

// A container that works prints nothing on standard error, whoever runs it and whatever
// they lack.
func TestNoWarnings(t *testing.T) {
	b := newBundle(t, "exec sleep 1000")
	b.write()
	for _, args := range [][]string{
		{"create", b.id}, {"state", b.id}, {"start", b.id}, {"list"}, {"exec", b.id, "true"}, {"kill", b.id, "KILL"},
		{"delete", "--force", b.id}, {"run", "--detach", b.id}, {"delete", "--force", b.id},
	} {
		if r := b.rt(args...); r.code != 0 || r.stderr != "" {
			t.Errorf("rt %v: %v", args, r)
		}
	}
}
