# Entry points. `make help` lists them.

TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
SEESAW := $(TARGET)/release/seesaw
CARGO ?= cargo
# cpu or cuda. If empty: the present build of libtorch, else CUDA if `nvidia-smi` works.
TORCH ?=
export TORCH
# For `make reproduce` and its parts: the suite, the device, and how many samples of each split and seeds (empty: all).
SUITE ?= paper
DEVICE ?= auto
SUBSET ?=
SEEDS ?=
MIRROR ?=
# Not empty: start runs of hours and large downloads without asking.
YES ?=
# Where `make install` puts the program; it finds libtorch where it was built.
PREFIX ?= $(HOME)/.local
COMPLETIONS = share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d
# Where `make mirror` keeps its archives and weights.
MIRROR_DIR ?= $(TARGET)/mirror

.DEFAULT_GOAL := all
.PHONY: all install help libtorch build smoke test test-setup reproduce claims report mirror clean clean-all

## all: get libtorch and build seesaw (the default)
all: build
	@echo "built: $(SEESAW); next: make smoke"

## install: put seesaw into PREFIX (default: ~/.local), with completions and pages of the manual
install: build
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin share/man/man1 $(COMPLETIONS))
	install $(SEESAW) $(DESTDIR)$(PREFIX)/bin
	$(SEESAW) manual $(DESTDIR)$(PREFIX)/share/man/man1
	$(SEESAW) completions bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/seesaw
	$(SEESAW) completions zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_seesaw
	$(SEESAW) completions fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/seesaw.fish

## smoke: run the offline benchmark, which takes minutes; a second run has nothing to do
smoke: build
	@$(SEESAW) run smoke

## test: run every check that a change has to pass: set-up, format, lints, tests
test: libtorch test-setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --release --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --release --workspace

WHAT = --device $(DEVICE) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SUBSET),--subset $(SUBSET)) $(if $(MIRROR),--mirror $(MIRROR))
CONSENT = $(if $(YES),--yes)

## reproduce: make all tables, figures, claims and the report of the paper (SUITE, SEEDS, DEVICE, SUBSET, MIRROR, YES)
reproduce: build
	@$(SEESAW) run $(SUITE) $(WHAT) $(CONSENT)

## table-N: make and print one table, and only what it needs (same variables)
table-%: build
	@$(SEESAW) table $* --suite $(SUITE) $(WHAT) $(CONSENT)

## figure-N: make one figure, and only what it needs (same variables)
figure-%: build
	@$(SEESAW) figure $* --suite $(SUITE) $(WHAT) $(CONSENT)

## claims: compare the paper's claims with the results in the store
claims: build
	@$(SEESAW) claims $(SUITE) $(WHAT)

## report: make the report again from the results in the store
report: build
	@$(SEESAW) report $(SUITE) $(WHAT)

## mirror: make a small imitation of all archives and weights (MIRROR_DIR) and serve it until Ctrl-C; print the address
mirror: libtorch
	@$(CARGO) build --locked --release --package seesaw-mirror
	@[ -e $(MIRROR_DIR)/manifests.json ] || $(TARGET)/release/seesaw-mirror make $(MIRROR_DIR)
	@$(TARGET)/release/seesaw-mirror serve $(MIRROR_DIR)

## clean: remove build files and out/; keep the store and libtorch
clean:
	$(CARGO) clean
	rm -rf out

## clean-all: remove build files, out/, libtorch and the store with all results
clean-all: clean
	rm -rf .libtorch .libtorch-* .seesaw

## libtorch: check what a build needs, and get libtorch (TORCH=cpu or TORCH=cuda)
libtorch:
	@.setup/setup.sh $(if $(wildcard $(SEESAW)),built)

build: libtorch
	@$(CARGO) build --locked --release

## test-setup: test the set-up only
test-setup:
	python3 -B -m unittest discover -s .setup -p 'test_*.py'

## help: show this list
help:
	@sed -n 's/^## \([a-zN-]*\): /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf 'make %-12s %s\n' "$$name" "$$text"; done
