package sysfile

import (
	"strings"
	"sync"
)

// InUserNamespace tells whether the process runs in a user namespace other than the
// initial one, whose ids are mapped one to one: user_namespaces(7). It looks only once.
var InUserNamespace = sync.OnceValue(func() bool {
	data, err := Read("/proc/self/uid_map")
	if err != nil {
		return false // no user namespaces in this kernel
	}
	f := strings.Fields(string(data))
	return len(f) != 3 || f[0] != "0" || f[1] != "0" || f[2] != "4294967295"
})
