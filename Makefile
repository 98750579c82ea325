# The few commands of this house; `make help` lists them.

CARGO ?= cargo
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where `make install` puts things; DESTDIR is put in front, for packagers.
PREFIX ?= /usr/local
BINDIR = $(PREFIX)/bin
PROGRAMS = chat-server chatd chatctl
# Those that print manual pages (`man`) and completions (`completions SHELL`).
DOCUMENTED = chat-server chatd chatctl
MANUALS = $(PREFIX)/share/man/man1
BASH_COMPLETIONS = $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS = $(PREFIX)/share/zsh/site-functions
FISH_COMPLETIONS = $(PREFIX)/share/fish/vendor_completions.d
USER_UNITS = chatd.service chatd@.service chatd.socket
SYSTEM_UNITS = chat-server.service
BUILT = $(or $(CARGO_TARGET_DIR),target)/release

.PHONY: help demo build install uninstall test chaos siege backlog bench explore mutations test-setup check audit clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

demo: ## Build and watch two people chat; needs Rust and a C compiler (KEEP=1 leaves it running)
	@examples/quickstart.sh

build: ## Build chat-server, chatd and chatctl for daily use, into target/release
	$(CARGO) build --locked --release --package chat-server --package chatd --package chatctl --bins

install: ## Install what `make build` built: programs, service units, manual, completions (PREFIX, DESTDIR)
	@for program in $(PROGRAMS); do test -x $(BUILT)/$$program || { echo "install: $(BUILT)/$$program is missing; first: make build" >&2; exit 1; }; done
	for program in $(PROGRAMS); do install -D -m 755 $(BUILT)/$$program $(DESTDIR)$(BINDIR)/$$program; done
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/user $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(MANUALS)
	for unit in $(USER_UNITS); do sed 's|@BINDIR@|$(BINDIR)|' chatd/dist/$$unit > $(DESTDIR)$(PREFIX)/lib/systemd/user/$$unit; done
	for unit in $(SYSTEM_UNITS); do sed 's|@BINDIR@|$(BINDIR)|' server/dist/$$unit > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit; done
	install -d $(DESTDIR)$(BASH_COMPLETIONS) $(DESTDIR)$(ZSH_COMPLETIONS) $(DESTDIR)$(FISH_COMPLETIONS)
	for program in $(DOCUMENTED); do \
		$(BUILT)/$$program man --all $(DESTDIR)$(MANUALS); \
		$(BUILT)/$$program completions bash > $(DESTDIR)$(BASH_COMPLETIONS)/$$program; \
		$(BUILT)/$$program completions zsh > $(DESTDIR)$(ZSH_COMPLETIONS)/_$$program; \
		$(BUILT)/$$program completions fish > $(DESTDIR)$(FISH_COMPLETIONS)/$$program.fish; \
	done

uninstall: ## Remove what `make install` installed; data and settings stay
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,$(PROGRAMS))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/user/,$(USER_UNITS)) $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/system/,$(SYSTEM_UNITS))
	rm -f $(DOCUMENTED:%=$(DESTDIR)$(MANUALS)/%.1) $(DOCUMENTED:%=$(DESTDIR)$(MANUALS)/%-*.1) $(DOCUMENTED:%=$(DESTDIR)$(BASH_COMPLETIONS)/%)
	rm -f $(DOCUMENTED:%=$(DESTDIR)$(ZSH_COMPLETIONS)/_%) $(DOCUMENTED:%=$(DESTDIR)$(FISH_COMPLETIONS)/%.fish)

# Most stories wait for processes: twice as many run at once as there are processors.
test: test-setup ## Run every test, the examples included; installs what they need and says so
	$(CARGO) build --locked --workspace --bins --tests
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))} $(CARGO) test --locked --workspace --no-fail-fast

chaos: test-setup ## Push 50,000 messages while 200 processes are killed, on SQLite and on MariaDB, and count
	$(CARGO) build --locked --release --workspace --bins
	$(BUILT)/chaos --database sqlite $(CHAOS)
	$(BUILT)/chaos --database mariadb $(CHAOS)

# A server cannot be honest and a liar in one run: the second story is of the liar.
siege: test-setup ## Let 20 members, 10 guests and a lying server misbehave while honest people talk, and show what it costs these
	$(CARGO) build --locked --release --workspace --bins
	SIEGE=long $(CARGO) test --locked --release --workspace --test siege -- --nocapture
	$(CARGO) test --locked --release --workspace --test malice -- --nocapture siege::

backlog: ## Let 100,000 messages wait for one device, drain them, and show what that costs in memory
	$(CARGO) build --locked --release --workspace --bins
	$(BUILT)/backlog $(BACKLOG)

# The generator is built apart: what it needs of the protocol's crate is no part of the programs that are measured.
bench: build ## Measure server and daemon beside others, half an hour (QUICK=1: three minutes, judges no time; BENCH="--growth")
ifndef QUICK
	@.ci/test-setup bench
endif
	$(CARGO) build --locked --release --package chat-stories --bin backlog
	$(CARGO) build --locked --release --package chat-bench
	python3 examples/bench --programs $(BUILT) $(if $(QUICK),--scale quick) $(BENCH)

explore: ## Try 20,000 random schedules that nobody tried before in the simulated world (WORLD_RUNS=N for others)
	WORLD_SEED=random WORLD_RUNS=$(or $(WORLD_RUNS),20000) $(CARGO) test --locked --package chatd --test world -- --nocapture nothing_is_lost

mutations: ## Take away, one by one, the rules in .ci/mutations.toml and see that the tests go red
	@.ci/mutate

test-setup: ## Install only what the tests need: MariaDB, Xvfb, tmux, libfaketime, strace, and Python packages into target/python
	@.ci/test-setup

check: ## Format, lint and document as strictly as the automatic check does, without running tests
	@.ci/run check

audit: ## Check licences, sources, duplicates and known advisories of all dependencies (installs cargo-deny)
	@command -v cargo-deny >/dev/null || { echo 'audit: installing cargo-deny, which takes some minutes' >&2; $(CARGO) install --locked cargo-deny; }
	$(CARGO) deny check bans licenses sources
	@if $(CARGO) deny fetch db; then $(CARGO) deny check --disable-fetch advisories; else echo 'audit: the advisory database is out of reach from here: advisories were NOT checked' >&2; fi

clean: ## Remove everything that was built
	$(CARGO) clean
