# Each target makes .venv first, where it is missing or older than what it is made from:
# with uv where that is installed, else with venv and pip. `make PYTHON=...` chooses the Python.

BIN := .venv/bin
READY := .venv/.ready
# The same with Ray, and what Kubernetes and Celery need: another quarter of a gigabyte.
CLUSTERS := .venv/.ready-clusters
# Absolute, as Dagster wants it, and the project's own: never one that the shell happens to have.
export DAGSTER_HOME := $(CURDIR)/.dagster_home

PYTHON ?=
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3.14 python3 python)
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-ray test-lowest dev serve lint bench bench-month bench-api bench-scale docs clean home lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s  %s\n", $$1, $$2}' Makefile

demo: home ## 30 days of New York's flights, from files to answers
	@$(BIN)/stupid-dagster demo

# A file's tests stay together, as they share what is slow to make. Files go in their own order:
# xdist would put those with the fewest tests last, and they are the longest.
PYTEST := python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(READY) ## the tests, but for the slow ones: rounds of kills, bad networks, full disks
	@$(BIN)/$(PYTEST) -m 'not slow and not clusters'

test-all: $(READY) ## the tests, the slow ones too
	@$(BIN)/$(PYTEST)

# By themselves: on a machine that has other work a Ray node may give up before it has started.
test-ray: $(CLUSTERS) ## the tests of Ray, and of what deploy/ ships
	@$(BIN)/python -m pytest -n 0 -m clusters tests/ray tests/deploy

# `make test-all` has the newest, those of constraints.txt.
test-lowest: $(READY) ## the tests, with the oldest dependencies that pyproject.toml allows
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-lowest
	@$(BIN)/uv pip install --quiet --resolution lowest-direct --python .venv-lowest/bin/python \
		-e '.[samples,dev]'
	@.venv-lowest/bin/$(PYTEST)

dev: home ## Dagster's UI, on port 3000
	@$(BIN)/dagster dev

serve: home ## the query API, on port 8000
	@$(BIN)/stupid-dagster serve

lint: $(READY) ## ruff, pyright, and the layers that import-linter guards
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyright
	@$(BIN)/lint-imports

bench: $(READY) ## the benchmarks
	@$(BIN)/python -m benchmarks

bench-month: $(READY) ## the benchmark of 30 full days; stop it, and it goes on next time
	@$(BIN)/python -m benchmarks month

bench-api: $(READY) ## the query API over those 30 days (after bench-month): latency, load
	@$(BIN)/python -m benchmarks api

bench-scale: $(CLUSTERS) ## days on one and two Ray workers, a bucket's cost, the largest day
	@$(BIN)/python -m benchmarks workers

docs: $(READY) ## write docs/reference again
	@$(BIN)/python -W ignore docs/generate.py

clean: ## remove the lake and Dagster's history (not data/landing, not .venv)
	rm -rf data/lake .dagster_home .env .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# A bare `dagster dev` takes DAGSTER_HOME from .env, so that it shows the same history.
home: $(READY)
	@$(BIN)/python -m stupid_dagster.dagster_home '$(DAGSTER_HOME)'
	@grep -qsxF 'DAGSTER_HOME=$(DAGSTER_HOME)' .env || { \
		{ grep -sv '^DAGSTER_HOME=' .env; echo 'DAGSTER_HOME=$(DAGSTER_HOME)'; } > .env.new; \
		mv .env.new .env; \
	}

# Releases in constraints.txt stay, unless pyproject.toml rules them out: `make lock UPGRADE=--upgrade`
# takes the newest of all.
lock: $(READY) ## work constraints.txt out again
	UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile pyproject.toml --all-extras --universal \
		--python-version 3.11 --strip-extras --no-annotate --quiet $(UPGRADE) --output-file constraints.txt

$(READY): pyproject.toml constraints.txt
	@python=$$(for name in $(PYTHONS); do \
		"$$name" -c '$(SUPPORTED)' 2>/dev/null && command -v "$$name" && break; \
	done); \
	if [ ! -x $(BIN)/python ] && [ -z "$$python" ]; then \
		echo "Python 3.11, 3.12, 3.13 or 3.14 is needed, and none of these is one: $(PYTHONS)."; \
		echo "Install one (Debian: apt-get install python3 python3-venv; macOS: brew install"; \
		echo "python@3.13), or say where it is: make PYTHON=/path/to/python3.13 ..."; \
		exit 1; \
	fi >&2; \
	if [ -x $(BIN)/python ] && ! $(BIN)/python -c '$(SUPPORTED)'; then \
		echo ".venv has a Python older than 3.11 or newer than 3.14: rm -rf .venv, and try again."; \
		exit 1; \
	fi >&2; \
	echo "Installing into .venv; this takes a minute or two, once."; \
	if command -v uv >/dev/null; then \
		[ -x $(BIN)/python ] || uv venv --quiet --clear --python "$$python" .venv || exit 1; \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[samples,dev]'; \
	else \
		[ -x $(BIN)/python ] || "$$python" -m venv --clear .venv || { \
			rm -rf .venv; \
			echo "$$python can't make .venv (Debian: apt-get install python3-venv)." >&2; \
			exit 1; \
		}; \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip || exit 1; \
		$(BIN)/python -m pip install --quiet --upgrade pip || exit 1; \
		$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[samples,dev]'; \
	fi
	@touch $@

$(CLUSTERS): $(READY)
	@if command -v uv >/dev/null; then \
		uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt \
			-e '.[samples,dev,ray,k8s,celery,clusters]'; \
	else \
		$(BIN)/python -m pip install --quiet -c constraints.txt \
			-e '.[samples,dev,ray,k8s,celery,clusters]'; \
	fi
	@touch $@
