package spec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func read(t *testing.T, name string) *specs.Spec {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDockersConfigurationIsValid(t *testing.T) {
	s := read(t, filepath.Join("..", "tests", "testdata", "docker", "config.json"))
	if err := Validate(s); err != nil {
		t.Error(err)
	}
	if w := Warnings(s); len(w) > 0 {
		t.Error(w)
	}
}

func TestFullDocumentIsValid(t *testing.T) {
	s := read(t, filepath.Join("testdata", "full.json"))
	if err := Validate(s); err != nil {
		t.Error(err)
	}
	if w := Warnings(s); len(w) > 0 {
		t.Error(w)
	}
}

// testdata/full.json has every field, except fields that contradict others, and seccomp,
// which is tested elsewhere.
func TestFullDocumentIsFull(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "full.json"))
	if err != nil {
		t.Fatal(err)
	}
	s := new(specs.Spec)
	if err := json.Unmarshal(data, s); err != nil {
		t.Fatal(err)
	}
	var got []string
	setFields(reflect.ValueOf(s), "", &got)
	for _, field := range jsonFields(reflect.TypeFor[specs.Spec](), "") {
		if field == "process.scheduler.priority" || field == "linux.personality.flags" || strings.HasPrefix(field, "linux.seccomp") {
			continue
		}
		if !slices.Contains(got, field) {
			t.Errorf("%s is not set", field)
		}
	}
}

// setFields lists the paths of the values that are not empty, as jsonFields
// names them.
func setFields(v reflect.Value, prefix string, to *[]string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			setFields(v.Elem(), prefix, to)
		}
	case reflect.Slice:
		for i := range v.Len() {
			setFields(v.Index(i), prefix+"[]", to)
		}
	case reflect.Map:
		for i := v.MapRange(); i.Next(); {
			setFields(i.Value(), prefix+".*", to)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Anonymous {
				setFields(v.Field(i), prefix, to)
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			name = strings.TrimPrefix(prefix+"."+name, ".")
			if !v.Field(i).IsZero() {
				*to = append(*to, name)
			}
			setFields(v.Field(i), name, to)
		}
	}
}

// Problems and warnings do not depend on the order of maps; they follow the order of the
// sections.
func TestProblemsAreInOrder(t *testing.T) {
	s := changed(t, `{"ociVersion": "2.0.0", "process": {"cwd": "x", "oomScoreAdj": 5000}, "root": {"path": ""},
		"mounts": [{"destination": "/a"}], "hooks": {"poststop": [{}], "prestart": [{}]}, "annotations": {"": ""},
		"linux": {"sysctl": {"vm.b": "", "vm.a": "", "vm.c": ""}, "cgroupsPath": "..", "maskedPaths": ["x"], "personality": {}}}`)
	want := []string{
		"ociVersion", "process.cwd", "process.oomScoreAdj", "root.path", "mounts[0].type", "hooks.prestart[0].path", "hooks.poststop[0].path", "annotations",
		`linux.sysctl["vm.a"]`, `linux.sysctl["vm.b"]`, `linux.sysctl["vm.c"]`, "linux.cgroupsPath", "linux.maskedPaths[0]", "linux.personality.domain",
	}
	for range 20 {
		var got []string
		for _, p := range check(s).problems {
			got = append(got, p.Field)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for document, words := range map[string]string{
		`{"ociVersion": "1.4.0"}`:                                            "ociVersion: \"1.4.0\" is later",
		`{"process": {"user": {"username": "joe"}}}`:                         "process.user.username: \"joe\" is ignored",
		`{"mounts": [{"destination": "a/b", "type": "tmpfs"}]}`:              `mounts[0].destination: "a/b" is relative, which is deprecated; rt uses "/a/b"`,
		bound(`, "Z"`, ""):                                                   `mounts[0].options[1]: "Z" is ignored: rt does not relabel`,
		bound(`, "size=64k"`, ""):                                            `mounts[0].options[1]: "size=64k" is ignored: it is an option of tmpfs`,
		bound("", `, "uidMappings": `+ids+`, "gidMappings": `+ids):           "mounts[0].options: should contain idmap",
		limited("memory", `{"kernel": 5}`):                                   "linux.resources.memory.kernel: is ignored",
		limited("memory", `{"kernelTCP": 5}`):                                "linux.resources.memory.kernelTCP: is ignored",
		device(`"uid": 0`) + " ":                                             "",
		`{"linux": {"intelRdt": {"l3CacheSchema": "L3CODE:0=f"}}}`:           "linux.intelRdt.l3CacheSchema: \"L3CODE:0=f\" should",
		`{"linux": {"devices": [` + fuse("/a") + `, ` + fuse("/b") + `]}}`:   "linux.devices[1]: c 10:229 is listed twice, as \"/a\" and \"/b\"",
		`{"linux": {"devices": [` + fuse("/a") + `, ` + fuse("//a") + `]}}`:  "linux.devices[1]: c 10:229 is listed twice",
		bound(`, "bind", "nosuid", "rro", "rprivate", "silent", "sync"`, ""): "",
	} {
		s := changed(t, document)
		problems, warnings := check(s).problems, Warnings(s)
		if len(problems) > 0 {
			t.Errorf("%v in %s", problems, document)
		}
		if words == "" && len(warnings) > 0 || words != "" && (len(warnings) != 1 || !strings.HasPrefix(warnings[0], words)) {
			t.Errorf("got %q, want %q in %s", warnings, words, document)
		}
	}
}

func fuse(path string) string {
	return `{"type": "c", "major": 10, "minor": 229, "path": "` + path + `"}`
}
