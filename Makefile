# Everything a developer or a CI does, by name. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Every cargo call that builds tests names the whole workspace: with fewer packages cargo
# chooses fewer features of the shared dependencies, and compiles them a second time.
# Which tests run is then chosen by the folder that a test file lies in.
CARGO ?= cargo
test_files = $(patsubst $(1)/%.rs,--test %,$(wildcard $(1)/*.rs))
INTEGRATION_TESTS := $(call test_files,tests)
E2E_TESTS := $(call test_files,e2e/tests)

# The local cluster's own command line, built with the same features as the tests.
RUN_E2E = $(CARGO) build -q --workspace --locked --bin tremplin-e2e && $${CARGO_TARGET_DIR:-target}/debug/tremplin-e2e

.PHONY: help
help: ## show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: test
test: lint unit integration e2e ## everything: lint, unit, API server, real node

.PHONY: lint
lint: ## format, clippy, and the upper floor compiled alone
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	# The crate that decides must build without the features that the others bring in.
	$(CARGO) check -p tremplin-core --locked

.PHONY: unit
unit: ## tests that need no cluster
	$(CARGO) test --workspace --locked --lib --bins
	$(CARGO) test --workspace --locked --doc

.PHONY: integration
integration: ## tests on a real API server (no root needed)
	$(if $(INTEGRATION_TESTS),$(CARGO) test --workspace --locked $(INTEGRATION_TESTS),@echo "no file in tests/ yet")

.PHONY: e2e
e2e: ## tests on a real node (needs root)
	$(if $(E2E_TESTS),$(CARGO) test --workspace --locked $(E2E_TESTS),@echo "no file in e2e/tests/ yet")

.PHONY: tools
tools: ## build the programs of the local cluster that are missing
	$(RUN_E2E) tools >/dev/null

.PHONY: image
image: ## build the operator's image (needs root, no Docker) and show sizes
	$(RUN_E2E) image operator --output $${CARGO_TARGET_DIR:-target}/tremplin-image.tar \
	  --revision "$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"

.PHONY: generate
generate: ## write the files that are made from the code: crds/, and the copies in charts/
	TREMPLIN_GENERATE=1 $(CARGO) test -q --workspace --locked --test generated

.PHONY: chart
chart: ## check the charts and package them into target/charts
	$(CARGO) test --workspace --locked --test chart
	"$$($(RUN_E2E) tools helm)" package charts/* --destination $${CARGO_TARGET_DIR:-target}/charts

.PHONY: audit
audit: ## licences, banned crates and sources of every dependency (AUDIT=advisories needs the network)
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	$(CARGO) deny --locked check $(AUDIT)
AUDIT ?= licenses bans sources
