# make demo: the whole method on prints that it makes itself; make test: lint, types and tests;
# make test-slow: the tests that take minutes each; make wheel-check: the wheel, installed alone;
# make fuzz: every reader on damaged files; make docs: the site of the documents, in build/site.
# Both create .venv and install into it; PYTHON=python3.12 chooses the interpreter.

PYTHON ?= python3
# Processes that share the tests, a file each. One takes up to 7 GB; more than cores gain nothing.
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-slow wheel-check fuzz docs pictures bench format clean
.DEFAULT_GOAL := test

demo: $(VENV)/.installed
	$(BIN)/ifvit demo --out demo

test: $(VENV)/.installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --durations=10

test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -m slow

wheel-check:
	PYTHON=$(PYTHON) tests/check_wheel.sh

fuzz: $(VENV)/.installed-dev
	$(BIN)/python tests/fuzz_readers.py --files 100000 --seed 0

# Strict: no broken link, no page outside the navigation, nothing loaded from elsewhere.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

pictures: $(VENV)/.installed
	$(BIN)/python recipes/pictures.py

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/synthesis.py
	$(BIN)/python benchmarks/training.py --preset tiny
	$(BIN)/python benchmarks/training.py --preset paper
	$(BIN)/python benchmarks/training.py --preset paper --growth --batch-size 4 --repeats 3
	$(BIN)/python benchmarks/twin.py
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/folder.py
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/start.py

format: $(VENV)/.installed-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Trained checkpoints, runs and the demo are results, and stay.
clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "ifvit needs Python 3.11 or newer, but $(PYTHON) is" \
	    "$$($(PYTHON) --version 2>&1): choose one with make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamps are newer than pyproject.toml for as long as its dependencies are the installed ones.
# The environment is needed, but its date is that of its making and says nothing.
$(VENV)/.installed: pyproject.toml | $(BIN)/pip
	@echo "Installing ifvit into $(VENV) (a few minutes the first time)"
	$(BIN)/python -m pip install --quiet -e '.[train]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/pip
	@echo "Installing ifvit and its test tools into $(VENV) (a few minutes the first time)"
	$(BIN)/python -m pip install --quiet -e '.[convert,dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/pip
	@echo "Installing ifvit and what builds its site into $(VENV)"
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	@touch $@
