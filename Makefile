# These targets do everything on a fresh Debian or Ubuntu with Go:
#
#   make demo        build rt, make a bundle, run it
#   make test        install what the tests need, and run the tests that every change has to pass
#   make test-all    the same, with current engines and in all systems: hours

VERSION := 1.0.0-rc.1
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null)$(shell git diff --quiet HEAD 2>/dev/null || echo -dirty)
PREFIX  ?= /usr/local
DESTDIR ?=
GO      ?= go

export CGO_ENABLED := 0
# Nothing of the builder's machine gets into the binary.
LDFLAGS := -s -w -buildid= -X main.version=$(VERSION) -X main.commit=$(COMMIT)
# Without templates urfave/cli is a megabyte smaller.
TAGS    := urfave_cli_no_template
BUILD   := $(GO) build -trimpath -buildvcs=false -tags $(TAGS) -ldflags '$(LDFLAGS)'
# rt starts with a few machine instructions of its own: cmd/rt/entry.go. The Go runtime
# samples its first allocations for a profile that nobody reads, unless GODEBUG says that
# from the start; the other two settings are those of cmd/rt/main.go, which this replaces.
GODEBUG_RT := containermaxprocs=0,updatemaxprocs=0,memprofilerate=0
BUILD_RT   := $(GO) build -trimpath -buildvcs=false -tags $(TAGS) -ldflags '$(LDFLAGS) -E rt_entry -X runtime.godebugDefault=$(GODEBUG_RT)'

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@latest

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z].*## / { sub(" .*", "", $$1); printf "  %-22s %s\n", $$1, $$2 }' Makefile

.PHONY: all build build-arm64 install lint demo test test-all unit arm64 integration conformance bench bench-bars fuzz docs-test packages clean

all: build

build: ## build rt: bin/rt
	$(BUILD_RT) -o bin/rt ./cmd/rt

# The shim for containerd is a module of its own: its dependencies stay out of rt.
# With SHIM_TAGS=shim_tracing it has OpenTelemetry.
SHIM      := cmd/containerd-shim-rt-v2
SHIM_TAGS ?=
.PHONY: shim
shim: ## build the shim for containerd
	cd $(SHIM) && $(BUILD) -tags '$(TAGS) $(SHIM_TAGS)' -o $(CURDIR)/bin/containerd-shim-rt-v2 .

build-arm64:
	GOARCH=arm64 $(BUILD_RT) -o bin/rt-arm64 ./cmd/rt

install: build shim man ## install rt, the shim, manual pages and completion below PREFIX
	install -D -m 755 bin/rt $(DESTDIR)$(PREFIX)/bin/rt
	install -D -m 755 bin/containerd-shim-rt-v2 $(DESTDIR)$(PREFIX)/bin/containerd-shim-rt-v2
	install -d $(DESTDIR)$(PREFIX)/share/doc/rt
	install -m 644 CHANGELOG.md NOTICE README.md docs/engines.md docs/kubernetes.md $(DESTDIR)$(PREFIX)/share/doc/rt
	install -d $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 bin/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -D -m 644 bin/completion/bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/rt
	install -D -m 644 bin/completion/zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_rt
	install -D -m 644 bin/completion/fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/rt.fish

# Packages, and the lists of their content. Two builds of a commit are identical.
NFPM      := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
CYCLONEDX := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
.PHONY: deb rpm sbom package-files
package-files: sbom
	rm -rf bin/package
	$(MAKE) -s install DESTDIR=$(CURDIR)/bin/package PREFIX=/usr
	install -m 644 bin/*.cdx.json bin/package/usr/share/doc/rt
deb rpm: package-files ## build a package: bin/*.deb, bin/*.rpm
	rm -f bin/*.$@
	ARCH=$$($(GO) env GOARCH) VERSION=$(VERSION) SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(GO) run $(NFPM) package -f cmd/nfpm.yaml -p $@ -t bin/
sbom: build shim ## list the modules in rt and the shim: bin/*.cdx.json
	@tests/packages jq
	set -e; for b in rt containerd-shim-rt-v2; do \
		$(GO) run $(CYCLONEDX) bin -json -noserial -version $(VERSION) -output bin/sbom.json bin/$$b; \
		jq 'del(.metadata.timestamp)' bin/sbom.json > bin/$$b.cdx.json; rm bin/sbom.json; \
	done

# Manual pages and shell completion, from the definitions of the commands.
.PHONY: man
man: build ## write the manual pages and completion: bin/man, bin/completion
	mkdir -p bin/man bin/completion
	$(GO) run -tags man -ldflags '$(LDFLAGS)' ./cmd/rt bin/man
	for shell in bash zsh fish; do bin/rt completion $$shell > bin/completion/$$shell || exit 1; done

clean:
	rm -rf bin mybundle

# Packages are installed only if one is missing, so that a machine without a
# network can repeat the tests.
PACKAGES := busybox-static crun gcc git iproute2 jq libc6-dev libseccomp-dev qemu-user-static runc tmux uidmap
packages:
	@tests/packages $(PACKAGES)

demo: build ## make a bundle and run it
	@tests/packages busybox-static jq
	@tests/demo bin/rt

lint: spell ## gofmt, vet, staticcheck, spelling, and what rt must not have
	@test -z "$$(gofmt -l cmd internal libcontainer spec tests | tee /dev/stderr)" || { echo 'lint: run gofmt -w on these files' >&2; exit 1; }
	$(GO) vet ./... && $(GO) vet -tags man ./cmd/rt && $(GO) vet -tags guest ./tests/integration && $(GO) vet -tags failing ./libcontainer/...
	cd tests/conformance && $(GO) vet ./...
	cd tests/weigh && $(GO) vet ./...
	cd tests/pods && $(GO) vet ./...
	cd tests/seccomp && CGO_ENABLED=1 $(GO) vet ./...
	cd tests/kubernetes && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./...
	cd $(SHIM) && $(GO) vet ./... && $(GO) run $(STATICCHECK) ./...
	@for m in github.com/opencontainers/runtime-spec github.com/sirupsen/logrus github.com/urfave/cli/v3 golang.org/x/sys; do \
		$(GO) list -deps ./cmd/rt | grep -q "^$$m" || { echo "lint: rt is to be built on $$m" >&2; exit 1; }; \
	done
	# A runtime reads deprecated fields, too.
	$(GO) run $(STATICCHECK) -checks inherit,-SA1019 ./...
	@for f in $$(git grep -lE '^#!.*(bash|sh)$$'); do bash -n $$f || exit 1; done
	@! grep -rnE 'import "C"|go:linkname|/proc/self/exe' --include=*.go cmd internal libcontainer spec || { echo 'lint: no cgo, no linkname, no re-execution' >&2; exit 1; }

# The configuration is .codespellrc.
.PHONY: spell govulncheck
spell: ## find misspelt words
	@command -v codespell >/dev/null || tests/packages codespell
	codespell

# Needs the network: the Go module proxy, and https://vuln.go.dev or the address in GOVULNDB.
govulncheck: ## look for known vulnerabilities in the dependencies
	$(GO) run $(GOVULNCHECK) ./...
	cd $(SHIM) && $(GO) run $(GOVULNCHECK) ./...

# Current engines and the other guests seldom find what the other tests do not, and
# take longer than all of them: run them before a release, and after a change of the
# shim or of cgroups.
TEST_PARTS := lint build shim build-arm64 unit arm64 fuzz integration devices-test attacks compare faults failures-short soak-short docs-test conformance
test test-all: export COMPARE := false
test: packages ## run what every change has to pass
	@tests/parts $(TEST_PARTS) engines-packaged-test guest-test everywhere bench-smoke
test-all: export GUEST_JOBS := $(ALL_GUEST_JOBS)
test-all: export FUZZTIME := 30s
test-all: packages ## the same with current engines and in all systems: hours
	@tests/parts $(TEST_PARTS) failures soak apidiff browser-test installation-test engines-test kubernetes-test guest-test everywhere-all bench-smoke

unit: ## tests without root
	$(GO) test ./cmd/... ./internal/... ./libcontainer/... ./spec/... ./tests/bench/... ./tests/everywhere/... ./tests/guest/... ./tests/soak/... ./tests/profile/...
	$(GO) test -tags os_signal ./internal/signals
	cd tests/conformance && $(GO) test ./...
	cd tests/pods && $(GO) test ./...
	cd tests/seccomp && CGO_ENABLED=1 $(GO) test ./...
	cd $(SHIM) && CGO_ENABLED=1 $(GO) test -race ./... && $(GO) test -tags shim_tracing -run Tracing ./...

# The interpreter of the other architecture, in user-mode emulation, which does not
# have the system calls that make image files; tests of those are skipped.
arm64: build-arm64
	GOARCH=arm64 $(GO) test -c -o bin/image-arm64.test ./libcontainer/internal/program/image
	GOARCH=arm64 $(GO) test -c -o bin/signals-arm64.test ./internal/signals
	cd internal/signals && qemu-aarch64-static $(CURDIR)/bin/signals-arm64.test
	cd libcontainer/internal/program/image && RT_EMULATOR=qemu-aarch64-static qemu-aarch64-static $(CURDIR)/bin/image-arm64.test -test.skip "FileCannotBeChanged|RenamesElsewhere"

# The same tests in every layout of cgroups that the machine supports.
integration: build ## tests of the rt binary as root, in three layouts of cgroups
	$(GO) test -c -o bin/integration.test ./tests/integration
	for view in hybrid v1 v2; do \
		echo "== integration, cgroups: $$view"; \
		log=$(CURDIR)/bin/integration-$$view.log; \
		coverage=$(CURDIR)/docs/spec-coverage.md; [ $$view != v2 ] || coverage=; : has few controllers; \
		(cd tests/integration && RT=$(CURDIR)/bin/rt RT_SPEC_COVERAGE=$$coverage ../view $$view $(CURDIR)/bin/integration.test -test.v -test.timeout 15m > $$log 2>&1) || \
			{ grep -vE '^ *(=== |--- (PASS|SKIP))' $$log; exit 1; }; \
		grep -c '^--- PASS' $$log; \
	done

# No test may be skipped in all worlds; those that only other guests run are in a table.
.PHONY: everywhere everywhere-all
EVERYWHERE := $(GO) run ./tests/everywhere
WORLDS     := bin/integration-hybrid.log bin/integration-v1.log bin/integration-v2.log bin/guest.log
everywhere:
	$(EVERYWHERE) $(WORLDS)
everywhere-all:
	$(EVERYWHERE) -elsewhere /dev/null $(WORLDS)

# Hundreds of small variations of a configuration, with rt, runc and crun. crun does
# not support the hybrid layout.
.PHONY: compare
compare: build packages ## hundreds of configurations, beside runc and crun
	$(GO) build -o bin/compare ./tests/compare
	tests/view v1 bin/compare -rt bin/rt

# Bundles with one fault each. crun does not support the hybrid layout.
.PHONY: faults faults-table
faults: build ## bundles with one fault each
	$(GO) build -o bin/faults ./tests/faults
	tests/view v1 bin/faults -rt bin/rt
faults-table: build
	$(GO) build -o bin/faults ./tests/faults
	tests/view v1 bin/faults -rt bin/rt -markdown docs/faults.md

# Everything that can fail while rt works fails, one thing at a time.
.PHONY: failing failures failures-short failures-table
failing:
	$(GO) build -trimpath -buildvcs=false -tags '$(TAGS) failing' -ldflags '$(LDFLAGS) -E rt_entry' -o bin/rt-failing ./cmd/rt
failures failures-short failures-table: build failing ## everything that can fail, one thing at a time; -short: a sample; -table: docs/failures.md
	@tests/packages busybox-static util-linux
	$(GO) build -o bin/failures ./tests/failures
	tests/view hybrid bin/failures $(FAILURES_$@)
FAILURES_failures-short := -short
FAILURES_failures-table := -markdown docs/failures.md

# The engines from Debian's packages (engines-packaged-test), and also the current
# containerd, Docker, BuildKit and nerdctl (engines-test), on rt and on runc.
COMPARE ?= true
ENGINES := buildah catatonit conmon containerd containernetworking-plugins docker.io iptables podman tini
ENGINES_PACKAGED := bin/engines.test -binaries bin -critest bin/critest -crictl bin/crictl
ENGINES_TEST := tests/view hybrid $(ENGINES_PACKAGED) -containerd bin/containerd -buildkit bin/buildkit -docker bin/docker -nerdctl bin/nerdctl -test.timeout 60m
.PHONY: engines engines-packaged engines-containerd engines-test engines-packaged-test engines-table engines-thousands cri-test
engines-packaged: build shim
	@tests/packages $(ENGINES) busybox-static crun runc
	$(GO) test -c -o bin/engines.test ./tests/engines
	cd tests/critest && $(GO) test -c -o $(CURDIR)/bin/critest sigs.k8s.io/cri-tools/cmd/critest
	$(GO) build -C tests/critest -ldflags '-s -w' -o $(CURDIR)/bin/crictl sigs.k8s.io/cri-tools/cmd/crictl
engines-packaged-test: engines-packaged ## Docker, Podman, containerd of Debian's packages
	tests/view hybrid $(ENGINES_PACKAGED) -packaged -compare=$(COMPARE) -test.timeout 45m
# The current containerd, and the tests with it.
engines-containerd: engines-packaged
	$(GO) build -C tests/containerd -ldflags '-s -w' -tags 'no_btrfs no_devmapper no_zfs' -o $(CURDIR)/bin/containerd/ tool
engines: engines-containerd
	$(GO) build -C tests/buildkit -ldflags '-s -w' -o $(CURDIR)/bin/buildkit/ tool
	$(GO) build -C tests/docker -ldflags '-s -w' -tags exclude_graphdriver_btrfs -o $(CURDIR)/bin/docker/ tool
	$(GO) build -C tests/nerdctl -ldflags '-s -w' -o $(CURDIR)/bin/nerdctl tool
engines-test: engines
	$(ENGINES_TEST) -compare=$(COMPARE)
engines-table: engines
	$(ENGINES_TEST) -markdown docs/engines.md
# Kubernetes itself: a control plane and a node in namespaces of their own, with rt and
# with runc. KUBERNETES_COLUMNS chooses; KUBERNETES_FLAGS may have -test.run.
KUBERNETES         := bin/kubernetes
KUBERNETES_COLUMNS ?= runc,rt,rt-sandbox
KUBERNETES_FLAGS   ?=
KUBERNETES_TEST    := tests/view v1 bin/kubernetes.test -binaries bin -kubernetes $(KUBERNETES) -containerd bin/containerd -crictl bin/crictl \
	-runc bin/peers/runc -documents docs -logs bin/kubernetes-logs -columns $(KUBERNETES_COLUMNS) -test.parallel 16 -test.timeout 45m $(KUBERNETES_FLAGS)
.PHONY: kubernetes kubernetes-test kubernetes-table
kubernetes: engines-containerd peers
	@tests/packages bsdutils busybox-static iproute2 iptables
	version=$$($(GO) list -C tests/kubernetes -m -f '{{.Version}}' k8s.io/kubernetes) && \
	$(GO) build -C tests/kubernetes -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$$version" -o $(CURDIR)/$(KUBERNETES)/ tool
	# The package of etcd has the name server.
	mv $(KUBERNETES)/server $(KUBERNETES)/etcd
	$(GO) test -C tests/kubernetes -c -o $(CURDIR)/bin/kubernetes.test .
kubernetes-test: kubernetes ## Kubernetes itself, with rt's shim and with runc: what people do with pods
	$(KUBERNETES_TEST)
kubernetes-table: kubernetes ## the same; the table of docs/kubernetes.md
	$(KUBERNETES_TEST) -markdown docs/kubernetes.md
# Only the CRI's conformance program of these, on containerd's CRI plugin.
cri-test: engines
	$(ENGINES_TEST) -test.run TestCRI -test.v
# What a shim holds after 10,000 containers.
engines-thousands: engines-packaged ## 10,000 containers through one shim
	tests/view hybrid $(ENGINES_PACKAGED) -packaged -test.run ManyContainers -containers 10000 -test.v -test.timeout 90m
# Thousands of lifecycles with random features and faults. A failure prints how to do
# the same lifecycle again. soak-short is for every change.
SOAK_SEED       ?= 1
SOAK_LIFECYCLES ?= 20000
SOAK_VIEW       ?= hybrid
SOAK := tests/view $(SOAK_VIEW) bin/soak -rt bin/rt -seed $(SOAK_SEED)
.PHONY: soak soak-short soak-binary
soak-binary: build
	@tests/packages busybox-static
	$(GO) build -o bin/soak ./tests/soak
soak: soak-binary ## 20,000 lifecycles with random features and faults: nothing may be left
	$(SOAK) -lifecycles $(SOAK_LIFECYCLES)
soak-short: soak-binary ## the same for 20 seconds
	$(SOAK) -lifecycles 2000 -batch 50 -at-most 20s

docs-test: build ## the commands that README.md shows
	$(MAKE) -s install DESTDIR=$(CURDIR)/bin/installed PREFIX=/usr
	RT=$(CURDIR)/bin/rt $(GO) test -count=1 ./tests/docs

# The packages are built here and in a clone elsewhere, there also with the next version.
.PHONY: installation-test
installation-test: ## build the packages twice; install, use, upgrade and remove them in a copy of the system
	@tests/packages busybox-static containerd docker.io jq rpm
	$(MAKE) -s deb rpm
	rm -rf bin/elsewhere && git clone -q . bin/elsewhere
	$(MAKE) -s -C bin/elsewhere deb rpm
	for f in bin/*.deb bin/*.rpm; do cmp $$f bin/elsewhere/$$f || exit 1; done
	$(MAKE) -s -C bin/elsewhere deb VERSION=$(VERSION).1
	tests/installation/run bin/*.deb bin/elsewhere/bin/*.deb bin/*.rpm

# An incompatible change of the library since the last release is an error.
APIDIFF := golang.org/x/exp/cmd/apidiff@v0.0.0-20261113113407-e3970619a1a4
.PHONY: apidiff
apidiff: ## compare the library's API with that of the last release
	@tag=$$(git describe --tags --abbrev=0 2>/dev/null) || { echo 'apidiff: there is no release yet'; exit 0; }; \
	rm -rf bin/api && git clone -q . bin/api && git -C bin/api checkout -q $$tag && \
	for p in ./libcontainer ./libcontainer/seccomp ./spec; do \
		$(GO) run -C bin/api $(APIDIFF) -w $(CURDIR)/bin/api.old $$p && \
		$(GO) run $(APIDIFF) -incompatible bin/api.old $$p > bin/api.diff && \
		{ [ ! -s bin/api.diff ] || { echo "apidiff: $$p has changed incompatibly since $$tag:"; cat bin/api.diff; exit 1; }; } || exit 1; \
	done

.PHONY: weigh
weigh: ## what rt's own code costs beside libraries, into docs/architecture.md
	$(GO) run -C tests/weigh . -root $(CURDIR) -write $(CURDIR)/docs/architecture.md

.PHONY: devices-test
devices-test: build ## rt's filter of devices beside the library's, in real cgroups
	$(GO) test -C tests/weigh -c -o $(CURDIR)/bin/weigh.test .
	RT=$(CURDIR)/bin/rt tests/view v2 bin/weigh.test

.PHONY: picture browser-test
picture: build ## write docs/explain.svg anew
	RT=$(CURDIR)/bin/rt $(GO) test -count=1 -run Picture ./tests/docs -update
browser-test: build ## the page of rt explain --html, in Chromium
	@tests/packages chromium
	RT=$(CURDIR)/bin/rt $(GO) test -count=1 -tags browser -run Browser ./tests/docs

conformance: build ## the OCI's conformance suite
	$(GO) run -C tests/conformance . -runtime $(CURDIR)/bin/rt -cache $(CURDIR)/bin/conformance

# The same tests, and tests that need a whole system, in Debian systems in QEMU: cgroup
# v2 and v1 with all controllers, systemd, AppArmor. Only what is cheap is made again;
# DIR/made-by tells when the system itself has to be.
GUEST_PACKAGES := debootstrap e2fsprogs qemu-system-x86
ALL_GUEST_JOBS := v2 v1 v1-conformance v2-selinux v2-systemd v1-systemd v2-kubernetes v2-cluster v2-conformance rootless
GUEST_JOBS     ?= v2
GUEST_RUN      ?=
.PHONY: guest guest-test bench-memory
guest: build $(if $(filter v2-kubernetes,$(GUEST_JOBS)),engines-containerd) $(if $(filter v2-cluster,$(GUEST_JOBS)),kubernetes)
	@tests/packages $(GUEST_PACKAGES)
	tests/guest/image bin/guest
	$(GO) test -tags guest -c -o bin/guest.test ./tests/integration
	$(GO) build -C tests/conformance -o $(CURDIR)/bin/conformance-runner .
	cd tests/conformance && $(CURDIR)/bin/conformance-runner -runtime $(CURDIR)/bin/rt -cache $(CURDIR)/bin/conformance -run '^$$'
	tests/guest/payload bin/guest $(GUEST_JOBS)
guest-test: guest ## whole systems in QEMU; GUEST_JOBS and GUEST_RUN choose
	{ $(GO) run ./tests/guest -dir bin/guest -run '$(GUEST_RUN)' $(GUEST_JOBS); echo $$? > bin/guest.status; } | tee bin/guest.log; exit $$(cat bin/guest.status)

# The lowest memory limit at which a container starts, beside crun and runc.
bench-memory: guest
	$(GO) run ./tests/guest -dir bin/guest -run LowestMemoryLimit v2

# The comparison with the installed crun and runc that the documentation shows. (The
# linker maps the file that it writes page by page, and so it stays in the page cache; a
# copy is there in larger pieces, which start faster.)
RUNS ?= 100
INSTALLED := $(CURDIR)/bin/installed/usr/bin/rt
$(INSTALLED): build
	install -D bin/rt $@
# The current runc, with libseccomp.
.PHONY: peers
peers:
	@tests/packages libseccomp-dev
	CGO_ENABLED=1 $(GO) build -C tests/peers -tags seccomp -ldflags '-s -w' -o $(CURDIR)/bin/peers/ tool
bench: $(INSTALLED) packages peers ## the comparison with crun and runc: docs/benchmarks.md
	$(GO) run ./tests/bench -rt $(INSTALLED) -peer runc-current=bin/peers/runc -runs $(RUNS) -seccomp -markdown docs/benchmarks.md

# What each command does, beside crun and runc: page faults, system calls and so on. With
# COUNT_FLAGS='-bar run:v2:page-faults:crun:1.0' it fails where rt is above.
COUNT_FLAGS ?=
.PHONY: count
count: $(INSTALLED) packages ## page faults, switches, system calls of each command, beside crun and runc: docs/performance.md
	@tests/packages valgrind
	$(GO) build -o bin/bench ./tests/bench
	bin/bench count -rt $(INSTALLED) -places -markdown docs/performance.md $(COUNT_FLAGS)

# Whole pods below one containerd, with rt's shim and with runc's. crun does not support the
# hybrid layout; pods chooses its view itself.
PODS_FLAGS ?=
PODS_STORM ?= 200
.PHONY: pods bench-pods pods-storm
pods: build shim peers engines-containerd
	@tests/packages busybox-static containernetworking-plugins crun gcc libc6-dev
	$(GO) build -C tests/pods -o $(CURDIR)/bin/pods/pods .
	$(GO) build -C tests/pods -ldflags '-s -w' -o $(CURDIR)/bin/pods/nullshim ./nullshim
	gcc -O2 -static -DSOCKET='"/run/nullshim.sock"' -o bin/pods/containerd-shim-null-v2 tests/pods/c/start.c
	gcc -O2 -static -o bin/pods/pause tests/pods/c/pause.c
	gcc -O2 -static -o bin/pods/crun tests/pods/c/crun.c
bench-pods: pods ## pods with rt's shim and with runc's: time, CPU time, memory: docs/performance.md
	bin/pods/pods -markdown docs/performance.md -svg docs/pods.svg $(PODS_FLAGS)
pods-storm: pods ## 200 pods at once with each shim, while containerd is killed: nothing may be left
	bin/pods/pods -storm $(PODS_STORM) $(PODS_FLAGS)

# What grows with the number of containers, beside crun and runc. It reports the bars for
# many containers, and does not fail.
.PHONY: bench-report
bench-report: $(INSTALLED) packages ## 1 to 1,000 containers beside crun and runc: docs/performance.md, docs/performance.svg
	$(GO) build -o bin/bench ./tests/bench
	bin/bench scale -rt $(INSTALLED) -markdown docs/performance.md -svg docs/performance.svg

# Where the time of run, exec and a pod goes: rt's own trace, beside crun and runc.
.PHONY: profile
profile: $(INSTALLED) packages ## each phase of run, exec and a pod, from rt's trace: docs/performance.md, docs/profile.svg
	$(GO) build -o bin/profile ./tests/profile
	tests/view v2 bin/profile -rt $(INSTALLED) -runs $(RUNS) -document docs/performance.md -picture docs/profile.svg

# The project's bars: a regression in speed fails here. The tests do not include it,
# because a busy machine would decide them, and whether it lets programs ask for huge pages.
bench-bars: $(INSTALLED) packages
	$(GO) build -o bin/bench ./tests/bench
	bin/bench count -rt $(INSTALLED) $(foreach v,v1 v2,$(foreach c,run exec,-bar $(c):$(v):page-faults:380 -bar $(c):$(v):page-faults:crun:1))
	bin/bench -rt $(INSTALLED) -runs $(RUNS) -cases run-default \
		-bar run-default:v2:crun:0.75 -bar run-default:v2:runc:0.30 \
		-bar run-default:v1:crun:0.50 -bar run-default:v1:runc:0.20

# Compile time and cost per call of the seccomp filter, beside libseccomp's.
.PHONY: bench-seccomp
bench-seccomp: packages
	cd tests/seccomp && CGO_ENABLED=1 $(GO) test -run '^$$' -bench . -benchtime 1x ./...

# Checks in the tests that the comparison still runs.
.PHONY: bench-smoke
bench-smoke: build
	$(GO) run ./tests/bench -rt $(CURDIR)/bin/rt -runs 3 -warmup 1

# Each fuzzer for a while; the unit tests run only their seeds. (What is new is made
# smaller for a moment only: what a fuzzer with goroutines reaches differs from run to run,
# and Go would try for a minute.)
FUZZTIME ?= 5s
FUZZ     := -run '^$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 2s
fuzz: ## each fuzzer for FUZZTIME
	@for f in $(FUZZERS); do \
		$(GO) test $(FUZZ) -fuzz "^$${f#*:}$$" "./$${f%:*}" || exit 1; \
	done
	@for f in FuzzOptions FuzzPodConfig; do $(GO) test -C $(SHIM) $(FUZZ) -fuzz "^$$f$$" . || exit 1; done
FUZZERS := internal/jsontext:FuzzAgreesWithEncodingJSON spec:FuzzParse spec:FuzzParseAgreesWithEncodingJSON \
	libcontainer/internal/compile:FuzzCompile libcontainer/seccomp:FuzzCompile libcontainer/internal/program/image:FuzzEncode \
	libcontainer/internal/state:FuzzLoad libcontainer/internal/birth:FuzzRequests

# Attacks on the boundaries of containers. rt refuses each, and each succeeds against a
# build without the defence. Each attack chooses its view of cgroups.
# attacks-full tries each race 1,000 times, attacks-table writes the table of
# docs/security.md.
.PHONY: attacks attacks-full attacks-table weakened
weakened:
	$(GO) build -trimpath -tags weakened -o bin/rt-weakened ./cmd/rt
attacks attacks-full attacks-table: build weakened ## attacks on containers; -full: 1,000 tries a race; -table: docs/security.md
	@tests/packages busybox-static crun iproute2 runc
	$(GO) test ./tests/attacks
	$(GO) build -o bin/attacks ./tests/attacks
	bin/attacks -rt bin/rt -weakened bin/rt-weakened $(ATTACKS_$@)
# In a whole system, with AppArmor and all controllers of cgroup v2.
.PHONY: attacks-guest
attacks-guest: weakened
	$(GO) build -o bin/attacks ./tests/attacks
	$(MAKE) guest
	$(GO) run ./tests/guest -dir bin/guest -run '$(GUEST_RUN)' v2-attacks
ATTACKS_attacks-full  := -full -peers=false
ATTACKS_attacks-table := -markdown docs/security.md
