module github.com/rtcontainers/rt/tests/seccomp

go 1.26.0

require (
	github.com/opencontainers/runtime-spec v1.3.0
	github.com/rtcontainers/rt v0.0.0
	golang.org/x/sys v0.50.0
)

replace github.com/rtcontainers/rt => ../..
