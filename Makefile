# The few commands of this house; `make help` lists them.

CARGO ?= cargo
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help demo build test test-setup check audit clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

demo: ## Build and watch two people chat; needs Rust and a C compiler (KEEP=1 leaves it running)
	@examples/quickstart.sh

build: ## Build chat-server, chatd and chatctl for daily use, into target/release
	$(CARGO) build --locked --release --package chat-server --package chatd --package chatctl --bins

test: test-setup ## Run every test, the examples included; installs what they need and says so
	$(CARGO) build --locked --workspace --bins --tests
	$(CARGO) test --locked --workspace --no-fail-fast

test-setup: ## Install only what the tests need: MariaDB, and Python packages into target/python
	@.ci/test-setup

check: ## Format, lint and document as strictly as the automatic check does, without running tests
	@.ci/run check

audit: ## Check licences, sources, duplicates and known advisories of all dependencies (installs cargo-deny)
	@command -v cargo-deny >/dev/null || { echo 'audit: installing cargo-deny, which takes some minutes' >&2; $(CARGO) install --locked cargo-deny; }
	$(CARGO) deny check bans licenses sources
	@if $(CARGO) deny fetch db; then $(CARGO) deny check --disable-fetch advisories; else echo 'audit: the advisory database is out of reach from here: advisories were NOT checked' >&2; fi

clean: ## Remove everything that was built
	$(CARGO) clean
