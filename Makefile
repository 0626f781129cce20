# Two commands: `make demo`, then `make dev`. Everything else is for people who change the project.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLUSTER := .venv-cluster
# A dagster.yaml beside the code is the instance's configuration; its storage is under .dagster/.
export DAGSTER_HOME := $(CURDIR)
export PYTHONWARNINGS ?= ignore::DeprecationWarning,ignore::FutureWarning
# BLAS and OpenMP pools of worker processes would otherwise fight over the same cores.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo dev test test-cluster lint format bench pin-crates browser clean help

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a few minutes the first time) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) --editable '.[dev]'
	@touch $@

$(CLUSTER)/.installed: pyproject.toml constraints-cluster.txt
	@test -x $(CLUSTER)/bin/python || $(PYTHON) -m venv $(CLUSTER)
	@echo "Installing into $(CLUSTER) (a few minutes the first time) ..."
	@$(CLUSTER)/bin/python -m pip install --quiet --disable-pip-version-check --requirement constraints-cluster.txt
	@$(CLUSTER)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(VENV)/.installed ## install, then materialise the starter profile end to end
	@$(BIN)/python -m tritter_assets.demo

dev: $(VENV)/.installed ## open the Dagster UI on the same instance, http://127.0.0.1:3000
	@mkdir -p .dagster
	@$(BIN)/dagster dev

test: $(VENV)/.installed-dev browser ## set up and run the tests
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-cluster: $(VENV)/.installed-dev $(CLUSTER)/.installed ## the engines past one machine, on Daft and a local Ray cluster
	@$(CLUSTER)/bin/python -m pytest -q tritter_assets_tests/cluster --ignore tritter_assets_tests/cluster/test_ray.py
	@$(CLUSTER)/bin/python -m pytest -q tritter_assets_tests/cluster/test_ray.py
	@TRITTER_CLUSTER_PYTHON=$(CURDIR)/$(CLUSTER)/bin/python $(BIN)/python -m pytest -q tritter_assets_tests/defs/test_cluster.py

lint: $(VENV)/.installed-dev ## ruff, pyright and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright

format: $(VENV)/.installed-dev ## apply the formatter
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## make bench NAME=near_dedup; one JSON object on the last line
	@$(BIN)/python -m tritter_assets_tests.benchmarks.$(NAME)

pin-crates: $(VENV)/.installed ## make pin-crates CRATES="serde ndarray"; entries of a crate contract
	@$(BIN)/python -m tritter_assets.sources.crate_index $(CRATES)

browser:
	@sh .ci/install-browser.sh

clean: ## remove the environment, the lake and the instance
	rm -rf $(VENV) $(CLUSTER) .tritter .dagster
