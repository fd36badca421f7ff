# Volley. `make help` lists the targets. Go is all that build, test, race,
# fuzz, bench, lint and check need; other test-* suites also need Node and npm,
# and *-peers need Linux and the peers, which they install where they can.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO        ?= go
FUZZTIME  ?= 1m
BENCH     ?= .
BENCHTIME ?= 1s
PEERS     ?=

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# The linter and what it stands on are pinned in a module of their own, so that
# they never choose the versions that volley itself is built with.
LINT := $(GO) tool -modfile=.ci/lint/go.mod golangci-lint

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./volley, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o volley .

.PHONY: demo
demo: ## run a fan-out against the emulator inside the program: no account, no network
	$(GO) run . run examples/fan-out.yaml

.PHONY: test
test: ## run every test that needs nothing but Go
	$(GO) test ./...

.PHONY: race
race: ## run the same tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race ./...

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME (1m) each
	GO='$(GO)' .ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## run the benchmarks that match BENCH (all), each for BENCHTIME (1s)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...

.PHONY: bench-peers
bench-peers: ## measure volley beside wrk, h2load, fortio, hey and k6, and hold it to its bars (a quarter of an hour, on two quiet cores of Linux)
	$(GO) run ./examples/peers $(PEERS)

.PHONY: pgo
pgo: ## measure anew where the program spends its time; go build reads that and inlines there (default.pgo)
	$(GO) test -pgo=off -run '^$$' -bench '^BenchmarkRun$$' -benchtime 3x -cpuprofile default.pgo.new .
	mv default.pgo.new default.pgo
	@rm -f volley.test

.PHONY: cover
cover: ## write cover.html: which statements the tests reach
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -html=cover.out -o cover.html
	@$(GO) tool cover -func=cover.out | tail -n 1

.PHONY: fmt
fmt: ## fail if a Go file is not formatted
	@files=$$(find . \( -name node_modules -o -path ./.git \) -prune -o -name '*.go' -print | xargs gofmt -l); \
	if [ -n "$$files" ]; then echo "fmt: run gofmt -w on:" >&2; echo "$$files" >&2; exit 1; fi

.PHONY: vet
vet: ## run go vet
	$(GO) vet -tags truth,servers ./...

.PHONY: lint
lint: ## run the linters (the first time builds them: a few minutes)
	$(LINT) run ./...

.PHONY: check
check: fmt vet lint test ## all that a change must pass

.PHONY: test-oracle
test-oracle: ## settle the groups' cases with Node's own promises, then with ours
	node engine/group/testdata/gen.mjs | diff engine/group/testdata/cases.json -
	node engine/group/testdata/oracle.mjs < engine/group/testdata/cases.json | diff engine/group/testdata/expected.json -
	$(GO) test -count=1 ./engine/group/

.PHONY: test-real
test-real: build examples/real-function/node_modules/.package-lock.json ## load-test a function under CloudBase's own framework; both must count the same
	node examples/real-function/test.mjs ./volley

.PHONY: test-truth
test-truth: ## hold reports against what an emulator in another process wrote down (some minutes, on a quiet machine)
	$(GO) test -tags truth -count=1 -timeout 30m ./examples/truth/

.PHONY: test-peers
test-peers: ## what bench-peers measures, in three minutes and with bars that a busy machine can meet; counts must agree all the same
	$(GO) run ./examples/peers -rounds 3 -seconds 1 -open 3 -top 10000 -stall 10 -requests 500000 -slack 3

.PHONY: test-servers
test-servers: ## hold both transports against nginx and Node, plain, over TLS and HTTP/2 (as root it installs nginx)
	@command -v nginx > /dev/null || { \
		if [ "$$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then \
			echo "test-servers: nginx is not installed; install it, with its http_v2 module" >&2; exit 1; fi; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx; }
	$(GO) test -tags servers -count=1 -timeout 10m ./examples/servers/

.PHONY: test-hlog
test-hlog: build .ci/hlog/node_modules/.package-lock.json ## read a run's histogram log with another implementation of HdrHistogram
	@run=$$(mktemp -d); trap 'rm -rf "$$run"' EXIT; \
	./volley run .ci/hlog/scenario.yaml --quiet --out "$$run/run" --format json="$$run/report.json"; \
	node .ci/hlog/check.mjs "$$run/run"

.PHONY: test-signatures
test-signatures: engine/auth/testdata/node_modules/.package-lock.json ## sign requests with the vendor's own package; ours must be the same
	node engine/auth/testdata/signatures.mjs | diff engine/auth/testdata/signatures.json -
	$(GO) test -count=1 ./engine/auth/

.PHONY: test-project
test-project: build examples/project/node_modules/.package-lock.json ## make projects with the vendor's command line; volley must read them as it does
	@made=$$(mktemp -d); trap 'rm -rf "$$made"' EXIT; \
	node examples/project/make.mjs "$$made"; \
	diff -r "$$made" scenarios/testdata/project; \
	node examples/project/check.mjs ./volley "$$made"

.PHONY: test-sdk
test-sdk: build examples/sdk/node_modules/.package-lock.json ## have the vendor's libraries call the emulator, and compare their requests with ours
	node examples/sdk/test.mjs ./volley

# npm keeps what it has installed in a hidden lock, which serves as the time stamp.
%/node_modules/.package-lock.json: %/package-lock.json
	npm ci --prefix $* --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: clean
clean: ## remove what these targets made
	rm -rf volley cover.out cover.html examples/peers/bin examples/*/node_modules examples/*/logs .ci/*/node_modules engine/auth/testdata/node_modules
