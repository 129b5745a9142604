package main

import (
	"reflect"
	"testing"

	"github.com/containerd/containerd/api/types/runc/options"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Options of whatever form never crash the shim, and are the same after they were kept in
// the bundle.
func FuzzOptions(f *testing.F) {
	for _, m := range []proto.Message{
		&options.Options{Root: "/r", SystemdCgroup: true, IoUid: 7}, &runtimeoptions.Options{ConfigBody: []byte("Root = \"/r\"\nIoUid = 3\n")},
	} {
		packed, err := anypb.New(m)
		if err != nil {
			f.Fatal(err)
		}
		data, err := proto.Marshal(packed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	created, _ := proto.Marshal(&anypb.Any{TypeUrl: createOptions, Value: []byte{8, 1, 74, 1, 'x', 80, 5}})
	f.Add(created)
	f.Fuzz(func(t *testing.T, data []byte) {
		message, err := readMessage(data)
		if err != nil {
			return
		}
		if m, err := message.UnmarshalNew(); err == nil {
			if o, ok := m.(*runtimeoptions.Options); ok && o.ConfigPath != "" {
				return // it could be any file of this machine
			}
		}
		parsed, err := parseOptions(message)
		if err != nil {
			return
		}
		bundle := t.TempDir()
		if err := parsed.save(bundle); err != nil {
			t.Fatal(err)
		}
		if kept, err := loadOptions(bundle); err != nil || !reflect.DeepEqual(parsed, kept) {
			t.Errorf("%+v is after saving %+v, %v", parsed, kept, err)
		}
	})
}
