# The same words for people and for CI. Every target does its own set-up, into .venv and nowhere else.

PYTHON ?= python3
BIN := .venv/bin
# Two cores are enough; more only help if they are there.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test check native kernel bench docs rebuilds qemu mutants fuzz hostile tlog-kill release clean

help: ## what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## a virtual environment with everything pinned by hash
	@scripts/install_optional.sh --check

.venv/ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'error: troth needs Python 3.11 or newer; name one: make PYTHON=python3.12' >&2; exit 5; }
	@$(PYTHON) -c 'import ensurepip' \
	  || { echo 'error: this Python has no ensurepip (Debian: apt-get install python3-venv)' >&2; exit 5; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/ready ## the whole life of an enclave, then five refusals
	@$(BIN)/python scripts/demo.py

test: setup ## all tests; what a machine lacks is skipped with a reason
	$(BIN)/python -m pytest --numprocesses $(JOBS) $(PYTEST)

check: .venv/ready ## lint, format, types, architecture, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --quiet -m "not slow" tests/house

native: .venv/ready ## signatures checked beside Python, by AWS-LC; needs cargo and a C compiler
	@command -v cargo >/dev/null \
	  || { echo 'error: cargo is missing (Rust 1.80 or newer); troth works without, slower' >&2; exit 5; }
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --force-reinstall ./native

kernel: .venv/ready ## the hardware kernel, built twice and compared; some minutes
	$(BIN)/troth kernel build --check

bench: .venv/ready ## ratios to the unavoidable work, and to a peer, in one run
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bench.txt \
	  || echo 'note: the peer could not be installed and will be left out' >&2
	@$(BIN)/python -c 'import troth_native' 2>/dev/null || $(MAKE) --no-print-directory native \
	  || echo 'note: without troth-native, limits of what is verified for the first time are broken' >&2
	@$(BIN)/python -m bench

docs: .venv/ready ## make docs/reference again from the code
	$(BIN)/python scripts/render_codes.py
	$(BIN)/python scripts/render_reference.py

rebuilds: .venv/ready ## each example rebuilt as a stranger would, in every way there is; some minutes
	TROTH_REBUILDS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) tests/examples/test_rebuilt.py

qemu: ## QEMU with the machine nitro-enclave, into troth's cache (10 minutes)
	@scripts/build_qemu_nitro.sh

mutants: .venv/ready ## remove every check, flip every comparison; the tests must notice
	$(BIN)/python scripts/mutants.py --jobs $(JOBS) $(MUTANTS)

fuzz: .venv/ready ## throw mutants at all that reads; goes on where it was: FUZZ="--seconds 3600"
	@$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/fuzz.txt \
	  || echo 'note: atheris could not be installed' >&2
	@$(BIN)/python -m fuzz $(FUZZ)

hostile: .venv/ready ## a million hostile messages to the vsock device; some minutes
	@$(BIN)/python -m fuzz.vsock

tlog-kill: .venv/ready ## kill 200 processes that append to a log; nothing may be lost
	@$(BIN)/python -m tests.tlog.kill 200

release: .venv/ready ## wheel and kernel rebuilt, signed, logged: KEYS=folder VERSION=… REPOSITORY=https://…
	@test -n '$(KEYS)' -a -n '$(VERSION)' -a -n '$(REPOSITORY)' \
	  || { echo 'error: say KEYS, VERSION and REPOSITORY; releases/README.md tells what they are' >&2; exit 2; }
	$(BIN)/python scripts/make_release.py --keys '$(KEYS)' --version '$(VERSION)' \
	  --repository '$(REPOSITORY)' --commit "$${COMMIT:-$$(git rev-parse HEAD)}" $(RELEASE)

clean: ## everything that can be made again
	rm -rf .venv dist build native/target native/Cargo.lock .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests scripts bench examples fuzz -name __pycache__ -type d -prune -exec rm -rf {} +
