package spec

import (
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestOptionsInOneString(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{[]string{"mode=755,size=64k", "ro"}, []string{"mode=755", "size=64k", "ro"}},
		{[]string{"lowerdir=/a:/b,upperdir=/c,workdir=/d"}, []string{"lowerdir=/a:/b", "upperdir=/c", "workdir=/d"}},
		{[]string{`lowerdir=/a\,b:/c,upperdir=/d`}, []string{`lowerdir=/a\,b:/c`, "upperdir=/d"}},
		{[]string{"mpol=bind:0,2,size=1m", "mpol=interleave:1-3,5"}, []string{"mpol=bind:0,2", "size=1m", "mpol=interleave:1-3,5"}},
		{[]string{`context="system_u:object_r:a_t:s0:c1,c2",ro`}, []string{"context=system_u:object_r:a_t:s0:c1,c2", "ro"}},
		{[]string{"ro,", "", ",rw"}, []string{"ro", "", "", "", "rw"}},
		{[]string{"rbind", "ro"}, []string{"rbind", "ro"}},
	} {
		if got := splitOptions(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestIdmapWithRanges(t *testing.T) {
	s := &specs.Spec{
		Mounts: []specs.Mount{{Destination: "/a", Source: "/b", Options: []string{"bind", "ridmap=uids=0-1000-10#10-2000-1;gids=@1-3-10"}}},
		Linux:  &specs.Linux{GIDMappings: []specs.LinuxIDMapping{{HostID: 0, Size: 1}, {ContainerID: 1, HostID: 2, Size: 1000}}},
	}
	plainOptions(s)
	m := s.Mounts[0]
	if !slices.Equal(m.Options, []string{"bind", "ridmap"}) ||
		!slices.Equal(m.UIDMappings, []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 10}, {ContainerID: 10, HostID: 2000, Size: 1}}) ||
		!slices.Equal(m.GIDMappings, []specs.LinuxIDMapping{{ContainerID: 1, HostID: 4, Size: 10}}) {
		t.Errorf("%+v", m)
	}
	for _, wrong := range []string{"uids=0-1-10", "uids=0-1;gids=0-1-1", "uids=a-1-1;gids=0-1-1", "uids=@5-99999-1;gids=0-1-1", "users=0-1-1", ""} {
		s.Mounts[0].Options = []string{"bind", "idmap=" + wrong}
		if plainOptions(s); s.Mounts[0].Options[1] != "idmap="+wrong {
			t.Errorf("%q was taken", wrong)
		}
	}
}
