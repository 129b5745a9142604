package generate

import (
	"bytes"
	"go/format"
	"os"
	"testing"
)

func TestGeneratedCodeIsUpToDate(t *testing.T) {
	for name, file := range map[string]string{
		"spec": "../../../../spec/decode_gen.go", "state": "../../state/json_gen.go",
	} {
		var code bytes.Buffer
		if err := Write(&code, name); err != nil {
			t.Fatal(err)
		}
		want, err := format.Source(code.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what jsongen writes: run `go generate ./...` (%v)", file, err)
		}
	}
}
