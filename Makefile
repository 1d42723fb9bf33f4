# Everything runs in a local virtual environment that these targets make from pyproject.toml and constraints.txt.
#   make demo    three small datasets, the whole analysis        make test    the tests, some minutes
#   make lint    ruff and mypy                                   make help    the rest

PYTHON ?= python3
VENV := .venv
TORCH_VENV := .venv-torch
RIVALS := .venv-rivals
PIP := -m pip --disable-pip-version-check install --quiet
INPUTS := pyproject.toml constraints.txt Makefile
EXTRAS := demo,pandas,review

.PHONY: help demo test test-slow test-torch bench lint format clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -3
	@echo "  make test-slow   whole runs on real images, runs that are killed, pages in a real browser"
	@echo "  make test-torch  tests of the extra torch, with its CPU build, in $(TORCH_VENV)"
	@echo "  make bench       speed and memory beside those of others, in $(RIVALS): writes benchmarks/RESULTS.md and pictures;"
	@echo "                   ONLY=NAME measures one row, FULL=1 takes the large sizes"
	@echo "  make format      format the code"
	@echo "  make clean       remove the virtual environments, the demo and the data of the benchmark"

demo: $(VENV)/.installed
	$(VENV)/bin/overlens demo

test: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest -m "not slow" --numprocesses auto --maxprocesses 8 --dist loadfile

# One after the other: some of them measure time.
test-slow: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest -m slow

test-torch: $(TORCH_VENV)/.installed-dev
	$(TORCH_VENV)/bin/python -m pytest -m torch

bench: $(VENV)/.installed $(RIVALS)/.installed
	$(VENV)/bin/python benchmarks/bench.py $(if $(FULL),--full) $(foreach name,$(ONLY),--only $(name))

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:
	rm -rf $(VENV) $(TORCH_VENV) $(RIVALS) build/bench overlens-demo

%/.made: $(INPUTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "overlens needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $*
	$*/bin/python $(PIP) --constraint constraints.txt pip
	@touch $@

$(VENV)/.installed: $(VENV)/.made
	$(VENV)/bin/python $(PIP) --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(VENV)/bin/python $(PIP) --constraint constraints.txt --group dev
	@touch $@

# The CPU build of torch first: what needs torch is then satisfied and does not bring the CUDA build.
$(TORCH_VENV)/.installed-dev: $(TORCH_VENV)/.made
	$(TORCH_VENV)/bin/python $(PIP) --constraint constraints.txt torch
	$(TORCH_VENV)/bin/python $(PIP) --constraint constraints.txt --editable ".[$(EXTRAS),torch]" --group dev
	@touch $@

# Whom overlens is compared with: environments of their own, and one that cannot be installed stops nothing.
$(RIVALS)/.installed: benchmarks/requirements-rivals.txt benchmarks/speed/rivals.py constraints.txt Makefile
	PYTHONPATH=benchmarks $(PYTHON) -m speed.rivals $(RIVALS)
	@touch $@
