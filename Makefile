PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check
INSTALLED := $(VENV)/.installed
INSTALLED_DOCS := $(VENV)/.installed-docs

# Threads that wait for each other by spinning on and on slow everything tenfold as soon as another process wants the
# processor; after this many turns they sleep.
export GOMP_SPINCOUNT ?= 10000

.DELETE_ON_ERROR:
.PHONY: demo test slow check docs clean

# Train, adapt to int8, build for ExecuTorch, attack, steal, and report. The results are in demo/. The demo's gate fails, as that
# of an undefended build should: exit code 1 is its verdict, and only another one is a failure of the demo.
demo: $(INSTALLED)
	$(BIN)/edgerift audit --out demo --store demo/.store || [ $$? -eq 1 ]

# The tests that take seconds.
test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# The tests that take minutes.
slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow --numprocesses auto --dist loadfile

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy examples/*.py
	$(BIN)/lint-imports
	$(BIN)/python tools/sizes.py

# The documentation, into site/.
docs: $(INSTALLED_DOCS)
	$(BIN)/mkdocs build --strict

# Everything that was made, but for the virtual environment.
clean:
	rm -rf demo site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[devices,executorch,litert,onnxruntime,ray,serve,signing,timm,tracking,dev]' --constraint constraints.txt
	touch $@

$(INSTALLED_DOCS): $(INSTALLED)
	$(PIP) --editable '.[docs]' --constraint constraints.txt
	touch $@
