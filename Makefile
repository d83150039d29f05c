# What a person types. `make help` lists it.

TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
SEESAW := $(TARGET)/release/seesaw
CARGO ?= cargo
# cpu or cuda; empty: what is there already, else CUDA where `nvidia-smi` answers.
TORCH ?=
export TORCH
# What `make reproduce` and its parts run, where, and on how many samples of each split and seeds (all if empty).
SUITE ?= paper
DEVICE ?= auto
SUBSET ?=
SEEDS ?=
MIRROR ?=
# Where `make mirror` keeps its archives and weights.
MIRROR_DIR ?= $(TARGET)/mirror

.DEFAULT_GOAL := all
.PHONY: all help libtorch build smoke test test-setup reproduce claims report mirror clean clean-all

## all: bring libtorch into this folder and build seesaw (the default)
all: build
	@echo "built: $(SEESAW); next: make smoke"

## smoke: make a table and a figure on a small real benchmark; a second time there is nothing to do
smoke: build
	@$(SEESAW) run smoke

## test: everything that a change has to pass: set-up, format, lints, tests
test: libtorch test-setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --release --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --release --workspace

WHAT = --device $(DEVICE) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SUBSET),--subset $(SUBSET)) $(if $(MIRROR),--mirror $(MIRROR))

## reproduce: make all tables, figures, claims and the report of the paper (SUITE, SEEDS, DEVICE, SUBSET, MIRROR)
reproduce: build
	@$(SEESAW) run $(SUITE) $(WHAT)

## table-N: make and print one table of the paper, and only what it needs (the same variables)
table-%: build
	@$(SEESAW) table $* --suite $(SUITE) $(WHAT)

## figure-N: make one figure of the paper, and only what it needs (the same variables)
figure-%: build
	@$(SEESAW) figure $* --suite $(SUITE) $(WHAT)

## claims: hold what the paper claims against the results that there are
claims: build
	@$(SEESAW) claims $(SUITE) $(WHAT)

## report: make the report again from the results that there are
report: build
	@$(SEESAW) report $(SUITE) $(WHAT)

## mirror: make a small imitation of all archives and weights (MIRROR_DIR) and serve it until Ctrl-C; prints the address
mirror: libtorch
	@$(CARGO) build --locked --release --package seesaw-mirror
	@[ -e $(MIRROR_DIR)/manifests.json ] || $(TARGET)/release/seesaw-mirror make $(MIRROR_DIR)
	@$(TARGET)/release/seesaw-mirror serve $(MIRROR_DIR)

## clean: remove what was compiled, and out/; results stay in the store, and libtorch stays
clean:
	$(CARGO) clean
	rm -rf out

## clean-all: remove what was compiled, out/, libtorch and the store with all results
clean-all: clean
	rm -rf .libtorch .libtorch-* .seesaw

## libtorch: look whether this machine has what a build needs, and bring libtorch (TORCH=cpu or TORCH=cuda)
libtorch:
	@.setup/setup.sh $(if $(wildcard $(SEESAW)),built)

build: libtorch
	@$(CARGO) build --locked --release

## test-setup: the tests of the set-up alone
test-setup:
	python3 -B -m unittest discover -s .setup -p 'test_*.py'

## help: this list
help:
	@sed -n 's/^## \([a-zN-]*\): /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf 'make %-12s %s\n' "$$name" "$$text"; done
