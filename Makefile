# One command each: `make demo` shows the platform at work, `make check test` says whether it is sound.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos bench check format lock

# The distribution's own Python, else the first on the path: of at least 3.11, and able to make a .venv. A distribution
# builds it with profile-guided optimisation, pyenv does not: a fifth less processor time for all that runs here.
# `make PYTHON=/path/to/python3 …` takes another one.
PYTHON ?= $(shell for p in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; exit; }; \
	done; echo python3)
BIN := .venv/bin
READY := .venv/.ready
# Where a shell sets it, each of some hundred processes would compile all the code anew; what is written is git-ignored.
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo 'make demo    the whole platform on this machine, shown at work (ARGS=--once ends after the run;'
	@echo '             LOANS=file.csv.gz LIMIT=200 SEED=1 REPLICAS=2 choose the loans and the processes,'
	@echo '             BROKER=kafka or embedded the broker; BROKER=auto takes Kafka where Java can be had)'
	@echo 'make test    all tests        (ARGS="tests/local -k kafka" for some)'
	@echo 'make chaos   whole lives while things break, then the audit (LIVES=2000 SEED=1 EACH=5 REPORT=file.md;'
	@echo '             PLANT=name shows that a bug is caught; SCENARIO=outage, rolling or overload)'
	@echo 'make bench   every figure against its baseline (BENCH=P1,portfolio PAIRS=5 SIZE=… REPORT=docs/performance.md)'
	@echo 'make check   format, lint, types, import rules, event schemas, documents of the interfaces'
	@echo 'make format  mend the format  make lock    renew the pinned requirements   make setup   only .venv'

setup: $(READY)

# The stamp makes the second run instant; a half-made .venv has none and is made anew.
$(READY): requirements.txt requirements-dev.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or later is needed; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1 | head -1)." \
		'Install one, or name it: make PYTHON=/path/to/python3 setup' >&2; exit 1; }
	@rm -f $@
	@"$(PYTHON)" -m venv --clear .venv || { \
		echo 'No .venv could be made; on Debian or Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.txt -r requirements-dev.txt
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# `exec` leaves no shell between make and the demo: Ctrl-C ends it in order. child.py sends it SIGTERM should make be killed.
# Variables given on the command line (LOANS, LIMIT, SEED, REPLICAS, BROKER …) reach it through the environment.
demo: $(READY)
	@exec $(BIN)/python deploy/local/child.py $$PPID 15 -1 -1 $(BIN)/python -m deploy.local.demo $(ARGS)

# In the order of tests/conftest.py, which puts the longest journeys first.
test: $(READY)
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

chaos: $(READY)
	@exec $(BIN)/python deploy/local/child.py $$PPID 15 -1 -1 $(BIN)/python -m tests.chaos.run

bench: $(READY)
	@exec $(BIN)/python deploy/local/child.py $$PPID 15 -1 -1 $(BIN)/python -m tests.bench.run

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m libs.events.generate --check
	$(BIN)/python -m deploy.contracts --check

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Without --no-emit-index-url the address of a private package index would end up in the files.
PIN := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11
lock:
	@command -v uv >/dev/null || { echo 'uv is needed: pip install uv' >&2; exit 1; }
	$(PIN) requirements.in -o requirements.txt
	$(PIN) requirements-dev.in -o requirements-dev.txt
