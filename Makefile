# One command each: `make report` renders the example quarter, `make test` runs the whole suite.
# Needs only Python >= 3.11 and make; everything else is installed into .venv from requirements.lock.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# The installer is the only thing not installed from the lock; keep in step with the lock (a test compares).
UV     := uv==0.13.9

.DEFAULT_GOAL := help
.PHONY: help install report example test lint types lock clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "salessim needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 report"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$(UV)"
	@VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv pip sync --quiet --compile-bytecode requirements.lock
	@VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

install: $(STAMP)  ## make .venv with everything that requirements.lock pins

report: $(STAMP)  ## render the example quarter and print the path of its index.html
	@$(BIN)/salessim report --report reports/2026Q2/report.yaml

example: report  ## renew the finished example chapters that stand in reports/2026Q2
	@cp reports/2026Q2/build/notebooks/*.ipynb reports/2026Q2/

test: $(STAMP)  ## run the whole test suite
	@$(BIN)/python -m pytest -n 2

lint: $(STAMP)  ## check style
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMP)  ## check types
	@$(BIN)/mypy

lock:  ## renew requirements.lock from pyproject.toml
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet "$(UV)"; }
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 --extra dev \
	  --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock

clean:  ## remove .venv and rendered reports
	rm -rf $(VENV) reports/*/build
