# make demo, make test: both set up everything they need in .venv first.
PYTHON ?= python3
VENV ?= .venv
EXTRA ?= dev
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test check smoke clean

help:
	@echo "make demo    train, evaluate and report cardiomegaly on phantoms (some minutes)"
	@echo "make test    run the tests"
	@echo "make check   lint, format and type checks"
	@echo "make smoke PYTHON=python3.13    a few tests on another Python and the newest JAX"

demo: $(READY)
	$(BIN)/python -m experiments.cardiomegaly --lr=1e-3

test: $(READY)
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile \
	  --no-loadscope-reorder

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

smoke:
	$(MAKE) VENV=.venv-smoke EXTRA=test PYTHON=$(PYTHON) .venv-smoke/.ready
	.venv-smoke/bin/python -m pytest -m smoke

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "cxr_jax needs Python 3.11 or newer; $(PYTHON) is older: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRA)]'
	@touch $(READY)

clean:
	rm -rf .venv .venv-smoke build *.egg-info
