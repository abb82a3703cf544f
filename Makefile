# Everything runs in .venv, which each target makes first if need be. Nothing else has to be installed but Python 3.11+ and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: install demo test lint bench clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox,dev]' --constraint constraints.txt
	touch $@

# Two deployments in the sandbox, a good one and one that is rolled back: no account, no network.
demo: install
	$(BIN)/python -m sandbox.demo

# The suite's own tests.
test: install
	$(BIN)/pytest tests -n auto --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What the README claims about speed, measured here and now.
bench: install
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
