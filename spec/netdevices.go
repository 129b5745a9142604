package spec

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/internal/defence"
)

// maxInterface is IFNAMSIZ without the NUL.
const maxInterface = 15

// netDevices checks the section of that name: config-linux.md, "Network
// Devices".
func (v *validator) netDevices(devices map[string]specs.LinuxNetDevice) {
	if len(devices) == 0 {
		return
	}
	const field = "linux.netDevices"
	if n := FindNamespace(v.s, specs.NetworkNamespace); n == nil || ofHost(n) {
		v.add(field, "need a network namespace to be moved to: add {\"type\": \"network\"} to linux.namespaces")
	}
	seen := make(map[string]string, len(devices))
	for _, host := range sortedKeys(devices) {
		at, name := member(field, host), devices[host].Name
		v.interfaceName(at, host)
		if name == "" {
			name = host
		} else {
			v.newInterfaceName(at+".name", name)
		}
		if other, again := seen[name]; again && !strings.Contains(name, "%d") {
			v.add(at+".name", "%q is the new name of %s, too", name, other)
		}
		seen[name] = host
	}
}

// interfaceName checks the name of a network interface by the rules of the
// kernel: dev_valid_name in net/core/dev.c.
func (v *validator) interfaceName(field, name string) {
	switch {
	case defence.Off(defence.NetlinkLengths):
	case name == "":
		v.add(field, "the name is empty")
	case len(name) > maxInterface:
		v.add(field, "%q is longer than %d bytes", name, maxInterface)
	case name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n\v\f\r\x00"):
		v.add(field, "%q is not the name of a network interface: no '/', no ':', no white space, neither \".\" nor \"..\"", name)
	}
}

// newInterfaceName may be a template; the kernel then chooses the number.
func (v *validator) newInterfaceName(field, name string) {
	v.interfaceName(field, name)
	if n := strings.Count(name, "%"); n > 1 || n == 1 && !strings.Contains(name, "%d") {
		v.add(field, "%q is not a template: it may contain one %%d", name)
	}
}
