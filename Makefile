# The two commands of a fresh machine are `make quickstart` and `make test`; `make help` lists all.
# Everything is installed into .venv with the tested versions of constraints.txt. A stamp in .venv says what is
# already installed, so nothing is installed twice; a stamp is written last, so half an installation never counts.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs/quickstart
# Of train-setup: tpu or cuda, and nothing for the processor.
DEVICE ?=
PYTEST_ARGS ?=
# Test processes beside one another; 0 for a single one, in which a debugger works. A file's tests run in one of them,
# which makes its students, servers and runs once.
WORKERS ?= 2

SETUP := pyproject.toml constraints.txt
# -qq: pip's errors are shown, its warnings about a machine's own index settings are not.
PIP_INSTALL := -m pip install -qq --no-input --disable-pip-version-check
INSTALL := $(BIN)/python $(PIP_INSTALL) -c constraints.txt -e

# The other release of jax that the trainer works with, in an environment of its own.
JAX := 0.11
JAX_VENV := .venv-jax
JAX_SETUP := pyproject.toml constraints-jax-$(JAX).txt

# What reads the logs of evaluations, and cannot be installed beside Curator.
INSPECT := 0.3.285
INSPECT_VENV := .venv-inspect

.PHONY: help quickstart train-setup test test-jax lint bench bench-million bench-export bench-inspect constraints constraints-jax clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: $(VENV)/.local  ## A small creative-writing dataset from the embedded teacher, in about five minutes
	@$(BIN)/tunixhack fetch-local
	@$(BIN)/tunixhack build creative --source shipped --teacher local --questions 8 --samples 4 --out $(OUT) >/dev/null  # show prints it all
	@$(BIN)/tunixhack show $(OUT)
	@echo
	@echo "Made: $(OUT), a Hub dataset as it stands (train.parquet and its card, README.md), and beside it every dropped"
	@echo "row with its reason (rejected.parquet). The same command goes on from there. What next:"
	@echo "  $(OUT)/report.html                          # all of it, to look through in a browser"
	@echo "  $(BIN)/tunixhack teachers                   # which real teachers answer here"
	@echo "  $(BIN)/tunixhack build creative --teacher lmstudio/MODEL --questions 500"
	@echo "  $(BIN)/tunixhack build creative --source my_questions.jsonl --teacher lmstudio/MODEL --out runs/mine"
	@echo "  make train-setup                            # then: $(BIN)/tunixhack train runs/creative --model …"

train-setup: $(VENV)/.train-$(or $(DEVICE),cpu)  ## What training needs, too (DEVICE=tpu or cuda for an accelerator)
	@$(BIN)/tunixhack doctor

test: $(VENV)/.local $(VENV)/.test  ## All tests (PYTEST_ARGS="-k store" for some)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

test-jax: $(JAX_VENV)/.test  ## The training's tests with the other jax that it works with; needs Python 3.12
	@$(JAX_VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile $(or $(PYTEST_ARGS),tests/train)

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

bench-million: $(VENV)/.local $(VENV)/.test  ## 1.2 million questions of 16 answers behind the teacher; hours, and 25 GB in OUT
	@$(BIN)/python benchmarks/million.py --questions 12000 1200000 --folder "$(OUT)"

bench-export: $(VENV)/.local $(VENV)/.test  ## Exported students through transformers; installs PyTorch, 5 GB
	@$(BIN)/python $(PIP_INSTALL) -c constraints.txt torch
	@$(BIN)/python benchmarks/export_vs_transformers.py

bench-inspect: $(VENV)/.local $(VENV)/.test $(INSPECT_VENV)/.installed  ## Logs of evaluations, read by inspect-ai in an environment of its own
	@$(BIN)/python benchmarks/inspect_reads.py

# $(call make-venv,FOLDER,PYTHONS,ACCEPTED): an environment by the first of some Pythons that is of an accepted version.
# Without PYTHON=…, the first of the accepted versions is looked for everywhere before the next.
define make-venv
	@rm -rf $(1)
	@for accepted in $(3); do for candidate in $(or $(PYTHON),$(2)); do \
	  if "$$candidate" -c "import sys; sys.exit('3.%d' % sys.version_info[1] not in '$$accepted'.split(','))" 2>/dev/null; then \
	    echo "Making $(1) with $$("$$candidate" --version)"; \
	    "$$candidate" -m venv $(1) && touch $@; exit; \
	  fi; \
	done; done; \
	echo "This needs one of Python $(3), and none of $(or $(PYTHON),$(2)) is one:" \
	  "install one, or name it with make PYTHON=/path/to/python" >&2; exit 1
endef

# Curator, with which datasets are built, works with 3.11 and 3.12; training takes 3.13 as well.
ACCEPTED := 3.11,3.12
train-setup: ACCEPTED := 3.11,3.12 3.13

$(VENV)/.made:
	$(call make-venv,$(VENV),python3 python3.12 python3.11 python3.13,$(ACCEPTED))

$(JAX_VENV)/.made:
	$(call make-venv,$(JAX_VENV),python3.12 python3,3.12)

$(JAX_VENV)/.test: $(JAX_VENV)/.made $(JAX_SETUP)
	@echo "Installing tunixhack[all,test] with jax $(JAX) into $(JAX_VENV)"
	@$(JAX_VENV)/bin/python $(PIP_INSTALL) -c constraints-jax-$(JAX).txt -e '.[all,test]'
	@touch $@

$(INSPECT_VENV)/.made:
	$(call make-venv,$(INSPECT_VENV),python3 python3.12 python3.11,$(ACCEPTED))

$(INSPECT_VENV)/.installed: $(INSPECT_VENV)/.made
	@echo "Installing inspect-ai $(INSPECT) into $(INSPECT_VENV)"
	@$(INSPECT_VENV)/bin/python $(PIP_INSTALL) inspect-ai==$(INSPECT)
	@touch $@

comma := ,
$(VENV)/.train-%: $(VENV)/.made $(SETUP)
	@echo "Installing tunixhack[all$(addprefix $(comma),$(DEVICE))] into $(VENV)"
	@$(INSTALL) '.[all$(addprefix $(comma),$(DEVICE))]'
	@touch $@

$(VENV)/.local: $(VENV)/.made $(SETUP)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || { \
	  echo "$(VENV) has $$($(BIN)/python --version), and Curator, with which datasets are built, works with 3.11 and" \
	    "3.12 alone: make clean, and name one with make PYTHON=/path/to/python3.12" >&2; exit 1; }
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

# $(call solve,PYTHON,JAX,FILE): a constraints file out of an environment that pip filled without one. Curator's pandas has
# no wheels for Python 3.13, where Curator is not installed, so another one stands there.
define solve
	@rm -rf .venv-solve && $(1) -m venv .venv-solve
	@.venv-solve/bin/python $(PIP_INSTALL) -e '.[all,test,lint,docs]' 'jax==$(2).*'
	@sed -n '/^#/p' $(3) > constraints.new
	@.venv-solve/bin/python -m pip freeze --exclude-editable | sed \
	  's/^pandas==.*/&; python_version < "3.13"\npandas==2.3.3; python_version >= "3.13"/' >> constraints.new
	@mv constraints.new $(3) && rm -rf .venv-solve
endef

constraints: $(VENV)/.made  ## Solve constraints.txt anew, in a scratch environment (then: make lint test bench)
	$(call solve,$(BIN)/python,0.10,constraints.txt)

constraints-jax: $(JAX_VENV)/.made  ## The same for the other jax (then: make test-jax)
	$(call solve,$(JAX_VENV)/bin/python,$(JAX),constraints-jax-$(JAX).txt)

clean:  ## Remove what make made; runs/ stays, since answers were paid for
	rm -rf $(VENV) $(JAX_VENV) $(INSPECT_VENV) .venv-solve site dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
