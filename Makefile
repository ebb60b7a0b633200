# make demo: the whole method on prints that it makes itself; make test: lint, types and tests;
# make test-slow: the tests that take long; make wheel-check: the wheel, installed alone;
# make fuzz: every reader on damaged files; make docs: the site of the documents, in build/site.
# Both create .venv and install into it; PYTHON=python3.12 chooses the interpreter.

PYTHON ?= python3
# Processes that share the tests. One takes up to 7 GB; more than cores gain nothing.
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What JAX compiles for the demo is not compiled again for the notebook that trains, nor for the
# next demo. The tests keep theirs elsewhere: they compile in another way.
demo notebooks: export JAX_COMPILATION_CACHE_DIR ?= $(abspath $(VENV))/compiled

.PHONY: demo demo-check test test-slow test-long wheel-check fuzz docs notebooks audit \
  audit-packages dist pictures bench format clean
.DEFAULT_GOAL := test

demo: $(VENV)/.installed
	$(BIN)/ifvit demo --out demo

demo-check: demo
	$(BIN)/python tests/check_demo.py demo/report.json

test: $(VENV)/.installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=10

# The slow ones by one process: Ray, kills and the largest prints want the machine for themselves.
test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -m heavy -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=10
	$(BIN)/pytest -m slow --durations=10

# The same with a thousand prints, all sizes and two hundred kills, of which test-slow takes a part.
test-long: $(VENV)/.installed-dev
	IFVIT_LONG=1 IFVIT_KILLS=200 $(BIN)/pytest -m slow

wheel-check:
	PYTHON=$(PYTHON) tests/check_wheel.sh

fuzz: $(VENV)/.installed-dev
	$(BIN)/python tests/fuzz_readers.py --files 100000 --seed 0

# Strict: no broken link, no page outside the navigation, nothing loaded from elsewhere.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Each from its first cell to the last, in an empty folder; WRITE=1 keeps what they show.
notebooks: $(VENV)/.installed-notebooks
	$(BIN)/python tests/run_notebooks.py $(if $(WRITE),--write)

# The code and the workflows looked through; then what they depend on, of which the index is asked.
audit: $(VENV)/.installed-audit
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml ifvit
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms \
	  .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

audit-packages: $(VENV)/.installed-audit
	$(BIN)/pip-audit --local --skip-editable

# The wheel and the source, for a release. TAG, if it is given, has to be that of the version.
dist: $(BIN)/pip
	@test -z "$(TAG)" || grep --quiet '^version = "$(TAG:v%=%)"$$' pyproject.toml || { \
	  echo "the tag $(TAG) is not that of the version in pyproject.toml" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build --outdir dist .

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

# All that .ci/run needs at once: each installation looks through all requirements anew.
$(VENV)/.installed-all: pyproject.toml | $(BIN)/pip
	@echo "Installing ifvit and all tools of its checks into $(VENV) (a few minutes the first time)"
	$(BIN)/python -m pip install --quiet -e '.[convert,dev,docs,audit,notebooks]'
	@touch $@ $(VENV)/.installed $(addprefix $(VENV)/.installed-,dev docs audit notebooks)

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/pip
	@echo "Installing ifvit and what builds its site into $(VENV)"
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	@touch $@

$(VENV)/.installed-audit: pyproject.toml | $(BIN)/pip
	@echo "Installing ifvit and what audits it into $(VENV)"
	$(BIN)/python -m pip install --quiet -e '.[audit]'
	@touch $@

$(VENV)/.installed-notebooks: pyproject.toml | $(BIN)/pip
	@echo "Installing ifvit and what runs its notebooks into $(VENV)"
	$(BIN)/python -m pip install --quiet -e '.[notebooks]'
	@touch $@ $(VENV)/.installed
