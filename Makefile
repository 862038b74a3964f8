# The two commands are `make demo` and `make test`; both set everything up in .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
ARGS ?=

.PHONY: demo test bench lint format protos check-wheels clean

demo: $(STAMP)
	$(BIN)/infilink demo --out out/demo $(ARGS)

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: $(STAMP)
	$(BIN)/python tests/bench/run.py $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

protos: $(STAMP)
	$(BIN)/python -m infilink.protos.generate
	$(BIN)/python -m infilink.cloud.dashboard.wire_fields

# Whether a device installs without a compiler, on x86-64 and aarch64; asks the package index.
check-wheels: $(STAMP)
	$(BIN)/python tests/check_wheels.py $(ARGS)

clean:
	rm -rf .venv build dist out *.egg-info

# Done anew only when what to install has changed.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "infilink needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)
