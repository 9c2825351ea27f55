# Everything a developer or a CI does, by name. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Every cargo call that builds tests names the whole workspace: with fewer packages cargo
# chooses fewer features of the shared dependencies, and compiles them a second time.
# Which tests run is then chosen by the folder that a test file lies in.
CARGO ?= cargo
test_files = $(patsubst $(1)/%.rs,--test %,$(patsubst %/main.rs,%.rs,$(wildcard $(1)/*.rs $(1)/*/main.rs)))
INTEGRATION_TESTS := $(call test_files,tests)
E2E_TESTS := $(call test_files,e2e/tests)

TARGET := $(or $(CARGO_TARGET_DIR),target)

# The local cluster's own command line, built with the same features as the tests. Cargo is quiet about it only once
# it was built: the first time takes minutes.
E2E := $(TARGET)/debug/tremplin-e2e
BUILD_E2E := $(CARGO) build $(if $(wildcard $(E2E)),-q) --workspace --locked --bin tremplin-e2e
RUN_E2E := $(BUILD_E2E) && $(E2E)

.PHONY: help
help: ## show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# CLUSTER=current: the cluster of the current kube context, which must be able to pull
# OPERATOR_IMAGE (with its tag) and SAMPLE_APP (a repository that holds 1.0.0 and 1.1.0).
ifeq ($(CLUSTER),current)
DEMO := --current $(if $(OPERATOR_IMAGE),--operator-image $(OPERATOR_IMAGE)) $(if $(SAMPLE_APP),--sample-app $(SAMPLE_APP))
endif

.PHONY: demo
demo: ## a local cluster, the operator, an app that answers (needs root; or CLUSTER=current)
	@$(RUN_E2E) demo $(DEMO)

.PHONY: demo-down
demo-down: ## take the demo down
	@$(RUN_E2E) demo-down $(DEMO)

# The slow builds of the cluster's programs go on beside the compiler; the stage `tools` waits for them.
# A stage that fails does not hide what the others say.
.PHONY: test
test: ## everything: lint, unit, API server, real node
	$(BUILD_E2E)
	@mkdir -p $(TARGET) && { $(E2E) tools >$(TARGET)/tools.log 2>&1 </dev/null & }
	@failed=; for stage in lint unit tools integration e2e; do \
	  $(MAKE) --no-print-directory $$stage || failed="$$failed $$stage"; \
	done; if [ -n "$$failed" ]; then echo "these stages failed:$$failed" >&2; exit 1; fi

.PHONY: lint
lint: ## format, clippy, and the upper floor compiled alone
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	# The crate that decides must build without the features that the others bring in.
	$(CARGO) check -p tremplin-core --locked
	cd e2e/sample-app && test -z "$$(gofmt -l . | tee /dev/stderr)" && go vet ./...

.PHONY: unit
unit: ## tests that need no cluster
	$(CARGO) test --workspace --locked --no-fail-fast --lib --bins
	$(CARGO) test --workspace --locked --doc

.PHONY: integration
integration: ## tests on a real API server and real name servers (needs root, for Debian packages and port 53)
	$(if $(INTEGRATION_TESTS),$(CARGO) test --workspace --locked --no-fail-fast $(INTEGRATION_TESTS),@echo "no file in tests/ yet")
	$(CARGO) test --workspace --locked --bench operator -- --smoke

.PHONY: e2e
e2e: ## tests on a real node (needs root)
	$(if $(E2E_TESTS),$(CARGO) test --workspace --locked --no-fail-fast $(E2E_TESTS),@echo "no file in e2e/tests/ yet")

.PHONY: bench
bench: ## what the operator costs, beside references of the same run (BENCH="--apps 200" for a quick one)
	$(CARGO) bench --workspace --locked --bench operator -- $(BENCH)

# NAME=… for another beside it, PROFILE=control-plane for one without pods (no root needed).
.PHONY: cluster
cluster: ## start a local cluster, and make an environment of the platform in it (needs root)
	@$(RUN_E2E) up --name $(or $(NAME),local) --profile $(or $(PROFILE),node)
	@$(E2E) environment team-dev --name $(or $(NAME),local)

.PHONY: cluster-down
cluster-down: ## take it down
	@$(RUN_E2E) down --name $(or $(NAME),local)

.PHONY: tools
tools: ## build the programs of the local cluster that are missing
	$(RUN_E2E) tools >/dev/null

.PHONY: image
image: ## build the operator's image (needs root, no Docker) and show sizes
	$(RUN_E2E) image operator --output $(TARGET)/tremplin-image.tar \
	  --revision "$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"

.PHONY: generate
generate: ## write the files that are made from the code: crds/, docs/reference/, and the copies in charts/
	TREMPLIN_GENERATE=1 $(CARGO) test -q --workspace --locked --test generated

.PHONY: chart
chart: ## check the charts and package them into target/charts
	$(CARGO) test --workspace --locked --test chart
	"$$($(RUN_E2E) tools helm)" package charts/* --destination $(TARGET)/charts

.PHONY: docs
docs: ## the code's own documentation, into target/doc
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --workspace --locked --no-deps

.PHONY: audit
audit: ## licences, banned crates and sources of every dependency (AUDIT=advisories needs the network)
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	$(CARGO) deny --locked check $(AUDIT)
AUDIT ?= licenses bans sources
