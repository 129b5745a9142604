package compile

import (
	"testing"

	"github.com/rtcontainers/rt/libcontainer/internal/program/image"
)

func BenchmarkCompile(b *testing.B) {
	s := plain()
	for b.Loop() {
		if _, err := Compile(s, v2, options); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
}

func BenchmarkLink(b *testing.B) {
	plan := compileGolden(b, "default")
	for b.Loop() {
		if _, err := image.Link(plan.Program); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
}
