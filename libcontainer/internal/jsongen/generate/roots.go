package generate

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/rtcontainers/rt/libcontainer/internal/state"
)

// roots is a set of types to generate code for.
type roots struct {
	pkg, path string
	types     []reflect.Type
	// skip are members that rt does not use: it only checks that their values are JSON.
	skip   map[string]bool
	encode bool
}

var sets = map[string]roots{
	"spec": {
		pkg: "spec", path: "github.com/rtcontainers/rt/spec",
		types: []reflect.Type{reflect.TypeFor[specs.Spec]()},
		skip:  map[string]bool{"Spec.Solaris": true, "Spec.Windows": true, "Spec.VM": true, "Spec.ZOS": true, "Spec.FreeBSD": true},
	},
	"state": {
		pkg: "state", path: "github.com/rtcontainers/rt/libcontainer/internal/state",
		types: []reflect.Type{reflect.TypeFor[state.State](), reflect.TypeFor[state.Steps]()}, encode: true,
	},
}

// Names lists the sets of types.
func Names() string {
	var names []string
	for name := range sets {
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// Write writes the code for a set of types; it is not formatted yet.
func Write(w io.Writer, name string) error {
	r, ok := sets[name]
	if !ok {
		return fmt.Errorf("%q is none of %s", name, Names())
	}
	g := &generator{roots: r, imports: map[string]bool{}, seen: map[reflect.Type]bool{}}
	for _, t := range r.types {
		g.add(t)
	}
	return g.write(w)
}
