# Needs make, a POSIX shell and Python 3.11 to 3.13; everything else is installed into .venv.
#   make demo                       set up and show the method at work
#   make setup EXTRAS=cuda12        an extra of pyproject.toml: cuda12, cuda13, tfds, search, slurm, ray, docs, dev
#   make test PYTEST_ARGS="-k dmd"  arguments for pytest
#   make reproduce ARGS="..."       arguments for the script behind a target
#   make demo PYTHON=python3.12     the Python that .venv is made with

PYTHON ?=
EXTRAS ?=
ARGS ?=
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
LOCK_ARGS ?=

BIN := .venv/bin
BASE := .venv/.installed
DEV := .venv/.installed-dev
PIP = $(BIN)/python -m pip --disable-pip-version-check
# pip compiles on one core; this takes all of them.
INSTALL = $(PIP) install --quiet --no-compile --editable
COMPILE = $(BIN)/python -m compileall -q -j 0 .venv >/dev/null 2>&1 || true

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test test-slow test-all lint types check format figures tables report verify docs bench reproduce missing replay lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(if $(EXTRAS),.venv/.installed-$(EXTRAS),$(BASE)) ## Install into .venv the tested versions (EXTRAS=cuda12 for a GPU)

# With optuna, which the demonstration compares with.
demo: .venv/.installed-search ## Train small problems in five ways, draw what came out into outputs/demo
	$(BIN)/python scripts/demo.py $(ARGS)

test: $(DEV) ## Run the tests, but for the slow ones
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

# Without XLA's flags of tests/compilation.py: programs are compiled as those of users are.
test-slow: $(DEV) ## Run the slow tests: real W&B, full-size data, PyTorch
	XLA_FLAGS= $(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-all: test test-slow ## Run the whole test suite

lint: $(DEV) ## Check style and formatting with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV) ## Check types with pyright
	$(BIN)/pyright --pythonpath $(BIN)/python

check: lint types ## Lint and types together

format: $(DEV) ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

figures: $(BASE) ## Build every figure from the stored runs
	$(BIN)/python scripts/make_figures.py $(ARGS)

tables: $(BASE) ## Build every table from the stored runs
	$(BIN)/python scripts/make_tables.py $(ARGS)

report: $(BASE) ## Write results/REPORT.md and results/report.html from the stored runs and tables
	$(BIN)/python scripts/report.py $(ARGS)

verify: $(BASE) ## Name what in results' figures, tables and report the stored runs do not give
	$(BIN)/python scripts/verify.py

docs: $(DEV) ## Make a site of README's further reading in site, every link checked
	$(BIN)/python docs/notebook.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: .venv/.installed-bench ## Time steps, hypergradients and runs beside their peers (installs PyTorch)
	$(BIN)/python scripts/benchmark.py $(ARGS)

reproduce: $(BASE) ## Run what of the paper is missing, failed or stale (minutes=8: as much as fits)
	$(BIN)/python scripts/reproduce.py $(if $(minutes),minutes=$(minutes)) $(ARGS)

missing: $(BASE) ## Print the commands of that, with their times
	@$(BIN)/python scripts/reproduce.py --missing $(ARGS)

replay: $(BASE) ## Check that outdated stored runs and studies still come out the same
	$(BIN)/python scripts/replay.py $(ARGS)

# Pins stay as they are unless pyproject.toml rules them out; LOCK_ARGS=--upgrade renews all.
lock: .venv/.created ## Solve constraints.txt again for every supported Python and platform
	$(PIP) install --quiet "uv>=0.9,<1"
	$(BIN)/uv --no-config pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	  --extra cuda12 --extra cuda13 --extra tfds --extra ray --extra dev --strip-extras \
	  --no-emit-index-url --no-emit-find-links --annotation-style line \
	  --custom-compile-command "make lock" --output-file constraints.txt $(LOCK_ARGS)

clean: ## Remove .venv and caches; results and outputs stay
	rm -rf .venv build dist site .pytest_cache .ruff_cache .hypothesis
	find benchmarks configs glocal_exp scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

SUITABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.venv/.created:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
	  if $$python -c '$(SUITABLE)' >/dev/null 2>&1; then \
	    echo "Creating .venv with $$($$python --version)"; \
	    $$python -m venv --clear .venv && touch $@; exit; \
	  fi; \
	done; \
	echo "glocal_exp needs Python 3.11, 3.12 or 3.13 with its venv module (Debian: python3-venv);" \
	  "install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; exit 1

$(BASE): .venv/.created pyproject.toml constraints.txt
	@echo "Installing packages into .venv: about 1.2 GB, a minute or two"
	@$(INSTALL) . --constraint constraints.txt
	@$(COMPILE)
	@touch $@

.venv/.installed-%: .venv/.created pyproject.toml constraints.txt
	@echo "Installing packages and the extra $* into .venv: a few minutes"
	@$(INSTALL) ".[$*]" --constraint constraints.txt
	@$(COMPILE)
	@touch $(BASE) $@

# PyTorch's own dependencies stay out of constraints.txt (see pyproject.toml); installed ones are kept.
.venv/.installed-bench: $(BASE)
	@echo "Installing PyTorch, higher and TorchOpt into .venv: several GB where the build for CUDA is taken"
	@$(INSTALL) ".[bench]"
	@$(COMPILE)
	@touch $@
