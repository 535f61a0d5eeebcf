# Two commands do everything: `make demo` and `make test`.

GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.0.0-dev)
LDFLAGS   := -s -w -X github.com/passmuster/muster.Version=$(VERSION)
BUILD     := $(GO) build -buildvcs=false -ldflags '$(LDFLAGS)'
TAGS      := $(shell sed 's/ .*//; /^\#/d' packaging/uplink.tags | paste -sd,)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Prints what go test does, and at the end each skipped test with its reason.
GOTESTSUM := gotest.tools/gotestsum@v1.13.0 -f standard-quiet --
FUZZTIME  ?= 10s
DEMO      ?=
BENCH     ?=
SOAK      ?=
LOAD      ?=
CHAOS     ?=
STORYBOOK ?=
PACKAGES  ?=
UNSIGNED  ?=
RACE      := ./agent/eval ./collector ./internal/seal ./internal/service ./internal/wire ./internal/durable ./agent/state ./agent/outbox ./agent/uplink ./collector/door ./collector/hooks ./collector/ingest
# What asks one thing after the other, thousands of times, has nothing to race.
ONE_BY_ONE := TestWalk|TestCountyAgainstCounty|TestEverythingLeavesALine|TestBombs

# The same for builds, vet and tests, so that Tailscale and OPA are compiled once.
export CGO_ENABLED = 0
export GOFLAGS := -trimpath $(GOFLAGS)

.PHONY: help build packages media release demo check test test-windows test-packages lint race crash soak chaos burst load bench fuzz golden shots storybook clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the three programs into bin/
	@mkdir -p bin
	$(BUILD) -o bin/ ./cmd/muster ./cmd/muster-collector
	$(BUILD) -tags $(TAGS) -o bin/ ./cmd/muster-uplink

packages: test-packages ## make every package, the image, and what vouches for them, into dist/ (VERSION from git)
	$(GO) -C packaging/build run . $(PACKAGES)

media: test-packages ## a folder for a stick: make media KEY=policy-key.pem SITE=site.json [BUNDLE=baseline.tar.gz]
	$(GO) -C packaging/build run . -key '$(KEY)' -site '$(SITE)' -bundle '$(BUNDLE)' media

release: test-packages ## everything from a tag, signed, into an empty dist/ (UNSIGNED=1: a trial without keys)
	UNSIGNED=$(UNSIGNED) $(GO) -C packaging/build run . -release

demo: build ## audit this computer and show it on a local dashboard (DEMO=once: check and exit)
	$(GO) run ./internal/demo -bin bin $(if $(filter once,$(DEMO)),-once)

check: ## the quick loop: vet and the tests that need nothing but Go
	$(GO) vet ./...
	$(GO) test -short -timeout 20m ./...
	$(GO) -C packaging/build test -short ./...

test: test-packages ## install what the tests need by Debian package name, run everything
	cd packaging/build && $(GO) run $(GOTESTSUM) ./...
	$(GO) run $(GOTESTSUM) -timeout 20m ./...
	$(MAKE) test-windows

test-windows: ## run the Windows tables' tests under wine
	packaging/wine/test ./agent/facts/builtin
	packaging/wine/test -run 'Rights|Firmware|Machine|Tied|Steps' ./agent/state ./internal/service

test-packages:
	packaging/install packaging/test-packages.txt
	packaging/axe

lint: ## formatting, vet for Linux and Windows, staticcheck, Rego
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "gofmt: $$bad"; exit 1; }
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./agent/... ./policies/... ./cmd/muster/... ./internal/durable ./internal/seal ./internal/service ./internal/wire
	GOOS=windows $(GO) vet -tags $(TAGS) ./internal/tailnet ./cmd/muster-uplink
	$(GO) -C packaging/build vet ./...
	$(GO) run $(STATICCHECK) ./...
	cd packaging/build && $(GO) run $(STATICCHECK) ./...
	$(GO) run -exec 'env GOOS=windows' $(STATICCHECK) ./agent/facts/... ./internal/durable ./agent/state
	$(GO) run ./cmd/muster policy lint policies
	$(GO) run ./cmd/muster policy test policies

race: test-packages ## the concurrent parts under the race detector
	CGO_ENABLED=1 $(GO) test -short -timeout 20m -race -skip '$(ONE_BY_ONE)' $(RACE)
	CGO_ENABLED=1 $(GO) test -timeout 20m -race ./collector/store/sqlite ./collector/store/postgres -storetest.seeds 1 -storetest.steps 6

crash: build test-packages ## break both programs at every system call, kill them at 1,000 random ones, cut the power
	bash -o pipefail -c "$(GO) test -timeout 60m -count 1 -v -run 'TestEveryFault|TestPowerLoss' ./agent -every-fault | grep -v '^ *\(=== RUN\|--- PASS: .*/\)'"
	bash -o pipefail -c "$(GO) test -timeout 60m -count 1 -v -run TestRandomKills ./agent -kills 1000 -bin '$(CURDIR)/bin' | grep -v '=== RUN'"

soak: build ## fifty computers in a tailnet, sixty days of outages (SOAK=-short: eight, four days)
	$(GO) run ./internal/soak -bin bin $(SOAK)

chaos: build test-packages ## two collectors and a PostgreSQL that are killed under load for ten minutes (CHAOS=-short: one)
	$(GO) run ./internal/chaos -bin bin $(CHAOS)

burst: build ## 2,000 agents with 24 reports each, at once
	$(GO) run ./internal/bench -bin bin -only burst

load: build test-packages ## what both stores take in, answer and weigh, for 100,000 hosts (LOAD='-only pages -db SQLite' runs a part)
	$(GO) run ./collector/store/load -bin bin $(LOAD)

bench: build load ## times and sizes, with their targets (BENCH='-only day' runs a part)
	$(GO) run ./internal/bench -bin bin $(BENCH)
	$(GO) run ./collector/web/internal/shots -paint 10

fuzz: ## every fuzz test for FUZZTIME each
	@for f in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
	  for n in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$f); do \
	    echo "$$n in $$(dirname $$f)"; \
	    $(GO) -C $$(dirname $$f) test -run '^$$' -fuzz "^$$n\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x . || exit 1; \
	  done; \
	done

golden: ## rewrite the golden files, then look at the difference
	$(GO) test ./policies ./internal/wire ./cmd/muster/internal/output -update
	$(GO) test -run 'ReadmeTables|ReferenceLists' . -update

storybook: ## an invented state on this computer, and every part of its pages (STORYBOOK=-once: try it and exit)
	$(GO) run ./collector/web/internal/show $(STORYBOOK)

shots: build ## screenshots of every page of a running demo into .demo/shots (needs chromium)
	$(GO) run ./internal/demo -bin bin -once -shots .demo/shots

clean: ## remove what make made
	rm -rf bin dist .demo
