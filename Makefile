# `make help` lists the targets. From nothing each makes .venv and installs what it needs, once:
# a stamp in .venv goes stale when pyproject.toml, constraints.txt or requirements/ change.

SHELL = /bin/bash
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
PY = $(BIN)/python
PIP = $(PY) -m pip --disable-pip-version-check --quiet
INSTALL = $(PIP) install --constraint constraints.txt
OUT = reports/out
TIMES ?= 10

# Arguments for installing torch. On Linux the index gives the CUDA build (several GB); for the CPU
# build: make setup TORCH_ARGS="--extra-index-url URL", with the URL that PyTorch's site names.
TORCH_ARGS ?=

CORE = $(VENV)/core.stamp
TEST = $(VENV)/test.stamp
NOTEBOOK = $(VENV)/notebook.stamp
KERNELS = $(VENV)/kernels.stamp
DOCS = $(VENV)/docs.stamp
MUTANTS = $(VENV)/mutants.stamp

.PHONY: help setup demo test format lint types layers unit test-kernels slow gpu soak mutants coverage bench report docs lab clean
.NOTPARALLEL:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(TEST)  ## core packages and test extras into .venv; does nothing if they are there

demo: $(CORE)  ## the main job on the embedded data, then its report
	$(BIN)/snnlens gradients --depth 152 -o $(OUT)/gradients --force
	$(BIN)/snnlens report $(OUT)/gradients -o $(OUT)/index.html --force
	@echo "The report: $(OUT)/index.html"

test: lint types layers unit  ## all checks: lint, types, layers, tests

format: $(TEST)  ## rewrite the sources as `make lint` wants them
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

lint: $(TEST)  ## style and mistakes (ruff)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

types: $(TEST)  ## types (mypy, strict)
	$(PY) -m mypy

layers: $(TEST)  ## who may import whom (import-linter)
	$(BIN)/lint-imports

unit: $(TEST)  ## the tests alone, two workers; ARGS="-k name" is handed to pytest
	$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

test-kernels: $(KERNELS)  ## the CUDA kernel in Triton's interpreter, and compiled for sm_90
	TRITON_INTERPRET=1 $(PY) -m pytest -m triton tests/unit/neuron/kernels $(ARGS)

slow: $(TEST) $(DOCS)  ## the tests that take minutes
	$(PY) -m pytest -m "slow and not gpu" $(ARGS)

gpu: $(KERNELS)  ## the whole matrix of the CUDA kernel; needs a CUDA device
	$(PY) -m pytest -m gpu tests/unit/neuron/kernels $(ARGS)

soak: $(TEST)  ## the promises of docs/promises.md, TIMES=10 times as long as in CI; prints what was tried
	SNNLENS_SOAK=$(TIMES) SNNLENS_SOAK_OUT=$(OUT)/soak $(PY) -m pytest -m "promise and not gpu and not triton" \
	  -o timeout=86400 tests $(ARGS)

mutants: $(MUTANTS)  ## mutation testing (mutmut), about an hour on two idle cores; writes reports/mutants.md
	$(PY) tests/mutants/run.py $(ARGS)

coverage: $(TEST) $(KERNELS)  ## lines and branches of snnlens/ that the tests run, about 45 minutes; under 95 % is an error
	COVERAGE_FILE=$(CURDIR)/.coverage $(PY) -m pytest -n 2 --dist loadfile --cov --cov-report= $(ARGS)
	TRITON_INTERPRET=1 COVERAGE_FILE=$(CURDIR)/.coverage $(PY) -m pytest -m triton tests/unit/neuron/kernels \
	  --cov --cov-append $(ARGS)

bench: $(TEST)  ## the benchmarks, about 20 minutes; ARGS="--quick -o DIR" for one small case each
	$(PY) benchmarks/run.py $(ARGS)

report: $(CORE)  ## the report of reports/ci.toml
	$(BIN)/snnlens report --preset reports/ci.toml -o $(OUT)/index.html --force
	@echo "The report: $(OUT)/index.html"

docs: $(DOCS)  ## the site, docs/_build/index.html; ARGS="-D nb_execution_mode=cache" runs the notebooks
	$(PY) -m sphinx -W -n -q -b html $(ARGS) docs docs/_build
	SNNLENS_SITE=docs/_build $(PY) -m pytest -m slow tests/unit/test_docs_site.py
	@echo "The site: docs/_build/index.html"

lab: $(NOTEBOOK)  ## JupyterLab on notebooks/
	$(PY) -m jupyter lab --notebook-dir notebooks

clean:  ## remove outputs and caches; .venv stays (rm -rf .venv to start from nothing)
	rm -rf docs/_build docs/jupyter_execute docs/.jupyter_cache docs/benchmarks docs/figures docs/findings
	rm -rf docs/notebooks docs/project docs/reference/commands.md docs/reference/plugins.md
	rm -rf $(OUT) build dist mutants .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# A half-made .venv (Debian's python3 without python3-venv) is taken away again.
MAKE_VENV = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
  { echo "snnlens needs Python 3.11 or newer; $(PYTHON) is '$$($(PYTHON) --version 2>&1)'; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }; \
  echo "making $(VENV)"; $(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

# Another package may have replaced torch by a newer one. A local part such as +cpu is no difference.
CHECK_TORCH = want=$$(sed -n 's/^torch==//p' constraints.txt); \
  got=$$($(PY) -c 'import importlib.metadata as m; print(m.version("torch").split("+")[0])'); \
  [ "$$got" = "$$want" ] || { echo "torch must be $$want (constraints.txt); got $$got; rm -rf $(VENV) and try again" >&2; exit 1; }

# torch by itself first, so that TORCH_ARGS is for torch alone.
$(CORE): pyproject.toml constraints.txt
	@$(PY) -m pip --version >/dev/null 2>&1 || { $(MAKE_VENV); }
	@echo "installing the core packages"
	@$(INSTALL) $(TORCH_ARGS) "$$(grep '^torch==' constraints.txt)"
	@$(INSTALL) --editable .
	@$(CHECK_TORCH)
	@touch $@

$(TEST): $(CORE) requirements/frameworks.txt
	@echo "installing the test packages"
	@$(INSTALL) --editable '.[test]'
	@$(PIP) install --no-deps --requirement requirements/frameworks.txt
	@$(CHECK_TORCH)
	@touch $@

$(KERNELS): $(TEST)
	@echo "installing Triton"
	@$(INSTALL) --no-deps "$$(grep '^triton==' constraints.txt)"
	@touch $@

$(MUTANTS): $(TEST)
	@echo "installing mutmut"
	@$(INSTALL) "$$(grep '^mutmut==' constraints.txt)"
	@$(CHECK_TORCH)
	@touch $@

$(DOCS): $(TEST)
	@echo "installing the documentation packages"
	@$(INSTALL) --editable '.[docs]'
	@$(CHECK_TORCH)
	@touch $@

$(NOTEBOOK): $(CORE)
	@echo "installing the notebook packages"
	@$(INSTALL) --editable '.[notebook]'
	@$(CHECK_TORCH)
	@touch $@
