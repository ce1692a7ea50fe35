# Every target says what it does in its ## comment; `make help` prints them.
SHELL := /bin/bash
GO ?= go
export CGO_ENABLED ?= 0
BIN := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
PACKAGES := ./... github.com/roje-ot/roje/testdata/need github.com/roje-ot/roje/testdata/need/suite
FUZZTIME ?= 20s
STORED ?= 1000000,10000000
TURNS ?= 200
BURST ?= 3000000

.PHONY: help
help: ## what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

.PHONY: build
build: ## the three programs, static, into bin/
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/roje-sensor ./cmd/roje-collector ./cmd/roje-lab

.PHONY: demo
demo: build ## collector, an enrolled sensor and the lab's captures on loopback; prints the console's address and sign-in
	$(BIN)/roje-lab demo --bin $(BIN) --testdata testdata

.PHONY: smoke
smoke: build ## the demo, ending by itself: exit 0 after the alerts have arrived, prints how many
	$(BIN)/roje-lab demo --bin $(BIN) --testdata testdata --smoke

.PHONY: demo-live
demo-live: build ## the demo with live masters and outstations over veth pairs in its own namespaces (root)
	$(BIN)/roje-lab demo --bin $(BIN) --testdata testdata --live

.PHONY: test
test: ## every test that this machine can run, then what was skipped and why
	$(GO) run ./testdata/need/suite -timeout 20m $(PACKAGES)

.PHONY: race
race: ## the tests under the race detector (needs a C compiler), the long ones shortened
	CGO_ENABLED=1 $(GO) run ./testdata/need/suite -race -short -timeout 20m ./...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt-clean: $$unformatted"; exit 1; }
	$(GO) vet $(PACKAGES)
	$(GO) tool staticcheck $(PACKAGES)

.PHONY: generate
generate: ## everything that is generated and committed: test captures, docs tables, console assets
	$(GO) generate ./...

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME, a time or, as 20000x, a number of inputs
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9]*' . | sort | while IFS=: read -r file target; do \
		echo "$$(dirname $$file) $${target#func }"; \
		$(GO) test -run '^$$' -fuzz "^$${target#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$(dirname $$file) || exit 1; \
	done

.PHONY: bench
bench: ## decoding and judging, with ratios against peers and floors measured in the same run
	$(GO) test -run '^$$' -bench . -benchmem ./protocols/... ./rules/... ./sensor/...

.PHONY: bench-capture
bench-capture: ## capturing beside gopacket and tcpdump, in turns, with the ratios that must hold (root)
	$(GO) run ./sensor/capture/bench

.PHONY: bench-store
bench-store: ## at the API: a fleet of 5,000, and pages and searches of the queue over STORED alerts, 1 and 10 million (many GB in TMPDIR)
	$(GO) test ./collector/store/history -run '^$$' -bench 'Fleet|History' -alerts $(STORED) -benchtime 1x -timeout 5h

.PHONY: bench-ingest
bench-ingest: ## durable intake of both stores beside the raw store, with the ratios that must hold (PostgreSQL, minutes)
	GOGC=400 $(GO) test ./collector/store/sqlite ./collector/store/postgres -p 1 -run '^$$' -bench Ingest -benchmem -benchtime $(TURNS)x -count 3 -timeout 1h

.PHONY: burst
burst: ## BURST alerts at once, 3 million, absorbed by spools and credit with none lost (up to two hours, many GB)
	$(GO) test ./cmd -count=1 -run 'TestBurst$$' -burst $(BURST) -timeout 2h -v

.PHONY: conformance
conformance: ## field by field against tshark over the capture corpus (needs tshark and the corpus)
	$(GO) test -count=1 -v -run 'TestConformance|TestTruth' ./sensor

.PHONY: detect
detect: ## the goals of detection as a table, over the lab's captures and, where it is there, the corpus
	$(GO) run ./sensor/detect

.PHONY: cross
cross: ## static builds for amd64 and arm64 with nothing but Go
	for arch in amd64 arm64; do GOOS=linux GOARCH=$$arch CGO_ENABLED=0 $(GO) build -trimpath -o /dev/null ./cmd/roje-sensor && \
		GOOS=linux GOARCH=$$arch CGO_ENABLED=0 $(GO) build -trimpath -o /dev/null ./cmd/roje-collector || exit 1; done
