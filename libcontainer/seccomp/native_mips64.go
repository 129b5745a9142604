package seccomp

import specs "github.com/opencontainers/runtime-spec/specs-go"

const native = specs.ArchMIPS64
