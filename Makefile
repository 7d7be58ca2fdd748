# The two commands of a fresh machine are `make quickstart` and `make test`; `make help` lists all.
# Everything is installed into .venv with the tested versions of constraints.txt. A stamp in .venv says what is
# already installed, so nothing is installed twice; a stamp is written last, so half an installation never counts.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs/quickstart
PYTEST_ARGS ?=
# Test processes beside one another; 0 for a single one, in which a debugger works.
WORKERS ?= 2

SETUP := pyproject.toml constraints.txt
# -qq: pip's errors are shown, its warnings about a machine's own index settings are not.
INSTALL := $(BIN)/python -m pip install -qq --no-input --disable-pip-version-check -c constraints.txt -e

.PHONY: help quickstart test lint bench bench-export constraints clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: $(VENV)/.local  ## A small creative-writing dataset from the embedded teacher, in about five minutes
	@$(BIN)/tunixhack fetch-local
	@$(BIN)/tunixhack build creative --source shipped --teacher local --questions 8 --samples 4 --out $(OUT) >/dev/null  # show prints it all
	@$(BIN)/tunixhack show $(OUT)

test: $(VENV)/.local $(VENV)/.test  ## All tests (PYTEST_ARGS="-k store" for some)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

lint: $(VENV)/.local $(VENV)/.lint  ## Style, docstrings, types, and the documentation's build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs --quiet build --strict

bench: $(VENV)/.local $(VENV)/.test  ## Every figure that the documentation claims, printed as `name: value`
	@failed=; for script in benchmarks/*.py; do \
	  echo "== $$script"; $(BIN)/python "$$script" || failed="$$failed $$script"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

bench-export: $(VENV)/.local $(VENV)/.test  ## Exported students through transformers; installs PyTorch, 5 GB
	@$(BIN)/python -m pip install -qq --no-input --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/python benchmarks/export_vs_transformers.py

$(VENV)/.made:
	@rm -rf $(VENV)
	@for candidate in $(or $(PYTHON),python3 python3.12 python3.11); do \
	  if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$("$$candidate" --version)"; \
	    "$$candidate" -m venv $(VENV) && touch $@; exit; \
	  fi; \
	done; \
	echo "TunixHack needs Python 3.11 or 3.12, and none of $(or $(PYTHON),python3, python3.12, python3.11) is one:" \
	  "install one, or name it with make PYTHON=/path/to/python3.11" >&2; exit 1

$(VENV)/.local: $(VENV)/.made $(SETUP)
	@echo "Installing tunixhack[local] into $(VENV) (a minute or two the first time)"
	@$(INSTALL) '.[local]'
	@touch $@

$(VENV)/.test: $(VENV)/.local
	@echo "Installing what the tests need"
	@$(INSTALL) '.[all,test]'
	@touch $@

$(VENV)/.lint: $(VENV)/.local
	@echo "Installing the linters and the documentation's tools"
	@$(INSTALL) '.[all,lint,docs]'
	@touch $@

constraints: $(VENV)/.made  ## Solve constraints.txt anew, in a scratch environment (then: make lint test bench)
	@rm -rf .venv-solve && $(BIN)/python -m venv .venv-solve
	@.venv-solve/bin/python -m pip install -qq --no-input -e '.[all,test,lint,docs]'
	@sed -n '/^#/p' constraints.txt > constraints.new
	@.venv-solve/bin/python -m pip freeze --exclude-editable >> constraints.new
	@mv constraints.new constraints.txt && rm -rf .venv-solve

clean:  ## Remove what make made; runs/ stays, since answers were paid for
	rm -rf $(VENV) .venv-solve site dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
